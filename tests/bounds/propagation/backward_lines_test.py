"""Tests of tfcurv.bounds.propagation.backward_lines: CROWN."""

from fractions import Fraction
import functools
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import random_graphs
from tfcurv import networks
from tfcurv.bounds.propagation import backward_walk
from tfcurv.bounds.propagation.ball_box import Rules
from tfcurv.certificates.interval.regions import GraphRegions
from tfcurv.certificates.linear.lines import GraphLines
from tfcurv.certificates.linear.lines import LastLines
from tfcurv.certificates.linear.lines import ParallelLines
from untraced import plain

# Of each, one or two calls.
_Lines, _Last, _Parallel, _Regions = (
    plain(kind, ("margins",))
    for kind in (GraphLines, LastLines, ParallelLines, GraphRegions)
)

# Some of what CROWN does, by the published names.
_VARIANTS = {"crown": _Lines, "crown-ibp": _Last, "coap": _Parallel}

_THREATS = {
    "l2": ("l2", None),
    "linf": ("linf", None),
    "l2_in_domain": ("l2", (0.0, 1.0)),
    "linf_in_domain": ("linf", (0.0, 1.0)),
}


def _chain(fn, widths=(6, 9, 8, 7, 4), seed=0):
    build = random_graphs.Builder(widths[:1], seed)
    value = 0
    for width in widths[1:-1]:
        value = build.activate(build.dense(value, width), fn)
    build.dense(value, widths[-1])
    return build.graph()


def _pooled(seed=0):
    """Maxima apart and overlapping, an average, and a normalization."""
    build = random_graphs.Builder((6, 6, 2), seed)
    value = build.scaled(build.convolution(0, 4, padding="same"))
    value = build.activate(value, networks.activation("gelu"))
    value = build.pool(value, (2, 2), (2, 2), "valid")
    value = build.pool(build.convolution(value, 3), (2, 2), (1, 1), "same")
    build.dense(build.activate(build.dense(value, 6), networks.RELU), 3)
    return build.graph()


def _branched(seed=0):
    """Convolutions that go on as windows, and two ways back to one layer."""
    build = random_graphs.Builder((11, 10, 2), seed)
    first = build.scaled(build.convolution(0, 3, padding="same"))
    first = build.activate(first, networks.RELU)
    inner = build.activate(
        build.convolution(first, 3, 3, padding="same"), networks.RELU
    )
    inner = build.convolution(inner, 3, 3, padding="same")
    value = build.activate(build.add(inner, first), networks.RELU)
    value = build.convolution(value, 3, strides=2, padding=((1, 0), (0, 1)))
    build.dense(build.activate(value, networks.RELU), 3)
    return build.graph()


_GRAPHS = {
    "relu": functools.partial(_chain, networks.RELU),
    "tanh": functools.partial(_chain, networks.activation("tanh")),
    "pooled": _pooled,
    "branched": _branched,
    **random_graphs.ALL,
}


@functools.cache
def _margins(name, threat="l2", kind=_Lines, proves=True):
    graph = _GRAPHS[name]()
    return graph, kind(graph, Rules(), *_THREATS[threat], proves=proves).margins


def _points(graph, count=6, seed=0):
    x = np.random.default_rng(seed).uniform(size=(count, graph.input_dim))
    logits = networks.logits_of(graph, tf.constant(x)).numpy()
    return x, logits.argmax(axis=-1).astype(np.int32)


def _inside(x, epsilon, norm, domain, random):
    """Points of a neighbourhood, many of them at its rim."""
    away = random.normal(size=(400, *x.shape))
    if norm == "linf":
        away = np.clip(3.0 * away, -1.0, 1.0)
    else:
        away /= np.linalg.norm(away, axis=-1, keepdims=True)
    away *= random.uniform(size=(400, len(x), 1)) ** 0.1
    points = x + epsilon * away
    return points if domain is None else np.clip(points, *domain)


