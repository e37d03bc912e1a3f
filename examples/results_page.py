"""docs/results.md: what was printed beside what was measured here."""

import collections
from collections.abc import Collection
from collections.abc import Sequence
import json
import pathlib
from typing import Any

from columns import COLUMNS
from columns import NOTES
from columns import Runs
import paper
import pictures
from published import Row
from published import Table

from tfcurv import report

_HEAD = """# The published tables, measured again

Written by `python examples/reproduce.py` from the numbers in
[results/](results/), measured on the days and machines named at the end; with
`--measure` it trains and measures them anew. "Paper" columns repeat the figures
of Singla and Feizi, "Second-Order Provable Defenses against Adversarial
Attacks", ICML 2020, and in the tables of BCP of Lee, Lee and Park,
"Lipschitz-Certifiable Training with a Tight Outer Bound", NeurIPS 2020; all
others were measured by tfcurv on networks that it
trained with the settings in `tfcurv/training/recipes.py`, on all 10,000 test
images unless said, pixels in [0, 1], l2 radii.

"Runner-up" is the protocol of the paper: only the class with the second
largest logit is looked at, which certifies nothing, for another class may be
nearer. "All" is the certificate against every other class, and "attacked" what
adversarial examples really found leave: the true robust accuracy lies between
the two. Where the runner-up column exceeds the attacked one, it is refuted.
"Exact" is the share of correct images whose certificate reaches as far as an
adversarial example. CRC is the paper's name of its certificate, CROWN that of
the linear bounds it is compared with there; radii are means over the correctly
classified images, "of 150" over as many random ones of them, as in the paper.

Figures of several seeds are given as mean [least, greatest]. Training took
the seconds given on cores that did other work at the same time.
"""

_NOTHING_YET = (
    "Nothing of this table has been measured yet: no network of it has been "
    "trained. With --measure it is, on this machine."
)


def write(results: pathlib.Path, page: pathlib.Path) -> None:
    """Writes the page and, beside it, its pictures.

    Args:
        results: Folder of the measurements.
        page: The Markdown file.
    """
    runs = read_runs(results)
    parts = [_HEAD.replace("results/", f"{results.name}/")]
    for name, table in paper.TABLES.items():
        cells = _cells(name, table, runs)
        parts += [f"## {table.title}\n", report.format_markdown_table(*cells)]
        if not _is_measured(table, runs):
            parts.append(f"{_NOTHING_YET}\n")
        picture = pictures.PICTURES.get(name)
        if picture and picture.draw(runs, page.with_name(picture.file)):
            parts.append(f"![{picture.text}]({picture.file})\n")
        if name in NOTES:
            parts.append(NOTES[name] + "\n")
        parts.append(f"`python examples/reproduce.py --table={name}`\n")
    machines = sorted(
        {part["machine"] for run in runs for part in run["parts"].values()}
    )
    parts += ["## Machines\n", *(f"* {machine}" for machine in machines)]
    report.write_atomically(page, ("\n".join(parts) + "\n").encode())


def _is_measured(table: Table, runs: Runs) -> bool:
    return any(_runs_of(row, table, runs) for row in table.rows)


def text(
    names: Sequence[str],
    results: pathlib.Path,
    new: Collection[tuple[str, int, str]] = (),
) -> str:
    """Returns some tables, to be printed, and of when their figures are.

    Args:
        names: Their names in `paper.TABLES`.
        results: Folder of the measurements.
        new: Recipe, seed and part of those that were made just now.
    """
    runs = read_runs(results)
    parts = []
    for name in names:
        table = paper.TABLES[name]
        headers, rows = _cells(name, table, runs)
        parts += [table.title, report.format_table(headers, rows), ""]
        if not _is_measured(table, runs):
            parts += [_NOTHING_YET, ""]
    return "\n".join([*parts, *_origins(names, results, runs, new)])


def _origins(names, results, runs, new) -> list[str]:
    """Returns where the figures of some tables come from, by kind."""
    fresh, stored = 0, collections.Counter()
    shown = {
        (run["recipe"], run["seed"], part): run["parts"][part]
        for name in names
        for row in paper.TABLES[name].rows
        for run in _runs_of(row, paper.TABLES[name], runs)
        for part in paper.TABLES[name].parts
        if part in run["parts"]
    }
    for key, part in shown.items():
        if key in new:
            fresh += 1
        else:
            stored[part["machine"]] += 1
    lines = [f"Measured by this command: {fresh} of {len(shown)} measurements."]
    for machine, count in sorted(stored.items()):
        lines.append(
            f"Stored in {results}, not measured now: {count}, of {machine}."
        )
    if stored:
        lines.append("With --measure they are made anew on this machine.")
    return lines


def read_runs(results: pathlib.Path) -> list[dict[str, Any]]:
    """Returns all measurements in a folder."""
    return [
        json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(results.glob("*-seed*.json"))
    ]


def _cells(name: str, table: Table, runs: Runs):
    """Returns headers and rows of a table."""
    columns = COLUMNS[name]
    rows = []
    for row in table.rows:
        mine = _runs_of(row, table, runs)
        cells = [show(row, mine) for _, show in columns]
        rows.append([pictures.network(row), row.method, *cells])
    return ["network", "training", *(header for header, _ in columns)], rows


def _runs_of(row: Row, table: Table, runs: Runs) -> Runs:
    """Returns the runs of a row, of those seeds that its table measured."""
    return [
        run
        for run in runs
        if run["recipe"] == row.recipe and run["parts"].keys() & table.parts
    ]
