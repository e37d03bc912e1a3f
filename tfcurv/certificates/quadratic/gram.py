"""Solves with 1 - K diag(e) K^T through the Gram matrix G = K^T K.

By Woodbury's identity all that a search needs is the inverse of the Cholesky
factor of 1 - diag(e)^(1/2) G diag(e)^(1/2), of the size of the units with
e > 0. In G's precision: for a search, not for a proof.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tfcurv import numerics

# Steps of power iteration, and what its norm must stay below for the
# factorisation to be tried: TensorFlow logs its failures.
_POWER_STEPS, _MOST_NORM = 24, 1.0 - 1e-4

# What is added of a vector that no leading eigenvector is orthogonal to.
_ADDED = 1e-2

_DTYPE = numerics.PROOF_DTYPE


class Factor(NamedTuple):
    """What solves with 1 - K diag(e) K^T, seen from the units with e > 0.

    Attributes:
        index: `[k]` these units.
        root: `[k]` the roots of their e.
        inverse: `[k, k]` inverse of the Cholesky factor.
        spread: `[n]` h_i = k_i^T (1 - K diag(e) K^T)^-1 k_i.
        leading: `[n]` guess at the leading eigenvector of diag(e)^(1/2) G
            diag(e)^(1/2).
        log_det: `[]` of the matrix; NaN where it is not positive.
    """

    index: tf.Tensor
    root: tf.Tensor
    inverse: tf.Tensor
    spread: tf.Tensor
    leading: tf.Tensor
    log_det: tf.Tensor


class Gram:
    """A Gram matrix and what is done with it."""

    def __init__(self, matrix: tf.Tensor):
        """Stores the matrix.

        Args:
            matrix: `[n, n]` K^T K, float32 or float64.
        """
        self.matrix = matrix
        self.squares = tf.cast(tf.linalg.diag_part(matrix), _DTYPE)

    def times(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns rows `[c, n]` times G, in G's precision."""
        found = tf.matmul(tf.cast(rows, self.matrix.dtype), self.matrix)
        return tf.cast(found, _DTYPE)

    def solve(
        self, factor: Factor, g: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns the minimisers of (||d||^2 - d . K E K^T d) / 2 + g . K^T d.

        Args:
            factor: Of E = diag(e).
            g: `[c, n]` rows.

        Returns:
            `[c, n]` s = -(1 - E G)^-1 g, with d = K s; `[c, n]` G s; and `[c]`
            g . G (1 - E G)^-1 g.
        """
        projected = self.times(g)
        part = factor.root * tf.gather(projected, factor.index, axis=1)
        bent = tf.cast(part, factor.inverse.dtype)
        bent = tf.matmul(bent, factor.inverse, transpose_b=True)
        bent = tf.cast(tf.matmul(bent, factor.inverse), _DTYPE)
        index = factor.index[:, tf.newaxis]
        bulk = tf.transpose(factor.root * bent)
        bulk = tf.scatter_nd(
            index, bulk, tf.shape(tf.transpose(g), index.dtype)
        )
        s = -(g + tf.transpose(bulk))
        squares = tf.reduce_sum(g * projected, -1) + tf.reduce_sum(
            part * bent, -1
        )
        return s, self.times(s), squares

    def leading(self, root: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Estimates the norm of K diag(root)^2 K^T; and a leading vector."""
        return _leading(
            lambda v: root * self.times((root * v)[tf.newaxis])[0], root
        )

    def factorised(self, bend: tf.Tensor, leading: tf.Tensor) -> Factor:
        """Returns the factor of e; log det is NaN where there is none.

        Args:
            bend: `[n]` e >= 0.
            leading: `[n]` the vector of a similar e.
        """
        index = tf.where(bend > 0.0)[:, 0]
        root = tf.sqrt(tf.gather(bend, index))
        dtype = self.matrix.dtype
        scale = tf.cast(root, dtype)
        # Gathering columns takes three times as long as rows.
        matrix = tf.transpose(tf.gather(self.matrix, index))
        matrix = tf.gather(matrix, index)
        matrix *= -scale[:, tf.newaxis] * scale
        matrix = tf.linalg.set_diag(matrix, 1.0 + tf.linalg.diag_part(matrix))
        identity = tf.eye(tf.size(index), dtype=dtype)
        # Of the last matrix; and something that no other is orthogonal to.
        start = tf.cast(tf.gather(leading, index), dtype)
        start += _ADDED * tf.math.divide_no_nan(scale, tf.norm(scale))
        norm, start = _leading(lambda v: v - _dot(matrix, v), start)
        leading = tf.scatter_nd(
            index[:, tf.newaxis],
            tf.cast(start, _DTYPE),
            tf.shape(bend, index.dtype),
        )
        lower = tf.cond(
            norm < _MOST_NORM,
            lambda: tf.linalg.cholesky(matrix),
            lambda: identity * tf.constant(float("nan"), dtype),
        )
        inverse = tf.linalg.triangular_solve(lower, identity)
        squares = tf.reduce_sum(tf.cast(inverse, _DTYPE) ** 2, axis=0)
        spread = self.squares
        bent = (squares - 1.0) / tf.gather(bend, index)
        bent = tf.maximum(bent, tf.gather(spread, index))
        spread = tf.tensor_scatter_nd_update(spread, index[:, tf.newaxis], bent)
        pivots = tf.cast(tf.linalg.diag_part(lower), _DTYPE)
        log_det = 2.0 * tf.reduce_sum(tf.math.log(pivots))
        return Factor(index, root, inverse, spread, leading, log_det)


def _dot(matrix, vector) -> tf.Tensor:
    return tf.matmul(matrix, vector[:, tf.newaxis])[:, 0]


def _leading(multiply: Callable, start: tf.Tensor):
    """Estimates the norm of a matrix and its vector by power iteration."""

    def improve(count, vector, _):
        vector = multiply(vector)
        size = tf.norm(vector)
        return count + 1, tf.math.divide_no_nan(vector, size), size

    start = tf.math.divide_no_nan(start, tf.norm(start))
    state = tf.constant(0), start, tf.zeros([], start.dtype)
    _, vector, norm = tf.while_loop(
        lambda count, *_: count < _POWER_STEPS, improve, state
    )
    return norm, vector
