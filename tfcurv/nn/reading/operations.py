"""Reads Keras operations that are no layers: x / 255, x - mean, tanh(x).

An operation between a tensor and constants is affine. Keras rounds a Python
number to the tensor's dtype, so that the function of the stored number and
the one that runs differ; what is read covers both.
"""

from collections.abc import Callable
import functools
import numbers
import sys
from typing import Any
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfcurv import networks
from tfcurv import numerics
from tfcurv.nn.reading import activation_layers
from tfcurv.nn.reading import refusals
from tfcurv.nn.reading.linear_step import LinearStep
from tfcurv.nn.reading.model_calls import Call

_Shape = tuple[int, ...]

# A number and its float32 rounding are 2**-24 apart, relative; gamma of this
# many float64 roundings is above 2**-23.
_OF_FLOAT32 = 2**30
# float32 has no normal numbers but between these.
_LEAST, _GREATEST = 2.0**-126, 2.0**127

_IS_NOT_LINEAR = "it {} what depends on the input, which is not linear"
_USE_LAYERS = (
    "use layers that are supported, such as Rescaling, Normalization, Add, "
    "Subtract and Dense"
)


def role_of(operation: keras.Operation) -> str | None:
    """Returns what an operation does: one of "+-*/", "negative", "function".

    Args:
        operation: What is no layer.

    Returns:
        None where the operation is not known.
    """
    # `type is`, throughout: a subclass may compute something else.
    kind = type(operation)
    return "function" if kind in _functions() else _arithmetic().get(kind)


def known_types() -> tuple[type, ...]:
    """Returns the types of all operations that are known."""
    return *_arithmetic(), *_functions()


def _class(function: Callable, name: str) -> type:
    """The class of an operation, which stands beside the public function.

    Not that of a call's result: each would count in the names of operations
    that users make later.
    """
    return vars(sys.modules[function.__module__])[name]


@functools.cache
def _arithmetic() -> dict[type, str]:
    ops = keras.ops
    return {
        _class(ops.add, "Add"): "+",
        _class(ops.subtract, "Subtract"): "-",
        _class(ops.multiply, "Multiply"): "*",
        _class(ops.divide, "Divide"): "/",
        _class(ops.true_divide, "TrueDivide"): "/",
        _class(ops.negative, "Negative"): "negative",
    }


class _Function(NamedTuple):
    """What an operation on one tensor computes.

    Attributes:
        activation: The function; or what makes it of a call.
        settings: Its attributes that must have one value for this.
    """

    activation: networks.Activation | Callable[[Call], networks.Activation]
    settings: dict[str, Any] = {}


def _leaky(call: Call) -> networks.Activation:
    return activation_layers.leaky(call.operation.negative_slope)


def _relu(call: Call) -> networks.Activation:
    operation = call.operation
    return activation_layers.relu_with(
        operation,
        operation.negative_slope,
        operation.max_value,
        operation.threshold,
        call.arguments[0].dtype,
    )


@functools.cache
def _functions() -> dict[type, _Function]:
    ops, known = keras.ops, networks.activation
    exact = {"approximate": False}
    return {
        _class(ops.tanh, "Tanh"): _Function(known("tanh")),
        _class(ops.sigmoid, "Sigmoid"): _Function(known("sigmoid")),
        _class(ops.silu, "Silu"): _Function(known("silu")),
        _class(ops.softplus, "Softplus"): _Function(known("softplus")),
        _class(ops.softsign, "Softsign"): _Function(known("softsign")),
        _class(ops.gelu, "Gelu"): _Function(known("gelu"), exact),
        _class(ops.elu, "Elu"): _Function(known("elu"), {"alpha": 1.0}),
        _class(ops.relu, "Relu"): _Function(networks.RELU),
        _class(ops.relu6, "Relu6"): _Function(networks.RELU6),
        _class(ops.selu, "Selu"): _Function(networks.SELU),
        _class(ops.hard_tanh, "HardTanh"): _Function(networks.HARD_TANH),
        _class(ops.hard_sigmoid, "HardSigmoid"): _Function(
            networks.HARD_SIGMOID
        ),
        _class(ops.hard_silu, "HardSilu"): _Function(networks.HARD_SILU),
        _class(ops.abs, "Absolute"): _Function(networks.ABSOLUTE),
        _class(ops.leaky_relu, "LeakyRelu"): _Function(_leaky),
        _class(keras.activations.relu, "ReLU"): _Function(_relu),
    }


