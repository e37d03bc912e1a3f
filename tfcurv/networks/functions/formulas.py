"""Smooth functions and their first two derivatives, on tensors.

Each is written so that it neither cancels nor overflows.
"""

import math

import tensorflow as tf


def sigmoid_slope(x: tf.Tensor) -> tf.Tensor:
    """Returns s' of sigmoid."""
    # sigmoid(-x) is 1 - sigmoid(x) without the cancellation, which a factor x
    # in silu would magnify.
    return tf.sigmoid(x) * tf.sigmoid(-x)


def sigmoid_curvature(x: tf.Tensor) -> tf.Tensor:
    """Returns s'' of sigmoid."""
    return sigmoid_slope(x) * (tf.sigmoid(-x) - tf.sigmoid(x))


def tanh_slope(x: tf.Tensor) -> tf.Tensor:
    """Returns s' of tanh."""
    # 1 - tanh(x)^2, which would cancel: tanh itself errs by up to 9 u.
    return 4.0 * sigmoid_slope(2.0 * x)


def tanh_curvature(x: tf.Tensor) -> tf.Tensor:
    """Returns s'' of tanh."""
    return -2.0 * tf.tanh(x) * tanh_slope(x)


def gaussian_density(x: tf.Tensor) -> tf.Tensor:
    """Returns the density of the normal distribution."""
    return tf.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


def gaussian_cdf(x: tf.Tensor) -> tf.Tensor:
    """Returns the distribution function of the normal distribution."""
    # erfc, because 1 + erf(x) cancels for negative x.
    return 0.5 * tf.math.erfc(-x / math.sqrt(2.0))


def times_decaying(x: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Returns x times what vanishes faster than 1 / x."""
    # factor vanishes faster than 1 / x; beyond 1e3 the product is below the
    # smallest number, while x * x in it might overflow to inf * 0 = NaN.
    return tf.clip_by_value(x, -1e3, 1e3) * factor


def gelu_slope(x: tf.Tensor) -> tf.Tensor:
    """Returns s' of gelu."""
    return gaussian_cdf(x) + times_decaying(x, gaussian_density(x))


def gelu_curvature(x: tf.Tensor) -> tf.Tensor:
    """Returns s'' of gelu."""
    x = tf.clip_by_value(x, -1e3, 1e3)
    return gaussian_density(x) * (2.0 - x * x)


def silu_slope(x: tf.Tensor) -> tf.Tensor:
    """Returns s' of silu."""
    return tf.sigmoid(x) + times_decaying(x, sigmoid_slope(x))


def silu_curvature(x: tf.Tensor) -> tf.Tensor:
    """Returns s'' of silu."""
    x = tf.clip_by_value(x, -1e3, 1e3)
    return 2.0 * sigmoid_slope(x) + x * sigmoid_curvature(x)


def mish(x: tf.Tensor) -> tf.Tensor:
    """Returns x tanh(softplus(x))."""
    return x * tf.tanh(tf.math.softplus(x))


def mish_slope(x: tf.Tensor) -> tf.Tensor:
    """Returns s' of mish."""
    p, s = tf.math.softplus(x), tf.sigmoid(x)
    return tf.tanh(p) + times_decaying(x, tanh_slope(p) * s)


def mish_curvature(x: tf.Tensor) -> tf.Tensor:
    """Returns s'' of mish."""
    x = tf.clip_by_value(x, -1e3, 1e3)
    p, s = tf.math.softplus(x), tf.sigmoid(x)
    inner = 2.0 * s + x * sigmoid_slope(x) - 2.0 * x * tf.tanh(p) * s * s
    return tanh_slope(p) * inner


def elu_slope(x: tf.Tensor) -> tf.Tensor:
    """Returns s' of elu."""
    return tf.exp(tf.minimum(x, 0.0))


def elu(x: tf.Tensor) -> tf.Tensor:
    """Returns x, and e^x - 1 below zero."""
    return tf.where(x > 0.0, x, tf.math.expm1(tf.minimum(x, 0.0)))


def elu_curvature(x: tf.Tensor) -> tf.Tensor:
    """Returns s'' of elu."""
    return tf.where(x > 0.0, tf.zeros_like(x), elu_slope(x))


def softsign_slope(x: tf.Tensor) -> tf.Tensor:
    """Returns s' of softsign."""
    return 1.0 / tf.square(1.0 + tf.abs(x))


def softsign_curvature(x: tf.Tensor) -> tf.Tensor:
    """Returns s'' of softsign."""
    return -2.0 * tf.sign(x) / (1.0 + tf.abs(x)) ** 3
