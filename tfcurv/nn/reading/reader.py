"""Turns the calls of a Keras model into nodes.

Everything that is not known exactly is refused by name: a layer that was
taken for something else would make every certificate of the model false.
"""

import math
from typing import Any

import keras

from tfcurv import errors
from tfcurv import networks
from tfcurv.networks import Kind
from tfcurv.networks import Node
from tfcurv.nn.reading import layer_checks
from tfcurv.nn.reading import linear_layers
from tfcurv.nn.reading import model_calls
from tfcurv.nn.reading import operations
from tfcurv.nn.reading import pooling_layers
from tfcurv.nn.reading import refusals
from tfcurv.nn.reading import training_mode
from tfcurv.nn.reading.activation_layers import read_activation
from tfcurv.nn.reading.linear_step import LinearMapSpec
from tfcurv.nn.reading.linear_step import LinearStep
from tfcurv.nn.reading.nodes import Assumption
from tfcurv.nn.reading.nodes import Refused

# `type is`, not isinstance, throughout: a subclass may compute something else.
_ACTIVATIONS = (
    keras.layers.Activation,
    keras.layers.ELU,
    keras.layers.LeakyReLU,
    keras.layers.ReLU,
    keras.layers.Softmax,
)
_ONE_SOURCE = {
    *layer_checks.IDENTITIES,
    *_ACTIVATIONS,
    *linear_layers.READERS,
    *pooling_layers.READERS,
}