def _attained(graph, points, y):
    """The least of each margin at points, after steps down its slope."""
    shape = points.shape[:2]
    flat = tf.constant(points.reshape(-1, points.shape[-1]))
    logits = networks.logits_of(graph, flat).numpy().reshape(*shape, -1)
    own = np.take_along_axis(logits, y[np.newaxis, :, np.newaxis], axis=-1)
    return np.min(own - logits, axis=0)


def _down(graph, x, y, epsilon, norm, domain):
    """Points on the rim down the slopes of all margins, ten steps."""
    classes, shape = graph.num_classes, x.shape
    t, x = np.repeat(np.arange(classes), len(x)), np.tile(x, (classes, 1))
    y, each = np.tile(y, classes), np.arange(len(x))
    point = x.copy()
    for _ in range(10):
        variable = tf.constant(point)
        with tf.GradientTape() as tape:
            tape.watch(variable)
            logits = networks.logits_of(graph, variable)
            rows = tf.constant(np.stack([each, y], 1), tf.int32)
            other = tf.constant(np.stack([each, t], 1), tf.int32)
            margin = tf.gather_nd(logits, rows) - tf.gather_nd(logits, other)
        slope = tape.gradient(margin, variable).numpy()
        if norm == "linf":
            step = epsilon * np.sign(slope)
            away = np.clip(point - step - x, -epsilon, epsilon)
        else:
            size = np.linalg.norm(slope, axis=-1, keepdims=True)
            away = point - epsilon * slope / np.maximum(size, 1e-30) - x
            size = np.linalg.norm(away, axis=-1, keepdims=True)
            away *= np.minimum(1.0, epsilon / np.maximum(size, 1e-30))
        point = x + away
        if domain is not None:
            point = np.clip(point, *domain)
    return point.reshape(classes, *shape)


class SoundnessTest(parameterized.TestCase):
    @parameterized.parameters(
        *[("relu", threat) for threat in _THREATS],
        *[(name, "l2") for name in ("pooled", "tanh", "plain")],
        ("residual", "linf"),
        ("maxima", "linf_in_domain"),
    )
    def test_no_point_has_a_smaller_margin(self, name, threat):
        graph, margins = _margins(name, threat)
        random = np.random.default_rng(2)
        x, y = _points(graph)
        for epsilon in (0.03, 0.3, 1.0):
            bounds = margins(x, y, np.full(len(x), epsilon))
            points = [_inside(x, epsilon, *_THREATS[threat], random)]
            points.append(_down(graph, x, y, epsilon, *_THREATS[threat]))
            met = _attained(graph, np.concatenate(points), y)
            self.assertTrue(np.all(np.isfinite(bounds)))
            self.assertTrue(np.all(bounds <= met + 1e-12))

    @parameterized.product(
        kind=(_Last, _Parallel), name=("relu", "tanh", "pooled")
    )
    def test_no_variant_proves_more(self, kind, name):
        graph, margins = _margins(name, kind=kind)
        x, y = _points(graph)
        for epsilon in (0.05, 0.5):
            bounds = margins(x, y, np.full(len(x), epsilon))
            points = _down(graph, x, y, epsilon, *_THREATS["l2"])
            self.assertTrue(np.all(np.isfinite(bounds)))
            self.assertTrue(np.all(bounds <= _attained(graph, points, y)))

    @parameterized.parameters("relu", "pooled", "plain")
    def test_proves_no_less_than_balls_and_boxes(self, name):
        graph, by_lines = _margins(name)
        by_regions = _margins(name, kind=_Regions)[1]
        x, y = _points(graph)
        gains = []
        for epsilon in (0.05, 0.3):
            size = np.full(len(x), epsilon)
            ours, theirs = by_lines(x, y, size), by_regions(x, y, size)
            self.assertTrue(np.all(ours >= theirs - 1e-9))
            gains.append(np.mean(ours - theirs))
        self.assertGreater(max(gains), 0.01)

    def test_float32_is_near_what_is_proved(self):
        graph, proved = _margins("relu")
        searched = _margins("relu", kind=GraphLines, proves=False)[1]
        x, y = _points(graph)
        size = np.full(len(x), 0.1)
        np.testing.assert_allclose(
            searched(x, y, size), proved(x, y, size), atol=1e-4
        )


