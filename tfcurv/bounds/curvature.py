"""Global bounds on the eigenvalues of the Hessian of a logit difference.

For f = z_y - z_t, Lemma 1 of [SF20] writes the Hessian as

    H(x) = sum_I B_I^T diag(F_I * s''(z_I)) B_I,   I = 1, ..., L - 1,

with B_I = d z_I / d x and F_I = d f / d a_I. Bounding F_I and s'' over all x
bounds H; the bounds here differ in how they treat B_I.

[SF20]: Singla and Feizi, "Second-Order Provable Defenses against Adversarial
Attacks", ICML 2020.
"""

from collections.abc import Callable
from collections.abc import Sequence
import functools
import math
from typing import NamedTuple

import numpy as np

from tfcurv import numerics
from tfcurv import solvers
from tfcurv.bounds.densities import Range
from tfcurv.bounds.densities import negative_densities
from tfcurv.bounds.network import Network

# A product below the smallest number vanishes, which is less than this, and
# may meet any number of the network's norms on its way into the bound.
_UNDERFLOW = 1e-300

# Maps j, k, d to a bound on ||diag(sqrt(D_k + d)) (K_j ... K_k)^T||, positions
# 0-based; d = 0 may be left out.
_WeightedNorm = Callable[..., float]


class CurvatureBounds(NamedTuple):
    """Bounds on the eigenvalues of the Hessian of z_y - z_t, for all x.

    Attributes:
        lower: m <= 0, in logits per squared input unit.
        upper: M >= 0.
    """

    lower: float
    upper: float


class _Product(NamedTuple):
    """A product of kernels, with a Frobenius bound on its error."""

    kernel: np.ndarray
    error: float


