"""Labels and target classes from what Keras passes to losses."""

from typing import Any

import tensorflow as tf

from tfcurv import errors

#: How the other class of a pair is chosen.
TARGETS = ("runner-up", "random", "least-likely")


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
    """Returns int32 labels `[batch]` from sparse or one-hot labels.

    Args:
        y: `[batch]`, `[batch, 1]` or one-hot `[batch, classes]`.
        num_classes: Number of logits.
    """
    y = tf.convert_to_tensor(y)
    if y.shape.rank == 2 and y.shape[-1] == num_classes and num_classes > 1:
        return tf.argmax(y, axis=-1, output_type=tf.int32)
    return tf.cast(tf.reshape(y, [-1]), tf.int32)


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
        UnsupportedModelError: There is no other class.
    """
    classes = logits.shape[-1]
    if classes < 2:
        raise errors.UnsupportedModelError(
            "Curvature-based training compares the logits of two classes. "
            f"Received: logits.shape={tuple(logits.shape)}. Remedy: "
            "Dense(2) in place of Dense(1)."
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
