"""What a .keras file may hold before Keras is let near it.

A .keras file is a zip archive: config.json says which objects to make with
which arguments, model.weights.h5 holds their numbers. Keras' safe mode
forbids what is known to be harmful, and has had to learn it case by case:
functions by module path (CVE-2025-1550, CVE-2025-8747, CVE-2025-9906),
classes that unpickle or run a graph (CVE-2025-49655, CVE-2026-1462), paths
to other files (CVE-2025-12058, CVE-2026-1669, CVE-2026-12480). Here,
everything is forbidden but what models of plain numerical layers consist of.
"""

from collections.abc import Iterator
import io
import json
import pathlib
from typing import Any
import zipfile

import h5py
import keras

from tfcurv.nn import layers as layers
from tfcurv.nn.layers.spectral_norm import SpectralNormTracker
from tfcurv.nn.reading import operations
from tfcurv.nn.training.attack import CurvatureAttack
from tfcurv.nn.training.layerwise_adversary import LayerwiseAdversary
from tfcurv.nn.training.model import Model
from tfcurv.nn.training.model import Sequential
from tfcurv.nn.training.projected_gradient import ProjectedGradientAttack
from tfcurv.nn.training.regularizer import CurvatureRegularizer
from tfcurv.nn.training.trades import TradesAttack
from tfcurv.nn.training.worst_case import WorstCase

_METADATA, _CONFIG = "metadata.json", "config.json"
_WEIGHTS = "model.weights.h5"

# A thousand layers take about 2 MiB.
_MAX_CONFIG_BYTES = 16 * 2**20

# Wider than what can be certified, so that the refusal of, say, pooling comes
# from where it names the layer and the way out. Nothing here takes a function,
# a path or a URL.
_LAYERS = """
InputLayer Dense Activation Flatten Reshape Permute Identity Rescaling
Normalization Dropout GaussianDropout GaussianNoise AlphaDropout
SpatialDropout1D SpatialDropout2D ActivityRegularization ReLU LeakyReLU PReLU
ELU Softmax Conv1D Conv2D Conv2DTranspose DepthwiseConv1D DepthwiseConv2D
SeparableConv1D SeparableConv2D
MaxPooling1D MaxPooling2D AveragePooling1D AveragePooling2D
GlobalMaxPooling1D GlobalMaxPooling2D GlobalAveragePooling1D
GlobalAveragePooling2D ZeroPadding1D ZeroPadding2D Cropping1D Cropping2D
UpSampling1D UpSampling2D CenterCrop Resizing RandomFlip RandomRotation
RandomTranslation RandomZoom RandomContrast RandomBrightness
BatchNormalization LayerNormalization GroupNormalization SpectralNormalization
UnitNormalization Add Subtract Multiply Average Maximum Minimum Concatenate
Dot Embedding
"""
_INITIALIZERS = """
Constant Zeros Ones Identity Orthogonal RandomNormal RandomUniform
TruncatedNormal VarianceScaling GlorotNormal GlorotUniform HeNormal HeUniform
LecunNormal LecunUniform
"""

# Class names by module. Tensors and arrays come without a module.
_KERAS_CLASSES: dict[str | None, set[str]] = {
    None: {"__keras_tensor__", "__numpy__", "__tensor__"},
    "keras": {"Sequential", "Model", "DTypePolicy"},
    "keras.models": {"Sequential", "Model"},
    "keras.src.models.functional": {"Functional"},
    "keras.random": {"SeedGenerator"},
    "keras.layers": set(_LAYERS.split()),
    "keras.initializers": set(_INITIALIZERS.split()),
    "keras.regularizers": {"L1", "L2", "L1L2", "OrthogonalRegularizer"},
    "keras.constraints": {"MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"},
}
# What `x / 255` and `x + y` are in a file: a name, and numbers.
for _kind in operations.known_types():
    _KERAS_CLASSES.setdefault(_kind.__module__, set()).add(_kind.__name__)

# Class names by registered name, which Keras looks at first.
_OWN_CLASSES = {
    keras.saving.get_registered_name(kind): kind.__name__
    for kind in (
        Sequential,
        Model,
        layers.Dense,
        layers.Conv1D,
        layers.Conv2D,
        layers.DepthwiseConv2D,
        SpectralNormTracker,
        CurvatureRegularizer,
        CurvatureAttack,
        ProjectedGradientAttack,
        TradesAttack,
        WorstCase,
        LayerwiseAdversary,
    )
}

_SHARED = "shared_object_id"

