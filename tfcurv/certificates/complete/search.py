"""Branch and bound: which margins are positive in a neighbourhood.

A margin that its bound does not prove is split at a neuron: one branch where
it is given at least 0, one where it is given at most 0, each with a better
bound. Of those neurons that lose most between their lines a few are tried,
and the one is taken whose worse branch is the better. A margin is proved when
all its branches are, in float64; that not all are proves nothing. Where lines
are least the network is looked at: a negative margin there ends the search.

Sources: [BLT20] Bunel et al., "Branch and Bound for Piecewise Linear Neural
Network Verification", JMLR 2020; the choice among a few is [PBB21] De Palma et
al., "Improved Branch and Bound for Neural Network Verification via Lagrangian
Decomposition", 2021.
"""

from typing import NamedTuple

import numpy as np

from tfcurv.certificates.complete.branches import Branches
from tfcurv.certificates.complete.branches import Roots
from tfcurv.certificates.complete.duals import Duals

# Steps of ascent of a margin, and of a branch, which begins where another was.
_FIRST, _LATER = 40, 12

# Of a branch that cannot be split: the rate decays, so that it comes near.
_LAST = 300

# Branches that are split at a time, fewer of large networks, and neurons that
# are tried for each.
_AT_ONCE, _TRIED = 32, 4
_NEURONS_AT_ONCE = 2**22

# Numbers that all branches of some margins may take.
_NUMBERS = 2**26


class Decided(NamedTuple):
    """What became of some margins.

    Attributes:
        proved: `[margins]` whether each is positive.
        branches: `[margins]` how many bounds it took.
        points: `[margins, inputs]` of those that are refuted, where the margin
            is negative as float32 computes it; NaN of all others.
    """

    proved: np.ndarray
    branches: np.ndarray
    points: np.ndarray


