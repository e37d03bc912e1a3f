r"""The values of a graph, and how far from the exact ones they are computed.

A running error analysis, element by element. Hats mark computed values, u is
the unit roundoff, and e >= |v - v_hat| for the exact value v at the same
input. A node adds to what its sources bring along:

* Linear, z = a K + b, with stored K_s, |K - K_s| <= gamma_r |K_s|, and stored
  b_s, |b - b_s| <= c; a product of n terms errs by gamma_{n+1} at most:

      e_z = (e_a (1 + gamma_r) + (gamma_r + gamma_{n+1}) |a_hat|) |K_s|
            + gamma_{n+1} |b_s| + c.

* Activation with slopes in [-g, g], whose evaluation errs by at most
  E u max(1, g) (1 + |z_hat|): e_s = g e_z + E u max(1, g) (1 + |z_hat|).
* Maximum: |max v - max v_hat| <= max |v - v_hat|, the maximum of the errors.
* Sum of m values: the sum of the errors, and gamma_m times that of the sizes.
* Join: the errors, joined.

No norm is proved for any of it: |K_s| is applied once.
"""

from collections.abc import Sequence
import math
from typing import NamedTuple

import tensorflow as tf

from tfcurv import numerics
from tfcurv.networks.functions.smooth import EVALUATION_ROUNDOFFS
from tfcurv.networks.graph import Graph
from tfcurv.networks.graph import Kind
from tfcurv.networks.graph import Node
from tfcurv.networks.maps.linear_map import Constants
from tfcurv.networks.maps.operator_norms import underflow_growth

# The errors are sums of positive terms, computed in float64: of 1e8 terms
# each loses less than this, and 1e4 nodes one after the other as well.
_INFLATION = 1.0 + 1e-7

# Products below the smallest number vanish; TensorFlow also flushes subnormal
# numbers, in and out. A layer of 1e8 weights so loses less than this beside 1
# and the sizes of what it multiplies.
_UNDERFLOW = 1e-290


class Enclosure(NamedTuple):
    """Computed numbers and how far they may be from the exact ones.

    Attributes:
        value: As computed.
        error: Bounds the distance to the exact one; infinite or NaN where
            nothing is proved.
    """

    value: tf.Tensor
    error: tf.Tensor


def values_of(graph: Graph, x: tf.Tensor) -> list[tf.Tensor]:
    """Returns what each node of a graph gives, `[batch, size]`.

    Args:
        graph: The graph.
        x: `[batch, inputs]` flattened samples, float32 or float64.
    """
    values = [x]
    for node in graph.nodes[1:]:
        sources = [values[source] for source in node.sources]
        values.append(_value(graph, node, sources))
    return values


def logits_of(graph: Graph, x: tf.Tensor) -> tf.Tensor:
    """Returns the logits `[batch, classes]` of a graph; differentiable."""
    return values_of(graph, x)[-1]


def enclosed_logits(
    graph: Graph, x: tf.Tensor, roundoff: float | None = None
) -> Enclosure:
    """Returns the logits with a bound on the error of each.

    Args:
        graph: The graph.
        x: `[batch, inputs]` float64, taken as exact.
        roundoff: Unit roundoff of the evaluation whose error is bounded.
            Default: float64's, and then the bound holds for `value`.

    Returns:
        `[batch, classes]` float64 logits and errors.
    """
    # On an accelerator, TensorFlow may sum in ways that are not bounded.
    with tf.device("CPU:0"):
        values = values_of(graph, x)
        return Enclosure(values[-1], logit_errors(graph, values, roundoff))


