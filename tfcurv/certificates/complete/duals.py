r"""Lower bounds on one margin where some ReLUs are decided: compiled.

A branch says of some neurons that z >= 0 or z <= 0. With multipliers f of
these constraints, f z >= 0, and a lower slope for every neuron that is still
bent, the least of

    z_y - z_t - sum f z

over the neighbourhood, bounded by lines from the logits back to the input, is
at most the least margin of the branch: for any slopes in [0, 1] and any
multipliers of the right sign. Which are good is found by ascent in float32;
that they prove what they do, in float64, by one more pass.

Source: Wang et al., "Beta-CROWN: Efficient Bound Propagation with Per-neuron
Split Constraints for Neural Network Robustness Verification", NeurIPS 2021.
"""

import itertools
from typing import Any

import numpy as np
import tensorflow as tf

from tfcurv import networks
from tfcurv import numerics
from tfcurv import solvers
from tfcurv import tracing
from tfcurv.bounds.propagation import ball_box
from tfcurv.bounds.propagation import margins
from tfcurv.bounds.propagation.backward_walk import Around
from tfcurv.bounds.propagation.backward_walk import Rows
from tfcurv.bounds.propagation.margin_lines import MarginLines
from tfcurv.bounds.propagation.split_lines import split_lines
from tfcurv.certificates.complete.ascent import Ascent
from tfcurv.certificates.complete.ascent import ascended
from tfcurv.certificates.complete.branches import Branches
from tfcurv.certificates.complete.branches import Roots
from tfcurv.certificates.complete.branches import Sight
from tfcurv.certificates.linear.lines import GraphLines
from tfcurv.networks import Kind


