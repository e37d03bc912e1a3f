"""The adversary of curvature-based robust training."""

from collections.abc import Callable

import keras
import tensorflow as tf

from tfcurv.nn.training import targets
from tfcurv.nn.training.adversary import Adversary
from tfcurv.nn.training.adversary import check_steps
from tfcurv.nn.training.trained_graph import TrainedGraph

_CONSTRAINTS = ("dual", "sphere")

# Proved |m| over K of Theorem 4, mean over six pairs: 0.41 for 784-1024-10,
# 0.56 for 784-1024-1024-10 softplus, trained on MNIST with gamma 0.01.
_SHALLOW_FRACTION, _DEEP_FRACTION = 0.4, 0.6


@keras.saving.register_keras_serializable(package="tfcurv")
class CurvatureAttack(Adversary):
    """Moves each training point towards its worst point in an l2 ball.

    Iterates x <- x0 - g(x) / lambda, with g the gradient of z_y - z_t and

        lambda = max(||g|| / epsilon, |m|)    ("dual": the optimum of the
                                              attack dual of [SF20, Theorem 2]),
        lambda = ||g|| / epsilon              ("sphere": always at distance
                                              epsilon).

    The dual optimum lies inside the ball where ||g|| / epsilon < |m|, which
    spares networks with large curvature points that they could not be
    certified at. |m| is estimated as a fraction of K of Theorem 4.

    Source: Singla and Feizi, "Second-Order Provable Defenses against
    Adversarial Attacks", ICML 2020 [SF20].
    """

    def __init__(
        self,
        epsilon: float,
        *,
        num_steps: int = 3,
        constraint: str = "dual",
        curvature_fraction: float | None = None,
        target: str = "runner-up",
    ):
        """Stores the settings.

        Args:
            epsilon: Radius of the ball, positive, in input units.
            num_steps: Gradient evaluations a batch. More train no better
                networks; benchmarks/README.md has the curve.
            constraint: "dual" or "sphere".
            curvature_fraction: |m| relative to K of Theorem 4, which is too
                large. Default: 0.4 for two layers and 0.6 for more, about
                what proved bounds of trained networks are. Without effect
                on the sphere.
            target: "runner-up", "random" or "least-likely" class at x0.

        Raises:
            ValueError: A number is out of range or a name is unknown.
        """
        if constraint not in _CONSTRAINTS:
            raise ValueError(
                "Unknown constraint. "
                f"Received: constraint={constraint!r}. Allowed: {_CONSTRAINTS}."
            )
        fraction = curvature_fraction
        if not (fraction is None or 0.0 <= fraction <= 1.0):
            raise ValueError(
                "The fraction must lie in [0, 1]. "
                f"Received: curvature_fraction={curvature_fraction!r}."
            )
        super().__init__(
            epsilon,
            num_steps=check_steps(num_steps),
            constraint=constraint,
            curvature_fraction=curvature_fraction,
            target=targets.check_target(target),
        )

    @property
    def needs_curvature(self) -> bool:
        """Whether the model's layers must track their spectral norms."""
        return self._config["constraint"] == "dual"

    def perturb(
        self,
        model: keras.Model,
        graph: TrainedGraph | None,
        x: tf.Tensor,
        y: tf.Tensor,
    ) -> tf.Tensor:
        """Returns the attacked points; on the sphere no graph is needed."""
        has_class = y != targets.NO_CLASS
        y = tf.where(has_class, y, 0)
        kind = self._config["target"]
        # The pass that chooses the targets is the first gradient's, too.
        first, t = _margin_gradient(
            model, x, y, lambda logits: targets.choose_targets(logits, y, kind)
        )

        def gradient(points):
            return _margin_gradient(model, points, y, lambda _: t)[0]

        least = tf.zeros_like(y, x.dtype)
        if self.needs_curvature and graph is not None:
            curvature = tf.stop_gradient(graph.curvature_estimate(y, t))
            least = self._fraction(graph) * tf.cast(curvature, x.dtype)
        column = [-1] + [1] * (x.shape.rank - 1)
        attacked = self.descend(gradient, x, first, tf.reshape(least, column))
        attacked = tf.where(tf.reshape(has_class, column), attacked, x)
        return tf.stop_gradient(attacked)

    def _fraction(self, graph: TrainedGraph) -> float:
        given = self._config["curvature_fraction"]
        if given is not None:
            return given
        shallow = graph.num_layers <= 2
        return _SHALLOW_FRACTION if shallow else _DEEP_FRACTION

    def descend(
        self,
        gradient: Callable[[tf.Tensor], tf.Tensor],
        x: tf.Tensor,
        first: tf.Tensor,
        least: tf.Tensor,
    ) -> tf.Tensor:
        """Returns the attacked points: the iteration alone, to be overridden.

        Args:
            gradient: Maps points `[batch, ...]` to the margins' gradients.
            x: `[batch, ...]` where the attack starts.
            first: `[batch, ...]` the gradients at x.
            least: `[batch, 1, ...]` |m|; zeros on the sphere.
        """
        attacked = self._step(x, first, least)
        for _ in range(self._config["num_steps"] - 1):
            attacked = self._step(x, gradient(attacked), least)
        return attacked

    def _step(self, x, gradient, least):
        # step = g / max(||g|| / epsilon, |m|), without dividing by either. In
        # units of the largest entry, whose square may be no number.
        axes = list(range(1, gradient.shape.rank))
        largest = tf.reduce_max(tf.abs(gradient), axes, keepdims=True)
        usable = (largest > 0.0) & tf.math.is_finite(largest)
        unit = tf.where(usable, largest, tf.ones_like(largest))
        direction = tf.where(usable, gradient / unit, tf.zeros_like(gradient))
        squared = tf.reduce_sum(tf.square(direction), axes, keepdims=True)
        epsilon = tf.cast(self.epsilon, x.dtype)
        norm = tf.sqrt(tf.maximum(squared, 1.0))
        # An infinite |m| holds a point in place; one that is NaN says nothing.
        held = least * epsilon / unit
        norm = tf.maximum(norm, tf.where(tf.math.is_nan(held), norm, held))
        return x - epsilon / norm * direction


def _margin_gradient(model, x, y, choose):
    """Returns the gradients of z_y - z_t, and t as chosen by the logits."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        logits = tf.cast(model(x, training=False), x.dtype)
        t = choose(logits)
        own = tf.gather(logits, y, batch_dims=1)
        margin = own - tf.gather(logits, t, batch_dims=1)
    return tape.gradient(margin, x), t
