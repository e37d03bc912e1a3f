"""Activations with a bounded second derivative, and the ranges of s', s''.

A function s is admissible when s' is Lipschitz: then every logit of a network
built from it has a Lipschitz gradient, which is all that a curvature-based
certificate needs. Where s'' jumps (ELU, softsign) its range is the essential
range.
"""

from collections.abc import Callable
import dataclasses
import functools
import math

import tensorflow as tf

from tfcurv import errors
from tfcurv.networks.functions import formulas
from tfcurv.networks.functions.intervals import Interval

#: Units of u (1 + |z|) by which a float64 evaluation of s, s' or s'' errs at
#: most. Each is some ten rounded operations on exp, tanh or erf, whose kernels
#: err by a few units in the last place; the tests, against mpmath, find less
#: than half of this, and 9 was the worst of a million points (s' of mish).
EVALUATION_ROUNDOFFS = 32.0

_WIDENING = EVALUATION_ROUNDOFFS * 2.0**-53


@dataclasses.dataclass(frozen=True, kw_only=True)
class Activation:
    """An elementwise function with its derivatives and their ranges.

    Attributes:
        name: The name under which Keras knows it.
        value: s, on float32 or float64 tensors of any shape.
        slope: s'.
        curvature: s'', an essential value where it jumps.
        value_critical: Points between which s is monotone.
        slope_critical: Points between which s' is monotone.
        curvature_critical: Points between which s'' is monotone.
        slope_limits: Limits of s' at minus and plus infinity.
        curvature_jump: Essential range of s'' at 0 if it jumps there.
    """

    name: str
    value: Callable[[tf.Tensor], tf.Tensor]
    slope: Callable[[tf.Tensor], tf.Tensor]
    curvature: Callable[[tf.Tensor], tf.Tensor]
    value_critical: tuple[float, ...] = ()
    slope_critical: tuple[float, ...] = ()
    curvature_critical: tuple[float, ...] = ()
    slope_limits: tuple[float, float] = (0.0, 1.0)
    curvature_jump: tuple[float, float] | None = None

    @property
    def is_kinked(self) -> bool:
        """Whether its slope jumps, so that no curvature is bounded."""
        return False

    @property
    def is_linear(self) -> bool:
        """Whether it does nothing; not what its name says, but what it is."""
        return self.value is tf.identity

    @property
    def error_floor(self) -> float:
        """What stands for 1 in the error E u (1 + |z|) of its values."""
        return 1.0

    @property
    def bends(self) -> tuple[float, ...]:
        """Points between which s is convex or concave, rising."""
        return self.slope_critical

    def end_slopes(self, start: float, end: float) -> tuple[float, float]:
        """Returns s' at both ends of a piece between bends, from inside.

        Args:
            start: Its left end, perhaps minus infinity.
            end: Its right end, perhaps infinity.
        """
        first, last = self.slope_limits
        if start > -math.inf:
            first = float(self.slope(tf.constant(start, tf.float64)))
        if end < math.inf:
            last = float(self.slope(tf.constant(end, tf.float64)))
        return first, last

    @functools.cached_property
    def slope_range(self) -> Interval:
        """Encloses s' over the real line, rounded outward."""
        values = [value for _, value in self._slope_peaks]
        return _enclose([*values, *self.slope_limits], exact=self.slope_limits)

    @functools.cached_property
    def curvature_range(self) -> Interval:
        """Encloses s'' over the real line, rounded outward; contains 0."""
        values = [0.0, *(value for _, value in self._curvature_peaks)]
        return _enclose([*values, *(self.curvature_jump or ())], exact=(0.0,))

    @functools.cached_property
    def _value_peaks(self) -> list[tuple[float, float]]:
        return _peaks(self.value, self.value_critical)

    @functools.cached_property
    def _slope_peaks(self) -> list[tuple[float, float]]:
        return _peaks(self.slope, self.slope_critical)

    @functools.cached_property
    def _curvature_peaks(self) -> list[tuple[float, float]]:
        return _peaks(self.curvature, self.curvature_critical)

    def value_range_on(self, lower: tf.Tensor, upper: tf.Tensor) -> Interval:
        """Encloses s on `[lower, upper]`, elementwise, rounded outward.

        Exact up to rounding, because s is monotone between neighbouring
        members of `value_critical`.

        Args:
            lower: `[...]` left ends, perhaps minus infinity.
            upper: `[...]` right ends, at least `lower`.

        Returns:
            `[...]` lower and upper bounds on s over each interval; NaN where
            the function is not computed, as at an infinite end.
        """
        low, high = _hull(self.value, self._value_peaks, lower, upper)
        slope = max(1.0, self.slope_range.magnitude)
        size = slope * (1.0 + tf.maximum(tf.abs(lower), tf.abs(upper)))
        return Interval(low - _WIDENING * size, high + _WIDENING * size)

    def slope_range_on(self, lower: tf.Tensor, upper: tf.Tensor) -> Interval:
        """Encloses s' on `[lower, upper]`, elementwise, rounded outward.

        Exact up to rounding, because s' is monotone between neighbouring
        members of `slope_critical`.

        Args:
            lower: `[...]` float64 left ends.
            upper: `[...]` float64 right ends, at least `lower`.

        Returns:
            `[...]` lower and upper bounds on s' over each interval.
        """
        return _range_on(
            self.slope, self._slope_peaks, self.slope_range, lower, upper
        )

    def steepest_on(self, lower: tf.Tensor, upper: tf.Tensor) -> tf.Tensor:
        """Bounds |s'| on all intervals of a row.

        Args:
            lower: `[batch, n]` left ends.
            upper: `[batch, n]` right ends, at least `lower`.

        Returns:
            `[batch]`.
        """
        slopes = self.slope_range_on(lower, upper)
        return tf.reduce_max(tf.maximum(*map(tf.abs, slopes)), axis=-1)

    def curvature_range_on(
        self, lower: tf.Tensor, upper: tf.Tensor
    ) -> Interval:
        """Encloses s'' on `[lower, upper]`, elementwise, rounded outward.

        Args:
            lower: `[...]` float64 left ends.
            upper: `[...]` float64 right ends, at least `lower`.

        Returns:
            `[...]` lower and upper bounds on s'' over each interval; where
            s'' jumps inside, both of its one-sided limits are members.
        """
        low, high = found = _range_on(
            self.curvature,
            self._curvature_peaks,
            self.curvature_range,
            lower,
            upper,
        )
        if self.curvature_jump is None:
            return found
        jumps = (lower <= 0.0) & (upper >= 0.0)
        jump_low, jump_high = self.curvature_jump
        return Interval(
            tf.where(jumps, tf.minimum(low, _like(low, jump_low)), low),
            tf.where(jumps, tf.maximum(high, _like(high, jump_high)), high),
        )


