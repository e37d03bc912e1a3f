"""The published way to solve the certificate's dual, to measure against.

Written from the description in Singla and Feizi, "Second-Order Provable
Defenses against Adversarial Attacks", ICML 2020, section 4 and Table 1: the
multiplier is bisected over [0, 1/|m|], and for each value the inner problem
min ||x - x0||^2 / 2 + eta f(x) is solved by majorisation-minimisation,

    x <- x - (x - x0 + eta g(x)) / (1 + eta M),

with 30 outer and 20 inner steps, 600 gradients an image, in float32. It is in
TensorFlow and compiled, as tfcurv is, so that a ratio compares methods and not
frameworks.
"""

import functools

import tensorflow as tf

from tfcurv import bounds
from tfcurv.certificates import safe_ball_radius

OUTER_STEPS, INNER_STEPS = 30, 20


class PublishedCertificate:
    """The published solver of one network, compiled once."""

    def __init__(self, network: bounds.Network):
        """Builds the compiled function.

        Args:
            network: The network.
        """
        row = functools.partial(tf.TensorSpec, dtype=tf.float32)
        self._solve = tf.function(
            functools.partial(_solve, network),
            input_signature=[
                row([None, network.input_dim]),
                tf.TensorSpec([None], tf.int32),
                tf.TensorSpec([None], tf.int32),
                row([None]),
                row([None]),
            ],
            autograph=False,
        )

    def __call__(self, x, y, t, concavity, convexity) -> tf.Tensor:
        """Returns the radii `[batch]` that the end of the schedule proves.

        In exact arithmetic: the published value is the dual objective, which
        at an inexact minimum is too large; the safe ball at the same point
        is what it would certify.

        Args:
            x: `[batch, dim]` float32 points.
            y: `[batch]` int32 labels.
            t: `[batch]` int32 other classes.
            concavity: `[batch]` |m(y, t)|.
            convexity: `[batch]` M(y, t).
        """
        return self._solve(x, y, t, concavity, convexity)


def _solve(network, x0, y, t, concavity, convexity):
    weights, bias = network.pair(y, t, tf.float32)

    def inner(eta, x):
        scale = 1.0 / (1.0 + eta * convexity)
        for _ in range(INNER_STEPS):
            f, g = network.evaluate(x, weights, bias)
            slope = x - x0 + eta[:, tf.newaxis] * g
            x = x - scale[:, tf.newaxis] * slope
        return x, f

    def halve(low, high, x):
        eta = 0.5 * (low + high)
        # f is the dual's slope in the multiplier.
        x, f = inner(eta, x)
        return tf.where(f > 0.0, eta, low), tf.where(f > 0.0, high, eta), x

    low = tf.zeros_like(concavity)
    _, _, x = tf.while_loop(
        lambda *_: True,
        halve,
        (low, 1.0 / concavity, x0),
        maximum_iterations=OUTER_STEPS,
    )
    evaluation = network.evaluate(x, weights, bias)
    return safe_ball_radius(evaluation, x0 - x, concavity)
