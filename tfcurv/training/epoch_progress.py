"""What is seen of a training while it runs."""

from collections.abc import Mapping
from typing import Any

import keras

from tfcurv import report

_BAR, _LINES = 1, 2

# More do not fit beside a bar.
_SHOWN = (
    "loss",
    "accuracy",
    "attacked_accuracy",
    "val_accuracy",
    "val_verified_estimate",
)


class EpochProgress(keras.callbacks.Callback):
    """Shows a training on stderr, in place of `fit`, which writes to stdout.

    A context manager, so that an interruption ends the bar, too.
    """

    def __init__(self, name: str, epochs: int, steps: int, verbose: int):
        """Stores what there is to do.

        Args:
            name: Of the network.
            epochs: Passes over the data.
            steps: Batches of one of them.
            verbose: 0 silent, 1 a bar where stderr is a terminal, 2 a line an
                epoch.
        """
        super().__init__()
        self._name, self._epochs, self._steps = name, epochs, steps
        self._verbose = verbose
        self._bar: Any = None

    def __enter__(self) -> "EpochProgress":
        return self

    def __exit__(self, *exception: Any) -> None:
        if self._bar is not None:
            self._bar.close()

    def on_epoch_begin(
        self, epoch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        """Begins the bar, at the epoch that the training goes on with."""
        del logs
        if self._bar is None:
            self._bar = report.progress_bar(
                self._epochs * self._steps,
                "batch",
                description=f"training {self._name}",
                done=epoch * self._steps,
                verbose=int(self._verbose == _BAR),
            )

    def on_train_batch_end(
        self, batch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        """Counts a batch."""
        del batch, logs
        if self._bar is not None:
            self._bar.update()

    def on_epoch_end(
        self, epoch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        """Shows the figures of the epoch."""
        figures = {name: float(value) for name, value in (logs or {}).items()}
        shown = f"{epoch + 1}/{self._epochs}"
        few = {k: v for k, v in figures.items() if k in _SHOWN}
        if self._bar is not None:
            self._bar.set_postfix(few, epoch=shown, refresh=False)
        if self._verbose == _LINES:
            text = ", ".join(f"{k} {v:.4g}" for k, v in figures.items())
            report.announce(f"training {self._name}: epoch {shown}: {text}")
