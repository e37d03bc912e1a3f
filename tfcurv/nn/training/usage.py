"""Whether a model and its data can be trained in tfcurv's ways."""

import inspect
from typing import Any

import keras

from tfcurv import errors
from tfcurv.nn import layers as tfcurv_layers
from tfcurv.nn.training.adversary import Adversary
from tfcurv.nn.training.worst_logits import WorstLogits

# They are told whether they train for the sake of quantized ones.
_DENSE = (keras.layers.Dense, tfcurv_layers.Dense)


# What follows convolutions, whose largest singular values lie close together,
# to a hundredth of the product of the norms; one step misses two fifths of it.
_STEPS_OF_BALLS = 20


def check_compiled(
    adversary: Any, worst_case: Any, power_iterations: int | None
) -> int:
    """Refuses what `compile` cannot train with.

    Args:
        adversary: That of `compile`.
        worst_case: That of `compile`.
        power_iterations: That of `compile`.

    Returns:
        Steps of power iteration a batch.

    Raises:
        TypeError: One of the first two is of another type.
        ValueError: `power_iterations` is not positive.
    """
    if not (adversary is None or isinstance(adversary, Adversary)):
        raise TypeError(
            "The adversary must be a tfcurv.CurvatureAttack, or another "
            "tfcurv.nn.Adversary. "
            f"Received: adversary={adversary!r}."
        )
    if not (worst_case is None or isinstance(worst_case, WorstLogits)):
        raise TypeError(
            "The worst case must be a tfcurv.WorstCase, or a "
            "tfcurv.nn.LayerwiseAdversary. "
            f"Received: worst_case={worst_case!r}."
        )
    if power_iterations is None:
        has_balls = worst_case is not None and worst_case.needs_norms
        return _STEPS_OF_BALLS if has_balls else 1
    if power_iterations < 1:
        raise ValueError(
            "A training batch needs a step of power iteration. "
            f"Received: power_iterations={power_iterations!r}. "
            "Allowed: 1, 2, ..."
        )
    return int(power_iterations)


def check_attacked(model: keras.Model, x: Any) -> None:
    """Refuses what an adversary cannot move: all but one input and one output.

    Args:
        model: The model that is trained.
        x: Inputs of one batch.

    Raises:
        UnsupportedModelError: The inputs are not one tensor, or the model has
            several inputs or outputs.
    """
    if isinstance(x, dict | list | tuple):
        raise errors.UnsupportedModelError(
            "An adversary moves inputs that are one tensor. "
            f"Received: inputs as a {type(x).__name__} for model "
            f"{model.name!r}. Remedy: build the model as "
            "tfcurv.Model(image, logits), with one keras.Input and in no dict "
            "or list, and pass the array itself to `fit`."
        )
    # A model that is not built yet has none.
    outputs = getattr(model, "outputs", None)
    if outputs is not None and len(outputs) != 1:
        raise errors.UnsupportedModelError(
            "An adversary lowers the margin between logits that are the one "
            f"output of a model. Received: model={model.name!r} with "
            f"{len(outputs)} outputs, {model.output_names}. Remedy: train "
            "tfcurv.Model(input, logits) with the adversary, and other "
            "outputs by another model on the same layers."
        )
    given = model.compute_output_spec(keras.KerasTensor(x.shape, x.dtype))
    if isinstance(given, dict):
        raise errors.UnsupportedModelError(
            "An adversary lowers the margin between logits that are the "
            f"output of a model. Received: model={model.name!r} with its "
            "output in a dict. Remedy: build it as tfcurv.Model(image, "
            "logits), with logits in no dict."
        )


def check_labelled(model: keras.Model, y: Any) -> None:
    """Refuses training data without labels.

    Args:
        model: The model that is trained.
        y: Labels of one batch, None if there are none.

    Raises:
        ValueError: There are none.
    """
    if y is None:
        raise ValueError(
            "An adversary and a curvature penalty compare the logit of the "
            f"label with others. Received: no labels for {model.name!r}. "
            "Remedy: fit(x, y), or a dataset of pairs (x, y)."
        )


def has_training_mode(model: keras.Model) -> bool:
    """Returns whether some layer may do otherwise in training than after it.

    Args:
        model: The model that is trained.
    """
    return any(
        "training" in inspect.signature(layer.call).parameters
        for layer in model._flatten_layers(include_self=False)
        if not isinstance(layer, keras.Model) and type(layer) not in _DENSE
    )


def check_warmed_up(model: keras.Model) -> None:
    """Refuses a model that has nothing to be raised.

    Raises:
        TypeError: It is none of tfcurv's.
    """
    if not hasattr(model, "curvature_regularizers"):
        raise TypeError(
            "WarmUp raises the epsilon and gamma of tfcurv's own models. "
            f"Received: model={model.name!r} of type {type(model).__name__}. "
            "Remedy: tfcurv.Sequential or tfcurv.Model in place of Keras' "
            "own, which tfcurv.from_keras(model) makes of a trained one."
        )
