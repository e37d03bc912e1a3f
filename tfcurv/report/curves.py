"""Accuracy as a function of the radius, between a proof and an attack."""

from collections.abc import Sequence
import dataclasses
import io
import os
from typing import Any

import numpy as np

from tfcurv.report import drawing
from tfcurv.report import files
from tfcurv.report import optional

# Okabe and Ito's colours, which all kinds of colour vision tell apart, without
# the yellow, which white swallows. The order puts the most unlike first.
_COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#E69F00",
    "#000000",
)


# Share of the radii that the x axis reaches; the last few would squeeze the
# rest into a corner.
_SHOWN_PERCENTILE = 99.0
# Width of a letter above the axes and of one in the legend, as shares of the
# axis and of the figure. Generous: for deciding what fits.
_LETTER_ABOVE_AXES = 0.012
_LETTER_IN_LEGEND = 0.012
_MOST_NUMBERS_IN_LABEL = 6
_LEGEND_HANDLE = 0.1
_MOST_LEGEND_COLUMNS = 4

_LEGEND_TITLE = (
    "The truth lies in the band: at least what is certified (solid), "
    "at most what survives attack (dashed)."
)
_DASHES = (0, (4, 2))
_BAND_OPACITY = 0.15


# Compared by identity: `==` on arrays has no single answer.
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """Bounds on how far each image is from the nearest misclassified point.

    Attributes:
        label: Name in the legend.
        certified: `[images]` float64 lower bounds, in input units. Zero for
            misclassified images.
        attacked: `[images]` float64 upper bounds, in input units: distances
            of adversarial examples. Zero for misclassified images, infinite
            where no attack succeeded.
    """

    label: str
    certified: np.ndarray
    attacked: np.ndarray

    def __post_init__(self):
        certified = _radii("certified", self.certified)
        attacked = _radii("attacked", self.attacked)
        if certified.shape != attacked.shape:
            raise ValueError(
                "The bounds are on different numbers of images. Received: "
                f"certified of shape {certified.shape}, attacked of shape "
                f"{attacked.shape}. Allowed: equal shapes."
            )
        _check_order(certified, attacked)
        object.__setattr__(self, "certified", certified)
        object.__setattr__(self, "attacked", attacked)


def _radii(name: str, values: Any) -> np.ndarray:
    """Returns a read-only float64 copy of a vector of radii."""
    radii = np.array(values, dtype=np.float64)
    if radii.ndim != 1 or not radii.size:
        raise ValueError(
            f"Radii are not a vector. Received: {name} of shape "
            f"{radii.shape}. Allowed: [images], at least one image."
        )
    _check_distances(name, radii)
    radii.setflags(write=False)
    return radii


def _check_distances(name: str, values: np.ndarray) -> None:
    refused = ~(values >= 0.0)  # also NaN
    if refused.any():
        raise ValueError(
            "A distance is negative or NaN. Received: "
            f"{name}={values[refused].flat[0]!r}, one of {refused.sum()}. "
            "Allowed: zero or more."
        )


def _check_order(certified: np.ndarray, attacked: np.ndarray) -> None:
    wrong = np.flatnonzero(certified > attacked)
    if wrong.size:
        index = wrong[0]
        raise ValueError(
            "An adversarial example lies inside a certified radius. Received: "
            f"certified[{index}]={certified[index]!r} and "
            f"attacked[{index}]={attacked[index]!r}, one of {wrong.size}. "
            "Allowed: certified <= attacked."
        )


def certified_accuracy(
    radii: np.ndarray, epsilons: float | Sequence[float] | np.ndarray
) -> np.ndarray:
    """Returns the share of radii strictly greater than each epsilon.

    An image whose nearest misclassified point may be exactly `epsilon` away
    is not counted, nor at `epsilon = 0` one that is itself misclassified
    (radius zero). Of lower bounds on that distance this is the accuracy that
    is certified; of upper bounds, that which an attack leaves.

    Args:
        radii: `[images]`, at least one, zero or more, possibly infinite.
        epsilons: `[...]` zero or more, in the unit of the radii.

    Returns:
        `[...]` float64 in `[0, 1]`.

    Raises:
        ValueError: A radius or an epsilon is negative or NaN, or the radii
            are not a vector.
    """
    radii = np.sort(_radii("radii", radii))
    epsilons = np.asarray(epsilons, dtype=np.float64)
    _check_distances("epsilons", epsilons)
    at_most = np.searchsorted(radii, epsilons, side="right")
    return np.asarray((radii.size - at_most) / radii.size)


