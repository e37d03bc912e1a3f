"""Intervals of what the layers of a Hessian are weighted with.

By Lemma 1 of [SF20] layer I of the Hessian of a margin is weighted with
F_I * s''(z_I), where F_{L-1} = w and F_I = (F_{I+1} * s'(z_{I+1})) K_{I+1}^T.
Given ranges of s' and s'', over all inputs or over a ball, interval
arithmetic bounds the weights; rows are independent.

[SF20]: Singla and Feizi, "Second-Order Provable Defenses against Adversarial
Attacks", ICML 2020.
"""

from collections.abc import Sequence
from typing import Any
from typing import NamedTuple
from typing import Protocol

import numpy as np

from tfcurv import numerics
from tfcurv.networks.chain import Network
from tfcurv.networks.maps import operator_norms
from tfcurv.networks.maps.affine import Affine


class Range(NamedTuple):
    """A closed interval or an array of them.

    Attributes:
        lower: Its left end, a number or an array.
        upper: Its right end.
    """

    lower: Any
    upper: Any


class Ends(Protocol):
    """What any kind of closed intervals has."""

    @property
    def lower(self) -> Any:
        """The left ends."""

    @property
    def upper(self) -> Any:
        """The right ends."""


def negative_densities(
    outer: Sequence[Range], curvatures: Sequence[Ends]
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
    slopes: Sequence[Ends],
) -> list[Range]:
    """Encloses F_I for I = 1, ..., L - 1.

    Args:
        network: The network.
        low: `[..., n]` lower bounds on w.
        high: `[..., n]` upper bounds on w.
        slopes: Per hidden layer, the range of s', by neuron or for all.
    """
    found = []
    for index in range(len(slopes) - 1, -1, -1):
        found.append(Range(low, high))
        if index:
            low, high = _interval_product(low, high, slopes[index])
            low, high = _pull_back(network.affines[index], low, high)
    return found[::-1]


def negative_part(values: Range, interval: Ends) -> np.ndarray:
    """Bounds max(-v q, 0) for v in `values` and q in the interval."""
    smallest, _ = _interval_product(values.lower, values.upper, interval)
    return np.maximum(-smallest, 0.0)


def _interval_product(low, high, interval):
    """Encloses v q for v in [low, high], q in the interval; rounded out."""
    corners = np.stack(
        [
            low * interval.lower,
            low * interval.upper,
            high * interval.lower,
            high * interval.upper,
        ]
    )
    smallest, largest = np.min(corners, axis=0), np.max(corners, axis=0)
    slack = numerics.gamma(4)
    return (
        smallest - slack * np.abs(smallest),
        largest + slack * np.abs(largest),
    )


def _pull_back(affine: Affine, low, high):
    """Encloses v K^T for v in [low, high], K the exact kernel.

    With c its centre and d its half-width, c K^T -+ d |K|^T.
    """
    centre = 0.5 * low + 0.5 * high
    width = np.maximum(high - centre, centre - low)
    size = np.maximum(np.abs(low), np.abs(high))
    rounding = numerics.gamma(2 * affine.linear.transposed_terms + 8)
    width = numerics.round_up(width, 2) + rounding * size
    middle = _rows(affine.linear.transpose, centre)
    reach = _rows(affine.linear.absolute_transpose, width)
    lengths = operator_norms.norm_of_rows(np.atleast_2d(size))
    missed = affine.kernel_error * lengths.reshape((*size.shape[:-1], 1))
    reach = reach * (1.0 + rounding) + missed
    slack = numerics.gamma(2) * (np.abs(middle) + reach)
    return middle - reach - slack, middle + reach + slack


def _rows(product, values: np.ndarray) -> np.ndarray:
    """Returns a product with `[n]` or with `[batch, n]`, on the host."""
    rows = np.atleast_2d(values)
    found = operator_norms.on_host(product, rows)
    return found.reshape(*values.shape[:-1], -1)
