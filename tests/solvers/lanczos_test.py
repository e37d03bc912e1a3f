"""Tests of tfcurv.solvers.lanczos against dense eigenvalues."""

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import numpy as np
import tensorflow as tf

import bounds_oracles as oracles
from tfcurv import solvers


def _matrices(batch, dim, seed=0):
    """Symmetric matrices of sizes from 1e-3 to 1e3."""
    rng = np.random.default_rng(seed)
    half = rng.standard_normal((batch, dim, dim))
    scale = 10.0 ** rng.uniform(-3, 3, (batch, 1, 1))
    return scale * (half + np.swapaxes(half, 1, 2))


def _start(batch, dim, seed=1):
    return np.random.default_rng(seed).standard_normal((batch, dim))


def _run(matrices, start=None, num_steps=20, dtype=np.float64):
    matrices = tf.constant(np.asarray(matrices, dtype))
    if start is None:
        start = _start(*matrices.shape[:2])
    found = solvers.extreme_ritz_values(
        lambda v: tf.linalg.matvec(matrices, v),
        tf.constant(start.astype(dtype)),
        num_steps=num_steps,
    )
    return found.smallest.numpy(), found.largest.numpy()


class ExtremeRitzValuesTest(parameterized.TestCase):
    @hypothesis.settings(max_examples=40)
    @hypothesis.given(
        st.integers(1, 12), st.integers(1, 15), st.integers(0, 2**31)
    )
    def test_never_leaves_the_spectrum(self, dim, num_steps, seed):
        matrices = _matrices(3, dim, seed)
        smallest, largest = _run(matrices, num_steps=num_steps)
        truth = np.linalg.eigvalsh(matrices)
        slack = 1e-13 * np.max(np.abs(truth), axis=1)
        self.assertTrue(np.all(smallest >= truth[:, 0] - slack))
        self.assertTrue(np.all(largest <= truth[:, -1] + slack))
        self.assertTrue(np.all(smallest <= largest))

    @parameterized.parameters(
        (np.float64, 1, 1e-14), (np.float64, 9, 1e-12), (np.float32, 9, 1e-5)
    )
    def test_as_many_steps_as_dimensions_find_the_ends(self, dtype, dim, error):
        matrices = _matrices(5, dim)
        truth = np.linalg.eigvalsh(matrices)
        scale = np.max(np.abs(truth), axis=1)
        for steps in dim, dim + 7:
            found = _run(matrices, num_steps=steps, dtype=dtype)
            self.assertEqual(found[0].dtype, dtype)
            for ours, exact in zip(found, (truth[:, 0], truth[:, -1])):
                np.testing.assert_array_less(
                    np.abs(ours - exact), error * scale
                )

    def test_twenty_steps_find_ends_that_stand_out(self):
        rng = np.random.default_rng(3)
        basis = np.linalg.qr(rng.standard_normal((300, 300)))[0]
        spectrum = np.concatenate([[-4.0, 7.0], rng.uniform(-1, 1, 298)])
        found = _run([(basis * spectrum) @ basis.T])
        np.testing.assert_allclose(found, [[-4.0], [7.0]], rtol=1e-9)

    def test_more_steps_never_find_less(self):
        matrices = _matrices(4, 30)
        before = _run(matrices, num_steps=1)
        np.testing.assert_array_equal(*before)
        for steps in range(2, 30):
            found = _run(matrices, num_steps=steps)
            slack = 1e-12 * np.abs(found[1])
            self.assertTrue(np.all(found[0] <= before[0] + slack))
            self.assertTrue(np.all(found[1] >= before[1] - slack))
            before = found

    @parameterized.parameters(-2.0, 3.0, 1e-150, -1e150)
    def test_an_exhausted_space_adds_no_zero(self, value):
        # One eigenvalue, far from zero: the space has one dimension.
        np.testing.assert_allclose(
            _run([value * np.eye(6)]), [[value], [value]], rtol=1e-14
        )

    def test_of_few_eigenvalues_finds_both_ends_and_no_more(self):
        diagonal = np.diag([-3.0, -3.0, -2.0, -2.0, -1.0, -1.0])
        np.testing.assert_allclose(
            _run([diagonal]), [[-3.0], [-1.0]], rtol=1e-13
        )

    def test_what_the_start_does_not_see_is_not_found(self):
        # Estimates from inside: this is why they prove nothing.
        start = np.array([[1.0, 1.0, 0.0]])
        found = _run([np.diag([1.0, 2.0, 9.0])], start)
        np.testing.assert_allclose(found, [[1.0], [2.0]], rtol=1e-13)

    def test_zeros_give_zero(self):
        zeros = np.zeros((2, 4, 4))
        np.testing.assert_array_equal(_run(zeros), np.zeros((2, 2)))
        found = _run(_matrices(2, 4), np.zeros((2, 4)))
        np.testing.assert_array_equal(found, np.zeros((2, 2)))

    @parameterized.parameters(np.nan, np.inf)
    def test_a_row_that_is_not_finite_is_nan_and_alone(self, value):
        matrices = _matrices(3, 5)
        broken = matrices.copy()
        broken[1, 2, 2] = value
        found, expected = _run(broken), _run(matrices)
        for ours, fine in zip(found, expected):
            self.assertTrue(np.isnan(ours[1]))
            np.testing.assert_allclose(ours[[0, 2]], fine[[0, 2]], rtol=1e-14)

    def test_rows_do_not_depend_on_each_other(self):
        matrices, start = _matrices(6, 8), _start(6, 8)
        together = _run(matrices, start)
        for row in range(6):
            part = slice(row, row + 1)
            alone = _run(matrices[part], start[part])
            np.testing.assert_allclose(
                np.ravel(alone), [each[row] for each in together], rtol=1e-12
            )

    def test_neither_scale_nor_shift_changes_the_space(self):
        matrices = _matrices(3, 40)
        plain = _run(matrices, num_steps=6)
        scaled = _run(2.0**40 * matrices, num_steps=6)
        np.testing.assert_array_equal(scaled, 2.0**40 * np.array(plain))
        size = np.max(np.abs(matrices), axis=(1, 2))
        shift = size[:, None, None] * np.eye(40)
        shifted = _run(matrices + shift, num_steps=6)
        np.testing.assert_allclose(
            shifted, np.array(plain) + size, atol=1e-11 * np.max(size)
        )

    @oracles.in_every_regime
    def test_is_the_same_in_every_regime(self, compiled):
        matrices = tf.constant(_matrices(3, 8))

        def run(start):
            return solvers.extreme_ritz_values(
                lambda v: tf.linalg.matvec(matrices, v), start, num_steps=8
            )

        start = _start(3, 8)
        found = compiled(run)(tf.constant(start))
        np.testing.assert_allclose(found, _run(matrices, start, 8), rtol=1e-10)

    @parameterized.parameters(0, -1)
    def test_refuses_no_step(self, num_steps):
        with self.assertRaisesRegex(ValueError, f"num_steps={num_steps}"):
            _run(np.eye(2)[None], num_steps=num_steps)


if __name__ == "__main__":
    absltest.main()
