"""ONNX nodes that move elements, or do nothing."""

import math

import keras
import numpy as np

from tfcurv.nn.onnx import values
from tfcurv.nn.onnx import windows
from tfcurv.nn.onnx.nodes import Node
from tfcurv.nn.onnx.values import Value

_KEEP = "keep the first axis for the batch"


def identity(node: Node) -> Value:
    """Reads what does nothing in inference: Identity, Dropout, Cast."""
    if node.kind == "Dropout":
        training = node.input(2)
        if training is not None and np.any(node.constant(2)):
            raise node.refusal(
                "its training_mode is true", "export the model in inference"
            )
    return node.value(0)


def cast(node: Node) -> Value:
    """Reads a Cast between floats."""
    # Of TensorProto: FLOAT and DOUBLE.
    node.require("to", 1, (1, 11))
    return node.value(0)


def _reshaped(value: Value, sizes) -> Value:
    """Returns the elements of a sample, in the order of ONNX, in a shape."""
    tensor = value.in_order
    if tuple(tensor.shape[1:]) != tuple(sizes):
        tensor = keras.layers.Reshape(tuple(sizes))(tensor)
    return values.in_order(tensor)


def flatten(node: Node) -> Value:
    """Reads a Flatten that keeps the batch."""
    value = node.value(0)
    axis = node.setting("axis", 1)
    if axis % value.rank != 1:
        raise node.refusal(f"axis={axis}", _KEEP)
    return _reshaped(value, [math.prod(_sizes(node, value))])


def _sizes(node: Node, value: Value) -> list[int]:
    """Returns the shape of a sample, all of it known."""
    found = [size for size in value.shape[1:] if size is not None]
    if len(found) != value.rank - 1:
        raise node.refusal(
            f"its input has the shape {value.shape}",
            "export with sizes that are known, but for the batch",
        )
    return found


def reshape(node: Node) -> Value:
    """Reads a Reshape of each sample."""
    value = node.value(0)
    node.require("allowzero", 0, (0,))
    shape = node.argument(1, "shape")
    before = _sizes(node, value)
    # A zero says "as it was"; of the batch that is what is wanted.
    whole = (0, *before)
    first, *rest = [
        whole[i] if size == 0 and i < len(whole) else int(size)
        for i, size in enumerate([0] if shape is None else shape)
    ]
    count, free = math.prod(before), rest.count(-1)
    known = math.prod(size for size in rest if size != -1)
    if free == 1 and known and count % known == 0:
        rest = [count // known if size == -1 else size for size in rest]
    # With a batch of one it may be written down.
    keeps = first in (0, -1, 1) and free + (first == -1) <= 1
    if not rest or not keeps or math.prod(rest) != count:
        raise node.refusal(
            f"it gives a tensor of shape {value.shape} the shape "
            f"{[] if shape is None else list(shape)}",
            _KEEP,
        )
    return _reshaped(value, rest)


def squeeze(node: Node) -> Value:
    """Reads a Squeeze."""
    value, axes = node.value(0), node.argument(1, "axes")
    sizes = _sizes(node, value)
    if axes is None:
        raise node.refusal("it names no axes", "name the axes")
    asked = {node.axis(int(axis), value.rank) for axis in np.ravel(axes)}
    kept = [n for i, n in enumerate(sizes, 1) if i not in asked]
    if math.prod(kept) != math.prod(sizes):
        raise node.refusal(
            f"axes {sorted(asked)} of shape {value.shape}",
            "squeeze axes of length one",
        )
    return _reshaped(value, kept)


def unsqueeze(node: Node) -> Value:
    """Reads an Unsqueeze."""
    value, axes = node.value(0), node.argument(1, "axes")
    given = [] if axes is None else [int(axis) for axis in np.ravel(axes)]
    rank = value.rank + len(given)
    asked = {node.axis(axis, rank) for axis in given}
    sizes = iter(_sizes(node, value))
    return _reshaped(
        value, [1 if i in asked else next(sizes) for i in range(1, rank)]
    )


def transpose(node: Node) -> Value:
    """Reads a Transpose: nothing is moved before somebody looks."""
    value = node.value(0)
    order = list(node.setting("perm", range(value.rank)[::-1]))
    if order[0] != 0 or sorted(order) != list(range(value.rank)):
        raise node.refusal(f"perm={order} moves the batch", _KEEP)
    axes = tuple(order.index(axis) for axis in value.axes)
    return Value(value.tensor, axes)


def concatenate(node: Node) -> Value:
    """Reads a Concat of tensors."""
    first, *rest = (node.value(index) for index in range(len(node.inputs)))
    axis = node.axis(node.setting("axis", 1), first.rank)
    if any(each.rank != first.rank for each in rest):
        raise node.refusal("its tensors differ in rank", "let all have one")
    if not rest:
        return first
    tensors = [first.tensor, *(each.arranged(first.axes) for each in rest)]
    layer = keras.layers.Concatenate(
        axis=first.axes.index(axis), name=node.layer_name
    )
    return Value(layer(tensors), first.axes)


def pad(node: Node) -> Value:
    """Reads a Pad of places with zeros."""
    node.require("mode", "constant", ("constant",))
    value, pads = node.value(0), node.argument(1, "pads")
    given, filler = node.argument(3, ""), node.argument(2, "value")
    rank = value.rank
    numbers = [] if pads is None else [int(n) for n in np.ravel(pads)]
    axes = range(rank) if given is None else [int(a) % rank for a in given]
    before, after = numbers[: len(axes)], numbers[len(axes) :]
    found = dict(zip(axes, zip(before, after)))
    of_places = [found.get(axis, (0, 0)) for axis in range(2, rank)]
    others = [any(found.get(axis, (0, 0))) for axis in (0, 1)]
    is_zero = filler is None or not np.any(filler)
    known = rank in (3, 4) and min(numbers, default=-1) >= 0 and is_zero
    if any(others) or not known:
        raise node.refusal(
            f"pads={numbers} of a tensor of rank {rank}, with {filler}",
            "pad one or two axes of places with zeros",
        )
    if not any(map(any, of_places)):
        return value
    tensor = windows.zero_padded(value.with_channels_last, of_places)
    return values.with_channels_last(tensor)


#: How to read a node of each type.
READERS = {
    "Identity": identity,
    "Dropout": identity,
    "Cast": cast,
    "Flatten": flatten,
    "Reshape": reshape,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Transpose": transpose,
    "Concat": concatenate,
    "Pad": pad,
}
