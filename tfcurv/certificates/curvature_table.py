"""Proved curvature bounds of the pairs of classes that were asked for."""

from collections.abc import Callable
from collections.abc import Mapping
import functools

import numpy as np

from tfcurv import numerics
from tfcurv.bounds import CurvatureBounder
from tfcurv.bounds import Network

# Up to this many classes every pair gets a bound of its own. Beyond, 2 C
# bounds serve all C^2 pairs and only the closest get their own.
_MANY_CLASSES = 32


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
        self._values, self._known = None, None
        if known is not None:
            self.take(known)

    @property
    def values(self) -> np.ndarray:
        """`[classes, classes]` what `bounds` gave last."""
        self._fill()
        return self._values

    def take(self, known: Mapping[str, np.ndarray]) -> None:
        """Takes what `arrays` gave for the same network."""
        self._values, self._known = known["values"], known["known"]

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns copies of what the table holds, for `known`."""
        self._fill()
        return {"values": self._values.copy(), "known": self._known.copy()}

    @property
    def covers_all_pairs(self) -> bool:
        """Whether `bounds` has no use for runners-up."""
        return not self._many

    @property
    def num_known(self) -> int:
        """The number of pairs that have a bound of their own."""
        return 0 if self._known is None else int(np.sum(self._known))

    def bounds(self, labels: np.ndarray, runners_up: np.ndarray) -> np.ndarray:
        """Returns `[classes, classes]` bounds that are proved for these rows.

        Args:
            labels: `[batch]` labels y; the rows of other labels may be zero
                and must not be used.
            runners_up: `[batch]` the most likely other classes, which get
                the tightest bounds; any where all pairs are covered.
        """
        self._fill()
        if self._many:
            self._improve(zip(labels.tolist(), runners_up.tolist()))
        else:
            classes = range(len(self._values))
            self._improve((y, t) for y in set(labels.tolist()) for t in classes)
        return self._values

    @functools.cached_property
    def _bounder(self) -> CurvatureBounder:
        # Late: a table that knows everything needs none.
        return CurvatureBounder(self._network)

    def _fill(self) -> None:
        """Makes the table before its first use."""
        if self._values is not None:
            return
        classes = self._network.num_classes
        self._values = np.zeros((classes, classes))
        self._known = np.eye(classes, dtype=bool)
        if self._many:
            plus, minus = self._bounder.class_concavity_upper_bounds()
            self._values = numerics.round_up(plus[:, np.newaxis] + minus, 1)

    def _improve(self, pairs) -> None:
        for y, t in sorted(set(pairs)):
            if self._known[y, t]:
                continue
            bound = self._bounder.pair_concavity_upper_bound(y, t)
            if self._many:
                bound = min(bound, float(self._values[y, t]))
            self._values[y, t] = bound
            self._known[y, t] = True
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
        self.values = values

    def bounds(self, labels: np.ndarray, runners_up: np.ndarray) -> np.ndarray:
        """Returns `[classes, classes]` bounds, whatever is asked for."""
        del labels, runners_up
        return self.values
