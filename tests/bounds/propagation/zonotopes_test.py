"""Tests of tfcurv.bounds.propagation.zonotopes, by generators written down."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import random_graphs
import relu_oracle
from tfcurv import networks
from tfcurv.bounds.propagation import zonotopes
from tfcurv.bounds.propagation.ball_box import Rules
from tfcurv.certificates.linear.lines import ParallelLines
from tfcurv.networks import Kind
from untraced import plain

_WEIGHTS = relu_oracle.layers((6, 9, 8, 7, 4), seed=3)
_RANDOM = np.random.default_rng(0)
_X = _RANDOM.uniform(size=(3, 6))
_PROJECTIONS = 3000


def _linear(graph):
    def found(position):
        step = graph.nodes[position].step
        return zonotopes.Linear(networks.FixedMap(step.map), step.bias)

    return found


class _Product(networks.FixedMap):
    """A product with a kernel that is a variable."""

    def __init__(self, kernel):
        super().__init__(networks.Dense(kernel=kernel.numpy()))
        self._kernel = kernel

    def apply(self, x):
        return x @ self._kernel

    def absolute(self, x):
        return x @ tf.abs(self._kernel)


def _box(epsilon, domain=None, x=_X):
    return zonotopes.box_around(tf.constant(x), epsilon, domain)


def _relaxed(graph, start, count, projections=_PROJECTIONS):
    tf.random.set_seed(1)
    return zonotopes.relax(graph, _linear(graph), start, count, projections)


def _written_down(weights, x, epsilon, slabs=None):
    """Returns centres, generators and the ReLU's slabs of one point.

    Args:
        weights: Kernels and biases.
        x: `[inputs]`.
        epsilon: Half the width of the box.
        slabs: Triples of hidden layers; None for those of least area.

    Returns:
        By layer, `[n]` and `[generators, n]` of what it gives before ReLU;
        and the slabs.
    """
    centre, generators = x, epsilon * np.eye(len(x))
    found, made = [], []
    for number, (kernel, bias) in enumerate(weights):
        centre, generators = centre @ kernel + bias, generators @ kernel
        found.append((centre, generators))
        if number == len(weights) - 1:
            break
        half = np.abs(generators).sum(axis=0)
        low, high = centre - half, centre + half
        if slabs is None:
            bent = (low < 0.0) & (high > 0.0)
            width = np.where(bent, high - low, 1.0)
            slope = np.where(bent, high / width, (low >= 0.0) * 1.0)
            mu = np.where(bent, -high * low / (2.0 * width), 0.0)
            slab = slope, mu, mu
        else:
            slab = [np.asarray(part) for part in slabs[number]]
        slope, shift, mu = slab
        made.append(slab)
        centre = slope * centre + shift
        generators = np.concatenate([slope * generators, np.diag(mu)])
    return found, made


def _hidden(graph):
    return zonotopes.bends(graph)


class PointTest(parameterized.TestCase):
    @parameterized.parameters(0, 1, 2, 3)
    def test_is_the_sum_of_the_generators(self, count):
        graph = relu_oracle.graph(_WEIGHTS)
        start = _box(0.1)
        slabs = _relaxed(graph, start, count).slabs
        self.assertLen(slabs, count)
        halves = {0: start.half} | {i: s.half for i, s in slabs.items()}
        e = {i: _RANDOM.uniform(-1.0, 1.0, h.shape) for i, h in halves.items()}
        found = zonotopes.point(graph, _linear(graph), start, slabs, e)
        for row, x in enumerate(_X):
            one = [tuple(part[row] for part in slabs[i]) for i in sorted(slabs)]
            value = x + 0.1 * e[0][row]
            # The rest of the network is what it was.
            if not count:
                expected = relu_oracle.evaluate(_WEIGHTS, value)[-1]
            else:
                before, _ = _written_down(_WEIGHTS[: count + 1], x, 0.1, one)
                order = [e[i][row] for i in sorted(halves)]
                centre, generators = before[-1]
                value = centre + np.concatenate(order) @ generators
                for kernel, bias in _WEIGHTS[count + 1 :]:
                    value = np.maximum(value, 0.0) @ kernel + bias
                expected = value
            np.testing.assert_allclose(found[row], expected, atol=1e-12)

    @parameterized.named_parameters(*random_graphs.ALL.items())
    def test_what_the_network_gives_is_one(self, build):
        graph = build()
        x = _RANDOM.uniform(size=(2, graph.input_dim))
        start = _box(0.05, x=x)
        order = zonotopes.bends(graph)
        slabs = _relaxed(graph, start, len(order)).slabs
        for _ in range(50):
            moved = x + 0.05 * _RANDOM.uniform(-1.0, 1.0, x.shape)
            values = networks.values_of(graph, tf.constant(moved))
            e = {0: (moved - start.middle) / start.half}
            for i, slab in slabs.items():
                node = graph.nodes[i]
                middle = slab.shift
                if node.kind is Kind.ACTIVATION:
                    middle += slab.slope * values[node.sources[0]]
                e[i] = tf.math.divide_no_nan(values[i] - middle, slab.half)
                # Intervals are estimates: most are wide enough.
                self.assertLess(np.mean(np.abs(e[i]) > 1.0 + 1e-6), 0.2)
            found = zonotopes.point(graph, _linear(graph), start, slabs, e)
            np.testing.assert_allclose(found, values[-1], atol=1e-6)

    def test_sums_of_values_fall_no_further_than_is_proved(self):
        graph = relu_oracle.graph(_WEIGHTS)
        y = np.zeros(len(_X), np.int32)
        kind = plain(ParallelLines, ("margins",))
        proof = kind(graph, Rules(ball=False), "linf")
        found = proof.margins(_X, y, np.full(len(_X), 0.02))
        for row, x in enumerate(_X):
            layers, _ = _written_down(_WEIGHTS, x, 0.02)
            centre, generators = layers[-1]
            apart = generators[:, :1] - generators[:, 1:]
            least = centre[0] - centre[1:] - np.abs(apart).sum(axis=0)
            np.testing.assert_allclose(found[row, 1:], least, atol=1e-9)


class RelaxTest(parameterized.TestCase):
    def test_boxes_are_exact_before_anything_bends(self):
        graph = relu_oracle.graph(_WEIGHTS)
        low, high = _relaxed(graph, _box(0.3), 0, projections=1).ends
        kernel, bias = _WEIGHTS[0]
        half = 0.3 * np.abs(kernel).sum(axis=0)
        np.testing.assert_allclose(low, _X @ kernel + bias - half, rtol=1e-12)
        np.testing.assert_allclose(high, _X @ kernel + bias + half, rtol=1e-12)

    @parameterized.parameters(1, 2, 3)
    def test_estimates_the_sizes_of_the_generators(self, count):
        graph = relu_oracle.graph(_WEIGHTS)
        found = _relaxed(graph, _box(0.1), count)
        # There is no bend behind the logits.
        self.assertEqual(found.ends is None, count == 3)
        order = _hidden(graph)
        for row, x in enumerate(_X):
            one = [tuple(p[row] for p in found.slabs[i]) for i in order[:count]]
            layers, _ = _written_down(_WEIGHTS[: count + 1], x, 0.1, one)
            centre, generators = layers[-1]
            half = np.abs(generators).sum(axis=0)
            if found.ends is not None:
                low, high = (end[row] for end in found.ends)
                np.testing.assert_allclose((low + high) / 2, centre, atol=1e-9)
                np.testing.assert_allclose((high - low) / 2, half, rtol=0.12)

    def test_is_unbiased_with_few_numbers(self):
        graph = relu_oracle.graph(_WEIGHTS)
        start = _box(0.1, x=_X[:1])
        slabs = _relaxed(graph, start, 1).slabs
        one = [tuple(part[0] for part in slabs[min(slabs)])]
        layers, _ = _written_down(_WEIGHTS[:2], _X[0], 0.1, one)
        half = np.abs(layers[-1][1]).sum(axis=0)
        many = tf.constant(np.tile(half, (1, 1500)))
        tf.random.set_seed(0)
        # In a box that cuts nothing.
        carried = zonotopes._Carried(
            *(tf.zeros_like(many), 1e300 * tf.ones_like(many)),
            zonotopes._as_rows(zonotopes._cauchy(many, 10)),
            is_exact=False,
        )
        found = zonotopes._ends(carried).upper.numpy()
        np.testing.assert_allclose(found.mean() / half.mean(), 1.0, atol=0.03)

    def test_has_the_slopes_of_what_it_estimates(self):
        graph, start = relu_oracle.graph(_WEIGHTS), _box(0.1)
        kernel = tf.Variable(_WEIGHTS[1][0])

        def linear(position):
            if position == 3:
                return zonotopes.Linear(_Product(kernel), _WEIGHTS[1][1])
            return _linear(graph)(position)

        tf.random.set_seed(0)
        with tf.GradientTape() as tape:
            low, high = zonotopes.relax(graph, linear, start, 1, 200).ends
            total = tf.reduce_sum(high - low) / 2.0
        found = tape.gradient(total, kernel)
        (slab,) = _relaxed(graph, start, 1).slabs.values()
        with tf.GradientTape() as tape:
            total = 0.0
            for row in range(len(_X)):
                first = 0.1 * _WEIGHTS[0][0] * slab.slope[row]
                both = tf.concat([first, tf.linalg.diag(slab.half[row])], 0)
                total += tf.reduce_sum(tf.abs(both @ kernel))
        expected = tape.gradient(total, kernel)
        sizes = tf.norm(found) * tf.norm(expected)
        self.assertGreater(tf.reduce_sum(found * expected) / sizes, 0.95)
        self.assertAlmostEqual(
            float(tf.norm(found) / tf.norm(expected)), 1.0, delta=0.1
        )

    @parameterized.parameters("relu", "tanh", "softplus", "gelu", "maximum")
    def test_slabs_hold_on_their_intervals(self, name):
        build = random_graphs.Builder((4, 2), 1)
        value = build.convolution(0, 3, padding="same")
        if name == "maximum":
            build.pool(value, (2,), (1,), "valid")
        else:
            fn = networks.RELU if name == "relu" else networks.activation(name)
            build.activate(value, fn)
        position = len(build.nodes) - 1
        build.dense(position, 3)
        graph = build.graph()
        x = _RANDOM.uniform(-1.0, 1.0, size=(2, graph.input_dim))
        start = _box(0.4, x=x)
        (slab,) = _relaxed(graph, start, 1).slabs.values()
        self.assertTrue(np.all(slab.half >= 0.0))
        reached = 0.0
        for _ in range(300):
            moved = x + 0.4 * np.sign(_RANDOM.normal(size=x.shape))
            values = networks.values_of(graph, tf.constant(moved))
            rest = values[position] - slab.shift
            if name != "maximum":
                rest -= slab.slope * values[position - 1]
            self.assertTrue(np.all(np.abs(rest) <= slab.half + 1e-9))
            reached = max(reached, np.max(np.abs(rest) / (slab.half + 1e-9)))
        self.assertGreater(reached, 0.5)

    def test_more_than_there_is_bends_all(self):
        graph = relu_oracle.graph(_WEIGHTS)
        self.assertEqual(zonotopes.bends(graph), [2, 4, 6])
        found = _relaxed(graph, _box(0.1), 9, projections=2)
        self.assertLen(found.slabs, 3)


class BoxTest(absltest.TestCase):
    def test_is_cut_by_the_domain(self):
        x = np.array([[0.05, 0.5, 1.0, 1.5]])
        middle, half = _box(0.1, (0.0, 1.0), x)
        np.testing.assert_allclose(middle - half, [[0.0, 0.4, 0.9, 1.4]])
        np.testing.assert_allclose(middle + half, [[0.15, 0.6, 1.0, 1.5]])


if __name__ == "__main__":
    absltest.main()
