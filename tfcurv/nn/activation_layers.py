"""Which activation a Keras layer applies."""

import keras

from tfcurv import bounds
from tfcurv.nn import refusals

# A head that only rescales probabilities hides the logits that are certified.
_HEADS = ("softmax", "log_softmax", "sigmoid", "log_sigmoid", "sparsemax")


def read_activation(layer) -> bounds.Activation | None:
    """Returns what a layer applies to each element; None if nothing.

    Args:
        layer: An `Activation`, `ELU`, `ReLU` or `Softmax` layer, or one of
            another type that has an attribute `activation`.

    Raises:
        UnsupportedLayerError: It hides the logits, or has settings for which
            nothing is known.
        UnsupportedActivationError: Its curvature is not bounded.
    """
    # `type is`, not isinstance: a subclass may compute something else.
    kind = type(layer)
    if kind is keras.layers.Softmax:
        raise refusals.head(layer, "softmax")
    if kind is keras.layers.ReLU:
        return _read_relu(layer)
    if kind is keras.layers.ELU:
        return _read_elu(layer)
    return _function(layer)


def _function(layer) -> bounds.Activation | None:
    fn = layer.activation
    for name, known in bounds.ACTIVATIONS.items():
        if fn is getattr(keras.activations, name):
            return None if name == "linear" else known
    if fn is keras.activations.relu:
        return bounds.RELU
    name = getattr(fn, "__name__", type(fn).__name__)
    if name in _HEADS:
        raise refusals.head(layer, name)
    raise refusals.unknown_activation(layer, name)


def _read_relu(layer: keras.layers.ReLU) -> bounds.Activation:
    plain = layer.max_value is None
    if not plain or layer.negative_slope or layer.threshold:
        raise refusals.unsupported(layer, "it is no plain ReLU")
    return bounds.RELU


def _read_elu(layer: keras.layers.ELU) -> bounds.Activation:
    # Another alpha bends the slope itself at zero.
    if layer.alpha != 1.0:
        raise refusals.unsupported(
            layer, f"alpha={layer.alpha!r} puts a kink at zero; use alpha=1"
        )
    return bounds.activation("elu")
