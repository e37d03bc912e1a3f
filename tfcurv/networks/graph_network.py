"""A graph with what attacks and proofs ask of a network, without a chain."""

from typing import Any
from typing import NamedTuple

import tensorflow as tf

from tfcurv import solvers
from tfcurv.networks.chain import Evaluation
from tfcurv.networks.evaluation import logit_errors
from tfcurv.networks.evaluation import logits_of
from tfcurv.networks.evaluation import values_of
from tfcurv.networks.fingerprint import digest
from tfcurv.networks.fingerprint import fingerprint
from tfcurv.networks.graph import Graph
from tfcurv.networks.graph import Kind
from tfcurv.networks.graph import Node
from tfcurv.networks.rounding import logit_error


class GraphForward(NamedTuple):
    """What a forward pass computes, row by row.

    Attributes:
        values: What each node gives, `[batch, size]`.
    """

    values: list[tf.Tensor]

    @property
    def features(self) -> tf.Tensor:
        """The logits: weights on features are weights on these."""
        return self.values[-1]


class GraphNetwork:
    """A graph as certificates see it: logits, margins, gradients, errors.

    Has what `Network` has for points, and no maps, norms or curvature
    of a chain. The features of a pair of classes are the logits themselves.

    Attributes:
        graph: The graph.
        rigor: How norms are to be bounded.
        execution: None: certificates are about exact arithmetic.
    """

    execution = None

    def __init__(
        self, graph: Graph, rigor: solvers.Rigor = solvers.Rigor.VERIFIED
    ):
        """Keeps what it is given.

        Args:
            graph: The graph.
            rigor: How norms are to be bounded.
        """
        self.graph = graph
        self.rigor = rigor

    @property
    def input_dim(self) -> int:
        """The number of inputs."""
        return self.graph.input_dim

    @property
    def num_classes(self) -> int:
        """The number of logits."""
        return self.graph.num_classes

    def columns(self, dtype: Any) -> tf.Tensor:
        """Returns the weights `[classes, classes]` of each logit."""
        return tf.eye(self.num_classes, dtype=dtype)

    def forward(self, x: tf.Tensor) -> GraphForward:
        """Returns the pass through all nodes, in x's dtype."""
        # In float64, where errors are bounded of what it computes.
        if x.dtype == tf.float64:
            with tf.device("CPU:0"):
                return GraphForward(values_of(self.graph, x))
        return GraphForward(values_of(self.graph, x))

    def logits(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the logits `[batch, classes]` at the rows of x."""
        return logits_of(self.graph, x)

    def logits_of(self, forward: GraphForward) -> tf.Tensor:
        """Returns the logits that a forward pass leads to."""
        return forward.features

    def pair(
        self, y: tf.Tensor, t: tf.Tensor, dtype: Any
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns weights `[batch, classes]` and biases `[batch]` of z_y - z_t.

        Args:
            y: `[batch]` int32 class that is to stay.
            t: `[batch]` int32 class that it is compared with.
            dtype: float32 or float64.
        """
        columns = self.columns(dtype)
        weights = tf.gather(columns, y) - tf.gather(columns, t)
        return weights, tf.zeros_like(weights[:, 0])

    def backward(
        self, forward: GraphForward, weights: tf.Tensor
    ) -> list[tf.Tensor]:
        """Returns the gradient of weights . logits by x, as the last of a list.

        Args:
            forward: What `forward` gave at x.
            weights: `[batch, classes]`.
        """
        slopes = {len(self.graph.nodes) - 1: weights}
        for position in range(len(self.graph.nodes) - 1, 0, -1):
            # What nothing reads has no slope.
            slope = slopes.pop(position, None)
            if slope is not None:
                node = self.graph.nodes[position]
                parts = self._pulled_back(forward, node, position, slope)
                for source, part in zip(node.sources, parts):
                    known = slopes.get(source)
                    slopes[source] = part if known is None else known + part
        # Where no node reads the input, nothing depends on it.
        return [slopes.get(0, tf.zeros_like(forward.values[0]))]

    def _pulled_back(self, forward, node: Node, position: int, slope):
        """Returns the part of the gradient by each source of a node."""
        values = [forward.values[source] for source in node.sources]
        if node.kind is Kind.LINEAR:
            return [node.step.map.transpose(slope)]
        if node.kind is Kind.ACTIVATION:
            return [slope * node.activation.slope(*values)]
        if node.kind is Kind.MAXIMUM:
            found = forward.values[position]
            return [node.windows.pull_back(values[0], found, slope)]
        if node.kind is Kind.ADD:
            return [slope] * len(values)
        shapes = self.graph.shapes(node.sources)
        samples = tf.reshape(slope, [-1, *node.shape])
        sizes = [shape[node.axis] for shape in shapes]
        parts = tf.split(samples, sizes, axis=node.axis + 1)
        return [
            tf.reshape(part, [-1, value.shape[-1]])
            for part, value in zip(parts, values)
        ]

    def evaluate(
        self, x: tf.Tensor, weights: tf.Tensor, bias: tf.Tensor
    ) -> Evaluation:
        """Returns f and grad f for f(x) = weights . logits(x) + bias.

        Args:
            x: `[batch, dim]` points, float32 or float64.
            weights: `[batch, classes]` as given by `pair`.
            bias: `[batch]` as given by `pair`.
        """
        forward = self.forward(x)
        margin = tf.reduce_sum(forward.features * weights, axis=-1) + bias
        return Evaluation(margin, self.backward(forward, weights)[-1])


@logit_error.register
def _(
    network: GraphNetwork,
    forward: GraphForward,
    roundoff: float | None = None,
) -> tf.Tensor:
    errors = logit_errors(network.graph, forward.values, roundoff)
    return tf.reduce_max(errors, axis=-1)


@fingerprint.register
def _(network: GraphNetwork) -> str:
    found = network.graph.fingerprint
    return digest(("tfcurv-graph-network-1", found, network.rigor))