def read_function(call: Call) -> networks.Activation:
    """Returns the function that an operation applies to each element.

    Args:
        call: Of an operation whose role is "function".

    Raises:
        UnsupportedLayerError: It is called on more than one tensor, or has
            other settings.
    """
    operation = call.operation
    activation, settings = _functions()[type(operation)]
    kind = getattr(activation, "name", operation.name)
    _check_plain(call)
    for name, value in settings.items():
        # `==` finds no fault with True for 1.0, nor does Keras.
        if (found := getattr(operation, name)) != value:
            raise refusals.unsupported(
                operation,
                f"{name}={found!r}; {kind!r} is known with "
                f"{name}={value!r} alone",
                f"use {name}={value!r}, or a layer Activation('softplus')",
            )
    if isinstance(activation, networks.Activation):
        return activation
    return activation(call)


def _check_plain(call: Call) -> None:
    if len(call.arguments) != 1 or call.settings or len(call.sources) != 1:
        raise refusals.unsupported(
            call.operation,
            "it was called on more than one tensor of the model",
            _USE_LAYERS,
        )


def read_affine(call: Call, role: str, shape: _Shape) -> LinearStep:
    """Returns what an operation does to one flattened sample.

    Args:
        call: Of an operation on one tensor and, but for "negative", one
            constant.
        role: One of "+-*/", or "negative".
        shape: Of one sample that it is used on.

    Raises:
        UnsupportedLayerError: It is not affine, its constant is no constant,
            differs between samples or is no number that float32 holds.
    """
    if role == "negative":
        _check_plain(call)
        return _scaled(shape, np.array(-1.0))
    first, second = _operands(call, role)
    is_first = isinstance(first, keras.KerasTensor)
    number, exact = _constant(call, second if is_first else first, shape)
    if role == "+":
        _check_addition(call, number, is_first, shape)
    if role == "/" and not is_first:
        raise refusals.unsupported(
            call.operation, _IS_NOT_LINEAR.format("divides by"), _USE_LAYERS
        )
    if role in "*/":
        return _multiple(call, role, number, exact, shape)
    scale = 1.0 if is_first or role == "+" else -1.0
    offset = -number if role == "-" and is_first else number
    return _shifted(shape, np.array(scale), offset, exact)


def check_sum(call: Call, role: str) -> None:
    """Refuses what is neither the sum nor the difference of two tensors.

    Args:
        call: Of an operation on two tensors.
        role: One of "+-*/".

    Raises:
        UnsupportedLayerError: It multiplies or divides them.
    """
    _operands(call, role)
    if role in "*/":
        does = "multiplies" if role == "*" else "divides by"
        raise refusals.unsupported(
            call.operation, _IS_NOT_LINEAR.format(does), _USE_LAYERS
        )


def _operands(call: Call, role: str) -> tuple[Any, Any]:
    if len(call.arguments) != 2 or call.settings:
        raise refusals.unsupported(
            call.operation, f"it is no plain x {role} y", _USE_LAYERS
        )
    return call.arguments


