"""The curvature bound of Theorem 4 as a differentiable training penalty."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from tfcurv.bounds.activations import Activation


class TrainedLayer(NamedTuple):
    """One dense map of a network in training.

    Attributes:
        kernel: `[inputs, outputs]` tensor or variable.
        norm: `[]` estimate of its spectral norm, from the input's units.
        activation: What follows it, None after the last.
    """

    kernel: tf.Tensor
    norm: tf.Tensor
    activation: Activation | None


def theorem4_estimate(
    layers: Sequence[TrainedLayer], weights: tf.Tensor
) -> tf.Tensor:
    """Returns K(W, y, t) of [SF20, Theorem 4], with estimated norms.

        K = sum_I h_I r_I^2 max_j S_{I,j},   r_1 = ||W_1||,
        r_I = g_{I-1} ||W_I|| r_{I-1},       S_{L-1} = |w|,
        S_I = g_{I+1} S_{I+1} |W_{I+1}|,

    where g and h are the largest |s'| and |s''|. Differentiable in the
    kernels. It is no bound while the norms are estimates, which approach from
    below. Source: Singla and Feizi, "Second-Order Provable Defenses against
    Adversarial Attacks", ICML 2020 [SF20].

    Args:
        layers: The dense maps, the last one included.
        weights: `[batch, n]` w = W_L[y] - W_L[t].

    Returns:
        `[batch]`, in logits per squared input unit; zero for one layer.
    """
    total = tf.zeros_like(weights[:, 0])
    hidden = layers[:-1]
    radii: list[tf.Tensor] = []
    for index, layer in enumerate(hidden):
        radius = tf.cast(layer.norm, weights.dtype)
        if index:
            slope = hidden[index - 1].activation.slope_range.magnitude
            radius *= slope * radii[-1]
        radii.append(radius)
    spread = tf.abs(weights)
    peak = tf.reduce_max(spread, axis=-1)
    for index in reversed(range(len(hidden))):
        layer, radius = hidden[index], radii[index]
        curvature = layer.activation.curvature_range.magnitude
        total += curvature * radius**2 * peak
        slope = layer.activation.slope_range.magnitude
        if index > 1:
            spread = slope * _carried(spread, layer.kernel)
            peak = tf.reduce_max(spread, axis=-1)
        elif index:
            peak = slope * _largest_carried(spread, layer.kernel)
    return total


def _carried(spread, kernel) -> tf.Tensor:
    return tf.matmul(spread, tf.abs(kernel), transpose_b=True)


def _largest_carried(spread, kernel) -> tf.Tensor:
    """Returns the largest entries of `_carried`, for a cheaper gradient.

    Only the row of the kernel that attains it has one: two matrix products
    fewer on the way back.
    """
    kernel = tf.convert_to_tensor(kernel)
    every = _carried(tf.stop_gradient(spread), tf.stop_gradient(kernel))
    rows = tf.gather(kernel, tf.argmax(every, axis=-1))
    return tf.reduce_sum(spread * tf.abs(rows), axis=-1)
