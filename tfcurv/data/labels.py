"""Checks that labels are classes, and decodes one-hot ones."""

from typing import Any

import numpy as np

from tfcurv.errors import DataError


def is_one_hot(width: Any, num_classes: int) -> Any:
    """Returns whether labels are rows of one entry a class.

    The one rule by which training and certification tell them from indices of
    classes. The number of rows plays no part: one row is no list of labels.

    Args:
        width: Numbers in the label of one example; an integer or a tensor.
        num_classes: Number of classes.
    """
    return (width == num_classes) & (num_classes > 1)


def class_labels(
    labels: np.ndarray, num_classes: int, *, first_index: int = 0
) -> np.ndarray:
    """Returns labels as classes.

    Args:
        labels: Whole numbers `[n]` or `[n, 1]`, of an integer or floating
            dtype, or one-hot `[n, num_classes]`.
        num_classes: Number of classes.
        first_index: Index in the whole data set of `labels[0]`, for messages.

    Returns:
        `[n]` int32, each in `0 .. num_classes - 1`.

    Raises:
        DataError: The labels have another form or are out of range.
    """
    if labels.ndim == 2 and is_one_hot(labels.shape[1], num_classes):
        return _decode_one_hot(labels, first_index)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or not _are_whole(labels):
        raise DataError(
            "The labels are not classes. Received: labels of shape "
            f"{labels.shape}, dtype={labels.dtype.name}. Allowed: integers "
            f"[n] or [n, 1], or one-hot [n, {num_classes}]."
        )
    outside = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if outside.size:
        row = outside[0]
        raise DataError(
            "A label is out of range. "
            f"Received: label={labels[row]} at index {first_index + row}. "
            f"Allowed: 0 to {num_classes - 1}. Remedy: leave out examples "
            "without a class, such as those that a loss ignores."
        )
    return labels.astype(np.int32)


def _are_whole(labels: np.ndarray) -> bool:
    if labels.dtype.kind == "f":  # Keras' losses take such labels, too.
        return np.array_equal(labels, np.trunc(labels))
    return labels.dtype.kind in "iu"


def _decode_one_hot(labels: np.ndarray, first_index: int) -> np.ndarray:
    ones = labels == 1
    exact = (ones | (labels == 0)).all(axis=1) & (ones.sum(axis=1) == 1)
    soft = np.flatnonzero(~exact)
    if soft.size:
        row = soft[0]
        raise DataError(
            "A label is not exactly one-hot, so it names no one class. "
            f"Received: label={labels[row].tolist()} at index "
            f"{first_index + row}. Allowed: one 1, all others 0."
        )
    return ones.argmax(axis=1).astype(np.int32)
