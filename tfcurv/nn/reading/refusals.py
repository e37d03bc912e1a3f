"""What is said of a layer that cannot be certified, and the way out."""

from collections.abc import Sequence

import keras

from tfcurv import errors
from tfcurv import networks
from tfcurv.nn.reading import problems
from tfcurv.nn.reading import reasons

_SUPPORTED = (
    "Dense, Conv1D, Conv2D, DepthwiseConv1D, DepthwiseConv2D, "
    "SeparableConv1D, SeparableConv2D, average pooling, global or not, "
    "BatchNormalization, Normalization, Rescaling, Activation, Add, Average, "
    "Subtract, Concatenate, Flatten, Reshape, Permute, zero padding, "
    "cropping, UpSampling, dropout and noise, sums with and multiples by "
    "constants, and Sequential or functional models of these; by "
    "method='bcp' also max pooling, global or not, ReLU and LeakyReLU"
)

_WAY_OUT = "use one of the supported layers in its place"
_TELL = (
    "say what it computes, if it is linear or acts on each value by itself: "
    "`assume={{{name!r}: tfcurv.LinearMapSpec(map=matrix)}}` or "
    "`assume={{{name!r}: tfcurv.bounds.activation('tanh')}}`"
)
_CALL_TENSORS = (
    "an operation on more than one tensor cannot be assumed; use layers that "
    "are supported, such as Add, Subtract, Average and Concatenate"
)


def unsupported(
    layer, why: str, remedy: str = _WAY_OUT
) -> errors.UnsupportedLayerError:
    """Returns the error that says why a layer cannot be certified.

    Args:
        layer: The layer, or an operation without one.
        why: The reason, a clause that follows a colon.
        remedy: The way out, a clause.
    """
    problem = _problem(layer, why, remedy)
    return errors.UnsupportedLayerError(
        f"This layer cannot be certified: {why}. "
        f"Received: layer {problem.layer!r} of type {problem.type}. "
        f"Remedy: {problem.remedy}. Supported: {_SUPPORTED}.",
        [problem],
    )


def _problem(layer, why: str, remedy: str) -> problems.Problem:
    name = getattr(layer, "name", repr(layer))
    return problems.Problem(
        layer=name, type=type(layer).__name__, reason=why, remedy=remedy
    )


def of_model(model, what: str, why: str, remedy: str):
    """Returns the error about a model as a whole.

    Args:
        model: The model.
        what: What it must be, a sentence with a period.
        why: What it is instead, a clause that follows "Received:".
        remedy: The way out, a clause.
    """
    name = str(getattr(model, "name", model))
    return errors.UnsupportedModelError(
        f"{what} Received: {why}. Remedy: {remedy}.",
        [
            problems.Problem(
                layer=name,
                type=type(model).__name__,
                reason=f"{what.rstrip('.')} (received: {why})",
                remedy=remedy,
            )
        ],
    )


def unknown(layer, num_sources: int) -> errors.UnsupportedLayerError:
    """Returns the error about a layer of a type that is not supported.

    Args:
        layer: The layer, or an operation without one.
        num_sources: On how many tensors it is called.
    """
    reason = known_reason(type(layer))
    if reason is None:
        tell = _TELL if num_sources == 1 else _CALL_TENSORS
        reason = reasons.Reason("nothing is known about it", tell)
    remedy = reason.remedy.format(name=getattr(layer, "name", "its name"))
    return unsupported(layer, reason.why, remedy)


def known_reason(kind: type) -> reasons.Reason | None:
    """Returns why a class of Keras' own cannot be certified.

    Args:
        kind: A class of layers or operations.

    Returns:
        None if the class is not Keras' own, or newer than the tables.
    """
    # Some are called otherwise within Keras, some have several names.
    for name, public in vars(keras.layers).items():
        if public is kind and name in reasons.LAYERS:
            return reasons.LAYERS[name]
    if kind.__module__.startswith("keras.src.ops."):
        return reasons.OPERATIONS.get(kind.__name__)
    return None


