"""What every adversary of training is."""

import abc
from typing import Any

import keras
import tensorflow as tf

from tfcurv.nn.training.strength import Strength
from tfcurv.nn.training.trained_graph import TrainedGraph


class Adversary(abc.ABC):
    """Moves each training point to where the model does worse.

    It attacks the model as it is deployed and certified, in inference mode: no
    dropout, moving statistics in batch normalizations. The loss at the points
    that it finds is then taken in training mode, as `fit` does.

    Attributes:
        epsilon: Radius in force, a non-trainable scalar variable that
            callbacks may change during training; see `Strength`.
    """

    def __init__(self, epsilon: float, **config: Any):
        """Stores the settings.

        Args:
            epsilon: Radius, positive, in input units.
            **config: Further arguments of the constructor.

        Raises:
            ValueError: The radius is not positive and finite.
        """
        if not 0.0 < epsilon < float("inf"):
            raise ValueError(
                "The radius of the attack must be positive and finite. "
                f"Received: epsilon={epsilon!r}."
            )
        self._config = config
        self.epsilon = Strength(epsilon, name="epsilon")

    @property
    def needs_curvature(self) -> bool:
        """Whether the model's layers must track their spectral norms."""
        return False

    @property
    def is_penalty(self) -> bool:
        """Whether the loss stays that of the data, with a penalty beside it."""
        return False

    def penalty(
        self,
        model: keras.Model,
        x: tf.Tensor,
        y: tf.Tensor,
        logits: tf.Tensor,
    ) -> tf.Tensor:
        """Returns `[batch]` what is added to the losses of the examples.

        Of an adversary that `is_penalty`; it may not need the curvature.

        Args:
            model: Maps x to logits.
            x: As `perturb`.
            y: As `perturb`.
            logits: `[batch, classes]` of x, in training mode.
        """
        raise NotImplementedError

    @abc.abstractmethod
    def perturb(
        self,
        model: keras.Model,
        graph: TrainedGraph | None,
        x: tf.Tensor,
        y: tf.Tensor,
    ) -> tf.Tensor:
        """Returns the attacked points, in the shape and dtype of x.

        Args:
            model: Maps x to logits.
            graph: Its layers; None where the curvature is not needed.
            x: `[batch, ...]` inputs, float32 or float64, whatever the
                precision of the model: norms of gradients underflow in less.
            y: `[batch]` int32 labels; a point whose label is
                `targets.NO_CLASS` stays where it is.
        """

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, epsilon as it is by now."""
        return {"epsilon": self.epsilon.settled} | self._config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Adversary":
        """Returns an adversary with these arguments."""
        return cls(**config)


def check_steps(num_steps: int) -> int:
    """Returns the number of steps of an attack.

    Raises:
        ValueError: There is none.
    """
    if num_steps < 1:
        raise ValueError(
            "The attack needs at least one step. "
            f"Received: num_steps={num_steps!r}."
        )
    return int(num_steps)
