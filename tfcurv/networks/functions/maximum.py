"""The maximum over windows, which is neither linear nor elementwise."""

import dataclasses
import functools
import math
from typing import Literal

import numpy as np
import tensorflow as tf

from tfcurv import numerics
from tfcurv.networks.maps.convolution import axes_of
from tfcurv.networks.maps.convolution_norms import Axis
from tfcurv.networks.maps.linear_map import checked_shape


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MaxPooling:
    """Maxima over a window, by channel; what is padded is never one.

    Attributes:
        input_shape: `([height,] width, channels)`.
        pool_size: Window, one number for each axis.
        strides: Its steps, one for each axis.
        padding: "valid" or "same".
    """

    input_shape: tuple[int, ...]
    pool_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: Literal["valid", "same"] = "valid"

    def __post_init__(self) -> None:
        shape = checked_shape(self.input_shape, "input_shape")
        object.__setattr__(self, "input_shape", shape)
        pool = checked_shape(self.pool_size, "pool_size")
        object.__setattr__(self, "pool_size", pool)
        if len(shape) not in (2, 3) or self.padding not in ("valid", "same"):
            raise ValueError(
                "Max pooling needs one or two axes before the channels, and "
                "padding 'valid' or 'same'. Received: "
                f"input_shape={shape}, padding={self.padding!r}."
            )
        if len(pool) != len(shape) - 1:
            raise ValueError(
                "One extent of the window is needed for each axis. Received: "
                f"pool_size={pool}, {len(shape) - 1} axes."
            )
        self.axes  # Raises where the geometry is impossible.

    @functools.cached_property
    def axes(self) -> tuple[Axis, ...]:
        """The geometry, one or two axes."""
        sizes = self.input_shape[:-1]
        return axes_of(sizes, self.pool_size, self.strides, self.padding)

    @functools.cached_property
    def output_shape(self) -> tuple[int, ...]:
        """`([height,] width, channels)`."""
        return *(axis.outputs for axis in self.axes), self.input_shape[-1]

    @property
    def outputs(self) -> int:
        """The number of maxima."""
        return math.prod(self.output_shape)

    @functools.cached_property
    def overlap(self) -> int:
        """The largest number of windows that one input is in."""
        return math.prod(_most_windows(axis) for axis in self.axes)

    @functools.cached_property
    def lipschitz_upper_bound(self) -> float:
        """A Lipschitz constant in l2: the root of `overlap`, rounded upward.

        A maximum moves by no more than the farthest moved member of its
        window, hence by no more than the window's l2 norm; and the sum of
        these squares counts each input as often as it is in a window.
        """
        root = math.sqrt(self.overlap)
        if root == int(root):  # Exact, and so is the product of the integers.
            return root
        return float(numerics.round_up(root, 1))

    def apply(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the maxima of each row.

        Args:
            rows: `[batch, inputs]` flattened samples.

        Returns:
            `[batch, outputs]` of the same dtype, of which no element has
            been rounded.
        """
        found = tf.nn.max_pool2d(
            tf.reshape(rows, _as_images(self.input_shape)),
            (1, *self.pool_size)[-2:],
            (1, *self.strides)[-2:],
            self.padding.upper(),
        )
        return tf.reshape(found, [-1, self.outputs])

    def pull_back(
        self, rows: tf.Tensor, maxima: tf.Tensor, v: tf.Tensor
    ) -> tf.Tensor:
        """Returns the gradient of v . maxima, at one member of a tie.

        Args:
            rows: `[batch, inputs]` what `apply` was given.
            maxima: `[batch, outputs]` what it gave.
            v: `[batch, outputs]`.

        Returns:
            `[batch, inputs]`.
        """
        found = tf.raw_ops.MaxPoolGrad(
            orig_input=tf.reshape(rows, _as_images(self.input_shape)),
            orig_output=tf.reshape(maxima, _as_images(self.output_shape)),
            grad=tf.reshape(v, _as_images(self.output_shape)),
            ksize=[1, *(1, *self.pool_size)[-2:], 1],
            strides=[1, *(1, *self.strides)[-2:], 1],
            padding=self.padding.upper(),
        )
        return tf.reshape(found, [-1, math.prod(self.input_shape)])


def _as_images(shape: tuple[int, ...]) -> list[int]:
    """Returns the shape of a batch, with one axis of places made two."""
    return [-1, *(1, *shape)[-3:]]


def _most_windows(axis: Axis) -> int:
    """Returns the largest number of windows along one axis with one input."""
    starts = np.arange(axis.outputs) * axis.stride - axis.before
    places = np.arange(axis.size)[:, np.newaxis]
    inside = (starts <= places) & (places < starts + axis.kernel)
    return int(inside.sum(axis=1).max())
