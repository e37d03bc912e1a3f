"""Tests of tfcurv.bounds.propagation.ball_box: nothing leaves a region."""

import fractions

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import random_graphs
from tfcurv import networks
from tfcurv.bounds.propagation import ball_box
from tfcurv.bounds.propagation import margins

_RULES = {
    "both": ball_box.Rules(),
    "box": ball_box.Rules(ball=False),
    "ball": ball_box.Rules(box=False),
    "careless": ball_box.Rules(careful=False),
}
_GRAPHS = list(random_graphs.ALL.items())
_ACTIVATIONS = [
    *networks.ACTIVATIONS.values(),
    networks.RELU,
    networks.RELU6,
    networks.SELU,
    networks.ABSOLUTE,
    networks.HARD_TANH,
    networks.HARD_SIGMOID,
    networks.HARD_SILU,
    networks.scaled_elu("elu", 0.3),
    random_graphs.LEAKY,
    random_graphs.STEEP,
    random_graphs.CUT,
]


def _steps(graph):
    """Every node by itself, its map proved."""
    steps = []
    for position, node in enumerate(graph.nodes[1:], 1):
        terms = None
        if node.kind is networks.Kind.LINEAR:
            linear = networks.ProvedMap(node.step.map, node.step.roundings)
            terms = {node.sources[0]: linear}
        elif node.kind is networks.Kind.ADD:
            terms = {}
            for source in set(node.sources):
                count = np.asarray(float(node.sources.count(source)))
                linear = networks.Diagonal(scale=count, input_shape=node.shape)
                terms[source] = networks.ProvedMap(linear)
        steps.append(ball_box.Step(node, position, terms))
    return steps


def _regions(graph, x, start, rules):
    values = networks.values_of(graph, x)
    errors = networks.norm_errors(graph, values)
    centres = {
        i: ball_box.Centre(*pair) for i, pair in enumerate(zip(values, errors))
    }
    return ball_box.propagate(graph, _steps(graph), centres, start, rules)


def _near(rng, x, epsilon, norm, count):
    """Points at up to epsilon, many of them at the rim or in corners."""
    noise = rng.normal(size=(count, *x.shape))
    noise *= rng.choice([0.0, 1.0], noise.shape, p=[0.5, 0.5])
    if norm == "linf":
        return x + epsilon * np.clip(3.0 * noise, -1.0, 1.0)
    size = np.linalg.norm(noise, axis=-1, keepdims=True) + 1e-9
    share = rng.choice([1.0, 0.5], (count, len(x), 1), p=[0.8, 0.2])
    return x + epsilon * share * noise / size


def _worst(fn, x, epsilon, steps=15):
    """Points in l2 balls at which gradient steps have raised a function."""

    @tf.function
    def slope(points):
        with tf.GradientTape() as tape:
            tape.watch(points)
            value = tf.reduce_sum(fn(points))
        return tape.gradient(value, points)

    moved = tf.constant(x + 1e-3)
    for _ in range(steps):
        found = slope(moved)
        if found is None:
            break
        unit = found / (tf.norm(found, axis=-1, keepdims=True) + 1e-12)
        moved = x + epsilon * unit
    return moved.numpy()


