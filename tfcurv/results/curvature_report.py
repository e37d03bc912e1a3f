"""What a study of curvature gives: numbers, tables, drawing, folder.

Source: Singla and Feizi, "Second-Order Provable Defenses against Adversarial
Attacks", ICML 2020 [SF20].
"""

from collections.abc import Iterator
import dataclasses
import json
import math
import pathlib
from typing import Any

import numpy as np

from tfcurv import bounds
from tfcurv import report
from tfcurv.results.storage import new_folder

# What rounding may lift an estimate above the truth by, as a share of the
# largest bound of its pair: inputs x roundoff, generously.
_ROUNDING = 1e-9

_MOST_PAIRS_SHOWN = 10
_UNIT = "curvature (logits per squared input unit)"
_NOTE = (
    "Attained: estimates from below (Lanczos), the largest over the images "
    "of a pair (label, runner-up); proved: bounds for every input. Both are "
    "means over the pairs. K_lb and K_ub of the literature are the first "
    "row's attained and Theorem 4."
)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class CurvatureReport:
    """How much of the proved curvature is attained at data, pair by pair.

    A pair (y, t) is a label with the most likely other class, and stands for
    f = z_y - z_t; those that occur in the data are listed. An estimate is the
    largest over the images of its pair, as [SF20, section 6] defines K_lb,
    and approaches the truth from below; a bound holds for every input.
    Curvatures are in logits per squared input unit.

    Attributes:
        pairs: `[pairs, 2]` the classes y and t.
        num_images: `[pairs]` the number of images of each.
        attained: Estimates, `[pairs]` and `[pairs, L - 1]` arrays.
        proved: Bounds, `[pairs]` and `[pairs, L - 1]` arrays.
        activations: Names of the activations of the L - 1 hidden layers.
        num_steps: Lanczos steps behind each estimate.
        data_name: Name of the data.
        model_name: Name of the model.
        model_hash: sha256 of all that decides what is proved of the model:
            see `tfcurv.networks.fingerprint`.
        seconds: Wall-clock time.
    """

    pairs: np.ndarray
    num_images: np.ndarray
    attained: bounds.AttainedCurvature
    proved: bounds.ProvedCurvature
    activations: tuple[str, ...]
    num_steps: int
    data_name: str = ""
    model_name: str = ""
    model_hash: str = ""
    seconds: float = float("nan")

    def __post_init__(self) -> None:
        for name in ("pairs", "num_images"):
            object.__setattr__(self, name, _frozen(getattr(self, name)))
        for name in ("attained", "proved"):
            kept = getattr(self, name)
            object.__setattr__(self, name, type(kept)(*map(_frozen, kept)))
        count = len(self.pairs)
        by_layer = (count, len(self.activations))
        for name, array in _columns(self):
            expected = by_layer if name.startswith("layer_") else (count,)
            if array.shape != expected or not count:
                raise ValueError(
                    "Every pair needs one value, or one a hidden layer. "
                    f"Received: {name}.shape={array.shape}. "
                    f"Allowed: {expected}, at least one pair."
                )
        _check_order(self)

    @property
    def k_lb_estimate(self) -> float:
        """K_lb of [SF20]: mean over pairs of the largest eigenvalue found."""
        return float(np.mean(self.attained.convexity_estimate))

    @property
    def k_ub_bound(self) -> float:
        """K_ub of [SF20]: mean over the same pairs of Theorem 4's bound."""
        return float(np.mean(self.proved.theorem4_bound))

    @property
    def spectral_radius_estimate(self) -> np.ndarray:
        """`[pairs]` the largest magnitude of an eigenvalue found."""
        return np.maximum(
            self.attained.convexity_estimate, self.attained.concavity_estimate
        )

    @property
    def spectral_radius_bound(self) -> np.ndarray:
        """`[pairs]` the larger of M and -m."""
        return np.maximum(
            self.proved.convexity_bound, self.proved.concavity_bound
        )

    @property
    def layer_ratio_estimate(self) -> np.ndarray:
        """`[L - 1]` bound over attained, of the negative parts, by layer.

        What shows where -m is loose. Infinite where nothing is attained.
        """
        attained = np.mean(self.attained.layer_concavity_estimate, axis=0)
        proved = np.mean(self.proved.layer_concavity_bound, axis=0)
        return np.array([_ratio(*each) for each in zip(attained, proved)])

    def summary_rows(self) -> list[list[str]]:
        """Returns the rows of the table of the whole Hessian."""
        attained, proved = self.attained, self.proved
        sides = {
            "largest eigenvalue, M": attained.convexity_estimate,
            "-smallest eigenvalue, -m": attained.concavity_estimate,
            "spectral radius": self.spectral_radius_estimate,
        }
        signed = (
            proved.convexity_bound,
            proved.concavity_bound,
            self.spectral_radius_bound,
        )
        return [
            [name, *_compared(found, bound), *_compared(found, everywhere)[1:]]
            for (name, found), bound in zip(sides.items(), signed)
            for everywhere in [proved.theorem4_bound]
        ]

    def layer_rows(self) -> list[list[str]]:
        """Returns the rows of the table of the hidden layers."""
        attained, proved = self.attained, self.proved
        minus = attained.layer_concavity_estimate, proved.layer_concavity_bound
        plus = attained.layer_convexity_estimate, proved.layer_convexity_bound

        def row(name, choose):
            return [name, *_compared(*choose(minus)), *_compared(*choose(plus))]

        rows = [
            row(f"{k + 1} {name}", lambda side, k=k: [a[:, k] for a in side])
            for k, name in enumerate(self.activations)
        ]
        rows.append(row("sum", lambda side: [np.sum(a, 1) for a in side]))
        whole_minus = attained.concavity_estimate, proved.concavity_bound
        whole_plus = attained.convexity_estimate, proved.convexity_bound
        whole = [*_compared(*whole_minus), *_compared(*whole_plus)]
        return [*rows, ["Hessian", *whole]]

    def pair_rows(self, limit: int | None = None) -> list[list[str]]:
        """Returns the rows of the table of pairs, the loosest bounds first.

        Args:
            limit: Most rows; None for all.
        """
        columns = (
            self.attained.convexity_estimate,
            self.proved.convexity_bound,
            self.attained.concavity_estimate,
            self.proved.concavity_bound,
            self.proved.theorem4_bound,
        )
        return [
            [
                f"{self.pairs[row, 0]} over {self.pairs[row, 1]}",
                str(self.num_images[row]),
                *(report.number(float(column[row])) for column in columns),
            ]
            for row in np.argsort(-self.spectral_radius_bound)[:limit]
        ]

    def __str__(self) -> str:
        tables = [
            report.format_table(headers, rows)
            for _, headers, rows in _tables(self, _MOST_PAIRS_SHOWN)
        ]
        count = len(self.pairs)
        lead = (
            f"{self.model_name}: {np.sum(self.num_images)} images of "
            f"{self.data_name}, {count} pairs, {self.seconds:.1f} s"
        )
        if count > _MOST_PAIRS_SHOWN:
            tables.append(f"The {_MOST_PAIRS_SHOWN} largest of {count} pairs.")
        return "\n\n".join([lead, *tables, _NOTE])

    def panels(self) -> list[report.GapPanel]:
        """Returns what a plot needs: the pairs, and the hidden layers."""
        order = np.argsort(-self.spectral_radius_bound)
        layers = [f"{k + 1} {name}" for k, name in enumerate(self.activations)]
        found = np.mean(self.attained.layer_concavity_estimate, axis=0)
        proved = np.mean(self.proved.layer_concavity_bound, axis=0)
        return [
            report.GapPanel(
                title="spectral radius, by pair of classes",
                names=[f"{y}, {t}" for y, t in self.pairs[order]],
                estimates=self.spectral_radius_estimate[order],
                bounds=self.spectral_radius_bound[order],
            ),
            report.GapPanel(
                title="negative part, by hidden layer",
                names=[*layers, "Hessian"],
                estimates=np.append(
                    found, np.mean(self.attained.concavity_estimate)
                ),
                bounds=np.append(proved, np.mean(self.proved.concavity_bound)),
            ),
        ]

    def plot(self, path: str | pathlib.Path) -> None:
        """Draws attained and proved curvature, by pair and by layer.

        Args:
            path: A file that ends in .png, .svg or .pdf.

        Raises:
            ImportError: matplotlib is not installed.
        """
        report.plot_gaps(path, self.panels(), _UNIT, self.model_name)

    def as_dict(self) -> dict[str, Any]:
        """Returns plain numbers, strings and lists, as JSON knows them.

        Infinity is the string "inf", NaN is None.
        """
        facts = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in ("attained", "proved")
        }
        means = {
            "k_lb_estimate": self.k_lb_estimate,
            "k_ub_bound": self.k_ub_bound,
            "layer_ratio_estimate": self.layer_ratio_estimate,
        }
        return _plain(facts | means | dict(_columns(self)))

    def save(self, folder: str | pathlib.Path) -> None:
        """Writes curvature.json and curvature.html into a new folder.

        All or nothing: an interruption leaves no folder behind.

        Args:
            folder: Where to; it must not exist or be empty.

        Raises:
            ResultExistsError: The folder holds something already.
        """
        text = json.dumps(self.as_dict(), indent=2, allow_nan=False)
        with new_folder(folder) as path:
            (path / "curvature.json").write_text(text + "\n", encoding="utf-8")
            report.write_page(
                path / "curvature.html",
                title=f"Curvature of {self.model_name}",
                lead=_NOTE,
                sections=list(_sections(self)),
            )


