"""Recomputes the published tables: trains, certifies, writes docs/results.md.

python examples/reproduce.py --table=3
python examples/reproduce.py --table=3 --measure
"""

from collections.abc import Sequence
import dataclasses
import json
import pathlib
import sys
import time

from absl import flags
import estimates
import measurements
import paper
import pictures
import results_page
import trained

from tfcurv import data
from tfcurv import report
from tfcurv import training
from tfcurv.cli import options

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_SHIPPED = _ROOT / "docs" / "results"

USAGE = f"""Usage: python examples/reproduce.py [flags]

Shows the published tables with the published figures beside the measured ones,
and writes docs/results.md. What was measured is stored in docs/results, with
the day and the kind of machine; where all that a table needs is there, nothing
is trained or measured, and what is shown says so.

What is missing is made: the network is trained and certified. Of tables of
which nothing has been measured yet, only with --measure, or with --seeds, which
says of which networks: these take hours each. With --measure
nothing that the project ships counts as there: everything is trained and
measured on this machine, into the folder of --networks, and its page is
results.md there. Networks are kept in --networks, measurements in --results; a
run that was killed or interrupted goes on by the same command. With --redraw
nothing is trained or measured: the page is written from what is there.

Robust dense networks took, on two CPU cores that did other work too:
{estimates.by_depth(results_page.read_runs(_SHIPPED))}."""

FLAGS = flags.FlagValues()

