"""What `tfcurv demo` does: two networks trained, certified, side by side."""

from collections.abc import Sequence
import dataclasses
import pathlib

import numpy as np

from tfcurv import data
from tfcurv import report
from tfcurv import results
from tfcurv import training
from tfcurv.cli import options
from tfcurv.cli import run_folder

# By folder: how the two networks differ.
_NETWORKS = {
    "plain": {"epsilon": 0.0, "gamma": 0.0},
    "crt": {"epsilon": 0.5, "gamma": 0.01},
}
_PAGE, _CURVE = "report.html", "curve.png"
_GALLERY = 10


def _config(epochs: int, settings) -> training.TrainConfig:
    return training.TrainConfig(
        dataset="digits",
        layers=2,
        width=256,
        epochs=epochs,
        batch_size=50,
        warmup_epochs=5.0,
        **settings,
    )


def comparison(
    found: Sequence[results.CertificationResult],
) -> tuple[list[str], list[list[str]]]:
    """Returns headers and rows of the results side by side.

    Args:
        found: Results of several models on the same images.
    """
    headers = ["", *(result.model_name for result in found)]
    rows = [
        ["clean accuracy", *(report.percent(r.clean_accuracy) for r in found)]
    ]
    for epsilon in found[0].epsilons:
        for name, share in (
            ("certified", lambda r, e=epsilon: r.certified_accuracy(e)),
            ("attacked", lambda r, e=epsilon: r.attacked_accuracy(e)),
        ):
            cells = [report.percent(share(result)) for result in found]
            rows.append([f"{name} at {epsilon:g}", *cells])
    for name, value in (
        ("mean radius of correct", lambda r: report.number(r.mean_radius)),
        ("exact radii of correct", lambda r: report.percent(r.exact_share)),
        ("seconds", lambda r: report.number(r.seconds)),
    ):
        rows.append([name, *(value(result) for result in found)])
    return headers, rows


def _gallery(result, split) -> report.GallerySection:
    """Shows the correct images that are hardest and easiest to flip."""
    order = np.argsort(result.radii, kind="stable")
    order = order[result.correct[order]]
    chosen = [*order[: _GALLERY // 2], *order[-_GALLERY // 2 :]]
    items = [
        report.GalleryItem(
            image=split.images[i],
            caption=(
                f"{result.labels[i]}: radius {result.radii[i]:.2f}, "
                f"nearest rival {result.targets[i]}"
            ),
        )
        for i in chosen
    ]
    return report.GallerySection(
        heading="The least and the most robust digits of the CRT network",
        items=items,
        note="No image within the radius is given another class.",
    )


def _write_report(folder: pathlib.Path, found, split) -> None:
    headers, rows = comparison(found)
    epsilons = found[0].epsilons
    curves = [result.curve() for result in found]
    report.plot_curves(folder / _CURVE, curves, epsilons)
    report.write_page(
        folder / _PAGE,
        title="Plain and curvature-based robust training on digits",
        lead=(
            "Certified against every class, on the "
            f"{found[0].num_images} test images, l2 radii, pixels in [0, 1]."
        ),
        sections=[
            report.FigureSection(
                heading="Certified accuracy",
                png=(folder / _CURVE).read_bytes(),
                caption="The true accuracy lies in the band of each network.",
            ),
            report.TableSection(
                heading="Side by side", headers=headers, rows=rows
            ),
            _gallery(found[-1], split),
        ],
    )


def demonstrate(
    output: str, epsilons: tuple[float, ...], *, epochs: int, quiet: bool
) -> None:
    """Trains and certifies both, writes the page, shows the table.

    Args:
        output: Folder to make, or that of the same run.
        epsilons: Radii of the table.
        epochs: Passes over the training images, for each network.
        quiet: Whether to show no progress.
    """
    folder = pathlib.Path(output)
    configs = {n: _config(epochs, each) for n, each in _NETWORKS.items()}
    _check(folder, configs)
    found = []
    for name, config in configs.items():
        result, _ = run_folder.train_and_certify(
            config, folder / name, epsilons, quiet=quiet
        )
        # A run that goes on may be asked for other radii than before.
        found.append(dataclasses.replace(result, epsilons=epsilons))
    _write_report(folder, found, data.load_split("digits", "test"))
    options.write(report.format_table(*comparison(found)))
    options.write(f"\nreport: {folder / _PAGE}")


def _check(folder: pathlib.Path, configs) -> None:
    """Refuses a folder of something else, and what would fail at the end."""
    run_folder.refuse_finished(folder / _PAGE, folder)
    known = {*configs, _CURVE}
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    if not all(name in known or name.endswith(".tmp") for name in names):
        results.check_new_folder(folder)
    for name, config in configs.items():
        run_folder.check(config, folder / name, None)
    report.check_drawing(folder / _CURVE)
