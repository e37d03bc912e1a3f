"""One pass from sums of a node's deviations back to the input.

See `backward_lines` for the formulas, and for what is counted of rounding.
What few neighbouring values decide, as in a convolution, is kept as windows of
weights for as long as they are smaller than a layer.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import math
import types
from typing import Any
from typing import NamedTuple
from typing import TypeAlias

import tensorflow as tf

from tfcurv import networks
from tfcurv import numerics
from tfcurv.bounds.propagation import ball_box
from tfcurv.bounds.propagation.ball_box import BallBox
from tfcurv.bounds.propagation.ball_box import Centre
from tfcurv.bounds.propagation.margins import farthest_of
from tfcurv.bounds.propagation.worst_translation import worst_translation
from tfcurv.networks import Kind
from tfcurv.networks import Lines
from tfcurv.networks import Window

#: `[rows, n]`, or those within a window.
Weights: TypeAlias = tf.Tensor | Window

#: Where maps end at nodes that are linear themselves, a pass goes on.
LINEAR = (Kind.LINEAR, Kind.ADD)

#: What lines are drawn around.
BENT = (Kind.ACTIVATION, Kind.MAXIMUM)

# A window with more than this share of the places of a layer saves nothing.
_SMALL = 0.5


class Rows(NamedTuple):
    """Sums of a node's deviations to bound, each at one of the points.

    Attributes:
        point: `[rows]` int32 which point.
        weights: `[rows, n]` of the sums, or those within a window.
    """

    point: tf.Tensor
    weights: Weights


class Around(NamedTuple):
    """What is known of a network around some points.

    Attributes:
        centres: By position, what a node gives at the points.
        known: By position, the region of its deviations.
        lines: By position of an activation or a maximum, lines around it.
        start: Where inputs are: the region at which sums of them end.
        forces: By position of an activation, `[batch, n]` multipliers f of
            constraints f z >= 0, entry by entry, that what it reads satisfies
            in all of the region: f z is taken off the sums.
        probe: `[batch, inputs]` zeros, or None. A bound's derivative by them
            is what the deviations of the inputs are weighted with at last.
    """

    centres: Mapping[int, Centre]
    known: dict[int, BallBox]
    lines: dict[int, Lines]
    start: BallBox
    forces: Mapping[int, tf.Tensor] = types.MappingProxyType({})
    probe: Any = None


class Walk:
    """One pass back through a graph, for some sums."""

    def __init__(self, graph, maps, point, around: Around):
        self._graph, self._maps = graph, maps
        self._point, self._around = point, around
        self._weights: dict[int, tf.Tensor] = {}
        zero = tf.gather(around.centres[0].value[:, 0], point) * 0.0
        self._sum, self._lost = zero, zero
        self._proves = around.centres[0].error is not None

    def push(self, position: int, weights: Weights) -> None:
        """Moves weights of a node's deviations to the atoms before it."""
        size = ball_box.length(_flat(weights)) if self._proves else None
        for atom, linear in self._maps(position).items():
            part = self._pushed(linear, weights, position, atom)
            if self._proves:
                self._lose(linear.transpose_error(size), atom)
            if atom in self._weights:
                part = self._rows(part, atom)
                part += self._rows(self._weights[atom], atom)
                if self._proves:
                    self._lose(numerics.gamma(2) * ball_box.length(part), atom)
            self._weights[atom] = part

    def _pushed(self, linear, weights: Weights, position: int, atom: int):
        """Returns v K^T, in a window for as long as that is smaller."""
        if isinstance(weights, Window):
            after, shape = (
                self._graph.nodes[i].shape for i in (position, atom)
            )
            window = linear.pulled_back(weights, shape, after)
            if window is not None:
                places = math.prod(window.values.shape[1:3])
                if places <= _SMALL * math.prod(shape[:2]):
                    return window
                return networks.whole(window, shape)
        return linear.transpose(self._rows(weights, position))

    def _rows(self, weights: Weights, position: int) -> tf.Tensor:
        """Returns weights of all deviations of a node."""
        if isinstance(weights, Window):
            return networks.whole(weights, self._graph.nodes[position].shape)
        return weights

    def step(self, atom: int) -> None:
        """Replaces an atom by what it reads."""
        node = self._graph.nodes[atom]
        if atom not in self._weights:
            return
        weights = self._weights.pop(atom)
        if node.kind in LINEAR:
            self.push(atom, weights)
            return
        same = all(s == node.shape for s in self._graph.shapes(node.sources))
        if node.kind is not Kind.ACTIVATION or not same:
            weights = self._rows(weights, atom)
        if node.kind is Kind.CONCATENATE:
            for source, part in zip(node.sources, self._cut(node, weights)):
                self.push(source, part)
            return
        (source,) = node.sources
        weights = self._bend(atom, weights, source)
        if atom in self._around.forces:
            weights = self._forced(atom, self._rows(weights, source), source)
        if node.kind is Kind.MAXIMUM:
            weights = self._pull_back(node.windows, weights, source, atom)
        self.push(source, weights)

    def _pull_back(self, windows, weights, source: int, atom: int) -> tf.Tensor:
        """Moves weights of maxima to the members that lead at the centre."""
        centre = self._around.centres
        before, after = (
            tf.gather(centre[i].value, self._point) for i in (source, atom)
        )
        if self._proves and windows.overlap > 1:
            # A member may lead so many windows, whose weights are added.
            added = numerics.gamma(windows.overlap)
            added *= windows.lipschitz_upper_bound * numerics.STEP_INFLATION
            self._lose(added * ball_box.length(weights), source)
        return windows.pull_back(before, after, weights)

    def _bend(self, atom: int, weights: Weights, source: int) -> Weights:
        """Takes the line that holds for the sign of each weight."""
        low_slope, low, high_slope, high = self._at(
            atom, weights, self._around.lines[atom]
        )
        numbers = weights.values if isinstance(weights, Window) else weights
        is_low = numbers >= 0.0
        bent = numbers * tf.where(is_low, low_slope, high_slope)
        terms = _flat(numbers * tf.where(is_low, low, high))
        self._sum += tf.reduce_sum(terms, axis=-1)
        if self._proves:
            count = self._sum_roundings(terms)
            size = tf.reduce_sum(tf.abs(terms), axis=-1)
            self._lost += count * size + numerics.SUM_UNDERFLOW
            length = ball_box.length(_flat(bent)) + numerics.NORM_FLOOR
            self._lose(numerics.gamma(4) * length, source)
        if isinstance(weights, Window):
            return Window(weights.origin, bent)
        return bent

    def _sum_roundings(self, terms: tf.Tensor) -> float:
        """Returns what a sum of terms loses, relative to their sizes.

        Of this sum, and of adding it to those of all nodes behind, each of
        which adds two.
        """
        added = terms.shape[-1] + 2 * len(self._graph.nodes)
        return numerics.gamma(added + 8)

    def _forced(self, atom: int, weights: tf.Tensor, source: int) -> tf.Tensor:
        """Takes f z = f z0 + f . d off, at least 0 where the region is."""
        force = tf.gather(self._around.forces[atom], self._point)
        centre = self._around.centres[source]
        terms = force * tf.gather(centre.value, self._point)
        self._sum -= tf.reduce_sum(terms, axis=-1)
        left = weights - force
        if self._proves:
            size = tf.reduce_sum(tf.abs(terms), axis=-1)
            self._lost += self._sum_roundings(terms) * size
            self._lost += numerics.SUM_UNDERFLOW
            missed = tf.gather(centre.error, self._point)
            self._lost += ball_box.length(force) * missed
            length = ball_box.length(left) + numerics.NORM_FLOOR
            self._lose(numerics.gamma(2) * length, source)
        return left

    def _at(
        self, position: int, weights: Weights, parts: Sequence[tf.Tensor]
    ) -> Sequence[tf.Tensor]:
        """Returns of `[batch, n]` what weights multiply, in their shape."""
        if not isinstance(weights, Window):
            return [tf.gather(part, self._point) for part in parts]
        *sides, channels = self._graph.nodes[position].shape
        numbers, _ = networks.places(weights, (*sides, channels))
        first = self._point[:, tf.newaxis, tf.newaxis] * math.prod(sides)
        table = [tf.reshape(part, [-1, channels]) for part in parts]
        found = tf.gather(tf.concat(table, axis=-1), first + numbers)
        return tf.split(found, len(parts), axis=-1)

    def _lose(self, length: tf.Tensor, position: int) -> None:
        """Counts an error of weights, of a length, on what they multiply."""
        reach = farthest_of(self._around.known[position])
        reach = tf.gather(reach, self._point)
        self._lost += tf.math.multiply_no_nan(length, reach)

    def _cut(self, node, weights) -> Sequence[tf.Tensor]:
        shapes = self._graph.shapes(node.sources)
        whole = tf.reshape(weights, [-1, *node.shape])
        parts = tf.split(
            whole, [s[node.axis] for s in shapes], axis=node.axis + 1
        )
        return [
            tf.reshape(part, [-1, math.prod(shape)])
            for part, shape in zip(parts, shapes)
        ]

    def end(self) -> tf.Tensor:
        """Returns the bounds, when only the input is left."""
        found = self._sum
        weights: Any = self._weights.get(0)
        if weights is not None:
            start = self._start_at(weights)
            c = -_flat(weights)[:, tf.newaxis]
            found -= worst_translation(c, start)[:, 0]
            if self._around.probe is not None:
                probe = tf.gather(self._around.probe, self._point)
                found += tf.reduce_sum(self._rows(weights, 0) * probe, axis=-1)
        if not self._proves:
            return found
        size = tf.abs(self._sum) + tf.abs(found)
        lost = self._lost * numerics.STEP_INFLATION
        return found - lost - numerics.gamma(16) * (size + lost)

    def _start_at(self, weights: Weights) -> BallBox:
        """Returns the region of the inputs that have weights."""
        radius, *ends = self._around.start
        if radius is not None:
            radius = tf.gather(radius, self._point)
        if ends[0] is None:
            return BallBox(radius)
        # Of those outside of the sample, which have none, some others'.
        return BallBox(radius, *map(_flat, self._at(0, weights, ends)))


def _flat(weights: Weights) -> tf.Tensor:
    """Returns the numbers `[rows, count]`."""
    numbers = weights.values if isinstance(weights, Window) else weights
    return tf.reshape(numbers, [-1, math.prod(numbers.shape[1:])])
