"""Progress: on stderr, and only where a person looks at it."""

import sys

import tqdm


def progress_bar(
    total: int | None,
    unit: str,
    *,
    verbose: int = 1,
    description: str | None = None,
) -> tqdm.tqdm:
    """Returns a bar with what is done, what there is and the time left.

    It is drawn on stderr from the first `update` on, and not at all where
    stderr is no terminal: files and pipes get neither backspaces nor colours.

    Args:
        total: How much there is to do; None where nobody knows.
        unit: What is counted, in the singular.
        verbose: 0 for none.
        description: What stands before the bar.

    Returns:
        The bar: `update(n)` counts, `set_postfix` shows figures, `close` ends
        it, as does the end of a `with`.
    """
    return tqdm.tqdm(
        total=total,
        desc=description,
        unit=f" {unit}",
        dynamic_ncols=True,
        disable=not verbose or not _is_terminal(),
        # None before the first update: what never begins leaves no line.
        delay=sys.float_info.epsilon,
    )


def _is_terminal() -> bool:
    # None where the process was started with stderr closed.
    return sys.stderr is not None and sys.stderr.isatty()
