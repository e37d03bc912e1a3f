"""Intervals of what the layers of a Hessian are weighted with.

By Lemma 1 of [SF20] layer I of the Hessian of a margin is weighted with
F_I * s''(z_I), where F_{L-1} = w and F_I = (F_{I+1} * s'(z_{I+1})) K_{I+1}^T.
Given ranges of s' and s'', over all inputs or over a ball, interval
arithmetic bounds the weights; rows are independent.

[SF20]: Singla and Feizi, "Second-Order Provable Defenses against Adversarial
Attacks", ICML 2020.
"""

from collections.abc import Sequence

import numpy as np

from tfcurv import numerics
from tfcurv.networks.chain import Network
from tfcurv.networks.functions.intervals import Interval
from tfcurv.networks.maps import operator_norms
from tfcurv.networks.maps.affine import Affine


def negative_densities(
    outer: Sequence[Interval], curvatures: Sequence[Interval]
) -> list[np.ndarray]:
    """Bounds max(-F_I * s''(z_I), 0) from above, layer by layer.

    Args:
        outer: Per hidden layer, the ranges of F_I, see `outer_ranges`.
        curvatures: Per hidden layer, the range of s'', by neuron or for all.

    Returns:
        Per hidden layer, `[..., n]`.
    """
    return [negative_part(f, c) for f, c in zip(outer, curvatures)]


def outer_ranges(
    network: Network,
    low: np.ndarray,
    high: np.ndarray,
    slopes: Sequence[Interval],
) -> list[Interval]:
    """Encloses F_I for I = 1, ..., L - 1.

    Args:
        network: The network.
        low: `[..., n]` lower bounds on w.
        high: `[..., n]` upper bounds on w.
        slopes: Per hidden layer, the range of s', by neuron or for all.
    """
    found = [Interval(low, high)]
    for index in range(len(slopes) - 1, 0, -1):
        bent = product(found[-1], slopes[index])
        found.append(_pull_back(network.affines[index], bent))
    return found[: len(slopes)][::-1]


def negative_part(values: Interval, interval: Interval) -> np.ndarray:
    """Bounds max(-v q, 0) for v in `values` and q in the interval."""
    return np.maximum(-product(values, interval).lower, 0.0)


def product(values: Interval, interval: Interval) -> Interval:
    """Encloses v q for v in `values`, q in the interval; rounded out."""
    corners = np.stack([v * q for v in values for q in interval])
    smallest, largest = np.min(corners, axis=0), np.max(corners, axis=0)
    slack = numerics.gamma(4)
    return Interval(
        smallest - slack * np.abs(smallest),
        largest + slack * np.abs(largest),
    )


def _pull_back(affine: Affine, values: Interval) -> Interval:
    """Encloses v K^T for v in `values`, K the exact kernel.

    With c its centre and d its half-width, c K^T -+ d |K|^T.
    """
    low, high = values
    centre = 0.5 * low + 0.5 * high
    width = np.maximum(high - centre, centre - low)
    size = values.farthest
    rounding = numerics.gamma(2 * affine.linear.transposed_terms + 8)
    width = numerics.round_up(width, 2) + rounding * size
    middle = _rows(affine.linear.transpose, centre)
    reach = _rows(affine.linear.absolute_transpose, width)
    lengths = operator_norms.norm_of_rows(np.atleast_2d(size))
    missed = affine.kernel_error * lengths.reshape((*size.shape[:-1], 1))
    reach = reach * (1.0 + rounding) + missed
    slack = numerics.gamma(2) * (np.abs(middle) + reach)
    return Interval(middle - reach - slack, middle + reach + slack)


def _rows(product, values: np.ndarray) -> np.ndarray:
    """Returns a product with `[n]` or with `[batch, n]`, on the host."""
    rows = np.atleast_2d(values)
    found = operator_norms.on_host(product, rows)
    return found.reshape(*values.shape[:-1], -1)
