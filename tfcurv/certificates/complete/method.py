"""Branch and bound, behind the contract."""

from collections.abc import Sequence
import dataclasses
import functools
from typing import ClassVar

import numpy as np

from tfcurv import networks
from tfcurv.certificates.complete.duals import Duals
from tfcurv.certificates.complete.duals import is_split
from tfcurv.certificates.complete.search import BranchAndBound
from tfcurv.certificates.deciding.contract import CertifierOptions
from tfcurv.certificates.deciding.contract import Cost
from tfcurv.certificates.deciding.contract import Grounds
from tfcurv.certificates.deciding.contract import Method
from tfcurv.certificates.deciding.contract import Pairs
from tfcurv.certificates.deciding.contract import PointStage
from tfcurv.certificates.deciding.contract import Raised
from tfcurv.certificates.deciding.contract import Stage
from tfcurv.certificates.deciding.contract import Threat
from tfcurv.certificates.linear.method import LinearMethod

# What is enough must be proved a little beyond: radii are compared with it.
_BEYOND = 2.0**-39

# Branches of a margin, if nobody says; and after other methods, where a network
# may have so many neurons.
_BRANCHES, _BRANCHES_AFTER, _MOST_NEURONS = 1000, 200, 20_000

# What lines are drawn around.
_BENT = (networks.Kind.ACTIVATION, networks.Kind.MAXIMUM)

# Radii that are tried of each margin where no epsilon is asked for.
_TRIES = 4


class CompleteMethod(LinearMethod):
    """Proves radii by lines, and decides what these leave open [WZX21].

    Where every bend is a ReLU and there are branches enough, an epsilon is
    decided for every image: proved, or refuted by an adversarial example,
    which the attack has to find. Other bends keep their lines, which may leave
    an image open for good.

    [WZX21]: Wang et al., "Beta-CROWN: Efficient Bound Propagation with
    Per-neuron Split Constraints for Neural Network Robustness Verification",
    NeurIPS 2021.
    """

    name = "complete"
    grounds: ClassVar[Grounds] = (
        *LinearMethod.grounds,
        ("branches", "every sign of a ReLU that is split, each proved"),
    )

    @classmethod
    def refusal(
        cls,
        network: networks.GraphNetwork,
        threat: Threat,
        options: CertifierOptions,
    ) -> str | None:
        """Returns why not: there is no ReLU to split, or a curvature asked."""
        if any(is_split(node) for node in network.graph.nodes):
            return super().refusal(network, threat, options)
        return (
            "Branches split ReLUs, of which there are none. Received: "
            f"{len(network.graph.nodes)} nodes without. Allowed: "
            "method='crown', whose bounds these would be."
        )

    @classmethod
    def follows(cls, first: Method, graph: networks.Graph) -> bool:
        """Whether an epsilon is to be decided, of a network it can decide.

        Of one layer, quadratic bounds say more at a lower cost.
        """
        bent = [node for node in graph.nodes if node.kind in _BENT]
        size = sum(node.size for node in bent)
        return (
            np.isfinite(first.options.enough)
            and all(map(is_split, bent))
            and size <= _MOST_NEURONS
            and LinearMethod.follows(first, graph)
        )

    @property
    def plan(self) -> str:
        """Lines for every image, branches where these leave it open."""
        return (
            "certifying by lines; then, where these leave a margin open and no "
            f"adversarial example is known, by up to {self._branches:,} "
            "branches"
        )

    @property
    def _branches(self) -> int:
        given = self.options.branches
        return _BRANCHES if given is None else given

    def following_stages(self) -> Sequence[Stage | PointStage]:
        """Returns branch and bound alone, of fewer branches: lines were asked.

        What is asked by name may take longer.
        """
        if self.options.branches is None:
            self.options = dataclasses.replace(
                self.options, branches=_BRANCHES_AFTER
            )
        return self.stages()

    def stages(self) -> Sequence[Stage | PointStage]:
        """Returns branch and bound, of the classes that lines leave open."""
        return (_Branching(self._decides, self.options),)

    @functools.cached_property
    def _decides(self) -> BranchAndBound:
        proving, searching = (
            Duals(
                self.network.graph,
                self.rules,
                self.threat.norm,
                self.threat.domain,
                rigor=self.network.rigor,
                proves=proves,
            )
            for proves in (True, False)
        )
        return BranchAndBound(proving, searching, self._branches)


class _Branching(Stage):
    """Raises radii to those that branch and bound has proved."""

    # An adversarial example says first where there is nothing to prove.
    cost = Cost.FACTORISATIONS
    overshoot = _BEYOND
    skips_exact = True

    def __init__(self, decides: BranchAndBound, options: CertifierOptions):
        self._decides, self._options = decides, options

    def __call__(self, pairs: Pairs) -> Raised:
        """Tries radii between what is known and what is asked."""
        low, high = pairs.known.copy(), pairs.limit.copy()
        spent = np.zeros(len(low))
        for goal in self._goals(low, high):
            rows = np.flatnonzero((goal > low) & (goal <= high))
            if not rows.size:
                continue
            x, y, t = (each[rows] for each in pairs[:3])
            found = self._decides(x, y, t, goal[rows])
            spent[rows] += found.branches
            proved, failed = rows[found.proved], rows[~found.proved]
            low[proved] = goal[proved]
            high[failed] = goal[failed]
        return Raised(low, spent)

    def _goals(self, low: np.ndarray, high: np.ndarray):
        """Yields what to prove next; both ends have moved in between."""
        enough, too_little = self._options.enough, self._options.too_little
        if np.isfinite(enough):
            # What decides no epsilon is worth nothing.
            ends = (enough,) if too_little >= enough else (enough, too_little)
            for end in ends:
                yield np.full(len(low), end * (1.0 + _BEYOND))
        if enough > too_little:
            for _ in range(_TRIES):
                yield np.where(np.isinf(high), 2.0 * low, 0.5 * (low + high))
