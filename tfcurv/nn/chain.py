"""Reads a Keras model as a chain of scalings, dense maps and activations.

Everything that is not known exactly is refused by name: a layer that was
taken for something else would make every certificate of the model false.
"""

from collections.abc import Iterator
import functools
from typing import NamedTuple

import keras
import numpy as np

from tfcurv import bounds
from tfcurv import errors
from tfcurv.nn import layers as tfcurv_layers

# `type is`, not isinstance, throughout: a subclass may compute something else.
_DENSE = (keras.layers.Dense, tfcurv_layers.Dense)
_IDENTITIES = (
    keras.layers.InputLayer,
    keras.layers.Reshape,
    keras.layers.Flatten,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.ActivityRegularization,
)
_SUPPORTED = (
    "Dense, Activation, Flatten, Reshape, Rescaling, Normalization, Dropout, "
    "GaussianDropout, GaussianNoise, and Sequential or functional models of "
    "these"
)
_PRECISIONS = ("float32", "float64")
# A head that only rescales probabilities hides the logits that are certified.
_HEADS = ("softmax", "log_softmax", "sigmoid", "log_sigmoid", "sparsemax")


class Scaling(NamedTuple):
    """x -> scale * x + offset, elementwise on the flattened input."""

    layer: keras.layers.Layer
    scale: np.ndarray
    offset: np.ndarray


class DenseMap(NamedTuple):
    """x -> x kernel + bias of a Dense layer."""

    layer: keras.layers.Dense


class Nonlinearity(NamedTuple):
    """An activation, of a layer of its own or of a Dense layer."""

    layer: keras.layers.Layer
    activation: bounds.Activation


Link = Scaling | DenseMap | Nonlinearity


@functools.cache
def _functional_type() -> type:
    """Keras' own class of functional models, which has no public name."""
    x = keras.Input((1,))
    # Keras 3.12 refuses outputs that no layer has made.
    return type(keras.Model(x, keras.layers.Identity()(x)))


def read_chain(model: keras.Model, *, with_relu: bool = False) -> list[Link]:
    """Returns what a model computes in inference, as a chain of maps.

    Args:
        model: A built `keras.Sequential` or functional model, or tfcurv's own.
        with_relu: Whether the caller can do without bounded curvature.

    Raises:
        UnsupportedLayerError: A layer is not known, or not used as a chain.
        UnsupportedActivationError: No curvature bound is known for one.
        UnsupportedModelError: The model is neither built nor of a known kind.
    """
    links = [link for layer in _layers(model) for link in _read(layer)]
    dense = [i for i, link in enumerate(links) if type(link) is DenseMap]
    if not dense:
        raise errors.UnsupportedModelError(
            "A model without a Dense layer has no logits to certify. "
            f"Received: model={model.name!r}."
        )
    for link in links[dense[-1] + 1 :]:
        if type(link) is Nonlinearity and link.activation.name != "linear":
            raise _refused_head(link.layer, link.activation.name)
    if not with_relu:
        for link in links:
            if type(link) is Nonlinearity and link.activation is bounds.RELU:
                raise _unknown_activation(link.layer, "relu")
    return links


def _layers(model) -> Iterator[keras.layers.Layer]:
    for layer in _direct_layers(model):
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer


def _direct_layers(model) -> list[keras.layers.Layer]:
    kind = type(model)
    if isinstance(model, keras.Sequential) and _is_known(model):
        # A model built on no shape has no `inputs` either.
        if not model.built or getattr(model, "inputs", None) is None:
            raise errors.UnsupportedModelError(
                "The model has no weights yet: give it a keras.Input, or call "
                f"it once. Received: model={model.name!r}."
            )
        _check_inputs(model)
        return model.layers
    if isinstance(model, _functional_type()) and _is_known(model):
        _check_inputs(model)
        return _walk_back(model)
    raise errors.UnsupportedModelError(
        "Cannot see what this model computes: a subclassed model may do "
        f"anything in `call`. Received: model={getattr(model, 'name', model)!r}"
        f" of type {kind.__name__}. Allowed: keras.Sequential, functional "
        "keras.Model(inputs, outputs), tfcurv.Sequential, tfcurv.Model."
    )


