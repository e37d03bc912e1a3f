"""Projected gradient descent, the adversary that others are measured by."""

from collections.abc import Callable
import math

import keras
import tensorflow as tf

from tfcurv.certificates import Threat
from tfcurv.nn.training import targets
from tfcurv.nn.training.adversary import Adversary
from tfcurv.nn.training.adversary import check_steps
from tfcurv.nn.training.trained_graph import TrainedGraph

#: Maps points and labels to gradients.
Slope = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@keras.saving.register_keras_serializable(package="tfcurv")
class ProjectedGradientAttack(Adversary):
    """Moves each training point up the loss, step by step, within epsilon.

        x <- project(x + step_size * u),  u = g / ||g||_2 or sign(g),

    with g the gradient of the cross entropy of the label and `project` onto
    the ball around the point and the domain.

        model.compile("adam", loss, adversary=tfcurv.nn.ProjectedGradientAttack(
            0.1, norm="linf", domain=(0.0, 1.0)))

    Source: Madry et al., "Towards Deep Learning Models Resistant to
    Adversarial Attacks", ICLR 2018.
    """

    def __init__(
        self,
        epsilon: float,
        *,
        norm: str = "l2",
        num_steps: int = 7,
        step_size: float | None = None,
        random_start: bool = True,
        domain: tuple[float, float] | None = None,
    ):
        """Stores the settings.

        Args:
            epsilon: Radius of the ball, positive, in input units.
            norm: Of the ball, "l2" or "linf".
            num_steps: Gradient evaluations a batch.
            step_size: Of each, as a share of epsilon, positive. Default:
                2.5 / num_steps.
            random_start: Whether to begin at a random point of the ball.
            domain: Interval that every entry of a point is to lie in.

        Raises:
            ValueError: A number is out of range or a name is unknown.
        """
        threat = Threat(norm=norm, domain=domain)
        if not (step_size is None or 0.0 < step_size < math.inf):
            raise ValueError(
                "A step has a size, positive and finite. "
                f"Received: step_size={step_size!r}."
            )
        super().__init__(
            epsilon,
            norm=norm,
            num_steps=check_steps(num_steps),
            step_size=step_size,
            random_start=bool(random_start),
            domain=threat.domain,
        )
        self._random_start = bool(random_start)
        self._threat = threat

    def perturb(
        self,
        model: keras.Model,
        graph: TrainedGraph | None,
        x: tf.Tensor,
        y: tf.Tensor,
    ) -> tf.Tensor:
        """Returns the attacked points; no graph is needed."""
        del graph
        config, slope = self._config, self._slope_at(model, x)
        has_class = y != targets.NO_CLASS
        y = tf.where(has_class, y, 0)
        flat = [-1, math.prod(x.shape[1:])]
        centre = tf.reshape(x, flat)
        epsilon = tf.cast(self.epsilon, x.dtype)
        radius = tf.fill(tf.shape(centre)[:1], epsilon)
        share = config["step_size"] or 2.5 / config["num_steps"]
        point = centre
        if self._random_start:
            point = self._into(centre, radius, centre + self._noise(centre))
        for _ in range(config["num_steps"]):
            up = slope(tf.reshape(point, tf.shape(x)), y)
            way = self._threat.unit(_scaled(tf.reshape(up, flat)))
            step = share * epsilon * way
            # NaN and infinity move nothing.
            step = tf.where(tf.math.is_finite(step), step, 0.0 * centre)
            point = self._into(centre, radius, point + step)
        point = tf.where(has_class[:, tf.newaxis], point, centre)
        return tf.stop_gradient(tf.reshape(point, tf.shape(x)))

    def _slope_at(self, model: keras.Model, x: tf.Tensor) -> Slope:
        """Returns the gradient that is followed from x on."""
        del x
        return slope_of(tf.nn.sparse_softmax_cross_entropy_with_logits, model)

    def _noise(self, centre: tf.Tensor) -> tf.Tensor:
        epsilon = tf.cast(self.epsilon, centre.dtype)
        shape, dtype = tf.shape(centre), centre.dtype
        if self._threat.norm == "linf":
            return epsilon * tf.random.uniform(shape, -1.0, 1.0, dtype)
        length = epsilon * tf.random.uniform([shape[0], 1], dtype=dtype)
        return length * self._threat.unit(tf.random.normal(shape, dtype=dtype))

    def _into(self, centre, radius, point) -> tf.Tensor:
        # A point may lie out of the domain itself, and then stays there.
        inside = self._threat.cut(centre)
        outside = centre - inside
        return self._threat.into(inside, radius, point - outside) + outside


def slope_of(
    loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], model: keras.Model
) -> Slope:
    """Returns what maps points and labels to the gradients of a loss there.

    Args:
        loss: Maps `[batch]` labels and `[batch, classes]` logits to `[batch]`.
        model: Maps points to logits; in inference mode.
    """

    def slope(points: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(points)
            logits = tf.cast(model(points, training=False), points.dtype)
            value = loss(y, logits)
        return tape.gradient(value, points)

    return slope


def _scaled(slope: tf.Tensor) -> tf.Tensor:
    """Returns slopes whose squares are numbers, of the same directions."""
    largest = tf.reduce_max(tf.abs(slope), axis=-1, keepdims=True)
    return tf.math.divide_no_nan(slope, largest)
