"""From a Keras model to the network that certificates are about."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcurv import errors
from tfcurv import networks
from tfcurv import numerics
from tfcurv import solvers
from tfcurv.nn.reading import execution as executed
from tfcurv.nn.reading import graph
from tfcurv.nn.reading import model_calls
from tfcurv.nn.reading import reasons
from tfcurv.nn.reading import refusals

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
) -> networks.Network:
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
) -> tuple[networks.Network, graph.Reading]:
    """Returns what `network_from_model` does, and what was read.

    Args:
        model: See `network_from_model`.
        guard: See `network_from_model`.
        rigor: See `network_from_model`.
        assume: See `network_from_model`.
    """
    _check_settings(guard, rigor)
    survey = graph.Survey(model, assume or {})
    # ReLU may stand in a chain once: its quadratic bounds reach one layer.
    relu = _relu_reason(survey.nodes, guard=guard, rigor=rigor)
    graph.refuse_kinks(survey, relu)
    found = _checked(model, survey)
    network = networks.chain_of(
        found.graph,
        rigor=solvers.Rigor(rigor),
        execution=executed.execution(model, found) if guard else None,
    )
    return network, found


def read_as_graph(
    model: keras.Model,
    *,
    guard: str | None,
    rigor: str,
    assume: Mapping[str, graph.Assumption] | None,
) -> tuple[networks.GraphNetwork, graph.Reading]:
    """Returns a model as methods see it that need no chain, and what was read.

    Args:
        model: See `network_from_model`.
        guard: None: no rounding of an execution is bounded along a graph.
        rigor: See `network_from_model`.
        assume: See `network_from_model`.
    """
    _check_settings(guard, rigor)
    if guard is not None:
        raise errors.UnsupportedModelError(
            "The execution in float32 is bounded along chains alone. "
            f"Received: guard={guard!r}. Allowed: guard=None."
        )
    found = read_checked(model, assume)
    return as_graph_network(found, rigor), found


def as_graph_network(found: graph.Reading, rigor: str) -> networks.GraphNetwork:
    """Returns what was read as methods see it that need no chain."""
    return networks.GraphNetwork(found.graph, solvers.Rigor(rigor))


def read(
    model: keras.Model,
    *,
    guard: str | None,
    rigor: str,
    assume: Mapping[str, graph.Assumption] | None,
    as_graph: bool | None,
) -> tuple[networks.Network | networks.GraphNetwork, graph.Reading]:
    """Returns a model in one form, and what was read.

    Args:
        model: See `network_from_model`.
        guard: See `network_from_model`.
        rigor: See `network_from_model`.
        assume: See `network_from_model`.
        as_graph: Whether as a graph; None for a chain if there is one, and a
            graph else.
    """
    settings: dict[str, Any] = {"guard": guard, "rigor": rigor}
    settings["assume"] = assume
    if as_graph:
        return read_as_graph(model, **settings)
    try:
        return read_network(model, **settings)
    except errors.UnsupportedModelError:
        # A graph has no execution.
        if as_graph is not None or guard is not None:
            raise
    return read_as_graph(model, **settings)


def read_checked(
    model: keras.Model, assume: Mapping[str, graph.Assumption] | None = None
) -> graph.Reading:
    """Returns what a model computes, whether or not curvature bounds it.

    The graph is compared with the model itself at random points. No norm is
    proved, and no chain is made of it.

    Args:
        model: See `network_from_model`.
        assume: See `network_from_model`.

    Raises:
        UnsupportedModelError: What the model computes is not known.
    """
    return _checked(model, graph.Survey(model, assume or {}))


def _check_settings(guard: str | None, rigor: str) -> None:
    if guard not in GUARDS or rigor not in RIGORS:
        raise ValueError(
            "Unknown guard or rigor. "
            f"Received: guard={guard!r}, rigor={rigor!r}. "
            f"Allowed: {GUARDS}, {RIGORS}."
        )


def _checked(model: keras.Model, survey: graph.Survey) -> graph.Reading:
    for weight in model.weights:
        if not np.all(np.isfinite(np.asarray(weight))):
            survey.refuse(refusals.not_finite_weight(model, weight))
    found = survey.reading()
    _check_agreement(model, found)
    # What Keras compiled for `predict` is the model as it was then; layers may
    # have been changed since. It is compiled anew at the next call.
    model.predict_function = None
    return found


def _relu_reason(nodes: Sequence, **settings) -> reasons.Reason | None:
    """Returns why ReLU cannot be certified by quadratic bounds, if so."""
    bent = [node for node in nodes[:-1] if _is_bent(node)]
    joins = {node.kind for node in nodes} & _JOINS
    if len(bent) > 1 or joins:
        return reasons.Reason(
            "ReLU can be certified as the only activation of a network, "
            "without branches; others need bounded curvature, and this one "
            f"has {len(bent)} activations",
            "use a smooth activation, such as 'softplus'; "
            f"{reasons.NO_CURVATURE}",
        )
    if settings != {"guard": None, "rigor": "verified"}:
        return reasons.Reason(
            "Networks with ReLU are certified about exact arithmetic and by "
            f"verified norms alone, not with {settings}",
            "use guard=None, rigor='verified'",
        )
    return None


def _is_bent(node: graph.Node | graph.Refused) -> bool:
    if isinstance(node, graph.Refused):
        return isinstance(node.error, errors.UnsupportedActivationError)
    return node.kind is graph.Kind.ACTIVATION


def _check_agreement(model: keras.Model, found: graph.Reading) -> None:
    """Refuses a model that does not compute what its layers say.

    Neither as `predict` runs it nor as it is called and exported; the latter
    only where the caller vouches for no layer that is in training mode then.
    """
    shape = model_calls.input_shape(model)
    probes = _probes(found.graph.input_dim)
    ways = [("in inference", {"training": False})]
    if not found.trained_assumptions:
        ways.append(("when it is called or exported", {}))
    expected, error = networks.enclosed_logits(
        found.graph,
        tf.constant(probes, tf.float64),
        numerics.unit_roundoff(tf.float32),
    )
    # Of all logits of a row: what cancels in one does so in its scalings too.
    allowed = _PROBE_SLACK * tf.reduce_max(error, axis=-1)
    for way, settings in ways:
        # GPUs multiply float32 matrices in TensorFloat-32, with 10 bits.
        with tf.device("CPU:0"):
            inputs = tf.reshape(tf.constant(probes), [-1, *shape])
            computed = model(inputs, **settings)
        computed = _logits(model, computed, found.graph.num_classes)
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


def _logits(model, computed, num_classes: int) -> tf.Tensor:
    if not tf.is_tensor(computed):
        raise refusals.of_model(
            model,
            "The model must give its logits as one tensor.",
            f"model={model.name!r}, output of type {type(computed).__name__}",
            "give outputs as one tensor, in no list or dict",
        )
    if tuple(computed.shape[1:]) != (num_classes,):
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
