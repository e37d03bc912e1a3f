"""From a Keras model to the network that certificates are about."""

from collections.abc import Mapping
from collections.abc import Sequence
import math

import keras
import numpy as np
import tensorflow as tf

from tfcurv import bounds
from tfcurv import errors
from tfcurv import numerics
from tfcurv import solvers
from tfcurv.nn import executed
from tfcurv.nn import graph
from tfcurv.nn import model_calls
from tfcurv.nn import reasons
from tfcurv.nn import refusals

_NUM_PROBES = 16

# Keras adds bias and scalings in its own order and may round scale factors to
# float32; each changes the float32 error bound by a small factor.
_PROBE_SLACK = 8.0

_JOINS = {graph.Kind.ADD, graph.Kind.CONCATENATE}


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
    assume: Mapping[str, graph.Assumption] | None = None,
) -> bounds.Network:
    """Returns the affine maps and activations of a Keras model, as a chain.

    What lies between activations is one map; matrices are fused in float64,
    and the rounding errors of fusing them are carried along. The result is
    compared with the model itself at random points, so that a layer that
    does not do what its class says is found out.

    Args:
        model: A `keras.Sequential` or functional model that ends in logits.
        guard: "float32" if certificates are to hold for the model as Keras
            executes it, too: products and sums in float32, in any order.
        rigor: How norms are bounded: "verified" or "float64".
        assume: What layers that are not known compute, by name; see
            `read_graph`. Certificates then rest on it.

    Returns:
        A `Network` on flattened inputs, in the units of the model's input.

    Raises:
        UnsupportedModelError: What the model computes cannot be certified;
            the subclass and the message name the layer and a way out.
        ValueError: `guard` or `rigor` is unknown.
    """
    return read_network(model, guard=guard, rigor=rigor, assume=assume)[0]


def read_network(
    model: keras.Model,
    *,
    guard: str | None,
    rigor: str,
    assume: Mapping[str, graph.Assumption] | None,
) -> tuple[bounds.Network, graph.Graph]:
    """Returns what `network_from_model` does, and the graph that was read.

    Args:
        model: See `network_from_model`.
        guard: See `network_from_model`.
        rigor: See `network_from_model`.
        assume: See `network_from_model`.
    """
    if guard not in GUARDS or rigor not in RIGORS:
        raise ValueError(
            "Unknown guard or rigor. "
            f"Received: guard={guard!r}, rigor={rigor!r}. "
            f"Allowed: {GUARDS}, {RIGORS}."
        )
    survey = graph.Survey(model, assume or {})
    survey.refusals += [
        *_relu_refusals(survey.nodes, guard=guard, rigor=rigor),
        *_not_finite(model),
    ]
    found = survey.graph()
    network = _network(
        found,
        rigor=solvers.Rigor(rigor),
        execution=executed.execution(model, found) if guard else None,
    )
    _check_agreement(model, network, found)
    return network, found


def _network(found: graph.Graph, **settings) -> bounds.Network:
    first, *nodes = found.nodes
    flow = bounds.Flow(math.prod(first.shape))
    values = [flow.input]
    for node in nodes:
        sources = [values[source] for source in node.sources]
        if node.step is not None:
            linear, bias, roundings, error = node.step
            value = flow.linear(
                sources[0],
                linear,
                bias,
                roundings=roundings,
                bias_error=error,
            )
        elif node.activation is not None:
            value = flow.activate(sources[0], node.activation)
        elif node.axis is not None:
            shapes = [found.nodes[source].shape for source in node.sources]
            value = flow.concatenate(sources, shapes, node.axis)
        else:
            value = flow.add(sources)
        values.append(value)
    return flow.network(values[-1], **settings)


