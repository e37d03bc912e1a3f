"""One number from one value an example, as the compiled loss makes it."""

from typing import Any

import keras
import tensorflow as tf


def reduce_as_compiled(
    values: tf.Tensor,
    compiled: Any,
    y: Any,
    y_pred: tf.Tensor,
    sample_weight: Any = None,
    loss_weights: Any = None,
) -> tf.Tensor:
    """Returns what the compiled loss would be if its values were these.

    Keras weights the values of the examples, leaves out those that a mask of
    the outputs or of the loss itself (`ignore_class`) leaves out, and reduces
    the others; where there are N replicas, a mean is divided by N. The very
    same is done here, by Keras, in the dtype of the values.

    Args:
        values: `[batch]` floating, float32 or more precise.
        compiled: The `loss` of `keras.Model.compile`.
        y: Labels as the loss takes them.
        y_pred: `[batch, classes]` outputs.
        sample_weight: As the loss takes it.
        loss_weights: That of `keras.Model.compile`.

    Returns:
        `[]`; `[batch]` where the loss reduces nothing.
    """
    loss = _single(compiled)
    # Keras makes a mean of what a plain function returns.
    name = getattr(loss, "reduction", "sum_over_batch_size")
    reduction = _Values(
        name="curvature", reduction=name, dtype=values.dtype.name
    )
    # Keras reads a mask from where it writes it.
    values = tf.identity(values)
    values._keras_mask = _mask(loss, y, y_pred)
    if sample_weight is not None:
        sample_weight = keras.tree.flatten(sample_weight)[0]
    reduced = reduction(values, values, sample_weight)
    scales = [w for w in keras.tree.flatten(loss_weights) if w is not None]
    return reduced * scales[0] if scales else reduced


class _Values(keras.losses.Loss):
    """A loss whose outputs are its values."""

    def call(self, y_true, y_pred):
        return y_pred


def _single(compiled: Any) -> Any:
    """Returns the loss of a model's only output, None if it has no mask."""
    given = [loss for loss in keras.tree.flatten(compiled) if loss is not None]
    if not given or str(given[0]).lower() in ("crossentropy", "ce"):
        return None  # Keras chooses by shapes what "crossentropy" is.
    return keras.losses.get(given[0])


def _mask(loss: Any, y: Any, y_pred: tf.Tensor) -> tf.Tensor | None:
    """Returns which examples count, as outputs and loss say; None for all."""
    mask = getattr(y_pred, "_keras_mask", None)
    if loss is None:
        return mask
    # The loss alone knows what it ignores. Of its values nothing is used, so
    # that a graph does not compute them again.
    dtype = getattr(loss, "dtype", keras.config.floatx())
    # A loss that replaces `__call__` need not have a `call`.
    is_stock = getattr(type(loss), "__call__") is keras.losses.Loss.__call__
    function = loss.call if is_stock else loss
    values = function(
        keras.ops.convert_to_tensor(keras.tree.flatten(y)[0], dtype=dtype),
        keras.ops.convert_to_tensor(y_pred, dtype=dtype),
    )
    own = getattr(values, "_keras_mask", None)
    if mask is None or own is None:
        return own if mask is None else mask
    return tf.logical_and(mask, own)
