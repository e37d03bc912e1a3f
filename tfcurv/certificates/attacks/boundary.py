"""Adversarial examples that were really found: upper bounds on the radius."""

from typing import NamedTuple

import tensorflow as tf

from tfcurv import networks
from tfcurv import solvers
from tfcurv.certificates.attacks.threat import Threat
from tfcurv.certificates.margins.safe_ball import dot
from tfcurv.certificates.margins.search import Problem

# Steps beyond the boundary found in float32 at which float64 looks for a
# point that is misclassified beyond doubt, relative to the distance.
_OVERSHOOTS = (1e-6, 1e-4, 1e-2)

# The same where the executed network, too, must be wrong beyond doubt.
_EXECUTED_OVERSHOOTS = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)

# The walk ends with a step this small beside the distance from x0, in which
# the distance of the boundary errs by the square; the rest is along the ray.
_WALK_TOLERANCE = 1e-4

# Relative width of the interval on a ray in which the boundary is left.
_RAY_TOLERANCE = 1e-5

# Most rays cross this close to where they were told to; else they are followed
# this far. In multiples of the distance to the point that suggested them.
_BEFORE, _BEYOND, _FAR = 0.999, 1.001, 4.0


class Adversarial(NamedTuple):
    """The nearest misclassified points found.

    Attributes:
        point: `[batch, dim]` float64; x0 itself where none was found.
        distance: `[batch]` float64 proved upper bound on its distance from
            x0; infinite where none was found.
    """

    point: tf.Tensor
    distance: tf.Tensor


def approach_boundary(
    network: networks.Network,
    problem: Problem,
    start: tf.Tensor,
    num_steps: int | tf.Tensor,
    threat: Threat = Threat(),
) -> tf.Tensor:
    """Returns points near where a margin first vanishes, seen from x0.

    The HL-RF iteration without the clipping that a certificate needs,

        x <- x0 - (f + g . (x0 - x)) / ||g||^2 g,

    halved where a step would move x by more than the last one did; in linf
    with sign(g) / ||g||_1, in place of g / ||g||^2. In a domain the nearest
    point of the domain where the linear function vanishes.

    Args:
        network: The network.
        problem: The batch, in the dtype of the search.
        start: `[batch, dim]` first points.
        num_steps: Number of gradient evaluations.
        threat: In which norm the way is short.
    """
    nothing = tf.zeros_like(problem.bias)
    state = _Approach(
        start,
        nothing + tf.constant(float("inf"), start.dtype),
        tf.ones_like(nothing, tf.bool),
    )

    def advance(rows, state):
        return _approach_step(network, rows, state, threat)

    return solvers.iterate(
        advance,
        problem,
        state,
        max_steps=num_steps,
        result=lambda end: end.point,
    )


class _Approach(NamedTuple):
    """Points on their way to the boundary, and how far they went last."""

    point: tf.Tensor
    last: tf.Tensor
    active: tf.Tensor


def _approach_step(network, problem: Problem, state, threat) -> _Approach:
    x = state.point
    f, g = network.evaluate(x, problem.weights, problem.bias)
    away = problem.x0 - x
    step = away + threat.shortest(problem.x0, g, f + dot(g, away))
    length = tf.norm(step, axis=-1)
    one = tf.ones_like(length)
    damping = tf.where(length > state.last, 0.5 * one, one)
    following = x + damping[:, tf.newaxis] * step
    # NaN compares false: it moves nothing and ends the walk.
    moves = length > _WALK_TOLERANCE * tf.norm(away, axis=-1)
    moves &= state.active & tf.reduce_all(tf.math.is_finite(following), axis=-1)
    return _Approach(
        tf.where(moves[:, tf.newaxis], following, x), length, moves
    )


def worst_margin(
    network: networks.Network, x: tf.Tensor, y: tf.Tensor
) -> tf.Tensor:
    """Returns the smallest z_y - z_t over t != y, at each row of x.

    Args:
        network: The network.
        x: `[batch, dim]` points, float32 or float64.
        y: `[batch]` int32 labels.
    """
    return least_margin(network.logits(x), y)


