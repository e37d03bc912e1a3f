"""The data sets that are known by name, and their splits.

The packages that hold them are imported where they are needed, so that
neither tensorflow-datasets nor scikit-learn is a requirement of tfcurv.
"""

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
import io
import numbers
import os
import sys
import types
from typing import Any
from typing import Literal
import urllib.error
import urllib.request

import numpy as np

from tfcurv import imports
from tfcurv.errors import DatasetUnavailableError
from tfcurv.errors import UnknownDatasetError
from tfcurv.errors import did_you_mean

_SPLITS = ("train", "validation", "test")

# Of the official training images, the last ones choose between models, so
# that the test images never do.
_NUM_VALIDATION = 5_000

_DIGITS_SIZES = {"train": 1_000, "validation": 300}
_DIGITS_SEED = 0
_DIGITS_LARGEST_PIXEL = 16.0

# Without a network tensorflow-datasets retries for minutes before it gives up.
_REACHABILITY_TIMEOUT_SECONDS = 10.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """What is known of a data set without loading it.

    Attributes:
        name: The name, as in `DATASETS`.
        image_shape: `(height, width, channels)` of one image.
        num_classes: Number of classes; labels are `0 .. num_classes - 1`.
    """

    name: str
    image_shape: tuple[int, int, int]
    num_classes: int


#: The data sets that `load_split` knows, by name.
DATASETS: Mapping[str, DatasetInfo] = types.MappingProxyType(
    {
        name: DatasetInfo(name=name, image_shape=shape, num_classes=10)
        for name, shape in (
            ("digits", (8, 8, 1)),
            ("mnist", (28, 28, 1)),
            ("fashion_mnist", (28, 28, 1)),
            ("cifar10", (32, 32, 3)),
        )
    }
)


