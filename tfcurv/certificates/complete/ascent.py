"""Better slopes and multipliers of branches, by ascent of their bounds.

Adam, up, with slopes kept in [0, 1] and multipliers where a sign is decided and
at least 0. Nothing rests on how good it is.
"""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import tensorflow as tf

from tfcurv.bounds.propagation import ball_box

# First rates of slopes and, in units of the weights, of multipliers; and what
# is left of them after so many steps, or at the end of more.
_SLOPES, _FORCES = 0.1, 0.1
_DECAY, _STEPS = 0.01, 150
_FIRST, _SECOND, _TINY = 0.9, 0.999, 1e-12


class Ascent(NamedTuple):
    """The best that was found of each branch.

    Attributes:
        bounds: `[branches]` on the margins; -inf where nothing is known.
        slopes: `[branches, neurons]` that give them.
        forces: `[branches, neurons]` that give them.
    """

    bounds: Any
    slopes: Any
    forces: Any


def ascended(
    bound: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    start: Ascent,
    decided: tf.Tensor,
    steps: tf.Tensor,
) -> Ascent:
    """Returns the best that was met on the way.

    Args:
        bound: Maps slopes and multipliers to bounds `[branches]`.
        start: Where to begin; its bounds play no part.
        decided: `[branches, neurons]` where multipliers may be.
        steps: `[]` int32 evaluations.
    """
    slopes, forces = start.slopes, start.forces
    none, whole = tf.zeros_like(slopes), tf.maximum(steps, _STEPS)
    bounds = tf.zeros_like(none[:, 0]) - float("inf")
    best = start._replace(bounds=bounds)

    def step(number, point, moments, best):
        slopes, forces = point
        with tf.GradientTape() as tape:
            tape.watch(point)
            found = bound(slopes, forces)
        ways = tape.gradient(found, point)
        is_more = (found > best.bounds)[:, tf.newaxis]
        found = ball_box.where_nan(found, -float("inf"))
        best = Ascent(
            tf.maximum(best.bounds, found),
            tf.where(is_more, slopes, best.slopes),
            tf.where(is_more, forces, best.forces),
        )
        moved, moments = _adam(number, ways, moments)
        rate = tf.cast(_DECAY ** (number / whole), slopes.dtype)
        slopes = tf.clip_by_value(slopes + _SLOPES * rate * moved[0], 0, 1)
        forces = tf.maximum(forces + _FORCES * rate * moved[1], 0.0)
        forces = tf.where(decided, forces, 0.0)
        return number + 1, (slopes, forces), moments, best

    *_, best = tf.while_loop(
        lambda number, *_: number < steps,
        step,
        (tf.constant(0), (slopes, forces), (none,) * 4, best),
    )
    return best


def _adam(number, ways: Sequence[tf.Tensor], moments):
    """Returns steps of size one, up, and the moments of what was seen."""
    count = tf.cast(number + 1, ways[0].dtype)
    moved, kept = [], []
    for way, first, second in zip(ways, moments[::2], moments[1::2]):
        way = tf.where(tf.math.is_finite(way), way, tf.zeros_like(way))
        first = _FIRST * first + (1.0 - _FIRST) * way
        second = _SECOND * second + (1.0 - _SECOND) * tf.square(way)
        size = tf.sqrt(second / (1.0 - _SECOND**count))
        moved.append(first / (1.0 - _FIRST**count) / (size + _TINY))
        kept += [first, second]
    return moved, tuple(kept)
