"""Trains and measures the networks that come with tfcurv.

    python examples/train_shipped.py --output=shipped

Digits come with scikit-learn: no other data are needed. Two minutes on two
cores.
"""

from collections.abc import Sequence
import json
import pathlib

from absl import app
from absl import flags
from absl import logging

import tfcurv
from tfcurv import data
from tfcurv import training

_OUTPUT = flags.DEFINE_string("output", "shipped", "Folder to write.")
_ONLY = flags.DEFINE_list(
    "only", sorted(training.PRETRAINED), "Which of the networks."
)


def make(name: str, folder: pathlib.Path) -> None:
    """Writes one network and what is measured of it.

    Args:
        name: A key of `training.PRETRAINED`.
        folder: Where to.
    """
    config = training.PRETRAINED[name]
    splits = [
        data.load_split(config.dataset, s) for s in ("train", "validation")
    ]
    found = training.train(config, *splits)
    model = found.model.export_plain()
    result = certified(model, config)
    model.save(folder / f"{name}.keras")
    (folder / f"{name}.json").write_text(
        json.dumps(
            {
                "norm": config.norm,
                "domain": config.domain,
                "epsilon": config.epsilon,
                "images": result.num_images,
                "clean": result.clean_accuracy,
                "certified": result.certified_accuracy(config.epsilon),
                "attacked": result.attacked_accuracy(config.epsilon),
                "seconds of training": found.seconds,
                "machine": training.machine(),
            },
            indent=2,
        )
        + "\n"
    )
    logging.info("%s", result)


def certified(model, config) -> tfcurv.CertificationResult:
    """Returns what is proved at epsilon of the digits' test images.

    Args:
        model: The network.
        config: Its settings: norm, domain and epsilon.
    """
    return tfcurv.certify(
        model,
        config.dataset,
        norm=config.norm,
        domain=config.domain,
        epsilons=(config.epsilon,),
        radii=False,
    )


def main(arguments: Sequence[str]) -> None:
    if len(arguments) > 1:
        raise app.UsageError(f"Unexpected arguments: {arguments[1:]}")
    folder = pathlib.Path(_OUTPUT.value)
    folder.mkdir(parents=True, exist_ok=True)
    for name in _ONLY.value:
        make(name, folder)


if __name__ == "__main__":
    app.run(main)
