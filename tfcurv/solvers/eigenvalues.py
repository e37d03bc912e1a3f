"""Proved upper bounds on spectral norms, on the host, in float64.

Lanczos iteration proposes a number, a Cholesky factorisation proves it: if
c I - A factorises, no eigenvalue of A exceeds c by more than the rounding
term, whatever Lanczos did. This is sharper than a decomposition's own error
estimate, does not trust its convergence, and costs a tenth of it.
"""

import enum
import math

import numpy as np

from tfcurv import numerics

# Lanczos stops when its residual, which bounds the distance to an eigenvalue,
# is this small beside the Ritz value; the Ritz value errs by its square, or,
# where eigenvalues cluster, by itself.
_RITZ_TOLERANCE = 1e-8
# A residual this small is rounding noise: the space is invariant, and going
# on from noise makes Ritz values that no eigenvalue is near.
_NOISE = 1e-12
_MAX_LANCZOS_STEPS = 160

# Proposals above the Ritz value, relative to it, tried in turn. A factorisation
# is sure to succeed where the proposal exceeds the largest eigenvalue by the
# rounding term of the proof, 2 n gamma_{n+1}: the first does so up to 2,121
# rows, the second up to 21,000. Beyond, it usually succeeds all the same, for
# rounding errors cancel; where it does not, the next is tried. What is proved
# holds whatever was proposed.
_MARGINS = (1e-9, 1e-7, 1e-5, 1e-3, 1e-1)

#: LAPACK's singular values err by p(n) u ||A||, p "a modest function" of n.
LAPACK_GROWTH = 16.0


class Rigor(enum.Enum):
    """How far the bound on a norm is proved."""

    #: By a Cholesky factorisation that succeeded, with its rounding error.
    VERIFIED = "verified"
    #: By LAPACK's singular values, whose convergence and error are trusted.
    #: Dearer than the proof: for comparison.
    FLOAT64 = "float64"


def largest_eigenvalue_estimate(
    matrix: np.ndarray,
    *,
    max_steps: int = _MAX_LANCZOS_STEPS,
    tolerance: float = _RITZ_TOLERANCE,
) -> float:
    """Estimates the largest eigenvalue of a symmetric matrix, from below.

    Lanczos iteration with full reorthogonalisation. Never certifies.

    Args:
        matrix: `[n, n]` symmetric float64 matrix.
        max_steps: Upper limit on the number of matrix-vector products.
        tolerance: Residual, relative to the estimate, that is small enough.
    """
    size = matrix.shape[0]
    # Fixed start: equal inputs give equal bounds. A random vector is almost
    # surely not orthogonal to the leading eigenvector.
    vector = np.random.default_rng(0).standard_normal(size)
    vector /= np.linalg.norm(vector)
    basis = np.empty((min(max_steps, size), size))
    diagonal: list[float] = []
    off_diagonal: list[float] = []
    ritz = 0.0
    for step in range(len(basis)):
        basis[step] = vector
        product = matrix @ vector
        diagonal.append(float(vector @ product))
        known = basis[: step + 1]
        for _ in range(2):  # Once is not enough in floating point.
            product -= known.T @ (known @ product)
        residual = float(np.linalg.norm(product))
        ended = residual <= _NOISE * max(map(abs, diagonal))
        if ended or step % 8 == 7 or step + 1 == len(basis):
            ritz, last = _leading_ritz(diagonal, off_diagonal)
            if ended or residual * last <= tolerance * abs(ritz):
                break
        off_diagonal.append(residual)
        vector = product / residual
    return ritz


def _leading_ritz(diagonal, off_diagonal) -> tuple[float, float]:
    """Returns the top eigenvalue and its eigenvector's last component."""
    values, vectors = np.linalg.eigh(
        np.diag(diagonal) + np.diag(off_diagonal, 1) + np.diag(off_diagonal, -1)
    )
    return float(values[-1]), abs(float(vectors[-1, -1]))


