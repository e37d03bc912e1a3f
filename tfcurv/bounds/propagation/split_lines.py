"""Lines around ReLU, of any lower slope, and where a sign is decided.

With z in [l, u] around a centre z0, and a in [0, 1],

    a z <= max(z, 0) <= A (z - l),     A = u / (u - l),

between bounds of different signs; and the function itself where the sign is
known: by the bounds, or because a branch of a search has decided it. A lower
slope is free: each proves something, and a search may choose it.

Sources: [ZWC18] Zhang et al., "Efficient Neural Network Robustness
Certification with General Activation Functions", NeurIPS 2018; of slopes that
are chosen [XZW21] Xu et al., "Fast and Complete: Enabling Complete Neural
Network Verification with Rapid and Massively Parallel Incomplete Verifiers",
ICLR 2021.
"""

import tensorflow as tf

from tfcurv import networks
from tfcurv import numerics
from tfcurv.bounds.propagation.ball_box import Centre
from tfcurv.networks import Lines


def split_lines(
    before: Centre,
    values: networks.Interval,
    slope: tf.Tensor,
    sign: tf.Tensor,
) -> Lines:
    """Returns lines around the deviations of ReLU, see `networks.Lines`.

    Args:
        before: What it bends, at x0.
        values: `[batch, n]` encloses z; not cut where a sign is decided.
        slope: `[batch, n]` a, in [0, 1].
        sign: `[batch, n]` 1 where z is at least 0 in the region, -1 where it
            is at most 0, 0 where nothing is decided.
    """
    z, (low, high) = before.value, values
    zero, one = tf.zeros_like(z), tf.ones_like(z)
    is_on = (sign > 0) | (low >= 0.0)
    is_off = ~is_on & ((sign < 0) | (high <= 0.0))
    known = is_on | is_off
    exact = tf.where(is_on, one, zero)
    # Of what is known nothing is divided.
    width = tf.where(known, one, high - low)
    chord = tf.where(known, exact, high / width)
    slope = tf.where(known, exact, slope)
    value = tf.nn.relu(z)
    below = slope * z - value
    # Over the interval, z - A z is largest at an end: the function is convex.
    top = tf.maximum(-chord * low, high - chord * high)
    above = tf.where(known, below, top + (chord * z - value))
    if before.error is None:
        return Lines(slope, below, chord, above)
    ends = tf.where(known, zero, tf.abs(low) + tf.abs(high))
    size = tf.abs(z) + ends + numerics.NORM_FLOOR
    # max(z, 0) - a z moves by no more than z does.
    lost = before.error[:, tf.newaxis] + 16.0 * numerics.gamma(1) * size
    return Lines(slope, below - lost, chord, above + lost)
