"""What quadratic minorants prove of a two-layer ReLU network, and at what cost.

Trains 784-1024-10 on MNIST, plainly or against adversarial examples, certifies
the same images by linear bounds (CROWN-Ada), by parabolas that touch relu at
the image (Q), by the best parabolas that hold everywhere (Q*), and by the best
of these and of those that hold in a ball (all, what `tfcurv.certify` gives).
Prints mean radii over the images that are classified correctly, and the mean
distance of the adversarial examples found.

    python benchmarks/relu_study.py --limit=150
    python benchmarks/relu_study.py --limit=150 --epsilon=1
"""

from collections.abc import Callable
from collections.abc import Sequence
import time
from typing import Any

from absl import app
from absl import flags
import keras
import measure
import numpy as np

from tfcurv import certificates
from tfcurv import data
from tfcurv import nn
from tfcurv import report

_LIMIT = flags.DEFINE_integer("limit", 150, "Images to certify.", lower_bound=1)
_EPOCHS = flags.DEFINE_integer("epochs", 4, "Epochs.", lower_bound=1)
_WIDTH = flags.DEFINE_integer("width", 1024, "Hidden units.", lower_bound=1)
_EPSILON = flags.DEFINE_float(
    "epsilon", 0.0, "l2 radius of the attack in training; 0 for none."
)
_DATASET = flags.DEFINE_string("dataset", "mnist", "Data set.")

# Classes, the nearest first, against which Q is computed: its minimum over
# all is at most that over these.
_Q_CLASSES = 3


def _train(split: data.Split) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = nn.Sequential(
        [
            keras.Input(split.images.shape[1:]),
            keras.layers.Flatten(),
            keras.layers.Dense(_WIDTH.value, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    settings = {}
    if _EPSILON.value:
        settings["adversary"] = nn.CurvatureAttack(
            _EPSILON.value, constraint="sphere"
        )
    model.compile(
        "adam",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=True,
        **settings,
    )
    model.fit(
        split.images,
        split.labels,
        batch_size=128,
        epochs=_EPOCHS.value,
        verbose=0,
    )
    return model


def _touching(network, x, y, radii) -> float:
    """Returns Q's radius: parabolas with c = |z(x0)|, in floating point."""
    first, last = network.affines
    z = x @ first.kernel + first.bias
    found = []
    for t in np.argsort(np.where(np.arange(len(radii)) == y, np.inf, radii)):
        w = last.kernel[:, y] - last.kernel[:, t]
        margin = w @ np.maximum(z, 0.0) + last.bias[y] - last.bias[t]
        gradient = first.kernel @ (w * (z > 0.0))
        bent = np.flatnonzero(w < 0.0)
        scales = np.sqrt(-w[bent] / (2.0 * np.abs(z[bent])))
        scaled = first.kernel[:, bent] * scales
        values, vectors = np.linalg.eigh(scaled.T @ scaled)
        values = np.maximum(values, 0.0)
        parts = (vectors.T @ (scaled.T @ gradient)) ** 2
        low, high = 0.0, (1.0 - 1e-9) / values[-1]
        square = gradient @ gradient

        def dual(eta):
            more = eta * np.sum(parts / (1.0 - eta * values))
            return eta * margin - 0.5 * eta**2 * (square + more)

        for _ in range(60):  # Golden section would do as well.
            thirds = low + (high - low) * np.array([1.0, 2.0]) / 3.0
            if dual(thirds[0]) < dual(thirds[1]):
                low = thirds[0]
            else:
                high = thirds[1]
        found.append(np.sqrt(2.0 * max(dual(low), 0.0)))
        if len(found) == _Q_CLASSES:
            break
    return min(found)


def _timed(task: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    found = task()
    return found, time.perf_counter() - start


def main(argv: Sequence[str]) -> None:
    """Prints the table."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    model = _train(data.load_split(_DATASET.value, "train"))
    test = data.load_split(_DATASET.value, "test", limit=_LIMIT.value)
    network = nn.network_from_model(model)
    x = test.images.reshape(len(test.labels), -1).astype(np.float64)
    y = test.labels.astype(np.int32)
    ways = {
        "CROWN-Ada": (certificates.CertifierOptions(search=None), None),
        "Q*": (
            certificates.CertifierOptions(),
            certificates.ReluSearchOptions(balls=0),
        ),
        "all": (certificates.CertifierOptions(), None),
    }
    results, seconds = {}, {}
    for name, settings in ways.items():
        certifier = certificates.ReluCertifier(network, *settings)
        certifier(x[:2], y[:2])  # Traced and compiled.
        results[name], seconds[name] = _timed(lambda: certifier(x, y))
    best = results["all"]
    right = best.reason == certificates.Reason.CERTIFIED
    radii = {name: found.radius for name, found in results.items()}
    radii["Q"], seconds["Q"] = _timed(
        lambda: np.array(
            [
                _touching(network, *row) if good else 0.0
                for good, *row in zip(right, x, y, best.radii)
            ]
        )
    )
    radii["attacked"] = best.upper_bound
    rows = [
        [
            name,
            f"{np.mean(radii[name][right]):.4f}",
            f"{seconds[name] / len(y):.3f}" if name in seconds else "",
        ]
        for name in ("CROWN-Ada", "Q", "Q*", "all", "attacked")
    ]
    headers = [_DATASET.value, "mean radius", "seconds an image"]
    print(report.format_table(headers, rows))
    print(
        f"{np.mean(right):.3f} certified, {np.mean(best.exact[right]):.3f} of "
        f"these exact, {np.mean(best.num_evaluations):.1f} factorisations."
    )
    measure.save(
        f"relu-{_DATASET.value}-{_EPSILON.value:g}",
        {
            "rows": rows,
            "images": len(y),
            "correct": float(np.mean(right)),
            "exact": float(np.mean(best.exact[right])),
            "factorisations": float(np.mean(best.num_evaluations)),
        },
    )


if __name__ == "__main__":
    app.run(main)
