"""Linear maps made of others: sums, stacks and compositions."""

from collections.abc import Sequence
import dataclasses
import functools
import math

import numpy as np
import tensorflow as tf

from tfcurv import numerics
from tfcurv import solvers
from tfcurv.networks.maps import operator_norms
from tfcurv.networks.maps.folding import folded
from tfcurv.networks.maps.linear_map import Identity
from tfcurv.networks.maps.linear_map import LinearMap

# Up to this many weights a combined map may be written down for its columns.
_MAX_WRITTEN = 2**24


def _checked(maps: Sequence[LinearMap], what: str) -> tuple[LinearMap, ...]:
    maps = tuple(maps)
    if not maps or not all(isinstance(each, LinearMap) for each in maps):
        raise ValueError(
            f"A {what} needs at least one linear map, and nothing else. "
            f"Received: maps={maps!r}."
        )
    return maps


def _check_equal(shapes: Sequence[tuple[int, ...]], what: str) -> None:
    if len(set(shapes)) > 1:
        raise ValueError(f"{what} Received: {', '.join(map(str, shapes))}.")


class _Parallel(LinearMap):
    """Several maps of one input."""

    maps: tuple[LinearMap, ...]

    def _check(self) -> None:
        maps = _checked(self.maps, "combination")
        object.__setattr__(self, "maps", maps)
        shapes = [each.input_shape for each in maps]
        _check_equal(shapes, "Combined maps must take one input.")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """That of every map."""
        return self.maps[0].input_shape

    def _parallel_norm(self, of_parts: float, rigor: solvers.Rigor) -> float:
        """Returns the least of a bound from the parts and what is proved."""
        if not math.isfinite(of_parts) or of_parts == 0.0:
            return of_parts
        return operator_norms.least(of_parts, super()._norm(rigor))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Sum(_Parallel):
    """The sum of several maps of one input, as before a Keras `Add`.

    Attributes:
        maps: At least one map; all of the same shapes.
    """

    maps: tuple[LinearMap, ...]

    def __post_init__(self) -> None:
        self._check()
        shapes = [each.output_shape for each in self.maps]
        _check_equal(shapes, "Maps that are added must have one output shape.")

    @property
    def output_shape(self) -> tuple[int, ...]:
        """That of every map."""
        return self.maps[0].output_shape

    @property
    def terms(self) -> int:
        """Those of the longest map, and of the sum."""
        return max(each.terms for each in self.maps) + len(self.maps)

    @property
    def transposed_terms(self) -> int:
        """The same of the transpose."""
        return max(m.transposed_terms for m in self.maps) + len(self.maps)

    def _apply(self, x):
        return tf.add_n([each.apply(x) for each in self.maps])

    def _transpose(self, v):
        return tf.add_n([each.transpose(v) for each in self.maps])

    def _absolute(self, x):
        return tf.add_n([each.absolute(x) for each in self.maps])

    def _absolute_transpose(self, v):
        return tf.add_n([each.absolute_transpose(v) for each in self.maps])

    def _norm(self, rigor):
        norms = [each.norm_upper_bound(rigor) for each in self.maps]
        of_parts = numerics.round_up(sum(norms), len(norms))
        return self._parallel_norm(of_parts, rigor)

    def _column_norms(self):
        norms = sum(each.column_norms for each in self.maps)
        norms = numerics.round_up(norms, len(self.maps))
        return _sharpened(self, norms)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Stack(_Parallel):
    """Several maps of one input, side by side: a Keras `Concatenate`.

    Attributes:
        maps: At least one map; all of the same input shape.
        axis: Of the output shapes, along which they are put together.
    """

    maps: tuple[LinearMap, ...]
    axis: int = -1

    def __post_init__(self) -> None:
        self._check()
        shapes = [each.output_shape for each in self.maps]
        rank = len(shapes[0])
        if not -rank <= self.axis < rank:
            raise ValueError(
                "The axis must be one of the output shape. "
                f"Received: axis={self.axis}, output_shape={shapes[0]}."
            )
        axis = self.axis % rank
        others = [shape[:axis] + shape[axis + 1 :] for shape in shapes]
        _check_equal(
            others,
            "Stacked maps must agree in all dimensions but `axis`. Apart from "
            "it:",
        )

    @property
    def _axis(self) -> int:
        """The axis among those of a batch."""
        return self.axis % len(self.maps[0].output_shape) + 1

    @functools.cached_property
    def output_shape(self) -> tuple[int, ...]:
        """That of the maps, summed along the axis."""
        shape = list(self.maps[0].output_shape)
        shape[self._axis - 1] = sum(self._extents)
        return tuple(shape)

    @property
    def _extents(self) -> list[int]:
        return [each.output_shape[self._axis - 1] for each in self.maps]

    @property
    def terms(self) -> int:
        """Those of the longest map."""
        return max(each.terms for each in self.maps)

    @property
    def transposed_terms(self) -> int:
        """Those of the longest map, and of the sum."""
        return max(m.transposed_terms for m in self.maps) + len(self.maps)

    def _joined(self, rows):
        samples = [
            tf.reshape(each, [-1, *part.output_shape])
            for part, each in zip(self.maps, rows)
        ]
        return tf.reshape(tf.concat(samples, self._axis), [-1, self.outputs])

    def _parts(self, v):
        samples = tf.reshape(v, [-1, *self.output_shape])
        parts = tf.split(samples, self._extents, self._axis)
        return [
            tf.reshape(part, [-1, each.outputs])
            for each, part in zip(self.maps, parts)
        ]

    def _apply(self, x):
        return self._joined([each.apply(x) for each in self.maps])

    def _absolute(self, x):
        return self._joined([each.absolute(x) for each in self.maps])

    def _transpose(self, v):
        parts = zip(self.maps, self._parts(v))
        return tf.add_n([each.transpose(part) for each, part in parts])

    def _absolute_transpose(self, v):
        parts = zip(self.maps, self._parts(v))
        return tf.add_n([each.absolute_transpose(part) for each, part in parts])

    def _norm(self, rigor):
        norms = [each.norm_upper_bound(rigor) for each in self.maps]
        total = numerics.round_up(math.hypot(*norms), len(norms) + 4)
        return self._parallel_norm(total, rigor)

    def _column_norms(self):
        samples = [
            each.column_norms.reshape(each.output_shape) for each in self.maps
        ]
        return np.concatenate(samples, self._axis - 1).ravel()


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Composition(LinearMap):
    """Maps one after the other, fused into one operator.

    Its norm is the least of the product of the norms, taken after
    neighbours were folded into one (see `folding.folded`), and of what the
    Gram matrix of the whole proves, if that is small.

    Attributes:
        maps: At least one map, the first to be applied first. Compositions
            among them are taken apart.
    """

    maps: tuple[LinearMap, ...]

    def __post_init__(self) -> None:
        flat: list[LinearMap] = []
        for each in _checked(self.maps, "composition"):
            flat += each.maps if isinstance(each, Composition) else [each]
        object.__setattr__(self, "maps", tuple(flat))
        for before, after in zip(flat, flat[1:]):
            if before.outputs != after.inputs:
                raise ValueError(
                    "Each map must take what the one before gives. "
                    f"Received: output_shape={before.output_shape}, then "
                    f"input_shape={after.input_shape}."
                )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """That of the first map."""
        return self.maps[0].input_shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        """That of the last map."""
        return self.maps[-1].output_shape

    @property
    def terms(self) -> int:
        """Those of all maps: gamma_m + gamma_n + gamma_m gamma_n."""
        return sum(each.terms for each in self.maps)

    @property
    def transposed_terms(self) -> int:
        """The same of the transpose."""
        return sum(each.transposed_terms for each in self.maps)

    def _apply(self, x):
        for each in self.maps:
            x = each.apply(x)
        return x

    def _absolute(self, x):
        for each in self.maps:
            x = each.absolute(x)
        return x

    def _transpose(self, v):
        for each in reversed(self.maps):
            v = each.transpose(v)
        return v

    def _absolute_transpose(self, v):
        for each in reversed(self.maps):
            v = each.absolute_transpose(v)
        return v

    @functools.cached_property
    def _folded(self):
        return folded(self.maps)

    def _norm(self, rigor):
        bound = operator_norms.product(
            [each.norm_upper_bound(rigor) for each in self._folded]
        )
        if len(self._folded) == 1 or bound in (0.0, math.inf):
            return bound
        return operator_norms.least(bound, super()._norm(rigor))

    def _column_norms(self):
        if len(self._folded) == 1:
            return self._folded[0].column_norms
        *before, last = self.maps
        bound = last.column_norms
        if before:
            norm = Composition(maps=tuple(before)).norm_upper_bound()
            bound = (
                numerics.round_up(bound * norm, 1) + numerics.PRODUCT_UNDERFLOW
            )
        return _sharpened(self, bound)

    def _normalised(self):
        parts = [each._normalised() for each in self.maps]
        maps = tuple(unit for unit, _ in parts)
        return Composition(maps=maps), sum(exponent for _, exponent in parts)


