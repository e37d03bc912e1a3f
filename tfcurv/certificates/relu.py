"""Certificates of two-layer ReLU networks, by quadratic minorants.

Any minorant q <= f with a bounded curvature carries the curvature-based
certificate: the radius in which q stays positive, from one evaluation of q,
in closed form. For every class a linear minorant in a ball gives a first
radius; then the class with the smallest gets a minorant that a search has
made for it, until the smallest is one that has been searched.
"""

import numpy as np
import tensorflow as tf

from tfcurv import bounds
from tfcurv import errors
from tfcurv import numerics
from tfcurv.certificates import adversary
from tfcurv.certificates import relu_linear
from tfcurv.certificates import relu_search
from tfcurv.certificates import relu_units
from tfcurv.certificates.certifier import EXACTNESS_TOLERANCE
from tfcurv.certificates.certifier import Certificates
from tfcurv.certificates.certifier import CertifierOptions
from tfcurv.certificates.certifier import Reason
from tfcurv.certificates.certifier import Targets
from tfcurv.certificates.certifier import search_problem
from tfcurv.certificates.safe_ball import safe_ball_radius_bound

#: What a result says of its curvature bounds.
RELU_CURVATURE = "relu quadratic"

# A margin has the errors of two logits; a proof can need more of them.
_SURE, _PROVABLE = 2.0, 10.0

# A search may stop this far, relative, beyond what is asked: its numbers are
# float32, and the proof takes a little.
_BEYOND = 1.0 + 1e-3


