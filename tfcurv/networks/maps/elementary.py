"""Linear maps of dense and diagonal kind, and those that move elements."""

from collections.abc import Sequence
import dataclasses
import functools
import math

import numpy as np
import tensorflow as tf

from tfcurv import solvers
from tfcurv.networks.maps import operator_norms
from tfcurv.networks.maps.linear_map import Constants
from tfcurv.networks.maps.linear_map import LinearMap
from tfcurv.networks.maps.linear_map import Weighted
from tfcurv.networks.maps.linear_map import checked_shape
from tfcurv.networks.maps.linear_map import checked_weights
from tfcurv.networks.maps.linear_map import root_of


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Dense(Weighted):
    """A product with a matrix.

    Attributes:
        kernel: `[inputs, outputs]` float64 array.
    """

    kernel: np.ndarray = dataclasses.field(repr=False)

    def __post_init__(self) -> None:
        checked_weights(self.kernel, "kernel", [2])
        checked_shape(self.kernel.shape, "kernel.shape")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """`(inputs,)`."""
        return self.kernel.shape[:1]

    @property
    def output_shape(self) -> tuple[int, ...]:
        """`(outputs,)`."""
        return self.kernel.shape[1:]

    @property
    def terms(self) -> int:
        """The number of inputs."""
        return self.inputs

    @property
    def transposed_terms(self) -> int:
        """The number of outputs."""
        return self.outputs

    @property
    def weights(self) -> np.ndarray:
        """The kernel."""
        return self.kernel

    def forward(self, x: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Returns the product with another kernel."""
        return tf.matmul(x, weights)

    def backward(self, v: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Returns the product with another kernel, transposed."""
        return tf.matmul(v, weights, transpose_b=True)

    def column_norms_of(self, weights: tf.Tensor) -> tf.Tensor:
        """Returns the norms of another kernel's columns."""
        return root_of(tf.reduce_sum(tf.square(weights), axis=0))

    def peak(self, v: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Returns the largest entries of v |K|^T, with a cheaper gradient.

        Only the row of the kernel that attains it has one: two matrix products
        fewer on the way back.
        """
        still = tf.abs(tf.stop_gradient(weights))
        every = self.backward(tf.stop_gradient(v), still)
        rows = tf.gather(weights, tf.argmax(every, axis=-1))
        return tf.reduce_sum(v * tf.abs(rows), axis=-1)

    # Transposed copies: on a CPU TensorFlow's product with transpose_b is up
    # to five times slower.
    @functools.cached_property
    def _weights(self):
        return Constants(self.kernel), Constants(self.kernel.T.copy())

    @functools.cached_property
    def _sizes(self):
        size = np.abs(self.kernel)
        return Constants(size), Constants(size.T.copy())

    def _apply(self, x):
        return x @ self._weights[0](x.dtype)

    def _transpose(self, v):
        return v @ self._weights[1](v.dtype)

    def _absolute(self, x):
        return x @ self._sizes[0](x.dtype)

    def _absolute_transpose(self, v):
        return v @ self._sizes[1](v.dtype)

    def materialise(self) -> np.ndarray:
        """Returns a copy of the kernel."""
        return self.kernel.copy()

    def _norm(self, rigor):
        return solvers.spectral_norm_upper_bound(self.kernel, rigor)

    def _column_norms(self):
        return operator_norms.norm_of_rows(self.kernel.T)

    def frobenius_norm_upper_bound(self) -> float:
        """Returns a proved upper bound on the Frobenius norm of K."""
        return solvers.frobenius_norm_upper_bound(self.kernel)

    def _normalised(self):
        exponent = operator_norms.exponent_near(self.kernel)
        kernel = np.ldexp(self.kernel, -exponent)
        return Dense(kernel=kernel), exponent


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Diagonal(Weighted):
    """An elementwise product, as of a folded normalisation.

    Attributes:
        scale: Float64 array that broadcasts to `input_shape`: `[channels]`
            scales channels, a full array every element by itself.
        input_shape: Shape of one sample.
    """

    scale: np.ndarray = dataclasses.field(repr=False)
    input_shape: tuple[int, ...]

    terms = 1
    transposed_terms = 1

    def __post_init__(self) -> None:
        shape = checked_shape(self.input_shape, "input_shape")
        if isinstance(self.scale, np.float64):
            object.__setattr__(self, "scale", np.asarray(self.scale))
        checked_weights(self.scale, "scale", range(len(shape) + 1))
        object.__setattr__(self, "input_shape", shape)
        # One that is larger than the sample broadcasts to another shape.
        sizes = zip(self.scale.shape[::-1], shape[::-1])
        if any(size not in (1, whole) for size, whole in sizes):
            raise ValueError(
                "The scale must broadcast to the shape of a sample. "
                f"Received: scale.shape={self.scale.shape}, "
                f"input_shape={shape}."
            )

    @property
    def output_shape(self) -> tuple[int, ...]:
        """That of the input."""
        return self.input_shape

    @functools.cached_property
    def _sizes(self):
        return Constants(np.abs(self.scale))

    @property
    def weights(self) -> np.ndarray:
        """The scale."""
        return self.scale

    def forward(self, x: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Returns the product with another scale."""
        samples = tf.reshape(x, [-1, *self.input_shape])
        return tf.reshape(samples * weights, [-1, self.inputs])

    def backward(self, v: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Returns the product with another scale."""
        return self.forward(v, weights)

    def column_norms_of(self, weights: tf.Tensor) -> tf.Tensor:
        """Returns the absolute values of another scale."""
        whole = tf.broadcast_to(tf.abs(weights), self.input_shape)
        return tf.reshape(whole, [-1])

    def _apply(self, x):
        return self.forward(x, self.constants(x.dtype))

    def _absolute(self, x):
        return self.forward(x, self._sizes(x.dtype))

    _transpose, _absolute_transpose = _apply, _absolute

    def _norm(self, rigor):
        peak = float(np.max(np.abs(self.scale)))
        return peak if math.isfinite(peak) else math.inf

    def _column_norms(self):
        size = np.abs(np.broadcast_to(self.scale, self.input_shape)).ravel()
        return np.where(np.isfinite(size), size, np.inf)

    def _normalised(self):
        exponent = operator_norms.exponent_near(self.scale)
        scale = np.ldexp(self.scale, -exponent)
        return dataclasses.replace(self, scale=scale), exponent


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Selection(LinearMap):
    """Output j is input `index[j]`, or zero: crops, pads, permutes, flips.

    Attributes:
        index: `[outputs]` integers; -1 makes a zero. No input is used twice.
        input_shape: Shape before.
        output_shape: Shape after.
    """

    index: np.ndarray = dataclasses.field(repr=False)
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]

    terms = 0
    transposed_terms = 0

    def __post_init__(self) -> None:
        for name in ("input_shape", "output_shape"):
            shape = checked_shape(getattr(self, name), name)
            object.__setattr__(self, name, shape)
        index = np.asarray(self.index)
        used = index[index >= 0]
        if (
            index.dtype.kind != "i"
            or index.shape != (self.outputs,)
            or np.any((index < -1) | (index >= self.inputs))
            or len(np.unique(used)) != len(used)
        ):
            raise ValueError(
                "A selection needs, for each output, the number of an input "
                "that no other output uses, or -1. Received: index of dtype "
                f"{index.dtype}, shape {index.shape}; input_shape="
                f"{self.input_shape}, output_shape={self.output_shape}."
            )

    @functools.cached_property
    def shift(self) -> tuple[int, int] | None:
        """By how much rows and columns of a sample move, if all do alike."""
        before, after = self.input_shape, self.output_shape
        used = np.flatnonzero(self.index >= 0)
        is_alike = len(before) == len(after) == 3 and before[-1] == after[-1]
        if not is_alike or not used.size:
            return None
        old = np.unravel_index(self.index[used[0]], before)
        moved = np.subtract(np.unravel_index(used[0], after), old)
        places = np.stack(np.unravel_index(np.arange(self.outputs), after))
        places -= moved[:, np.newaxis]
        is_in = np.all((places >= 0) & (places.T < before).T, axis=0)
        numbers = np.ravel_multi_index(tuple(places * is_in), before)
        index = np.where(is_in, numbers, -1)
        if moved[-1] or not np.array_equal(index, self.index):
            return None
        return int(moved[0]), int(moved[1])

    @classmethod
    def _of(cls, numbers: np.ndarray, input_shape) -> "Selection":
        return cls(
            index=numbers.ravel(),
            input_shape=tuple(input_shape),
            output_shape=numbers.shape,
        )

    @classmethod
    def crop(
        cls, input_shape: Sequence[int], pairs: Sequence[tuple[int, int]]
    ) -> "Selection":
        """Cuts elements off at both ends of each axis.

        Args:
            input_shape: Shape of one sample.
            pairs: For each axis, how many to cut off before and after.
        """
        _check_pairs(input_shape, pairs)
        numbers = _numbers(input_shape)
        sides = zip(numbers.shape, pairs)
        cut = tuple(
            slice(low, max(size - high, 0)) for size, (low, high) in sides
        )
        return cls._of(numbers[cut], input_shape)

    @classmethod
    def zero_pad(
        cls, input_shape: Sequence[int], pairs: Sequence[tuple[int, int]]
    ) -> "Selection":
        """Adds zeros at both ends of each axis.

        Args:
            input_shape: Shape of one sample.
            pairs: For each axis, how many to add before and after.
        """
        _check_pairs(input_shape, pairs)
        numbers = np.pad(_numbers(input_shape), pairs, constant_values=-1)
        return cls._of(numbers, input_shape)

    @classmethod
    def permute(
        cls, input_shape: Sequence[int], axes: Sequence[int]
    ) -> "Selection":
        """Orders the axes anew.

        Args:
            input_shape: Shape of one sample.
            axes: The old number, from 0, of each new axis.
        """
        if sorted(axes) != list(range(len(input_shape))):
            raise ValueError(
                "A permutation must name every axis once. "
                f"Received: axes={tuple(axes)}, input_shape="
                f"{tuple(input_shape)}."
            )
        return cls._of(_numbers(input_shape).transpose(axes), input_shape)

    @functools.cached_property
    def _indices(self):
        index = np.asarray(self.index, np.int32)
        inverse = np.full(self.inputs, -1, np.int32)
        inverse[index[index >= 0]] = np.flatnonzero(index >= 0)
        return index, inverse

    def _apply(self, x):
        return _gather(x, self._indices[0])

    def _transpose(self, v):
        return _gather(v, self._indices[1])

    _absolute, _absolute_transpose = _apply, _transpose

    def _norm(self, rigor):
        return float(np.any(self._indices[0] >= 0))

    def _column_norms(self):
        return (self._indices[0] >= 0).astype(np.float64)


def _numbers(shape: Sequence[int]) -> np.ndarray:
    """Returns the number of each element of a sample."""
    shape = checked_shape(shape, "input_shape")
    return np.arange(math.prod(shape)).reshape(shape)


def _check_pairs(shape, pairs) -> None:
    if len(pairs) != len(shape) or any(
        len(pair) != 2 or min(pair) < 0 for pair in pairs
    ):
        raise ValueError(
            "One pair of counts, not negative, is needed for each axis. "
            f"Received: pairs={tuple(pairs)}, input_shape={tuple(shape)}."
        )


def _gather(rows: tf.Tensor, index: np.ndarray) -> tf.Tensor:
    found = tf.gather(rows, np.maximum(index, 0), axis=1)
    # Not a product with 0: what is left out may be infinite.
    if np.any(index < 0):
        found = tf.where(index >= 0, found, tf.zeros([], rows.dtype))
    return found