def _sharpened(combined: LinearMap, bound: np.ndarray) -> np.ndarray:
    """Returns column norms, from the columns themselves if they are few."""
    bound = np.where(np.isnan(bound), np.inf, bound)
    if combined.inputs * combined.outputs > _MAX_WRITTEN:
        return bound
    columns = operator_norms.column_norms_upper_bound(combined)
    return np.minimum(bound, columns)


def composed(first: LinearMap, second: LinearMap) -> LinearMap:
    """Returns the composition of two maps, without what does nothing."""
    if type(first) is Identity:
        return second
    if type(second) is Identity:
        return first
    return Composition(maps=(first, second))


def summed(maps: Sequence[LinearMap]) -> LinearMap:
    """Returns the sum of maps of flattened samples; of one, the map itself."""
    if len(maps) == 1:
        return maps[0]
    return Sum(maps=tuple(map(flat, maps)))


def flat(linear: LinearMap) -> LinearMap:
    """Returns the map with its samples' shapes forgotten."""
    before, after = (linear.inputs,), (linear.outputs,)
    maps = [linear]
    if linear.input_shape != before:
        shape = linear.input_shape
        maps.insert(0, Identity(input_shape=before, output_shape=shape))
    if linear.output_shape != after:
        shape = linear.output_shape
        maps.append(Identity(input_shape=shape, output_shape=after))
    return linear if len(maps) == 1 else Composition(maps=tuple(maps))
