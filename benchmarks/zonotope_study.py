"""Zonotopes against width and epsilon: what they prove, cost and hold.

Dense ReLU networks of three hidden layers, trained plainly on MNIST for an
epoch, linf in [0, 1]. Of the first test images: the share of neurons that bend,
the share that zonotopes prove, and milliseconds an image of three ways to the
same margins: boxes (which prove less), zonotopes backward, as
`method="zonotope"` has them, and zonotopes forward with all generators written
down, in NumPy; with the megabytes that these generators take. The two kinds of
zonotopes must agree.

    python benchmarks/zonotope_study.py
"""

from collections.abc import Sequence
import time

from absl import app
from absl import flags
import keras
import measure
import numpy as np

from tfcurv import data
from tfcurv import report
from tfcurv.bounds.propagation.ball_box import Rules
from tfcurv.certificates.interval.regions import GraphRegions
from tfcurv.certificates.linear.lines import ParallelLines
from tfcurv.nn.reading.subject import read_subject

_WIDTHS = flags.DEFINE_list("widths", ["100", "200", "400", "800"], "Units.")
_EPSILONS = flags.DEFINE_list("epsilons", ["0.005", "0.01", "0.02"], "Linf.")
_IMAGES = flags.DEFINE_integer("images", 32, "Test images.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Of timing.", lower_bound=1)

_DOMAIN = (0.0, 1.0)


def _trained(width: int) -> keras.Model:
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Flatten(),
            *(dense(width, "relu") for _ in range(3)),
            dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    train = data.load_split("mnist", "train")
    model.fit(train.images, train.labels, batch_size=128, verbose=0)
    return model


def written_down(weights, x: np.ndarray, y: int, epsilon: float):
    """Returns margins, the share of bent neurons and bytes of generators.

    Args:
        weights: Kernels and biases in turn.
        x: `[inputs]`.
        y: The label.
        epsilon: Distance.
    """
    low, high = np.maximum(x - epsilon, 0.0), np.minimum(x + epsilon, 1.0)
    centre, generators = 0.5 * (low + high), np.diag(0.5 * (high - low))
    bent = neurons = most = 0
    for number in range(0, len(weights), 2):
        kernel, bias = weights[number : number + 2]
        centre, generators = centre @ kernel + bias, generators @ kernel
        if number == len(weights) - 2:
            break
        half = np.sum(np.abs(generators), axis=0)
        low, high = centre - half, centre + half
        is_bent = (low < 0.0) & (high > 0.0)
        width = np.where(is_bent, high - low, 1.0)
        slope = np.where(is_bent, high / width, low >= 0.0)
        added = np.where(is_bent, -0.5 * high * low / width, 0.0)
        centre = slope * centre + added
        new = np.diag(added)[is_bent]
        generators = np.concatenate([slope * generators, new])
        bent += np.sum(is_bent)
        neurons += len(is_bent)
        most = max(most, generators.nbytes)
    apart = generators[:, y, np.newaxis] - generators
    margins = centre[y] - centre - np.sum(np.abs(apart), axis=0)
    return margins, bent / neurons, most


def _row(model: keras.Model, width: int, epsilon: float, test) -> dict:
    graph = read_subject(model, as_graph=True).network.graph
    x = test.images.reshape(len(test.images), -1).astype(np.float64)
    y = test.labels.astype(np.int32)
    distances = np.full(len(x), epsilon)
    weights = [each.astype(np.float64) for each in model.get_weights()]
    ways = {
        "boxes": GraphRegions(graph, Rules(ball=False), "linf", _DOMAIN),
        "backward": ParallelLines(graph, Rules(ball=False), "linf", _DOMAIN),
    }
    forward: list = []

    def write_down():
        forward[:] = [
            written_down(weights, *each, epsilon) for each in zip(x, y)
        ]

    tasks = {
        name: lambda way=way: way.margins(x, y, distances)
        for name, way in ways.items()
    }
    seconds = measure.alternate(
        tasks | {"written down": write_down}, _ROUNDS.value
    )
    margins = {name: way.margins(x, y, distances) for name, way in ways.items()}
    own = np.arange(10) == y[:, np.newaxis]
    proved = {
        name: float(np.mean(np.all((found > 0.0) | own, axis=-1)))
        for name, found in margins.items()
    }
    down = np.stack([found for found, _, _ in forward])
    # Boxes are a part of the first, which may only prove more.
    looser = np.max(np.where(own, 0.0, down - margins["backward"]))
    return {
        "width": width,
        "epsilon": epsilon,
        "bent": float(np.mean([share for _, share, _ in forward])),
        "proved": proved,
        "backward looser by": float(looser),
        "generators, MB": max(size for _, _, size in forward) / 2**20,
        "ms": {
            name: 1e3 * float(np.median(each)) / len(x)
            for name, each in seconds.items()
        },
    }


def main(arguments: Sequence[str]) -> None:
    if len(arguments) > 1:
        raise app.UsageError(f"Unexpected arguments: {arguments[1:]}")
    test = data.load_split("mnist", "test", limit=_IMAGES.value)
    rows, start = [], time.monotonic()
    for width in map(int, _WIDTHS.value):
        model = _trained(width)
        for epsilon in map(float, _EPSILONS.value):
            rows.append(_row(model, width, epsilon, test))
            print(rows[-1], flush=True)
    measure.save(
        "zonotopes", {"rows": rows, "seconds": time.monotonic() - start}
    )
    headers = ["width", "epsilon", "bent", "boxes prove", "zonotopes prove"]
    headers += ["ms: boxes", "backward", "written down", "generators, MB"]
    cells = [
        [
            str(row["width"]),
            f"{row['epsilon']:g}",
            f"{row['bent']:.1%}",
            f"{row['proved']['boxes']:.1%}",
            f"{row['proved']['backward']:.1%}",
            *(f"{each:.1f}" for each in row["ms"].values()),
            f"{row['generators, MB']:.1f}",
        ]
        for row in rows
    ]
    print(report.format_markdown_table(headers, cells))


if __name__ == "__main__":
    app.run(main)
