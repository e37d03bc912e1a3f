"""Tests of tfcurv.solvers.eigenvalues against the SVD and exact arithmetic."""

from fractions import Fraction
import math
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import numpy as np
import scipy.linalg

from tfcurv import numerics
from tfcurv import solvers
from tfcurv.solvers import eigenvalues

# How far above the SVD the sharp bounds may lie where Lanczos iteration runs
# to its end, clusters of eigenvalues included.
_SHARPNESS = 1e-7

_BOUNDS = (
    solvers.spectral_norm_upper_bound,
    solvers.frobenius_norm_upper_bound,
)
_named_bounds = parameterized.named_parameters(
    (fn.__name__, fn) for fn in _BOUNDS
)

_seeds = st.integers(0, 2**32 - 1)
_sides = st.integers(1, 12)
_exponents = st.floats(-300.0, 300.0)


def _orthogonal(rng, size: int) -> np.ndarray:
    return np.linalg.qr(rng.standard_normal((size, size)))[0]


def _spectrum(rng, size: int, kind: str) -> np.ndarray:
    """Returns eigenvalues in [0, 1] that make iterations stumble."""
    gap = 10.0 ** rng.uniform(-16.0, 0.0)
    top = np.ones(size)
    if kind == "pair":
        top[1:] = rng.random(size - 1)
        top[1:2] = 1.0 - gap
    elif kind == "cluster":
        top -= gap * rng.random(size)
    elif kind == "isolated":
        top[1:] = 1.0 - gap
    elif kind == "half":
        top[size // 2 :] = 0.0
    elif kind == "decaying":
        top = 10.0 ** -rng.uniform(0.0, 20.0, size)
    return top


_KINDS = ("identity", "pair", "cluster", "isolated", "half", "decaying")


def _is_positive_semidefinite(matrix: list[list[Fraction]]) -> bool:
    """Decides by elimination without rounding."""
    rows = [list(row) for row in matrix]
    for k, row in enumerate(rows):
        if row[k] < 0 or (row[k] == 0 and any(row[k:])):
            return False
        for other in rows[k + 1 :]:
            ratio = other[k] / row[k] if row[k] else Fraction(0)
            other[k:] = [a - ratio * b for a, b in zip(other[k:], row[k:])]
    return True


class ExactCasesTest(parameterized.TestCase):
    def assertSharp(self, bound, exact):
        self.assertGreaterEqual(bound, exact)
        self.assertLessEqual(bound, exact * (1.0 + _SHARPNESS))

    @parameterized.product(
        fn=_BOUNDS, shape=((1, 1), (3, 4), (4, 3), (0, 3), (3, 0), (0, 0))
    )
    def test_a_zero_matrix_has_norm_zero(self, fn, shape):
        self.assertEqual(fn(np.zeros(shape)), 0.0)

    @parameterized.product(
        fn=_BOUNDS,
        entry=(
            1.0,
            -3.7,
            5e-324,
            1e-320,
            1e-310,
            -1e-300,
            1e-160,
            1e160,
            1e300,
        ),
    )
    def test_a_number_is_its_own_norm(self, fn, entry):
        bound = fn(np.asarray([[entry]]))
        self.assertGreaterEqual(bound, abs(entry))
        self.assertLessEqual(bound - 1e-323, abs(entry) * (1.0 + _SHARPNESS))

    @parameterized.product(
        seed=(*range(3),), spread=(0.0, 3.0, 60.0), size=(1, 2, 7, 20)
    )
    def test_a_diagonal_matrix_has_its_largest_entry(self, seed, spread, size):
        rng = np.random.default_rng(seed)
        entries = rng.choice([-1.0, 1.0], size) * 10.0 ** rng.uniform(
            -spread, spread, size
        )
        bound = solvers.spectral_norm_upper_bound(np.diag(entries))
        self.assertSharp(bound, np.max(np.abs(entries)))

    @parameterized.product(seed=(*range(5),), shape=((1, 9), (9, 1), (6, 4)))
    def test_rank_one_has_the_product_of_lengths(self, seed, shape):
        rng = np.random.default_rng(seed)
        left, right = (
            rng.integers(-9, 10, shape[0]),
            rng.integers(1, 9, shape[1]),
        )
        matrix = np.outer(left, right).astype(float)
        exact = math.sqrt(int(left @ left) * int(right @ right))
        for fn in _BOUNDS:  # Every norm of a rank-one matrix is this one.
            with self.subTest(fn.__name__):
                self.assertSharp(fn(matrix), exact)

    @parameterized.parameters(1, 2, 8, 64)
    def test_hadamard_has_the_root_of_its_size(self, size):
        matrix = scipy.linalg.hadamard(size).astype(float)
        bound = solvers.spectral_norm_upper_bound(matrix)
        self.assertSharp(bound, math.sqrt(size))

    @parameterized.product(size=(1, 2, 8, 9, 17, 64, 130), seed=(*range(2),))
    def test_an_orthogonal_matrix_has_norm_one(self, size, seed):
        # Found here: iterating on the noise that is left of an invariant
        # space once gave 13.
        matrix = _orthogonal(np.random.default_rng(seed), size)
        for rows in (size, (size + 1) // 2):
            bound = solvers.spectral_norm_upper_bound(matrix[:rows])
            self.assertGreaterEqual(bound, 1.0 - 1e-14)
            self.assertLessEqual(bound, 1.0 + _SHARPNESS)


class SpectralNormTest(parameterized.TestCase):
    @hypothesis.given(_seeds, _sides, _sides, _exponents)
    @hypothesis.settings(max_examples=300)
    def test_encloses_the_svd_tightly_at_any_scale(self, seed, m, n, exponent):
        rng = np.random.default_rng(seed)
        matrix = rng.standard_normal((m, n)) * 10.0**exponent
        self._check(matrix)

    @hypothesis.given(
        _seeds, st.integers(2, 24), st.sampled_from(_KINDS), _exponents
    )
    @hypothesis.settings(max_examples=300)
    def test_encloses_clustered_and_degenerate_spectra(
        self, seed, size, kind, exponent
    ):
        rng = np.random.default_rng(seed)
        left, right = _orthogonal(rng, size), _orthogonal(rng, size)
        spectrum = _spectrum(rng, size, kind)
        self._check((left * spectrum) @ right * 10.0**exponent)

    @hypothesis.given(_seeds, _sides, _sides)
    @hypothesis.settings(max_examples=100)
    def test_encloses_matrices_of_mixed_scales(self, seed, m, n):
        rng = np.random.default_rng(seed)
        scales = 10.0 ** rng.integers(-150, 150, (m, n))
        zeros = rng.random((m, n)) < 0.2
        self._check(np.where(zeros, 0.0, rng.standard_normal((m, n)) * scales))

    def _check(self, matrix):
        oracle = np.linalg.norm(matrix, 2)
        bound = solvers.spectral_norm_upper_bound(matrix)
        self.assertGreaterEqual(bound, oracle)
        self.assertLessEqual(bound, oracle * (1.0 + _SHARPNESS))

    @hypothesis.given(_seeds, st.integers(1, 5), st.integers(1, 5))
    @hypothesis.settings(max_examples=60)
    def test_is_proved_in_exact_arithmetic(self, seed, m, n):
        rng = np.random.default_rng(seed)
        matrix = rng.standard_normal((m, n))
        # c^2 I - A^T A has no negative eigenvalue, by exact elimination.
        squared = Fraction(solvers.spectral_norm_upper_bound(matrix)) ** 2
        exact = [[Fraction(float(a)) for a in row] for row in matrix]
        columns = list(zip(*exact))
        shifted = [
            [
                squared * (i == j) - sum(a * b for a, b in zip(u, v))
                for j, v in enumerate(columns)
            ]
            for i, u in enumerate(columns)
        ]
        self.assertTrue(_is_positive_semidefinite(shifted))

    @hypothesis.given(_seeds, _sides, _sides, st.integers(-900, 900))
    @hypothesis.settings(max_examples=60)
    def test_scales_with_the_matrix(self, seed, m, n, power):
        matrix = np.random.default_rng(seed).standard_normal((m, n))
        bound = solvers.spectral_norm_upper_bound(matrix)
        scaled = solvers.spectral_norm_upper_bound(matrix * 2.0**power)
        self.assertEqual(scaled, bound * 2.0**power)

    @parameterized.product(seed=(*range(4),), shape=((3, 8), (8, 3), (40, 41)))
    def test_transposing_and_memory_order_change_nothing(self, seed, shape):
        matrix = np.random.default_rng(seed).standard_normal(shape)
        bound = solvers.spectral_norm_upper_bound(matrix)
        for other in (matrix.T, np.asfortranarray(matrix), -matrix):
            found = solvers.spectral_norm_upper_bound(other)
            self.assertAlmostEqual(found, bound, delta=_SHARPNESS * bound)

    @parameterized.product(seed=(0, 1, 2), dtype=(np.float32, np.int64))
    def test_coarser_numbers_are_taken_as_exact(self, seed, dtype):
        # Squares of these overflow or round in their own dtype.
        rng = np.random.default_rng(seed)
        matrix = (rng.standard_normal((9, 14)) * 1e18).astype(dtype)
        if dtype is np.float32:
            matrix *= np.float32(1e12)
        exact = matrix.astype(np.float64)
        for fn in _BOUNDS:
            self.assertEqual(fn(matrix), fn(exact))

    def test_a_large_matrix_with_a_flat_spectrum_is_enclosed(self):
        # More rows than Lanczos steps.
        matrix = np.random.default_rng(0).standard_normal((300, 310))
        self._check(matrix)

    def test_overflow_gives_infinity(self):
        matrix = np.full((4, 4), 1.7e308)
        for fn in _BOUNDS:
            with self.subTest(fn.__name__):
                self.assertEqual(fn(matrix), math.inf)


class NonFiniteTest(parameterized.TestCase):
    @parameterized.product(
        fn=(*_BOUNDS, solvers.eigenvalue_upper_bound),
        bad=(math.nan, math.inf, -math.inf),
        size=(1, 3, 300),
    )
    def test_bounds_nothing_that_is_not_finite(self, fn, bad, size):
        matrix = np.eye(size)
        matrix[size // 2, -1] = matrix[-1, size // 2] = bad
        self.assertEqual(fn(matrix), math.inf)

    @parameterized.parameters(1, 3, 300)
    def test_infinities_of_both_signs_do_not_cancel(self, size):
        matrix = np.eye(2 * size)
        matrix[0, 0], matrix[-1, -1] = math.inf, -math.inf
        self.assertEqual(solvers.eigenvalue_upper_bound(matrix), math.inf)


class EigenvalueTest(parameterized.TestCase):
    @parameterized.parameters(1, 100, 2121)
    def test_the_first_proposal_is_sure_to_factorise_as_claimed(self, size):
        rounding = 2.0 * size * numerics.gamma(size + 1)
        self.assertLess(rounding, eigenvalues._MARGINS[0])

    def test_beyond_that_later_proposals_are(self):
        rounding = 2.0 * 2122 * numerics.gamma(2123)
        self.assertGreater(rounding, eigenvalues._MARGINS[0])
        rounding = 2.0 * 21_000 * numerics.gamma(21_001)
        self.assertLess(rounding, eigenvalues._MARGINS[1])

    @parameterized.parameters(((1e-17,),), ((-1e-3, 1e-7),), ((),))
    def test_holds_whatever_is_proposed(self, margins):
        root = np.random.default_rng(4).standard_normal((30, 12))
        matrix = root @ root.T
        with mock.patch.object(eigenvalues, "_MARGINS", margins):
            bound = solvers.eigenvalue_upper_bound(matrix)
        self.assertGreaterEqual(bound, np.linalg.eigvalsh(matrix)[-1])

    @hypothesis.given(
        _seeds, st.integers(1, 24), st.sampled_from(_KINDS), _exponents
    )
    @hypothesis.settings(max_examples=200)
    def test_encloses_the_largest_eigenvalue_tightly(
        self, seed, size, kind, exponent
    ):
        rng = np.random.default_rng(seed)
        basis = _orthogonal(rng, size)
        matrix = (basis * _spectrum(rng, size, kind)) @ basis.T
        matrix = (matrix + matrix.T) * 10.0**exponent
        oracle = np.linalg.eigvalsh(matrix)[-1]
        bound = solvers.eigenvalue_upper_bound(matrix)
        self.assertGreaterEqual(bound, oracle * (1.0 - 1e-14))
        self.assertLessEqual(bound, oracle * (1.0 + 2.0 * _SHARPNESS))

    def test_an_empty_or_zero_matrix_has_none_above_zero(self):
        for size in (0, 1, 5):
            found = solvers.eigenvalue_upper_bound(np.zeros((size, size)))
            self.assertEqual(found, 0.0)

    def test_a_bordered_identity_is_enclosed_exactly(self):
        # Eigenvalues 1 +- sqrt(1/4): 3/2 and 1/2.
        matrix = np.asarray([[1.0, 0.5], [0.5, 1.0]])
        bound = solvers.eigenvalue_upper_bound(matrix)
        self.assertBetween(bound, 1.5, 1.5 * (1.0 + _SHARPNESS))

    @parameterized.product(
        proposal=(0.0, -1.0, 0.5, 0.999999, 1e30, math.nan, math.inf),
        size=(2, 40, 300),
    )
    def test_a_wrong_proposal_costs_tightness_and_never_truth(
        self, proposal, size
    ):
        # Found here: LAPACK factorises NaN without complaint when the matrix
        # is large, so that NaN was once "proved".
        rng = np.random.default_rng(size)
        half = rng.standard_normal((size, size))
        matrix = half @ half.T
        exact = np.linalg.eigvalsh(matrix)[-1]
        matrix /= exact
        with mock.patch.object(
            eigenvalues, "largest_eigenvalue_estimate", return_value=proposal
        ):
            bound = solvers.eigenvalue_upper_bound(matrix)
        self.assertGreaterEqual(bound, 1.0 - 1e-14)


class EstimateTest(parameterized.TestCase):
    @hypothesis.given(_seeds, st.integers(1, 24), st.sampled_from(_KINDS))
    @hypothesis.settings(max_examples=150)
    def test_approaches_the_largest_eigenvalue_from_below(
        self, seed, size, kind
    ):
        rng = np.random.default_rng(seed)
        basis = _orthogonal(rng, size)
        matrix = (basis * _spectrum(rng, size, kind)) @ basis.T
        matrix = 0.5 * (matrix + matrix.T)
        oracle = np.linalg.eigvalsh(matrix)[-1]
        found = eigenvalues.largest_eigenvalue_estimate(matrix)
        self.assertLessEqual(found, oracle * (1.0 + 1e-12))
        self.assertGreaterEqual(found, oracle * (1.0 - _SHARPNESS))

    def test_too_few_steps_stay_below(self):
        rng = np.random.default_rng(0)
        half = rng.standard_normal((80, 80))
        matrix = half @ half.T
        oracle = np.linalg.eigvalsh(matrix)[-1]
        found = [
            eigenvalues.largest_eigenvalue_estimate(matrix, max_steps=steps)
            for steps in (1, 3, 8, 20, 80)
        ]
        self.assertEqual(found, sorted(found))
        self.assertLess(found[0], 0.9 * oracle)
        self.assertLessEqual(found[-1], oracle * (1.0 + 1e-12))

    def test_equal_matrices_have_equal_estimates(self):
        half = np.random.default_rng(0).standard_normal((50, 50))
        first, second = (
            eigenvalues.largest_eigenvalue_estimate(half @ half.T)
            for _ in range(2)
        )
        self.assertEqual(first, second)


class FrobeniusTest(parameterized.TestCase):
    @hypothesis.given(_seeds, st.integers(1, 60), st.floats(-300, 300))
    @hypothesis.settings(max_examples=100)
    def test_bounds_the_exact_sum_of_squares(self, seed, size, exponent):
        rng = np.random.default_rng(seed)
        scales = 10.0 ** rng.uniform(exponent - 8.0, exponent, size)
        vector = rng.standard_normal(size) * scales
        exact = sum(Fraction(float(x)) ** 2 for x in vector)
        found = solvers.frobenius_norm_upper_bound(vector)
        bound = Fraction(found) ** 2
        self.assertGreaterEqual(bound, exact)
        self.assertLessEqual(bound, exact * (1 + Fraction(1, 10**12)))

    def test_takes_arrays_of_any_rank(self):
        for shape in ((16,), (4, 4), (2, 2, 4)):
            found = solvers.frobenius_norm_upper_bound(np.ones(shape))
            self.assertAlmostEqual(found, 4.0, delta=1e-13)


if __name__ == "__main__":
    absltest.main()
