"""Tests of the attacks on certified points."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from certificates_toys import certify
from certificates_toys import exact_margin
from certificates_toys import network_of
from certificates_toys import predict
from certificates_toys import random_network
from tfcurv import certificates


def _attack(network, x, y, radius, target, execute=None, **options):
    falsifier = certificates.Falsifier(
        network, certificates.FalsifierOptions(**options), execute
    )
    found = falsifier(
        tf.constant(x),
        tf.constant(y, tf.int32),
        tf.constant(radius),
        tf.constant(target, tf.int32),
    )
    return certificates.Attempt(*(field.numpy() for field in found))


def _case(activation="tanh", widths=(5, 9, 7, 4), seed=0, rows=24):
    network = random_network(widths, activation, seed=seed)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, widths[0]))
    y = predict(network, x)
    found = certify(network, x, y)
    rows = found.radius > 0.0
    return network, x[rows], y[rows], found, rows


class FalsifierTest(parameterized.TestCase):
    @parameterized.parameters("tanh", "softplus", "gelu")
    def test_finds_what_lies_inside_radii_if_they_are_too_large(
        self, activation
    ):
        network, x, y, found, rows = _case(activation)
        target, radius = found.target[rows], 1.01 * found.upper_bound[rows]
        # Both kinds in one call, which takes as long as either.
        attempt = _attack(
            network,
            np.concatenate([x, x]),
            np.concatenate([y, y]),
            np.concatenate([radius, found.radius[rows]]),
            np.concatenate([target, target]),
        )
        too_large, true = np.split(attempt.found, 2)
        self.assertFalse(np.any(true))
        self.assertTrue(np.all(np.isinf(attempt.distance[len(x) :])))
        self.assertGreater(np.mean(too_large), 0.95)
        for i in np.flatnonzero(too_large):
            distance = np.linalg.norm(attempt.point[i] - x[i])
            self.assertLessEqual(distance, attempt.distance[i])
            self.assertLess(attempt.distance[i], radius[i])
            margin = exact_margin(network, attempt.point[i], int(y[i]))
            self.assertLessEqual(margin, 0)

    @parameterized.parameters(1e3, 1e150, 1e300, np.inf)
    def test_finds_what_is_false_by_far(self, radius):
        # Beyond the reach of the numbers there are no classes to be found.
        network = network_of([(1e170 * np.eye(2), np.zeros(2))])
        x = np.array([[1.0, 0.25], [0.0, 2.0]])
        y = np.array([0, 1])
        attempt = _attack(network, x, y, np.full(2, radius), 1 - y)
        self.assertTrue(np.all(attempt.found))
        self.assertTrue(np.all(attempt.distance < 1e14))

    def test_the_walk_alone_finds_them_too(self):
        network, x, y, found, rows = _case(rows=60)
        radius = 1.3 * found.upper_bound[rows]
        attempt = _attack(
            network,
            x,
            y,
            radius,
            found.target[rows],
            gradient_steps=0,
            walk_steps=30,
            bisection_steps=20,
        )
        self.assertGreater(np.mean(attempt.found), 0.5)

    def test_finds_a_radius_that_overstates_by_a_part_in_a_million(self):
        rng = np.random.default_rng(0)
        weights = rng.normal(size=(6, 3))
        network = network_of([(weights, np.zeros(3))])
        x = rng.normal(size=(9, 6))
        y = predict(network, x)
        logits = x @ weights
        radius = np.full(9, np.inf)
        for i, label in enumerate(y):
            for t in set(range(3)) - {label}:
                normal = weights[:, label] - weights[:, t]
                apart = (logits[i, label] - logits[i, t]) / np.linalg.norm(
                    normal
                )
                radius[i] = min(radius[i], apart)
        target = (y + 1) % 3
        below = _attack(network, x, y, radius * (1 - 1e-6), target)
        above = _attack(network, x, y, radius * (1 + 1e-6), target)
        self.assertFalse(np.any(below.found))
        self.assertTrue(np.all(above.found))

    def test_counts_every_evaluation(self):
        network, x, y, found, rows = _case(rows=6)
        options = {
            "gradient_steps": 3,
            "restarts": 2,
            "walk_steps": 2,
            "bisection_steps": 4,
        }
        attempt = _attack(
            network, x, y, found.radius[rows], found.target[rows], **options
        )
        look = 1 + 26  # A slope, and a verdict for every length.
        descents = 3 * 2 * 3 * 2  # Losses, restarts, steps, slope and verdict.
        # The classes of the batch, the end of the ray, then halvings of it.
        start = 1 + 1 + 4
        walk = 2 * (1 + 1 + 4 + 1)  # Steps: slope, boundary, verdict.
        self.assertEqual(
            attempt.num_evaluations,
            len(x) * (look + descents + start + walk),
        )

    def test_a_batch_of_one_class_has_no_walk(self):
        network, x, y, found, rows = _case()
        same = np.flatnonzero(y == y[0])
        attempt = _attack(
            network,
            x[same],
            y[same],
            found.radius[rows][same],
            found.target[rows][same],
        )
        self.assertFalse(np.any(attempt.found))

    def test_what_a_deployed_model_answers_counts_too(self):
        network, x, y, found, rows = _case()

        def broken(points):
            # As a deployed copy that has lost a class.
            logits = tf.cast(
                network.logits(tf.cast(points, tf.float64)), "float32"
            )
            return logits - 100.0 * tf.one_hot(int(y[0]), 4)

        attempt = _attack(
            network, x, y, found.radius[rows], found.target[rows], broken
        )
        np.testing.assert_array_equal(attempt.found, y == y[0])

    def test_an_answer_that_is_not_a_number_is_a_counter_example(self):
        network, x, y, found, rows = _case(rows=6)
        attempt = _attack(
            network,
            x,
            y,
            found.radius[rows],
            found.target[rows],
            lambda points: tf.fill([tf.shape(points)[0], 4], float("nan")),
        )
        self.assertTrue(np.all(attempt.found))


if __name__ == "__main__":
    absltest.main()
