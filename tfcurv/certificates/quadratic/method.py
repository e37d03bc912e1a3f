"""Certificates of two-layer ReLU networks, by quadratic minorants.

Any minorant q <= f with a bounded curvature carries the curvature-based
certificate: the radius in which q stays positive, from one evaluation of q,
in closed form. For every class a linear minorant in a ball gives a first
radius; then the class with the smallest gets a minorant that a search has
made for it, until the smallest is one that has been searched.
"""

from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfcurv import errors
from tfcurv import networks
from tfcurv import solvers
from tfcurv.certificates.deciding.contract import Certificates
from tfcurv.certificates.deciding.contract import CertifierOptions
from tfcurv.certificates.deciding.contract import Cost
from tfcurv.certificates.deciding.contract import Curvature
from tfcurv.certificates.deciding.contract import Method
from tfcurv.certificates.deciding.contract import Pairs
from tfcurv.certificates.deciding.contract import Raised
from tfcurv.certificates.deciding.contract import Stage
from tfcurv.certificates.deciding.contract import Threat
from tfcurv.certificates.deciding.decider import Decider
from tfcurv.certificates.margins.safe_ball import safe_ball_radius_bound
from tfcurv.certificates.quadratic import crown_ada as relu_linear
from tfcurv.certificates.quadratic import search as relu_search
from tfcurv.certificates.quadratic import units as relu_units
from tfcurv.certificates.quadratic.minorants import Quadratics
from tfcurv.certificates.quadratic.minorants import ReluBounder
from tfcurv.certificates.quadratic.minorants import check_two_layer_relu

#: What a result says of its curvature bounds.
RELU_CURVATURE = "relu quadratic"

# A search may stop this far, relative, beyond what is asked: its numbers are
# float32, and the proof takes a little.
_BEYOND = 1.0 + 1e-3


