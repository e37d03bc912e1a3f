"""Recomputes the published tables: trains, certifies, writes docs/results.md.

python examples/reproduce.py --table=3
"""

from collections.abc import Sequence
import datetime
import json
import os
import pathlib
import platform
import sys
import time

from absl import flags
import keras
import measurements
import networks
import paper
import results_page
import tensorflow as tf

from tfcurv import data
from tfcurv import report
from tfcurv import training
from tfcurv.cli import options

USAGE = """Usage: python examples/reproduce.py [flags]

Trains the networks of the published tables, certifies them and writes
docs/results.md with the published figures beside the measured ones.

Networks are kept in --networks and measurements in --results; what is there is
not made again, and a training that was killed goes on where it stopped. With
--redraw nothing is trained or measured: the page is written from what is there.
On two CPU cores a robust network of two layers takes several minutes to train,
one of four layers up to half an hour."""

FLAGS = flags.FlagValues()

_TABLE = flags.DEFINE_list(
    "table",
    ["all"],
    f"Tables to fill: {', '.join(paper.TABLES)}, or all.",
    flag_values=FLAGS,
)
_SEEDS = flags.DEFINE_list(
    "seeds",
    ["0"],
    "Seeds of the headline rows; the others have the first.",
    flag_values=FLAGS,
)
_NETWORKS = flags.DEFINE_string(
    "networks",
    "reproduction",
    "Folder in which trained networks are kept.",
    flag_values=FLAGS,
)
_RESULTS = flags.DEFINE_string(
    "results",
    "docs/results",
    "Folder in which measurements are kept.",
    flag_values=FLAGS,
)
_PAGE = flags.DEFINE_string(
    "page", "docs/results.md", "The page to write.", flag_values=FLAGS
)
_REDRAW = flags.DEFINE_bool(
    "redraw",
    False,
    "Only write the page, from the measurements that exist.",
    flag_values=FLAGS,
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir",
    None,
    "Folder of tensorflow-datasets; default: TFDS_DATA_DIR, else its own.",
    flag_values=FLAGS,
)


def _machine() -> str:
    return (
        f"{datetime.date.today()}, {os.cpu_count()} CPU cores "
        f"({platform.machine()}), TensorFlow {tf.__version__}, "
        f"Keras {keras.__version__}"
    )


def _fill(table: paper.Table, row: paper.Row, seed: int) -> None:
    """Measures what a row lacks, and keeps each part as it is done."""
    path = pathlib.Path(_RESULTS.value) / f"{row.recipe}-seed{seed}.json"
    run = {"recipe": row.recipe, "seed": seed, "training": {}, "parts": {}}
    if path.exists():
        run = json.loads(path.read_text(encoding="utf-8"))
    missing = [part for part in table.parts if part not in run["parts"]]
    if not missing:
        return
    model, facts = networks.load_or_train(
        row.recipe, seed, pathlib.Path(_NETWORKS.value), _DATA_DIR.value
    )
    run["training"] = {"config": facts["config"], "seconds": facts["seconds"]}
    dataset = training.RECIPES[row.recipe].dataset
    split = data.load_split(dataset, "test", data_dir=_DATA_DIR.value)
    for part in missing:
        options.write(f"{row.recipe}, seed {seed}: measuring {part}")
        start = time.monotonic()
        found = measurements.PARTS[part](model, split, table.epsilon)
        seconds = time.monotonic() - start
        run["parts"][part] = {
            "found": found,
            "seconds": seconds,
            "machine": _machine(),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(run, indent=2) + "\n"
        report.write_atomically(path, text.encode())
        results_page.write(path.parent, pathlib.Path(_PAGE.value))


def _tables() -> list[str]:
    names = list(paper.TABLES) if "all" in _TABLE.value else _TABLE.value
    unknown = sorted(set(names) - set(paper.TABLES))
    if unknown:
        raise ValueError(
            f"Unknown table. Received: --table={','.join(unknown)}. "
            f"Allowed: {', '.join(paper.TABLES)}, all."
        )
    return names


def run(arguments: Sequence[str]) -> None:
    """Fills the tables and writes the page, as the parsed flags say.

    Args:
        arguments: What the command line holds besides flags: nothing.
    """
    names = _tables()
    if arguments or not all(seed.isdigit() for seed in _SEEDS.value):
        raise ValueError(
            "reproduce.py takes flags only, and whole numbers as seeds. "
            f"Received: {list(arguments)}, --seeds={','.join(_SEEDS.value)}."
        )
    seeds = [int(seed) for seed in _SEEDS.value]
    for name in [] if _REDRAW.value else names:
        table = paper.TABLES[name]
        for seed in seeds if table.is_headline else seeds[:1]:
            for row in table.rows:
                _fill(table, row, seed)
    results = pathlib.Path(_RESULTS.value)
    results_page.write(results, pathlib.Path(_PAGE.value))
    options.write(results_page.text(names, results))
    options.write(f"page: {_PAGE.value}")


if __name__ == "__main__":
    sys.exit(options.run("reproduce.py", USAGE, FLAGS, run, sys.argv[1:]))
