"""The calls that a Keras model makes, in an order in which they can be made.

Keras offers no public view of a functional model's graph; everything that
touches its private one stands here.
"""

from collections.abc import Iterator
from collections.abc import Mapping
import functools
import os
from typing import Any
from typing import NamedTuple

import keras

from tfcurv import errors
from tfcurv.nn import refusals

#: Dtypes in which a model may take its input and compute.
PRECISIONS = ("float32", "float64")


class Call(NamedTuple):
    """One use of a layer, of an operation or of a model in a model.

    Attributes:
        operation: What is called.
        sources: What it is called on: numbers of earlier calls; -1 is the
            input of the model.
        shape: Of one sample after it, as Keras has it: None where open.
        only_tensors: Whether it is called on those sources and nothing else.
    """

    operation: keras.Operation
    sources: tuple[int, ...]
    shape: tuple[int | None, ...]
    only_tensors: bool


@functools.cache
def _functional_type() -> type:
    """Keras' own class of functional models, which has no public name."""
    x = keras.Input((1,))
    # Keras 3.12 refuses outputs that no layer has made.
    return type(keras.Model(x, keras.layers.Identity()(x)))


@functools.cache
def addition_type() -> type:
    """Returns the class of what `x + y` does, which has no public name."""
    x, y = keras.Input((1,)), keras.Input((1,))
    return type((x + y)._keras_history[0])


def is_known(model) -> bool:
    """Whether the class itself is Keras' or tfcurv's, not a user's."""
    if "call" in vars(model):
        return False
    kind = type(model)
    own = getattr(kind, "_tfcurv_forward_is_stock", False)
    stock = kind in (keras.Sequential, _functional_type())
    return stock or ("_tfcurv_forward_is_stock" in vars(kind) and own)


def input_shape(model: keras.Model) -> tuple[int, ...]:
    """Returns the shape of one input of a model.

    Raises:
        UnsupportedModelError: The shape is unknown or partly unknown.
    """
    shape = getattr(model, "input_shape", None)
    if shape is None or None in shape[1:]:
        raise errors.UnsupportedModelError(
            "The model's input must have a known shape. "
            f"Received: model={model.name!r}, input_shape={shape!r}."
        )
    return tuple(shape[1:])


def check_input(model: keras.Model, shape: tuple[int, ...]) -> None:
    """Refuses an inner model that is used on inputs of another shape.

    Args:
        model: A model that `calls_of` has read.
        shape: Of one sample that the model is called on.

    Raises:
        UnsupportedModelError: Keras would reshape the input, or fail.
    """
    declared = model.inputs[0].shape[1:]
    if not agree(declared, shape):
        raise errors.UnsupportedModelError(
            "An inner model must be used on inputs of its own shape. "
            f"Received: model={model.name!r}, inputs of shape {shape}. "
            f"Allowed: {tuple(declared)}."
        )


def agree(declared, shape: tuple[int, ...]) -> bool:
    """Whether a shape is one that Keras has said, None where it is open."""
    return len(declared) == len(shape) and all(
        said in (None, size) for said, size in zip(declared, shape)
    )


def calls_of(model) -> list[Call]:
    """Returns what a model calls; the last call makes its output.

    Args:
        model: A built `keras.Sequential` or functional model, or tfcurv's own.

    Raises:
        UnsupportedLayerError: A layer is used more than once, gives several
            outputs, or ignores the input.
        UnsupportedModelError: The model is neither built nor of a known kind,
            has several inputs or outputs, or rounds its input.
    """
    check_model(model)
    order = _ordered(model)
    numbers = {id(tensor): number for number, tensor in enumerate(order)}
    numbers[id(model.inputs[0])] = -1
    calls = [_call_of(tensor, numbers) for tensor in order]
    seen = set()
    for call in calls:
        if id(call.operation) in seen:
            raise refusals.unsupported(
                call.operation,
                "it is used more than once; build one layer for each use",
            )
        seen.add(id(call.operation))
    return calls


