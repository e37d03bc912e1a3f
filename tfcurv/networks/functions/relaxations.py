r"""Lines above and below an activation on an interval: its linear relaxation.

For z in [l, u], around a centre z0,

    a z' + b <= s(z) - s(z0) <= A z' + B,      z' = z - z0.

Any slope will do for a proof: the least B for a slope A is

    B = max { s(z) - s(z0) - A z' : l <= z <= u },

and between the bends of s, which is where it is neither convex nor concave,
that maximum is known. Where s is convex it lies at the ends. Where s is
concave, any tangent bounds it: with p near the root of s'(p) = A, found by
halving a bracket [p0, p1] that holds it,

    s(z) - A z <= s(p) - A p + |s'(p) - A| (p1 - p0) / 2    in the bracket,

and outside of it less. So how well a slope was chosen decides how good lines
are and never whether they hold.

The slopes that leave the least area between the lines are those of the concave
and the convex envelope of s at the middle of the interval: a line lies at its
mean height there. They are taken from chords between some points of the curve,
or the tangent where the curve itself is its envelope; for ReLU, the chord
above, and below the slope 0 or 1 of the nearer side, as [ZWC18].

[WK18]: Wong and Kolter, "Provable Defenses against Adversarial Examples via
the Convex Outer Adversarial Polytope", ICML 2018.
[ZWC18]: Zhang et al., "Efficient Neural Network Robustness Certification with
General Activation Functions", NeurIPS 2018.
"""

import functools
import itertools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfcurv import numerics
from tfcurv.networks.functions.intervals import Interval
from tfcurv.networks.functions.side_by_side import Blocks
from tfcurv.networks.functions.smooth import EVALUATION_ROUNDOFFS
from tfcurv.networks.functions.smooth import Activation

# Halvings of the bracket; what is lost goes with the square of its width.
_HALVINGS = 6

# Parts into which each side of the middle is cut for chords; and corrections of
# the best of these.
_POINTS, _CORRECTIONS = 4, 2

# Share of an interval that a chord must reach to both sides of the middle.
_LEAST = 1e-4


class Lines(NamedTuple):
    """Two lines around a centre, entry by entry; see the module.

    Attributes:
        lower_slope: a, `[..., n]`.
        lower: b.
        upper_slope: A.
        upper: B.
    """

    lower_slope: tf.Tensor
    lower: tf.Tensor
    upper_slope: tf.Tensor
    upper: tf.Tensor


class Piece(NamedTuple):
    """An interval on which an activation bends one way.

    Attributes:
        start: Its left end, perhaps infinite.
        end: Its right end.
        bend: 1 where the slope rises, -1 where it falls, 0 where it stays.
    """

    start: float
    end: float
    bend: int


@functools.cache
def pieces(fn: Activation) -> tuple[Piece, ...]:
    """Returns the intervals between the bends of an activation.

    Args:
        fn: The activation.
    """
    ends = [-np.inf, *fn.bends, np.inf]
    return tuple(_piece(fn, *each) for each in zip(ends, ends[1:]))


def _piece(fn: Activation, start: float, end: float) -> Piece:
    # Between bends the slope is monotone: its ends tell which way, and where
    # they are equal it stays.
    with tf.init_scope():
        first, last = fn.end_slopes(start, end)
    return Piece(start, end, int(np.sign(last - first)))


def lines(
    fn: Activation | Blocks,
    centre: tf.Tensor,
    values: Interval,
    error: tf.Tensor | None = None,
    *,
    parallel: bool = False,
) -> Lines:
    """Returns lines above and below an activation, of nearly the least area.

    Args:
        fn: The activation.
        centre: `[..., n]` z0, as computed.
        values: `[..., n]` the intervals, which hold z0.
        error: `[..., 1]` bounds how far the exact centre, around which the
            lines are to hold, is from the computed one; None where nothing is
            to be proved.
        parallel: Whether the lower line takes the slope of the upper one, as
            [WK18] does.

    Returns:
        In float64, with an error, lines that hold; NaN where an end is not
        finite.
    """
    if isinstance(fn, Blocks):
        sizes = [block.size for block in fn.blocks]
        parts = [tf.split(each, sizes, -1) for each in (centre, *values)]
        found = [
            lines(
                *(block.activation, z, Interval(low, high), error),
                parallel=parallel,
            )
            for block, z, low, high in zip(fn.blocks, *parts)
        ]
        return Lines(*(tf.concat(each, axis=-1) for each in zip(*found)))
    if fn.is_linear:
        one, zero = tf.ones_like(centre), tf.zeros_like(centre)
        return Lines(one, zero, one, zero)
    curve = _Curve(fn, centre, *values)
    upper_slope, upper = curve.line(1)
    if parallel:
        lower_slope, below = upper_slope, curve.offset(-1, upper_slope)
    else:
        lower_slope, below = curve.line(-1)
    lower = -below
    if error is not None:
        lower -= curve.roundings(lower_slope, error)
        upper += curve.roundings(upper_slope, error)
    return Lines(lower_slope, lower, upper_slope, upper)


