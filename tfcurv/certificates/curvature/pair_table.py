"""Proved curvature bounds of the pairs of classes that were asked for."""

from collections.abc import Callable
from collections.abc import Mapping
import functools
import itertools
from typing import NamedTuple

import numpy as np

from tfcurv import numerics
from tfcurv.bounds import CurvatureBounder
from tfcurv.networks import Network

# Up to this many classes every pair gets a bound of its own. Beyond, 2 C
# bounds serve all C^2 pairs and only the closest get their own.
_MANY_CLASSES = 32


class _Filled(NamedTuple):
    """What a table holds once it is in use.

    Attributes:
        values: `[classes, classes]` bounds.
        known: `[classes, classes]` whether a pair has a bound of its own.
    """

    values: np.ndarray
    known: np.ndarray


class CurvatureTable:
    """The matrix of |m(y, t)| of one network, filled as it is asked for."""

    def __init__(
        self,
        network: Network,
        on_bound: Callable[[], None] = lambda: None,
        known: Mapping[str, np.ndarray] | None = None,
    ):
        """Starts a table; nothing is computed yet.

        Args:
            network: The network.
            on_bound: Called after each bound of a pair, for progress.
            known: What `arrays` gave for the same network.
        """
        self._network = network
        self._on_bound = on_bound
        self._many = network.num_classes > _MANY_CLASSES
        self._filled: _Filled | None = None
        if known is not None:
            self.take(known)

    @property
    def values(self) -> np.ndarray:
        """`[classes, classes]` what `bounds` gave last."""
        return self._fill().values

    def take(self, known: Mapping[str, np.ndarray]) -> None:
        """Takes what `arrays` gave for the same network."""
        values = known["values"]
        if not self._many:
            values = np.where(known["known"], values, np.inf)
        self._filled = _Filled(values, known["known"])

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns copies of what the table holds, for `known`."""
        table = self._fill()
        return {"values": table.values.copy(), "known": table.known.copy()}

    @property
    def covers_all_pairs(self) -> bool:
        """Whether `bounds` has no use for runners-up."""
        return not self._many

    @property
    def num_known(self) -> int:
        """The number of pairs that have a bound of their own."""
        return 0 if self._filled is None else int(np.sum(self._filled.known))

    def bounds(self, labels: np.ndarray, runners_up: np.ndarray) -> np.ndarray:
        """Returns `[classes, classes]` bounds that are proved for these rows.

        Args:
            labels: `[batch]` labels y; the rows of other labels may be
                infinite.
            runners_up: `[batch]` the most likely other classes, which get
                the tightest bounds; any where all pairs are covered.
        """
        table = self._fill()
        pairs = set(zip(labels.tolist(), runners_up.tolist()))
        if not self._many:
            pairs = set(
                itertools.product(labels.tolist(), range(len(table.values)))
            )
        self._improve(table, pairs)
        return table.values

    @functools.cached_property
    def _bounder(self) -> CurvatureBounder:
        # Late: a table that knows everything needs none.
        return CurvatureBounder(self._network)

    def _fill(self) -> _Filled:
        """Returns the table, made before its first use."""
        if self._filled is None:
            classes = self._network.num_classes
            # Of a pair that nobody asked for nothing is proved.
            values = np.full((classes, classes), np.inf)
            np.fill_diagonal(values, 0.0)
            if self._many:
                plus, minus = self._bounder.class_concavity_upper_bounds()
                values = numerics.round_up(plus[:, np.newaxis] + minus, 1)
            self._filled = _Filled(values, np.eye(classes, dtype=bool))
        return self._filled

    def _improve(self, table: _Filled, pairs: set[tuple[int, int]]) -> None:
        for y, t in sorted(pairs):
            if table.known[y, t]:
                continue
            bound = self._bounder.pair_concavity_upper_bound(y, t)
            if self._many:
                bound = min(bound, float(table.values[y, t]))
            table.values[y, t] = bound
            table.known[y, t] = True
            self._on_bound()


class GivenTable:
    """Bounds of pairs of classes that somebody else has proved.

    Attributes:
        values: `[classes, classes]` |m(y, t)|.
    """

    covers_all_pairs = True
    num_known = 0

    def __init__(self, values: np.ndarray | None = None):
        """Stores the bounds, if they are there yet."""
        self.values = np.zeros((0, 0)) if values is None else values

    def bounds(self, labels: np.ndarray, runners_up: np.ndarray) -> np.ndarray:
        """Returns `[classes, classes]` bounds, whatever is asked for."""
        del labels, runners_up
        return self.values

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns a copy of the bounds, for `take`."""
        return {"values": self.values.copy()}

    def take(self, known: Mapping[str, np.ndarray]) -> None:
        """Takes what `arrays` gave."""
        self.values = known["values"]
