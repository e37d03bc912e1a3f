"""The graph of a Keras model: linear maps, activations and joins."""

import dataclasses
import enum
from typing import NamedTuple

import keras

from tfcurv import bounds
from tfcurv import errors
from tfcurv.nn.linear_step import LinearMapSpec
from tfcurv.nn.linear_step import LinearStep

# Maps that give each element of their output from one of their input.
_ELEMENTWISE = (bounds.Diagonal, bounds.Identity, bounds.Selection)


class Kind(enum.Enum):
    """What a node computes from its sources."""

    INPUT = "input"
    LINEAR = "linear"
    ACTIVATION = "activation"
    ADD = "add"
    CONCATENATE = "concatenate"
    # Stands where reading went on; no graph that is returned has one.
    REFUSED = "refused"


class Node(NamedTuple):
    """One step of what a model computes.

    Attributes:
        layer: The Keras layer, for messages and weights; for what no layer
            does, such as the addition of two tensors, Keras' operation; for
            the input, the model.
        kind: What the node computes.
        sources: Positions of the earlier nodes that it reads. One that is
            read twice is named twice.
        shape: Of one sample after it.
        activation: Of an ACTIVATION.
        axis: Of a CONCATENATE, from 0, not counting the batch.
        step: Of a LINEAR, as the weights were when the model was read.
        refusal: Of a REFUSED: why. The shape is Keras', None where open.
    """

    layer: keras.Operation
    kind: Kind
    sources: tuple[int, ...]
    shape: tuple[int, ...]
    activation: bounds.Activation | None = None
    axis: int | None = None
    step: LinearStep | None = None
    refusal: errors.UnsupportedModelError | None = None

    @property
    def mixes(self) -> bool:
        """Whether an output may rest on several inputs."""
        step = self.step
        return step is not None and type(step.map) not in _ELEMENTWISE


#: What a caller may say of a layer that is not known.
Assumption = LinearMapSpec | bounds.Activation


@dataclasses.dataclass(frozen=True, kw_only=True)
class Graph:
    """What a model computes in inference.

    Attributes:
        nodes: In topological order: the first is the input, the only one of
            its kind, and the last gives the logits.
        assumptions: Names of the layers that were taken for what the caller
            says they are, in the order in which they were read.
        trained_assumptions: Those of them that are in training mode when the
            model is merely called.
    """

    nodes: tuple[Node, ...]
    assumptions: tuple[str, ...] = ()
    trained_assumptions: tuple[str, ...] = ()
