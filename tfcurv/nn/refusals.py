"""What is said of a layer that cannot be certified, and the way out."""

import keras

from tfcurv import bounds
from tfcurv import errors

_SUPPORTED = (
    "Dense, Conv1D, Conv2D, DepthwiseConv1D, DepthwiseConv2D, "
    "SeparableConv1D, SeparableConv2D, average pooling, global or not, "
    "BatchNormalization, Normalization, Rescaling, Activation, Add, "
    "Concatenate, Flatten, Reshape, Permute, zero padding, cropping, "
    "UpSampling, dropout and noise, and Sequential or functional models of "
    "these"
)

_NOT_SMOOTH = (
    "its output has kinks, where no curvature is bounded; use {} instead"
)
_SMOOTH_POOLING = _NOT_SMOOTH.format("average pooling or strides")
_SMOOTH_ACTIVATION = _NOT_SMOOTH.format(
    "a smooth activation, such as 'softplus' or 'silu',"
)
_OF_EACH_SAMPLE = (
    "it divides by a norm of each sample, which is not linear; use "
    "BatchNormalization instead"
)
_NOT_LINEAR = "it multiplies what depends on the input, which is not linear"

#: Why well-known layers cannot be certified, and what to use instead.
_REASONS = {
    "MaxPooling1D": _SMOOTH_POOLING,
    "MaxPooling2D": _SMOOTH_POOLING,
    "GlobalMaxPooling1D": _SMOOTH_POOLING,
    "GlobalMaxPooling2D": _SMOOTH_POOLING,
    "Maximum": _NOT_SMOOTH.format("Add or Concatenate"),
    "Minimum": _NOT_SMOOTH.format("Add or Concatenate"),
    "LeakyReLU": _SMOOTH_ACTIVATION,
    "PReLU": _SMOOTH_ACTIVATION,
    "LayerNormalization": _OF_EACH_SAMPLE,
    "GroupNormalization": _OF_EACH_SAMPLE,
    "RMSNormalization": _OF_EACH_SAMPLE,
    "UnitNormalization": _OF_EACH_SAMPLE,
    "Multiply": _NOT_LINEAR,
    "Dot": _NOT_LINEAR,
    "Attention": _NOT_LINEAR,
    "MultiHeadAttention": _NOT_LINEAR,
    "TimeDistributed": (
        "it wraps another layer; a Dense layer by itself takes inputs of any "
        "rank"
    ),
}


def unsupported(layer, why: str) -> errors.UnsupportedLayerError:
    """Returns the error that says why a layer cannot be certified.

    Args:
        layer: The layer, or an operation without one.
        why: The reason, a clause that follows a colon.
    """
    name = getattr(layer, "name", repr(layer))
    return errors.UnsupportedLayerError(
        f"Cannot bound the curvature of this layer: {why}. "
        f"Received: layer {name!r} of type {type(layer).__name__}. "
        f"Supported: {_SUPPORTED}."
    )


def unknown(layer) -> errors.UnsupportedLayerError:
    """Returns the error about a layer of a type that is not supported."""
    kind = type(layer)
    if kind is getattr(keras.layers, kind.__name__, None):
        if kind.__name__ in _REASONS:
            return unsupported(layer, _REASONS[kind.__name__])
    return unsupported(
        layer, "nothing is known about it; `assume` can say what it computes"
    )


def head(layer, name: str) -> errors.UnsupportedLayerError:
    """Returns the error about an activation after the logits.

    Args:
        layer: The layer that it belongs to.
        name: What it is called.
    """
    return errors.UnsupportedLayerError(
        "The model must end in logits; the certificate compares them. "
        f"Received: layer {layer.name!r} with a final {name!r}. Remedy: train "
        "with Dense(classes) and from_logits=True, or, for a trained model, "
        "drop the head, which leaves every prediction as it is if the head "
        "is increasing, as softmax and sigmoid are: "
        "`model.layers[-1].activation = keras.activations.linear` for a "
        "Dense layer's softmax, a model without the last layer for Softmax()."
    )


def unknown_activation(layer, name) -> errors.UnsupportedActivationError:
    """Returns the error about an activation without bounded curvature.

    Args:
        layer: The layer that it belongs to.
        name: What it is called.
    """
    return errors.UnsupportedActivationError(
        "No curvature bound is known for this activation; piecewise linear "
        "ones have none, try 'softplus' in place of 'relu'. "
        f"Received: layer {layer.name!r}, activation={name!r}. "
        f"Known: {sorted(bounds.ACTIVATIONS)}."
    )


def not_finite(layer) -> errors.NonFiniteWeightsError:
    """Returns the error about a scale or an offset that is no number."""
    return errors.NonFiniteWeightsError(
        "A scale or an offset is NaN or infinite. "
        f"Received: layer {layer.name!r} of type {type(layer).__name__}."
    )
