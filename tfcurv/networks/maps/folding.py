"""Neighbouring linear maps as one, for the sake of a sharper norm.

Certificates are about the stored weights, and a product of stored weights is
rounded: a folded map stands for its bounds only, which carry the rounding
error. What is applied to samples is never folded.
"""

from collections.abc import Sequence
import dataclasses
import functools
from typing import TypeAlias

import numpy as np

from tfcurv import numerics
from tfcurv import solvers
from tfcurv.networks.maps import operator_norms
from tfcurv.networks.maps.convolution import Convolution
from tfcurv.networks.maps.elementary import Dense
from tfcurv.networks.maps.elementary import Diagonal
from tfcurv.networks.maps.linear_map import Identity
from tfcurv.networks.maps.linear_map import LinearMap
from tfcurv.networks.maps.linear_map import scaled_up

#: What can be folded: maps that hold their weights.
_Weighted: TypeAlias = Dense | Diagonal | Convolution


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Folded:
    """The product of several maps, known up to its rounding.

    The exact product, over 2**exponent, lies within gamma_count `sizes` of
    `unit`, entry by entry.

    Attributes:
        unit: The product of the maps' units, as computed.
        sizes: The product of their absolute values, as computed.
        count: How many roundings an entry has suffered.
        exponent: Of the power of two that was taken out.
    """

    unit: _Weighted
    sizes: _Weighted
    count: int
    exponent: int

    def norm_upper_bound(
        self, rigor: solvers.Rigor = solvers.Rigor.VERIFIED
    ) -> float:
        """Returns a proved upper bound on the norm of the exact product."""
        error = operator_norms.schur_norm_upper_bound(self.sizes)
        bound = self.unit.norm_upper_bound(rigor) + self._slack * error
        # Weights near one: what has underflowed in their products is less.
        bound = numerics.round_up(bound + numerics.SUM_UNDERFLOW, 2)
        return operator_norms.scaled_back(bound, self.exponent)

    @property
    def _slack(self) -> float:
        # Twice, for the sizes are rounded as well.
        return 2.0 * numerics.gamma(self.count)

    @functools.cached_property
    def column_norms(self) -> np.ndarray:
        """`[outputs]` upper bounds on the l2 norm of each output's weights."""
        error = self._slack * self.sizes.column_norms
        bound = self.unit.column_norms + error + numerics.SUM_UNDERFLOW
        bound = numerics.round_up(bound, 2)
        return scaled_up(bound, self.exponent)


def folded(maps: Sequence[LinearMap]) -> list[LinearMap | Folded]:
    """Returns as few maps as possible with the same product.

    Identities fall away; what scales, and what mixes channels at one place,
    joins the convolution or the matrix before it or after it.

    Args:
        maps: The first to be applied first.
    """
    found: list[LinearMap | Folded] = []
    for each in maps:
        if type(each) is Identity:
            continue
        merged = _merged(found[-1], each) if found else None
        if merged is None:
            found.append(each)
        else:
            found[-1] = merged
    return found or [maps[0]]


def _merged(first: LinearMap | Folded, second: LinearMap) -> Folded | None:
    before, after = _as_folded(first), _as_folded(second)
    if before is None or after is None:
        return None
    unit = _product(before.unit, after.unit)
    sizes = _product(before.sizes, after.sizes)
    if unit is None or sizes is None:
        return None
    return Folded(
        unit=unit,
        sizes=sizes,
        count=before.count + before.unit.output_shape[-1] + 1,
        exponent=before.exponent + after.exponent,
    )


def _as_folded(each: LinearMap | Folded) -> Folded | None:
    """Returns one map as folded; None if its weights cannot be folded.

    They can where there are some, finite and not all zero.
    """
    if isinstance(each, Folded):
        return each
    # `type`, not isinstance: a subclass may compute something else.
    if type(each) not in (Dense, Diagonal, Convolution):
        return None
    unit, exponent = each._normalised()
    if isinstance(unit, Diagonal):
        weights, name = unit.scale, "scale"
    elif isinstance(unit, Dense | Convolution):
        weights, name = unit.kernel, "kernel"
    else:
        return None
    if not (np.all(np.isfinite(weights)) and np.any(weights)):
        return None
    sizes = dataclasses.replace(unit, **{name: np.abs(weights)})
    return Folded(unit=unit, sizes=sizes, count=0, exponent=exponent)


def _product(first: _Weighted, second: _Weighted) -> _Weighted | None:
    """Returns the product of two maps as one of them; None if it is none."""
    match first, second:
        case Dense(), Dense():
            return Dense(kernel=first.kernel @ second.kernel)
        case Dense(), Diagonal():
            return Dense(kernel=first.kernel * _elements(second))
        case Diagonal(), Dense():
            return Dense(kernel=_elements(first)[:, np.newaxis] * second.kernel)
    if first.output_shape != second.input_shape:
        return None
    match first, second:
        case Diagonal(), Diagonal():
            return dataclasses.replace(first, scale=first.scale * second.scale)
        case Convolution(), Diagonal() if _scales_channels(second):
            kernel = first.kernel * second.scale
            return dataclasses.replace(first, kernel=kernel)
        case Diagonal(), Convolution() if _scales_channels(first):
            return _scaled_before(first, second)
        case Convolution(), Convolution() if _is_pointwise(second):
            mixing = _ungrouped(second).reshape(second.input_shape[-1], -1)
            kernel = _ungrouped(first) @ mixing
            return dataclasses.replace(first, kernel=kernel, groups=1)
    return None


def _elements(diagonal: Diagonal) -> np.ndarray:
    """Returns the factor of each element of a sample."""
    return np.broadcast_to(diagonal.scale, diagonal.input_shape).ravel()


def _scales_channels(diagonal: Diagonal) -> bool:
    return diagonal.scale.size in (1, *diagonal.scale.shape[-1:])


def _scaled_before(first: Diagonal, second: Convolution) -> Convolution:
    """Returns a convolution whose input channels were scaled."""
    channels = np.broadcast_to(first.scale.ravel(), first.input_shape[-1:])
    kernel = second.kernel
    # The channels of the group that each output belongs to.
    factors = np.repeat(
        channels.reshape(second.groups, kernel.shape[-2]).T,
        kernel.shape[-1] // second.groups,
        axis=1,
    )
    return dataclasses.replace(second, kernel=kernel * factors)


def _is_pointwise(each: Convolution) -> bool:
    return all(
        axis.kernel == axis.stride == 1 and axis.before == axis.after == 0
        for axis in each.axes
    )


def _ungrouped(each: Convolution) -> np.ndarray:
    """Returns the kernel of a single group, with zeros between channels."""
    if each.groups == 1:
        return each.kernel
    parts = np.split(each.kernel, each.groups, axis=-1)
    size, width = parts[0].shape[-2:]
    whole = (*each.kernel.shape[:-2], each.input_shape[-1], width * len(parts))
    kernel = np.zeros(whole)
    for i, part in enumerate(parts):
        rows = slice(i * size, (i + 1) * size)
        kernel[..., rows, i * width : (i + 1) * width] = part
    return kernel
