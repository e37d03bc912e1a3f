"""The largest radius at which a bound on margins proves something.

For methods that prove margins in a neighbourhood of a given size, smaller
where it is larger. What is not proved where it was looked for is proved at a
smaller radius, or at none: nothing rests on how good the search is.
"""

from collections.abc import Callable
from collections.abc import Iterator

import numpy as np

# `(x, y, epsilon)` to lower bounds `[batch, classes]` on the margins.
_Margins = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

# Where a search begins, and how often its steps double and then halve: from
# 1e-3 up to 2**40 and down to 2**-40 times that, and then to a thousandth.
_BEGIN = 1e-3
_DOUBLINGS, _HALVINGS = 40, 10

# Shares of what was found at which to prove: float32 errs by less than the
# first, nearly always.
_SHARES = (1.0 - 2.0**-12, 1.0 - 2.0**-7, 0.5)

# What is enough must be proved a little beyond: radii are compared with it.
_BEYOND = 1.0 + 2.0**-39

# The class with the least margin decides: of what was proved against all alike
# it is given a little less, so that it is known.
_DECIDES = 1.0 - 2.0**-41

# A radius where the margin itself is all but proved.
_LEAST = 1e-9


def largest_radii(
    search: _Margins,
    prove: _Margins,
    x: np.ndarray,
    y: np.ndarray,
    rivals: np.ndarray,
    *,
    enough: float = float("inf"),
    too_little: float = 0.0,
    rows: int = 1024,
) -> np.ndarray:
    """Returns radii that are proved.

    Args:
        search: Bounds to look for radii with; may be wrong.
        prove: Bounds that are proved.
        x: `[batch, dim]` points.
        y: `[batch]` labels.
        rivals: `[batch, classes]` the classes to prove against.
        enough: Radius beyond which nothing is asked.
        too_little: Radius below which nothing is asked: none is refined
            there.
        rows: Points at a time.

    Returns:
        `[batch, classes]`: at each radius every margin is positive; 0 where
        none was proved.
    """
    found = np.zeros(rivals.shape)
    for part in _parts(len(x), rows):
        one = _Search(search, x[part], y[part], rivals[part])
        wanted = one.run(enough, too_little)
        found[part] = _proved(
            prove, x[part], y[part], rivals[part], wanted, enough
        )
    return found


def _parts(count: int, rows: int) -> Iterator[slice]:
    for start in range(0, count, rows):
        yield slice(start, start + rows)


class _Search:
    """Looks for the largest radius of each point."""

    def __init__(self, margins: _Margins, x, y, rivals):
        self._margins = margins
        self._x, self._y, self._rivals = x, y, rivals

    def holds(self, rows: np.ndarray, epsilon: np.ndarray) -> np.ndarray:
        """Returns whether all margins of some rows are positive."""
        if not rows.size:
            return np.zeros(0, bool)
        margins = self._margins(self._x[rows], self._y[rows], epsilon)
        # NaN is not positive.
        return np.all((margins > 0.0) | ~self._rivals[rows], axis=-1)

    def run(self, enough: float, too_little: float) -> np.ndarray:
        """Returns `[batch]` radii, 0 for what has none."""
        count = len(self._x)
        low, high = np.zeros(count), np.full(count, np.inf)
        every = np.arange(count)
        right = self.holds(every, np.zeros(count))
        if np.isfinite(enough):
            rows = every[right]
            held = self.holds(rows, np.full(rows.size, enough))
            low[rows[held]], high[rows[~held]] = enough, enough
        if 0.0 < too_little < enough:
            rows = np.flatnonzero(right & (low < enough))
            held = self.holds(rows, np.full(rows.size, too_little))
            low[rows[held]], high[rows[~held]] = too_little, too_little
        # Between the two, and without end where there are none.
        asked = right & (high > too_little) & (low < enough)
        self._double(np.flatnonzero(asked & np.isinf(high)), low, high)
        self._halve(np.flatnonzero(asked), low, high)
        return low

    def _double(self, rows, low, high) -> None:
        """Finds an upper end, and a lower one where there is none."""
        step = np.full(len(low), _BEGIN)
        for _ in range(_DOUBLINGS):
            if not rows.size:
                return
            held = self.holds(rows, step[rows])
            low[rows[held]] = step[rows[held]]
            high[rows[~held]] = step[rows[~held]]
            step[rows[held]] *= 2.0
            rows = rows[held]

    def _halve(self, rows, low, high) -> None:
        # What lies far below the first step is looked for by its exponent.
        for _ in range(_DOUBLINGS):
            some = rows[(low[rows] == 0.0) & (high[rows] <= _BEGIN)]
            if not some.size:
                break
            middle = high[some] / 4.0
            held = self.holds(some, middle)
            low[some[held]] = middle[held]
            high[some[~held]] = middle[~held]
        rows = rows[np.isfinite(high[rows])]
        for _ in range(_HALVINGS):
            middle = 0.5 * (low[rows] + high[rows])
            held = self.holds(rows, middle)
            low[rows[held]] = middle[held]
            high[rows[~held]] = middle[~held]


def _proved(prove, x, y, rivals, wanted, enough) -> np.ndarray:
    """Returns radii `[batch, classes]`, at the largest share that is proved."""
    found = np.zeros(rivals.shape)
    goal = np.where(wanted >= enough, enough * _BEYOND, wanted * _SHARES[0])
    goals = [goal, *(wanted * share for share in _SHARES[1:])]
    # What nothing was found for is still correct, perhaps.
    goals.append(np.full(len(x), _LEAST))
    for goal in goals:
        unproved = np.any(rivals & (found == 0.0), axis=-1)
        rows = np.flatnonzero(unproved & (goal > 0.0))
        if not rows.size:
            continue
        margins = prove(x[rows], y[rows], goal[rows])
        held = rivals[rows] & (margins > 0.0)
        radii = np.where(held, goal[rows, np.newaxis], 0.0)
        least = np.where(rivals[rows], margins, np.inf).argmin(axis=-1)
        radii[np.arange(len(rows)), least] *= _DECIDES
        found[rows] = np.maximum(found[rows], radii)
    return found
