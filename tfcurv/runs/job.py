"""One run over data: certifies batch after batch, or reads it back."""

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import time
from typing import Any

import numpy as np
import tensorflow as tf

from tfcurv import certificates
from tfcurv import data as tfcurv_data
from tfcurv import report
from tfcurv import results
from tfcurv.runs.falsify import Attacker

# What a method shares is saved this often while it is computed.
_SAVE_SECONDS = 1.0

# What the batches' arrays are summed to.
_TOTALS = {
    "num_evaluations": float,
    "num_attacks": int,
    "seconds_before": float,
}


class Job:
    """Certificates of data by one method, kept as they are made."""

    def __init__(
        self,
        decider: certificates.Decider,
        attacker: Attacker | None,
        checkpoint: results.Checkpoint | None,
        verbose: int,
    ):
        """Prepares; what the checkpoint knows is known from now on.

        Args:
            decider: What certifies a batch.
            attacker: What attacks the certified points; None for nothing.
            checkpoint: Where to keep what is done; None for nowhere.
            verbose: 0 for no progress bars.
        """
        self._decider = decider
        self._method = decider.method
        self._attacker = attacker
        self._checkpoint = checkpoint
        self._verbose = verbose
        self._bars = {
            unit: report.progress_bar(None, unit, verbose=verbose)
            for unit in self._method.work
        }
        self._method.on_work = self._count
        self._saved_at = time.monotonic()
        known = checkpoint and checkpoint.load_curvature()
        if known:
            self._method.share(known)
        self._num_saved = self._method.num_shared

    def run(self, source: tfcurv_data.BatchSource) -> dict[str, Any]:
        """Returns the fields of the result that the data decide."""
        fingerprint = tfcurv_data.DataFingerprint()
        shards, count, sums = [], 0, np.zeros(2)
        images = report.progress_bar(
            source.num_examples,
            "image",
            verbose=self._verbose,
            description="certifying",
        )
        with contextlib.ExitStack() as bars:
            for bar in (images, *self._bars.values()):
                bars.enter_context(bar)
            for index, batch in enumerate(source):
                fingerprint.update(batch)
                with _says_how_to_go_on(count, self._checkpoint):
                    shards.append(self._shard(index, count, batch))
                count += len(batch.labels)
                sums += _sums(shards[-1])
                right, radii = sums
                images.set_postfix(
                    clean=right / count,
                    mean_radius=radii / max(right, 1),
                    refresh=False,
                )
                images.update(len(batch.labels))
        columns = {
            name: np.concatenate([shard[name] for shard in shards])
            for name in shards[0]
        }
        for name, kind in _TOTALS.items():
            columns[name] = kind(np.sum(columns[name]))
        return {**columns, "data_hash": fingerprint.hexdigest()}

    def _shard(self, index, first, batch) -> Mapping[str, np.ndarray]:
        """Returns the arrays of one batch, computed at most once."""
        if self._checkpoint is None:
            return {
                **self._compute(first, batch),
                "seconds_before": np.zeros(1),
            }
        one = tfcurv_data.DataFingerprint()
        one.update(batch)
        found = self._checkpoint.load_shard(index, one.hexdigest())
        if found is None:
            start = time.monotonic()
            found = self._compute(first, batch)
            seconds = np.array([time.monotonic() - start])
            found["seconds_before"] = seconds
            self._save_shared()
            self._checkpoint.save_shard(index, one.hexdigest(), found)
            # This run's time counts it already.
            found["seconds_before"] = np.zeros(1)
        return found

    def _compute(self, first, batch) -> dict[str, np.ndarray]:
        x = batch.inputs.reshape(len(batch.labels), -1).astype(np.float64)
        found = self._decider(x, batch.labels)
        shard = {
            "labels": batch.labels,
            "predictions": found.prediction,
            "radii": found.radius,
            "targets": found.target,
            "upper_bounds": found.upper_bound,
            "exact": found.exact,
            "reasons": found.reason,
            "methods": found.method.astype(np.int8),
            "num_evaluations": found.num_evaluations,
            "num_attacks": np.zeros(1, np.int64),
        }
        if self._attacker is not None:
            shard["num_attacks"] += self._attacker(
                tf.constant(x), batch.labels, found.radius, found.target, first
            )
        return shard

    def _count(self, unit: str, count: int) -> None:
        """Shows what a method has done, and keeps it now and then."""
        self._bars[unit].update(count)
        # A killed run loses no more than this of what all images share.
        if time.monotonic() - self._saved_at > _SAVE_SECONDS:
            self._save_shared()

    def _save_shared(self) -> None:
        if self._checkpoint is None:
            return
        if self._method.num_shared > self._num_saved:
            self._checkpoint.save_curvature(self._method.shared())
            self._num_saved = self._method.num_shared
            self._saved_at = time.monotonic()


def _sums(shard) -> np.ndarray:
    """Returns the number of right predictions and the sum of radii."""
    right = shard["predictions"] == shard["labels"]
    return np.array([np.sum(right), np.sum(shard["radii"])])


@contextlib.contextmanager
def _says_how_to_go_on(count: int, checkpoint: Any) -> Iterator[None]:
    """Gives an interruption a text: what is kept, or how it would have been."""
    try:
        yield
    except KeyboardInterrupt as error:
        kept = "Nothing is kept; with checkpoint= the same call would go on."
        if checkpoint is not None:
            kept = "The same call goes on from its checkpoint."
        raise KeyboardInterrupt(
            f"certify was interrupted after {count} images. {kept}"
        ) from error
