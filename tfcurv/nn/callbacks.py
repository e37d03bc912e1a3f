"""Callbacks for curvature-based training with `fit`."""

from typing import Any

import keras

from tfcurv import data as tfcurv_data
from tfcurv.nn import usage
from tfcurv.nn.certify import certify
from tfcurv.nn.subject import read_subject


class WarmUp(keras.callbacks.Callback):
    """Raises epsilon and gamma linearly from zero at the start of training.

    Acts on the adversary and the regularizers of a `tfcurv.Sequential` or
    `tfcurv.Model`. Before batch b of B a multiple min(1, b / B) of the final
    value is in force, B being the batches of `epochs` epochs, also within
    executions of several steps. The final value is the one that was in force
    before training; it is in force again, and is what is saved, wherever
    training ends or is interrupted. After the warm-up nothing is written: the
    changes of other callbacks stay. A run that goes on with `initial_epoch`
    past the warm-up has the final values at once. Where Keras does not know
    the number of batches, whole epochs count.
    """

    def __init__(self, epochs: float = 3.0):
        """Stores the length.

        Args:
            epochs: Length of the warm-up, positive.

        Raises:
            ValueError: `epochs` is not positive.
        """
        super().__init__()
        if not epochs > 0.0:
            raise ValueError(
                "The warm-up must have a positive length. "
                f"Received: epochs={epochs!r}."
            )
        self._epochs = epochs
        self._epoch = 0
        self._is_over = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Begins anew.

        Raises:
            TypeError: The model is none of tfcurv's.
        """
        del logs
        usage.check_warmed_up(self.model)
        self._is_over = False

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Notes the epoch, counted from the start of the whole training."""
        del logs
        self._epoch = epoch

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Sets the values for the next batches."""
        del logs
        if self._is_over:
            return
        steps = (self.params or {}).get("steps")
        part = batch / steps if steps else 0.0
        done = (self._epoch + part) / self._epochs
        step = 1.0 / (steps * self._epochs) if steps else 0.0
        self._is_over = done >= 1.0
        for strength in self.model.strengths:
            strength.rise(done, step)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Sets the final values, also where training ends in the warm-up."""
        del logs
        for strength in self.model.strengths:
            strength.settle()


class CertifiedAccuracy(keras.callbacks.Callback):
    """Certifies validation data after epochs and logs the result.

    Adds `val_certified_accuracy` to the logs, so that callbacks listed after
    it, such as `keras.callbacks.ModelCheckpoint`, can monitor it. The same
    all-targets proof as `tfcurv.certify`, on the first `limit` examples.
    """

    def __init__(
        self,
        data: Any,
        epsilon: float,
        *,
        every: int = 1,
        limit: int | None = 1000,
        batch_size: int = 256,
    ):
        """Stores the settings.

        Args:
            data: Validation data as `tfcurv.certify` takes them.
            epsilon: l2 radius, positive, in input units.
            every: Epochs from one measurement to the next.
            limit: Most examples to certify; None for all.
            batch_size: Examples at a time.

        Raises:
            ValueError: `epsilon` is not positive and finite, or `every` is
                not positive.
        """
        super().__init__()
        if not 0.0 < epsilon < float("inf") or every < 1:
            raise ValueError(
                "The radius and the period must be positive. "
                f"Received: epsilon={epsilon!r}, every={every!r}."
            )
        self._data, self._epsilon, self._every = data, epsilon, every
        self._options: dict[str, Any] = {
            "limit": limit,
            "batch_size": batch_size,
        }

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Refuses, before the first epoch, what cannot be certified after it.

        Raises:
            UnsupportedModelError: The model.
            DataError: The data, as far as its first batch shows.
        """
        del logs
        subject = read_subject(self.model)
        source = tfcurv_data.batches(
            self._data,
            input_shape=subject.input_shape,
            num_classes=subject.network.num_classes,
            **self._options,
        )
        next(iter(source))

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Certifies and writes to the logs."""
        if (epoch + 1) % self._every:
            return
        result = certify(
            self.model,
            self._data,
            epsilons=(self._epsilon,),
            verbose=0,
            **self._options,
        )
        if logs is not None:
            logs["val_certified_accuracy"] = result.certified_accuracy(
                self._epsilon
            )
