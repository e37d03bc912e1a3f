"""How fast a step of curvature-based training is.

Times `fit` on the same MNIST images with the published attack schedule and
with tfcurv's attack, without an attack, without the penalty, and a training
loop written by hand; they take turns. Everything is compiled by XLA, the
published schedule too.

    python benchmarks/speed_train.py --layers=2
"""

from collections.abc import Sequence
import dataclasses
import statistics

from absl import app
from absl import flags
import measure
from published_schedule import PublishedAttack
import tensorflow as tf

from tfcurv import data
from tfcurv import training
from tfcurv.nn.training.trained_graph import TrainedGraph

_LAYERS = flags.DEFINE_integer("layers", 2, "Dense layers.", lower_bound=2)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds.", lower_bound=1)
_IMAGES = flags.DEFINE_integer("images", 12_800, "Images a round.")
_PUBLISHED_STEPS = flags.DEFINE_integer(
    "published_steps", 2, "Batches a round with the published attack."
)


def _dataset(split: data.Split, config: training.TrainConfig, count: int):
    pair = split.images[:count], split.labels[:count]
    dataset = tf.data.Dataset.from_tensor_slices(pair)
    dataset = dataset.batch(config.batch_size, drop_remainder=True)
    return data.without_autotuning(dataset.prefetch(2))


def _compiled(config: training.TrainConfig, **options):
    model = training.build_model(config)
    training.compile_model(model, config, steps_per_epoch=1000, **options)
    return model


def _fit(model, dataset):
    return lambda: model.fit(dataset, verbose=0)


def _by_hand(config: training.TrainConfig, dataset):
    """Returns an epoch of the same arithmetic without Keras' trainer."""
    model = _compiled(config)
    model(next(iter(dataset))[0])
    optimizer, graph = model.optimizer, TrainedGraph(model)
    optimizer.build(model.trainable_variables)

    @tf.function(jit_compile=True)
    def step(x, y):
        model.update_spectral_norms()
        x = model.adversary.perturb(model, graph, x, tf.cast(y, tf.int32))
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            loss = model.compute_loss(x, y, logits)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    def epoch():
        for x, y in dataset:
            loss = step(x, y)
        return float(loss)

    return epoch


def _tasks(config: training.TrainConfig, split: data.Split) -> tuple:
    """Returns the tasks by name, and the images that each takes."""
    few = _PUBLISHED_STEPS.value * config.batch_size
    some, all_of = (_dataset(split, config, n) for n in (few, _IMAGES.value))
    plain = dataclasses.replace(config, epsilon=0.0)
    bare = dataclasses.replace(plain, gamma=0.0)
    published = PublishedAttack(config.epsilon)
    tasks = {"published": _fit(_compiled(config, adversary=published), some)}
    for steps in (8, 4, 3, 2, 1):
        attacking = dataclasses.replace(config, attack_steps=steps)
        tasks[f"{steps} steps"] = _fit(_compiled(attacking), all_of)
    tasks["by hand"] = _by_hand(config, all_of)
    tasks["no attack"] = _fit(_compiled(plain), all_of)
    tasks["no attack, no penalty"] = _fit(_compiled(bare), all_of)
    images = dict.fromkeys(tasks, len(all_of) * config.batch_size)
    images["published"] = len(some) * config.batch_size
    return tasks, images


def main(argv: Sequence[str]) -> None:
    """Measures one depth and keeps what was found."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    config = training.TrainConfig(layers=_LAYERS.value)
    split = data.load_split("mnist", "train")
    tasks, images = _tasks(config, split)
    seconds = measure.alternate(tasks, _ROUNDS.value)
    epoch = {
        name: [s / images[name] * len(split.labels) for s in values]
        for name, values in seconds.items()
    }
    default = f"{config.attack_steps} steps"
    found = {
        "layers": config.layers,
        "default": config.attack_steps,
        "images": len(split.labels),
        "epoch": {k: statistics.median(v) for k, v in epoch.items()},
        "ratio": {
            name: measure.ratio(epoch["published"], values)
            for name, values in epoch.items()
            if "steps" in name
        },
        "by hand": measure.ratio(epoch[default], epoch["by hand"]),
        "penalty": measure.ratio(
            epoch["no attack"], epoch["no attack, no penalty"]
        ),
    }
    print(found)
    measure.save(f"train-{config.layers}", found)


if __name__ == "__main__":
    app.run(main)