class ExactTest(parameterized.TestCase):
    @parameterized.parameters("l2", "linf")
    def test_of_a_linear_network_are_exact(self, norm):
        build = random_graphs.Builder((5,))
        build.dense(build.dense(0, 7), 3)
        graph = build.graph()
        x, y = _points(graph)
        found = _Lines(graph, Rules(), norm).margins(x, y, np.full(len(x), 0.7))
        first, second = (node.step.map.kernel for node in graph.nodes[1:])
        columns = (first @ second).T
        apart = columns[y][:, np.newaxis] - columns
        logits = networks.logits_of(graph, tf.constant(x)).numpy()
        own = np.take_along_axis(logits, y[:, np.newaxis], axis=-1)
        dual = 2 if norm == "l2" else 1
        exact = own - logits - 0.7 * np.linalg.norm(apart, dual, axis=-1)
        np.testing.assert_allclose(found, exact, rtol=1e-9, atol=1e-9)

    @parameterized.product(name=("relu", "branched"), norm=("l2", "linf"))
    def test_where_nothing_bends_are_exact(self, name, norm):
        # Up to the rounding that is taken off, most of all of convolutions. So
        # near that every ReLU stays on its side.
        graph, margins = _margins(name, norm)
        x, y = _points(graph)
        found = margins(x, y, np.full(len(x), 1e-5))
        variable = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(variable)
            logits = networks.logits_of(graph, variable)
        slopes = tape.batch_jacobian(logits, variable).numpy()
        own = np.take_along_axis(slopes, y[:, None, None], axis=1)
        dual = 2 if norm == "l2" else 1
        size = np.linalg.norm(own - slopes, dual, axis=-1)
        logits = logits.numpy()
        own = np.take_along_axis(logits, y[:, np.newaxis], axis=-1)
        near = 1e-9 if name == "relu" else 1e-8
        np.testing.assert_allclose(
            found, own - logits - 1e-5 * size, rtol=near, atol=near
        )

    @parameterized.product(variant=list(_VARIANTS), norm=("l2", "linf"))
    def test_of_relu_networks_are_those_of_the_formula(self, variant, norm):
        graph = _GRAPHS["relu"]()
        # Without balls: of boxes alone the formula is short.
        rules = Rules(ball=variant != "crown-ibp")
        margins = _VARIANTS[variant](graph, rules, norm).margins
        x, y = _points(graph)
        found = margins(x, y, np.full(len(x), 0.2))
        layers = [
            (node.step.map.kernel, node.step.bias)
            for node in graph.nodes
            if node.step is not None
        ]
        for row, label in enumerate(y):
            expected = _crown(layers, x[row], label, 0.2, norm, variant)
            more = found[row] - expected
            # Boxes may cut what lines alone leave, rarely; boxes of boxes are
            # rounded outward more often.
            self.assertGreater(np.min(more), -1e-8)
            self.assertLess(np.median(more), 1e-9)


def _crown(layers, x, label, epsilon, norm, variant):
    """CROWN-Ada and others of one point, in values and not in deviations."""
    ends, dual = [], 2 if norm == "l2" else 1

    def bound(weights, offset, count):
        """The least of weights . layer `count` + offset, row by row."""
        kernel, bias = layers[count]
        weights, offset = weights @ kernel.T, offset + weights @ bias
        for kernel, bias in reversed(layers[:count]):
            low, high = ends[count - 1]
            crossing = (low < 0.0) & (high > 0.0)
            width = np.where(crossing, high - low, 1.0)
            above = np.where(crossing, high / width, low >= 0.0)
            room = np.where(crossing, -high * low / width, 0.0)
            below = np.where(crossing, high > -low, low >= 0.0)
            if variant == "coap":
                below = above
            positive, negative = np.maximum(weights, 0), np.minimum(weights, 0)
            offset = offset + negative @ room
            weights = positive * below + negative * above
            weights, offset = weights @ kernel.T, offset + weights @ bias
            count -= 1
        away = epsilon * np.linalg.norm(weights, dual, axis=-1)
        return weights @ x + offset - away

    for count, (kernel, bias) in enumerate(layers[:-1]):
        unit = np.eye(kernel.shape[1])
        if variant == "crown-ibp" and count:
            low, high = np.maximum(ends[-1], 0.0)
            middle, half = 0.5 * (low + high), 0.5 * (high - low)
            centre = middle @ kernel + bias
            half = half @ np.abs(kernel)
            ends.append((centre - half, centre + half))
            continue
        ends.append((bound(unit, 0.0, count), -bound(-unit, 0.0, count)))
    classes = layers[-1][0].shape[1]
    rows = np.eye(classes)[label] - np.eye(classes)
    return bound(rows, 0.0, len(layers) - 1)


