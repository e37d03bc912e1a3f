"""A feed-forward network as certificates see it: affine maps and activations.

    z_1 = x K_1 + b_1,  z_I = s_{I-1}(z_{I-1}) K_I + b_I,  logits = z_L.

Rows are samples, so kernels are `[inputs, outputs]` as in Keras, the
transposes of the papers' W. Read-only, float64 for proofs, with a float32
copy for search.
"""

from collections.abc import Sequence
import math
from typing import Any
from typing import NamedTuple

import tensorflow as tf

from tfcurv import numerics
from tfcurv import solvers
from tfcurv.bounds.activations import Activation
from tfcurv.bounds.affine import Affine
from tfcurv.bounds.execution import Execution


def _norm(affine: Affine, rigor: solvers.Rigor) -> float:
    """Bounds the spectral norm of the exact kernel."""
    stored = solvers.spectral_norm_upper_bound(affine.kernel, rigor)
    norm = numerics.round_up(stored + affine.kernel_error, 1)
    return norm if norm >= 0.0 else math.inf  # NaN, where fusing overflowed.


class Evaluation(NamedTuple):
    """The value and gradient of a margin f = z_y - z_t, row by row.

    Attributes:
        margin: `[batch]` f(x).
        gradient: `[batch, dim]` grad f(x).
    """

    margin: tf.Tensor
    gradient: tf.Tensor


class Network:
    """A chain of affine maps with an activation between each two.

    Attributes:
        affines: The L affine maps.
        activations: The L - 1 activations between them.
        norms: Proved upper bounds on the spectral norm of each exact kernel.
        frobenius_norms: Proved upper bounds on each kernel's Frobenius norm.
        rigor: How norms and eigenvalues are bounded.
        execution: How the network is executed, where certificates are to
            hold for that too; None where they are about exact arithmetic.
    """

    def __init__(
        self,
        affines: Sequence[Affine],
        activations: Sequence[Activation],
        *,
        rigor: solvers.Rigor = solvers.Rigor.VERIFIED,
        execution: Execution | None = None,
    ):
        """Checks that the maps fit together.

        Args:
            affines: At least one map, each fed by the one before.
            activations: One fewer than `affines`.
            rigor: How norms and eigenvalues are bounded.
            execution: Rounding to certify against.

        Raises:
            ValueError: The shapes do not match, or there is no map.
        """
        self.affines = tuple(affines)
        self.activations = tuple(activations)
        if not affines or len(activations) != len(affines) - 1:
            raise ValueError(
                "A network needs one activation fewer than affine maps. "
                f"Received: {len(affines)} maps, {len(activations)} "
                "activations."
            )
        for before, after in zip(self.affines, self.affines[1:]):
            if before.kernel.shape[1] != after.kernel.shape[0]:
                raise ValueError(
                    "Each affine map must take what the one before gives. "
                    f"Received: kernels of shape {before.kernel.shape} and "
                    f"{after.kernel.shape}."
                )
        self.rigor = rigor
        self.execution = execution
        self.norms = tuple(_norm(a, rigor) for a in self.affines)
        self.frobenius_norms = tuple(
            solvers.frobenius_norm_upper_bound(a.kernel) for a in self.affines
        )
        # Biases are kept negated: x K - (-b) is the same number as x K + b,
        # and for that sum in float64 TensorFlow's graph optimizer warns, at
        # every trace, that it cannot fuse it.
        self._tensors = {
            dtype: (
                tuple(tf.constant(a.kernel, dtype) for a in self.affines),
                tuple(tf.constant(-a.bias, dtype) for a in self.affines),
                tf.constant(self.affines[-1].kernel.T, dtype),
            )
            for dtype in (numerics.PROOF_DTYPE, numerics.SEARCH_DTYPE)
        }

    @property
    def input_dim(self) -> int:
        """The number of inputs."""
        return self.affines[0].kernel.shape[0]

    @property
    def num_classes(self) -> int:
        """The number of logits."""
        return self.affines[-1].kernel.shape[1]

    @property
    def num_layers(self) -> int:
        """L, the number of affine maps."""
        return len(self.affines)

    def kernels(self, dtype: Any) -> tuple[tf.Tensor, ...]:
        """Returns the kernels as tensors of a dtype."""
        return self._tensors[tf.as_dtype(dtype)][0]

    def pre_activations(self, x: tf.Tensor) -> list[tf.Tensor]:
        """Returns z_1, ..., z_{L-1} at the rows of x, in x's dtype."""
        kernels, negated, _ = self._tensors[x.dtype]
        found = []
        for kernel, bias, fn in zip(kernels, negated, self.activations):
            found.append(x @ kernel - bias)
            x = fn.value(found[-1])
        return found

    def features(self, x: tf.Tensor, z: list[tf.Tensor]) -> tf.Tensor:
        """Returns what the last affine map is applied to."""
        return self.activations[-1].value(z[-1]) if z else x

    def logits(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the logits `[batch, classes]` at the rows of x."""
        return self.last_logits(x, self.pre_activations(x))

    def last_logits(self, x: tf.Tensor, z: list[tf.Tensor]) -> tf.Tensor:
        """Returns the logits, given the pre-activations."""
        kernels, negated, _ = self._tensors[x.dtype]
        return self.features(x, z) @ kernels[-1] - negated[-1]

    def pair(
        self, y: tf.Tensor, t: tf.Tensor, dtype: Any
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the weights `[batch, n]` and biases `[batch]` of z_y - z_t.

        Args:
            y: `[batch]` int32 class that is to stay.
            t: `[batch]` int32 class that it is compared with.
            dtype: float32 or float64.
        """
        _, negated, columns = self._tensors[tf.as_dtype(dtype)]
        weights = tf.gather(columns, y) - tf.gather(columns, t)
        return weights, tf.gather(negated[-1], t) - tf.gather(negated[-1], y)

    def margin_gradient(
        self, z: list[tf.Tensor], weights: tf.Tensor
    ) -> tf.Tensor:
        """Returns the gradient in x of weights . a_{L-1}, by rows.

        Args:
            z: The pre-activations at x.
            weights: `[batch, n]` weights on the last features.
        """
        return self.backward(z, weights)[-1]

    def backward(
        self, z: list[tf.Tensor], weights: tf.Tensor
    ) -> list[tf.Tensor]:
        """Returns d f / d a_I for I = L-1, ..., 0, where a_0 = x."""
        kernels = self.kernels(weights.dtype)
        found = [weights]
        for kernel, fn, value in zip(
            kernels[-2::-1], self.activations[::-1], z[::-1]
        ):
            factors = fn.slope(value) * found[-1]
            found.append(tf.matmul(factors, kernel, transpose_b=True))
        return found

    def evaluate(
        self, x: tf.Tensor, weights: tf.Tensor, bias: tf.Tensor
    ) -> Evaluation:
        """Returns f and grad f for f(x) = weights . a_{L-1}(x) + bias.

        Args:
            x: `[batch, dim]` points, float32 or float64.
            weights: `[batch, n]` as given by `pair`.
            bias: `[batch]` as given by `pair`.
        """
        z = self.pre_activations(x)
        margin = tf.reduce_sum(self.features(x, z) * weights, axis=-1) + bias
        return Evaluation(margin, self.margin_gradient(z, weights))
