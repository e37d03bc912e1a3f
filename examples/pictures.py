"""The pictures of docs/results.md, drawn from stored measurements."""

from collections.abc import Callable
from collections.abc import Mapping
import functools
import math
import pathlib
from typing import Any
from typing import NamedTuple

from columns import Runs
import numpy as np
import paper
from published import Row

from tfcurv import report
from tfcurv import training

# By the rule: what is carried through the network.
_OUTLINES = {"lmt": "ball", "ibp": "box", "bcp": "ball and box"}


class Picture(NamedTuple):
    """A picture of a table.

    Attributes:
        file: Its name, beside the page.
        text: What stands for it where it is not shown.
        draw: Draws it of runs to a path; False if there is nothing to draw.
    """

    file: str
    text: str
    draw: Callable[[Runs, pathlib.Path], bool]


def network(row: Row) -> str:
    """Returns the layers and the activation of a row's network."""
    config = training.RECIPES[row.recipe]
    return f"{config.network} {config.activation}"


def _found(table: str, part: str, runs: Runs) -> list[tuple[str, Any]]:
    """Returns the rows of a table that were measured, with what was found."""
    found = {
        run["recipe"]: run["parts"][part]["found"]
        for run in runs
        if part in run["parts"]
    }
    return [
        (f"{network(row)}, {row.method}", found[row.recipe])
        for row in paper.TABLES[table].rows
        if row.recipe in found
    ]


def _draw_curvature(runs: Runs, path: pathlib.Path) -> bool:
    rows = _found("figure1", "curvature", runs)
    names = [name for name, _ in rows]
    panels = [
        report.GapPanel(
            title=title,
            names=names,
            estimates=np.array([f["k_lb_estimate"] for _, f in rows]),
            bounds=np.array([f[bound] for _, f in rows]),
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


def _draw_planes(runs: Runs, path: pathlib.Path) -> bool:
    panels = [
        report.PlanePanel(
            title=name,
            axes=(f"logit of {f['label']}", f"logit of {f['rival']}"),
            centre=np.array(f["centre"]),
            outlines={
                text: np.array(f["outlines"][rule])
                for rule, text in _OUTLINES.items()
            },
        )
        for name, f in _found("bcp-figure2", "plane", runs)
    ]
    if panels:
        report.plot_planes(path, panels)
    return bool(panels)


def _draw_curves(table: str, runs: Runs, path: pathlib.Path) -> bool:
    curves = [
        report.Curve(
            label=name,
            certified=np.array(f["certified"]),
            attacked=np.array(
                [math.inf if each is None else each for each in f["attacked"]]
            ),
        )
        for name, f in _found(table, "curve", runs)
    ]
    if curves:
        report.plot_curves(path, curves, (paper.TABLES[table].epsilon,))
    return bool(curves)


#: By the name of the table.
PICTURES: Mapping[str, Picture] = {
    "figure1": Picture("curvature.png", "K_lb beside K_ub", _draw_curvature),
    "bcp-figure2": Picture(
        "planes.png", "Where two logits can be", _draw_planes
    ),
    **{
        table: Picture(
            f"{table}.png",
            "Verified accuracy by radius",
            functools.partial(_draw_curves, table),
        )
        for table in ("bcp-figure4", "bcp-figure4-cifar10")
    },
}
