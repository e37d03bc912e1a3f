r"""Looks for good quadratic minorants of two-layer ReLU margins.

With a unit's parabola A z^2 + B z + C, or line alpha z, and q their weighted
sum, weak duality gives for every eta >= 0 with 1 - eta K diag(2 |w| A) K^T > 0

    radius^2 / 2 >= D = min_x ||x - x0||^2 / 2 + eta q(x).

In e = 2 eta |w| A, eta and eta alpha, D is jointly concave, and its supremum
is a semidefinite programme. A barrier mu / 2 log det(1 - K diag(e) K^T) makes
it smooth; where its derivatives vanish, at the minimiser x,

    parabola with l = -inf, u = inf: it touches relu at +-sqrt(z^2 + mu h),
    h_i = k_i^T (1 - K diag(e) K^T)^-1 k_i,

and alike for those of an interval; alpha = (1 + z / sqrt(z^2 + mu h)) / 2. So
each step factorises one matrix of the size of the units with w < 0, goes
part of the way to these, and is taken if the barrier's objective rises: each
coordinate moves to where its own derivative vanishes, so a short enough step
rises. The whole search sees x through z alone: z - z0 = K^T K s.

Nothing here is proved, nothing needs to be: any e, eta, alpha make a minorant.
"""

import dataclasses
from typing import NamedTuple

import tensorflow as tf

from tfcurv import numerics
from tfcurv.certificates.quadratic import dual as relu_dual
from tfcurv.certificates.quadratic import units as relu_units
from tfcurv.certificates.quadratic.dual import Point
from tfcurv.certificates.quadratic.units import Margin
from tfcurv.certificates.quadratic.units import units_in_ball

# How fast steps grow after a success and shrink after a failure, and the
# least and the largest part of the way that is gone.
_GROWTH, _SHRINKAGE = 1.3, 0.4
_LEAST_DAMPING, _MOST_DAMPING, _AFRESH = 0.01, 0.8, 0.1

# The barrier, relative to radius^2: at first, where a search goes on, at
# least, in the last step, and the factor by which it falls where the
# objective rose by less than a part of itself.
_FIRST_BARRIER, _WARM_BARRIER, _LEAST_BARRIER = 1e-2, 2e-3, 3e-4
_LAST_BARRIER, _FALL, _SLOW = 4e-5, 0.4, 0.01

# Updates of eta and alpha for each factorisation, and in the last step.
_INNER, _LAST_INNER = 3, 6

# The first ball around a search that went on everywhere, relative to what
# was proved there, and the gain for which it is worth to try another.
_STRETCH, _GAIN = 1.1, 3e-3

_DTYPE = numerics.PROOF_DTYPE


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReluSearchOptions:
    """How hard to search.

    Attributes:
        steps: Factorisations for minorants that hold everywhere.
        balls: Balls around x0 tried for those that hold inside alone.
        ball_steps: Factorisations for each.
    """

    steps: int = 16
    balls: int = 2
    ball_steps: int = 5


class ReluFound(NamedTuple):
    """What a search ended with.

    Attributes:
        curvature: `[n]` A.
        slope: `[n]` B, alpha where the weight is positive.
        direction: `[n]` s with x - x0 = K s at the minimiser.
        ball: Radius in which the minorant holds; infinite for everywhere.
        radius: What it leads to, not proved.
        num_steps: Factorisations spent.
    """

    curvature: tf.Tensor
    slope: tf.Tensor
    direction: tf.Tensor
    ball: float
    radius: float
    num_steps: int