class SoundnessTest(parameterized.TestCase):
    @parameterized.product(
        graph=_GRAPHS, rules=list(_RULES), norm=("l2", "linf")
    )
    def test_no_value_leaves_its_ball_or_box(self, graph, rules, norm):
        _, make = graph
        graph = make(1)
        rng = np.random.default_rng(0)
        x = rng.normal(size=(4, graph.input_dim))
        epsilon = 0.3
        start = margins.start_region(
            tf.constant(x), tf.fill([4], tf.constant(epsilon, tf.float64)), norm
        )
        known = _regions(graph, tf.constant(x), start, _RULES[rules])
        near = _near(rng, x, epsilon, norm, 300)
        if norm == "l2":
            rise = _worst(
                lambda p: networks.logits_of(graph, p)[:, 0], x, epsilon
            )
            near = np.concatenate([near, rise[np.newaxis]])
        flat = tf.constant(near.reshape(-1, x.shape[-1]))
        at = networks.values_of(graph, flat)
        centre = networks.values_of(graph, tf.constant(x))
        for position, region in known.items():
            moved = at[position].numpy().reshape(*near.shape[:2], -1)
            moved = moved - centre[position].numpy()
            slack = 1e-12 * (1.0 + np.abs(centre[position].numpy()).max())
            if region.radius is not None:
                size = np.linalg.norm(moved, axis=-1)
                self.assertTrue(np.all(size <= region.radius + slack))
            if region.lower is not None:
                self.assertTrue(np.all(moved >= region.lower - slack))
                self.assertTrue(np.all(moved <= region.upper + slack))

    @parameterized.parameters(*range(len(_ACTIVATIONS)))
    def test_the_range_of_an_activation_holds_and_is_met(self, index):
        fn = _ACTIVATIONS[index]
        rng = np.random.default_rng(index)
        low = rng.normal(size=3000) * 3.0
        high = low + rng.exponential(1.0, 3000) * rng.choice([0, 1, 4], 3000)
        found = fn.value_range_on(tf.constant(low), tf.constant(high))
        share = np.linspace(0.0, 1.0, 301)[:, np.newaxis]
        values = fn.value(tf.constant(low + share * (high - low))).numpy()
        self.assertTrue(np.all(values >= found[0]))
        self.assertTrue(np.all(values <= found[1]))
        # The grid misses an extremum by the square of its step, a kink by it.
        step = (high - low) / 300.0
        if isinstance(fn, networks.PiecewiseLinear):
            missed = 3.0 * step
        else:
            missed = step**2
        np.testing.assert_array_less(values.min(0) - found[0], missed + 1e-12)
        np.testing.assert_array_less(found[1] - values.max(0), missed + 1e-12)

    @parameterized.parameters(*range(len(_ACTIVATIONS)))
    def test_the_steepest_slope_of_a_row_bounds_secants(self, index):
        fn = _ACTIVATIONS[index]
        rng = np.random.default_rng(index)
        low = rng.normal(size=(400, 5)) * 3.0
        high = low + rng.exponential(1.0, (400, 5))
        bound = fn.steepest_on(tf.constant(low), tf.constant(high)).numpy()
        ends = [rng.uniform(low, high) for _ in range(2)]
        values = [fn.value(tf.constant(end)).numpy() for end in ends]
        secant = np.abs(values[0] - values[1]) / np.abs(ends[0] - ends[1])
        self.assertTrue(np.all(secant.max(axis=-1) <= bound * (1 + 1e-9)))
        everywhere = fn.slope_range.magnitude
        self.assertTrue(np.all(bound <= everywhere * (1.0 + 1e-12)))


