"""How far a network is from its execution in float32, over a whole ball.

A deployed network rounds. For every x with ||x - x0|| <= r the executed
logits lie within a bound of the exact ones, which is derived here stage by
stage. Of each stage's output a(x), as computed â(x), two differences have a
ball and a box: a(x) - a(x0), by how much it has moved, and â(x) - a(x), what
is lost. Both go through linear maps by the same rule, see `ball_box`.

A sum of n products and a bias, added in any order, with or without fused
operations: each partial sum is a sum over a subset of the terms t, so its
magnitude is at most M = max(sum t+, sum t-) = (sum |t| + |sum t|) / 2, and n
roundings of such numbers, with one of each product, err by at most
gamma_{n+3} M (from Higham, "Accuracy and Stability of Numerical Algorithms",
2nd ed., section 4.2: the error of a sum is u times its partial sums).
"""

from collections.abc import Sequence
import dataclasses
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfcurv import networks
from tfcurv import numerics
from tfcurv.bounds.propagation.ball_box import BallBox
from tfcurv.bounds.propagation.ball_box import Centre
from tfcurv.bounds.propagation.ball_box import through_activation
from tfcurv.bounds.propagation.ball_box import through_linear
from tfcurv.networks import Activation
from tfcurv.networks import Affine
from tfcurv.networks.functions.smooth import EVALUATION_ROUNDOFFS

_DTYPE = tf.float32
_ROUNDOFF = numerics.unit_roundoff(_DTYPE)

# Everything here is evaluated in float64, whose errors obey the same
# recursion as float32's with a roundoff 2**29 times smaller. So the centres
# count as exact: what has moved is only used where what is lost is added.
_INFLATION = numerics.CHAIN_INFLATION

# Above this a partial sum might overflow; below that one, flush to zero.
_LARGEST, _SMALLEST = 1e37, numerics.smallest_normal(_DTYPE)

# Roundings of a scaling: of scale, offset, root and each operation on them.
_SCALING_OPERATIONS = 8


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Scaling:
    """The elementwise map x -> scale x + offset.

    Attributes:
        scale: `[n]` float64 array.
        offset: `[n]` float64 array.
    """

    scale: np.ndarray
    offset: np.ndarray


class _Spread(NamedTuple):
    """What is known of a stage's output over the ball; see the module.

    Attributes:
        moved: Of a(x) - a(x0).
        lost: Of â(x) - a(x).
    """

    moved: BallBox
    lost: BallBox

    @property
    def sizes(self) -> tf.Tensor:
        """`[batch, n]` bounds on |â(x) - a(x0)|."""
        return self.moved.farthest + self.lost.farthest

    @property
    def size(self) -> tf.Tensor:
        """`[batch, 1]` bounds on ||â(x) - a(x0)||."""
        return (self.moved.radius + self.lost.radius)[:, tf.newaxis]

    def through(self, linear: networks.TrainedMap, local) -> "_Spread":
        """Returns it behind a map that is computed with errors of its own."""
        moved, lost = (through_linear({0: linear}, {0: each}) for each in self)
        return _Spread(moved, _widened(lost, local))


def _widened(region: BallBox, local: tf.Tensor) -> BallBox:
    """Returns a region with more errors, `[batch, n]`, added to it."""
    return BallBox(
        region.radius + tf.norm(local, axis=-1),
        region.lower - local,
        region.upper + local,
    )


class Execution:
    """A network as float32 executes it, one operation after the other.

    Attributes:
        stages: What is executed, in order.
    """

    def __init__(self, stages: Sequence[Affine | Scaling | Activation]):
        """Prepares what all points share.

        Args:
            stages: What is executed, in order: maps that are not fused.
        """
        self.stages = tuple(stages)
        last = type(stages[-1]) is Affine
        width = len(getattr(stages[-1], "scale", ()))
        # An affine map by one is dearer than nothing and so still a bound.
        identity = [] if last else [_identity(width)]
        self._stages = [_STAGES[type(s)](s) for s in [*stages, *identity]]

    def trace(self, x: tf.Tensor) -> list[tf.Tensor]:
        """Returns what each stage is given at the rows of x.

        Args:
            x: `[batch, dim]` float64 centres of the balls.
        """
        found = [x]
        for stage in self._stages[:-1]:
            found.append(stage.value(found[-1]))
        return [stage.look(value) for stage, value in zip(self._stages, found)]

    def margin_error(
        self, trace: list, y: tf.Tensor, t: tf.Tensor, radius: tf.Tensor
    ) -> tf.Tensor:
        """Bounds |executed - exact| of z_y - z_t over balls.

        Args:
            trace: Of the centres.
            y: `[batch]` int32 classes.
            t: `[batch]` int32 classes.
            radius: `[batch]` radii of the balls, finite.

        Returns:
            `[batch]`; infinite where float32 may overflow.
        """
        spread = self._before_logits(trace, radius)
        error = self._stages[-1].pair_error(trace[-1], spread, y, t)
        error *= _INFLATION
        return _if(~tf.math.is_nan(error), error)

    def _before_logits(self, trace, radius) -> _Spread:
        # The executed network may have to round its input, too.
        reach = tf.zeros_like(trace[0][0]) + radius[:, tf.newaxis]
        error = _ROUNDOFF * (tf.abs(trace[0][0]) + reach) + _SMALLEST
        spread = _Spread(
            BallBox(radius, -reach, reach),
            BallBox(tf.norm(error, axis=-1), -error, error),
        )
        for stage, seen in zip(self._stages[:-1], trace):
            spread = stage.advance(seen, spread)
        return spread


