"""The curvature penalty that `model.add_loss` takes."""

from typing import Any

import keras
import tensorflow as tf

from tfcurv.nn import targets
from tfcurv.nn.trained_graph import TrainedGraph


@keras.saving.register_keras_serializable(package="tfcurv")
class CurvatureRegularizer:
    """Adds gamma times the mean of K(W, y, t) over the batch to the loss.

    K is the curvature bound of [SF20, Theorem 4] for the label y and a target
    t, with the spectral norms that the layers' trackers estimate; see
    `tfcurv.bounds.theorem4_estimate`. For `tfcurv.Sequential` and
    `tfcurv.Model` whose dense and convolution layers are those of
    `tfcurv.layers`:

        model.add_loss(tfcurv.CurvatureRegularizer(gamma=0.01))

    Source: Singla and Feizi, "Second-Order Provable Defenses against
    Adversarial Attacks", ICML 2020 [SF20], section 5.

    Attributes:
        gamma: Strength, a non-trainable scalar variable that callbacks may
            change during training.
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
        self._config = {
            "gamma": float(gamma),
            "target": targets.check_target(target),
        }
        self.gamma = keras.Variable(
            float(gamma), trainable=False, dtype="float32", name="gamma"
        )

    def __call__(
        self, graph: TrainedGraph, y: tf.Tensor, logits: tf.Tensor
    ) -> tf.Tensor:
        """Returns the penalty, a scalar.

        Args:
            graph: The model's layers.
            y: `[batch]` int32 labels.
            logits: `[batch, classes]` that choose the targets.
        """
        t = targets.choose_targets(logits, y, self._config["target"])
        mean = tf.reduce_mean(graph.curvature_estimate(y, t))
        return tf.cast(self.gamma, mean.dtype) * mean

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return dict(self._config)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "CurvatureRegularizer":
        """Returns a regularizer with these arguments."""
        return cls(**config)
