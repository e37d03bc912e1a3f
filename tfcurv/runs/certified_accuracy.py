"""A callback that certifies while `fit` trains."""

from typing import Any

import keras

from tfcurv import data as tfcurv_data
from tfcurv.nn.reading.subject import read_subject
from tfcurv.runs.certify import certify


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
