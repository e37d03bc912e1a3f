"""Attacks on what every method proves, in both norms, in and out of a domain.

Used by soundness.py: --parts=threats.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tfcurv import certificates
from tfcurv import data
from tfcurv import errors
from tfcurv import runs

_THREATS = tuple(
    (norm, domain) for norm in ("l2", "linf") for domain in (None, (0.0, 1.0))
)
_LAYERS = keras.layers

# Of methods that split neurons: more prove more, at the same rules.
_BRANCHES = 30

# Share of the images of a method whose radii take seconds each.
_SHARES = {"complete": 0.2}


def _smooth() -> list[keras.Layer]:
    return [
        _LAYERS.Flatten(),
        _LAYERS.Dense(64, activation="tanh"),
        _LAYERS.Dense(48, activation="softplus"),
        _LAYERS.Dense(32, activation="gelu"),
        _LAYERS.Dense(10),
    ]


def _kinked() -> list[keras.Layer]:
    return [
        _LAYERS.Conv2D(6, 5, strides=2, padding="same", use_bias=False),
        _LAYERS.BatchNormalization(momentum=0.9),
        _LAYERS.Activation("relu"),
        _LAYERS.MaxPooling2D(2),
        _LAYERS.Conv2D(8, 3, padding="same", activation="leaky_relu"),
        _LAYERS.Flatten(),
        _LAYERS.Dense(32, activation="relu"),
        _LAYERS.Dense(10),
    ]


_NETWORKS = {"dense, smooth": _smooth, "convolutions, maxima": _kinked}


def _trained(make: Callable[[], list], train: data.Split) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(train.images.shape[1:]), *make()])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-3), loss)
    model.fit(train.images, train.labels, batch_size=128, epochs=3, verbose=0)
    return model


def run(
    dataset: str,
    limit: int,
    options: certificates.FalsifierOptions,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Returns a row a network, a threat and a method that can do them.

    Args:
        dataset: Name of the data set.
        limit: Test images of each.
        options: How hard to attack.
        say: Is told what is done.
    """
    train = data.load_split(dataset, "train", limit=20_000)
    rows = []
    for name, make in _NETWORKS.items():
        model = _trained(make, train)
        for norm, domain in _THREATS:
            for method in ("auto", *certificates.METHODS):
                try:
                    result = runs.certify(
                        model,
                        dataset,
                        method=method,
                        norm=norm,
                        domain=domain,
                        limit=max(1, int(_SHARES.get(method, 1.0) * limit)),
                        branches=_BRANCHES,
                        verbose=0,
                    )
                except errors.UnsupportedModelError:
                    continue
                row = _attacked(model, result, options)
                row |= {"network": name, "norm": norm, "method": method}
                rows.append(row | {"domain": domain})
                say(f"{name}, {norm}, {domain}, {method}: {row}")
    return rows


def _attacked(model, result, options) -> dict[str, Any]:
    found, evaluations = 0, 0
    try:
        attacked = runs.falsify(model, result, options=options, verbose=0)
        evaluations = int(attacked.num_attacks)
    except errors.FalseCertificateError:
        found = 1
    right = result.radii > 0.0
    return {
        "points": int(np.sum(right)),
        "mean_radius": result.mean_radius,
        "evaluations": evaluations,
        "counter_examples": found,
    }
