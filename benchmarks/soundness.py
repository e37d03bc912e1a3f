"""Tries to find a false certificate, and writes down what was tried.

Trains dense networks of 2 to 4 layers, a convolutional and a residual one,
certifies and attacks them; attacks what every method proves of two more, in
both norms and in a domain; certifies networks made to break a certifier; plants
known faults in the sources and runs the tests against them; kills runs and goes
on; measures what each level of rigour costs. Writes docs/soundness.json and,
from it, docs/soundness.md.

    python benchmarks/soundness.py
    python benchmarks/soundness.py --parts=rigor --models=released.npz

What is not in --parts is kept from the last run.
"""

from collections.abc import Sequence
import dataclasses
import json
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any

from absl import app
from absl import flags
import keras
import kill_study
import measure
import numpy as np
import soundness_page
import threat_study

from tfcurv import certificates
from tfcurv import data
from tfcurv import errors
from tfcurv import nn
from tfcurv import report
from tfcurv import runs
from tfcurv import training

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_PARTS = (
    "attacks",
    "threats",
    "hostile",
    "mutants",
    "kills",
    "repeats",
    "rigor",
)

_OUTPUT = flags.DEFINE_string(
    "output", str(_ROOT / "docs"), "Folder for soundness.json, soundness.md."
)
_PARTS_WANTED = flags.DEFINE_list(
    "parts", list(_PARTS), f"What to do: some of {','.join(_PARTS)}."
)
_MODELS = flags.DEFINE_list(
    "models", [], "Files of more models to attack and to measure rigour on."
)
_DATASET = flags.DEFINE_enum(
    "dataset", "mnist", sorted(data.DATASETS), "Images to train and attack on."
)
_LIMIT = flags.DEFINE_integer(
    "limit", 2000, "Test images of each network.", lower_bound=1
)
_HOSTILE = flags.DEFINE_integer(
    "hostile", 500, "Generated hostile networks.", lower_bound=0
)
_THREATENED = flags.DEFINE_integer(
    "threatened", 200, "Test images of each method and threat.", lower_bound=1
)
_KILLS = flags.DEFINE_integer("kills", 50, "Processes to kill.", lower_bound=1)

_NEED_NETWORKS = {"attacks", "repeats", "rigor"}
_TRAINING_IMAGES = 20_000
_WIDTH = 256
_NETWORKS = (
    (2, "softplus"),
    (2, "sigmoid"),
    (2, "tanh"),
    (3, "softplus"),
    (3, "tanh"),
    (4, "softplus"),
    (4, "sigmoid"),
)
_CONVOLUTION = training.ConvolutionSettings(32, 8, 4)
_EPSILONS = (0.5, 1.58)
_ATTACK = certificates.FalsifierOptions(
    gradient_steps=40, restarts=3, walk_steps=20
)


def _trained(folder: pathlib.Path) -> list[pathlib.Path]:
    """Trains the networks of the study and returns their files."""
    train = data.load_split(_DATASET.value, "train", limit=_TRAINING_IMAGES)
    validation = data.load_split(_DATASET.value, "validation", limit=1000)
    paths = []

    def keep(name: str, model: keras.Model) -> None:
        paths.append(folder / f"{name}.keras")
        model.save(paths[-1])
        _say(f"trained {name}")

    for name, config in _configs().items():
        keep(name, training.train(config, train, validation, verbose=0).model)
    keep("residual, tanh", _residual(train))
    return paths


def _configs() -> dict[str, training.TrainConfig]:
    common = training.TrainConfig(
        dataset=_DATASET.value,
        width=_WIDTH,
        epsilon=1.0,
        epochs=4,
        warmup_epochs=1.0,
    )
    found = {
        f"{layers} layers, {activation}": dataclasses.replace(
            common,
            layers=layers,
            activation=activation,
            epsilon=0.5 if activation == "sigmoid" else 1.0,
        )
        for layers, activation in _NETWORKS
    }
    found["convolution, softplus"] = dataclasses.replace(
        common, convolutions=(_CONVOLUTION,), layers=1
    )
    return found


