"""The search for the point at which a certificate is proved best.

The dual of [SF20, Theorem 1] is max over eta in [0, 1/a] of min over x of
||x - x0||^2 / 2 + eta f(x). Its stationary points satisfy x = x0 - eta g(x)
with f(x) = 0 or eta = 1/a, so that the multiplier and the point can be found
together by the fixed-point iteration

    eta = clip((f + g . (x0 - x)) / ||g||^2, 0, 1/a),   x <- x0 - eta g,

the clipped form of the HL-RF iteration of structural reliability
(Rackwitz and Fiessler, Computers & Structures 9, 1978). It is Anderson
accelerated; what does not settle is finished by Newton steps on
(x, eta), whose linear systems are solved by conjugate gradients with
Hessian-vector products. Nothing here is trusted: see `safe_ball`.

[SF20]: Singla and Feizi, "Second-Order Provable Defenses against Adversarial
Attacks", ICML 2020.
"""

from collections.abc import Callable
import dataclasses
from typing import NamedTuple

import tensorflow as tf

from tfcurv import networks
from tfcurv import numerics
from tfcurv import solvers
from tfcurv.certificates.margins.safe_ball import dot

# A step of this share of the tolerance's root leaves less than the tolerance
# where the error is quadratic: measured on networks of 2 to 4 layers.
_STEP_OF_ROOT = 0.05


# Below this a denominator is zero.
_LEAST = 1e-30


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """How hard the search tries.

    Attributes:
        fixed_point_steps: Most gradient evaluations of the fixed-point phase.
        anderson_depth: Differences that the acceleration remembers.
        newton_steps: Most Newton steps for what has not settled by then.
        conjugate_gradient_steps: Most Hessian-vector products of each of the
            two linear systems of a Newton step.
        relative_tolerance: A point has settled when the radius there is this
            close to the best, relative, as the next step suggests: where the
            multiplier is at 1/a the radius errs by the length of that step,
            elsewhere by its square.
    """

    fixed_point_steps: int = 24
    anderson_depth: int = 4
    newton_steps: int = 4
    conjugate_gradient_steps: int = 12
    relative_tolerance: float = 2e-5


class Problem(NamedTuple):
    """A batch of margins f(x) = weights . a_{L-1}(x) + bias around x0.

    Attributes:
        x0: `[batch, dim]` points to certify.
        weights: `[batch, n]` of the margin's last layer.
        bias: `[batch]` of the margin.
        curvature: `[batch]` a, with -a at most the smallest eigenvalue.
        enough: `[batch]` radius at which the search may stop.
        too_little: `[batch]` distance within which a point of another class
            ends the search.
    """

    x0: tf.Tensor
    weights: tf.Tensor
    bias: tf.Tensor
    curvature: tf.Tensor
    enough: tf.Tensor
    too_little: tf.Tensor


class SearchResult(NamedTuple):
    """Where to prove.

    Attributes:
        centre: `[batch, dim]` the best point evaluated.
        radius: `[batch]` what it would certify, were arithmetic exact.
        settled: `[batch]` whether the iteration converged.
        num_evaluations: `[batch]` gradients, a Hessian product counting two.
    """

    centre: tf.Tensor
    radius: tf.Tensor
    settled: tf.Tensor
    num_evaluations: tf.Tensor


class _State(NamedTuple):
    x: tf.Tensor
    memory: solvers.AndersonMemory
    best: SearchResult
    active: tf.Tensor


def search_problem(
    network, x0, y, t, curvature, enough, too_little=0.0
) -> Problem:
    """Returns the problem of a search, in its dtype, from float64 numbers.

    Args:
        network: The network.
        x0: `[batch, dim]` points.
        y: `[batch]` int32 labels.
        t: `[batch]` int32 other classes.
        curvature: `[batch]` proved |m(y, t)|.
        enough: `[batch]` radii with which a search ends.
        too_little: A radius below which it ends, too.
    """
    dtype = numerics.SEARCH_DTYPE
    weights, bias = network.pair(y, t, dtype)
    # A Python number beyond float32 is an error; a tensor, infinity.
    too_little = tf.constant(too_little, numerics.PROOF_DTYPE)
    return Problem(
        tf.cast(x0, dtype),
        weights,
        bias,
        tf.cast(curvature, dtype),
        tf.cast(enough, dtype),
        tf.fill(tf.shape(bias), tf.cast(too_little, dtype)),
    )


