"""Which inputs an adversary may choose, and how far apart they are."""

import dataclasses

import tensorflow as tf

from tfcurv import numerics

_NORMS = ("l2", "linf")

# How much farther than without a domain a step may go, and how precisely it is
# found, both as powers of two.
_DOUBLINGS, _HALVINGS = 20.0, 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class Threat:
    """Which inputs an adversary may choose around a point.

    Attributes:
        norm: In which the distance from the point is measured.
        domain: Interval that every entry of an input lies in; None for all
            real inputs.
    """

    norm: str = "l2"
    domain: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.norm not in _NORMS:
            raise ValueError(
                f"Unknown norm. Received: norm={self.norm!r}. "
                f"Allowed: {_NORMS}."
            )
        if self.domain is None:
            return
        if len(self.domain) != 2 or not self.domain[0] < self.domain[1]:
            raise ValueError(
                "A domain is an interval. "
                f"Received: domain={self.domain!r}. Allowed: (0.0, 1.0)."
            )
        # As floats: a saved result compares equal to the one that was made.
        object.__setattr__(self, "domain", tuple(map(float, self.domain)))

    def __str__(self) -> str:
        if self.domain is None:
            return self.norm
        return f"{self.norm}, inputs in [{self.domain[0]}, {self.domain[1]}]"

    def distance(self, offset: tf.Tensor) -> tf.Tensor:
        """Returns the sizes of offsets in the norm, rounded upward.

        Args:
            offset: `[batch, dim]` float64.
        """
        if self.norm == "linf":
            found = tf.reduce_max(tf.abs(offset), axis=-1)
        else:
            found = tf.norm(offset, axis=-1)
        # Of the difference that the offset is, too.
        return numerics.round_up(found, offset.shape[-1] + 4)

    def unit(self, slope: tf.Tensor) -> tf.Tensor:
        """Returns the directions of size one along which a slope is steepest.

        Args:
            slope: `[batch, dim]` gradients.
        """
        if self.norm == "linf":
            return tf.sign(slope)
        size = tf.norm(slope, axis=-1, keepdims=True)
        return tf.math.divide_no_nan(slope, size)

    def shortest(
        self, x0: tf.Tensor, slope: tf.Tensor, height: tf.Tensor
    ) -> tf.Tensor:
        """Returns the shortest ways to where linear functions vanish.

        Without a domain -eta way, with way = slope or, in linf, its sign. In a
        domain x0 - eta way is cut, entry by entry, and eta larger: the solution
        of the problem with the domain in it, by its optimality conditions.
        Where no point of the domain is far enough, one that is as far as can
        be.

        Args:
            x0: `[batch, dim]` points, in the domain.
            slope: `[batch, dim]` of the functions.
            height: `[batch]` their values at x0.
        """
        way = slope if self.norm == "l2" else self.unit(slope)
        fall = tf.reduce_sum(slope * way, axis=-1)
        eta = tf.math.divide_no_nan(height, fall)
        if self.domain is None:
            return -(eta[:, tf.newaxis] * way)

        def moved(doublings):
            far = eta * tf.pow(tf.constant(2.0, x0.dtype), doublings)
            return self.cut(x0 - far[:, tf.newaxis] * way)

        def halve(index, low, high):
            middle = 0.5 * (low + high)
            fallen = tf.reduce_sum(slope * (x0 - moved(middle)), axis=-1)
            # Both may be negative: what counts is how far it has come.
            enough = fallen * tf.sign(height) >= tf.abs(height)
            return (
                index + 1,
                tf.where(enough, low, middle),
                tf.where(enough, middle, high),
            )

        zero = tf.zeros_like(eta)
        _, _, high = tf.while_loop(
            lambda index, *_: index < _HALVINGS,
            halve,
            (0, zero, zero + _DOUBLINGS),
        )
        return moved(high) - x0

    def cut(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the nearest points of the domain."""
        if self.domain is None:
            return x
        return tf.clip_by_value(x, *self.domain)

    def into(
        self, centre: tf.Tensor, radius: tf.Tensor, x: tf.Tensor
    ) -> tf.Tensor:
        """Moves points into neighbourhoods, and into the domain.

        Args:
            centre: `[batch, dim]` of the neighbourhoods, in the domain.
            radius: `[batch]` of these.
            x: `[batch, dim]` points.
        """
        offset, most = x - centre, radius[:, tf.newaxis]
        if self.norm == "linf":
            return self.cut(centre + tf.clip_by_value(offset, -most, most))
        size = tf.norm(offset, axis=-1, keepdims=True)
        share = tf.minimum(tf.math.divide_no_nan(most, size), 1.0)
        return self.cut(centre + share * offset)
