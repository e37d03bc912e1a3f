"""Reads the Keras layers that are affine in inference, in float64."""

from collections.abc import Callable
import math

import keras
import numpy as np

from tfcurv import errors
from tfcurv import networks
from tfcurv.nn import layers as tfcurv_layers
from tfcurv.nn.reading import normalization_layers
from tfcurv.nn.reading import refusals
from tfcurv.nn.reading.linear_step import LinearStep

_Shape = tuple[int, ...]

#: The way out for a layer that is not what it was built as.
AS_BUILT = "do not change a layer once the model is built"


def read_linear(layer: keras.layers.Layer, input_shape: _Shape) -> LinearStep:
    """Returns what a layer does to one flattened sample, before activation.

    Args:
        layer: A built layer of a type in `READERS`.
        input_shape: Of one sample that it is used on.

    Returns:
        The map, whose shapes are those of the layer, and the bias.

    Raises:
        UnsupportedLayerError: The layer has a setting for which nothing is
            known, or does not fit the shape.
        NonFiniteWeightsError: A scale or an offset is NaN or infinite.
    """
    if getattr(layer, "quantization_mode", None) is not None:
        raise refusals.unsupported(
            layer, "it is quantized", "certify the model before quantization"
        )
    if getattr(layer, "lora_enabled", False):
        raise refusals.unsupported(
            layer,
            "LoRA is enabled on it",
            "copy its `kernel`, which is the merged one, to a layer without",
        )
    read = READERS[type(layer)]
    return fitted(
        layer,
        input_shape,
        read,
        lambda step: (step.map.input_shape, step.map.output_shape),
    )


def fitted(
    layer: keras.layers.Layer,
    input_shape: _Shape,
    read: Callable,
    shapes_of: Callable,
):
    """Returns what a layer is read as, with the shapes that Keras states.

    Args:
        layer: A built layer.
        input_shape: Of one sample that it is used on.
        read: Takes the layer and the shape.
        shapes_of: Returns the shapes before and after of what was read.

    Raises:
        UnsupportedLayerError: The layer does not fit the shape.
    """
    try:
        found = read(layer, tuple(input_shape))
        stated = tuple(layer.compute_output_shape((1, *input_shape))[1:])
    except errors.TfcurvError:
        raise
    # A setting that was changed may be of another type, too.
    except (TypeError, ValueError) as error:
        raise refusals.unsupported(
            layer,
            f"it does not fit an input of shape {tuple(input_shape)} "
            f"({str(error).rstrip('.')})",
            AS_BUILT,
        ) from error
    before, after = shapes_of(found)
    if (before, after) != (tuple(input_shape), stated):
        raise refusals.unsupported(
            layer,
            f"it was read as {before} -> {after}, and Keras says that it is "
            f"{tuple(input_shape)} -> {stated}",
            AS_BUILT,
        )
    return found


def has_activation(layer: keras.layers.Layer) -> bool:
    """Whether a layer of a type in `READERS` ends in an activation.

    Keras never looks at an attribute of this name that other layers may have.
    """
    return isinstance(layer, _WITH_ACTIVATION) and layer.activation is not None


def _with_bias(layer, linear: networks.LinearMap) -> LinearStep:
    """Returns a step with the layer's bias, one entry for each channel."""
    # Some layers look at the one when they are called, some at the other.
    if layer.use_bias != (layer.bias is not None):
        raise refusals.unsupported(
            layer, "its `use_bias` was changed", AS_BUILT
        )
    bias = np.zeros(linear.output_shape)
    if layer.use_bias:
        bias = bias + _weight(layer.bias)
    return LinearStep(linear, bias.ravel())


def _weight(variable) -> np.ndarray:
    return np.asarray(variable, np.float64)


def _reshaped(linear: networks.LinearMap, before: _Shape, after: _Shape):
    """Returns a map with other shapes of the same sizes."""
    return networks.Composition(
        maps=(
            networks.Identity(
                input_shape=before, output_shape=linear.input_shape
            ),
            linear,
            networks.Identity(
                input_shape=linear.output_shape, output_shape=after
            ),
        )
    )


