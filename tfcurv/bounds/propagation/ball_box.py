r"""A ball and a box around every value of a network, side by side.

Let the input move from x0 to any x of a set S. Of each value v of the network
two things are known about its deviation d = v(x) - v(x0),

    ||d||_2 <= rho          (the ball),
    lower <= d <= upper     (the box, entry by entry),

and a step of the network takes both at once, [LLP20, section 4]:

* Linear, sum over sources a of K_a d_a: with the centres m and half widths h
  of the boxes, d lies within sum K_a m_a +- sum |K_a| h_a, and within
  +- sum rho_a ||K_a e_j||, whichever is nearer; rho = sum ||K_a|| rho_a.
* Activation s, z(x) in [z + lower, z + upper]: the range of s there, minus
  s(z); rho grows by the largest |s'| there, where [LLP20] takes one. In a
  proof d also lies within the range of s' there times that of its source.
* Maximum over windows: of the ends of the boxes; rho grows by the root of the
  number of windows that an entry is in.
* Join: the boxes joined; the root of the sum of the rho^2.

And no ball is larger than the box around it. Deviations, not values: biases and
the centre's own rounding play no part in what grows. Every formula is one of
TensorFlow's, differentiable, and the same to train with, in float32, where the
norms are estimates, as to prove with, in float64: there each map says by how
much its products err, relative, and the centres how far they are from exact.

[LLP20]: Lee, Lee and Park, "Lipschitz-Certifiable Training with a Tight Outer
Bound", NeurIPS 2020.
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import tensorflow as tf

from tfcurv import networks
from tfcurv import numerics
from tfcurv.networks import Kind

# Subtractions and additions of ends, each off by one rounding of its terms;
# and sums, norms and products of positive terms, widened step by step.
_ENDS = 8.0 * 2.0**-53
_INFLATION = numerics.STEP_INFLATION


class BallBox(NamedTuple):
    """Where deviations from the centre lie, row by row; see the module.

    Attributes:
        radius: `[batch]` of the ball; None where no ball is known.
        lower: `[batch, n]` left ends of the box, at most 0; None for no box.
        upper: `[batch, n]` right ends.
    """

    # Tensors, or None.
    radius: Any
    lower: Any = None
    upper: Any = None

    @property
    def farthest(self) -> tf.Tensor:
        """`[batch, n]` the largest absolute value in the box."""
        return tf.maximum(-self.lower, self.upper)


class Centre(NamedTuple):
    """What a node gives at x0.

    Attributes:
        value: `[batch, n]` as computed.
        error: `[batch]` bounds the l2 distance from the exact value; None
            where nothing is to be proved.
    """

    value: tf.Tensor
    error: Any = None  # A tensor, or None.


class Step(NamedTuple):
    """One step of a network: a node, or several linear ones in one.

    Attributes:
        node: What is computed.
        position: Where the node is in the graph.
        terms: By position of a source, the map of its values, where the step
            is linear; None elsewhere.
    """

    node: networks.Node
    position: int
    terms: Mapping[int, networks.TrainedMap] | None = None


class Rules(NamedTuple):
    """Which of ball and box are carried.

    Attributes:
        ball: Whether balls are; else they end at the first linear step.
        box: Whether boxes are.
        careful: Whether balls are shrunk to their boxes, and what is not a
            number bounds nothing; training saves the time.
    """

    ball: bool = True
    box: bool = True
    careful: bool = True


#: What else may be known of a linear step's value; see `propagate`.
Refinement = Callable[[Step, BallBox, Mapping[int, BallBox]], BallBox]


def propagate(
    graph: networks.Graph,
    steps: Sequence[Step],
    centres: Mapping[int, Centre],
    start: BallBox,
    rules: Rules = Rules(),
    refine: Refinement | None = None,
) -> dict[int, BallBox]:
    """Returns what is known of each step's value.

    Args:
        graph: What the steps are of.
        steps: In order, the input left out.
        centres: By position, of all that activations and maxima read and
            give.
        start: Of the input, a ball and a box.
        rules: What is carried.
        refine: Given a linear step, its region and those before it, returns a
            better one.

    Returns:
        By position, the input's 0 among them.
    """
    found = {0: start if rules.box else BallBox(start.radius)}
    for step in steps:
        if step.terms is not None:
            region = through_linear(step.terms, found, rules)
            if refine is not None:
                region = _tidy(refine(step, region, found), rules)
        else:
            region = _function(graph, step, centres, found, rules)
        found[step.position] = region
    return found


def through_linear(
    terms: Mapping[int, networks.TrainedMap],
    known: Mapping[int, BallBox],
    rules: Rules = Rules(),
) -> BallBox:
    """Returns what is known of a sum of linear maps.

    Args:
        terms: By position of a source, the map of its values.
        known: By position, what is known of these values. Where of none of
            them a box is known, the ball makes one.
        rules: What is carried.
    """
    parts = [
        _mapped(linear, known[source], rules)
        for source, linear in terms.items()
    ]
    radius, by_ball, centre, half = (
        _sum([part[i] for part in parts]) for i in range(4)
    )
    low = high = None
    if centre is not None:
        low, high = centre - half, centre + half
        if rules.careful:
            low, high = _known_ends(low, high)
    if by_ball is not None:
        by_ball = numerics.round_up(by_ball, len(parts) + 1)
        by_ball += tf.constant(numerics.PRODUCT_UNDERFLOW, by_ball.dtype)
        low = -by_ball if low is None else tf.maximum(low, -by_ball)
        high = by_ball if high is None else tf.minimum(high, by_ball)
    return _tidy(BallBox(radius if rules.ball else None, low, high), rules)


def through_activation(
    fn,
    before: Centre,
    after: Centre,
    region: BallBox,
    rules: Rules = Rules(),
) -> BallBox:
    """Returns what is known of an activation.

    Args:
        fn: An `Activation` or `Blocks`.
        before: What it bends, at x0.
        after: What it gives there.
        region: What is known of what it bends.
        rules: What is carried.
    """
    if region.lower is None:
        radius = _grown(region.radius, fn.slope_range.magnitude)
        return _tidy(BallBox(radius), rules)
    low, high = enclosed(before, region)
    radius = region.radius
    if radius is not None:
        radius = _grown(radius, fn.steepest_on(low, high))
    ends = _around(after, fn.value_range_on(low, high))
    if after.error is not None:
        # By the slopes it does not matter how far off the centres are.
        steep = _known_ends(*_bent(fn.slope_range_on(low, high), region))
        low, high = _known_ends(*ends)
        ends = networks.Interval(
            tf.maximum(low, steep.lower), tf.minimum(high, steep.upper)
        )
    return _tidy(BallBox(radius, *ends), rules)


def _bent(slopes: networks.Interval, region: BallBox) -> networks.Interval:
    """Encloses products of slopes and deviations, which may be 0."""
    low, high = region.lower, region.upper
    # Of an interval that holds 0, two of the four corners decide.
    least = tf.minimum(slopes.upper * low, slopes.lower * high)
    most = tf.maximum(slopes.upper * high, slopes.lower * low)
    lost = tf.constant(numerics.PRODUCT_UNDERFLOW, low.dtype)
    return networks.Interval(
        least * _INFLATION - lost, most * _INFLATION + lost
    )


def half_widths(radius: tf.Tensor, norms: tf.Tensor) -> tf.Tensor:
    """Returns how far the entries of d K can be from 0 for ||d|| <= radius.

    Args:
        radius: `[...]`, perhaps infinite.
        norms: `[n]` norms of the columns of K.

    Returns:
        `[..., n]`, to be rounded up; 0 for a column that is, in any ball.
    """
    return tf.math.multiply_no_nan(radius[..., tf.newaxis], norms)


def _tidy(region: BallBox, rules: Rules) -> BallBox:
    """Returns the region as it is carried on; see `Rules.careful`."""
    return _shrunk(_known(region)) if rules.careful else region


def _known(region: BallBox) -> BallBox:
    """Returns the region with nothing in the place of NaN."""
    radius, lower, upper = region
    if radius is not None:
        radius = where_nan(radius, float("inf"))
    if lower is None:
        return BallBox(radius)
    return BallBox(radius, *_known_ends(lower, upper))


def _known_ends(lower: tf.Tensor, upper: tf.Tensor) -> networks.Interval:
    return networks.Interval(
        where_nan(lower, -float("inf")), where_nan(upper, float("inf"))
    )


def where_nan(x: tf.Tensor, value: float) -> tf.Tensor:
    """Returns x, and another value in the place of NaN."""
    return tf.where(tf.math.is_nan(x), tf.constant(value, x.dtype), x)


def _shrunk(region: BallBox) -> BallBox:
    """Returns the region, its ball no larger than its box."""
    if region.radius is None or region.lower is None:
        return region
    box = length(region.farthest) * _INFLATION
    box += tf.constant(numerics.NORM_FLOOR, box.dtype)
    return region._replace(radius=tf.minimum(region.radius, box))


def length(rows: tf.Tensor) -> tf.Tensor:
    """Returns l2 norms of rows, with a finite gradient at zero.

    Args:
        rows: `[..., n]`.
    """
    squares = tf.reduce_sum(tf.square(rows), axis=-1)
    is_zero = squares <= 0.0
    roots = tf.sqrt(tf.where(is_zero, tf.ones_like(squares), squares))
    return tf.where(is_zero, squares, roots)


def _sum(parts: Sequence[Any]) -> Any:
    """Returns the sum; None where a part is not known."""
    if any(part is None for part in parts):
        return None
    return parts[0] if len(parts) == 1 else tf.add_n(parts)


def _mapped(linear: networks.TrainedMap, region: BallBox, rules: Rules):
    """Returns radius, half width by it, centre and half width of K d."""
    radius = by_ball = centre = half = None
    if region.radius is not None:
        dtype = region.radius.dtype
        radius = _grown(region.radius, linear.norm(dtype))
        if rules.box:
            by_ball = half_widths(region.radius, linear.column_norms(dtype))
    if region.lower is not None:
        middle = 0.5 * (region.lower + region.upper)
        wide = 0.5 * (region.upper - region.lower)
        centre, half = linear.box(middle, wide, region.radius)
    return radius, by_ball, centre, half


def _grown(radius: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """Returns a product of positive numbers, rounded upward."""
    lost = tf.constant(numerics.PRODUCT_UNDERFLOW, radius.dtype)
    return radius * factor * _INFLATION + lost


def _function(graph, step: Step, centres, known, rules: Rules) -> BallBox:
    node, sources = step.node, step.node.sources
    if node.kind is Kind.CONCATENATE:
        regions = [known[source] for source in sources]
        return _tidy(_joined(graph, node, regions), rules)
    (source,) = sources
    before, after = centres[source], centres[step.position]
    if node.kind is Kind.ACTIVATION:
        fn, region = node.activation, known[source]
        return through_activation(fn, before, after, region, rules)
    return _tidy(_maximum(node.windows, before, after, known[source]), rules)


def enclosed(centre: Centre, region: BallBox) -> networks.Interval:
    """Encloses the value itself, from its deviation.

    Args:
        centre: The value at x0.
        region: Its deviation, with a box.
    """
    z = centre.value
    if centre.error is None:
        return networks.Interval(z + region.lower, z + region.upper)
    error = centre.error[:, tf.newaxis]
    lost = _ENDS * (tf.abs(z) + region.farthest + error) + error
    return networks.Interval(z + region.lower - lost, z + region.upper + lost)


def _around(centre: Centre, values: networks.Interval) -> networks.Interval:
    """Encloses a deviation, from the value itself."""
    z, (low, high) = centre.value, values
    if centre.error is None:
        return networks.Interval(low - z, high - z)
    error = centre.error[:, tf.newaxis]
    low, high = tf.minimum(low, z), tf.maximum(high, z)
    lost = _ENDS * (tf.abs(z) + tf.abs(low) + tf.abs(high)) + error
    # Where nothing is known of the ends, lost says nothing either.
    return networks.Interval(low - z - lost, high - z + lost)


def _maximum(windows, before: Centre, after: Centre, region) -> BallBox:
    radius = region.radius
    if radius is not None:
        radius = _grown(radius, windows.lipschitz_upper_bound)
    if region.lower is None:
        return BallBox(radius)
    # A maximum may pass over NaN.
    ends = _known_ends(*enclosed(before, region))
    ends = networks.Interval(*(windows.apply(end) for end in ends))
    return BallBox(radius, *_around(after, ends))


def _joined(graph, node, regions: Sequence[BallBox]) -> BallBox:
    radius = lower = upper = None
    if all(each.radius is not None for each in regions):
        radii = tf.stack([each.radius for each in regions], axis=-1)
        radius = length(radii) * _INFLATION
        radius += tf.constant(numerics.NORM_FLOOR, radius.dtype)
    if all(each.lower is not None for each in regions):
        lower = networks.joined(graph, node, [r.lower for r in regions])
        upper = networks.joined(graph, node, [r.upper for r in regions])
    return BallBox(radius, lower, upper)