def _like(tensor: tf.Tensor, value: float) -> tf.Tensor:
    # tf.cast would take a Python number through float32.
    return tf.fill(tf.shape(tensor), tf.constant(value, tensor.dtype))


def _peaks(fn: Callable, points: tuple[float, ...]) -> list:
    """Returns points with the values there."""
    if not points:
        return []
    with tf.init_scope():
        values = fn(tf.constant(points, tf.float64)).numpy().tolist()
    return list(zip(points, values))


def _enclose(values: list[float], exact: tuple[float, ...]) -> Interval:
    """Returns the hull of `values`, widened unless its end is known exactly."""
    low, high = min(values), max(values)
    return Interval(
        lower=low if low in exact else low - _WIDENING,
        upper=high if high in exact else high + _WIDENING,
    )


def _hull(fn, peaks, lower, upper):
    """Returns the least and the largest of a function's values, as computed."""
    at_lower, at_upper = fn(lower), fn(upper)
    low = tf.minimum(at_lower, at_upper)
    high = tf.maximum(at_lower, at_upper)
    for point, value in peaks:
        inside = (lower < point) & (point < upper)
        low = tf.where(inside, tf.minimum(low, _like(low, value)), low)
        high = tf.where(inside, tf.maximum(high, _like(high, value)), high)
    return low, high


