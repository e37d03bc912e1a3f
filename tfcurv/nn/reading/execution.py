"""A Keras model as float32 executes it, layer by layer."""

import keras
import numpy as np

from tfcurv import bounds
from tfcurv import errors
from tfcurv import networks
from tfcurv.networks import Kind
from tfcurv.networks import Node
from tfcurv.nn import layers as tfcurv_layers
from tfcurv.nn.reading.graph import Reading

_DENSE = (keras.layers.Dense, tfcurv_layers.Dense)
# A BatchNormalization's offset cancels before it is added.
_SCALINGS = (keras.layers.Rescaling, keras.layers.Normalization)


def execution(model: keras.Model, found: Reading) -> bounds.Execution:
    """Returns the nodes as Keras runs them, one by one, in float32.

    Args:
        model: The model, for messages.
        found: What it computes, and its layers.

    Raises:
        UnsupportedModelError: The rounding of some layer is not bounded: it
            is of another precision, or neither dense nor a scaling. Libraries
            may compute a convolution by transforms, which round otherwise.
    """
    stages = []
    steps = zip(found.nodes[1:], found.layers[1:])
    for position, (node, layer) in enumerate(steps):
        is_layer = isinstance(layer, keras.layers.Layer)
        if is_layer and layer.compute_dtype != "float32":
            raise errors.UnsupportedModelError(
                "guard='float32' is about models that compute in float32. "
                f"Received: layer={layer.name!r} of model "
                f"{model.name!r}, compute_dtype={layer.compute_dtype!r}."
            )
        stage = _stage(node, layer)
        if stage is None or node.sources != (position,):
            raise errors.UnsupportedModelError(
                "guard='float32' is about chains of dense layers, "
                "activations, Rescaling and Normalization alone. "
                f"Received: layer={layer.name!r} of type "
                f"{type(layer).__name__} of model {model.name!r}. "
                "Allowed: guard=None; or layers in place of operations."
            )
        stages += [] if type(stage) is networks.Identity else [stage]
    return bounds.Execution(stages)


def _stage(node: Node, layer: keras.Operation):
    if not isinstance(layer, keras.layers.Layer):
        return None  # Nothing says in which precision.
    if node.kind is Kind.ACTIVATION:
        return node.activation
    if node.step is None:
        return None
    linear, kind = node.step.map, type(layer)
    if type(linear) is networks.Identity:
        return linear
    if type(linear) is networks.Dense and kind in _DENSE:
        return networks.Affine(kernel=linear.kernel, bias=node.step.bias)
    if type(linear) is networks.Diagonal and kind in _SCALINGS:
        scale = np.broadcast_to(linear.scale, linear.input_shape).ravel()
        return bounds.Scaling(scale=scale, offset=node.step.bias)
    return None
