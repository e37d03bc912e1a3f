"""`keras.Sequential` and `keras.Model` with curvature-based training."""

import dataclasses
import inspect
from typing import TYPE_CHECKING
from typing import Any

import keras
import tensorflow as tf

from tfcurv.nn.training import building
from tfcurv.nn.training import rebuilding
from tfcurv.nn.training import targets
from tfcurv.nn.training import usage
from tfcurv.nn.training.adversary import Adversary
from tfcurv.nn.training.aims import Aims
from tfcurv.nn.training.example_losses import reduce_as_compiled
from tfcurv.nn.training.regularizer import CurvatureRegularizer
from tfcurv.nn.training.regularizer import penalties
from tfcurv.nn.training.shown import Shown
from tfcurv.nn.training.strength import Clock
from tfcurv.nn.training.strength import Strength
from tfcurv.nn.training.trained_graph import TrainedGraph
from tfcurv.nn.training.worst_logits import METRICS
from tfcurv.nn.training.worst_logits import Mixed
from tfcurv.nn.training.worst_logits import WorstLogits
from tfcurv.nn.training.worst_logits import mixed_loss

# Key under which a model's config holds what Keras' own config does not.
_EXTRAS = "tfcurv"

if TYPE_CHECKING:
    from keras import Model as _KerasModel
else:  # Each class names its own.
    _KerasModel = object


