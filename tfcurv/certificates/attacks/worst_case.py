"""The worst point in a ball, and whether it is provably the worst.

Minimising f over ||x - x0|| <= rho has the dual [SF20, Theorem 2]

    max over lambda >= |m| of min over x of
        f(x) + lambda / 2 (||x - x0||^2 - rho^2),

whose stationary points are x = x0 - g(x) / lambda with lambda =
max(||g|| / rho, |m|). Where the distance is rho the point is the worst in
the whole ball; where it is less (||g|| / rho < |m|) its dual value is only a
lower bound.

[SF20]: Singla and Feizi, "Second-Order Provable Defenses against Adversarial
Attacks", ICML 2020.
"""

from typing import NamedTuple

import tensorflow as tf

from tfcurv import networks
from tfcurv.certificates.margins.safe_ball import ball_lower_bound
from tfcurv.certificates.margins.search import Problem

# Relative gap between a margin and the lower bound on the minimum at which
# the two are called equal; the bound errs by the square of the point's error.
_GAP_TOLERANCE = 1e-6


class WorstCase(NamedTuple):
    """Optima of the attack dual.

    Attributes:
        point: `[batch, dim]` x, at distance at most rho from x0.
        margin: `[batch]` f(x).
        lower_bound: `[batch]` lower bound on f over the ball, proved of what
            the network gave for f and its gradient at x.
        is_worst: `[batch]` whether no point of the ball has a margin smaller
            by more than 1e-6 of it: x lies on the sphere and the bound meets
            the margin.
    """

    point: tf.Tensor
    margin: tf.Tensor
    lower_bound: tf.Tensor
    is_worst: tf.Tensor


def worst_case(
    network: networks.Network,
    problem: Problem,
    epsilon: tf.Tensor,
    num_steps: int = 50,
) -> WorstCase:
    """Solves the attack dual by the fixed-point iteration above.

    Args:
        network: The network.
        problem: The batch, float64 if `is_worst` is to mean anything.
        epsilon: `[]` radius rho of the balls, positive.
        num_steps: Gradient evaluations.
    """
    x0, a = problem.x0, problem.curvature

    def evaluate(x):
        return network.evaluate(x, problem.weights, problem.bias)

    def multiplier(gradient):
        return tf.maximum(tf.norm(gradient, axis=-1) / epsilon, a)

    def advance(x, best, smallest):
        f, g = evaluate(x)
        better = f < smallest
        best = tf.where(better[:, tf.newaxis], x, best)
        step = tf.math.divide_no_nan(g, multiplier(g)[:, tf.newaxis])
        return x0 - step, best, tf.where(better, f, smallest)

    def always(*state):
        del state
        return True

    start = (x0, x0, evaluate(x0).margin)
    last, best, smallest = tf.while_loop(
        always, advance, start, maximum_iterations=num_steps
    )
    end = evaluate(last)
    settled = end.margin <= smallest
    point = tf.where(settled[:, tf.newaxis], last, best)
    evaluation = evaluate(point)
    bound = ball_lower_bound(evaluation, x0 - point, a, epsilon)
    on_sphere = tf.norm(evaluation.gradient, axis=-1) >= a * epsilon
    gap = evaluation.margin - bound
    scale = tf.maximum(tf.abs(evaluation.margin), tf.abs(start[2]))
    return WorstCase(
        point,
        evaluation.margin,
        bound,
        on_sphere & (gap <= _GAP_TOLERANCE * scale),
    )
