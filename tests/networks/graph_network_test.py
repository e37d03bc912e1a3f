"""Tests of tfcurv.networks.graph_network: what attacks and proofs ask."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import random_graphs
from tfcurv import certificates
from tfcurv import networks
from tfcurv.certificates.attacks import boundary as adversary

_NAMES = [(name,) for name in random_graphs.ALL]


def _network(name, **settings):
    return networks.GraphNetwork(random_graphs.ALL[name](**settings))


def _points(network, count=5):
    rng = np.random.default_rng(1)
    return tf.constant(rng.normal(size=(count, network.input_dim)))


class EvaluationTest(parameterized.TestCase):
    @parameterized.parameters(*_NAMES)
    def test_has_the_margins_and_gradients_of_the_graph(self, name):
        network = _network(name)
        x = _points(network)
        y, t = tf.zeros(5, tf.int32), tf.fill([5], network.num_classes - 1)
        found = network.evaluate(x, *network.pair(y, t, x.dtype))
        with tf.GradientTape() as tape:
            tape.watch(x)
            logits = networks.logits_of(network.graph, x)
            margin = logits[:, 0] - logits[:, -1]
        np.testing.assert_allclose(found.margin, margin, atol=1e-12)
        np.testing.assert_allclose(
            found.gradient, tape.gradient(margin, x), atol=1e-12
        )

    def test_a_graph_that_ignores_its_input_has_no_gradient(self):
        build = random_graphs.Builder((3,))
        build.linear(0, networks.Dense(kernel=np.zeros((3, 2))))
        network = networks.GraphNetwork(build.graph())
        x = _points(network)
        pair = network.pair([0] * 5, [1] * 5, x.dtype)
        np.testing.assert_array_equal(network.evaluate(x, *pair).gradient, 0.0)

    @parameterized.parameters(*_NAMES)
    def test_its_error_is_that_of_the_worst_logit(self, name):
        network = _network(name)
        x = _points(network)
        expected = networks.enclosed_logits(network.graph, x).error
        found = networks.logit_error(network, network.forward(x))
        np.testing.assert_array_equal(found, tf.reduce_max(expected, axis=-1))
        single = networks.logit_error(network, network.forward(x), 2.0**-24)
        self.assertTrue(np.all(single > 1e6 * found))

    def test_its_fingerprint_is_that_of_graph_and_rigor(self):
        same, other = _network("plain"), _network("plain", seed=1)
        rigor = type(same.rigor)("float64")
        loose = networks.GraphNetwork(same.graph, rigor)
        found = [networks.fingerprint(each) for each in (same, other, loose)]
        self.assertLen(set(found), 3)
        self.assertEqual(networks.fingerprint(_network("plain")), found[0])


class AttackTest(absltest.TestCase):
    def test_attacks_and_falsifiers_take_it(self):
        network = _network("plain")
        x = _points(network, 8)
        y = tf.argmax(network.logits(x), axis=-1, output_type=tf.int32)
        far = tf.cast(tf.random.stateless_normal(x.shape, (0, 1)), tf.float32)
        found = adversary.cross_boundary(network, x, y, far)
        bounder = certificates.LipschitzBounds(network.graph)
        radius = bounder.radii(x.numpy(), y.numpy()).min(axis=-1)
        self.assertTrue(np.all(radius <= found.distance.numpy()))
        options = certificates.FalsifierOptions(
            restarts=1, gradient_steps=4, walk_steps=2, bisection_steps=4
        )
        falsify = certificates.Falsifier(network, options)
        target = adversary.rival(network.logits(x), y)
        attempt = falsify(x, y, tf.constant(radius), target)
        self.assertFalse(np.any(attempt.found))
        attempt = falsify(x, y, tf.constant(40.0 * radius), target)
        self.assertTrue(np.any(attempt.found))


if __name__ == "__main__":
    tf.test.main()
