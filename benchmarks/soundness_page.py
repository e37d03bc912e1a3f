"""docs/soundness.md, from what benchmarks/soundness.py has measured."""

from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from tfcurv import report

_HEAD = """# Attempts to find a false certificate

Written by `python benchmarks/soundness.py`; what a certificate says and why it
holds in floating point is in [rounding.md](rounding.md). That nothing was found
is no proof. The proofs are in the code, beside each bound.
"""


def page(study: dict[str, Any], epsilons: Sequence[float]) -> str:
    """Returns the page as Markdown.

    Args:
        study: By part, what was found, on which machine, in how long.
        epsilons: Radii of the accuracies.
    """
    sections = {
        "attacks": lambda found: _attacks(found, epsilons),
        "threats": _threats,
        "hostile": _hostile,
        "mutants": _mutants,
        "kills": _kills,
        "repeats": _repeats,
        "rigor": lambda found: _rigor(found, epsilons),
    }
    parts = [_HEAD, *_summary(study)]
    for name, section in sections.items():
        if name in study:
            parts += section(study[name]["found"])
            machine, seconds = study[name]["machine"], study[name]["seconds"]
            command = study[name]["command"]
            parts.append(f"`{command}`: {seconds:.0f} s, {machine}.\n")
    return "\n".join(parts)


def _table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    return report.format_markdown_table(
        headers, [list(map(str, row)) for row in rows]
    )


def _percents(shares: Sequence[float]) -> str:
    return " / ".join(f"{100 * share:.2f}" for share in shares)


def _summary(study: dict[str, Any]) -> Iterator[str]:
    found = {name: part["found"] for name, part in study.items()}
    rows = []
    if "attacks" in found:
        rows = [
            ["networks attacked", len(found["attacks"])],
            ["certified points attacked", _sum(found["attacks"], "points")],
            ["model evaluations", _sum(found["attacks"], "evaluations")],
            ["counter-examples", _sum(found["attacks"], "counter_examples")],
        ]
    if "threats" in found:
        tried = _sum(found["threats"], "evaluations")
        false = _sum(found["threats"], "counter_examples")
        rows.append(["evaluations, by method and threat", tried])
        rows.append(["counter-examples to these", false])
    if "hostile" in found:
        rows.append(["hostile networks", found["hostile"]["networks"]])
        rows.append(["false of these", found["hostile"]["violations"]])
    if "mutants" in found:
        mutants = found["mutants"]
        rows.append(["faults planted", mutants["planted"]])
        rows.append(["caught by the tests", mutants["caught"]])
    if "kills" in found:
        rows.append(["processes killed", found["kills"]["kills"]])
        rows.append(["results that differed", found["kills"]["different"]])
    yield _table(["tried", "number"], [[n, f"{v:,}"] for n, v in rows])


def _sum(rows: Sequence[dict[str, Any]], name: str) -> int:
    return sum(row[name] for row in rows)


def _threats(rows) -> Iterator[str]:
    yield "## Every method, both norms, with and without a domain\n"
    yield (
        "The same attacks on what each method proves of networks trained "
        "plainly; in a domain the attacks stay in it, too.\n"
    )
    yield _table(
        [
            "network",
            "norm",
            "domain",
            "method",
            "points",
            "mean radius",
            "evaluations",
            "counter-examples",
        ],
        [
            [
                row["network"],
                row["norm"],
                "all inputs" if row["domain"] is None else "[0, 1]",
                row["method"],
                row["points"],
                f"{row['mean_radius']:.5f}",
                f"{row['evaluations']:,}",
                row["counter_examples"],
            ]
            for row in rows
        ],
    )


def _attacks(rows, epsilons) -> Iterator[str]:
    yield "## Attacks inside the radii\n"
    yield (
        "Every certified point: projected gradients on the margin, on the "
        "margin to the deciding class and on the cross-entropy, from the "
        "point and from random starts, and a walk along the decision boundary "
        "that begins at another image; all in float64. A counter-example must "
        "be wrong beyond rounding and its distance, rounded up, less than the "
        "radius.\n"
    )
    radii = " / ".join(f"{e:g}" for e in epsilons)
    headers = [
        "network",
        "clean %",
        f"certified % at {radii}",
        f"attacked % at {radii}",
        "points",
        "evaluations",
        "counter-examples",
    ]
    yield _table(
        headers,
        [
            [
                row["network"],
                _percents([row["clean"]]),
                _percents(row["certified"]),
                _percents(row["attacked"]),
                row["points"],
                f"{row['evaluations']:,}",
                row["counter_examples"],
            ]
            for row in rows
        ],
    )


def _hostile(found) -> Iterator[str]:
    yield "## Networks made to break a certifier\n"
    yield (
        "Enormous and tiny weights, flat directions, duplicate classes, "
        "thousands of classes, one unit, nearly linear and saturated units, "
        "catastrophic cancellation, no gradient, constants, NaN and infinity, "
        "and random mixtures of these; checked at points inside each radius "
        "with 400 digits.\n"
    )
    yield _table(list(found), [list(found.values())])


def _mutants(found) -> Iterator[str]:
    yield "## Faults planted in the sources\n"
    yield "Each is one that the field has seen; the tests must fail for it.\n"
    rows = [
        [mutant["name"], mutant["fault"], mutant["verdict"]]
        for mutant in found["mutants"]
    ]
    yield _table(["fault", "stands for", "caught"], rows)


def _kills(found) -> Iterator[str]:
    yield "## Killed runs\n"
    yield (
        "`certify(..., checkpoint=folder)` in processes that get SIGKILL at "
        "random moments. `shards` counts what was whole after each kill; the "
        "result at the end of each run is compared bit by bit with that of a "
        "run that nobody killed.\n"
    )
    yield _table(
        [name.replace("_", " ") for name in found], [list(found.values())]
    )


def _repeats(rows) -> Iterator[str]:
    yield "## What a radius does not depend on\n"
    yield (
        "Each radius is proved by itself; that it differs at all comes from "
        "the float32 search, whose sums depend on shapes and threads. The "
        "stated tolerance is 1e-5, relative; the tests hold it.\n"
    )
    headers = ["changed", "bit-identical", "largest relative difference"]
    yield _table(
        headers,
        [
            [
                row["change"],
                f"{row['identical']} of {row['images']}",
                f"{row['largest']:.1e}",
            ]
            for row in rows
        ],
    )


def _rigor(rows, epsilons) -> Iterator[str]:
    yield "## What rigour costs\n"
    radii = " / ".join(f"{e:g}" for e in epsilons)
    headers = [
        "network",
        "settings",
        "images",
        f"certified % at {radii}",
        "mean radius",
        "seconds",
    ]
    yield _table(
        headers,
        [
            [
                row["network"],
                _settings(row["settings"]),
                row["images"],
                _percents(row["certified"]),
                f"{row['mean_radius']:.6f}",
                f"{row['seconds']:.1f}",
            ]
            for row in rows
        ],
    )


def _settings(settings: dict[str, Any]) -> str:
    text = ", ".join(f"{name}={value!r}" for name, value in settings.items())
    return f"`{text}`" if text else "default"
