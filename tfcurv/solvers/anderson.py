"""Anderson acceleration of batched fixed-point iterations."""

from typing import NamedTuple

import tensorflow as tf

# Relative to the trace of the normal equations, in square roots of roundoffs:
# their condition number is the square of the least-squares problem's.
_REGULARISATION = {tf.float32: 1e-6, tf.float64: 1e-12}


class AndersonMemory(NamedTuple):
    """The last differences of a batch of fixed-point iterations.

    Attributes:
        position_steps: `[batch, depth, dim]` differences of the iterates.
        residual_steps: `[batch, depth, dim]` differences of the residuals.
        position: `[batch, dim]` the previous iterate.
        residual: `[batch, dim]` the previous residual.
    """

    position_steps: tf.Tensor
    residual_steps: tf.Tensor
    position: tf.Tensor
    residual: tf.Tensor


def initial_memory(
    position: tf.Tensor, residual: tf.Tensor, depth: int
) -> AndersonMemory:
    """Returns the memory after the first evaluation: no differences yet."""
    empty = tf.repeat(tf.zeros_like(position)[:, tf.newaxis], depth, axis=1)
    return AndersonMemory(empty, empty, position, residual)


def anderson_step(
    memory: AndersonMemory, position: tf.Tensor, residual: tf.Tensor
) -> tuple[tf.Tensor, AndersonMemory]:
    """Returns the next iterate of x = F(x), and the memory that it leaves.

    With residual r = F(x) - x and the stored differences dX, dR,

        x_next = x + r - (dX + dR) c,   c = argmin ||r - dR c||

    (Anderson, J. ACM 12, 1965; type II). Where the residual has grown since
    the last step the memory is dropped and the plain step x + r is taken.

    Args:
        memory: What the previous steps left.
        position: `[batch, dim]` current iterate x.
        residual: `[batch, dim]` F(x) - x there.
    """
    grown = tf.norm(residual, axis=-1) > tf.norm(memory.residual, axis=-1)
    keep = tf.cast(~grown, position.dtype)[:, tf.newaxis, tf.newaxis]
    steps = _push(memory.position_steps, position - memory.position) * keep
    changes = _push(memory.residual_steps, residual - memory.residual) * keep
    weights = _least_squares(changes, residual)
    correction = tf.einsum("bkd,bk->bd", steps + changes, weights)
    # A singular system solves to NaN; the plain step needs no solution.
    correction = tf.where(
        tf.math.is_finite(correction), correction, tf.zeros_like(correction)
    )
    return (
        position + residual - correction,
        AndersonMemory(steps, changes, position, residual),
    )


def _push(history: tf.Tensor, entry: tf.Tensor) -> tf.Tensor:
    return tf.concat([history[:, 1:], entry[:, tf.newaxis]], axis=1)


def _least_squares(columns: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Solves min ||target - columns^T c|| by regularised normal equations."""
    normal = tf.matmul(columns, columns, transpose_b=True)
    right = tf.linalg.matvec(columns, target)
    trace = tf.linalg.trace(normal)[:, tf.newaxis]
    tiny = tf.cast(1e-30, trace.dtype)
    ridge = _REGULARISATION[columns.dtype] * trace + tiny
    diagonal = tf.linalg.diag_part(normal) + ridge
    factor = tf.linalg.cholesky(tf.linalg.set_diag(normal, diagonal))
    return tf.linalg.cholesky_solve(factor, right[..., tf.newaxis])[..., 0]
