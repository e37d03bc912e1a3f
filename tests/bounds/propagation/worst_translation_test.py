"""Tests of tfcurv.bounds.propagation.worst_translation."""

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import numpy as np
import tensorflow as tf

from tfcurv.bounds.propagation import worst_translation
from tfcurv.bounds.propagation.ball_box import BallBox

_SHARES = (0.0, 1.0)


def _found(c, rho, low, high, **settings):
    """The bound for one triple, as a number."""
    region = BallBox(
        None if rho is None else tf.constant([rho], tf.float64),
        None if low is None else tf.constant(low[np.newaxis]),
        None if low is None else tf.constant(high[np.newaxis]),
    )
    found = worst_translation.worst_translation(
        tf.constant(c[np.newaxis, np.newaxis]), region, **settings
    )
    return float(found[0, 0])


def _oracle(c, rho, low, high):
    """The maximum, by bisection on how far the ball carries."""
    size, most = np.abs(c), np.where(c > 0.0, high, -low)
    most = np.where(c == 0.0, 0.0, most)
    if np.linalg.norm(most) <= rho:
        return size @ most
    near, far = 0.0, 1e12
    for _ in range(400):
        middle = 0.5 * (near + far)
        inside = np.linalg.norm(np.minimum(most, middle * size)) <= rho
        near, far = (middle, far) if inside else (near, middle)
    return size @ np.minimum(most, near * size)


def _triple(seed):
    """A random triple, degenerate now and then."""
    rng = np.random.default_rng(seed)
    n = rng.integers(1, 9)
    c = rng.normal(size=n) * rng.choice(_SHARES, n, p=[0.2, 0.8])
    low = -rng.exponential(1.0, n) * rng.choice(_SHARES, n, p=[0.1, 0.9])
    high = rng.exponential(1.0, n) * rng.choice(_SHARES, n, p=[0.1, 0.9])
    rho = rng.choice([0.0, 0.1, 0.7, 1.5, 20.0])
    return c, rho, low, high


class ExactnessTest(parameterized.TestCase):
    def test_is_the_maximum_over_ball_and_box(self):
        for seed in range(200):
            triple = _triple(seed)
            with self.subTest(seed):
                found, oracle = _found(*triple), _oracle(*triple)
                np.testing.assert_allclose(found, oracle, rtol=1e-8, atol=1e-8)
                self.assertGreaterEqual(found, oracle * (1.0 - 1e-14))

    @parameterized.named_parameters(
        ("no_ball", (None, -np.ones(3), 2.0 * np.ones(3)), 8.0),
        ("no_box", (2.0, None, None), 2.0 * np.sqrt(14.0)),
        ("a_point", (0.0, -np.ones(3), np.ones(3)), 0.0),
        ("box_in_ball", (9.0, -np.ones(3), np.ones(3)), 6.0),
        ("ball_in_box", (0.1, -np.ones(3), np.ones(3)), np.sqrt(0.14)),
    )
    def test_is_known_for(self, region, expected):
        found = _found(np.array([1.0, -2.0, 3.0]), *region)
        if region[1] is not None and region[0] is None:
            expected = 1.0 * 2.0 + 2.0 * 1.0 + 3.0 * 2.0 - 0.0
        self.assertAlmostEqual(found, expected, places=8)

    @hypothesis.given(
        st.integers(0, 10**6), st.integers(1, 4), st.integers(0, 1)
    )
    @hypothesis.settings(max_examples=60)
    def test_too_few_rounds_give_more_never_less(self, seed, rounds, flip):
        c, rho, low, high = _triple(seed)
        c = -c if flip else c
        found = _found(c, rho, low, high, rounds=rounds)
        oracle = _oracle(c, rho, low, high)
        self.assertGreaterEqual(found, oracle * (1.0 - 1e-12))

    def test_no_deviation_gains_more(self):
        rng = np.random.default_rng(0)
        for seed in range(40):
            c, rho, low, high = _triple(seed)
            d = rng.uniform(low, high, (5000, len(c)))
            size = np.linalg.norm(d, axis=-1, keepdims=True)
            d *= np.minimum(1.0, rho / np.maximum(size, 1e-300))
            found = _found(c, rho, low, high)
            self.assertLessEqual(np.max(d @ c), found + 1e-12)

    @parameterized.parameters(1e-200, 1e-160, 1e-80, 1e80, 1e150)
    def test_holds_where_squares_are_no_numbers(self, scale):
        c, rho, low, high = _triple(4)
        rho = 0.7
        oracle = _oracle(c, rho, low, high)
        self.assertGreaterEqual(
            _found(scale * c, rho, low, high), scale * oracle * (1.0 - 1e-12)
        )
        self.assertGreaterEqual(
            _found(c, scale * rho, scale * low, scale * high),
            scale * oracle * (1.0 - 1e-12),
        )

    @parameterized.named_parameters(
        ("ball", np.nan, 1.0), ("box", 1.0, np.inf), ("radius", np.inf, 1.0)
    )
    def test_what_is_unknown_is_no_shift_of_nothing(self, rho, end):
        # NaN taken for "no shift" once made networks robust, elsewhere.
        c = np.array([1.0, -1.0])
        end = np.full(2, end)
        found = _found(c, rho, -end, end)
        known = [np.sqrt(2.0) * rho, 2.0 * end[0]]
        least = np.nanmin(np.where(np.isfinite(known), known, np.nan))
        self.assertGreaterEqual(found, least * (1.0 - 1e-12))

    def test_nothing_known_is_infinite(self):
        nothing = np.full(2, np.inf)
        found = _found(np.ones(2), np.nan, -nothing, nothing)
        self.assertEqual(found, np.inf)


class GradientTest(parameterized.TestCase):
    def test_is_what_differencing_gives(self):
        c, _, low, high = _triple(7)
        rho = 0.6
        variables = [
            tf.Variable(c[np.newaxis, np.newaxis]),
            tf.Variable([rho], dtype=tf.float64),
            tf.Variable(low[np.newaxis]),
            tf.Variable(high[np.newaxis]),
        ]
        with tf.GradientTape() as tape:
            value = worst_translation.worst_translation(
                variables[0], BallBox(*variables[1:])
            )
        slopes = tape.gradient(value, variables)
        parts = [c, np.array([rho]), low, high]
        for index, slope in enumerate(slopes):
            for place in range(parts[index].size):
                moved = []
                for step in (1e-6, -1e-6):
                    changed = [part.copy() for part in parts]
                    changed[index][place] += step
                    changed[1] = changed[1][0]
                    moved.append(_oracle(*changed))
                quotient = (moved[0] - moved[1]) / 2e-6
                slope_here = np.ravel(slope)[place]
                self.assertAlmostEqual(slope_here, quotient, places=5)


if __name__ == "__main__":
    absltest.main()
