"""Pairs of arrays of any size, checked, cast and cut to batches of one size.

No step holds more than a batch and one pair.
"""

from collections.abc import Callable
from collections.abc import Iterator
import dataclasses
from typing import Any
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from tfcurv.data.inputs import PixelRangeCheck
from tfcurv.data.inputs import cast_inputs
from tfcurv.data.inputs import require_input_shape
from tfcurv.data.labels import class_labels
from tfcurv.errors import DataError

#: Inputs `[n, ...]` and labels.
ArrayPair: TypeAlias = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What the caller of `batches` asked for; see there."""

    input_shape: tuple[int | None, ...]
    num_classes: int
    batch_size: int
    limit: int | None


def stream_pairs(
    name: str,
    open_pairs: Callable[[], Iterator[ArrayPair]],
    request: Request,
    pixel_check: PixelRangeCheck,
) -> Iterator[ArrayPair]:
    """Yields the batches of one iteration, at least one.

    Args:
        name: What the data are called in a message.
        open_pairs: Starts the iteration over the pairs as they come.
        request: The shape, classes, size and number of what is to come.
        pixel_check: Is shown the inputs before they are cast.

    Yields:
        Inputs of a float dtype and `[batch]` int32 labels.

    Raises:
        DataError: There are no data, or a pair is not as requested.
    """
    pairs = _checked(open_pairs(), request, pixel_check)
    pair = None
    for pair in _rebatched(pairs, request.batch_size):
        yield pair
    if pair is None:
        raise no_data_error(name)


def _checked(
    pairs: Iterator[ArrayPair],
    request: Request,
    pixel_check: PixelRangeCheck,
) -> Iterator[ArrayPair]:
    """Yields the pairs cast, up to the limit."""
    shape = request.input_shape
    count = 0
    for inputs, labels in pairs:
        if np.ndim(labels) == 0:
            raise unbatched_error(np.shape(inputs), ())
        require_input_shape(inputs.shape, shape)
        if len(inputs) != len(labels):
            raise length_error(inputs, labels)
        if len(labels) == 0:
            continue
        # Where the network leaves a length open, the first inputs set it.
        shape = inputs.shape[1:]
        if request.limit is not None:
            left = request.limit - count
            inputs, labels = inputs[:left], labels[:left]
        pixel_check.look(inputs)
        yield (
            cast_inputs(inputs),
            class_labels(labels, request.num_classes, first_index=count),
        )
        count += len(labels)
        # Before the next pair is computed, not after.
        if count == request.limit:
            return


def _rebatched(
    pairs: Iterator[ArrayPair], batch_size: int
) -> Iterator[ArrayPair]:
    """Cuts and joins pairs of any size into batches of one."""
    held: list[ArrayPair] = []
    count = 0
    for pair in pairs:
        held.append(pair)
        count += len(pair[1])
        if count < batch_size:
            continue
        inputs, labels = _joined(held)
        for start in range(0, count - batch_size + 1, batch_size):
            rows = slice(start, start + batch_size)
            yield inputs[rows], labels[rows]
        rest = count - count % batch_size
        count -= rest
        held = [(inputs[rest:], labels[rest:])] if count else []
    if count:
        yield _joined(held)


def _joined(pairs: list[ArrayPair]) -> ArrayPair:
    if len(pairs) == 1:
        return pairs[0]
    inputs, labels = zip(*pairs, strict=True)
    return np.concatenate(inputs), np.concatenate(labels)


def no_data_error(name: str) -> DataError:
    """Returns the error for a source that yields nothing."""
    return DataError(f"There is no data. Received: {name} without examples.")


def length_error(inputs: np.ndarray, labels: np.ndarray) -> DataError:
    """Returns the error for labels that do not go with the inputs."""
    return DataError(
        "There must be as many labels as inputs. "
        f"Received: len(x)={len(inputs)}, len(y)={len(labels)}."
    )


def unbatched_error(inputs: Any, labels: Any) -> DataError:
    """Returns the error for a tf.data.Dataset of single examples."""
    return DataError(
        "The tf.data.Dataset is not batched. Received: elements of shapes "
        f"x={tuple(inputs)}, y={tuple(labels)}. Remedy: call "
        ".batch(size) on it."
    )


def without_autotuning(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns the data set with tf.data's tuning of buffers switched off.

    In `fit` the end of an epoch waits for the tuner, which sleeps for 10 ms,
    20 ms, 40 ms and so on: an epoch lasts 0.63, 1.27, 2.55, ... seconds, up
    to twice as long as its steps. Measured with TensorFlow 2.21.

    Args:
        dataset: One that needs no tuning, such as arrays in memory.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
