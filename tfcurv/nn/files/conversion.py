"""Stock Keras models come and go."""

import keras

from tfcurv import errors
from tfcurv.nn.reading import model_calls
from tfcurv.nn.training import rebuilding
from tfcurv.nn.training.model import Model
from tfcurv.nn.training.model import Sequential


def from_keras(model: keras.Model) -> Sequential | Model:
    """Returns a model of tfcurv's own that computes what a Keras model does.

    Its Dense, Conv1D, Conv2D and DepthwiseConv2D layers are tfcurv's, which
    track their norms, so that it can be trained with a penalty and an
    adversary; other layers, also users', are made anew from their configs.
    Names, weights, dtype policies, `trainable` flags, shared layers and models
    in models stay. The new model shares no weights with the old one and is not
    compiled: compile arguments, optimizer state and added losses are left
    behind. `export_plain` goes the other way.

    Args:
        model: A `keras.Sequential` or functional `keras.Model`, trained or
            not.

    Raises:
        UnsupportedModelError: The model, or one in it, is subclassed; or a
            layer cannot be made anew from its config.
        UnsupportedLayerError: A convolution's input shape is not known.
    """
    return rebuilding.rebuild(model, rebuilding.TRACKED, (Sequential, Model))


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copies the weights of a model to one of the same layers.

    Either may be a stock Keras model or tfcurv's own; the vectors by which
    tfcurv's layers track their norms are no part of what a model computes, and
    stay as they are.

    Args:
        source: A built model.
        target: A built model; layer by layer, its weights are of the shapes
            of those of `source`.

    Raises:
        UnsupportedModelError: A layer has other weights, or a model is
            subclassed or not built; nothing is copied.
    """
    for model in (source, target):
        model_calls.check_built(model)
    pairs = model_calls.leaves(source), model_calls.leaves(target)
    if len(pairs[0]) != len(pairs[1]):
        raise errors.UnsupportedModelError(
            "Weights move between models of the same layers. Received: "
            f"source={source.name!r} with {len(pairs[0])} layers with weights, "
            f"target={target.name!r} with {len(pairs[1])}. Remedy: "
            "tfcurv.from_keras(source), which builds a model like it."
        )
    for old, new in zip(*pairs):
        rebuilding.check_same_weights(old, new)
    for old, new in zip(*pairs):
        rebuilding.move_weights(old, new)