_TABLE = flags.DEFINE_list(
    "table",
    ["all"],
    f"Tables to fill: {', '.join(paper.TABLES)}, or all.",
    flag_values=FLAGS,
)
_SEEDS = flags.DEFINE_list(
    "seeds",
    None,
    "Seeds of every row; default: of each row those behind its figures.",
    flag_values=FLAGS,
)
_NETWORKS = flags.DEFINE_string(
    "networks",
    str(_ROOT / "reproduction"),
    "Folder in which trained networks are kept.",
    flag_values=FLAGS,
)
_RESULTS = flags.DEFINE_string(
    "results",
    None,
    "Folder in which measurements are kept; default: the project's, "
    "docs/results, and with --measure NETWORKS/results.",
    flag_values=FLAGS,
)
_PAGE = flags.DEFINE_string(
    "page",
    None,
    "The page to write; default: results.md beside the folder of --results.",
    flag_values=FLAGS,
)
_MEASURE = flags.DEFINE_bool(
    "measure",
    False,
    "Train and measure on this machine what the project ships, too.",
    flag_values=FLAGS,
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
_QUIET = options.quiet_flag(FLAGS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What one row of a table lacks for one seed.

    Attributes:
        recipe: The network's settings.
        seed: Of the network.
        epsilon: The radius of the table.
        parts: What has to be measured.
    """

    recipe: str
    seed: int
    epsilon: float
    parts: tuple[str, ...]


def _results() -> pathlib.Path:
    if _RESULTS.value:
        return pathlib.Path(_RESULTS.value)
    own = pathlib.Path(_NETWORKS.value) / "results"
    return own if _MEASURE.value else _SHIPPED


def _page() -> pathlib.Path:
    default = _results().parent / "results.md"
    return pathlib.Path(_PAGE.value) if _PAGE.value else default


def _path(recipe: str, seed: int) -> pathlib.Path:
    return _results() / f"{recipe}-seed{seed}.json"


def _stored(recipe: str, seed: int) -> dict:
    path = _path(recipe, seed)
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    return {"recipe": recipe, "seed": seed, "training": {}, "parts": {}}


def missing(names: Sequence[str], seeds: Sequence[int] | None) -> list[Job]:
    """Returns what the tables lack, each measurement once.

    Args:
        names: Keys of `paper.TABLES`.
        seeds: Of every row; None for those behind its figures, none if there
            are no figures yet, unless all is to be measured.
    """
    jobs, planned = [], set()
    for table in map(paper.TABLES.get, names):
        for row in table.rows:
            for seed in _seeds_of(row) if seeds is None else seeds:
                there = _stored(row.recipe, seed)["parts"]
                lacking = tuple(
                    part
                    for part in table.parts
                    if part not in there
                    and (row.recipe, seed, part) not in planned
                )
                planned |= {(row.recipe, seed, part) for part in lacking}
                if lacking:
                    jobs.append(
                        Job(
                            recipe=row.recipe,
                            seed=seed,
                            epsilon=table.epsilon,
                            parts=lacking,
                        )
                    )
    return jobs


def _seeds_of(row: paper.Row) -> tuple[int, ...]:
    """Returns the seeds behind a row; of one without figures, to be made."""
    return row.seeds or ((0,) if _MEASURE.value else ())


class Plan:
    """Says what is to be done, and how long it is thought to take."""

    def __init__(self, jobs: Sequence[Job], folder: pathlib.Path):
        """Looks at what is there.

        Args:
            jobs: What is to be measured, in order.
            folder: Where networks are kept.
        """
        self._known = results_page.read_runs(_SHIPPED)
        needed = dict.fromkeys((job.recipe, job.seed) for job in jobs)
        self._untrained = [
            each for each in needed if not trained.is_trained(*each, folder)
        ]
        self._count = len(self._untrained)
        self._jobs = list(jobs)

    def text(self) -> str:
        """Returns what is left, in one line."""
        parts = sum(len(job.parts) for job in self._jobs)
        return (
            f"{len(self._untrained)} networks to train, {parts} measurements "
            f"to make: {estimates.total(self._seconds())}"
        )

    def _seconds(self) -> list[float | None]:
        trainings = [
            estimates.training_seconds(self._known, recipe)
            for recipe, _ in self._untrained
        ]
        parts = [
            estimates.part_seconds(self._known, job.recipe, part)
            for job in self._jobs
            for part in job.parts
        ]
        return trainings + parts

    def training_text(self, job: Job) -> str | None:
        """Returns what is said before a training; None if there is none."""
        if (job.recipe, job.seed) not in self._untrained:
            return None
        seconds = estimates.training_seconds(self._known, job.recipe)
        number = self._count - len(self._untrained) + 1
        return (
            f"training {job.recipe}, seed {job.seed}, network {number} of "
            f"{self._count}: about {estimates.duration(seconds)}, as on two "
            f"CPU cores; in all, {self.text()}"
        )

    def part_text(self, job: Job, part: str) -> str:
        """Returns what is said before a measurement."""
        seconds = estimates.part_seconds(self._known, job.recipe, part)
        return (
            f"measuring {part!r} of {job.recipe}, seed {job.seed}: about "
            f"{estimates.duration(seconds)}"
        )

    def is_done(self, job: Job) -> None:
        """Takes a job off the plan."""
        self._jobs.remove(job)
        network = job.recipe, job.seed
        self._untrained = [e for e in self._untrained if e != network]


def _say(text: str | None) -> None:
    if text and not _QUIET.value:
        report.announce(text)


def _do(job: Job, plan: Plan) -> None:
    """Measures what a row lacks, and keeps each part as it is done."""
    verbose = 0 if _QUIET.value else 1
    _say(plan.training_text(job))
    model, facts = trained.load_or_train(
        job.recipe,
        job.seed,
        pathlib.Path(_NETWORKS.value),
        _DATA_DIR.value,
        verbose,
    )
    run = _stored(job.recipe, job.seed)
    known = ("config", "seconds", "machine")
    run["training"] = {key: facts[key] for key in known if key in facts}
    dataset = training.RECIPES[job.recipe].dataset
    split = data.load_split(dataset, "test", data_dir=_DATA_DIR.value)
    for part in job.parts:
        _say(plan.part_text(job, part))
        start = time.monotonic()
        found = measurements.PARTS[part](model, split, job.epsilon, verbose)
        run["parts"][part] = {
            "found": found,
            "seconds": time.monotonic() - start,
            "machine": training.machine(),
        }
        path = _path(job.recipe, job.seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(run, indent=2) + "\n"
        report.write_atomically(path, text.encode())
        results_page.write(path.parent, _page())
    plan.is_done(job)


def _check(jobs: Sequence[Job]) -> None:
    """Refuses now what would fail after the first training."""
    report.require_writable(_page())
    for picture in pictures.PICTURES.values():
        report.check_drawing(_page().with_name(picture.file))
    for job in jobs:
        report.require_writable(_path(job.recipe, job.seed))
    for dataset in {training.RECIPES[job.recipe].dataset for job in jobs}:
        for split in ("train", "validation", "test"):
            data.load_split(dataset, split, data_dir=_DATA_DIR.value, limit=1)


def _tables() -> list[str]:
    names = list(paper.TABLES) if "all" in _TABLE.value else _TABLE.value
    unknown = sorted(set(names) - set(paper.TABLES))
    if unknown or not names:
        raise ValueError(
            f"Unknown table. Received: --table={','.join(_TABLE.value)}. "
            f"Allowed: {', '.join(paper.TABLES)}, all."
        )
    return names


def _seeds() -> list[int] | None:
    if _SEEDS.value is None:
        return None
    if not _SEEDS.value or not all(seed.isdigit() for seed in _SEEDS.value):
        raise ValueError(
            "Seeds are whole numbers, separated by commas. "
            f"Received: --seeds={','.join(_SEEDS.value)}."
        )
    return [int(seed) for seed in _SEEDS.value]


def run(arguments: Sequence[str]) -> None:
    """Fills the tables and writes the page, as the parsed flags say.

    Args:
        arguments: What the command line holds besides flags: nothing.
    """
    names, seeds = _tables(), _seeds()
    if arguments:
        raise ValueError(
            f"reproduce.py takes flags only. Received: {list(arguments)}."
        )
    jobs = [] if _REDRAW.value else missing(names, seeds)
    _check(jobs)
    plan = Plan(jobs, pathlib.Path(_NETWORKS.value))
    if jobs:
        _say(plan.text())
    how = (
        f"The same command goes on: networks are kept in {_NETWORKS.value}, "
        f"measurements in {_results()}."
    )
    with options.going_on(how):
        for job in jobs:
            _do(job, plan)
    _page().parent.mkdir(parents=True, exist_ok=True)
    results_page.write(_results(), _page())
    new = {(job.recipe, job.seed, part) for job in jobs for part in job.parts}
    options.write(results_page.text(names, _results(), new))
    options.write(f"page: {_page()}")


if __name__ == "__main__":
    sys.exit(options.run("reproduce.py", USAGE, FLAGS, run, sys.argv[1:]))
