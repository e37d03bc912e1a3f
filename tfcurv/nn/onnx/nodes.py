"""One node of an ONNX graph: inputs, attributes, what is said against it."""

from collections.abc import Mapping
import dataclasses
import re
from typing import Any

import numpy as np

from tfcurv import errors
from tfcurv.nn.onnx.values import Value
from tfcurv.nn.reading.problems import Problem

SUPPORTED = (
    "Gemm, MatMul, Conv, BatchNormalization; Add, Sub, Mul and Div with "
    "constants, Add, Sum and Sub of tensors, Neg; AveragePool, MaxPool, their "
    "global kinds, ReduceMean over all places; Flatten, Reshape, Squeeze, "
    "Unsqueeze, Transpose, Concat, Pad with zeros; Identity, Dropout, Cast, "
    "Constant; Relu, LeakyRelu, PRelu, Clip to [0, b] or [-1, 1], Elu, Selu, "
    "Gelu, Sigmoid, HardSigmoid, HardSwish, Mish, Softplus, Softsign, Tanh, Abs"
)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """One node.

    Attributes:
        label: What ONNX calls it, or its output where it has no name.
        kind: Its op type.
        inputs: A `Value`, an array where it is a constant, or None where an
            input is left out.
        attributes: By name.
        is_nonnegative: Whether nothing below zero can reach its first input.
    """

    label: str
    kind: str
    inputs: tuple[Value | np.ndarray | None, ...]
    attributes: Mapping[str, Any]
    is_nonnegative: bool = False

    @property
    def layer_name(self) -> str:
        """The label, as Keras allows it."""
        return re.sub(r"[^A-Za-z0-9_.-]+", "_", self.label).strip("_.-")

    def refusal(self, why: str, remedy: str) -> errors.UnsupportedLayerError:
        """Returns the error that says why it cannot be read.

        Args:
            why: The reason, a clause that follows a colon.
            remedy: The way out, a clause.
        """
        return errors.UnsupportedLayerError(
            f"This ONNX node cannot be read: {why}. Received: node "
            f"{self.label!r} of type {self.kind}. Remedy: {remedy}. "
            f"Supported: {SUPPORTED}.",
            [
                Problem(
                    layer=self.label, type=self.kind, reason=why, remedy=remedy
                )
            ],
        )

    def input(self, index: int) -> Value | np.ndarray | None:
        """Returns an input; None where it is left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def value(self, index: int) -> Value:
        """Returns an input that depends on that of the model."""
        found = self.input(index)
        if not isinstance(found, Value):
            raise self.refusal(
                f"its input {index} is no tensor that depends on the model's "
                "input",
                "fold constants when the model is exported",
            )
        return found

    def constant(self, index: int) -> np.ndarray:
        """Returns an input that must be a constant."""
        found = self.input(index)
        if not isinstance(found, np.ndarray):
            raise self.refusal(
                f"its input {index} depends on the model's input, and only a "
                "constant is known there",
                "export weights and settings as constants",
            )
        return found

    def weights(self, index: int) -> np.ndarray:
        """Returns a constant as float64 that float32 holds exactly."""
        return self.exact(self.constant(index))

    def exact(self, number: np.ndarray) -> np.ndarray:
        """Returns an array as float64, refused if float32 does not hold it.

        Args:
            number: A constant.
        """
        if number.dtype.name not in ("float32", "float64"):
            raise self.refusal(
                f"its constant holds {number.dtype.name}",
                "export the model in float32",
            )
        number = number.astype(np.float64)
        with np.errstate(over="ignore"):
            is_held = np.array_equal(number.astype(np.float32), number)
        if not is_held:
            raise self.refusal(
                "a constant is NaN, or no number of float32",
                "export the model in float32, and with finite weights",
            )
        return number

    def setting(self, name: str, default: Any) -> Any:
        """Returns an attribute, or what it is where the node says nothing."""
        return self.attributes.get(name, default)

    def argument(self, index: int, name: str) -> np.ndarray | None:
        """Returns what is an input in newer operator sets, once an attribute.

        Args:
            index: Of the input.
            name: Of the attribute.
        """
        if self.input(index) is not None:
            return self.constant(index)
        found = self.attributes.get(name)
        return None if found is None else np.asarray(found)

    def require(self, name: str, default: Any, allowed: tuple) -> None:
        """Refuses the node unless an attribute has one of some values."""
        found = self.setting(name, default)
        if found not in allowed:
            raise self.refusal(
                f"{name}={found!r}; known are {allowed}",
                f"export it with one of these for {name}",
            )

    def axis(self, axis: int, rank: int) -> int:
        """Returns an axis counted from 0, refused where it is the batch's.

        Args:
            axis: Perhaps negative.
            rank: Number of axes.
        """
        found = axis + rank if axis < 0 else axis
        if not 0 < found < rank:
            raise self.refusal(
                f"axis {axis} of a tensor of rank {rank} is that of the batch "
                "or none",
                "let each sample be a row of its own",
            )
        return found