def _reshaped(build, source, shape):
    before = build.nodes[source].shape
    return build.linear(
        source, networks.Identity(input_shape=before, output_shape=shape)
    )


class WindowTest(parameterized.TestCase):
    @parameterized.parameters("l2", "linf_in_domain")
    def test_proves_what_whole_rows_do(self, threat):
        graph = _branched()
        x, y = _points(graph)
        for epsilon in (0.02, 0.2):
            size, found = np.full(len(x), epsilon), []
            for share in (backward_walk._SMALL, 0.0):
                with mock.patch.object(backward_walk, "_SMALL", share):
                    bounds = _Lines(graph, Rules(), *_THREATS[threat])
                    found.append(bounds.margins(x, y, size))
            np.testing.assert_allclose(*found, rtol=1e-11, atol=1e-11)
            self.assertTrue(np.all(np.isfinite(found[0])))

    @parameterized.parameters(0, 1, 2)
    def test_keeps_out_of_shapes_that_it_does_not_know(self, where):
        # Reshapes before, between and after convolutions: maps lose them.
        build, value = random_graphs.Builder((6, 4, 2)), 0
        if where == 0:
            value = _reshaped(build, value, (3, 8, 2))
        value = build.convolution(value, 4, 3, padding="same")
        value = build.activate(value, networks.RELU)
        if where == 1:
            value = _reshaped(build, value, (3, 8, 4))
        value = build.convolution(value, 4, 3, padding="same")
        if where == 2:
            value = _reshaped(build, value, (12, 2, 4))
        value = build.activate(value, networks.RELU)
        build.dense(value, 3)
        graph = build.graph()
        x, y = _points(graph)
        size, found = np.full(len(x), 0.05), []
        for kind in (networks.ProvedMap.pulled_back, lambda *_: None):
            with mock.patch.object(networks.ProvedMap, "pulled_back", kind):
                found.append(_Lines(graph, Rules()).margins(x, y, size))
        np.testing.assert_allclose(*found, rtol=1e-11, atol=1e-11)

    def test_no_point_has_a_smaller_margin(self):
        graph = _branched()
        x, y = _points(graph)
        random = np.random.default_rng(2)
        for threat in ("l2_in_domain", "linf"):
            margins = _Lines(graph, Rules(), *_THREATS[threat]).margins
            bounds = margins(x, y, np.full(len(x), 0.1))
            points = _inside(x, 0.1, *_THREATS[threat], random)
            met = _attained(graph, points, y)
            self.assertTrue(np.all(bounds <= met + 1e-12))


