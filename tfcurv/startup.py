"""What has to be done before TensorFlow is imported, for the command alone.

Imported first of all by the package, for TensorFlow reads its settings once.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import os
import pathlib
import re
import sys
import tempfile

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_EVERYTHING, _ERRORS_ALONE = "0", "2"

_MODULE = "tfcurv.cli"

# TensorFlow 2.21 says these at its start whatever the level is: that nothing
# has set up its logs, its notes (I), and what continues one of them.
_NEWS = re.compile(
    rb"(WARNING: All log messages before absl|I0000 |To enable the following)"
)


def is_command(command_line: Sequence[str]) -> bool:
    """Whether a process is the `tfcurv` command, and no program of a user.

    Args:
        command_line: Its command line, as `sys.orig_argv` has it.
    """
    if _MODULE in command_line[1:]:
        return True
    # A script is run by an interpreter, an .exe of Windows is not.
    return "tfcurv" in (pathlib.Path(each).stem for each in command_line[:2])


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


if is_command(sys.orig_argv) and os.environ.get(_LEVEL) != _EVERYTHING:
    os.environ.setdefault(_LEVEL, _ERRORS_ALONE)
    with without_news():
        import tensorflow  # noqa: F401
