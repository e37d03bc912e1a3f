"""`tfcurv demo`: plain against robust training on real digits, in minutes."""

from collections.abc import Sequence
import dataclasses
import pathlib

from absl import flags
import numpy as np

from tfcurv import data
from tfcurv import report
from tfcurv import results
from tfcurv import training
from tfcurv.cli import options
from tfcurv.cli import run_folder

USAGE = """Usage: tfcurv demo [--output=FOLDER]

Trains one network plainly and one with curvature-based robust training (CRT)
on scikit-learn's bundled digits, certifies both on test images against every
class, prints the results side by side and writes FOLDER/report.html. FOLDER
keeps each network as soon as it is trained, and a run that was killed or
interrupted goes on by the same command."""

FLAGS = flags.FlagValues()

_OUTPUT = flags.DEFINE_string(
    "output",
    "tfcurv_demo",
    "Folder to make, or that of the same run, to go on with it.",
    flag_values=FLAGS,
)
_EPSILONS = options.epsilons_flag(FLAGS, ("0.25", "0.5", "0.75", "1.0"))
_EPOCHS = flags.DEFINE_integer(
    "epochs",
    60,
    "Passes over the training images, for each network.",
    lower_bound=1,
    flag_values=FLAGS,
)

_QUIET = options.quiet_flag(FLAGS)

# By folder: how the two networks differ.
_NETWORKS = {
    "plain": {"epsilon": 0.0, "gamma": 0.0},
    "crt": {"epsilon": 0.5, "gamma": 0.01},
}
_PAGE, _CURVE = "report.html", "curve.png"
_GALLERY = 10


def _config(settings) -> training.TrainConfig:
    return training.TrainConfig(
        dataset="digits",
        layers=2,
        width=256,
        epochs=_EPOCHS.value,
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


def run(arguments: Sequence[str]) -> None:
    """Runs the demonstration.

    Args:
        arguments: What the command line holds besides flags: nothing.
    """
    if arguments:
        raise ValueError(
            f"tfcurv demo takes flags only. Received: {list(arguments)}."
        )
    epsilons = options.radii(_EPSILONS.value)
    folder = pathlib.Path(_OUTPUT.value)
    configs = {name: _config(each) for name, each in _NETWORKS.items()}
    _check(folder, configs)
    found = []
    for name, config in configs.items():
        result, _ = run_folder.train_and_certify(
            config, folder / name, epsilons, quiet=_QUIET.value
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


def main(arguments: Sequence[str]) -> int:
    """Runs the program on a command line and returns its exit status."""
    return options.run("tfcurv demo", USAGE, FLAGS, run, arguments)
