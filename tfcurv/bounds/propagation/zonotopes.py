r"""Zonotopes through a network: where values can be, as one forward pass.

A zonotope is the image of a box of coefficients e,

    { a + A e : |e_j| <= 1 },

its columns A_j are called generators. Linear maps, sums and joins take one to
another. What bends is put between two lines of one slope, [SGM18],

    slope z + shift - half <= s(z) <= slope z + shift + half   on [l, u],

so that each entry that bends adds a generator: s(z) = slope z + shift + half e.
For ReLU, slope = u / (u - l) and shift = half = -u l / (2 (u - l)) leave least
area; a maximum stays between its ends, with the slope 0. The interval [l, u] of
a value is a -+ sum_j |A_j|.

Generators are never written down. For coefficients e a point of the zonotope is
what the network gives where s(z) is replaced by slope z + shift + half e:
one forward pass, whatever the number of generators. And of numbers c_j drawn
from a Cauchy distribution A c, a forward pass too, is Cauchy with the scale
sum_j |A_j|: k of them give an estimate of it,

    cos(pi / 2k)^k  product_i |(A c_i)|^(1/k),

unbiased, and off by a share of pi / (2 sqrt(k)) [LHC07]. [BV20] takes the
median of as many, which is as far off and must sort. Its derivatives are no
use, for numbers near 0 come with slopes that have no variance: those of the
scale s of greatest likelihood are taken, which are bounded,

    ds / s = sum_i w_i N_i dN_i / sum_i w_i N_i^2,   w_i = 1 / (s^2 + N_i^2).

It bounds nothing: it is to train with. Where no generator was added, boxes are
exact, and taken.

What holds of every point, for a proof, is found backward: for a sum of values
w, the least of w . (a + A e) is w . a - sum_j |w . A_j|, and w . A is what
`backward_lines` carries to the input where lines are parallel.

[BV20]: Balunovic and Vechev, "Adversarial Training and Provable Defenses:
Bridging the Gap", ICLR 2020.
[LHC07]: Li, Hastie and Church, "Nonlinear Estimators and Tail Bounds for
Dimension Reduction in l1 Using Cauchy Random Projections", JMLR 8, 2007.
[SGM18]: Singh et al., "Fast and Effective Robustness Certification", NeurIPS
2018.
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import math
from typing import NamedTuple

import tensorflow as tf

from tfcurv import networks
from tfcurv.bounds.propagation.backward_walk import BENT
from tfcurv.bounds.propagation.ball_box import Centre
from tfcurv.bounds.propagation.split_lines import split_lines
from tfcurv.networks import Kind

# Below it a logarithm is none, and nothing is that narrow.
_TINY = 1e-30


class Linear(NamedTuple):
    """What a LINEAR node computes: x K + b.

    Attributes:
        map: K.
        bias: b, `[n]` or fewer, to broadcast.
    """

    map: networks.TrainedMap
    bias: tf.Tensor


class Slab(NamedTuple):
    """What stands for an entry that bends: slope z + shift + half e.

    Attributes:
        slope: `[batch, n]`.
        shift: `[batch, n]`.
        half: `[batch, n]`, at least 0.
    """

    slope: tf.Tensor
    shift: tf.Tensor
    half: tf.Tensor


class Box(NamedTuple):
    """Inputs within some distances, entry by entry.

    Attributes:
        middle: `[batch, n]`.
        half: `[batch, n]`.
    """

    middle: tf.Tensor
    half: tf.Tensor


class Relaxed(NamedTuple):
    """A network some of whose bends are slabs.

    Attributes:
        slabs: By position of a node.
        ends: Of what the first bend that is none reads, the interval, as
            estimated; None where there is no such bend.
    """

    slabs: Mapping[int, Slab]
    ends: networks.Interval | None


def bends(graph: networks.Graph) -> list[int]:
    """Returns the positions of what bends, in order.

    Args:
        graph: The graph.
    """
    return [
        position
        for position, node in enumerate(graph.nodes)
        if node.kind in BENT
        and not (node.kind is Kind.ACTIVATION and node.activation.is_linear)
    ]


def box_around(
    x: tf.Tensor, epsilon: tf.Tensor, domain: tuple[float, float] | None = None
) -> Box:
    """Returns the inputs within linf distance, cut by a domain.

    Args:
        x: `[batch, n]`.
        epsilon: `[]` or `[batch, 1]`.
        domain: Interval that every entry lies in; None for all inputs. A point
            outside of it stays in the box.
    """
    low, high = x - epsilon, x + epsilon
    if domain is not None:
        # Of points to try: what proves is widened, see `margins`.
        low = tf.minimum(tf.maximum(low, domain[0]), x)
        high = tf.maximum(tf.minimum(high, domain[1]), x)
    return Box(0.5 * (low + high), 0.5 * (high - low))


def point(
    graph: networks.Graph,
    linear: Callable[[int], Linear],
    start: Box,
    slabs: Mapping[int, Slab],
    coefficients: Mapping[int, tf.Tensor],
) -> tf.Tensor:
    """Returns logits `[batch, classes]` at a point of a zonotope.

    Args:
        graph: The graph.
        linear: By position, what LINEAR nodes compute.
        start: Of inputs.
        slabs: In the place of what bends; the others bend as they do.
        coefficients: By position, of the input's 0 and of each slab, `[batch,
            n]` in [-1, 1].
    """
    values = [start.middle + start.half * coefficients[0]]
    for position, node in enumerate(graph.nodes[1:], 1):
        sources = [values[source] for source in node.sources]
        slab = slabs.get(position)
        if slab is not None:
            value = slab.shift + slab.half * coefficients[position]
            if node.kind is Kind.ACTIVATION:
                value += slab.slope * sources[0]
        elif node.kind is Kind.LINEAR:
            found = linear(position)
            value = found.map.apply(sources[0]) + found.bias
        else:
            value = _joined(graph, node, sources)
        values.append(value)
    return values[-1]


def relax(
    graph: networks.Graph,
    linear: Callable[[int], Linear],
    start: Box,
    count: int,
    projections: int,
) -> Relaxed:
    """Returns slabs in the place of the first bends; estimates, to train with.

    Args:
        graph: The graph.
        linear: By position, what LINEAR nodes compute.
        start: Of inputs.
        count: How many bends, in order, are replaced.
        projections: Random numbers that estimate each interval.
    """
    found: dict[int, Slab] = {}
    carried = [_start(start, projections)]
    order = bends(graph)
    stop = order[count] if count < len(order) else None
    for position, node in enumerate(graph.nodes[1:], 1):
        if stop is None and len(found) == len(order):
            break
        sources = [carried[source] for source in node.sources]
        if position == stop:
            return Relaxed(found, _ends(sources[0]))
        if position in order:
            slab = _slab(graph, node, sources[0])
            found[position] = Slab(*map(tf.stop_gradient, slab))
            carried.append(_through(node, sources[0], found[position]))
        elif node.kind is Kind.LINEAR:
            carried.append(_mapped(linear(position), sources[0]))
        else:
            carried.append(_combined(graph, node, sources))
    return Relaxed(found, None)


class _Carried(NamedTuple):
    """What is known of a node's zonotope.

    Attributes:
        centre: `[batch, n]` a.
        box: `[batch, n]` at least sum_j |A_j|; equal to it where `is_exact`.
        noise: `[projections * batch, n]` A c.
        is_exact: Whether no slab came before.
    """

    centre: tf.Tensor
    box: tf.Tensor
    noise: tf.Tensor
    is_exact: bool


def _start(start: Box, projections: int) -> _Carried:
    noise = _as_rows(_cauchy(start.half, projections))
    return _Carried(start.middle, start.half, noise, True)


def _cauchy(half: tf.Tensor, projections: tf.Tensor | int) -> tf.Tensor:
    """Returns `[projections, batch, n]` random numbers of these scales."""
    seed = tf.random.uniform([2], maxval=2**31 - 1, dtype=tf.int32)
    shape = [projections, *tf.unstack(tf.shape(half))]
    # Without a state, a graph leaves out what nothing reads.
    uniform = tf.random.stateless_uniform(shape, seed, dtype=half.dtype)
    angle = math.pi * (uniform - 0.5)
    # A fifth of the time of a tangent.
    return half * (tf.sin(angle) / tf.cos(angle))


def _as_rows(noise: tf.Tensor) -> tf.Tensor:
    return tf.reshape(noise, [-1, tf.shape(noise)[-1]])


def _by_projection(rows: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
    """Returns `[projections, batch, n]`."""
    batch, n = tf.unstack(tf.shape(rows))
    return tf.reshape(noise, [-1, batch, n])


def _ends(carried: _Carried) -> networks.Interval:
    """Returns the interval of a value, estimated."""
    half = carried.box
    if not carried.is_exact:
        noise = _by_projection(carried.box, carried.noise)
        half = tf.minimum(_scale(noise), half)
    return networks.Interval(carried.centre - half, carried.centre + half)


def _scale(noise: tf.Tensor) -> tf.Tensor:
    """Returns `[batch, n]` estimates of the scales of Cauchy numbers."""
    k = tf.cast(tf.shape(noise)[0], noise.dtype)
    logs = tf.math.log(tf.maximum(tf.abs(noise), _TINY))
    scale = tf.exp(tf.reduce_mean(logs, axis=0))
    scale = tf.stop_gradient(tf.cos(0.5 * math.pi / k) ** k * scale)
    size = tf.square(scale) + tf.square(noise) + _TINY
    weighted = tf.square(noise) * tf.stop_gradient(1.0 / size)
    total = tf.reduce_sum(weighted, axis=0)
    # One, with the derivatives of the likelihood.
    share = tf.math.divide_no_nan(total, tf.stop_gradient(total))
    return scale * (1.0 + 0.5 * (share - tf.stop_gradient(share)))


def _slab(graph, node: networks.Node, before: _Carried) -> Slab:
    low, high = _ends(before)
    if node.kind is Kind.MAXIMUM:
        low, high = map(node.windows.apply, (low, high))
        return Slab(tf.zeros_like(low), 0.5 * (low + high), 0.5 * (high - low))
    z = before.centre
    values = networks.Interval(low, high)
    slope, below, _, above = _parallel(node.activation, z, values)
    start = networks.function_of(graph, node, [z]) - slope * z
    half = tf.maximum(0.5 * (above - below), 0.0)
    return Slab(slope, start + 0.5 * (above + below), half)


def _parallel(fn, z: tf.Tensor, values: networks.Interval) -> networks.Lines:
    if fn is not networks.RELU:
        return networks.lines(fn, z, values, parallel=True)
    # The same, at a tenth of the cost: nothing is searched for.
    low, high = values
    chord = tf.math.divide_no_nan(tf.nn.relu(high), high - low)
    slope = tf.clip_by_value(chord, 0.0, 1.0)
    return split_lines(Centre(z), values, slope, tf.zeros_like(z))


def _through(node: networks.Node, before: _Carried, slab: Slab) -> _Carried:
    noise = _by_projection(before.box, before.noise)
    added = _cauchy(slab.half, tf.shape(noise)[0])
    if node.kind is Kind.MAXIMUM:
        return _Carried(slab.shift, slab.half, _as_rows(added), False)
    return _Carried(
        slab.slope * before.centre + slab.shift,
        tf.abs(slab.slope) * before.box + slab.half,
        _as_rows(slab.slope * noise + added),
        False,
    )


def _mapped(linear: Linear, before: _Carried) -> _Carried:
    return _Carried(
        linear.map.apply(before.centre) + linear.bias,
        linear.map.absolute(before.box),
        linear.map.apply(before.noise),
        before.is_exact,
    )


def _combined(graph, node, sources: Sequence[_Carried]) -> _Carried:
    """Returns sums, joins and what bends nothing."""
    centre, box, noise = (
        _joined(graph, node, [each[part] for each in sources])
        for part in range(3)
    )
    # Of a sum, what cancels is overlooked by boxes.
    is_exact = all(each.is_exact for each in sources) and len(sources) == 1
    return _Carried(centre, box, noise, is_exact)


def _joined(graph, node, sources: Sequence[tf.Tensor]) -> tf.Tensor:
    if node.kind is Kind.ADD:
        return tf.add_n(list(sources))
    return networks.function_of(graph, node, sources)
