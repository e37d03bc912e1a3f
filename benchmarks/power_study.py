"""What steps of power iteration see of the curvature, cost, and buy.

Trains the same MNIST network with so many steps a batch: the same images,
order, weights, penalty and number of epochs. Notes which share of K of
Theorem 4 with exact norms the trackers see, as the mean over batches of the
last epoch at the full learning rate and after the last batch, and certifies
the first test images. Times are of the processor, compilation included: what
else runs on the machine plays no part.

    python benchmarks/power_study.py --layers=3 --iterations=1,2,4
"""

from collections.abc import Sequence
import time

from absl import app
from absl import flags
import keras
import measure
import numpy as np
import tensorflow as tf

from tfcurv import data
from tfcurv import nn
from tfcurv import runs
from tfcurv import training
from tfcurv.nn.training.trained_graph import TrainedGraph

_LAYERS = flags.DEFINE_integer("layers", 2, "Dense layers.", lower_bound=2)
_WIDTH = flags.DEFINE_integer("width", 1024, "Hidden units.", lower_bound=1)
_EPOCHS = flags.DEFINE_integer("epochs", 5, "Epochs.", lower_bound=2)
_IMAGES = flags.DEFINE_integer("images", 12_800, "Training images.")
_LIMIT = flags.DEFINE_integer("limit", 1000, "Test images to certify.")
_ITERATIONS = flags.DEFINE_list("iterations", ["1", "2", "4"], "Steps a batch.")
_SEEDS = flags.DEFINE_list("seeds", ["0"], "Seeds of weights and order.")

# Of the penalty, for each number of layers: as published for 3 and 4.
_GAMMAS = {2: 0.01, 3: 0.05, 4: 0.07}
_EPSILON = 1.58
# A batch in so many is looked at.
_LOOKS = 20


class _SeenShare(keras.callbacks.Callback):
    """Notes the share of K, of one pair of classes, that trackers see."""

    def __init__(self, model: nn.Sequential):
        super().__init__()
        graph = TrainedGraph(model)
        pair = tf.constant([0]), tf.constant([1])

        @tf.function
        def look():
            seen = graph.curvature_estimate(*pair)
            return seen / graph.curvature_estimate(*pair, converged=True)

        self._look, self._epoch = look, 0
        self.shares: dict[int, list[float]] = {}

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if batch % _LOOKS == 0:
            self.shares.setdefault(self._epoch, []).append(self.last())

    def last(self) -> float:
        """Returns the share at present."""
        return float(self._look()[0])


def _run(config: training.TrainConfig, iterations: int) -> dict:
    """Trains and certifies one network."""
    keras.utils.set_random_seed(config.seed)
    split = data.load_split("mnist", "train")
    pair = split.images[: _IMAGES.value], split.labels[: _IMAGES.value]
    dataset = tf.data.Dataset.from_tensor_slices(pair)
    dataset = dataset.shuffle(_IMAGES.value, seed=config.seed)
    dataset = data.without_autotuning(dataset.batch(config.batch_size))
    model = training.build_model(config)
    steps = int(dataset.cardinality())
    training.compile_model(model, config, steps, power_iterations=iterations)
    seen = _SeenShare(model)
    start = time.process_time()
    model.fit(
        dataset,
        epochs=config.epochs,
        shuffle=False,
        verbose=0,
        callbacks=[nn.WarmUp(config.warmup_epochs), seen],
    )
    seconds = time.process_time() - start
    result = runs.certify(
        model,
        data.load_split("mnist", "test"),
        epsilons=(_EPSILON,),
        limit=_LIMIT.value,
        verbose=0,
    )
    at_full_rate = int(0.6 * config.epochs) - 1
    return {
        "layers": config.layers,
        "iterations": iterations,
        "seed": config.seed,
        "seconds": seconds,
        "share at full rate": float(np.mean(seen.shares[at_full_rate])),
        "share at the end": seen.last(),
        "clean": result.clean_accuracy,
        "certified": result.certified_accuracy(_EPSILON),
    }


def main(argv: Sequence[str]) -> None:
    """Measures one depth and keeps what was found."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    measured = []
    for seed in map(int, _SEEDS.value):
        for iterations in map(int, _ITERATIONS.value):
            config = training.TrainConfig(
                layers=_LAYERS.value,
                width=_WIDTH.value,
                gamma=_GAMMAS[_LAYERS.value],
                epochs=_EPOCHS.value,
                warmup_epochs=0.25 * _EPOCHS.value,
                seed=seed,
            )
            measured.append(_run(config, iterations))
            print(measured[-1], flush=True)
    measure.save(f"power-{_LAYERS.value}", measured)


if __name__ == "__main__":
    app.run(main)
