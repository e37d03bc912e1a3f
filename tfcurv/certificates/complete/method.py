"""Branch and bound, behind the contract."""

from collections.abc import Callable
from collections.abc import Sequence
import functools
from typing import Any
from typing import ClassVar

import numpy as np
import tensorflow as tf

from tfcurv import networks
from tfcurv import numerics
from tfcurv import tracing
from tfcurv.bounds.propagation.backward_walk import BENT
from tfcurv.certificates.attacks.boundary import cross_boundary
from tfcurv.certificates.attacks.multi_target import MultiTargetAttack
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
from tfcurv.certificates.interval.largest_radii import BEYOND
from tfcurv.certificates.linear.method import LinearMethod

# Branches of a margin, if nobody says; and after other methods, where a network
# may have so many neurons.
_BRANCHES, _BRANCHES_AFTER, _MOST_NEURONS = 1000, 200, 20_000

# Then a margin is left where half of the way takes more than so many.
_HALVED_AFTER = 40

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
        if any(map(is_split, _needed(network.graph))):
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
        bent = [node for node in _needed(graph) if node.kind in BENT]
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
            "adversarial example is known, by up to "
            f"{self.options.branches or _BRANCHES:,} branches"
        )

    def stages(self) -> Sequence[Stage | PointStage]:
        """Returns branch and bound, of the classes that lines leave open."""
        return (self._branching,)

    def following_stages(self) -> Sequence[Stage | PointStage]:
        """Returns branch and bound alone, of fewer branches: lines were asked.

        What is asked by name may take longer.
        """
        return (self._branching_after,)

    # Made once, not for every batch: they hold what is compiled.
    @functools.cached_property
    def _branching(self) -> "_Branching":
        return self._stage(_BRANCHES, None)

    @functools.cached_property
    def _branching_after(self) -> "_Branching":
        return self._stage(_BRANCHES_AFTER, _HALVED_AFTER)

    def _stage(self, branches: int, halved: int | None) -> "_Branching":
        if self.options.branches is not None:
            branches, halved = self.options.branches, None
        return _Branching(
            self._decides(branches, halved),
            MultiTargetAttack(self.network, threat=self.threat),
            _crossing(self.network, self.threat),
            self.options,
        )

    def _decides(self, branches: int, halved: int | None) -> BranchAndBound:
        proving, searching = (
            self._of_kind(Duals, proves=proves) for proves in (True, False)
        )
        return BranchAndBound(proving, searching, branches, halved)


def _crossing(network: Any, threat: Threat):
    """Returns what maps x, y and points to distances of examples towards them.

    Compiled; proved upper bounds, infinite where there is none on the ray.
    """

    def cross(x, y, points):
        points = tf.cast(points, numerics.SEARCH_DTYPE)
        return cross_boundary(network, x, y, points, threat=threat).distance

    table = tf.TensorSpec([None, network.input_dim], numerics.PROOF_DTYPE)
    labels = tf.TensorSpec([None], tf.int32)
    return tracing.Traced(cross, [table, labels, table])


def _needed(graph: networks.Graph) -> Sequence[networks.Node]:
    """Returns the nodes that the logits are computed of."""
    found, waiting = set(), [len(graph.nodes) - 1]
    while waiting:
        position = waiting.pop()
        if position not in found:
            found.add(position)
            waiting += graph.nodes[position].sources
    return [graph.nodes[position] for position in sorted(found)]


class _Branching(Stage):
    """Raises radii to those that branch and bound has proved."""

    # An adversarial example says first where there is nothing to prove.
    cost = Cost.FACTORISATIONS
    overshoot = BEYOND - 1.0
    skips_exact = True

    def __init__(
        self,
        decides: BranchAndBound,
        attack: MultiTargetAttack,
        cross: Callable[..., tf.Tensor],
        options: CertifierOptions,
    ):
        self._decides, self._attack, self._cross = decides, attack, cross
        self._options = options
        self._examples: dict[bytes, float] = {}

    def __call__(self, pairs: Pairs) -> Raised:
        """Tries radii between what is known and what is asked.

        Attacks first, towards all classes: what has an example is not proved.
        """
        distance = self._attacked(pairs.x, pairs.y)
        low, high = pairs.known.copy(), np.minimum(pairs.limit, distance)
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
            met = ~np.isnan(found.points[:, 0])
            distance[rows[met]] = np.minimum(
                distance[rows[met]],
                self._met(x[met], y[met], found.points[met]),
            )
        return Raised(low, spent, distance=distance)

    def _met(self, x, y, points) -> np.ndarray:
        """Returns how far examples on the rays through some points are."""
        if not len(x):
            return np.zeros(0)
        return self._cross(*map(tf.constant, (x, y, points))).numpy()

    def _attacked(self, x: np.ndarray, y: np.ndarray):
        """Returns how far the nearest examples are that are found.

        Each point is attacked once, whatever the number of its classes.
        """
        keys = [row.tobytes() for row in x]
        self._examples = {
            key: self._examples[key] for key in keys if key in self._examples
        }
        new = [i for i, key in enumerate(keys) if key not in self._examples]
        if new:
            found = self._attack(tf.constant(x[new]), tf.constant(y[new]))
            rows = zip(new, found.distance.numpy())
            self._examples |= {keys[i]: distance for i, distance in rows}
        return np.array([self._examples[key] for key in keys])

    def _goals(self, low: np.ndarray, high: np.ndarray):
        """Yields what to prove next; both ends have moved in between."""
        enough, too_little = self._options.enough, self._options.too_little
        if np.isfinite(enough):
            # What decides no epsilon is worth nothing.
            ends = (enough,) if too_little >= enough else (enough, too_little)
            for end in ends:
                yield np.full(len(low), end * BEYOND)
        least = too_little * BEYOND
        if enough > too_little:
            for _ in range(_TRIES):
                middle = np.where(np.isinf(high), 2.0 * low, (low + high) / 2)
                # Below the least epsilon nothing is asked.
                yield np.where(high > least, middle, low)
