"""Reads the Keras layers that take maxima over windows."""

from collections.abc import Callable

import keras

from tfcurv import networks
from tfcurv.nn.reading import linear_layers
from tfcurv.nn.reading import refusals
from tfcurv.nn.reading.linear_step import LinearStep

_Shape = tuple[int, ...]


def read_maximum(
    layer: keras.layers.Layer, input_shape: _Shape
) -> tuple[networks.MaxPooling, LinearStep | None]:
    """Returns over which windows a layer takes maxima, and what follows.

    Args:
        layer: A built layer of a type in `READERS`.
        input_shape: Of one sample that it is used on.

    Returns:
        The windows, and a reshape of the maxima or None.

    Raises:
        UnsupportedLayerError: The layer has been changed or does not fit.
    """
    return linear_layers.fitted(
        layer, input_shape, READERS[type(layer)], _shapes_of
    )


def _shapes_of(read) -> tuple[_Shape, _Shape]:
    windows, after = read
    last = windows if after is None else after.map
    return windows.input_shape, last.output_shape


def _windows(layer, shape: _Shape):
    if layer.pool_mode != "max":
        raise refusals.unsupported(
            layer, "its `pool_mode` was changed", linear_layers.AS_BUILT
        )
    windows = networks.MaxPooling(
        input_shape=shape,
        pool_size=tuple(layer.pool_size),
        strides=tuple(layer.strides),
        padding=layer.padding.lower(),
    )
    return windows, None


def _global(layer, shape: _Shape):
    places = shape[:-1]
    windows = networks.MaxPooling(
        input_shape=shape, pool_size=places, strides=places
    )
    if layer.keepdims:
        return windows, None
    return windows, linear_layers.reshape(windows.output_shape, shape[-1:])


#: How to read a layer of each type, and of no subclass.
READERS: dict[type, Callable] = {
    keras.layers.MaxPooling1D: _windows,
    keras.layers.MaxPooling2D: _windows,
    keras.layers.GlobalMaxPooling1D: _global,
    keras.layers.GlobalMaxPooling2D: _global,
}
