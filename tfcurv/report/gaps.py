"""What is attained beside what is proved, on a logarithmic axis."""

from collections.abc import Sequence
import dataclasses
import io
import os
from typing import Any

import numpy as np

from tfcurv.report import drawing
from tfcurv.report import files
from tfcurv.report import optional

# Okabe and Ito's blue and vermilion, and a quiet grey.
_GRID = "#E4E4E4"

_DOT = {"linestyle": "none", "marker": "o", "markersize": 4}
_FILLED = {**_DOT, "color": "#0072B2"}
_HOLLOW = {**_DOT, "color": "#D55E00", "markerfacecolor": "white"}

# More names would run into each other.
_MOST_NAMES = 24

# What matplotlib draws on a logarithmic axis without overflow.
_LEAST, _MOST = 1e-300, 1e300


# Compared by identity: `==` on arrays has no single answer.
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class GapPanel:
    """Quantities that are known to lie between two values each.

    Attributes:
        title: Heading of the panel.
        names: One a quantity, from top to bottom.
        estimates: `[n]` attained values. What is not above zero cannot be
            drawn on a logarithmic axis, and is not.
        bounds: `[n]` proved upper bounds. Infinite ones are not drawn.
    """

    title: str
    names: Sequence[str]
    estimates: np.ndarray
    bounds: np.ndarray

    def __post_init__(self):
        sizes = np.shape(self.estimates), np.shape(self.bounds)
        if sizes != ((len(self.names),),) * 2:
            raise ValueError(
                "Every quantity needs a name, an estimate and a bound. "
                f"Received: len(names)={len(self.names)}, estimates.shape="
                f"{sizes[0]}, bounds.shape={sizes[1]}."
            )


def plot_gaps(
    path: str | os.PathLike[str],
    panels: Sequence[GapPanel],
    label: str = "",
    title: str = "",
) -> None:
    """Draws panels side by side to a file.

    Args:
        path: File to create or to replace, ending in .png, .svg or .pdf.
        panels: At least one.
        label: What the axes measure.
        title: Heading of the drawing.

    Raises:
        ImportError: matplotlib is not installed.
        OSError: The file cannot be written. Nothing is left behind.
        ValueError: The ending is another, or there is no panel.
    """
    kind = drawing.drawing_kind(path)
    files.write_atomically(path, _render(kind, panels, label, title))


def gaps_png(
    panels: Sequence[GapPanel], label: str = "", title: str = ""
) -> bytes:
    """Draws as `plot_gaps` does, and returns the bytes of a PNG file.

    Args:
        panels: At least one.
        label: What the axes measure.
        title: Heading of the drawing.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: There is no panel.
    """
    return _render("png", panels, label, title)


def _render(kind, panels: Sequence[GapPanel], label, title) -> bytes:
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
    figure.suptitle(
        title,
        x=0.01,
        ha="left",
        fontsize=12,
        color=drawing.INK,
        parse_math=False,
    )
    every = figure.subplots(1, len(panels), sharex=True, squeeze=False)[0]
    for axes, panel in zip(every, panels):
        _draw(axes, panel)
        _style(axes, panel, label)
    every[0].set_xlim(_decades(panels))
    _draw_legend(mpl, figure)
    stream = io.BytesIO()
    figure.savefig(stream, format=kind, metadata=drawing.METADATA[kind])
    return stream.getvalue()


def _draw(axes: Any, panel: GapPanel) -> None:
    rows = np.arange(len(panel.names))
    low, high = _drawable(panel.estimates), _drawable(panel.bounds)
    both = np.isfinite(low) & np.isfinite(high)
    axes.hlines(
        rows[both], low[both], high[both], color=drawing.HAIRLINE, linewidth=0.7
    )
    # Whole, even on the edge.
    axes.plot(low, rows, **_FILLED, clip_on=False)
    axes.plot(high, rows, **_HOLLOW, clip_on=False)


def _drawable(values: np.ndarray) -> np.ndarray:
    """Returns NaN, which is not drawn, for what is off a logarithmic axis."""
    values = np.asarray(values, np.float64)
    return np.where((values >= _LEAST) & (values <= _MOST), values, np.nan)


def _decades(panels: Sequence[GapPanel]) -> tuple[float, float]:
    """Returns the powers of ten that enclose what is drawn."""
    parts = [a for panel in panels for a in (panel.estimates, panel.bounds)]
    values = _drawable(np.concatenate(parts))
    values = values[np.isfinite(values)]
    if not values.size:
        return 1.0, 10.0
    low, high = np.log10([np.min(values), np.max(values)])
    return 10.0 ** np.floor(low), 10.0 ** max(np.ceil(high), np.floor(low) + 1)


def _style(axes: Any, panel: GapPanel, label: str) -> None:
    axes.set_title(
        panel.title,
        loc="left",
        fontsize=10,
        color=drawing.INK,
        parse_math=False,
    )
    axes.set_xscale("log")
    axes.xaxis.set_minor_formatter("")
    axes.set_xlabel(label, color=drawing.INK, parse_math=False)
    count = len(panel.names)
    # The first one stands at the top.
    axes.set_ylim(max(count, 1) - 0.5, -0.5)
    if count <= _MOST_NAMES:
        axes.set_yticks(range(count), labels=panel.names, parse_math=False)
    else:
        axes.set_yticks([])
    axes.grid(axis="x", color=_GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(
        length=3, color=drawing.HAIRLINE, labelcolor=drawing.INK, labelsize=9
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(drawing.HAIRLINE)


def _draw_legend(mpl: Any, figure: Any) -> None:
    figure.legend(
        handles=[mpl.lines.Line2D([], [], **dot) for dot in (_FILLED, _HOLLOW)],
        labels=["attained at the data (estimate)", "proved everywhere (bound)"],
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize=9,
        labelcolor=drawing.INK,
    )
