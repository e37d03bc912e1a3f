"""Deciding at some radii is the same as refining all of them, but cheaper."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from certificates_toys import certify
from certificates_toys import predict
from certificates_toys import random_network
from tfcurv.certificates.deciding import evidence


def _case(activation, seed):
    network = random_network((5, 12, 10, 4), activation, seed=seed, scale=1.5)
    x = np.random.default_rng(seed).normal(size=(30, 5))
    return network, x, predict(network, x)


class DecisionsTest(parameterized.TestCase):
    @parameterized.product(activation=("tanh", "softplus"), seed=(0, 1))
    def test_are_those_of_the_refined_radii(self, activation, seed):
        network, x, y = _case(activation, seed)
        full = certify(network, x, y)
        certified = np.sort(full.radius[full.radius > 0.0])
        low, high = np.quantile(certified, (0.3, 0.7))
        for epsilons in ((low,), (high,), (low, high)):
            found = certify(
                network, x, y, enough=max(epsilons), too_little=min(epsilons)
            )
            for epsilon in epsilons:
                np.testing.assert_array_equal(
                    found.radius > epsilon, full.radius > epsilon
                )
                np.testing.assert_array_equal(
                    found.upper_bound > epsilon, full.upper_bound > epsilon
                )
            self.assertTrue(np.all(found.radius <= full.radius * (1 + 1e-5)))

    def test_cost_less(self):
        network, x, y = _case("tanh", 0)
        full = certify(network, x, y)
        epsilon = np.median(full.radius)
        found = certify(network, x, y, enough=epsilon, too_little=epsilon)
        spent = np.sum(found.num_evaluations)
        self.assertLess(spent, 0.7 * np.sum(full.num_evaluations))

    def test_an_example_that_is_near_enough_ends_an_attack(self):
        network, x, y = _case("tanh", 0)
        logits = network.logits(tf.constant(x)).numpy()
        logits[np.arange(len(y)), y] = -np.inf
        t = logits.argmax(axis=-1).astype(np.int32)
        witness = evidence.Witness(network, 10)
        full = witness.attack(x, y, t, x)
        near = float(np.median(full))
        found = witness.attack(x, y, t, x, near=near)
        beyond = found > near
        np.testing.assert_array_equal(beyond, full > near)
        # Others are attacked as ever, and some of the first looks, which are
        # not the best, are left as they are.
        self.assertTrue(np.all(found[beyond] <= full[beyond] * (1 + 1e-6)))
        self.assertTrue(np.any(found[~beyond] > full[~beyond] * (1 + 1e-6)))

    def test_radii_beyond_float32_can_be_asked_for(self):
        network, x, y = _case("tanh", 0)
        found = certify(network, x, y, enough=1e100, too_little=1e100)
        full = certify(network, x, y)
        self.assertFalse(np.any(found.radius > 1e100))
        self.assertTrue(np.all(found.radius <= full.radius * (1 + 1e-5)))

    def test_what_the_closed_form_decides_is_not_searched(self):
        network, x, y = _case("tanh", 0)
        closed = certify(network, x, y, search=None)
        epsilon = 0.5 * np.min(closed.radius[closed.radius > 0.0])
        found = certify(network, x, y, enough=epsilon, too_little=epsilon)
        self.assertEqual(np.sum(found.num_evaluations), 0)
        np.testing.assert_array_equal(found.radius, closed.radius)


if __name__ == "__main__":
    absltest.main()
