"""Proved bounds on norms of linear maps that are known by what they do.

Everything rests on four products with rows: x K, v K^T and the same with
|K|. A map that is made of several stages, K = K_1 K_2 ..., is here as good as
a matrix: |K| then stands for |K_1| |K_2| ..., which bounds both the absolute
values of K and, times gamma_n, the rounding errors of a product with K.
"""

from collections.abc import Callable
import math
from typing import Protocol
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from tfcurv import numerics
from tfcurv import solvers

# Numbers in the rows that are handled at a time: 32 MB.
_CHUNK = 2**22


_Product: TypeAlias = Callable[[tf.Tensor], tf.Tensor]


class Operator(Protocol):
    """What the bounds need to know of a linear map; see `LinearMap`."""

    @property
    def inputs(self) -> int:
        """The number of inputs."""

    @property
    def outputs(self) -> int:
        """The number of outputs."""

    @property
    def terms(self) -> int:
        """Roundings that an output suffers."""

    @property
    def transposed_terms(self) -> int:
        """The same of the transpose."""

    def apply(self, x: tf.Tensor) -> tf.Tensor:
        """Returns x K."""

    def transpose(self, v: tf.Tensor) -> tf.Tensor:
        """Returns v K^T."""

    def absolute(self, x: tf.Tensor) -> tf.Tensor:
        """Returns x |K|."""

    def absolute_transpose(self, v: tf.Tensor) -> tf.Tensor:
        """Returns v |K|^T."""


def on_host(function, rows: np.ndarray) -> np.ndarray:
    """Returns a product with rows, computed eagerly, in float64, on the CPU.

    There convolutions are sums of products; elsewhere they may be Fourier
    transforms, of which gamma_n says nothing.
    """
    with tf.init_scope(), tf.device("CPU:0"):
        return function(tf.constant(rows, numerics.PROOF_DTYPE)).numpy()


def least(*bounds: float) -> float:
    """Returns the least of several upper bounds; NaN bounds nothing."""
    return min((b for b in bounds if not math.isnan(b)), default=math.inf)


def exponent_near(weights: np.ndarray) -> int:
    """Returns e for which weights / 2**e are near one, or not finite, or 0."""
    peak = float(np.max(np.abs(weights), initial=0.0))
    return math.frexp(peak)[1] if math.isfinite(peak) else 0


def scaled_back(bound: float, exponent: int) -> float:
    """Returns an upper bound on bound * 2**exponent."""
    if bound in (0.0, math.inf):
        return bound
    try:
        return math.ldexp(bound, exponent) + numerics.SMALLEST_SUBNORMAL
    except OverflowError:
        return math.inf


def product(bounds: list[float]) -> float:
    """Returns an upper bound on a product of norms; 0 if one of them is."""
    if 0.0 in bounds and math.inf not in bounds:
        return 0.0
    total = 1.0
    for bound in bounds:
        total = (
            numerics.round_up(total * bound, 1) + numerics.SMALLEST_SUBNORMAL
        )
    return math.inf if math.isnan(total) else total


def schur_norm_upper_bound(operator: Operator) -> float:
    """Returns sqrt(|| |K| ||_1 || |K| ||_inf), rounded upward.

    It bounds the norms of K and of |K|, by Schur's test. Infinite if a
    weight is not finite.
    """
    rows = on_host(operator.absolute_transpose, np.ones((1, operator.outputs)))
    columns = on_host(operator.absolute, np.ones((1, operator.inputs)))
    if not (np.all(np.isfinite(rows)) and np.all(np.isfinite(columns))):
        return math.inf
    count = operator.terms + operator.transposed_terms + 8
    # What vanishes in one direction, before large factors come, need not in
    # the other.
    lost = numerics.MATRIX_UNDERFLOW * underflow_growth(operator)
    # Two roots, since the product might overflow.
    bound = math.sqrt(rows.max() + lost) * math.sqrt(columns.max() + lost)
    return numerics.round_up(bound, count)


