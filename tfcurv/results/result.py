"""What certifying a data set gives: its numbers.

Their text and page are in `page`, their files in `storage`.
"""

from collections.abc import Mapping
import dataclasses
import pathlib

import numpy as np

from tfcurv import errors
from tfcurv import report
from tfcurv.certificates.deciding.contract import NO_METHOD
from tfcurv.certificates.deciding.contract import Grounds
from tfcurv.certificates.deciding.contract import Reason
from tfcurv.certificates.deciding.contract import Threat
from tfcurv.results import page
from tfcurv.results import storage
from tfcurv.results.labelled import Labelled

# What results rest on that were saved before they said so.
_GROUNDS = (
    (
        "ranges of s' and s'', or of relu",
        "closed forms, rounded outward",
    ),
    ("kernels of exp, tanh, erf", "tested against 30 digits"),
)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class CertificationResult(Labelled):
    """Certificates of the images of a data set, in their order.

    Radii are distances in the units of the model's input. Every array is
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
        methods: Number of the method that has proved the radius, an index of
            `method_names`; -1 where nothing is proved.
        epsilons: Radii at which the summary is made.
        targets_protocol: "all", or "runner-up", which certifies nothing.
        data_name: Name of the data.
        model_name: Name of the model.
        data_hash: sha256 of inputs and labels, in order.
        model_hash: sha256 of all that decides what is proved of the model:
            see `tfcurv.networks.fingerprint`.
        versions: Versions of the packages used.
        seconds: Wall-clock time, curvature bounds included.
        num_evaluations: Gradients that the search spent on all images.
        guard: None where the radii are about the real-valued network with the
            stored weights; "float32" where they hold for its execution too.
        rigor: How norms and eigenvalues were bounded: "verified" by a
            factorisation that succeeded, or "float64" by trust in LAPACK.
            Everything else is the same in both; see `proof_rows`.
        curvature: Where the bounds on the curvature hold: "global", "local"
            or "auto", see `certify`; or how another method bounds it.
        norm: In which the radii are measured.
        domain: Interval of the inputs that they are about; None for all.
        method: Name of the method that was asked for, or "auto".
        method_names: Names of the methods that were used.
        grounds: What the proofs rest on beside norms and rounding bounds.
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
    methods: np.ndarray | None = None
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
    norm: str = "l2"
    domain: tuple[float, float] | None = None
    method: str = "auto"
    method_names: tuple[str, ...] = ("curvature",)
    grounds: Grounds = _GROUNDS

    def __post_init__(self) -> None:
        for name in ("epsilons", "assumptions", "method_names"):
            self._set(name, tuple(getattr(self, name)))
        self._set("grounds", tuple(map(tuple, self.grounds)))
        threat = Threat(norm=self.norm, domain=self.domain)
        self._set("domain", threat.domain)
        if self.guard not in page.NETWORKS or self.rigor not in page.NORMS:
            raise ValueError(
                "Unknown guard or rigor. "
                f"Received: guard={self.guard!r}, rigor={self.rigor!r}. "
                f"Allowed: {tuple(page.NETWORKS)}, {tuple(page.NORMS)}."
            )
        if self.methods is None:
            certified = np.asarray(self.reasons) == Reason.CERTIFIED
            first = np.where(certified, 0, NO_METHOD)
            self._set("methods", first.astype(np.int8))
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
            self._set(name, array)
        least, most = NO_METHOD, len(self.method_names) - 1
        methods = np.asarray(self.methods)
        if not np.all((methods >= least) & (methods <= most)):
            raise ValueError(
                "A radius was proved by a method that has no name. "
                f"Received: methods={np.unique(methods)}, "
                f"method_names={self.method_names}."
            )

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def is_certificate(self) -> bool:
        """Whether the radii hold against every class."""
        return self.targets_protocol == "all"

    @property
    def clean_accuracy(self) -> float:
        """Share of images that are classified as their label."""
        return float(np.mean(self.correct))

    def certified_accuracy(self, epsilon: float) -> float:
        """Returns the share of images whose radius exceeds `epsilon`.

        Args:
            epsilon: Radius, in input units.
        """
        return float(report.certified_accuracy(self.radii, epsilon))

    def attacked_accuracy(self, epsilon: float) -> float:
        """Returns the share of images with no known attack within `epsilon`.

        Args:
            epsilon: Radius, in input units.
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

    @property
    def method_counts(self) -> dict[str, int]:
        """The number of images by the method that has proved their radius."""
        counts = {
            name: int(np.sum(self.methods == number))
            for number, name in enumerate(self.method_names)
        }
        return {name: count for name, count in counts.items() if count}

    def accuracy_rows(self) -> list[list[str]]:
        """Returns the rows of the table of accuracies."""
        return page.accuracy_rows(self)

    def summary_rows(self) -> list[list[str]]:
        """Returns the rows of the table of everything else."""
        return page.summary_rows(self)

    def proof_rows(self) -> list[list[str]]:
        """Returns on what each part of the proof rests."""
        return page.proof_rows(self)

    @property
    def accuracy_headers(self) -> list[str]:
        """The headers of the table of accuracies."""
        return page.accuracy_headers(self)

    def __str__(self) -> str:
        return page.text(self)

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
        return page.sections(self)

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
            page.write(path / "report.html", self)


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