def _dense(layer, shape: _Shape) -> LinearStep:
    kernel = _weight(layer.kernel)
    if len(shape) == 1 and kernel.shape[:1] == shape:
        return _with_bias(layer, networks.Dense(kernel=kernel))
    # On inputs of higher rank, a convolution with a window of one place.
    places = shape[:-1] if len(shape) in (2, 3) else (math.prod(shape[:-1]),)
    linear = networks.Convolution(
        kernel=kernel.reshape(*(1 for _ in places), *kernel.shape),
        input_shape=(*places, shape[-1]),
    )
    if places != shape[:-1]:
        linear = _reshaped(linear, shape, (*shape[:-1], kernel.shape[-1]))
    return _with_bias(layer, linear)


def _geometry(layer) -> dict:
    """Returns the settings that all convolutions share."""
    return {
        "strides": tuple(layer.strides),
        "padding": layer.padding,
        "dilations": tuple(layer.dilation_rate),
    }


def _convolution(layer, shape: _Shape) -> LinearStep:
    linear = networks.Convolution(
        kernel=_weight(layer.kernel),
        input_shape=shape,
        groups=layer.groups,
        **_geometry(layer),
    )
    return _with_bias(layer, linear)


def _by_channel(layer, kernel, shape: _Shape) -> networks.Convolution:
    """Returns the convolution of each channel by itself."""
    kernel = _weight(kernel)
    *window, channels, multiplier = kernel.shape
    return networks.Convolution(
        kernel=kernel.reshape(*window, 1, channels * multiplier),
        input_shape=shape,
        groups=channels,
        **_geometry(layer),
    )


def _depthwise(layer, shape: _Shape) -> LinearStep:
    return _with_bias(layer, _by_channel(layer, layer.kernel, shape))


def _separable(layer, shape: _Shape) -> LinearStep:
    first = _by_channel(layer, layer.depthwise_kernel, shape)
    second = networks.Convolution(
        kernel=_weight(layer.pointwise_kernel), input_shape=first.output_shape
    )
    return _with_bias(layer, networks.Composition(maps=(first, second)))


def _without_bias(linear: networks.LinearMap) -> LinearStep:
    return LinearStep(linear, np.zeros(linear.outputs))


def _pooling(layer, shape: _Shape) -> LinearStep:
    if layer.pool_mode != "average":
        raise refusals.unsupported(
            layer, "its `pool_mode` was changed", AS_BUILT
        )
    linear = networks.AveragePooling(
        input_shape=shape,
        pool_size=tuple(layer.pool_size),
        strides=tuple(layer.strides),
        padding=layer.padding.lower(),
    )
    return _without_bias(linear)


def _global_pooling(layer, shape: _Shape) -> LinearStep:
    linear = networks.AveragePooling(input_shape=shape, pool_size=shape[:-1])
    if not layer.keepdims:
        linear = _reshaped(linear, shape, shape[-1:])
    return _without_bias(linear)


def _reshape(layer, shape: _Shape) -> LinearStep:
    return reshape(shape, tuple(layer.compute_output_shape((1, *shape))[1:]))


def reshape(before: _Shape, after: _Shape) -> LinearStep:
    """Returns the step that gives a sample another shape."""
    same = networks.Identity(input_shape=before, output_shape=after)
    return _without_bias(same)


def _permute(layer, shape: _Shape) -> LinearStep:
    axes = [axis - 1 for axis in layer.dims]
    return _without_bias(networks.Selection.permute(shape, axes))


def _pairs(pairs) -> list[tuple[int, int]]:
    """Returns the pairs of each axis; a single pair is that of the only one."""
    pairs = [pairs] if isinstance(pairs[0], int) else pairs
    return [*map(tuple, pairs), (0, 0)]


