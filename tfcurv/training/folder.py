"""Training into a folder: what is done is there, and the rest goes on."""

from collections.abc import Mapping
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import shutil
from typing import Any

import keras
import tensorflow as tf

from tfcurv import data
from tfcurv import errors
from tfcurv import report
from tfcurv.training import trainer
from tfcurv.training.backup import best_of
from tfcurv.training.backup import save_whole
from tfcurv.training.config import TrainConfig

#: The trained network, and how it came about.
MODEL, FACTS = "model.keras", "training.json"

_BACKUP = "unfinished"

# Longest part of a value in a message.
_SHOWN = 200


def check_training_folder(
    config: TrainConfig, folder: str | pathlib.Path
) -> dict[str, Any]:
    """Returns what is known of the training in a folder; nothing if new.

    Args:
        config: The settings that it shall have.
        folder: It; it need not exist.

    Returns:
        What `FACTS` holds, `history` among it if the training is done.

    Raises:
        ResultExistsError: The folder holds something else.
        InvalidCheckpointError: It holds a training with other settings.
        OSError: Nothing can be written there.
    """
    folder = pathlib.Path(folder)
    report.require_writable(folder / FACTS)
    if not folder.exists():
        return {}
    names = {path.name for path in folder.iterdir()}
    # A temporary file is of a run that was killed at its very beginning.
    if all(name.startswith(".") and name.endswith(".tmp") for name in names):
        return {}
    try:
        text = (folder / FACTS).read_text(encoding="utf-8")
        facts = json.loads(text)
        found = {**dataclasses.asdict(TrainConfig()), **facts["config"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise errors.ResultExistsError(
            "The output folder holds something already, which is no training: "
            f"{FACTS} is missing or damaged. Received: folder={str(folder)!r}. "
            "Allowed: a new or an empty folder, or that of the same training."
        ) from error
    _compare(folder, found, _as_json(config))
    return facts


def train_in_folder(
    config: TrainConfig,
    folder: str | pathlib.Path,
    *,
    data_dir: str | None = None,
    verbose: int = 1,
) -> dict[str, Any]:
    """Trains a network into a folder; the same call goes on after a kill.

    While it trains, the folder holds `unfinished/`, the end of the last epoch
    and the best network on the validation images so far. The trained network
    is saved as soon as it is there: `model.keras`, that of the last epoch, and
    `best_val_accuracy.keras`, which is no better proved and was chosen by its
    accuracy on clean validation images; of trainings on worst logits
    `best_val_verified_estimate.keras`, chosen by the share of validation
    images whose label stays the largest of these.

    Args:
        config: The settings.
        folder: Where to; new, empty or of a training with these settings.
        data_dir: Folder of tensorflow-datasets.
        verbose: As for `train`.

    Returns:
        What `training.json` holds: `config`, `history` by epoch, `seconds`,
        `data_hash` of the training and validation images, `machine`.

    Raises:
        ResultExistsError: The folder holds something else.
        InvalidCheckpointError: It holds a training with other settings or on
            other data, or a damaged backup.
        DataError: The data are not to be had.
        OSError: The folder cannot be written.
    """
    folder = pathlib.Path(folder)
    facts = check_training_folder(config, folder)
    backup = folder / _BACKUP
    if "history" in facts:
        shutil.rmtree(backup, ignore_errors=True)  # Of a kill at the very end.
        return facts
    splits = [
        data.load_split(config.dataset, name, data_dir=data_dir)
        for name in ("train", "validation")
    ]
    run = {"config": _as_json(config), "data_hash": _fingerprint(splits)}
    if facts:
        # The settings are compared; an older version knew fewer of them.
        _compare(folder, {**facts, "config": run["config"]}, run)
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder, run)
    trained = trainer.train(config, *splits, backup=backup, verbose=verbose)
    save_whole(trained.model.save, folder / MODEL)
    for best in best_of(backup):
        os.replace(best, folder / best.name)
    facts = {
        **run,
        "history": {k: list(v) for k, v in trained.history.items()},
        "seconds": trained.seconds,
        "machine": machine(),
    }
    # Last: they say that the model is there.
    _write(folder, facts)
    shutil.rmtree(backup, ignore_errors=True)
    return facts


def machine() -> str:
    """Returns the day, the kind of this machine and the versions in use."""
    return (
        f"{datetime.date.today()}, {os.cpu_count()} CPU cores "
        f"({platform.machine()}), TensorFlow {tf.__version__}, "
        f"Keras {keras.__version__}"
    )


def _as_json(config: TrainConfig) -> dict[str, Any]:
    return json.loads(json.dumps(dataclasses.asdict(config)))


def _fingerprint(splits: list[data.Split]) -> str:
    fingerprint = data.DataFingerprint()
    for split in splits:
        fingerprint.update(data.Batch(inputs=split.images, labels=split.labels))
    return fingerprint.hexdigest()


def _write(folder: pathlib.Path, facts: Mapping[str, Any]) -> None:
    text = json.dumps(facts, indent=2)
    report.write_atomically(folder / FACTS, text.encode())


def _compare(
    folder: pathlib.Path, found: Mapping[str, Any], expected: Mapping[str, Any]
) -> None:
    """Refuses to go on with another training."""
    for key in sorted(found.keys() | expected.keys()):
        if found.get(key) != expected.get(key):
            raise errors.InvalidCheckpointError(
                "The folder holds another training. Received: "
                f"folder={str(folder)!r}, whose {key} is "
                f"{str(found.get(key))[:_SHOWN]!r}. Expected: "
                f"{str(expected.get(key))[:_SHOWN]!r}. Remedy: another "
                "folder, or the settings of that training."
            )
