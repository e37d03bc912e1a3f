"""Affine maps that carry the rounding error with which they are known."""

import dataclasses

import numpy as np

from tfcurv import numerics
from tfcurv import solvers


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Affine:
    """An affine map x -> x K + b, known up to a rounding error.

    Maps that were fused from several layers carry the error of fusing them,
    so that what is proved holds for the product in exact arithmetic.

    Attributes:
        kernel: `[inputs, outputs]` float64 array.
        bias: `[outputs]` float64 array.
        kernel_error: Bounds ||K - kernel||_F, where K is the exact map.
        bias_error: Bounds ||b - bias||_2.
    """

    kernel: np.ndarray
    bias: np.ndarray
    kernel_error: float = 0.0
    bias_error: float = 0.0

    def __post_init__(self) -> None:
        if self.kernel.ndim != 2 or self.bias.shape != self.kernel.shape[1:]:
            raise ValueError(
                "An affine map needs a kernel [inputs, outputs] and a bias "
                f"[outputs]. Received: kernel.shape={self.kernel.shape}, "
                f"bias.shape={self.bias.shape}."
            )
        if not self.kernel.dtype == self.bias.dtype == np.float64:
            raise TypeError(
                "An affine map needs float64 arrays: its errors are bounded "
                f"for them. Received: kernel.dtype={self.kernel.dtype}, "
                f"bias.dtype={self.bias.dtype}."
            )

    def then(self, after: "Affine") -> "Affine":
        """Returns the composition x -> after(self(x)), with its error."""
        rounding = numerics.gamma(self.kernel.shape[1] + 2)
        first = solvers.frobenius_norm_upper_bound(self.kernel)
        second = solvers.frobenius_norm_upper_bound(after.kernel)
        bias = solvers.frobenius_norm_upper_bound(self.bias)
        last = solvers.frobenius_norm_upper_bound(after.bias)
        inherited = (second + after.kernel_error) * self.kernel_error
        carried = (second + after.kernel_error) * self.bias_error
        return Affine(
            kernel=self.kernel @ after.kernel,
            bias=self.bias @ after.kernel + after.bias,
            kernel_error=numerics.round_up(
                inherited
                + first * after.kernel_error
                + rounding * first * second,
                16,
            ),
            bias_error=numerics.round_up(
                carried
                + bias * after.kernel_error
                + after.bias_error
                + rounding * (bias * second + last),
                16,
            ),
        )
