"""Linear maps as operators: what they do to rows, and how large they are.

Samples are rows and shapes are flattened, so that a map takes `[batch,
inputs]` to `[batch, outputs]`, x -> x K, with K `[inputs, outputs]` as in
Keras; the papers' W is K^T. Only some kinds ever write K down.
"""

import abc
from collections.abc import Sequence
import dataclasses
import functools
import math
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import tensorflow as tf

from tfcurv import numerics
from tfcurv import solvers
from tfcurv.networks.maps import operator_norms

# Up to this many rows a Gram matrix is formed and proved: a second or two.
GRAM_ROWS = 1500


class Constants:
    """An array as a TensorFlow constant, made once in each dtype."""

    def __init__(self, array: np.ndarray):
        """Keeps the array, and copies nothing yet.

        Args:
            array: Any float64 array.
        """
        self._array = array
        self._made: dict[tf.DType, tf.Tensor] = {}

    def __call__(self, dtype: Any) -> tf.Tensor:
        """Returns the array in one dtype."""
        dtype = tf.as_dtype(dtype)
        if dtype not in self._made:
            # Not a part of whatever graph is being traced just now.
            with tf.init_scope(), np.errstate(over="ignore"):
                array = self._array.astype(dtype.as_numpy_dtype)
                self._made[dtype] = tf.constant(array)
        return self._made[dtype]


class LinearMap(abc.ABC):
    """A linear map x -> x K on flattened rows. Immutable.

    A product as computed in floating point errs, entry by entry, by at most
    gamma_n times the same product of absolute values, with n = `terms`
    forward and n = `transposed_terms` backward.

    Attributes:
        input_shape: Shape of one sample before the map.
        output_shape: Shape of one sample after it.
    """

    if TYPE_CHECKING:  # Some kinds are given their shapes, some work them out.

        @property
        def input_shape(self) -> tuple[int, ...]: ...

        @property
        def output_shape(self) -> tuple[int, ...]: ...

    @property
    def inputs(self) -> int:
        """The number of inputs."""
        return math.prod(self.input_shape)

    @property
    def outputs(self) -> int:
        """The number of outputs."""
        return math.prod(self.output_shape)

    @property
    @abc.abstractmethod
    def terms(self) -> int:
        """Roundings that an output suffers: those of its longest sum."""

    @property
    @abc.abstractmethod
    def transposed_terms(self) -> int:
        """The same of the transpose."""

    def apply(self, x: tf.Tensor) -> tf.Tensor:
        """Returns x K.

        Args:
            x: `[batch, inputs]`, float32 or float64.

        Returns:
            `[batch, outputs]` of the same dtype.
        """
        return self._apply(_rows(x, self.inputs, "x"))

    def transpose(self, v: tf.Tensor) -> tf.Tensor:
        """Returns v K^T, the adjoint, as a gradient passes through the map.

        Args:
            v: `[batch, outputs]`, float32 or float64.

        Returns:
            `[batch, inputs]` of the same dtype.
        """
        return self._transpose(_rows(v, self.outputs, "v"))

    def absolute(self, x: tf.Tensor) -> tf.Tensor:
        """Returns x |K|, for x >= 0.

        Of sums and compositions, the sum or composition of the absolute
        values: an upper bound, with equality where nothing cancels.

        Args:
            x: `[batch, inputs]`, non-negative.
        """
        return self._absolute(_rows(x, self.inputs, "x"))

    def absolute_transpose(self, v: tf.Tensor) -> tf.Tensor:
        """Returns v |K|^T, for v >= 0, or an upper bound as `absolute`.

        Args:
            v: `[batch, outputs]`, non-negative.
        """
        return self._absolute_transpose(_rows(v, self.outputs, "v"))

    @abc.abstractmethod
    def _apply(self, x): ...

    @abc.abstractmethod
    def _transpose(self, v): ...

    @abc.abstractmethod
    def _absolute(self, x): ...

    @abc.abstractmethod
    def _absolute_transpose(self, v): ...

    def materialise(self) -> np.ndarray:
        """Returns K, `[inputs, outputs]` float64, as `apply` computes it."""
        return operator_norms.on_host(self.apply, np.eye(self.inputs))

    def norm_upper_bound(
        self, rigor: solvers.Rigor = solvers.Rigor.VERIFIED
    ) -> float:
        """Returns a proved upper bound on the spectral norm of K.

        Computed once. The least of what is known for the kind of map, what
        its Gram matrix proves if that is small, and Schur's bound.

        Args:
            rigor: What the bound may rest on.

        Returns:
            The bound; infinite if a weight is not finite, 0 if all are 0.
        """
        if rigor not in self._known_norms:
            self._known_norms[rigor] = self._norm(rigor)
        return self._known_norms[rigor]

    @functools.cached_property
    def _known_norms(self) -> dict[solvers.Rigor, float]:
        return {}

    def _norm(self, rigor: solvers.Rigor) -> float:
        """Returns the bound; kinds that know better ones override this."""
        unit, exponent = self._normalised()
        bound = operator_norms.schur_norm_upper_bound(unit)
        if min(self.inputs, self.outputs) <= GRAM_ROWS:
            gram = operator_norms.gram_norm_upper_bound(unit)
            bound = operator_norms.least(bound, gram)
        return operator_norms.scaled_back(bound, exponent)

    @functools.cached_property
    def absolute_norm_upper_bound(self) -> float:
        """A proved upper bound on the spectral norm of |K|, by Schur's test."""
        return operator_norms.schur_norm_upper_bound(self)

    def frobenius_norm_upper_bound(self) -> float:
        """Returns a proved upper bound on the Frobenius norm of K."""
        return solvers.frobenius_norm_upper_bound(self.column_norms)

    @functools.cached_property
    def column_norms(self) -> np.ndarray:
        """`[outputs]` upper bounds on the l2 norm of each output's weights."""
        unit, exponent = self._normalised()
        return scaled_up(unit._column_norms(), exponent)

    def _column_norms(self) -> np.ndarray:
        return operator_norms.column_norms_upper_bound(self)

    def _normalised(self) -> tuple["LinearMap", int]:
        """Returns a map with weights near one, and e: this map is 2**e of it.

        Maps without weights, and those that cannot be scaled, are their own.
        """
        return self, 0


