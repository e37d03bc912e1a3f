"""Which activation a Keras layer applies."""

import functools
import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcurv import networks
from tfcurv.nn import layers
from tfcurv.nn.reading import reasons
from tfcurv.nn.reading import refusals

# Names that TensorFlow and Keras give the same functions. Not here:
# keras.ops.gelu, which is the approximation unless told otherwise.
_NAMES = {
    "linear": {"tf": "identity"},
    "relu": {"tf": "nn.relu", "keras.ops": "relu"},
    "relu6": {"tf": "nn.relu6", "keras.ops": "relu6"},
    "hard_sigmoid": {"keras.ops": "hard_sigmoid"},
    "hard_silu": {"keras.ops": "hard_silu"},
    "hard_tanh": {"keras.ops": "hard_tanh"},
    "selu": {"tf": "nn.selu", "keras.ops": "selu"},
    "elu": {"tf": "nn.elu", "keras.ops": "elu"},
    "gelu": {"tf": "nn.gelu"},
    "sigmoid": {"tf": "sigmoid", "keras.ops": "sigmoid"},
    "silu": {"tf": "nn.silu", "keras.ops": "silu"},
    "softplus": {"tf": "math.softplus", "keras.ops": "softplus"},
    "softsign": {"tf": "math.softsign", "keras.ops": "softsign"},
    "tanh": {"tf": "tanh", "keras.ops": "tanh"},
}
_ABSOLUTE = (layers.absolute, keras.ops.abs, keras.ops.absolute, tf.abs)
_ROOMS = {"tf": tf, "keras.ops": keras.ops}

#: Layers that are activations, also in place of a function.
LAYERS = (
    keras.layers.ELU,
    keras.layers.LeakyReLU,
    keras.layers.ReLU,
    keras.layers.Softmax,
)


def read_activation(layer) -> networks.Activation | None:
    """Returns what a layer applies to each element; None if nothing.

    Args:
        layer: An `Activation`, `ELU`, `LeakyReLU`, `ReLU` or `Softmax` layer,
            or one of another type that has an attribute `activation`.

    Raises:
        UnsupportedLayerError: It has settings for which nothing is known.
        UnsupportedActivationError: Neither curvature nor slope is bounded.
    """
    # `type is`, not isinstance: a subclass may compute something else.
    kind = type(layer)
    if kind is keras.layers.Softmax:
        raise refusals.unknown_activation(
            layer, "softmax", reasons.FUNCTIONS["softmax"]
        )
    if kind is keras.layers.ReLU:
        return _read_relu(layer)
    if kind is keras.layers.LeakyReLU:
        return leaky(layer.negative_slope)
    if kind is keras.layers.ELU:
        return _read_elu(layer)
    fn = layer.activation
    if type(fn) in LAYERS:
        # Dense(8, activation=ELU()), as some write it.
        return read_activation(fn)
    for known, activation in _functions():
        if fn is known:
            return activation
    raise refusals.unknown_activation(layer, str(name_of(layer)), _reason(fn))


def applied_by(layer):
    """Returns the layer that is a layer's activation, if one is; else itself.

    Args:
        layer: A layer or an operation.
    """
    fn = getattr(layer, "activation", None)
    return fn if type(fn) in LAYERS else layer


@functools.cache
def _functions() -> tuple[tuple[object, networks.Activation | None], ...]:
    """Returns functions with what they compute: objects, not their names.

    A function of the same name may compute something else.
    """
    known = {
        **networks.ACTIVATIONS,
        "relu": networks.RELU,
        "relu6": networks.RELU6,
        "hard_sigmoid": networks.HARD_SIGMOID,
        "hard_silu": networks.HARD_SILU,
        "hard_tanh": networks.HARD_TANH,
        "selu": networks.SELU,
        "linear": None,
    }
    # Each has this slope by default.
    found: list[tuple[Any, networks.Activation | None]] = [
        (keras.activations.leaky_relu, leaky(0.2)),
        (keras.ops.leaky_relu, leaky(0.2)),
        (tf.nn.leaky_relu, leaky(0.2)),
        *((fn, networks.ABSOLUTE) for fn in _ABSOLUTE),
    ]
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


def leaky(negative_slope: float) -> networks.PiecewiseLinear:
    """Returns the function z, and negative_slope z below zero.

    Args:
        negative_slope: As Keras has it. TensorFlow's kernel holds it in
            float32, whatever the dtype of what it is applied to.
    """
    return _piecewise_linear("leaky_relu", np.float32(negative_slope), None)


def _read_relu(layer: keras.layers.ReLU) -> networks.PiecewiseLinear:
    return relu_with(
        layer,
        layer.negative_slope,
        layer.max_value,
        layer.threshold,
        layer.compute_dtype,
    )


def relu_with(
    operation: keras.Operation,
    negative_slope: float,
    max_value: float | None,
    threshold: float,
    dtype: str,
) -> networks.PiecewiseLinear:
    """Returns ReLU with Keras' settings, which it rounds to its own dtype.

    Args:
        operation: The layer or operation, for messages.
        negative_slope: The slope below zero.
        max_value: Where it is cut off; None for nowhere.
        threshold: Below which it is cut off.
        dtype: Of what it computes.

    Raises:
        UnsupportedLayerError: The threshold makes it jump.
    """
    if threshold:
        raise refusals.unsupported(
            operation,
            f"it is no plain ReLU: with threshold={threshold!r} it jumps",
            "use a smooth activation, such as 'softplus', or ReLU() without "
            "a threshold",
        )
    if negative_slope and max_value is None:
        return leaky(negative_slope)
    # A slope that meets no kernel is rounded to the dtype.
    slope = np.dtype(dtype).type(negative_slope)
    return _piecewise_linear("relu", slope, max_value)


def _piecewise_linear(name: str, slope: np.floating, max_value: float | None):
    if max_value is None and not slope:
        return networks.RELU
    if max_value == 6 and not slope:
        return networks.RELU6
    # Keras casts it, and TensorFlow casts a Python number through float32.
    top = math.inf if max_value is None else float(np.float32(max_value))
    return networks.piecewise_linear(
        name, negative_slope=float(slope), max_value=top
    )


def _read_elu(layer: keras.layers.ELU) -> networks.Activation:
    if layer.alpha == 1.0:
        return networks.activation("elu")
    # Another alpha bends the slope itself at zero.
    if not 0.0 < layer.alpha < math.inf:
        raise refusals.unsupported(
            layer, f"alpha={layer.alpha!r} is not positive", "use alpha=1"
        )
    # Keras multiplies by a number of the dtype that it computes in.
    alpha = np.dtype(layer.compute_dtype).type(layer.alpha)
    return networks.scaled_elu("elu", float(alpha))
