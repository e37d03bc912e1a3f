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
from tfcurv.bounds.curvature.chain_products import ChainProducts
from tfcurv.bounds.curvature.chain_products import chain_norm_bound
from tfcurv.bounds.curvature.densities import negative_densities
from tfcurv.bounds.curvature.densities import outer_ranges
from tfcurv.bounds.curvature.theorem4 import jacobian_constants
from tfcurv.bounds.curvature.theorem4 import or_infinite
from tfcurv.bounds.curvature.theorem4 import pair_weights
from tfcurv.bounds.curvature.theorem4 import theorem4_bound
from tfcurv.bounds.curvature.theorem4 import vanished
from tfcurv.networks.chain import Network
from tfcurv.networks.functions.intervals import Interval

# Maps j, k to a bound on ||diag(sqrt(D_k + extra)) P[j, k]^T||, see
# `ChainProducts`; positions 0-based.
_WeightedNorm = Callable[..., float]


class CurvatureBounds(NamedTuple):
    """Bounds on the eigenvalues of the Hessian of z_y - z_t, for all x.

    Attributes:
        lower: m <= 0, in logits per squared input unit.
        upper: M >= 0.
    """

    lower: float
    upper: float


class CurvatureBounder:
    """Bounds the curvature of the logit differences of one network.

    What the pairs of classes share (products of kernels and their norms) is
    computed once, at construction; a pair costs L (L - 1) / 2 eigenvalue
    bounds or fewer, when it is asked for.
    """

    def __init__(self, network: Network):
        """Computes what all pairs share."""
        self._network = network
        self._products = products = ChainProducts(network)
        # ||B_I|| for I = 1, ..., L - 1, each resting on those before.
        self._lipschitz: list[float] = []
        for k in range(len(network.activations)):
            self._lipschitz.append(
                self._chain(k, functools.partial(products.norm, k=k))
            )
        self._jacobians = jacobian_constants(network, self._lipschitz)

    def bounds(self, y: int, t: int) -> CurvatureBounds:
        """Returns m(y, t) <= 0 <= M(y, t).

        The best, for each of the two, of Theorem 3 (two layers) or, for
        more, of the signed forms, the compositional one and Theorem 4.

        Args:
            y: The class that is to stay.
            t: The class that it is compared with.
        """
        return CurvatureBounds(
            lower=-self.pair_concavity_upper_bound(y, t),
            upper=self.pair_concavity_upper_bound(t, y),
        )

    def pair_concavity_upper_bound(self, y: int, t: int) -> float:
        """Returns |m(y, t)|, which is also M(t, y)."""
        return self.concavity_upper_bound(*pair_weights(self._network, y, t))

    def pair_theorem4_bound(self, y: int, t: int) -> float:
        """Returns K of Theorem 4 for z_y - z_t; see `theorem4_bound`."""
        return theorem4_bound(self._network, *pair_weights(self._network, y, t))

    def layer_terms(self, y: int, t: int) -> tuple[float, ...]:
        """Returns what each hidden layer adds to the sum form of |m(y, t)|.

        Term I bounds lambda_max(B_I^T diag((F_I s''(z_I))^-) B_I), for all x.
        Their sum is |m(y, t)| for two layers, and at least that for more.
        """
        weighted, _ = self._weighted(*pair_weights(self._network, y, t))
        chains = self._weighted_chains(weighted)
        terms = [numerics.round_up(chain * chain, 2) for chain in chains]
        floor = vanished(self._network)
        return tuple(or_infinite(term) + floor for term in terms)

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
        if not self._lipschitz or not (np.any(weights) or error):
            return 0.0
        weighted, outer = self._weighted(weights, error)
        chains = self._weighted_chains(weighted)
        candidates = [self._sum_form(chains)]
        if len(chains) > 1:
            candidates.append(self._merged_form(weighted))
            candidates.append(self._compositional_form(chains, outer))
            candidates.append(theorem4_bound(self._network, weights, error))
        return min(map(or_infinite, candidates)) + vanished(self._network)

    def _weighted(self, weights, error) -> tuple[_WeightedNorm, list[Interval]]:
        """Returns norms weighted by (F_I s'')^-, and the ranges of F_I."""
        activations = self._network.activations
        slopes = [fn.slope_range for fn in activations]
        low, high = weights - error, weights + error
        outer = outer_ranges(self._network, low, high, slopes)
        densities = negative_densities(
            outer, [fn.curvature_range for fn in activations]
        )

        @functools.cache  # The forms ask for some norms twice.
        def weighted(j, k, extra=0.0, all_inputs=False):
            density = densities[k] + extra
            return self._products.weighted_norm(
                j, k, density, all_inputs=all_inputs
            )

        return weighted, outer

    def _chain(self, index: int, norm_of: Callable[[int], float]) -> float:
        centres = self._products.centres
        return chain_norm_bound(index, norm_of, centres, self._lipschitz)

    def _weighted_chains(self, weighted: _WeightedNorm) -> list[float]:
        """Bounds ||diag(sqrt D_I) B_I|| for I = 1, ..., L - 1."""
        return [
            self._chain(k, functools.partial(weighted, k=k))
            for k in range(len(self._lipschitz))
        ]

    def _sum_form(self, chains: Sequence[float]) -> float:
        """Bounds ||sum_I B_I^T D_I B_I|| term by term; Theorem 3 for L = 2.

        For two layers the one term is ||diag(sqrt D) W_1||^2, the exact
        lambda_max of the matrix N of [SF20, Theorem 3].
        """
        total = 0.0
        for chain in chains:
            total += chain * chain  # Unlike **, overflows to infinity.
        return numerics.round_up(total, len(chains) + 2)

    def _merged_form(self, weighted: _WeightedNorm) -> float:
        """Bounds the sum by one eigenvalue over the first map.

        B_I = C_I K_1 with ||C_I|| <= the product of slopes and norms in
        between, so sum_{I >= 2} B_I^T D_I B_I <= kappa W_1^T W_1 and

            -lambda_min(H) <= lambda_max(W_1^T (D_1 + kappa I) W_1).
        """
        kappa, between = 0.0, 1.0
        centres = self._products.centres
        for index in range(1, len(centres)):
            between *= centres[index - 1].steepest
            below = centres[index - 1].bent
            whole = () if below is None else (0.0, True)
            outer = weighted(index, index, *whole)
            kappa += (outer * between) * (outer * between)
            between *= self._network.norms[index]
        kappa = numerics.round_up(kappa, 8 * len(centres))
        root = weighted(0, 0, kappa)
        return numerics.round_up(root * root, 4)

    def _compositional_form(self, chains, outer: list[Interval]) -> float:
        """Bounds the layers up to one by their Jacobian, the others by terms.

        The Hessian of f is that of F_I . a_I with F_I held fast, at most
        ||F_I|| times the Lipschitz constant of a_I's Jacobian, plus the terms
        of the layers above I.
        """
        best, above = math.inf, 0.0
        for index in range(len(chains) - 1, 0, -1):
            above += chains[index] * chains[index]
            sizes = outer[index - 1].farthest
            force = solvers.frobenius_norm_upper_bound(sizes)
            total = above + force * self._jacobians[index - 1]
            best = min(best, or_infinite(numerics.round_up(total, 8)))
        return numerics.round_up(best, 2 * len(chains))
