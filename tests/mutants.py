"""Plants known faults, one at a time, and demands that a test fails for each.

    python tests/mutants.py

Each fault of tests/mutant_list.py is put into a copy of the sources, and the
tests that it names are run there. It is caught when one of them fails, by an
assertion or an error of tfcurv; a copy that cannot be imported, a test that is
not found and a run that does not end are no catch but a broken mutant. Before,
the same tests must pass on an unchanged copy.

Where a source has changed so that a fault's text is no longer in it,
tests/mutants_test.py says so: plant the same fault in the new text.
"""

from collections.abc import Iterator
from collections.abc import Sequence
from concurrent import futures
import contextlib
import dataclasses
import enum
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from absl import app
from absl import flags

import mutant_list
import mutants_witness

#: The project that this file is part of.
ROOT = pathlib.Path(__file__).resolve().parents[1]

# What the tests read, where it is there.
_COPIED = (
    "tfcurv",
    "tests",
    "examples",
    "docs",
    "BUILD",
    "LICENSE",
    "README.md",
    "pyproject.toml",
)
_PASSED, _FAILED = 0, 1
_SHOWN_LINES = 15

_JOBS = flags.DEFINE_integer(
    "jobs",
    min(4, os.cpu_count() or 1),
    "Mutants at a time.",
    lower_bound=1,
)
_LIST = flags.DEFINE_boolean("list", False, "Only list the faults.")
_ONLY = flags.DEFINE_multi_string("only", [], "Names of mutants; default: all.")
_JSON = flags.DEFINE_string("json", None, "File to write the outcome to.")
_TIMEOUT = flags.DEFINE_float(
    "timeout",
    300.0,
    "Seconds after which the tests of a mutant are stopped.",
    lower_bound=0.0,
)


class Verdict(enum.Enum):
    """What became of a mutant."""

    CAUGHT = "caught"
    SURVIVED = "SURVIVED"
    BROKEN = "BROKEN"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """One run of tests.

    Attributes:
        mutant: What was planted.
        verdict: What became of it.
        seconds: How long that took.
        detail: The test that caught it, or what went wrong.
    """

    mutant: mutant_list.Mutant
    verdict: Verdict
    seconds: float
    detail: str


class BaselineError(Exception):
    """The tests fail before anything is planted."""


