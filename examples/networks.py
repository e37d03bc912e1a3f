"""Networks of the published tables: trained once, then read."""

import dataclasses
import json
import pathlib

import keras

from tfcurv import certificates
from tfcurv import data
from tfcurv import nn
from tfcurv import report
from tfcurv import training


def load_or_train(
    name: str,
    seed: int,
    folder: pathlib.Path,
    data_dir: str | None = None,
) -> tuple[keras.Model, dict]:
    """Returns a trained network and how it was trained.

    A training that was killed goes on with the epoch in which it stopped.

    Args:
        name: A key of `training.RECIPES`.
        seed: Of weights and order.
        folder: Where networks are kept, each in a folder of its own.
        data_dir: Folder of tensorflow-datasets.
    """
    home = folder / f"{name}-seed{seed}"
    if not home.exists():
        _train(training.recipe(name, seed), home, data_dir)
    facts = json.loads((home / "training.json").read_text(encoding="utf-8"))
    return nn.read_model(home / "model.keras"), facts


def _train(config, home: pathlib.Path, data_dir: str | None) -> None:
    splits = [
        data.load_split(config.dataset, split, data_dir=data_dir)
        for split in ("train", "validation")
    ]
    # Not with_suffix: names hold numbers with points.
    backup = home.with_name(f"{home.name}.unfinished")
    trained = training.train(config, *splits, backup=backup)
    facts = {
        "config": dataclasses.asdict(config),
        "history": trained.history,
        "seconds": trained.seconds,
    }
    with certificates.new_folder(home) as path:
        trained.model.save(path / "model.keras")
        text = json.dumps(facts, indent=2)
        report.write_atomically(path / "training.json", text.encode())