class Duals(GraphLines):
    """Bounds of branches, in one dtype, and of the points that they begin at.

    Attributes:
        num_neurons: Of all ReLUs.
        kept: The nodes that `Roots` tell of; of the logits the values alone.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        """Takes the arguments of `GraphRegions`."""
        super().__init__(*args, **kwargs)
        nodes = self._graph.nodes
        self.kept = [0, *(step.position for step in self._steps)]
        relus = [i for i in self.kept if is_split(nodes[i])]
        ends = [0, *itertools.accumulate(nodes[i].size for i in relus)]
        self._slices = dict(zip(relus, itertools.pairwise(ends)))
        self.num_neurons = ends[-1]
        self._compile()

    def _compile(self) -> None:
        dtype, nodes = self._dtype, self._graph.nodes
        rows = tf.TensorSpec([None], dtype)
        table = tf.TensorSpec([None, self.num_neurons], dtype)
        number = tf.TensorSpec([None], tf.int32)
        inputs = tf.TensorSpec([None, self._graph.input_dim], dtype)
        each = tuple(
            tf.TensorSpec([None, nodes[i].size], dtype) for i in self.kept
        )
        logits = tf.TensorSpec([None, self._graph.num_classes], dtype)
        every = tuple(rows for _ in self.kept)
        self._root_specs = Roots(
            *(inputs, self._radii, (*each, logits), (*every, rows)),
            *(every, each, each),
        )
        branches = Branches(number, number, number, table, table, table)
        self._roots = tracing.Traced(self._roots_batch, [inputs, self._radii])
        self._bounds = tracing.Traced(
            self._bounds_batch, [self._root_specs, branches]
        )
        self._sight = tracing.Traced(
            self._sight_batch, [self._root_specs, branches]
        )
        self._ascent = tracing.Traced(
            self._ascent_batch,
            [
                *(self._root_specs, branches),
                tf.TensorSpec([], tf.int32),
            ],
        )

    def roots(self, x: np.ndarray, epsilon: np.ndarray) -> Roots:
        """Returns what lines and regions say around some points.

        Args:
            x: `[points, inputs]` float64.
            epsilon: `[points]` distances, or see `by_entry`.
        """
        with solvers.as_written():
            return self._roots(tf.constant(x), tf.constant(epsilon))

    def taken(self, roots: Roots) -> Roots:
        """Returns the same in the dtype of these bounds.

        Args:
            roots: Of bounds in float64.
        """
        return tf.nest.map_structure(lambda e: tf.cast(e, self._dtype), roots)

    def bounds(self, roots: Roots, branches: Branches) -> np.ndarray:
        """Returns `[branches]` lower bounds on their margins.

        Args:
            roots: In the dtype of these bounds.
            branches: The branches.
        """
        with solvers.as_written():
            found = self._bounds(roots, self._given(branches))
        return found.numpy().astype(np.float64)

    def ascend(self, roots: Roots, branches: Branches, steps: int) -> Ascent:
        """Improves slopes and multipliers.

        Args:
            roots: In the dtype of these bounds.
            branches: Where to begin.
            steps: How often.
        """
        with solvers.as_written():
            found = self._ascent(
                roots, self._given(branches), tf.constant(steps)
            )
        return Ascent(*(each.numpy() for each in found))

    def look(self, roots: Roots, branches: Branches) -> Sight:
        """Returns what is lost between lines and ReLU, and where it is least.

        Of each neuron that is still bent, at most: where its weight is
        negative, the chord's height over zero, and where it is positive, the
        lower line's depth at the nearer end. A point at which lines are least
        is one of the neighbourhood, whatever the network says there.

        Args:
            roots: In the dtype of these bounds.
            branches: The branches.
        """
        with solvers.as_written():
            found = self._sight(roots, self._given(branches))
        return Sight(*(each.numpy() for each in found))

    def neurons(self, roots: Roots) -> tuple[np.ndarray, np.ndarray]:
        """Returns `[points, neurons]` both ends of what each ReLU is given.

        Args:
            roots: Of these bounds.
        """
        low, high = self._ends(roots)
        return low.numpy(), high.numpy()

    def _ends(self, roots: Roots) -> tuple[tf.Tensor, tf.Tensor]:
        ends = [
            self._enclosed(roots, self._graph.nodes[i].sources[0])
            for i in self._slices
        ]
        low, high = (tf.concat(each, axis=-1) for each in zip(*ends))
        return low, high

    def _enclosed(self, roots: Roots, position: int) -> networks.Interval:
        i = self.kept.index(position)
        error = roots.errors[i] if self.proves else None
        centre = ball_box.Centre(roots.values[i], error)
        region = ball_box.BallBox(None, roots.lower[i], roots.upper[i])
        return ball_box.enclosed(centre, region)

    def _given(self, branches: Branches) -> Branches:
        point, y, t, *tables = branches
        numbers = (tf.constant(each, tf.int32) for each in (point, y, t))
        return Branches(*numbers, *(tf.cast(e, self._dtype) for e in tables))

    def _roots_batch(self, x, epsilon) -> Roots:
        with tf.device("CPU:0" if self.proves else None):
            values, errors, centres = self._centres(x)
            start = margins.start_region(x, epsilon, self._norm, self._domain)
            ends = margins.ends(start, self._norm, self._domain)
            lines = MarginLines(self._backward, centres, ends)
            known = self._known(centres, start, lines.refine)
            regions = [_whole(known[i], values[i]) for i in self.kept]
            kept = [*self.kept, len(values) - 1]
            return Roots(
                x,
                epsilon,
                tuple(values[i] for i in kept),
                tuple(_errors(errors[i], x) for i in kept),
                *map(tuple, zip(*regions)),
            )

    def _bounds_batch(self, roots: Roots, branches: Branches) -> tf.Tensor:
        with tf.device("CPU:0" if self.proves else None):
            return self._margins_of(roots, branches)

    def _sight_batch(self, roots: Roots, branches: Branches) -> Sight:
        low, high, x, epsilon = tf.nest.map_structure(
            lambda e: tf.gather(e, branches.point),
            (*self._ends(roots), roots.x, roots.epsilon),
        )
        with tf.GradientTape() as tape:
            shifts = tuple(map(tf.zeros_like, (low, high, x)))
            tape.watch(shifts)
            found = self._margins_of(roots, branches, shifts)
        # The weight of each neuron, by its sign; and of the inputs.
        below, above, weights = map(
            tf.convert_to_tensor, tape.gradient(found, shifts)
        )
        is_bent = (low < 0.0) & (high > 0.0) & (branches.signs == 0.0)
        width = tf.where(is_bent, high - low, tf.ones_like(low))
        slopes = branches.slopes
        depth = tf.minimum(-slopes * low, (1.0 - slopes) * high)
        lost = below * depth + above * low * high / width
        points = self._lowest(x, epsilon, weights)
        logits = networks.values_of(self._graph, points)[-1]
        own, other = (
            tf.gather(logits, each, batch_dims=1)
            for each in (branches.y, branches.t)
        )
        lost = tf.where(is_bent, lost, -tf.ones_like(lost))
        return Sight(lost, points, own - other)

    def _lowest(self, x, epsilon, weights) -> tf.Tensor:
        """Returns points of neighbourhoods at which linear functions are low.

        The lowest, but for a ball that a domain cuts.
        """
        start = margins.start_region(x, epsilon, self._norm, self._domain)
        if self._norm == "linf":
            return x + tf.where(weights > 0.0, start.lower, start.upper)
        size = ball_box.length(weights)[:, tf.newaxis]
        way = tf.math.divide_no_nan(weights, size)
        away = -epsilon[:, tf.newaxis] * way
        return x + tf.clip_by_value(away, start.lower, start.upper)

    def _margins_of(
        self, roots: Roots, branches: Branches, shifts=None
    ) -> tf.Tensor:
        point, y, t, signs, slopes, forces = branches
        roots = tf.nest.map_structure(lambda e: tf.gather(e, point), roots)
        errors: Any = roots.errors
        if not self.proves:
            errors = [None] * len(errors)
        pairs = zip(roots.values, errors)
        centres = {
            i: ball_box.Centre(*pair) for i, pair in zip(self.kept, pairs)
        }
        regions = zip(roots.radii, roots.lower, roots.upper)
        known = {
            i: ball_box.BallBox(*each) for i, each in zip(self.kept, regions)
        }
        start = margins.start_region(
            roots.x, roots.epsilon, self._norm, self._domain
        )
        lines, pushes = {}, {}
        for position, (first, last) in self._slices.items():
            source = self._graph.nodes[position].sources[0]
            sign = signs[:, first:last]
            drawn = split_lines(
                centres[source],
                ball_box.enclosed(centres[source], known[source]),
                slopes[:, first:last],
                sign,
            )
            if shifts is not None:
                below, above = (each[:, first:last] for each in shifts[:2])
                drawn = drawn._replace(
                    lower=drawn.lower + below, upper=drawn.upper + above
                )
            lines[position] = drawn
            pushes[position] = sign * forces[:, first:last]
        ends = margins.ends(start, self._norm, self._domain)
        probe = None if shifts is None else shifts[2]
        around = Around(centres, known, lines, ends, pushes, probe)
        classes, dtype = self._graph.num_classes, self._dtype
        own, other = (tf.one_hot(each, classes, dtype=dtype) for each in (y, t))
        fall = self._backward.lower_bounds_at_once(
            len(self._graph.nodes) - 1,
            Rows(tf.range(tf.size(point)), own - other),
            around,
        )
        logits = roots.values[-1]
        own, other = (tf.gather(logits, each, batch_dims=1) for each in (y, t))
        margin = own - other + fall
        if self.proves:
            size = tf.abs(own) + tf.abs(other) + tf.abs(fall)
            missed = 2.0 * roots.errors[-1]
            margin -= missed + numerics.gamma(8) * (size + missed)
        return margin

    def _ascent_batch(self, roots, branches: Branches, steps) -> Ascent:
        def bound(slopes, forces):
            here = branches._replace(slopes=slopes, forces=forces)
            return self._margins_of(roots, here)

        start = Ascent(None, branches.slopes, branches.forces)
        return ascended(bound, start, branches.signs != 0.0, steps)


def is_split(node: networks.Node) -> bool:
    """Whether a node is a ReLU, whose sign a branch may decide.

    Args:
        node: Of a graph.
    """
    is_activation = node.kind is Kind.ACTIVATION
    return is_activation and node.activation is networks.RELU


def _whole(region: ball_box.BallBox, value: tf.Tensor):
    """Returns a region of which everything is said, infinite if unknown."""
    radius, low, high = region
    infinite = tf.fill(tf.shape(value), tf.constant(float("inf"), value.dtype))
    return (
        infinite[:, 0] if radius is None else radius,
        -infinite if low is None else low,
        infinite if high is None else high,
    )


def _errors(error: Any, x: tf.Tensor) -> tf.Tensor:
    return tf.zeros_like(x[:, 0]) if error is None else error