def _if(holds: tf.Tensor, error: tf.Tensor) -> tf.Tensor:
    """Returns the errors where a condition holds, infinity elsewhere."""
    infinity = tf.fill(tf.shape(error), tf.constant(np.inf, error.dtype))
    return tf.where(holds, error, infinity)


def _identity(width: int) -> Affine:
    return Affine(kernel=np.eye(width), bias=np.zeros(width))


class _DenseStage:
    """A product with a kernel, plus a bias."""

    def __init__(self, affine: Affine):
        self._map = networks.ProvedMap(affine.linear)
        self._bias = tf.constant(affine.bias)
        self._columns = self._map.column_norms(numerics.PROOF_DTYPE)
        self._rows = tf.constant(affine.kernel.T)
        self._inputs = affine.linear.inputs

    def value(self, a):
        # Subtracted: see Network.
        return self._map.apply(a) - (-self._bias)

    def look(self, a):
        """Returns a, M at the centre, and ||a||."""
        terms = self._map.absolute(tf.abs(a)) + tf.abs(self._bias)
        largest = 0.5 * (terms + tf.abs(self.value(a)))
        return a, largest, tf.norm(a, axis=-1)

    def _local(self, seen, spread: _Spread):
        """Bounds the error of the sums, of inputs as computed."""
        _, largest, size = seen
        moved = spread.size
        largest = largest + self._columns * moved
        size = size[:, tf.newaxis] + moved
        count = 2.0 * self._inputs + 2.0
        vanished = count * _SMALLEST * (1.0 + self._columns + size)
        local = numerics.gamma(self._inputs + 4, _DTYPE) * largest + vanished
        # Twice M bounds the sum of the magnitudes.
        return _if(2.0 * largest <= _LARGEST, local)

    def advance(self, seen, spread: _Spread) -> _Spread:
        # Of the balls alone: boxes would cost two products each.
        balls = _Spread(*(BallBox(region.radius) for region in spread))
        return balls.through(self._map, self._local(seen, spread))

    def pair_error(self, seen, spread: _Spread, y, t):
        local, lost = self._local(seen, spread), spread.lost
        weights = tf.abs(tf.gather(self._rows, y) - tf.gather(self._rows, t))
        by_unit = tf.reduce_sum(weights * lost.farthest, axis=-1)
        by_norm = tf.norm(weights, axis=-1) * lost.radius
        return (
            tf.minimum(by_unit, by_norm)
            + tf.gather(local, y, batch_dims=1)
            + tf.gather(local, t, batch_dims=1)
        )


class _ScalingStage:
    """A product with a diagonal matrix, plus an offset."""

    def __init__(self, scaling: Scaling):
        scale = scaling.scale
        diagonal = networks.Diagonal(scale=scale, input_shape=scale.shape)
        self._map = networks.ProvedMap(diagonal)
        self._offset = tf.constant(scaling.offset)
        self._size = tf.constant(np.abs(scale))

    def value(self, a):
        return self._map.apply(a) + self._offset

    def look(self, a):
        return (a,)

    def advance(self, seen, spread: _Spread) -> _Spread:
        (a,) = seen
        size = tf.abs(a) + spread.sizes
        largest = self._size * size + tf.abs(self._offset)
        local = numerics.gamma(_SCALING_OPERATIONS, _DTYPE) * largest
        local += _SCALING_OPERATIONS * _SMALLEST * (1.0 + self._size + size)
        local = _if(largest <= _LARGEST, local)
        return spread.through(self._map, local)


class _ActivationStage:
    """An elementwise function with a bounded slope."""

    def __init__(self, fn: Activation):
        self._fn = fn

    def value(self, a):
        return self._fn.value(a)

    def look(self, a):
        return Centre(a), Centre(self.value(a))

    def advance(self, seen, spread: _Spread) -> _Spread:
        before, after = seen
        moved, lost = spread
        z, fn = before.value, self._fn
        low = z + (moved.lower - lost.farthest) * _INFLATION
        high = z + (moved.upper + lost.farthest) * _INFLATION
        slope = tf.maximum(*map(tf.abs, fn.slope_range_on(low, high)))
        carried = slope * lost.farthest
        radius = lost.radius * tf.reduce_max(slope, axis=-1)
        size = 1.0 + tf.abs(z) + spread.sizes * _INFLATION
        local = EVALUATION_ROUNDOFFS * _ROUNDOFF * size
        if fn.is_linear:
            local = tf.zeros_like(z)
        return _Spread(
            through_activation(fn, before, after, moved),
            _widened(BallBox(radius, -carried, carried), local),
        )


_STAGES = {
    Affine: _DenseStage,
    Scaling: _ScalingStage,
    Activation: _ActivationStage,
}
