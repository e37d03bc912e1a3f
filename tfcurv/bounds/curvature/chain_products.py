"""Products of a network's hidden maps, with bounds on their norms.

With C_j the centres of the ranges of s', one number a layer or one a neuron,

    P[j, k] = K_j C_j K_{j+1} ... C_{k-1} K_k,

where single numbers are left out, and kept apart as `scales`. Maps that are
too large for a matrix have a product of norms instead.
"""

from collections.abc import Sequence
import functools
import math
from typing import NamedTuple

import numpy as np

from tfcurv import numerics
from tfcurv import solvers
from tfcurv.networks.chain import Network
from tfcurv.networks.functions.side_by_side import bent_neurons
from tfcurv.networks.maps.affine import MAX_WRITTEN

# Above this many rows and columns a weighted norm is one of weights, times
# one of the product: a factorisation takes seconds, and each pair of classes
# needs its own.
_MAX_SIDE = 3200


class _Product(NamedTuple):
    """A product of kernels, with a bound on the norm of its error.

    Attributes:
        kernel: The matrix as computed; None where there is no room for it.
        error: Bounds the norm of what it misses.
        norm: Bounds the norm of the exact product.
    """

    kernel: np.ndarray | None
    error: float
    norm: float


class Centre(NamedTuple):
    """The ranges of one layer's s' around their middle.

    Attributes:
        scale: The middle, where it is one number for the layer; else 1.
        middles: `[n]` middles, where they differ; else None.
        spread: Bounds the distance from the middle, of curved neurons.
        steepest: Bounds |s'|.
        bent: Which neurons are curved; None for all.
    """

    scale: float
    middles: np.ndarray | None
    spread: float
    steepest: float
    bent: np.ndarray | None


def _centre(activation) -> Centre:
    slope = activation.slope_range
    # The middle may be rounded; twice its rounding widens the spread.
    slack = 4.0 * numerics.gamma(1) * slope.magnitude
    middles = 0.5 * (slope.lower + slope.upper)
    spread = 0.5 * (slope.upper - slope.lower) + slack
    bent = bent_neurons(activation)
    if bent is None:
        return Centre(abs(middles), None, spread, slope.magnitude, None)
    # The middle of a linear neuron's range is 1 exactly.
    widest = float(np.max(spread[bent], initial=0.0))
    return Centre(1.0, middles, widest, slope.magnitude, bent)


