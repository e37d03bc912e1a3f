"""Closed intervals, one or many."""

from typing import Any
from typing import NamedTuple

import numpy as np


class _Ends(NamedTuple):
    lower: Any
    upper: Any


class Interval(_Ends):
    """A closed interval `[lower, upper]` of the real line, or many of them.

    Attributes:
        lower: The left end: a number, an array or a tensor of them.
        upper: The right end.
    """

    __slots__ = ()

    def __new__(cls, lower: Any, upper: Any) -> "Interval":
        """Refuses numbers out of order.

        An array may hold NaN, which bounds nothing and is seen to later.

        Raises:
            ValueError: The ends are numbers, and not lower <= upper.
        """
        numbers = isinstance(lower, float) and isinstance(upper, float)
        if numbers and not lower <= upper:  # Also refuses NaN.
            raise ValueError(
                "An interval needs lower <= upper. "
                f"Received: lower={lower!r}, upper={upper!r}."
            )
        return super().__new__(cls, lower, upper)

    @property
    def farthest(self) -> Any:
        """The largest absolute value of a member of each, of no tensors."""
        return np.maximum(np.abs(self.lower), np.abs(self.upper))

    @property
    def magnitude(self) -> float:
        """The largest absolute value of a member of any of them."""
        return float(np.max(self.farthest))
