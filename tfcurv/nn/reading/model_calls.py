"""The calls that a Keras model makes, in an order in which they can be made.

Keras offers no public view of a functional model's graph; everything that
touches its private one stands here.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import functools
import os
import types
from typing import Any
from typing import NamedTuple

import keras

from tfcurv import errors
from tfcurv.nn.reading import refusals

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
        arguments: What it is called on, by position, tensors and others.
        settings: What else it is called with, by name.
        refusal: Why it cannot be read, whatever it is; None if it can.
    """

    operation: keras.Operation
    sources: tuple[int, ...]
    shape: tuple[int | None, ...]
    only_tensors: bool
    arguments: tuple[Any, ...] = ()
    settings: Mapping[str, Any] = types.MappingProxyType({})
    refusal: errors.UnsupportedLayerError | None = None


@functools.cache
def _functional_type() -> type:
    """Keras' own class of functional models, which has no public name."""
    x = keras.Input((1,))
    # Keras 3.12 refuses outputs that no layer has made.
    return type(keras.Model(x, keras.layers.Identity()(x)))


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
        raise refusals.of_model(
            model,
            "The model's input must have a known shape.",
            f"model={model.name!r}, input_shape={shape!r}",
            "give it a keras.Input of a known shape; for a trained model, "
            "call it on one: keras.Model(x, model(x)), x = keras.Input(shape)",
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
        raise refusals.of_model(
            model,
            "An inner model must be used on inputs of its own shape.",
            f"model={model.name!r}, inputs of shape {shape}. "
            f"Allowed: {tuple(declared)}",
            "put a Reshape layer before it",
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

    Returns:
        The calls. One has a `refusal` if its layer is used more than once,
        gives several outputs, or ignores the input.

    Raises:
        UnsupportedModelError: The model is neither built nor of a known kind,
            has several inputs or outputs, or rounds its input.
    """
    check_model(model)
    order = _ordered(model)
    numbers = {id(tensor): number for number, tensor in enumerate(order)}
    numbers[id(model.inputs[0])] = -1
    calls, seen = [], set()
    for call in (_call_of(tensor, numbers) for tensor in order):
        if id(call.operation) in seen and call.refusal is None:
            refusal = refusals.unsupported(
                call.operation,
                "it is used more than once",
                "build one layer for each use",
            )
            call = call._replace(refusal=refusal)
        seen.add(id(call.operation))
        calls.append(call)
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


def input_like(tensor) -> keras.KerasTensor:
    """Returns a new keras.Input with the settings of another."""
    return keras.Input(
        batch_shape=tensor.shape,
        dtype=tensor.dtype,
        name=tensor._keras_history.operation.name,
        sparse=tensor.sparse,
    )


def run_anew(
    model: keras.Model, make: Callable[[keras.Operation], keras.Operation]
) -> tuple[Any, Any]:
    """Calls other operations as a functional model calls its own.

    Args:
        model: A functional model.
        make: Gives what is to be called in an operation's place.

    Returns:
        New inputs and outputs, in the structure of the model's.
    """
    inputs = keras.tree.map_structure(input_like, model._inputs_struct)
    outputs = model._run_through_graph(inputs, operation_fn=make)
    return inputs, outputs


def leaves(model: keras.Model) -> list[keras.layers.Layer]:
    """Returns the layers with weights, at any depth, each once."""
    found: dict[int, keras.layers.Layer] = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found |= {id(each): each for each in leaves(layer)}
        elif layer.weights:
            found[id(layer)] = layer
    return list(found.values())


def check_model(model) -> None:
    """Refuses what is no built model of a known kind, with one input.

    Raises:
        UnsupportedModelError: As `calls_of`.
    """
    check_built(model)
    _check_ends(model)


def check_built(model) -> None:
    """Refuses what is no model of a known kind, or has no weights yet.

    Raises:
        UnsupportedModelError: It is not.
    """
    check_kind(model)
    # A model built on no shape has no `inputs` either.
    if not model.built or getattr(model, "inputs", None) is None:
        raise refusals.of_model(
            model,
            "The model has no weights yet.",
            f"model={model.name!r}, not built",
            "give it a keras.Input, or call it once",
        )


def check_kind(model) -> None:
    """Refuses what is no model of a kind whose layers can be seen.

    Raises:
        UnsupportedModelError: It is a file, of Keras 2 or subclassed.
    """
    if isinstance(model, str | os.PathLike):
        raise errors.UnsupportedModelError(
            "A file must be read first, with `tfcurv.nn.read_model`. "
            f"Received: model={os.fspath(model)!r}."
        )
    if _is_legacy(model):
        raise refusals.of_model(
            model,
            "tfcurv reads models of Keras 3, not of tf_keras (Keras 2).",
            f"model={model.name!r} of type {type(model).__name__} of module "
            f"{type(model).__module__}",
            "build the model of keras.layers and move the weights, "
            "`new.set_weights(old.get_weights())`; unset TF_USE_LEGACY_KERAS "
            "if it is set",
        )
    sequential = isinstance(model, keras.Sequential)
    if not (sequential or isinstance(model, _functional_type())) or (
        not is_known(model)
    ):
        raise refusals.of_model(
            model,
            "Cannot see what this model computes: a subclassed model may do "
            "anything in `call`.",
            f"model={getattr(model, 'name', model)!r} of type "
            f"{type(model).__name__}. Allowed: keras.Sequential, functional "
            "keras.Model(inputs, outputs), tfcurv.Sequential, tfcurv.Model",
            "build it of layers with one of these, and move the weights with "
            "`set_weights`",
        )


def _is_legacy(model) -> bool:
    """Whether a class of Keras 2, which tf_keras keeps, is among its own."""
    return any(
        kind.__module__.split(".")[0] == "tf_keras"
        for kind in type(model).__mro__
    )


def _check_ends(model) -> None:
    """Refuses several inputs or outputs, and inputs of low precision."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise refusals.of_model(
            model,
            "Only models with one input and one output can be certified.",
            f"model={model.name!r} with {len(model.inputs)} inputs "
            f"and {len(model.outputs)} outputs",
            "make a model of the part that gives the logits, keras.Model("
            "input, logits); several inputs may be one that is cut by "
            "Cropping or joined outside the model",
        )
    (tensor,) = model.inputs
    received = (
        f"model={model.name!r}, whose keras.Input has "
        f"dtype={tensor.dtype!r}. Allowed: {PRECISIONS}"
    )
    if tensor.dtype in PRECISIONS:
        return
    if "float" in tensor.dtype:
        raise refusals.of_model(
            model,
            "The model rounds its input to a type of low precision.",
            received,
            "give the keras.Input dtype='float32'",
        )
    raise refusals.of_model(
        model,
        "The model takes whole numbers or text, around which there is no ball "
        "of inputs.",
        received,
        "give the keras.Input of images dtype='float32'; of what looks up or "
        "reads text, certify the part behind it, keras.Model(its output, "
        "logits)",
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
    refusal = None
    if len(node.output_tensors) != 1 or node.output_tensors[0] is not tensor:
        refusal = refusals.unsupported(
            operation,
            "it has several outputs",
            "use a layer with one output in its place",
        )
    settings = dict(node.arguments.kwargs)
    settings.pop("training", None)  # See `training_mode`.
    given = keras.tree.flatten((node.arguments.args, settings))
    tensors = [each for each in given if each is not None]
    if not node.input_tensors:
        refusal = refusals.unsupported(
            operation,
            "it ignores the input",
            "leave it out, or make it a Rescaling's offset or a Dense "
            "layer's bias",
        )
    sources = tuple(numbers[id(each)] for each in node.input_tensors)
    return Call(
        operation,
        sources,
        tuple(tensor.shape[1:]),
        len(tensors) == len(sources),
        tuple(node.arguments.args),
        settings,
        refusal,
    )
