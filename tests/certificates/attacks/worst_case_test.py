"""Tests of the worst point in a ball."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from certificates_toys import network_of
from certificates_toys import predict
from certificates_toys import random_network
from tfcurv import bounds
from tfcurv import certificates


def _problem(network, x0, y, t) -> certificates.Problem:
    y, t = np.asarray(y, np.int32), np.asarray(t, np.int32)
    weights, bias = network.pair(tf.constant(y), tf.constant(t), tf.float64)
    bounder = bounds.CurvatureBounder(network)
    curvature = tf.constant(
        [bounder.pair_concavity_upper_bound(*pair) for pair in zip(y, t)],
        tf.float64,
    )
    nothing = tf.zeros_like(bias)
    return certificates.Problem(
        tf.constant(x0), weights, bias, curvature, nothing, nothing
    )


def _solve(network, problem, epsilon, **options):
    epsilon = tf.constant(epsilon, tf.float64)
    found = certificates.worst_case(network, problem, epsilon, **options)
    return certificates.WorstCase(*(field.numpy() for field in found))


def _random_case(activation, hidden, seed):
    network = random_network([2, *[6] * hidden, 3], activation, seed=seed)
    x0 = np.random.default_rng(seed).normal(size=(6, 2))
    y = predict(network, x0)
    return network, x0, _problem(network, x0, y, (y + 1) % 3)


def _least_margin(network, problem, row, epsilon) -> float:
    """The least margin on a fine polar grid of the disk, refined twice."""
    turns, share = np.linspace(-np.pi, np.pi, 361), np.linspace(0.0, 1.0, 61)
    for zoom in (8.0, 8.0, None):
        angle, radius = np.meshgrid(turns, epsilon * share)
        step = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        step *= radius[..., np.newaxis]
        points = problem.x0.numpy()[row] + step.reshape(-1, 2)
        margins = network.evaluate(
            tf.constant(points), problem.weights[row], problem.bias[row]
        ).margin.numpy()
        best = np.argmin(margins)
        if zoom:
            width = (turns[-1] - turns[0]) / zoom
            depth = (share[-1] - share[0]) / zoom
            near = radius.flat[best] / epsilon
            turns = angle.flat[best] + np.linspace(-width, width, 121)
            share = np.linspace(
                max(0.0, near - depth), min(1.0, near + depth), 61
            )
    return float(margins[best])


class WorstCaseTest(parameterized.TestCase):
    @parameterized.product(
        case=[("tanh", 1), ("softplus", 2), ("gelu", 1)], epsilon=[0.05, 0.5]
    )
    def test_agrees_with_a_search_of_the_whole_disk(self, case, epsilon):
        network, x0, problem = _random_case(*case, seed=1)
        found = _solve(network, problem, epsilon)
        for row, point in enumerate(found.point):
            least = _least_margin(network, problem, row, epsilon)
            scale = max(1.0, abs(least))
            reach = np.linalg.norm(point - x0[row])
            self.assertLessEqual(reach, epsilon * (1.0 + 1e-12))
            self.assertLessEqual(found.lower_bound[row], least + 1e-9 * scale)
            self.assertGreaterEqual(found.margin[row], least - 1e-5 * scale)
            if found.is_worst[row]:
                self.assertAlmostEqual(
                    found.margin[row], least, delta=1e-5 * scale
                )
                self.assertAlmostEqual(reach, epsilon, delta=1e-6 * epsilon)

    def test_is_proved_worst_in_small_balls_and_not_in_large_ones(self):
        for seed in range(3):
            network, _, problem = _random_case("tanh", 1, seed)
            small = _solve(network, problem, 1e-3)
            large = _solve(network, problem, 1e3)
            self.assertGreater(np.mean(small.is_worst), 0.6)
            self.assertFalse(np.any(large.is_worst))

    def test_reports_the_margin_of_its_point(self):
        network, x0, problem = _random_case("softplus", 2, 2)
        for steps in (0, 1, 50):
            found = _solve(network, problem, 0.3, num_steps=steps)
            again = network.evaluate(
                tf.constant(found.point), problem.weights, problem.bias
            )
            np.testing.assert_allclose(found.margin, again.margin, rtol=1e-12)
        at_x0 = network.evaluate(problem.x0, problem.weights, problem.bias)
        self.assertTrue(np.all(found.margin <= at_x0.margin))
        del x0

    def test_the_bound_holds_however_few_the_steps(self):
        network, _, problem = _random_case("gelu", 2, 3)
        for epsilon, steps in ((0.01, 0), (0.01, 2), (0.4, 0), (0.4, 5)):
            least = [
                _least_margin(network, problem, row, epsilon)
                for row in range(6)
            ]
            found = _solve(network, problem, epsilon, num_steps=steps)
            self.assertTrue(np.all(found.lower_bound <= np.add(least, 1e-9)))
            # Nor is a point called the worst because it lies on the sphere.
            worst = found.margin <= np.add(least, 1e-4)
            self.assertTrue(np.all(worst | ~found.is_worst))

    @parameterized.parameters("softplus", "tanh")
    def test_more_steps_never_find_a_larger_margin(self, activation):
        network, _, problem = _random_case(activation, 2, 5)
        for epsilon in (0.5, 5.0):
            before = np.inf
            for steps in range(8):
                found = _solve(network, problem, epsilon, num_steps=steps)
                self.assertTrue(np.all(found.margin <= before))
                before = found.margin

    def test_of_a_linear_margin_is_known_exactly(self):
        kernel = np.array([[3.0, 0.0], [4.0, 0.0]])
        network = network_of([(kernel, np.array([1.0, 0.0]))])
        x0 = np.array([[1.0, 2.0], [0.0, 0.0]])
        found = _solve(network, _problem(network, x0, [0, 0], [1, 1]), 2.0)
        margin = x0 @ [3.0, 4.0] + 1.0
        np.testing.assert_allclose(found.margin, margin - 10.0, rtol=1e-12)
        np.testing.assert_allclose(found.lower_bound, margin - 10.0, rtol=1e-12)
        np.testing.assert_allclose(found.point, x0 - [1.2, 1.6], rtol=1e-12)
        self.assertTrue(np.all(found.is_worst))

    def test_of_a_constant_margin_every_point_is_the_worst(self):
        network = network_of([(np.zeros((2, 2)), np.array([1.0, 0.0]))])
        found = _solve(network, _problem(network, np.eye(2), [0, 0], [1, 1]), 1)
        np.testing.assert_array_equal(found.margin, [1.0, 1.0])
        # Less by what it may be rounded by.
        self.assertTrue(np.all(found.lower_bound < 1.0))
        np.testing.assert_allclose(found.lower_bound, 1.0, rtol=1e-12)
        np.testing.assert_array_equal(found.point, np.eye(2))
        self.assertTrue(np.all(found.is_worst))

    def test_a_positive_bound_proves_no_more_than_the_best_certificate(self):
        network, _, problem = _random_case("softplus", 1, 4)
        search = certificates.find_centre(
            network,
            problem._replace(enough=problem.enough + np.inf),
            certificates.SearchOptions(relative_tolerance=1e-6),
        )
        proved = []
        for row, radius in enumerate(search.radius.numpy()):
            inside = _solve(network, problem, 0.9 * radius)
            proved.append(inside.lower_bound[row] > 0.0)
            for steps in (0, 50):
                outside = _solve(
                    network, problem, 1.001 * radius, num_steps=steps
                )
                self.assertLess(outside.lower_bound[row], 0.0)
        self.assertGreaterEqual(np.mean(proved), 0.5)


if __name__ == "__main__":
    absltest.main()
