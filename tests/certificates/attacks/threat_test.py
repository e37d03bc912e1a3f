"""Tests of tfcurv.certificates.attacks.threat."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
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


if __name__ == "__main__":
    absltest.main()
