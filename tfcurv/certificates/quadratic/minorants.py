r"""Quadratic lower bounds on the margins of two-layer ReLU networks.

A margin f(x) = w . relu(z(x)) + b, z = x K + b_1, has no curvature bound, but
it has minorants that have one. In a ball around x0, or everywhere, z_i stays
in [l_i, u_i], and there, for any A_i >= 0 and B_i,

    relu(z) <= A_i z^2 + B_i z + C_i,
    C_i = max over [l_i, u_i] of relu(z) - A_i z^2 - B_i z,

a maximum of two concave parabolas, in closed form; and relu(z) >= B_i z for
B_i in [0, 1]. The first where w_i < 0 and the second where w_i > 0 give

    f >= q,   Hessian of q = -K diag(2 |w| A) K^T <= 0,

and whatever a curvature-based certificate proves about q holds for f. Nobody
needs to trust how A and B were found. With l = -inf, u = inf, A = 1 / (4 c),
B = 1/2 it is the parabola (z + c)^2 / (4 c), which touches both arms of relu.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfcurv import errors
from tfcurv import numerics
from tfcurv import solvers
from tfcurv.bounds.propagation.chain import ChainRegions
from tfcurv.networks.chain import Evaluation
from tfcurv.networks.chain import Network
from tfcurv.networks.functions.intervals import Interval
from tfcurv.networks.functions.kinked import RELU
from tfcurv.networks.rounding import EvaluationError
from tfcurv.solvers.threads import in_threads

_INFLATION = numerics.STEP_INFLATION
_UNDERFLOW = numerics.SUM_UNDERFLOW


def has_relu(network: Network) -> bool:
    """Returns whether some activation of the network is ReLU."""
    return any(fn is RELU for fn in network.activations)


def check_two_layer_relu(network: Network) -> None:
    """Refuses networks whose margins have no quadratic minorants.

    Raises:
        UnsupportedModelError: It is not Dense-ReLU-Dense, or has an execution.
    """
    if network.activations != (RELU,) or network.execution is not None:
        raise errors.UnsupportedModelError(
            "Only two-layer ReLU networks have quadratic minorants, and "
            "only about exact arithmetic. Received: activations="
            f"{[fn.name for fn in network.activations]}, execution="
            f"{network.execution!r}."
        )


class Quadratics(NamedTuple):
    """What bounds relu at each hidden unit, row by row; see the module.

    Attributes:
        curvature: `[batch, n]` A >= 0; read where the weight is negative.
        slope: `[batch, n]` B; taken into [0, 1] where it is positive.
    """

    curvature: np.ndarray
    slope: np.ndarray


class Minorant(NamedTuple):
    """A concave quadratic below a margin, at points c, row by row.

    Attributes:
        evaluation: Its value `[batch]` and gradient `[batch, dim]` at c.
        error: How far these may be from those of a true minorant.
        concavity: `[batch]` proved bounds a on minus its eigenvalues.
    """

    evaluation: Evaluation
    error: EvaluationError
    concavity: np.ndarray


def upper_constants(
    quadratics: Quadratics, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Returns C with relu(z) <= A z^2 + B z + C for z in [low, high].

    Args:
        quadratics: A >= 0 and B.
        low: `[batch, n]` left ends, perhaps minus infinity.
        high: `[batch, n]` right ends, perhaps infinity.

    Returns:
        `[batch, n]`, rounded up; infinite or NaN where there is none.
    """
    with np.errstate(all="ignore"):
        zero = np.zeros_like(low)
        left = _peak(quadratics, 0.0, low, np.minimum(high, zero))
        right = _peak(quadratics, 1.0, np.maximum(low, zero), high)
        left = np.where(low <= 0.0, left, -np.inf)
        right = np.where(high >= 0.0, right, -np.inf)
        known = (low <= high) & (low < np.inf) & (high > -np.inf)
        return np.where(known, np.maximum(left, right), np.inf)


def _peak(quadratics, arm, low, high) -> np.ndarray:
    """Bounds arm z - A z^2 - B z over [low, high] from above.

    The rounded vertex misses the true one by some roundoffs of itself, and
    so the peak by their square.
    """
    bend, lean = quadratics.curvature, arm - quadratics.slope
    # Halved last: 2 A may overflow.
    vertex = np.where(bend > 0.0, lean / bend / 2.0, np.sign(lean) * np.inf)
    # 0 / 0, and a line that is level: any point will do.
    vertex = np.where((lean == 0.0) & (bend >= 0.0), 0.0, vertex)
    at = np.clip(vertex, low, high)
    level = (lean == 0.0) & (bend == 0.0)
    linear = np.where(level, 0.0, lean * at)
    square = np.where(bend == 0.0, 0.0, bend * at * at)
    size = (
        square
        + np.abs(linear)
        + (arm + np.abs(lean)) * np.where(level, 0.0, np.abs(at))
    )
    vanished = _UNDERFLOW * (1.0 + np.abs(lean))
    return linear - square + numerics.gamma(32) * size + vanished


