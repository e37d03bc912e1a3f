"""Reads models from files, without running code from them."""

import itertools
import pathlib
import tempfile

import keras
import numpy as np

from tfcurv import errors
from tfcurv.nn.files import keras_archive
from tfcurv.nn.onnx import reading as onnx_reading

_DTYPES = {"float16", "float32", "float64"}


def read_model(
    path: str | pathlib.Path, *, activation: str = "softplus"
) -> keras.Model:
    """Returns the model in a .keras, .onnx or .npz file.

    A .keras file must consist of plain numerical layers, all of them Keras'
    or tfcurv's own; no other class or function is looked up, no other file is
    opened. An .npz file holds arrays `kernel_0` [inputs, outputs], `bias_0`
    [outputs], `kernel_1`, ... of dense layers; nothing is unpickled. An .onnx
    file is read by `tfcurv.from_onnx`, for data as Keras has them: images with
    channels last.

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
    if path.suffix == ".onnx":
        return onnx_reading.from_onnx(path, channels_last=True)
    if path.suffix != ".keras":
        raise errors.UnsupportedModelError(
            "Models are read from .keras, .onnx and .npz files. "
            f"Received: {str(path)!r}."
        )
    return _read_archive(path)


def _read_archive(path: pathlib.Path) -> keras.Model:
    try:
        with tempfile.TemporaryDirectory() as folder:
            copy = keras_archive.checked_copy(path, folder)
            model = keras.models.load_model(copy, compile=False, safe_mode=True)
        if not isinstance(model, keras.Model):
            raise ValueError(f"it holds a {type(model).__name__}, no model")
    # zipfile, json, h5py and Keras raise all kinds of errors on a file that
    # was made to break them, Keras with the whole config in the message.
    except Exception as error:
        raise errors.UnsupportedModelError(
            "tfcurv does not load this model: "
            f"{error!s:.400} ({type(error).__name__}). "
            f"Received: {str(path)!r}. If you trust whoever made the file, "
            "load it with keras.models.load_model and pass the model to "
            "tfcurv.certify."
        ) from error
    return model


def _read_arrays(path: pathlib.Path, activation: str) -> keras.Model:
    try:
        # numpy leaves open what it has opened and cannot read.
        with (
            path.open("rb") as file,
            np.load(file, allow_pickle=False) as arrays,
        ):
            count = sum(name.startswith("kernel_") for name in arrays)
            pairs = [
                (arrays[f"kernel_{i}"], arrays[f"bias_{i}"])
                for i in range(count)
            ]
        _check_pairs(pairs)
    # Of a broken file, numpy makes all kinds of errors too.
    except Exception as error:
        raise errors.UnsupportedModelError(
            "The file does not hold the arrays of a network: "
            f"{error!s:.400} ({type(error).__name__}). "
            f"Received: {str(path)!r}. Allowed: kernel_0 [inputs, outputs], "
            "bias_0 [outputs], kernel_1, ... of floating-point numbers."
        ) from error
    model = keras.Sequential(name=path.stem)
    model.add(keras.Input((pairs[0][0].shape[0],)))
    for index, (kernel, bias) in enumerate(pairs):
        last = index + 1 == len(pairs)
        model.add(
            keras.layers.Dense(
                kernel.shape[1],
                activation=None if last else activation,
                # Of the two, what holds both without rounding.
                dtype=np.result_type(kernel, bias).name,
            )
        )
        model.layers[-1].set_weights([kernel, bias])
    return model


def _check_pairs(pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Refuses arrays that are no chain of dense layers."""
    if not pairs:
        raise ValueError("it has no kernel_0")
    for index, (kernel, bias) in enumerate(pairs):
        if kernel.ndim != 2 or bias.shape != kernel.shape[1:]:
            raise ValueError(
                f"kernel_{index} and bias_{index} have shapes {kernel.shape} "
                f"and {bias.shape}"
            )
        if not {kernel.dtype.name, bias.dtype.name} <= _DTYPES:
            raise ValueError(
                f"kernel_{index} and bias_{index} hold {kernel.dtype} and "
                f"{bias.dtype}"
            )
    for index, (before, after) in enumerate(itertools.pairwise(pairs)):
        if before[0].shape[1] != after[0].shape[0]:
            raise ValueError(
                f"kernel_{index} has shape {before[0].shape}, "
                f"kernel_{index + 1} has {after[0].shape}"
            )
