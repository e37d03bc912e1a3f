"""Tests of the certifier: radii against exact distances, and its contract."""

from absl.testing import absltest
from absl.testing import parameterized
import mpmath
import numpy as np
import tensorflow as tf

from certificates_toys import certify
from certificates_toys import exact_margin
from certificates_toys import network_of
from certificates_toys import predict
from certificates_toys import random_network
from tfcurv import certificates
from tfcurv import errors
from tfcurv import networks

_REASON = certificates.Reason
_RUNNER_UP = certificates.Targets.RUNNER_UP


def _points(batch, dim, seed=0):
    return np.random.default_rng(seed).normal(size=(batch, dim))


def _nearest_flip(network, x0, y, reach) -> float:
    """Returns the distance of x0 in the plane to the nearest other class.

    The first crossing on each of many rays, then on ever finer fans around
    the nearest of them. Infinite where there is none within `reach`.
    """
    angles = np.linspace(-np.pi, np.pi, 361)
    radii = _crossings(network, x0, y, angles, (0.0, reach), 200)
    best = np.inf
    for start in np.argsort(radii)[:4]:
        angle, radius, turn = angles[start], radii[start], 2 * np.pi / 360
        for _ in range(3 if np.isfinite(radius) else 0):
            fan = angle + np.linspace(-2 * turn, 2 * turn, 33)
            near = _crossings(network, x0, y, fan, (0.5 * radius, radius), 30)
            nearest = np.argmin(near)
            angle, radius, turn = fan[nearest], near[nearest], turn / 8
        best = min(best, radius)
    return best


def _crossings(network, x0, y, angles, interval, num_radii):
    """Returns the first radius on each ray at which y does not win."""
    rays = np.stack([np.cos(angles), np.sin(angles)], axis=-1)

    def flipped(radii):
        points = x0 + radii[..., np.newaxis] * rays
        logits = network.logits(tf.constant(points.reshape(-1, 2))).numpy()
        own = logits[:, y].copy()
        logits[:, y] = -np.inf
        return (np.max(logits, axis=-1) >= own).reshape(radii.shape)

    grid = np.linspace(*interval, num_radii)
    there = flipped(np.tile(grid[:, np.newaxis], len(angles)))
    first = np.argmax(there, axis=0)
    low, high = grid[np.maximum(first - 1, 0)], grid[first]
    for _ in range(45):
        middle = 0.5 * (low + high)
        beyond = flipped(middle)
        low, high = (
            np.where(beyond, low, middle),
            np.where(beyond, middle, high),
        )
    return np.where(there.any(axis=0), high, np.inf)


def _hyperplane_distance(affine, x, y):
    """The exact distance to the nearest of the planes z_y = z_t."""
    with mpmath.workdps(60):
        nearest = mpmath.inf
        for t in range(affine.kernel.shape[1]):
            if t == y:
                continue
            columns = affine.kernel[:, y], affine.kernel[:, t]
            normal = [mpmath.mpf(a) - mpmath.mpf(b) for a, b in zip(*columns)]
            margin = mpmath.fdot(normal, map(float, x))
            margin += mpmath.mpf(affine.bias[y]) - mpmath.mpf(affine.bias[t])
            nearest = min(nearest, margin / mpmath.norm(normal))
        return nearest


class LinearTest(parameterized.TestCase):
    @parameterized.product(
        size=[(1, 2), (5, 4), (30, 3)], scale=[1.0, 1e-12, 1e12]
    )
    def test_the_radius_is_the_distance_to_the_nearest_hyperplane(
        self, size, scale
    ):
        rng = np.random.default_rng(size[0])
        network = network_of(
            [(scale * rng.normal(size=size), np.zeros(size[1]))]
        )
        x = rng.normal(size=(20, size[0]))
        y = predict(network, x)
        for options in ({}, {"search": None}):
            found = certify(network, x, **options)
            for row, label, radius in zip(x, y, found.radius):
                exact = _hyperplane_distance(network.affines[0], row, label)
                self.assertLessEqual(radius, exact)
                self.assertAlmostEqual(radius / exact, 1.0, delta=1e-9)
        self.assertTrue(np.all(found.reason == _REASON.CERTIFIED))

    def test_the_nearest_class_decides_and_is_reached(self):
        kernel, bias = np.array([[0.0, 1.0, -2.0]]), np.array([3.0, 0.0, 0.0])
        found = certify(network_of([(kernel, bias)]), [[0.0], [2.0], [-1.0]])
        np.testing.assert_allclose(found.radius, [1.5, 1.0, 0.5], rtol=1e-9)
        np.testing.assert_array_equal(found.target, [2, 1, 2])
        np.testing.assert_allclose(found.upper_bound, found.radius, rtol=1e-4)
        self.assertTrue(np.all(found.exact))

    def test_what_the_weights_may_err_by_is_taken_off(self):
        kernel, bias = np.array([[1.0, 0.0]]), np.array([1.0, 0.0])
        radii = []
        for error in (0.0, 1e-3, 1e-1):
            affine = networks.Affine(
                kernel=kernel, bias=bias, kernel_error=error, bias_error=error
            )
            found = certify(networks.Network([affine], []), [[0.0]])
            radii.append(found.radius[0])
            # The worst weights that the errors allow: (1 + e) x + 1 - e ...
            flip = (1.0 - np.sqrt(2) * error) / (1.0 + np.sqrt(2) * error)
            self.assertLessEqual(radii[-1], flip)
        self.assertLess(radii[2], radii[1])
        self.assertGreater(radii[2], 0.5)


