"""Activations with kinks: bounded slopes, no curvature.

A method that rests on curvature refuses them; one that rests on slopes, such
as a Lipschitz constant, takes them as any other.
"""

import dataclasses
import functools
import math

import tensorflow as tf

from tfcurv import errors
from tfcurv.networks.functions.intervals import Interval
from tfcurv.networks.functions.smooth import Activation


@dataclasses.dataclass(frozen=True, kw_only=True)
class PiecewiseLinear(Activation):
    """s(z) = negative_slope z for z <= 0 and min(z, max_value) beyond.

    Continuous, so that its slopes bound its difference quotients. They are
    known exactly.

    Attributes:
        negative_slope: The slope below zero.
        max_value: What the function never exceeds; infinite for none.
    """

    negative_slope: float = 0.0
    max_value: float = math.inf

    def __post_init__(self) -> None:
        if not (math.isfinite(self.negative_slope) and self.max_value >= 0.0):
            raise ValueError(
                "A piecewise linear activation needs a finite slope and a "
                "largest value that is not negative. Received: negative_slope="
                f"{self.negative_slope!r}, max_value={self.max_value!r}."
            )

    @property
    def _pieces(self) -> tuple[tuple[float, float, float], ...]:
        """From where to where, and with which slope."""
        pieces = (
            (-math.inf, 0.0, self.negative_slope),
            (0.0, self.max_value, 1.0),
            (self.max_value, math.inf, 0.0),
        )
        return pieces[: 2 if math.isinf(self.max_value) else 3]

    @functools.cached_property
    def slope_range(self) -> Interval:
        """The hull of the slopes, exact."""
        slopes = [slope for _, _, slope in self._pieces]
        return Interval(lower=min(slopes), upper=max(slopes))

    def value_range_on(self, lower: tf.Tensor, upper: tf.Tensor) -> Interval:
        """Encloses s on `[lower, upper]`; exact where no product is rounded."""
        if self.negative_slope != 0.0:
            return super().value_range_on(lower, upper)
        return Interval(self.value(lower), self.value(upper))

    def slope_range_on(self, lower: tf.Tensor, upper: tf.Tensor) -> Interval:
        """Encloses the slopes on `[lower, upper]`, both of them at a kink."""
        low = tf.fill(tf.shape(lower), tf.constant(math.inf, lower.dtype))
        high = -low
        for start, end, slope in self._pieces:
            met = (lower <= end) & (upper >= start)
            slope = tf.constant(slope, lower.dtype)
            low = tf.where(met, tf.minimum(low, slope), low)
            high = tf.where(met, tf.maximum(high, slope), high)
        return Interval(low, high)

    def steepest_on(self, lower: tf.Tensor, upper: tf.Tensor) -> tf.Tensor:
        """Bounds |s'| on all intervals of a row, by where they lie."""
        least = tf.reduce_min(lower, axis=-1)
        most = tf.reduce_max(upper, axis=-1)
        steepest = tf.zeros_like(most)
        # Not by what each interval meets: a piece between two of them counts.
        for start, end, slope in self._pieces:
            met = (least <= end) & (most >= start)
            size = tf.constant(abs(slope), steepest.dtype)
            steepest = tf.where(met, tf.maximum(steepest, size), steepest)
        # What is no number meets nothing.
        known = tf.math.is_finite(least) & tf.math.is_finite(most)
        size = tf.constant(self.slope_range.magnitude, steepest.dtype)
        return tf.where(known, steepest, size)

    @property
    def curvature_range(self) -> Interval:
        """Refused: a kink is no bounded curvature."""
        raise _no_curvature(self.name)

    def curvature_range_on(
        self, lower: tf.Tensor, upper: tf.Tensor
    ) -> Interval:
        """Refused: a kink is no bounded curvature."""
        raise _no_curvature(self.name)


def piecewise_linear(
    name: str, *, negative_slope: float = 0.0, max_value: float = math.inf
) -> PiecewiseLinear:
    """Returns min(z, max_value) where z > 0, negative_slope z elsewhere.

    Args:
        name: The name under which Keras knows it.
        negative_slope: The slope below zero, finite.
        max_value: What the function never exceeds, at least 0.
    """

    def value(z: tf.Tensor) -> tf.Tensor:
        # Zeros, for 0 times minus infinity is NaN.
        below = negative_slope * z if negative_slope else tf.zeros_like(z)
        above = z if math.isinf(max_value) else tf.minimum(z, max_value)
        return tf.where(z > 0.0, above, below)

    def slope(z: tf.Tensor) -> tf.Tensor:
        rising = tf.cast(z < max_value, z.dtype)
        return tf.where(z > 0.0, rising, negative_slope * tf.ones_like(z))

    def curvature(z: tf.Tensor) -> tf.Tensor:
        raise _no_curvature(name)

    return PiecewiseLinear(
        name=name,
        value=value,
        slope=slope,
        curvature=curvature,
        value_critical=(0.0,) if negative_slope < 0.0 else (),
        negative_slope=negative_slope,
        max_value=max_value,
    )


def _no_curvature(name: str) -> errors.UnsupportedActivationError:
    return errors.UnsupportedActivationError(
        "This activation has kinks, so that no bound on the curvature holds. "
        f"Received: activation={name!r}. Remedy: tfcurv.certify, which bounds "
        "two-layer ReLU networks by quadratics; or a method that needs no "
        "curvature, such as method='lipschitz'."
    )


#: Not one of `ACTIVATIONS`: only what knows of kinks may take it.
RELU = dataclasses.replace(piecewise_linear("relu"), value=tf.nn.relu)

RELU6 = piecewise_linear("relu6", max_value=6.0)
