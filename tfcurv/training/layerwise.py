"""COLT, layer by layer: stages of training, each with fewer layers to train.

See `tfcurv.nn.LayerwiseAdversary` for the objective, and the source.
"""

from collections.abc import Sequence
import dataclasses
import math
import pathlib
from typing import Any

import keras
import tensorflow as tf

from tfcurv import nn
from tfcurv.bounds.propagation import zonotopes
from tfcurv.nn.training import building
from tfcurv.nn.training.trained_graph import TrainedGraph
from tfcurv.training.backup import Backup
from tfcurv.training.epoch_progress import EpochProgress
from tfcurv.training.schedule import dropping_rate

# Of `fit`, what stages decide.
_DECIDED = {"epochs", "initial_epoch", "steps_per_epoch"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stages:
    """How stages follow one another.

    Attributes:
        count: Of them: the last one replaces `count` - 1 activations.
        epochs: Passes over the data in each.
        mixing_epochs: Of these, those over which the weight of a stage's own
            loss rises from 0 to its own.
        learning_rate: Of the first stage; that of Adam.
        learning_rate_factor: From stage to stage.
        learning_rate_drops: Shares of the epochs of a stage after which its
            rate drops, rising.
        drop_factor: What each of them multiplies it by.
        growth: Epsilon of the last stage, as a multiple of the adversary's.
        growth_factor: From each stage to the one before it: the earlier have
            more to be frozen with.
        stability_factor: Of the adversary's `stability`, from stage to stage.
    """

    count: int
    epochs: int
    mixing_epochs: float
    learning_rate: float = 1e-3
    learning_rate_factor: float = 0.75
    learning_rate_drops: tuple[float, ...] = (0.7, 0.9)
    drop_factor: float = 0.1
    growth: float = 1.05
    growth_factor: float = 1.05
    stability_factor: float = 1.5

    def __post_init__(self) -> None:
        numbers = [self.count, self.epochs, self.learning_rate]
        numbers += [self.learning_rate_factor, self.drop_factor]
        numbers += [self.growth, self.growth_factor, self.stability_factor]
        positive = all(0.0 < each < math.inf for each in numbers)
        positive &= all(isinstance(each, int) for each in numbers[:2])
        ends = (0.0, *self.learning_rate_drops, 1.0)
        is_rising = all(a < b for a, b in zip(ends, ends[1:]))
        mixes = 0.0 <= self.mixing_epochs <= self.epochs
        if not (positive and is_rising and mixes):
            raise ValueError(
                "A setting of the stages is out of range. Received: "
                f"{self}. Allowed: positive numbers, whole ones of stages "
                "and epochs, mixing within the epochs "
                "of a stage, rising drops in (0, 1)."
            )

    @property
    def total(self) -> int:
        """Epochs of all stages."""
        return self.count * self.epochs

    def adversary(
        self, given: nn.LayerwiseAdversary, stage: int
    ) -> nn.LayerwiseAdversary:
        """Returns that of a stage.

        Args:
            given: With the epsilon that is to be certified.
            stage: From 0.
        """
        config = given.get_config()
        left = self.count - 1 - stage
        grown = self.growth * self.growth_factor**left
        stability = config["stability"] * self.stability_factor**stage
        epsilon = grown * config["epsilon"]
        return given.at(stage, epsilon=epsilon, stability=stability)

    def optimizer(self, stage: int, steps: int) -> keras.optimizers.Optimizer:
        """Returns a new one for a stage.

        Args:
            stage: From 0.
            steps: Batches of an epoch.
        """
        first = self.learning_rate * self.learning_rate_factor**stage
        rate = dropping_rate(
            *(first, self.learning_rate_drops, self.drop_factor),
            self.epochs * steps,
        )
        return keras.optimizers.Adam(rate)


def fit_layerwise(
    model: nn.Sequential | nn.Model,
    x: tf.data.Dataset,
    adversary: nn.LayerwiseAdversary,
    stages: Stages,
    *,
    loss: Any = None,
    backup: str | pathlib.Path | Backup | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int = 1,
    **fit: Any,
) -> dict[str, list[float]]:
    """Trains a model by COLT: stage after stage, its first layers frozen.

        tfcurv.training.fit_layerwise(
            model, train_ds, tfcurv.nn.LayerwiseAdversary(0.1, domain=(0, 1)),
            tfcurv.training.Stages(count=3, epochs=10, mixing_epochs=5))

    The model is compiled anew for each stage, with Adam and the loss. When all
    is over it is compiled for the loss alone, and what was frozen can be
    trained again. A callback that stops the training ends it in any stage.

    Args:
        model: Of tfcurv's; logits are its output.
        x: Batches of images and labels, of a number that is known.
        adversary: Of any stage, with the epsilon that is to be certified.
        stages: How they follow one another.
        loss: As `compile` takes it. Default: cross entropy of whole-numbered
            labels and logits.
        backup: Folder in which the end of the last epoch is kept; the same
            call goes on where a killed one stopped. Delete it when the model is
            saved. Or a `Backup`.
        callbacks: As `fit`; epochs are counted through all stages.
        verbose: 0 silent, 1 a bar on stderr if that is a terminal, 2 a line
            an epoch on stderr.
        **fit: As `keras.Model.fit` takes it, such as `validation_data`; but no
            epochs and no steps.

    Returns:
        By name what Keras logged, epoch by epoch, of all stages; of a run that
        went on from a backup, of all its parts.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There are more stages than activations and maxima, or the
            data do not say how many batches they are.
        UnsupportedModelError: The model cannot be read.
        InvalidCheckpointError: The backup is damaged, of another model or of
            other settings.
    """
    _check(model, x, adversary, fit)
    bends = len(zonotopes.bends(_graph(model).graph))
    if stages.count > bends + 1:
        raise ValueError(
            "Each stage but the first replaces one activation or maximum more. "
            f"Received: stages.count={stages.count} for a model of {bends}. "
            f"Allowed: 1 to {bends + 1}."
        )
    run = _Run(model, adversary, stages, loss, x)
    kept = None if isinstance(backup, str | pathlib.Path) else backup
    if isinstance(backup, str | pathlib.Path):
        settled = stages.total - stages.epochs + stages.mixing_epochs
        kept = Backup(
            *(backup, settled, f"val_{adversary.metric}"),
            settings=run.settings,
        )
    try:
        done = kept.restore(model, run.begin_again) if kept else 0
        logged = _Logged(kept.epochs if kept else ())
        with EpochProgress(
            model.name, stages.total, run.steps, verbose
        ) as shown:
            for stage in range(done // stages.epochs, stages.count):
                first = stage * stages.epochs
                run.begin(stage)
                model.fit(
                    x,
                    initial_epoch=max(done, first),
                    epochs=first + stages.epochs,
                    callbacks=[
                        *_mixing(stages, first),
                        *callbacks,
                        logged,
                        shown,
                        *([kept] if kept else []),
                    ],
                    verbose=0,
                    **{"shuffle": False} | fit,
                )
                if model.stop_training:
                    break
    finally:
        run.end()
    names = dict.fromkeys(name for each in logged.epochs for name in each)
    return {
        name: [each[name] for each in logged.epochs if name in each]
        for name in names
    }


def _check(model, x, adversary, fit: dict[str, Any]) -> None:
    """Refuses arguments of other types, and what stages decide."""
    expected = {
        "model": (model, (nn.Sequential, nn.Model)),
        "x": (x, (tf.data.Dataset,)),
        "adversary": (adversary, (nn.LayerwiseAdversary,)),
    }
    for name, (given, kinds) in expected.items():
        if not isinstance(given, kinds):
            allowed = " or ".join(
                f"{kind.__module__.split('.')[0]}'s {kind.__name__}"
                for kind in kinds
            )
            raise TypeError(
                "Layerwise training takes a model of tfcurv's, batches and an "
                f"adversary. Received: {name} of type {type(given).__name__}. "
                f"Allowed: {allowed}."
            )
    decided = _DECIDED & fit.keys()
    if decided:
        raise TypeError(
            "Epochs and steps are those of the stages and of the data. "
            f"Received: {sorted(decided)}. Remedy: `Stages`, or x.take(...)."
        )
    if int(x.cardinality()) < 1:
        raise ValueError(
            "Learning rates fall by batches, so that their number must be "
            f"known. Received: x.cardinality()={int(x.cardinality())}. Remedy: "
            "x.apply(tf.data.experimental.assert_cardinality(batches))."
        )


class _Logged(keras.callbacks.Callback):
    """Keeps what Keras logs, epoch by epoch."""

    def __init__(self, epochs: Sequence[dict[str, float]]):
        super().__init__()
        self.epochs = list(epochs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        del epoch
        self.epochs.append({k: float(v) for k, v in (logs or {}).items()})


def _mixing(stages: Stages, first: int) -> list[keras.callbacks.Callback]:
    if not stages.mixing_epochs:
        return []
    return [nn.WarmUp(stages.mixing_epochs, start=float(first))]


def _graph(model: keras.Model) -> TrainedGraph:
    return TrainedGraph(model, needs_norms=False, with_kinks=True)


class _Run:
    """A model on its way through the stages."""

    def __init__(self, model, adversary, stages: Stages, loss, x):
        self._model, self._adversary, self._stages = model, adversary, stages
        self._loss = loss or keras.losses.SparseCategoricalCrossentropy(
            from_logits=True
        )
        self._one = next(iter(x.unbatch().batch(1).take(1)))
        self._frozen: list[tuple[keras.layers.Layer, list]] = []
        self._stage: int | None = None
        self.steps = int(x.cardinality())

    @property
    def settings(self) -> dict[str, Any]:
        """What a backup must agree with."""
        adversary = self._adversary.at(0).get_config()
        return {"stages": dataclasses.asdict(self._stages), **adversary}

    def begin_again(self, epochs: int) -> None:
        """Begins the stage that was under way after some epochs."""
        self.begin(max(epochs - 1, 0) // self._stages.epochs)

    def begin(self, stage: int) -> None:
        """Freezes what a stage freezes, and compiles for it, if it is new."""
        if stage == self._stage:
            return
        adversary = self._stages.adversary(self._adversary, stage)
        for layer in adversary.frozen_layers(_graph(self._model)):
            if layer.trainable:
                flags = [(each, each.trainable) for each in layer.weights]
                self._frozen.append((layer, flags))
                layer.trainable = False
        self._compile(stage, worst_case=adversary)
        building.build_metrics(self._model, *self._one[:2])
        self._stage = stage

    def _compile(self, stage: int, **settings: Any) -> None:
        self._model.compile(
            self._stages.optimizer(stage, self.steps),
            self._loss,
            metrics=["accuracy"],
            jit_compile=False,
            **settings,
        )

    def end(self) -> None:
        """Lets be trained again what was frozen, by a step that knows of it."""
        for layer, flags in self._frozen:
            layer.trainable = True
            for variable, trainable in flags:
                variable.trainable = trainable
        self._frozen.clear()
        if self._stage is not None:
            self._compile(self._stage)