class Reader:
    """Turns calls into nodes, one after the other.

    Attributes:
        nodes: Those that have been read, and what was refused.
        layers: The Keras layer or operation of each.
        assumed: Names of the layers that were taken for what the caller says.
        assumed_in_training: Those in training mode when the model is called.
        assumed_of_users: Others, of classes that are not Keras'.
    """

    def __init__(
        self,
        model,
        assume: dict[str, Assumption],
        trained: training_mode.Trained,
    ):
        for name, said in assume.items():
            if not isinstance(said, LinearMapSpec | networks.Activation):
                raise TypeError(
                    "An assumption says which linear map or activation a "
                    f"layer is. Received: assume[{name!r}] of type "
                    f"{type(said).__name__}. Allowed: tfcurv.LinearMapSpec, "
                    "tfcurv.bounds.Activation."
                )
        shape = model_calls.input_shape(model)
        name = str(getattr(model, "name", model))
        # Nodes, and what stands for refused ones: of an open shape.
        self.nodes: list[Any] = [Node(Kind.INPUT, (), shape, name=name)]
        self.layers = [model]
        self.assumed: list[str] = []
        self.assumed_in_training: list[str] = []
        self.assumed_of_users: list[str] = []
        self._assume = assume
        self._trained = trained
        self._seen: list[str] = []

    def walk(self, model, start: int) -> int:
        """Reads a model that is called on one node; returns its output's."""
        places: list[int] = []
        calls = model_calls.calls_of(model)
        model_calls.check_input(model, self.nodes[start].shape)
        for call in calls:
            sources = [start if n < 0 else places[n] for n in call.sources]
            places.append(self._place(call, tuple(sources)))
        return places[-1] if places else start

    def _place(self, call: model_calls.Call, sources: tuple[int, ...]) -> int:
        """Reads a call; one that is refused becomes a node of its own kind."""
        try:
            place = self._read(call, sources)
            shape = self.nodes[place].shape
            if not model_calls.agree(call.shape, shape):
                raise refusals.unsupported(
                    call.operation,
                    f"its output has the shape {shape}, of which Keras says "
                    f"that it is {call.shape}",
                    "do not change a layer once the model is built",
                )
        except errors.UnsupportedModelError as error:
            return self._put(
                call.operation, Refused(sources, call.shape, error)
            )
        return place

    def check_assumptions(self) -> None:
        """Refuses an assumption that no layer has made use of."""
        unused = sorted(set(self._assume) - set(self.assumed))
        if unused:
            raise ValueError(
                "Assumptions must be about layers of the model. "
                f"Received: assume for {unused}. Allowed: {self._seen}."
            )

    def _read(self, call: model_calls.Call, sources: tuple[int, ...]) -> int:
        operation = call.operation
        self._seen.append(operation.name)
        if call.refusal is not None:
            raise call.refusal
        if operation.name in self._assume:
            return self._take(call, sources)
        if isinstance(operation, keras.Model):
            layer_checks.check_call(call)
            layer_checks.check_single(operation, sources)
            return self.walk(operation, sources[0])
        return self._read_known(call, sources)

    def _read_known(self, call, sources) -> int:
        layer, kind = call.operation, type(call.operation)
        role = operations.role_of(layer)
        if kind not in _LAYERS and role is None:
            raise refusals.unknown(layer, len(sources))
        layer_checks.check_stock(layer)
        if any(None in self.nodes[source].shape for source in sources):
            # Behind a layer that was refused: nothing more can be said.
            return self._put(layer, Refused(sources, call.shape))
        if role is not None:
            return self._read_operation(call, sources, role)
        layer_checks.check_call(call)
        training_mode.check(layer, self._trained)
        if kind in _JOINS:
            return _JOINS[kind](self, layer, sources)
        layer_checks.check_single(layer, sources)
        return self._read_layer(layer, sources[0])

    def _read_layer(self, layer, place: int) -> int:
        """Reads a layer with one source."""
        kind = type(layer)
        if kind in layer_checks.IDENTITIES:
            return place
        if kind in linear_layers.READERS:
            shape = self.nodes[place].shape
            step = linear_layers.read_linear(layer, shape)
            place = self._linear(layer, place, step, step.map.output_shape)
            if not linear_layers.has_activation(layer):
                return place
        if kind in pooling_layers.READERS:
            return self._pool(layer, place)
        return self._activate(layer, place, read_activation(layer))

    def _read_operation(self, call, sources, role: str) -> int:
        """Reads what no layer does."""
        operation, shape = call.operation, self.nodes[sources[0]].shape
        if role == "function":
            found = operations.read_function(call)
            return self._activate(operation, sources[0], found)
        if len(sources) == 1:
            step = operations.read_affine(call, role, shape)
            return self._linear(operation, sources[0], step, shape)
        operations.check_sum(call, role)
        join = self._add_up if role == "+" else self._subtract
        return join(operation, sources)

    def _append(self, layer, kind, sources, shape, **more) -> int:
        node = Node(kind, sources, shape, name=layer.name, **more)
        return self._put(layer, node)

    def _put(self, layer, node: Node | Refused) -> int:
        self.nodes.append(node)
        self.layers.append(layer)
        return len(self.nodes) - 1

    def _pool(self, layer, source: int) -> int:
        """Reads a maximum over windows, with the reshape that may follow."""
        windows, after = pooling_layers.read_maximum(
            layer, self.nodes[source].shape
        )
        place = self._append(
            layer,
            Kind.MAXIMUM,
            (source,),
            windows.output_shape,
            windows=windows,
        )
        if after is None:
            return place
        return self._linear(layer, place, after, after.map.output_shape)

    def _linear(self, layer, source: int, step: LinearStep, shape) -> int:
        if type(step.map) is networks.Identity:
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
                layer,
                f"it joins branches of different shapes, {shapes}",
                "bring them to one shape first, with Reshape or UpSampling",
            )
        return self._append(layer, Kind.ADD, sources, shapes[0])

    def _subtract(self, layer, sources) -> int:
        first, second = sources
        shape = self.nodes[second].shape
        opposite = operations.read_opposite(shape)
        negated = self._linear(layer, second, opposite, shape)
        return self._add_up(layer, (first, negated))

    def _average(self, layer, sources) -> int:
        total = self._add_up(layer, sources)
        shape = self.nodes[total].shape
        mean = operations.read_mean(len(sources), shape)
        return self._linear(layer, total, mean, shape)

    def _put_together(self, layer, sources) -> int:
        shapes = [self.nodes[source].shape for source in sources]
        rank = len(shapes[0])
        axis = layer.axis + rank if layer.axis < 0 else layer.axis - 1
        others = {shape[:axis] + shape[axis + 1 :] for shape in shapes}
        if not 0 <= axis < rank or len(others) != 1:
            raise refusals.unsupported(
                layer,
                f"it joins {shapes} along the axis {layer.axis}",
                "join along an axis of one sample",
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
        elif not type(layer).__module__.startswith("keras."):
            self.assumed_of_users.append(layer.name)
        if isinstance(said, networks.Activation):
            fits = call.shape == before
            needed = "an activation keeps the shape"
        else:
            linear = said.step.map
            after = [size for size in call.shape if size is not None]
            fits = len(after) == len(call.shape) and (
                (linear.inputs, linear.outputs)
                == (math.prod(before), math.prod(after))
            )
            needed = f"a map {linear.inputs} -> {linear.outputs}"
        if not fits:
            raise ValueError(
                "The assumption about a layer does not fit its shapes. "
                f"Received: assume[{layer.name!r}] for a layer from {before} "
                f"to {call.shape}; {needed}."
            )
        if isinstance(said, networks.Activation):
            is_linear = said is networks.ACTIVATIONS["linear"]
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
            or (fused and isinstance(said, networks.Activation))
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
        if not isinstance(call.operation, keras.layers.Layer):
            # What was an assumption once stays one, though more be read.
            return False
        count = len(self.nodes)
        try:
            self._read_known(call, sources)
        except errors.NonFiniteWeightsError:
            raise
        except errors.UnsupportedModelError:
            return False
        finally:
            del self.nodes[count:], self.layers[count:]
        return True


# Layers that read several nodes.
_JOINS = {
    keras.layers.Add: Reader._add_up,
    keras.layers.Average: Reader._average,
    keras.layers.Concatenate: Reader._put_together,
    keras.layers.Subtract: Reader._subtract,
}
_LAYERS = {*_JOINS, *_ONE_SOURCE}


def known_types() -> frozenset[type]:
    """Returns the classes of layers that may be read."""
    return frozenset(_LAYERS)