class SharpnessTest(parameterized.TestCase):
    def test_a_linear_map_attains_both(self):
        kernel = np.array([[3.0, 0.0], [4.0, 1.0]])
        build = random_graphs.Builder((2,))
        build.linear(0, networks.Dense(kernel=kernel))
        graph = networks.Graph(nodes=tuple(build.nodes))
        x = tf.zeros([1, 2], tf.float64)
        one = tf.ones([1], tf.float64)
        for norm, ends in (("l2", [5.0, 1.0]), ("linf", [7.0, 1.0])):
            start = margins.start_region(x, one, norm)
            region = _regions(graph, x, start, ball_box.Rules())[1]
            np.testing.assert_allclose(region.upper[0], ends, rtol=1e-5)
            np.testing.assert_allclose(-region.lower[0], ends, rtol=1e-5)
        norm = np.linalg.norm(kernel, 2)
        start = margins.start_region(x, one, "l2")
        region = _regions(graph, x, start, ball_box.Rules(box=False))[1]
        np.testing.assert_allclose(region.radius, [norm], rtol=1e-5)

    def test_local_slopes_shrink_the_ball(self):
        build = random_graphs.Builder((3,))
        build.activate(0, networks.ACTIVATIONS["sigmoid"])
        graph = networks.Graph(nodes=tuple(build.nodes))
        x = tf.constant([[4.0, 5.0, 6.0]], tf.float64)
        start = margins.start_region(x, tf.ones([1], tf.float64), "l2")
        region = _regions(graph, x, start, ball_box.Rules())[1]
        steepest = float(tf.sigmoid(3.0) * tf.sigmoid(-3.0))
        self.assertLess(float(region.radius[0]), steepest * 1.001)

    def test_weights_that_are_not_exact_widen_both(self):
        # A stored weight may be off by gamma_r of itself: both must hold it.
        roundings = 2**40
        linear = networks.Dense(kernel=np.ones((4, 1)))
        plain = networks.ProvedMap(linear)
        wide = networks.ProvedMap(linear, roundings)
        share = roundings * 2.0**-53
        for name in ("norm", "column_norms"):
            one, other = (
                float(np.ravel(getattr(each, name)(tf.float64))[0])
                for each in (plain, wide)
            )
            self.assertGreater(other, one * (1.0 + 0.999 * share))
        middle = tf.ones([1, 4], tf.float64)
        _, half = wide.box(middle, tf.zeros_like(middle))
        self.assertGreater(float(half[0, 0]), 4.0 * 0.999 * share)
        _, errors = wide.columns(1, tf.float64)
        self.assertGreater(float(errors[0]), 2.0 * 0.999 * share)

    def test_weights_that_cancel_err_by_what_they_were(self):
        # 1e6 - 1e6 is nothing, and gamma_r of each is not.
        there = networks.Dense(kernel=np.array([[1e6, 1e6]]))
        back = networks.Dense(kernel=np.array([[1.0], [-1.0]]))
        both = networks.Composition(maps=(there, back))
        wide = networks.ProvedMap(both, 2**40)
        least = 1e6 * 2**40 * 2.0**-53
        self.assertGreater(float(wide.norm(tf.float64)), least)
        self.assertGreater(float(wide.column_norms(tf.float64)[0]), least)

    def _bent(self, z, half, error):
        """The box behind ReLU, at centres that may be off."""
        fn = networks.RELU
        node = networks.Node(networks.Kind.ACTIVATION, (0,), (1,), fn)
        graph = networks.Graph(
            nodes=(networks.Node(networks.Kind.INPUT, (), (1,)), node)
        )
        z = tf.constant([[z]], tf.float64)
        error = tf.constant([error], tf.float64)
        centres = {
            0: ball_box.Centre(z, error),
            1: ball_box.Centre(fn.value(z), error),
        }
        half = tf.constant([[half]], tf.float64)
        start = ball_box.BallBox(half[0], -half, half)
        step = ball_box.Step(node, 1)
        found = ball_box.propagate(graph, [step], centres, start)[1]
        return float(found.lower[0, 0]), float(found.upper[0, 0])

    def test_a_centre_that_errs_before_an_activation(self):
        # z is -0.2 give or take 0.25: it may be 0.05, and rise from there.
        _, upper = self._bent(-0.2, 0.1, 0.25)
        self.assertGreaterEqual(upper, 0.1)
        _, upper = self._bent(-0.2, 0.1, 0.0)
        self.assertLess(upper, 1e-9)

    def test_a_centre_that_errs_behind_an_activation(self):
        # s(z), computed as 0, may be 0.25, from where it falls to 0.
        lower, _ = self._bent(0.0, 1.0, 0.25)
        self.assertLessEqual(lower, -0.25)
        lower, _ = self._bent(0.0, 1.0, 0.0)
        self.assertGreater(lower, -1e-9)

    @parameterized.parameters(1.0, 0.0)
    def test_what_is_no_number_bounds_nothing(self, epsilon):
        # At 0, times an infinite norm, it is NaN.
        build = random_graphs.Builder((2,))
        kernel = np.array([[np.inf, 1.0], [0.0, 1.0]])
        value = build.linear(0, networks.Dense(kernel=kernel))
        build.activate(value, networks.RELU)
        graph = networks.Graph(nodes=tuple(build.nodes))
        x = tf.zeros([1, 2], tf.float64)
        size = tf.constant([epsilon], tf.float64)
        start = ball_box.BallBox(size, *(sign * size[None] for sign in (-1, 1)))
        start = start._replace(
            lower=tf.repeat(start.lower, 2, 1),
            upper=tf.repeat(start.upper, 2, 1),
        )
        with np.errstate(all="ignore"):
            region = _regions(graph, x, start, ball_box.Rules())[1]
            ball = _regions(graph, x, start, ball_box.Rules(box=False))[1]
        self.assertEqual(float(region.upper[0, 0]), np.inf)
        self.assertEqual(float(region.lower[0, 0]), -np.inf)
        self.assertEqual(float(region.radius[0]), np.inf)
        self.assertEqual(float(ball.radius[0]), np.inf)


