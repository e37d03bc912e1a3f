"""Norms of one matrix whose columns are scaled in many ways."""

import math

import numpy as np

from tfcurv import numerics
from tfcurv.solvers.eigenvalues import eigenvalue_upper_bound
from tfcurv.solvers.eigenvalues import spectral_norm_upper_bound

# How loose the square of a bound may be, relative: saves the last digits of
# Lanczos' iteration, where eigenvalues cluster.
_TOLERANCE = 1e-5


class ScaledGram:
    """Bounds ||A diag(s)||_2 for one A and many s.

    From A^T A, which is computed once: a bound costs one Cholesky
    factorisation of the columns that are not scaled to zero, and no product
    of matrices.
    """

    def __init__(self, matrix: np.ndarray):
        """Computes the Gram matrix.

        Args:
            matrix: `[m, n]` A, float64.
        """
        self._matrix = matrix
        with np.errstate(all="ignore"):  # Not finite: refused below.
            self._gram = matrix.T @ matrix
        self._largest = float(np.max(np.diag(self._gram), initial=0.0))

    def scaled_norm_upper_bound(self, scale: np.ndarray) -> float:
        """Returns a proved upper bound on ||A diag(s)||_2.

        ||A diag(s)||^2 is the largest eigenvalue of diag(s) A^T A diag(s).
        The computed A^T A errs, entry by entry, by at most gamma_m times the
        product of two column norms, so that the scaled one errs in norm by
        at most gamma_m times its trace.

        Args:
            scale: `[n]` s >= 0.

        Returns:
            The bound, typically within 1e-4 of the truth, relative; infinite
            where a number is not finite.
        """
        if not np.all(np.isfinite(scale)):
            return math.inf
        peak = float(np.max(scale, initial=0.0))
        if peak == 0.0:
            return 0.0
        unit = math.ldexp(1.0, math.frexp(peak)[1] - 1)
        active = scale > 0.0
        scale = scale[active] / unit
        # Symmetric also as rounded: a product does not know its order.
        scaled = self._gram[np.ix_(active, active)]
        with np.errstate(all="ignore"):  # Not finite: refused below.
            scaled *= np.outer(scale, scale)
            trace = float(np.trace(scaled))
        # Else squares, or products of scales, may have left the range.
        if not (1e-100 < trace and self._largest < 1e100):
            norm = spectral_norm_upper_bound(self._matrix[:, active])
            return (
                numerics.round_up(norm * peak, 1) + numerics.SMALLEST_SUBNORMAL
            )
        length = sum(self._matrix.shape)
        squared = eigenvalue_upper_bound(scaled, _TOLERANCE)
        squared += numerics.gamma(length + 8) * numerics.round_up(trace, length)
        squared += numerics.MATRIX_UNDERFLOW
        return (
            numerics.round_up(math.sqrt(squared) * unit, 8)
            + numerics.SMALLEST_SUBNORMAL
        )
