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

# Images after which a dear method shows what it has done: the first few at
# once, so that there is a time left to be seen.
_FIRST_IMAGES, _IMAGES = 8, 64

# What the batches' arrays are summed to.
_TOTALS = {
    "num_evaluations": float,
    "num_attacks": int,
    "seconds_before": float,
}


class _Images:
    """The bar of images, with the means so far."""

    def __init__(self, total: int | None, verbose: int):
        self.bar = report.progress_bar(
            total, "image", verbose=verbose, description="certifying"
        )
        self._sums = np.zeros(3)

    def show(self, shard: Mapping[str, np.ndarray]) -> None:
        """Counts the images of some arrays."""
        right = shard["predictions"] == shard["labels"]
        self._sums += len(right), np.sum(right), np.sum(shard["radii"])
        count, correct, radii = self._sums
        self.bar.set_postfix(
            clean=correct / count,
            mean_radius=radii / max(correct, 1),
            refresh=False,
        )
        self.bar.update(len(right))


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
        shards, count = [], 0
        images = _Images(source.num_examples, self._verbose)
        with contextlib.ExitStack() as bars:
            if self._checkpoint is not None:
                bars.enter_context(self._checkpoint.writing())
            for bar in (images.bar, *self._bars.values()):
                bars.enter_context(bar)
            if self._method.plan and not images.bar.disable:
                report.announce(self._method.plan)
            for index, batch in enumerate(source):
                fingerprint.update(batch)
                with _says_how_to_go_on(count, self._checkpoint):
                    shards.append(self._shard(index, count, batch, images))
                count += len(batch.labels)
        columns = {
            name: np.concatenate([shard[name] for shard in shards])
            for name in shards[0]
        }
        for name, kind in _TOTALS.items():
            columns[name] = kind(np.sum(columns[name]))
        return {**columns, "data_hash": fingerprint.hexdigest()}

    def _shard(self, index, first, batch, images) -> Mapping[str, np.ndarray]:
        """Returns the arrays of one batch, computed at most once."""
        if self._checkpoint is None:
            return {
                **self._compute(first, batch, images),
                "seconds_before": np.zeros(1),
            }
        one = tfcurv_data.DataFingerprint()
        one.update(batch)
        found = self._checkpoint.load_shard(index, one.hexdigest())
        if found is not None:
            images.show(found)
        else:
            start = time.monotonic()
            found = self._compute(first, batch, images)
            seconds = np.array([time.monotonic() - start])
            found["seconds_before"] = seconds
            self._save_shared()
            self._checkpoint.save_shard(index, one.hexdigest(), found)
            # This run's time counts it already.
            found["seconds_before"] = np.zeros(1)
        return found

    def _compute(self, first, batch, images) -> dict[str, np.ndarray]:
        parts = []
        ends = self._ends(first, len(batch.labels))
        for start, end in zip([0, *ends], ends):
            x, y = batch.inputs[start:end], batch.labels[start:end]
            parts.append(self._part(first + start, x, y))
            images.show(parts[-1])
        shard = {
            name: np.concatenate([part[name] for part in parts])
            for name in parts[0]
        }
        shard["num_attacks"] = np.sum(shard["num_attacks"], keepdims=True)
        return shard

    def _ends(self, first: int, count: int) -> list[int]:
        """Returns where the parts of a batch end, the same in every run."""
        is_cheap = self._method.cost is certificates.Cost.PASSES
        if is_cheap and len(self._method.names) == 1:
            return [count]
        begin = _FIRST_IMAGES if first == 0 else _IMAGES
        return [*range(begin, count, _IMAGES), count]

    def _part(self, first: int, x, y) -> dict[str, np.ndarray]:
        x = x.reshape(len(y), -1).astype(np.float64)
        found = self._decider(x, y)
        shard = {
            "labels": y,
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
                tf.constant(x), y, found.radius, found.target, first
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
