"""Tests of tfcurv.networks: evaluation, maxima, graphs, lowering."""

from fractions import Fraction

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import random_graphs
from tfcurv import errors
from tfcurv import networks

_NAMES = [(name,) for name in random_graphs.ALL]


def _points(graph, count=4, scale=1.0):
    rng = np.random.default_rng(1)
    return scale * rng.normal(size=(count, graph.input_dim))


class EvaluationTest(parameterized.TestCase):
    @parameterized.parameters(*_NAMES)
    def test_encloses_the_exact_logits(self, name):
        graph = random_graphs.ALL[name]()
        x = _points(graph)
        found = networks.enclosed_logits(graph, tf.constant(x))
        values, errs = found.value.numpy(), found.error.numpy()
        for point, value, error in zip(x, values, errs):
            exact = random_graphs.exact_logits(graph, point)
            for number, bound, truth in zip(value, error, exact):
                apart = abs(Fraction(float(number)) - truth)
                self.assertLessEqual(apart, Fraction(float(bound)))
        self.assertLess(errs.max(), 1e-11)

    @parameterized.parameters(*_NAMES)
    def test_bounds_what_float32_makes_of_it(self, name):
        graph = random_graphs.ALL[name]()
        x = _points(graph, 50, 10.0).astype(np.float32)
        single = networks.logits_of(graph, tf.constant(x)).numpy()
        found = networks.enclosed_logits(
            graph, tf.constant(x, tf.float64), 2.0**-24
        )
        apart = np.abs(single - found.value.numpy())
        # Weights are rounded to float32 as well, once.
        self.assertTrue(np.all(apart <= 2.0 * found.error.numpy()))

    def test_the_error_counts_what_is_known_of_the_weights(self):
        build = random_graphs.Builder((2,))
        kernel = np.array([[3.0, 0.0], [0.0, 1.0]])
        build.linear(0, networks.Dense(kernel=kernel), 2**30, 0.5)
        graph = build.graph()
        error = networks.enclosed_logits(
            graph, tf.constant([[2.0, 4.0]], tf.float64)
        ).error.numpy()[0]
        # gamma of 2**30 roundings is 2**-23.
        expected = 0.5 + 2.0**-23 * np.array([6.0, 4.0])
        np.testing.assert_allclose(error, expected, rtol=1e-6)
        self.assertTrue(np.all(error >= expected))

    def test_errors_grow_by_slopes_and_maxima_pass_over_none(self):
        build = random_graphs.Builder((3, 1))
        scale = np.array(1.0)
        diagonal = networks.Diagonal(scale=scale, input_shape=(3, 1))
        steep = networks.piecewise_linear("leaky_relu", negative_slope=-7.0)
        value = build.linear(0, diagonal, bias_error=1.0)
        build.pool(build.activate(value, steep), (2,), (1,), "valid")
        graph = build.graph()
        x = tf.constant([[1.0, -1.0, 2.0]], tf.float64)
        error = networks.enclosed_logits(graph, x).error.numpy()
        np.testing.assert_allclose(error, 7.0, rtol=1e-6)
        x = tf.constant([[1.0, np.nan, 2.0]], tf.float64)
        error = networks.enclosed_logits(graph, x).error.numpy()
        self.assertFalse(np.any(error < np.inf))

    def test_logits_can_be_differentiated(self):
        graph = random_graphs.residual()
        x = tf.Variable(_points(graph, 1))
        with tf.GradientTape() as tape:
            logit = networks.logits_of(graph, x)[0, 0]
        gradient = tape.gradient(logit, x).numpy()[0]
        step = 1e-6 * np.random.default_rng(2).normal(size=gradient.shape)
        apart = [
            networks.logits_of(graph, x + sign * step).numpy()[0, 0]
            for sign in (1.0, -1.0)
        ]
        np.testing.assert_allclose(
            (apart[0] - apart[1]) / 2.0, gradient @ step, rtol=1e-5
        )


class MaxPoolingTest(parameterized.TestCase):
    @parameterized.product(
        shape=((7, 2), (5, 6, 2)),
        size=(1, 2, 3),
        stride=(1, 2, 3),
        padding=("valid", "same"),
    )
    def test_is_that_of_its_windows(self, shape, size, stride, padding):
        rank = len(shape) - 1
        windows = networks.MaxPooling(
            input_shape=shape,
            pool_size=(size,) * rank,
            strides=(stride,) * rank,
            padding=padding,
        )
        members = random_graphs.windows_of(windows)
        # All negative, so that a padding of zeros would show.
        x = -np.random.default_rng(0).uniform(1.0, 2.0, (3, np.prod(shape)))
        np.testing.assert_array_equal(
            windows.apply(tf.constant(x)),
            np.stack([x[:, each].max(axis=1) for each in members], axis=1),
        )
        counts = np.bincount(np.concatenate(members))
        self.assertEqual(windows.overlap, counts.max())
        self.assertGreaterEqual(
            Fraction(windows.lipschitz_upper_bound) ** 2, windows.overlap
        )
        self.assertLess(
            windows.lipschitz_upper_bound, np.sqrt(windows.overlap) + 1e-14
        )

    @parameterized.parameters(
        ({"input_shape": (4,)}, "one or two axes"),
        ({"padding": "causal"}, "padding 'valid' or 'same'"),
        ({"pool_size": (2, 2)}, "each axis"),
        ({"pool_size": (9,)}, "does not fit"),
    )
    def test_refuses_what_is_none(self, change, message):
        settings = {
            "input_shape": (4, 1),
            "pool_size": (2,),
            "strides": (1,),
        } | change
        with self.assertRaisesRegex(ValueError, message):
            networks.MaxPooling(**settings)


class GraphTest(parameterized.TestCase):
    def test_reads_backward(self):
        first = networks.Node(networks.Kind.INPUT, (), (2,))
        late = networks.Node(networks.Kind.ADD, (1, 0), (2,))
        for nodes in ((late,), (first, first), (first, late)):
            with self.assertRaisesRegex(ValueError, "earlier ones. Received"):
                networks.Graph(nodes=nodes)

    def test_the_fingerprint_is_of_what_it_computes(self):
        graph = random_graphs.plain()
        named = [node._replace(name="other") for node in graph.nodes]
        self.assertEqual(
            graph.fingerprint, networks.Graph(nodes=tuple(named)).fingerprint
        )
        others = [
            random_graphs.plain(seed=1),
            random_graphs.plain(fn=networks.RELU6),
            random_graphs.plain(fn=random_graphs.LEAKY),
            random_graphs.plain(fn=random_graphs.STEEP),
            random_graphs.plain(fn=networks.activation("tanh")),
            random_graphs.residual(),
        ]
        found = {each.fingerprint for each in others} | {graph.fingerprint}
        self.assertLen(found, 7)

    def test_a_chain_computes_the_same(self):
        build = random_graphs.Builder((4,))
        value = build.activate(build.dense(0, 4), networks.activation("tanh"))
        value = build.join(build.add(value, 0), value)
        build.dense(value, 3)
        graph = build.graph()
        x = tf.constant(_points(graph))
        np.testing.assert_allclose(
            networks.chain_of(graph).logits(x),
            networks.logits_of(graph, x),
            rtol=1e-13,
        )

    def test_no_chain_has_a_maximum(self):
        with self.assertRaisesRegex(
            errors.UnsupportedModelError, "a maximum.*method='bcp'"
        ):
            networks.chain_of(random_graphs.plain())


if __name__ == "__main__":
    tf.test.main()
