"""Anderson acceleration of batched fixed-point iterations."""

from typing import NamedTuple

import tensorflow as tf

# Relative to the trace of the normal equations: some 17 roundoffs of float32,
# some 9,000 of float64, so that rounding seldom makes Cholesky's algorithm
# break down; where it does, the plain step is taken. The condition number of
# the normal equations is the square of the problem's, so that differences count
# if they are independent by about the root of this: 1e-3 and 1e-6.
_REGULARISATION = {tf.float32: 1e-6, tf.float64: 1e-12}


class AndersonMemory(NamedTuple):
    """The last differences of a batch of fixed-point iterations, oldest first.

    Tuples and not stacks, so that the oldest leaves without a copy of the
    others.

    Attributes:
        position_steps: depth x `[batch, dim]` differences of the iterates.
        residual_steps: depth x `[batch, dim]` differences of the residuals.
        products: `[batch, depth, depth]` inner products of the latter.
        alignments: `[batch, depth]` their inner products with the residual.
        usable: `[batch, depth]` 1 where a difference counts, 0 where it has
            been dropped.
        position: `[batch, dim]` the previous iterate.
        residual: `[batch, dim]` the previous residual.
    """

    position_steps: tuple[tf.Tensor, ...]
    residual_steps: tuple[tf.Tensor, ...]
    products: tf.Tensor
    alignments: tf.Tensor
    usable: tf.Tensor
    position: tf.Tensor
    residual: tf.Tensor


def initial_memory(
    position: tf.Tensor, residual: tf.Tensor, depth: int
) -> AndersonMemory:
    """Returns the memory after the first evaluation: no differences yet."""
    empty = (tf.zeros_like(position),) * depth
    unusable = tf.repeat(tf.zeros_like(position[:, :1]), depth, axis=1)
    products = tf.einsum("bi,bj->bij", unusable, unusable)
    return AndersonMemory(
        empty, empty, products, unusable, unusable, position, residual
    )


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
    steps = _push(memory.position_steps, position - memory.position)
    changes = _push(memory.residual_steps, residual - memory.residual)
    usable = tf.concat(
        [memory.usable[:, 1:], tf.ones_like(memory.usable[:, :1])], axis=1
    )
    usable *= tf.cast(~grown, position.dtype)[:, tf.newaxis]
    latest = _dots(changes, changes[-1])
    products = _extend(memory.products, latest)
    # The residual is the previous one plus the latest change.
    alignments = memory.alignments[:, 1:] + latest[:, :-1]
    newest = tf.reduce_sum(changes[-1] * residual, axis=-1, keepdims=True)
    alignments = tf.concat([alignments, newest], axis=1)
    weights = _least_squares(products, alignments, usable)
    correction = tf.add_n(
        [
            weights[:, index, tf.newaxis] * (step + change)
            for index, (step, change) in enumerate(zip(steps, changes))
        ]
    )
    # A singular system solves to NaN; the plain step needs no solution.
    correction = tf.where(
        tf.math.is_finite(correction), correction, tf.zeros_like(correction)
    )
    following = position + residual - correction
    return following, AndersonMemory(
        steps, changes, products, alignments, usable, position, residual
    )


def _push(history: tuple[tf.Tensor, ...], entry: tf.Tensor) -> tuple:
    return (*history[1:], entry)


def _dots(columns: tuple[tf.Tensor, ...], vector: tf.Tensor) -> tf.Tensor:
    """Returns the inner products `[batch, depth]` of rows."""
    products = [tf.reduce_sum(column * vector, axis=-1) for column in columns]
    return tf.stack(products, axis=-1)


def _extend(products: tf.Tensor, latest: tf.Tensor) -> tf.Tensor:
    """Returns the products without the oldest and with the latest column."""
    column = tf.expand_dims(latest, axis=2)
    kept = tf.concat([products[:, 1:, 1:], column[:, :-1]], axis=2)
    return tf.concat([kept, tf.expand_dims(latest, axis=1)], axis=1)


def _least_squares(
    products: tf.Tensor, right: tf.Tensor, usable: tf.Tensor
) -> tf.Tensor:
    """Solves min ||r - dR c|| by regularised normal equations.

    Args:
        products: `[batch, depth, depth]` dR^T dR.
        right: `[batch, depth]` dR^T r.
        usable: `[batch, depth]` zero where c is to be zero.
    """
    normal = products * usable[:, :, tf.newaxis] * usable[:, tf.newaxis]
    trace = tf.linalg.trace(normal)[:, tf.newaxis]
    tiny = tf.cast(1e-30, trace.dtype)
    ridge = _REGULARISATION[products.dtype] * trace + tiny
    diagonal = tf.linalg.diag_part(normal) + ridge
    factor = tf.linalg.cholesky(tf.linalg.set_diag(normal, diagonal))
    right = (right * usable)[..., tf.newaxis]
    return tf.linalg.cholesky_solve(factor, right)[..., 0]
