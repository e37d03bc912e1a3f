"""Builds a Keras model anew from layers of other classes, weight for weight."""

from collections.abc import Mapping

import keras

from tfcurv import errors
from tfcurv.nn import layers as tfcurv_layers
from tfcurv.nn.reading import model_calls

#: tfcurv's layers, by Keras' own that compute the same.
TRACKED: dict[type, type] = {
    keras.layers.Dense: tfcurv_layers.Dense,
    keras.layers.Conv1D: tfcurv_layers.Conv1D,
    keras.layers.Conv2D: tfcurv_layers.Conv2D,
    keras.layers.DepthwiseConv2D: tfcurv_layers.DepthwiseConv2D,
}

# Objects among a layer's arguments that hold no weights. They are handed on as
# they are: a user's function, written down by name, might not be found again,
# or another in its place.
_OBJECTS = ("activation", "_initializer", "_regularizer", "_constraint")


def rebuild(
    model: keras.Model,
    layers: Mapping[type, type],
    containers: tuple[type, type],
) -> keras.Model:
    """Returns a model that computes the same, of other classes.

    Names, weights, dtype policies, `trainable` flags, shared layers, models in
    models and the constants of operations stay. The new model shares no
    weights with the old one. It is not compiled: what `compile` was given, the
    optimizer's state and added losses are left behind.

    Args:
        model: `keras.Sequential`, a functional model, or tfcurv's own.
        layers: For each class of layers that is to be replaced, the new one,
            which takes the same arguments.
        containers: What sequential and functional models are to be.

    Raises:
        UnsupportedModelError: The model, or one in it, is of another kind, or
            a layer cannot be made anew from its config.
    """
    maker = _Maker(layers, containers)
    made = maker.model(model)
    maker.move_state()
    return made


class _Maker:
    """Makes each layer once, however often it is used."""

    def __init__(self, layers, containers):
        self._layers = layers
        self._sequential, self._functional = containers
        # In the order in which they were begun, so that models come first.
        self._made: dict[int, tuple[keras.Operation, keras.Operation]] = {}

    def model(self, model) -> keras.Model:
        model_calls.check_kind(model)
        place = len(self._made)
        if isinstance(model, keras.Sequential):
            made = self._of_layers(model)
        else:
            inputs, outputs = model_calls.run_anew(model, self.operation)
            made = self._functional(inputs, outputs, name=model.name)
        made.dtype_policy = model.dtype_policy
        items = list(self._made.items())
        items.insert(place, (id(model), (model, made)))
        self._made = dict(items)
        return made

    def _of_layers(self, model: keras.Sequential) -> keras.Sequential:
        made = self._sequential(name=model.name)
        # Not by `inputs`, which a model without keras.Input gets when called.
        if model.built and getattr(model, "inputs", None):
            made.add(model_calls.input_like(model.inputs[0]))
        for layer in model.layers:
            made.add(self.operation(layer))
        return made

    def operation(self, operation: keras.Operation) -> keras.Operation:
        """Returns a new layer, model or operation like this one."""
        if id(operation) not in self._made:
            if isinstance(operation, keras.Model):
                return self.model(operation)
            self._made[id(operation)] = operation, self._copy(operation)
        return self._made[id(operation)][1]

    def _copy(self, operation: keras.Operation) -> keras.Operation:
        kind = self._layers.get(type(operation), type(operation))
        try:
            return kind.from_config(_config(operation))
        # A layer of a user's may raise anything.
        except Exception as error:
            raise errors.UnsupportedModelError(
                "A layer cannot be made anew from its config: "
                f"{error!s:.300} ({type(error).__name__}). Received: layer "
                f"{operation.name!r} of type {type(operation).__name__}. "
                "Remedy: give its class a `get_config` that has all that its "
                "constructor takes."
            ) from error

    def move_state(self) -> None:
        """Gives each new layer the weights and flags of its like."""
        for old, new in self._made.values():
            if isinstance(old, keras.layers.Layer):
                # A model's flag is its layers', too, which come after it.
                new.trainable = old.trainable
        for old, new in self._made.values():
            if isinstance(old, keras.layers.Layer) and (
                not isinstance(old, keras.Model)
            ):
                move_weights(old, new)


def _config(operation: keras.Operation) -> dict:
    config = operation.get_config()
    for key in config:
        value = getattr(operation, key, None)
        is_object = key.endswith(_OBJECTS) and callable(value)
        # One with weights of its own is made anew.
        if is_object and not isinstance(value, keras.layers.Layer):
            config[key] = value
    return config


def move_weights(old: keras.layers.Layer, new: keras.layers.Layer) -> None:
    """Copies the weights of a layer to one that computes the same.

    Args:
        old: A layer; a tracker's vectors are not what it computes by.
        new: A layer of the same class, or tfcurv's of the name, or Keras'.

    Raises:
        UnsupportedModelError: They have other weights.
    """
    check_same_weights(old, new)
    for source, target in zip(_weights(old), _weights(new)):
        target.assign(source)
    # A Normalization computes with a copy of its weights.
    if hasattr(new, "finalize_state"):
        new.finalize_state()


def check_same_weights(
    old: keras.layers.Layer, new: keras.layers.Layer
) -> None:
    """Refuses two layers with weights of other shapes.

    Args:
        old: See `move_weights`.
        new: See `move_weights`.

    Raises:
        UnsupportedModelError: They have them.
    """
    sources, targets = _weights(old), _weights(new)
    shapes = [[tuple(w.shape) for w in each] for each in (sources, targets)]
    if shapes[0] != shapes[1]:
        raise errors.UnsupportedModelError(
            "Weights move between layers that have the same ones. Received: "
            f"layer {old.name!r} of type {type(old).__name__} with weights of "
            f"shapes {shapes[0]}, layer {new.name!r} of type "
            f"{type(new).__name__} with {shapes[1]}. Remedy: build both "
            "models, and of the same layers."
        )


def _weights(layer: keras.layers.Layer) -> list[keras.Variable]:
    """Returns the weights that decide what a layer computes."""
    kept = set()
    if type(layer) in TRACKED.values():
        kept = {id(weight) for weight in layer.spectral_norm.weights}
    return [weight for weight in layer.weights if id(weight) not in kept]
