"""What certifying a data set gives: numbers, table, curve, folder."""

from collections.abc import Mapping
import dataclasses
import pathlib

import numpy as np

from tfcurv import errors
from tfcurv import report
from tfcurv.certificates import storage
from tfcurv.certificates.certifier import Reason

_NO_CERTIFICATE = (
    "NO CERTIFICATE: only the runner-up class was looked at, as in the "
    "published tables; another class may be nearer."
)
_CONTRACT = (
    "No input strictly nearer (l2) than the certified radius of an image is "
    "given a class other than its label, by {network}. Certified accuracy is "
    "a lower bound on the accuracy under the strongest attack, attacked "
    "accuracy an upper bound."
)
_CONDITION = (
    " All this holds on condition that the layers {layers} compute in "
    "inference what the caller said of them."
)
_NETWORKS = {
    None: "the real-valued network with the stored weights",
    "float32": "the real-valued network with the stored weights and by its "
    "execution in float32: products and sums in any order, no format of "
    "lower precision",
}
_NORMS = {
    "verified": "verified: a Cholesky factorisation succeeded",
    "float64": "float64: LAPACK's singular values are trusted",
}


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class CertificationResult:
    """Certificates of the images of a data set, in their order.

    Radii are l2 distances in the units of the model's input. Every array is
    `[images]` and read-only.

    Attributes:
        labels: Classes that the images have.
        predictions: Classes that the network gives them; -1 for none.
        radii: Proved: no point strictly nearer gets another class than the
            label. Zero where misclassified, tied or not finite.
        targets: Class that decides the radius; the predicted one where it is
            not the label.
        upper_bounds: Distances of adversarial examples really found;
            infinite where none was found, zero where misclassified.
        exact: Whether radius and upper bound meet.
        reasons: `Reason` of each radius, as integers.
        epsilons: Radii at which the summary is made.
        targets_protocol: "all", or "runner-up", which certifies nothing.
        data_name: Name of the data.
        model_name: Name of the model.
        data_hash: sha256 of inputs and labels, in order.
        model_hash: sha256 of all that decides what is proved of the model:
            see `tfcurv.bounds.fingerprint`.
        versions: Versions of the packages used.
        seconds: Wall-clock time, curvature bounds included.
        num_evaluations: Gradients that the search spent on all images.
        guard: None where the radii are about the real-valued network with the
            stored weights; "float32" where they hold for its execution too.
        rigor: How norms and eigenvalues were bounded: "verified" by a
            factorisation that succeeded, or "float64" by trust in LAPACK.
            Everything else is the same in both; see `proof_rows`.
        curvature: Where the bounds on the curvature hold: "global", "local"
            or "auto"; see `certify`.
        num_attacks: Evaluations of the network in attacks on the certified
            points, none of which found a counter-example; 0: not attacked.
        decisions_only: Whether the radii are only as good as it takes to
            decide at the epsilons: true, but smaller than could be proved,
            and images certified at all of them were not attacked.
        assumptions: Names of layers that are what the caller said they are:
            every radius is conditional on that.
    """

    labels: np.ndarray
    predictions: np.ndarray
    radii: np.ndarray
    targets: np.ndarray
    upper_bounds: np.ndarray
    exact: np.ndarray
    reasons: np.ndarray
    epsilons: tuple[float, ...]
    targets_protocol: str = "all"
    data_name: str = ""
    model_name: str = ""
    data_hash: str = ""
    model_hash: str = ""
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    seconds: float = float("nan")
    num_evaluations: float = 0.0
    guard: str | None = None
    rigor: str = "verified"
    curvature: str = "global"
    num_attacks: int = 0
    decisions_only: bool = False
    assumptions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "epsilons", tuple(self.epsilons))
        object.__setattr__(self, "assumptions", tuple(self.assumptions))
        if self.guard not in _NETWORKS or self.rigor not in _NORMS:
            raise ValueError(
                "Unknown guard or rigor. "
                f"Received: guard={self.guard!r}, rigor={self.rigor!r}. "
                f"Allowed: {tuple(_NETWORKS)}, {tuple(_NORMS)}."
            )
        for name in storage.ARRAYS:
            # A copy, or the caller could still change it.
            array = np.array(getattr(self, name))
            if array.shape != (self.num_images,):
                raise ValueError(
                    "Every array needs one entry an image. "
                    f"Received: {name}.shape={array.shape}, "
                    f"labels.shape={np.shape(self.labels)}."
                )
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @property
    def num_images(self) -> int:
        """The number of images."""
        return len(self.labels)

    @property
    def is_certificate(self) -> bool:
        """Whether the radii hold against every class."""
        return self.targets_protocol == "all"

    @property
    def correct(self) -> np.ndarray:
        """`[images]` whether the prediction is the label."""
        return self.predictions == self.labels

    @property
    def clean_accuracy(self) -> float:
        """Share of images that are classified as their label."""
        return float(np.mean(self.correct))

    def certified_accuracy(self, epsilon: float) -> float:
        """Returns the share of images whose radius exceeds `epsilon`.

        Args:
            epsilon: l2 radius, in input units.
        """
        return float(report.certified_accuracy(self.radii, epsilon))

    def attacked_accuracy(self, epsilon: float) -> float:
        """Returns the share of images with no known attack within `epsilon`.

        Args:
            epsilon: l2 radius, in input units.
        """
        return float(report.certified_accuracy(self._survived, epsilon))

    @property
    def _survived(self) -> np.ndarray:
        """Upper bounds that are zero wherever the prediction is wrong."""
        return np.where(self.correct, self.upper_bounds, 0.0)

    @property
    def mean_radius(self) -> float:
        """Mean radius of the correctly classified images; NaN if none."""
        return _summary(np.mean, self.radii[self.correct])

    @property
    def median_radius(self) -> float:
        """Median radius of the correctly classified images; NaN if none."""
        return _summary(np.median, self.radii[self.correct])

    @property
    def exact_share(self) -> float:
        """Share of the correctly classified images with an exact radius."""
        return _summary(np.mean, self.exact[self.correct])

    @property
    def reason_counts(self) -> dict[str, int]:
        """The number of images by the reason of their radius."""
        counts = np.bincount(self.reasons, minlength=len(Reason))
        return {r.name.lower(): int(counts[r]) for r in Reason if counts[r]}

    def reason(self, index: int) -> str:
        """Returns why image `index` has the radius that it has."""
        return Reason(int(self.reasons[index])).name.lower()

    def accuracy_rows(self) -> list[list[str]]:
        """Returns the rows of the table of accuracies."""
        return [
            [
                report.number(epsilon),
                report.percent(self.certified_accuracy(epsilon)),
                report.percent(self.attacked_accuracy(epsilon)),
            ]
            for epsilon in self.epsilons
        ]

    def summary_rows(self) -> list[list[str]]:
        """Returns the rows of the table of everything else."""
        least = "at least " if self.decisions_only else ""
        reasons = ", ".join(f"{n} {k}" for k, n in self.reason_counts.items())
        return [
            ["images", f"{self.num_images} of {self.data_name}"],
            ["clean accuracy", report.percent(self.clean_accuracy)],
            ["mean radius of correct", least + report.number(self.mean_radius)],
            [
                "median radius of correct",
                least + report.number(self.median_radius),
            ],
            ["exact radii of correct", report.percent(self.exact_share)],
            ["reasons", reasons],
            ["time", f"{self.seconds:.1f} s"],
            ["gradients an image", report.number(self._cost)],
            ["certified function", self.guard or "exact arithmetic"],
            ["norm bounds", self.rigor],
            ["curvature bounds", self.curvature],
            ["attacks inside radii", self._attacks],
            *self._condition_rows,
        ]

    def proof_rows(self) -> list[list[str]]:
        """Returns on what each part of the proof rests."""
        return [
            ["norms and eigenvalues", _NORMS[self.rigor]],
            ["margins, gradients, radii", "derived rounding bounds, float64"],
            [
                "ranges of s' and s'', or of relu",
                "closed forms, rounded outward",
            ],
            ["kernels of exp, tanh, erf", "tested against 30 digits"],
            ["holds for", _NETWORKS[self.guard]],
            *self._condition_rows,
        ]

    @property
    def _condition_rows(self) -> list[list[str]]:
        if not self.assumptions:
            return []
        return [["conditional on layers", self._condition]]

    @property
    def _condition(self) -> str:
        return ", ".join(self.assumptions)

    @property
    def _meaning(self) -> str:
        """What the certificates say."""
        text = _CONTRACT.format(network=_NETWORKS[self.guard])
        if self.assumptions:
            text += _CONDITION.format(layers=self._condition)
        return text

    @property
    def _cost(self) -> float:
        return self.num_evaluations / self.num_images

    @property
    def _attacks(self) -> str:
        if not self.num_attacks:
            return "none tried"
        return f"{self.num_attacks} evaluations, no counter-example"

    @property
    def accuracy_headers(self) -> list[str]:
        """The headers of the table of accuracies."""
        certified = "certified" if self.is_certificate else "runner-up only"
        return ["epsilon", certified, "attacked"]

    def __str__(self) -> str:
        tables = [
            report.format_table(["", self.model_name], self.summary_rows()),
            report.format_table(self.accuracy_headers, self.accuracy_rows()),
        ]
        notes = [] if self.is_certificate else [_NO_CERTIFICATE]
        return "\n\n".join([*tables, *notes])

    def curve(self, label: str = "") -> report.Curve:
        """Returns what a plot needs.

        Args:
            label: Name in the legend. Default: the model's.
        """
        # Only certificates lie below every attack.
        radii = np.minimum(self.radii, self._survived)
        return report.Curve(
            label=label or self.model_name,
            certified=radii,
            attacked=self._survived,
        )

    def plot(self, path: str | pathlib.Path) -> None:
        """Draws the certified-accuracy curve between its two bounds.

        Args:
            path: A file that ends in .png, .svg or .pdf.

        Raises:
            ImportError: matplotlib is not installed.
        """
        report.plot_curves(path, [self.curve()], self.epsilons)

    def page_sections(self) -> list[report.Section]:
        """Returns the sections of the HTML page."""
        note = "" if self.is_certificate else _NO_CERTIFICATE
        details = [
            ["model sha256", self.model_hash],
            ["data sha256", self.data_hash],
            *([f"{k} version", v] for k, v in self.versions.items()),
        ]
        return [
            report.TableSection(
                heading="Accuracy within a radius",
                headers=self.accuracy_headers,
                rows=self.accuracy_rows(),
                note=note,
            ),
            *_figure(self),
            report.TableSection(
                heading="Summary", headers=["", ""], rows=self.summary_rows()
            ),
            report.TextSection(
                heading="What this means",
                paragraphs=[note or self._meaning],
            ),
            report.TableSection(
                heading="What it rests on",
                headers=["", ""],
                rows=self.proof_rows(),
            ),
            report.TableSection(
                heading="Provenance", headers=["", ""], rows=details
            ),
        ]

    def save(self, folder: str | pathlib.Path) -> None:
        """Writes result.json, result.npz and report.html into a new folder.

        All or nothing: an interruption leaves no folder behind.

        Args:
            folder: Where to; it must not exist or be empty.

        Raises:
            ResultExistsError: The folder holds something already.
        """
        with storage.new_folder(folder) as path:
            storage.write_result(path, self)
            report.write_page(
                path / "report.html",
                title=f"Certificates of {self.model_name}",
                lead=(
                    f"{self.num_images} images of {self.data_name}, "
                    "l2 radii in input units."
                ),
                sections=self.page_sections(),
            )


def load_result(folder: str | pathlib.Path) -> CertificationResult:
    """Returns the result that `CertificationResult.save` wrote.

    Args:
        folder: The folder given to `save`.

    Raises:
        InvalidResultError: The folder holds no complete result.
    """
    fields = storage.read_result(pathlib.Path(folder))
    try:
        return CertificationResult(**fields)
    except (TypeError, ValueError) as error:
        raise errors.InvalidResultError(
            "A saved result lacks something or holds what does not belong "
            f"there. Received: folder={str(folder)!r} ({error})."
        ) from error


def _summary(fn, values: np.ndarray) -> float:
    return float(fn(values)) if len(values) else float("nan")


def _figure(result: CertificationResult) -> list[report.Section]:
    try:
        png = report.curves_png([result.curve()], result.epsilons)
    except ImportError as error:  # The page is worth having without it.
        return [report.TextSection(heading="Curve", paragraphs=[str(error)])]
    caption = (
        "Share of images that are provably right (solid) and that no attack "
        "has flipped (dashed) within a radius. The truth lies in the band."
    )
    return [report.FigureSection(heading="Curve", png=png, caption=caption)]