def logit_errors(
    graph: Graph, values: Sequence[tf.Tensor], roundoff: float | None = None
) -> tf.Tensor:
    """Bounds the error of each logit, `[batch, classes]` float64.

    Args:
        graph: The graph.
        values: What `values_of` gave in float64, on a CPU.
        roundoff: See `enclosed_logits`.
    """
    u = roundoff or numerics.unit_roundoff(numerics.PROOF_DTYPE)
    found = [Enclosure(values[0], tf.zeros_like(values[0]))]
    for node, value in zip(graph.nodes[1:], values[1:]):
        sources = [found[source] for source in node.sources]
        error = _error(graph, node, sources, u)
        found.append(Enclosure(value, _INFLATION * error + _UNDERFLOW))
    return found[-1].error


def _value(graph: Graph, node: Node, sources: Sequence[tf.Tensor]):
    if node.kind is Kind.LINEAR:
        (rows,) = sources
        # Negated, see `bounds.Network`.
        bias = Constants(-node.step.bias)(rows.dtype)
        return node.step.map.apply(rows) - bias
    if node.kind is Kind.ADD:
        return tf.add_n(sources)
    return function_of(graph, node, sources)


def function_of(
    graph: Graph, node: Node, sources: Sequence[tf.Tensor]
) -> tf.Tensor:
    """Returns what a node that is neither linear nor a sum gives.

    Args:
        graph: The graph.
        node: An activation, a maximum or a join.
        sources: `[batch, size]` rows of each of its sources.
    """
    if node.kind is Kind.ACTIVATION:
        return node.activation.value(*sources)
    if node.kind is Kind.MAXIMUM:
        return node.windows.apply(*sources)
    return joined(graph, node, sources)


def joined(graph: Graph, node: Node, sources: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns flattened samples put together, as a CONCATENATE does.

    Args:
        graph: The graph.
        node: The node.
        sources: `[batch, size]` rows of each of its sources.
    """
    shapes = graph.shapes(node.sources)
    samples = [
        tf.reshape(each, [-1, *shape]) for each, shape in zip(sources, shapes)
    ]
    return tf.reshape(tf.concat(samples, node.axis + 1), [-1, node.size])


def _error(graph, node, sources: Sequence[Enclosure], u) -> tf.Tensor:
    errors = [each.error for each in sources]
    if node.kind is Kind.LINEAR:
        return _linear_error(node, sources[0], u)
    if node.kind is Kind.ACTIVATION:
        slope = node.activation.slope_range.magnitude
        own = EVALUATION_ROUNDOFFS * u * max(1.0, slope)
        return slope * errors[0] + own * (1.0 + tf.abs(sources[0].value))
    if node.kind is Kind.MAXIMUM:
        # A maximum may pass over NaN.
        (error,) = errors
        known = tf.where(tf.math.is_nan(error), _infinite(error), error)
        return node.windows.apply(known)
    if node.kind is Kind.ADD:
        sizes = tf.add_n([tf.abs(each.value) for each in sources])
        return tf.add_n(errors) + _gamma(len(errors), u) * sizes
    return joined(graph, node, errors)


def _linear_error(node: Node, source: Enclosure, u: float) -> tf.Tensor:
    linear, bias, roundings, bias_error = node.step
    size = tf.abs(source.value)
    stored, computed = numerics.gamma(roundings), _gamma(linear.terms + 1, u)
    error = source.error * (1.0 + stored) + (stored + computed) * size
    # With what is flushed of the input; what is flushed within comes next.
    error = linear.absolute(error + _UNDERFLOW)
    total = 1.0 + tf.reduce_sum(size, axis=-1, keepdims=True)
    error += _UNDERFLOW * underflow_growth(linear) * total
    own = Constants(computed * abs(bias) + bias_error)(error.dtype)
    return error + own


def _gamma(count: int, u: float) -> float:
    """Returns gamma_n for any roundoff; infinite where it bounds nothing."""
    error = count * u
    return 1.01 * error / (1.0 - error) if error < 0.25 else math.inf


def _infinite(tensor: tf.Tensor) -> tf.Tensor:
    return tf.fill(tf.shape(tensor), tf.constant(math.inf, tensor.dtype))
