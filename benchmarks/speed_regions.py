"""What certified training costs a step, and certification an image.

A step of plain training, of Lipschitz margins, of interval bounds and of box
constraint propagation, of the same network on the same images, in turns: the
medians and their ratios to the plain step. Then certification of test images
by box constraint propagation, at one epsilon and with radii, by the model that
is given, or by the network as it was initialised.

    python benchmarks/speed_regions.py --architecture=4C3F
    python benchmarks/speed_regions.py --model=run/model.keras --limit=10000
"""

from collections.abc import Sequence
import statistics
import time

from absl import app
from absl import flags
import keras
import measure
import numpy as np

import tfcurv
from tfcurv import data
from tfcurv import nn
from tfcurv import report
from tfcurv import training

_ARCHITECTURE = flags.DEFINE_enum(
    "architecture", "4C3F", list(training.ARCHITECTURES), "What is trained."
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 50, "Images a step.")
_STEPS = flags.DEFINE_integer("steps", 10, "Steps in a round.")
_ROUNDS = flags.DEFINE_integer("rounds", 7, "Rounds.", lower_bound=1)
_EPSILON = flags.DEFINE_float("epsilon", 1.58, "l2 distance.")
_MODEL = flags.DEFINE_string("model", None, "Model to certify; default: none.")
_LIMIT = flags.DEFINE_integer("limit", 1000, "Test images to certify.")

_OBJECTIVES = {"plain": None, "LMT": "lipschitz", "IBP": "ibp", "BCP": "bcp"}


def _model(method: str | None) -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = training.architecture_layers(_ARCHITECTURE.value, 10)
    model = tfcurv.Sequential([keras.Input((28, 28, 1)), *layers])
    case = None
    if method is not None:
        case = tfcurv.WorstCase(_EPSILON.value, method=method)
    model.compile(
        keras.optimizers.Adam(1e-4),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        worst_case=case,
        jit_compile=False,
    )
    return model


def _steps() -> dict[str, float]:
    """Returns the median seconds of a step by objective."""
    rng = np.random.default_rng(0)
    count = _BATCH_SIZE.value * _STEPS.value
    x = rng.uniform(size=(count, 28, 28, 1)).astype(np.float32)
    y = rng.integers(0, 10, count)

    def task(method):
        model = _model(method)
        settings = {"batch_size": _BATCH_SIZE.value, "verbose": 0}
        return lambda: model.fit(x, y, **settings)

    tasks = {name: task(method) for name, method in _OBJECTIVES.items()}
    seconds = measure.alternate(tasks, _ROUNDS.value)
    medians = {
        name: statistics.median(each) / _STEPS.value
        for name, each in seconds.items()
    }
    rows = [
        [name, f"{1e3 * each:.1f} ms", f"{each / medians['plain']:.2f}"]
        for name, each in medians.items()
    ]
    print(report.format_table(["objective", "step", "to plain"], rows))
    return medians


def _certification() -> dict[str, dict[str, float]]:
    model = nn.read_model(_MODEL.value) if _MODEL.value else _model(None)
    split = data.load_split("mnist", "test")
    images = split.images[: _LIMIT.value], split.labels[: _LIMIT.value]
    found = {}
    for name, radii in (("one epsilon", False), ("radii", True)):
        start = time.perf_counter()
        result = tfcurv.certify(
            model,
            images,
            method="bcp",
            epsilons=(_EPSILON.value,),
            radii=radii,
            verbose=0,
        )
        found[name] = {
            "seconds": time.perf_counter() - start,
            "images": len(images[1]),
            "clean": result.clean_accuracy,
            "certified": result.certified_accuracy(_EPSILON.value),
        }
        print(name, found[name], flush=True)
    return found


def main(arguments: Sequence[str]) -> None:
    del arguments
    found = {"steps": _steps(), "certification": _certification()}
    measure.save(f"regions-{_ARCHITECTURE.value}", found)


if __name__ == "__main__":
    app.run(main)
