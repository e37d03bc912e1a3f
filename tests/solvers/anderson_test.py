"""Tests of tfcurv.solvers.anderson."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import bounds_oracles as oracles
from tfcurv import solvers

_DIM = 4


def _contractions(seed: int, batch: int, rate: float, dtype=np.float64):
    """Returns maps x -> A x + b with ||A|| = rate, and their fixed points."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((batch, _DIM, _DIM)))[0]
    spectrum = rate * np.linspace(-1.0, 1.0, _DIM)
    matrices = (basis * spectrum) @ np.swapaxes(basis, 1, 2)
    constants = rng.standard_normal((batch, _DIM))
    fixed = np.linalg.solve(np.eye(_DIM) - matrices, constants[..., np.newaxis])
    matrices, constants = matrices.astype(dtype), constants.astype(dtype)
    return (lambda x: tf.linalg.matvec(matrices, x) + constants), fixed[..., 0]


def _iterate(fn, start, num_steps: int, depth: int = _DIM):
    """Returns the last of the iterates that a search would make."""
    x = tf.convert_to_tensor(start)
    residual = fn(x) - x
    memory = solvers.initial_memory(x, residual, depth)
    x = x + residual
    for _ in range(num_steps):
        x, memory = solvers.anderson_step(memory, x, fn(x) - x)
    return x


def _normal(seed: int):
    return tf.constant(np.random.default_rng(seed).standard_normal((3, _DIM)))


def _distance(x, fixed) -> float:
    return float(np.max(np.linalg.norm(x.numpy() - fixed, axis=-1)))


class AndersonTest(parameterized.TestCase):
    @parameterized.product(seed=(0, 1, 2), rate=(0.5, 0.9, 0.99))
    def test_solves_a_linear_equation_in_few_more_steps_than_dimensions(
        self, seed, rate
    ):
        fn, fixed = _contractions(seed, 5, rate)
        found = _iterate(fn, np.zeros((5, _DIM)), 3 * _DIM)
        self.assertLess(_distance(found, fixed), 1e-6)

    @parameterized.product(seed=(0, 1), depth=(2, 3, 4, 8))
    def test_a_short_memory_beats_plain_iteration_by_far(self, seed, depth):
        fn, fixed = _contractions(seed, 5, 0.97)
        start = np.zeros((5, _DIM))
        plain = tf.constant(start)
        for _ in range(16):
            plain = fn(plain)
        found = _iterate(fn, start, 15, depth)
        self.assertLess(_distance(found, fixed), 1e-2 * _distance(plain, fixed))

    def test_finds_the_fixed_point_of_the_cosine(self):
        start = np.linspace(-1.0, 2.0, 12).reshape(4, 3)
        found = _iterate(tf.cos, start, 16)
        self.assertLess(_distance(found, 0.7390851332151607), 1e-12)

    def test_without_differences_the_step_is_plain(self):
        fn, _ = _contractions(0, 3, 0.9)
        x = _normal(1)
        residual = fn(x) - x
        memory = solvers.initial_memory(x, residual, 3)
        following, left = solvers.anderson_step(memory, x, residual)
        np.testing.assert_allclose(following, fn(x), rtol=1e-14)
        self.assertLen(left.position_steps, 3)
        self.assertFalse(np.any(left.position_steps))

    def test_where_the_residual_has_grown_the_memory_is_dropped(self):
        fn, _ = _contractions(0, 2, 0.9)
        start = tf.zeros([2, _DIM], tf.float64)
        memory = solvers.initial_memory(start, fn(start) - start, 3)
        nearer = fn(start)
        x, memory = solvers.anderson_step(memory, nearer, fn(nearer) - nearer)
        # Row 0 is thrown far away, row 1 goes on.
        x += tf.constant([[1e3], [0.0]], tf.float64)
        residual = fn(x) - x
        following, memory = solvers.anderson_step(memory, x, residual)
        np.testing.assert_allclose(following[0], fn(x)[0], rtol=1e-12)
        self.assertEqual(memory.usable.numpy().tolist(), [[0] * 3, [0, 1, 1]])
        self.assertGreater(np.max(np.abs(following[1] - fn(x)[1])), 1e-6)

    def test_remembers_the_last_steps_and_forgets_older_ones(self):
        x = tf.zeros([1, 2], tf.float64)
        memory = solvers.initial_memory(x, x + 8.0, 2)
        for step in (1.0, 3.0, 6.0):
            _, memory = solvers.anderson_step(memory, x + step, x + 8.0 - step)
        positions, residuals = memory.position_steps, memory.residual_steps
        self.assertEqual([float(step[0, 0]) for step in positions], [2, 3])
        self.assertEqual([float(step[0, 0]) for step in residuals], [-2, -3])
        expected = 2.0 * np.array([[[4.0, 6.0], [6.0, 9.0]]])
        np.testing.assert_array_equal(memory.products, expected)
        self.assertEqual(memory.position[0, 0], 6.0)
        self.assertEqual(memory.residual[0, 0], 2.0)

    @parameterized.product(
        dtype=(np.float32, np.float64),
        disturbance=(np.nan, np.inf, 1e30, 1e-30, 0.0),
    )
    def test_no_row_disturbs_another(self, dtype, disturbance):
        fn, _ = _contractions(3, 2, 0.9, dtype)

        def disturbed(x):
            return tf.concat([fn(x)[:1], 0.5 * x[1:]], axis=0)

        start = np.zeros((2, _DIM), dtype)
        calm = _iterate(disturbed, start, 6)
        start[1] = disturbance
        found = _iterate(disturbed, start, 6)
        np.testing.assert_array_equal(found[0], calm[0])
        if np.isfinite(disturbance):
            self.assertTrue(np.all(np.isfinite(found[1])))

    @parameterized.parameters(np.float32, np.float64)
    def test_a_fixed_point_stays(self, dtype):
        x = np.ones((2, _DIM), dtype)
        found = _iterate(tf.identity, x, 5)
        self.assertEqual(found.dtype, tf.as_dtype(dtype))
        np.testing.assert_array_equal(found, x)

    @parameterized.parameters(np.float32, np.float64)
    def test_parallel_differences_leave_it_finite(self, dtype):
        # Every difference points the same way: the normal equations are
        # singular.
        start = np.ones((3, _DIM), dtype)
        found = _iterate(lambda x: 0.9 * x, start, 8)
        self.assertLess(_distance(found, 0.0), 1e-3)

    @oracles.in_every_regime
    def test_is_the_same_in_every_regime(self, compiled):
        fn, _ = _contractions(4, 3, 0.9)
        x = _normal(3)
        memory = solvers.initial_memory(x, fn(x) - x, 2)
        _, memory = solvers.anderson_step(memory, fn(x), fn(fn(x)) - fn(x))
        x = fn(fn(x))
        expected, _ = solvers.anderson_step(memory, x, fn(x) - x)
        found, _ = compiled(solvers.anderson_step)(memory, x, fn(x) - x)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


if __name__ == "__main__":
    absltest.main()