class PlaneTest(parameterized.TestCase):
    @parameterized.parameters(
        ("tanh", 1, 1),
        ("gelu", 1, 3),
        ("sigmoid", 2, 4),
        ("silu", 3, 6),
        ("elu", 1, 7),
        ("softsign", 1, 9),
    )
    def test_agrees_with_a_search_of_the_whole_plane(
        self, activation, hidden, seed
    ):
        widths = [2, *[6] * hidden, 3]
        network = random_network(widths, activation, seed=seed)
        x = _points(4, 2, seed)
        y = predict(network, x)
        found = certify(network, x)
        closed = certify(network, x, search=None)
        self.assertTrue(np.all(closed.radius <= found.radius))
        for row in range(4):
            reach = min(found.upper_bound[row] * 1.01, 20.0)
            true = _nearest_flip(network, x[row], y[row], reach)
            self.assertGreater(found.radius[row], 0.0)
            self.assertLessEqual(found.radius[row], true * (1.0 + 1e-7))
            self.assertGreaterEqual(found.upper_bound[row], true * (1.0 - 1e-7))
            if found.exact[row]:
                self.assertAlmostEqual(
                    found.radius[row], true, delta=1e-3 * true
                )

    def test_is_often_exact(self):
        network = random_network([2, 8, 3], "tanh", seed=1)
        x = _points(40, 2)
        found = certify(network, x)
        self.assertGreater(np.mean(found.exact), 0.5)
        gap = found.upper_bound[found.exact] / found.radius[found.exact] - 1.0
        self.assertTrue(np.all((gap >= 0.0) & (gap <= 1e-4)))

    def test_without_newton_steps_it_proves_nearly_as_much(self):
        network = random_network([2, 8, 8, 3], "tanh", seed=3)
        x = _points(20, 2)
        found = certify(network, x)
        fewer = certify(
            network, x, search=certificates.SearchOptions(newton_steps=0)
        )
        closed = certify(network, x, search=None)
        self.assertTrue(np.all(fewer.radius >= closed.radius))
        np.testing.assert_allclose(fewer.radius, found.radius, rtol=0.05)

    def test_an_attack_is_not_needed_for_the_radius(self):
        network = random_network([2, 8, 3], "tanh", seed=1)
        x = _points(20, 2)
        without, found = (
            certify(network, x, attack_steps=0),
            certify(network, x),
        )
        np.testing.assert_array_equal(without.radius, found.radius)
        # The point that proves the radius is itself near the boundary.
        self.assertGreater(np.mean(without.exact), 0.3)
        self.assertTrue(np.all(found.radius <= without.upper_bound))


class ReasonTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.network = random_network([3, 6, 4], "softplus", seed=1)
        self.x = _points(8, 3)
        self.y = predict(self.network, self.x)

    def _assert_nothing_certified(self, found, reason):
        np.testing.assert_array_equal(found.radius, 0.0 * found.radius)
        self.assertFalse(np.any(found.exact))
        self.assertEqual(set(found.reason), {reason})

    def test_predictions_are_the_largest_logits(self):
        wrong = certify(self.network, self.x, (self.y + 1) % 4)
        np.testing.assert_array_equal(wrong.prediction, self.y)
        right = certify(self.network, self.x)
        np.testing.assert_array_equal(right.prediction, self.y)
        self.assertEqual(set(right.reason), {_REASON.CERTIFIED})
        self.assertTrue(np.all(right.target != self.y))

    def test_a_misclassified_point_has_no_radius(self):
        found = certify(self.network, self.x, (self.y + 1) % 4)
        self._assert_nothing_certified(found, _REASON.MISCLASSIFIED)
        np.testing.assert_array_equal(found.target, self.y)
        np.testing.assert_array_equal(found.upper_bound, np.zeros(8))
        np.testing.assert_array_equal(found.num_evaluations, np.zeros(8))

    def test_equal_classes_are_tied(self):
        (first, last) = self.network.affines
        kernel, bias = last.kernel[:, [0, 0, 1, 2]], last.bias[[0, 0, 1, 2]]
        network = network_of(
            [(first.kernel, first.bias), (kernel, bias)], "tanh"
        )
        y = predict(network, self.x)
        self.assertTrue(np.any(y == 0) and np.any(y > 1))
        found = certify(network, self.x)
        twins = certificates.Certificates(*(f[y == 0] for f in found))
        self._assert_nothing_certified(twins, _REASON.TIED)
        self.assertTrue(np.all(np.isinf(twins.upper_bound)))
        # The twins are no matter to those that are not among them.
        self.assertTrue(np.all(found.radius[y > 1] > 0.0))

    def test_a_point_on_the_boundary_is_tied(self):
        network = network_of([(np.array([[1.0, -1.0]]), np.zeros(2))])
        for y in (0, 1):
            found = certify(network, [[0.0]], [y])
            self._assert_nothing_certified(found, _REASON.TIED)

    @parameterized.parameters("deep", "one input")
    def test_a_point_within_rounding_of_the_boundary_is_tied(self, case):
        network, x0 = self.network, self.x[0]
        if case == "one input":  # Where a proof is the least economical.
            network = network_of([([[1.0, -1.0]], [0.3, 0.6])])
            x0 = np.array([1.0])
        y = predict(network, [x0])[0]
        logits = network.logits(tf.constant([x0])).numpy()[0]
        other = np.argsort(logits)[-2]
        error = networks.logit_error(
            network, network.forward(tf.constant([x0]))
        ).numpy()[0]
        tied = 0
        for share in (-9.0, -1.0, 0.0, *np.arange(0.5, 6.0, 0.25), 9.0, 30.0):
            last = network.affines[-1]
            bias = last.bias.copy()
            bias[other] += logits[y] - logits[other] - share * error
            near = networks.Network(
                [
                    *network.affines[:-1],
                    networks.Affine(kernel=last.kernel, bias=bias),
                ],
                network.activations,
            )
            found = certify(near, [x0], [y], search=None)
            # However it is decided: it is not put down to overflow.
            self.assertNotEqual(found.reason[0], _REASON.NON_FINITE)
            tied += found.reason[0] == _REASON.TIED
            exact = exact_margin(near, x0, y)
            if found.reason[0] == _REASON.CERTIFIED:
                self.assertGreater(exact, 0)
            if found.reason[0] == _REASON.MISCLASSIFIED:
                self.assertLess(exact, 0)
        self.assertGreater(tied, 3)

    def test_logits_that_round_to_equals_are_tied(self):
        # z_1 - z_0 = 1 exactly, and 1e17 + 1 rounds to 1e17.
        network = network_of([(np.full((1, 2), 1e17), np.array([0.0, 1.0]))])
        found = certify(network, [[1.0]], [1])
        self.assertEqual(found.prediction[0], 0)
        self._assert_nothing_certified(found, _REASON.TIED)

    @parameterized.parameters(np.nan, np.inf, -np.inf)
    def test_an_input_that_is_not_finite_has_no_radius(self, value):
        broken = self.x.copy()
        broken[3, 1] = value
        found = certify(self.network, broken, self.y, search=None)
        whole = certify(self.network, self.x, self.y, search=None)
        bad = certificates.Certificates(*(field[[3]] for field in found))
        self._assert_nothing_certified(bad, _REASON.NON_FINITE)
        self.assertEqual(bad.prediction[0], -1)
        self.assertEqual(bad.upper_bound[0], np.inf)
        for name in ("radius", "target", "prediction", "reason"):
            np.testing.assert_allclose(
                np.delete(getattr(found, name), 3),
                np.delete(getattr(whole, name), 3),
                rtol=1e-9,
            )

    def test_logits_that_overflow_have_no_radius(self):
        network = network_of(
            [(np.full((1, 1), 1e30), [0.0]), (np.array([[1e30, 1.0]]), [0, 0])],
            "softplus",
        )
        found = certify(network, [[1e300]], [0])
        self._assert_nothing_certified(found, _REASON.NON_FINITE)
        self.assertEqual(found.prediction[0], -1)

    def test_bounds_that_overflow_have_no_radius(self):
        certifier = certificates.Certifier(
            self.network, certificates.CertifierOptions(search=None)
        )
        for value in (np.inf, np.nan):
            found = certifier(self.x, self.y, np.full((4, 4), value))
            self._assert_nothing_certified(found, _REASON.NON_FINITE)
            np.testing.assert_array_equal(found.prediction, self.y)

    def test_a_network_without_a_boundary_is_certified_far_and_finitely(self):
        network = network_of(
            [(np.zeros((2, 3)), np.ones(3)), (np.ones((3, 2)), [1.0, 0.0])],
            "tanh",
        )
        found = certify(network, np.eye(2))
        self.assertTrue(np.all((found.radius > 1e50) & (found.radius < np.inf)))
        np.testing.assert_array_equal(found.upper_bound, [np.inf, np.inf])

    def test_a_point_without_slope_is_certified(self):
        # At the top of a hill: f = 2 - softplus(x) - softplus(-x).
        network = network_of(
            [([[1.0, -1.0]], [0.0, 0.0]), ([[-1.0, 0], [-1.0, 0]], [2.0, 0])],
            "softplus",
        )
        found = certify(network, [[0.0]])
        # |f''| <= 1/2, and f(x) = 2 - |x| - 2 log(1 + exp(-|x|)).
        closed = 2.0 * np.sqrt(2.0 - 2.0 * np.log(2.0))
        self.assertAlmostEqual(found.radius[0], closed, delta=1e-6)
        self.assertLess(closed, 2.0)
        self.assertGreater(exact_margin(network, [found.radius[0]], 0), 0)

    def test_saturated_units_leave_a_radius(self):
        network = network_of(
            [([[1.0, 1.0]], [0.0, 0.0]), ([[1.0, 0.0], [1.0, 0.0]], [1.0, 0])],
            "tanh",
        )
        found = certify(network, [[50.0]])
        self.assertEqual(found.reason[0], _REASON.CERTIFIED)
        self.assertGreater(found.radius[0], 1.0)

    def test_an_empty_batch_gives_an_empty_result(self):
        found = certify(self.network, np.zeros((0, 3)), [], compiled=True)
        for field in found:
            self.assertLen(field, 0)

    def test_refuses_a_single_logit(self):
        network = network_of([(np.ones((2, 1)), np.zeros(1))])
        with self.assertRaisesRegex(
            errors.UnsupportedModelError, "num_classes=1"
        ):
            certificates.Certifier(network)


