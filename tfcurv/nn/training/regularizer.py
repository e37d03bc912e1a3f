"""The curvature penalty that `model.add_loss` takes."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfcurv.nn.training import targets
from tfcurv.nn.training.strength import Strength
from tfcurv.nn.training.trained_graph import TrainedGraph


@keras.saving.register_keras_serializable(package="tfcurv")
class CurvatureRegularizer:
    """Adds gamma times K(W, y, t) to each example's loss.

    What Keras does with the loss of an example it does with its penalty too:
    sample and class weights, masks, ignored classes, the loss's reduction and
    replicas count for both alike. An example without a class has none.

    K is the curvature bound of [SF20, Theorem 4] for the label y and a target
    t, with the spectral norms that the layers' trackers estimate; see
    `tfcurv.bounds.theorem4_estimate`. It is that of the model as it is
    certified, in inference mode: batch normalizations count with their moving
    statistics. For `tfcurv.Sequential` and `tfcurv.Model` whose dense and
    convolution layers are those of `tfcurv.layers`:

        model.add_loss(tfcurv.CurvatureRegularizer(gamma=0.01))

    Source: Singla and Feizi, "Second-Order Provable Defenses against
    Adversarial Attacks", ICML 2020 [SF20], section 5.

    Attributes:
        gamma: Strength in force, a non-trainable scalar variable that
            callbacks may change during training; see `Strength`.
    """

    def __init__(self, gamma: float = 0.01, *, target: str = "runner-up"):
        """Stores the settings.

        Args:
            gamma: Strength, non-negative, in loss per curvature.
            target: "runner-up", "random" or "least-likely" class of the
                network's output in the step.

        Raises:
            ValueError: `gamma` is negative or not finite, or `target` is
                unknown.
        """
        if not 0.0 <= gamma < float("inf"):
            raise ValueError(
                "The strength must be non-negative and finite. "
                f"Received: gamma={gamma!r}."
            )
        self._target = targets.check_target(target)
        self.gamma = Strength(gamma, name="gamma")

    def per_example(
        self,
        graph: TrainedGraph,
        y: tf.Tensor,
        logits: tf.Tensor,
        *,
        converged: bool = False,
    ) -> tf.Tensor:
        """Returns gamma times K(W, y, t), `[batch]`, float32 at least.

        Args:
            graph: The model's layers.
            y: `[batch]` int32 labels; zero where one is `targets.NO_CLASS`.
            logits: `[batch, classes]` that choose the targets.
            converged: As `TrainedGraph.curvature_estimate`.
        """
        has_class = y != targets.NO_CLASS
        y = tf.where(has_class, y, 0)
        t = targets.choose_targets(logits, y, self._target)
        values = graph.curvature_estimate(y, t, converged=converged)
        values = tf.where(has_class, values, tf.zeros_like(values))
        return tf.cast(self.gamma, values.dtype) * values

    def __call__(
        self, graph: TrainedGraph, y: tf.Tensor, logits: tf.Tensor
    ) -> tf.Tensor:
        """Returns the mean over the batch, a scalar.

        Args:
            graph: The model's layers.
            y: `[batch]` int32 labels.
            logits: `[batch, classes]` that choose the targets.
        """
        return tf.reduce_mean(self.per_example(graph, y, logits))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, gamma as it is by now."""
        return {"gamma": self.gamma.settled, "target": self._target}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "CurvatureRegularizer":
        """Returns a regularizer with these arguments."""
        return cls(**config)


def penalties(
    regularizers: Sequence[CurvatureRegularizer],
    graph: TrainedGraph,
    labels: tf.Tensor,
    y_pred: tf.Tensor,
    *,
    converged: bool,
) -> tf.Tensor:
    """Returns the sum of some penalties, `[batch]`.

    Args:
        regularizers: At least one.
        graph: The model's layers.
        labels: `[batch]` int32.
        y_pred: `[batch, classes]` logits.
        converged: As `TrainedGraph.curvature_estimate`.
    """
    return tf.add_n(
        [
            each.per_example(graph, labels, y_pred, converged=converged)
            for each in regularizers
        ]
    )
