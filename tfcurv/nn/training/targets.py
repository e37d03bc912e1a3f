"""Labels and target classes from what Keras passes to losses."""

from typing import Any

import tensorflow as tf

from tfcurv import data
from tfcurv import errors

#: How the other class of a pair is chosen.
TARGETS = ("runner-up", "random", "least-likely")

#: The label of an example that has no class.
NO_CLASS = -1


def check_target(target: str) -> str:
    """Returns `target` if it is the name of a choice.

    Raises:
        ValueError: It is not.
    """
    if target not in TARGETS:
        raise ValueError(
            "Unknown choice of the target class. "
            f"Received: target={target!r}. Allowed: {TARGETS}."
        )
    return target


def class_indices(y: Any, num_classes: int) -> tf.Tensor:
    """Returns the classes that labels name, in Keras' meaning.

    By the rule that certification has too, `data.is_one_hot`, at run time
    where the shape is not known before. Of soft labels the most probable class
    counts. No label is ever read out of bounds: one outside 0 .. classes - 1,
    a NaN and a row without a positive entry name no class.

    Args:
        y: `[batch]`, `[batch, 1]` or one-hot `[batch, classes]`, of any dtype.
        num_classes: Number of logits.

    Returns:
        `[batch]` int32, each a class or `NO_CLASS`.

    Raises:
        ValueError: The shape is known, and is none of these.
    """
    y = tf.convert_to_tensor(y)
    if y.dtype.is_bool:
        y = tf.cast(y, tf.int32)
    known = y.shape[1:].num_elements() if y.shape.rank else None
    if known not in (None, 1, num_classes):
        raise ValueError(
            "The labels are not classes. "
            f"Received: labels of shape {y.shape}. Allowed: [batch], "
            f"[batch, 1], or one-hot [batch, {num_classes}]."
        )
    sizes = tf.shape(y)
    width = tf.reduce_prod(sizes[1:]) if known is None else known
    table = tf.reshape(y, [sizes[0], width])
    is_one_hot = data.is_one_hot(width, num_classes)
    if known is not None:
        return _decoded(table) if is_one_hot else _bounded(table, num_classes)
    # All, not tf.cond: XLA compiles both branches, for every shape.
    sparse = _bounded(table[:, :1], num_classes)
    sparse = tf.where(width == 1, sparse, NO_CLASS)
    return tf.where(is_one_hot, _decoded(table), sparse)


def _decoded(rows: tf.Tensor) -> tf.Tensor:
    names_one = tf.reduce_max(rows, axis=-1) > 0
    largest = tf.argmax(rows, axis=-1, output_type=tf.int32)
    return tf.where(names_one, largest, NO_CLASS)


def _bounded(column: tf.Tensor, num_classes: int) -> tf.Tensor:
    # In 64 bits: 2**32 + 3 is no class 3. NaN has no integer of its own.
    y = tf.cast(column[:, 0], tf.int64)
    inside = (y >= 0) & (y < num_classes)
    if column.dtype.is_floating:
        inside &= tf.math.is_finite(column[:, 0])
    return tf.where(inside, tf.cast(y, tf.int32), NO_CLASS)


def choose_targets(logits: tf.Tensor, y: tf.Tensor, target: str) -> tf.Tensor:
    """Returns for each row another class than its label.

    Args:
        logits: `[batch, classes]`.
        y: `[batch]` int32 labels.
        target: "runner-up" (the largest other logit), "least-likely" (the
            smallest) or "random" (uniform).

    Returns:
        `[batch]` int32 classes t != y.

    Raises:
        UnsupportedModelError: There is no other class, or more than one axis
            of classes.
    """
    classes = logits.shape[-1]
    if classes < 2 or logits.shape.rank != 2:
        raise errors.UnsupportedModelError(
            "Curvature-based training compares the logits of two classes. "
            f"Received: logits.shape={tuple(logits.shape)}. Remedy: a last "
            "layer Dense(2) in place of Dense(1), and Flatten before it."
        )
    if target == "random":
        shift = tf.random.uniform(
            tf.shape(y), minval=1, maxval=classes, dtype=tf.int32
        )
        return (y + shift) % classes
    sign = 1.0 if target == "runner-up" else -1.0
    own = tf.one_hot(y, classes, on_value=True, off_value=False)
    lowest = tf.fill(tf.shape(logits), tf.cast(logits.dtype.min, logits.dtype))
    return tf.argmax(
        tf.where(own, lowest, sign * logits), axis=-1, output_type=tf.int32
    )