def _clip(z: float | tf.Tensor, low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
    # TensorFlow's needs the number as a tensor of the dtype.
    return tf.minimum(tf.maximum(tf.constant(z, low.dtype), low), high)


class _Curve:
    """An activation on intervals; a side is 1 for above and -1 for below."""

    def __init__(self, fn: Activation, centre, low, high):
        self._fn, self._centre = fn, centre
        self._low, self._high = low, high
        self._start = fn.value(centre)
        self._middle = 0.5 * (low + high)

    def _height(self, side: int, z: tf.Tensor) -> tf.Tensor:
        return side * (self._fn.value(z) - self._start)

    def line(self, side: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns slope and offset of a line that is low over the middle."""
        slope = self._highest_chord(side)
        if not self._is_bent:
            return slope, self.offset(side, slope)
        for _ in range(_CORRECTIONS):
            slope = self._corrected(side, slope)
        tangent = self._fn.slope(self._middle)
        offset, other = self.offset(side, slope), self.offset(side, tangent)
        way = side * (self._middle - self._centre)
        is_lower = other + tangent * way < offset + slope * way
        return (
            tf.where(is_lower, tangent, slope),
            tf.where(is_lower, other, offset),
        )

    def _corrected(self, side: int, slope: tf.Tensor) -> tf.Tensor:
        """Returns the slope between where a line meets the curve on each side.

        Newton's method for the least height of the line over the middle.
        """
        left = self._contact(side, slope, self._low, self._middle)
        right = self._contact(side, slope, self._middle, self._high)
        width = right - left
        rise = self._fn.value(right) - self._fn.value(left)
        is_chord = width > _LEAST * (self._high - self._low)
        one = tf.ones_like(width)
        return tf.where(is_chord, rise / tf.where(is_chord, width, one), slope)

    def _contact(self, side: int, slope, low, high) -> tf.Tensor:
        """Returns where in intervals a line of some slope is met, nearly."""
        found, most = low, self._gap(side, slope, low)
        points = [high, *(_clip(bend, low, high) for bend in self._fn.bends)]
        points += [
            0.5 * (start + end)
            for start, end in self._tops(side, slope, low, high)
        ]
        for point in points:
            gap = self._gap(side, slope, point)
            found = tf.where(gap > most, point, found)
            most = tf.maximum(gap, most)
        return found

    def _highest_chord(self, side: int) -> tf.Tensor:
        """Returns the slope of the chord that is highest over the middle."""
        middle = self._middle
        # Of an interval that is all but a point there is none.
        slope = self._fn.slope(middle)
        highest = tf.fill(tf.shape(middle), tf.constant(-np.inf, middle.dtype))
        least = _LEAST * (self._high - self._low)
        starts, ends = (
            [(z, self._height(side, z)) for z in self._points(*ends)]
            for ends in ((self._low, middle), (middle, self._high))
        )
        for (start, low), (end, high) in itertools.product(starts, ends):
            before, behind = middle - start, end - middle
            is_chord = (before > least) & (behind > least)
            # Not by zero even where it does not count: a derivative would.
            width = tf.where(is_chord, before + behind, tf.ones_like(middle))
            height = (low * behind + high * before) / width
            is_higher = is_chord & (height > highest)
            highest = tf.where(is_higher, height, highest)
            slope = tf.where(is_higher, side * (high - low) / width, slope)
        return slope

    @property
    def _is_bent(self) -> bool:
        return any(piece.bend for piece in pieces(self._fn))

    def _points(self, low: tf.Tensor, high: tf.Tensor) -> list[tf.Tensor]:
        """Returns points from one end to another, bends too."""
        found = [low, high]
        if self._is_bent:
            shares = np.arange(1, _POINTS) / _POINTS
            found += [low + share * (high - low) for share in shares]
        return found + [_clip(bend, low, high) for bend in self._fn.bends]

    def offset(self, side: int, slope: tf.Tensor) -> tf.Tensor:
        """Returns the least offset of a line, rounding left out.

        Args:
            side: Which.
            slope: `[..., n]` of the line.
        """
        low, high = self._low, self._high
        ends = [low, high, *(_clip(b, low, high) for b in self._fn.bends)]
        found = [self._gap(side, slope, end) for end in ends]
        for start, end in self._tops(side, slope, low, high):
            # Inside: at an end the slope may be that of another piece.
            middle = 0.5 * (start + end)
            steep = tf.abs(self._fn.slope(middle) - slope)
            most = self._gap(side, slope, middle) + steep * 0.5 * (end - start)
            found.append(most)
        # Not a reduction, which may pass over NaN.
        return functools.reduce(tf.maximum, found)

    def _gap(self, side: int, slope, z) -> tf.Tensor:
        return self._height(side, z) - side * slope * (z - self._centre)

    def _tops(self, side: int, slope, low, high):
        """Returns brackets of where the gap is largest inside of a piece.

        One for each piece where the curve bends away from the line.
        """
        slope, found = tf.stop_gradient(slope), []
        for piece in pieces(self._fn):
            if piece.bend * side >= 0:
                continue
            start = _clip(piece.start, low, high)
            end = _clip(piece.end, low, high)
            for _ in range(_HALVINGS):
                middle = 0.5 * (start + end)
                rises = side * (self._fn.slope(middle) - slope) >= 0.0
                start = tf.where(rises, middle, start)
                end = tf.where(rises, end, middle)
            found.append(tuple(map(tf.stop_gradient, (start, end))))
        return found

    def roundings(self, slope: tf.Tensor, error: tf.Tensor) -> tf.Tensor:
        """Bounds what offsets lose by rounding, and by the centre's error.

        Two values of s, each off by E u (1 + |z|) max(1, |s'|), products with
        slopes; and signs of slopes that are wrong by rounding, on the width of
        the interval. Of a centre off by e, s and line err by (|s'| + |a|) e.

        Args:
            slope: `[..., n]` of the lines.
            error: `[..., 1]` of the centre.
        """
        unit = EVALUATION_ROUNDOFFS * numerics.unit_roundoff(slope.dtype)
        farthest = tf.maximum(tf.abs(self._low), tf.abs(self._high))
        size = self._fn.error_floor + farthest + tf.abs(self._centre)
        steep = 1.0 + self._fn.slope_range.magnitude + tf.abs(slope)
        found = 4.0 * unit * steep * size + steep * error
        if self._is_bent:
            found += 2.0 * unit * steep * size * (self._high - self._low)
        return found * numerics.STEP_INFLATION
