"""The curvature bound of [SF20, Theorem 4], and compositional constants.

[SF20]: Singla and Feizi, "Second-Order Provable Defenses against Adversarial
Attacks", ICML 2020.
"""

from collections.abc import Sequence
import math

import numpy as np

from tfcurv import numerics
from tfcurv import solvers
from tfcurv.networks.chain import Network
from tfcurv.networks.functions.side_by_side import bent_neurons
from tfcurv.networks.maps import operator_norms
from tfcurv.networks.maps.affine import Affine


def pair_weights(network: Network, y: int, t: int) -> tuple[np.ndarray, float]:
    """Returns w of z_y - z_t = w . a_{L-1}, and a bound on each entry's error.

    Args:
        network: The network.
        y: The class that is to stay.
        t: The class that it is compared with.
    """
    last = network.affines[-1]
    difference = last.kernel[:, y] - last.kernel[:, t]
    rounding = numerics.gamma(1) * float(np.max(np.abs(difference)))
    return difference, 2.0 * last.kernel_error + rounding


def theorem4_bound(
    network: Network, weights: np.ndarray, error: float = 0.0
) -> float:
    """Returns K of [SF20, Theorem 4] for f = w . a_{L-1}: |H| <= K.

        K = sum_I r_I^2 max_j h_{I,j} S_{I,j},   r_1 = ||W_1||,
        r_I = g_{I-1} ||W_I|| r_{I-1},       S_{L-1} = |w|,
        S_I = (g_{I+1} S_{I+1}) |W_{I+1}|,

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
        peak = float(np.max(fn.curvature_range.farthest * spread))
        radius = radii[index]
        total += radius * radius * peak
        if index:
            spread = fn.slope_range.farthest * spread
            # ||row of the kernel's error|| <= kernel_error.
            carried = affine.kernel_error
            carried *= solvers.frobenius_norm_upper_bound(spread)
            linear = affine.linear
            rows = spread[np.newaxis]
            spread = operator_norms.on_host(linear.absolute_transpose, rows)[0]
            spread = numerics.round_up(
                spread + carried, linear.transposed_terms + 8
            )
    total = or_infinite(numerics.round_up(total, 16 * network.num_layers))
    return total + vanished(network)


def _product_radii(network: Network) -> list[float]:
    radii = [network.norms[0]]
    for fn, norm in zip(network.activations, network.norms[1:-1]):
        radii.append(
            numerics.round_up(fn.slope_range.magnitude * norm * radii[-1], 4)
        )
    return radii


def jacobian_constants(
    network: Network, lipschitz: Sequence[float]
) -> list[float]:
    """Returns Lipschitz constants K_I of the Jacobians of a_1, ..., a_{L-1}.

    With A_I a Lipschitz constant of a_I as a function of x, A_0 = 1, K_0 = 0,

        K_I = h ||diag(n) W_I|| A_{I-1}^2 + g ||W_I|| K_{I-1},

    n the norms of the rows of W_I: s'(z_j) changes by at most h n_j times the
    distance between two points a_{I-1}. Neurons that are linear count in
    g ||W_I|| alone. Then ||H|| of v . a_I is at most ||v|| K_I.

    Source: Entesari, Sharifi and Fazlyab, "Compositional Curvature Bounds for
    Deep Neural Networks", ICML 2024.

    Args:
        network: The network.
        lipschitz: Bounds on ||d z_I / d x||, of curved neurons.
    """
    found = []
    below, jacobian = 1.0, 0.0
    layers = zip(network.activations, network.affines, network.norms, lipschitz)
    for fn, affine, norm, own in layers:
        steepness = fn.slope_range.magnitude
        bend = fn.curvature_range.magnitude * _weighted_norm(affine, fn, norm)
        jacobian = bend * below * below + steepness * norm * jacobian
        jacobian = or_infinite(numerics.round_up(jacobian, 8))
        found.append(jacobian)
        reach = norm * below
        if bent_neurons(fn) is None:
            reach = min(reach, own)
        below = numerics.round_up(steepness * reach, 4)
    return found


def _weighted_norm(affine: Affine, fn, norm: float) -> float:
    """Bounds ||diag(n) W|| of the curved neurons, n the norms of its rows."""
    norms = affine.linear.column_norms + affine.kernel_error
    bent = bent_neurons(fn)
    norms = norms if bent is None else norms * bent
    peak = float(np.max(norms, initial=0.0))
    by_largest, by_size = norm * peak, math.inf
    if 0.0 < peak < math.inf:
        # The Frobenius norm, of numbers whose fourth powers do not vanish.
        squares = np.square(norms / peak)
        by_size = solvers.frobenius_norm_upper_bound(squares) * peak * peak
    return numerics.round_up(
        operator_norms.least(by_largest, by_size), len(norms) + 8
    )


def or_infinite(value: float) -> float:
    """Returns the value, or infinity for NaN: infinity times zero."""
    return math.inf if math.isnan(value) else float(value)


def vanished(network: Network) -> float:
    """Bounds what underflow may have taken from a curvature bound.

    What vanishes may meet any number of the network's norms on its way there.
    """
    growth = 1.0
    for norm in network.norms:
        growth *= max(norm, 1.0)
    return numerics.PRODUCT_UNDERFLOW * growth * growth * growth
