"""Decides properties: an attack, lines, and parts of boxes or of ReLUs."""

from collections.abc import Callable
from collections.abc import Sequence
import enum
import functools
import time
from typing import Any
from typing import NamedTuple

import numpy as np

from tfcurv import networks
from tfcurv.bounds.propagation.ball_box import Rules
from tfcurv.certificates.complete.duals import is_split
from tfcurv.certificates.complete.search import BranchAndBound
from tfcurv.certificates.properties import boxes
from tfcurv.certificates.properties.attack import BoxAttack
from tfcurv.certificates.properties.bisection import Bisection
from tfcurv.certificates.properties.boxes import BoxDuals
from tfcurv.certificates.properties.boxes import BoxLines
from tfcurv.certificates.properties.statement import Constraint
from tfcurv.certificates.properties.statement import Region
from tfcurv.certificates.properties.unsafe_graph import unsafe_graph
from tfcurv.certificates.properties.witnesses import Execution
from tfcurv.certificates.properties.witnesses import Judge
from tfcurv.certificates.properties.witnesses import Witness

# Boxes of more inputs are too many when they are halved.
_MOST_HALVED = 12

# Branches of a constraint: each time more, from the first on; and constraints
# of a clause that are tried.
_FIRST_BRANCHES, _MORE, _TRIED = 50, 4, 3


class Verdict(enum.Enum):
    """What is known of a property."""

    #: Proved: no input of a region has an unsafe output.
    HOLDS = "holds"
    #: Refuted, by an input.
    VIOLATED = "violated"
    UNKNOWN = "unknown"


class Decision(NamedTuple):
    """A verdict, and the input that it rests on.

    Attributes:
        verdict: The verdict.
        witness: Of VIOLATED, else None.
    """

    verdict: Verdict
    witness: Witness | None = None


class Solver:
    """Decides properties of one network whose constraints are the same.

    Region by region it is attacked; then linear bounds are to exclude each
    clause, of the whole box, and where they do not, of its halves or, of ReLU
    networks of many inputs, of branches. A proof is in float64, outward.
    """

    def __init__(
        self,
        network: networks.GraphNetwork,
        constraints: Sequence[Constraint],
        execute: Execution,
    ):
        """Prepares; nothing is traced yet.

        Args:
            network: The network.
            constraints: On its outputs.
            execute: The network as it is executed, which a witness is tried
                on.
        """
        self._graph = unsafe_graph(network.graph, constraints)
        self._rigor = network.rigor
        self._constraints, self._execute = tuple(constraints), execute
        self._attack = BoxAttack(
            networks.GraphNetwork(self._graph, network.rigor)
        )
        self._lines = self._bounds(BoxLines, proves=True)

    def decide(self, regions: Sequence[Region], seconds: float) -> Decision:
        """Decides whether an input of a region has an unsafe output.

        Args:
            regions: Whose clauses name the constraints.
            seconds: After which no more is begun.
        """
        end = time.monotonic() + seconds
        for region in regions:
            witness = self._attacked(region, lambda: time.monotonic() > end)
            if witness is not None:
                return Decision(Verdict.VIOLATED, witness)
        found = Verdict.HOLDS
        for number, region in enumerate(regions):
            # What is left is shared.
            now = time.monotonic()
            until = now + (end - now) / (len(regions) - number)
            is_proved, witness = self._proved(region, until)
            if witness is not None:
                return Decision(Verdict.VIOLATED, witness)
            if not is_proved:
                found = Verdict.UNKNOWN
        return Decision(found)

    def _bounds(self, kind: Any, *, proves: bool) -> Any:
        # Balls around boxes say nothing that the boxes do not.
        return kind(
            self._graph,
            Rules(ball=False),
            "linf",
            rigor=self._rigor,
            proves=proves,
        )

    def _judge(self, region: Region) -> Judge:
        return Judge(self._graph, self._constraints, region, self._execute)

    def _attacked(
        self, region: Region, is_over: Callable[[], bool]
    ) -> Witness | None:
        """Returns a witness of a region, if an attack finds one."""
        judge = self._judge(region)
        return self._attack(judge.box, region.clauses, judge, is_over)

    def _proved(
        self, region: Region, until: float
    ) -> tuple[bool, Witness | None]:
        """Returns whether a region has no unsafe output, or a witness."""
        box = boxes.outward(region.lower, region.upper)
        # A clause without constraints holds, and nothing excludes it.
        if not all(region.clauses):
            return False, None
        clauses = self._table(region.clauses)
        halving = Bisection(self._lines, self._attack, clauses)
        is_open = ~halving.excluded(box)[0]
        if not is_open.any():
            return True, None
        judge = self._judge(region)
        splits = any(map(is_split, self._graph.nodes))
        if splits and box.low.shape[-1] > _MOST_HALVED:
            left = [c for c, is_it in zip(region.clauses, is_open) if is_it]
            return self._branched(box, left, judge, until)
        rest = Bisection(self._lines, self._attack, clauses[is_open])
        return rest(box, judge, lambda: time.monotonic() > until)

    def _table(self, clauses) -> np.ndarray:
        """Returns `[clauses, constraints]` which constraints each has."""
        found = np.zeros((len(clauses), len(self._constraints)), bool)
        for row, clause in zip(found, clauses):
            row[list(clause)] = True
        return found

    def _branched(self, box, clauses, judge, until: float):
        """Excludes clauses by branches, one constraint of each."""
        for clause in clauses:
            is_proved, witness = self._excluded(box, clause, judge, until)
            if not is_proved:
                return False, witness
        return True, None

    def _excluded(self, box, clause, judge, until: float):
        """Returns whether a clause holds nowhere in a box, or a witness."""
        zero = np.array([self._graph.num_classes - 1], np.int32)
        bounds = self._lines.margins(box.middle, zero, box.reach)[0]
        order = sorted(clause, key=lambda k: -np.nan_to_num(bounds[k]))
        going, branches, pace = order[:_TRIED], _FIRST_BRANCHES, 0.0
        while going:
            left = []
            for k in going:
                start = time.monotonic()
                if start > until:
                    return False, None
                search = BranchAndBound(*self._of_branches, branches)
                found = search(
                    box.middle, zero, np.array([k], np.int32), box.reach
                )
                spent = max(int(found.branches[0]), 1)
                pace = (time.monotonic() - start) / spent
                if found.proved[0]:
                    return True, None
                is_met = not np.isnan(found.points[0]).any()
                witness = judge(found.points) if is_met else None
                if witness is not None:
                    return False, witness
                # It holds somewhere, or nothing is left to split.
                if not is_met and spent >= branches:
                    left.append(k)
            going = left
            room = (until - time.monotonic()) / pace / max(len(going), 1)
            if room <= branches:
                # No more than were in vain.
                break
            branches = int(min(_MORE * branches, room))
        return False, None

    @functools.cached_property
    def _of_branches(self) -> tuple[BoxDuals, BoxDuals]:
        return (
            self._bounds(BoxDuals, proves=True),
            self._bounds(BoxDuals, proves=False),
        )
