"""ONNX nodes that move a window over places: convolutions and pooling."""

from collections.abc import Sequence
import math
from typing import Any

import keras
import numpy as np

from tfcurv.nn.onnx import values
from tfcurv.nn.onnx.nodes import Node
from tfcurv.nn.onnx.values import Value

_Pairs = list[tuple[int, int]]

_RESHAPED = "pad the data, or export with pads that Keras calls 'same'"


def _places(node: Node, ranks: Sequence[int] = (1, 2)) -> tuple[int, ...]:
    """Returns the sizes of a node's input but for batch and channels."""
    found = tuple(node.value(0).shape[2:])
    if len(found) not in ranks or None in found:
        raise node.refusal(
            f"its input has {len(found)} axes of places, of sizes {found}",
            "use one or two, of sizes that are known",
        )
    return tuple(size for size in found if size is not None)


def _each(node: Node, name: str, rank: int) -> tuple[int, ...]:
    """Returns a setting of each axis of places, 1 by default."""
    found = tuple(node.setting(name, [1] * rank))
    if len(found) != rank or min(found) < 1:
        raise node.refusal(
            f"{name}={found} of {rank} axes", "export the model anew"
        )
    return found


def _same(sizes, spans, strides) -> _Pairs:
    """Returns the padding that Keras calls "same"."""
    found = []
    for size, span, stride in zip(sizes, spans, strides):
        spare = max((math.ceil(size / stride) - 1) * stride + span - size, 0)
        found.append((spare // 2, spare - spare // 2))
    return found


def _pads(node: Node, sizes, spans, strides) -> _Pairs:
    """Returns how many places are added on both sides of each axis.

    Args:
        node: The node.
        sizes: Of the input.
        spans: From the first to the last place of a window, inclusive.
        strides: Of the window.
    """
    node.require("auto_pad", "NOTSET", _AUTO_PADS)
    how, rank = node.setting("auto_pad", "NOTSET"), len(sizes)
    if how == "VALID":
        return [(0, 0)] * rank
    if how != "NOTSET":
        same = _same(sizes, spans, strides)
        return same if how == "SAME_UPPER" else [pair[::-1] for pair in same]
    pads = list(node.setting("pads", [0] * 2 * rank))
    if len(pads) != 2 * rank or min(pads) < 0:
        raise node.refusal(f"pads={pads}", _RESHAPED)
    return list(zip(pads[:rank], pads[rank:]))


_AUTO_PADS = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")


def zero_padded(tensor: Any, pads: _Pairs) -> Any:
    """Returns a tensor with zeros around its places, channels last.

    Args:
        tensor: Of one or two axes of places.
        pads: Both sides of each.
    """
    kind = f"ZeroPadding{len(pads)}D"
    # Of one axis Keras wants no list of pairs.
    given = pads[0] if len(pads) == 1 else tuple(pads)
    return getattr(keras.layers, kind)(given)(tensor)


def _padded(tensor: Any, pads: _Pairs, same: _Pairs) -> tuple[Any, str]:
    """Returns a tensor and Keras' padding, which together pad with zeros."""
    if not any(map(any, pads)):
        return tensor, "valid"
    if pads == same:
        return tensor, "same"
    return zero_padded(tensor, pads), "valid"


def convolution(node: Node) -> Value:
    """Reads a Conv."""
    sizes, kernel = _places(node), node.weights(1)
    rank, groups = len(sizes), node.setting("group", 1)
    strides = _each(node, "strides", rank)
    dilations = _each(node, "dilations", rank)
    if kernel.ndim != rank + 2 or max(strides) > 1 < max(dilations):
        raise node.refusal(
            f"kernel of shape {kernel.shape}, strides={strides}, "
            f"dilations={dilations}",
            "Keras has no convolution that is both strided and dilated; use "
            "one of the two",
        )
    outputs, _, *window = kernel.shape
    spans = [(k - 1) * d + 1 for k, d in zip(window, dilations)]
    pads = _pads(node, sizes, spans, strides)
    tensor, padding = _padded(
        node.value(0).with_channels_last, pads, _same(sizes, spans, strides)
    )
    settings = {
        "kernel_size": window,
        "strides": strides,
        "dilation_rate": dilations,
        "padding": padding,
        "use_bias": node.input(2) is not None,
        "data_format": "channels_last",
        "name": node.layer_name,
        "dtype": "float32",
    }
    channels = tensor.shape[-1]
    # [outputs, inputs of a group, *window] -> [*window, inputs, outputs].
    moved = kernel.transpose([*range(2, rank + 2), 1, 0])
    if groups == channels > 1 and len(set(strides)) == 1:
        # TensorFlow has no gradient of grouped convolutions on a CPU.
        multiplier = outputs // groups
        moved = moved.reshape(*window, channels, multiplier)
        layer = getattr(keras.layers, f"DepthwiseConv{rank}D")(
            depth_multiplier=multiplier, **settings
        )
    else:
        layer = getattr(keras.layers, f"Conv{rank}D")(
            filters=outputs, groups=groups, **settings
        )
    found = layer(tensor)
    bias = [node.weights(2)] if settings["use_bias"] else []
    layer.set_weights([moved, *bias])
    return values.with_channels_last(found)


def _check_ceil(node: Node, sizes, pads, spans, strides) -> None:
    """Refuses windows that reach beyond what is padded."""
    if not node.setting("ceil_mode", 0):
        return
    for size, pair, span, stride in zip(sizes, pads, spans, strides):
        if (size + sum(pair) - span) % stride:
            raise node.refusal(
                "ceil_mode=1 lets the last window reach beyond the input",
                "export with ceil_mode=0, or sizes that windows fill",
            )


def _pooling_window(node: Node):
    """Returns sizes, window, strides and pads of a pooling."""
    sizes = _places(node)
    window = _each(node, "kernel_shape", len(sizes))
    strides = _each(node, "strides", len(sizes))
    if max(_each(node, "dilations", len(sizes))) > 1:
        raise node.refusal("it is dilated", "use dilations of 1")
    pads = _pads(node, sizes, window, strides)
    _check_ceil(node, sizes, pads, window, strides)
    return sizes, window, strides, pads


def _pooled(node: Node, kind: str, tensor: Any, padding: str) -> Value:
    *_, window, strides, _ = _pooling_window(node)
    layer = getattr(keras.layers, f"{kind}Pooling{len(window)}D")(
        pool_size=window,
        strides=strides,
        padding=padding,
        data_format="channels_last",
        name=node.layer_name,
    )
    return values.with_channels_last(layer(tensor))


def average_pool(node: Node) -> Value:
    """Reads an AveragePool."""
    sizes, window, strides, pads = _pooling_window(node)
    tensor, padding = node.value(0).with_channels_last, "valid"
    if any(map(any, pads)):
        same = _same(sizes, window, strides)
        if node.setting("count_include_pad", 0):
            tensor = zero_padded(tensor, pads)
        elif pads == same:
            padding = "same"  # Which does not count what is padded.
        else:
            raise node.refusal(
                f"pads={pads}, not counted: Keras has only {same} of these",
                "export with count_include_pad=1",
            )
    return _pooled(node, "Average", tensor, padding)


def max_pool(node: Node) -> Value:
    """Reads a MaxPool."""
    sizes, window, strides, pads = _pooling_window(node)
    tensor, padding = node.value(0).with_channels_last, "valid"
    if any(map(any, pads)):
        same = _same(sizes, window, strides)
        if pads == same:
            padding = "same"
        elif node.is_nonnegative:
            # No maximum is less than the zeros.
            tensor = zero_padded(tensor, pads)
        else:
            raise node.refusal(
                f"pads={pads} of numbers that may be negative: Keras has only "
                f"{same}",
                "pool behind a Relu, or without pads",
            )
    return _pooled(node, "Max", tensor, padding)


def _global(node: Node, kind: str, keeps: bool) -> Value:
    rank = len(_places(node))
    layer = getattr(keras.layers, f"Global{kind}Pooling{rank}D")(
        keepdims=keeps, data_format="channels_last", name=node.layer_name
    )
    return values.with_channels_last(layer(node.value(0).with_channels_last))


def global_average_pool(node: Node) -> Value:
    """Reads a GlobalAveragePool."""
    return _global(node, "Average", True)


def global_max_pool(node: Node) -> Value:
    """Reads a GlobalMaxPool."""
    return _global(node, "Max", True)


def reduce_mean(node: Node) -> Value:
    """Reads a ReduceMean over all places."""
    axes, rank = node.argument(1, "axes"), node.value(0).rank
    asked = [] if axes is None else [int(axis) for axis in np.ravel(axes)]
    if {axis % rank for axis in asked} != set(range(2, rank)) or rank < 3:
        raise node.refusal(
            f"it is a mean over the axes {asked} of a tensor of rank {rank}",
            "take means over all places, or use AveragePool",
        )
    return _global(node, "Average", bool(node.setting("keepdims", 1)))


#: How to read a node of each type.
READERS = {
    "Conv": convolution,
    "AveragePool": average_pool,
    "MaxPool": max_pool,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "ReduceMean": reduce_mean,
}
