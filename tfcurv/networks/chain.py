"""A feed-forward network as certificates see it: affine maps and activations.

    z_1 = x K_1 + b_1,  z_I = s_{I-1}(z_{I-1}) K_I + b_I,  logits = z_L.

Rows are samples, so kernels are `[inputs, outputs]` as in Keras, the
transposes of the papers' W. Read-only, float64 for proofs, float32 for
search. Branches and residual connections are chains, too, see `Flow`.
"""

from collections.abc import Sequence
import functools
import math
from typing import Any
from typing import NamedTuple
from typing import Protocol

import tensorflow as tf

from tfcurv import numerics
from tfcurv import solvers
from tfcurv.networks.functions.side_by_side import Blocks
from tfcurv.networks.functions.smooth import Activation
from tfcurv.networks.maps import operator_norms
from tfcurv.networks.maps.affine import Affine
from tfcurv.networks.maps.elementary import Dense
from tfcurv.networks.maps.linear_map import Constants


def _norm(affine: Affine, rigor: solvers.Rigor) -> float:
    """Bounds the spectral norm of the exact kernel."""
    stored = affine.linear.norm_upper_bound(rigor)
    norm = numerics.round_up(stored + affine.kernel_error, 1)
    return norm if norm >= 0.0 else math.inf  # NaN, where fusing overflowed.


def _absolute_norm(affine: Affine) -> float:
    if type(affine.linear) is Dense:
        return solvers.frobenius_norm_upper_bound(affine.kernel)
    return operator_norms.schur_norm_upper_bound(affine.linear)


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


class Executed(Protocol):
    """How a network is executed; see `tfcurv.bounds.Execution`."""

    @property
    def stages(self) -> Sequence[Any]:
        """What is executed, in order."""

    def trace(self, x: tf.Tensor) -> list:
        """Returns what each stage is given at the rows of x."""

    def margin_error(
        self, trace: list, y: tf.Tensor, t: tf.Tensor, radius: tf.Tensor
    ) -> tf.Tensor:
        """Bounds |executed - exact| of z_y - z_t over balls, `[batch]`."""


class Network:
    """A chain of affine maps with an activation between each two.

    Attributes:
        affines: The L affine maps.
        activations: The L - 1 activations between them.
        rigor: How norms and eigenvalues are bounded.
        execution: How the network is executed, where certificates are to
            hold for that too; None where they are about exact arithmetic.
    """

    def __init__(
        self,
        affines: Sequence[Affine],
        activations: Sequence[Activation | Blocks],
        *,
        rigor: solvers.Rigor = solvers.Rigor.VERIFIED,
        execution: Executed | None = None,
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
            if before.linear.outputs != after.linear.inputs:
                raise ValueError(
                    "Each affine map must take what the one before gives. "
                    f"Received: {before.linear.outputs} outputs before "
                    f"{after.linear.inputs} inputs."
                )
        self.rigor = rigor
        self.execution = execution
        # Biases are kept negated: x K - (-b) is the same number as x K + b,
        # and for that sum in float64 TensorFlow's graph optimizer warns, at
        # every trace, that it cannot fuse it.
        self._negated_biases = [Constants(-a.bias) for a in self.affines]
        self._columns = Constants(self.affines[-1].kernel.T.copy())

    # Proving a norm takes up to seconds: each kind when it is first asked for.
    @functools.cached_property
    def norms(self) -> tuple[float, ...]:
        """Proved upper bounds on the spectral norm of each exact kernel."""
        return tuple(_norm(affine, self.rigor) for affine in self.affines)

    @functools.cached_property
    def absolute_norms(self) -> tuple[float, ...]:
        """Proved upper bounds on the norm of each kernel's absolute values.

        With these roundings grow.
        """
        return tuple(map(_absolute_norm, self.affines))

    @functools.cached_property
    def underflow_growths(self) -> tuple[float, ...]:
        """How much what underflows inside of each map may grow."""
        return tuple(
            operator_norms.underflow_growth(affine.linear)
            for affine in self.affines
        )

    @functools.cached_property
    def frobenius_norms(self) -> tuple[float, ...]:
        """Proved upper bounds on each kernel's Frobenius norm."""
        return tuple(
            solvers.frobenius_norm_upper_bound(affine.kernel)
            if affine.is_written
            else affine.linear.frobenius_norm_upper_bound()
            for affine in self.affines
        )

    @property
    def input_dim(self) -> int:
        """The number of inputs."""
        return self.affines[0].linear.inputs

    @property
    def num_classes(self) -> int:
        """The number of logits."""
        return self.affines[-1].linear.outputs

    @property
    def num_layers(self) -> int:
        """L, the number of affine maps."""
        return len(self.affines)

    def columns(self, dtype: Any) -> tf.Tensor:
        """Returns the last kernel transposed, `[classes, n]`, in a dtype."""
        return self._columns(dtype)

    def forward(self, x: tf.Tensor) -> ForwardPass:
        """Returns the pass through all but the last map, in x's dtype."""
        passed = ForwardPass([x], [], [])
        for index, fn in enumerate(self.activations):
            z = self._through(index, passed.features)
            passed.pre_activations.append(z)
            passed.slopes.append(fn.slope(z))
            passed.values.append(fn.value(z))
        return passed

    def _through(self, index: int, rows: tf.Tensor) -> tf.Tensor:
        bias = self._negated_biases[index](rows.dtype)
        return self.affines[index].linear.apply(rows) - bias

    def logits(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the logits `[batch, classes]` at the rows of x."""
        return self.logits_of(self.forward(x))

    def logits_of(self, forward: ForwardPass) -> tf.Tensor:
        """Returns the logits that a forward pass leads to."""
        return self._through(len(self.affines) - 1, forward.features)

    def pair(
        self, y: tf.Tensor, t: tf.Tensor, dtype: Any
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the weights `[batch, n]` and biases `[batch]` of z_y - z_t.

        Args:
            y: `[batch]` int32 class that is to stay.
            t: `[batch]` int32 class that it is compared with.
            dtype: float32 or float64.
        """
        columns = self.columns(dtype)
        negated = self._negated_biases[-1](dtype)
        weights = tf.gather(columns, y) - tf.gather(columns, t)
        return weights, tf.gather(negated, t) - tf.gather(negated, y)

    def backward(
        self, forward: ForwardPass, weights: tf.Tensor
    ) -> list[tf.Tensor]:
        """Returns d f / d a_I for I = L-1, ..., 0 and f = weights . a_{L-1}.

        Args:
            forward: What `forward` gave at x = a_0.
            weights: `[batch, n]` weights on the last features.
        """
        found = [weights]
        for affine, slope in zip(self.affines[-2::-1], forward.slopes[::-1]):
            found.append(affine.linear.transpose(slope * found[-1]))
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
