"""Boxes of inputs, of any shape, in float64 and float32."""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from tfcurv.certificates.complete.duals import Duals
from tfcurv.certificates.linear.lines import GraphLines

# Wider than what is flushed to zero of a number.
_FLUSHED = 1e-290


class BoxLines(GraphLines):
    """Lines for the margins over boxes whose sides differ."""

    by_entry = True


class BoxDuals(Duals):
    """Bounds of branches over boxes whose sides differ."""

    by_entry = True


class Box(NamedTuple):
    """Sides of some boxes, row by row.

    Attributes:
        low: `[boxes, inputs]` float64.
        high: `[boxes, inputs]` float64, nowhere less.
    """

    low: np.ndarray
    high: np.ndarray

    @property
    def middle(self) -> np.ndarray:
        """`[boxes, inputs]` points of the boxes."""
        found = self.low + 0.5 * (self.high - self.low)
        return np.clip(found, self.low, self.high)

    @property
    def reach(self) -> np.ndarray:
        """`[boxes, inputs]` from the middle to the farther side, rounded up."""
        x = self.middle
        far = np.maximum(self.high - x, x - self.low)
        return np.nextafter(far, np.inf) + _FLUSHED

    def rows(self, rows) -> "Box":
        """Returns some of them."""
        return Box(self.low[rows], self.high[rows])


def outward(lower: Sequence[Fraction], upper: Sequence[Fraction]) -> Box:
    """Returns the smallest box of float64 around a box of exact numbers.

    Args:
        lower: Sides.
        upper: Sides.
    """
    low = [_rounded(side, -1) for side in lower]
    high = [_rounded(side, 1) for side in upper]
    return Box(np.array([low]), np.array([high]))


def inward(lower: Sequence[Fraction], upper: Sequence[Fraction]) -> Box:
    """Returns the largest box of float32 numbers within one of exact numbers.

    A network takes float32: what is to be shown to violate a property lies in
    here. Where no float32 lies between the sides of an input it is one number
    of float64 there, the nearest to their middle, at most a rounding outside.

    Args:
        lower: Sides.
        upper: Sides.
    """
    pairs = [_within(*sides) for sides in zip(lower, upper)]
    low, high = np.array(pairs, np.float64).reshape(-1, 2).T
    return Box(low[np.newaxis], high[np.newaxis])


def _within(lower: Fraction, upper: Fraction) -> tuple[float, float]:
    low, high = (_narrow(side, way) for side, way in ((lower, 1), (upper, -1)))
    if low <= high:
        return low, high
    middle = float((lower + upper) / 2)
    return middle, middle


def _rounded(number: Fraction, way: int) -> float:
    """Returns the next float64 that is not below, or not above, a number."""
    found = float(number)
    if way * (Fraction(found) - number) < 0:
        found = float(np.nextafter(found, way * np.inf))
    return found


def _narrow(number: Fraction, way: int) -> float:
    """Returns the same of float32, as float64."""
    with np.errstate(over="ignore"):
        found = np.float32(float(number))
    if not np.isfinite(found):
        return float(number)
    if way * (Fraction(float(found)) - number) < 0:
        found = np.nextafter(found, np.float32(way * np.inf))
    return float(found)
