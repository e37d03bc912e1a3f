"""Progress: on stderr, and only where a person looks at it."""

import os
import sys

import tqdm

# As good as none; tqdm draws at once where there is none.
_DELAY_SECONDS = 1e-3

# Terminals within programs often do not know their size.
_USUAL_COLUMNS, _USUAL_ROWS = 80, 24


class _Bar(tqdm.tqdm):
    """Is drawn at its end where all was over before it was drawn at all."""

    last_print_t: float

    def close(self) -> None:
        if not self.disable and self.n > self.initial:
            drawn = self.start_t + self.delay
            self.last_print_t = max(self.last_print_t, drawn)
        super().close()


def progress_bar(
    total: int | None,
    unit: str,
    *,
    verbose: int = 1,
    description: str | None = None,
    done: int = 0,
) -> tqdm.tqdm:
    """Returns a bar with what is done, what there is and the time left.

    It is drawn on stderr from the first `update` on, and not at all where
    stderr is no terminal: files and pipes get neither backspaces nor colours.

    Args:
        total: How much there is to do; None where nobody knows.
        unit: What is counted, in the singular.
        verbose: 0 for none.
        description: What stands before the bar.
        done: How much of the total an earlier run has done.

    Returns:
        The bar: `update(n)` counts, `set_postfix` shows figures, `close` ends
        it, as does the end of a `with`.
    """
    return _Bar(
        total=total,
        initial=done,
        desc=description,
        unit=f" {unit}",
        **_size(),
        disable=not verbose or not _is_terminal(),
        # None before the first update: what never begins leaves no line.
        delay=_DELAY_SECONDS,
    )


def announce(text: str) -> None:
    """Writes a line on stderr, whatever that is, above any bar.

    Args:
        text: The line, without control characters.
    """
    if sys.stderr is not None:
        tqdm.tqdm.write(text, file=sys.stderr)


def _size() -> dict[str, int]:
    """Returns the size of a terminal that does not know it, for tqdm."""
    try:
        known = os.get_terminal_size(sys.stderr.fileno()).columns
    except (AttributeError, OSError, ValueError):  # Not a real one.
        known = 0
    return {} if known else {"ncols": _USUAL_COLUMNS, "nrows": _USUAL_ROWS}


def _is_terminal() -> bool:
    # None where the process was started with stderr closed.
    return sys.stderr is not None and sys.stderr.isatty()
