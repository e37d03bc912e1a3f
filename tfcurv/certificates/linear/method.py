"""CROWN, CROWN-IBP and the convex outer polytope, behind the contract."""

from typing import ClassVar

import numpy as np

from tfcurv import networks
from tfcurv.bounds.propagation.backward_walk import BENT
from tfcurv.bounds.propagation.ball_box import Rules
from tfcurv.certificates.deciding.contract import Cost
from tfcurv.certificates.deciding.contract import Grounds
from tfcurv.certificates.deciding.contract import Method
from tfcurv.certificates.interval.method import BoxConstraintMethod
from tfcurv.certificates.linear.lines import GraphLines
from tfcurv.certificates.linear.lines import LastLines
from tfcurv.certificates.linear.lines import ParallelLines


class _ByLines(BoxConstraintMethod):
    """What methods by linear bounds have in common."""

    cost = Cost.SEARCH
    grounds: ClassVar[Grounds] = (
        *BoxConstraintMethod.grounds,
        ("lines", "tangents and chords, rounded outward"),
    )

    @property
    def _rows(self) -> int:
        """Points at a time: lines are chosen by 25 chords of an activation."""
        size = sum(node.size for node in self.network.graph.nodes)
        return int(np.clip(2**21 // size, 8, 256))


class LinearMethod(_ByLines):
    """Proves radii by linear bounds from the logits to the input [ZWC18].

    Of each activation between two lines, of each maximum too; the intervals
    at which these hold are those of ball and box, cut by the same bounds.

    [ZWC18]: Zhang et al., "Efficient Neural Network Robustness Certification
    with General Activation Functions", NeurIPS 2018.
    """

    name = "crown"
    regions = GraphLines

    @classmethod
    def follows(cls, first: Method, graph: networks.Graph) -> bool:
        """Whether the network is deep, or nothing but regions was asked.

        Of one layer, bounds on curvature and quadratic ones say more.
        """
        depth = sum(node.kind in BENT for node in graph.nodes)
        return depth > 1 or isinstance(first, BoxConstraintMethod)


class LastLinesMethod(_ByLines):
    """CROWN with one pass, back from the margins [ZCX20].

    The intervals are those of ball and box: a small part of the cost, and
    weaker where many neurons bend.

    [ZCX20]: Zhang et al., "Towards Stable and Efficient Training of Verifiably
    Robust Neural Networks", ICLR 2020.
    """

    name = "crown-ibp"
    regions = LastLines


class ParallelLinesMethod(_ByLines):
    """CROWN with lines of equal slope above and below [WK18].

    For ReLU the dual network of the convex outer adversarial polytope (COAP).

    [WK18]: Wong and Kolter, "Provable Defenses against Adversarial Examples
    via the Convex Outer Adversarial Polytope", ICML 2018.
    """

    name = "coap"
    grounds: ClassVar[Grounds] = (
        *BoxConstraintMethod.grounds,
        ("lines", "chords and their parallels, rounded outward"),
    )
    regions = ParallelLines


class ZonotopeMethod(_ByLines):
    """Zonotopes from the input to the logits [SGM18], found backward.

    Where the input moves in a box and lines are parallel, what inputs reach is
    enclosed in { a + A e : |e_j| <= 1 }, and a sum of values w falls to
    w . a - sum_j |w . A_j|, no further. The w . A_j are what lines carry back
    to the input and to each activation, so that A is never written down; see
    `tfcurv.bounds.propagation.zonotopes`. As "coap" without balls, so that no
    norm is proved; an l2 ball of inputs is taken as it is.

    [SGM18]: Singh et al., "Fast and Effective Robustness Certification",
    NeurIPS 2018.
    """

    name = "zonotope"
    grounds: ClassVar[Grounds] = (
        ("boxes", "interval arithmetic, rounded outward"),
        ("lines", "chords and their parallels, rounded outward"),
    )
    rules = Rules(ball=False)
    regions = ParallelLines