class ReluProver:
    """Proves radii around points of one two-layer ReLU network."""

    def __init__(
        self,
        network: bounds.Network,
        options: relu_search.ReluSearchOptions | None = None,
    ):
        """Computes what all points share.

        Args:
            network: Dense-ReLU-Dense, about exact arithmetic.
            options: How hard to search. Default: as hard as pays.

        Raises:
            UnsupportedModelError: It is not of this form.
        """
        self.bounder = bounds.ReluBounder(network)
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
        quadratics: bounds.Quadratics,
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
        found = bounds.in_threads(self._find, z, weights, bias, known, limit)
        kernel = self.bounder.network.affines[0].kernel
        centre = x0 + np.array([each.direction for each in found]) @ kernel.T
        quadratics = bounds.Quadratics(
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


class ReluCertifier:
    """Certifies batches of points of one two-layer ReLU network."""

    def __init__(
        self,
        network: bounds.Network,
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
        if network.num_classes < 2:
            raise errors.UnsupportedModelError(
                "A network with a single logit has no second class to certify "
                f"against. Received: num_classes={network.num_classes}. "
                "Remedy: Dense(2) in place of Dense(1)."
            )
        self._network = network
        self._options = options
        self._prover = ReluProver(network, search)
        points = tf.TensorSpec([None, network.input_dim], numerics.PROOF_DTYPE)
        classes = tf.TensorSpec([None], tf.int32)
        self._attack = tf.function(
            self._attack_batch,
            input_signature=[points, classes, classes, points],
            autograph=False,
        )

    def trace(self) -> None:
        """Traces the compiled attack, which the first call does otherwise."""
        self._attack.get_concrete_function()

    def __call__(self, x: np.ndarray, y: np.ndarray) -> Certificates:
        """Certifies the rows of x; the arrays are NumPy's.

        Args:
            x: `[batch, dim]` float64 points, taken as exact.
            y: `[batch]` int32 labels, in range.
        """
        finite = np.all(np.isfinite(x), axis=-1)
        x = np.where(finite[:, np.newaxis], x, 0.0)
        logits, error = self._logits(x)
        finite &= np.all(np.isfinite(logits), axis=-1)
        prediction = np.argmax(logits, axis=-1).astype(np.int32)
        radii = self._first_radii(x, y, logits)
        certified = finite & (prediction == y) & np.all(radii > 0.0, axis=-1)
        upper_bound = np.full(len(y), np.inf)
        target = np.argmin(radii, axis=-1).astype(np.int32)
        self._meet(x, y, target, x, certified, upper_bound)
        centre, spent = x.copy(), np.zeros(len(y))
        if self._options.search is not None:
            pending = certified & (upper_bound > self._options.too_little)
            self._raise(x, y, radii, pending, upper_bound, centre, spent)
        target = np.argmin(radii, axis=-1).astype(np.int32)
        self._meet(x, y, target, centre, certified, upper_bound)
        radius = np.where(certified, np.min(radii, axis=-1), 0.0)
        reason = _reasons(logits, error, y, prediction, finite, certified)
        upper_bound[reason == Reason.MISCLASSIFIED] = 0.0
        with np.errstate(invalid="ignore"):
            exact = upper_bound - radius <= EXACTNESS_TOLERANCE * radius
        return Certificates(
            prediction=np.where(finite, prediction, np.int32(-1)),
            radius=radius,
            target=np.where(finite & (prediction != y), prediction, target),
            upper_bound=upper_bound,
            exact=certified & exact,
            reason=reason,
            num_evaluations=spent,
            radii=radii,
        )

    def _logits(self, x) -> tuple[np.ndarray, np.ndarray]:
        forward = self._network.forward(tf.constant(x))
        logits = self._network.logits_of(forward).numpy()
        return logits, bounds.logit_error(self._network, forward).numpy()

    def _first_radii(self, x, y, logits) -> np.ndarray:
        """Returns `[batch, classes]` radii, infinite for what is left out."""
        each = np.arange(len(y))
        radii = np.full(logits.shape, np.inf)
        if self._options.targets is Targets.RUNNER_UP:
            others = tf.constant(np.nan_to_num(logits)), tf.constant(y)
            t = adversary.rival(*others).numpy()
            radii[each, t] = self._prover.linear(x, y, t)
            return radii
        # One class after another: memory does not grow with their number.
        for shift in range(1, logits.shape[-1]):
            t = (y + shift) % logits.shape[-1]
            radii[each, t] = self._prover.linear(x, y, t)
        return radii

    def _raise(self, x, y, radii, pending, upper_bound, centre, spent) -> None:
        """Raises the radii of the classes that may decide, best first."""
        each, enough = np.arange(len(y)), self._options.enough
        tried = np.isinf(radii)
        while True:
            target = np.argmin(radii, axis=-1)
            least = radii[each, target]
            rows = np.flatnonzero(
                pending & ~tried[each, target] & (least <= enough)
            )
            if not rows.size:
                return
            # Beyond a class that was tried nothing is decided.
            smallest = np.where(tried, radii, np.inf).min(axis=-1)[rows]
            limit = np.minimum(smallest, np.minimum(upper_bound[rows], enough))
            t = target[rows].astype(np.int32)
            proved, points, steps = self._prover.search(
                x[rows], y[rows], t, least[rows], limit
            )
            radii[rows, t] = np.maximum(least[rows], proved)
            tried[rows, t] = True
            spent[rows] += steps
            decides = proved < smallest
            centre[rows[decides]] = points[decides]

    def _meet(self, x, y, target, start, certified, upper_bound) -> None:
        """Lowers the upper bounds to adversarial examples really found."""
        rows = np.flatnonzero(certified)
        if rows.size:
            columns = (x, y, target, start)
            found = self._attack(*(tf.constant(part[rows]) for part in columns))
            upper_bound[rows] = np.minimum(upper_bound[rows], found.numpy())

    def _attack_batch(self, x, y, t, start) -> tf.Tensor:
        network = self._network
        nothing = tf.zeros_like(x[:, 0])
        problem = search_problem(network, x, y, t, nothing, nothing)
        start = tf.cast(start, numerics.SEARCH_DTYPE)
        point = adversary.approach_boundary(
            network, problem, start, self._options.attack_steps
        )
        return adversary.cross_boundary(network, x, y, point).distance


def _reasons(logits, error, y, prediction, finite, certified) -> np.ndarray:
    margin = adversary.least_margin(tf.constant(logits), tf.constant(y)).numpy()
    wrong = (prediction != y) & (margin < -_SURE * error)
    tied = np.abs(margin) <= _PROVABLE * error
    # A correct point that could not be certified is tied within rounding,
    # or one of its bounds overflowed.
    reason = np.where(tied, Reason.TIED, Reason.NON_FINITE)
    reason = np.where(wrong, Reason.MISCLASSIFIED, reason)
    reason = np.where(certified, Reason.CERTIFIED, reason)
    return np.where(finite, reason, Reason.NON_FINITE).astype(np.int32)
