"""A fingerprint of the data that a result was computed on."""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import hashlib

import numpy as np

from tfcurv.data.batches import Batch
from tfcurv.errors import DataError

# Changes when the meaning of the digest does.
_FORMAT = "tfcurv-data-1"


class DataFingerprint:
    """SHA-256 of batches in their order, however they are cut.

    Two fingerprints are equal if and only if, up to collisions, the inputs
    are of one dtype and shape and inputs and labels agree bit by bit. Inputs
    and labels run through hashes of their own; interleaved in one, they would
    make the digest depend on the batch size.
    """

    def __init__(self):
        """Starts the fingerprint of no data."""
        self._inputs = hashlib.sha256()
        self._labels = hashlib.sha256()
        self._form: tuple[str, tuple[int, ...]] | None = None

    def update(self, batch: Batch) -> None:
        """Appends a batch.

        Raises:
            DataError: Its dtype or trailing shape is not that of the first.
        """
        form = (batch.inputs.dtype.name, batch.inputs.shape[1:])
        if self._form not in (None, form):
            raise DataError(
                "All batches must have one dtype and shape of input. "
                f"Received: {form}. Expected, as in the first: {self._form}."
            )
        self._form = form
        self._inputs.update(_little_endian_bytes(batch.inputs))
        self._labels.update(_little_endian_bytes(batch.labels))

    def hexdigest(self) -> str:
        """Returns the fingerprint of the batches so far, 64 hex digits."""
        parts = (
            _FORMAT,
            repr(self._form),
            self._inputs.hexdigest(),
            self._labels.hexdigest(),
        )
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def read_again(
    source: Iterable[Batch], parts: Sequence[str]
) -> Iterator[Batch]:
    """Yields the batches of a source, which must be those of the last time.

    Args:
        source: What has been read before.
        parts: Fingerprint of the data up to and including each batch, then.

    Raises:
        DataError: A batch is another, or in another place; there are fewer,
            or more.
    """
    fingerprint, count = DataFingerprint(), 0
    for batch in source:
        fingerprint.update(batch)
        if count == len(parts) or fingerprint.hexdigest() != parts[count]:
            raise _changed(f"batch {count} differs")
        count += 1
        yield batch
    if count < len(parts):
        raise _changed(f"{count} batches, after {len(parts)}")


def _changed(what: str) -> DataError:
    return DataError(
        "The data are read twice, and the second time they were others, or in "
        f"another order. Received: {what}. Remedy: shuffle with "
        "reshuffle_each_iteration=False, or give arrays."
    )


def _little_endian_bytes(array: np.ndarray) -> memoryview:
    """Returns the elements in C order, the same on every machine."""
    dtype = array.dtype.newbyteorder("<")
    # Flat, because hashlib takes one-dimensional buffers alone.
    flat = np.ascontiguousarray(array, dtype=dtype).reshape(-1)
    return flat.view(np.uint8).data
