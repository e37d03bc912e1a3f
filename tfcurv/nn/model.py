"""`keras.Sequential` and `keras.Model` with curvature-based training."""

from typing import Any

import keras
import tensorflow as tf

from tfcurv.nn import targets
from tfcurv.nn.attack import CurvatureAttack
from tfcurv.nn.regularizer import CurvatureRegularizer
from tfcurv.nn.trained_graph import TrainedGraph

# Key under which a model's config holds what Keras' own config does not.
_EXTRAS = "tfcurv"


class _CurvatureTraining:
    """What both model classes add to Keras' own.

    `add_loss` takes a `CurvatureRegularizer`, `compile` an `adversary`; both
    are saved with the model. Everything else is stock Keras. As in stock
    Keras, `clone_model` copies layers, not added losses: clone with
    `from_config(model.get_config())` to keep regularizers and adversary.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._adversary: CurvatureAttack | None = None
        self._regularizers: list[CurvatureRegularizer] = []
        self._trained_graph: TrainedGraph | None = None

    @property
    def adversary(self) -> CurvatureAttack | None:
        """The adversary given to `compile`."""
        return self._adversary

    @property
    def curvature_regularizers(self) -> tuple[CurvatureRegularizer, ...]:
        """The regularizers given to `add_loss`."""
        return tuple(self._regularizers)

    def add_loss(self, loss: Any) -> None:
        """Adds a `CurvatureRegularizer`, or what Keras' own `add_loss` takes.

        Args:
            loss: The regularizer, or scalar loss tensors.

        Raises:
            UnsupportedModelError: At the first training step or evaluation,
                if a regularizer cannot read the model.
        """
        if isinstance(loss, CurvatureRegularizer):
            self._regularizers.append(loss)
        else:
            super().add_loss(loss)

    def compile(
        self,
        *args: Any,
        adversary: CurvatureAttack | None = None,
        **kwargs: Any,
    ) -> None:
        """Compiles as Keras does; `adversary` attacks each training batch.

        Args:
            *args: As `keras.Model.compile`.
            adversary: Attack on the inputs of every training step; None for
                plain training.
            **kwargs: As `keras.Model.compile`.

        Raises:
            TypeError: `adversary` is no `CurvatureAttack`.
        """
        if not (adversary is None or isinstance(adversary, CurvatureAttack)):
            raise TypeError(
                "The adversary must be a tfcurv.CurvatureAttack. "
                f"Received: adversary={adversary!r}."
            )
        super().compile(*args, **kwargs)
        self._adversary = adversary
        # Layers may have been adapted, or given another activation.
        self._trained_graph = None

    def update_spectral_norms(self) -> None:
        """Takes one step of power iteration on every tracked kernel.

        `train_step` does it once a batch; a training loop of one's own calls
        it once a batch too.
        """
        if self._needs_graph():
            self._read_graph().step()

    def train_step(self, data: Any) -> dict[str, Any]:
        """Attacks the batch if there is an adversary, then trains on it."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        self.update_spectral_norms()
        if self._adversary is not None:
            graph = self._read_graph() if self._needs_graph() else None
            x = tf.cast(x, self.compute_dtype)
            labels = targets.class_indices(y, self.output_shape[-1])
            x = self._adversary.perturb(self, graph, x, labels)
        return super().train_step((x, y, weight))

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Returns Keras' loss plus the curvature penalties."""
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if not self._regularizers:
            return loss
        labels = targets.class_indices(y, y_pred.shape[-1])
        for regularizer in self._regularizers:
            loss += regularizer(self._read_graph(), labels, y_pred)
        return loss

    def get_config(self) -> dict[str, Any]:
        """Returns Keras' config, the regularizers and the adversary.

        They are not part of the compile config, which
        `keras.models.clone_model` hands to a stock `keras.Sequential`.
        """
        config = super().get_config()
        extras = {
            "curvature_regularizers": list(self._regularizers),
            "adversary": self._adversary,
        }
        config[_EXTRAS] = keras.saving.serialize_keras_object(extras)
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
            extras = keras.saving.deserialize_keras_object(
                extras, custom_objects=custom_objects
            )
            for regularizer in extras["curvature_regularizers"]:
                model.add_loss(regularizer)
            model._adversary = extras["adversary"]
        return model

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles as a saved model was, its adversary and optimizer too."""
        config = keras.saving.deserialize_keras_object(config)
        self.compile(**config, adversary=self._adversary)
        if getattr(self, "optimizer", None) is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def _needs_graph(self) -> bool:
        attacks = self._adversary is not None
        return bool(self._regularizers) or (
            attacks and self._adversary.needs_curvature
        )

    def _read_graph(self) -> TrainedGraph:
        if self._trained_graph is None:
            # Reads the values of weights, which a graph in the making hides.
            with tf.init_scope():
                self._trained_graph = TrainedGraph(self)
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
