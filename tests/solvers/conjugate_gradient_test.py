"""Tests of tfcurv.solvers.conjugate_gradient against direct solution."""

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import numpy as np
import tensorflow as tf

import bounds_oracles as oracles
from tfcurv import solvers


def _system(seed: int, batch: int, dim: int, condition: float = 30.0):
    """Returns positive definite matrices and right-hand sides."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((batch, dim, dim)))[0]
    spectrum = condition ** rng.uniform(-1.0, 0.0, (batch, 1, dim))
    matrices = (basis * spectrum) @ np.swapaxes(basis, 1, 2)
    return matrices, rng.standard_normal((batch, dim))


def _solve(matrices, right, num_iterations, tolerance=1e-3):
    return solvers.conjugate_gradient(
        lambda v: tf.linalg.matvec(matrices, v),
        tf.constant(right),
        num_iterations=num_iterations,
        relative_tolerance=tolerance,
    ).numpy()


def _residual(matrices, x, right):
    product = np.einsum("bij,bj->bi", matrices, x)
    return np.linalg.norm(product - right, axis=-1)


class ConjugateGradientTest(parameterized.TestCase):
    @hypothesis.given(st.integers(0, 10**6), st.integers(1, 8))
    @hypothesis.settings(max_examples=25)
    def test_solves_in_as_many_steps_as_dimensions(self, seed, dim):
        matrices, right = _system(seed, 3, dim)
        found = _solve(matrices, right, dim + 1, 1e-10)
        exact = np.linalg.solve(matrices, right[..., np.newaxis])[..., 0]
        np.testing.assert_allclose(found, exact, rtol=1e-6, atol=1e-6)

    @parameterized.parameters(1e-1, 1e-3, 1e-8)
    def test_stops_at_the_tolerance_and_not_long_after(self, tolerance):
        matrices, right = _system(0, 8, 20, 1e3)
        found = _solve(matrices, right, 200, tolerance)
        relative = _residual(matrices, found, right)
        relative /= np.linalg.norm(right, axis=-1)
        self.assertLess(np.max(relative), tolerance * 1.01)
        # Less work than the exact solution: the tolerance is not ignored.
        self.assertGreater(np.max(relative), 1e-3 * tolerance)

    def test_one_step_is_steepest_descent(self):
        matrices, right = _system(1, 3, 5)
        product = np.einsum("bij,bj->bi", matrices, right)
        step = np.sum(right**2, -1) / np.sum(right * product, -1)
        found = _solve(matrices, right, 1)
        np.testing.assert_allclose(found, step[:, np.newaxis] * right, 1e-12)

    def test_every_step_brings_it_nearer_in_the_energy_norm(self):
        matrices, right = _system(2, 4, 9, 1e2)
        exact = np.linalg.solve(matrices, right[..., np.newaxis])[..., 0]
        energies = []
        for steps in range(9):
            error = _solve(matrices, right, steps, 1e-12) - exact
            energies.append(np.einsum("bi,bij,bj->b", error, matrices, error))
        self.assertTrue(np.all(np.diff(energies, axis=0) < 0.0))

    def test_no_steps_leave_zero(self):
        matrices, right = _system(2, 4, 3)
        self.assertFalse(np.any(_solve(matrices, right, 0)))

    def test_a_slow_row_never_changes_the_answer_of_a_fast_one(self):
        # Elementwise operators, so that batching rounds nothing differently.
        scales = np.stack([np.full(6, 2.0), np.geomspace(1e-4, 1.0, 6)])
        right = np.ones((2, 6))

        def solve(rows):
            return solvers.conjugate_gradient(
                lambda v: scales[rows] * v,
                tf.constant(right[rows]),
                num_iterations=50,
                relative_tolerance=1e-8,
            ).numpy()

        alone, together = solve([0]), solve([0, 1])
        np.testing.assert_array_equal(together[0], alone[0])
        np.testing.assert_allclose(together[1], 1.0 / scales[1], rtol=1e-4)

    @parameterized.parameters(np.nan, np.inf, 1e200, 0.0)
    def test_a_hopeless_row_never_changes_the_answer_of_another(self, entry):
        matrices, right = _system(5, 2, 4)
        calm = _solve(matrices, right, 10, 1e-9)
        right[1] = entry
        found = _solve(matrices, right, 10, 1e-9)
        np.testing.assert_array_equal(found[0], calm[0])

    def test_stays_where_the_operator_is_not_positive(self):
        matrices = np.stack([np.eye(3), -np.eye(3), np.diag([1.0, 1.0, -5.0])])
        right = np.tile([3.0, 4.0, 0.1], (3, 1))
        found = _solve(matrices, right, 20)
        np.testing.assert_allclose(found[0], right[0], rtol=1e-12)
        np.testing.assert_array_equal(found[1], 0.0)
        # The third row goes as far as the curvature stays positive, where the
        # quadratic is lower than at the start.
        x = found[2]
        self.assertTrue(np.all(np.isfinite(x)))
        self.assertLess(0.5 * x @ matrices[2] @ x - right[2] @ x, 0.0)

    def test_a_zero_right_hand_side_has_the_zero_solution(self):
        matrices, right = _system(0, 2, 3)
        self.assertFalse(np.any(_solve(matrices, 0.0 * right, 5)))

    @parameterized.parameters(1e-12, 1e12)
    def test_scales_with_the_right_hand_side(self, factor):
        matrices, right = _system(7, 3, 5)
        found = _solve(matrices, right * factor, 4)
        expected = factor * _solve(matrices, right, 4)
        np.testing.assert_allclose(found, expected, rtol=1e-10)

    @parameterized.parameters((np.float32, 1e-4), (np.float64, 1e-9))
    def test_keeps_the_dtype(self, dtype, accuracy):
        matrices, right = _system(3, 2, 6)
        matrices, right = matrices.astype(dtype), right.astype(dtype)
        found = _solve(matrices, right, 12, accuracy / 100.0)
        self.assertEqual(found.dtype, dtype)
        relative = _residual(matrices, found, right)
        self.assertLess(np.max(relative), accuracy)

    @oracles.in_every_regime
    def test_is_the_same_in_every_regime(self, compiled):
        matrices, right = _system(4, 3, 6)
        expected = _solve(matrices, right, 6, 1e-9)

        def solve(right):
            return solvers.conjugate_gradient(
                lambda v: tf.linalg.matvec(matrices, v),
                right,
                num_iterations=6,
                relative_tolerance=1e-9,
            )

        found = compiled(solve)(tf.constant(right))
        np.testing.assert_allclose(found, expected, rtol=1e-8)


if __name__ == "__main__":
    absltest.main()
