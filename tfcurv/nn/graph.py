"""Reads a Keras model as a graph of linear maps, activations and joins.

Everything that is not known exactly is refused by name: a layer that was
taken for something else would make every certificate of the model false.
"""

from collections.abc import Mapping
import dataclasses
import enum
import math
from typing import NamedTuple

import keras

from tfcurv import bounds
from tfcurv import errors
from tfcurv.nn import layer_checks
from tfcurv.nn import linear_layers
from tfcurv.nn import model_calls
from tfcurv.nn import refusals
from tfcurv.nn import training_mode
from tfcurv.nn.activation_layers import read_activation
from tfcurv.nn.linear_step import LinearMapSpec
from tfcurv.nn.linear_step import LinearStep

# `type is`, not isinstance, throughout: a subclass may compute something else.
_ACTIVATIONS = (
    keras.layers.Activation,
    keras.layers.ELU,
    keras.layers.ReLU,
    keras.layers.Softmax,
)
_ONE_SOURCE = {*layer_checks.IDENTITIES, *_ACTIVATIONS, *linear_layers.READERS}

# Maps that give each element of their output from one of their input.
_ELEMENTWISE = (bounds.Diagonal, bounds.Identity, bounds.Selection)


class Kind(enum.Enum):
    """What a node computes from its sources."""

    INPUT = "input"
    LINEAR = "linear"
    ACTIVATION = "activation"
    ADD = "add"
    CONCATENATE = "concatenate"


class Node(NamedTuple):
    """One step of what a model computes.

    Attributes:
        layer: The Keras layer, for messages and weights; for the addition of
            two tensors, Keras' operation; for the input, the model.
        kind: What the node computes.
        sources: Positions of the earlier nodes that it reads. One that is
            read twice is named twice.
        shape: Of one sample after it.
        activation: Of an ACTIVATION.
        axis: Of a CONCATENATE, from 0, not counting the batch.
        step: Of a LINEAR, as the weights were when the model was read.
    """

    layer: keras.layers.Layer
    kind: Kind
    sources: tuple[int, ...]
    shape: tuple[int, ...]
    activation: bounds.Activation | None = None
    axis: int | None = None
    step: LinearStep | None = None


#: What a caller may say of a layer that is not known.
Assumption = LinearMapSpec | bounds.Activation


@dataclasses.dataclass(frozen=True, kw_only=True)
class Graph:
    """What a model computes in inference.

    Attributes:
        nodes: In topological order: the first is the input, the only one of
            its kind, and the last gives the logits.
        assumptions: Names of the layers that were taken for what the caller
            says they are, in the order in which they were read.
        trained_assumptions: Those of them that are in training mode when the
            model is merely called.
    """

    nodes: tuple[Node, ...]
    assumptions: tuple[str, ...] = ()
    trained_assumptions: tuple[str, ...] = ()


def read_graph(
    model: keras.Model,
    *,
    with_relu: bool = False,
    in_training: bool = False,
    assume: Mapping[str, Assumption] | None = None,
) -> Graph:
    """Returns what a model computes in inference.

    A layer with an activation becomes two nodes; one that does nothing in
    inference becomes none; an inner model is walked through.

    Args:
        model: A built `keras.Sequential` or functional model, or tfcurv's own.
        with_relu: Whether the caller can do without bounded curvature.
        in_training: Whether the model is still to be trained, so that layers
            may be random when it is called.
        assume: For names of layers that are not known, what they compute in
            inference. It is believed: what is proved rests on it.

    Raises:
        UnsupportedLayerError: A layer is not known, or not used as it must.
        UnsupportedActivationError: No curvature bound is known for one.
        UnsupportedModelError: The model is neither built nor of a known kind.
        NonFiniteWeightsError: A scale or an offset is NaN or infinite.
        ValueError: An assumption is about no layer, or one that is known.
        TypeError: An assumption is of another type.
    """
    model_calls.check_model(model)
    trained = {} if in_training else training_mode.trained_when_called(model)
    reader = _Reader(model, dict(assume or {}), trained)
    last = reader.walk(model, 0)
    nodes = tuple(reader.nodes[: last + 1])
    reader.check_assumptions()
    _check_logits(model, nodes)
    if not with_relu:
        for node in nodes:
            if node.activation is bounds.RELU:
                raise refusals.unknown_activation(node.layer, "relu")
    return Graph(
        nodes=nodes,
        assumptions=tuple(reader.assumed),
        trained_assumptions=tuple(reader.assumed_in_training),
    )


