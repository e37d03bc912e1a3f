"""TRADES: the loss of the data, and how far an attack moves the output."""

import keras
import tensorflow as tf

from tfcurv.nn.training.projected_gradient import ProjectedGradientAttack
from tfcurv.nn.training.projected_gradient import Slope
from tfcurv.nn.training.projected_gradient import slope_of


@keras.saving.register_keras_serializable(package="tfcurv")
class TradesAttack(ProjectedGradientAttack):
    """Adds to the loss of each example x

        beta max { KL(p(x) || p(x')) : x' within epsilon of x },

    p the softmax of the logits, the maximum as projected gradient descent finds
    it. Accuracy of the data is traded for robustness by beta.

        model.compile("adam", loss, adversary=tfcurv.nn.TradesAttack(0.5))

    It attacks inference; both p are those of training mode.

    Source: Zhang et al., "Theoretically Principled Trade-off between
    Robustness and Accuracy", ICML 2019, eq. (5).
    """

    def __init__(
        self,
        epsilon: float,
        *,
        beta: float = 6.0,
        norm: str = "l2",
        num_steps: int = 7,
        step_size: float | None = None,
        domain: tuple[float, float] | None = None,
    ):
        """Stores the settings.

        Args:
            epsilon: Radius of the ball, positive, in input units.
            beta: Weight of the divergence, positive.
            norm: Of the ball, "l2" or "linf".
            num_steps: Gradient evaluations a batch.
            step_size: As `ProjectedGradientAttack`.
            domain: As `ProjectedGradientAttack`.

        Raises:
            ValueError: A number is out of range or a name is unknown.
        """
        if not 0.0 < beta < float("inf"):
            raise ValueError(
                "The weight of the divergence must be positive and finite. "
                f"Received: beta={beta!r}."
            )
        # At x itself the divergence is least, with no slope to follow.
        super().__init__(
            epsilon,
            norm=norm,
            num_steps=num_steps,
            step_size=step_size,
            random_start=True,
            domain=domain,
        )
        del self._config["random_start"]
        self._config["beta"] = float(beta)

    @property
    def is_penalty(self) -> bool:
        """It is."""
        return True

    def penalty(
        self,
        model: keras.Model,
        x: tf.Tensor,
        y: tf.Tensor,
        logits: tf.Tensor,
    ) -> tf.Tensor:
        """Returns `[batch]` beta times the divergence at the attacked points.

        Args:
            model: Maps x to logits.
            x: `[batch, ...]` inputs.
            y: `[batch]` labels; points without one are not moved.
            logits: `[batch, classes]` of x, in training mode.
        """
        moved = self.perturb(model, None, x, y)
        there = tf.cast(model(moved, training=True), x.dtype)
        beta = tf.cast(self._config["beta"], x.dtype)
        return beta * divergence(tf.cast(logits, x.dtype), there)

    def _slope_at(self, model: keras.Model, x: tf.Tensor) -> Slope:
        logits = tf.cast(model(x, training=False), x.dtype)
        return slope_of(lambda _, there: divergence(logits, there), model)


def divergence(logits: tf.Tensor, there: tf.Tensor) -> tf.Tensor:
    """Returns `[batch]` KL(p || q) of the softmax of two rows of logits.

    Args:
        logits: `[batch, classes]` of p.
        there: `[batch, classes]` of q.
    """
    log_p, log_q = tf.nn.log_softmax(logits), tf.nn.log_softmax(there)
    return tf.reduce_sum(tf.exp(log_p) * (log_p - log_q), axis=-1)
