"""Which steps of the certificate search pay: first-order or Newton?

Trains small networks on scikit-learn's digits, certifies the same images with
different searches, and prints mean radius, gradients an image and seconds.

    python benchmarks/search_study.py
"""

from collections.abc import Sequence
import itertools

from absl import app
from absl import flags

from tfcurv import certificates
from tfcurv import data
from tfcurv import report
from tfcurv import runs
from tfcurv import training

_LIMIT = flags.DEFINE_integer(
    "limit", 200, "Images to certify.", lower_bound=1, upper_bound=497
)
_WIDTH = flags.DEFINE_integer("width", 128, "Hidden units.", lower_bound=1)

_TRAININGS = (
    {"epsilon": 0.0, "gamma": 0.0, "activation": "tanh"},
    {"epsilon": 0.5, "gamma": 0.01, "activation": "softplus"},
)

_Options = certificates.SearchOptions
_SEARCHES = {
    "closed form": None,
    "first order, 8": _Options(fixed_point_steps=8, newton_steps=0),
    "first order, 24": _Options(newton_steps=0),
    "first order, 96": _Options(fixed_point_steps=96, newton_steps=0),
    "first order, 24 + Newton": _Options(newton_steps=4),
    "Newton from the start": _Options(fixed_point_steps=1, newton_steps=8),
}


def _rows(layers: int, settings: dict, splits: Sequence[data.Split]):
    config = training.TrainConfig(
        dataset="digits",
        layers=layers,
        width=_WIDTH.value,
        epochs=40,
        batch_size=50,
        **settings,
    )
    model = training.train(config, splits[0], splits[1], verbose=0).model
    for name, search in _SEARCHES.items():
        options = certificates.CertifierOptions(search=search, attack_steps=0)
        result = runs.certify(
            model, splits[2], limit=_LIMIT.value, options=options, verbose=0
        )
        yield [
            f"{model.name} {config.activation}, {name}",
            f"{result.mean_radius:.6f}",
            report.percent(result.exact_share),
            f"{result.num_evaluations / result.num_images:.1f}",
            f"{result.seconds:.1f}",
        ]


def main(argv: Sequence[str]) -> None:
    """Prints the table."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    splits = [
        data.load_split("digits", name)
        for name in ("train", "validation", "test")
    ]
    headers = ["", "mean radius", "exact", "gradients", "seconds"]
    for layers, settings in itertools.product((2, 3, 4), _TRAININGS):
        rows = list(_rows(layers, settings, splits))
        print(report.format_table(headers, rows), flush=True)


if __name__ == "__main__":
    app.run(main)
