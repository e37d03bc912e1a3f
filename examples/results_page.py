"""docs/results.md: what [SF20] printed beside what was measured here."""

import collections
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import json
import pathlib
import statistics
from typing import Any

import numpy as np
import paper

from tfcurv import report
from tfcurv import training

_HEAD = """# The published tables, measured again

Written by `python examples/reproduce.py` from the numbers in
[results/](results/), measured on the days and machines named at the end; with
`--measure` it trains and measures them anew. "Paper" columns repeat the figures
of Singla and Feizi, "Second-Order Provable Defenses against Adversarial
Attacks", ICML 2020; all others were measured by tfcurv on networks that it
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

#: The picture beside the page.
PICTURE = "curvature.png"

_Runs = Sequence[Mapping[str, Any]]
_Column = tuple[str, Callable[[paper.Row, _Runs], str]]


def _several(values: Sequence[float], form: str) -> str:
    if not values:
        return "-"
    mean = format(statistics.fmean(values), form)
    if len(values) == 1:
        return mean
    return f"{mean} [{min(values):{form}}, {max(values):{form}}]"


def _figure(run: Mapping[str, Any], path: Sequence[str]) -> float | None:
    """Returns a figure that a run has measured; None if it has not."""
    part, *keys = path
    found = run["parts"].get(part, {}).get("found", {})
    for key in keys:
        found = found.get(key, {})
    return found if isinstance(found, (int, float)) else None


def _measured(*path: str, scale: float = 100.0, form: str = ".2f"):
    def show(row: paper.Row, runs: _Runs) -> str:
        del row
        values = [_figure(run, path) for run in runs]
        return _several([scale * v for v in values if v is not None], form)

    return show


def _radius(*path: str):
    return _measured(*path, scale=1.0, form=".4f")


def _number(*path: str):
    return _measured(*path, scale=1.0, form=".4g")


def _printed(*names: str):
    def show(row: paper.Row, runs: _Runs) -> str:
        del runs
        figures = [row.paper.get(name) for name in names]
        return " / ".join("-" if f is None else f"{f:g}" for f in figures)

    return show


def _seconds(row: paper.Row, runs: _Runs) -> str:
    del row
    return _several([run["training"]["seconds"] for run in runs], ".0f")


def _ratios(row: paper.Row, runs: _Runs) -> str:
    del row
    for run in runs:
        part = run["parts"].get("curvature")
        if part is not None:
            ratios = part["found"]["layer_ratio_estimate"]
            return ", ".join(f"{ratio:.1f}" for ratio in ratios)
    return "-"


_ROBUST: tuple[_Column, ...] = (
    ("paper: clean / certified", _printed("clean", "certified")),
    ("clean", _measured("all", "clean")),
    ("runner-up", _measured("runner_up", "certified")),
    ("all", _measured("all", "certified")),
    ("attacked", _measured("all", "attacked")),
    ("exact", _measured("all", "exact")),
    ("first 1,000, K of Theorem 4", _measured("theorem4", "all, theorem 4")),
    ("first 1,000, own K", _measured("theorem4", "all, signed")),
    ("training, s", _seconds),
)

_TRAINED: tuple[_Column, ...] = (
    ("clean", _measured("all", "clean")),
    ("runner-up", _measured("runner_up", "certified")),
    ("mean of 150", _radius("runner_up", "radius_of_sample")),
    ("all", _measured("all", "certified")),
    ("mean, all", _radius("all", "radius")),
    ("attacked", _measured("all", "attacked")),
)

_COLUMNS: Mapping[str, tuple[_Column, ...]] = {
    "2": (
        (
            "paper: clean / attack / certificate",
            _printed("clean", "attack", "certificate"),
        ),
        ("clean", _measured("all", "clean")),
        ("attack", _measured("duality", "attack")),
        ("certificate", _measured("duality", "certificate")),
        ("certificate, all", _measured("all", "exact")),
        ("attack, Theorem 4", _measured("duality_theorem4", "attack")),
        (
            "certificate, Theorem 4",
            _measured("duality_theorem4", "certificate"),
        ),
    ),
    "3": _ROBUST,
    "4": _ROBUST,
    "5": (
        ("paper: clean / certified", _printed("clean", "certified")),
        ("paper: mean CRC / CROWN", _printed("radius", "crown")),
        *_TRAINED,
    ),
    "6": (
        ("paper: radius, global / local", _printed("radius", "local")),
        ("runner-up, global", _radius("local", "runner-up, global", "radius")),
        ("runner-up, local", _radius("local", "runner-up, local", "radius")),
        ("all, global", _radius("local", "all, global", "radius")),
        ("all, local", _radius("local", "all, local", "radius")),
        (
            "paper: certified at 0.5, global / local",
            _printed("certified", "certified_local"),
        ),
        ("all, global", _measured("local", "all, global", "certified")),
        ("all, local", _measured("local", "all, local", "certified")),
        ("attacked", _measured("local", "all, local", "attacked")),
    ),
    "convolution": (
        ("clean", _measured("both", "clean")),
        ("certified at 0.5", _measured("both", "certified 0.5")),
        ("attacked", _measured("both", "attacked 0.5")),
        ("certified at 1.58", _measured("both", "certified 1.58")),
        ("attacked", _measured("both", "attacked 1.58")),
        ("certifying, s", _measured("both", "seconds", scale=1, form=".0f")),
        ("training, s", _seconds),
    ),
    "cifar10": _ROBUST[1:-3] + _ROBUST[-1:],
    "slides": (
        ("paper: clean / certified", _printed("clean", "certified")),
        ("paper: mean CRC", _printed("radius")),
        *_TRAINED,
    ),
    "figure1": (
        ("pairs", _number("curvature", "pairs")),
        ("K_lb", _number("curvature", "k_lb_estimate")),
        ("K_ub, Theorem 4", _number("curvature", "k_ub_bound")),
        ("K_ub, signed", _number("curvature", "convexity_bound")),
        ("signed / attained, by layer", _ratios),
    ),
}

# What cannot be seen from the figures.
_NOTES = {
    "2": "Attack: the share of correct images whose worst point within 0.5 "
    "was found and proved to be it; certificate: of those with a point of the "
    "other class as far away as the certificate reaches, and in the next "
    "column of any other class. The last two columns are those of the first "
    "1,000 images with the bound of Theorem 4 in place of tfcurv's own: for "
    "the plain network of two layers they come down to about the paper's: it "
    "is the size of the bound that decides whether primal and dual meet. With "
    "a penalty they stay above the paper's; whether by the training or by a "
    "search that ends only when it has converged was not measured.",
    "3": "The two columns before the time certify the first 1,000 images "
    "against all classes, with the bound of Theorem 4 and with tfcurv's own. "
    "For three and four layers Theorem 4 is what the paper certifies with: on "
    "the same networks it certifies so much less that the sharper bounds "
    "account for all that is gained. Two layers are certified by Theorem 3 "
    "there, too, which is the column of the own K; what is gained there comes "
    "with the training.",
    "4": "Columns as in Table 3. The penalties of the paper leave more clean "
    "accuracy here than there and, for two and three layers, certify less by "
    "its protocol: they weigh less here. For two layers, of 0.01, 0.02, 0.04 "
    "and 0.08 the largest certifies most of the validation images.",
    "5": "Penalised and robust networks are certified as far as they are "
    "attacked, so that their figures are those of the training: where they "
    "fall short of the paper's, an adversarial example really found says so. "
    "Plain networks of three and four layers are not: there the bounds are "
    "what is missing, as in the paper.",
    "6": "The first 1,000 test images. Radii grow as in the paper, most for "
    "networks of much curvature. The shares at 0.5 do not: they are those of "
    "the attacks already with the global bound, which leaves nothing to gain.",
    "convolution": "At 1.58 the dense network is better. Both are certified "
    "nearly as far as they are attacked, so it is the network that is less "
    "robust, not the certificate that is looser. At 0.5 all are within 0.2 "
    "points of each other, and the convolution trained there is right more "
    "often on clean images.",
    "cifar10": "At this radius Box Constraint Propagation is reported with "
    "51.30 % (Lee, Lee and Park, NeurIPS 2020), for deeper convolutional "
    "networks trained for 200 epochs.",
    "slides": "The authors' slides on the paper do not say which convolution "
    "they are about: here it has 16 filters of 5 x 5 with steps of 2. "
    "Certified is attacked, so that the shares are those of the networks: "
    "here the same gamma leaves more clean accuracy, and less that is robust.",
    "figure1": "K_lb is the mean over pairs of classes of the largest "
    "eigenvalue found at the first 1,000 test images, K_ub the mean of the "
    "bounds over the same pairs: of Theorem 4, which training penalises, and "
    "of the signed forms, which certify. The last column holds, for each "
    "hidden layer, the proved over the attained size of the negative part.",
}


def write(results: pathlib.Path, page: pathlib.Path) -> None:
    """Writes the page and, beside it, its picture.

    Args:
        results: Folder of the measurements.
        page: The Markdown file.
    """
    runs = read_runs(results)
    parts = [_HEAD.replace("results/", f"{results.name}/")]
    for name, table in paper.TABLES.items():
        cells = _cells(name, table, runs)
        parts += [f"## {table.title}\n", report.format_markdown_table(*cells)]
        if name == "figure1" and _draw(runs, page.with_name(PICTURE)):
            parts.append(f"![K_lb beside K_ub]({PICTURE})\n")
        if name in _NOTES:
            parts.append(_NOTES[name] + "\n")
        parts.append(f"`python examples/reproduce.py --table={name}`\n")
    machines = sorted(
        {part["machine"] for run in runs for part in run["parts"].values()}
    )
    parts += ["## Machines\n", *(f"* {machine}" for machine in machines)]
    report.write_atomically(page, ("\n".join(parts) + "\n").encode())


def _draw(runs: _Runs, path: pathlib.Path) -> bool:
    """Draws Figure 1, if there is something to draw."""
    found = {run["recipe"]: run["parts"].get("curvature") for run in runs}
    rows = [
        row for row in paper.TABLES["figure1"].rows if found.get(row.recipe)
    ]
    names = [f"{_network(row)}, {row.method}" for row in rows]
    figures = [found[row.recipe]["found"] for row in rows]
    panels = [
        report.GapPanel(
            title=title,
            names=names,
            estimates=np.array([f["k_lb_estimate"] for f in figures]),
            bounds=np.array([f[bound] for f in figures]),
        )
        for title, bound in (
            ("Theorem 4", "k_ub_bound"),
            ("signed forms", "convexity_bound"),
        )
    ]
    if rows:
        label = "curvature, mean over pairs of classes"
        report.plot_gaps(path, panels, label)
    return bool(rows)


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


def _cells(name: str, table: paper.Table, runs: _Runs):
    """Returns headers and rows of a table."""
    columns = _COLUMNS[name]
    rows = []
    for row in table.rows:
        mine = _runs_of(row, table, runs)
        cells = [show(row, mine) for _, show in columns]
        rows.append([_network(row), row.method, *cells])
    return ["network", "training", *(header for header, _ in columns)], rows


def _runs_of(row: paper.Row, table: paper.Table, runs: _Runs) -> _Runs:
    """Returns the runs of a row, of those seeds that its table measured."""
    return [
        run
        for run in runs
        if run["recipe"] == row.recipe and run["parts"].keys() & table.parts
    ]


def _network(row: paper.Row) -> str:
    config = training.RECIPES[row.recipe]
    return f"{config.network} {config.activation}"
