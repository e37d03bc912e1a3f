"""Builds and trains networks as a `TrainConfig` says."""

from collections.abc import Mapping
import dataclasses
import pathlib
import time

import keras
import tensorflow as tf

from tfcurv import data
from tfcurv import nn
from tfcurv.nn.training import building
from tfcurv.nn.training.worst_logits import WorstLogits
from tfcurv.training.architectures import activation_of
from tfcurv.training.architectures import architecture_layers
from tfcurv.training.architectures import start_as_published
from tfcurv.training.backup import Backup
from tfcurv.training.config import TrainConfig
from tfcurv.training.epoch_progress import EpochProgress
from tfcurv.training.layerwise import Stages
from tfcurv.training.layerwise import fit_layerwise
from tfcurv.training.objectives import BY_LINES
from tfcurv.training.schedule import dropping_rate

_VALIDATION_BATCH = 1000

# Pixels of zeros around an image that is shifted, as [LLP20] does.
_MARGIN = 4


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TrainReport:
    """A trained model and how it came about.

    Attributes:
        config: The settings.
        model: The trained model, compiled, ready to be saved or trained on.
        history: Per epoch: loss and accuracy on training images, the loss of
            attacked ones where there is an adversary, and `attacked_accuracy`;
            `val_loss` and `val_accuracy` on clean validation images; with
            worst logits also the share of images of which the label's stays
            the largest, by estimated norms:
            `verified_estimate`, `val_verified_estimate`.
        seconds: Wall-clock time of the training. Of a run that went on from a
            backup, of all its parts.
    """

    config: TrainConfig
    model: nn.Sequential
    history: Mapping[str, tuple[float, ...]]
    seconds: float


def build_model(config: TrainConfig) -> nn.Sequential:
    """Returns the compiled, untrained model: images to logits.

    Args:
        config: The settings.
    """
    info = data.dataset_info(config.dataset)
    model = nn.Sequential(
        [keras.Input(info.image_shape), *_layers(config, info.num_classes)],
        name=_name(config),
    )
    if config.architecture is not None:
        start_as_published(model)
    if config.gamma and config.objective == "crt":
        model.add_loss(nn.CurvatureRegularizer(config.gamma))
    return model


def _layers(config: TrainConfig, num_classes: int) -> list[keras.layers.Layer]:
    if config.architecture is not None:
        return architecture_layers(
            config.architecture, num_classes, config.activation
        )
    activation = activation_of(config.activation)
    return [
        *(
            nn.layers.Conv2D(*settings, activation=activation)
            for settings in config.convolutions
        ),
        keras.layers.Flatten(),
        *(
            nn.layers.Dense(config.width, activation=activation)
            for _ in range(config.layers - 1)
        ),
        nn.layers.Dense(num_classes),
    ]


def _name(config: TrainConfig) -> str:
    kind = config.objective
    if kind == "crt" and not config.epsilon:
        kind = "plain"
    return f"{kind}_{config.dataset}_{config.network}"


