"""Tests of tfcurv.certificates.attacks.threat."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import scipy.optimize
import tensorflow as tf

from tfcurv.certificates.attacks.threat import Threat

_ALL = [
    Threat(norm=norm, domain=domain)
    for norm in ("l2", "linf")
    for domain in (None, (0.0, 1.0))
]


class GeometryTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        rng = np.random.default_rng(0)
        self.centre = tf.constant(rng.uniform(size=(50, 4)))
        self.x = self.centre + 2.0 * rng.normal(size=(50, 4))
        self.radius = tf.constant(rng.uniform(0.1, 1.0, 50))

    @parameterized.parameters(*_ALL)
    def test_moves_into_neighbourhood_and_domain(self, threat):
        found = threat.into(self.centre, self.radius, self.x)
        apart = threat.distance(found - self.centre)
        limit = self.radius * (1.0 + 1e-12)
        self.assertTrue(np.all(apart <= limit))
        if threat.domain is not None:
            self.assertTrue(np.all((found >= 0.0) & (found <= 1.0)))
        again = threat.into(self.centre, self.radius, found)
        np.testing.assert_allclose(again, found, atol=1e-12)

    @parameterized.parameters(*_ALL)
    def test_what_is_inside_stays(self, threat):
        near = self.centre + 1e-3 * (0.5 - self.centre)
        found = threat.into(self.centre, self.radius, near)
        np.testing.assert_allclose(found, near, atol=1e-15)

    @parameterized.parameters("l2", "linf")
    def test_distances_are_rounded_up(self, norm):
        offset = (self.x - self.centre).numpy()
        exact = np.linalg.norm(offset, 2 if norm == "l2" else np.inf, axis=-1)
        found = Threat(norm=norm).distance(tf.constant(offset)).numpy()
        self.assertTrue(np.all(found >= exact))
        np.testing.assert_allclose(found, exact, rtol=1e-13)

    @parameterized.parameters("l2", "linf")
    def test_no_direction_of_size_one_is_steeper(self, norm):
        threat = Threat(norm=norm)
        slope = self.x
        unit = threat.unit(slope)
        np.testing.assert_allclose(threat.distance(unit), 1.0, rtol=1e-12)
        gain = tf.reduce_sum(unit * slope, axis=-1)
        rng = np.random.default_rng(1)
        for _ in range(200):
            other = tf.constant(rng.normal(size=(50, 4)))
            other /= threat.distance(other)[:, tf.newaxis]
            rise = tf.reduce_sum(other * slope, axis=-1)
            self.assertTrue(np.all(rise <= gain * (1.0 + 1e-12)))

    @parameterized.parameters(*_ALL)
    def test_nearest_zero_of_a_linear_function_is_a_solvers(self, threat):
        x0, slope = self.centre.numpy(), (self.x - self.centre).numpy()
        # From a tenth to nine tenths of the way that the domain leaves.
        room = np.where(slope > 0.0, x0, x0 - 1.0)
        share = np.linspace(0.1, 0.9, len(x0))
        height = share * np.sum(slope * room, axis=-1)
        away = threat.shortest(*map(tf.constant, (x0, slope, height))).numpy()
        found = x0 + away
        np.testing.assert_allclose(
            np.sum(slope * away, axis=-1), -height, rtol=2e-3
        )
        if threat.domain is not None:
            inside = (found >= -1e-15) & (found <= 1.0 + 1e-15)
            self.assertTrue(np.all(inside))
        for row in range(0, len(x0), 5):
            nearest = self._solved(threat, x0[row], slope[row], height[row])
            order = 2 if threat.norm == "l2" else np.inf
            size = np.linalg.norm(away[row], order)
            self.assertAlmostEqual(size, nearest, delta=3e-3 * nearest)

    def _solved(self, threat, x0, slope, height):
        ends = [(None, None)] * len(x0)
        if threat.domain is not None:
            ends = list(zip(-x0, 1.0 - x0))
        if threat.norm == "linf":
            # Variables d and the size s; |d| <= s.
            count = len(x0)
            one = np.eye(count)
            side = -np.ones((count, 1))
            return scipy.optimize.linprog(
                [0.0] * count + [1.0],
                A_ub=np.block([[one, side], [-one, side]]),
                b_ub=np.zeros(2 * count),
                A_eq=[[*slope, 0.0]],
                b_eq=[-height],
                bounds=[*ends, (0.0, None)],
            ).fun
        found = scipy.optimize.minimize(
            lambda d: np.sum(d * d),
            -height * slope / np.sum(slope * slope),
            jac=lambda d: 2.0 * d,
            bounds=ends,
            constraints={"type": "eq", "fun": lambda d: slope @ d + height},
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 500},
        )
        return np.sqrt(found.fun)


if __name__ == "__main__":
    absltest.main()