def _residual(train: data.Split) -> keras.Model:
    """Trains, plainly, a residual block between normalised convolutions."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = keras.Input(train.images.shape[1:])
    stem = layers.Conv2D(8, 5, strides=4, padding="same")(inputs)
    stem = layers.Activation("tanh")(layers.BatchNormalization()(stem))
    branch = layers.Conv2D(8, 3, padding="same")(stem)
    branch = layers.Activation("tanh")(layers.BatchNormalization()(branch))
    joined = layers.AveragePooling2D(2)(layers.Add()([stem, branch]))
    outputs = layers.Dense(10)(layers.Flatten()(joined))
    model = keras.Model(inputs, outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss)
    model.fit(train.images, train.labels, batch_size=100, epochs=2, verbose=0)
    return model


def _attack(path: pathlib.Path) -> dict[str, Any]:
    """Certifies and attacks one network."""
    model = nn.read_model(path)
    result = runs.certify(
        model,
        _DATASET.value,
        epsilons=_EPSILONS,
        limit=_LIMIT.value,
        verbose=0,
    )
    start, found = time.monotonic(), 0
    try:
        attacked = runs.falsify(model, result, options=_ATTACK, verbose=0)
    except errors.FalseCertificateError as error:
        _say(f"FALSE CERTIFICATE of {path.stem}: {error}")
        attacked, found = result, 1
    row = {
        "network": path.stem,
        "clean": result.clean_accuracy,
        "certified": [result.certified_accuracy(e) for e in _EPSILONS],
        "attacked": [result.attacked_accuracy(e) for e in _EPSILONS],
        "points": int(np.sum(result.radii > 0.0)),
        "evaluations": attacked.num_attacks,
        "counter_examples": found,
        "seconds": time.monotonic() - start,
    }
    _say(f"attacked {path.stem}: {row['evaluations']} evaluations")
    return row


def _attacks(paths: Sequence[pathlib.Path]) -> list[dict[str, Any]]:
    return [_attack(path) for path in paths]


def _hostile() -> dict[str, int]:
    """Certifies hostile networks and checks them in exact arithmetic."""
    sys.path.append(str(_ROOT / "tests"))  # Where they are made for the tests.
    import certificates_toys
    import hostile_networks

    seeds = range(_HOSTILE.value)
    makers = [
        *hostile_networks.BY_HAND.values(),
        *(lambda s=seed: hostile_networks.generated(s) for seed in seeds),
    ]
    wrong, points, certified = [], 0, 0
    for maker in makers:
        network, x = maker()
        y = certificates_toys.predict(network, x)
        many = network.num_classes > 100
        found = certificates_toys.certify(network, x, y, compiled=many)
        wrong += hostile_networks.violations(network, x, y, found)
        points += len(x)
        certified += int(np.sum(found.radius > 0.0))
    _say(f"certified {len(makers)} hostile networks: {len(wrong)} violations")
    return {
        "networks": len(makers),
        "points": points,
        "certified": certified,
        "violations": len(wrong),
    }


def _mutants(folder: pathlib.Path) -> dict[str, Any]:
    path = folder / "mutants.json"
    command = [sys.executable, str(_ROOT / "tests" / "mutants.py")]
    subprocess.run([*command, f"--json={path}"], cwd=_ROOT, check=False)
    return json.loads(path.read_text())


def _repeats(path: pathlib.Path, folder: pathlib.Path) -> list[dict[str, Any]]:
    """How far radii move with batches, order and threads."""
    model = nn.read_model(path)
    split = data.load_split(_DATASET.value, "test", limit=300)
    x, y = split.images, split.labels

    def certify(**settings):
        return runs.certify(
            model, settings.pop("data", (x, y)), verbose=0, **settings
        )

    expected = certify().radii
    order = np.random.default_rng(0).permutation(len(y))
    shuffled = np.empty_like(expected)
    shuffled[order] = certify(data=(x[order], y[order])).radii
    np.savez(folder / "images.npz", x=x, y=y)
    found = {
        "the same again": certify().radii,
        "batches of 1": certify(batch_size=1).radii,
        "batches of 7": certify(batch_size=7).radii,
        "batches of 128": certify(batch_size=128).radii,
        "another order": shuffled,
        "one thread": kill_study.radii_on_one_thread(path, folder),
    }
    scale = np.maximum(expected, np.finfo(float).tiny)
    rows = []
    for name, radii in found.items():
        apart = np.abs(radii - expected) / scale
        rows.append(
            {
                "change": name,
                "identical": int(np.sum(radii == expected)),
                "images": len(radii),
                "largest": float(np.max(apart)),
            }
        )
        _say(f"{name}: {rows[-1]}")
    return rows


def _rigor(paths: Sequence[pathlib.Path]) -> list[dict[str, Any]]:
    """What each level of rigour costs, in one run."""
    rows = []
    for path in paths:
        model = nn.read_model(path)
        for settings in (
            {"rigor": "float64"},
            {},
            {"guard": "float32"},
            {"falsify": True},
        ):
            result = runs.certify(
                model,
                _DATASET.value,
                epsilons=_EPSILONS,
                limit=None if _MODELS.value else _LIMIT.value,
                verbose=0,
                **settings,
            )
            rows.append(
                {
                    "network": path.stem,
                    "settings": settings,
                    "images": result.num_images,
                    "certified": [
                        result.certified_accuracy(e) for e in _EPSILONS
                    ],
                    "mean_radius": result.mean_radius,
                    "seconds": result.seconds,
                }
            )
            _say(f"{path.stem} {settings}: {result.seconds:.1f} s")
    return rows


def _command(part: str) -> str:
    models = ",".join(pathlib.Path(name).name for name in _MODELS.value)
    flag = f" --models={models}" if models else ""
    return f"python benchmarks/soundness.py --parts={part}{flag}"


def _say(text: str) -> None:
    print(text, flush=True)


def _measure(wanted: Sequence[str], study: dict[str, Any]) -> None:
    """Runs the parts and enters what they give into the study."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        given = [pathlib.Path(name) for name in _MODELS.value]
        use_own = {"attacks", "repeats"} if given else _NEED_NETWORKS
        own = _trained(folder) if use_own & set(wanted) else []
        parts = {
            "attacks": lambda: _attacks([*own, *given]),
            "threats": lambda: threat_study.run(
                _DATASET.value, _THREATENED.value, _ATTACK, _say
            ),
            "hostile": _hostile,
            "mutants": lambda: _mutants(folder),
            "kills": lambda: dataclasses.asdict(
                kill_study.run(folder / "kills", _KILLS.value, _say)
            ),
            "repeats": lambda: _repeats(own[0], folder),
            "rigor": lambda: _rigor(given or own[:1]),
        }
        for name in wanted:
            start = time.monotonic()
            found = parts[name]()
            study[name] = {
                "found": found,
                "machine": measure.machine(),
                "command": _command(name),
                "seconds": time.monotonic() - start,
            }
            _write(study)


def _write(study: dict[str, Any]) -> None:
    folder = pathlib.Path(_OUTPUT.value)
    text = json.dumps(study, indent=2) + "\n"
    report.write_atomically(folder / "soundness.json", text.encode())
    page = soundness_page.page(study, _EPSILONS)
    report.write_atomically(folder / "soundness.md", page.encode())


def main(arguments: Sequence[str]) -> None:
    if len(arguments) > 1:
        raise app.UsageError(f"Unexpected arguments: {arguments[1:]}")
    unknown = set(_PARTS_WANTED.value) - set(_PARTS)
    if unknown:
        raise app.UsageError(f"Unknown parts: {sorted(unknown)}")
    path = pathlib.Path(_OUTPUT.value) / "soundness.json"
    study = json.loads(path.read_text()) if path.exists() else {}
    _measure(_PARTS_WANTED.value, study)


if __name__ == "__main__":
    app.run(main)
