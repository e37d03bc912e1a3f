"""Tests of tfcurv.certificates.lipschitz.bounds."""

import functools

from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

import random_graphs
from tfcurv import certificates
from tfcurv import networks
from tfcurv.nn.reading import network as adapter

_L = keras.layers
_GRAPHS = [
    (f"{name}_{seed}", make, seed)
    for name, make in random_graphs.ALL.items()
    for seed in (0, 1)
]


@functools.cache
def _keras_network():
    """A network as Keras users write it, with random normalizations."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            _L.Conv2D(4, 3),
            _L.BatchNormalization(
                gamma_initializer="random_normal",
                beta_initializer="random_normal",
                moving_variance_initializer=keras.initializers.Constant(0.3),
            ),
            _L.ReLU(),
            _L.MaxPooling2D(3, strides=2),
            _L.Conv2D(4, 2, padding="same"),
            _L.LeakyReLU(0.1),
            _L.GlobalMaxPooling2D(),
            _L.Dense(3),
        ]
    )
    return model, adapter.read_checked(model).graph


def _jacobians(graph, x):
    """`[batch, outputs, inputs]` by automatic differentiation."""
    x = tf.constant(x)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        logits = networks.logits_of(graph, x)
        columns = tf.unstack(logits, axis=1)
    slopes = [tape.gradient(column, x) for column in columns]
    zero = tf.zeros_like(x)
    return np.stack([zero if s is None else s for s in slopes], axis=1)


def _labels(graph, x):
    return networks.logits_of(graph, tf.constant(x)).numpy().argmax(axis=-1)


def _attacked(graph, x, y, steps=25):
    """The least distance at which gradient steps find another class."""

    @tf.function
    def evaluate(points, weights):
        with tf.GradientTape() as tape:
            tape.watch(points)
            logits = networks.logits_of(graph, points)
            margin = tf.reduce_sum(weights * logits, axis=-1)
        return margin, tape.gradient(margin, points)

    found = np.full(len(x), np.inf)
    unit = np.eye(graph.num_classes)
    for target in range(graph.num_classes):
        moved = x.copy()
        for _ in range(steps):
            margin, slope = evaluate(
                tf.constant(moved), tf.constant(unit[y] - unit[target])
            )
            margin, slope = margin.numpy(), slope.numpy()
            over = (margin <= 0.0) & (y != target)
            apart = np.linalg.norm(moved - x, axis=-1)
            found = np.where(over, np.minimum(found, apart), found)
            size = np.sum(slope * slope, axis=-1) + 1e-12
            step = (1.02 * margin + 1e-9) / size
            moved -= (step * ~over)[:, np.newaxis] * slope
    return found


class ConstantsTest(parameterized.TestCase):
    @parameterized.named_parameters(*_GRAPHS)
    def test_bound_jacobians_and_difference_quotients(self, make, seed):
        graph = make(seed)
        proved = certificates.LipschitzBounds(graph).pair_constants
        np.testing.assert_array_equal(proved, proved.T)
        np.testing.assert_array_equal(np.diag(proved), 0.0)
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(60, graph.input_dim))
        slopes = _jacobians(graph, x)
        pairs = slopes[:, :, np.newaxis] - slopes[:, np.newaxis]
        self.assertTrue(np.all(np.linalg.norm(pairs, axis=-1) <= proved))
        values = networks.logits_of(graph, tf.constant(x)).numpy()
        margins = values[:, :, np.newaxis] - values[:, np.newaxis]
        change = np.abs(margins[1:] - margins[:-1])
        apart = np.linalg.norm(x[1:] - x[:-1], axis=-1)
        self.assertTrue(np.all(change <= proved * apart[:, None, None]))

    @parameterized.named_parameters(*_GRAPHS)
    def test_of_each_node_bound_its_jacobian(self, make, seed):
        graph = make(seed)
        proved = certificates.LipschitzBounds(graph).constants
        x = np.random.default_rng(seed).normal(size=(12, graph.input_dim))
        for position, constant in proved.items():
            part = networks.Graph(nodes=graph.nodes[: position + 1])
            norms = np.linalg.norm(_jacobians(part, x), 2, axis=(1, 2))
            self.assertLessEqual(norms.max(), constant * (1.0 + 1e-12))

    def test_of_a_linear_graph_are_exact(self):
        build = random_graphs.Builder((6,))
        value = build.add(build.dense(build.scaled(0), 4), build.dense(0, 4))
        build.dense(value, 5)
        graph = build.graph()
        columns = _jacobians(graph, np.zeros((1, 6)))[0]
        exact = np.linalg.norm(columns[:, None] - columns, axis=-1)
        proved = certificates.LipschitzBounds(graph).pair_constants
        np.testing.assert_allclose(proved, exact, rtol=1e-10)
        self.assertTrue(np.all(proved >= exact * (1.0 - 1e-13)))

    @parameterized.parameters(((2,), (2,), 1.0), ((3,), (1,), 3.0**0.5))
    def test_of_a_maximum_is_attained(self, size, strides, expected):
        # Where one input is the largest of all its windows.
        build = random_graphs.Builder((6, 1))
        value = build.pool(0, size, strides, "valid")
        graph = networks.Graph(nodes=tuple(build.nodes))
        x = np.array([[0.0, 0.0, 9.0, 0.0, 0.0, 0.0]])
        slope = np.linalg.norm(_jacobians(graph, x)[0], 2)
        build.activate(value, networks.RELU)
        proved = certificates.LipschitzBounds(build.graph()).constants[value]
        self.assertAlmostEqual(slope, expected)
        self.assertAlmostEqual(proved, expected)

    def test_of_a_shortcut_to_the_logits_are_attained(self):
        # z_0 - z_1 = x + 3 relu(x), whose slope is 4 beyond zero.
        build = random_graphs.Builder((1,))
        once = build.linear(0, networks.Dense(kernel=np.array([[1.0, 0.0]])))
        bent = build.activate(0, networks.RELU)
        thrice = build.linear(
            bent, networks.Dense(kernel=np.array([[3.0, 0.0]]))
        )
        build.add(once, thrice)
        graph = build.graph()
        slope = _jacobians(graph, np.ones((1, 1)))[0]
        proved = certificates.LipschitzBounds(graph).pair_constants[0, 1]
        self.assertEqual(slope[0, 0] - slope[1, 0], 4.0)
        self.assertGreaterEqual(proved, 4.0)
        self.assertLess(proved, 4.0 + 1e-12)

    def test_of_a_join_is_the_root_of_squares(self):
        build = random_graphs.Builder((3,))
        value = build.join(0, 0, 0, 0)
        build.dense(value, 2)
        proved = certificates.LipschitzBounds(build.graph()).constants
        self.assertAlmostEqual(proved[value], 2.0)
        self.assertGreaterEqual(proved[value], 2.0)

    def test_neighbouring_maps_count_as_one(self):
        # Each alone has norm 1, together they do nothing.
        build = random_graphs.Builder((2,))
        for kernel in ([[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]):
            value = build.linear(
                len(build.nodes) - 1, networks.Dense(kernel=np.array(kernel))
            )
        build.dense(build.activate(value, networks.RELU), 2)
        proved = certificates.LipschitzBounds(build.graph()).constants
        self.assertLess(proved[value], 1e-60)

    def test_counts_what_is_known_of_the_weights(self):
        build = random_graphs.Builder((2,))
        kernel = np.array([[3.0, 0.0], [0.0, 1.0]])
        value = build.linear(0, networks.Dense(kernel=kernel), roundings=2**30)
        build.dense(build.activate(value, networks.RELU), 2)
        proved = certificates.LipschitzBounds(build.graph()).constants[value]
        self.assertGreaterEqual(proved, 3.0 * (1.0 + 2.0**-23))
        self.assertLess(proved, 3.0 * (1.0 + 2.0**-22))

    @parameterized.parameters(1e-200, 1e-320, 1e200, np.nan, np.inf)
    def test_of_hostile_weights_bound_nothing_falsely(self, weight):
        build = random_graphs.Builder((2,))
        kernel = np.array([[1.0, weight], [weight, 0.5]])
        value = build.linear(0, networks.Dense(kernel=kernel))
        value = build.activate(value, networks.RELU)
        kernel = np.array([[1.0, 0.0], [0.0, weight]])
        build.linear(value, networks.Dense(kernel=kernel))
        bounder = certificates.LipschitzBounds(build.graph())
        proved = bounder.pair_constants[0, 1]
        if np.isfinite(weight):
            self.assertGreaterEqual(proved, max(1.0, weight))
        else:
            self.assertEqual(proved, np.inf)
        radii = bounder.radii(np.ones((1, 2)), np.array([0]))
        self.assertFalse(np.any(np.isnan(radii)))
        self.assertLessEqual(radii[0, 1], 1e4)


class RadiiTest(parameterized.TestCase):
    @parameterized.named_parameters(*_GRAPHS)
    def test_lie_below_attacks(self, make, seed):
        graph = make(seed)
        x = np.random.default_rng(seed).normal(size=(8, graph.input_dim))
        y = _labels(graph, x)
        radii = certificates.LipschitzBounds(graph).radii(x, y)
        self.assertTrue(np.all(np.isinf(radii[np.arange(8), y])))
        radius = radii.min(axis=-1)
        self.assertTrue(np.all(radius > 0.0))
        attacked = _attacked(graph, x, y)
        self.assertTrue(np.all(radius <= attacked))
        self.assertGreater(np.mean(np.isfinite(attacked)), 0.3)

    def test_of_a_linear_graph_meet_the_hyperplane(self):
        build = random_graphs.Builder((5,))
        build.dense(0, 4)
        graph = build.graph()
        x = np.random.default_rng(0).normal(size=(9, 5))
        y = _labels(graph, x)
        radii = certificates.LipschitzBounds(graph).radii(x, y).min(axis=-1)
        columns = graph.nodes[-1].step.map.kernel.T
        logits = networks.logits_of(graph, tf.constant(x)).numpy()
        rows = np.arange(9)
        with np.errstate(all="ignore"):
            apart = (logits[rows, y][:, None] - logits) / np.linalg.norm(
                columns[y][:, None] - columns, axis=-1
            )
        exact = np.nanmin(apart, axis=-1)
        np.testing.assert_allclose(radii, exact, rtol=1e-9)
        self.assertTrue(np.all(radii < exact))

    def test_of_what_is_wrong_tied_or_no_number_are_zero(self):
        build = random_graphs.Builder((2,))
        kernel = np.array([[1.0, -1.0], [0.0, 0.0]])
        build.linear(0, networks.Dense(kernel=kernel))
        step = build.nodes[-1].step._replace(bias=np.zeros(2))
        build.nodes[-1] = build.nodes[-1]._replace(step=step)
        bounder = certificates.LipschitzBounds(build.graph())
        x = np.array([[0.0, 1.0], [-1.0, 0.0], [np.nan, 0.0], [np.inf, 0.0]])
        radii = bounder.radii(x, np.zeros(4, np.int64))
        np.testing.assert_array_equal(radii[:, 1], 0.0)
        radii = bounder.radii(np.array([[1.0, 0.0]]), np.array([0]))
        np.testing.assert_allclose(radii[0, 1], 1.0, rtol=1e-10)

    def test_count_the_error_of_the_margin(self):
        build = random_graphs.Builder((2,))
        kernel = np.array([[1.0, -1.0], [0.0, 0.0]])
        build.linear(0, networks.Dense(kernel=kernel), bias_error=0.25)
        step = build.nodes[-1].step._replace(bias=np.zeros(2))
        build.nodes[-1] = build.nodes[-1]._replace(step=step)
        bounder = certificates.LipschitzBounds(build.graph())
        radii = bounder.radii(np.array([[1.0, 0.0], [0.2, 0.0]]), [0, 0])
        np.testing.assert_allclose(radii[:, 1], [0.75, 0.0], rtol=1e-6)
        self.assertLessEqual(radii[0, 1], 0.75)

    def test_of_a_keras_model_hold_for_the_model(self):
        model, graph = _keras_network()
        rng = np.random.default_rng(0)
        x = rng.normal(size=(6, graph.input_dim))
        y = model(x.reshape(6, 8, 8, 1)).numpy().argmax(axis=-1)
        np.testing.assert_array_equal(y, _labels(graph, x))
        radius = certificates.LipschitzBounds(graph).radii(x, y).min(axis=-1)
        self.assertTrue(np.all(radius > 0.0))
        self.assertTrue(np.all(radius <= _attacked(graph, x, y)))
        ways = rng.normal(size=(40, *x.shape))
        ways /= np.linalg.norm(ways, axis=-1, keepdims=True)
        near = (x + 0.999 * radius[:, np.newaxis] * ways).reshape(-1, 8, 8, 1)
        found = model(near).numpy().argmax(axis=-1).reshape(40, 6)
        np.testing.assert_array_equal(found, np.tile(y, (40, 1)))

    def test_need_no_norm_for_a_margin(self):
        graph = random_graphs.residual()
        bounder = certificates.LipschitzBounds(graph)
        bounder.margins(np.zeros((1, graph.input_dim)), np.array([0]))
        self.assertNotIn("constants", vars(bounder))


if __name__ == "__main__":
    tf.test.main()
