"""Weights of values within a window: what a neuron of a convolution reads.

A sum of the values of a convolutional layer that has few neighbouring ones has
few of all layers before: a window that grows with every layer, instead of a
row as long as the layer. Rows may have their windows in different places.
"""

from collections.abc import Sequence
import functools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfcurv.networks.maps import strided
from tfcurv.networks.maps.combined import Composition
from tfcurv.networks.maps.convolution import Convolution
from tfcurv.networks.maps.convolution_norms import Axis
from tfcurv.networks.maps.elementary import Diagonal
from tfcurv.networks.maps.elementary import Selection
from tfcurv.networks.maps.linear_map import LinearMap
from tfcurv.networks.maps.pooling import AveragePooling


class Window(NamedTuple):
    """Weights of the values `[height, width, channels]` of a layer, by row.

    Attributes:
        origin: `[rows, 2]` int32 where the window begins, perhaps outside.
        values: `[rows, h, w, channels]`; zero at places outside of the layer.
    """

    origin: tf.Tensor
    values: tf.Tensor


def window_of_entry(
    entry: tf.Tensor, sizes: tf.Tensor, shape: Sequence[int]
) -> Window:
    """Returns windows of a single place.

    Args:
        entry: `[rows]` int32 numbers of entries of a flattened sample.
        sizes: `[rows]` their weights.
        shape: `(height, width, channels)` of the sample.
    """
    _, width, channels = shape
    place = entry // channels
    unit = tf.one_hot(entry % channels, channels, dtype=sizes.dtype)
    values = unit * sizes[:, tf.newaxis]
    return Window(
        tf.stack([place // width, place % width], axis=-1),
        values[:, tf.newaxis, tf.newaxis],
    )


def places(window: Window, shape: Sequence[int]) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns which places a window has, and whether the sample has them.

    Args:
        window: Of rows.
        shape: `(height, width, channels)` of the sample.

    Returns:
        `[rows, h, w]` int32 numbers of places, some valid one for those
        outside; and `[rows, h, w]` bool.
    """
    _, *extents, _ = window.values.shape
    numbers, inside = [], []
    for axis, (extent, size) in enumerate(zip(extents, shape)):
        found = window.origin[:, axis, tf.newaxis] + tf.range(extent)
        inside.append((found >= 0) & (found < size))
        numbers.append(tf.clip_by_value(found, 0, size - 1))
    rows, columns = numbers
    is_in = inside[0][:, :, tf.newaxis] & inside[1][:, tf.newaxis]
    return rows[:, :, tf.newaxis] * shape[1] + columns[:, tf.newaxis], is_in


def whole(window: Window, shape: Sequence[int]) -> tf.Tensor:
    """Returns the weights `[rows, values]` of the flattened sample."""
    found = window.values
    for axis, size in enumerate(shape[:2]):
        # From where in the window each place takes its weights; zeros last.
        extent = found.shape[axis + 1]
        pairs = [[0, 0]] * 4
        pairs[axis + 1] = [0, 1]
        start = tf.range(size) - window.origin[:, axis, tf.newaxis]
        is_in = (start >= 0) & (start < extent)
        found = tf.gather(
            tf.pad(found, pairs),
            tf.where(is_in, start, extent),
            axis=axis + 1,
            batch_dims=1,
        )
    return tf.reshape(found, [-1, int(np.prod(shape))])


def cut(window: Window, shape: Sequence[int]) -> Window:
    """Returns the window, with zeros at places outside of the sample."""
    _, is_in = places(window, shape)
    zero = tf.zeros([], window.values.dtype)
    values = tf.where(is_in[..., tf.newaxis], window.values, zero)
    return Window(window.origin, values)


@functools.singledispatch
def pulled_back(linear: LinearMap, window: Window) -> Window | None:
    """Returns v K^T for weights v in a window; None where it is not known.

    Args:
        linear: The map K, of samples `[height, width, channels]`.
        window: Of its values, in the map's own shape.
    """
    del linear, window
    return None


@pulled_back.register
def _(linear: Composition, window: Window) -> Window | None:
    shape = linear.output_shape
    for each in reversed(linear.maps):
        # A reshape may have been between them: places would be others.
        found = pulled_back(each, window)
        if found is None or each.output_shape != shape:
            return None
        window, shape = found, each.input_shape
    return window


@pulled_back.register
def _(linear: Diagonal, window: Window) -> Window | None:
    # Of channels, or of all alike; not of single places.
    if len(linear.input_shape) != 3:
        return None
    if linear.scale.size not in (1, *linear.scale.shape[-1:]):
        return None
    scale = linear.constants(window.values.dtype)
    return Window(window.origin, window.values * tf.reshape(scale, [-1]))


@pulled_back.register
def _(linear: Selection, window: Window) -> Window | None:
    if linear.shift is None:
        return None
    moved = Window(window.origin - tf.constant(linear.shift), window.values)
    return cut(moved, linear.input_shape)


@pulled_back.register
def _(linear: Convolution, window: Window) -> Window | None:
    if len(linear.input_shape) != 3 or not linear.is_plain:
        return None
    kernel = linear.constants(window.values.dtype)
    axes = tuple(
        Axis((extent - 1) * a.stride + a.kernel, a.kernel, a.stride, 0, 0, 1)
        for a, extent in zip(linear.axes, window.values.shape[1:3])
    )
    height, width = (axis.size for axis in axes)
    found = _spread(window.values, kernel, axes)[:, :height, :width]
    steps = tf.constant([a.stride for a in linear.axes])
    before = tf.constant([a.before for a in linear.axes])
    origin = window.origin * steps - before
    return cut(Window(origin, found), linear.input_shape)


def _spread(values: tf.Tensor, kernel: tf.Tensor, axes) -> tf.Tensor:
    if values.shape[1:3] != (1, 1):
        return strided.adjoint(values, kernel, axes)
    # Of a single place, the kernel itself.
    height, width, channels, filters = kernel.shape
    table = tf.reshape(kernel, [-1, filters])
    found = tf.matmul(values[:, 0, 0], table, transpose_b=True)
    return tf.reshape(found, [-1, height, width, channels])


@pulled_back.register
def _(linear: AveragePooling, window: Window) -> Window | None:
    apart = all(
        a.stride == a.kernel and a.before == a.after == 0 for a in linear.axes
    )
    if len(linear.input_shape) != 3 or not apart:
        return None
    found = window.values
    for axis, each in enumerate(linear.axes):
        found = tf.repeat(found, each.kernel, axis=axis + 1)
        found /= tf.constant(each.kernel, found.dtype)
    steps = tf.constant([a.stride for a in linear.axes])
    return cut(Window(window.origin * steps, found), linear.input_shape)
