"""The curvature method: radii from bounds on the Hessian of each margin.

The closed form at a point gives a radius against every class, by Taylor's
theorem; a search finds the points at which the same formula proves more; bounds
on the curvature in a ball prove more still, see `local`.

[SF20]: Singla and Feizi, "Second-Order Provable Defenses against Adversarial
Attacks", ICML 2020, Theorem 1.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import math

import numpy as np
import tensorflow as tf

from tfcurv import errors
from tfcurv import networks
from tfcurv.certificates.attacks.boundary import rival
from tfcurv.certificates.curvature.lazy_table import LazyTable
from tfcurv.certificates.curvature.lazy_table import is_slow
from tfcurv.certificates.curvature.near_each_image import LocalStage
from tfcurv.certificates.curvature.pair_stages import LazyStage
from tfcurv.certificates.curvature.pair_stages import SearchStage
from tfcurv.certificates.curvature.pair_table import CurvatureTable
from tfcurv.certificates.curvature.pair_table import GivenTable
from tfcurv.certificates.curvature.proofs import (
    CurvatureProofs as CurvatureProofs,
)
from tfcurv.certificates.deciding.contract import (
    EXACTNESS_TOLERANCE as EXACTNESS_TOLERANCE,
)
from tfcurv.certificates.deciding.contract import Certificates as Certificates
from tfcurv.certificates.deciding.contract import (
    CertifierOptions as CertifierOptions,
)
from tfcurv.certificates.deciding.contract import Cost
from tfcurv.certificates.deciding.contract import Curvature
from tfcurv.certificates.deciding.contract import Method
from tfcurv.certificates.deciding.contract import Reason as Reason
from tfcurv.certificates.deciding.contract import Stage
from tfcurv.certificates.deciding.contract import Targets as Targets
from tfcurv.certificates.deciding.contract import Threat
from tfcurv.certificates.deciding.decider import Decider
from tfcurv.certificates.margins.search import search_problem as search_problem

# The float32 search and the float64 proof differ by less than this, relative;
# where not, a decision is lost and nothing else.
_SEARCH_ERROR = 1e-4

_GLOBAL_BOUND, _LOCAL_BOUND = "curvature bound", "local curvature bound"


class CurvatureMethod(Method):
    """Proves radii by bounds on the curvature of the margins [SF20]."""

    name = "curvature"
    cost = Cost.PASSES
    grounds = (
        ("ranges of s' and s''", "closed forms, rounded outward"),
        ("kernels of exp, tanh, erf", "tested against 30 digits"),
    )
    work = (_GLOBAL_BOUND, _LOCAL_BOUND)

    def __init__(
        self,
        network: networks.Network,
        options: CertifierOptions = CertifierOptions(),
        table: CurvatureTable | GivenTable | None = None,
    ):
        """Prepares; nothing is traced and no curvature bounded yet.

        Args:
            network: The network.
            options: What is asked; its `curvature` says of which bounds.
            table: The bounds of pairs of classes. Default: proved as they
                are needed.
        """
        super().__init__(network, options)
        self._table = table or self._new_table()
        self._proofs = CurvatureProofs(network, options)
        self._lazy: list[LazyStage] = []
        self._stages = self._first_stages()

    def _new_table(self) -> CurvatureTable | LazyTable:
        kind = LazyTable if is_slow(self.network) else CurvatureTable
        return kind(self.network, lambda: self.on_work(_GLOBAL_BOUND, 1))

    def _first_stages(self) -> list[Stage]:
        network, options = self.network, self.options
        found: list[Stage] = []
        if options.search is not None:
            # An execution takes a price that the search does not know.
            is_exact = network.execution is None
            overshoot = _SEARCH_ERROR if is_exact else math.inf
            found.append(SearchStage(self._proofs, self._table, overshoot))
        if isinstance(self._table, LazyTable):
            self._lazy = [
                LazyStage(self._table, stage, self._proofs)
                for stage in (None, *found)
            ]
            found = [*self._lazy]
        # Without activations nothing is curved.
        if options.curvature is not Curvature.GLOBAL and network.activations:
            found.append(self._near_each_image(options.curvature))
        return found

    def _near_each_image(self, curvature: Curvature) -> LocalStage:
        return LocalStage(
            self.network,
            dataclasses.replace(self.options, curvature=curvature),
            self._table,
            lambda count: self.on_work(_LOCAL_BOUND, count),
        )

    @classmethod
    def refusal(
        cls,
        network: networks.Network,
        threat: Threat,
        options: CertifierOptions,
    ) -> str | None:
        """Returns why not: another threat, or an unbounded curvature."""
        if threat != Threat():
            return (
                "Bounds on the curvature give l2 balls, of all inputs. "
                f"Received: threat={threat}. Allowed: threat={Threat()}."
            )
        try:
            for fn in network.activations:
                fn.curvature_range  # noqa: B018  Raises where there is none.
        except errors.UnsupportedActivationError as error:
            return str(error)
        large = _unwritten(network)
        if large is not None and options.curvature is not Curvature.GLOBAL:
            return (
                "Bounds around each image need every map but the last as a "
                f"matrix. Received: one of {large.inputs} x {large.outputs}, "
                f"curvature={options.curvature.value!r}. Allowed: "
                f"{networks.MAX_WRITTEN} weights, or curvature='global'."
            )
        return None

    @property
    def curvature(self) -> str:
        """Where the bounds hold: "global", "local" or "auto"."""
        return self.options.curvature.value

    def first_radii(
        self, x: np.ndarray, y: np.ndarray, rivals: np.ndarray
    ) -> np.ndarray:
        """Returns the radii of the closed form at x, for all classes."""
        runners_up = y
        if not self._table.covers_all_pairs:
            logits = self.network.logits(tf.constant(x))
            runners_up = rival(logits, y).numpy()
        return self._proofs.first(x, y, self._table.bounds(y, runners_up)[y])

    def stages(self) -> Sequence[Stage]:
        """Returns the search, and bounds around each point, as asked."""
        return self._stages

    def precede(self) -> None:
        """Leaves what is hopeless to the others, where bounds take long."""
        for stage in self._lazy:
            stage.leaves = True

    def closing_stages(self) -> Sequence[Stage]:
        """Returns bounds around each point, of a deep network.

        In balls that other methods have proved, or nearly: there they are good
        where those for all inputs are hopeless.
        """
        return self._closing

    @functools.cached_property
    def _closing(self) -> Sequence[Stage]:
        network = self.network
        is_given = self.options.curvature is not Curvature.GLOBAL
        if is_given or len(network.activations) < 2 or is_slow(network):
            return ()
        if _unwritten(network) is not None:
            return ()
        stage = self._near_each_image(Curvature.AUTO)
        stage.skips_closed = True
        return (stage,)

    def trace(self) -> None:
        """Traces the compiled functions, which the first calls do otherwise."""
        self._proofs.trace()

    @property
    def num_shared(self) -> int:
        """The number of pairs of classes with a bound of their own."""
        return self._table.num_known

    def shared(self) -> dict[str, np.ndarray]:
        """Returns the bounds of pairs of classes."""
        return self._table.arrays()

    def share(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Takes bounds of pairs of classes."""
        self._table.take(arrays)


