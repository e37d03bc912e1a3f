"""Files that are either whole or absent."""

import contextlib
import os
import pathlib
import secrets


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