class CurvatureBounder:
    """Bounds the curvature of the logit differences of one network.

    What the pairs of classes share (products of kernels and their norms) is
    computed once, at construction; a pair costs L (L - 1) / 2 eigenvalue
    bounds or fewer, when it is asked for.
    """

    def __init__(self, network: Network):
        """Computes what all pairs share."""
        self._network = network
        self._hidden = network.affines[:-1]
        self._products = products = self._all_products()
        # Computed when they are first asked for.
        self._plain_norm = functools.cache(
            lambda j, k: self._norm(products[j, k])
        )
        self._lipschitz = self._lipschitz_constants(
            [fn.slope_range for fn in network.activations]
        )

    def bounds(self, y: int, t: int) -> CurvatureBounds:
        """Returns m(y, t) <= 0 <= M(y, t).

        The best, for each of the two, of Theorem 3 (two layers) or the signed
        forms (more), and of Theorem 4.

        Args:
            y: The class that is to stay.
            t: The class that it is compared with.
        """
        return CurvatureBounds(
            lower=-self.concavity_upper_bound(*self._pair_weights(y, t)),
            upper=self.concavity_upper_bound(*self._pair_weights(t, y)),
        )

    def pair_concavity_upper_bound(self, y: int, t: int) -> float:
        """Returns |m(y, t)|, which is also M(t, y)."""
        return self.concavity_upper_bound(*self._pair_weights(y, t))

    def pair_theorem4_bound(self, y: int, t: int) -> float:
        """Returns K of Theorem 4 for z_y - z_t; see `theorem4_bound`."""
        return theorem4_bound(self._network, *self._pair_weights(y, t))

    def layer_terms(self, y: int, t: int) -> tuple[float, ...]:
        """Returns what each hidden layer adds to the sum form of |m(y, t)|.

        Term I bounds lambda_max(B_I^T diag((F_I s''(z_I))^-) B_I), for all x.
        Their sum is |m(y, t)| for two layers, and at least that for more.
        """
        slopes, weighted = self._weighted_norm(*self._pair_weights(y, t))
        chains = self._weighted_chains(weighted, slopes, self._lipschitz)
        terms = [numerics.round_up(chain * chain, 2) for chain in chains]
        floor = vanished(self._network)
        return tuple(_or_infinite(term) + floor for term in terms)

    def class_concavity_upper_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns bounds for each logit and for each negated logit.

        The Hessian of z_y - z_t is the sum of those of z_y and -z_t, so
        |m(y, t)| <= plus[y] + minus[t]: 2 C bounds cover all C^2 pairs,
        less tightly.

        Returns:
            `[classes]` arrays `plus` and `minus`.
        """
        last = self._network.affines[-1]
        error = last.kernel_error
        columns = last.kernel.T
        plus = [self.concavity_upper_bound(w, error) for w in columns]
        minus = [self.concavity_upper_bound(-w, error) for w in columns]
        return np.asarray(plus), np.asarray(minus)

    def concavity_upper_bound(self, weights: np.ndarray, error: float) -> float:
        """Returns an upper bound on -lambda_min of the Hessian of w . a_{L-1}.

        Args:
            weights: `[n]` w.
            error: Bounds the error of each entry of w.
        """
        if not self._hidden or not (np.any(weights) or error):
            return 0.0
        slopes, weighted = self._weighted_norm(weights, error)
        found = self._least_form(weighted, slopes, self._lipschitz)
        if len(slopes) > 1:
            everywhere = theorem4_bound(self._network, weights, error)
            found = min(found, _or_infinite(everywhere))
        return found + vanished(self._network)

    def _weighted_norm(self, weights, error) -> tuple[list, _WeightedNorm]:
        """Returns the ranges of s', and norms weighted by (F_I s'')^-."""
        activations = self._network.activations
        slopes = [fn.slope_range for fn in activations]
        curvatures = [fn.curvature_range for fn in activations]
        densities = negative_densities(
            self._network, weights - error, weights + error, slopes, curvatures
        )

        @functools.cache  # Both forms ask for some norms, and twice.
        def weighted(j, k, extra=0.0):
            return self._norm(self._products[j, k], densities[k] + extra)

        return slopes, weighted

    def _least_form(self, weighted, slopes, lipschitz) -> float:
        candidates = [self._sum_form(weighted, slopes, lipschitz)]
        if len(slopes) > 1:
            candidates.append(self._merged_form(weighted, slopes))
        return min(map(_or_infinite, candidates))

    def _pair_weights(self, y: int, t: int) -> tuple[np.ndarray, float]:
        last = self._network.affines[-1]
        difference = last.kernel[:, y] - last.kernel[:, t]
        rounding = numerics.gamma(1) * float(np.max(np.abs(difference)))
        return difference, 2.0 * last.kernel_error + rounding

    def _all_products(self) -> dict[tuple[int, int], _Product]:
        """Returns K_j ... K_k (0-based, as rows multiply) for j <= k."""
        found = {}
        for j, first in enumerate(self._hidden):
            product = _Product(first.kernel, first.kernel_error)
            found[j, j] = product
            for k in range(j + 1, len(self._hidden)):
                product = self._extend(product, k)
                found[j, k] = product
        return found

    def _extend(self, product: _Product, index: int) -> _Product:
        """Returns product K_index with its error.

        (P + E)(K + k) - fl(P K) is at most ||P||_F k + E (||K||_2 + k) plus
        the rounding of the product; network.norms include k.
        """
        affine = self._network.affines[index]
        size = solvers.frobenius_norm_upper_bound(product.kernel)
        rounding = numerics.gamma(affine.kernel.shape[0] + 1)
        error = (
            size * affine.kernel_error
            + product.error * self._network.norms[index]
            + rounding * size * self._network.frobenius_norms[index]
        )
        return _Product(
            product.kernel @ affine.kernel, numerics.round_up(error, 16)
        )

    def _lipschitz_constants(self, slopes: Sequence[Range]) -> list[float]:
        """Bounds ||B_I|| for I = 1, ..., L - 1 by the chain bound."""
        found: list[float] = []
        for index in range(len(self._hidden)):
            norm_of = lambda j, k=index: self._plain_norm(j, k)
            found.append(self._chain(index, norm_of, slopes, found))
        return found

    def _chain(
        self,
        index: int,
        norm_of: Callable[[int], float],
        slopes: Sequence[Range],
        lipschitz: list[float],
    ) -> float:
        """Bounds ||A S_k K_k ... S_1 K_1|| over all admissible S (LipLT form).

        S_j is diagonal with entries in [c_j - d_j, c_j + d_j], the range of
        s'. Replacing the outermost S_j by c_j as long as possible,

            r <= c ||A K_k ... K_1|| + sum_j c_{k..j+1} ||A K_k ... K_{j+1}||
                 d_j r_j,

        and never more than the product form g ||A|| r_k.

        Args:
            index: Position of A in the chain.
            norm_of: Maps j to a bound on the norm of K_j ... A without S.
            slopes: The ranges of s' of the chains' activations.
            lipschitz: The bounds r_j of the chains below.
        """
        if not index:
            return norm_of(0)
        top = norm_of(index)
        steepest = _magnitude(slopes[index - 1])
        product_form = steepest * top * lipschitz[index - 1]
        total, scale = 0.0, 1.0
        for j in range(index - 1, -1, -1):
            slope = slopes[j]
            centre = 0.5 * (slope.lower + slope.upper)
            spread = 0.5 * (slope.upper - slope.lower)
            # centre may be rounded; twice its rounding widens the spread.
            spread += 4.0 * numerics.gamma(1) * _magnitude(slope)
            total += scale * norm_of(j + 1) * spread * lipschitz[j]
            scale *= abs(centre)
        total += scale * norm_of(0)
        best = min(_or_infinite(total), _or_infinite(product_form))
        return numerics.round_up(best, 16 * (index + 1))

    def _sum_form(self, weighted: _WeightedNorm, slopes, lipschitz) -> float:
        """Bounds ||sum_I B_I^T D_I B_I|| term by term; Theorem 3 for L = 2.

        For two layers the one term is ||diag(sqrt D) W_1||^2, the exact
        lambda_max of the matrix N of [SF20, Theorem 3].
        """
        total = 0.0
        for chain in self._weighted_chains(weighted, slopes, lipschitz):
            total += chain * chain  # Unlike **, overflows to infinity.
        return numerics.round_up(total, len(self._hidden) + 2)

    def _weighted_chains(self, weighted, slopes, lipschitz) -> list[float]:
        """Bounds ||diag(sqrt D_I) B_I|| for I = 1, ..., L - 1."""
        return [
            self._chain(k, lambda j, k=k: weighted(j, k), slopes, lipschitz)
            for k in range(len(self._hidden))
        ]

    def _merged_form(self, weighted: _WeightedNorm, slopes) -> float:
        """Bounds the sum by one eigenvalue over the first map.

        B_I = C_I K_1 with ||C_I|| <= the product of slopes and norms in
        between, so sum_{I >= 2} B_I^T D_I B_I <= kappa W_1^T W_1 and

            -lambda_min(H) <= lambda_max(W_1^T (D_1 + kappa I) W_1).
        """
        kappa, between = 0.0, 1.0
        for index in range(1, len(slopes)):
            between *= _magnitude(slopes[index - 1])
            outer = weighted(index, index)
            kappa += (outer * between) * (outer * between)
            between *= self._network.norms[index]
        kappa = numerics.round_up(kappa, 8 * len(slopes))
        root = weighted(0, 0, kappa)
        return numerics.round_up(root * root, 4)

    def _norm(
        self, product: _Product, density: np.ndarray | None = None
    ) -> float:
        """Bounds ||diag(sqrt(density)) P^T|| for the exact product P."""
        if density is None:
            found = self._spectral_norm(product.kernel)
            return numerics.round_up(found + product.error, 2)
        # Neurons without weight need no eigenvalue; an overflow has weight.
        active = ~(density <= 0.0)
        if not np.any(active):
            return 0.0
        root = np.sqrt(density[active])
        scaled = product.kernel[:, active] * root
        found = self._spectral_norm(scaled)
        # The square root and the scaling are two more roundings an entry.
        error = product.error * float(np.max(root))
        error += numerics.gamma(3) * solvers.frobenius_norm_upper_bound(scaled)
        return numerics.round_up(found + error, 4)

    def _spectral_norm(self, matrix: np.ndarray) -> float:
        return solvers.spectral_norm_upper_bound(matrix, self._network.rigor)