def executed_in_order(
    model,
) -> Iterator[tuple[keras.Operation, Mapping[str, Any]]]:
    """Yields what Keras calls when it runs a model, in its order.

    Not that of `calls_of`, which need not be the same in branches.

    Args:
        model: A built `keras.Sequential` or functional model.

    Yields:
        The operation or layer, and the keywords that it was built with.
    """
    sequential = isinstance(model, keras.Sequential)
    by_depth = (model._functional if sequential else model)._nodes_by_depth
    for depth in sorted(by_depth, reverse=True):
        for node in by_depth[depth]:
            if node.operation and not node.is_input:
                yield node.operation, node.arguments.kwargs


def check_model(model) -> None:
    """Refuses what is no built model of a known kind, with one input.

    Raises:
        UnsupportedModelError: As `calls_of`.
    """
    _check_kind(model)
    _check_ends(model)


def _check_kind(model) -> None:
    if isinstance(model, str | os.PathLike):
        raise errors.UnsupportedModelError(
            "A file must be read first, with `tfcurv.nn.read_model`. "
            f"Received: model={os.fspath(model)!r}."
        )
    sequential = isinstance(model, keras.Sequential)
    if not (sequential or isinstance(model, _functional_type())) or (
        not is_known(model)
    ):
        raise errors.UnsupportedModelError(
            "Cannot see what this model computes: a subclassed model may do "
            "anything in `call`. Received: "
            f"model={getattr(model, 'name', model)!r} of type "
            f"{type(model).__name__}. Allowed: keras.Sequential, functional "
            "keras.Model(inputs, outputs), tfcurv.Sequential, tfcurv.Model."
        )
    # A model built on no shape has no `inputs` either.
    if not model.built or getattr(model, "inputs", None) is None:
        raise errors.UnsupportedModelError(
            "The model has no weights yet: give it a keras.Input, or call "
            f"it once. Received: model={model.name!r}."
        )


def _check_ends(model) -> None:
    """Refuses several inputs or outputs, and inputs of low precision."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise errors.UnsupportedModelError(
            "Only models with one input and one output can be certified. "
            f"Received: model={model.name!r} with {len(model.inputs)} inputs "
            f"and {len(model.outputs)} outputs."
        )
    (tensor,) = model.inputs
    if tensor.dtype not in PRECISIONS:
        raise errors.UnsupportedModelError(
            "The model rounds its input to a type of low precision. "
            f"Received: model={model.name!r}, whose keras.Input has "
            f"dtype={tensor.dtype!r}. Allowed: {PRECISIONS}."
        )


def _ordered(model) -> list:
    """Returns the tensors between input and output, sources first."""
    done = {id(model.inputs[0])}
    order, waiting = [], [model.outputs[0]]
    # No recursion: a deep model would exceed Python's limit.
    while waiting:
        tensor = waiting[-1]
        pending = [
            source
            for source in _node_of(tensor).input_tensors
            if id(source) not in done
        ]
        if id(tensor) in done:
            waiting.pop()
        elif pending:
            waiting += pending[::-1]
        else:
            waiting.pop()
            done.add(id(tensor))
            order.append(tensor)
    return order


def _node_of(tensor):
    operation, node_index, _ = tensor._keras_history
    return operation._inbound_nodes[node_index]


def _call_of(tensor, numbers: dict[int, int]) -> Call:
    node = _node_of(tensor)
    operation = node.operation
    if len(node.output_tensors) != 1 or node.output_tensors[0] is not tensor:
        raise refusals.unsupported(operation, "it has several outputs")
    settings = dict(node.arguments.kwargs)
    settings.pop("training", None)  # See `training_mode`.
    given = keras.tree.flatten((node.arguments.args, settings))
    tensors = [each for each in given if each is not None]
    if not node.input_tensors:
        raise refusals.unsupported(operation, "it ignores the input")
    sources = tuple(numbers[id(each)] for each in node.input_tensors)
    return Call(
        operation,
        sources,
        tuple(tensor.shape[1:]),
        len(tensors) == len(sources),
    )
