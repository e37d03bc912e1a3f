"""From a Keras model to the network that certificates are about."""

import keras
import numpy as np
import tensorflow as tf

from tfcurv import bounds
from tfcurv import errors
from tfcurv import numerics
from tfcurv import solvers
from tfcurv.nn import chain

_NUM_PROBES = 16

# Keras adds bias and scalings in its own order and may round scale factors to
# float32; each changes the float32 error bound by a small factor.
_PROBE_SLACK = 8.0


def input_shape(model: keras.Model) -> tuple[int, ...]:
    """Returns the shape of one input of a model.

    Raises:
        UnsupportedModelError: The shape is unknown or partly unknown.
    """
    shape = getattr(model, "input_shape", None)
    if shape is None or None in shape[1:]:
        raise errors.UnsupportedModelError(
            "The model's input must have a known shape. "
            f"Received: model={model.name!r}, input_shape={shape!r}."
        )
    return tuple(shape[1:])


#: How norms can be bounded, see `solvers.Rigor`.
RIGORS = tuple(level.value for level in solvers.Rigor)

#: The functions that a certificate can be about: None is the real-valued one
#: with the stored weights, "float32" the one that Keras executes.
GUARDS = (None, "float32")


def network_from_model(
    model: keras.Model,
    *,
    guard: str | None = None,
    rigor: str = "verified",
) -> bounds.Network:
    """Returns the chain of affine maps and activations of a Keras model.

    Scalings and consecutive dense layers are fused in float64; the rounding
    errors of fusing them are carried along. The result is compared with the
    model itself at random points, so that a layer that does not do what its
    class says is found out.

    Args:
        model: A `keras.Sequential` or functional model that ends in logits.
        guard: "float32" if certificates are to hold for the model as Keras
            executes it, too: products and sums in float32, in any order.
        rigor: How norms are bounded: "verified" or "float64".

    Returns:
        A `Network` on flattened inputs, in the units of the model's input.

    Raises:
        UnsupportedModelError: What the model computes cannot be certified;
            the subclass and the message name the layer and a way out.
        ValueError: `guard` or `rigor` is unknown.
    """
    if guard not in GUARDS or rigor not in RIGORS:
        raise ValueError(
            "Unknown guard or rigor. "
            f"Received: guard={guard!r}, rigor={rigor!r}. "
            f"Allowed: {GUARDS}, {RIGORS}."
        )
    links = chain.read_chain(model, with_relu=True)
    _check_relu(links, guard=guard, rigor=rigor)
    _check_finite(model)
    width = int(np.prod(input_shape(model)))
    affines: list[bounds.Affine] = []
    activations: list[bounds.Activation] = []
    pending: bounds.Affine | None = None
    for link in links:
        if type(link) is chain.Scaling:
            pending = _rescale(pending, link)
        elif type(link) is chain.DenseMap:
            dense = _dense(link.layer)
            pending = dense if pending is None else pending.then(dense)
            width = dense.kernel.shape[1]
        else:
            affines.append(_identity(width) if pending is None else pending)
            activations.append(link.activation)
            pending = None
    affines.append(_identity(width) if pending is None else pending)
    network = bounds.Network(
        affines,
        activations,
        rigor=solvers.Rigor(rigor),
        execution=_execution(model, links) if guard else None,
    )
    _check_agreement(model, network)
    return network


def _check_relu(links: list[chain.Link], **settings) -> None:
    """Refuses ReLU where its quadratic bounds do not reach."""
    bent = [link for link in links if type(link) is chain.Nonlinearity]
    kinked = [link for link in bent if link.activation is bounds.RELU]
    if kinked and len(bent) > 1:
        raise errors.UnsupportedActivationError(
            "ReLU can be certified in networks of two layers alone, "
            "Dense-ReLU-Dense; deeper ones need bounded curvature, try "
            f"'softplus' in place of 'relu'. Received: layer "
            f"{kinked[0].layer.name!r}, activation='relu', and {len(bent)} "
            f"activations. Known: {sorted(bounds.ACTIVATIONS)}."
        )
    if kinked and settings != {"guard": None, "rigor": "verified"}:
        raise errors.UnsupportedModelError(
            "Networks with ReLU are certified about exact arithmetic and by "
            "verified norms alone. Received: layer "
            f"{kinked[0].layer.name!r}, activation='relu', {settings}. "
            "Allowed: guard=None, rigor='verified'."
        )


