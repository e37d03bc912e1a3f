"""The radius that one evaluation of a margin proves, in closed form.

If f is twice differentiable (or C^{1,1}) and no eigenvalue of its Hessian
lies below -a, then for every point c and every x

    f(x) >= f(c) + g . (x - c) - a/2 ||x - c||^2,   g = grad f(c),

and the right-hand side is positive on an open ball. The certificate of
[SF20, Theorem 1] is the supremum of the resulting radius over c, so any c
gives a true, perhaps weaker, certificate: nothing rests on convergence.

[SF20]: Singla and Feizi, "Second-Order Provable Defenses against Adversarial
Attacks", ICML 2020.
"""

import math

import tensorflow as tf

from tfcurv import networks
from tfcurv import numerics

# More than the terms of an inner product, 2.3e-308 each, lose by underflow. The
# other factors are above their floors, so that their products do not vanish.
_PRODUCT_FLOOR = 1e-280


def dot(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Returns the inner products of the rows of a and b."""
    return tf.reduce_sum(a * b, axis=-1)


def safe_ball_radius(
    evaluation: networks.Evaluation,
    displacement: tf.Tensor,
    curvature: tf.Tensor,
) -> tf.Tensor:
    """Returns the radius around x0 that an evaluation at c certifies.

    With d = x0 - c and the curvature bound a,

        R = (2 f + 2 g.d - a ||d||^2) / (sqrt(||g||^2 + 2 a f) + ||g - a d||),

    which is [sqrt(||g||^2 + 2 a f) - ||g - a d||] / a multiplied by its
    conjugate, so that it neither cancels for small a nor divides by a = 0.
    At c = x0 it is the closed-form radius 2 f / (||g|| + sqrt(||g||^2 +
    2 a f)). In exact arithmetic; `safe_ball_radius_bound` is the proof.

    Args:
        evaluation: Margin `[batch]` and gradient `[batch, dim]` at c.
        displacement: `[batch, dim]` x0 - c.
        curvature: `[batch]` a >= 0.

    Returns:
        `[batch]`, at most 0 where nothing is certified.
    """
    f, g = evaluation
    d, a = displacement, curvature
    numerator = 2.0 * f + 2.0 * dot(g, d) - a * dot(d, d)
    radicand = tf.maximum(dot(g, g) + 2.0 * a * f, 0.0)
    rest = tf.norm(g - a[:, tf.newaxis] * d, axis=-1)
    floor = tf.cast(1e-30, f.dtype)
    return numerator / tf.maximum(tf.sqrt(radicand) + rest, floor)


def safe_ball_radius_bound(
    evaluation: networks.Evaluation,
    error: networks.EvaluationError,
    displacement: tf.Tensor | None,
    curvature: tf.Tensor,
) -> tf.Tensor:
    """Returns a proved lower bound on the radius of `safe_ball_radius`.

    Let the exact f and g lie within e_f and e_g of the computed ones. For
    every s > 0, e_g ||v|| <= e_g s / 2 + e_g ||v||^2 / (2 s), so the
    quadratic bound holds with the computed g once f is lowered by
    e_f + e_g s / 2 and a is raised by e_g / s. With s = ||d|| + |f| / (||g|| +
    e_g + sqrt(a |f|)), the size of the v that matter, the loss is about e_f +
    e_g s beside f, also where the gradient vanishes.

    Args:
        evaluation: Computed margin `[batch]` and gradient `[batch, dim]` at
            c, float64.
        error: Bounds on their errors.
        displacement: `[batch, dim]` computed x0 - c; None for c = x0.
        curvature: `[batch]` proved a >= 0.

    Returns:
        `[batch]` float64. Zero where nothing is certified and where any
        number is not finite. Never infinite: a provably constant positive
        margin gives a number above 1e100.
    """
    f, g = evaluation
    dim = g.shape[-1]
    rounding = numerics.gamma(dim + 16)
    size = tf.norm(g, axis=-1) * (1.0 + rounding) + numerics.NORM_FLOOR
    along, reach = tf.zeros_like(f), tf.zeros_like(f) + numerics.NORM_FLOOR
    if displacement is not None:
        along = dot(g, displacement)
        reach += tf.norm(displacement, axis=-1) * (1.0 + rounding)
    bend = tf.sqrt(curvature) * tf.sqrt(tf.abs(f))
    scale = reach + tf.abs(f) / (size + error.gradient + bend)
    scale = tf.clip_by_value(scale, 1e-100, 1e100)
    f_low = f - (error.margin + 0.5 * error.gradient * scale) * (1.0 + 1e-9)
    a = (curvature + error.gradient / scale) * (1.0 + 1e-15)
    # TensorFlow takes what is too small for zero, a curvature, too.
    a += numerics.PRODUCT_UNDERFLOW

    # 2 f + 2 g.d - a ||d||^2, less what its terms and d may err by.
    terms = 2.0 * tf.abs(f) + 2.0 * size * reach + a * reach * reach
    numerator = 2.0 * f_low + 2.0 * along - a * reach * reach
    numerator -= 4.0 * rounding * terms + _PRODUCT_FLOOR

    # The denominator, raised by the same token: the root of a sum that may
    # cancel, and the norm of a difference that may.
    squares = size * size + 2.0 * a * tf.abs(f_low)
    radicand = size * size + 2.0 * a * f_low + 4.0 * rounding * squares
    rest = size
    if displacement is not None:
        rest = tf.norm(g - a[:, tf.newaxis] * displacement, axis=-1)
    rest += 4.0 * rounding * (size + a * reach)
    denominator = (
        tf.sqrt(tf.maximum(radicand, 0.0)) + rest + numerics.NORM_FLOOR
    )
    radius = numerics.round_down(numerator / denominator, dim + 16)
    # NaN compares false: it certifies nothing. An infinite or NaN term in
    # the numerator or the denominator is no proof either.
    sound = tf.math.is_finite(radius) & tf.math.is_finite(denominator)
    return tf.where(sound & (radius > 0.0), radius, tf.zeros_like(radius))


def ball_lower_bound(
    evaluation: networks.Evaluation,
    displacement: tf.Tensor,
    curvature: tf.Tensor,
    epsilon: tf.Tensor,
    error: networks.EvaluationError | None = None,
) -> tf.Tensor:
    """Returns a proved lower bound on min f over ||x - x0|| <= epsilon.

    The minimum over the ball of the quadratic bound at c, with d = x0 - c:

        f + g.d - a/2 ||d||^2 - epsilon ||g - a d|| - a/2 epsilon^2,

    which at the optimum of the attack dual of [SF20, Theorem 2] is the dual
    value; less what its evaluation errs by, and less what f and g do, which is
    e_f + e_g (||d|| + epsilon).

    Args:
        evaluation: Margin `[batch]` and gradient `[batch, dim]` at c.
        displacement: `[batch, dim]` x0 - c.
        curvature: `[batch]` a >= 0.
        epsilon: `[]` or `[batch]` radius of the ball.
        error: Bounds on the errors of the evaluation. Default: it is exact.

    Returns:
        `[batch]`, of the dtype of the evaluation.
    """
    f, g = evaluation
    d, a = displacement, curvature
    slope = tf.norm(g - a[:, tf.newaxis] * d, axis=-1)
    at_centre = f + dot(g, d) - 0.5 * a * dot(d, d)
    value = at_centre - epsilon * slope - 0.5 * a * epsilon**2

    # Each term errs by gamma_{dim + 16} of the sizes of its factors, rounding
    # of d and of the sizes themselves included; a norm by the root of what
    # vanished, for each entry.
    count = g.shape[-1] + 16
    size, reach = tf.norm(g, axis=-1), tf.norm(d, axis=-1) + epsilon
    terms = tf.abs(f) + 2.0 * size * reach + 2.0 * a * reach * reach
    vanished = count * math.sqrt(numerics.smallest_normal(f.dtype))
    missed = 2.0 * numerics.gamma(count, f.dtype) * terms
    missed += vanished * (1.0 + size + (1.0 + a) * (1.0 + reach))
    if error is not None:
        missed += 1.01 * (error.margin + error.gradient * reach)
    return value - missed
