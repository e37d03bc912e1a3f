"""The largest radius at which a bound on margins proves something.

For methods that prove margins in a neighbourhood of a given size, smaller
where it is larger. What is not proved where it was looked for is proved at a
smaller radius, or at none: nothing rests on how good the search is. Cheaper
radii may be known before: then it is looked beyond them alone.
"""

from collections.abc import Callable

import numpy as np

# `(x, y, epsilon)` to lower bounds `[batch, classes]` on the margins.
_Margins = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

# Where a search begins; how often it goes on where no end is known, each time
# by a factor between these; and how often it narrows two ends down.
_BEGIN = 1e-3
_STEPS, _LEAST_STEP, _MOST_STEP = 40, 2.0, 2.0**10
_NARROWINGS = 16

# Two ends are near enough; and a guess stays so far from both, relative, or
# from a lower end that is 0.
_NEAR, _AWAY, _FAR = 2.0**-10, 0.05, 2.0**-10

# The first step beyond what is known.
_NEXT = 1.0 + 2.0**-4

# An end that is as good as 0.
_SMALLEST = 2.0**-90

# Shares of what was found at which to prove: float32 errs by less than the
# first of balls and boxes, nearly always, and of lines by less than the second;
# where it has lost the margin itself, by any factor.
_SHARES = (
    *(1.0 - 2.0**-12, 1.0 - 2.0**-10, 1.0 - 2.0**-7),
    *(0.5, *0.5 ** np.arange(4, 65, 4)),
)

# Of a single question so many points are looked at before all are; and the
# share of them that it pays to look at.
_SOME, _MOST = 16, 0.6