class JoinTest(parameterized.TestCase):
    def test_of_a_value_with_itself_is_the_root_of_two_times_its_ball(self):
        build = random_graphs.Builder((2,))
        build.join(0, 0)
        graph = networks.Graph(nodes=tuple(build.nodes))
        x = tf.zeros([1, 2], tf.float64)
        start = ball_box.BallBox(tf.ones([1], tf.float64))
        rules = ball_box.Rules(box=False)
        region = _regions(graph, x, start, rules)[1]
        self.assertGreaterEqual(float(region.radius[0]), 2.0**0.5)


class StartTest(parameterized.TestCase):
    @parameterized.product(norm=("l2", "linf"), epsilon=(0.1, 0.5, 3.0))
    def test_holds_every_input_of_the_domain(self, norm, epsilon):
        rng = np.random.default_rng(0)
        x = rng.uniform(size=(5, 6))
        near = np.clip(_near(rng, x, epsilon, norm, 500), 0.0, 1.0) - x
        start = margins.start_region(
            tf.constant(x),
            tf.fill([5], tf.constant(epsilon, tf.float64)),
            norm,
            (0.0, 1.0),
        )
        self.assertTrue(np.all(near <= start.upper.numpy()))
        self.assertTrue(np.all(near >= start.lower.numpy()))
        sizes = np.linalg.norm(near, axis=-1)
        self.assertTrue(np.all(sizes <= start.radius.numpy() * (1 + 1e-12)))
        self.assertTrue(np.all(start.upper.numpy() + x <= 1.0 + 1e-12))

    def test_of_linf_has_the_ball_around_the_box(self):
        x = tf.zeros([1, 9], tf.float64)
        start = margins.start_region(x, tf.ones([1], tf.float64), "linf")
        self.assertAlmostEqual(float(start.radius[0]), 3.0, delta=1e-5)

    def test_keeps_the_point_itself_where_it_is_outside(self):
        x = tf.constant([[2.0, -1.0]], tf.float64)
        start = margins.start_region(
            x, tf.ones([1], tf.float64), "l2", (0.0, 1.0)
        )
        self.assertTrue(np.all(start.lower.numpy() <= 0.0))
        self.assertTrue(np.all(start.upper.numpy() >= 0.0))


class ErrorsTest(parameterized.TestCase):
    def test_in_norm_hold_what_stored_weights_miss(self):
        build = random_graphs.Builder((1,))
        build.linear(0, networks.Dense(kernel=np.ones((1, 1))), 2**40)
        graph = networks.Graph(nodes=tuple(build.nodes))
        values = networks.values_of(graph, tf.constant([[1e6]], tf.float64))
        errors = networks.norm_errors(graph, values)
        least = 1e6 * 2**40 * 2.0**-53
        self.assertGreaterEqual(float(errors[1][0]), least)

    @parameterized.named_parameters(*[(n, n, make) for n, make in _GRAPHS])
    def test_in_norm_are_those_of_exact_arithmetic(self, name, make):
        del name
        graph = make(0)
        x = np.random.default_rng(1).normal(size=(2, graph.input_dim))
        values = networks.values_of(graph, tf.constant(x))
        errors = networks.norm_errors(graph, values)
        for row in range(len(x)):
            exact = random_graphs.exact_values(graph, x[row])
            for position, value in enumerate(values):
                off = [
                    float(a - fractions.Fraction(float(b)))
                    for a, b in zip(exact[position], value[row].numpy())
                ]
                self.assertLessEqual(
                    np.linalg.norm(off), float(errors[position][row])
                )


if __name__ == "__main__":
    absltest.main()