def _check_finite(model: keras.Model) -> None:
    for weight in model.weights:
        if not np.all(np.isfinite(np.asarray(weight))):
            raise errors.NonFiniteWeightsError(
                "A weight is NaN or infinite; has training diverged? "
                f"Received: weight={weight.path!r} of model {model.name!r}."
            )


def _execution(model, links) -> bounds.Execution:
    """Returns the links as Keras runs them, one by one, in float32."""
    for layer in (link.layer for link in links):
        if layer.compute_dtype != "float32":
            raise errors.UnsupportedModelError(
                "guard='float32' is about models that compute in float32. "
                f"Received: layer={layer.name!r} of model {model.name!r}, "
                f"compute_dtype={layer.compute_dtype!r}."
            )
    stages = []
    for link in links:
        if type(link) is chain.Scaling:
            stages.append(bounds.Scaling(scale=link.scale, offset=link.offset))
        elif type(link) is chain.DenseMap:
            stages.append(_dense(link.layer))
        else:
            stages.append(link.activation)
    return bounds.Execution(stages)


def _identity(width: int) -> bounds.Affine:
    return bounds.Affine(kernel=np.eye(width), bias=np.zeros(width))


def _dense(layer: keras.layers.Dense) -> bounds.Affine:
    kernel = np.asarray(layer.kernel, np.float64)
    bias = np.zeros(kernel.shape[1])
    if layer.use_bias:
        bias = np.asarray(layer.bias, np.float64)
    return bounds.Affine(kernel=kernel, bias=bias)


def _rescale(pending, link: chain.Scaling) -> bounds.Affine:
    """Appends x -> scale x + offset to the pending map."""
    # The scale may itself be the rounded result of a root and a division.
    diagonal = bounds.Affine(
        kernel=np.diag(link.scale),
        bias=link.offset,
        kernel_error=numerics.gamma(4) * float(np.linalg.norm(link.scale)),
        bias_error=numerics.gamma(4) * float(np.linalg.norm(link.offset)),
    )
    return diagonal if pending is None else pending.then(diagonal)


def _check_agreement(model: keras.Model, network: bounds.Network) -> None:
    """Refuses a model that does not compute what its layers say."""
    shape = input_shape(model)
    random = np.random.default_rng(0)
    probes = np.concatenate(
        [
            np.zeros((1, network.input_dim)),
            random.uniform(0.0, 1.0, (_NUM_PROBES, network.input_dim)),
            random.normal(0.0, 1.0, (_NUM_PROBES, network.input_dim)),
        ]
    ).astype(np.float32)
    # GPUs multiply float32 matrices in TensorFloat-32, with 10 bits.
    with tf.device("CPU:0"):
        keras_input = tf.reshape(tf.constant(probes), [-1, *shape])
        computed = tf.cast(model(keras_input, training=False), tf.float64)
    if computed.shape != (len(probes), network.num_classes):
        raise errors.UnsupportedModelError(
            "The model must map one input to one row of logits. "
            f"Received: model={model.name!r}, output shape {computed.shape}."
        )
    x = tf.constant(probes, tf.float64)
    expected = network.logits(x)
    roundoff = numerics.unit_roundoff(tf.float32)
    allowed = _PROBE_SLACK * bounds.logit_error(
        network, network.forward(x), roundoff
    )
    apart = tf.reduce_max(tf.abs(computed - expected), axis=-1)
    # Logits so large that float32 overflows say nothing about agreement.
    comparable = tf.math.is_finite(apart) & tf.math.is_finite(allowed)
    if bool(tf.reduce_any(comparable & (apart > allowed))):
        raise errors.UnsupportedModelError(
            "The model does not compute what its layers say; is a `call` "
            f"overridden? Received: model={model.name!r}, whose logits are "
            f"{float(tf.reduce_max(apart)):.3g} away from those of its layers."
        )
