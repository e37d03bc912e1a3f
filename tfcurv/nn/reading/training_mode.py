"""Which layers are in training mode when a model is merely called.

`predict` puts every layer into inference mode. `model(x)`, which exported
models serve, does not: a layer that was built with `training=True`, or whose
`call` has that default, trains. And Keras hands its mode on to the layers that
run after it, until one was built with a mode of its own: behind a CenterCrop,
BatchNormalization normalises by the batch.
"""

from collections.abc import Mapping
import inspect

import keras

from tfcurv.nn.reading import model_calls
from tfcurv.nn.reading import refusals

# What is random in training, and does nothing in inference.
RANDOM = (
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.AlphaDropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.RandomFlip,
    keras.layers.RandomRotation,
    keras.layers.RandomTranslation,
    keras.layers.RandomZoom,
    keras.layers.RandomContrast,
    keras.layers.RandomBrightness,
)

#: For layers that a call without `training` trains: whose mode they have.
Trained = Mapping[int, keras.layers.Layer]


def trained_when_called(model: keras.Model) -> Trained:
    """Returns which layers are in training mode during `model(x)`.

    Follows Keras' own rules: the mode that an enclosing model was given, else
    that of the layer's node, else that of the layer that ran before, else the
    default of its `call`.

    Args:
        model: A built `keras.Sequential` or functional model.

    Returns:
        For the id of each such layer, at any depth, the layer that brought
        the mode about: itself, or one that ran before it.
    """
    context = _Context()
    context.run(model, None)
    return context.found


class _Context:
    """The mode that Keras carries from layer to layer during one call."""

    def __init__(self):
        self.found: dict[int, keras.layers.Layer] = {}
        self._mode: bool | None = None
        self._cause: keras.layers.Layer | None = None

    def run(self, model, given: bool | None) -> None:
        """Follows a model to which a mode was given, or none."""
        for operation, built_with in model_calls.executed_in_order(model):
            # Operations without a layer know no mode.
            if not isinstance(operation, keras.layers.Layer):
                continue
            if given is not None:
                self._enter(operation, given, self._cause)
            elif "training" in built_with:  # None is a mode, too.
                self._enter(operation, built_with["training"], operation)
            elif self._mode is not None:
                self._enter(operation, self._mode, self._cause)
            else:
                self._enter(operation, _default(operation), operation)

    def _enter(self, layer, mode: bool | None, cause) -> None:
        self._mode, self._cause = mode, cause
        if mode:
            self.found[id(layer)] = cause
        if isinstance(layer, keras.Model) and model_calls.is_known(layer):
            self.run(layer, mode)


def _default(layer) -> bool | None:
    said = inspect.signature(type(layer).call).parameters.get("training")
    return None if said is None or said.default is said.empty else said.default


def check(layer: keras.layers.Layer, trained: Trained) -> None:
    """Refuses a layer that does something else when the model is called.

    Args:
        layer: A layer of a type that is known.
        trained: What `trained_when_called` found.

    Raises:
        UnsupportedLayerError: It is in training mode then, and does not do
            what it does in inference.
    """
    cause = trained.get(id(layer))
    is_random = type(layer) in RANDOM
    if cause is None or not (
        is_random or type(layer) is keras.layers.BatchNormalization
    ):
        return
    effect = "is random" if is_random else "normalises by the batch"
    said = "bounds.ACTIVATIONS['linear']" if is_random else "LinearMapSpec(...)"
    whose = "it" if cause is layer else f"{cause.name!r}, which runs before it,"
    raise refusals.unsupported(
        layer,
        f"it {effect} whenever the model is called or exported, for {whose} "
        "was built in training mode, which is the default of some layers",
        f"build the model with {cause.name}(x, training=False), which `fit` "
        "still trains and augments with, or without that layer; or vouch for "
        f"its inference with assume={{{layer.name!r}: tfcurv.{said}}}",
    )
