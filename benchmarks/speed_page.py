"""Writes benchmarks/README.md from what the benchmarks have measured.

python benchmarks/speed_page.py
"""

import collections
from collections.abc import Iterator
from collections.abc import Sequence
import pathlib
from typing import Any

import measure

from tfcurv import report

_HEAD = """# Speed, measured

Every number is from the command beside it, every ratio the median over rounds
in which the tasks took turns in one process. Written by
`python benchmarks/speed_page.py` from `benchmarks/results/`.

The baseline (`published_schedule.py`) follows the published description alone:
bisection of the multiplier with 30 outer steps and 20 majoriser steps for a
certificate of the runner-up, 10 for an attack, in TensorFlow on the same
weights and images, batches of 100, with the same transposed kernels as tfcurv.
It is timed with and without XLA. The authors' own program is in PyTorch, which
is not measured here.
"""

_NO_GPU = """## On a GPU

No GPU was at hand, so nothing is known. Nothing in the sources places a part of
a compiled function on the host, and `speed_certify.py` measures the achieved
rate against a matrix product's on whatever device TensorFlow uses; the share of
kernel time is the CPU's alone. Curvature bounds are factorised by NumPy, on
the host, once a network.
"""


def _table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    return report.format_markdown_table(
        headers, [list(map(str, row)) for row in rows]
    )


def _source(document: dict[str, Any]) -> str:
    return f"`{document['command']}`: {document['machine']}.\n"


def _certify() -> Iterator[str]:
    found = measure.load_all("certify-")
    if not found:
        return
    yield "## Certification\n"
    yield (
        "Milliseconds an image, compiled and warm: the published schedule for "
        "the runner-up,\ntfcurv for all other classes with proofs, radii and "
        "the adversarial examples beside\nthem, or decisions at 1.58 only. "
        "Ratio: published / tfcurv's radii; a pair of image\nand class is "
        "cheaper by this times the number of classes.\n"
    )
    headers = ["network", "published", "with XLA", "tfcurv", "decisions"]
    headers += ["ratio", "ratio to XLA", "per pair"]
    yield _table(headers, [_compared(*item) for item in found.items()])
    yield "Against the runner-up, on the same pairs, tfcurv's radius less the"
    yield "published schedule's:\n"
    yield _table(
        ["network", "pairs", "least", "mean"],
        [_apart(*item) for item in found.items()],
    )
    yield (
        "`tfcurv.certify` from start to end, with reading the data, tracing "
        "and all curvature\nbounds; peak memory above TensorFlow's own for a "
        "fifth and for all of the images.\n"
    )
    headers = ["network", "images", "runs", "radii", "decisions at 1.58"]
    headers += ["memory, a fifth", "memory, all"]
    complete = [i for i in found.items() if "memory" in i[1]["found"]]
    yield _table(headers, [_whole(*item) for item in complete])
    yield (
        "The search for the points to prove at (float32, one batch, the "
        "runner-up). Useful\noperations are the gradients' that were asked "
        "for; the rate is that over the whole\ntime of the search, beside a "
        "matrix product of the first layer's size in the same run.\nThe last "
        "column sums the kernels' times, which overlap.\n"
    )
    headers = ["network", "gradients an image", "GFLOP/s", "product GFLOP/s"]
    headers += ["share", "of kernel time in products"]
    searched = [i for i in found.items() if "search" in i[1]["found"]]
    yield _table(headers, [_search(*item) for item in searched])
    yield from map(_source, found.values())
    yield from _compiled()


def _compiled() -> Iterator[str]:
    document = measure.load("search_xla")
    if document is None:
        return
    yield (
        "XLA for the search: milliseconds of an accelerated step of all rows, "
        "and seconds to\ncompile it for one number of rows; rows that are "
        "finished leave, so that there would\nbe many. The certifier does "
        "without.\n"
    )
    yield _table(
        ["network", "plain", "XLA", "plain / XLA", "compilation, s"],
        [
            [
                name,
                f"{row['plain_ms']:.1f}",
                f"{row['xla_ms']:.1f}",
                f"{row['ratio']:.2f}",
                f"{row['compile_s']:.1f}",
            ]
            for name, row in document["found"].items()
        ],
    )
    yield _source(document)


def _compared(name, document) -> list[str]:
    row = document["found"]["compared"]
    times = [f"{t:.2f}" for t in row["milliseconds an image"].values()]
    ratio = row["ratio"]
    return [
        name,
        *times,
        f"{ratio:.1f}",
        f"{row['ratio, XLA']:.1f}",
        f"{ratio * row['targets']:.0f}",
    ]


def _apart(name, document) -> list[str]:
    row = document["found"]["compared"]
    least, mean = row["least difference"], row["mean difference"]
    return [name, row["pairs compared"], f"{least:.1e}", f"{mean:.1e}"]


def _whole(name, document) -> list[str]:
    row, memory = document["found"]["whole"], document["found"]["memory"]
    return [
        name,
        row["images"],
        row["runs"],
        f"{row['radii']:.1f} s",
        f"{row['decisions']:.1f} s",
        *(f"{megabytes:.0f} MB" for megabytes in memory.values()),
    ]


