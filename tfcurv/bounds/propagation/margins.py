"""How far margins can fall in a region: the end of a propagation."""

from collections.abc import Mapping

import tensorflow as tf

from tfcurv import networks
from tfcurv import numerics
from tfcurv.bounds.propagation.ball_box import BallBox
from tfcurv.bounds.propagation.ball_box import length
from tfcurv.bounds.propagation.worst_translation import ROUNDS
from tfcurv.bounds.propagation.worst_translation import worst_translation


def worst_rises(
    last: Mapping[int, networks.TrainedMap],
    known: Mapping[int, BallBox],
    y: tf.Tensor,
    classes: int,
    *,
    rounds: int = ROUNDS,
) -> tf.Tensor:
    """Bounds by how much z_t - z_y can rise from where it is at the centre.

    Args:
        last: By position of a source, the map from its values to the logits.
        known: By position, what is known of these values.
        y: `[batch]` int32 labels.
        classes: The number of logits.
        rounds: See `worst_translation`.

    Returns:
        `[batch, classes]`, zero up to rounding for t = y; NaN or infinite
        where nothing is known.
    """
    parts = []
    for source, linear in last.items():
        region = known[source]
        ends = region.radius if region.lower is None else region.lower
        columns, errors = linear.columns(classes, ends.dtype)
        c = columns - tf.gather(columns, y)[:, tf.newaxis]
        rise = worst_translation(c, region, rounds=rounds)
        missed = errors + tf.gather(errors, y)[:, tf.newaxis]
        missed += _rounded(columns, y)
        parts.append(rise + missed * farthest_of(region)[:, tf.newaxis])
    return parts[0] if len(parts) == 1 else tf.add_n(parts)


def _rounded(columns, y) -> tf.Tensor:
    """Returns what the differences of columns lose by rounding."""
    if columns.dtype != numerics.PROOF_DTYPE:
        return tf.zeros([], columns.dtype)
    sizes = length(columns)
    both = sizes + tf.gather(sizes, y)[:, tf.newaxis]
    return numerics.gamma(2) * both + numerics.NORM_FLOOR


def farthest_of(region: BallBox) -> tf.Tensor:
    """Returns `[batch]` the largest length of a deviation."""
    # Infinite where it is not a number: a proof of nothing.
    if region.lower is None:
        return region.radius
    box = _longest(region.farthest)
    return box if region.radius is None else tf.minimum(box, region.radius)


def _longest(rows: tf.Tensor) -> tf.Tensor:
    """Returns norms of rows, rounded upward, with what squares lose."""
    floor = tf.constant(numerics.NORM_FLOOR, rows.dtype)
    return length(rows) * numerics.STEP_INFLATION + floor


def start_region(
    x: tf.Tensor,
    epsilon: tf.Tensor,
    norm: str,
    domain: tuple[float, float] | None = None,
) -> BallBox:
    """Returns the deviations of inputs within a distance, and in a domain.

    For linf the ball around the box, whose radius is epsilon times the root of
    the number of inputs; and the domain cuts both. Zero is one of them, also
    where x itself lies outside of the domain.

    Args:
        x: `[batch, n]` points.
        epsilon: `[batch]` distances; of linf also `[batch, n]`, one for each
            entry.
        norm: "l2" or "linf".
        domain: Interval that every entry lies in; None for all inputs.
    """
    distance = epsilon if epsilon.shape.rank == 2 else epsilon[:, tf.newaxis]
    low, high = tf.zeros_like(x) - distance, tf.zeros_like(x) + distance
    if domain is not None:
        # The differences are rounded, by less than this.
        lost = 4.0 * numerics.unit_roundoff(x.dtype) * (tf.abs(x) + 1.0)
        lost *= 1.0 + max(map(abs, domain))
        low = tf.maximum(low, tf.minimum(domain[0] - x - lost, 0.0))
        high = tf.minimum(high, tf.maximum(domain[1] - x + lost, 0.0))
    box = _longest(tf.maximum(-low, high))
    radius = tf.minimum(epsilon, box) if norm == "l2" else box
    return BallBox(radius, low, high)


def ends(
    start: BallBox, norm: str, domain: tuple[float, float] | None
) -> BallBox:
    """Returns where sums of the input end: what does not cut is left out.

    Args:
        start: What `start_region` gave.
        norm: "l2" or "linf".
        domain: Interval that every entry lies in; None for all inputs.
    """
    if norm == "linf":
        # The ball is that around the box.
        return start._replace(radius=None)
    return BallBox(start.radius) if domain is None else start