class Weighted(LinearMap):
    """A linear map of one array of weights, which may be lent others.

    What it computes is written once, with weights that are given: its own,
    constants, to prove with, or those of a layer, variables, to train with.
    """

    @property
    @abc.abstractmethod
    def weights(self) -> np.ndarray:
        """Its own weights, in the shape in which others are lent."""

    @functools.cached_property
    def constants(self) -> Constants:
        """Its own weights as tensors, made once for all graphs."""
        return Constants(self.weights)

    @abc.abstractmethod
    def forward(self, x: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Returns x K for the K of these weights.

        Args:
            x: `[batch, inputs]`.
            weights: Of the shape of `weights`, in x's dtype.
        """

    @abc.abstractmethod
    def backward(self, v: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Returns v K^T.

        Args:
            v: `[batch, outputs]`.
            weights: Of the shape of `weights`, in v's dtype.
        """

    @abc.abstractmethod
    def column_norms_of(self, weights: tf.Tensor) -> tf.Tensor:
        """Returns the norms of the columns, `[outputs]`; no proof.

        Args:
            weights: Of the shape of `weights`.
        """

    def peak(self, v: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Returns the largest entries of v |K|^T, `[batch]`.

        Args:
            v: `[batch, outputs]`, non-negative.
            weights: Of the shape of `weights`, in v's dtype.
        """
        return tf.reduce_max(self.backward(v, tf.abs(weights)), axis=-1)


def root_of(squares: tf.Tensor) -> tf.Tensor:
    """Returns square roots, with a finite gradient at zero."""
    # XLA differentiates sqrt at 0 to NaN, and tf.where alone does not stop it.
    is_zero = squares <= 0.0
    roots = tf.sqrt(tf.where(is_zero, tf.ones_like(squares), squares))
    return tf.where(is_zero, squares, roots)


def scaled_up(norms: np.ndarray, exponent: int) -> np.ndarray:
    """Returns upper bounds on norms * 2**exponent; 0 remains 0."""
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.ldexp(norms, exponent)
    # Scaling to a subnormal number may round down.
    raised = scaled + numerics.SMALLEST_SUBNORMAL
    return np.where(norms > 0.0, raised, norms)


def _rows(rows: Any, size: int, name: str) -> tf.Tensor:
    rows = numerics.floating_tensor(rows, name)
    if rows.shape.rank != 2 or rows.shape[1] not in (None, size):
        raise ValueError(
            "A linear map takes one flattened sample a row. "
            f"Received: {name}.shape={tuple(rows.shape)}. "
            f"Allowed: [batch, {size}]."
        )
    return rows


def checked_shape(shape: Sequence[int], name: str) -> tuple[int, ...]:
    """Returns a shape as a tuple of positive integers.

    Args:
        shape: The shape of one sample.
        name: Name of the argument, for the error message.

    Raises:
        ValueError: A dimension is not positive.
    """
    shape = tuple(int(size) for size in shape)
    if any(size < 1 for size in shape):
        raise ValueError(
            "Every dimension of a sample must be positive. "
            f"Received: {name}={shape}."
        )
    return shape


def checked_weights(weights: Any, name: str, ranks: Sequence[int]) -> None:
    """Refuses weights that are no float64 array of one of the ranks.

    Args:
        weights: What stands for an array.
        name: Name of the argument, for the error message.
        ranks: The ranks that are allowed.

    Raises:
        TypeError: It is no array, or of another dtype.
        ValueError: It has another rank.
    """
    dtype = getattr(weights, "dtype", None)
    if not isinstance(weights, np.ndarray) or dtype != np.float64:
        raise TypeError(
            "A linear map needs float64 arrays: its bounds are proved for "
            f"them. Received: {name} of type {type(weights).__name__}, "
            f"dtype={dtype}."
        )
    if weights.ndim not in ranks:
        raise ValueError(
            "The weights of a linear map have the wrong rank. "
            f"Received: {name}.shape={weights.shape}. "
            f"Allowed: rank {' or '.join(map(str, ranks))}."
        )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Identity(LinearMap):
    """The identity: flatten, reshape, and whatever is inert at inference.

    Attributes:
        input_shape: Shape before.
        output_shape: Shape after. Default: the same.
    """

    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...] = ()

    terms = 0
    transposed_terms = 0

    def __post_init__(self) -> None:
        before = checked_shape(self.input_shape, "input_shape")
        after = checked_shape(self.output_shape or before, "output_shape")
        if math.prod(before) != math.prod(after):
            raise ValueError(
                "A reshape must keep the number of elements. "
                f"Received: input_shape={before}, output_shape={after}."
            )
        object.__setattr__(self, "input_shape", before)
        object.__setattr__(self, "output_shape", after)

    def _apply(self, x):
        return tf.identity(x)

    _transpose = _absolute = _absolute_transpose = _apply

    def _norm(self, rigor):
        return 1.0

    def _column_norms(self):
        return np.ones(self.outputs)
