"""What a model computes: maps, activations, maxima and joins. No Keras."""

from collections.abc import Sequence
import dataclasses
import enum
import functools
import math
from typing import Any
from typing import NamedTuple

import numpy as np

from tfcurv.networks.fingerprint import digest
from tfcurv.networks.maps.elementary import Diagonal
from tfcurv.networks.maps.elementary import Selection
from tfcurv.networks.maps.linear_map import Identity
from tfcurv.networks.maps.linear_map import LinearMap

# Maps that give each element of their output from one of their input.
_ELEMENTWISE = (Diagonal, Identity, Selection)


class Kind(enum.Enum):
    """What a node computes from its sources."""

    INPUT = "input"
    LINEAR = "linear"
    ACTIVATION = "activation"
    MAXIMUM = "maximum"
    ADD = "add"
    CONCATENATE = "concatenate"


class LinearStep(NamedTuple):
    """An affine map x -> x K + b of one flattened sample.

    Attributes:
        map: K, with the stored weights.
        bias: `[outputs]` float64.
        roundings: The exact weights lie within gamma(roundings) |K| of those
            of `map`, entry by entry.
        bias_error: Bounds the l2 distance of the exact bias from `bias`.
    """

    map: LinearMap
    bias: np.ndarray
    roundings: int = 0
    bias_error: float = 0.0


class Node(NamedTuple):
    """One step of what a model computes.

    Attributes:
        kind: What the node computes.
        sources: Positions of the earlier nodes that it reads. One that is
            read twice is named twice.
        shape: Of one sample after it.
        activation: The `Activation` of an ACTIVATION.
        axis: Of a CONCATENATE, from 0, not counting the batch.
        step: The `LinearStep` of a LINEAR, as the weights were when the model
            was read.
        windows: The `MaxPooling` of a MAXIMUM.
        name: What messages call it. Decides nothing.
    """

    kind: Kind
    sources: tuple[int, ...]
    shape: tuple[int, ...]
    activation: Any = None
    axis: Any = None
    step: Any = None
    windows: Any = None
    name: str = ""

    @property
    def size(self) -> int:
        """The number of elements after it."""
        return math.prod(self.shape)

    @property
    def mixes(self) -> bool:
        """Whether an output may rest on several inputs."""
        step = self.step
        return step is not None and type(step.map) not in _ELEMENTWISE


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """What a model computes in inference, on flattened samples.

    Attributes:
        nodes: In topological order: the first is the input, the only one of
            its kind, and the last gives the logits.
    """

    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        for position, node in enumerate(self.nodes):
            is_input = node.kind is Kind.INPUT
            backward = all(0 <= s < position for s in node.sources)
            if is_input != (position == 0) or not backward:
                raise ValueError(
                    "A graph begins with its only input, and each further "
                    f"node reads earlier ones. Received: node {position} of "
                    f"kind {node.kind.value!r} with sources {node.sources}."
                )

    @property
    def input_dim(self) -> int:
        """The number of inputs."""
        return self.nodes[0].size

    @property
    def num_classes(self) -> int:
        """The number of logits."""
        return self.nodes[-1].size

    @functools.cached_property
    def fingerprint(self) -> str:
        """sha256 of all that decides what the graph computes: 64 hex digits.

        Raises:
            TypeError: A part is of a type of which nothing is known.
        """
        nodes = [tuple(node._replace(name="")) for node in self.nodes]
        return digest(("tfcurv-graph-1", nodes))

    def shapes(self, positions: Sequence[int]) -> list[tuple[int, ...]]:
        """Returns the shapes of one sample after some nodes."""
        return [self.nodes[position].shape for position in positions]
