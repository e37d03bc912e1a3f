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


class ForwardPass(NamedTuple):
    """What a forward pass computes, row by row.

    Attributes:
        values: a_0 = x, a_1, ..., a_{L-1}, what each affine map is applied to.
        pre_activations: z_1, ..., z_{L-1}.
        slopes: s'(z_1), ..., s'(z_{L-1}).
    """

    values: list[tf.Tensor]
    pre_activations: list[tf.Tensor]
    slopes: list[tf.Tensor]

    @property
    def features(self) -> tf.Tensor:
        """a_{L-1}, what the last affine map is applied to."""
        return self.values[-1]


class _Tensors(NamedTuple):
    """What the passes through a network read, in one dtype."""

    kernels: tuple[tf.Tensor, ...]
    transposed: tuple[tf.Tensor, ...]
    negated_biases: tuple[tf.Tensor, ...]


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
        # Kernels are kept transposed, too: on a CPU TensorFlow's product with
        # transpose_b is up to five times slower, the more the fewer the rows.
        self._tensors = {
            dtype: _Tensors(
                tuple(tf.constant(a.kernel, dtype) for a in self.affines),
                tuple(tf.constant(a.kernel.T, dtype) for a in self.affines),
                tuple(tf.constant(-a.bias, dtype) for a in self.affines),
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
        return self._tensors[tf.as_dtype(dtype)].kernels

    def forward(self, x: tf.Tensor) -> ForwardPass:
        """Returns the pass through all but the last map, in x's dtype."""
        kernels, _, negated = self._tensors[x.dtype]
        passed = ForwardPass([x], [], [])
        for kernel, bias, fn in zip(kernels, negated, self.activations):
            z = passed.features @ kernel - bias
            passed.pre_activations.append(z)
            passed.slopes.append(fn.slope(z))
            passed.values.append(fn.value(z))
        return passed

    def logits(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the logits `[batch, classes]` at the rows of x."""
        return self.logits_of(self.forward(x))

    def logits_of(self, forward: ForwardPass) -> tf.Tensor:
        """Returns the logits that a forward pass leads to."""
        kernels, _, negated = self._tensors[forward.features.dtype]
        return forward.features @ kernels[-1] - negated[-1]

    def pair(
        self, y: tf.Tensor, t: tf.Tensor, dtype: Any
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the weights `[batch, n]` and biases `[batch]` of z_y - z_t.

        Args:
            y: `[batch]` int32 class that is to stay.
            t: `[batch]` int32 class that it is compared with.
            dtype: float32 or float64.
        """
        _, transposed, negated = self._tensors[tf.as_dtype(dtype)]
        columns = transposed[-1]
        weights = tf.gather(columns, y) - tf.gather(columns, t)
        return weights, tf.gather(negated[-1], t) - tf.gather(negated[-1], y)

    def backward(
        self, forward: ForwardPass, weights: tf.Tensor
    ) -> list[tf.Tensor]:
        """Returns d f / d a_I for I = L-1, ..., 0 and f = weights . a_{L-1}.

        Args:
            forward: What `forward` gave at x = a_0.
            weights: `[batch, n]` weights on the last features.
        """
        transposed = self._tensors[weights.dtype].transposed
        found = [weights]
        for kernel, slope in zip(transposed[-2::-1], forward.slopes[::-1]):
            found.append((slope * found[-1]) @ kernel)
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
        forward = self.forward(x)
        margin = tf.reduce_sum(forward.features * weights, axis=-1) + bias
        return Evaluation(margin, self.backward(forward, weights)[-1])
