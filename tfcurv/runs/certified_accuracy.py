"""A callback that certifies while `fit` trains."""

from typing import Any

import keras

from tfcurv import certificates
from tfcurv import data as tfcurv_data
from tfcurv.nn.reading.subject import read_subject
from tfcurv.runs.certify import certify


class CertifiedAccuracy(keras.callbacks.Callback):
    """Certifies validation data after epochs and logs the result.

    Adds `val_certified_accuracy` to the logs, so that callbacks listed after
    it, such as `keras.callbacks.ModelCheckpoint`, can monitor it, and what
    that took, `val_certified_seconds`. The same all-targets proof as
    `tfcurv.certify(radii=False)`, on the first `limit` examples; the weights
    are new each time, so that everything is traced and bounded anew.
    """

    def __init__(
        self,
        data: Any,
        epsilon: float,
        *,
        every: int = 1,
        limit: int | None = 1000,
        batch_size: int = 256,
        norm: str = "l2",
        domain: tuple[float, float] | None = None,
        method: str = "auto",
    ):
        """Stores the settings.

        Args:
            data: Validation data as `tfcurv.certify` takes them.
            epsilon: Radius, positive, in input units.
            every: Epochs from one measurement to the next.
            limit: Most examples to certify; None for all.
            batch_size: Examples at a time.
            norm: As `tfcurv.certify`.
            domain: As `tfcurv.certify`.
            method: As `tfcurv.certify`.

        Raises:
            ValueError: `epsilon` is not positive and finite, `every` is not
                positive, or norm, domain or method are unknown.
        """
        super().__init__()
        if not 0.0 < epsilon < float("inf") or every < 1:
            raise ValueError(
                "The radius and the period must be positive. "
                f"Received: epsilon={epsilon!r}, every={every!r}."
            )
        self._data, self._epsilon, self._every = data, epsilon, every
        self._read: dict[str, Any] = {"limit": limit, "batch_size": batch_size}
        self._method = method
        self._threat = certificates.Threat(norm=norm, domain=domain)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Refuses, before the first epoch, what cannot be certified after it.

        Raises:
            UnsupportedModelError: The model, or the method for it.
            DataError: The data, as far as its first batch shows.
        """
        del logs
        as_graph = certificates.needs_graph(self._method, self._threat)
        subject = read_subject(self.model, as_graph=as_graph)
        certificates.choose(
            self._method, subject.network, self._threat, graph=subject.graph
        )
        source = tfcurv_data.batches(
            self._data,
            input_shape=subject.input_shape,
            num_classes=subject.network.num_classes,
            **self._read,
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
            radii=False,
            verbose=0,
            **self._read,
            method=self._method,
            norm=self._threat.norm,
            domain=self._threat.domain,
        )
        if logs is not None:
            logs["val_certified_accuracy"] = result.certified_accuracy(
                self._epsilon
            )
            logs["val_certified_seconds"] = result.seconds