def plot_curves(
    path: str | os.PathLike[str],
    curves: Sequence[Curve],
    epsilons: Sequence[float] = (),
    title: str = "",
) -> None:
    """Draws certified and attacked accuracy over the l2 radius to a file.

    Args:
        path: File to create or to replace, ending in .png, .svg or .pdf.
        curves: One to seven.
        epsilons: Radii to mark by a vertical line.
        title: Heading of the drawing.

    Raises:
        ImportError: matplotlib is not installed.
        OSError: The file cannot be written. Nothing is left behind.
        ValueError: The ending is another, there are too many curves or none,
            or an epsilon is negative or not finite.
    """
    suffix = drawing.drawing_kind(path)
    files.write_atomically(path, _render(suffix, curves, epsilons, title))


def curves_png(
    curves: Sequence[Curve],
    epsilons: Sequence[float] = (),
    title: str = "",
) -> bytes:
    """Draws as `plot_curves` does, and returns the bytes of a PNG file.

    Args:
        curves: One to seven.
        epsilons: Radii to mark by a vertical line.
        title: Heading of the drawing.

    Returns:
        The bytes of the file.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: There are too many curves or none, or an epsilon is
            negative or not finite.
    """
    return _render("png", curves, epsilons, title)


def _render(
    kind: str,
    curves: Sequence[Curve],
    epsilons: Sequence[float],
    title: str,
) -> bytes:
    marks = _check_marks(epsilons)
    _check_number_of_curves(curves)
    mpl = optional.import_matplotlib()
    figure = mpl.figure.Figure(
        figsize=(7.2, 4.8), dpi=160, layout="constrained", facecolor="white"
    )
    mpl.backends.backend_agg.FigureCanvasAgg(figure)
    axes = figure.add_subplot(facecolor="white")
    limit = _x_limit(curves, marks)
    for colour, curve in zip(_COLOURS, curves):
        _draw_curve(axes, curve, colour, limit)
    _draw_marks(axes, marks, limit)
    _style_axes(axes, title, limit)
    _draw_legend(mpl, figure, curves)
    stream = io.BytesIO()
    figure.savefig(stream, format=kind, metadata=drawing.METADATA[kind])
    return stream.getvalue()


def _check_marks(epsilons: Sequence[float]) -> np.ndarray:
    marks = np.unique(np.asarray(epsilons, dtype=np.float64))
    _check_distances("epsilons", marks)
    if not np.isfinite(marks).all():
        raise ValueError(
            "A radius to mark is not on the axis. "
            "Received: epsilons with inf. Allowed: finite numbers."
        )
    return marks


def _check_number_of_curves(curves: Sequence[Curve]) -> None:
    # Fail rather than use a colour twice: two bands would seem one.
    if not 1 <= len(curves) <= len(_COLOURS):
        raise ValueError(
            "Cannot draw this number of curves. "
            f"Received: len(curves)={len(curves)}. "
            f"Allowed: 1 to {len(_COLOURS)}, one colour for each."
        )


def _x_limit(curves: Sequence[Curve], marks: np.ndarray) -> float:
    """Returns where the x axis ends: past the marks and nearly all radii."""
    ends = [1.1 * mark for mark in marks]
    for curve in curves:
        # Each by itself, lest a long curve cut off a short one.
        for radii in (curve.certified, curve.attacked):
            finite = radii[np.isfinite(radii)]
            if finite.size:
                ends.append(np.percentile(finite, _SHOWN_PERCENTILE))
    # No end above zero: every image is misclassified or none was attacked.
    return max(ends, default=0.0) or 1.0


