"""What each method proves of networks that nobody trained for proofs.

Trains dense and convolutional networks on MNIST, plainly, and certifies the
first test images by ball and box, by linear bounds, and by "auto". Prints, and
keeps in benchmarks/results, mean l2 radii over all images, the mean distance of
adversarial examples (tfcurv.attack), and seconds, tracing included.

    python benchmarks/plain_networks.py --networks=tanh4,sigmoid6,relu9
    python benchmarks/plain_networks.py --images=20 --networks=maxpool,gelu
"""

from collections.abc import Callable
from collections.abc import Sequence
import time

from absl import app
from absl import flags
import keras
import measure
import numpy as np

import tfcurv
from tfcurv import data
from tfcurv import report

_LAYERS = keras.layers


def _dense(layers: int, width: int, activation: str) -> list[keras.Layer]:
    hidden = [
        _LAYERS.Dense(width, activation=activation) for _ in range(layers - 1)
    ]
    return [_LAYERS.Flatten(), *hidden, _LAYERS.Dense(10)]


def _maxpool() -> list[keras.Layer]:
    return [
        _LAYERS.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
        _LAYERS.MaxPooling2D(2),
        _LAYERS.Conv2D(32, 3, padding="same", activation="relu"),
        _LAYERS.MaxPooling2D(2),
        _LAYERS.Flatten(),
        _LAYERS.Dense(64, activation="relu"),
        _LAYERS.Dense(10),
    ]


def _gelu() -> list[keras.Layer]:
    found: list[keras.Layer] = []
    for _ in range(2):
        found += [
            _LAYERS.Conv2D(16, 3, padding="same"),
            _LAYERS.BatchNormalization(momentum=0.9),
            _LAYERS.Activation("gelu"),
        ]
    return [
        *found,
        _LAYERS.AveragePooling2D(2),
        _LAYERS.Flatten(),
        _LAYERS.Dense(64, activation="gelu"),
        _LAYERS.Dense(10),
    ]


# Layers, and epochs.
_NETWORKS: dict[str, tuple[Callable[[], list], int]] = {
    "tanh4": (lambda: _dense(4, 200, "tanh"), 5),
    "sigmoid6": (lambda: _dense(6, 200, "sigmoid"), 16),
    "relu9": (lambda: _dense(9, 200, "relu"), 5),
    "maxpool": (_maxpool, 3),
    "gelu": (_gelu, 2),
}
_IMAGES = flags.DEFINE_integer("images", 100, "Test images.", lower_bound=1)
_CHOSEN = flags.DEFINE_list(
    "networks", list(_NETWORKS), f"Some of {', '.join(_NETWORKS)}."
)
_METHODS = flags.DEFINE_list("methods", ["bcp", "crown", "auto"], "Methods.")


def _trained(name: str) -> keras.Model:
    make, epochs = _NETWORKS[name]
    train = data.load_split("mnist", "train")
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(train.images.shape[1:]), *make()])
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(train.images, train.labels, 128, epochs=epochs, verbose=0)
    return model


def _row(model, name: str, method: str) -> dict:
    test = data.load_split("mnist", "test", limit=_IMAGES.value)
    images = test.images, test.labels
    start = time.monotonic()
    if method == "attack":
        found = tfcurv.attack(model, images, verbose=0)
        radii, counts = found.distances, {}
        radii = np.where(np.isfinite(radii), radii, np.nan)
    else:
        found = tfcurv.certify(model, images, method=method, verbose=0)
        radii, counts = found.radii, found.method_counts
    return {
        "network": name,
        "clean": found.clean_accuracy,
        "method": method,
        "mean radius": float(np.nanmean(radii)),
        "proved by": {key: int(value) for key, value in counts.items()},
        "seconds": time.monotonic() - start,
    }


def main(arguments: Sequence[str]) -> None:
    if len(arguments) > 1:
        raise app.UsageError(f"Unexpected arguments: {arguments[1:]}")
    unknown = set(_CHOSEN.value) - set(_NETWORKS)
    if unknown:
        raise app.UsageError(f"Unknown networks: {sorted(unknown)}")
    for name in _CHOSEN.value:
        model, rows = _trained(name), []
        for method in (*_METHODS.value, "attack"):
            rows.append(_row(model, name, method))
            print(rows[-1], flush=True)
        measure.save(f"plain-{name}", {"images": _IMAGES.value, "rows": rows})
        print(_table(rows))


def _table(rows) -> str:
    return report.format_markdown_table(
        ["network", "method", "mean radius", "seconds"],
        [
            [
                row["network"],
                row["method"],
                f"{row['mean radius']:.5f}",
                f"{row['seconds']:.1f}",
            ]
            for row in rows
        ],
    )


if __name__ == "__main__":
    app.run(main)
