"""Tests of iterations in which finished rows leave the batch."""

from typing import NamedTuple

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tfcurv import solvers

in_every_regime = parameterized.named_parameters(
    ("eager", lambda fn: fn), ("graph", tf.function)
)


class _Countdown(NamedTuple):
    value: tf.Tensor
    steps: tf.Tensor
    active: tf.Tensor


def _count_down(amounts, max_steps, compiled=lambda fn: fn):
    """Subtracts each row's own amount until it is not positive."""
    sizes = []

    def step(amount, state):
        sizes.append(state.value.shape[0])
        value = tf.where(state.active, state.value - amount, state.value)
        steps = state.steps + tf.cast(state.active, tf.int32)
        return _Countdown(value, steps, state.active & (value > 0.0))

    def run(amount):
        start = _Countdown(
            tf.ones_like(amount),
            tf.zeros_like(amount, tf.int32),
            tf.ones_like(amount, tf.bool),
        )
        return solvers.iterate(
            step, amount, start, max_steps=max_steps, result=lambda end: end
        )

    end = compiled(run)(tf.constant(amounts, tf.float64))
    return _Countdown(*(field.numpy() for field in end)), sizes


class IterateTest(parameterized.TestCase):
    @in_every_regime
    def test_every_row_takes_the_steps_that_it_needs(self, compiled):
        needed = np.array([1, 2, 3, 5, 8, 13, 21, 1])
        end, _ = _count_down(1.0 / (needed - 0.5), 50, compiled)
        np.testing.assert_array_equal(end.steps, needed)
        self.assertFalse(np.any(end.active))

    @in_every_regime
    def test_stops_after_the_most_steps_of_any_row(self, compiled):
        for most in (0, 1, 3, 4, 5, 9):
            end, _ = _count_down([0.9, 1e-3], most, compiled)
            np.testing.assert_array_equal(end.steps, [min(most, 2), most])
            self.assertEqual(end.active[1], True)

    def test_a_slow_row_does_not_change_a_fast_one(self):
        alone, _ = _count_down([0.3, 0.7], 100)
        beside, _ = _count_down([0.3, 1e-2, 0.7], 100)
        np.testing.assert_array_equal(alone.value, beside.value[[0, 2]])
        np.testing.assert_array_equal(alone.steps, beside.steps[[0, 2]])

    def test_finished_rows_leave_the_batch(self):
        _, sizes = _count_down([2.0] * 30 + [0.06], 100)
        self.assertEqual(sizes[0], 31)
        self.assertEqual(sizes[-1], 1)
        # Seventeen steps of the slow row, four at most beside the others.
        self.assertLess(sum(sizes), 4 * 31 + 17)

    @in_every_regime
    def test_gives_what_is_asked_for(self, compiled):
        def run(amount):
            start = _Countdown(amount * 0.0 + 1.0, amount * 0.0, amount > 0.0)
            return solvers.iterate(
                lambda amount, state: _Countdown(
                    tf.where(state.active, state.value - amount, state.value),
                    state.steps + tf.cast(state.active, tf.float32),
                    state.value > 1.5 * amount,
                ),
                amount,
                start,
                max_steps=9,
                result=lambda end: (end.steps, -end.value),
            )

        # A row that is not active from the start takes no step.
        steps, value = compiled(run)(tf.constant([0.5, -1.0, 0.25]))
        np.testing.assert_array_equal(steps, [2.0, 0.0, 4.0])
        np.testing.assert_array_equal(value, [0.0, -1.0, 0.0])

    @in_every_regime
    def test_an_empty_batch_comes_back_empty(self, compiled):
        end, _ = _count_down(np.zeros([0]), 5, compiled)
        self.assertEqual(end.value.shape, (0,))


if __name__ == "__main__":
    absltest.main()
