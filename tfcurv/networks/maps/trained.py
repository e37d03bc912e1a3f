"""Linear maps of networks in training: the same maps, with other weights."""

import abc
from collections.abc import Sequence

import tensorflow as tf

from tfcurv.networks.maps import windows
from tfcurv.networks.maps.combined import Composition
from tfcurv.networks.maps.linear_map import Constants
from tfcurv.networks.maps.linear_map import LinearMap
from tfcurv.networks.maps.linear_map import Weighted
from tfcurv.networks.maps.windows import Window


class TrainedMap(abc.ABC):
    """What a formula asks of a map x -> x K, whoever knows its weights.

    On flattened rows, in their dtype, differentiable in the weights if these
    are trained. Its norms are proved where the map is a constant (`FixedMap`),
    and estimates elsewhere.
    """

    @abc.abstractmethod
    def apply(self, x: tf.Tensor) -> tf.Tensor:
        """Returns x K, `[batch, outputs]`."""

    @abc.abstractmethod
    def absolute(self, x: tf.Tensor) -> tf.Tensor:
        """Returns x |K|, `[batch, outputs]`, for x >= 0."""

    @abc.abstractmethod
    def transpose(self, v: tf.Tensor) -> tf.Tensor:
        """Returns v K^T, `[batch, inputs]`."""

    @abc.abstractmethod
    def absolute_transpose(self, v: tf.Tensor) -> tf.Tensor:
        """Returns v |K|^T, `[batch, inputs]`, for v >= 0."""

    @abc.abstractmethod
    def norm(self, dtype: tf.DType) -> tf.Tensor:
        """Returns the spectral norm of K, `[]`."""

    @abc.abstractmethod
    def column_norms(self, dtype: tf.DType) -> tf.Tensor:
        """Returns the l2 norms of the weights of each output, `[outputs]`."""

    def box(
        self,
        middle: tf.Tensor,
        half: tf.Tensor,
        radius: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns middle and half width of x K, for x in middle +- half.

        Args:
            middle: `[batch, inputs]`.
            half: `[batch, inputs]`, non-negative.
            radius: `[batch]` bounds ||x||; None where no such bound is known.
        """
        return self.apply(middle), self.absolute(half)

    def columns(
        self, outputs: int, dtype: tf.DType
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the weights of each output, and how far they may be off.

        Args:
            outputs: Of the map, few.
            dtype: float32 or float64.

        Returns:
            `[outputs, inputs]` weights, and `[outputs]` l2 errors.
        """
        found = self.transpose(tf.eye(outputs, dtype=dtype))
        return found, tf.zeros([outputs], dtype)

    def transpose_error(self, length: tf.Tensor) -> tf.Tensor:
        """Bounds how far v K^T may be off, in length.

        Args:
            length: `[batch]` of the rows v.
        """
        return tf.zeros_like(length)

    def pulled_back(
        self, window: Window, before: tuple[int, ...], after: tuple[int, ...]
    ) -> Window | None:
        """Returns `transpose` of weights in a window; None where unknown.

        Args:
            window: Of values after the map.
            before: Shape of a sample before it, in which windows are to be.
            after: Shape of a sample after it, in which the window is.
        """
        del window, before, after
        return None

    def peak(self, v: tf.Tensor) -> tf.Tensor:
        """Returns the largest entries of v |K|^T, `[batch]`."""
        return tf.reduce_max(self.absolute_transpose(v), axis=-1)


class WeightedMap(TrainedMap):
    """A linear map with the weights of a layer in place of its own."""

    def __init__(self, linear: Weighted, weights: tf.Tensor, norm: tf.Tensor):
        """Keeps what it is given.

        Args:
            linear: The map, as it was read; its weights play no part.
            weights: As many as the map has.
            norm: `[]` estimate of the spectral norm.
        """
        self._linear = linear
        weights = tf.convert_to_tensor(weights)
        self._weights = tf.reshape(weights, linear.weights.shape)
        self._norm = norm

    def apply(self, x: tf.Tensor) -> tf.Tensor:
        """Returns x K."""
        return self._linear.forward(x, self._cast(x.dtype))

    def absolute(self, x: tf.Tensor) -> tf.Tensor:
        """Returns x |K|."""
        return self._linear.forward(x, tf.abs(self._cast(x.dtype)))

    def transpose(self, v: tf.Tensor) -> tf.Tensor:
        """Returns v K^T."""
        return self._linear.backward(v, self._cast(v.dtype))

    def absolute_transpose(self, v: tf.Tensor) -> tf.Tensor:
        """Returns v |K|^T."""
        return self._linear.backward(v, tf.abs(self._cast(v.dtype)))

    def norm(self, dtype: tf.DType) -> tf.Tensor:
        """Returns the estimate."""
        return tf.cast(self._norm, dtype)

    def column_norms(self, dtype: tf.DType) -> tf.Tensor:
        """Returns the norms, without what rounding does."""
        return self._linear.column_norms_of(self._cast(dtype))

    def peak(self, v: tf.Tensor) -> tf.Tensor:
        """Returns the largest entries of v |K|^T."""
        return self._linear.peak(v, self._cast(v.dtype))

    def _cast(self, dtype):
        return tf.cast(self._weights, dtype)


class FixedMap(TrainedMap):
    """A map that training does not change."""

    def __init__(self, linear: LinearMap):
        """Keeps the map.

        Args:
            linear: The map.
        """
        self.linear = linear

    def apply(self, x: tf.Tensor) -> tf.Tensor:
        """Returns x K."""
        return self.linear.apply(x)

    def absolute(self, x: tf.Tensor) -> tf.Tensor:
        """Returns x |K|."""
        return self.linear.absolute(x)

    def transpose(self, v: tf.Tensor) -> tf.Tensor:
        """Returns v K^T."""
        return self.linear.transpose(v)

    def absolute_transpose(self, v: tf.Tensor) -> tf.Tensor:
        """Returns v |K|^T."""
        return self.linear.absolute_transpose(v)

    def pulled_back(
        self, window: Window, before: tuple[int, ...], after: tuple[int, ...]
    ) -> Window | None:
        """Returns `transpose` of weights in a window; None where unknown."""
        shapes = self.linear.input_shape, self.linear.output_shape
        # Where a map has lost a reshape, places are not what they seem.
        if shapes != (before, after):
            return None
        return windows.pulled_back(self.linear, window)

    def norm(self, dtype: tf.DType) -> tf.Tensor:
        """Returns the proved bound on its norm."""
        # Not a part of the graph in the making, whose arrays have no values.
        with tf.init_scope():
            norm = self.linear.norm_upper_bound()
        return tf.constant(norm, dtype)

    def column_norms(self, dtype: tf.DType) -> tf.Tensor:
        """Returns proved bounds on the norms."""
        with tf.init_scope():
            return Constants(self.linear.column_norms)(dtype)


class Chained(TrainedMap):
    """Maps one after the other."""

    def __init__(self, maps: Sequence[TrainedMap]):
        """Keeps the maps.

        Args:
            maps: The first to be applied first.
        """
        self._maps = tuple(maps)

    def apply(self, x: tf.Tensor) -> tf.Tensor:
        """Returns x K."""
        for each in self._maps:
            x = each.apply(x)
        return x

    def absolute(self, x: tf.Tensor) -> tf.Tensor:
        """Returns x |K_1| |K_2| ..., which is at least x |K|."""
        for each in self._maps:
            x = each.absolute(x)
        return x

    def transpose(self, v: tf.Tensor) -> tf.Tensor:
        """Returns v K^T."""
        for each in reversed(self._maps):
            v = each.transpose(v)
        return v

    def absolute_transpose(self, v: tf.Tensor) -> tf.Tensor:
        """Returns v ... |K_2|^T |K_1|^T."""
        for each in reversed(self._maps):
            v = each.absolute_transpose(v)
        return v

    def norm(self, dtype: tf.DType) -> tf.Tensor:
        """Returns the product of the norms."""
        return tf.reduce_prod([each.norm(dtype) for each in self._maps])

    def column_norms(self, dtype: tf.DType) -> tf.Tensor:
        """Returns the last map's, if only reshapes stand behind it.

        Times the norm of what comes before.
        """
        *before, last = self._maps
        while before and isinstance(last, FixedMap):
            if last.linear.terms:
                break
            last = before.pop()
        norms = last.column_norms(dtype)
        for each in before:
            norms *= each.norm(dtype)
        return norms


def trained(
    linear: LinearMap, weights: tf.Tensor, norm: tf.Tensor
) -> TrainedMap:
    """Returns a map with other weights than it was read with.

    Args:
        linear: A map of one array of weights, or one between reshapes.
        weights: As many as it has.
        norm: `[]` estimate of its spectral norm.

    Raises:
        TypeError: The map has no weights, or several arrays of them.
    """
    if isinstance(linear, Weighted):
        return WeightedMap(linear, weights, norm)
    parts = linear.maps if isinstance(linear, Composition) else ()
    if sum(isinstance(each, Weighted) for each in parts) != 1:
        raise TypeError(
            "Only a map of one array of weights can be given others. "
            f"Received: linear of type {type(linear).__name__}."
        )
    return Chained(
        [
            WeightedMap(each, weights, norm)
            if isinstance(each, Weighted)
            else FixedMap(each)
            for each in parts
        ]
    )
