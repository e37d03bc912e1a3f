"""One writer of a folder at a time."""

from collections.abc import Iterator
import contextlib
import fcntl
import os
import pathlib
import socket

from tfcurv import errors


@contextlib.contextmanager
def alone(path: pathlib.Path) -> Iterator[None]:
    """Keeps others out of a folder; the kernel lets go when the process ends.

    On file systems without locks nobody is kept out.

    Args:
        path: A file of the folder, made for this alone, which stays.

    Raises:
        CheckpointInUseError: Somebody is there; the message says who.
    """
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise errors.CheckpointInUseError(
                "Another run is writing to this checkpoint. "
                f"Received: checkpoint={str(path.parent)!r}, in use by "
                f"{file.read() or 'another process'}. Remedy: wait for it, end "
                "it, or take another folder."
            ) from error
        except OSError:
            pass
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield
