"""Attacks on certified points, from inside their radii.

They share nothing with the certifier but the network: projected gradient
steps on several losses from several starts, a look along the first gradient at
every scale of lengths, and a walk along the decision boundary that begins at
another image. What they find is counted only where
the network is wrong beyond doubt and the distance, rounded up, is less than
the radius. That they find nothing proves nothing; that they find something
proves a certificate false.
"""

from collections.abc import Callable
import dataclasses
from typing import NamedTuple

import tensorflow as tf

from tfcurv import networks
from tfcurv import numerics
from tfcurv import tracing
from tfcurv.certificates.attacks import boundary as adversary
from tfcurv.certificates.attacks.threat import Threat
from tfcurv.certificates.margins import safe_ball

# Points are kept this far inside a radius, relative to it.
_INSIDE = 1.0 - 1e-9

# Lengths of the look: the radius, at most so many times the point's own length,
# and each time so much less. A radius that is false by far reaches to where
# nothing is computed any more.
_FARTHEST, _SCALES, _SHARE = 1e12, 26, 0.1

_LOSSES = _MARGIN, _DECIDING_MARGIN, _CROSS_ENTROPY = range(3)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FalsifierOptions:
    """How hard to try.

    Attributes:
        gradient_steps: Steps of each projected gradient attack.
        restarts: Starts of each loss: the point itself, then random ones.
        walk_steps: Steps along the decision boundary.
        bisection_steps: Evaluations that find the boundary again after each.
        seed: Of the random starts.
    """

    gradient_steps: int = 12
    restarts: int = 2
    walk_steps: int = 10
    bisection_steps: int = 8
    seed: int = 0


class Attempt(NamedTuple):
    """What the attacks on a batch came to.

    Attributes:
        found: `[batch]` whether a certificate was shown to be false.
        point: `[batch, dim]` float64 counter-examples; x where none is.
        distance: `[batch]` of the counter-example, rounded up; else infinite.
        num_evaluations: `[]` int64 evaluations of the network at a point,
            with or without a gradient.
    """

    found: tf.Tensor
    point: tf.Tensor
    distance: tf.Tensor
    num_evaluations: tf.Tensor


