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

#: Widens what a formula of positive terms gives, itself evaluated in float64:
#: n roundings err by gamma_n, relative. For one step of a recursion, whose sums
#: and norms are of up to 9e6 terms: gamma_n <= 1e-9 up to there.
STEP_INFLATION = 1.0 + 1e-9

#: The same for a recursion as a whole, through any number of layers, with norms
#: of up to 1e9 terms in each: gamma_n <= 1e-6 up to n = 9e9.
CHAIN_INFLATION = 1.0 + 1e-6

#: The least float64 number above zero. Scaling a number into the subnormal ones
#: rounds by up to half of it.
SMALLEST_SUBNORMAL = 5e-324

#: What a product may lose by underflow, and what a few may, multiplied: below
#: 2.3e-308 TensorFlow takes numbers for zero, and 1e7 times that is still less.
PRODUCT_UNDERFLOW = 1e-300

#: What a sum of products may lose by underflow: 2.3e-308 each of 1e17.
SUM_UNDERFLOW = 1e-290

#: What underflow may take from the norm of a matrix whose largest entry is
#: about one, and from its square. Entries below 1.5e-154 square to nothing:
#: 1e17 of them are 2e-291, of which the root is 2e-146.
MATRIX_UNDERFLOW = 1e-140

_FLOATING = (tf.float32, tf.float64)


def unit_roundoff(dtype: Any) -> float:
    """Returns `u = 2**-p`, half the distance from 1 to the next number."""
    return float(np.finfo(tf.as_dtype(dtype).as_numpy_dtype).eps) / 2.0


def smallest_normal(dtype: Any) -> float:
    """Returns the least number that is never flushed to zero."""
    return float(np.finfo(tf.as_dtype(dtype).as_numpy_dtype).tiny)


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
