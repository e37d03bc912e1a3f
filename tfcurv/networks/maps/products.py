"""TensorFlow's convolution where it fails on a CPU: no samples, gradients."""

from collections.abc import Callable
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

_Map = Callable[[tf.Tensor], tf.Tensor]

# Paddings of one sample at the end.
_ONE_SAMPLE = np.array([[0, 1], [0, 0], [0, 0], [0, 0]], np.int32)


def convolve(
    samples: tf.Tensor,
    kernel: tf.Tensor,
    strides: int | Sequence[int] = 1,
    padding: str = "VALID",
    dilations: int | Sequence[int] = 1,
) -> tf.Tensor:
    """Returns `tf.nn.conv2d`, also of no samples.

    TensorFlow's own gives no samples, in float32, the shape that they had
    before, with as many channels, on which the next operation fails.

    Args:
        samples: `[batch, height, width, channels]`.
        kernel: `[rows, columns, channels / groups, filters]`.
        strides: Of the window.
        padding: As `tf.nn.conv2d`.
        dilations: Of the kernel.

    Returns:
        `[batch, new_height, new_width, filters]`.
    """
    settings = {"strides": strides, "padding": padding, "dilations": dilations}
    if samples.dtype == tf.float64:
        return tf.nn.conv2d(samples, kernel, **settings)
    # A slice or a reshape behind the convolution would not do: where shapes
    # look right already, the graph's optimizer takes it out.
    count = tf.shape(samples)[0]
    extra = tf.cast(tf.equal(count, 0), tf.int32)
    filled = tf.pad(samples, extra * _ONE_SAMPLE)
    filled.set_shape([None, *samples.shape[1:]])
    return tf.nn.conv2d(filled, kernel, **settings)[:count]


def with_adjoint(fn: _Map, adjoint: _Map) -> _Map:
    """Returns a linear function whose gradient is its adjoint, and so on.

    TensorFlow has no gradient, on a CPU, of convolutions with groups or
    dilation in float64, and in float32 only where oneDNN is there.

    Args:
        fn: A linear function of rows.
        adjoint: Its adjoint.
    """

    @tf.custom_gradient
    def product(rows):
        return fn(rows), with_adjoint(adjoint, fn)

    return product
