"""What every drawing of the package shares."""

import os
import pathlib

from tfcurv.report import files
from tfcurv.report import optional

#: Greys of text and of thin lines.
INK, HAIRLINE = "#333333", "#8A8A8A"

#: By kind. Without the time of drawing, which two of the formats would record.
METADATA = {
    "png": {},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}


def drawing_kind(path: str | os.PathLike[str]) -> str:
    """Returns the kind of drawing that a file's name asks for.

    Args:
        path: A name that ends in .png, .svg or .pdf.

    Raises:
        ValueError: The ending is another.
    """
    found = pathlib.Path(path).suffix.lower().removeprefix(".")
    if found not in METADATA:
        raise ValueError(
            "Cannot tell what kind of drawing to write. "
            f"Received: path={os.fspath(path)!r}. "
            "Allowed: a name ending in .png, .svg or .pdf."
        )
    return found


def check_drawing(path: str | os.PathLike[str]) -> None:
    """Raises unless a drawing could be written under this name right now.

    For programs that draw at their end: what is wrong is said before the work.

    Args:
        path: The file; one that exists would be replaced.

    Raises:
        ValueError: The name asks for no kind of drawing.
        ImportError: matplotlib is not installed.
        OSError: Nothing can be written there.
    """
    drawing_kind(path)
    optional.import_matplotlib()
    files.require_writable(path)
