"""An affine map of one sample, as read from a layer or told by a caller."""

import dataclasses
from typing import Any

import numpy as np

from tfcurv import networks
from tfcurv.networks import LinearStep as LinearStep


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LinearMapSpec:
    """Says that a layer, in inference, computes x -> x K + b.

    Attributes:
        map: K, on one flattened sample: an array `[inputs, outputs]` or a
            `networks.LinearMap`. An array is taken as exact.
        bias: b, `[outputs]`. Default: zero.
    """

    map: networks.LinearMap | np.ndarray = dataclasses.field(repr=False)
    bias: np.ndarray | None = dataclasses.field(default=None, repr=False)
    _step: LinearStep = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        kernel = self.map
        if not isinstance(kernel, networks.LinearMap):
            kernel = networks.Dense(kernel=_array(kernel, "map", 2))
            object.__setattr__(self, "map", kernel)
        bias = np.zeros(kernel.outputs) if self.bias is None else self.bias
        bias = _array(bias, "bias", 1)
        object.__setattr__(self, "bias", bias)
        object.__setattr__(self, "_step", LinearStep(kernel, bias))
        if bias.shape != (kernel.outputs,):
            raise ValueError(
                "The bias must have one entry for each output of the map. "
                f"Received: bias.shape={bias.shape}. "
                f"Allowed: ({kernel.outputs},)."
            )

    @property
    def step(self) -> LinearStep:
        """The map and its bias."""
        return self._step


def _array(value: Any, name: str, rank: int) -> np.ndarray:
    """Returns a float64 copy of a finite array of one rank."""
    array = np.array(value, np.float64)
    if array.ndim != rank or not np.all(np.isfinite(array)):
        raise ValueError(
            "A linear map needs finite numbers of the right rank. "
            f"Received: {name}.shape={array.shape}, finite="
            f"{bool(np.all(np.isfinite(array)))}. Allowed: rank {rank}."
        )
    return array
