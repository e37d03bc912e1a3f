"""One network in a folder: trained, then certified, each step kept."""

import pathlib
import shutil
from typing import Any

from tfcurv import data
from tfcurv import errors
from tfcurv import nn
from tfcurv import results
from tfcurv import runs
from tfcurv import training
from tfcurv.cli import options

#: The report of the certificates, in the folder of a network.
CERTIFICATES = "certificates"

_CHECKPOINT = "checkpoint"


def check(
    config: training.TrainConfig,
    folder: pathlib.Path,
    data_dir: str | None,
    method: str | None = None,
) -> None:
    """Raises what `train_and_certify` would come to only after hours.

    Args:
        config: The settings of the training.
        folder: Where to; new, empty or of an unfinished run of the same.
        data_dir: Folder of tensorflow-datasets.
        method: Of certification; None for that of the objective.

    Raises:
        ValueError: The settings make no network.
        TfcurvError: The data are not to be had, the folder holds something
            else, or the network cannot be certified in this way.
        OSError: The folder cannot be written.
    """
    training.check_training_folder(config, folder)
    model = training.build_model(config)
    # Their own methods can do all that the others may be trained to be.
    if method is not None or config.objective == "plain":
        way = _method(config, method)
        training.check_certifiable(model, way, config.norm)
    for split in ("train", "validation", "test"):
        data.load_split(config.dataset, split, data_dir=data_dir, limit=1)


def _method(config: training.TrainConfig, method: str | None) -> str:
    return method or training.OBJECTIVES[config.objective].method


def refuse_finished(path: pathlib.Path, folder: pathlib.Path) -> None:
    """Raises if a run is over.

    Args:
        path: What is there when it is.
        folder: That of the run.

    Raises:
        ResultExistsError: It is.
    """
    if path.exists():
        raise errors.ResultExistsError(
            "The output folder holds a finished run; nothing is overwritten. "
            f"Received: folder={str(folder)!r}, with {path.name}. Remedy: "
            "another folder, or 'tfcurv certify' for its model.keras."
        )


def train_and_certify(
    config: training.TrainConfig,
    folder: pathlib.Path,
    epsilons: tuple[float, ...],
    *,
    method: str | None = None,
    data_dir: str | None = None,
    quiet: bool = False,
) -> tuple[results.CertificationResult, dict[str, Any]]:
    """Trains a network and certifies it on the test split.

    The network is saved as soon as it is trained; what a killed run has done
    is not done again.

    Args:
        config: The settings of the training.
        folder: Where to.
        epsilons: Radii of the summary.
        method: Of certification; None for that of the objective.
        data_dir: Folder of tensorflow-datasets.
        quiet: Whether to show no progress.

    Returns:
        The certificates, and what training.json holds.

    Raises:
        KeyboardInterrupt: Says how to go on.
    """
    verbose = 0 if quiet else 1
    how = f"The same command goes on; what is done is kept in {str(folder)!r}."
    with options.going_on(how):
        facts = training.train_in_folder(
            config, folder, data_dir=data_dir, verbose=verbose
        )
        home, kept = folder / CERTIFICATES, folder / _CHECKPOINT
        if not home.exists():
            result = runs.certify(
                nn.read_model(folder / training.MODEL),
                config.dataset,
                method=_method(config, method),
                norm=config.norm,
                domain=config.domain,
                epsilons=epsilons,
                # Radii by branches take a search for each of their bits.
                radii=not config.is_layerwise,
                checkpoint=kept,
                data_dir=data_dir,
                verbose=verbose,
            )
            result.save(home)
        shutil.rmtree(kept, ignore_errors=True)
        return results.load_result(home), facts
