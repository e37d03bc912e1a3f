"""The radii that float64 proves from one evaluation of a network.

In exact arithmetic, and, where the network has an execution, for that too.
"""

import tensorflow as tf

from tfcurv import bounds
from tfcurv.certificates.safe_ball import safe_ball_radius_bound


def prove(
    network: bounds.Network,
    x0: tf.Tensor,
    x: tf.Tensor,
    y: tf.Tensor,
    t: tf.Tensor,
    curvature: tf.Tensor,
) -> tf.Tensor:
    """Returns the radii around x0 that one evaluation at x proves, `[batch]`.

    Args:
        network: The network.
        x0: `[batch, dim]` float64 points to certify.
        x: `[batch, dim]` float64 points to evaluate at.
        y: `[batch]` int32 labels.
        t: `[batch]` int32 other classes.
        curvature: `[batch]` proved |m(y, t)|.
    """
    z = network.pre_activations(x)
    forward = bounds.forward_error(network, x, z)
    trace = _trace(network, x0)
    return _prove_pair(network, x0, trace, x, z, forward, y, t, curvature)


def _trace(network, x0) -> list | None:
    """Returns what the execution of the network needs to know of x0."""
    return network.execution and network.execution.trace(x0)


def _prove_pair(
    network, x0, trace, x, z, forward, y, t, curvature
) -> tf.Tensor:
    weights, bias = network.pair(y, t, x.dtype)
    backward = network.backward(z, weights)
    features = network.features(x, z)
    margin = tf.reduce_sum(features * weights, axis=-1) + bias
    error = bounds.evaluation_error(
        network, x, z, forward, backward, _bias_size(network, y, t)
    )
    evaluation = bounds.Evaluation(margin, backward[-1])
    radius = safe_ball_radius_bound(evaluation, error, x0 - x, curvature)
    if network.execution is None:
        return radius
    # Inside that radius the executed margin is no further from the exact one
    # than this, so that a smaller ball, where the exact one exceeds it, is
    # safe for both.
    executed = network.execution.margin_error(trace, y, t, radius)
    error = error._replace(margin=error.margin + executed)
    guarded = safe_ball_radius_bound(evaluation, error, x0 - x, curvature)
    return tf.minimum(radius, guarded)


def _bias_size(network, y, t) -> tf.Tensor:
    sizes = tf.abs(tf.constant(network.affines[-1].bias))
    return tf.gather(sizes, y) + tf.gather(sizes, t)


def closed_form_radii(
    network: bounds.Network, x: tf.Tensor, y: tf.Tensor, curvatures: tf.Tensor
) -> tf.Tensor:
    """Returns the radii `[batch, classes]` that are proved at x itself.

    One backward pass a class, in a loop: memory does not grow with their
    number.

    Args:
        network: The network.
        x: `[batch, dim]` float64 points to certify.
        y: `[batch]` int32 labels.
        curvatures: `[batch, classes]` proved |m(y, t)|.
    """
    z = network.pre_activations(x)
    forward = bounds.forward_error(network, x, z)
    trace = _trace(network, x)

    def prove(index):
        t = tf.fill(tf.shape(y), index)
        a = curvatures[:, index]
        return _prove_pair(network, x, trace, x, z, forward, y, t, a)

    radii = tf.map_fn(
        prove, tf.range(network.num_classes), fn_output_signature=x.dtype
    )
    return tf.transpose(radii)
