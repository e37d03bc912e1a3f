r"""How far a linear function of the last features can fall in ball and box.

    t = max { c . d : ||d||_2 <= rho, lower <= d <= upper }      [LLP20, (11)]

By duality, for every lambda > 0,

    t <= lambda rho^2 / 2 + sum_i max over d_i in [lower_i, upper_i] of
         (c_i d_i - lambda d_i^2 / 2),

with d_i = clip(c_i / lambda, lower_i, upper_i), and with equality for the best
lambda: either 0, where the box alone decides, or the one for which these d
have length rho. It is found by filling up: with tau = 1 / lambda, the entries
that tau |c_i| carries beyond their end u_i > 0 of the box stay there, and the
others share what is left of the ball,

    tau = root of (rho^2 - sum of clipped u_i^2) / (sum of other c_i^2),

which clips more, until it clips no more; few rounds, and [LLP20]'s Algorithm 1.
Whatever multiplier is found, what is returned is the dual value at it: too few
rounds give a larger bound, never a wrong one; and its derivatives with the
multiplier held are those of t.

[LLP20]: Lee, Lee and Park, "Lipschitz-Certifiable Training with a Tight Outer
Bound", NeurIPS 2020.
"""

import tensorflow as tf

from tfcurv import numerics
from tfcurv.bounds.propagation.ball_box import BallBox
from tfcurv.bounds.propagation.ball_box import length
from tfcurv.bounds.propagation.ball_box import where_nan

#: Rounds that are enough nearly always: 2.2 on average, 5 at most, were seen.
#: They end where nothing more is clipped.
ROUNDS = 12


def worst_translation(
    c: tf.Tensor, region: BallBox, *, rounds: int = ROUNDS
) -> tf.Tensor:
    """Returns an upper bound on c . d over a region; exact for enough rounds.

    Args:
        c: `[batch, pairs, n]` float32 or float64.
        region: Of the deviations d, `[batch, n]`.
        rounds: Of filling up.

    Returns:
        `[batch, pairs]`; NaN or infinite where nothing is known. In float64
        rounded upward.
    """
    if region.lower is None:
        return _by_ball(c, region.radius[:, tf.newaxis])
    low, high = region.lower[:, tf.newaxis], region.upper[:, tf.newaxis]
    by_box = tf.reduce_sum(_product(c, tf.where(c > 0.0, high, low)), -1)
    by_box += tf.reduce_sum(tf.abs(c), axis=-1) * _lost(region)
    if region.radius is None:
        return by_box * _up(c)
    rho = region.radius[:, tf.newaxis]
    multiplier = _multiplier(
        tf.stop_gradient(tf.abs(c)),
        tf.stop_gradient(tf.where(c > 0.0, high, -low)),
        tf.stop_gradient(rho),
        rounds,
    )
    by_both = _dual(c, low, high, rho, multiplier)
    by_ball = _by_ball(c, rho)
    # A minimum of NaN is NaN, and what is not known is infinite.
    by_box, by_ball, by_both = (
        where_nan(each, float("inf"))
        for each in (by_box * _up(c), by_ball, by_both)
    )
    return tf.minimum(tf.minimum(by_box, by_ball), by_both)


def _by_ball(c, rho) -> tf.Tensor:
    return (length(c) + _tiny(c)) * rho * _up(c) + _tiny(c)


def _multiplier(size, most, rho, rounds: int) -> tf.Tensor:
    """Returns lambda; infinite or NaN where the ball clips nothing."""
    square, zero = tf.square(size), tf.zeros_like(size)

    def shares(clipped):
        """Returns what the clipped leave of the ball, and the others' size."""
        filled = tf.where(clipped, tf.square(most), zero)
        left = tf.square(rho) - tf.reduce_sum(filled, axis=-1)
        return left, tf.reduce_sum(tf.where(clipped, zero, square), axis=-1)

    def fill(_, clipped):
        left, rest = shares(clipped)
        tau = tf.sqrt(tf.maximum(left, 0.0) / rest)
        now = clipped | (size * tau[..., tf.newaxis] > most)
        return tf.reduce_any(now != clipped), now

    _, clipped = tf.while_loop(
        lambda is_new, _: is_new,
        fill,
        (tf.constant(True), tf.zeros_like(size, tf.bool)),
        maximum_iterations=rounds,
    )
    left, rest = shares(clipped)
    return tf.sqrt(rest / tf.maximum(left, 0.0))


def _dual(c, low, high, rho, multiplier) -> tf.Tensor:
    """Returns the dual value at some multipliers; NaN where it is none."""
    # An infinite end, or a multiplier of 0 / 0, proves nothing by this way.
    known = tf.math.is_finite(multiplier) & (multiplier > 0.0)
    force = tf.where(known, multiplier, tf.ones_like(multiplier))
    force = tf.stop_gradient(force)[..., tf.newaxis]
    # Where lambda d = c nothing depends on d: its derivative may be left out,
    # and at an end it is that of the end.
    d = tf.clip_by_value(c / force, low, high)
    gained = tf.reduce_sum(c * d, axis=-1)
    square = tf.reduce_sum(tf.square(d), axis=-1)
    half = 0.5 * force[..., 0]
    value = gained + half * (tf.square(rho) - square)
    size = tf.reduce_sum(tf.abs(c * d), axis=-1)
    size += half * (tf.square(rho) + square)
    # What squares lose by underflow, the multiplier magnifies.
    value += _roundings(c) * size + _tiny(c) * (1.0 + _tiny(c) * half)
    return tf.where(known, value, tf.constant(float("inf"), value.dtype))


def _product(c, d):
    """Returns c d, and 0 where c is, also at an infinite end."""
    zero = tf.zeros_like(c)
    safe = tf.where(c == 0.0, zero, d)
    return c * safe


def _roundings(c: tf.Tensor) -> float:
    if c.dtype != numerics.PROOF_DTYPE:
        return 0.0
    return numerics.gamma(c.shape[-1] + 16)


def _up(c: tf.Tensor) -> float:
    """Returns the factor that covers the roundings of positive sums."""
    return 1.0 + _roundings(c)


def _tiny(c: tf.Tensor) -> float:
    return numerics.NORM_FLOOR if c.dtype == numerics.PROOF_DTYPE else 0.0


def _lost(region: BallBox) -> tf.Tensor:
    """Returns what the box's sums may lose for each |c_i|, `[batch, 1]`."""
    if region.lower.dtype != numerics.PROOF_DTYPE:
        return tf.zeros([], region.lower.dtype)
    most = tf.reduce_max(region.farthest, axis=-1, keepdims=True)
    count = numerics.gamma(region.lower.shape[-1] + 16)
    return count * most + numerics.NORM_FLOOR