def underflow_growth(operator: Operator) -> float:
    """Returns how much what underflows inside a map may grow on its way out.

    A number lost between two stages, 2.3e-308 at most for each product, is
    multiplied by what the later stages are made of: no relative error covers
    it where an early stage is tiny and a later one huge.

    Args:
        operator: A map; one that is made of others has them as `maps`.

    Returns:
        The product of the norms of the parts' absolute values, those below
        one taken as one; 1 for a map that is made of no others.
    """
    growth = 1.0
    for part in getattr(operator, "maps", ()):
        if hasattr(part, "maps"):
            growth *= underflow_growth(part)
        else:
            growth *= max(1.0, schur_norm_upper_bound(part))
    return growth


def gram_norm_upper_bound(operator: Operator) -> float:
    """Returns a proved upper bound on ||K||_2, from K K^T or K^T K.

    The smaller of the two is computed by applying the map and its transpose
    to the rows of an identity matrix. Entry by entry it errs by at most
    gamma_n (|K| |K|^T), n the terms of both products, hence in norm by
    gamma_n times the square of Schur's bound. Its largest eigenvalue is
    proved by `solvers.eigenvalue_upper_bound`.

    Args:
        operator: The map, its weights scaled to about one.

    Returns:
        The bound, typically within 1e-8 of the truth, relative; infinite if
        a weight is not finite.
    """
    schur = schur_norm_upper_bound(operator)
    if math.isinf(schur):
        return math.inf
    there: _Product = operator.apply
    back: _Product = operator.transpose
    side, long = operator.inputs, operator.outputs
    if long < side:
        there, back, side, long = back, there, long, side
    gram = np.concatenate(
        [
            on_host(lambda rows: back(there(rows)), unit)
            for unit in _unit_rows(side, long)
        ]
    )
    gram = 0.5 * (gram + gram.T)
    squared = solvers.eigenvalue_upper_bound(gram)
    count = operator.terms + operator.transposed_terms + 2
    growth = underflow_growth(operator)
    error = numerics.gamma(count) * schur * schur
    error += numerics.MATRIX_UNDERFLOW * growth * growth
    return numerics.round_up(math.sqrt(squared + error), 8)


def column_norms_upper_bound(operator: Operator) -> np.ndarray:
    """Returns upper bounds on the l2 norms of the columns of K, `[outputs]`.

    Column j is the transpose's answer to unit row j; it errs, entry by
    entry, by at most gamma_n times what |K|^T answers.

    Args:
        operator: The map, its weights scaled to about one.
    """
    found = []
    count = operator.transposed_terms + 1
    lost = 0.0
    if hasattr(operator, "maps"):
        lost = numerics.NORM_FLOOR * underflow_growth(operator)
    for unit in _unit_rows(operator.outputs, operator.inputs):
        columns = norm_of_rows(on_host(operator.transpose, unit))
        sizes = norm_of_rows(on_host(operator.absolute_transpose, unit))
        # What the absolute values themselves err by is in the factor 2.
        bound = columns + 2.0 * numerics.gamma(count) * sizes
        # Nothing is added to a map that is one array of weights.
        bound = numerics.round_up(bound, 4)
        found.append(numerics.round_up(bound + lost, 1) if lost else bound)
    return np.concatenate(found)


def norm_of_rows(rows: np.ndarray) -> np.ndarray:
    """Returns upper bounds on the l2 norms of the rows of a matrix.

    Infinite where an entry is not finite, 0 where all are.
    """
    with np.errstate(all="ignore"):  # Not finite: replaced below.
        peaks = np.max(np.abs(rows), axis=-1, initial=0.0)
        units = np.where((peaks > 0.0) & np.isfinite(peaks), peaks, 1.0)
        squares = np.square(rows / units[:, np.newaxis])
        total = np.sqrt(np.sum(squares, axis=-1)) * units
    norms = numerics.round_up(total, rows.shape[-1] + 6)
    norms += np.where(peaks > 0.0, numerics.SMALLEST_SUBNORMAL, 0.0)
    return np.where(np.isfinite(peaks) & ~np.isnan(norms), norms, np.inf)


def _unit_rows(size: int, other: int):
    """Yields the rows of an identity matrix, a chunk at a time."""
    step = max(1, _CHUNK // max(size, other))
    for start in range(0, size, step):
        yield np.eye(min(step, size - start), size, start)