def _zero_padding(layer, shape: _Shape) -> LinearStep:
    return _without_bias(
        networks.Selection.zero_pad(shape, _pairs(layer.padding))
    )


def _cropping(layer, shape: _Shape) -> LinearStep:
    return _without_bias(networks.Selection.crop(shape, _pairs(layer.cropping)))


def _center_crop(layer, shape: _Shape) -> LinearStep:
    """The middle of an image, as Keras rounds it."""
    *_, height, width, _ = (1, 1, *shape)
    spare = height - layer.height, width - layer.width
    if len(shape) != 3 or min(spare) < 0:
        raise refusals.unsupported(
            layer,
            f"it resizes images of shape {shape}, which are smaller than the "
            "crop",
            "resize the data, before the model",
        )
    pairs = [(each // 2, each - each // 2) for each in spare]
    return _without_bias(networks.Selection.crop(shape, [*pairs, (0, 0)]))


def _up_sampling(layer, shape: _Shape) -> LinearStep:
    """Copies of each channel, as channels, moved to the places between."""
    if getattr(layer, "interpolation", "nearest") != "nearest":
        raise refusals.unsupported(
            layer,
            f"interpolation={layer.interpolation!r}; only 'nearest' is known",
            "use interpolation='nearest'",
        )
    *places, channels = shape
    size = (layer.size,) if isinstance(layer.size, int) else tuple(layer.size)
    copies = math.prod(size)
    window = [1] * len(places)
    copied = networks.Convolution(
        kernel=np.ones((*window, 1, channels * copies)),
        input_shape=shape,
        groups=channels,
    )
    # [*places, channels, *size], of which each place and its size are to be
    # neighbours.
    rank = len(places)
    axes = [n for i in range(rank) for n in (i, rank + 1 + i)] + [rank]
    moved = networks.Selection.permute((*shape, *size), axes)
    after = (*(n * k for n, k in zip(places, size)), channels)
    return _without_bias(
        networks.Composition(
            maps=(
                copied,
                networks.Identity(
                    input_shape=copied.output_shape,
                    output_shape=moved.input_shape,
                ),
                moved,
                networks.Identity(
                    input_shape=moved.output_shape, output_shape=after
                ),
            )
        )
    )


_Reader = Callable[[keras.layers.Layer, _Shape], LinearStep]

_OF_KERAS: dict[str, _Reader] = {
    "Dense": _dense,
    "Conv1D": _convolution,
    "Conv2D": _convolution,
    "DepthwiseConv1D": _depthwise,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv1D": _separable,
    "SeparableConv2D": _separable,
    "AveragePooling1D": _pooling,
    "AveragePooling2D": _pooling,
    "GlobalAveragePooling1D": _global_pooling,
    "GlobalAveragePooling2D": _global_pooling,
    "Flatten": _reshape,
    "Reshape": _reshape,
    "Permute": _permute,
    "ZeroPadding1D": _zero_padding,
    "ZeroPadding2D": _zero_padding,
    "Cropping1D": _cropping,
    "Cropping2D": _cropping,
    "CenterCrop": _center_crop,
    "UpSampling1D": _up_sampling,
    "UpSampling2D": _up_sampling,
    "Rescaling": normalization_layers.read_rescaling,
    "Normalization": normalization_layers.read_normalization,
    "BatchNormalization": normalization_layers.read_batch_normalization,
}


def _readers() -> dict[type, _Reader]:
    """Returns the reader of each type: Keras' own, and tfcurv's of the name."""
    found = {}
    for name, reader in _OF_KERAS.items():
        found[getattr(keras.layers, name)] = reader
        own = getattr(tfcurv_layers, name, None)
        if own is not None:
            found[own] = reader
    return found


# tfcurv's own are of these types, too.
_WITH_ACTIVATION = tuple(
    getattr(keras.layers, name)
    for name in _OF_KERAS
    if "Conv" in name or name == "Dense"
)

#: How to read a layer of each type, and of no subclass.
READERS = _readers()
