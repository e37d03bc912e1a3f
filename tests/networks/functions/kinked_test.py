"""Tests of tfcurv.networks.functions.kinked."""

from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import numpy as np
import tensorflow as tf

from tfcurv import errors
from tfcurv import networks

_CASES = [
    ("relu", networks.RELU, lambda z: np.maximum(z, 0.0)),
    ("absolute", networks.ABSOLUTE, np.abs),
    ("relu6", networks.RELU6, lambda z: np.clip(z, 0.0, 6.0)),
    (
        "leaky",
        networks.piecewise_linear("leaky_relu", negative_slope=0.3),
        lambda z: np.where(z > 0.0, z, 0.3 * z),
    ),
    (
        "steep",
        networks.piecewise_linear("leaky_relu", negative_slope=-2.0),
        lambda z: np.where(z > 0.0, z, -2.0 * z),
    ),
    (
        "cut",
        networks.piecewise_linear("relu", negative_slope=0.5, max_value=1.5),
        lambda z: np.where(z > 0.0, np.minimum(z, 1.5), 0.5 * z),
    ),
]
_GRID = np.linspace(-9.0, 9.0, 721)
_ENDS = st.floats(-9.0, 9.0)


class PiecewiseLinearTest(parameterized.TestCase):
    @parameterized.named_parameters(*_CASES)
    def test_has_its_values_and_the_slopes_of_these(self, fn, expected):
        values = fn.value(tf.constant(_GRID)).numpy()
        np.testing.assert_array_equal(values, expected(_GRID))
        # Away from the kinks, which lie on the grid.
        middle = (_GRID[1:] + _GRID[:-1]) / 2.0
        slopes = np.diff(values) / np.diff(_GRID)
        np.testing.assert_allclose(
            fn.slope(tf.constant(middle)), slopes, atol=1e-12
        )
        self.assertAlmostEqual(slopes.min(), fn.slope_range.lower)
        self.assertAlmostEqual(slopes.max(), fn.slope_range.upper)

    @parameterized.named_parameters(*_CASES)
    def test_is_none_at_infinity(self, fn, expected):
        ends = np.array([-np.inf, np.inf])
        with np.errstate(invalid="ignore"):
            found = fn.value(tf.constant(ends)).numpy()
        self.assertFalse(np.any(np.isnan(found)))
        self.assertEqual(found[1], expected(np.inf))

    @parameterized.named_parameters(*_CASES)
    def test_encloses_the_slopes_of_an_interval(self, fn, expected):
        @hypothesis.settings(deadline=None, max_examples=25, database=None)
        @hypothesis.given(_ENDS, _ENDS)
        def check(first, second):
            low, high = min(first, second), max(first, second)
            found = fn.slope_range_on(
                tf.constant([low], tf.float64), tf.constant([high], tf.float64)
            )
            inner = tf.constant(np.linspace(low, high, 101))
            slopes = fn.slope(inner).numpy()
            self.assertLessEqual(found[0][0], slopes.min())
            self.assertGreaterEqual(found[1][0], slopes.max())
            wide = fn.slope_range
            self.assertGreaterEqual(found[0][0], wide.lower)
            self.assertLessEqual(found[1][0], wide.upper)

        check()

    @parameterized.named_parameters(*_CASES)
    def test_encloses_the_values_of_an_interval(self, fn, expected):
        random = np.random.default_rng(0)
        low, high = np.sort(random.uniform(-9.0, 9.0, (2, 60)), axis=0)
        found = fn.value_range_on(tf.constant(low), tf.constant(high))
        values = expected(np.linspace(low, high, 401))
        self.assertTrue(np.all(found.lower <= values.min(axis=0)))
        self.assertTrue(np.all(found.upper >= values.max(axis=0)))
        # No wider than by what the samples miss.
        missed = 2.0 * (high - low) / 400.0 + 1e-9
        self.assertTrue(np.all(found.lower >= values.min(axis=0) - missed))
        self.assertTrue(np.all(found.upper <= values.max(axis=0) + missed))

    def test_has_both_slopes_at_a_kink_alone(self):
        fn = networks.piecewise_linear("cut", negative_slope=0.5, max_value=1.0)
        at = tf.constant([-1.0, 0.0, 0.5, 1.0, 2.0], tf.float64)
        low, high = fn.slope_range_on(at, at)
        np.testing.assert_array_equal(low, [0.5, 0.5, 1.0, 0.0, 0.0])
        np.testing.assert_array_equal(high, [0.5, 1.0, 1.0, 1.0, 0.0])

    @parameterized.named_parameters(*_CASES)
    def test_has_no_curvature(self, fn, _):
        zero = tf.zeros([1], tf.float64)
        for ask in (
            lambda: fn.curvature_range,
            lambda: fn.curvature_range_on(zero, zero),
            lambda: fn.curvature(zero),
        ):
            with self.assertRaisesRegex(
                errors.UnsupportedActivationError, "kinks.*method='bcp'"
            ):
                ask()

    @parameterized.parameters((np.nan, 1.0), (np.inf, 1.0), (0.0, -1.0))
    def test_refuses_what_is_no_function(self, slope, top):
        with self.assertRaisesRegex(ValueError, "negative_slope="):
            networks.piecewise_linear(
                "bad", negative_slope=slope, max_value=top
            )


if __name__ == "__main__":
    tf.test.main()
