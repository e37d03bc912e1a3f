"""Reads models from files, without running code from them."""

import pathlib
import zipfile

import keras
import numpy as np

from tfcurv import errors


def read_model(
    path: str | pathlib.Path, *, activation: str = "softplus"
) -> keras.Model:
    """Returns the model in a .keras file or in an .npz file of weights.

    A .keras file is read in Keras' safe mode, which refuses lambdas. An .npz
    file holds arrays `kernel_0` [inputs, outputs], `bias_0`, `kernel_1`, ...
    of dense layers; nothing is unpickled.

    Args:
        path: The file.
        activation: Keras name of what stands between the dense layers of an
            .npz file, which does not say.

    Raises:
        UnsupportedModelError: The file is of another kind, or does not hold
            what it should.
        FileNotFoundError: There is no such file.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no model file of this name. Received: {str(path)!r}."
        )
    if path.suffix == ".npz":
        return _read_arrays(path, activation)
    if path.suffix != ".keras":
        raise errors.UnsupportedModelError(
            "Models are read from .keras and .npz files. "
            f"Received: {str(path)!r}."
        )
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, zipfile.BadZipFile) as error:
        raise errors.UnsupportedModelError(
            f"Keras cannot read this model safely. Received: {str(path)!r} "
            f"({error})."
        ) from error


def _read_arrays(path: pathlib.Path, activation: str) -> keras.Model:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            count = sum(name.startswith("kernel_") for name in arrays)
            pairs = [
                (arrays[f"kernel_{i}"], arrays[f"bias_{i}"])
                for i in range(count)
            ]
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise errors.UnsupportedModelError(
            f"The arrays of a network cannot be read. Received: {str(path)!r} "
            f"({error})."
        ) from error
    if not pairs:
        raise errors.UnsupportedModelError(
            "The file holds no dense layers, which would be arrays kernel_0, "
            f"bias_0, ... Received: {str(path)!r}."
        )
    model = keras.Sequential(name=path.stem)
    model.add(keras.Input((pairs[0][0].shape[0],)))
    for index, (kernel, bias) in enumerate(pairs):
        last = index + 1 == len(pairs)
        model.add(
            keras.layers.Dense(
                kernel.shape[1],
                activation=None if last else activation,
                dtype=kernel.dtype.name,
            )
        )
        model.layers[-1].set_weights([kernel, bias])
    return model
