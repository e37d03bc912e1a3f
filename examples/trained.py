"""Networks of the published tables: trained once, then read."""

from collections.abc import Mapping
import pathlib
from typing import Any

import keras

from tfcurv import nn
from tfcurv import training


def home(name: str, seed: int, folder: pathlib.Path) -> pathlib.Path:
    """Returns the folder of a network.

    Args:
        name: A key of `training.RECIPES`.
        seed: Of weights and order.
        folder: Where networks are kept.
    """
    return folder / f"{name}-seed{seed}"


def is_trained(name: str, seed: int, folder: pathlib.Path) -> bool:
    """Whether a network is there, trained with the settings of its recipe.

    Args:
        name: A key of `training.RECIPES`.
        seed: Of weights and order.
        folder: Where networks are kept.

    Raises:
        TfcurvError: Its folder holds something else.
        OSError: It cannot be written.
    """
    return "history" in training.check_training_folder(
        training.recipe(name, seed), home(name, seed, folder)
    )


def load_or_train(
    name: str,
    seed: int,
    folder: pathlib.Path,
    data_dir: str | None = None,
    verbose: int = 1,
) -> tuple[keras.Model, Mapping[str, Any]]:
    """Returns a trained network and how it was trained.

    A training that was killed goes on with the epoch in which it stopped.

    Args:
        name: A key of `training.RECIPES`.
        seed: Of weights and order.
        folder: Where networks are kept, each in a folder of its own.
        data_dir: Folder of tensorflow-datasets.
        verbose: 0 for no progress.
    """
    own = home(name, seed, folder)
    facts = training.train_in_folder(
        training.recipe(name, seed), own, data_dir=data_dir, verbose=verbose
    )
    return nn.read_model(own / training.MODEL), facts
