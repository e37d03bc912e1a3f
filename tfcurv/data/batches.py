"""Batches of one size from whatever holds labelled inputs.

What a type, a shape or an array in memory can tell is checked here, before
the first batch; `stream` checks the rest as it comes.
"""

from collections.abc import Callable
from collections.abc import Iterator
import dataclasses
import functools
from typing import Any

import numpy as np
import tensorflow as tf

from tfcurv.data.inputs import PixelRangeCheck
from tfcurv.data.inputs import fit_image_shape
from tfcurv.data.inputs import matches
from tfcurv.data.inputs import require_input_shape
from tfcurv.data.inputs import working_dtype
from tfcurv.data.labels import class_labels
from tfcurv.data.named import Split
from tfcurv.data.named import load_split
from tfcurv.data.named import require_positive
from tfcurv.data.stream import ArrayPair
from tfcurv.data.stream import Request
from tfcurv.data.stream import length_error
from tfcurv.data.stream import no_data_error
from tfcurv.data.stream import stream_pairs
from tfcurv.data.stream import unbatched_error
from tfcurv.errors import DataError

# Enough rows for products of matrices to be fast; more are hardly faster.
DEFAULT_BATCH_SIZE = 1024


# eq=False: the generated `==` would compare arrays and have no truth value.
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Inputs of a network and their classes.

    Attributes:
        inputs: `[batch, ...]` float32 or float64, as received: never rescaled.
        labels: `[batch]` int32.
    """

    inputs: np.ndarray
    labels: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class BatchSource:
    """Yields batches, from the start at each iteration.

    Every batch but the last has exactly the size that was asked for. What
    cannot be known before the data are read, such as a label out of range
    somewhere in a `tf.data.Dataset`, raises DataError during the iteration.

    Attributes:
        name: What the data are called in a report.
        num_examples: Number of inputs of one iteration. None if unknown.
        stream: Starts one iteration.
    """

    name: str
    num_examples: int | None
    stream: Callable[[], Iterator[Batch]] = dataclasses.field(repr=False)

    def __iter__(self) -> Iterator[Batch]:
        """Starts one iteration."""
        return self.stream()


def batches(
    data: Any,
    *,
    input_shape: tuple[int | None, ...],
    num_classes: int,
    batch_size: int,
    data_dir: str | None = None,
    limit: int | None = None,
    expects_unit_range: bool = False,
) -> BatchSource:
    """Makes batches of one size of labelled inputs.

    Inputs stay in the units in which they come. Integers and narrow floats
    are cast to float32; NaN and infinities pass. Labels are integers `[n]`
    or `[n, 1]`, or exactly one-hot `[n, num_classes]`.

    Args:
        data: A batched `tf.data.Dataset` of pairs `(x, y)`, a pair of arrays
            `(x, y)`, the name of a data set (for its test split), or a
            `Split`. Images of the last two are flattened, or given or spared
            axes of length one, where `input_shape` asks for it.
        input_shape: Shape of one input. None matches any length.
        num_classes: Number of classes.
        batch_size: Size of every batch but the last.
        data_dir: Folder of a named data set, see `load_split`.
        limit: Stop after this many inputs.
        expects_unit_range: Warn, once, where the first inputs look like
            pixels in `[0, 255]`.

    Returns:
        A source of batches. A `tf.data.Dataset` is streamed, never held.

    Raises:
        DataError: The data are empty, of another form, dtype or shape, or
            have a label out of range; see also `BatchSource`.
        ValueError: A size is not positive.
    """
    require_positive("num_classes", num_classes)
    require_positive("batch_size", batch_size)
    if limit is not None:
        require_positive("limit", limit)
    request = Request(
        input_shape=tuple(input_shape),
        num_classes=num_classes,
        batch_size=batch_size,
        limit=limit,
    )
    pixel_check = PixelRangeCheck(expects_unit_range)
    if isinstance(data, str):
        data = load_split(data, "test", data_dir=data_dir, limit=limit)
    if isinstance(data, Split):
        images = fit_image_shape(np.asarray(data.images), request.input_shape)
        return _array_source(
            data.name, images, data.labels, request, pixel_check
        )
    if isinstance(data, tf.data.Dataset):
        return _dataset_source(data, request, pixel_check)
    if isinstance(data, (tuple, list)) and len(data) == 2:
        inputs, labels = data
        return _array_source("arrays", inputs, labels, request, pixel_check)
    raise DataError(
        "Data of this form cannot be read. "
        f"Received: data of type {type(data).__name__}. Allowed: a batched "
        "tf.data.Dataset of pairs (x, y), a pair of arrays (x, y), the name "
        "of a data set, or a Split."
    )


def _array_source(
    name: str,
    inputs: Any,
    labels: Any,
    request: Request,
    pixel_check: PixelRangeCheck,
) -> BatchSource:
    inputs = _as_array("x", inputs)
    labels = _as_array("y", labels)
    if len(inputs) != len(labels):
        raise length_error(inputs, labels)
    inputs, labels = inputs[: request.limit], labels[: request.limit]
    if len(labels) == 0:
        raise no_data_error(name)
    working_dtype(inputs.dtype)
    require_input_shape(inputs.shape, request.input_shape)
    labels = class_labels(labels, request.num_classes)
    open_pairs = functools.partial(_slices, inputs, labels, request.batch_size)
    return BatchSource(
        name=name,
        num_examples=len(labels),
        stream=functools.partial(
            _batches, name, open_pairs, request, pixel_check
        ),
    )


def _as_array(name: str, values: Any) -> np.ndarray:
    try:
        array = np.asarray(values)
    # Ragged lists raise ValueError, symbolic tensors others of their own.
    except (ValueError, TypeError, NotImplementedError) as error:
        raise DataError(
            f"{name} is not an array. "
            f"Received: {name} of type {type(values).__name__} ({error})."
        ) from error
    if array.ndim == 0:
        raise DataError(
            f"{name} has no axis to make batches of. "
            f"Received: {name}={values!r}."
        )
    return array


def _slices(
    inputs: np.ndarray, labels: np.ndarray, size: int
) -> Iterator[ArrayPair]:
    for start in range(0, len(labels), size):
        rows = slice(start, start + size)
        yield inputs[rows], labels[rows]


def _dataset_source(
    dataset: tf.data.Dataset, request: Request, pixel_check: PixelRangeCheck
) -> BatchSource:
    name = "tf.data"
    _check_element_spec(dataset.element_spec, request)
    cardinality = int(dataset.cardinality())
    if cardinality == 0:
        raise no_data_error(name)
    if cardinality == tf.data.INFINITE_CARDINALITY and request.limit is None:
        raise DataError(
            "The data set never ends. Received: a tf.data.Dataset of "
            "infinite cardinality. Remedy: leave out .repeat(), or give a "
            "limit."
        )
    prefetched = dataset.prefetch(tf.data.AUTOTUNE)
    return BatchSource(
        name=name,
        num_examples=_num_examples(dataset, cardinality, request.limit),
        stream=functools.partial(
            _batches,
            name,
            prefetched.as_numpy_iterator,
            request,
            pixel_check,
        ),
    )


def _check_element_spec(spec: Any, request: Request) -> None:
    """Refuses what the static type of a tf.data.Dataset already rules out."""
    is_pair = isinstance(spec, tuple) and len(spec) == 2
    if not is_pair or not all(isinstance(s, tf.TensorSpec) for s in spec):
        raise DataError(
            "The elements of the tf.data.Dataset are not pairs of tensors. "
            f"Received: element_spec={spec}. Allowed: (x, y)."
        )
    inputs, labels = spec
    if _is_unbatched(inputs.shape, labels.shape, request):
        raise unbatched_error(inputs.shape, labels.shape)
    working_dtype(inputs.dtype.as_numpy_dtype)
    if inputs.shape.rank is not None:
        require_input_shape(tuple(inputs.shape), request.input_shape)


def _is_unbatched(
    inputs: tf.TensorShape, labels: tf.TensorShape, request: Request
) -> bool:
    """Returns whether an element is one example: its label says so.

    A one-hot label alone looks like a batch of labels, so it counts only
    next to an input that has exactly the shape of one.
    """
    if labels.rank == 0:
        return True
    is_one_hot = labels.rank == 1 and labels[0] == request.num_classes
    return (
        is_one_hot
        and inputs.is_fully_defined()
        and matches(tuple(inputs), request.input_shape)
    )


def _num_examples(
    dataset: tf.data.Dataset, cardinality: int, limit: int | None
) -> int | None:
    """Returns how many examples will come, if the type of `dataset` tells.

    The cardinality counts batches, of which only `drop_remainder=True` fixes
    the size.
    """
    if cardinality == tf.data.INFINITE_CARDINALITY:
        return limit
    shape = dataset.element_spec[1].shape
    size = shape[0] if shape.rank else None
    if cardinality == tf.data.UNKNOWN_CARDINALITY or size is None:
        return None
    total = cardinality * size
    return total if limit is None else min(total, limit)


def _batches(
    name: str,
    open_pairs: Callable[[], Iterator[ArrayPair]],
    request: Request,
    pixel_check: PixelRangeCheck,
) -> Iterator[Batch]:
    for inputs, labels in stream_pairs(name, open_pairs, request, pixel_check):
        yield Batch(inputs=inputs, labels=labels)
