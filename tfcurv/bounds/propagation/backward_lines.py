r"""Linear bounds, from a value of a network back to its input: CROWN.

A sum w . v of a node's deviations v = v(x) - v(x0) is bounded from below by
linear functions of what came before, node by node, until only the input is
left [ZWC18]. Of what a step reads, with d its deviations,

* linear, v = d K: w . v = (w K^T) . d, exactly;
* activation, a d + b <= s(z0 + d) - s(z0) <= A d + B entry by entry (see
  `networks.functions.relaxations`): w . v >= w+ . (a d + b) + w- . (A d + B);
* maximum over a window, around the member j that is largest at x0: at least
  d_j, and at most a line in d_j: the chord of max(z_j, U), where no other
  member exceeds U in the region;
* join: w is cut.

At the input, w . d >= - max { -w . d : d in the region }. So that what is
known of the interval of every activation decides how good the bound is; and
that is found by the same pass, for each entry, where balls and boxes leave
lines apart.

Rounding: each step holds for the weights as computed; a product w K^T is off
by a vector that is bounded in length, and what it multiplies is no longer than
the radius that is known of d. These products are summed up and taken off.

[WK18]: Wong and Kolter, "Provable Defenses against Adversarial Examples via
the Convex Outer Adversarial Polytope", ICML 2018.
[ZWC18]: Zhang et al., "Efficient Neural Network Robustness Certification with
General Activation Functions", NeurIPS 2018.
"""

from collections.abc import Callable
from collections.abc import Mapping
import functools

import tensorflow as tf

from tfcurv import networks
from tfcurv import numerics
from tfcurv.bounds.propagation import ball_box
from tfcurv.bounds.propagation.backward_walk import BENT
from tfcurv.bounds.propagation.backward_walk import LINEAR
from tfcurv.bounds.propagation.backward_walk import Around
from tfcurv.bounds.propagation.backward_walk import Rows
from tfcurv.bounds.propagation.backward_walk import Walk
from tfcurv.bounds.propagation.ball_box import BallBox
from tfcurv.bounds.propagation.ball_box import Centre
from tfcurv.networks import Kind
from tfcurv.networks import Lines

# Rows at a time: so many numbers of the largest node. More leave the cache.
_NUMBERS = 2**21

# Room between lines, beside the size of their interval, that is none.
_NARROW = 1e-9