class _CurvatureTraining(_KerasModel):
    """What both model classes add to Keras' own.

    `add_loss` takes a `CurvatureRegularizer`, `compile` an `adversary`; both
    are saved with the model. Everything else is stock Keras. As in stock
    Keras, `clone_model` copies layers, not added losses: clone with
    `from_config(model.get_config())` to keep regularizers and adversary.

    What penalty and adversary have read of the model, and what may change, is
    read again when `fit`, `evaluate` or a batch of one's own begins: layers,
    activations, scales, the weights of layers that are not trained. Without
    them a compiled step stays what it is until the next `compile`, as in Keras.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._aims = Aims()
        self._loss_weights: Any = None
        self._trained_graph: TrainedGraph | None = None
        self._clock: Clock | None = None
        self._shown = Shown()

    @property
    def adversary(self) -> Adversary | None:
        """The adversary given to `compile`."""
        return self._aims.adversary

    @property
    def worst_case(self) -> WorstLogits | None:
        """That of `compile`."""
        return self._aims.worst_case

    @property
    def curvature_regularizers(self) -> tuple[CurvatureRegularizer, ...]:
        """The regularizers given to `add_loss`; may be set, also to `()`."""
        return self._aims.regularizers

    @curvature_regularizers.setter
    def curvature_regularizers(self, regularizers) -> None:
        self._aims = dataclasses.replace(self._aims, regularizers=regularizers)
        self._aims.follow(self._clock)
        self._trace_again()

    @property
    def strengths(self) -> tuple[Strength, ...]:
        """The numbers that a `WarmUp` raises: gammas, epsilons, a weight."""
        return self._aims.strengths

    def add_loss(self, loss: Any) -> None:
        """Adds a `CurvatureRegularizer`, or what Keras' own `add_loss` takes.

        Args:
            loss: The regularizer, or scalar loss tensors.

        Raises:
            UnsupportedModelError: At the first training step or evaluation,
                if a regularizer cannot read the model.
        """
        if isinstance(loss, CurvatureRegularizer):
            self.curvature_regularizers = (*self._aims.regularizers, loss)
        else:
            super().add_loss(loss)

    def compile(
        self,
        *args: Any,
        adversary: Adversary | None = None,
        worst_case: WorstLogits | None = None,
        power_iterations: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Compiles as Keras does, for robust or for certified training.

        Args:
            *args: As `keras.Model.compile`.
            adversary: Attack on the inputs of every training step; or None.
            worst_case: Whose loss, of the worst logits near each example, is
                a part of the loss, in training and in evaluation; or None.
            power_iterations: Steps of power iteration a training batch, for
                the spectral norms that training sees. Default: 1, see
                benchmarks/README.md; of a worst case by norms 20.
            **kwargs: As `keras.Model.compile`.

        Raises:
            TypeError: `adversary` is no `Adversary`, or `worst_case` neither
                a `WorstCase` nor a `LayerwiseAdversary`.
            ValueError: `power_iterations` is not positive.
        """
        steps = usage.check_compiled(adversary, worst_case, power_iterations)
        super().compile(*args, **kwargs)
        given = inspect.signature(super().compile).bind(*args, **kwargs)
        self._loss_weights = given.arguments.get("loss_weights")
        self._aims = dataclasses.replace(
            self._aims,
            adversary=adversary,
            worst_case=worst_case,
            power_iterations=steps,
        )
        with self.distribute_strategy.scope():
            self._clock = Clock()  # Every replica counts for itself.
            if worst_case is not None:
                self._verified = keras.metrics.Mean(name=worst_case.metric)
        self._aims.follow(self._clock)
        self._trained_graph = None

    @property
    def metrics(self) -> list[keras.Metric]:
        """Keras' own; of a worst case, the share that it leaves right."""
        own, worst = getattr(self, "_verified", None), self._aims.worst_case
        # Keras keeps those of earlier compilations, too.
        return [
            m
            for m in super().metrics
            if m.name not in METRICS or (worst is not None and m is own)
        ]

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """Trains as Keras does; however it ends, no warm-up outlives it."""
        # An adversary may have been elsewhere since.
        self._aims.follow(self._clock)
        try:
            return super().fit(*args, **kwargs)
        finally:
            # Keras calls no hook of a callback at an interruption.
            for strength in self._aims.strengths:
                strength.settle()

    def make_train_function(self, force: bool = False) -> None:
        """Makes the function that trains on batches, anew if it is stale."""
        self._read_again()
        building.build_optimizer(self)
        super().make_train_function(force)

    def make_test_function(self, force: bool = False) -> None:
        """Makes the function that tests on batches, anew if it is stale."""
        self._read_again()
        super().make_test_function(force)

    def update_spectral_norms(self) -> None:
        """Takes steps of power iteration on every tracked kernel.

        `train_step` does it once a batch; a training loop of one's own calls
        it once a batch too. There are as many as `compile` was told, one if it
        was told nothing, and more on a kernel that is new.
        """
        if self._aims.needs_graph:
            self._read_graph().step(self._aims.power_iterations)

    def train_step(self, data: Any) -> dict[str, Any]:
        """Attacks the batch if there is an adversary, then trains on it.

        Attacked is inference, as deployed; trained training mode, as in Keras.
        """
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        if self._aims.adversary is not None:
            usage.check_attacked(self, x)
        self.update_spectral_norms()
        mover = self._aims.mover
        if mover is not None:
            graph = self._read_graph() if self._aims.needs_graph else None
            labels = self._labels(y, self.output_shape[-1])
            self._shown.see_clean(self(x, training=False), labels)
            x = mover.perturb(self, graph, self._in_full(x), labels)
        logs = super().train_step((x, y, weight))
        if self._clock is not None:
            self._clock.tick()
        return self._shown.logs(logs, self._aims)

    def reset_metrics(self) -> None:
        """Resets the state of all metrics, as an epoch begins."""
        super().reset_metrics()
        self._shown.reset()

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Returns Keras' loss plus the penalties, reduced alike."""
        worst = self._aims.worst_case
        if self._aims.regularizers or worst is not None:
            usage.check_labelled(self, y)
        values = self._penalties(x, y, y_pred, training)
        if worst is None:
            loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        else:
            found = self._mixed(worst, x, y, y_pred, sample_weight, training)
            loss = found.loss
            values += [found.penalty] if found.penalty is not None else []
        if not values:
            return loss
        added = tf.add_n(values)
        if training:
            self._shown.see_penalty(added)
        penalty = reduce_as_compiled(
            added,
            self.loss,
            y,
            y_pred,
            sample_weight,
            self._loss_weights,
        )
        if loss.dtype.size < penalty.dtype.size:
            return tf.cast(loss, penalty.dtype) + penalty
        return loss + tf.cast(penalty, loss.dtype)

    def _penalties(self, x, y, y_pred, training) -> list[tf.Tensor]:
        """Returns `[batch]` values, of regularizers and of an adversary."""
        found = []
        if regularizers := self._aims.regularizers:
            labels = self._labels(y, y_pred.shape[-1])
            of = regularizers, self._read_graph(), labels, y_pred
            found.append(penalties(*of, converged=not training))
        if training and (adversary := self._aims.penalizer) is not None:
            labels = self._labels(y, y_pred.shape[-1])
            x = self._in_full(x)
            found.append(adversary.penalty(self, x, labels, y_pred))
        return found

    def _in_full(self, x: Any) -> tf.Tensor:
        is_double = self.compute_dtype == "float64"
        return tf.cast(x, tf.float64 if is_double else tf.float32)

    def _mixed(self, worst, x, y, y_pred, sample_weight, training) -> Mixed:
        """Returns a mean of Keras' loss and that of the worst logits."""
        usage.check_attacked(self, x)
        keras_loss = super().compute_loss
        found = mixed_loss(
            worst,
            self._read_graph(),
            lambda y_pred: keras_loss(x, y, y_pred, sample_weight, training),
            x,
            self._labels(y, y_pred.shape[-1]),
            y_pred,
            is_deployed=not training or not usage.has_training_mode(self),
        )
        shares = tf.cast(found.counted, tf.float32)
        if sample_weight is not None:
            given = tf.cast(keras.tree.flatten(sample_weight)[0], shares.dtype)
            shares *= tf.reshape(given, [-1])
        self._verified.update_state(found.verified, shares)
        return found

    def _labels(self, y: Any, num_classes: int) -> tf.Tensor:
        usage.check_labelled(self, y)
        return targets.class_indices(keras.tree.flatten(y)[0], num_classes)

    def export_plain(self) -> keras.Model:
        """Returns a stock Keras model with the same weights.

        It can be saved and loaded where tfcurv is not installed. Names, dtype
        policies, `trainable` flags and models in models stay; it shares no
        weights with this model and is not compiled, and has neither
        regularizers nor adversary. `tfcurv.from_keras` goes the other way.

        Raises:
            UnsupportedModelError: A layer cannot be made anew from its config,
                or the model is of a subclass.
        """
        plain = {own: kind for kind, own in rebuilding.TRACKED.items()}
        containers = keras.Sequential, keras.Model
        return rebuilding.rebuild(self, plain, containers)

    def get_config(self) -> dict[str, Any]:
        """Returns Keras' config, the regularizers and the adversary.

        They are not part of the compile config, which
        `keras.models.clone_model` hands to a stock `keras.Sequential`.
        """
        config = super().get_config()
        config[_EXTRAS] = self._aims.get_config()
        return config

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> keras.Model:
        """Returns the model that `get_config` describes."""
        config = dict(config)
        extras = config.pop(_EXTRAS, None)
        model = super().from_config(config, custom_objects=custom_objects)
        if extras:
            model._aims = Aims.from_config(extras, custom_objects)
        return model

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles as a saved model was, its adversary and optimizer too."""
        config = keras.saving.deserialize_keras_object(config)
        self.compile(
            **config,
            adversary=self._aims.adversary,
            worst_case=self._aims.worst_case,
            power_iterations=self._aims.power_iterations,
        )
        building.build_optimizer(self)

    def _trace_again(self) -> None:
        """Makes anew the functions that there are, also within `fit`."""
        if getattr(self, "train_function", None) is not None:
            super().make_train_function(force=True)
        if getattr(self, "test_function", None) is not None:
            super().make_test_function(force=True)

    def _read_again(self) -> None:
        """Reads the model; if it is another, what was traced is stale."""
        known = self._trained_graph
        if not self._aims.needs_graph:
            return
        self._trained_graph = self._aims.graph_of(self)
        if known is None or not known.reads_as(self._trained_graph):
            self._trace_again()

    def _read_graph(self) -> TrainedGraph:
        if self._trained_graph is None:
            # Reads the values of weights, which a graph in the making hides.
            with tf.init_scope():
                self._trained_graph = self._aims.graph_of(self)
        return self._trained_graph


@keras.saving.register_keras_serializable(package="tfcurv")
class Sequential(_CurvatureTraining, keras.Sequential):
    """`keras.Sequential` with curvature-based training.

    Args:
        layers: As `keras.Sequential`.
        name: As `keras.Sequential`.
        trainable: As `keras.Sequential`.
    """

    # Read in the class's own namespace: subclasses do not inherit the promise.
    _tfcurv_forward_is_stock = True

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Appends a layer."""
        self._trained_graph = None
        super().add(layer, rebuild=rebuild)

    def pop(self, rebuild: bool = True) -> keras.layers.Layer:
        """Removes the last layer and returns it."""
        self._trained_graph = None
        return super().pop(rebuild=rebuild)


@keras.saving.register_keras_serializable(package="tfcurv")
class Model(_CurvatureTraining, keras.Model):
    """Functional `keras.Model(inputs, outputs)` with curvature training.

    Args:
        inputs: As `keras.Model`.
        outputs: As `keras.Model`.
        name: As `keras.Model`.
    """

    _tfcurv_forward_is_stock = True
