"""Tests that fail if one term of a proof is left out that others may hide."""

import itertools

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from certificates_toys import certify
from certificates_toys import exact_margin
from certificates_toys import network_of
from tfcurv import certificates
from tfcurv import networks
from tfcurv.certificates.attacks import boundary as adversary

_SMALLEST_NORMAL = np.finfo(np.float64).tiny


def _proved(f, g, d, a) -> float:
    """The radius that an evaluation without any error proves."""
    f, a, nothing = (tf.constant([v], tf.float64) for v in (f, a, 0.0))
    g, d = (tf.constant([v], tf.float64) for v in (g, d))
    found = certificates.safe_ball_radius_bound(
        networks.Evaluation(f, g),
        networks.EvaluationError(nothing, nothing),
        d,
        a,
    )
    return float(found[0])


class SafeBallTest(parameterized.TestCase):
    @parameterized.parameters(2, 3, 10)
    def test_products_that_vanish_one_by_one_still_count(self, dim):
        # Each product of g.d underflows; together they exceed f.
        size = np.sqrt(0.9 * _SMALLEST_NORMAL)
        g, d = np.full(dim, size), np.full(dim, -size)
        for f in (1.0, 1.5):
            found = _proved(f * _SMALLEST_NORMAL, g, d, 0.0)
            self.assertEqual(found, 0.0)

    def test_sums_that_cancel_count_where_their_squares_vanish(self):
        # ||g|| is computed as zero, and g.d as zero or more, in any order
        # that loses the middle term; the exact one is -size.
        size = 2.0**-540
        for d in itertools.permutations((2.0**55, -1.0, -(2.0**55))):
            found = _proved(0.4 * size, np.full(3, size), np.asarray(d), 0.0)
            self.assertEqual(found, 0.0)


class CertifierTest(parameterized.TestCase):
    @parameterized.parameters(np.inf, -np.inf)
    def test_an_infinite_input_is_named_though_its_logits_are_finite(
        self, value
    ):
        network = network_of(
            [([[1.0]], [0.0]), ([[1.0, 0.0]], [3.0, 0.0])], "tanh"
        )
        found = certify(network, [[0.5], [value]], [0, 0])
        self.assertEqual(found.radius[1], 0.0)
        self.assertEqual(found.prediction[1], -1)
        self.assertEqual(found.reason[1], certificates.Reason.NON_FINITE)
        self.assertGreater(found.radius[0], 0.0)

    def test_logits_that_overflow_are_no_prediction(self):
        network = network_of([([[1e30, 1.0]], [0.0, 0.0])])
        found = certify(network, [[1e300]], [0])
        self.assertEqual(found.radius[0], 0.0)
        self.assertEqual(found.prediction[0], -1)
        self.assertEqual(found.reason[0], certificates.Reason.NON_FINITE)

    def test_logits_may_err_in_opposite_directions(self):
        # The margin is -1.2 as stored; what both biases may err by together
        # makes it 0.2, though each alone is off by less than the bound.
        share = 1.0 / np.sqrt(2.0)
        kernel, bias = np.zeros((1, 2)), np.asarray([0.0, 1.2])
        stored = networks.Network(
            [networks.Affine(kernel=kernel, bias=bias, bias_error=1.0)], []
        )
        exact = network_of([(kernel, bias + [share, -share])])
        self.assertGreater(exact_margin(exact, [0.0], 0), 0)
        x, y = tf.zeros([1, 1], tf.float64), tf.constant([0])
        self.assertFalse(adversary.is_misclassified(stored, x, y)[0])
        found = certify(stored, [[0.0]], [0])
        self.assertNotEqual(found.reason[0], certificates.Reason.MISCLASSIFIED)
        self.assertNotEqual(found.upper_bound[0], 0.0)

    def test_every_point_gets_the_adversarial_example_found_for_it(self):
        # f = 2 x: the boundary is as far as the point says.
        network = network_of([([[1.0, -1.0]], [0.0, 0.0])])
        x = np.asarray([[1.0], [8.0], [-2.0], [64.0]])
        found = certify(network, x)
        np.testing.assert_allclose(
            found.upper_bound, np.abs(x[:, 0]), rtol=1e-4
        )


if __name__ == "__main__":
    absltest.main()
