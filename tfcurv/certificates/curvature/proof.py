"""The radii that float64 proves from one evaluation of a network.

In exact arithmetic, and, where the network has an execution, for that too.
"""

from typing import NamedTuple

import tensorflow as tf

from tfcurv import networks
from tfcurv.certificates.margins.safe_ball import safe_ball_radius_bound


def prove(
    network: networks.Network,
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
    return _prove_pair(network, _prepare(network, x0, x), y, t, curvature)


class _Prepared(NamedTuple):
    """What the proofs for all pairs share."""

    displacement: tf.Tensor | None
    forward: networks.ForwardPass
    forward_error: networks.ForwardError
    trace: list | None


def _prepare(network, x0, x) -> _Prepared:
    forward = network.forward(x)
    return _Prepared(
        None if x is x0 else x0 - x,
        forward,
        networks.forward_error(network, forward),
        network.execution and network.execution.trace(x0),
    )


def _prove_pair(network, prepared, y, t, curvature) -> tf.Tensor:
    displacement, forward, forward_error, trace = prepared
    features = forward.features
    weights, bias = network.pair(y, t, features.dtype)
    backward = network.backward(forward, weights)
    margin = tf.reduce_sum(features * weights, axis=-1) + bias
    error = networks.evaluation_error(
        network, forward, forward_error, backward, _bias_size(network, y, t)
    )
    evaluation = networks.Evaluation(margin, backward[-1])
    radius = safe_ball_radius_bound(evaluation, error, displacement, curvature)
    if network.execution is None:
        return radius
    # Inside that radius the executed margin is no further from the exact one
    # than this, so that a smaller ball, where the exact one exceeds it, is
    # safe for both.
    executed = network.execution.margin_error(trace, y, t, radius)
    error = error._replace(margin=error.margin + executed)
    guarded = safe_ball_radius_bound(evaluation, error, displacement, curvature)
    return tf.minimum(radius, guarded)


def _bias_size(network, y, t) -> tf.Tensor:
    sizes = tf.abs(tf.constant(network.affines[-1].bias))
    return tf.gather(sizes, y) + tf.gather(sizes, t)


def closed_form_radii(
    network: networks.Network, x: tf.Tensor, y: tf.Tensor, curvatures: tf.Tensor
) -> tf.Tensor:
    """Returns the radii `[batch, classes]` that are proved at x itself.

    Infinite for the label itself. One backward pass for each other class, in
    a loop: memory does not grow with their number.

    Args:
        network: The network.
        x: `[batch, dim]` float64 points to certify.
        y: `[batch]` int32 labels.
        curvatures: `[batch, classes]` proved |m(y, t)|.
    """
    classes = network.num_classes
    prepared = _prepare(network, x, x)

    # There is no Python to convert, and looking for it takes long.
    @tf.autograph.experimental.do_not_convert
    def prove_next(shift):
        t = (y + shift) % classes
        a = tf.gather(curvatures, t, batch_dims=1)
        return _prove_pair(network, prepared, y, t, a)

    # Row k holds the class that is k beyond the label, modulo their number.
    radii = tf.map_fn(
        prove_next,
        tf.range(1, classes),
        fn_output_signature=x.dtype,
        parallel_iterations=1,
    )
    own = tf.fill(tf.shape(radii[:1]), tf.cast(float("inf"), x.dtype))
    shifts = (tf.range(classes) - y[:, tf.newaxis]) % classes
    by_shift = tf.transpose(tf.concat([own, radii], axis=0))
    return tf.gather(by_shift, shifts, batch_dims=1)
