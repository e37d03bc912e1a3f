"""Bounds of pairs of classes where each takes seconds: those that matter."""

from collections.abc import Callable
from collections.abc import Mapping
import functools

import numpy as np

from tfcurv.bounds import CurvatureBounder
from tfcurv.bounds import pair_weights
from tfcurv.bounds import theorem4_bound
from tfcurv.networks import Network

# Up to so many neurons a layer, all pairs are bounded at once.
_QUICK = 2048


def is_slow(network: Network) -> bool:
    """Whether a bound of a pair takes more than a fraction of a second.

    Of one hidden layer a bound is one eigenvalue, and nearly all that there is
    to know of a pair: that is not put off.

    Args:
        network: The network.
    """
    hidden = [affine.linear.outputs for affine in network.affines[:-1]]
    return len(hidden) > 1 and max(hidden) > _QUICK


class LazyTable:
    """The matrix of |m(y, t)|: by Theorem 4 at once, and better when asked.

    Attributes:
        values: `[classes, classes]` the best bounds so far.
    """

    covers_all_pairs = True

    def __init__(
        self, network: Network, on_bound: Callable[[], None] = lambda: None
    ):
        """Starts a table; nothing is computed yet.

        Args:
            network: The network.
            on_bound: Called after each better bound of a pair.
        """
        self._network = network
        self._on_bound = on_bound
        classes = network.num_classes
        self._known = np.eye(classes, dtype=bool)

    @functools.cached_property
    def first(self) -> np.ndarray:
        """`[classes, classes]` bounds by [SF20, Theorem 4]."""
        classes = range(self._network.num_classes)
        found = [[self._theorem4(y, t) for t in classes] for y in classes]
        return np.array(found)

    @functools.cached_property
    def values(self) -> np.ndarray:
        """`[classes, classes]` the best bounds so far."""
        return self.first.copy()

    @functools.cached_property
    def _bounder(self) -> CurvatureBounder:
        return CurvatureBounder(self._network)

    def _theorem4(self, y: int, t: int) -> float:
        if y == t:
            return 0.0
        return theorem4_bound(self._network, *pair_weights(self._network, y, t))

    def bounds(self, labels: np.ndarray, runners_up: np.ndarray) -> np.ndarray:
        """Returns those by Theorem 4, whatever was asked for before."""
        del labels, runners_up
        return self.first

    def improve(self, y: np.ndarray, t: np.ndarray) -> None:
        """Bounds pairs as well as can be, those that are not yet.

        Args:
            y: `[pairs]` classes that are to stay.
            t: `[pairs]` classes that they are compared with.
        """
        for pair in sorted(set(zip(y.tolist(), t.tolist()))):
            if not self._known[pair]:
                found = self._bounder.pair_concavity_upper_bound(*pair)
                self.values[pair] = min(found, self.values[pair])
                self._known[pair] = True
                self._on_bound()

    @property
    def num_known(self) -> int:
        """The number of pairs that have a bound of their own."""
        return int(np.sum(self._known))

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns copies of what the table holds, for `take`."""
        return {"values": self.values.copy(), "known": self._known.copy()}

    def take(self, known: Mapping[str, np.ndarray]) -> None:
        """Takes what `arrays` gave, or those of a `CurvatureTable`.

        Of pairs that are not known nothing is taken: there the other kind of
        table has zeros, which are no bounds.
        """
        self._known = known["known"].copy()
        self.values = np.where(self._known, known["values"], self.first)
