"""How far a computed margin and gradient can be from the exact ones.

Norm-wise running error analysis. Let hats mark computed values, u the unit
roundoff, e_v a bound on ||v - v_hat||_2, k_I and c_I the errors with which
kernel and bias of map I are known. A product with a stored kernel errs by at
most gamma_{n+1} A ||a_hat|| however it is summed, where A bounds the norm of
the kernel's absolute values (||K||_F for a matrix), and |s(z) - s(z_hat)|
<= g |z - z_hat|, |s'(z) - s'(z_hat)| <= h |z - z_hat| with g = max |s'|,
h = max |s''|. So, forward,

    e_z = ||K||_2 e_a + k ||a_hat|| + c + gamma (A ||a_hat|| + ||b||),
    e_a = g e_z + E u (sqrt(n) + ||z_hat||),

and backward, for d = s'(z) * q and q_next = d K^T,

    e_d = g e_q + ||q_hat|| (h e_z + E u + g u),
    e_q_next = ||K||_2 e_d + k ||d_hat|| + gamma A ||d_hat||,

where E u bounds the error of evaluating s (relative to 1 + |z|) and s'.
"""

import functools
import math
from typing import Any
from typing import NamedTuple

import tensorflow as tf

from tfcurv import numerics
from tfcurv import solvers
from tfcurv.networks.chain import ForwardPass
from tfcurv.networks.chain import Network
from tfcurv.networks.functions.smooth import EVALUATION_ROUNDOFFS


class EvaluationError(NamedTuple):
    """Bounds on the distance of an evaluation to the exact one.

    Attributes:
        margin: `[batch]` bound on |f(x) - computed f|.
        gradient: `[batch]` bound on ||grad f(x) - computed grad f||_2.
    """

    margin: tf.Tensor
    gradient: tf.Tensor


class ForwardError(NamedTuple):
    """Bounds on the errors of a forward pass.

    Attributes:
        pre_activations: Per hidden layer, `[batch]` bounds on ||z - z_hat||.
        values: `[batch]` bounds on ||a - a_hat||, of a_0 = x, which is exact,
            to a_{L-1}.
        feature_size: `[batch]` ||computed a_{L-1}||, which all pairs share.
    """

    pre_activations: list[tf.Tensor]
    values: list[tf.Tensor]
    feature_size: tf.Tensor

    @property
    def features(self) -> tf.Tensor:
        """The bound on ||a_{L-1} - computed a_{L-1}||."""
        return self.values[-1]


def _norm(x: tf.Tensor) -> tf.Tensor:
    return tf.norm(x, axis=-1) + numerics.NORM_FLOOR


def forward_error(
    network: Network,
    forward: ForwardPass,
    roundoff: float | None = None,
) -> ForwardError:
    """Bounds the errors of `network.forward(x)`, x taken as exact.

    Args:
        network: The network.
        forward: What was computed, in float64.
        roundoff: Unit roundoff of the evaluation. Default: float64's.
    """
    x = forward.values[0]
    u = roundoff or numerics.unit_roundoff(x.dtype)
    errors, values = [], [tf.zeros_like(x[:, 0])]
    for index, (fn, found) in enumerate(
        zip(network.activations, forward.pre_activations)
    ):
        value = forward.values[index]
        error = affine_error(network, index, value, values[index], u)
        errors.append(error)
        width = math.sqrt(found.shape[-1])
        error = fn.slope_range.magnitude * error
        error += EVALUATION_ROUNDOFFS * u * (width + _norm(found))
        values.append(error)
    return ForwardError(errors, values, _norm(forward.features))


@functools.singledispatch
def logit_error(
    network: Any, forward: Any, roundoff: float | None = None
) -> tf.Tensor:
    """Bounds the error of each computed logit, `[batch]` float64.

    Networks of other kinds than a chain register their own.

    Args:
        network: The network.
        forward: What `network.forward` gave in float64.
        roundoff: Unit roundoff of the evaluation. Default: float64's.
    """
    roundoff = roundoff or numerics.unit_roundoff(forward.features.dtype)
    errors = forward_error(network, forward, roundoff)
    last = network.num_layers - 1
    return (
        affine_error(network, last, forward.features, errors.features, roundoff)
        * numerics.CHAIN_INFLATION
    )


def affine_error(
    network: Network,
    index: int,
    value: tf.Tensor,
    error: tf.Tensor,
    roundoff: float,
) -> tf.Tensor:
    """Bounds the error of affine map `index` applied to inexact rows.

    Args:
        network: The network.
        index: Which of its affine maps.
        value: `[batch, inputs]` computed rows.
        error: `[batch]` bound on their error.
        roundoff: Unit roundoff of the evaluation.
    """
    affine = network.affines[index]
    size = _norm(value)
    bias = solvers.frobenius_norm_upper_bound(affine.bias)
    norm = network.norms[index]
    growth = 1.01 * (affine.linear.terms + 1) * roundoff
    products = network.absolute_norms[index] * size + bias
    return (
        norm * error
        + affine.kernel_error * size
        + affine.bias_error
        + growth * products
        + numerics.SUM_UNDERFLOW
        * network.underflow_growths[index]
        * (1.0 + norm + size)
    )


def evaluation_error(
    network: Network,
    forward: ForwardPass,
    errors: ForwardError,
    backward: list[tf.Tensor],
    bias_size: tf.Tensor,
) -> EvaluationError:
    """Bounds the errors of `Network.evaluate` in float64.

    Args:
        network: The network.
        forward: What `network.forward(x)` gave.
        errors: Their bounds.
        backward: What `network.backward(forward, weights)` gave.
        bias_size: `[batch]` |b_y| + |b_t|.
    """
    u = numerics.unit_roundoff(forward.features.dtype)
    last = network.affines[-1]
    weights = backward[0]
    weight_size = _norm(weights)
    feature_size = errors.feature_size
    # w = K[:, y] - K[:, t]: one rounding, twice the error of the kernel.
    weight_error = u * weight_size + math.sqrt(2.0) * last.kernel_error
    margin = (
        (weight_size + weight_error) * errors.features
        + weight_error * feature_size
        + numerics.gamma(last.linear.inputs + 4)
        * (weight_size * feature_size + bias_size)
        + 2.0 * last.bias_error
        + numerics.SUM_UNDERFLOW * (1.0 + weight_size + feature_size)
    )
    error = weight_error
    hidden = len(forward.slopes)
    for index in range(hidden - 1, -1, -1):
        error = _backward_error(
            network,
            index,
            errors.pre_activations[index],
            backward[hidden - 1 - index],
            error,
        )
    return EvaluationError(
        margin * numerics.CHAIN_INFLATION, error * numerics.CHAIN_INFLATION
    )


def _backward_error(network, index, z_error, outer, outer_error):
    """One step of the backward recursion, through activation and map."""
    fn, affine = network.activations[index], network.affines[index]
    u = numerics.unit_roundoff(outer.dtype)
    slope = fn.slope_range.magnitude
    curvature = fn.curvature_range.magnitude
    outer_size = _norm(outer)
    local = curvature * z_error + (EVALUATION_ROUNDOFFS + slope) * u
    error = slope * outer_error + outer_size * local
    # The computed slopes may exceed the largest by their rounding.
    size = (slope + EVALUATION_ROUNDOFFS * u) * outer_size
    rounding = numerics.gamma(affine.linear.transposed_terms + 1)
    norm = network.norms[index]
    return (
        norm * error
        + affine.kernel_error * size
        + rounding * network.absolute_norms[index] * size
        + numerics.SUM_UNDERFLOW
        * network.underflow_growths[index]
        * (1.0 + norm + size)
    )