def _draw_curve(axes: Any, curve: Curve, colour: str, limit: float) -> None:
    radii = np.concatenate([curve.certified, curve.attacked])
    corners = np.unique(np.append(radii[radii < limit], [0.0, limit]))
    low = 100.0 * certified_accuracy(curve.certified, corners)
    high = 100.0 * certified_accuracy(curve.attacked, corners)
    # "post": a share of radii above x stays what it is up to the next corner.
    axes.fill_between(
        corners, low, high, step="post", color=colour, alpha=_BAND_OPACITY, lw=0
    )
    line = {"drawstyle": "steps-post", "color": colour}
    axes.plot(corners, low, **line, linewidth=1.8, linestyle="solid")
    axes.plot(corners, high, **line, linewidth=1.4, linestyle=_DASHES)


def _draw_marks(axes: Any, marks: np.ndarray, limit: float) -> None:
    for mark in marks:
        axes.axvline(mark, color=drawing.HAIRLINE, linewidth=0.7, zorder=1.5)
    groups = _merge_crowded(marks, limit)
    top = axes.secondary_xaxis("top")
    top.set_xticks(
        [np.mean(group) for group in groups],
        labels=[_mark_label(group) for group in groups],
    )
    top.tick_params(length=0, pad=3, labelsize=8, labelcolor=drawing.INK)
    top.spines["top"].set_visible(False)


def _mark_label(group: Sequence[float]) -> str:
    texts = [f"{mark:.4g}" for mark in group]
    # A long row of numbers would be wider than the drawing.
    if len(texts) > _MOST_NUMBERS_IN_LABEL:
        texts = [texts[0], texts[1], "…", texts[-1]]
    return "ε = " + ", ".join(texts)


def _merge_crowded(marks: np.ndarray, limit: float) -> list[list[float]]:
    """Puts marks under one label where two would run into each other."""
    groups: list[list[float]] = []
    for mark in marks:
        groups.append([mark])
        while len(groups) > 1 and _collide(groups[-2], groups[-1], limit):
            last = groups.pop()
            groups[-1] += last
    return groups


def _collide(
    left: Sequence[float], right: Sequence[float], limit: float
) -> bool:
    letters = len(_mark_label(left)) + len(_mark_label(right))
    distance = np.mean(right) - np.mean(left)
    return bool(distance < 0.5 * letters * _LETTER_ABOVE_AXES * limit)


def _style_axes(axes: Any, title: str, limit: float) -> None:
    axes.set_title(
        title,
        loc="left",
        fontsize=12,
        color=drawing.INK,
        pad=10,
        parse_math=False,
    )
    axes.set_xlabel("l2 radius", color=drawing.INK)
    axes.set_ylabel("accuracy (%)", color=drawing.INK)
    axes.set_xlim(0.0, limit)
    # Room above 100, or half of a line there would be cut off.
    axes.set_ylim(0.0, 102.0)
    axes.set_yticks(range(0, 101, 20))
    axes.grid(axis="y", color="#E4E4E4", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(
        length=3, color=drawing.HAIRLINE, labelcolor=drawing.INK, labelsize=9
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(drawing.HAIRLINE)


def _draw_legend(mpl: Any, figure: Any, curves: Sequence[Curve]) -> None:
    drawn = _COLOURS[: len(curves)]
    legend = figure.legend(
        handles=[_legend_handle(mpl, colour) for colour in drawn],
        labels=list(drawn),
        title=_LEGEND_TITLE,
        loc="outside lower center",
        ncols=_legend_columns(curves),
        frameon=False,
        fontsize=9,
        title_fontsize=9,
        labelcolor=drawing.INK,
    )
    legend.get_title().set_color(drawing.INK)
    # Set afterwards: given at once, a label that starts with an underscore
    # would be dropped, and one with two dollars taken for mathematics.
    for text, curve in zip(legend.get_texts(), curves):
        text.set(text=curve.label, parse_math=False)


def _legend_handle(mpl: Any, colour: str) -> tuple[Any, Any]:
    """Returns a line upon its band."""
    band = mpl.patches.Patch(color=colour, alpha=_BAND_OPACITY, linewidth=0)
    return band, mpl.lines.Line2D([], [], color=colour, linewidth=1.8)


def _legend_columns(curves: Sequence[Curve]) -> int:
    longest = max(len(curve.label) for curve in curves)
    width = _LEGEND_HANDLE + longest * _LETTER_IN_LEGEND
    return int(np.clip(1.0 / width, 1, min(len(curves), _MOST_LEGEND_COLUMNS)))