def find_centre(
    network: networks.Network, problem: Problem, options: SearchOptions
) -> SearchResult:
    """Returns the points that certify the largest radii, nearly.

    Args:
        network: The network.
        problem: The batch, in the dtype of the search.
        options: How hard to try.
    """
    first = _fixed_point_phase(network, problem, options)
    if not options.newton_steps:
        return first
    rows = tf.where(~first.settled & (first.radius < problem.enough))[:, 0]
    rest = Problem(*(tf.gather(field, rows) for field in problem))
    start = SearchResult(*(tf.gather(field, rows) for field in first))
    second = tf.cond(
        tf.size(rows) > 0,
        lambda: _newton_phase(network, rest, start, options),
        lambda: start,
    )
    return SearchResult(
        *(
            tf.tensor_scatter_nd_update(old, rows[:, tf.newaxis], new)
            for old, new in zip(first, second)
        )
    )


class _Look(NamedTuple):
    """What one evaluation says.

    Attributes:
        eta: `[batch]` the clipped multiplier.
        limited: `[batch]` whether its upper end 1/a is active.
        residual: `[batch, dim]` r = x0 - eta g - x.
        step: `[batch]` ||r||.
        reach: `[batch]` ||x - x0||.
        radius: `[batch]` the safe ball's, in exact arithmetic.
    """

    eta: tf.Tensor
    limited: tf.Tensor
    residual: tf.Tensor
    step: tf.Tensor
    reach: tf.Tensor
    radius: tf.Tensor


def _look(problem: Problem, x, evaluation) -> _Look:
    """Looks at an evaluation in as few passes over vectors as there can be.

    With d = x0 - x = r + eta g, all that `safe_ball_radius` needs follows
    from g.d, ||g||^2 and ||r||^2; ||g - a d|| as (1 - a eta) g - a r, which
    does not cancel where the multiplier is at 1/a.
    """
    f, g = evaluation
    a = problem.curvature
    displacement = problem.x0 - x
    slope, along = dot(g, g), dot(g, displacement)
    free = tf.math.divide_no_nan(f + along, slope)
    limited = free * a >= 1.0
    ceiling = tf.math.divide_no_nan(tf.ones_like(f), a)
    eta = tf.where(limited, ceiling, tf.maximum(free, 0.0))
    residual = displacement - eta[:, tf.newaxis] * g
    rest = dot(residual, residual)
    across = along - eta * slope  # g.r
    reach = tf.maximum(rest + eta * (across + along), 0.0)
    share = tf.where(limited, tf.zeros_like(f), 1.0 - a * eta)
    left = share * (share * slope - 2.0 * a * across) + a * a * rest
    root = tf.sqrt(tf.maximum(slope + 2.0 * a * f, 0.0))
    denominator = root + tf.sqrt(tf.maximum(left, 0.0))
    radius = (2.0 * (f + along) - a * reach) / tf.maximum(
        denominator, tf.cast(_LEAST, f.dtype)
    )
    return _Look(eta, limited, residual, tf.sqrt(rest), tf.sqrt(reach), radius)


def _record(best: SearchResult, x, radius, cost) -> SearchResult:
    """Returns `best`, improved by the radius at x where it is better."""
    better = radius > best.radius  # False for NaN.
    return SearchResult(
        tf.where(better[:, tf.newaxis], x, best.centre),
        tf.where(better, radius, best.radius),
        best.settled,
        best.num_evaluations + cost,
    )


def _fixed_point_phase(network, problem, options) -> SearchResult:
    x0 = problem.x0
    nothing = tf.zeros_like(x0[:, 0])
    start = SearchResult(
        x0, nothing, tf.zeros_like(nothing, tf.bool), tf.zeros_like(nothing)
    )
    state = _State(
        x0,
        solvers.initial_memory(x0, x0 * 0.0, options.anderson_depth),
        start,
        tf.ones_like(nothing, tf.bool),
    )

    def advance(rows, state):
        return _fixed_point_step(network, rows, options, state)

    return solvers.iterate(
        advance,
        problem,
        state,
        max_steps=options.fixed_point_steps,
        result=lambda end: end.best,
    )


