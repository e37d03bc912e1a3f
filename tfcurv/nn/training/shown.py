"""What a training step shows beside the loss, under the names of what it is."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfcurv.nn.training import targets
from tfcurv.nn.training.aims import Aims


class Shown:
    """Means over an epoch, and the strengths in force.

    With an adversary Keras' own metrics are of the points that it found: they
    are named `attacked_...`, and `accuracy` is the share of the images, as they
    are, that inference gets right. `penalty` is what is added to the loss.
    """

    def __init__(self) -> None:
        self._clean = keras.metrics.Mean(name="accuracy")
        self._penalty = keras.metrics.Mean(name="penalty")

    def reset(self) -> None:
        """Begins anew, as an epoch does."""
        self._clean.reset_state()
        self._penalty.reset_state()

    def see_clean(self, logits: tf.Tensor, labels: tf.Tensor) -> None:
        """Counts which images are right.

        Args:
            logits: `[batch, classes]` of inference.
            labels: `[batch]` int32; `targets.NO_CLASS` is not counted.
        """
        right = tf.argmax(logits, -1, output_type=tf.int32) == labels
        counted = labels != targets.NO_CLASS
        self._clean.update_state(right, tf.cast(counted, tf.float32))

    def see_penalty(self, penalty: tf.Tensor) -> None:
        """Takes `[batch]` penalties."""
        self._penalty.update_state(penalty)

    def logs(self, found: Mapping[str, Any], aims: Aims) -> dict[str, Any]:
        """Returns the logs of a step.

        Args:
            found: Keras' own.
            aims: What the step was for.
        """
        shown = dict(found)
        if aims.mover is not None:
            loss = {"loss": shown.pop("loss"), "accuracy": self._clean.result()}
            shown = loss | {f"attacked_{k}": v for k, v in shown.items()}
        if aims.regularizers or aims.penalizer is not None:
            shown["penalty"] = self._penalty.result()
        strengths = list(aims.strengths)
        if aims.worst_case is not None:  # Perhaps no warm-up raises them.
            strengths += aims.worst_case.epsilon, aims.worst_case.weight
        return shown | {
            each.name: tf.convert_to_tensor(each) for each in strengths
        }