def _check_logits(model: keras.Model, nodes: tuple[Node, ...]) -> None:
    """Refuses a model without logits, and one that hides them."""
    if not any(map(_mixes, nodes)):
        raise errors.UnsupportedModelError(
            "A model without a Dense layer or a convolution has no logits to "
            f"certify. Received: model={model.name!r}."
        )
    node = nodes[-1]
    while node.kind is Kind.LINEAR and not _mixes(node):
        node = nodes[node.sources[0]]
    if node.kind is Kind.ACTIVATION:
        raise refusals.head(node.layer, node.activation.name)


def _mixes(node: Node) -> bool:
    return node.step is not None and type(node.step.map) not in _ELEMENTWISE


class _Reader:
    """Turns calls into nodes, one after the other.

    Attributes:
        nodes: Those that have been read.
        assumed: Names of the layers that were taken for what the caller says.
        assumed_in_training: Those in training mode when the model is called.
    """

    def __init__(
        self,
        model,
        assume: dict[str, Assumption],
        trained: training_mode.Trained,
    ):
        for name, said in assume.items():
            if not isinstance(said, LinearMapSpec | bounds.Activation):
                raise TypeError(
                    "An assumption says which linear map or activation a "
                    f"layer is. Received: assume[{name!r}] of type "
                    f"{type(said).__name__}. Allowed: tfcurv.LinearMapSpec, "
                    "tfcurv.bounds.Activation."
                )
        shape = model_calls.input_shape(model)
        self.nodes = [Node(model, Kind.INPUT, (), shape)]
        self.assumed: list[str] = []
        self.assumed_in_training: list[str] = []
        self._assume = assume
        self._trained = trained
        self._seen: list[str] = []

    def walk(self, model, start: int) -> int:
        """Reads a model that is called on one node; returns its output's."""
        places = []
        calls = model_calls.calls_of(model)
        model_calls.check_input(model, self.nodes[start].shape)
        for call in calls:
            sources = [start if n < 0 else places[n] for n in call.sources]
            place = self._read(call, tuple(sources))
            shape = self.nodes[place].shape
            if not model_calls.agree(call.shape, shape):
                raise refusals.unsupported(
                    call.operation,
                    f"its output has the shape {shape}, of which Keras says "
                    f"that it is {call.shape}",
                )
            places.append(place)
        return places[-1] if places else start

    def check_assumptions(self) -> None:
        """Refuses an assumption that no layer has made use of."""
        unused = sorted(set(self._assume) - set(self.assumed))
        if unused:
            raise ValueError(
                "Assumptions must be about layers of the model. "
                f"Received: assume for {unused}. Allowed: {self._seen}."
            )

    def _read(self, call: model_calls.Call, sources: tuple[int, ...]) -> int:
        name = call.operation.name
        self._seen.append(name)
        if name in self._assume:
            return self._take(call, sources)
        if isinstance(call.operation, keras.Model):
            layer_checks.check_call(call)
            layer_checks.check_single(call.operation, sources)
            return self.walk(call.operation, sources[0])
        return self._read_layer(call, sources)

    def _read_layer(self, call, sources) -> int:
        layer, kind = call.operation, type(call.operation)
        layer_checks.check_stock(layer)
        layer_checks.check_call(call)
        training_mode.check(layer, self._trained)
        if kind in (keras.layers.Add, model_calls.addition_type()):
            return self._add_up(layer, sources)
        if kind is keras.layers.Concatenate:
            return self._put_together(layer, sources)
        if kind not in _ONE_SOURCE:
            raise refusals.unknown(layer)
        layer_checks.check_single(layer, sources)
        if kind in layer_checks.IDENTITIES:
            return sources[0]
        place = sources[0]
        if kind in linear_layers.READERS:
            shape = self.nodes[place].shape
            step = linear_layers.read_linear(layer, shape)
            place = self._linear(layer, place, step, step.map.output_shape)
            if not linear_layers.has_activation(layer):
                return place
        return self._activate(layer, place, read_activation(layer))

    def _append(self, layer, kind, sources, shape, **more) -> int:
        self.nodes.append(Node(layer, kind, sources, shape, **more))
        return len(self.nodes) - 1

    def _linear(self, layer, source: int, step: LinearStep, shape) -> int:
        if type(step.map) is bounds.Identity:
            if shape == self.nodes[source].shape and not step.bias.any():
                return source
        return self._append(layer, Kind.LINEAR, (source,), shape, step=step)

    def _activate(self, layer, source: int, activation) -> int:
        if activation is None:
            return source
        shape = self.nodes[source].shape
        return self._append(
            layer, Kind.ACTIVATION, (source,), shape, activation=activation
        )

    def _add_up(self, layer, sources) -> int:
        shapes = [self.nodes[source].shape for source in sources]
        if len(set(shapes)) != 1:
            raise refusals.unsupported(
                layer, f"it joins branches of different shapes, {shapes}"
            )
        return self._append(layer, Kind.ADD, sources, shapes[0])

    def _put_together(self, layer, sources) -> int:
        shapes = [self.nodes[source].shape for source in sources]
        rank = len(shapes[0])
        axis = layer.axis + rank if layer.axis < 0 else layer.axis - 1
        others = {shape[:axis] + shape[axis + 1 :] for shape in shapes}
        if not 0 <= axis < rank or len(others) != 1:
            raise refusals.unsupported(
                layer, f"it joins {shapes} along the axis {layer.axis}"
            )
        shape = list(shapes[0])
        shape[axis] = sum(each[axis] for each in shapes)
        return self._append(
            layer, Kind.CONCATENATE, sources, tuple(shape), axis=axis
        )

    def _take(self, call: model_calls.Call, sources) -> int:
        """Takes a layer for what the caller says it is."""
        layer, said = call.operation, self._assume[call.operation.name]
        self._check_assumable(call, sources)
        (source,) = sources
        before = self.nodes[source].shape
        self.assumed.append(layer.name)
        if id(layer) in self._trained:
            self.assumed_in_training.append(layer.name)
        if isinstance(said, bounds.Activation):
            fits = call.shape == before
            needed = "an activation keeps the shape"
        else:
            fits = None not in call.shape and (
                (said.map.inputs, said.map.outputs)
                == (math.prod(before), math.prod(call.shape))
            )
            needed = f"a map {said.map.inputs} -> {said.map.outputs}"
        if not fits:
            raise ValueError(
                "The assumption about a layer does not fit its shapes. "
                f"Received: assume[{layer.name!r}] for a layer from {before} "
                f"to {call.shape}; {needed}."
            )
        if isinstance(said, bounds.Activation):
            is_linear = said is bounds.ACTIVATIONS["linear"]
            return self._activate(layer, source, None if is_linear else said)
        return self._linear(layer, source, said.step, call.shape)

    def _check_assumable(self, call: model_calls.Call, sources) -> None:
        """Refuses an assumption about what is known, or used as it must not."""
        layer = call.operation
        said = self._assume[layer.name]
        layer_checks.check_single(layer, sources)
        if isinstance(layer, keras.layers.Layer):
            layer_checks.check_precision(layer)
        fused = type(layer) in linear_layers.READERS
        if (
            layer.name in self.assumed
            or self._is_known(call, sources)
            or (fused and isinstance(said, bounds.Activation))
        ):
            raise ValueError(
                "An assumption is about one layer that is not known; an "
                "activation that is not known must be a layer of its own. "
                f"Received: assume[{layer.name!r}], a layer of type "
                f"{type(layer).__name__}."
            )

    def _is_known(self, call: model_calls.Call, sources) -> bool:
        if isinstance(call.operation, keras.Model):
            return model_calls.is_known(call.operation)
        count = len(self.nodes)
        try:
            self._read_layer(call, sources)
        except errors.NonFiniteWeightsError:
            raise
        except errors.UnsupportedModelError:
            return False
        finally:
            del self.nodes[count:]
        return True