def _range_on(fn, peaks, everywhere, lower, upper) -> Interval:
    low, high = _hull(fn, peaks, lower, upper)
    # The global range is proved too: widening must not leave it.
    return Interval(
        tf.maximum(low - _WIDENING, _like(low, everywhere.lower)),
        tf.minimum(high + _WIDENING, _like(high, everywhere.upper)),
    )


# Zeros of s''' of sigmoid: s = 1/2 +- 1/sqrt(12); of tanh: t^2 = 1/3.
_SIGMOID_KNEE = math.log(2.0 + math.sqrt(3.0))

# The zeros given as decimals are roots of transcendental equations. A critical
# point off by 1e-12 moves the extremum by 1e-24: the derivative vanishes there.
_TABLE = (
    Activation(
        name="linear",
        value=tf.identity,
        slope=tf.ones_like,
        curvature=tf.zeros_like,
        slope_limits=(1.0, 1.0),
    ),
    Activation(
        name="sigmoid",
        value=tf.sigmoid,
        slope=formulas.sigmoid_slope,
        curvature=formulas.sigmoid_curvature,
        slope_critical=(0.0,),
        curvature_critical=(-_SIGMOID_KNEE, _SIGMOID_KNEE),
        slope_limits=(0.0, 0.0),
    ),
    Activation(
        name="tanh",
        value=tf.tanh,
        slope=formulas.tanh_slope,
        curvature=formulas.tanh_curvature,
        slope_critical=(0.0,),
        curvature_critical=(-_SIGMOID_KNEE / 2.0, _SIGMOID_KNEE / 2.0),
        slope_limits=(0.0, 0.0),
    ),
    Activation(
        name="softplus",
        value=tf.math.softplus,
        slope=tf.sigmoid,
        curvature=formulas.sigmoid_slope,
        curvature_critical=(0.0,),
    ),
    Activation(
        name="gelu",
        value=lambda x: x * formulas.gaussian_cdf(x),
        slope=formulas.gelu_slope,
        curvature=formulas.gelu_curvature,
        value_critical=(-0.751791524693564457,),
        slope_critical=(-math.sqrt(2.0), math.sqrt(2.0)),
        curvature_critical=(-2.0, 0.0, 2.0),
    ),
    Activation(
        name="silu",
        value=lambda x: x * tf.sigmoid(x),
        slope=formulas.silu_slope,
        curvature=formulas.silu_curvature,
        value_critical=(-1.278464542761073796,),
        slope_critical=(-2.399357280515, 2.399357280515),
        curvature_critical=(-3.435840993535, 0.0, 3.435840993535),
    ),
    Activation(
        name="mish",
        value=formulas.mish,
        slope=formulas.mish_slope,
        curvature=formulas.mish_curvature,
        value_critical=(-1.192431214515495492,),
        slope_critical=(-2.256376396361, 1.490571179486),
        curvature_critical=(-3.267337846520, -0.087934431315, 2.114842563021),
    ),
    Activation(
        name="elu",
        value=formulas.elu,
        slope=formulas.elu_slope,
        curvature=formulas.elu_curvature,
        curvature_jump=(0.0, 1.0),
    ),
    Activation(
        name="softsign",
        value=lambda x: x / (1.0 + tf.abs(x)),
        slope=formulas.softsign_slope,
        curvature=formulas.softsign_curvature,
        slope_critical=(0.0,),
        slope_limits=(0.0, 0.0),
        curvature_jump=(-2.0, 2.0),
    ),
)

#: Every admissible activation by its Keras name.
ACTIVATIONS: dict[str, Activation] = {entry.name: entry for entry in _TABLE}


def activation(name: str) -> Activation:
    """Returns the activation that Keras calls `name`.

    Raises:
        UnsupportedActivationError: No curvature bound is known for it.
    """
    if name not in ACTIVATIONS:
        raise errors.UnsupportedActivationError(
            "No curvature bound is known for this activation; piecewise "
            "linear ones have none, try 'softplus' in place of 'relu'. "
            f"Received: activation={name!r}. Known: {sorted(ACTIVATIONS)}."
        )
    return ACTIVATIONS[name]
