"""Where two numbers can be together: outlines in a plane."""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import io
import os
from typing import Any

import numpy as np

from tfcurv.report import drawing
from tfcurv.report import files
from tfcurv.report import optional

# Okabe and Ito's, the most unlike first.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
_OPACITY = 0.12

# An outline that is so many times larger than another leaves the picture.
_COMPARABLE = 20.0

# Around what is shown, relative.
_ROOM = 0.06


# Compared by identity: `==` on arrays has no single answer.
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class PlanePanel:
    """Outlines around a point.

    Attributes:
        title: Heading of the panel.
        axes: What is measured to the right and upwards.
        centre: `[2]` the point.
        outlines: By name, `[n, 2]` corners of a polygon, in order.
    """

    title: str
    axes: tuple[str, str]
    centre: np.ndarray
    outlines: Mapping[str, np.ndarray]

    def __post_init__(self):
        if not 1 <= len(self.outlines) <= len(_COLOURS):
            raise ValueError(
                "Cannot draw this number of outlines. Received: "
                f"len(outlines)={len(self.outlines)}. "
                f"Allowed: 1 to {len(_COLOURS)}."
            )
        for name, corners in self.outlines.items():
            shape = np.shape(corners)
            if len(shape) != 2 or shape[0] < 3 or shape[1] != 2:
                raise ValueError(
                    "An outline has corners in the plane. Received: "
                    f"outlines[{name!r}] of shape {shape}. "
                    "Allowed: [3 or more, 2]."
                )


def plot_planes(
    path: str | os.PathLike[str], panels: Sequence[PlanePanel]
) -> None:
    """Draws panels side by side, each with the line where both are equal.

    Args:
        path: File to create or to replace, ending in .png, .svg or .pdf.
        panels: At least one, all with outlines of the same names.

    Raises:
        ImportError: matplotlib is not installed.
        OSError: The file cannot be written. Nothing is left behind.
        ValueError: The ending is another, or there is no panel.
    """
    kind = drawing.drawing_kind(path)
    files.write_atomically(path, _render(kind, panels))


def _render(kind: str, panels: Sequence[PlanePanel]) -> bytes:
    if not panels:
        raise ValueError(
            "There is nothing to draw. Received: panels=[]. "
            "Allowed: one panel or more."
        )
    mpl = optional.import_matplotlib()
    figure = mpl.figure.Figure(
        figsize=(4.6 * len(panels), 4.8),
        dpi=160,
        layout="constrained",
        facecolor="white",
    )
    mpl.backends.backend_agg.FigureCanvasAgg(figure)
    every = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, panel in zip(every, panels):
        _draw(axes, panel)
    handles = [
        mpl.patches.Patch(facecolor=colour, alpha=0.5) for colour in _COLOURS
    ]
    names = list(panels[0].outlines)
    figure.legend(
        handles=handles[: len(names)],
        labels=names,
        loc="outside lower center",
        ncols=len(names),
        frameon=False,
        fontsize=9,
        labelcolor=drawing.INK,
    )
    stream = io.BytesIO()
    figure.savefig(stream, format=kind, metadata=drawing.METADATA[kind])
    return stream.getvalue()


def _limits(panel: PlanePanel) -> tuple[np.ndarray, np.ndarray]:
    """Returns corners of what is shown: of outlines that compare, all."""
    corners = [np.asarray(c, np.float64) for c in panel.outlines.values()]
    sizes = [np.max(np.ptp(each, axis=0)) for each in corners]
    most = _COMPARABLE * min(sizes)
    shown = [each for each, size in zip(corners, sizes) if size <= most]
    every = np.concatenate([*shown, np.asarray(panel.centre)[np.newaxis]])
    low, high = np.min(every, axis=0), np.max(every, axis=0)
    room = _ROOM * np.max(high - low) or 1.0
    return low - room, high + room


def _draw(axes: Any, panel: PlanePanel) -> None:
    centre = np.asarray(panel.centre, np.float64)
    for colour, corners in zip(_COLOURS, panel.outlines.values()):
        x, y = np.asarray(corners, np.float64).T
        axes.fill(x, y, facecolor=colour, alpha=_OPACITY, linewidth=0)
        axes.fill(x, y, fill=False, edgecolor=colour, linewidth=1.4)
    axes.plot(*centre, marker="o", markersize=4, color=drawing.INK)
    low, high = _limits(panel)
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    axes.axline(centre * 0.0, slope=1.0, color=drawing.HAIRLINE, linewidth=0.9)
    text = {"color": drawing.INK, "parse_math": False}
    axes.set_title(panel.title, loc="left", fontsize=10, **text)
    axes.set_xlabel(panel.axes[0], **text)
    axes.set_ylabel(panel.axes[1], **text)
    axes.tick_params(
        length=3, color=drawing.HAIRLINE, labelcolor=drawing.INK, labelsize=9
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(drawing.HAIRLINE)
