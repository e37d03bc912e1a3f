"""Strided convolutions as such without strides: places become channels.

On a CPU TensorFlow computes them, and their gradients, up to ten times as
fast. Sums of the same products, in another order, and of zeros.
"""

from collections.abc import Sequence

import tensorflow as tf

from tfcurv.networks.maps import products
from tfcurv.networks.maps.convolution_norms import Axis


def convolve(
    samples: tf.Tensor, kernel: tf.Tensor, axes: Sequence[Axis]
) -> tf.Tensor:
    """Returns a two-dimensional convolution, as `tf.nn.conv2d` computes it.

    Args:
        samples: `[batch, height, width, channels]`, of known size, not padded.
        kernel: `[height, width, channels, filters]`.
        axes: The geometry, without dilation.

    Returns:
        `[batch, new_height, new_width, filters]`.
    """
    extents = [
        axis.outputs + count - 1 for axis, count in zip(axes, _blocks(axes))
    ]
    pairs, sizes = [], []
    for axis, extent in zip(axes, extents):
        size = extent * axis.stride
        pairs.append((axis.before, max(0, size - axis.size - axis.before)))
        sizes.append(size)
    samples = tf.pad(samples, [(0, 0), *pairs, (0, 0)])
    samples = samples[:, : sizes[0], : sizes[1]]
    (height, width), (down, across) = extents, _steps(axes)
    channels = samples.shape[-1]
    samples = tf.reshape(samples, [-1, height, down, width, across, channels])
    samples = tf.transpose(samples, [0, 1, 3, 2, 4, 5])
    samples = tf.reshape(samples, [-1, height, width, down * across * channels])
    kernel = tf.transpose(_blocked(kernel, axes), [0, 2, 1, 3, 4, 5])
    kernel = tf.reshape(kernel, [*_blocks(axes), -1, kernel.shape[-1]])
    return products.convolve(samples, kernel)


def adjoint(v: tf.Tensor, kernel: tf.Tensor, axes: Sequence[Axis]) -> tf.Tensor:
    """Returns the adjoint of a convolution, on the padded sample.

    Args:
        v: `[batch, new_height, new_width, filters]`.
        kernel: `[height, width, channels, filters]`.
        axes: The geometry, without dilation.

    Returns:
        `[batch, rows, columns, channels]`, with as many rows and columns as
        the padded sample has, or more.
    """
    blocks, steps = _blocks(axes), _steps(axes)
    channels, outputs = kernel.shape[2:]
    kernel = tf.reverse(_blocked(kernel, axes), [0, 2])
    kernel = tf.transpose(kernel, [0, 2, 5, 1, 3, 4])
    around = [(count - 1, count - 1) for count in blocks]
    found = products.convolve(
        tf.pad(v, [(0, 0), *around, (0, 0)]),
        tf.reshape(kernel, [*blocks, outputs, steps[0] * steps[1] * channels]),
    )
    _, height, width, _ = found.shape
    found = tf.reshape(found, [-1, height, width, *steps, channels])
    found = tf.transpose(found, [0, 1, 3, 2, 4, 5])
    extents = [height * steps[0], width * steps[1]]
    found = tf.reshape(found, [-1, *extents, channels])
    # What no window reaches, behind the last one, is zero.
    missing = [(0, max(0, a.padded - n)) for a, n in zip(axes, extents)]
    return tf.pad(found, [(0, 0), *missing, (0, 0)])


def _steps(axes: Sequence[Axis]) -> list[int]:
    return [axis.stride for axis in axes]


def _blocks(axes: Sequence[Axis]) -> list[int]:
    """Returns how many steps the window covers, begun ones included."""
    return [-(-axis.kernel // axis.stride) for axis in axes]


def _blocked(kernel: tf.Tensor, axes: Sequence[Axis]) -> tf.Tensor:
    """Returns the kernel, zeros behind it, as `[block, place, ...]` twice."""
    (down, across), (rows, columns) = _steps(axes), _blocks(axes)
    sizes = rows * down, columns * across
    ends = [(0, size - axis.kernel) for size, axis in zip(sizes, axes)]
    kernel = tf.pad(kernel, [*ends, (0, 0), (0, 0)])
    return tf.reshape(kernel, [rows, down, columns, across, *kernel.shape[2:]])
