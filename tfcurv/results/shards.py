"""What has been computed so far, in files, so that a killed run goes on.

A checkpoint is a folder: what the run is about, the curvature bounds, and one
shard a batch. Every file appears whole under its name or not at all, carries
its own sha256, and names the run that it belongs to.
"""

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import hashlib
import io
import json
import pathlib
from typing import Any
import zipfile

import numpy as np

from tfcurv import errors
from tfcurv import report
from tfcurv.results import lock

_FORMAT = "tfcurv-checkpoint-1"
_RUN, _CURVATURE, _LOCK = "run.json", "curvature", ".lock"

# Longest part of a value in a message.
_SHOWN = 200


class Checkpoint:
    """The shards of one run, of one writer at a time: see `writing`."""

    def __init__(self, folder: str | pathlib.Path, run: Mapping[str, Any]):
        """Opens a checkpoint, or begins one in a new or empty folder.

        Args:
            folder: Where it is.
            run: Everything that decides the result, as JSON knows it.

        Raises:
            InvalidCheckpointError: The folder holds something else, or the
                checkpoint of another run; the message says what differs.
        """
        self._folder = pathlib.Path(folder)
        described = json.dumps({"format": _FORMAT, **run}, indent=2)
        self._identity = hashlib.sha256(described.encode()).hexdigest()
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / _RUN
        if path.exists():
            self._compare(path, json.loads(described))
        elif set(self._folder.iterdir()) - set(self._leftovers()):
            raise self._foreign()
        else:
            report.write_atomically(path, described.encode())

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Keeps other writers out, and removes what a killed one left.

        Raises:
            CheckpointInUseError: There is another writer.
        """
        with lock.alone(self._folder / _LOCK):
            for leftover in self._leftovers():
                leftover.unlink(missing_ok=True)
            yield

    def _leftovers(self) -> Iterator[pathlib.Path]:
        """Yields what a killed writer has not finished."""
        return self._folder.glob(".*.tmp")

    def _compare(self, path: pathlib.Path, expected: dict[str, Any]) -> None:
        try:
            found = json.loads(path.read_text())
        except ValueError as error:
            raise self._foreign() from error
        if not isinstance(found, dict):
            raise self._foreign()
        for key in sorted(expected.keys() | found.keys()):
            if found.get(key) != expected.get(key):
                raise errors.InvalidCheckpointError(
                    "The checkpoint is of another run. Received: "
                    f"checkpoint={str(self._folder)!r}, whose {key} is "
                    f"{str(found.get(key))[:_SHOWN]!r}. Expected: "
                    f"{str(expected.get(key))[:_SHOWN]!r}. Remedy: another "
                    "folder, or the arguments of that run."
                )

    def load_shard(
        self, index: int, data_hash: str
    ) -> dict[str, np.ndarray] | None:
        """Returns the arrays of batch `index`, or None if it is still to do.

        Args:
            index: Number of the batch.
            data_hash: Fingerprint of the batch.

        Raises:
            InvalidCheckpointError: The shard is damaged, or was computed on
                other data.
        """
        path = self._folder / _shard_name(index)
        arrays = self._read(path)
        if arrays is None:
            return None
        if str(arrays.pop("data_hash", "")) != data_hash:
            raise errors.InvalidCheckpointError(
                "The data are not those of the checkpoint, or come in another "
                f"order. Received: batch {index} with sha256 {data_hash}, "
                f"which is not that of {str(path)!r}."
            )
        return arrays

    def save_shard(
        self, index: int, data_hash: str, arrays: Mapping[str, np.ndarray]
    ) -> None:
        """Writes the arrays of batch `index`."""
        path = self._folder / _shard_name(index)
        self._write(path, {**arrays, "data_hash": np.array(data_hash)})

    def load_curvature(self) -> dict[str, np.ndarray] | None:
        """Returns what `save_curvature` wrote last, or None.

        Raises:
            InvalidCheckpointError: The file is damaged.
        """
        return self._read(self._folder / f"{_CURVATURE}.npz.sealed")

    def save_curvature(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Writes the curvature bounds that are known so far."""
        self._write(self._folder / f"{_CURVATURE}.npz.sealed", arrays)

    def _write(
        self, path: pathlib.Path, arrays: Mapping[str, np.ndarray]
    ) -> None:
        buffer = io.BytesIO()
        sealed = {"identity": np.array(self._identity), **arrays}
        # NumPy's own types have any further argument as `allow_pickle`.
        np.savez(buffer, **sealed)  # type: ignore[arg-type]
        content = buffer.getvalue()
        seal = hashlib.sha256(content).hexdigest().encode()
        report.write_atomically(path, seal + b"\n" + content)

    def _read(self, path: pathlib.Path) -> dict[str, np.ndarray] | None:
        if not path.exists():
            return None
        seal, _, content = path.read_bytes().partition(b"\n")
        if hashlib.sha256(content).hexdigest().encode() != seal:
            raise self._damaged(path, "its sha256 is another")
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as packed:
                arrays = {name: packed[name] for name in packed}
        except (EOFError, ValueError, zipfile.BadZipFile) as error:
            raise self._damaged(path, error) from error
        if str(arrays.pop("identity", "")) != self._identity:
            raise errors.InvalidCheckpointError(
                "A file of the checkpoint is of another run. "
                f"Received: {str(path)!r}. Remedy: delete it; what it held is "
                "computed again."
            )
        return arrays

    def _foreign(self) -> errors.InvalidCheckpointError:
        return errors.InvalidCheckpointError(
            f"The folder holds files, but no checkpoint: {_RUN} is missing or "
            f"damaged. Received: checkpoint={str(self._folder)!r}. Allowed: a "
            "new or empty folder, or the checkpoint of the same run."
        )

    def _damaged(self, path, reason) -> errors.InvalidCheckpointError:
        return errors.InvalidCheckpointError(
            "A file of the checkpoint is damaged. Received: "
            f"{str(path)!r} ({reason}). Remedy: delete it; what it held is "
            "computed again."
        )


def _shard_name(index: int) -> str:
    return f"shard-{index:06d}.npz.sealed"
