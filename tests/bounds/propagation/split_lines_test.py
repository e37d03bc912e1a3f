"""Tests of tfcurv.bounds.propagation.split_lines."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tfcurv import networks
from tfcurv.bounds.propagation.ball_box import Centre
from tfcurv.bounds.propagation.split_lines import split_lines


def _cases(seed=0, count=500):
    random = np.random.default_rng(seed)
    width = 10.0 ** random.uniform(-3.0, 1.0, count)
    low = random.normal(size=count) - width * random.uniform(size=count)
    high = low + width
    centre = low + width * random.uniform(size=count)
    return centre, low, high, random.uniform(size=count)


def _rows(*columns):
    return [tf.constant(each[np.newaxis], tf.float64) for each in columns]


class SplitLinesTest(parameterized.TestCase):
    @parameterized.product(sign=(-1, 0, 1), error=(0.0, 1e-6))
    def test_hold_wherever_the_sign_does(self, sign, error):
        centre, low, high, slope = _cases()
        z0, low_, high_, slope_ = _rows(centre, low, high, slope)
        lines = split_lines(
            Centre(z0, tf.constant([error], tf.float64)),
            networks.Interval(low_, high_),
            slope_,
            sign * tf.ones_like(z0),
        )
        a, b, A, B = (each.numpy()[0] for each in lines)
        z = np.linspace(low, high, 801)
        # The exact centre may be elsewhere.
        for off in (-error, 0.0, error):
            exact = centre + off
            rise = np.maximum(z, 0.0) - np.maximum(exact, 0.0)
            away = z - exact
            holds = (a * away + b <= rise) & (rise <= A * away + B)
            self.assertTrue(np.all(holds | (sign * z < 0.0)))

    def test_are_the_function_where_the_sign_is_known(self):
        centre, low, high, slope = _cases()
        z0, low_, high_, slope_ = _rows(centre, low, high, slope)
        for sign in (-1, 1):
            lines = split_lines(
                Centre(z0),
                networks.Interval(low_, high_),
                slope_,
                sign * tf.ones_like(z0),
            )
            # A bound that is proved goes before what a branch says.
            is_on = (low >= 0.0) | (sign > 0)
            np.testing.assert_array_equal(lines.lower_slope[0], 1.0 * is_on)
            np.testing.assert_array_equal(lines.upper_slope[0], 1.0 * is_on)
            np.testing.assert_array_equal(lines.lower, lines.upper)

    def test_touch_the_function_at_zero_and_at_both_ends(self):
        centre, low, high, slope = _cases()
        bent = (low < -1e-3) & (high > 1e-3)
        columns = (each[bent] for each in (centre, low, high, slope))
        z0, low_, high_, slope_ = _rows(*columns)
        lines = split_lines(
            Centre(z0),
            networks.Interval(low_, high_),
            slope_,
            tf.zeros_like(z0),
        )
        value = tf.nn.relu(z0)
        np.testing.assert_allclose(
            lines.lower - lines.lower_slope * z0 + value, 0.0, atol=1e-12
        )
        for end in (low_, high_):
            line = lines.upper_slope * (end - z0) + lines.upper + value
            np.testing.assert_allclose(line, tf.nn.relu(end), atol=1e-12)

    def test_of_infinite_ends_say_nothing(self):
        z0 = tf.zeros([1, 1], tf.float64)
        lines = split_lines(
            Centre(z0, tf.zeros([1], tf.float64)),
            networks.Interval(z0 - np.inf, z0 + np.inf),
            z0,
            z0,
        )
        upper = lines.upper.numpy()[0, 0]
        self.assertTrue(np.isnan(upper) or upper == np.inf)


if __name__ == "__main__":
    absltest.main()
