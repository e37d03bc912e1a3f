"""TensorFlow imported without a word, for the command alone.

A program of a user imports it as it likes, and sees what it says.
"""

from collections.abc import Iterator
import contextlib
import os
import re
import sys
import tempfile

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_EVERYTHING, _ERRORS_ALONE = "0", "2"

# TensorFlow 2.21 says these at its start whatever the level is: that nothing
# has set up its logs, its notes (I), and what continues one of them.
_NEWS = re.compile(
    rb"(WARNING: All log messages before absl|I0000 |To enable the following)"
)


def load_tensorflow() -> None:
    """Imports TensorFlow, without its notes unless somebody asked for them.

    It reads its settings once: where it is imported already, nothing is done.
    """
    if "tensorflow" in sys.modules or os.environ.get(_LEVEL) == _EVERYTHING:
        return
    os.environ.setdefault(_LEVEL, _ERRORS_ALONE)
    with without_news():
        import tensorflow  # noqa: F401


@contextlib.contextmanager
def without_news() -> Iterator[None]:
    """Takes TensorFlow's notes out of what libraries write to stderr.

    What else they write comes when the block ends, also by an error.
    """
    try:
        kept = os.dup(2)
    except OSError:  # The process was started with stderr closed.
        yield
        return
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            lines = [line for line in file if not _NEWS.match(line)]
            os.write(2, b"".join(lines))