class ReluSearch:
    """Searches for minorants of margins of one network."""

    def __init__(self, gram: tf.Tensor, options: ReluSearchOptions):
        """Stores what all margins share.

        Args:
            gram: `[n, n]` K^T K, float32 or float64, in units in which its
                largest diagonal entry is 1.
            options: How hard to search.
        """
        self._gram = gram
        self._norms = tf.sqrt(tf.cast(tf.linalg.diag_part(gram), _DTYPE))
        self._options = options

    @property
    def _dual(self) -> relu_dual.Dual:
        return relu_dual.compiled(self._gram.dtype)

    def __call__(self, margin: Margin, limit: float) -> ReluFound | None:
        """Returns the best minorant found; None if there was none.

        Args:
            margin: In units in which f(x0) = 1 and a radius of 1 is known.
            limit: Radius beyond which nothing is asked.
        """
        options = self._options
        everywhere = float("inf")
        found, spent = self._ascend(
            margin, everywhere, None, options.steps, limit
        )
        ball = _STRETCH * (1.0 if found is None else found[1].radius)
        for _ in range(options.balls):
            before = 0.0 if found is None else found[1].radius
            if before > limit:
                break
            start = None if found is None else found[0]
            inside, more = self._ascend(
                margin, ball, start, options.ball_steps, limit
            )
            spent += more
            if inside is None:
                break
            radius = inside[1].radius
            if radius > before:
                found = inside
            if radius < ball and radius <= before * (1.0 + _GAIN):
                break
            ball = radius * (_STRETCH if radius >= ball else 1.0)
        return None if found is None else found[1]._replace(num_steps=spent)

    def _ascend(self, margin, ball, start, steps, limit):
        """Raises the objective of the minorants that hold in a ball.

        Returns:
            The best point and what is found there, or None; and the number
            of factorisations.
        """
        shape = units_in_ball(margin, self._norms, ball)
        barrier = _FIRST_BARRIER if start is None else _WARM_BARRIER
        current, best, radius, damping = None, None, 1.0, _MOST_DAMPING
        start = start or self._dual.start(
            self._gram, margin, shape, _number(barrier)
        )
        for step in range(1, steps + 1):
            mu = barrier * radius * radius
            point = self._step(
                margin, shape, current or start, mu, damping if current else 0.0
            )
            if point is None:
                # The first guess need not be a minorant.
                start = start._replace(bend=0.5 * start.bend)
                damping *= _SHRINKAGE
                continue
            if best is None or point.value > best.value:
                best = point
            if _radius(point, ball) > limit:
                break
            rise = _rise(current, point, mu)
            if rise >= 0.0:
                current, radius = point, max(radius, _radius(point, ball))
                damping = min(_MOST_DAMPING, damping * _GROWTH)
            else:
                damping *= _SHRINKAGE
            if rise < _SLOW and (rise >= 0.0 or damping < _LEAST_DAMPING):
                barrier = max(barrier * _FALL, _LEAST_BARRIER)
                damping = max(damping, _AFRESH)
        if best is None:
            return None, step
        mu = _LAST_BARRIER * _radius(best, ball) ** 2
        last = self._step(margin, shape, best, mu, 0.0, _LAST_INNER)
        if last is not None and last.value > best.value:
            best = last
        return (best, _found(margin, shape, best, ball)), step + 1

    def _step(self, margin, shape, point, mu, share, rounds=_INNER):
        found = self._dual.advance(
            self._gram,
            margin,
            shape,
            point,
            _number(mu),
            _number(share),
            tf.constant(rounds),
        )
        return found if bool(tf.math.is_finite(found.value)) else None


def _number(value: float) -> tf.Tensor:
    return tf.constant(value, _DTYPE)


def _radius(point: Point, ball: float) -> float:
    return min(max(2.0 * float(point.value), 0.0) ** 0.5, ball)


def _rise(before: Point | None, after: Point, mu: float) -> float:
    """Returns by what part of itself the barrier's objective has risen."""
    if before is None:
        return float("inf")
    old, new = (
        float(p.value) + 0.5 * mu * float(p.log_det) for p in (before, after)
    )
    return (new - old) / max(abs(old), 1e-30)


def _found(margin, shape, point: Point, ball: float) -> ReluFound:
    a = relu_units.curvature(margin, shape, point.bend, point.eta)
    return ReluFound(
        curvature=a,
        slope=relu_units.slopes(shape, a, point.alpha),
        direction=point.direction,
        ball=ball,
        radius=_radius(point, ball),
        num_steps=0,
    )