class ReluBounder:
    """Minorants of the margins of one two-layer ReLU network."""

    def __init__(self, network: Network):
        """Computes what all points share.

        Args:
            network: A network Dense-ReLU-Dense about exact arithmetic.

        Raises:
            UnsupportedModelError: It is not of this form.
        """
        check_two_layer_relu(network)
        self.network = network
        first = network.affines[0]
        self._gram = solvers.ScaledGram(first.kernel)
        self._regions = ChainRegions(network)
        # Kept transposed: a product with transpose_b takes much longer; and
        # TensorFlow's do not wait for threads that others keep busy.
        self._transposed = tf.constant(first.kernel.T)
        with np.errstate(all="ignore"):
            self._unit = float(np.max(np.abs(first.kernel), initial=0.0)) or 1.0
            scaled = (first.kernel.T / self._unit).astype(np.float32)
        self._scaled = tf.constant(scaled)

    def weights(self, y: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Returns w `[batch, n]` of the margins z_y - z_t."""
        columns = self.network.affines[-1].kernel.T
        return columns[y] - columns[t]

    def bias(self, y: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Returns b `[batch]` of the margins z_y - z_t."""
        bias = self.network.affines[-1].bias
        return bias[y] - bias[t]

    def pre_activations(self, x: np.ndarray) -> np.ndarray:
        """Returns z `[batch, n]` at the rows of x."""
        bias = self.network.affines[0].bias
        linear = self.network.affines[0].linear
        with np.errstate(all="ignore"):  # Not finite: certifies nothing.
            return linear.apply(tf.constant(x)).numpy() + bias

    def about_gradient_norms(self, outer: np.ndarray) -> np.ndarray:
        """Returns norms of d f / d x `[batch]`, roughly, for a search.

        Args:
            outer: `[batch, n]` d f / d z.
        """
        with np.errstate(all="ignore"):
            peak = np.max(np.abs(outer), axis=-1, keepdims=True, initial=0.0)
            peak = np.where(peak > 0.0, peak, 1.0)
            scaled = tf.constant((outer / peak).astype(np.float32))
            norms = tf.norm(tf.matmul(scaled, self._scaled), axis=-1)
            return norms.numpy() * peak[:, 0] * self._unit

    def _at(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns z `[batch, n]`, and a bound on its error `[batch, 1]`."""
        z, error = self._regions.centres(tf.constant(x)).pre_activations[0]
        return z.numpy(), error.numpy()[:, np.newaxis] * _INFLATION

    def ranges_around(self, x0: np.ndarray) -> Callable[[np.ndarray], Interval]:
        """Returns what gives for radii, perhaps infinite, the ranges of z.

        Args:
            x0: `[batch, dim]` centres.
        """
        centres = self._regions.centres(tf.constant(x0))

        def ranges(radius: np.ndarray) -> Interval:
            balls = tf.constant(radius, numerics.PROOF_DTYPE)
            (z,) = self._regions.pre_activations(centres, balls)
            return Interval(*(end.numpy() for end in z))

        return ranges

    def ranges(self, x0: np.ndarray, radius: np.ndarray) -> Interval:
        """Encloses z, `[batch, n]`, in the closed balls around x0.

        Args:
            x0: `[batch, dim]` centres.
            radius: `[batch]` radii, perhaps infinite.
        """
        return self.ranges_around(x0)(radius)

    def minorant(
        self,
        x0: np.ndarray,
        radius: np.ndarray,
        c: np.ndarray,
        y: np.ndarray,
        t: np.ndarray,
        quadratics: Quadratics,
    ) -> Minorant:
        """Returns quadratics q <= z_y - z_t on the balls around x0.

        w itself is known up to e_w. What is missing, at most e_w ||relu(z)||
        <= e_w (||z(c)|| + ||K|| ||x - c||), is part of the errors.

        Args:
            x0: `[batch, dim]` centres.
            radius: `[batch]` radii, perhaps infinite.
            c: `[batch, dim]` points to evaluate at.
            y: `[batch]` classes that are to stay.
            t: `[batch]` classes that they are compared with.
            quadratics: Any; bad ones make weak minorants.
        """
        with np.errstate(all="ignore"):  # Not finite: certifies nothing.
            w = self.weights(y, t)
            bend, lean = _admissible(quadratics, w)
            low, high = self.ranges(x0, radius)
            constant = upper_constants(Quadratics(bend, lean), low, high)
            constant = np.where(w < 0.0, constant, 0.0)
            z, error = self._at(c)
            value, value_error = self._value(
                w, y, t, bend, lean, constant, z, error
            )
            gradient, slope_error = self._gradient(w, bend, lean, z, error)
            missing = self._weight_error(w)
            reach = _norm(z) + error[:, 0]
            value_error += missing * reach
            slope_error += missing * self.network.norms[0]
            concavity = self._concavity(w, bend)
        found = EvaluationError(
            tf.constant(value_error * _INFLATION),
            tf.constant(slope_error * _INFLATION),
        )
        evaluation = Evaluation(tf.constant(value), tf.constant(gradient))
        return Minorant(evaluation, found, concavity)

    def _weight_error(self, w) -> np.ndarray:
        roundoff = numerics.unit_roundoff(w.dtype)
        last = self.network.affines[-1]
        return (roundoff * _norm(w) + 2.0 * last.kernel_error) * _INFLATION

    def _value(self, w, y, t, bend, lean, constant, z, error):
        """Returns q(c) and a bound on its error."""
        square, line = bend * z * z, lean * z
        value = np.sum(w * (square + line + constant), axis=-1)
        value += self.bias(y, t)
        last = self.network.affines[-1]
        bias = np.abs(last.bias[y]) + np.abs(last.bias[t])
        size = np.abs(w) * (square + np.abs(line) + np.abs(constant))
        terms = np.sum(size, axis=-1) + bias
        slope = np.abs(w) * (2.0 * bend * np.abs(z) + np.abs(lean))
        peak = np.max(np.abs(w) * bend, axis=-1, initial=0.0)
        error = error[:, 0]
        missed = _norm(slope) * error + peak * error * error
        missed += numerics.gamma(w.shape[-1] + 16) * terms
        missed += 2.0 * last.bias_error
        sizes = (1.0 + _norm(w)) * (1.0 + _norm(z)) * (1.0 + _norm(bend))
        return value, missed + _UNDERFLOW * sizes * w.shape[-1]

    def _gradient(self, w, bend, lean, z, error):
        """Returns grad q(c) and a bound on its error."""
        first = self.network.affines[0]
        outer = w * (2.0 * bend * z + lean)
        gradient = tf.matmul(tf.constant(outer), self._transposed).numpy()
        sizes = np.abs(w) * (2.0 * bend * np.abs(z) + np.abs(lean))
        peak = np.max(2.0 * np.abs(w) * bend, axis=-1, initial=0.0)
        missed = peak * error[:, 0] + numerics.gamma(8) * _norm(sizes)
        size, norm = _norm(sizes), self.network.norms[0]
        rounding = numerics.gamma(w.shape[-1] + 2)
        missed = norm * missed + first.kernel_error * size
        missed += rounding * self.network.frobenius_norms[0] * size
        scale = (1.0 + norm) * (1.0 + size) * w.shape[-1]
        return gradient, missed + _UNDERFLOW * scale

    def _concavity(self, w, bend) -> np.ndarray:
        """Bounds lambda_max(K diag(2 |w| A) K^T), row by row."""
        scales = numerics.round_up(np.sqrt(2.0 * np.abs(w) * bend), 4)
        # Where the products vanish, the roots are smaller than this.
        scales += np.where(bend > 0.0, numerics.NORM_FLOOR, 0.0)
        missed = self.network.affines[0].kernel_error

        def bound(scale: np.ndarray) -> float:
            norm = self._gram.scaled_norm_upper_bound(scale)
            norm += missed * float(np.max(scale, initial=0.0))
            return numerics.round_up(norm * norm, 4)

        return np.array(in_threads(bound, scales))


def _admissible(quadratics, w) -> tuple[np.ndarray, np.ndarray]:
    """Returns A, zero where w is not negative, and B, there in [0, 1]."""
    negative = w < 0.0
    bend = np.where(negative, quadratics.curvature, 0.0)
    # A negative A bounds nothing; NaN stays.
    bend = np.maximum(bend, 0.0)
    lean = np.where(
        negative, quadratics.slope, np.clip(quadratics.slope, 0.0, 1.0)
    )
    return bend, np.where(w == 0.0, 0.0, lean)


def _norm(x: np.ndarray) -> np.ndarray:
    return np.linalg.norm(x, axis=-1) * _INFLATION + numerics.NORM_FLOOR
