"""The dual of a ReLU margin's minorants: its start and its steps, compiled.

See `relu_search` for the mathematics.
"""

from collections.abc import Callable
import functools
import threading
from typing import NamedTuple

import tensorflow as tf

from tfcurv import numerics
from tfcurv.certificates.quadratic import units as relu_units
from tfcurv.certificates.quadratic.gram import Gram
from tfcurv.certificates.quadratic.units import Margin
from tfcurv.certificates.quadratic.units import Shape

_DTYPE = numerics.PROOF_DTYPE
_TRACING = threading.Lock()


class Point(NamedTuple):
    """Where a search is: per unit e, alpha, z, h and s; eta, D, log det.

    `leading` is a guess at the leading eigenvector of diag(e)^(1/2) G
    diag(e)^(1/2).
    """

    bend: tf.Tensor
    eta: tf.Tensor
    alpha: tf.Tensor
    z: tf.Tensor
    spread: tf.Tensor
    direction: tf.Tensor
    leading: tf.Tensor
    value: tf.Tensor
    log_det: tf.Tensor


class Dual(NamedTuple):
    """What is compiled, once a process, for networks of every size.

    Attributes:
        start: (gram, margin, shape, mu) to a point at x0.
        advance: (gram, margin, shape, point, mu, share, rounds) to a point
            that is a share of the way to where each unit wants to be, with
            the best eta and alpha that so many rounds find. Its D is NaN
            where e gives no minorant.
    """

    start: Callable[..., Point]
    advance: Callable[..., Point]


def compiled(dtype: tf.DType) -> Dual:
    """Returns the functions for Gram matrices of a dtype, traced.

    A search calls them hundreds of times, and `tf.function` would look up its
    one trace each time.
    """
    # Searches run in threads, all of which ask for them first.
    with _TRACING:
        return _compiled(dtype)


@functools.cache
def _compiled(dtype: tf.DType) -> Dual:
    matrix = tf.TensorSpec([None, None], dtype)
    vector, number = tf.TensorSpec([None], _DTYPE), tf.TensorSpec([], _DTYPE)
    flags = tf.TensorSpec([None], tf.bool)
    margin = Margin(vector, vector, number)
    shape = Shape(vector, flags, flags, flags, vector, vector)
    point = Point(
        bend=vector,
        eta=number,
        alpha=vector,
        z=vector,
        spread=vector,
        direction=vector,
        leading=vector,
        value=number,
        log_det=number,
    )
    count = tf.TensorSpec([], tf.int32)
    problem = [matrix, margin, shape]
    steps = [point, number, number, count]
    return Dual(
        _traced(_first, [*problem, number]), _traced(_moved, [*problem, *steps])
    )


def _traced(fn: Callable[..., Point], signature: list) -> Callable[..., Point]:
    compiled = tf.function(fn, input_signature=signature, autograph=False)
    return compiled.get_concrete_function()


def _first(matrix, margin, shape, mu) -> Point:
    """Returns a start at x0 itself, with eta that is likely to do."""
    gram, nothing = Gram(matrix), tf.zeros_like(margin.z)
    spread = gram.squares
    alpha = relu_units.wanted_alpha(margin.z, mu * spread)
    wanted = relu_units.wanted_curvature(shape, margin.z, mu * spread)
    slope = relu_units.slopes(shape, wanted, alpha)
    gradient = margin.weights * (2.0 * wanted * margin.z + slope)
    square = tf.reduce_sum(gradient * gram.times(gradient[tf.newaxis]))
    bend = 2.0 * tf.abs(margin.weights) * wanted
    root = tf.sqrt(bend)
    norm, leading = gram.leading(root)
    tiny = tf.constant(1e-300, _DTYPE)
    eta = tf.minimum(
        0.6 / tf.maximum(norm, tiny), 1.0 / tf.maximum(square, tiny)
    )
    zero = tf.zeros([], _DTYPE)
    return Point(
        bend=eta * bend,
        eta=eta,
        alpha=alpha,
        z=margin.z,
        spread=spread,
        direction=nothing,
        leading=leading,
        value=zero,
        log_det=zero,
    )


def _moved(matrix, margin, shape, point, mu, share, rounds):
    """Goes part of the way, and finds the best eta and alpha there."""
    gram = Gram(matrix)
    bend = tf.where(
        shape.is_parabola, _bend(margin, shape, point, mu, share), 0.0
    )
    alpha = _relaxed(point, mu, share)
    factor = gram.factorised(bend, point.leading)
    point = point._replace(
        bend=bend,
        alpha=alpha,
        spread=factor.spread,
        leading=factor.leading,
        log_det=factor.log_det,
    )
    end = (tf.constant(0), point)

    def improve(count, point):
        return count + 1, _improved(gram, margin, shape, factor, point, mu)

    _, point = tf.while_loop(lambda count, _: count < rounds, improve, end)
    valued, _ = _valued(gram, margin, shape, factor, point)
    return valued


def _improved(gram, margin, shape, factor, point, mu) -> Point:
    """One Newton step in eta, and alpha half of the way."""
    point, change = _valued(gram, margin, shape, factor, point)
    rise, fall = change
    step = 1.0 + tf.math.divide_no_nan(rise, fall * point.eta)
    return point._replace(
        eta=point.eta * tf.clip_by_value(step, 0.5, 2.0),
        alpha=_relaxed(point, mu, tf.constant(0.5, _DTYPE)),
    )


def _valued(gram, margin, shape, factor, point):
    """Returns a point with its z and D; how D changes along eta."""
    w, z = margin.weights, margin.z
    a = relu_units.curvature(margin, shape, point.bend, point.eta)
    slope = relu_units.slopes(shape, a, point.alpha)
    g = point.eta * w * (2.0 * a * z + slope)
    along = w * relu_units.slopes_along_eta(shape, a, point.alpha)
    solved, moved, squares = gram.solve(factor, tf.stack([g, along]))
    constant = relu_units.constants(shape, a)
    at = tf.reduce_sum(w * (a * z * z + slope * z + constant))
    point = point._replace(
        z=z + moved[0],
        direction=solved[0],
        value=point.eta * (at + margin.bias) - 0.5 * squares[0],
    )
    offset, bent = relu_units.offsets_along_eta(shape, a, point.z)
    rise = tf.reduce_sum(along * point.z + w * offset) + margin.bias
    fall = tf.reduce_sum(tf.abs(w) * bent) / (2.0 * point.eta) + squares[1]
    return point, (rise, fall)


def _bend(margin, shape, point, mu, share) -> tf.Tensor:
    """Returns e gone a share of the way, by ratio where it can."""
    old = point.bend
    wanted = relu_units.wanted_curvature(shape, point.z, mu * point.spread)
    new = 2.0 * point.eta * tf.abs(margin.weights) * wanted
    both = (old > 0.0) & (new > 0.0)
    one = tf.ones_like(old)
    ratio = tf.where(both, new, one) / tf.where(both, old, one)
    linear = (1.0 - share) * old + share * new
    return tf.where(both, old * ratio**share, linear)


def _relaxed(point, mu, share) -> tf.Tensor:
    """Returns alpha, gone a share of the way to where it is wanted."""
    wanted = relu_units.wanted_alpha(point.z, mu * point.spread)
    return point.alpha + share * (wanted - point.alpha)
