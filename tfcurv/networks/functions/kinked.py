"""Activations with kinks: bounded slopes, no curvature.

A method that rests on curvature refuses them; one that rests on slopes, such
as a Lipschitz constant, takes them as any other.
"""

import dataclasses
import functools
import math
from typing import NamedTuple

import tensorflow as tf

from tfcurv import errors
from tfcurv import numerics
from tfcurv.networks.functions.intervals import Interval
from tfcurv.networks.functions.smooth import Activation


class Kink(NamedTuple):
    """A jump of a slope.

    Attributes:
        at: Where.
        left: The slope just before it.
        right: The slope just behind it.
    """

    at: float
    left: float
    right: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kinked(Activation):
    """A continuous function that is smooth but for some kinks.

    Its slopes bound its difference quotients all the same.

    Attributes:
        kinks: All of them.
    """

    kinks: tuple[Kink, ...] = ()

    @property
    def is_kinked(self) -> bool:
        """It is."""
        return True

    @property
    def bends(self) -> tuple[float, ...]:
        """Points between which it is convex or concave, rising."""
        kinks = [kink.at for kink in self.kinks]
        return tuple(sorted({*self.slope_critical, *kinks}))

    def end_slopes(self, start: float, end: float) -> tuple[float, float]:
        """Returns s' at both ends, of a kink that of the piece's side."""
        first, last = super().end_slopes(start, end)
        for at, left, right in self.kinks:
            first = right if at == start else first
            last = left if at == end else last
        return first, last

    @functools.cached_property
    def slope_range(self) -> Interval:
        """Encloses the slopes, on both sides of each kink, rounded outward."""
        smooth = super().slope_range
        ends = [end for kink in self.kinks for end in kink[1:]]
        return Interval(
            lower=min([smooth.lower, *ends]), upper=max([smooth.upper, *ends])
        )

    def slope_range_on(self, lower: tf.Tensor, upper: tf.Tensor) -> Interval:
        """Encloses the slopes on `[lower, upper]`, both of them at a kink."""
        low, high = super().slope_range_on(lower, upper)
        for at, *ends in self.kinks:
            met = (lower <= at) & (upper >= at)
            least = tf.constant(min(ends), low.dtype)
            most = tf.constant(max(ends), low.dtype)
            low = tf.where(met, tf.minimum(low, least), low)
            high = tf.where(met, tf.maximum(high, most), high)
        return Interval(low, high)

    @property
    def curvature_range(self) -> Interval:
        """Refused: a kink is no bounded curvature."""
        raise _no_curvature(self.name)

    def curvature_range_on(
        self, lower: tf.Tensor, upper: tf.Tensor
    ) -> Interval:
        """Refused: a kink is no bounded curvature."""
        raise _no_curvature(self.name)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PiecewiseLinear(Kinked):
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

    @property
    def error_floor(self) -> float:
        """What is linear but for kinks errs by its products alone."""
        return numerics.PRODUCT_UNDERFLOW

    def end_slopes(self, start: float, end: float) -> tuple[float, float]:
        """Returns the slope of the piece, twice."""
        (slope,) = (s for low, high, s in self._pieces if low < end <= high)
        return slope, slope

    @property
    def bends(self) -> tuple[float, ...]:
        """Where the pieces meet."""
        return tuple(start for start, _, _ in self._pieces[1:])

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
        "curvature, such as method='bcp'."
    )


#: Not one of `ACTIVATIONS`: only what knows of kinks may take it.
RELU = dataclasses.replace(piecewise_linear("relu"), value=tf.nn.relu)

RELU6 = piecewise_linear("relu6", max_value=6.0)

#: Keeps the length of every gradient: of two slopes of size one.
ABSOLUTE = dataclasses.replace(
    piecewise_linear("absolute", negative_slope=-1.0), value=tf.abs
)


def _kinked(name: str, value, slope, kinks, **more) -> Kinked:
    def curvature(z: tf.Tensor) -> tf.Tensor:
        raise _no_curvature(name)

    return Kinked(
        name=name,
        value=value,
        slope=slope,
        curvature=curvature,
        kinks=tuple(Kink(*kink) for kink in kinks),
        **more,
    )


def _inside(z: tf.Tensor, end: float) -> tf.Tensor:
    return tf.cast(tf.abs(z) < end, z.dtype)


def scaled_elu(name: str, alpha: float, scale: float = 1.0) -> Kinked:
    """Returns scale z where z > 0, scale alpha (e^z - 1) elsewhere.

    Args:
        name: The name under which Keras knows it.
        alpha: Of the exponential, positive.
        scale: Of the whole, positive.
    """

    def value(z: tf.Tensor) -> tf.Tensor:
        bent = alpha * tf.math.expm1(tf.minimum(z, 0.0))
        return scale * tf.where(z > 0.0, z, bent)

    def slope(z: tf.Tensor) -> tf.Tensor:
        bent = alpha * tf.exp(tf.minimum(z, 0.0))
        return scale * tf.where(z > 0.0, tf.ones_like(z), bent)

    return _kinked(
        name,
        value,
        slope,
        [(0.0, scale * alpha, scale)],
        slope_limits=(0.0, scale),
    )


HARD_TANH = _kinked(
    "hard_tanh",
    lambda z: tf.clip_by_value(z, -1.0, 1.0),
    lambda z: _inside(z, 1.0),
    [(-1.0, 0.0, 1.0), (1.0, 1.0, 0.0)],
    slope_limits=(0.0, 0.0),
)

HARD_SIGMOID = _kinked(
    "hard_sigmoid",
    lambda z: tf.clip_by_value(z / 6.0 + 0.5, 0.0, 1.0),
    lambda z: _inside(z, 3.0) / 6.0,
    [(-3.0, 0.0, 1.0 / 6.0), (3.0, 1.0 / 6.0, 0.0)],
    slope_limits=(0.0, 0.0),
)

#: z times the last; its slope (2 z + 3) / 6 rises from -1/2 to 3/2.
HARD_SILU = _kinked(
    "hard_silu",
    lambda z: z * tf.clip_by_value(z / 6.0 + 0.5, 0.0, 1.0),
    lambda z: tf.where(
        tf.abs(z) < 3.0, z / 3.0 + 0.5, tf.cast(z > 0.0, z.dtype)
    ),
    [(-3.0, 0.0, -0.5), (3.0, 1.5, 1.0)],
    value_critical=(-1.5,),
)

# The constants of Klambauer et al., "Self-Normalizing Neural Networks", 2017.
SELU = scaled_elu(
    "selu",
    alpha=1.6732632423543772848170429916717,
    scale=1.0507009873554804934193349852946,
)

#: What stands for itself wherever a function is told apart from others.
KINKED = (RELU, ABSOLUTE, HARD_TANH, HARD_SIGMOID, HARD_SILU, SELU)
