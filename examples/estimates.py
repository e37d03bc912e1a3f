"""How long trainings and measurements last, from those that are stored."""

from collections.abc import Mapping
from collections.abc import Sequence
import statistics
from typing import Any

from tfcurv import training

_Runs = Sequence[Mapping[str, Any]]

_NUMBERS = {2: "two", 3: "three", 4: "four"}


def training_seconds(runs: _Runs, recipe: str) -> float | None:
    """Returns how long a network takes to train; None if nobody knows.

    Args:
        runs: Stored runs.
        recipe: Its settings.
    """
    found = [
        run["training"]["seconds"]
        for run in runs
        if run["recipe"] == recipe and "seconds" in run["training"]
    ]
    return statistics.fmean(found) if found else None


def part_seconds(runs: _Runs, recipe: str, part: str) -> float | None:
    """Returns how long a measurement takes; None if nobody knows.

    Args:
        runs: Stored runs.
        recipe: The settings of the network.
        part: See `measurements.PARTS`.
    """
    found = [
        run["parts"][part]["seconds"]
        for run in runs
        if run["recipe"] == recipe and "seconds" in run["parts"].get(part, {})
    ]
    return statistics.fmean(found) if found else None


def duration(seconds: float | None) -> str:
    """Returns a time as people say it, "48 min".

    Args:
        seconds: It; None if nobody knows.
    """
    if seconds is None:
        return "unknown time"
    if seconds < 120.0:
        return f"{seconds:.0f} s"
    if seconds < 7200.0:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def total(seconds: Sequence[float | None]) -> str:
    """Returns how long several things take: "about 3 h".

    Args:
        seconds: Of each; None if nobody knows.
    """
    known = [each for each in seconds if each is not None]
    text = f"about {duration(sum(known))}"
    unknown = len(seconds) - len(known)
    return f"{text}, and {unknown} of unknown time" if unknown else text


def by_depth(runs: _Runs) -> str:
    """Returns how long dense robust networks took, by number of layers.

    Args:
        runs: Stored runs.
    """
    found: dict[int, list[float]] = {}
    for run in runs:
        config = training.RECIPES.get(run["recipe"])
        if config and config.epsilon and config.is_dense:
            seconds = run["training"].get("seconds")
            found.setdefault(config.layers, []).extend(
                [] if seconds is None else [seconds]
            )
    return ", ".join(
        f"of {_NUMBERS[layers]} layers {min(times):,.0f} to {max(times):,.0f} s"
        for layers, times in sorted(found.items())
        if times
    )
