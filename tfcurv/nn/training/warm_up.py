"""A callback that raises the strengths of training."""

from typing import Any

import keras

from tfcurv.nn.training import usage


class WarmUp(keras.callbacks.Callback):
    """Raises epsilon, gamma and weight linearly from zero.

    Acts on the adversary, the worst case and the regularizers of a
    `tfcurv.Sequential` or `tfcurv.Model`. Before batch b of B a multiple min(1,
    b / B) of the final value is in force, B being the batches of `epochs`
    epochs, also within executions of several steps. The final value is the one
    that was in force before training; it is in force again, and is what is
    saved, wherever training ends or is interrupted. After the warm-up nothing
    is written: the changes of other callbacks stay. A run that goes on with
    `initial_epoch` past the warm-up has the final values at once. Where Keras
    does not know the number of batches, whole epochs count.
    """

    def __init__(self, epochs: float = 3.0, start: float = 0.0):
        """Stores the length.

        Args:
            epochs: Length of the warm-up, positive.
            start: Epochs before it begins, in which the values are zero.

        Raises:
            ValueError: `epochs` is not positive, or `start` negative.
        """
        super().__init__()
        if not (epochs > 0.0 and start >= 0.0):
            raise ValueError(
                "The warm-up must have a positive length, after no negative "
                f"time. Received: epochs={epochs!r}, start={start!r}."
            )
        self._epochs, self._start = epochs, start
        self._epoch = 0
        self._is_over = False
        self._written: tuple[int, bool] | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Begins anew.

        Raises:
            TypeError: The model is none of tfcurv's.
        """
        del logs
        usage.check_warmed_up(self.model)
        self._is_over = False
        self._written = None

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Notes the epoch, counted from the start of the whole training."""
        del logs
        self._epoch = epoch

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Sets the values, once an epoch: they rise by themselves in it."""
        del logs
        if self._is_over:
            return
        steps = (self.params or {}).get("steps")
        part = batch / steps if steps else 0.0
        done = (self._epoch + part - self._start) / self._epochs
        self._is_over = done >= 1.0
        if not self._is_over and self._written == (self._epoch, done >= 0.0):
            return
        self._written = (self._epoch, done >= 0.0)
        step = 1.0 / (steps * self._epochs) if steps and done >= 0.0 else 0.0
        for strength in self.model.strengths:
            strength.rise(max(done, 0.0), step)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Sets the final values, also where training ends in the warm-up."""
        del logs
        for strength in self.model.strengths:
            strength.settle()
