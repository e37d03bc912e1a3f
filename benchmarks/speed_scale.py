"""How time and memory grow with width, depth, classes and images.

Certifies uniform random inputs of 784 pixels under random softplus networks,
each size in a process of its own, and fits the exponents of power laws.

    python benchmarks/speed_scale.py
"""

from collections.abc import Sequence
import functools
import itertools
import json
import pathlib
import statistics
import subprocess
import sys
import time

from absl import app
from absl import flags
import measure
import numpy as np

from tfcurv import networks
from tfcurv import runs

_ROOT = pathlib.Path(__file__).resolve().parent
_SIZES = {
    "width": (256, 512, 1024, 2048, 4096),
    "layers": (2, 3, 4, 6, 8),
    "classes": (2, 10, 32, 100, 1000),
    "images": (500, 2000, 8000, 32000),
}
_USUAL = {"width": 512, "layers": 2, "classes": 10, "images": 1000}
_INPUTS = 784
_BATCH = 1000

# What is measured, as the plot names it.
_QUANTITIES = {
    "seconds": "seconds in all",
    "bounds": "seconds of bounds",
    "image": "ms an image",
    "megabytes": "megabytes",
}

_POINT = flags.DEFINE_string("point", None, "One size, as JSON; prints JSON.")


def _network(size: dict[str, int]):

    widths = [size["width"]] * (size["layers"] - 1)
    widths = [_INPUTS, *widths, size["classes"]]
    random = np.random.default_rng(0)
    affines = [
        networks.Affine(
            kernel=random.normal(size=pair) / np.sqrt(pair[0]),
            bias=np.zeros(pair[1]),
        )
        for pair in itertools.pairwise(widths)
    ]
    softplus = networks.activation("softplus")
    return networks.Network(affines, [softplus] * (size["layers"] - 1))


def _measure_one(size: dict[str, int]) -> dict[str, float]:
    """Certifies in this process."""
    import peak_memory
    import tensorflow as tf

    from tfcurv import certificates

    tf.constant(np.zeros(1)).numpy()
    images = np.random.default_rng(1).random(
        (size["images"], _INPUTS), np.float32
    )
    before = peak_memory.peak()
    network = _network(size)
    labels = np.argmax(_logits(network, images), axis=-1).astype(np.int32)
    result = runs.certify(network, (images, labels), verbose=0)
    megabytes = peak_memory.peak() - before
    some = slice(0, min(_BATCH, len(images)))
    x, y = tf.constant(images[some], tf.float64), tf.constant(labels[some])
    start = time.perf_counter()
    table = certificates.CurvatureTable(network)
    runners_up = certificates.rival(network.logits(x), y).numpy()
    curvature = table.bounds(labels[some], runners_up)
    bounds_seconds = time.perf_counter() - start
    certifier = certificates.Certifier(network)
    batch = measure.alternate(
        {"batch": lambda: certifier(x, y, curvature).radius}, 3
    )["batch"]
    return {
        "seconds": result.seconds,
        "bounds": bounds_seconds,
        "image": 1e3 * statistics.median(batch) / len(y),
        "megabytes": megabytes,
        "gradients": result.num_evaluations / result.num_images,
    }


def _logits(network, images) -> np.ndarray:
    import tensorflow as tf

    logits = [
        network.logits(tf.constant(images[first : first + 1000])).numpy()
        for first in range(0, len(images), 1000)
    ]
    return np.concatenate(logits)


def _elsewhere(size: dict[str, int]) -> dict[str, float]:
    command = [sys.executable, __file__, f"--point={json.dumps(size)}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _exponent(rows: Sequence[dict], name: str, quantity: str) -> float:
    """Fits the last three sizes, where constant costs weigh least."""
    sizes, values = zip(*((row[name], row[quantity]) for row in rows[-3:]))
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def _plot(found: dict) -> None:
    from matplotlib import pyplot
    from matplotlib import ticker

    figure, axes = pyplot.subplots(
        len(_QUANTITIES),
        len(found),
        figsize=(12, 10),
        sharex="col",
        sharey="row",
    )
    for column, (name, rows) in enumerate(found.items()):
        for axis, (quantity, title) in zip(
            axes[:, column], _QUANTITIES.items()
        ):
            sizes, values = zip(*((row[name], row[quantity]) for row in rows))
            axis.loglog(sizes, values, marker="o")
            exponent = _exponent(rows, name, quantity)
            axis.set_title(f"{title}: exponent {exponent:.2f}", size=9)
            axis.grid(alpha=0.3, which="both")
            axis.set_xticks(sizes, map(str, sizes), size=8)
            axis.xaxis.set_minor_locator(ticker.NullLocator())
        axes[-1, column].set_xlabel(name)
    figure.tight_layout()
    figure.savefig(_ROOT / "scale.png", dpi=70)


def main(argv: Sequence[str]) -> None:
    """Measures every size, one after the other."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    if _POINT.value:
        print(json.dumps(_measure_one(json.loads(_POINT.value))))
        return
    once = functools.cache(lambda text: _elsewhere(json.loads(text)))
    found = {}
    for name, sizes in _SIZES.items():
        found[name] = []
        for value in sizes:
            size = {**_USUAL, name: value}
            found[name].append({**size, **once(json.dumps(size))})
            print(found[name][-1], flush=True)
    exponents = {
        name: {
            quantity: _exponent(rows, name, quantity)
            for quantity in _QUANTITIES
        }
        for name, rows in found.items()
    }
    measure.save("scale", {"rows": found, "exponents": exponents})
    _plot(found)


if __name__ == "__main__":
    app.run(main)
