"""Tests of tfcurv.certificates.interval.regions: what rounding may hide."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import random_graphs
from tfcurv import networks
from tfcurv.bounds.propagation.ball_box import Rules
from tfcurv.certificates.interval.regions import GraphRegions

# So many roundings that the weights are off by some 1e-4.
_ROUNDINGS = 2**40
_SHARE = _ROUNDINGS * 2.0**-53


def _regions(kernel, roundings=0, rules=Rules()):
    build = random_graphs.Builder((len(kernel),))
    build.linear(0, networks.Dense(kernel=kernel), roundings)
    step = build.nodes[-1].step._replace(bias=np.zeros(kernel.shape[1]))
    build.nodes[-1] = build.nodes[-1]._replace(step=step)
    return GraphRegions(build.graph(), rules)


def _margins(regions, x, epsilon, y=0):
    x = np.atleast_2d(np.asarray(x, np.float64))
    return regions.margins(
        x, np.full(len(x), y, np.int32), np.full(len(x), float(epsilon))
    )


class RoundingTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("both", Rules()),
        ("box", Rules(ball=False)),
        ("ball", Rules(box=False)),
    )
    def test_weights_that_are_not_exact_move_the_logits(self, rules):
        kernel = np.array([[-1.0, 1.0], [0.0, 0.0]])
        found = _margins(_regions(kernel, _ROUNDINGS, rules), [0.0, 0.0], 1.0)
        # The columns may be 1 + share and -(1 + share).
        self.assertLess(found[0, 1], -2.0 * (1.0 + 0.999 * _SHARE))
        exact = _margins(_regions(kernel, 0, rules), [0.0, 0.0], 1.0)
        self.assertGreater(exact[0, 1], -2.0 * (1.0 + 1e-5))

    def test_a_margin_within_rounding_is_not_positive(self):
        kernel = np.array([[1.0, 1.0 - 0.5 * _SHARE]])
        found = _margins(_regions(kernel, _ROUNDINGS), [[1e3]], 0.0)
        self.assertLess(found[0, 1], 0.0)
        exact = _margins(_regions(kernel), [[1e3]], 0.0)
        self.assertGreater(exact[0, 1], 0.0)

    def test_logits_that_cancel_are_not_told_apart(self):
        # 0.1 + 0.2 - 0.3 is 5e-17 in float64, and the sum of the stored
        # numbers is another.
        kernel = np.array([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
        found = _margins(_regions(kernel), [[0.1, 0.2, 0.3]], 0.0)
        self.assertLess(found[0, 1], 0.0)


class StepsTest(parameterized.TestCase):
    def test_linear_nodes_in_a_row_are_one_map(self):
        # A map and its inverse: nothing moves but the input itself.
        kernel = np.array([[2.0, 1.0], [1.0, 3.0]])
        build = random_graphs.Builder((2,))
        there = build.linear(0, networks.Dense(kernel=kernel))
        build.linear(there, networks.Dense(kernel=np.linalg.inv(kernel)))
        regions = GraphRegions(build.graph(), Rules())
        logits = networks.logits_of(
            build.graph(), tf.zeros([1, 2], tf.float64)
        ).numpy()[0]
        found = _margins(regions, [0.0, 0.0], 1.0)
        self.assertAlmostEqual(
            found[0, 1], logits[0] - logits[1] - np.sqrt(2.0), delta=1e-4
        )

    def test_a_shortcut_that_cancels_moves_nothing(self):
        build = random_graphs.Builder((2,))
        one = build.linear(0, networks.Dense(kernel=np.eye(2)))
        other = build.linear(0, networks.Dense(kernel=-np.eye(2)))
        value = build.activate(build.add(one, other), networks.RELU)
        build.dense(value, 2)
        graph = build.graph()
        logits = networks.logits_of(graph, tf.zeros([1, 2], tf.float64))
        exact = float(logits[0, 0] - logits[0, 1])
        found = _margins(GraphRegions(graph, Rules()), [0.0, 0.0], 1.0)
        self.assertAlmostEqual(found[0, 1], exact, delta=1e-6)

    def test_searches_in_float32_near_what_is_proved(self):
        graph = random_graphs.plain(0)
        x = np.random.default_rng(0).normal(size=(5, graph.input_dim))
        proved, searched = (
            _margins(GraphRegions(graph, Rules(), proves=proves), x, 0.2)
            for proves in (True, False)
        )
        np.testing.assert_allclose(searched, proved, rtol=1e-4, atol=1e-4)


if __name__ == "__main__":
    absltest.main()