def _relu_refusals(nodes: Sequence[graph.Node], **settings) -> list:
    """Returns what is wrong with ReLU: its quadratic bounds reach one layer."""
    bent = [n for n in nodes[:-1] if n.activation or _is_bent(n.refusal)]
    kinked = [node for node in bent if node.activation is bounds.RELU]
    joins = {node.kind for node in nodes} & _JOINS
    if len(bent) > 1 or joins:
        why = (
            "ReLU can be certified as the only activation of a network, "
            "without branches; others need bounded curvature, and this one "
            f"has {len(bent)} activations"
        )
        remedy = "use a smooth activation, such as 'softplus'"
    elif settings != {"guard": None, "rigor": "verified"}:
        why = (
            "Networks with ReLU are certified about exact arithmetic and by "
            f"verified norms alone, not with {settings}"
        )
        remedy = "use guard=None, rigor='verified'"
    else:
        return []
    return [
        refusals.unknown_activation(
            node.layer, "relu", reasons.Reason(why, remedy)
        )
        for node in kinked
    ]


def _is_bent(refusal: errors.UnsupportedModelError | None) -> bool:
    return isinstance(refusal, errors.UnsupportedActivationError)


def _not_finite(model: keras.Model) -> list[errors.NonFiniteWeightsError]:
    return [
        refusals.not_finite_weight(model, weight)
        for weight in model.weights
        if not np.all(np.isfinite(np.asarray(weight)))
    ]


def _check_agreement(
    model: keras.Model, network: bounds.Network, found: graph.Graph
) -> None:
    """Refuses a model that does not compute what its layers say.

    Neither as `predict` runs it nor as it is called and exported; the latter
    only where the caller vouches for no layer that is in training mode then.
    """
    shape = model_calls.input_shape(model)
    probes = _probes(network.input_dim)
    ways = [("in inference", {"training": False})]
    if not found.trained_assumptions:
        ways.append(("when it is called or exported", {}))
    expected = network.logits(tf.constant(probes, tf.float64))
    allowed = _PROBE_SLACK * bounds.logit_error(
        network,
        network.forward(tf.constant(probes, tf.float64)),
        numerics.unit_roundoff(tf.float32),
    )
    for way, settings in ways:
        # GPUs multiply float32 matrices in TensorFloat-32, with 10 bits.
        with tf.device("CPU:0"):
            inputs = tf.reshape(tf.constant(probes), [-1, *shape])
            computed = model(inputs, **settings)
        computed = _logits(model, computed, network)
        apart = tf.reduce_max(tf.abs(computed - expected), axis=-1)
        # Logits so large that float32 overflows say nothing about agreement.
        comparable = tf.math.is_finite(apart) & tf.math.is_finite(allowed)
        if bool(tf.reduce_any(comparable & (apart > allowed))):
            raise refusals.of_model(
                model,
                f"The model does not compute {way} what its layers say; "
                f"{_why(found.assumptions)}?",
                f"model={model.name!r}, whose logits are "
                f"{float(tf.reduce_max(apart)):.3g} away from those of its "
                "layers",
                "use layers as they are, and assume what is true",
            )


def _probes(dim: int) -> np.ndarray:
    random = np.random.default_rng(0)
    return np.concatenate(
        [
            np.zeros((1, dim)),
            random.uniform(0.0, 1.0, (_NUM_PROBES, dim)),
            random.normal(0.0, 1.0, (_NUM_PROBES, dim)),
            # Where activations saturate, nearer ones may look linear.
            random.normal(0.0, 100.0, (_NUM_PROBES, dim)),
        ]
    ).astype(np.float32)


def _logits(model, computed, network) -> tf.Tensor:
    if not tf.is_tensor(computed):
        raise refusals.of_model(
            model,
            "The model must give its logits as one tensor.",
            f"model={model.name!r}, output of type {type(computed).__name__}",
            "give outputs as one tensor, in no list or dict",
        )
    if tuple(computed.shape[1:]) != (network.num_classes,):
        raise refusals.of_model(
            model,
            "The model must map one input to one row of logits.",
            f"model={model.name!r}, output shape {computed.shape}",
            "end it in Flatten() and Dense(classes)",
        )
    return tf.cast(computed, tf.float64)


def _why(assumptions: tuple[str, ...]) -> str:
    if assumptions:
        return f"is what was assumed of {', '.join(assumptions)} wrong"
    return "is a `call` overridden"
