"""Tests of tfcurv.solvers.scaled_gram against the SVD and exact numbers."""

from fractions import Fraction
import math
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import mpmath as mp
import numpy as np

from tfcurv import solvers
from tfcurv.solvers import scaled_gram

# How far above the truth a bound may lie where nothing leaves the range.
_LOOSENESS = 1e-4

_seeds = st.integers(0, 2**32 - 1)
_sides = st.integers(1, 12)


def _exact(matrix, scale):
    """Returns the norm, from an SVD of numbers that are all near one."""
    peak = np.max(scale)
    norms = np.linalg.norm(matrix, axis=0)
    size = np.max(norms)
    if peak == 0.0 or size == 0.0:
        return mp.mpf(0)
    scaled = (matrix / size) * (scale / peak)
    return mp.mpf(np.linalg.norm(scaled, 2)) * mp.mpf(size) * mp.mpf(peak)


class ScaledGramTest(parameterized.TestCase):
    def _assert_encloses(self, bound, exact, looseness=_LOOSENESS):
        exact = mp.mpf(exact)
        self.assertGreaterEqual(mp.mpf(bound), exact * (1 - mp.mpf(2) ** -40))
        smallest = mp.mpf(5e-324)
        self.assertLessEqual(mp.mpf(bound), exact * (1 + looseness) + smallest)

    @hypothesis.given(_seeds, _sides, _sides, st.floats(-290.0, 290.0))
    @hypothesis.settings(max_examples=100)
    def test_encloses_the_svd(self, seed, rows, columns, exponent):
        rng = np.random.default_rng(seed)
        matrix = rng.standard_normal((rows, columns))
        matrix *= 10.0 ** rng.uniform(-9.0, 9.0)
        gram = solvers.ScaledGram(matrix)
        for spread in (0.0, 2.0, 30.0):
            scale = 10.0 ** (exponent - rng.uniform(0.0, spread, columns))
            scale[rng.uniform(size=columns) < 0.2] = 0.0
            bound = gram.scaled_norm_upper_bound(scale)
            self._assert_encloses(bound, _exact(matrix, scale))

    @parameterized.product(
        matrix=(1e-300, 1e-60, 1.0, 1e60, 1e300),
        scale=(5e-324, 1e-300, 1e-20, 1.0, 1e300, 1.7e308),
    )
    def test_a_number_is_bounded_at_any_size(self, matrix, scale):
        gram = solvers.ScaledGram(np.asarray([[-matrix]]))
        bound = gram.scaled_norm_upper_bound(np.asarray([scale]))
        exact = Fraction(matrix) * Fraction(scale)
        if math.isinf(bound):
            self.assertGreater(exact, Fraction(1.7e308))
            return
        self.assertGreaterEqual(Fraction(bound), exact)
        limit = exact * Fraction(1.0 + _LOOSENESS) + 2 * Fraction(5e-324)
        self.assertLessEqual(Fraction(bound), limit)

    def test_columns_without_scale_weigh_nothing(self):
        rng = np.random.default_rng(0)
        matrix = rng.standard_normal((5, 6))
        scale = np.asarray([1.0, 0.0, 2.0, 0.0, 0.0, 3.0])
        wild = matrix.copy()
        wild[:, scale == 0.0] *= 1e40
        for each in (matrix, wild):
            bound = solvers.ScaledGram(each).scaled_norm_upper_bound(scale)
            exact = np.linalg.norm(matrix * scale, 2)
            self._assert_encloses(bound, exact)
        gram = solvers.ScaledGram(matrix)
        self.assertEqual(gram.scaled_norm_upper_bound(0.0 * scale), 0.0)

    def test_one_matrix_serves_many_scales_in_any_order(self):
        rng = np.random.default_rng(0)
        matrix = rng.standard_normal((7, 5))
        scales = 10.0 ** rng.uniform(-2.0, 2.0, (6, 5))
        gram = solvers.ScaledGram(matrix)
        first = [gram.scaled_norm_upper_bound(s) for s in scales]
        second = [gram.scaled_norm_upper_bound(s) for s in scales[::-1]]
        self.assertEqual(first, second[::-1])
        alone = solvers.ScaledGram(matrix)
        self.assertEqual(first[3], alone.scaled_norm_upper_bound(scales[3]))

    def test_a_single_column_has_its_length(self):
        column = np.asarray([[3.0], [4.0]])
        bound = solvers.ScaledGram(column).scaled_norm_upper_bound(
            np.asarray([2.0])
        )
        self._assert_encloses(bound, 10.0)

    def test_orthogonal_columns_have_the_longest(self):
        # All eigenvalues of the Gram matrix in one cluster.
        columns = np.linalg.qr(
            np.random.default_rng(0).standard_normal((60, 40))
        )[0]
        scale = 1.0 - 1e-6 * np.arange(40)
        bound = solvers.ScaledGram(columns).scaled_norm_upper_bound(scale)
        self._assert_encloses(bound, _exact(columns, scale), 1e-3)

    @parameterized.parameters(np.nan, np.inf)
    def test_what_is_not_finite_is_not_bounded(self, value):
        matrix, scale = np.eye(3), np.ones(3)
        broken = scale.copy()
        broken[1] = value
        gram = solvers.ScaledGram(matrix)
        self.assertEqual(gram.scaled_norm_upper_bound(broken), math.inf)
        matrix[2, 0] = value
        gram = solvers.ScaledGram(matrix)
        self.assertEqual(gram.scaled_norm_upper_bound(scale), math.inf)

    def test_squares_that_overflow_are_not_needed(self):
        matrix = np.diag([1e200, 1.0])
        gram = solvers.ScaledGram(matrix)
        bound = gram.scaled_norm_upper_bound(np.asarray([1e-200, 1.0]))
        self.assertGreaterEqual(bound, 1.0)
        self.assertLess(bound, math.inf)

    def test_the_rounding_of_the_sums_is_covered(self):
        # 1 + 1e5 * 2**-54, of which a sum from left to right loses all but
        # the one; elsewhere the margin above Lanczos' value hides it.
        count = 100_000
        column = np.full((count + 1, 1), 2.0**-27)
        column[0] = 1.0
        gram = solvers.ScaledGram(column)
        gram._gram[:] = 1.0
        with mock.patch.object(
            scaled_gram, "eigenvalue_upper_bound", lambda a, _: np.max(a)
        ):
            found = gram.scaled_norm_upper_bound(np.ones(1))
        self.assertGreaterEqual(found**2, 1.0 + count * 2.0**-54)


if __name__ == "__main__":
    absltest.main()
