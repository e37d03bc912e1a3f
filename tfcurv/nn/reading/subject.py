"""What a run is about: a model, as a network, with its hash."""

from collections.abc import Mapping
import dataclasses
from typing import Any

import keras

from tfcurv import networks
from tfcurv.nn.reading import graph
from tfcurv.nn.reading import model_calls
from tfcurv.nn.reading import network as adapter

_SCALINGS = (keras.layers.Rescaling, keras.layers.Normalization)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """A model that is certified or attacked.

    Attributes:
        model: The Keras model; None where a network was given.
        network: What it computes: a `networks.Network`, or a
            `networks.GraphNetwork`.
        graph: The same as a graph, if that was asked for and there is one.
        input_shape: Shape of one of its inputs.
        is_scaled: Whether it scales its input itself.
        assumptions: Names of the layers that are what the caller says.
    """

    model: keras.Model | None
    network: Any
    input_shape: tuple[int, ...]
    is_scaled: bool
    graph: networks.GraphNetwork | None = None
    assumptions: tuple[str, ...] = ()

    @property
    def model_hash(self) -> str:
        """sha256 of all that decides what is proved of the network."""
        return networks.fingerprint(self.network)


def _is_scaling(node: graph.Node, layer: keras.Operation) -> bool:
    # x / 255 is no layer, and does what one does.
    is_layer = isinstance(layer, keras.layers.Layer)
    scales = node.step is not None and type(node.step.map) is networks.Diagonal
    return type(layer) in _SCALINGS or (scales and not is_layer)


def read_subject(
    model: keras.Model | networks.Network,
    *,
    guard: str | None = None,
    rigor: str = "verified",
    assume: Mapping[str, graph.Assumption] | None = None,
    as_graph: bool | None = False,
) -> Subject:
    """Returns what a model computes, with what a run needs to know of it.

    Args:
        model: A Keras model, or a `Network`, taken as it is.
        guard: See `network_from_model`.
        rigor: See `network_from_model`.
        assume: See `network_from_model`.
        as_graph: Whether as a `networks.GraphNetwork`, for methods that need
            no chain; None for both, if there is a chain.

    Raises:
        UnsupportedModelError: The model cannot be certified.
        ValueError: `guard` or `rigor` is unknown, or set for a `Network`.
    """
    if isinstance(model, networks.Network | networks.GraphNetwork):
        if guard is not None or rigor != model.rigor.value:
            raise ValueError(
                "A Network brings its own rigor, and nothing executes it. "
                f"Received: guard={guard!r}, rigor={rigor!r}. Allowed: "
                f"guard=None, rigor={model.rigor.value!r}; or a Keras model."
            )
        return Subject(
            model=None,
            network=model,
            input_shape=(model.input_dim,),
            is_scaled=False,
        )
    network, found = adapter.read(
        model, guard=guard, rigor=rigor, assume=assume, as_graph=as_graph
    )
    graph_too = as_graph is None and guard is None
    return Subject(
        model=model,
        network=network,
        graph=adapter.as_graph_network(found, rigor) if graph_too else None,
        input_shape=model_calls.input_shape(model),
        is_scaled=any(map(_is_scaling, found.nodes, found.layers)),
        assumptions=found.assumptions,
    )
