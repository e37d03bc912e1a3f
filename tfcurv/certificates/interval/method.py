"""Box constraint and interval bound propagation, behind the contract."""

import functools
import math
from typing import ClassVar
from typing import TypeVar

import numpy as np

from tfcurv import networks
from tfcurv import numerics
from tfcurv.bounds.propagation.ball_box import Rules
from tfcurv.certificates.deciding.contract import CertifierOptions
from tfcurv.certificates.deciding.contract import Cost
from tfcurv.certificates.deciding.contract import Curvature
from tfcurv.certificates.deciding.contract import Grounds
from tfcurv.certificates.deciding.contract import Method
from tfcurv.certificates.deciding.contract import Threat
from tfcurv.certificates.interval.largest_radii import largest_radii
from tfcurv.certificates.interval.regions import GraphRegions
from tfcurv.certificates.lipschitz.bounds import LipschitzBounds

_Regions = TypeVar("_Regions", bound=GraphRegions)


class BoxConstraintMethod(Method):
    """Proves radii by a ball and a box, propagated side by side [LLP20].

    For any graph, l2 and linf, all inputs or those of a domain. A radius is
    searched for in float32, with nothing proved, and proved in float64;
    see `tfcurv.bounds.propagation.ball_box` for the formulas.

    [LLP20]: Lee, Lee and Park, "Lipschitz-Certifiable Training with a Tight
    Outer Bound", NeurIPS 2020.
    """

    name = "bcp"
    cost = Cost.PASSES
    grounds: ClassVar[Grounds] = (
        ("balls", "proved norms of the maps between activations"),
        ("boxes", "interval arithmetic, rounded outward"),
    )
    needs_graph = True
    rules = Rules()
    regions = GraphRegions

    @classmethod
    def refusal(
        cls,
        network: networks.GraphNetwork,
        threat: Threat,
        options: CertifierOptions,
    ) -> str | None:
        """Returns why not: only bounds on curvature, of which it has none."""
        del network, threat
        if options.curvature is not Curvature.GLOBAL:
            return (
                "Balls and boxes rest on no curvature: there is nothing to "
                f"choose. Received: curvature={options.curvature.value!r}. "
                "Allowed: 'global'."
            )
        return None

    def first_radii(
        self, x: np.ndarray, y: np.ndarray, rivals: np.ndarray
    ) -> np.ndarray:
        """Returns what a search has found and float64 has proved."""
        return largest_radii(
            self._searching.margins,
            self._proving.margins,
            x,
            y,
            rivals,
            known=self._by_constants(x, y),
            enough=self.options.enough,
            too_little=self.options.too_little,
            rows=self._rows,
        )

    def _by_constants(self, x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
        """Returns what the balls prove alone, at the cost of the logits."""
        if not self.rules.ball:
            return None
        radii = self._constants.radii(x, y)
        if self.threat.norm == "linf":
            # The ball around a box is larger by the root of its dimension.
            root = numerics.round_up(math.sqrt(self.network.input_dim), 1)
            radii = numerics.round_down(radii / root, 1)
        return radii

    @functools.cached_property
    def _constants(self) -> LipschitzBounds:
        return LipschitzBounds(self.network.graph, self.network.rigor)

    def trace(self) -> None:
        """Proves the norms and compiles."""
        one = np.zeros((1, self.network.input_dim))
        for regions in (self._searching, self._proving):
            regions.margins(one, np.zeros(1, np.int32), np.zeros(1))

    @property
    def _rows(self) -> int:
        """Points at a time: memory grows with the values of all nodes."""
        size = sum(node.size for node in self.network.graph.nodes)
        return int(np.clip(2**23 // size, 16, 1024))

    @functools.cached_property
    def _searching(self) -> GraphRegions:
        return self._regions(proves=False)

    @functools.cached_property
    def _proving(self) -> GraphRegions:
        return self._regions(proves=True)

    def _regions(self, *, proves: bool) -> GraphRegions:
        return self._of_kind(self.regions, proves=proves)

    def _of_kind(self, kind: type[_Regions], *, proves: bool) -> _Regions:
        """Returns bounds of a class, of this network, threat and rigour."""
        return kind(
            self.network.graph,
            self.rules,
            self.threat.norm,
            self.threat.domain,
            rigor=self.network.rigor,
            proves=proves,
        )


class IntervalMethod(BoxConstraintMethod):
    """Proves radii by boxes alone: interval bound propagation [GDS18].

    The box behind the first linear map is that of the ball or box of inputs,
    exactly; from there on boxes are carried.

    [GDS18]: Gowal et al., "On the Effectiveness of Interval Bound Propagation
    for Training Verifiably Robust Models", 2018.
    """

    name = "ibp"
    grounds = (("boxes", "interval arithmetic, rounded outward"),)
    rules = Rules(ball=False)
