"""Which activation a Keras layer applies."""

import functools

import keras
import tensorflow as tf

from tfcurv import bounds
from tfcurv.nn import reasons
from tfcurv.nn import refusals

# Names that TensorFlow and Keras give the same functions. Not here:
# keras.ops.gelu, which is the approximation unless told otherwise.
_NAMES = {
    "linear": {"tf": "identity"},
    "relu": {"tf": "nn.relu", "keras.ops": "relu"},
    "elu": {"tf": "nn.elu", "keras.ops": "elu"},
    "gelu": {"tf": "nn.gelu"},
    "sigmoid": {"tf": "sigmoid", "keras.ops": "sigmoid"},
    "silu": {"tf": "nn.silu", "keras.ops": "silu"},
    "softplus": {"tf": "math.softplus", "keras.ops": "softplus"},
    "softsign": {"tf": "math.softsign", "keras.ops": "softsign"},
    "tanh": {"tf": "tanh", "keras.ops": "tanh"},
}
_ROOMS = {"tf": tf, "keras.ops": keras.ops}


def read_activation(layer) -> bounds.Activation | None:
    """Returns what a layer applies to each element; None if nothing.

    Args:
        layer: An `Activation`, `ELU`, `ReLU` or `Softmax` layer, or one of
            another type that has an attribute `activation`.

    Raises:
        UnsupportedLayerError: It has settings for which nothing is known.
        UnsupportedActivationError: Its curvature is not bounded.
    """
    # `type is`, not isinstance: a subclass may compute something else.
    kind = type(layer)
    if kind is keras.layers.Softmax:
        raise refusals.unknown_activation(
            layer, "softmax", reasons.FUNCTIONS["softmax"]
        )
    if kind is keras.layers.ReLU:
        return _read_relu(layer)
    if kind is keras.layers.ELU:
        return _read_elu(layer)
    fn = layer.activation
    for known, activation in _functions():
        if fn is known:
            return activation
    raise refusals.unknown_activation(layer, str(name_of(layer)), _reason(fn))


@functools.cache
def _functions() -> tuple[tuple[object, bounds.Activation | None], ...]:
    """Returns functions with what they compute: objects, not their names.

    A function of the same name may compute something else.
    """
    known = {**bounds.ACTIVATIONS, "relu": bounds.RELU, "linear": None}
    found = []
    for name, activation in known.items():
        found.append((getattr(keras.activations, name), activation))
        for room, path in _NAMES.get(name, {}).items():
            fn = functools.reduce(getattr, path.split("."), _ROOMS[room])
            found.append((fn, activation))
    return tuple(found)


def _reason(fn) -> reasons.Reason | None:
    """Returns why a function of Keras or TensorFlow has no bound, if it is."""
    if type(fn) is getattr(keras.layers, type(fn).__name__, None):
        return reasons.LAYERS.get(type(fn).__name__)
    name = getattr(fn, "__name__", "")
    rooms = keras.activations, keras.ops, tf.nn, tf.math
    known = any(fn is getattr(room, name, None) for room in rooms)
    return reasons.FUNCTIONS.get(name) if known else None


def name_of(layer) -> str | None:
    """Returns what the activation of a layer is called; None if it has none."""
    if type(layer) is keras.layers.Softmax:
        return "softmax"
    fn = getattr(layer, "activation", None)
    return None if fn is None else getattr(fn, "__name__", type(fn).__name__)


def _read_relu(layer: keras.layers.ReLU) -> bounds.Activation:
    plain = layer.max_value is None
    if not plain or layer.negative_slope or layer.threshold:
        raise refusals.unsupported(
            layer,
            "it is no plain ReLU",
            "use a smooth activation, such as 'softplus', or ReLU() without "
            "settings as the only activation of a model",
        )
    return bounds.RELU


def _read_elu(layer: keras.layers.ELU) -> bounds.Activation:
    # Another alpha bends the slope itself at zero.
    if layer.alpha != 1.0:
        raise refusals.unsupported(
            layer, f"alpha={layer.alpha!r} puts a kink at zero", "use alpha=1"
        )
    return bounds.activation("elu")
