"""The closed-form Hessian of a logit difference, [SF20, Lemma 1]."""

import tensorflow as tf

from tfcurv.networks.chain import Network


def hessian(network: Network, x: tf.Tensor, y: int, t: int) -> tf.Tensor:
    """Returns the Hessian of z_y - z_t at each row of x.

        H = sum_I B_I^T diag(F_I * s''(z_I)) B_I,
        B_1 = W_1,  B_I = W_I diag(s'(z_{I-1})) B_{I-1},
        F_{L-1} = w,  F_I = (F_{I+1} * s'(z_{I+1})) W_{I+1}.

    Memory is batch x dim x (dim + widest layer): for small networks, tests
    and studies. Source: Lemma 1 of Singla and Feizi, "Second-Order Provable
    Defenses against Adversarial Attacks", ICML 2020 [SF20].

    Args:
        network: The network.
        x: `[batch, dim]` points, float32 or float64.
        y: The class counted positively.
        t: The class counted negatively.

    Returns:
        `[batch, dim, dim]` symmetric matrices.
    """
    batch, dim = tf.shape(x)[0], network.input_dim
    forward = network.forward(x)
    z = forward.pre_activations
    total = tf.zeros([batch, dim, dim], x.dtype)
    if not z:
        return total
    weights, _ = network.pair(tf.fill([batch], y), tf.fill([batch], t), x.dtype)
    outer = network.backward(forward, weights)[-2::-1]
    unit = tf.tile(tf.eye(dim, dtype=x.dtype), [batch, 1])
    jacobian = _through(network, 0, unit, dim)
    for index, fn in enumerate(network.activations):
        density = outer[index] * fn.curvature(z[index])
        scaled = jacobian * density[:, tf.newaxis]
        total += tf.matmul(scaled, jacobian, transpose_b=True)
        if index + 1 < len(z):
            slopes = forward.slopes[index][:, tf.newaxis]
            rows = tf.reshape(jacobian * slopes, [-1, jacobian.shape[-1]])
            jacobian = _through(network, index + 1, rows, dim)
    return total


def _through(network: Network, index: int, rows, dim: int) -> tf.Tensor:
    """Returns rows, `dim` of each sample, behind a map."""
    linear = network.affines[index].linear
    return tf.reshape(linear.apply(rows), [-1, dim, linear.outputs])