#: What is enough must be proved a little beyond: radii are compared with it.
BEYOND = 1.0 + 2.0**-39

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
    known: np.ndarray | None = None,
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
        rivals: `[batch, classes]` the classes to prove against; of a point
            without any nothing is asked.
        known: `[batch, classes]` radii that are proved already; None for none.
        enough: Radius beyond which nothing is asked.
        too_little: Radius below which nothing is asked: none is refined
            there.
        rows: Points at a time.

    Returns:
        `[batch, classes]`: at each radius every margin is positive; 0 where
        none was proved.
    """
    found = np.zeros(rivals.shape)
    if known is not None:
        found = np.where(rivals, known, found)
    least = np.where(rivals, found, np.inf).min(axis=-1)
    asked = np.flatnonzero(np.any(rivals, axis=-1) & (least <= enough))
    for start in range(0, asked.size, rows):
        part = asked[start : start + rows]
        few = x[part], y[part], rivals[part]
        looking = _Search(search, *few, least[part])
        if too_little == enough:
            goals = [looking.answer(enough)]
        else:
            goals = _goals(looking.run(enough, too_little), enough)
        found[part] = np.maximum(
            found[part], _proved(prove, *few, least[part], goals)
        )
    return found


class _Search:
    """Looks for the largest radius of each point, and keeps two ends of it.

    At the lower one the least margin is positive, at the upper one it is not;
    where a line between the two margins is zero it is looked for next.
    """

    def __init__(self, margins: _Margins, x, y, rivals, known):
        self._margins, self._known = margins, known
        self._x, self._y, self._rivals = x, y, rivals
        count = len(x)
        self.low, self.high = np.zeros(count), np.full(count, np.inf)
        self._at_low, self._at_high = np.zeros(count), np.full(count, -np.inf)
        # Which end moved last: 1 the lower one, -1 the upper one.
        self._moved = np.zeros(count, int)

    def _least(self, rows: np.ndarray, epsilon: np.ndarray) -> np.ndarray:
        """Returns the least margins of some rows, -inf where one is unknown."""
        if not rows.size:
            return np.zeros(0)
        margins = self._margins(self._x[rows], self._y[rows], epsilon)
        margins = np.where(np.isnan(margins), -np.inf, margins)
        return np.where(self._rivals[rows], margins, np.inf).min(axis=-1)

    def _look(self, rows: np.ndarray, epsilon: np.ndarray) -> np.ndarray:
        """Moves an end of each row to epsilon; returns which lower ones."""
        found = self._least(rows, epsilon)
        held = found > 0.0
        up, down = rows[held], rows[~held]
        self.low[up], self._at_low[up] = epsilon[held], found[held]
        self.high[down], self._at_high[down] = epsilon[~held], found[~held]
        # An end that stays for a second time counts half, or it would stay.
        self._at_high[up[self._moved[up] == 1]] *= 0.5
        self._at_low[down[self._moved[down] == -1]] *= 0.5
        self._moved[up], self._moved[down] = 1, -1
        return held

    def answer(self, enough: float) -> np.ndarray:
        """Returns `[batch]` where to prove that a radius is enough, else 0.

        To look first saves the proofs of what has not enough, unless few are.
        """
        count = len(self._x)
        goal = np.full(count, enough * _SHARES[1])
        held = np.ones(count, bool)
        first, others = np.split(np.arange(count), [_SOME])
        held[first] = self._look(first, goal[first])
        if np.mean(held[first]) <= _MOST:
            held[others] = self._look(others, goal[others])
        return np.where(held, enough * BEYOND, 0.0)

    def run(self, enough: float, too_little: float) -> np.ndarray:
        """Returns `[batch]` radii, 0 for what has none."""
        count = len(self._x)
        right = self._look(np.arange(count), np.zeros(count))
        if np.isfinite(enough):
            rows = np.flatnonzero(right)
            self._look(rows, np.full(rows.size, enough))
        if 0.0 < too_little < enough:
            rows = np.flatnonzero(right & (self.low < enough))
            self._look(rows, np.full(rows.size, too_little))
        # Between the two, and without end where there are none.
        asked = right & (self.high > too_little) & (self.low < enough)
        self._moved[:] = 0
        self._widen(np.flatnonzero(asked & np.isinf(self.high)))
        self._narrow(np.flatnonzero(asked & np.isfinite(self.high)))
        return self.low

    def _widen(self, rows) -> None:
        """Finds an upper end."""
        start = self._at_low.copy()
        step = np.maximum(self._known * _NEXT, _BEGIN)
        for _ in range(_STEPS):
            if not rows.size:
                return
            rows = rows[self._look(rows, step[rows])]
            # To where the margin would be zero if it fell on as it fell.
            fallen = start[rows] - self._at_low[rows]
            with np.errstate(all="ignore"):
                factor = start[rows] / fallen
            factor = np.where(fallen > 0.0, factor, np.inf)
            step[rows] *= np.clip(factor, _LEAST_STEP, _MOST_STEP)

    def _narrow(self, rows) -> None:
        for _ in range(_NARROWINGS):
            low, high = self.low[rows], self.high[rows]
            least = np.maximum(low, self._known[rows])
            is_open = (high - least > _NEAR * high) & (high > _SMALLEST)
            rows = rows[is_open]
            if not rows.size:
                return
            self._look(rows, self._guess(rows))

    def _guess(self, rows) -> np.ndarray:
        """Returns radii between the two ends, where a line is zero."""
        low, high = self.low[rows], self.high[rows]
        above, below = self._at_low[rows], self._at_high[rows]
        with np.errstate(all="ignore"):
            share = above / (above - below)
        # Of infinite margins there is no line.
        share = np.where(np.isfinite(below) & np.isfinite(above), share, 0.5)
        # What lies far below the first step is looked for by its exponent.
        share = np.where((low == 0.0) & np.isneginf(below), 0.0, share)
        least = np.where(low == 0.0, _FAR, _AWAY)
        found = low + np.clip(share, least, 1.0 - _AWAY) * (high - low)
        return np.maximum(found, self._known[rows])


def _goals(wanted: np.ndarray, enough: float) -> list[np.ndarray]:
    """Returns the radii at which to prove, the largest first."""
    goal = np.where(wanted >= enough, enough * BEYOND, wanted * _SHARES[0])
    return [goal, *(wanted * share for share in _SHARES[1:])]


def _proved(prove, x, y, rivals, known, goals) -> np.ndarray:
    """Returns radii `[batch, classes]`, at the first goal that is proved."""
    found = np.zeros(rivals.shape)
    # What nothing was found for is still correct, perhaps.
    for goal in (*goals, np.full(len(x), _LEAST)):
        unproved = np.any(rivals & (found == 0.0), axis=-1)
        rows = np.flatnonzero(unproved & (goal > known))
        if not rows.size:
            continue
        margins = prove(x[rows], y[rows], goal[rows])
        held = rivals[rows] & (margins > 0.0)
        radii = np.where(held, goal[rows, np.newaxis], 0.0)
        least = np.where(rivals[rows], margins, np.inf).argmin(axis=-1)
        radii[np.arange(len(rows)), least] *= _DECIDES
        found[rows] = np.maximum(found[rows], radii)
    return found