# As they stand in a file, whole: of functions a name is all there is.
_OWN_FUNCTIONS = [keras.saving.serialize_keras_object(layers.absolute)]


def checked_copy(
    path: pathlib.Path, folder: str | pathlib.Path
) -> pathlib.Path:
    """Writes what a .keras file holds, once checked, to a file in a folder.

    Keras reads the copy: it never sees a byte that was not checked, nor the
    settings of `compile`, which its `compile=False` skips in the outermost
    model only.

    Args:
        path: The .keras file.
        folder: Where to write `model.keras`.

    Returns:
        The path of the copy.

    Raises:
        ValueError: The file holds more than a model of known classes. Broken
            files raise whatever zipfile, json and h5py do.
    """
    config, weights = _read_members(path)
    _check_config(config)
    _check_weights(weights)
    copy = pathlib.Path(folder) / "model.keras"
    with zipfile.ZipFile(copy, "w") as archive:
        archive.writestr(_CONFIG, json.dumps(config))
        archive.writestr(_WEIGHTS, weights)
    return copy


def _read_members(path: pathlib.Path) -> tuple[Any, bytes]:
    with zipfile.ZipFile(path) as archive:
        # All names at once: extra, missing, twofold and ../ ones.
        if sorted(archive.namelist()) != sorted((_METADATA, _CONFIG, _WEIGHTS)):
            raise ValueError(
                f"its members are {sorted(archive.namelist())[:8]}, not "
                f"{_METADATA}, {_CONFIG} and {_WEIGHTS}"
            )
        for member in archive.infolist():
            # Keras compresses nothing, and what is not compressed cannot be
            # larger than the file.
            if member.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"its member {member.filename} is compressed")
        size = archive.getinfo(_CONFIG).file_size
        if size > _MAX_CONFIG_BYTES:
            raise ValueError(
                f"its {_CONFIG} has {size} bytes, more than {_MAX_CONFIG_BYTES}"
            )
        return json.loads(archive.read(_CONFIG)), archive.read(_WEIGHTS)


def _check_config(config: Any) -> None:
    """Refuses unknown objects; drops the settings of `compile`."""
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(_checked_values(value))
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, str):
            # Keras puts what is registered under a name in the name's place.
            if keras.saving.get_registered_object(value) is not None:
                raise ValueError(f"its {_CONFIG} refers to {value!r}")


def _checked_values(value: dict[str, Any]) -> Iterator[Any]:
    """Returns what is left to check in a dictionary, which may be an object."""
    if "class_name" not in value:
        return iter(value.values())
    # Of what several layers share Keras numbers the copies.
    shared = {k: each for k, each in value.items() if k != _SHARED}
    if shared in _OWN_FUNCTIONS and isinstance(value.get(_SHARED, 0), int):
        return iter(())
    if not _is_known(value):
        raise ValueError(
            f"its {_CONFIG} asks for "
            f"module={value.get('module')!r}, "
            f"class_name={value['class_name']!r}, "
            f"config={str(value.get('config')):.80}, "
            f"registered_name={value.get('registered_name')!r}, "
            "which is not on tfcurv's list of plain numerical objects"
        )
    value.pop("compile_config", None)
    return (each for key, each in value.items() if key != "registered_name")


def _is_known(value: dict[str, Any]) -> bool:
    name, registered = value["class_name"], value.get("registered_name")
    if registered in _OWN_CLASSES:
        # Keras acts on names such as __lambda__ before it looks at the other.
        return name == _OWN_CLASSES[registered]
    known = _KERAS_CLASSES.get(value.get("module"), ())
    return name in known and registered in (None, name)


def _check_weights(weights: bytes) -> None:
    """Refuses what reaches out of an HDF5 file or is larger than the file."""

    def check(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Group):
            for key in item:
                kind = item.get(key, getclass=True, getlink=True)
                if kind is not h5py.HardLink:
                    raise ValueError(
                        f"its {_WEIGHTS} holds a {kind.__name__} at "
                        f"{name}/{key}"
                    )
        elif item.external or item.is_virtual:
            raise ValueError(f"its {_WEIGHTS} keeps {name} in other files")
        elif (
            # Only chunks pass through filters; objects are of any length.
            item.chunks is not None
            or item.dtype.hasobject
            or item.nbytes > len(weights)
        ):
            raise ValueError(
                f"its {_WEIGHTS} does not hold {name} as plain numbers"
            )

    with h5py.File(io.BytesIO(weights), "r") as file:
        check("", file)
        file.visititems(check)
