"""The whole MNIST test set on a network that somebody else trained for linf.

The authors of COLT (Balunovic and Vechev, ICLR 2020) released a convolutional
network for MNIST at 0.1, which they certify by a solver for mixed-integer
programmes. It is certified here in [0, 1] by each method asked for, and
attacked. The weights are not part of tfcurv: their ONNX file mnist_0.1.onnx
(github.com/eth-sri/colt) rearranged for Keras, an .npz of arrays `kernel_i`,
`bias_i`, `mean` and `std`.

    python benchmarks/colt_network.py --weights=colt_mnist_0.1.npz

With --seconds, what the last method leaves open is given to a solver for
mixed-integer programmes, for so long an image: what that says stands in
figures of its own, for it rests on the solver's tolerance. A run that was
killed goes on by the same command.
"""

from collections.abc import Sequence
import pathlib
import time

from absl import app
from absl import flags
import keras
import measure
import numpy as np

import tfcurv
from tfcurv import data
from tfcurv import report
from tfcurv import runs
from tfcurv.results import solver_result

_LAYERS = keras.layers
_EPSILON = 0.1

_WEIGHTS = flags.DEFINE_string("weights", None, "The .npz.", required=True)
_IMAGES = flags.DEFINE_integer("images", 10000, "Of the test set, the first.")
_METHODS = flags.DEFINE_list("methods", ["crown", "complete"], "Methods.")
_SECONDS = flags.DEFINE_float(
    "seconds", 0.0, "Of integer programmes, an image that is open; 0: none."
)
_KEPT = flags.DEFINE_string("kept", "colt_network", "Folder of checkpoints.")


def network(path: str) -> keras.Model:
    """Returns the released network.

    Args:
        path: Of the .npz. Pixels are normalised before zeros are padded.
    """
    arrays = np.load(path)
    mean, std = float(arrays["mean"]), float(arrays["std"])
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            _LAYERS.Rescaling(1.0 / std, offset=-mean / std),
            _LAYERS.ZeroPadding2D(2),
            _LAYERS.Conv2D(32, 5, strides=2, activation="relu"),
            _LAYERS.ZeroPadding2D(1),
            _LAYERS.Conv2D(64, 4, strides=2, activation="relu"),
            _LAYERS.Flatten(),
            _LAYERS.Dense(100, activation="relu"),
            _LAYERS.Dense(10),
        ]
    )
    weighted = [layer for layer in model.layers if layer.weights]
    for i, layer in enumerate(weighted):
        layer.set_weights([arrays[f"kernel_{i}"], arrays[f"bias_{i}"]])
    return model


def main(arguments: Sequence[str]) -> None:
    if len(arguments) > 1:
        raise app.UsageError(f"Unexpected arguments: {arguments[1:]}")
    model, rows = network(_WEIGHTS.value), []
    test = data.load_split("mnist", "test", limit=_IMAGES.value)
    for method in _METHODS.value:
        start = time.monotonic()
        found = tfcurv.certify(
            model,
            (test.images, test.labels),
            method=method,
            norm="linf",
            domain=(0.0, 1.0),
            epsilons=(_EPSILON,),
            radii=False,
            checkpoint=pathlib.Path(_KEPT.value) / method,
        )
        certified = found.certified_accuracy(_EPSILON)
        attacked = found.attacked_accuracy(_EPSILON)
        rows.append(
            {
                "method": method,
                "images": found.num_images,
                "clean": found.clean_accuracy,
                "certified": certified,
                "attacked": attacked,
                "open": round((attacked - certified) * found.num_images),
                "proved by": {
                    k: int(v) for k, v in found.method_counts.items()
                },
                "seconds of certifying": found.seconds,
                "seconds of this run": time.monotonic() - start,
            }
        )
        print(rows[-1], flush=True)
    study = {"epsilon": _EPSILON, "rows": rows}
    if _SECONDS.value:
        study["integer programmes"] = _solved(model, test, found)
        print(study["integer programmes"])
    measure.save("colt", study)
    headers = ["method", "clean", "certified", "attacked", "open", "seconds"]
    print(report.format_markdown_table(headers, [_cells(r) for r in rows]))


def _solved(model, test: data.Split, found) -> dict:
    """Returns what a solver says of the images that are open."""
    proved = found.radii > _EPSILON
    is_open = found.correct & ~proved & (found.upper_bounds > _EPSILON)
    if not np.any(is_open):
        return {"images": 0}
    solved = runs.solve_integer_programs(
        model,
        (test.images[is_open], test.labels[is_open]),
        epsilon=_EPSILON,
        domain=(0.0, 1.0),
        time_limit=_SECONDS.value,
    )
    names = {
        "positive": solver_result.POSITIVE,
        "falsified": solver_result.FALSIFIED,
        "open": solver_result.OPEN,
    }
    counts = {k: int(np.sum(solved.verdicts == v)) for k, v in names.items()}
    return {"images": int(np.sum(is_open)), **counts, "seconds": solved.seconds}


def _cells(row: dict) -> list[str]:
    shares = [f"{100 * row[k]:.2f}" for k in ("clean", "certified", "attacked")]
    seconds = f"{row['seconds of certifying']:.0f}"
    return [row["method"], *shares, str(row["open"]), seconds]


if __name__ == "__main__":
    app.run(main)
