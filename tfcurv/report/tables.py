"""Numbers as text, and rows of text as aligned columns."""

from collections.abc import Sequence
import math

_GAP = "  "
_MISSING = "-"


def percent(x: float) -> str:
    """Returns a share as a percentage: `percent(0.7357)` is `"73.57 %"`.

    Args:
        x: A share, usually in `[0, 1]`.

    Returns:
        Two decimals, rounded to nearest; `"-"` for NaN.
    """
    return _MISSING if math.isnan(x) else f"{100.0 * x:.2f} %"


def number(x: float) -> str:
    """Returns a number with four significant digits.

    Args:
        x: Any real number, infinite or NaN.

    Returns:
        As `"0.1235"`, `"12"` or `"1.235e-07"`; `"inf"` and `"-inf"`; `"-"`
        for NaN.
    """
    # Adding zero turns -0.0 into 0.0.
    return _MISSING if math.isnan(x) else f"{x + 0.0:.4g}"


def check_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Checks that every row holds one string per header.

    Args:
        headers: One string per column, at least one.
        rows: Any number of rows.

    Raises:
        TypeError: A cell is not a string, or a row is one.
        ValueError: There is no header, or a row is too long or too short.
    """
    _check_cells("headers", headers)
    if not headers:
        raise ValueError(
            "A table needs a column. Received: headers=(). "
            "Allowed: one header or more."
        )
    for index, row in enumerate(rows):
        _check_cells(f"rows[{index}]", row)
        if len(row) != len(headers):
            raise ValueError(
                "A row does not fit the table. "
                f"Received: rows[{index}] of {len(row)} cells. "
                f"Allowed: {len(headers)} cells, one per header."
            )


def _check_cells(name: str, cells: Sequence[str]) -> None:
    # A string is a sequence of strings too, and would fill one column per
    # letter.
    if isinstance(cells, str):
        raise TypeError(
            f"One string is no row. Received: {name}={cells!r}. "
            "Allowed: a sequence of strings."
        )
    for index, cell in enumerate(cells):
        if not isinstance(cell, str):
            raise TypeError(
                "A cell is not text. "
                f"Received: {name}[{index}]={cell!r}. Allowed: a string."
            )


def format_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table in plain text, with a rule below its header.

    The first column names its row and is aligned left; the others hold
    numbers and are aligned right.

    Args:
        headers: One string per column, at least one.
        rows: Any number of rows of one string per column.

    Returns:
        Lines without trailing spaces, joined by and not ending in a newline.

    Raises:
        TypeError: A cell is not a string, or a row is one.
        ValueError: There is no header, a row is too long or too short, or a
            cell holds more than one line.
    """
    lines = _lines(headers, rows)
    widths = [max(map(len, column)) for column in zip(*lines)]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(_format_line(line, widths) for line in lines)


def format_markdown_table(
    headers: Sequence[str], rows: Sequence[Sequence[str]]
) -> str:
    """Returns a table in Markdown.

    Args:
        headers: One string per column, at least one.
        rows: Any number of rows of one string per column.

    Returns:
        Lines, the last of which ends in a newline.

    Raises:
        TypeError: A cell is not a string, or a row is one.
        ValueError: There is no header, a row is too long or too short, or a
            cell holds more than one line.
    """
    lines = _lines(headers, rows)
    lines.insert(1, ("---",) * len(headers))
    # A bar in a cell would end it.
    return "".join(
        f"| {' | '.join(c.replace('|', chr(92) + '|') for c in line)} |\n"
        for line in lines
    )


def _lines(headers, rows) -> list[tuple[str, ...]]:
    """Returns headers and rows, checked, as what is to be aligned."""
    check_table(headers, rows)
    lines = [tuple(headers), *map(tuple, rows)]
    _check_single_lines(lines)
    return lines


def _check_single_lines(lines: Sequence[Sequence[str]]) -> None:
    for index, line in enumerate(lines):
        for cell in line:
            if len(cell.splitlines()) > 1:
                name = f"rows[{index - 1}]" if index else "headers"
                raise ValueError(
                    "A cell holds more than one line. "
                    f"Received: {cell!r} in {name}. Allowed: one line."
                )


def _format_line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    rest = (c.rjust(w) for c, w in zip(cells[1:], widths[1:]))
    return _GAP.join((first, *rest)).rstrip(" ")
