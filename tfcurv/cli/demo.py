"""`tfcurv demo`: plain against robust training on real digits, in minutes."""

from collections.abc import Sequence
import pathlib

from absl import flags
import numpy as np

from tfcurv import certificates
from tfcurv import data
from tfcurv import nn
from tfcurv import report
from tfcurv import training
from tfcurv.cli import options

USAGE = """Usage: tfcurv demo [--output=FOLDER]

Trains one network plainly and one with curvature-based robust training (CRT)
on scikit-learn's bundled digits, certifies both on test images against every
class, prints the results side by side and writes FOLDER/report.html."""

FLAGS = flags.FlagValues()

_OUTPUT = flags.DEFINE_string(
    "output",
    "tfcurv_demo",
    "Folder to make; must not exist.",
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

_CRT = {"epsilon": 0.5, "gamma": 0.01}
_PLAIN = {"epsilon": 0.0, "gamma": 0.0}
_GALLERY = 10


def _train_and_certify(settings, splits, epsilons):
    config = training.TrainConfig(
        dataset="digits",
        layers=2,
        width=256,
        epochs=_EPOCHS.value,
        batch_size=50,
        warmup_epochs=5.0,
        **settings,
    )
    kind = "CRT" if config.epsilon else "plain"
    options.write(f"\nTraining the {kind} network ...")
    trained = training.train(config, splits[0], splits[1], verbose=0)
    options.write(f"trained in {trained.seconds:.0f} s; certifying ...")
    return trained.model, nn.certify(
        trained.model, splits[2], epsilons=epsilons
    )


def comparison(
    results: Sequence[certificates.CertificationResult],
) -> tuple[list[str], list[list[str]]]:
    """Returns headers and rows of the results side by side.

    Args:
        results: Results of several models on the same images.
    """
    headers = ["", *(result.model_name for result in results)]
    rows = [
        ["clean accuracy", *(report.percent(r.clean_accuracy) for r in results)]
    ]
    for epsilon in results[0].epsilons:
        for name, share in (
            ("certified", lambda r, e=epsilon: r.certified_accuracy(e)),
            ("attacked", lambda r, e=epsilon: r.attacked_accuracy(e)),
        ):
            cells = [report.percent(share(result)) for result in results]
            rows.append([f"{name} at {epsilon:g}", *cells])
    for name, value in (
        ("mean radius of correct", lambda r: report.number(r.mean_radius)),
        ("exact radii of correct", lambda r: report.percent(r.exact_share)),
        ("seconds", lambda r: report.number(r.seconds)),
    ):
        rows.append([name, *(value(result) for result in results)])
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


def _write_report(folder: pathlib.Path, results, split) -> None:
    headers, rows = comparison(results)
    epsilons = results[0].epsilons
    curves = [result.curve() for result in results]
    report.plot_curves(folder / "curve.png", curves, epsilons)
    report.write_page(
        folder / "report.html",
        title="Plain and curvature-based robust training on digits",
        lead=(
            "Certified against every class, on the "
            f"{results[0].num_images} test images, l2 radii, pixels in [0, 1]."
        ),
        sections=[
            report.FigureSection(
                heading="Certified accuracy",
                png=(folder / "curve.png").read_bytes(),
                caption="The true accuracy lies in the band of each network.",
            ),
            report.TableSection(
                heading="Side by side", headers=headers, rows=rows
            ),
            _gallery(results[-1], split),
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
    certificates.check_new_folder(_OUTPUT.value)
    epsilons = options.numbers(_EPSILONS.value)
    splits = [
        data.load_split("digits", name)
        for name in ("train", "validation", "test")
    ]
    trained = [
        _train_and_certify(settings, splits, epsilons)
        for settings in (_PLAIN, _CRT)
    ]
    results = [result for _, result in trained]
    with certificates.new_folder(_OUTPUT.value) as folder:
        for model, result in trained:
            model.save(folder / f"{model.name}.keras")
            result.save(folder / model.name)
        _write_report(folder, results, splits[2])
    options.write("\n" + report.format_table(*comparison(results)))
    options.write(f"\nreport: {_OUTPUT.value}/report.html")


def main(arguments: Sequence[str]) -> int:
    """Runs the program on a command line and returns its exit status."""
    return options.run("tfcurv demo", USAGE, FLAGS, run, arguments)
