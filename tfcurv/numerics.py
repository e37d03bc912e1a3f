"""Dtypes, unit roundoff and outward rounding. Floor 0: knows only numbers.

Throughout, `u` is the unit roundoff and `gamma_n = n u / (1 - n u)`
(Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., Lemma
3.1): a sum of `n` products evaluated in any order errs by at most `gamma_n`
times the sum of the products' magnitudes, with or without fused operations.
"""

from typing import Any

import numpy as np
import tensorflow as tf

#: The dtype of everything on a proving path.
PROOF_DTYPE = tf.float64

#: The dtype in which solvers look for good points to prove at.
SEARCH_DTYPE = tf.float32

#: What a norm loses when the squares of its terms vanish: 1e8 of 1e-154.
#: Found by a property test: 1e-200 ** 2 == 0 once doubled a radius.
NORM_FLOOR = 1e-149

_FLOATING = (tf.float32, tf.float64)


def unit_roundoff(dtype: Any) -> float:
    """Returns `u = 2**-p`, half the distance from 1 to the next number."""
    return float(np.finfo(tf.as_dtype(dtype).as_numpy_dtype).eps) / 2.0


def gamma(count: float, dtype: Any = PROOF_DTYPE) -> float:
    """Returns an upper bound on `gamma_n` for `count = n` operations.

    Args:
        count: Number of operations, at most a quarter of `1 / u`.
        dtype: Dtype of the operations.

    Returns:
        `n u / (1 - n u)`, widened so that its own rounding does no harm.

    Raises:
        ValueError: `count` is so large that the bound is void.
    """
    error = float(count) * unit_roundoff(dtype)
    if not error <= 0.25:
        raise ValueError(
            "Too many operations for a rounding bound in this dtype. "
            f"Received: count={count!r}, dtype={tf.as_dtype(dtype).name}."
        )
    return error / (1.0 - error) * (1.0 + 1e-12)


def round_up(value: Any, operations: int) -> Any:
    """Returns `value` raised above the error of `operations` roundings.

    Args:
        value: Non-negative float64 number, array or tensor, computed by at
            most `operations` correctly rounded, non-cancelling operations.
        operations: Their number.
    """
    # One more operation for this product itself, one for the factor.
    return value * (1.0 + gamma(operations + 2))


def round_down(value: Any, operations: int) -> Any:
    """Returns `value` lowered below the error of `operations` roundings."""
    return value * (1.0 - gamma(operations + 2))


def floating_tensor(value: Any, name: str) -> tf.Tensor:
    """Returns `value` as a float32 or float64 tensor.

    Args:
        value: Tensor-like. Python and integer numbers become float64.
        name: Name of the argument, for the error message.

    Raises:
        TypeError: `value` has another floating dtype, or is no number.
    """
    if isinstance(value, (bool, int, float, list, tuple)):
        value = np.asarray(value, np.float64)
    tensor = tf.convert_to_tensor(value)
    if tensor.dtype not in _FLOATING:
        raise TypeError(
            f"`{name}` must be float32 or float64. "
            f"Received: {name}.dtype={tensor.dtype.name}."
        )
    return tensor