def _check_order(study: CurvatureReport) -> None:
    """Refuses estimates from below above their bounds: one would be false."""
    attained, proved = study.attained, study.proved
    slack = _ROUNDING * study.spectral_radius_bound
    for side in ("convexity", "concavity"):
        for prefix in ("", "layer_"):
            found = getattr(attained, f"{prefix}{side}_estimate").T
            bound = getattr(proved, f"{prefix}{side}_bound").T
            # Not the other way round: NaN is refused, too.
            if not np.all(found <= bound + slack):
                raise ValueError(
                    "A curvature above its proved bound, or NaN, was "
                    f"attained. Received: {prefix}{side}_estimate. "
                    f"Allowed: at most {prefix}{side}_bound."
                )


def _columns(study: CurvatureReport) -> Iterator[tuple[str, np.ndarray]]:
    yield "num_images", study.num_images
    for part in (study.attained, study.proved):
        yield from part._asdict().items()


def _tables(study: CurvatureReport, limit: int | None) -> Iterator[tuple]:
    """Yields heading, headers and rows of each table."""
    compared = ["attained", "proved", "ratio"]
    yield (
        "Hessian",
        ["mean over pairs", *compared, "Theorem 4", "ratio"],
        study.summary_rows(),
    )
    sides = [f"{name} {sign}" for sign in "-+" for name in compared]
    yield "Hidden layers", ["layer", *sides], study.layer_rows()
    headers = ["pair", "images", "attained +", "M", "attained -", "-m"]
    yield "Pairs", [*headers, "Theorem 4"], study.pair_rows(limit)


def _sections(study: CurvatureReport) -> Iterator[report.Section]:
    try:
        png = report.gaps_png(study.panels(), _UNIT)
    except ImportError as error:  # The page is worth having without it.
        yield report.TextSection(heading="Drawing", paragraphs=[str(error)])
    else:
        yield report.FigureSection(heading="Drawing", png=png, caption=_UNIT)
    for heading, headers, rows in _tables(study, None):
        yield report.TableSection(heading=heading, headers=headers, rows=rows)


def _compared(attained: Any, proved: Any) -> list[str]:
    """Returns two means and their ratio, as text."""
    low, high = float(np.mean(attained)), float(np.mean(proved))
    return [report.number(x) for x in (low, high, _ratio(low, high))]


def _ratio(low: float, high: float) -> float:
    """Returns high / low; infinite, or NaN, where nothing is attained."""
    if low > 0.0:
        return high / low
    return math.inf if high > 0.0 else math.nan


def _frozen(values: Any) -> np.ndarray:
    array = np.array(values)
    array.flags.writeable = False
    return array


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
