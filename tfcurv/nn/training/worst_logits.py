"""What every objective is that adds the loss of the worst logits nearby."""

import abc
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import tensorflow as tf

from tfcurv.nn.training import targets
from tfcurv.nn.training.strength import Strength
from tfcurv.nn.training.trained_graph import TrainedGraph

#: Of all objectives: names of their metrics.
METRICS = ("verified_estimate", "attacked_estimate")


class Logits(NamedTuple):
    """Two kinds of logits, whose losses are mixed.

    Attributes:
        usual: `[batch, classes]` that the loss would be of without the other.
        worst: `[batch, classes]` the worst of all inputs nearby.
        penalty: `[batch]` added to the losses of the examples; None for none.
    """

    usual: tf.Tensor
    worst: tf.Tensor
    penalty: Any = None


class WorstLogits(abc.ABC):
    """An objective: (1 - weight) loss(usual logits) + weight loss(worst).

    Attributes:
        epsilon: Distance in force, a variable; see `Strength`.
        weight: Of the worst logits' loss in force, a variable.
    """

    #: Of the metric: the share of examples that are right at the worst logits.
    metric = "verified_estimate"

    #: Whether the usual logits take the place of what the model says.
    replaces = False

    def __init__(self, epsilon: float, weight: float):
        """Stores the strengths.

        Args:
            epsilon: Distance, in units of the model's input, non-negative.
            weight: Of the loss of the worst logits, in [0, 1].

        Raises:
            ValueError: A number is out of range.
        """
        if not 0.0 <= epsilon < float("inf") or not 0.0 <= weight <= 1.0:
            raise ValueError(
                "The distance must be non-negative and finite, the weight in "
                f"[0, 1]. Received: epsilon={epsilon!r}, weight={weight!r}."
            )
        self.epsilon = Strength(epsilon, name="epsilon")
        self.weight = Strength(weight, name="weight")

    @property
    def needs_norms(self) -> bool:
        """Whether trained layers must carry trackers."""
        return False

    @property
    def strengths(self) -> tuple[Strength, ...]:
        """What a `WarmUp` raises."""
        return self.epsilon, self.weight

    def logits(self, graph: TrainedGraph, x: tf.Tensor, y: tf.Tensor) -> Logits:
        """Returns logits of inference, and the worst ones.

        Args:
            graph: The model's layers.
            x: `[batch, ...]` inputs.
            y: `[batch]` int32 labels, each a class.
        """
        count = tf.shape(x)[0]
        # TensorFlow's convolutions fail on the empty batch of a replica.
        extra = tf.cast(count == 0, tf.int32)
        x = tf.reshape(tf.cast(x, graph.dtype), [count, graph.graph.input_dim])
        x, y = tf.pad(x, [[0, extra], [0, 0]]), tf.pad(y, [[0, extra]])
        found = self._logits(graph, x, y)
        return Logits(*(None if e is None else e[:count] for e in found))

    @abc.abstractmethod
    def _logits(
        self, graph: TrainedGraph, x: tf.Tensor, y: tf.Tensor
    ) -> Logits:
        """Returns those of flattened rows, at least one."""

    @abc.abstractmethod
    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, the numbers as they are now."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "WorstLogits":
        """Returns one with these arguments."""
        return cls(**config)


class Mixed(NamedTuple):
    """The loss of a batch, and what was seen on the way.

    Attributes:
        loss: As Keras reduces it.
        verified: `[batch]` whether the label stays the largest of the worst
            logits; no proof.
        counted: `[batch]` whether the example has a class.
        penalty: `[batch]`, not in the loss; None for none.
    """

    loss: tf.Tensor
    verified: tf.Tensor
    counted: tf.Tensor
    penalty: Any = None


def mixed_loss(
    objective: WorstLogits,
    graph: TrainedGraph,
    loss_of: Callable[[tf.Tensor], tf.Tensor],
    x: tf.Tensor,
    labels: tf.Tensor,
    y_pred: tf.Tensor,
    *,
    is_deployed: bool,
) -> Mixed:
    """Returns a mean of Keras' loss and that of the worst logits.

    Args:
        objective: What is trained for.
        graph: The model's layers.
        loss_of: The compiled loss at some logits.
        x: `[batch, ...]` inputs.
        labels: `[batch]` int32; an example whose label is `targets.NO_CLASS`
            counts as the loss counts it.
        y_pred: `[batch, classes]` what the model said.
        is_deployed: Whether it said what it says in inference.
    """
    counted = labels != targets.NO_CLASS
    labels = tf.where(counted, labels, 0)
    usual, worst, penalty = objective.logits(graph, x, labels)
    if is_deployed or objective.replaces:
        # Where the numbers are the same, their gradient is wanted anyway.
        y_pred = tf.cast(usual, y_pred.dtype)
    loss = loss_of(y_pred)
    weight = tf.cast(objective.weight, loss.dtype)
    mixed = (1.0 - weight) * loss
    mixed += weight * loss_of(tf.cast(worst, y_pred.dtype))
    return Mixed(mixed, _verified(worst, labels), counted, penalty)


def _verified(worst_logits: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Returns `[batch]` whether the label's logit is the largest; no proof."""
    own = tf.gather(worst_logits, y, batch_dims=1)[:, tf.newaxis]
    is_rival = tf.one_hot(y, worst_logits.shape[-1]) < 0.5
    return tf.reduce_all((own > worst_logits) | ~is_rival, axis=-1)
