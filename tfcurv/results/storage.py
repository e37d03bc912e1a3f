"""Results in folders: written whole or not at all, checked when read."""

from collections.abc import Iterator
import contextlib
import dataclasses
import hashlib
import io
import json
import os
import pathlib
import shutil
import tempfile
from typing import Any
import zipfile

import numpy as np

from tfcurv import errors
from tfcurv import report

#: The arrays of a result, one entry an image.
ARRAYS = (
    "labels",
    "predictions",
    "radii",
    "targets",
    "upper_bounds",
    "exact",
    "reasons",
    "methods",
)

_FORMAT = "tfcurv-result-2"

# Results of this format say neither threat nor method: there was one threat,
# and a method for each kind of bounds on the curvature.
_FORMER_FORMAT = "tfcurv-result-1"
_FORMER_METHODS = {"relu quadratic": "quadratic"}

_JSON, _NPZ = "result.json", "result.npz"


def check_new_folder(folder: str | pathlib.Path) -> pathlib.Path:
    """Returns the path of a folder that is still to be made, and can be.

    Raises:
        ResultExistsError: It exists and is not an empty folder.
        OSError: Nothing can be written where it is to be.
    """
    # Resolved: neither a link nor "." can be replaced by a folder.
    path = pathlib.Path(folder).resolve()
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise errors.ResultExistsError(
            "The output folder holds something already; nothing is "
            f"overwritten. Received: folder={str(path)!r}. "
            "Allowed: a new or an empty folder."
        )
    if os.path.ismount(path):  # Nor can this.
        raise OSError(
            "A result appears all at once, which it cannot in the place of a "
            f"mount point. Received: folder={str(path)!r}. "
            "Remedy: a new folder inside it."
        )
    report.require_writable(path.with_name(f".{path.name}.new"))
    return path


@contextlib.contextmanager
def new_folder(folder: str | pathlib.Path) -> Iterator[pathlib.Path]:
    """Makes a folder that appears under its name only when it is complete.

    Args:
        folder: The final name.

    Yields:
        A temporary folder beside it, to be filled.

    Raises:
        ResultExistsError: The folder exists and is not empty.
    """
    path = check_new_folder(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = pathlib.Path(
        tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent)
    )
    try:
        yield temporary
        temporary.chmod(0o755)  # mkdtemp makes it private.
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_result(folder: pathlib.Path, result: Any) -> None:
    """Writes result.json and result.npz.

    Args:
        folder: An existing folder.
        result: The `CertificationResult`.
    """
    fields = {
        field.name: getattr(result, field.name)
        for field in dataclasses.fields(result)
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{name: fields.pop(name) for name in ARRAYS})
    document = {
        "format": _FORMAT,
        "arrays_sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
        **fields,
        "summary": {
            "clean_accuracy": result.clean_accuracy,
            "certified_accuracy": {
                str(e): result.certified_accuracy(e) for e in result.epsilons
            },
            "attacked_accuracy": {
                str(e): result.attacked_accuracy(e) for e in result.epsilons
            },
            "mean_radius": result.mean_radius,
            "median_radius": result.median_radius,
            "exact_share": result.exact_share,
            "is_certificate": result.is_certificate,
        },
    }
    (folder / _NPZ).write_bytes(buffer.getvalue())
    (folder / _JSON).write_text(json.dumps(document, indent=2) + "\n")


def read_result(folder: pathlib.Path) -> dict[str, Any]:
    """Returns the fields of a saved result.

    Raises:
        InvalidResultError: Something is missing, damaged or of another
            format.
    """
    try:
        document = json.loads((folder / _JSON).read_text())
        packed = (folder / _NPZ).read_bytes()
    except (OSError, ValueError) as error:
        raise errors.InvalidResultError(
            f"No result can be read. Received: folder={str(folder)!r} "
            f"({error})."
        ) from error
    found = document.pop("format", 0) if isinstance(document, dict) else 0
    if found not in (_FORMAT, _FORMER_FORMAT):
        raise errors.InvalidResultError(
            "The result is of another format. "
            f"Received: folder={str(folder)!r}. "
            f"Allowed: {_FORMER_FORMAT!r}, {_FORMAT!r}."
        )
    names: tuple[str, ...] = ARRAYS
    if found == _FORMER_FORMAT:
        names = tuple(name for name in ARRAYS if name != "methods")
        method = _FORMER_METHODS.get(
            str(document.get("curvature")), "curvature"
        )
        document["method_names"] = [method]
    expected = document.pop("arrays_sha256", None)
    if hashlib.sha256(packed).hexdigest() != expected:
        raise errors.InvalidResultError(
            f"{_NPZ} is not the one that {_JSON} was written with. "
            f"Received: folder={str(folder)!r}."
        )
    document.pop("summary", None)
    try:
        with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
            return {**document, **{name: arrays[name] for name in names}}
    except (EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise errors.InvalidResultError(
            f"{_NPZ} does not hold the arrays of a result. "
            f"Received: folder={str(folder)!r} ({error})."
        ) from error