class Falsifier:
    """Attacks batches of certified points of one network, compiled once."""

    def __init__(
        self,
        network: networks.Network,
        options: FalsifierOptions = FalsifierOptions(),
        execute: Callable[[tf.Tensor], tf.Tensor] | None = None,
        threat: Threat = Threat(),
    ):
        """Builds the compiled function; nothing is traced yet.

        Args:
            network: The network that was certified.
            options: How hard to try.
            execute: Maps float32 points `[batch, dim]` to the logits that a
                deployed model computes, where certificates are to hold for
                it too.
            threat: What the certificates hold against.
        """
        self._threat = threat
        self._network = network
        self._options = options
        self._execute = execute
        dtype = numerics.PROOF_DTYPE
        self._attack = tracing.Traced(
            self._attack_batch,
            [
                tf.TensorSpec([None, network.input_dim], dtype),
                tf.TensorSpec([None], tf.int32),
                tf.TensorSpec([None], dtype),
                tf.TensorSpec([None], tf.int32),
            ],
        )

    def __call__(
        self, x: tf.Tensor, y: tf.Tensor, radius: tf.Tensor, target: tf.Tensor
    ) -> Attempt:
        """Looks for points inside the radii that get another class.

        Args:
            x: `[batch, dim]` float64 certified points.
            y: `[batch]` int32 labels.
            radius: `[batch]` float64 certified radii, positive.
            target: `[batch]` int32 classes that decided the radii.
        """
        return self._attack(x, y, radius, target)

    def _attack_batch(self, x, y, radius, target) -> Attempt:
        nothing = tf.zeros_like(radius)
        state = Attempt(
            tf.zeros_like(y, tf.bool),
            x,
            nothing + tf.constant(float("inf"), x.dtype),
            tf.zeros([], tf.int64),
        )
        ball, restarts = _Ball(x, y, radius, target), self._options.restarts
        state = self._look(ball, state)

        # One loop, so that a step is traced once and not for every start.
        def descend(run, state):
            loss, restart = run // restarts, run % restarts
            start = tf.cond(
                restart > 0,
                lambda: self._random_start(ball, loss, restart),
                lambda: x,
            )
            return run + 1, self._descend(ball, loss, start, state)

        _, state = tf.while_loop(
            lambda run, _: run < len(_LOSSES) * restarts,
            descend,
            (tf.constant(0), state),
        )
        return self._walk(ball, state)

    def _look(self, ball, state: Attempt) -> Attempt:
        """Judges points down the slope at the centre, from afar to near."""
        slope = _slope(
            self._network, ball, ball.centre, tf.constant(_DECIDING_MARGIN)
        )
        way = self._threat.unit(slope)
        longest = _FARTHEST * (1.0 + tf.norm(ball.centre, axis=-1))
        length = tf.minimum(ball.radius, longest)

        def advance(index, length, state):
            point = ball.centre - length[:, tf.newaxis] * way
            state = self._judge(ball, self._into(ball, point), state)
            return index + 1, _SHARE * length, state

        _, _, state = tf.while_loop(
            lambda index, *_: index < _SCALES,
            advance,
            (0, length, _count(ball, state, 1)),
        )
        return state

    def _random_start(self, ball, loss, restart) -> tf.Tensor:
        seed = tf.stack([self._options.seed, loss * 1000 + restart])
        noise = tf.random.stateless_normal(
            tf.shape(ball.centre), seed, dtype=ball.centre.dtype
        )
        offset = ball.radius[:, tf.newaxis] * self._threat.unit(noise)
        return self._into(ball, ball.centre + offset)

    def _descend(self, ball, loss, start, state: Attempt) -> Attempt:
        """Projected gradient steps whose length shrinks from the radius."""
        steps = self._options.gradient_steps

        def advance(index, point, state):
            slope = _slope(self._network, ball, point, loss)
            share = 1.0 - tf.cast(index, point.dtype) / steps
            length = (ball.radius * share)[:, tf.newaxis]
            step = length * self._threat.unit(slope)
            point = self._into(ball, point - step)
            state = _count(ball, state, 1)
            return index + 1, point, self._judge(ball, point, state)

        _, _, state = tf.while_loop(
            lambda index, *_: index < steps, advance, (0, start, state)
        )
        return state

    def _walk(self, ball, state: Attempt) -> Attempt:
        """Follows the decision boundary from another image towards x0."""
        far, exists = _nearest_of_another_class(self._network, ball)
        rows = tf.where(exists)[:, 0]
        near = _Ball(*(tf.gather(field, rows) for field in ball))
        point = self._to_boundary(near, tf.gather(far, rows))

        def advance(index, point, state):
            # The part of the way to x0 that lies in the boundary; half of it.
            slope = _slope(self._network, near, point, tf.constant(_MARGIN))
            normal = _unit(slope)
            way = near.centre - point
            way -= safe_ball.dot(way, normal)[:, tf.newaxis] * normal
            point = self._to_boundary(near, point + 0.5 * way)
            state = _count(near, state, 2 + self._options.bisection_steps)
            inside = self._into(near, point)
            found = self._judge(near, inside, _pick(state, rows))
            return index + 1, point, _put(state, rows, found)

        _, _, state = tf.while_loop(
            lambda index, *_: index < self._options.walk_steps,
            advance,
            (0, point, _count(ball, state, 2 + self._options.bisection_steps)),
        )
        return state

    def _to_boundary(self, ball, point):
        """Returns misclassified points on the rays from x0, by bisection."""
        ray = point - ball.centre

        def wrong(reach):
            there = ball.centre + reach[:, tf.newaxis] * ray
            return adversary.worst_margin(self._network, there, ball.label) <= 0

        low, high = tf.zeros_like(ray[:, 0]), tf.ones_like(ray[:, 0])
        # A step along a curved boundary may leave the other class.
        high = tf.where(wrong(high), high, 2.0 * high)

        def halve(low, high):
            middle = 0.5 * (low + high)
            crossed = wrong(middle)
            low = tf.where(crossed, low, middle)
            return low, tf.where(crossed, middle, high)

        _, high = tf.while_loop(
            lambda *_: True,
            halve,
            (low, high),
            maximum_iterations=self._options.bisection_steps,
        )
        return ball.centre + high[:, tf.newaxis] * ray

    def _judge(self, ball, point, state: Attempt) -> Attempt:
        """Records the points that are provably wrong and provably inside."""
        flipped = adversary.is_misclassified(self._network, point, ball.label)
        state = self._record(ball, point, flipped, state)
        if self._execute is None:
            return _count(ball, state, 1)
        # What the model is given is the rounded point, and so the distance.
        rounded = tf.cast(point, tf.float32)
        logits = self._execute(rounded)
        # A model that answers NaN has not kept the class either.
        other = tf.argmax(logits, axis=-1, output_type=tf.int32) != ball.label
        other |= tf.reduce_any(tf.math.is_nan(logits), axis=-1)
        point = tf.cast(rounded, point.dtype)
        return self._record(ball, point, other, _count(ball, state, 2))

    def _record(self, ball, point, flipped, state: Attempt) -> Attempt:
        distance = self._threat.distance(point - ball.centre)
        new = flipped & (distance < ball.radius) & ~state.found
        new &= tf.reduce_all(self._threat.cut(point) == point, axis=-1)
        return state._replace(
            found=state.found | new,
            point=tf.where(new[:, tf.newaxis], point, state.point),
            distance=tf.where(new, distance, state.distance),
        )

    def _into(self, ball, point: tf.Tensor) -> tf.Tensor:
        """Moves points outside of neighbourhoods to their rims, just inside."""
        return self._threat.into(ball.centre, ball.radius * _INSIDE, point)


class _Ball(NamedTuple):
    centre: tf.Tensor
    label: tf.Tensor
    radius: tf.Tensor
    target: tf.Tensor


def _unit(x: tf.Tensor) -> tf.Tensor:
    return tf.math.divide_no_nan(x, tf.norm(x, axis=-1, keepdims=True))


def _slope(network, ball: _Ball, point, loss: tf.Tensor) -> tf.Tensor:
    """Returns the gradient of what an attack wants to lower."""
    forward = network.forward(point)
    logits = network.logits_of(forward)

    def margin(rival):
        return network.pair(ball.label, rival, point.dtype)[0]

    def cross_entropy():
        own = tf.one_hot(ball.label, network.num_classes, dtype=point.dtype)
        softened = own - tf.nn.softmax(logits)
        return softened @ network.columns(point.dtype)

    weights = tf.switch_case(
        loss,
        {
            _MARGIN: lambda: margin(adversary.rival(logits, ball.label)),
            _DECIDING_MARGIN: lambda: margin(ball.target),
            _CROSS_ENTROPY: cross_entropy,
        },
    )
    return network.backward(forward, weights)[-1]


def _nearest_of_another_class(network, ball: _Ball):
    """Returns of each row the nearest row that the network classes otherwise.

    Returns:
        `[batch, dim]` points, and `[batch]` whether there is one.
    """
    classes = tf.argmax(network.logits(ball.centre), axis=-1)
    same = classes[:, tf.newaxis] == classes[tf.newaxis, :]
    squares = tf.reduce_sum(ball.centre * ball.centre, axis=-1)
    apart = squares[tf.newaxis, :] - 2.0 * tf.matmul(
        ball.centre, ball.centre, transpose_b=True
    )
    infinity = tf.fill(tf.shape(apart), tf.constant(float("inf"), apart.dtype))
    apart = tf.where(same, infinity, apart)
    nearest = tf.argmin(apart, axis=-1)
    return tf.gather(ball.centre, nearest), ~tf.reduce_all(same, axis=-1)


def _count(ball: _Ball, state: Attempt, evaluations: int) -> Attempt:
    rows = tf.size(ball.label, out_type=tf.int64)
    return state._replace(
        num_evaluations=state.num_evaluations + evaluations * rows
    )


def _pick(state: Attempt, rows: tf.Tensor) -> Attempt:
    return state._replace(
        found=tf.gather(state.found, rows),
        point=tf.gather(state.point, rows),
        distance=tf.gather(state.distance, rows),
    )


def _put(state: Attempt, rows: tf.Tensor, part: Attempt) -> Attempt:
    def put(old, new):
        return tf.tensor_scatter_nd_update(old, rows[:, tf.newaxis], new)

    return Attempt(
        found=put(state.found, part.found),
        point=put(state.point, part.point),
        distance=put(state.distance, part.distance),
        num_evaluations=part.num_evaluations,
    )
