"""Extreme eigenvalues of symmetric operators, from inside: Lanczos."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tfcurv import numerics


class RitzValues(NamedTuple):
    """Eigenvalue estimates of a batch of operators.

    Attributes:
        smallest: `[batch]`, up to rounding at least the smallest eigenvalue.
        largest: `[batch]`, up to rounding at most the largest eigenvalue.
    """

    smallest: tf.Tensor
    largest: tf.Tensor


class _State(NamedTuple):
    """A Lanczos factorisation A Q = Q T + r e^T in the making.

    Attributes:
        step: Number of columns done.
        basis: `[batch, steps, dim]` rows of Q^T; zero where not done.
        vector: `[batch, dim]` the next of them; zero where a row stopped.
        diagonal: `[batch, steps]` of T.
        beside: `[batch, steps]` what stands below it.
        scale: `[batch]` the largest entry of T, a size of A.
    """

    step: tf.Tensor
    basis: tf.Tensor
    vector: tf.Tensor
    diagonal: tf.Tensor
    beside: tf.Tensor
    scale: tf.Tensor


def extreme_ritz_values(
    operator: Callable[[tf.Tensor], tf.Tensor],
    start: tf.Tensor,
    *,
    num_steps: int,
) -> RitzValues:
    """Returns the extreme eigenvalues of A on a Krylov space, one A a row.

    The eigenvalues of Q^T A Q, where Q is an orthonormal basis of span{v,
    A v, ..., A^(n-1) v}, lie between those of A: they are estimates from
    inside and bound nothing. The extreme ones converge first, the faster the
    further they stand out. With full reorthogonalisation, twice, without
    which Q loses its orthogonality and T repeats eigenvalues.

    A row stops where its Krylov space is exhausted. Zero where v is zero;
    NaN where a product is not finite.

    Args:
        operator: Maps `[batch, dim]` rows v to rows A v, A symmetric.
        start: `[batch, dim]` vectors v, float32 or float64. Random ones miss
            no eigenvector.
        num_steps: Number of products with A, at least 1.

    Raises:
        ValueError: `num_steps` is not positive.
    """
    if num_steps < 1:
        raise ValueError(
            "Lanczos needs a step. "
            f"Received: num_steps={num_steps!r}. Allowed: 1 or more."
        )
    # More steps than dimensions would leave nothing to be orthogonal to.
    num_steps = min(num_steps, start.shape[-1] or num_steps)
    batch, dim = tf.unstack(tf.shape(start))
    none = tf.zeros([batch, num_steps], start.dtype)
    state = _State(
        tf.constant(0),
        tf.zeros([batch, num_steps, dim], start.dtype),
        _normalised(start, _norm(start)),
        none,
        none,
        none[:, 0],
    )
    (end,) = tf.while_loop(
        lambda state: state.step < num_steps,
        lambda state: [_extend(operator, state)],
        [state],
        maximum_iterations=num_steps,
    )
    return _extremes(end)


def _extend(operator, state: _State) -> _State:
    """One column more."""
    here = tf.range(tf.shape(state.diagonal)[1]) == state.step
    q = state.vector
    basis = tf.where(here[:, tf.newaxis], q[:, tf.newaxis], state.basis)
    product = operator(q)
    alpha = tf.reduce_sum(q * product, axis=-1)
    residual = _orthogonal(basis, _orthogonal(basis, product))
    beta = _norm(residual)
    scale = tf.maximum(state.scale, tf.maximum(tf.abs(alpha), beta))
    # What the products' rounding may leave of a residual that should be zero.
    dim = tf.cast(tf.shape(q)[-1], q.dtype)
    noise = dim * numerics.unit_roundoff(q.dtype) * scale
    # Not the other way round: NaN must go on, to be seen.
    goes_on = ~(beta <= noise)
    running = tf.reduce_any(q != 0.0, axis=-1)
    # A row that stopped repeats the first entry of its diagonal, a mean of
    # its eigenvalues: a zero might lie outside of them.
    first = tf.where(state.step == 0, alpha, state.diagonal[:, 0])
    alpha = tf.where(running, alpha, first)
    beta = tf.where(goes_on, beta, tf.zeros_like(beta))
    return _State(
        state.step + 1,
        basis,
        _normalised(residual, beta),
        tf.where(here, alpha[:, tf.newaxis], state.diagonal),
        tf.where(here, beta[:, tf.newaxis], state.beside),
        scale,
    )


def _extremes(state: _State) -> RitzValues:
    beside = state.beside[:, :-1]
    matrix = tf.linalg.diag(state.diagonal)
    matrix += tf.linalg.diag(beside, k=1) + tf.linalg.diag(beside, k=-1)
    finite = tf.reduce_all(tf.math.is_finite(matrix), axis=[1, 2])
    # One NaN would make TensorFlow refuse the whole batch.
    zeros = tf.zeros_like(matrix)
    matrix = tf.where(finite[:, tf.newaxis, tf.newaxis], matrix, zeros)
    values = tf.linalg.eigvalsh(matrix)
    unknown = tf.fill(tf.shape(finite), tf.constant(float("nan"), values.dtype))
    return RitzValues(
        tf.where(finite, values[:, 0], unknown),
        tf.where(finite, values[:, -1], unknown),
    )


def _orthogonal(basis: tf.Tensor, vector: tf.Tensor) -> tf.Tensor:
    """Returns the part of each vector that is orthogonal to its basis."""
    along = tf.linalg.matvec(basis, vector)
    return vector - tf.linalg.matvec(basis, along, transpose_a=True)


def _norm(vector: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(tf.reduce_sum(vector * vector, axis=-1))


def _normalised(vector: tf.Tensor, norm: tf.Tensor) -> tf.Tensor:
    """Returns unit vectors; zero where the norm is."""
    return tf.math.divide_no_nan(vector, norm[:, tf.newaxis])