def _search(name, document) -> list[str]:
    row = document["found"]["search"]
    return [
        name,
        f"{row['gradients an image']:.1f}",
        f"{row['achieved GFLOP/s']:.0f}",
        f"{row['matrix product GFLOP/s']:.0f}",
        f"{100 * row['achieved share']:.0f} %",
        f"{100 * row['share of time in matrix products']:.0f} %",
    ]


def _train() -> Iterator[str]:
    found = measure.load_all("train-")
    if not found:
        return
    yield "## Training\n"
    yield (
        "Seconds an epoch of 55,000 MNIST images, width 1024, batches of 128, "
        "`fit` with XLA,\nthe published attack too. Ratio: published / "
        "tfcurv's.\n"
    )
    names = list(next(iter(found.values()))["found"]["epoch"])
    rows = [
        [f"{layers} layers", *(f"{row['epoch'][name]:.1f}" for name in names)]
        for layers, row in _by_layers(found)
    ]
    rows += [
        [
            f"{layers} layers, ratio",
            *(
                f"{row['ratio'][n]:.0f}" if n in row["ratio"] else ""
                for n in names
            ),
        ]
        for layers, row in _by_layers(found)
    ]
    yield _table(["", *names], rows)
    for layers, row in _by_layers(found):
        yield (
            f"{layers} layers: `fit` takes {row['by hand']:.3f} times the loop "
            f"by hand; the penalty makes a plain\nstep {row['penalty']:.3f} "
            "times as long.\n"
        )
    yield from map(_source, found.values())


def _by_layers(found):
    return [(d["found"]["layers"], d["found"]) for d in found.values()]


def _study() -> Iterator[str]:
    document = measure.load("training_study")
    if document is None:
        return
    yield "## The same certified accuracy\n"
    yield (
        "The same network, images, order, penalty and epochs; only the attack "
        "differs. All\n10,000 test images, against all other classes. The "
        "epochs are few because those of\nthe published schedule are long.\n"
    )
    headers = ["layers", "epochs", "attack", "seed", "clean"]
    headers += ["certified at 0.5", "certified at 1.58", "attacked at 1.58"]
    yield _table(
        headers,
        [
            [
                *(run[name] for name in ("layers", "epochs", "attack", "seed")),
                *(
                    f"{100 * share:.2f}"
                    for share in (
                        run["clean"],
                        *run["certified"],
                        run["attacked"][-1],
                    )
                ),
            ]
            for run in document["found"]
        ],
    )
    kinds = collections.defaultdict(dict)  # As an ordered set.
    for run in document["found"]:
        kinds[run["layers"], run["epochs"]][run["attack"]] = None
    for (layers, epochs), attacks in kinds.items():
        yield (
            f"`python benchmarks/training_study.py --layers={layers} "
            f"--epochs={epochs} --attacks={','.join(attacks)}`: "
            f"{document['machine']}.\n"
        )


def _power() -> Iterator[str]:
    found = measure.load_all("power-")
    if not found:
        return
    yield "## Steps of power iteration\n"
    yield (
        "What `compile(power_iterations=)` brings and costs: the share of K of "
        "Theorem 4 that\nthe trackers see at the full learning rate and after "
        "the last batch, and what comes\nof it. 12,800 images, 5 epochs; the "
        "first 1,000 test images. Seconds are of the\nprocessor. A "
        "difference of a point in what is certified is no more than chance: "
        "one\nseed, a standard error of 1.6 points. So the default is one "
        "step, which the networks of\ndocs/results.md were trained with.\n"
    )
    headers = ["layers", "steps", "seed", "seen at full rate", "at the end"]
    headers += ["clean", "certified at 1.58", "seconds"]
    names = ("share at full rate", "share at the end", "clean", "certified")
    rows = [
        [
            *(run[name] for name in ("layers", "iterations", "seed")),
            *(f"{100 * run[name]:.1f}" for name in names),
            f"{run['seconds']:.0f}",
        ]
        for document in found.values()
        for run in document["found"]
    ]
    yield _table(headers, rows)
    yield from map(_source, found.values())


def _scale() -> Iterator[str]:
    document = measure.load("scale")
    if document is None:
        return
    yield "## Scale\n"
    yield (
        "Random softplus networks on 784 uniform random inputs; 2 layers of "
        "width 512, 10\nclasses, 1,000 images where not said. Seconds and "
        "memory of `tfcurv.certify` in all;\nof that the curvature bounds that "
        "one batch asks for, and milliseconds an image\ncompiled and warm. "
        "Exponents of power laws through the last three sizes are above\neach "
        "plot.\n"
    )
    yield "![Time and memory against width, layers, classes](scale.png)\n"
    headers = ["", "size", "seconds", "bounds, s", "ms an image", "MB"]
    rows = [
        [
            name,
            row[name],
            f"{row['seconds']:.1f}",
            f"{row['bounds']:.2f}",
            f"{row['image']:.2f}",
            f"{row['megabytes']:.0f}",
        ]
        for name, rows in document["found"]["rows"].items()
        for row in rows
    ]
    yield _table(headers, rows)
    yield _source(document)


def main() -> None:
    """Writes the page."""
    sections = (_certify, _train, _study, _power, _scale)
    parts = [part for section in sections for part in section()]
    page = "\n".join([_HEAD, *parts, _NO_GPU])
    pathlib.Path(__file__).with_name("README.md").write_text(page)


if __name__ == "__main__":
    main()