def _fixed_point_step(network, problem, options, state: _State) -> _State:
    x = state.x
    evaluation = network.evaluate(x, problem.weights, problem.bias)
    look = _look(problem, x, evaluation)
    cost = tf.cast(state.active, x.dtype)
    best = _record(state.best, x, look.radius, cost)
    _, limited, residual, step, reach, _ = look
    tolerance = tf.cast(_step_tolerance(options, limited), reach.dtype)
    settled = step <= tolerance * reach
    # No radius is longer than the way to another class.
    settled |= (evaluation.margin <= 0.0) & (reach < problem.too_little)
    settled &= state.active
    best = best._replace(settled=best.settled | settled)
    active = state.active & ~settled & (best.radius < problem.enough)
    # Beside the zeros that it starts with, the first residual has grown: the
    # first step is a plain one.
    following, memory = solvers.anderson_step(state.memory, x, residual)
    frozen = ~active[:, tf.newaxis]
    return _State(tf.where(frozen, x, following), memory, best, active)


def _step_tolerance(options: SearchOptions, limited: tf.Tensor) -> tf.Tensor:
    """Returns the step, relative to the distance, of what has settled."""
    tolerance = options.relative_tolerance
    return tf.where(limited, tolerance, _STEP_OF_ROOT * tolerance**0.5)


def hessian_product(
    margin: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor, v: tf.Tensor
) -> tf.Tensor:
    """Returns H(x) v for a batch of margins, by nested gradient tapes.

    Args:
        margin: Maps points `[batch, dim]` to values `[batch]`, row by row.
        x: `[batch, dim]` points.
        v: `[batch, dim]` directions.
    """
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            value = margin(x)
        # v may be x itself, whose derivative is not meant.
        slope = dot(inner.gradient(value, x), tf.stop_gradient(v))
    product = outer.gradient(slope, x)
    # A margin without curvature does not depend on x twice.
    return tf.zeros_like(x) if product is None else product


def _newton_phase(network, problem, start: SearchResult, options):
    state = (start.centre, start)

    def unfinished(x, best):
        del x
        return tf.reduce_any(_is_active(problem, best))

    def advance(x, best):
        return _newton_step(network, problem, options, x, best)

    x, best = tf.while_loop(
        unfinished, advance, state, maximum_iterations=options.newton_steps
    )
    # The last step has not been looked at yet.
    evaluation = network.evaluate(x, problem.weights, problem.bias)
    radius = _look(problem, x, evaluation).radius
    return _record(best, x, radius, tf.ones_like(radius))


def _is_active(problem: Problem, best: SearchResult) -> tf.Tensor:
    return ~best.settled & (best.radius < problem.enough)


def _newton_step(network, problem, options, x, best: SearchResult):
    """One step on x - x0 + eta g = 0, with f = 0 unless eta is at 1/a."""
    active = _is_active(problem, best)
    evaluation = network.evaluate(x, problem.weights, problem.bias)
    f, g = evaluation
    cost = 1.0 + 4.0 * options.conjugate_gradient_steps
    cost *= tf.cast(active, f.dtype)
    eta, limited, residual, _, reach, radius = _look(problem, x, evaluation)
    best = _record(best, x, radius, cost)
    scale = eta[:, tf.newaxis]

    # Two systems of one matrix, solved as one batch.
    points, curves = (tf.concat([part, part], 0) for part in (x, scale))
    weights = tf.concat([problem.weights, problem.weights], 0)

    def margin(points):
        return dot(network.forward(points).features, weights)

    def operator(v):
        return v + curves * hessian_product(margin, points, v)

    solved = solvers.conjugate_gradient(
        operator,
        tf.concat([residual, -g], 0),
        num_iterations=options.conjugate_gradient_steps,
    )
    along, across = tf.split(solved, 2)
    change = tf.math.divide_no_nan(-(f + dot(g, along)), dot(g, across))
    change = tf.where(limited, tf.zeros_like(change), change)
    step = along + change[:, tf.newaxis] * across
    length = tf.norm(step, axis=-1)
    # How far the solution is from x0; x itself may still be x0.
    reach = tf.maximum(reach, eta * tf.norm(g, axis=-1))
    settled = active & (length <= options.relative_tolerance * reach)
    # A step longer than the way from x0 has left the model's validity.
    share = tf.math.divide_no_nan(reach, length)
    step *= tf.minimum(tf.ones_like(share), share)[:, tf.newaxis]
    following = tf.where(active[:, tf.newaxis], x + step, x)
    return following, best._replace(settled=best.settled | settled)
