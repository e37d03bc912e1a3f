"""Batched conjugate gradients for symmetric positive definite operators."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


class _State(NamedTuple):
    solution: tf.Tensor
    residual: tf.Tensor
    direction: tf.Tensor
    squared: tf.Tensor


def conjugate_gradient(
    operator: Callable[[tf.Tensor], tf.Tensor],
    right: tf.Tensor,
    *,
    num_iterations: int,
    relative_tolerance: float = 1e-3,
) -> tf.Tensor:
    """Returns approximate solutions of A x = b, one per row.

    Rows that have converged, or along whose direction A is found not to be
    positive, stay where they are while the others go on.

    Args:
        operator: Maps `[batch, dim]` rows v to rows A v.
        right: `[batch, dim]` right-hand sides b.
        num_iterations: Most products with A.
        relative_tolerance: A row stops when ||A x - b|| is this small
            relative to ||b||.
    """
    goal = relative_tolerance**2 * _dot(right, right)

    def goes_on(state):
        return tf.reduce_any(state.squared > goal)

    def improve(state):
        product = operator(state.direction)
        along = _dot(state.direction, product)
        active = (state.squared > goal) & (along > 0.0)
        step = tf.math.divide_no_nan(state.squared, along)
        step = tf.where(active, step, tf.zeros_like(step))[:, tf.newaxis]
        residual = state.residual - step * product
        squared = _dot(residual, residual)
        ratio = tf.math.divide_no_nan(squared, state.squared)
        # A row that stopped has squared = 0 from here on: it is finished.
        squared = tf.where(active, squared, tf.zeros_like(squared))
        return [
            _State(
                state.solution + step * state.direction,
                residual,
                residual + ratio[:, tf.newaxis] * state.direction,
                squared,
            )
        ]

    start = _State(tf.zeros_like(right), right, right, _dot(right, right))
    (end,) = tf.while_loop(
        goes_on, improve, [start], maximum_iterations=num_iterations
    )
    return end.solution


def _dot(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(a * b, axis=-1)