def least_margin(logits: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Returns the smallest z_y - z_t over t != y, `[batch]`.

    Args:
        logits: `[batch, classes]`.
        y: `[batch]` int32 labels.
    """
    best = tf.reduce_max(others(logits, y), axis=-1)
    return tf.gather(logits, y, batch_dims=1) - best


def rival(logits: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Returns the class of the largest logit but that of y, `[batch]` int32.

    Args:
        logits: `[batch, classes]`.
        y: `[batch]` int32 labels.
    """
    return tf.argmax(others(logits, y), axis=-1, output_type=tf.int32)


def others(logits: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Returns the logits with minus infinity for class y.

    Args:
        logits: `[batch, classes]`.
        y: `[batch]` int32 labels.
    """
    own = tf.one_hot(y, logits.shape[-1], on_value=True, off_value=False)
    lowest = tf.fill(tf.shape(logits), tf.cast(float("-inf"), logits.dtype))
    return tf.where(own, lowest, logits)


class _Bracket(NamedTuple):
    """Ends of intervals on rays, the worst margins there, which end moved."""

    low: tf.Tensor
    high: tf.Tensor
    at_low: tf.Tensor
    at_high: tf.Tensor
    moved: tf.Tensor
    active: tf.Tensor


def cross_boundary(
    network: networks.Network,
    x0: tf.Tensor,
    y: tf.Tensor,
    towards: tf.Tensor,
    num_steps: int = 8,
    threat: Threat = Threat(),
) -> Adversarial:
    """Returns misclassified points on rays from x0, close to the first.

    Searches in float32, then demands in float64 that some margin, with its
    rounding error added, is not positive.

    Args:
        network: The network.
        x0: `[batch, dim]` float64 origins.
        y: `[batch]` int32 labels.
        towards: `[batch, dim]` float32 points that the rays pass through.
        num_steps: Steps of the root search on each ray.
        threat: In whose domain the points lie, and how far they are.
    """
    towards = threat.cut(towards)
    origin = tf.cast(x0, towards.dtype)
    rays = _Rays(origin, towards - origin, y)

    def refine(rows, bracket):
        return _illinois_step(network, rows, bracket)

    start = _first_bracket(network, rays)
    reach = solvers.iterate(
        refine, rays, start, max_steps=num_steps, result=lambda end: end.high
    )
    return _verify(network, x0, y, tf.cast(rays.ray, x0.dtype), reach, threat)


class _Rays(NamedTuple):
    """Rays, and the classes that are to be left on them."""

    origin: tf.Tensor
    ray: tf.Tensor
    label: tf.Tensor


def _margin_on(network, rays: _Rays, reach) -> tf.Tensor:
    x = rays.origin + reach[:, tf.newaxis] * rays.ray
    return worst_margin(network, x, rays.label)


def _first_bracket(network, rays: _Rays) -> _Bracket:
    one = tf.ones_like(rays.origin[:, 0])
    at_before = _margin_on(network, rays, _BEFORE * one)
    at_beyond = _margin_on(network, rays, _BEYOND * one)
    early, late = at_before <= 0.0, at_beyond > 0.0
    # The ends that the few others need.
    elsewhere = tf.where(early, 0.0 * one, _FAR * one)
    rows = tf.where(early | late)[:, 0]
    few = _Rays(*(tf.gather(field, rows) for field in rays))
    found = _margin_on(network, few, tf.gather(elsewhere, rows))
    at_other = tf.tensor_scatter_nd_update(one, rows[:, tf.newaxis], found)
    late &= ~early
    low = tf.where(late, _BEYOND, _BEFORE)
    high = tf.where(early, _BEFORE, _BEYOND)
    return _Bracket(
        tf.where(early, elsewhere, low * one),
        tf.where(late, elsewhere, high * one),
        tf.where(early, at_other, tf.where(late, at_beyond, at_before)),
        tf.where(late, at_other, tf.where(early, at_before, at_beyond)),
        0.0 * one,
        tf.ones_like(early),
    )


def _illinois_step(network, rays: _Rays, bracket: _Bracket) -> _Bracket:
    """Regula falsi, halving the margin of an end that stays a second time."""
    low, high, at_low, at_high, moved, active = bracket
    share = tf.math.divide_no_nan(at_low, at_low - at_high)
    share = tf.clip_by_value(share, 0.01, 0.99)
    middle = low + share * (high - low)
    found = _margin_on(network, rays, middle)
    outside = found > 0.0
    one = tf.ones_like(found)
    at_low = tf.where(moved < 0.0, 0.5, one) * at_low
    at_high = tf.where(moved > 0.0, 0.5, one) * at_high
    low, high = tf.where(outside, middle, low), tf.where(outside, high, middle)
    return _Bracket(
        low,
        high,
        tf.where(outside, found, at_low),
        tf.where(outside, at_high, found),
        tf.where(outside, one, -one),
        active & (high - low > _RAY_TOLERANCE * high),
    )


def _verify(network, x0, y, ray, reach, threat) -> Adversarial:
    start = Adversarial(
        x0, tf.fill(tf.shape(y), tf.cast(float("inf"), x0.dtype))
    )
    reach = tf.cast(reach, x0.dtype)
    exact = network.execution is None
    overshoots = _OVERSHOOTS if exact else _EXECUTED_OVERSHOOTS
    longer = tf.constant([1.0 + each for each in overshoots], x0.dtype)

    def look(index, found):
        # Only where a smaller step has not been enough.
        rows = tf.where(tf.math.is_inf(found.distance))[:, 0]
        centre, label = tf.gather(x0, rows), tf.gather(y, rows)
        scale = tf.gather(reach, rows) * longer[index]
        x = threat.cut(centre + scale[:, tf.newaxis] * tf.gather(ray, rows))
        wrong = tf.where(is_misclassified(network, x, label))[:, 0]
        distance = threat.distance(x - centre)
        where = tf.gather(rows, wrong)[:, tf.newaxis]
        return index + 1, Adversarial(
            tf.tensor_scatter_nd_update(
                found.point, where, tf.gather(x, wrong)
            ),
            tf.tensor_scatter_nd_update(
                found.distance, where, tf.gather(distance, wrong)
            ),
        )

    # A loop, so that a look is traced once.
    _, found = tf.while_loop(
        lambda index, _: index < len(overshoots), look, (0, start)
    )
    return found


def is_misclassified(
    network: networks.Network, x: tf.Tensor, y: tf.Tensor
) -> tf.Tensor:
    """Returns whether the network does not prefer y, beyond doubt.

    Args:
        network: The network.
        x: `[batch, dim]` float64 points.
        y: `[batch]` int32 labels.

    Returns:
        `[batch]` True where some other logit is at least that of y in exact
        arithmetic, and in the execution that the network is certified for.
        False where rounding leaves it open, and for NaN.
    """
    forward = network.forward(x)
    margin = least_margin(network.logits_of(forward), y)
    margin += 2.0 * networks.logit_error(network, forward)
    margin += execution_error(network, x, y)
    return margin <= 0.0


def execution_error(
    network: networks.Network, x: tf.Tensor, y: tf.Tensor
) -> tf.Tensor:
    """Bounds the execution's error of the margin to the likeliest rival.

    Args:
        network: The network; without an execution there is no error.
        x: `[batch, dim]` float64 points.
        y: `[batch]` int32 labels.
    """
    if network.execution is None:
        return tf.zeros_like(x[:, 0])
    trace = network.execution.trace(x)
    nowhere = tf.zeros_like(x[:, 0])
    t = rival(network.logits(x), y)
    return network.execution.margin_error(trace, y, t, nowhere)