@contextlib.contextmanager
def _copy_of(root: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a temporary copy of a project, without what was compiled."""
    with tempfile.TemporaryDirectory(prefix="tfcurv-mutant-") as name:
        copy = pathlib.Path(name).resolve() / "project"
        copy.mkdir()
        for source in (root / entry for entry in _COPIED):
            if source.is_dir():
                ignore = shutil.ignore_patterns("__pycache__", ".*")
                shutil.copytree(source, copy / source.name, ignore=ignore)
            elif source.exists():
                shutil.copy2(source, copy)
        shutil.copy2(mutants_witness.__file__, copy)
        yield copy


def _run_tests(
    project: pathlib.Path, tests: Sequence[str], timeout: float | None
) -> tuple[int, str]:
    """Returns pytest's exit status and the end of what it wrote."""
    environment = {
        **os.environ,
        # Several processes cannot share one GPU's memory. And whether a test
        # fails must not depend on the machine's threads or pytest plugins.
        "CUDA_VISIBLE_DEVICES": "-1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    # Several mutants run at a time already: no processes within each.
    options = "-p xdist.plugin -n 0 -p no:cacheprovider -p mutants_witness"
    options += " -x -q --no-header"
    log = project.parent / "log"
    with log.open("wb") as out:
        status = subprocess.run(
            [sys.executable, "-m", "pytest", *options.split(), *tests],
            cwd=project,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        ).returncode
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return status, "\n".join(lines[-_SHOWN_LINES:])


def check_baseline(
    mutants: Sequence[mutant_list.Mutant], root: pathlib.Path = ROOT
) -> float:
    """Runs every test of these mutants on an unchanged copy, once.

    Returns:
        The seconds that it took.

    Raises:
        BaselineError: One of them fails.
    """
    start = time.monotonic()
    chosen = {test for mutant in mutants for test in mutant.tests}
    # A class of a file that runs anyway would run twice.
    tests = {t for t in chosen if t == _file(t) or _file(t) not in chosen}
    with _copy_of(root) as project:
        status, log = _run_tests(project, sorted(tests), None)
    if status != _PASSED:
        raise BaselineError(
            f"The tests fail on the unchanged sources, status {status}:\n{log}"
        )
    return time.monotonic() - start


def _file(test: str) -> str:
    return test.split("::")[0]


def run_mutant(
    mutant: mutant_list.Mutant,
    root: pathlib.Path = ROOT,
    timeout: float | None = None,
) -> Outcome:
    """Plants one fault in a copy of a project and runs its tests there.

    Args:
        mutant: The fault.
        root: The project.
        timeout: Seconds after which the tests are stopped.
    """
    start = time.monotonic()
    verdict, detail = _judge(mutant, root, timeout)
    seconds = time.monotonic() - start
    return Outcome(
        mutant=mutant, verdict=verdict, seconds=seconds, detail=detail
    )


def _judge(mutant, root, timeout) -> tuple[Verdict, str]:
    with _copy_of(root) as project:
        path = project / mutant.file
        try:
            source = mutant.planted_in(path.read_text(encoding="utf-8"))
            path.write_text(source, encoding="utf-8")
            status, log = _run_tests(project, mutant.tests, timeout)
        except (OSError, ValueError) as error:
            return Verdict.BROKEN, str(error)
        except subprocess.TimeoutExpired:
            return Verdict.BROKEN, f"its tests ran for more than {timeout} s"
        if status == _PASSED:
            return Verdict.SURVIVED, ", ".join(mutant.tests)
        witness = project / mutants_witness.FILE
        if status != _FAILED or not witness.exists():
            return Verdict.BROKEN, f"pytest ended with status {status}:\n{log}"
        found = json.loads(witness.read_text(encoding="utf-8"))
        if not found["is_verdict"]:
            reason = f"{found['test']} met {found['error']}"
            return Verdict.BROKEN, f"{reason}, which judges nothing:\n{log}"
        return Verdict.CAUGHT, found["test"]


def run_mutants(
    mutants: Sequence[mutant_list.Mutant], jobs: int, timeout: float
) -> list[Outcome]:
    """Runs several mutants at a time and reports each as it ends.

    Args:
        mutants: What to plant, one by one.
        jobs: How many at a time.
        timeout: Seconds after which the tests of one are stopped.

    Returns:
        The outcomes, in the order of the mutants.
    """
    with futures.ThreadPoolExecutor(jobs) as pool:
        running = [
            pool.submit(run_mutant, mutant, ROOT, timeout) for mutant in mutants
        ]
        try:
            for count, done in enumerate(futures.as_completed(running), 1):
                _write(f"[{count}/{len(mutants)}] {_line(done.result())}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [each.result() for each in running]


def _line(outcome: Outcome) -> str:
    return (
        f"{outcome.verdict.value:8} {outcome.seconds:6.1f} s  "
        f"{outcome.mutant.name}: {outcome.detail}"
    )


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _table(outcomes: Sequence[Outcome]) -> str:
    width = max(len(each.mutant.name) for each in outcomes)
    lines = [
        f"{each.mutant.name:{width}}  {each.verdict.value:8}  "
        f"{each.seconds:6.1f} s  {each.detail.splitlines()[0]}"
        for each in outcomes
    ]
    caught = sum(each.verdict is Verdict.CAUGHT for each in outcomes)
    return "\n".join([*lines, f"caught {caught} of {len(outcomes)}"])


def write_report(path: pathlib.Path, outcomes: Sequence[Outcome]) -> None:
    """Writes the outcomes as JSON: all of it or nothing.

    Args:
        path: The file.
        outcomes: What to write.
    """
    document = {
        "planted": len(outcomes),
        "caught": sum(o.verdict is Verdict.CAUGHT for o in outcomes),
        "mutants": [
            {
                "name": outcome.mutant.name,
                "fault": outcome.mutant.fault,
                "file": outcome.mutant.file,
                "verdict": outcome.verdict.value.lower(),
                "seconds": round(outcome.seconds, 1),
                "detail": outcome.detail,
            }
            for outcome in outcomes
        ],
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(
        json.dumps(document, indent=2) + "\n", encoding="utf-8"
    )
    temporary.replace(path)


def _chosen(names: Sequence[str]) -> list[mutant_list.Mutant]:
    known = {mutant.name: mutant for mutant in mutant_list.MUTANTS}
    if unknown := sorted(set(names) - set(known)):
        raise app.UsageError(
            "There is no mutant of this name. "
            f"Received: --only={unknown[0]}. Allowed: {sorted(known)}."
        )
    return [known[name] for name in names or known]


def main(argv: Sequence[str]) -> int:
    """Runs the script and returns its exit status."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    mutants = _chosen(_ONLY.value)
    if _LIST.value:
        for mutant in mutants:
            _write(f"{mutant.name} ({mutant.file}): {mutant.fault}")
        return 0
    report = pathlib.Path(_JSON.value) if _JSON.value else None
    if report and not report.absolute().parent.is_dir():
        raise app.UsageError(
            f"There is no such folder. Received: --json={_JSON.value}."
        )
    start = time.monotonic()
    try:
        seconds = check_baseline(mutants)
    except BaselineError as error:
        _write(str(error))
        return 1
    _write(f"the tests pass on the unchanged sources, {seconds:.1f} s")
    outcomes = run_mutants(mutants, _JOBS.value, _TIMEOUT.value)
    if report:
        write_report(report, outcomes)
    _write(f"\n{_table(outcomes)}, {time.monotonic() - start:.0f} s")
    return int(any(each.verdict is not Verdict.CAUGHT for each in outcomes))


if __name__ == "__main__":
    app.run(main)
