"""A published table: rows of figures beside the networks behind them."""

from collections.abc import Collection
from collections.abc import Mapping
import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a table.

    Attributes:
        recipe: The network, a key of `tfcurv.training.RECIPES`.
        method: As the table calls the training.
        paper: Figures by name; see the tables' columns.
        seeds: Of the networks behind the figures of docs/results.md; none
            where nothing has been measured yet.
    """

    recipe: str
    method: str
    paper: Mapping[str, float]
    seeds: tuple[int, ...] = (0,)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """A table or figure.

    Attributes:
        title: What it shows.
        epsilon: The radius that it is about.
        parts: What has to be measured, see `measurements.PARTS`.
        rows: Its rows.
    """

    title: str
    epsilon: float
    parts: tuple[str, ...]
    rows: tuple[Row, ...]


def rows_of(
    names: tuple[str, ...],
    *rows: tuple,
    several_seeds: tuple[str, ...] = (),
    measured: Collection[str] | None = None,
) -> tuple[Row, ...]:
    """Returns rows of a table.

    Args:
        names: Of the published figures.
        *rows: Recipe, method and figures of each.
        several_seeds: Recipes that have three; the others have one.
        measured: Recipes that have been trained; None for all.
    """

    def seeds(recipe: str) -> tuple[int, ...]:
        if measured is not None and recipe not in measured:
            return ()
        return (0, 1, 2) if recipe in several_seeds else (0,)

    return tuple(
        Row(
            recipe=recipe,
            method=method,
            paper=dict(zip(names, figures)),
            seeds=seeds(recipe),
        )
        for recipe, method, *figures in rows
    )