def theorem4_bound(
    network: Network, weights: np.ndarray, error: float = 0.0
) -> float:
    """Returns K of [SF20, Theorem 4] for f = w . a_{L-1}: |H| <= K.

        K = sum_I h_I r_I^2 max_j S_{I,j},   r_1 = ||W_1||,
        r_I = g_{I-1} ||W_I|| r_{I-1},       S_{L-1} = |w|,
        S_I = g_{I+1} S_{I+1} |W_{I+1}|,

    with g_I, h_I the largest |s'|, |s''| of activation I. Zero for one layer
    and for w = 0.

    Args:
        network: The network.
        weights: `[n]` w.
        error: Bounds the error of each entry of w.
    """
    if not network.activations or not (np.any(weights) or error):
        return 0.0
    spread = np.abs(weights) + error
    radii = _product_radii(network)
    total = 0.0
    for index in range(len(network.activations) - 1, -1, -1):
        fn = network.activations[index]
        affine = network.affines[index]
        peak = float(np.max(spread))
        radius = radii[index]
        total += fn.curvature_range.magnitude * radius * radius * peak
        spread = fn.slope_range.magnitude * spread
        # ||row of the kernel's error|| <= kernel_error.
        carried = affine.kernel_error * math.sqrt(np.sum(spread**2))
        spread = np.abs(affine.kernel) @ spread + carried
        spread = numerics.round_up(spread, affine.kernel.shape[1] + 8)
    total = _or_infinite(numerics.round_up(total, 16 * network.num_layers))
    return total + vanished(network)


def _product_radii(network: Network) -> list[float]:
    radii = [network.norms[0]]
    for fn, norm in zip(network.activations, network.norms[1:-1]):
        radii.append(
            numerics.round_up(fn.slope_range.magnitude * norm * radii[-1], 4)
        )
    return radii


def _magnitude(slope: Range) -> float:
    return max(abs(slope.lower), abs(slope.upper))


def _or_infinite(value: float) -> float:
    """Returns the value, or infinity for NaN: infinity times zero."""
    return math.inf if math.isnan(value) else float(value)


def vanished(network: Network) -> float:
    """Bounds what underflow may have taken from a curvature bound."""
    growth = 1.0
    for norm in network.norms:
        growth *= max(norm, 1.0)
    return _UNDERFLOW * growth * growth * growth
