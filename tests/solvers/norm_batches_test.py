"""Tests of tfcurv.solvers.norm_batches against singular values."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from tfcurv import solvers


def _batches(matrices, size: int):
    for start in range(0, len(matrices), size):
        some = matrices[start : start + size]
        yield solvers.ComplexMatrices(some.real.copy(), some.imag.copy())


def _largest(matrices) -> float:
    return float(np.linalg.svd(matrices, compute_uv=False).max())


def _random(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 9, size=3)
    matrices = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    return matrices * 10.0 ** rng.uniform(-3, 3, size=(shape[0], 1, 1))


class LargestNormTest(parameterized.TestCase):
    @parameterized.product(
        size=(1, 3, 100),
        rigor=(solvers.Rigor.VERIFIED, solvers.Rigor.FLOAT64),
    )
    def test_encloses_the_singular_values(self, size, rigor):
        for seed in range(40):
            matrices = _random(seed)
            exact = _largest(matrices)
            found = solvers.largest_norm_upper_bound(
                _batches(matrices, size), rigor
            )
            with self.subTest(seed):
                self.assertGreaterEqual(found, exact * (1.0 - 1e-15))
                self.assertLessEqual(found, exact * (1.0 + 1e-8))

    def test_the_order_does_not_matter(self):
        matrices = np.stack([np.eye(3), 5.0 * np.eye(3), 2.0 * np.eye(3)])
        for order in ([0, 1, 2], [1, 0, 2], [2, 0, 1]):
            found = solvers.largest_norm_upper_bound(
                _batches(matrices[order] + 0j, 1)
            )
            self.assertAlmostEqual(found, 5.0, delta=1e-7)
            self.assertGreaterEqual(found, 5.0)

    @parameterized.parameters(1, 4)
    def test_zero_matrices(self, size):
        matrices = np.zeros((2, size, size), complex)
        found = solvers.largest_norm_upper_bound(_batches(matrices, 2))
        self.assertLessEqual(found, 1e-60)

    def test_no_matrices(self):
        self.assertLessEqual(solvers.largest_norm_upper_bound([]), 1e-60)

    @parameterized.parameters(np.nan, np.inf)
    def test_what_is_not_finite_is_not_bounded(self, bad):
        matrices = np.ones((2, 3, 3), complex)
        matrices[1, 0, 2] = bad
        found = solvers.largest_norm_upper_bound(_batches(matrices, 1))
        self.assertEqual(found, np.inf)


if __name__ == "__main__":
    absltest.main()
