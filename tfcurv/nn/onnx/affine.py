"""ONNX nodes that multiply, add and normalise."""

import keras
import numpy as np

from tfcurv.nn.onnx import values
from tfcurv.nn.onnx.nodes import Node
from tfcurv.nn.onnx.values import Value

_NOT_LINEAR = "only sums and differences of two tensors are known"
_CONSTANT = "let one of the two be a constant"


def gemm(node: Node) -> Value:
    """Reads a Gemm: alpha x W + beta b."""
    node.require("transA", 0, (0,))
    kernel = node.weights(1)
    if node.setting("transB", 0):
        kernel = kernel.T
    kernel = node.exact(kernel * node.setting("alpha", 1.0))
    bias = None
    if node.input(2) is not None:
        bias = node.exact(node.weights(2) * node.setting("beta", 1.0))
    return _dense(node, kernel, bias)


def matmul(node: Node) -> Value:
    """Reads a MatMul with a matrix, and the bias that may follow."""
    bias = None if node.input(2) is None else node.weights(2)
    return _dense(node, node.weights(1), bias)


def _dense(node: Node, kernel: np.ndarray, bias: np.ndarray | None) -> Value:
    value = node.value(0)
    width = value.shape[-1]
    if value.rank < 2 or kernel.ndim != 2 or kernel.shape[0] != width:
        raise node.refusal(
            f"a tensor of shape {value.shape} meets weights of shape "
            f"{kernel.shape}",
            "multiply rows by one matrix",
        )
    outputs = kernel.shape[1]
    given = [kernel]
    if bias is not None:
        given.append(np.broadcast_to(bias.reshape(-1), (outputs,)))
    layer = keras.layers.Dense(
        outputs,
        use_bias=bias is not None,
        name=node.layer_name,
        dtype="float32",
    )
    found = layer(value.in_order)
    layer.set_weights(given)
    return values.in_order(found)


def batch_normalization(node: Node) -> Value:
    """Reads a BatchNormalization in inference."""
    node.require("training_mode", 0, (0,))
    node.require("spatial", 1, (1,))
    layer = keras.layers.BatchNormalization(
        # A number of float32, as ONNX holds it.
        epsilon=node.setting("epsilon", float(np.float32(1e-5))),
        name=node.layer_name,
        dtype="float32",
    )
    found = layer(node.value(0).with_channels_last)
    # Scale, bias, mean, variance: in this order by both.
    layer.set_weights([node.weights(index) for index in range(1, 5)])
    return values.with_channels_last(found)


def _of_sample(node: Node, number: np.ndarray, value: Value) -> np.ndarray:
    """Returns a constant as it meets one sample of a tensor."""
    shape = (1,) * (value.rank - number.ndim) + number.shape
    sizes = zip(shape, value.shape)
    if len(shape) > value.rank or any(n not in (1, m) for n, m in sizes):
        raise node.refusal(
            f"a constant of shape {number.shape} meets a tensor of shape "
            f"{value.shape}",
            "use one that is broadcast to each sample, and to no batch",
        )
    found = number.reshape(shape).transpose(value.axes)[0]
    # Of one number, Keras makes no array of the sample's rank.
    found = found.reshape(()) if found.size == 1 else found
    return found.astype(np.float32)


def _operands(node: Node):
    """Returns the tensor, the constant, and whether the tensor is first."""
    first, second = node.input(0), node.input(1)
    is_first = isinstance(first, Value)
    value, number = (first, second) if is_first else (second, first)
    if not isinstance(value, Value) or not isinstance(number, np.ndarray):
        raise node.refusal(_NOT_LINEAR, _CONSTANT)
    number = _of_sample(node, node.exact(number), value)
    return value, number, is_first


def _joined(node: Node, kind: type) -> Value:
    """Returns a layer of several tensors of one shape."""
    first, *rest = (node.value(index) for index in range(len(node.inputs)))
    if any(each.shape != first.shape for each in rest):
        raise node.refusal(
            f"its tensors have the shapes {first.shape} and "
            f"{[each.shape for each in rest]}",
            "let them have one shape",
        )
    tensors = [first.tensor, *(each.arranged(first.axes) for each in rest)]
    return Value(kind(name=node.layer_name)(tensors), first.axes)


def _joins(node: Node) -> bool:
    return all(isinstance(each, Value) for each in node.inputs)


def add(node: Node) -> Value:
    """Reads an Add."""
    if _joins(node):
        return _joined(node, keras.layers.Add)
    value, number, _ = _operands(node)
    # Keras may take x + c for a bias along another axis.
    return Value(value.tensor - (-number), value.axes)


def add_all(node: Node) -> Value:
    """Reads a Sum."""
    if len(node.inputs) == 1:
        return node.value(0)
    return _joined(node, keras.layers.Add)


def subtract(node: Node) -> Value:
    """Reads a Sub."""
    if _joins(node):
        return _joined(node, keras.layers.Subtract)
    value, number, is_first = _operands(node)
    tensor = value.tensor
    found = tensor - number if is_first else keras.ops.subtract(number, tensor)
    return Value(found, value.axes)


def multiply(node: Node) -> Value:
    """Reads a Mul with a constant."""
    value, number, _ = _operands(node)
    return Value(value.tensor * number, value.axes)


def divide(node: Node) -> Value:
    """Reads a Div by a constant."""
    value, number, is_first = _operands(node)
    if not is_first or not np.all(number):
        raise node.refusal("it divides by a tensor or by zero", _CONSTANT)
    return Value(value.tensor / number, value.axes)


def negative(node: Node) -> Value:
    """Reads a Neg."""
    value = node.value(0)
    return Value(keras.ops.negative(value.tensor), value.axes)


#: How to read a node of each type.
READERS = {
    "Gemm": gemm,
    "MatMul": matmul,
    "BatchNormalization": batch_normalization,
    "Add": add,
    "Sum": add_all,
    "Sub": subtract,
    "Mul": multiply,
    "Div": divide,
    "Neg": negative,
}
