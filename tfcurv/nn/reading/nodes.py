"""What was read of a Keras model: a graph, and the layer of each node."""

import dataclasses
from typing import NamedTuple

import keras

from tfcurv import errors
from tfcurv import networks
from tfcurv.nn.reading.linear_step import LinearMapSpec

#: What a caller may say of a layer that is not known.
Assumption = LinearMapSpec | networks.Activation


class Refused(NamedTuple):
    """Stands for a node where reading went on; no graph has one.

    Attributes:
        sources: Positions of the earlier nodes that it reads.
        shape: Keras', None where open.
        error: Why it is refused; None for what stands behind another one.
        kind: None, where a node has its kind.
    """

    sources: tuple[int, ...]
    shape: tuple[int | None, ...]
    error: errors.UnsupportedModelError | None = None
    kind: None = None

    @property
    def mixes(self) -> bool:
        """Nothing is known of it."""
        return False


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """What a model computes in inference, and which layer does it.

    Attributes:
        graph: What the model computes.
        layers: For each node the Keras layer, for messages, weights and
            trackers; for what no layer does, such as the addition of two
            tensors, Keras' operation; for the input, the model.
        assumptions: Names of the layers that were taken for what the caller
            says they are, in the order in which they were read.
        trained_assumptions: Those of them that are in training mode when the
            model is merely called.
    """

    graph: networks.Graph
    layers: tuple[keras.Operation, ...]
    assumptions: tuple[str, ...] = ()
    trained_assumptions: tuple[str, ...] = ()

    @property
    def nodes(self) -> tuple[networks.Node, ...]:
        """The nodes of the graph."""
        return self.graph.nodes