class HostileTest(parameterized.TestCase):
    @parameterized.parameters(np.nan, np.inf, 1e300)
    def test_weights_that_are_no_numbers_prove_nothing(self, value):
        graph = _chain(networks.RELU)
        step = graph.nodes[1].step
        kernel = step.map.kernel.copy()
        kernel[1, 2] = value
        nodes = list(graph.nodes)
        nodes[1] = nodes[1]._replace(
            step=step._replace(map=networks.Dense(kernel=kernel))
        )
        graph = networks.Graph(nodes=tuple(nodes))
        x = np.random.default_rng(0).normal(size=(4, graph.input_dim))
        with np.errstate(all="ignore"):
            found = _Lines(graph, Rules()).margins(
                x, np.zeros(4, np.int32), np.full(4, 0.1)
            )
        self.assertFalse(np.any(found[:, 1:] > 0.0))

    def test_a_rival_may_be_largest_in_another_window(self):
        # z_0 over the maximum of z_0 and z_1, which leads the second window.
        build = random_graphs.Builder((3, 1))
        pooled = build.pool(0, (2,), (1,), "valid")
        value = build.add(build.dense(0, 2), build.dense(pooled, 2))
        nodes = build.nodes
        kernels = [[0.0, 1.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
        for position in nodes[value].sources:
            step = nodes[position].step
            kernel = np.array(kernels[step.map.inputs == 3])
            nodes[position] = nodes[position]._replace(
                step=step._replace(
                    map=networks.Dense(kernel=kernel), bias=np.zeros(2)
                )
            )
        margins = _Lines(build.graph(), Rules(), "linf").margins
        x, y = np.array([[5.0, 1.0, 0.0]]), np.zeros(1, np.int32)
        # At (2, 4, 0) it is 2 - 4.
        self.assertLessEqual(margins(x, y, np.array([3.0]))[0, 1], -2.0)

    def test_weights_that_cancel_are_not_taken_as_exact(self):
        # At zero nothing is rounded but the slope, of products near 1e16.
        random = np.random.default_rng(0)
        for _ in range(12):
            inner = random.uniform(0.5, 1.0, 2)
            outer = np.array([1e16, -1e16 * inner[0] / inner[1]])
            slope = sum(Fraction(a) * Fraction(b) for a, b in zip(inner, outer))
            build = random_graphs.Builder((1,))
            hidden = build.linear(0, networks.Dense(kernel=inner[np.newaxis]))
            kernel = np.stack([outer, np.zeros(2)], axis=1)
            build.linear(hidden, networks.Dense(kernel=kernel))
            for position, bias in ((1, np.zeros(2)), (2, np.array([9.0, 0]))):
                node = build.nodes[position]
                step = node.step._replace(bias=bias)
                build.nodes[position] = node._replace(step=step)
            found = _Lines(build.graph(), Rules()).margins(
                np.zeros((1, 1)), np.zeros(1, np.int32), np.ones(1)
            )[0, 1]
            self.assertLessEqual(found, 9 - abs(slope))

    @parameterized.parameters(1e30, 1e-30)
    def test_large_and_small_weights_cancel(self, scale):
        # A shortcut past them changes the class at a distance of one.
        build = random_graphs.Builder((1,))

        def dense(source, kernel):
            kernel = np.array([kernel])
            value = build.linear(source, networks.Dense(kernel=kernel))
            zero = build.nodes[value].step._replace(bias=np.zeros(kernel.size))
            build.nodes[value] = build.nodes[value]._replace(step=zero)
            return value

        small = build.activate(dense(0, [1.0 / scale]), networks.RELU)
        value = dense(small, [scale])
        value = build.add(value, dense(0, [1.0]))
        dense(value, [0.5, 0.0])
        graph = build.graph()
        x, y = np.array([[1.0]]), np.zeros(1, np.int32)
        margins = _Lines(graph, Rules()).margins
        self.assertLessEqual(margins(x, y, np.array([1.0]))[0, 1], 0.0)
        self.assertGreater(margins(x, y, np.array([0.98]))[0, 1], 0.0)

    @parameterized.parameters("relu", "tanh", "pooled")
    def test_a_region_without_end_proves_nothing(self, name):
        graph, margins = _margins(name)
        x, y = _points(graph)
        other = np.arange(graph.num_classes) != y[:, np.newaxis]
        for epsilon in (1e200, np.inf):
            found = margins(x, y, np.full(len(x), epsilon))
            self.assertFalse(np.any(found[other] > 0.0))

    def test_what_is_unknown_at_the_centre_proves_nothing(self):
        graph, margins = _margins("relu")
        x, y = _points(graph)
        x[0, 0], x[1, 0] = np.nan, np.inf
        with np.errstate(all="ignore"):
            found = margins(x, y, np.full(len(x), 0.1))
        self.assertFalse(np.any(found[0] > 0.0) or np.any(found[1] > 0.0))
        self.assertTrue(np.all(np.isfinite(found[2:])))


if __name__ == "__main__":
    absltest.main()