# eq=False: the generated `==` would compare arrays and have no truth value.
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Labelled images, all in memory.

    Attributes:
        images: `[n, height, width, channels]` float32 in `[0, 1]`.
        labels: `[n]` int32.
        name: Data set and split, such as `"mnist/test"`.
    """

    images: np.ndarray
    labels: np.ndarray
    name: str


def dataset_info(name: str) -> DatasetInfo:
    """Returns what is known of a data set without loading it.

    Raises:
        UnknownDatasetError: `name` is not in `DATASETS`.
    """
    if name not in DATASETS:
        raise UnknownDatasetError(
            "No data set has this name."
            f"{did_you_mean(name, DATASETS)} "
            f"Received: name={name!r}. Allowed: {sorted(DATASETS)}."
        )
    return DATASETS[name]


def load_split(
    name: str,
    split: Literal["train", "validation", "test"],
    *,
    data_dir: str | None = None,
    limit: int | None = None,
) -> Split:
    """Loads one split of a named data set, its pixels scaled to `[0, 1]`.

    `"digits"` comes with scikit-learn and needs neither files nor a network.
    One fixed, stratified permutation of it is cut into 1,000 training, 300
    validation and 497 test images.

    The others come from tensorflow-datasets, in the order in which they are
    stored: `"test"` is the official test split, `"validation"` the last 5,000
    images of the official training split, `"train"` the images before those.
    A data set that is not prepared yet is downloaded.

    Args:
        name: A key of `DATASETS`.
        split: Which part of it.
        data_dir: The folder of tensorflow-datasets. Default: that in the
            environment variable `TFDS_DATA_DIR`, else the package's own.
        limit: Load at most this many images, the first ones.

    Returns:
        The images and labels, the same ones in the same order at every call.

    Raises:
        UnknownDatasetError: `name` is not in `DATASETS`.
        DatasetUnavailableError: The data set is not prepared and cannot be
            downloaded, or its files cannot be read.
        ImportError: The package that holds the data set is not installed.
        ValueError: `split` or `limit` is not allowed.
    """
    dataset_info(name)
    if split not in _SPLITS:
        raise ValueError(
            "No split has this name. "
            f"Received: split={split!r}. Allowed: {list(_SPLITS)}."
        )
    if limit is not None:
        require_positive("limit", limit)
    if name == "digits":
        images, labels = _load_digits(split, limit)
    else:
        images, labels = _load_tfds(name, split, data_dir, limit)
    return Split(
        images=images,
        labels=labels.astype(np.int32),
        name=f"{name}/{split}",
    )


def require_positive(name: str, value: Any) -> None:
    """Raises ValueError unless `value` is an integer of at least one."""
    if not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(
            f"{name} must be a positive integer. Received: {name}={value!r}."
        )


def _load_digits(
    split: str, limit: int | None
) -> tuple[np.ndarray, np.ndarray]:
    with imports.of_extra("demo", "The data set 'digits' needs scikit-learn"):
        import sklearn.datasets
    digits = sklearn.datasets.load_digits()
    rows = _digits_rows(digits.target, split)[:limit]
    images = digits.images[rows, :, :, np.newaxis] / _DIGITS_LARGEST_PIXEL
    return images.astype(np.float32), digits.target[rows]


def _digits_rows(labels: np.ndarray, split: str) -> np.ndarray:
    """Returns which of the bundled images make up `split`."""
    order = _stratified_order(labels)
    first = _DIGITS_SIZES["train"]
    second = first + _DIGITS_SIZES["validation"]
    parts = np.split(order, [first, second])
    return parts[_SPLITS.index(split)]


def _stratified_order(labels: np.ndarray) -> np.ndarray:
    """Returns a random permutation whose every stretch mixes all classes.

    The `k`-th of the `n` images of a class moves to the fraction
    `(k + 1/2) / n` of the way, so a stretch of the permutation holds each
    class in its share, to within about one image.
    """
    # RandomState, not default_rng: NumPy promises never to change its numbers.
    order = np.random.RandomState(_DIGITS_SEED).permutation(len(labels))
    shuffled = labels[order]
    way = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(shuffled == label)
        way[members] = (np.arange(len(members)) + 0.5) / len(members)
    return order[np.argsort(way, kind="stable")]


def _load_tfds(
    name: str, split: str, data_dir: str | None, limit: int | None
) -> tuple[np.ndarray, np.ndarray]:
    need = f"The data set {name!r} needs tensorflow-datasets"
    with imports.of_extra("data", need):
        import tensorflow_datasets as tfds
    builder = _builder(tfds, name, data_dir)
    if not builder.is_prepared():
        _prepare(tfds, builder)
    source = "test" if split == "test" else "train"
    first, last = _rows(split, _num_examples(builder, source))
    if limit is not None:
        last = min(last, first + limit)
    pixels, labels = _read(tfds, builder, f"{source}[{first}:{last}]")
    # Mixed dtypes on purpose: divides without a float32 copy of the bytes.
    images = np.divide(pixels, np.float32(255.0), dtype=np.float32)
    return images, labels


def _builder(tfds: Any, name: str, data_dir: str | None) -> Any:
    """Returns what reads a data set; it reads the files about it at once."""
    try:
        return tfds.builder(name, data_dir=data_dir)
    # Of damaged files, json, protobuf and tfds make all kinds of errors.
    except Exception as error:
        folder = data_dir or os.environ.get("TFDS_DATA_DIR")
        raise _unavailable(
            name, folder, "is described by files that cannot be read", error
        ) from error


def _num_examples(builder: Any, source: str) -> int:
    try:
        return builder.info.splits[source].num_examples
    except KeyError as error:
        raise _unavailable(
            builder.name,
            builder.data_dir,
            f"is described without its split {source!r}",
            error,
        ) from error


def _rows(split: str, num_examples: int) -> tuple[int, int]:
    """Returns the first row of `split` in its official split, and its end."""
    if split == "test":
        return 0, num_examples
    cut = max(num_examples - _NUM_VALIDATION, 0)
    return (0, cut) if split == "train" else (cut, num_examples)


def _prepare(tfds: Any, builder: Any) -> None:
    """Downloads a data set into the folder that `builder` looks in."""
    try:
        _require_server(next(iter(builder.url_infos)))
        with _off_stdout(tfds):
            builder.download_and_prepare()
    # Anything at all may go wrong here, from a missing network to a full
    # disk or a changed checksum; the remedy is the same, the cause is kept.
    except Exception as error:
        raise _unavailable(
            builder.name,
            builder.data_dir,
            "is not prepared and cannot be downloaded",
            error,
        ) from error


@contextlib.contextmanager
def _off_stdout(tfds: Any) -> Iterator[None]:
    """Keeps what tfds says on terminals, with colours, out of all else."""
    if sys.stderr is not None and sys.stderr.isatty():
        with contextlib.redirect_stdout(sys.stderr):
            yield
        return
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        tfds.enable_progress_bar()


def _require_server(url: str) -> None:
    """Raises OSError at once where a download would retry for minutes."""
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.urlopen(
            request, timeout=_REACHABILITY_TIMEOUT_SECONDS
        ):
            pass
    except urllib.error.HTTPError:
        pass  # A server that declines is there; let the download explain.


def _read(tfds: Any, builder: Any, rows: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the bytes and labels of `rows`, in the order of the files."""
    try:
        images, labels = builder.as_dataset(
            split=rows,
            batch_size=-1,
            shuffle_files=False,
            as_supervised=True,
            # One file after the other: several at once would interleave.
            read_config=tfds.ReadConfig(interleave_cycle_length=1),
        )
    # As above: missing or damaged files may end in any error.
    except Exception as error:
        raise _unavailable(
            builder.name, builder.data_dir, "cannot be read", error
        ) from error
    return images.numpy(), labels.numpy()


def _unavailable(
    name: str, folder: Any, what: str, cause: Exception
) -> DatasetUnavailableError:
    return DatasetUnavailableError(
        f"The data set {name!r} {what}. "
        f"Received: folder={str(folder)!r}, "
        f"cause={type(cause).__name__}: {cause}. Remedy: name the folder of "
        "a prepared copy (`--data_dir`, data_dir= or the environment "
        "variable TFDS_DATA_DIR), or connect to a network."
    )
