"""What a training has reached, in a folder, so that a killed one goes on.

Not `keras.callbacks.BackupAndRestore`: weights and the number of their epoch
are two files there, so that a kill between them trains an epoch twice, and one
within the second leaves a backup that cannot be read; history and time of the
epochs before are lost; and it is deleted before the model has been saved.
"""

from collections.abc import Callable
from collections.abc import Mapping
import json
import os
import pathlib
import time
from typing import Any

import keras

from tfcurv import errors
from tfcurv import report

#: Of the names of the weights of the best epoch after the warm-up.
_BEST = "best_"

_STATE = "state.json"


class Backup(keras.callbacks.Callback):
    """Keeps the end of each epoch: weights, optimizer, history and seconds.

    `state.json` names the file of weights that belongs to it and is replaced
    at once when that file is whole: a kill at any moment leaves the end of
    an epoch, all of it.

    Attributes:
        epochs: What Keras logged, epoch by epoch, from the first on.
        seconds: Wall-clock time up to the last of them, in all runs.
    """

    def __init__(
        self,
        folder: str | pathlib.Path,
        warmup_epochs: float,
        judged_by: str = "val_accuracy",
        settings: Mapping[str, Any] | None = None,
    ):
        """Opens a backup, or makes its folder.

        Args:
            folder: Where it is.
            warmup_epochs: Epochs whose networks are not yet trained as they
                shall be: the best one is none of theirs.
            judged_by: Of what Keras logs, the figure of which the best epoch
                has most; its network is `best_val_accuracy.keras`, or alike.
            settings: What a training that goes on must agree with; None where
                somebody else compares them.
        """
        super().__init__()
        self.epochs: list[dict[str, float]] = []
        self.seconds = 0.0
        self._folder = pathlib.Path(folder)
        self._warmup_epochs, self._judged_by = warmup_epochs, judged_by
        # As it comes back.
        self._settings = json.loads(json.dumps(settings))
        self._start = time.monotonic()

    def restore(
        self, model: keras.Model, prepare: Callable[[int], None] | None = None
    ) -> int:
        """Takes a compiled model to where the backup is.

        Args:
            model: It, built as the one of the backup.
            prepare: Called before weights are read, with the number of epochs
                that are done: to compile the model as it was then.

        Returns:
            The number of epochs that are done; 0 without a backup.

        Raises:
            InvalidCheckpointError: The backup is damaged, of another model or
                of other settings.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / _STATE
        if not path.exists():
            return 0
        state = self._read(path)
        if state.get("settings") != self._settings:
            raise errors.InvalidCheckpointError(
                "The backup is of a training with other settings. Received: "
                f"backup={str(self._folder)!r} of {state.get('settings')!r}. "
                f"Expected: {self._settings!r}. Remedy: another folder, or "
                "the settings of that training."
            )
        if prepare is not None:
            prepare(len(state["epochs"]))
        try:
            model.optimizer.build(model.trainable_variables)
            model.load_weights(self._folder / state["weights"])
            self.epochs, self.seconds = state["epochs"], state["seconds"]
        # json, h5py and Keras make all kinds of errors on files that are not
        # what they were.
        except Exception as error:
            raise self._damaged(error) from error
        return len(self.epochs)

    def _read(self, path: pathlib.Path) -> dict[str, Any]:
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            return {"settings": None} | state | {"epochs": [*state["epochs"]]}
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> errors.InvalidCheckpointError:
        return errors.InvalidCheckpointError(
            "The backup of a training cannot be read. Received: "
            f"backup={str(self._folder)!r} ({type(error).__name__}: "
            f"{error!s:.200}). Remedy: delete this folder; the training "
            "then starts anew."
        )

    def on_epoch_end(
        self, epoch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        """Writes the weights, then the state that names them."""
        logged = {name: float(value) for name, value in (logs or {}).items()}
        self.epochs.append(logged)
        weights = f"epoch-{epoch + 1:04d}.weights.h5"
        save_whole(self.model.save_weights, self._folder / weights)
        if self._is_best():
            path = self._folder / f"{_BEST}{self._judged_by}.keras"
            save_whole(self.model.save, path)
        state = {
            "weights": weights,
            "epochs": self.epochs,
            "settings": self._settings,
            "seconds": self.seconds + time.monotonic() - self._start,
        }
        report.write_atomically(
            self._folder / _STATE, json.dumps(state).encode()
        )
        for old in self._folder.glob("*.weights.h5"):
            if old.name != weights:
                old.unlink()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Counts the time of this run."""
        del logs
        now = time.monotonic()
        self.seconds += now - self._start
        self._start = now

    def _is_best(self) -> bool:
        """Whether no epoch after the warm-up was better than the last one."""
        scores = [logged.get(self._judged_by, -1.0) for logged in self.epochs]
        first = int(-(-self._warmup_epochs // 1))
        scores = scores[first:]
        return bool(scores) and scores[-1] >= max(scores)


def best_of(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the files of the best networks of a backup, one or none."""
    return sorted(folder.glob(f"{_BEST}*.keras"))


def save_whole(save: Any, path: pathlib.Path) -> None:
    """Calls one of Keras' functions that save, so that a kill leaves no part.

    Args:
        save: Called with a path of the same ending.
        path: Where the file shall be.
    """
    # Keras tells the format by the whole ending.
    temporary = path.with_name(f".unfinished.{path.name}")
    save(temporary)
    os.replace(temporary, path)
