"""A proved upper bound on the largest norm among many small matrices."""

from collections.abc import Iterable
import math
from typing import NamedTuple

import numpy as np

from tfcurv import numerics
from tfcurv.solvers.eigenvalues import LAPACK_GROWTH
from tfcurv.solvers.eigenvalues import Rigor

# Proposals above the largest eigenvalue that LAPACK finds, tried in turn.
_MARGINS = (1e-9, 1e-7, 1e-5, 1e-3, 1e-1)


class ComplexMatrices(NamedTuple):
    """A batch of complex matrices.

    Attributes:
        real: `[batch, m, n]` float64.
        imaginary: `[batch, m, n]` float64.
    """

    real: np.ndarray
    imaginary: np.ndarray


def largest_norm_upper_bound(
    batches: Iterable[ComplexMatrices], rigor: Rigor = Rigor.VERIFIED
) -> float:
    """Returns a proved upper bound on the largest of many spectral norms.

    Let A run through the matrices and G = A^H A = P + i Q, whose eigenvalues
    are those of the real symmetric [[P, -Q], [Q, P]], each twice. One number
    c serves all: where Cholesky's algorithm runs to completion on c I - G,
    no eigenvalue of G exceeds c by more than the rounding term of
    `eigenvalue_upper_bound`; where it does not, c is raised to what LAPACK
    finds there. So LAPACK proposes, and only where c does not do.

    Args:
        batches: The matrices, a few at a time, all of one shape m x n; their
            entries neither overflow nor underflow when squared.
        rigor: What the bound rests on; the above is VERIFIED.

    Returns:
        The bound, typically within 1e-8 of the truth, relative; infinite if
        an entry is not finite.
    """
    proved, trace, long, size = 0.0, 0.0, 0, 0
    for real, imaginary in batches:
        if not (np.all(np.isfinite(real)) and np.all(np.isfinite(imaginary))):
            return math.inf
        if real.shape[1] < real.shape[2]:
            real = real.transpose(0, 2, 1)
            imaginary = imaginary.transpose(0, 2, 1)
        long, size = real.shape[1:]
        if rigor is Rigor.FLOAT64:
            proved = max(proved, _singular_value(real + 1j * imaginary))
            continue
        gram = _gram(real, imaginary)
        trace = max(trace, float(_traces(gram).max(initial=0.0)))
        proved = _raised(proved, gram)
    if rigor is Rigor.FLOAT64:
        return (
            proved * (1.0 + numerics.gamma(LAPACK_GROWTH * long))
            + numerics.MATRIX_UNDERFLOW
        )
    # As in `eigenvalue_upper_bound`, for matrices of 2 size rows.
    rows = 2 * size
    proved *= 1.0 + rows * 2.0 * numerics.gamma(rows + 1)
    # The computed Gram matrix errs by at most gamma ||A||_F^2 in each of P
    # and Q, sums of 2 long products; the trace is that of P alone.
    error = (
        4.0 * numerics.gamma(2 * long + size + 4) * trace
        + numerics.MATRIX_UNDERFLOW
    )
    return numerics.round_up(math.sqrt(proved + error), 8)


def _singular_value(matrices: np.ndarray) -> float:
    try:
        values = np.linalg.svd(matrices, compute_uv=False)
    except np.linalg.LinAlgError:  # It did not converge.
        return math.inf
    return float(values[:, 0].max(initial=0.0))


def _gram(real: np.ndarray, imaginary: np.ndarray) -> ComplexMatrices:
    both = np.concatenate([real, imaginary], axis=1)
    turned = np.concatenate([imaginary, -real], axis=1)
    left = both.transpose(0, 2, 1)
    return ComplexMatrices(left @ both, left @ turned)


def _traces(gram: ComplexMatrices) -> np.ndarray:
    return np.einsum("bii->b", gram.real)


def _raised(proved: float, gram: ComplexMatrices) -> float:
    """Returns a number >= `proved` that the proof accepts for every matrix."""
    squares = np.square(gram.real).sum((1, 2))
    squares += np.square(gram.imaginary).sum((1, 2))
    norms = numerics.round_up(
        np.sqrt(squares + numerics.MATRIX_UNDERFLOW**2),
        2 * gram.real[0].size + 4,
    )
    if gram.real.shape[1] == 1:  # A number is its own norm.
        return max(proved, float(norms.max(initial=0.0)))
    # The Frobenius norm needs no proof.
    active = norms > proved
    if not active.any():
        return proved
    real, imaginary = gram.real[active], gram.imaginary[active]
    embedded = np.block([[real, -imaginary], [imaginary, real]])
    if _are_below(proved, embedded):
        return proved
    try:
        top = np.linalg.eigvalsh(real + 1j * imaginary)[:, -1].max()
    except np.linalg.LinAlgError:  # It did not converge.
        return float(norms.max())
    for margin in _MARGINS:
        proposal = max(proved, float(top) * (1.0 + margin))
        if _are_below(proposal, embedded):
            return proposal
    return float(norms.max())


def _are_below(shift: float, matrices: np.ndarray) -> bool:
    shifted = -matrices
    diagonal = np.arange(matrices.shape[-1])
    shifted[:, diagonal, diagonal] += shift
    try:
        factors = np.linalg.cholesky(shifted)
    except np.linalg.LinAlgError:
        return False
    # LAPACK's test for a negative pivot lets NaN pass.
    return bool(np.all(np.isfinite(factors[:, diagonal, diagonal])))