def compile_model(
    model: nn.Sequential,
    config: TrainConfig,
    steps_per_epoch: int,
    adversary: nn.Adversary | None = None,
    power_iterations: int | None = None,
) -> None:
    """Compiles a model with optimizer and objective of the settings.

    Dense networks with XLA, also on CPUs, where Keras would not choose it: a
    step of curvature-based training is about a third shorter. Convolutions
    without: XLA's take twice as long there.

    Args:
        model: What `build_model` gave.
        config: The settings.
        steps_per_epoch: Batches of one epoch.
        adversary: In place of the settings' own.
        power_iterations: As `tfcurv.Sequential.compile`.
    """
    rate = dropping_rate(
        config.learning_rate,
        config.learning_rate_drops,
        config.learning_rate_factor,
        config.epochs * steps_per_epoch,
    )
    model.compile(
        keras.optimizers.Adam(rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        adversary=adversary or _adversary(config),
        worst_case=_worst_case(config),
        power_iterations=power_iterations,
        jit_compile=config.is_dense and config.objective not in BY_LINES,
    )


def _adversary(config: TrainConfig) -> nn.Adversary | None:
    if config.adversary is None:
        return None
    kind, settings = {
        "curvature": (nn.CurvatureAttack, ("constraint",)),
        "pgd": (nn.ProjectedGradientAttack, ("norm",)),
        "trades": (nn.TradesAttack, ("norm", "beta")),
    }[config.adversary]
    given = {name: getattr(config, name) for name in settings}
    return kind(config.epsilon, num_steps=config.attack_steps, **given)


def _worst_case(config: TrainConfig) -> WorstLogits | None:
    if config.worst_case is None:
        return None
    if config.is_layerwise:
        return _layerwise(config)
    return nn.WorstCase(
        config.epsilon, method=config.worst_case, norm=config.norm
    )


def _layerwise(config: TrainConfig) -> nn.LayerwiseAdversary:
    return nn.LayerwiseAdversary(
        config.epsilon,
        domain=config.domain,
        num_steps=config.attack_steps,
        step_size=2.0 / config.attack_steps,
        projections=config.projections,
        stability=config.stability,
        l1=config.l1,
    )


def train(
    config: TrainConfig,
    train_split: data.Split,
    validation_split: data.Split,
    *,
    adversary: nn.Adversary | None = None,
    backup: str | pathlib.Path | None = None,
    verbose: int = 1,
) -> TrainReport:
    """Trains a network; the last epoch's weights are kept.

    Nothing is selected on the validation images, which are there to be
    looked at, and the test images play no part.

    Args:
        config: The settings.
        train_split: Training images in [0, 1].
        validation_split: Other images.
        adversary: In place of the settings' own.
        backup: Folder in which the end of the last epoch is kept, and the
            best network on the validation images. The same call goes on where
            a killed one stopped; the images then come in another order, so
            that the weights differ a little. Delete it when the model is
            saved.
        verbose: 0 silent, 1 a bar on stderr if that is a terminal, 2 a line
            an epoch on stderr.

    Raises:
        InvalidCheckpointError: The backup is damaged or of another model.
    """
    start = time.monotonic()
    keras.utils.set_random_seed(config.seed)
    model = build_model(config)
    dataset = _batches(train_split, config)
    ways = _stage_by_stage if config.is_layerwise else _at_once
    kept = None
    if backup is not None:
        kept = Backup(backup, config.settling_epochs, _judged_by(config))
    validation = {
        "validation_data": (validation_split.images, validation_split.labels),
        "validation_batch_size": _VALIDATION_BATCH,
        "shuffle": False,  # The data set shuffles itself.
    }
    history = ways(model, dataset, config, adversary, kept, validation, verbose)
    return TrainReport(
        config=config,
        model=model,
        history={k: tuple(v) for k, v in history.items()},
        seconds=kept.seconds if kept else time.monotonic() - start,
    )


def _at_once(model, dataset, config, adversary, kept, validation, verbose):
    """Trains, and returns what Keras logged."""
    steps = int(dataset.cardinality())
    compile_model(model, config, steps, adversary)
    images, labels = validation["validation_data"]
    building.build_metrics(model, images[:1], labels[:1])
    done = kept.restore(model) if kept else 0
    history = {}
    if done < config.epochs:
        with EpochProgress(model.name, config.epochs, steps, verbose) as shown:
            history = model.fit(
                dataset,
                initial_epoch=done,
                epochs=config.epochs,
                callbacks=[*_warm_up(config), shown, *([kept] if kept else [])],
                verbose=0,
                **validation,
            ).history
    if kept is not None:
        names = kept.epochs[0]
        history = {k: [each[k] for each in kept.epochs] for k in names}
    return history


def _stage_by_stage(
    model, dataset, config, adversary, kept, validation, verbose
):
    """Trains by layerwise adversaries, and returns what Keras logged."""
    if adversary is not None:
        raise ValueError(
            "Layerwise training has an adversary of its own. Received: "
            f"adversary={adversary!r} beside objective={config.objective!r}."
        )
    stages = Stages(
        count=config.stages,
        epochs=config.epochs // config.stages,
        mixing_epochs=config.rampup_epochs,
        learning_rate=config.learning_rate,
        learning_rate_drops=config.learning_rate_drops,
        drop_factor=config.learning_rate_factor,
    )
    return fit_layerwise(
        *(model, dataset, _layerwise(config), stages),
        backup=kept,
        verbose=verbose,
        **validation,
    )


def _judged_by(config: TrainConfig) -> str:
    """Returns by what of the validation images an epoch is the best."""
    objective = _worst_case(config)
    return f"val_{objective.metric}" if objective else "val_accuracy"


def _warm_up(config: TrainConfig) -> list[keras.callbacks.Callback]:
    if config.worst_case is not None:
        if not config.rampup_epochs:
            return []
        return [nn.WarmUp(config.rampup_epochs, start=config.warmup_epochs)]
    penalised = config.gamma > 0.0 and config.objective == "crt"
    if config.warmup_epochs and (penalised or config.adversary):
        return [nn.WarmUp(config.warmup_epochs)]
    return []


def _batches(split: data.Split, config: TrainConfig) -> tf.data.Dataset:
    dataset = tf.data.Dataset.from_tensor_slices((split.images, split.labels))
    dataset = dataset.shuffle(len(split.labels), seed=config.seed)
    if config.augmentation:
        dataset = dataset.map(
            lambda image, label: (_moved(image, config.seed), label)
        )
    return data.without_autotuning(dataset.batch(config.batch_size).prefetch(2))


def _moved(image: tf.Tensor, seed: int) -> tf.Tensor:
    """Returns an image shifted, zeros from outside, and perhaps mirrored."""
    around = [[_MARGIN, _MARGIN], [_MARGIN, _MARGIN], [0, 0]]
    shifted = tf.image.random_crop(tf.pad(image, around), image.shape, seed)
    return tf.image.random_flip_left_right(shifted, seed)
