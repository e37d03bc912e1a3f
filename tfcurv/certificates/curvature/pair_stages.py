"""Stages that rest on one bound on the curvature a pair of classes."""

import numpy as np

from tfcurv.certificates.curvature.lazy_table import LazyTable
from tfcurv.certificates.curvature.proofs import CurvatureProofs
from tfcurv.certificates.deciding.contract import Cost
from tfcurv.certificates.deciding.contract import Pairs
from tfcurv.certificates.deciding.contract import Raised
from tfcurv.certificates.deciding.contract import Stage

# With less of the upper bound than this, proved by Theorem 4, better bounds on
# the curvature do not close the gap: they are a few times better at most.
_HOPELESS = 0.05


class SearchStage(Stage):
    """The search for a better point to evaluate at."""

    cost = Cost.SEARCH

    def __init__(self, proofs: CurvatureProofs, table, overshoot: float):
        """Keeps what it is given.

        Args:
            proofs: What searches and proves.
            table: The bounds of pairs.
            overshoot: See `Stage`.
        """
        self._proofs = proofs
        self._table = table
        self.overshoot = overshoot

    def __call__(self, pairs: Pairs) -> Raised:
        """Returns what is proved of these pairs."""
        curvature = self._table.values[pairs.y, pairs.t]
        return self._proofs.search(pairs, curvature)


class LazyStage(Stage):
    """Better bounds of the pairs that decide, and what follows from them.

    A point for which there is no hope is left to other methods, if there are
    any: it is known by its own radii alone, whatever was asked before it.
    """

    # An adversarial example says first how much there is to be had.
    cost = Cost.FACTORISATIONS

    def __init__(self, table: LazyTable, stage: Stage | None, proofs):
        """Keeps what it is given.

        Args:
            table: The bounds of pairs.
            stage: What asks on with the better bounds; None for what they say
                at the point itself.
            proofs: What proves that.
        """
        self._table, self._stage, self._proofs = table, stage, proofs
        self.leaves = False
        if stage is not None:
            self.overshoot = stage.overshoot

    def __call__(self, pairs: Pairs) -> Raised:
        """Returns what is proved of these pairs."""
        rows = np.arange(len(pairs.y))
        if self.leaves:
            rows = np.flatnonzero(pairs.known >= _HOPELESS * pairs.limit)
        radius, spent = pairs.known.copy(), np.zeros(len(pairs.y))
        centre = None if self._stage is None else pairs.x.copy()
        if rows.size:
            asked = Pairs(*(part[rows] for part in pairs))
            self._table.improve(asked.y, asked.t)
            found = self._ask(asked)
            radius[rows], spent[rows] = found.radius, found.num_evaluations
            if centre is not None:
                centre[rows] = found.centre
        return Raised(radius, spent, centre)

    def _ask(self, pairs: Pairs) -> Raised:
        if self._stage is not None:
            return self._stage(pairs)
        curvatures = self._table.values[pairs.y]
        radii = self._proofs.first(pairs.x, pairs.y, curvatures)
        each = np.arange(len(pairs.y))
        return Raised(radii[each, pairs.t], np.zeros(len(pairs.y)))
