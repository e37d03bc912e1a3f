"""Files that are either whole or absent."""

from collections.abc import Iterator
import contextlib
import os
import pathlib
import secrets

# No name that anybody else would give.
_REHEARSED = f".{secrets.token_hex(8)}.rehearsed"


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a file; a reader sees what was there before or all of `content`.

    Args:
        path: File to create or to replace. Its folder must exist.
        content: All of the file.

    Raises:
        OSError: The file cannot be written. Nothing is left behind.
    """
    target = pathlib.Path(path)
    # In the folder of the target: renaming is atomic within a file system only.
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        # Not `tempfile`, whose files only their owner may read: a report is
        # for others too.
        with open(temporary, "xb") as stream:
            stream.write(content)
            stream.flush()
            # Or a crash of the machine leaves the name without the content.
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def require_writable(path: str | os.PathLike[str]) -> None:
    """Raises unless a file could be made or replaced under this name.

    By a rehearsal, since rights do not tell of read-only or full disks: makes
    the folders above that are missing and a file there, and removes both.

    Args:
        path: The file.

    Raises:
        OSError: It is a folder, or nothing can be written there.
    """
    target = pathlib.Path(path).absolute()
    try:
        if target.is_dir():
            raise IsADirectoryError("it is a folder")
        with _folders_above(target):
            write_atomically(target.with_name(_REHEARSED), b"rehearsed")
            target.with_name(_REHEARSED).unlink()
    except OSError as error:
        raise OSError(
            "Nothing can be written under this name. "
            f"Received: path={os.fspath(path)!r} ({error}). "
            "Remedy: a name in a folder that can be written."
        ) from error


@contextlib.contextmanager
def _folders_above(target: pathlib.Path) -> Iterator[None]:
    """Makes the folders that are missing above a file, for a while."""
    missing = [each for each in target.parents if not each.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for each in missing:  # From the lowest up.
            with contextlib.suppress(OSError):
                each.rmdir()