class ChainProducts:
    """The products of one network's hidden maps, computed once.

    Attributes:
        centres: Per hidden layer, the middle of its slopes.
    """

    def __init__(self, network: Network):
        """Computes all products."""
        self._network = network
        self._hidden = network.affines[:-1]
        self.centres = [_centre(fn) for fn in network.activations]
        self._products = self._all()
        self._plain = functools.cache(self._plain_norm)

    def norm(self, j: int, k: int) -> float:
        """Bounds ||P[j, k]||, from curved neurons to curved neurons.

        Neurons that are linear are left out of the outputs of map k and, for
        j > 0, of its inputs: there the slope has no spread.
        """
        return self._plain(j, k)

    def weighted_norm(
        self, j: int, k: int, density: np.ndarray, *, all_inputs: bool = False
    ) -> float:
        """Bounds ||diag(sqrt(density)) P[j, k]^T||.

        Args:
            j: Position of the first map.
            k: Position of the last map.
            density: `[n]` weights of its outputs, zero or more.
            all_inputs: Whether inputs that are linear count, too.
        """
        product = self._products[j, k]
        # Neurons without weight need no eigenvalue; an overflow has weight.
        active = ~(density <= 0.0)
        if not np.any(active):
            return 0.0
        rows = None if all_inputs or not j else self.centres[j - 1].bent
        root = np.sqrt(density[active])
        peak = float(np.max(root))
        kernel = product.kernel
        if kernel is None or not _is_small(kernel, rows, active):
            norm = product.norm if all_inputs else self._plain(j, k)
            linear_too = self.centres[k].bent
            if linear_too is not None and np.any(active & ~linear_too):
                norm = product.norm
            return numerics.round_up(peak * norm, 2)
        matrix = kernel[:, active]
        scaled = (matrix if rows is None else matrix[rows]) * root
        found = self._spectral_norm(scaled)
        # The square root and the scaling are two more roundings an entry.
        error = product.error * peak
        error += numerics.gamma(3) * solvers.frobenius_norm_upper_bound(scaled)
        return numerics.round_up(found + error, 4)

    def _plain_norm(self, j: int, k: int) -> float:
        product = self._products[j, k]
        rows = self.centres[j - 1].bent if j else None
        columns = self.centres[k].bent
        if j == k and rows is None and columns is None:
            return product.norm
        if product.kernel is None:
            return product.norm
        matrix = product.kernel if rows is None else product.kernel[rows]
        matrix = matrix if columns is None else matrix[:, columns]
        found = self._spectral_norm(matrix) + product.error
        return min(numerics.round_up(found, 2), product.norm)

    def _all(self) -> dict[tuple[int, int], _Product]:
        """Returns P[j, k] (0-based, as rows multiply) for j <= k."""
        found = {}
        for j, first in enumerate(self._hidden):
            kernel = first.kernel if first.is_written else None
            norm = self._network.norms[j]
            product = _Product(kernel, first.kernel_error, norm)
            found[j, j] = product
            for k in range(j + 1, len(self._hidden)):
                product = self._extend(product, k)
                found[j, k] = product
        return found

    def _extend(self, product: _Product, index: int) -> _Product:
        """Returns P C K_index with its error.

        (P + E) C (K + k) - fl(P C K) is at most ||P C||_F k + E c (||K||_2 +
        k) plus the rounding of the product; network.norms include k.
        """
        affine, centre = self._network.affines[index], self.centres[index - 1]
        norm = product.norm * self._network.norms[index]
        peak = 1.0
        if centre.middles is not None:
            peak = centre.steepest
        norm = numerics.round_up(norm * peak, 4)
        before = product.kernel
        if before is None or not affine.is_written:
            return _Product(None, math.inf, norm)
        if len(before) * affine.linear.outputs > MAX_WRITTEN:
            return _Product(None, math.inf, norm)
        if centre.middles is not None:
            before = before * centre.middles
        size = solvers.frobenius_norm_upper_bound(before)
        rounding = numerics.gamma(affine.linear.inputs + 2)
        error = (
            size * affine.kernel_error
            + product.error * peak * self._network.norms[index]
            + rounding * size * self._network.frobenius_norms[index]
        )
        error = numerics.round_up(error, 16)
        return _Product(before @ affine.kernel, error, norm)

    def _spectral_norm(self, matrix: np.ndarray) -> float:
        return solvers.spectral_norm_upper_bound(matrix, self._network.rigor)


def _is_small(kernel, rows, active) -> bool:
    height = len(kernel) if rows is None else int(np.count_nonzero(rows))
    return min(height, int(np.count_nonzero(active))) <= _MAX_SIDE


def chain_norm_bound(
    index: int,
    norm_of,
    centres: Sequence[Centre],
    lipschitz: Sequence[float],
) -> float:
    """Bounds ||A S_k K_k ... S_1 K_1|| over all admissible S (LipLT form).

    S_j is diagonal with entries in [c_j - d_j, c_j + d_j], the range of
    s'. Replacing the outermost S_j by c_j as long as possible,

        r <= c ||A K_k ... K_1|| + sum_j c_{k..j+1} ||A K_k ... K_{j+1}||
             d_j r_j,

    and never more than the product form g ||A|| r_k, if all of layer k is
    curved.

    Args:
        index: Position of A in the chain.
        norm_of: Maps j to a bound on the norm of K_j ... A without S.
        centres: The ranges of s' of the chains' activations.
        lipschitz: The bounds r_j of the chains below.
    """
    if not index:
        return norm_of(0)
    product_form = math.inf
    if centres[index - 1].bent is None:
        top = norm_of(index)
        product_form = centres[index - 1].steepest * top * lipschitz[index - 1]
    total, scale = 0.0, 1.0
    for j in range(index - 1, -1, -1):
        total += scale * norm_of(j + 1) * centres[j].spread * lipschitz[j]
        scale *= centres[j].scale
    total += scale * norm_of(0)
    candidates = [c for c in (total, product_form) if not math.isnan(c)]
    best = min(candidates, default=math.inf)
    return numerics.round_up(best, 16 * (index + 1))
