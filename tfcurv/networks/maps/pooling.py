"""Average pooling as a linear map, with Keras' conventions."""

from collections.abc import Sequence
import dataclasses
import functools
from typing import Literal

import numpy as np
import tensorflow as tf

from tfcurv import numerics
from tfcurv import solvers
from tfcurv.networks.maps import operator_norms
from tfcurv.networks.maps.convolution import axes_of
from tfcurv.networks.maps.convolution_norms import Axis
from tfcurv.networks.maps.linear_map import Constants
from tfcurv.networks.maps.linear_map import LinearMap
from tfcurv.networks.maps.linear_map import checked_shape


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class AveragePooling(LinearMap):
    """Means over a window, by channel; the window as large as the image: one.

    Zeros of the padding are not counted, so a mean over two axes is a mean
    over columns of means over rows, also at the borders: the map is the
    Kronecker product of one small matrix for each axis and the identity of
    the channels, and its norm the product of the norms of the two.

    Attributes:
        input_shape: `([height,] width, channels)`.
        pool_size: Window, one number for all axes or one for each.
        strides: Its steps. Default: the window.
        padding: "valid" or "same".
    """

    input_shape: tuple[int, ...]
    pool_size: int | tuple[int, ...]
    strides: int | tuple[int, ...] | None = None
    padding: Literal["valid", "same"] = "valid"

    def __post_init__(self) -> None:
        shape = checked_shape(self.input_shape, "input_shape")
        object.__setattr__(self, "input_shape", shape)
        if len(shape) not in (2, 3) or self.padding not in ("valid", "same"):
            raise ValueError(
                "Average pooling needs one or two axes before the channels, "
                "and padding 'valid' or 'same'. Received: "
                f"input_shape={shape}, padding={self.padding!r}."
            )
        self.axes  # Raises where the geometry is impossible.

    @functools.cached_property
    def axes(self) -> tuple[Axis, ...]:
        """The geometry, one or two axes."""
        sizes = self.input_shape[:-1]
        pool = self.pool_size
        if isinstance(pool, int):
            pool = (pool,) * len(sizes)
        checked_shape(pool, "pool_size")
        if len(pool) != len(sizes):
            raise ValueError(
                "One window is needed, or one for each axis. "
                f"Received: pool_size={self.pool_size!r}, {len(sizes)} axes."
            )
        strides = pool if self.strides is None else self.strides
        return axes_of(sizes, pool, strides, self.padding)

    @functools.cached_property
    def output_shape(self) -> tuple[int, ...]:
        """`([height,] width, channels)`."""
        sizes = (axis.outputs for axis in self.axes)
        return *sizes, self.input_shape[-1]

    @property
    def terms(self) -> int:
        """The longest sum along each axis, and the rounding of its weights."""
        return sum(axis.size + 1 for axis in self.axes)

    @property
    def transposed_terms(self) -> int:
        """The same of the transpose."""
        return sum(axis.outputs + 1 for axis in self.axes)

    @functools.cached_property
    def _matrices(self) -> list[np.ndarray]:
        return [_means(axis) for axis in self.axes]

    @functools.cached_property
    def _weights(self):
        return [Constants(matrix) for matrix in self._matrices]

    def _apply(self, x):
        matrices = [matrix(x.dtype) for matrix in self._weights]
        return _contracted(x, self.input_shape, matrices)

    def _transpose(self, v):
        matrices = [tf.transpose(m(v.dtype)) for m in self._weights]
        return _contracted(v, self.output_shape, matrices)

    _absolute, _absolute_transpose = _apply, _transpose

    def _norm(self, rigor):
        # Each weight is off by one rounding, which Schur's bound covers.
        norms = []
        for matrix in self._matrices:
            rows, columns = matrix.sum(0).max(), matrix.sum(1).max()
            schur = numerics.round_up(
                np.sqrt(rows * columns), sum(matrix.shape)
            )
            sharp = solvers.spectral_norm_upper_bound(matrix, rigor)
            sharp += numerics.unit_roundoff(matrix.dtype) * schur
            norms.append(float(operator_norms.least(schur, sharp)))
        return operator_norms.product(norms)

    def _column_norms(self):
        # A column holds 1 / n, n times: its norm is n**(-1/2).
        counts = np.ones((), np.int64)
        for matrix in self._matrices:
            each = np.count_nonzero(matrix, axis=0)
            counts = np.multiply.outer(counts, each)
        norms = numerics.round_up(1.0 / np.sqrt(counts), 2)
        return np.repeat(norms.ravel(), self.input_shape[-1])


def _means(axis: Axis) -> np.ndarray:
    """Returns the matrix `[size, outputs]` of the means along one axis."""
    starts = np.arange(axis.outputs) * axis.stride - axis.before
    places = np.arange(axis.size)[:, np.newaxis]
    inside = (places >= starts) & (places < starts + axis.kernel)
    return inside / np.count_nonzero(inside, axis=0)


def _contracted(
    rows: tf.Tensor, shape: Sequence[int], matrices: list[tf.Tensor]
) -> tf.Tensor:
    samples = tf.reshape(rows, [-1, *shape])
    subscripts = "bwc,wv->bvc" if len(matrices) == 1 else "bhwc,hg,wv->bgvc"
    found = tf.einsum(subscripts, samples, *matrices)
    return tf.reshape(found, [tf.shape(rows)[0], -1])