def _unwritten(network: networks.Network) -> networks.LinearMap | None:
    """Returns a map that is too large to be written down as a matrix."""
    for affine in network.affines[:-1]:
        if not affine.is_written:
            return affine.linear
    return None


class Certifier:
    """Certifies batches of points of one network, by given curvatures.

    Compiled once an instance, for every batch size.
    """

    def __init__(
        self,
        network: networks.Network,
        options: CertifierOptions = CertifierOptions(),
    ):
        """Builds the compiled functions; nothing is traced yet.

        Args:
            network: The network to certify.
            options: What to do beyond the closed form.

        Raises:
            UnsupportedModelError: The network has a single logit.
        """
        self._table = GivenTable()
        self._decide = Decider(CurvatureMethod(network, options, self._table))

    def trace(self) -> None:
        """Traces the compiled functions, which the first call does otherwise.

        It may be called in another thread while the data are being read.
        """
        self._decide.trace()

    def __call__(
        self, x: np.ndarray, y: np.ndarray, curvature: np.ndarray
    ) -> Certificates:
        """Certifies the rows of x.

        Args:
            x: `[batch, dim]` float64 points, taken as exact.
            y: `[batch]` int32 labels, in range.
            curvature: `[classes, classes]` proved |m(y, t)|.
        """
        self._table.values = np.asarray(curvature, np.float64)
        return self._decide(np.asarray(x, np.float64), np.asarray(y, np.int32))