def _is_known(model) -> bool:
    """Whether the class itself is Keras' or tfcurv's, not a user's."""
    if "call" in vars(model):
        return False
    kind = type(model)
    own = getattr(kind, "_tfcurv_forward_is_stock", False)
    stock = kind in (keras.Sequential, _functional_type())
    return stock or ("_tfcurv_forward_is_stock" in vars(kind) and own)


def _check_inputs(model) -> None:
    """Refuses a model that rounds what it is given."""
    for tensor in model.inputs:
        if tensor.dtype not in _PRECISIONS:
            raise errors.UnsupportedModelError(
                "The model rounds its input to a type of low precision. "
                f"Received: model={model.name!r}, whose keras.Input has "
                f"dtype={tensor.dtype!r}. Allowed: {_PRECISIONS}."
            )


def _walk_back(model) -> list[keras.layers.Layer]:
    """Returns the layers of a functional model if they form a chain."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise errors.UnsupportedModelError(
            "Only models with one input and one output can be certified. "
            f"Received: model={model.name!r} with {len(model.inputs)} inputs "
            f"and {len(model.outputs)} outputs."
        )
    found, tensor = [], model.outputs[0]
    while tensor is not model.inputs[0]:
        layer, node_index, _ = tensor._keras_history
        sources = layer._inbound_nodes[node_index].input_tensors
        if len(sources) != 1:
            raise _unsupported(layer, "it joins several branches")
        if any(layer is other for other in found):
            raise _unsupported(layer, "it is used more than once")
        found.append(layer)
        tensor = sources[0]
    return found[::-1]


def _unsupported(layer, why: str) -> errors.UnsupportedLayerError:
    name = getattr(layer, "name", repr(layer))
    return errors.UnsupportedLayerError(
        f"Cannot bound the curvature of this layer: {why}. "
        f"Received: layer {name!r} of type {type(layer).__name__}. "
        f"Supported: {_SUPPORTED}."
    )


def _refused_head(layer, name: str) -> errors.UnsupportedLayerError:
    return errors.UnsupportedLayerError(
        "The model must end in logits; the certificate compares them. "
        f"Received: layer {layer.name!r} with a final {name!r}. Remedy: train "
        "with Dense(classes) and from_logits=True, or, for a trained model, "
        "drop the head, which leaves every prediction as it is if the head "
        "is increasing, as softmax and sigmoid are: "
        "`model.layers[-1].activation = keras.activations.linear` for a "
        "Dense layer's softmax, a model without the last layer for Softmax()."
    )


def _read(layer) -> list[Link]:
    kind = type(layer)
    if isinstance(layer, keras.layers.Layer):
        _check_precision(layer)
    if "call" in vars(layer):
        raise _unsupported(layer, "its `call` has been replaced")
    if kind in _DENSE:
        return _read_dense(layer)
    if kind is keras.layers.Activation:
        return _read_activation(layer)
    if kind is keras.layers.ReLU:
        return _read_relu(layer)
    if kind is keras.layers.Rescaling:
        return [_read_rescaling(layer)]
    if kind is keras.layers.Normalization:
        return [_read_normalization(layer)]
    if kind is keras.layers.Softmax:
        raise _refused_head(layer, "softmax")
    if kind not in _IDENTITIES:
        raise _unsupported(layer, "nothing is known about it")
    if getattr(layer, "data_format", None) == "channels_first":
        raise _unsupported(layer, "channels_first reorders its input")
    return []


def _check_precision(layer) -> None:
    policy = layer.dtype_policy
    if policy.compute_dtype not in _PRECISIONS or (
        policy.compute_dtype != policy.variable_dtype
    ):
        raise _unsupported(layer, f"its dtype policy is {policy.name!r}")


def _read_dense(layer) -> list[Link]:
    if getattr(layer, "quantization_mode", None) is not None:
        raise _unsupported(layer, "it is quantized")
    if getattr(layer, "lora_enabled", False):
        raise _unsupported(layer, "LoRA is enabled on it")
    rank = 1 + len(_input_shape(layer))
    if rank != 2:
        raise _unsupported(
            layer, f"its input has rank {rank}; put a Flatten before it"
        )
    return [DenseMap(layer), *_read_activation(layer)]


def _read_activation(layer) -> list[Link]:
    fn = layer.activation
    for name, known in bounds.ACTIVATIONS.items():
        if fn is getattr(keras.activations, name):
            return [] if name == "linear" else [Nonlinearity(layer, known)]
    if fn is keras.activations.relu:
        return [Nonlinearity(layer, bounds.RELU)]
    name = getattr(fn, "__name__", type(fn).__name__)
    if name in _HEADS:
        raise _refused_head(layer, name)
    raise _unknown_activation(layer, name)


def _read_relu(layer: keras.layers.ReLU) -> list[Link]:
    plain = layer.max_value is None
    if not plain or layer.negative_slope or layer.threshold:
        raise _unsupported(layer, "it is no plain ReLU")
    return [Nonlinearity(layer, bounds.RELU)]


def _unknown_activation(layer, name) -> errors.UnsupportedActivationError:
    return errors.UnsupportedActivationError(
        "No curvature bound is known for this activation; piecewise linear "
        "ones have none, try 'softplus' in place of 'relu'. "
        f"Received: layer {layer.name!r}, activation={name!r}. "
        f"Known: {sorted(bounds.ACTIVATIONS)}."
    )


def _input_shape(layer) -> tuple[int | None, ...]:
    """Returns the shape of one input of a layer, which must have only one."""
    # `layer.input` is that of its first use, perhaps in another model.
    nodes = layer._inbound_nodes
    shapes = {tuple(node.input_tensors[0].shape[1:]) for node in nodes}
    if len(shapes) != 1:
        raise _unsupported(layer, f"its inputs have the shapes {shapes}")
    return shapes.pop()


def _spread(layer, value) -> np.ndarray:
    """Broadcasts a scale or offset over one flattened input of the layer."""
    shape = _input_shape(layer)
    if None in shape:
        raise _unsupported(layer, f"its input has the open shape {shape}")
    if not np.all(np.isfinite(value)):
        raise errors.NonFiniteWeightsError(
            "A scale or an offset is NaN or infinite. "
            f"Received: layer {layer.name!r} of type {type(layer).__name__}."
        )
    try:
        full = np.broadcast_to(np.asarray(value, np.float64), (1, *shape))
    except ValueError as error:
        raise _unsupported(layer, f"its scale does not fit {shape}") from error
    return full.reshape(-1)


def _read_rescaling(layer) -> Scaling:
    return Scaling(
        layer, _spread(layer, layer.scale), _spread(layer, layer.offset)
    )


def _read_normalization(layer) -> Scaling:
    """x -> (x - mean) / max(sqrt(variance), epsilon), or its inverse."""
    if not layer.built:
        raise _unsupported(layer, "it has no statistics yet; adapt it")
    mean = np.asarray(layer.mean, np.float64)
    with np.errstate(invalid="ignore"):  # Refused below, by name.
        root = np.sqrt(np.asarray(layer.variance, np.float64))
    deviation = np.maximum(root, keras.backend.epsilon())
    if layer.invert:
        return Scaling(layer, _spread(layer, deviation), _spread(layer, mean))
    return Scaling(
        layer,
        _spread(layer, 1.0 / deviation),
        _spread(layer, -mean / deviation),
    )