class RunnerUpTest(absltest.TestCase):
    def test_may_exceed_the_distance_of_another_class(self):
        # z = (0, x / 10 - 1, 2 x - 2) at 0: class 1 is the runner-up and 10
        # away, class 2 is at distance 1.
        kernel, bias = np.array([[0.0, 0.1, 2.0]]), np.array([0.0, -1.0, -2.0])
        network = network_of([(kernel, bias)])
        published = certify(network, [[0.0]], targets=_RUNNER_UP)
        found = certify(network, [[0.0]])
        self.assertAlmostEqual(published.radius[0], 10.0, delta=1e-6)
        self.assertEqual(published.target[0], 1)
        self.assertAlmostEqual(found.radius[0], 1.0, delta=1e-9)
        self.assertLess(exact_margin(network, [1.001], 0), 0)

    def test_is_never_below_the_certificate(self):
        network = random_network([3, 8, 5], "tanh", seed=2)
        x = _points(30, 3)
        published = certify(network, x, targets=_RUNNER_UP)
        found = certify(network, x)
        self.assertTrue(np.all(published.radius >= found.radius * (1.0 - 1e-6)))
        self.assertTrue(np.any(published.radius > found.radius * 1.01))
        logits = network.logits(tf.constant(x)).numpy()
        runners_up = np.argsort(logits, axis=-1)[:, -2]
        np.testing.assert_array_equal(published.target, runners_up)

    def test_gives_a_misclassified_point_no_radius(self):
        network = random_network([3, 8, 5], "tanh", seed=2)
        x = _points(10, 3)
        y = (predict(network, x) + 1) % 5
        found = certify(network, x, y, targets=_RUNNER_UP)
        np.testing.assert_array_equal(found.radius, np.zeros(10))
        self.assertEqual(set(found.reason), {_REASON.MISCLASSIFIED})


if __name__ == "__main__":
    absltest.main()
