"""How far computed values are from exact ones, in norm: cheap, not tight.

The same recursion as in `evaluation`, for one number a node in place of one
an entry: where errors of a float64 evaluation stand beside distances a
billion times as large. With e the error of a node's sources, in l2,

* linear: ||  |K| || (e + (gamma_r + gamma_n) ||v||), n the roundings of the
  product and r those of the stored weights, and the bias and its error;
* activation: max |s'| e, and what s itself errs by;
* maximum: the root of the number of windows times e;
* sum, join: the sum of the errors, for a sum gamma_m times the sizes.
"""

from collections.abc import Sequence
import math

import numpy as np
import tensorflow as tf

from tfcurv import numerics
from tfcurv import solvers
from tfcurv.networks.functions.smooth import EVALUATION_ROUNDOFFS
from tfcurv.networks.graph import Graph
from tfcurv.networks.graph import Kind
from tfcurv.networks.graph import Node
from tfcurv.networks.maps import operator_norms

_UNIT = numerics.unit_roundoff(numerics.PROOF_DTYPE)


def norm_errors(graph: Graph, values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Bounds the l2 distance of each node's value from the exact one.

    Args:
        graph: The graph.
        values: What `values_of` gave in float64, on a CPU, for exact inputs.

    Returns:
        `[batch]` float64 for each node; infinite or NaN where nothing is
        proved.
    """
    sizes = [tf.norm(v, axis=-1) * numerics.STEP_INFLATION for v in values]
    errors = [tf.zeros_like(sizes[0])]
    for node in graph.nodes[1:]:
        before = [errors[source] for source in node.sources]
        around = [sizes[source] for source in node.sources]
        error = _error(node, before, around) + numerics.NORM_FLOOR
        errors.append(error * numerics.STEP_INFLATION)
    return errors


def _error(node: Node, errors, sizes) -> tf.Tensor:
    total = errors[0] if len(errors) == 1 else tf.add_n(errors)
    if node.kind is Kind.LINEAR:
        return _linear_error(node, total, sizes[0])
    if node.kind is Kind.ACTIVATION:
        slope = node.activation.slope_range.magnitude
        own = EVALUATION_ROUNDOFFS * _UNIT * max(1.0, slope)
        floor = node.activation.error_floor * math.sqrt(node.size)
        return slope * total + own * (floor + sizes[0])
    if node.kind is Kind.MAXIMUM:
        return node.windows.lipschitz_upper_bound * total
    if node.kind is Kind.ADD:
        return total + numerics.gamma(len(errors)) * tf.add_n(sizes)
    return total


def _linear_error(node: Node, error, size) -> tf.Tensor:
    with tf.init_scope():
        norm, bias, growth = _constants(node.step.map, node.step)
    linear = node.step.map
    rounded = numerics.gamma(node.step.roundings + linear.terms + 2)
    error = error * (1.0 + numerics.gamma(node.step.roundings))
    error = norm * (error + rounded * size + numerics.NORM_FLOOR)
    # What is flushed within: see `operator_norms.underflow_growth`.
    error += numerics.NORM_FLOOR * growth * (1.0 + size)
    return error + (rounded * bias + node.step.bias_error)


def _constants(linear, step) -> tuple[float, float, float]:
    norm = linear.absolute_norm_upper_bound
    growth = operator_norms.underflow_growth(linear)
    bias = solvers.frobenius_norm_upper_bound(np.asarray(step.bias))
    return norm, bias, growth
