"""Proved curvature bounds of the pairs of classes that were asked for."""

from collections.abc import Callable
from collections.abc import Mapping
import functools
from typing import NamedTuple

import numpy as np

from tfcurv import numerics
from tfcurv.bounds import CurvatureBounder
from tfcurv.bounds import Network

# Up to this many classes every pair gets a bound of its own. Beyond, 2 C
# bounds serve all C^2 pairs and only the closest get their own.
_MANY_CLASSES = 32


class _Entries(NamedTuple):
    """Bounds, and which of them are a pair's own."""

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
        self._entries: _Entries | None = None
        if known is not None:
            self.take(known)

    @property
    def values(self) -> np.ndarray:
        """`[classes, classes]` what `bounds` gave last."""
        return self._filled().values

    def take(self, known: Mapping[str, np.ndarray]) -> None:
        """Takes what `arrays` gave for the same network."""
        self._entries = _Entries(known["values"], known["known"])

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns copies of what the table holds, for `known`."""
        values, known = self._filled()
        return {"values": values.copy(), "known": known.copy()}

    @property
    def covers_all_pairs(self) -> bool:
        """Whether `bounds` has no use for runners-up."""
        return not self._many

    @property
    def num_known(self) -> int:
        """The number of pairs that have a bound of their own."""
        return 0 if self._entries is None else int(np.sum(self._entries.known))

    def bounds(self, labels: np.ndarray, runners_up: np.ndarray) -> np.ndarray:
        """Returns `[classes, classes]` bounds that are proved for these rows.

        Args:
            labels: `[batch]` labels y; the rows of other labels may be zero
                and must not be used.
            runners_up: `[batch]` the most likely other classes, which get
                the tightest bounds; any where all pairs are covered.
        """
        values = self._filled().values
        if self._many:
            self._improve(zip(labels.tolist(), runners_up.tolist()))
        else:
            classes = range(len(values))
            self._improve((y, t) for y in set(labels.tolist()) for t in classes)
        return values

    @functools.cached_property
    def _bounder(self) -> CurvatureBounder:
        # Late: a table that knows everything needs none.
        return CurvatureBounder(self._network)

    def _filled(self) -> _Entries:
        """Makes the table before its first use."""
        if self._entries is None:
            classes = self._network.num_classes
            values = np.zeros((classes, classes))
            if self._many:
                plus, minus = self._bounder.class_concavity_upper_bounds()
                values = numerics.round_up(plus[:, np.newaxis] + minus, 1)
            self._entries = _Entries(values, np.eye(classes, dtype=bool))
        return self._entries

    def _improve(self, pairs) -> None:
        values, known = self._filled()
        for y, t in sorted(set(pairs)):
            if known[y, t]:
                continue
            bound = self._bounder.pair_concavity_upper_bound(y, t)
            if self._many:
                bound = min(bound, float(values[y, t]))
            values[y, t] = bound
            known[y, t] = True
            self._on_bound()


class GivenTable:
    """Bounds of pairs of classes that somebody else has proved.

    Attributes:
        values: `[classes, classes]` |m(y, t)|.
    """

    covers_all_pairs = True
    num_known = 0

    def __init__(self) -> None:
        """Starts without any."""
        self.values = np.zeros((0, 0))

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns nothing: no bound is its own."""
        return {}

    def take(self, known: Mapping[str, np.ndarray]) -> None:
        """Takes bounds of pairs of classes."""
        self.values = known["values"]

    def bounds(self, labels: np.ndarray, runners_up: np.ndarray) -> np.ndarray:
        """Returns `[classes, classes]` bounds, whatever is asked for."""
        del labels, runners_up
        return self.values