def eigenvalue_upper_bound(matrix: np.ndarray, tolerance: float = 0.0) -> float:
    """Returns a proved upper bound on the eigenvalues of a PSD matrix.

    If Cholesky's algorithm runs to completion on S = c I - A in floating
    point, then lambda_min(S) >= -gamma_{n+1} / (1 - gamma_{n+1}) trace(S)
    (Rump, "Verification of positive definiteness", BIT 46, 2006, Theorem
    2.3), so lambda_max(A) <= c + that term. Typically within 1e-9 + 2 n^2 u
    of the truth, relative: 2e-9 for 2,000 rows, 2.4e-8 for 10,000.

    Args:
        matrix: `[n, n]` symmetric positive semidefinite float64 matrix.
        tolerance: How loose the bound may be, relative, to be had sooner.

    Returns:
        The bound; infinite if the matrix holds a NaN or an infinity.
    """
    matrix, peak = _with_peak(matrix)
    if peak in (0.0, math.inf):
        return peak
    scale = _power_of_two_near(peak)
    matrix = matrix / scale
    size = matrix.shape[0]
    estimate = largest_eigenvalue_estimate(
        matrix, tolerance=max(tolerance, _RITZ_TOLERANCE)
    )
    growth = 2.0 * numerics.gamma(size + 1)
    margins = sorted({max(margin, tolerance) for margin in _MARGINS})
    for margin in margins:
        bound = estimate * (1.0 + margin)
        if _is_positive_definite(bound, matrix):
            # trace(S) <= n c; forming S errs by at most u (c + a_ii) on the
            # diagonal, 2 u c with a_ii <= c, which growth's 2 covers.
            bound = numerics.round_up(bound * (1.0 + size * growth), 4)
            return bound * scale + numerics.SMALLEST_SUBNORMAL
    # No proposal could be proved; the Frobenius norm needs no proof.
    return (
        frobenius_norm_upper_bound(matrix) * scale + numerics.SMALLEST_SUBNORMAL
    )


def _with_peak(matrix: np.ndarray) -> tuple[np.ndarray, float]:
    """Returns the matrix in float64 and its largest magnitude; NaN counts inf.

    All zeros and anything not finite are their own norm.
    """
    matrix = np.asarray(matrix, np.float64)
    peak = float(np.max(np.abs(matrix), initial=0.0))
    return matrix, peak if math.isfinite(peak) else math.inf


def _power_of_two_near(peak: float) -> float:
    """Returns a factor by which scaling is exact; keeps squares in range."""
    return 2.0 ** min(max(math.frexp(peak)[1], -1000), 1000)


def _is_positive_definite(shift: float, matrix: np.ndarray) -> bool:
    shifted = -matrix
    shifted.flat[:: matrix.shape[0] + 1] += shift
    try:
        factor = np.linalg.cholesky(shifted)
    except np.linalg.LinAlgError:
        return False
    # LAPACK's test for a negative pivot lets NaN pass.
    return bool(np.all(np.isfinite(np.diag(factor))))


def spectral_norm_upper_bound(
    matrix: np.ndarray,
    rigor: Rigor = Rigor.VERIFIED,
    *,
    tolerance: float = 0.0,
) -> float:
    """Returns a proved upper bound on the largest singular value.

    ||A||_2^2 = lambda_max(A^T A), taken on the smaller side, proved by
    `eigenvalue_upper_bound`. The computed Gram matrix errs by at most
    gamma_k ||A||_F^2 in norm, where k is the length of its sums.

    Args:
        matrix: `[m, n]` float64 matrix.
        rigor: What the bound rests on; the above is VERIFIED.
        tolerance: How loose its square may be, relative, to be had sooner.

    Returns:
        The bound, typically within 1e-8 of the truth, relative; infinite if
        the matrix holds a NaN or an infinity.
    """
    matrix, peak = _with_peak(matrix)
    if peak in (0.0, math.inf):
        return peak
    scale = _power_of_two_near(peak)
    scaled = matrix / scale
    if rigor is Rigor.FLOAT64:
        return _lapack_norm(scaled) * scale + numerics.SMALLEST_SUBNORMAL
    long = max(scaled.shape)
    gram = (
        scaled @ scaled.T
        if scaled.shape[0] <= scaled.shape[1]
        else scaled.T @ scaled
    )
    squared = eigenvalue_upper_bound(gram, tolerance)
    # trace(gram) is ||A||_F^2, here rounded up; entries below 1e-154 square
    # to nothing, which the tiny term covers.
    frobenius = numerics.round_up(float(np.trace(gram)), 2 * long)
    squared += numerics.gamma(long + 2) * frobenius + numerics.MATRIX_UNDERFLOW
    return (
        numerics.round_up(math.sqrt(squared), 8) * scale
        + numerics.SMALLEST_SUBNORMAL
    )


def _lapack_norm(matrix: np.ndarray) -> float:
    try:
        largest = float(np.linalg.svd(matrix, compute_uv=False)[0])
    except np.linalg.LinAlgError:  # It did not converge.
        return frobenius_norm_upper_bound(matrix)
    error = numerics.gamma(LAPACK_GROWTH * max(matrix.shape))
    return largest * (1.0 + error) + numerics.MATRIX_UNDERFLOW


def frobenius_norm_upper_bound(matrix: np.ndarray) -> float:
    """Returns a proved upper bound on the square root of the sum of squares.

    Infinite if the matrix holds a NaN or an infinity.
    """
    matrix, peak = _with_peak(matrix)
    if peak in (0.0, math.inf):
        return peak
    total = float(np.sum(np.square(matrix / peak)))
    root = numerics.round_up(
        math.sqrt(total + numerics.MATRIX_UNDERFLOW), matrix.size + 4
    )
    return root * peak + numerics.SMALLEST_SUBNORMAL