class BackwardLines:
    """Bounds sums of deviations of a graph's values."""

    def __init__(
        self,
        graph: networks.Graph,
        maps: Callable[[int], Mapping[int, networks.TrainedMap]],
        *,
        parallel: bool = False,
    ):
        """Keeps what it is given.

        Args:
            graph: The graph.
            maps: By position of a node, its value as linear maps of atoms:
                the input, activations, maxima and joins, perhaps nodes that
                are linear themselves.
            parallel: Whether the lines around an activation are, [WK18].
        """
        self._graph, self._maps = graph, maps
        self._parallel = parallel
        self._largest = max(node.size for node in graph.nodes)

    def lower_bounds(
        self,
        position: int,
        count: tf.Tensor,
        rows: Callable[[tf.Tensor], Rows],
        around: Around,
    ) -> tf.Tensor:
        """Returns lower bounds on sums over all inputs of a region.

        Args:
            position: Of the node whose deviations are summed.
            count: `[]` int32 how many sums.
            rows: Gives those of some numbers, `[rows]` int32.
            around: What is known; lines are added to it as they are needed.

        Returns:
            `[count]`; NaN or minus infinity where nothing is known.
        """
        self._draw(position, around)
        dtype = around.centres[0].value.dtype
        size = tf.minimum(count, max(1, _NUMBERS // self._largest))
        size = tf.maximum(size, 1)

        # There is no Python to convert, and looking for it takes long.
        @tf.autograph.experimental.do_not_convert
        def bound(chunk):
            last = tf.maximum(count - 1, 0)
            each = tf.minimum(chunk * size + tf.range(size), last)
            return self._bound(position, rows(each), around)

        chunks = tf.map_fn(
            bound,
            tf.range((count + size - 1) // size),
            fn_output_signature=tf.TensorSpec([None], dtype),
            parallel_iterations=1,
        )
        return tf.reshape(chunks, [-1])[:count]

    def lower_bounds_at_once(
        self, position: int, rows: Rows, around: Around
    ) -> tf.Tensor:
        """Returns `[rows]` what `lower_bounds` does, of a few sums: to train.

        Args:
            position: Of the node whose deviations are summed.
            rows: The sums.
            around: What is known; lines are added to it.
        """
        self._draw(position, around)
        return self._bound(position, rows, around)

    def refined(
        self, position: int, region: BallBox, around: Around
    ) -> BallBox:
        """Returns what is known of a node's deviations, and what lines add.

        Of the entries at which an activation bends, or any that a maximum
        reads.

        Args:
            position: Of the node, a linear one.
            region: What is known of it.
            around: What is known of the nodes before.
        """
        if region.lower is None or not self._before(position):
            # Of linear maps of the input all is known.
            return region
        readers = self._readers(position)
        if not readers:
            return region
        # The end beyond zero first: where it is known not to be, most bends
        # are left behind, and the other end does not matter.
        is_upper = around.centres[position].value < 0.0

        def tighten(turn, low, high):
            ends = BallBox(region.radius, low, high)
            asked = self._bent(readers, position, ends, around)
            first = tf.equal(turn, 0)
            ends = self._tightened(
                position, ends, around, asked, tf.equal(is_upper, first)
            )
            return turn + 1, ends.lower, ends.upper

        # A loop, so that a pass is traced once; lines stay outside of it.
        self._draw(position, around)
        _, low, high = tf.while_loop(
            lambda turn, *_: turn < 2,
            tighten,
            (0, region.lower, region.upper),
            maximum_iterations=2,
        )
        return BallBox(region.radius, low, high)

    def _tightened(
        self, position: int, region: BallBox, around: Around, asked, is_upper
    ) -> BallBox:
        """Returns a region with one end of some entries bounded by lines."""
        # The first of all, too, so that there is always something to do.
        some = tf.cast(tf.where(asked), tf.int32)
        pairs = tf.concat([tf.zeros([1, 2], tf.int32), some], axis=0)
        upper = tf.gather_nd(is_upper, pairs)
        low, high = region.lower, region.upper

        def rows(numbers):
            point, entry = tf.unstack(tf.gather(pairs, numbers), axis=-1)
            one = tf.ones_like(numbers, low.dtype)
            sign = tf.where(tf.gather(upper, numbers), -one, one)
            shape = self._graph.nodes[position].shape
            if len(shape) == 3:
                unit = networks.window_of_entry(entry, sign, shape)
                return Rows(point, unit)
            unit = tf.one_hot(entry, low.shape[-1], dtype=low.dtype)
            return Rows(point, unit * sign[:, tf.newaxis])

        count = tf.shape(pairs)[0]
        found = self.lower_bounds(position, count, rows, around)
        # A deviation may be 0: what is more, or unknown, is not said.
        unknown = tf.fill(tf.shape(found), tf.cast(-float("inf"), found.dtype))
        found = tf.minimum(ball_box.where_nan(found, -float("inf")), 0.0)
        least = tf.where(upper, unknown, found)
        most = -tf.where(upper, found, unknown)
        low = tf.tensor_scatter_nd_max(low, pairs, least)
        high = tf.tensor_scatter_nd_min(high, pairs, most)
        return BallBox(region.radius, low, high)

    def _readers(self, position: int) -> list[networks.Node]:
        """Returns the nodes that bend what a node gives."""
        return [
            node
            for node in self._graph.nodes
            if position in node.sources and node.kind in BENT
        ]

    def _bent(
        self, readers, position: int, region: BallBox, around: Around
    ) -> tf.Tensor:
        """Returns `[batch, n]` which entries matter to some readers."""
        before = around.centres[position]
        found = tf.zeros_like(region.lower, tf.bool)
        for node in readers:
            if node.kind is Kind.MAXIMUM:
                found |= tf.ones_like(found)
            else:
                found |= _bends(node.activation, before, region)
        return found

    def _before(self, position: int) -> list[int]:
        """Returns the atoms, without the input, that a node is computed of."""
        found: set[int] = set()
        waiting = list(self._maps(position))
        while waiting:
            atom = waiting.pop()
            if atom and atom not in found:
                found.add(atom)
                node = self._graph.nodes[atom]
                is_linear = node.kind in LINEAR
                for read in [atom] if is_linear else node.sources:
                    waiting += self._maps(read)
        return sorted(found)

    def _draw(self, position: int, around: Around) -> None:
        """Draws the lines that a pass from a node needs."""
        for atom in self._before(position):
            node = self._graph.nodes[atom]
            if node.kind in BENT and atom not in around.lines:
                region = around.known[node.sources[0]]
                around.lines[atom] = self._relaxed(atom, region, around)

    def _relaxed(self, atom: int, region: BallBox, around: Around) -> Lines:
        node = self._graph.nodes[atom]
        before = around.centres[node.sources[0]]
        values = ball_box.enclosed(before, region)
        error = None
        if before.error is not None:
            error = before.error[:, tf.newaxis]
        if node.kind is Kind.MAXIMUM:
            after = around.centres[atom].value
            return _maximum(node.windows, before.value, after, values, error)
        if error is None:
            error = tf.zeros_like(before.value[:, :1])
        dtype = before.value.dtype
        find = _lines_of(node.activation, dtype, self._parallel)
        return Lines(*find(before.value, *values, error))

    def _bound(self, position: int, rows: Rows, around: Around) -> tf.Tensor:
        """Returns lower bounds on a few sums."""
        walk = Walk(self._graph, self._maps, rows.point, around)
        walk.push(position, rows.weights)
        for atom in reversed(self._before(position)):
            walk.step(atom)
        return walk.end()


def _bends(fn: networks.Activation, before: Centre, region: BallBox):
    """Returns `[batch, n]` where a chord and a tangent are apart.

    By more than rounding: by the range of slopes times the width.
    """
    low, high = ball_box.enclosed(before, region)
    slopes = fn.slope_range_on(low, high)
    room = (slopes.upper - slopes.lower) * (high - low)
    # NaN is unknown, not narrow.
    return ~(room <= _NARROW * (1.0 + tf.abs(low) + tf.abs(high)))


@functools.cache
def _lines_of(fn: networks.Activation, dtype: tf.DType, parallel: bool):
    """Returns `networks.lines` of one activation, traced once."""
    rows = tf.TensorSpec([None, None], dtype)
    error = tf.TensorSpec([None, 1], dtype)
    proves = dtype == numerics.PROOF_DTYPE

    def found(centre, low, high, error):
        values = networks.Interval(low, high)
        # A function does not take over where its caller computes.
        with tf.device("CPU:0" if proves else None):
            known = error if proves else None
            return networks.lines(fn, centre, values, known, parallel=parallel)

    return tf.function(found, input_signature=[rows, rows, rows, error])


def _maximum(windows, before, after, values, error) -> Lines:
    """Returns lines around maxima, in the member largest at the centre."""
    one = tf.ones_like(after)
    top = windows.apply(values.upper)
    lost = 0.0
    if error is not None:
        size = tf.abs(after) + tf.abs(top) + 1.0
        lost = 2.0 * error + 16.0 * numerics.gamma(1) * size
    if windows.overlap > 1:
        # A member of one window is another's rival: a constant above.
        return Lines(one, -lost * one, 0.0 * one, top - after + lost)
    least = tf.constant(-float("inf"), after.dtype)
    own = windows.pull_back(before, after, one) > 0.0
    rival = windows.apply(tf.where(own, least, values.upper))
    low = windows.apply(tf.where(own, values.lower, least))
    high = windows.apply(tf.where(own, values.upper, least))
    rival = tf.maximum(rival, low)
    width = tf.where(high > low, high - low, one)
    slope = tf.minimum(tf.maximum(high - rival, 0.0) / width, 1.0)
    slope = tf.where(high > low, slope, one)
    ends = (rival - slope * low, tf.maximum(high, rival) - slope * high)
    above = tf.maximum(*ends) - (after - slope * after)
    if error is not None:
        size = tf.abs(low) + tf.abs(high) + tf.abs(rival) + tf.abs(after)
        lost += 16.0 * numerics.gamma(1) * size
    return Lines(one, -lost * one, slope, above + lost)