def head(layer, name: str) -> errors.UnsupportedLayerError:
    """Returns the error about an activation after the logits.

    Args:
        layer: The layer that it belongs to.
        name: What it is called.
    """
    remedy = (
        "train with Dense(classes) and from_logits=True, or, for a trained "
        "model, drop the head, which leaves every prediction as it is if the "
        "head is increasing, as softmax and sigmoid are: "
        "`model.layers[-1].activation = keras.activations.linear` for a "
        "Dense layer's softmax, a model without the last layer for Softmax()"
    )
    return errors.UnsupportedLayerError(
        "The model must end in logits; the certificate compares them. "
        f"Received: layer {layer.name!r} with a final {name!r}. "
        f"Remedy: {remedy}.",
        [_problem(layer, f"the model ends in {name!r}, not in logits", remedy)],
    )


def unknown_activation(
    layer, name: str, reason: reasons.Reason | None = None
) -> errors.UnsupportedActivationError:
    """Returns the error about an activation without bounded curvature.

    Args:
        layer: The layer that it belongs to.
        name: What it is called.
        reason: Why; None for a function of which nothing is known.
    """
    why, remedy = reason or reasons.UNKNOWN_FUNCTION
    return errors.UnsupportedActivationError(
        f"No curvature bound is known for this activation: {why}. "
        f"Received: layer {layer.name!r}, activation={name!r}. "
        f"Remedy: {remedy}. Known: {sorted(networks.ACTIVATIONS)}.",
        [_problem(layer, f"its activation {name!r}: {why}", remedy)],
    )


def kinked(layer, name: str, applied) -> errors.UnsupportedModelError:
    """Returns the error about an activation with kinks, where these matter.

    Args:
        layer: The layer that it belongs to, which a model lists.
        name: What the function is called.
        applied: The layer that is its activation; else the same.
    """
    if type(layer) is keras.layers.LeakyReLU:
        return unknown(layer, 1)
    if type(applied) is keras.layers.ELU:
        why = f"alpha={applied.alpha!r} puts a kink at zero"
        return unsupported(layer, why, f"use alpha=1; {reasons.NO_CURVATURE}")
    if type(applied) is keras.layers.ReLU and _has_settings(applied):
        why, remedy = reasons.RELU_WITH_SETTINGS
        return unsupported(layer, why, remedy)
    shown = name if applied is layer else type(applied).__name__
    return unknown_activation(layer, shown, reasons.FUNCTIONS[name])


def _has_settings(layer: keras.layers.ReLU) -> bool:
    return bool(layer.negative_slope) or layer.max_value is not None


def not_finite(layer) -> errors.NonFiniteWeightsError:
    """Returns the error about a scale or an offset that is no number."""
    why = "a scale or an offset is NaN or infinite"
    remedy = "give it finite numbers; adapt a Normalization to finite data"
    problem = _problem(layer, why, remedy)
    return errors.NonFiniteWeightsError(
        "A scale or an offset is NaN or infinite. "
        f"Received: layer {layer.name!r} of type {problem.type}. "
        f"Remedy: {remedy}.",
        [problem],
    )


def not_finite_weight(model, weight) -> errors.NonFiniteWeightsError:
    """Returns the error about a weight that is no number.

    Args:
        model: The model that it belongs to.
        weight: A variable.
    """
    why = "A weight is NaN or infinite; has training diverged?"
    remedy = "train with a smaller learning rate, or from saved weights"
    return errors.NonFiniteWeightsError(
        f"{why} Received: weight={weight.path!r} of model {model.name!r}. "
        f"Remedy: {remedy}.",
        [
            problems.Problem(
                layer=weight.path,
                type=type(weight).__name__,
                reason=why.rstrip("?"),
                remedy=remedy,
            )
        ],
    )


def all_of(
    model, found: Sequence[errors.UnsupportedModelError]
) -> errors.UnsupportedModelError:
    """Returns one error about all that is wrong with a model.

    Args:
        model: The model.
        found: At least one error; each names one or more problems.
    """
    each = problems.of_errors(found)
    if len(each) <= 1:
        return found[0]
    lines = "".join(f"\n  {problem}" for problem in each)
    # The first decides, as if reading had stopped there.
    return type(found[0])(
        f"{len(each)} layers cannot be certified. "
        f"Received: model={model.name!r} with{lines}\n"
        f"Supported: {_SUPPORTED}. Known activations: "
        f"{sorted(networks.ACTIVATIONS)}. `tfcurv.check(model)` returns this "
        "list.",
        each,
    )
