"""CROWN, behind the contract."""

from typing import ClassVar

import numpy as np

from tfcurv import networks
from tfcurv.certificates.deciding.contract import Cost
from tfcurv.certificates.deciding.contract import Grounds
from tfcurv.certificates.deciding.contract import Method
from tfcurv.certificates.interval.method import BoxConstraintMethod
from tfcurv.certificates.linear.lines import GraphLines

_BENT = (networks.Kind.ACTIVATION, networks.Kind.MAXIMUM)


class LinearMethod(BoxConstraintMethod):
    """Proves radii by linear bounds from the logits to the input [ZWC18].

    Of each activation between two lines, of each maximum too; the intervals
    at which these hold are those of ball and box, cut by the same bounds.

    [ZWC18]: Zhang et al., "Efficient Neural Network Robustness Certification
    with General Activation Functions", NeurIPS 2018.
    """

    name = "crown"
    cost = Cost.SEARCH
    grounds: ClassVar[Grounds] = (
        *BoxConstraintMethod.grounds,
        ("lines", "tangents and chords, rounded outward"),
    )
    regions = GraphLines

    @classmethod
    def follows(cls, first: Method, graph: networks.Graph) -> bool:
        """Whether the network is deep, or nothing but regions was asked.

        Of one layer, bounds on curvature and quadratic ones say more.
        """
        depth = sum(node.kind in _BENT for node in graph.nodes)
        return depth > 1 or isinstance(first, BoxConstraintMethod)

    @property
    def _rows(self) -> int:
        """Points at a time: lines are chosen by 25 chords of an activation."""
        size = sum(node.size for node in self.network.graph.nodes)
        return int(np.clip(2**21 // size, 8, 256))