class BranchAndBound:
    """Decides margins of one network."""

    def __init__(
        self,
        proving: Duals,
        searching: Duals,
        most: int,
        halved: int | None = None,
    ):
        """Keeps the bounds.

        Args:
            proving: In float64.
            searching: In float32.
            most: Branches of a margin, after which it stays open.
            halved: Branches after which it stays open, too, unless its worst
                bound has come half the way to zero: it rarely arrives. None
                for no such end.
        """
        self._proving, self._searching = proving, searching
        self._most, self._halved = most, halved

    @property
    def at_once(self) -> int:
        """Margins to decide at a time: memory grows with all branches."""
        size = self._proving.num_neurons * max(self._most, 1)
        return int(np.clip(_NUMBERS // max(size, 1), 1, 16))

    def __call__(
        self, x: np.ndarray, y: np.ndarray, t: np.ndarray, epsilon: np.ndarray
    ) -> Decided:
        """Decides z_y > z_t within epsilon, row by row.

        Args:
            x: `[margins, inputs]` float64 points.
            y: `[margins]` int32 labels.
            t: `[margins]` int32 other classes.
            epsilon: `[margins]` distances, or see `GraphRegions.by_entry`.
        """
        proved, spent = np.zeros(len(x), bool), np.zeros(len(x), int)
        points = np.full(x.shape, np.nan)
        for start in range(0, len(x), self.at_once):
            part = slice(start, start + self.at_once)
            roots = self._proving.roots(x[part], epsilon[part])
            tree = _Tree(
                self._proving, self._searching, roots, y[part], t[part]
            )
            found = tree.grow(self._most, self._halved)
            proved[part], spent[part], points[part] = found
        return Decided(proved, spent, points)


class _Tree:
    """The open branches of some margins."""

    def __init__(self, proving: Duals, searching: Duals, roots: Roots, y, t):
        self._proving, self._searching = proving, searching
        self._roots, self._near = roots, searching.taken(roots)
        self._y, self._t = y, t
        low, high = proving.neurons(roots)
        count = len(y)
        self._points = np.full(roots.x.shape, np.nan)
        self._spent, self._failed = np.zeros(count, int), np.zeros(count, bool)
        none = np.zeros(low.shape, np.float32)
        slopes = (high >= -low).astype(np.float32)
        every = np.arange(count)
        first = self._branches(every, none.astype(np.int8), slopes, none)
        self._open, self._bounds = self._improved(first, _FIRST)
        self._begin = self._worst()

    def _branches(self, point, signs, slopes, forces) -> Branches:
        return Branches(
            point, self._y[point], self._t[point], signs, slopes, forces
        )

    def _worst(self) -> np.ndarray:
        """Returns the worst bound of each margin; infinite where none is."""
        found = np.full(len(self._y), np.inf)
        np.minimum.at(found, self._open.point, self._bounds)
        return found

    def grow(self, most: int, halved: int | None = None) -> Decided:
        """Splits until nothing is open, or too much.

        Args:
            most: Branches of a margin.
            halved: See `BranchAndBound`.
        """
        while self._open.point.size:
            ends = self._spent >= most
            if halved is not None:
                is_slow = self._worst() < 0.5 * self._begin
                ends |= (self._spent >= halved) & is_slow
            point = self._open.point
            self._give_up(np.unique(point[ends[point]]))
            chosen = self._chosen()
            if not chosen.size:
                break
            parents = _rows(self._open, chosen)
            self._open = _rows(self._open, ~np.isin(self._every, chosen))
            self._bounds = np.delete(self._bounds, chosen)
            losses, *seen = self._searching.look(self._near, parents)
            self._refute(parents.point, *seen)
            is_last = np.all(losses < 0.0, axis=-1)
            # Nothing is bent any more: the best multipliers say all there is.
            is_last &= ~self._failed[parents.point]
            last, _ = self._improved(_rows(parents, is_last), _LAST)
            if last.point.size:
                self._refute(
                    last.point, *self._searching.look(self._near, last)[1:]
                )
            self._give_up(np.unique(last.point))
            going = ~is_last & ~self._failed[parents.point]
            if going.any():
                self._grow(_rows(parents, going), losses[going])
        is_open = np.isin(np.arange(len(self._y)), self._open.point)
        return Decided(~(is_open | self._failed), self._spent, self._points)

    def _refute(self, margin, points, values) -> None:
        """Gives up what is negative somewhere, and keeps where."""
        refuted = values < 0.0
        self._points[margin[refuted]] = points[refuted]
        self._give_up(np.unique(margin[refuted]))

    @property
    def _every(self) -> np.ndarray:
        return np.arange(self._open.point.size)

    def _give_up(self, margins: np.ndarray) -> None:
        """Leaves some margins open for good, and forgets their branches."""
        self._failed[margins] = True
        kept = ~self._failed[self._open.point]
        self._open = _rows(self._open, kept)
        self._bounds = self._bounds[kept]

    def _chosen(self) -> np.ndarray:
        """Returns the worst branches, of each margin as many."""
        order = np.lexsort((self._bounds, self._open.point))
        point = self._open.point[order]
        first = np.searchsorted(point, point)
        rank = np.arange(point.size) - first
        neurons = 2 * _TRIED * self._proving.num_neurons
        count = int(np.clip(_NEURONS_AT_ONCE // neurons, 1, _AT_ONCE))
        return order[np.argsort(rank, kind="stable")][:count]

    def _grow(self, parents: Branches, losses: np.ndarray) -> None:
        """Splits branches, and keeps what is not proved of their parts."""
        tried = np.argsort(-losses, axis=-1)[:, :_TRIED]
        width = tried.shape[1]
        each = np.repeat(np.arange(len(tried)), width)
        both = _children(_rows(parents, each), tried.ravel())
        bounds = self._searching.bounds(self._near, both)
        bounds = np.where(np.isnan(bounds), -np.inf, bounds)
        worse = bounds.reshape(2, -1, width).min(axis=0)
        usable = np.take_along_axis(losses, tried, axis=-1) >= 0.0
        best = np.argmax(np.where(usable, worse, -np.inf), axis=-1)
        # Where no number is known the first is usable: it loses most.
        neuron = np.take_along_axis(tried, best[:, np.newaxis], -1)[:, 0]
        left, bounds = self._improved(_children(parents, neuron), _LATER)
        self._open = Branches(
            *(np.concatenate(pair) for pair in zip(self._open, left))
        )
        self._bounds = np.concatenate([self._bounds, bounds])

    def _improved(
        self, branches: Branches, steps: int
    ) -> tuple[Branches, np.ndarray]:
        """Returns those that better slopes do not prove, and their bounds."""
        if not branches.point.size:
            return branches, np.zeros(0)
        found = self._searching.ascend(self._near, branches, steps)
        np.add.at(self._spent, branches.point, 1)
        branches = branches._replace(slopes=found.slopes, forces=found.forces)
        bounds = np.asarray(found.bounds, np.float64)
        (rows,) = np.nonzero(bounds > 0.0)
        if rows.size:
            proof = self._proving.bounds(self._roots, _rows(branches, rows))
            bounds[rows] = proof
        left = ~(bounds > 0.0)
        return _rows(branches, left), bounds[left]


def _rows(branches: Branches, rows: np.ndarray) -> Branches:
    return Branches(*(each[rows] for each in branches))


def _children(parents: Branches, neuron: np.ndarray) -> Branches:
    """Returns all branches where a neuron is on, then all where it is off."""
    every, both = np.arange(len(neuron)), []
    for sign in (1, -1):
        signs = parents.signs.copy()
        signs[every, neuron] = sign
        both.append(parents._replace(signs=signs))
    return Branches(*(np.concatenate(pair) for pair in zip(*both)))
