"""A fingerprint of all that decides what is proved of a network."""

from collections.abc import Callable
import dataclasses
import enum
import functools
import hashlib
import types
from typing import Any

import numpy as np
import tensorflow as tf

from tfcurv.networks.functions.kinked import KINKED
from tfcurv.networks.functions.kinked import PiecewiseLinear
from tfcurv.networks.functions.side_by_side import Blocks
from tfcurv.networks.functions.smooth import ACTIVATIONS
from tfcurv.networks.functions.smooth import Activation
from tfcurv.networks.maps.affine import Affine
from tfcurv.networks.maps.linear_map import LinearMap

# Changes when the meaning of the digest does.
_FORMAT = "tfcurv-network-2"

# Where functions that are not tfcurv's own are looked at.
_POINTS = np.concatenate(
    [
        np.linspace(-40.0, 40.0, 3201),
        np.outer((-1.0, 1.0), np.logspace(-300.0, 300.0, 601)).ravel(),
        np.random.RandomState(0).normal(0.0, 3.0, 1000),
    ]
)

_PLAIN = (type(None), bool, int, float, str, bytes, enum.Enum, np.generic)
# Deeper than functions that call functions go.
_MAX_DEPTH = 12


@functools.singledispatch
def fingerprint(network: Any) -> str:
    """Returns the sha256 of what decides a network's certificates.

    Networks of other kinds than a chain register their own.

    Maps with all that they are made of, biases, error terms, activations,
    rigor, and how float32 executes it. tfcurv's own activations count by name;
    any other by its declared numbers, by its values, slopes and curvatures at
    5,403 points, bit by bit, and by its code with the constants in it, so that
    on another machine, or another Python, it may be another.

    Args:
        network: The network.

    Returns:
        64 hex digits.

    Raises:
        TypeError: A part is of a type of which nothing is known.
    """
    execution = network.execution
    return digest(
        (
            _FORMAT,
            network.affines,
            network.activations,
            network.rigor,
            None if execution is None else execution.stages,
        )
    )


def digest(value: Any) -> str:
    """Returns the sha256 of nested tuples of what networks are made of.

    Args:
        value: Maps, activations, arrays, numbers, and tuples of them.

    Returns:
        64 hex digits.

    Raises:
        TypeError: A part is of a type of which nothing is known.
    """
    found = _Digest()
    found.add(value)
    return found.hexdigest()


class _Digest:
    """A hash of nested values, each with its type and length."""

    def __init__(self):
        self._hash = hashlib.sha256()

    def hexdigest(self) -> str:
        return self._hash.hexdigest()

    def add(self, value: Any) -> None:
        self._note(type(value).__qualname__)
        if isinstance(value, _PLAIN):
            self._note(repr(value))
        elif isinstance(value, np.ndarray):
            self._array(value)
        elif isinstance(value, tuple | list):
            self._several(value)
        elif isinstance(value, Affine):
            errors = value.kernel_error, value.bias_error
            self._several((value.linear, value.bias, *errors))
        elif isinstance(value, Blocks):
            self._several(value.blocks)
        elif isinstance(value, Activation):
            self._activation(value)
        elif isinstance(value, LinearMap) and not _is_own(value):
            # Its fields may not say what its methods do.
            self._array(
                Affine(bias=np.zeros(value.outputs), linear=value).kernel
            )
        elif dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                self.add((field.name, getattr(value, field.name)))
        else:
            raise TypeError(
                "No fingerprint is known for a part of this network. "
                f"Received: a {type(value).__qualname__}. Allowed: arrays, "
                "numbers, and dataclasses of them, as every LinearMap is."
            )

    def _note(self, text: str) -> None:
        self._hash.update(f"{len(text)}:{text}".encode())

    def _array(self, array: np.ndarray) -> None:
        self._note(repr((array.dtype.name, array.shape)))
        ordered = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
        self._hash.update(ordered.tobytes())

    def _several(self, values) -> None:
        self._note(str(len(values)))
        for each in values:
            self.add(each)

    def _activation(self, fn: Activation) -> None:
        if any(fn is own for own in (*ACTIVATIONS.values(), *KINKED)):
            self._note(f"tfcurv's own {fn.name}")
            return
        if type(fn) is PiecewiseLinear:
            self._several((fn.negative_slope, fn.max_value))
            return
        for field in dataclasses.fields(fn):
            value = getattr(fn, field.name)
            if fn.is_kinked and field.name == "curvature":
                continue  # There is none.
            if callable(value):
                with tf.init_scope(), tf.device("CPU:0"):
                    self.add(np.asarray(value(tf.constant(_POINTS))))
                self._code(value, _MAX_DEPTH)
            else:
                self.add(value)

    def _code(self, value: Any, depth: int) -> None:
        """Adds what a function, or a value in its code, is made of."""
        self._note(type(value).__qualname__)
        if depth and isinstance(value, types.CodeType):
            self._hash.update(value.co_code)
            self._note(repr(value.co_names))
            self._all(value.co_consts, depth)
        elif depth and isinstance(value, types.FunctionType):
            self._all((value.__code__, value.__defaults__), depth)
            self._all(_seen_by(value), depth)
        elif depth and isinstance(value, functools.partial):
            self._all((value.func, *value.args), depth)
            self._all(sorted(value.keywords.items()), depth)
        elif depth and isinstance(value, types.MethodType):
            own = getattr(value.__self__, "__dict__", {})
            self._all((value.__func__, *sorted(own.items())), depth)
        elif depth and hasattr(value, "python_function"):
            self._code(value.python_function, depth - 1)
        elif depth and _is_callable_object(value):
            own = sorted(getattr(value, "__dict__", {}).items())
            self._all((type(value).__call__, *own), depth)
        elif isinstance(value, tf.Tensor | tf.Variable | np.ndarray):
            self._array(np.asarray(value))
        elif isinstance(value, _PLAIN):
            self._note(repr(value))
        elif depth and isinstance(value, tuple | list):
            self._all(value, depth)
        else:
            # What else there may be shows in the function's values.
            self._note(getattr(value, "__qualname__", ""))

    def _all(self, values, depth: int) -> None:
        self._note(str(len(values)))
        for each in values:
            self._code(each, depth - 1)


def _is_callable_object(value: Any) -> bool:
    return isinstance(
        getattr(type(value), "__call__", None), types.FunctionType
    )


def _is_own(value: LinearMap) -> bool:
    return type(value).__module__.startswith("tfcurv.")


def _seen_by(fn: Callable) -> list:
    """Returns the numbers, arrays and functions around a function."""
    cells = [_content(cell) for cell in fn.__closure__ or ()]
    names = [fn.__globals__.get(name) for name in fn.__code__.co_names]
    return [*cells, *names]


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # It is still empty.
        return None
