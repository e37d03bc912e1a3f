"""Affine maps that carry the rounding error with which they are known."""

import functools

import numpy as np

from tfcurv.networks.maps.elementary import Dense
from tfcurv.networks.maps.linear_map import LinearMap

#: Up to this many weights an operator is written down as a matrix: 256 MB.
MAX_WRITTEN = 2**25


class Affine:
    """An affine map x -> x K + b, known up to a rounding error.

    Maps that were fused from several layers carry the error of fusing them,
    so that what is proved holds for the product in exact arithmetic.

    Attributes:
        linear: What is applied to rows.
        bias: `[outputs]` float64 array.
        kernel_error: Bounds ||K - kernel||_2, where K is the exact map.
        bias_error: Bounds ||b - bias||_2.
    """

    def __init__(
        self,
        *,
        bias: np.ndarray,
        kernel: np.ndarray | None = None,
        linear: LinearMap | None = None,
        kernel_error: float = 0.0,
        bias_error: float = 0.0,
    ):
        """Keeps what it is given.

        Args:
            bias: `[outputs]` float64 array.
            kernel: `[inputs, outputs]` float64 array; or
            linear: an operator in its place.
            kernel_error: Bounds ||K - kernel||_2.
            bias_error: Bounds ||b - bias||_2.

        Raises:
            ValueError: The shapes do not match, or neither or both of
                `kernel` and `linear` are given.
            TypeError: An array is not float64.
        """
        if kernel is not None and linear is None:
            _check_kernel(kernel, bias)
            linear = Dense(kernel=kernel)
        elif kernel is not None or linear is None:
            raise ValueError(
                "An affine map needs a kernel or a linear map, and one of "
                f"them alone. Received: kernel={kernel!r}, linear={linear!r}."
            )
        if bias.dtype != np.float64 or bias.shape != (linear.outputs,):
            raise ValueError(
                "An affine map needs a float64 bias for each output. "
                f"Received: bias.shape={bias.shape}, bias.dtype={bias.dtype}, "
                f"outputs={linear.outputs}."
            )
        self.linear = linear
        self.bias = bias
        self.kernel_error = kernel_error
        self.bias_error = bias_error

    @property
    def is_written(self) -> bool:
        """Whether there is a matrix, or room for one."""
        size = self.linear.inputs * self.linear.outputs
        return type(self.linear) is Dense or size <= MAX_WRITTEN

    @functools.cached_property
    def kernel(self) -> np.ndarray:
        """`[inputs, outputs]` float64 array, written down if need be.

        Raises:
            ValueError: It would not fit into memory, see `is_written`.
        """
        if type(self.linear) is Dense:
            return self.linear.kernel
        if not self.is_written:
            raise ValueError(
                "This map is too large to be written down as a matrix. "
                f"Received: {self.linear.inputs} x {self.linear.outputs}. "
                f"Allowed: {MAX_WRITTEN} weights."
            )
        return self.linear.materialise()


def _check_kernel(kernel: np.ndarray, bias: np.ndarray) -> None:
    if kernel.ndim != 2 or bias.shape != kernel.shape[1:]:
        raise ValueError(
            "An affine map needs a kernel [inputs, outputs] and a bias "
            f"[outputs]. Received: kernel.shape={kernel.shape}, "
            f"bias.shape={bias.shape}."
        )
    if not kernel.dtype == bias.dtype == np.float64:
        raise TypeError(
            "An affine map needs float64 arrays: its errors are bounded "
            f"for them. Received: kernel.dtype={kernel.dtype}, "
            f"bias.dtype={bias.dtype}."
        )
