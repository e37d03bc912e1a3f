"""Different activations side by side, in one step of a network.

A graph with branches or residual connections becomes a chain when every step
carries along, unchanged, what later steps still need: an activation that is
linear on some of the neurons.
"""

from collections.abc import Callable
from collections.abc import Sequence
import functools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfcurv.networks.functions.intervals import Interval
from tfcurv.networks.functions.smooth import Activation


class Block(NamedTuple):
    """Neighbouring neurons with one activation.

    Attributes:
        activation: What is applied to them.
        size: Their number.
    """

    activation: Activation
    size: int


class Blocks:
    """An elementwise function that differs from block to block of neurons.

    Has what `Activation` has, for rows of pre-activations `[..., n]`; its
    global ranges are arrays.

    Attributes:
        blocks: The blocks, in the order of the neurons.
    """

    def __init__(self, blocks: Sequence[Block]):
        """Keeps the blocks.

        Args:
            blocks: At least one, none of them empty.

        Raises:
            ValueError: There is none, or one is empty.
        """
        self.blocks = tuple(blocks)
        if not blocks or any(block.size < 1 for block in blocks):
            raise ValueError(
                "Blocks of activations need neurons. "
                f"Received: sizes={[block.size for block in blocks]}."
            )

    @property
    def size(self) -> int:
        """The number of neurons."""
        return sum(block.size for block in self.blocks)

    @functools.cached_property
    def name(self) -> str:
        """The activations' names, each with its number of neurons."""
        return "+".join(f"{b.activation.name}:{b.size}" for b in self.blocks)

    @functools.cached_property
    def is_bent(self) -> np.ndarray:
        """`[n]` Whether a neuron's activation is anything but linear."""
        bent = [not block.activation.is_linear for block in self.blocks]
        return np.repeat(bent, [block.size for block in self.blocks])

    def value(self, z: tf.Tensor) -> tf.Tensor:
        """Returns s(z), each neuron by its activation."""
        return self._joined(lambda fn, part: fn.value(part), z)

    def slope(self, z: tf.Tensor) -> tf.Tensor:
        """Returns s'(z)."""
        return self._joined(lambda fn, part: fn.slope(part), z)

    def curvature(self, z: tf.Tensor) -> tf.Tensor:
        """Returns s''(z)."""
        return self._joined(lambda fn, part: fn.curvature(part), z)

    @functools.cached_property
    def slope_range(self) -> Interval:
        """Encloses s' of each neuron over the real line."""
        return self._ranges(lambda fn: fn.slope_range)

    @functools.cached_property
    def curvature_range(self) -> Interval:
        """Encloses s'' of each neuron over the real line; contains 0."""
        return self._ranges(lambda fn: fn.curvature_range)

    def value_range_on(self, lower: tf.Tensor, upper: tf.Tensor) -> Interval:
        """Encloses s on `[lower, upper]`, see `Activation`."""
        return self._ends(
            lambda fn, low, high: fn.value_range_on(low, high), lower, upper
        )

    def slope_range_on(self, lower: tf.Tensor, upper: tf.Tensor) -> Interval:
        """Encloses s' on `[lower, upper]`, see `Activation`."""
        return self._ends(
            lambda fn, low, high: fn.slope_range_on(low, high), lower, upper
        )

    def steepest_on(self, lower: tf.Tensor, upper: tf.Tensor) -> tf.Tensor:
        """Bounds |s'| on all intervals of a row, see `Activation`."""
        parts = zip(self.blocks, self._split(lower), self._split(upper))
        found = [block.activation.steepest_on(*part) for block, *part in parts]
        return tf.reduce_max(tf.stack(found), axis=0)

    def curvature_range_on(
        self, lower: tf.Tensor, upper: tf.Tensor
    ) -> Interval:
        """Encloses s'' on `[lower, upper]`, see `Activation`."""
        return self._ends(
            lambda fn, low, high: fn.curvature_range_on(low, high), lower, upper
        )

    def _split(self, z: tf.Tensor) -> list[tf.Tensor]:
        return tf.split(z, [block.size for block in self.blocks], axis=-1)

    def _joined(self, function: Callable, z: tf.Tensor) -> tf.Tensor:
        parts = zip(self.blocks, self._split(z))
        found = [function(block.activation, part) for block, part in parts]
        return tf.concat(found, axis=-1)

    def _ends(self, function: Callable, lower, upper) -> Interval:
        parts = zip(self.blocks, self._split(lower), self._split(upper))
        ends = [function(block.activation, *part) for block, *part in parts]
        return Interval(*(tf.concat(end, axis=-1) for end in zip(*ends)))

    def _ranges(self, of: Callable) -> Interval:
        sizes = [block.size for block in self.blocks]
        found = [of(block.activation) for block in self.blocks]
        return Interval(
            np.repeat([each.lower for each in found], sizes),
            np.repeat([each.upper for each in found], sizes),
        )


def bent_neurons(activation: Activation | Blocks) -> np.ndarray | None:
    """Returns which neurons of a step are curved; None stands for all.

    An `Activation` by itself counts as curved throughout, also the linear.
    """
    return getattr(activation, "is_bent", None)
