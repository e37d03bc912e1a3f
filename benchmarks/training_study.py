"""What the attack of curvature-based training costs, and what it buys.

Trains the same MNIST network with the published attack schedule and with
tfcurv's attack of few steps: the same images, order, weights, penalty and
number of epochs. Certifies each on all test images. Every run is kept in
--folder and never repeated; the table is made of all that are there.

    python benchmarks/training_study.py --layers=2 --attacks=published,8,4,2,1
"""

from collections.abc import Sequence
import json
import pathlib

from absl import app
from absl import flags
import keras
import measure
from published_schedule import PublishedAttack

from tfcurv import data
from tfcurv import report
from tfcurv import runs
from tfcurv import training

_LAYERS = flags.DEFINE_integer("layers", 2, "Dense layers.", lower_bound=2)
_EPOCHS = flags.DEFINE_integer("epochs", 4, "Epochs.", lower_bound=1)
_ATTACKS = flags.DEFINE_list(
    "attacks", ["8", "4", "2", "1"], "Steps of the attack, or 'published'."
)
_SEEDS = flags.DEFINE_list("seeds", ["0"], "Seeds of weights and order.")
_FOLDER = flags.DEFINE_string(
    "folder", "training_study", "Where the runs are kept."
)

# Of the penalty, for each number of layers: as published for 3 and 4.
_GAMMAS = {2: 0.01, 3: 0.05, 4: 0.07}
_EPSILONS = (0.5, 1.58)


def _run(layers: int, epochs: int, attack: str, seed: int) -> dict:
    """Trains and certifies one network."""
    config = training.TrainConfig(
        layers=layers,
        gamma=_GAMMAS[layers],
        epochs=epochs,
        warmup_epochs=0.25 * epochs,
        attack_steps=1 if attack == "published" else int(attack),
        seed=seed,
    )
    adversary = None
    if attack == "published":
        adversary = PublishedAttack(config.epsilon)
    splits = [
        data.load_split("mnist", name)
        for name in ("train", "validation", "test")
    ]
    trained = training.train(config, *splits[:2], adversary=adversary)
    result = runs.certify(trained.model, splits[2], epsilons=_EPSILONS)
    return {
        "layers": layers,
        "epochs": epochs,
        "attack": attack,
        "seed": seed,
        "seconds": trained.seconds,
        "clean": result.clean_accuracy,
        "certified": [result.certified_accuracy(e) for e in _EPSILONS],
        "attacked": [result.attacked_accuracy(e) for e in _EPSILONS],
    }


def _row(run: dict) -> list[str]:
    pairs = zip(run["certified"], run["attacked"])
    return [
        f"{run['layers']}",
        run["attack"],
        f"{run['epochs']}",
        f"{run['seed']}",
        report.percent(run["clean"]),
        *(f"{report.percent(c)} / {report.percent(a)}" for c, a in pairs),
        f"{run['seconds'] / run['epochs']:.0f} s",
    ]


def main(argv: Sequence[str]) -> None:
    """Trains what is missing and prints all."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    folder = pathlib.Path(_FOLDER.value)
    folder.mkdir(parents=True, exist_ok=True)
    layers, epochs = _LAYERS.value, _EPOCHS.value
    for attack in _ATTACKS.value:
        for seed in map(int, _SEEDS.value):
            name = f"{layers}x1024-{epochs}-{attack}-{seed}.json"
            if not (folder / name).exists():
                keras.backend.clear_session()
                found = _run(layers, epochs, attack, seed)
                (folder / name).write_text(json.dumps(found, indent=2))
    measured = [
        json.loads(p.read_text()) for p in sorted(folder.glob("*.json"))
    ]
    headers = ["layers", "attack", "epochs", "seed", "clean"]
    headers += [f"certified / attacked at {e}" for e in _EPSILONS]
    print(report.format_table([*headers, "epoch"], map(_row, measured)))
    measure.save("training_study", measured)


if __name__ == "__main__":
    app.run(main)
