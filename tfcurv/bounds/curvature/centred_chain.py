"""Layers' shares of a Hessian where slopes are known neuron by neuron.

A layer's share is the largest eigenvalue of B_I^T diag(D_I) B_I with
B_I = W_I S_{I-1} B_{I-1}, each S_J diagonal with entries known to lie in
intervals [c - d, c + d], narrow ones in a small ball. With
A = diag(sqrt D_I) W_I and r_J >= ||diag(sqrt d) B_J||,

    ||A S_{I-1} B_{I-1}|| <= ||A C_{I-1} B_{I-1}|| + ||A diag(sqrt d)|| r_{I-1},

and A C_{I-1} W_{I-1} takes the place of A in the next step down. r_J is a
share of its own, with d for D. One interval for a whole layer, which is what
bounds for all inputs come down to, makes d as large as the widest of them.
"""

from collections.abc import Sequence

import numpy as np

from tfcurv import numerics
from tfcurv import solvers
from tfcurv.networks.chain import Network
from tfcurv.networks.functions.intervals import Interval

# How loose the square of a norm may be, relative.
_TOLERANCE = 1e-5


def centred_chain_norm_bound(
    network: Network,
    layer: int,
    density: np.ndarray,
    slopes: Sequence[Interval],
    moved: Sequence[float],
) -> float:
    """Returns an upper bound on ||diag(sqrt D) B_I|| over all such slopes.

    Args:
        network: The network.
        layer: I - 1, the position of the layer's map, at least 1.
        density: `[n]` D >= 0 of that layer.
        slopes: Per hidden layer below, `[n]` ranges of s'.
        moved: Per hidden layer below, r >= ||diag(sqrt d) B||; see `spread_of`.

    Returns:
        The bound; infinite where a number is not finite.
    """
    affine = network.affines[layer]
    root = np.sqrt(density)
    matrix = affine.kernel * root
    # The root and the product are two roundings an entry.
    size = solvers.frobenius_norm_upper_bound(matrix)
    error = affine.kernel_error * float(np.max(root))
    error += numerics.gamma(3) * size
    total = 0.0
    for below in range(layer - 1, -1, -1):
        centre, spread = (
            _middle(slopes[below]),
            np.sqrt(spread_of(slopes[below])),
        )
        outer = _norm(spread[:, np.newaxis] * matrix)
        outer += float(np.max(spread)) * error
        total += numerics.round_up(outer, 2) * moved[below]
        matrix, error = _extended(network, below, centre, matrix, error)
    return numerics.round_up(total + _norm(matrix) + error, 8 * (layer + 1))


def _middle(slope: Interval) -> np.ndarray:
    return 0.5 * (slope.lower + slope.upper)


def spread_of(slope: Interval) -> np.ndarray:
    """Returns `[n]` d with |s - c| <= d for every s in the interval."""
    centre = _middle(slope)
    spread = np.maximum(slope.upper - centre, centre - slope.lower)
    return numerics.round_up(spread, 1)


def _extended(network, below, centre, matrix, error):
    """Returns K diag(c) A with its error, for A known up to `error`."""
    affine = network.affines[below]
    scaled = centre[:, np.newaxis] * matrix
    size = solvers.frobenius_norm_upper_bound(scaled)
    rounding = numerics.gamma(len(centre) + 2)
    grown = network.norms[below] * float(np.max(np.abs(centre))) * error
    grown += affine.kernel_error * size
    grown += rounding * network.frobenius_norms[below] * size
    return affine.kernel @ scaled, numerics.round_up(grown, 16)


def _norm(matrix: np.ndarray) -> float:
    # An entry of the argument is a product with a root: two roundings.
    found = solvers.spectral_norm_upper_bound(matrix, tolerance=_TOLERANCE)
    size = solvers.frobenius_norm_upper_bound(matrix)
    return numerics.round_up(found + numerics.gamma(3) * size, 2)
