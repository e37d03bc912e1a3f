"""Tests of adversarial examples: what is called one must be one."""

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import mpmath
import numpy as np
import tensorflow as tf

from certificates_toys import exact_margin
from certificates_toys import network_of
from certificates_toys import predict
from certificates_toys import random_network
from tfcurv import networks
from tfcurv import numerics
from tfcurv.certificates.attacks import boundary as adversary
from tfcurv.certificates.margins import search

_EYE = np.eye(2)


def _float64(x):
    return tf.constant(x, tf.float64)


def _labels(y):
    return tf.constant(y, tf.int32)


def _problem(network, x0, y, t) -> search.Problem:
    weights, bias = network.pair(_labels(y), _labels(t), numerics.SEARCH_DTYPE)
    nothing = tf.zeros_like(bias)
    x0 = tf.cast(_float64(x0), numerics.SEARCH_DTYPE)
    return search.Problem(x0, weights, bias, *[nothing] * 3)


def _cross(network, x0, y, towards) -> adversary.Adversarial:
    found = adversary.cross_boundary(
        network, _float64(x0), _labels(y), tf.constant(towards, tf.float32)
    )
    return adversary.Adversarial(*(field.numpy() for field in found))


def _distance(x, x0):
    """The exact l2 distance of two rows of floating-point numbers."""
    with mpmath.workdps(50):
        return mpmath.norm(
            [mpmath.mpf(a) - mpmath.mpf(b) for a, b in zip(x, x0)]
        )


class WorstMarginTest(absltest.TestCase):
    def test_is_the_logit_less_the_largest_other(self):
        network = random_network([3, 5, 4], seed=1)
        x = np.random.default_rng(0).normal(size=(12, 3))
        logits = network.logits(_float64(x)).numpy()
        y = np.arange(12) % 4
        found = adversary.worst_margin(network, _float64(x), _labels(y))
        for row, label, margin in zip(logits, y, found.numpy()):
            rival = max(z for t, z in enumerate(row) if t != label)
            self.assertEqual(margin, row[label] - rival)

    def test_of_equal_classes_is_zero(self):
        network = network_of([(np.ones((2, 3)), np.ones(3))])
        margin = adversary.worst_margin(
            network, _float64(_EYE), _labels([0, 2])
        )
        np.testing.assert_array_equal(margin, [0.0, 0.0])


class LogitErrorTest(parameterized.TestCase):
    @parameterized.parameters("linear", "tanh", "softplus", "gelu", "silu")
    def test_bounds_the_distance_to_the_exact_logits(self, activation):
        network = random_network([3, 6, 6, 3], activation, seed=2, scale=20.0)
        x = 5.0 * np.random.default_rng(1).normal(size=(5, 3))
        forward = network.forward(_float64(x))
        errors = networks.logit_error(network, forward).numpy()
        computed = network.logits(_float64(x)).numpy()
        for row, found, bound in zip(x, computed, errors):
            for y in range(3):
                rival = max(z for t, z in enumerate(found) if t != y)
                exact = exact_margin(network, row, y)
                # Of two logits, whose difference is rounded once more.
                error = abs(exact - (found[y] - rival))
                self.assertLessEqual(error, 2.0 * bound * (1.0 + 1e-9))
            self.assertLess(bound, 1e-9 * np.max(np.abs(found)))


class IsMisclassifiedTest(parameterized.TestCase):
    @hypothesis.settings(deadline=None, max_examples=60)
    @hypothesis.given(
        st.integers(0, 20),
        st.integers(-40, 40),
        st.sampled_from(["linear", "tanh", "softplus"]),
        st.sampled_from([1e-8, 1.0, 1e8]),
    )
    def test_is_true_only_beyond_doubt(self, seed, steps, activation, scale):
        network = random_network([2, 4, 2], activation, seed=seed, scale=scale)
        x = np.random.default_rng(seed).normal(size=2)
        # Shifts one logit until the two are equal to a few roundings.
        logits = network.logits(_float64(x[np.newaxis])).numpy()[0]
        (kernel, bias) = network.affines[1].kernel, network.affines[1].bias
        shift = logits[1] - logits[0] + steps * np.spacing(logits[0])
        first = (network.affines[0].kernel, network.affines[0].bias)
        tied = network_of(
            [first, (kernel, bias + np.array([shift, 0.0]))], activation
        )
        found = adversary.is_misclassified(
            tied, _float64(x[np.newaxis]), _labels([0])
        )
        if found[0]:
            self.assertLessEqual(exact_margin(tied, x, 0), 0)

    def test_is_true_where_the_margin_is_clearly_negative(self):
        network = random_network([2, 6, 3], seed=3)
        x = np.random.default_rng(3).normal(size=(30, 2))
        y = (predict(network, x) + 1) % 3
        found = adversary.is_misclassified(network, _float64(x), _labels(y))
        margin = adversary.worst_margin(network, _float64(x), _labels(y))
        np.testing.assert_array_equal(found, margin.numpy() < -1e-12)
        self.assertTrue(np.all(found))

    @parameterized.parameters(np.nan, np.inf, 1e300)
    def test_is_false_where_nothing_is_known(self, value):
        network = random_network([2, 3, 2], "softplus", seed=4, scale=1e30)
        x = _float64([[value, 1.0]])
        for y in (0, 1):
            found = adversary.is_misclassified(network, x, _labels([y]))
            self.assertFalse(found[0])


