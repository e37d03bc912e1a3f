"""Halves boxes of inputs until lines exclude what is unsafe in each part."""

from collections.abc import Callable

import numpy as np

from tfcurv.certificates.properties.attack import BoxAttack
from tfcurv.certificates.properties.boxes import Box
from tfcurv.certificates.properties.boxes import BoxLines
from tfcurv.certificates.properties.witnesses import Witness

# Boxes at a time.
_AT_ONCE = 64

# How much width counts beside what gradients say of an input.
_BY_WIDTH = 0.05


class Bisection:
    """Decides clauses over boxes; see `unsafe_graph`."""

    def __init__(self, lines: BoxLines, attack: BoxAttack, clauses: np.ndarray):
        """Keeps what it is given.

        Args:
            lines: In float64.
            attack: Of the same network.
            clauses: `[clauses, constraints]` which constraints each has.
        """
        self._lines, self._attack, self._clauses = lines, attack, clauses

    def excluded(self, box: Box) -> np.ndarray:
        """Returns `[boxes, clauses]` which clauses hold nowhere in a box.

        One constraint that holds nowhere excludes a clause.

        Args:
            box: Some boxes.
        """
        return self._excluded(self._bounds(box))

    def _bounds(self, box: Box) -> np.ndarray:
        """Returns `[boxes, constraints]` lower bounds on c . y - d."""
        count = self._clauses.shape[1]
        zero = np.full(len(box.low), count, np.int32)
        return self._lines.margins(box.middle, zero, box.reach)[:, :count]

    def _excluded(self, bounds: np.ndarray) -> np.ndarray:
        holds_nowhere = bounds > 0.0
        return (holds_nowhere[:, np.newaxis] & self._clauses).any(axis=-1)

    def __call__(
        self,
        box: Box,
        judge: Callable[[np.ndarray], Witness | None],
        is_over: Callable[[], bool],
    ) -> tuple[bool, Witness | None]:
        """Returns whether all clauses are excluded, and a witness.

        Args:
            box: One box.
            judge: Says what is a witness.
            is_over: Whether there is no time left.
        """
        waiting = [(box, np.ones((1, len(self._clauses)), bool))]
        is_proved = True
        while waiting:
            if is_over():
                return False, None
            box, is_open = _taken(waiting)
            bounds = self._bounds(box)
            is_open &= ~self._excluded(bounds)
            rows = np.flatnonzero(is_open.any(axis=-1))
            if not rows.size:
                continue
            box, is_open = box.rows(rows), is_open[rows]
            number = self._nearest(bounds[rows], is_open)
            slopes = self._attack.steepest(box.middle, number)
            witness = judge(_likely(box, slopes))
            if witness is not None:
                return False, witness
            parts, kept = _halved(box, slopes)
            # What cannot be halved stays open for good.
            is_proved &= bool(kept.all())
            if kept.any():
                both = np.concatenate([is_open[kept]] * 2)
                waiting.append((parts, both))
        return is_proved, None

    def _nearest(self, bounds: np.ndarray, is_open: np.ndarray) -> np.ndarray:
        """Returns the constraint most likely to exclude the worst clause."""
        known = np.where(np.isnan(bounds), -np.inf, bounds)[:, np.newaxis]
        each = np.where(self._clauses, known, -np.inf)
        best = np.where(is_open, each.max(axis=-1), np.inf)
        worst = best.argmin(axis=-1)
        every = np.arange(len(bounds))
        return each[every, worst].argmax(axis=-1).astype(np.int32)


def _taken(waiting: list) -> tuple[Box, np.ndarray]:
    """Takes the last boxes off a list of some."""
    box, is_open = waiting.pop()
    if len(is_open) > _AT_ONCE:
        rest = slice(None, -_AT_ONCE)
        waiting.append((box.rows(rest), is_open[rest]))
        box, is_open = box.rows(slice(-_AT_ONCE, None)), is_open[-_AT_ONCE:]
    return box, is_open


def _likely(box: Box, slopes: np.ndarray) -> np.ndarray:
    """Returns middles, and the corners where a z is largest if it is linear."""
    corner = np.where(slopes > 0.0, box.high, box.low)
    return np.concatenate([box.middle, corner])


def _halved(box: Box, slopes: np.ndarray) -> tuple[Box, np.ndarray]:
    """Returns both halves of boxes, first all lower ones; and which could be.

    Across the input of most influence: its slope times its width.
    """
    x, reach = box.middle, box.high - box.low
    score = np.abs(slopes) * reach
    least = score.max(axis=-1, keepdims=True) + np.finfo(np.float64).tiny
    widest = reach.max(axis=-1, keepdims=True)
    score += _BY_WIDTH * least * reach / np.where(widest > 0.0, widest, 1.0)
    # A number between both ends.
    score = np.where((box.low < x) & (x < box.high), score, -1.0)
    rows = np.flatnonzero(score.max(axis=-1) >= 0.0)
    kept = np.isin(np.arange(len(x)), rows)
    low, high = box.rows(rows)
    axis = score[rows].argmax(axis=-1)
    every = np.arange(len(rows))
    cut = x[rows, axis]
    left, right = high.copy(), low.copy()
    left[every, axis] = right[every, axis] = cut
    return Box(np.concatenate([low, right]), np.concatenate([left, high])), kept
