"""ONNX nodes that apply a function to each element."""

from collections.abc import Callable
import functools
import math
from typing import Any

import keras
import numpy as np

from tfcurv.nn import layers
from tfcurv.nn.onnx.nodes import Node
from tfcurv.nn.onnx.values import Value

# Settings of ONNX as float32, and what Keras computes with.
_CLOSE = 1e-6
_OWN = "use the function that Keras has"


def _applied(node: Node, layer: keras.layers.Layer) -> Value:
    value = node.value(0)
    return Value(layer(value.tensor), value.axes)


def _function(node: Node, fn: Any) -> Value:
    layer = keras.layers.Activation(fn, name=node.layer_name, dtype="float32")
    return _applied(node, layer)


def _plain(fn: Any) -> Callable[[Node], Value]:
    return functools.partial(_function, fn=fn)


def _check_close(node: Node, **expected: tuple[float, float]) -> None:
    """Refuses settings that are not those of a function that Keras has.

    Args:
        node: The node.
        **expected: By name, the default of ONNX and the value of Keras.
    """
    for name, (default, value) in expected.items():
        found = node.setting(name, default)
        if not math.isclose(found, value, rel_tol=_CLOSE):
            raise node.refusal(f"{name}={found!r}; known is {value!r}", _OWN)


def _leaky(node: Node, slope: float) -> Value:
    return _applied(
        node,
        keras.layers.LeakyReLU(
            negative_slope=slope, name=node.layer_name, dtype="float32"
        ),
    )


def leaky_relu(node: Node) -> Value:
    """Reads a LeakyRelu."""
    return _leaky(node, node.setting("alpha", float(np.float32(0.01))))


def prelu(node: Node) -> Value:
    """Reads a PRelu of one slope."""
    slopes = np.unique(node.weights(1))
    if len(slopes) != 1:
        raise node.refusal("its slope differs by channel", "share one slope")
    return _leaky(node, float(slopes[0]))


def elu(node: Node) -> Value:
    """Reads an Elu."""
    alpha = node.setting("alpha", 1.0)
    if alpha == 1.0:
        return _function(node, "elu")
    layer = keras.layers.ELU(alpha=alpha, name=node.layer_name, dtype="float32")
    return _applied(node, layer)


def selu(node: Node) -> Value:
    """Reads a Selu."""
    _check_close(
        node,
        alpha=(1.6732632423543772, 1.6732632423543772),
        gamma=(1.0507009873554805, 1.0507009873554805),
    )
    return _function(node, "selu")


def gelu(node: Node) -> Value:
    """Reads an exact Gelu."""
    node.require("approximate", "none", ("none",))
    return _function(node, "gelu")


def hard_sigmoid(node: Node) -> Value:
    """Reads a HardSigmoid of the slope that PyTorch and Keras have."""
    _check_close(node, alpha=(0.2, 1.0 / 6.0), beta=(0.5, 0.5))
    return _function(node, "hard_sigmoid")


def clip(node: Node) -> Value:
    """Reads a Clip to [0, b] or [-1, 1]."""
    ends = [node.argument(1, "min"), node.argument(2, "max")]
    low, high = (
        default if end is None else float(node.exact(np.asarray(end)).item())
        for end, default in zip(ends, (-math.inf, math.inf))
    )
    if (low, high) == (-1.0, 1.0):
        return _function(node, "hard_tanh")
    if low != 0.0 or not high > 0.0:
        raise node.refusal(f"it clips to [{low}, {high}]", _OWN)
    if math.isinf(high):
        return _function(node, "relu")
    return _applied(
        node,
        keras.layers.ReLU(
            max_value=high, name=node.layer_name, dtype="float32"
        ),
    )


#: How to read a node of each type. Silu is not ONNX's, see `gates`.
READERS: dict[str, Callable[[Node], Value]] = {
    "Relu": _plain("relu"),
    "Sigmoid": _plain("sigmoid"),
    "Tanh": _plain("tanh"),
    "Softplus": _plain("softplus"),
    "Softsign": _plain("softsign"),
    "HardSwish": _plain("hard_silu"),
    "Mish": _plain("mish"),
    "Silu": _plain("silu"),
    "Abs": _plain(layers.absolute),
    "LeakyRelu": leaky_relu,
    "PRelu": prelu,
    "Elu": elu,
    "Selu": selu,
    "Gelu": gelu,
    "HardSigmoid": hard_sigmoid,
    "Clip": clip,
}

#: What gives nothing below zero.
NONNEGATIVE = ("Relu", "Sigmoid", "HardSigmoid", "Softplus", "Abs")
