"""CROWN, behind the contract."""

from typing import ClassVar

import numpy as np

from tfcurv.certificates.deciding.contract import Cost
from tfcurv.certificates.deciding.contract import Grounds
from tfcurv.certificates.interval.method import BoxConstraintMethod
from tfcurv.certificates.linear.lines import GraphLines


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

    @property
    def _rows(self) -> int:
        """Points at a time: lines are chosen by 25 chords of an activation."""
        size = sum(node.size for node in self.network.graph.nodes)
        return int(np.clip(2**21 // size, 8, 256))