class ReluProver:
    """Proves radii around points of one two-layer ReLU network."""

    def __init__(
        self,
        network: networks.Network,
        options: relu_search.ReluSearchOptions | None = None,
    ):
        """Computes what all points share.

        Args:
            network: Dense-ReLU-Dense, about exact arithmetic.
            options: How hard to search. Default: as hard as pays.

        Raises:
            UnsupportedModelError: It is not of this form.
        """
        self.bounder = ReluBounder(network)
        kernel = network.affines[0].kernel
        with np.errstate(all="ignore"):
            norms = np.linalg.norm(kernel, axis=0)
            self._unit = float(np.max(norms, initial=0.0))
            scaled = kernel / (self._unit or 1.0)
            gram = (scaled.T @ scaled).astype(np.float32)
        # In float32: the search needs no more and takes half of the time.
        self._search = relu_search.ReluSearch(
            tf.constant(gram),
            options or relu_search.ReluSearchOptions(),
        )

    def prove(
        self,
        x0: np.ndarray,
        radius: np.ndarray,
        c: np.ndarray,
        y: np.ndarray,
        t: np.ndarray,
        quadratics: Quadratics,
    ) -> np.ndarray:
        """Returns radii `[batch]` around x0 in which z_y > z_t, proved.

        Args:
            x0: `[batch, dim]` float64 points.
            radius: `[batch]` balls in which the quadratics are used.
            c: `[batch, dim]` points at which the minorant is evaluated.
            y: `[batch]` classes that are to stay.
            t: `[batch]` classes that they are compared with.
            quadratics: What bounds relu at each unit.
        """
        found = self.bounder.minorant(x0, radius, c, y, t, quadratics)
        proved = safe_ball_radius_bound(
            found.evaluation,
            found.error,
            None if c is x0 else tf.constant(x0 - c),
            tf.constant(found.concavity),
        )
        return np.minimum(proved.numpy(), radius)

    def linear(
        self, x0: np.ndarray, y: np.ndarray, t: np.ndarray
    ) -> np.ndarray:
        """Returns the radii `[batch]` of the linear bounds, proved.

        Args:
            x0: `[batch, dim]` float64 points.
            y: `[batch]` classes that are to stay.
            t: `[batch]` classes that they are compared with.
        """
        radius = relu_linear.linear_radii(self.bounder, x0, y, t)
        low, high = self.bounder.ranges(x0, radius)
        lines = relu_linear.chords(self.bounder.weights(y, t), low, high)
        return self.prove(x0, radius, x0, y, t, lines)

    def search(
        self,
        x0: np.ndarray,
        y: np.ndarray,
        t: np.ndarray,
        known: np.ndarray,
        limit: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns radii, the points that prove them, and the steps spent.

        Args:
            x0: `[batch, dim]` float64 points.
            y: `[batch]` classes that are to stay.
            t: `[batch]` classes that they are compared with.
            known: `[batch]` positive radii that are proved already.
            limit: `[batch]` radii beyond which nothing is asked.
        """
        weights, bias = self.bounder.weights(y, t), self.bounder.bias(y, t)
        z = self.bounder.pre_activations(x0)
        found = solvers.in_threads(self._find, z, weights, bias, known, limit)
        kernel = self.bounder.network.affines[0].kernel
        centre = x0 + np.array([each.direction for each in found]) @ kernel.T
        quadratics = Quadratics(
            np.array([each.curvature for each in found]),
            np.array([each.slope for each in found]),
        )
        balls = np.array([each.ball for each in found])
        proved = self.prove(x0, balls, centre, y, t, quadratics)
        steps = np.array([float(each.num_steps) for each in found])
        return proved, centre, steps

    def _find(self, z, weights, bias, known, limit) -> relu_search.ReluFound:
        """Searches in units of its own: see `relu_search.ReluSearch`."""
        unit = self._unit * known
        with np.errstate(all="ignore"):
            margin = weights @ np.maximum(z, 0.0) + bias
            parts = z / unit, weights * unit / margin, bias / margin
        found = None
        if all(np.all(np.isfinite(part)) for part in parts):
            # Searching on a GPU would wait for each of many small steps.
            with tf.device("CPU:0"):
                problem = relu_units.Margin(*map(tf.constant, parts))
                found = self._search(problem, float(_BEYOND * limit / known))
        if found is None:
            nothing = np.zeros_like(z)
            return relu_search.ReluFound(nothing, nothing, nothing, 0.0, 0.0, 0)
        return found._replace(
            curvature=found.curvature.numpy() / unit,
            slope=found.slope.numpy(),
            direction=found.direction.numpy() * (known / self._unit),
            ball=found.ball * known,
            radius=found.radius * known,
        )


class _SearchStage(Stage):
    """The search for quadratic minorants."""

    cost = Cost.FACTORISATIONS

    def __init__(self, prover: ReluProver):
        self._prover = prover

    def __call__(self, pairs: Pairs) -> Raised:
        radius, centre, steps = self._prover.search(*pairs)
        return Raised(radius, steps, centre)


class QuadraticMethod(Method):
    """Proves radii by quadratic minorants of two-layer ReLU margins."""

    name = "quadratic"
    cost = Cost.PASSES
    grounds = (("ranges of relu", "closed forms, rounded outward"),)

    def __init__(
        self,
        network: networks.Network,
        options: CertifierOptions = CertifierOptions(),
        search: relu_search.ReluSearchOptions | None = None,
    ):
        """Computes what all points share.

        Args:
            network: Dense-ReLU-Dense, about exact arithmetic.
            options: What is asked; without a search, only the linear bounds
                are used.
            search: How hard to search. Default: as hard as pays.

        Raises:
            UnsupportedModelError: The network is not of this form.
        """
        super().__init__(network, options)
        self._prover = ReluProver(network, search)
        self._stages: list[Stage] = []
        if options.search is not None:
            self._stages.append(_SearchStage(self._prover))

    @classmethod
    def refusal(
        cls,
        network: networks.Network,
        threat: Threat,
        options: CertifierOptions,
    ) -> str | None:
        """Returns why not: the threat, the form, or a choice not to be had."""
        if threat != Threat():
            return (
                "Concave quadratics give l2 balls, of all inputs. "
                f"Received: threat={threat}. Allowed: threat={Threat()}."
            )
        try:
            check_two_layer_relu(network)
        except errors.UnsupportedModelError as error:
            return str(error)
        scope, rigor = options.curvature.value, network.rigor.value
        if options.curvature is not Curvature.GLOBAL:
            return (
                "Networks with ReLU are bounded by quadratics, everywhere and "
                "around each image: there is nothing to choose. "
                f"Received: curvature={scope!r}. Allowed: 'global'."
            )
        if rigor != "verified":
            return (
                "Networks with ReLU are certified by verified norms alone. "
                f"Received: rigor={rigor!r}. Allowed: 'verified'."
            )
        return None

    @property
    def curvature(self) -> str:
        """What a result says of the bounds on the curvature."""
        return RELU_CURVATURE

    def first_radii(
        self, x: np.ndarray, y: np.ndarray, rivals: np.ndarray
    ) -> np.ndarray:
        """Returns the radii of the linear bounds, zero where not asked for."""
        radii, each = np.zeros(rivals.shape), np.arange(len(y))
        # One class after another: memory does not grow with their number.
        for t in _columns(rivals, y):
            radii[each, t] = self._prover.linear(x, y, t)
        return radii

    def stages(self) -> Sequence[Stage]:
        """Returns the search, as asked."""
        return self._stages


def _columns(rivals: np.ndarray, y: np.ndarray) -> Iterator[np.ndarray]:
    """Yields the rivals of all rows, one of each at a time.

    A row that has fewer than another ends with classes that are none.
    """
    count = rivals.shape[-1]
    classes = (y[:, np.newaxis] + np.arange(1, count)) % count
    is_rival = np.take_along_axis(rivals, classes, axis=-1)
    order = np.argsort(~is_rival, axis=-1, kind="stable")
    classes = np.take_along_axis(classes, order, axis=-1).astype(np.int32)
    most = np.max(np.sum(is_rival, axis=-1), initial=0)
    yield from classes[:, :most].T


class ReluCertifier:
    """Certifies batches of points of one two-layer ReLU network."""

    def __init__(
        self,
        network: networks.Network,
        options: CertifierOptions = CertifierOptions(),
        search: relu_search.ReluSearchOptions | None = None,
    ):
        """Prepares; the attack is traced by the first call.

        Args:
            network: Dense-ReLU-Dense, about exact arithmetic.
            options: As the certifier's; without a search, only the linear
                bounds are used.
            search: How hard to search. Default: as hard as pays.

        Raises:
            UnsupportedModelError: The network is not of this form, or has a
                single logit.
        """
        self._decide = Decider(QuadraticMethod(network, options, search))

    def trace(self) -> None:
        """Traces the compiled attack, which the first call does otherwise."""
        self._decide.trace()

    def __call__(self, x: np.ndarray, y: np.ndarray) -> Certificates:
        """Certifies the rows of x.

        Args:
            x: `[batch, dim]` float64 points, taken as exact.
            y: `[batch]` int32 labels, in range.
        """
        return self._decide(x, y)
