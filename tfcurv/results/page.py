"""The text and the page of a result: tables, their meaning, their grounds."""

import pathlib
from typing import Any

from tfcurv import report
from tfcurv.certificates.deciding.contract import Threat

_NO_CERTIFICATE = (
    "NO CERTIFICATE: only the runner-up class was looked at, as in the "
    "published tables; another class may be nearer."
)
_CONTRACT = (
    "No input strictly nearer ({threat}) than the certified radius of an image "
    "is given a class other than its label, by {network}. Certified accuracy "
    "is a lower bound on the accuracy under the strongest attack, attacked "
    "accuracy an upper bound."
)
_CONDITION = (
    " All this holds on condition that the layers {layers} compute in "
    "inference what the caller said of them."
)
#: What the certificates are about, by guard.
NETWORKS = {
    None: "the real-valued network with the stored weights",
    "float32": "the real-valued network with the stored weights and by its "
    "execution in float32: products and sums in any order, no format of "
    "lower precision",
}
#: What norms rest on, by rigor.
NORMS = {
    "verified": "verified: a Cholesky factorisation succeeded",
    "float64": "float64: LAPACK's singular values are trusted",
}


def text(result: Any) -> str:
    """Returns what is printed of a result.

    Args:
        result: The `CertificationResult`.
    """
    tables = [
        report.format_table(["", result.model_name], summary_rows(result)),
        report.format_table(accuracy_headers(result), accuracy_rows(result)),
    ]
    notes = [] if result.is_certificate else [_NO_CERTIFICATE]
    return "\n\n".join([*tables, *notes])


def accuracy_headers(result: Any) -> list[str]:
    """Returns the headers of the table of accuracies."""
    certified = "certified" if result.is_certificate else "runner-up only"
    return ["epsilon", certified, "attacked"]


def accuracy_rows(result: Any) -> list[list[str]]:
    """Returns the rows of the table of accuracies."""
    return [
        [
            report.number(epsilon),
            report.percent(result.certified_accuracy(epsilon)),
            report.percent(result.attacked_accuracy(epsilon)),
        ]
        for epsilon in result.epsilons
    ]


def summary_rows(result: Any) -> list[list[str]]:
    """Returns the rows of the table of everything else."""
    least = "at least " if result.decisions_only else ""
    cost = result.num_evaluations / result.num_images
    return [
        ["images", f"{result.num_images} of {result.data_name}"],
        ["clean accuracy", report.percent(result.clean_accuracy)],
        ["mean radius of correct", least + report.number(result.mean_radius)],
        [
            "median radius of correct",
            least + report.number(result.median_radius),
        ],
        ["exact radii of correct", report.percent(result.exact_share)],
        ["reasons", _counts(result.reason_counts)],
        ["time", f"{result.seconds:.1f} s"],
        ["gradients an image", report.number(cost)],
        ["threat", str(_threat(result))],
        ["method", _method(result)],
        ["certified function", result.guard or "exact arithmetic"],
        ["norm bounds", result.rigor],
        ["curvature bounds", result.curvature],
        ["attacks inside radii", _attacks(result)],
        *_condition_rows(result),
    ]


def proof_rows(result: Any) -> list[list[str]]:
    """Returns on what each part of the proof rests."""
    return [
        ["norms and eigenvalues", NORMS[result.rigor]],
        ["margins, gradients, radii", "derived rounding bounds, float64"],
        *map(list, result.grounds),
        ["holds for", NETWORKS[result.guard]],
        *_condition_rows(result),
    ]


def sections(result: Any) -> list[report.Section]:
    """Returns the sections of the HTML page.

    Args:
        result: The `CertificationResult`.
    """
    note = "" if result.is_certificate else _NO_CERTIFICATE
    details = [
        ["model sha256", result.model_hash],
        ["data sha256", result.data_hash],
        *([f"{k} version", v] for k, v in result.versions.items()),
    ]
    return [
        report.TableSection(
            heading="Accuracy within a radius",
            headers=accuracy_headers(result),
            rows=accuracy_rows(result),
            note=note,
        ),
        *_figure(result),
        report.TableSection(
            heading="Summary", headers=["", ""], rows=summary_rows(result)
        ),
        report.TextSection(
            heading="What this means", paragraphs=[note or _meaning(result)]
        ),
        report.TableSection(
            heading="What it rests on",
            headers=["", ""],
            rows=proof_rows(result),
        ),
        report.TableSection(
            heading="Provenance", headers=["", ""], rows=details
        ),
    ]


def write(path: pathlib.Path, result: Any) -> None:
    """Writes the HTML page of a result.

    Args:
        path: The file.
        result: The `CertificationResult`.
    """
    report.write_page(
        path,
        title=f"Certificates of {result.model_name}",
        lead=(
            f"{result.num_images} images of {result.data_name}, "
            f"{_threat(result)} radii in input units, by {_method(result)}."
        ),
        sections=sections(result),
    )


def _threat(result) -> Threat:
    return Threat(norm=result.norm, domain=result.domain)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _method(result) -> str:
    """Returns what was asked for, and what has proved how many images."""
    proved = _counts(result.method_counts) or "none proved"
    return f"{result.method} ({proved})"


def _condition_rows(result) -> list[list[str]]:
    if not result.assumptions:
        return []
    return [["conditional on layers", ", ".join(result.assumptions)]]


def _meaning(result) -> str:
    """What the certificates say."""
    meaning = _CONTRACT.format(
        threat=_threat(result), network=NETWORKS[result.guard]
    )
    if result.assumptions:
        meaning += _CONDITION.format(layers=", ".join(result.assumptions))
    return meaning


def _attacks(result) -> str:
    if not result.num_attacks:
        return "none tried"
    return f"{result.num_attacks} evaluations, no counter-example"


def _figure(result) -> list[report.Section]:
    try:
        png = report.curves_png([result.curve()], result.epsilons)
    except ImportError as error:  # The page is worth having without it.
        return [report.TextSection(heading="Curve", paragraphs=[str(error)])]
    caption = (
        "Share of images that are provably right (solid) and that no attack "
        "has flipped (dashed) within a radius. The truth lies in the band."
    )
    return [report.FigureSection(heading="Curve", png=png, caption=caption)]
