"""A pytest plugin of tests/mutants.py: says which test failed first, and how.

It runs beside the tests of a copy of the project, and so cannot take its
imports from there.
"""

import json
import pathlib
import sys
from typing import Any

import pytest

#: What is written beside pyproject.toml.
FILE = "witness.json"

# The status of a run that tested something else than the copy.
_WRONG_SOURCES = 3


def pytest_collection_finish(session: pytest.Session) -> None:
    """Ends the run unless all of tfcurv that was imported is the copy's."""
    root = session.config.rootpath.resolve()
    files = {
        name: pathlib.Path(module.__file__).resolve()
        for name, module in list(sys.modules.items())
        if name.split(".")[0] == "tfcurv"
    }
    elsewhere = [p for p in files.values() if not p.is_relative_to(root)]
    if elsewhere or not files:
        pytest.exit(
            f"The tests do not import tfcurv from {root}, but {elsewhere}.",
            returncode=_WRONG_SOURCES,
        )


def pytest_exception_interact(
    node: pytest.Item | pytest.Collector, call: Any
) -> None:
    """Writes down the first failure."""
    path = node.config.rootpath / FILE
    if not path.exists():
        error = call.excinfo.value
        document = {
            "test": node.nodeid,
            "error": type(error).__name__,
            # What fails while tests are collected has judged nothing either.
            "is_verdict": isinstance(node, pytest.Item) and _is_verdict(error),
        }
        path.write_text(json.dumps(document), encoding="utf-8")


def _is_verdict(error: BaseException) -> bool:
    """Whether a test has judged a result, or the library itself has.

    Any other error shows that the changed source does not run, which proves
    nothing of the tests.
    """
    # Hypothesis groups what several examples raise.
    if several := getattr(error, "exceptions", None):
        return all(map(_is_verdict, several))
    own = type(error).__module__ == "tfcurv.errors"
    return own or isinstance(error, AssertionError)
