"""Tensors of a Keras model that stand for those of an ONNX graph.

ONNX has channels first, Keras' layers want them last, and only where a layer
or the order of elements asks for it a tensor is moved: each tells which axis
of the ONNX tensor each of its own is. So a Transpose costs nothing, and what
is flattened is flattened in the order of ONNX.
"""

from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras
import numpy as np


class Value(NamedTuple):
    """What a node gives.

    Attributes:
        tensor: The Keras tensor.
        axes: By axis of the tensor, that of the ONNX tensor; the first, of the
            batch, is 0.
    """

    tensor: Any
    axes: tuple[int, ...]

    @property
    def shape(self) -> tuple[int | None, ...]:
        """In the order of ONNX, the batch first."""
        return tuple(self.tensor.shape[a] for a in np.argsort(self.axes))

    @property
    def rank(self) -> int:
        """The number of axes, that of the batch among them."""
        return len(self.axes)

    def arranged(self, axes: Sequence[int]) -> Any:
        """Returns the tensor with its axes in another order.

        Args:
            axes: Those of the ONNX tensor, in the order that is asked for.
        """
        order = [self.axes.index(axis) for axis in axes]
        if order == list(range(self.rank)):
            return self.tensor
        sizes = [self.tensor.shape[axis] for axis in order[1:]]
        long = [axis for axis in order[1:] if self.tensor.shape[axis] != 1]
        if long == sorted(long):
            # No element is moved.
            return keras.layers.Reshape(sizes)(self.tensor)
        return keras.layers.Permute(order[1:])(self.tensor)

    @property
    def in_order(self) -> Any:
        """The tensor as ONNX has it."""
        return self.arranged(range(self.rank))

    @property
    def with_channels_last(self) -> Any:
        """The tensor as Keras' layers want it."""
        return self.arranged(channels_last(self.rank))


def channels_last(rank: int) -> tuple[int, ...]:
    """Returns the axes of ONNX in the order of Keras: batch, places, channels.

    Args:
        rank: Number of axes, that of the batch among them.
    """
    return 0, *range(2, rank), 1


def in_order(tensor: Any) -> Value:
    """Returns a tensor whose axes are those of ONNX."""
    return Value(tensor, tuple(range(len(tensor.shape))))


def with_channels_last(tensor: Any) -> Value:
    """Returns a tensor that a Keras layer has given, channels last."""
    return Value(tensor, channels_last(len(tensor.shape)))