def _constant(call: Call, value: Any, shape: _Shape) -> tuple[np.ndarray, bool]:
    """Returns a constant of one sample, and whether float32 holds it."""
    is_number = isinstance(value, numbers.Real | np.generic)
    # A subclass of an array may hide elements.
    is_array = type(value) is np.ndarray or (
        isinstance(value, tf.Tensor) and hasattr(value, "numpy")
    )
    if isinstance(value, bool) or not (is_number or is_array):
        raise refusals.unsupported(
            call.operation,
            f"it takes a {type(value).__name__}, which is no constant number "
            "or array",
            "give it numbers; weights belong into layers, such as Dense or "
            "BatchNormalization",
        )
    array = np.array(value)
    if array.dtype.kind not in "iuf":
        raise refusals.unsupported(
            call.operation,
            f"its constant is of the dtype {array.dtype}",
            "use real numbers, and 2.0**70 in place of 2**70: whole numbers "
            "have 64 bits",
        )
    if not np.all(np.isfinite(array)):
        raise refusals.not_finite(call.operation)
    number = array.astype(np.float64)
    size = np.abs(number)
    if np.any((size != 0.0) & ((size < _LEAST) | (size > _GREATEST))):
        raise refusals.unsupported(
            call.operation,
            "its constant is too large or too small for float32",
            "use Rescaling layers, one after the other",
        )
    # float64 does not hold every integer.
    held = array.dtype.kind == "f" or bool(np.all(size < 2.0**53))
    exact = held and np.array_equal(number.astype(np.float32), array)
    return _of_one_sample(call, number, shape), exact


def _of_one_sample(call: Call, number: np.ndarray, shape: _Shape) -> np.ndarray:
    """Returns the array without the batch axis that it may have."""
    whole = (1, *shape)
    sizes = zip(number.shape[::-1], whole[::-1])
    if number.ndim > len(whole) or any(n not in (1, m) for n, m in sizes):
        raise refusals.unsupported(
            call.operation,
            f"its constant of shape {number.shape} does not fit one sample of "
            f"shape {tuple(shape)}; it may differ between samples",
            "use a constant of the shape of one sample, without the batch",
        )
    return number[0] if number.ndim == len(whole) else number


def _check_addition(
    call: Call, number: np.ndarray, is_first: bool, shape: _Shape
) -> None:
    """Refuses a sum that Keras takes for that with a bias of channels.

    `x + c` with a c of one long axis is, to Keras' TensorFlow backend, a bias
    of the last axis of its size, or of the first; broadcasting may mean
    another. With c first, a batch of one may be taken for the bias.
    """
    long = [axis for axis, n in enumerate(number.shape) if n > 1]
    if not long:
        return
    where = long[0] + len(shape) - number.ndim
    size = number.shape[long[0]]
    taken = where
    if len(long) == 1 and size == shape[-1]:
        taken = len(shape) - 1
    elif len(long) == 1 and size == shape[0]:
        taken = 0
    if taken != where or (not is_first and number.ndim > 1):
        raise refusals.unsupported(
            call.operation,
            "Keras may add the constant along another axis than broadcasting "
            "says",
            "use x - (-c), or a Rescaling layer with an offset",
        )


def _multiple(call, role, number, exact, shape: _Shape) -> LinearStep:
    roundings = 0 if exact else _OF_FLOAT32
    if role == "/":
        if not np.all(number):
            raise refusals.not_finite(call.operation)
        number, roundings = 1.0 / number, roundings + 2
    return _scaled(shape, number, roundings)


def _scaled(shape: _Shape, scale: np.ndarray, roundings: int = 0) -> LinearStep:
    linear = networks.Diagonal(scale=scale, input_shape=shape)
    return LinearStep(linear, np.zeros(linear.outputs), roundings)


def _shifted(shape: _Shape, scale, offset: np.ndarray, exact: bool):
    bias = np.broadcast_to(offset, shape).ravel().astype(np.float64)
    error = 0.0
    if not exact:
        length = float(np.linalg.norm(bias))
        error = numerics.round_up(2.0**-24 * length, bias.size + 8)
    linear = _scaled(shape, scale).map
    if np.all(scale == 1.0):
        linear = networks.Identity(input_shape=shape)
    return LinearStep(linear, bias, 0, error)


def read_mean(count: int, shape: _Shape) -> LinearStep:
    """Returns the division of a sum by the number of its terms.

    Args:
        count: That number.
        shape: Of one sample.
    """
    return _scaled(shape, np.array(1.0 / count), 1)


def read_opposite(shape: _Shape) -> LinearStep:
    """Returns x -> -x on samples of a shape."""
    return _scaled(shape, np.array(-1.0))