class ApproachBoundaryTest(absltest.TestCase):
    def test_meets_a_hyperplane_in_its_nearest_point(self):
        kernel, bias = np.array([[3.0, 0.0], [4.0, 0.0]]), np.array([5.0, 0.0])
        network = network_of([(kernel, bias)])
        x0 = np.array([[1.0, 1.0], [2.0, -1.0]])
        problem = _problem(network, x0, [0, 0], [1, 1])
        found = adversary.approach_boundary(network, problem, problem.x0, 3)
        normal = np.array([3.0, 4.0])
        nearest = x0 - ((x0 @ normal + 5.0) / 25.0)[:, np.newaxis] * normal
        np.testing.assert_allclose(found, nearest, rtol=1e-5, atol=1e-6)

    def test_ends_where_the_margin_vanishes(self):
        network = random_network([3, 6, 2], "softplus", seed=8)
        x0 = np.random.default_rng(8).normal(size=(8, 3))
        y = predict(network, x0)
        problem = _problem(network, x0, y, 1 - y)
        found = adversary.approach_boundary(network, problem, problem.x0, 20)
        before = adversary.worst_margin(network, problem.x0, _labels(y))
        after = adversary.worst_margin(network, found, _labels(y))
        solved = np.abs(after) < 1e-3 * np.abs(before)
        self.assertGreaterEqual(np.mean(solved), 0.5)

    def test_no_steps_give_the_start(self):
        network = random_network([2, 3, 2])
        problem = _problem(network, _EYE, [0, 0], [1, 1])
        start = problem.x0 + 1.0
        found = adversary.approach_boundary(network, problem, start, 0)
        np.testing.assert_array_equal(found, start)

    def test_a_flat_margin_moves_nothing_to_infinity(self):
        network = network_of([(np.zeros((2, 2)), np.array([1.0, 0.0]))])
        problem = _problem(network, _EYE, [0, 0], [1, 1])
        found = adversary.approach_boundary(network, problem, problem.x0, 5)
        self.assertTrue(np.all(np.isfinite(found)))

    def test_a_gradient_that_overflows_moves_nothing_to_infinity(self):
        network = network_of([(np.diag([3e38, 0.0]), np.zeros(2))])
        problem = _problem(network, 9.0 * _EYE, [0, 0], [1, 1])
        found = adversary.approach_boundary(network, problem, problem.x0, 5)
        self.assertTrue(np.all(np.isfinite(found)))


class CrossBoundaryTest(parameterized.TestCase):
    @parameterized.parameters("linear", "tanh", "softplus", "gelu")
    def test_what_it_finds_is_misclassified_and_no_nearer_than_said(
        self, activation
    ):
        network = random_network([3, 6, 3], activation, seed=8)
        rng = np.random.default_rng(8)
        x0 = rng.normal(size=(20, 3))
        y = predict(network, x0)
        found = _cross(network, x0, y, x0 + 3.0 * rng.normal(size=(20, 3)))
        reached = np.isfinite(found.distance)
        self.assertGreater(np.sum(reached), 5)
        for index in np.flatnonzero(reached):
            point = found.point[index]
            self.assertLessEqual(exact_margin(network, point, y[index]), 0)
            exact = _distance(point, x0[index])
            self.assertLessEqual(exact, found.distance[index])
            self.assertGreaterEqual(exact * (1 + 1e-12), found.distance[index])

    @parameterized.parameters(0.3, 0.9, 1.0, 1.015, 1.5, 3.9)
    def test_meets_the_boundary_on_the_ray_closely(self, reach):
        # z_0 - z_1 = 1 - x: the ray along x meets the boundary at x = 1.
        kernel = np.array([[-1.0, 0.0], [0.0, 0.0]])
        network = network_of([(kernel, np.array([1.0, 0.0]))])
        x0, towards = np.zeros((1, 2)), np.array([[1.0 / reach, 0.0]])
        found = _cross(network, x0, [0], towards)
        self.assertGreaterEqual(found.distance[0], 1.0)
        self.assertLess(found.distance[0], 1.0 + 1e-4)

    def test_finds_nothing_where_there_is_nothing(self):
        network = network_of([(np.zeros((2, 2)), np.array([1.0, 0.0]))])
        found = _cross(network, _EYE, [0, 0], _EYE + 1.0)
        np.testing.assert_array_equal(found.distance, [np.inf, np.inf])
        np.testing.assert_array_equal(found.point, _EYE)

    @parameterized.parameters(0.0, np.nan, np.inf, 1e38)
    def test_a_ray_that_leads_nowhere_finds_nothing_false(self, value):
        network = random_network([2, 4, 2], seed=7)
        x0 = np.zeros((1, 2))
        y = predict(network, x0)
        found = _cross(network, x0, y, np.full((1, 2), value))
        if np.isfinite(found.distance[0]):
            self.assertLessEqual(exact_margin(network, found.point[0], y[0]), 0)
        else:
            np.testing.assert_array_equal(found.point, x0)

    def test_rows_do_not_know_of_each_other(self):
        network = random_network([3, 6, 3], seed=8)
        rng = np.random.default_rng(8)
        x0, step = rng.normal(size=(6, 3)), rng.normal(size=(6, 3))
        step[2] = np.nan
        y = predict(network, x0)
        together = _cross(network, x0, y, x0 + step)
        for i in range(6):
            alone = _cross(network, x0[[i]], y[[i]], (x0 + step)[[i]])
            np.testing.assert_allclose(
                together.distance[i], alone.distance[0], rtol=1e-5
            )


if __name__ == "__main__":
    absltest.main()
