"""The published way to solve both duals, to measure against.

Written from the description in Singla and Feizi, "Second-Order Provable
Defenses against Adversarial Attacks", ICML 2020, section 4 and Table 1: the
multiplier is bisected over [0, 1/|m|], and for each value the inner problem
min ||x - x0||^2 / 2 + eta f(x) is solved by majorisation-minimisation,

    x <- x - (x - x0 + eta g(x)) / (1 + eta M),

with 30 outer and 20 inner steps, 600 gradients an image, in float32. The attack
of the training is found in the same way from the other dual: the multiplier
of ||x - x0|| <= rho is bisected over [|m|, |m| + 1000], and min f(x) +
lambda ||x - x0||^2 / 2 is solved by

    x <- x - (g(x) + lambda (x - x0)) / (M + lambda),

with 30 outer and 10 inner steps, 300 gradients an image. Both are in TensorFlow
and compiled as tfcurv is, so that a ratio compares methods and not frameworks.
"""

import functools

import tensorflow as tf

from tfcurv import networks
from tfcurv import nn
from tfcurv.certificates import safe_ball_radius

OUTER_STEPS, INNER_STEPS, ATTACK_INNER_STEPS = 30, 20, 10

# Beyond |m|, where the bisection of the attack's multiplier begins to end.
_WIDEST = 1000.0


class PublishedCertificate:
    """The published solver of one network, compiled once."""

    def __init__(self, network: networks.Network, *, jit_compile: bool = False):
        """Builds the compiled function.

        Args:
            network: The network.
            jit_compile: Whether XLA compiles it, once for each batch size.
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
            jit_compile=jit_compile,
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


class PublishedAttack(nn.CurvatureAttack):
    """The published solver of the attack's dual, as an adversary.

    It shares targets and |m| with `tfcurv.CurvatureAttack`, and takes M to be
    as large as |m|.
    """

    def descend(self, gradient, x, first, least):
        """Returns where the bisection ends."""
        del first  # The published schedule does not know it.
        axes = list(range(1, x.shape.rank))
        epsilon = tf.cast(self.epsilon, x.dtype)

        def halve(low, high, attacked):
            multiplier = 0.5 * (low + high)
            for _ in range(ATTACK_INNER_STEPS):
                slope = gradient(attacked) + multiplier * (attacked - x)
                attacked = attacked - slope / (least + multiplier)
            squared = tf.reduce_sum(tf.square(attacked - x), axes, True)
            outside = squared > tf.square(epsilon)
            return (
                tf.where(outside, multiplier, low),
                tf.where(outside, high, multiplier),
                attacked,
            )

        _, _, attacked = tf.while_loop(
            lambda *_: True,
            halve,
            (least, least + _WIDEST, x),
            maximum_iterations=OUTER_STEPS,
        )
        return attacked
