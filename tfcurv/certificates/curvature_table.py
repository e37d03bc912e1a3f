"""Proved curvature bounds of the pairs of classes that were asked for."""

from collections.abc import Callable

import numpy as np

from tfcurv import bounds
from tfcurv import numerics

# Up to this many classes every pair gets a bound of its own. Beyond, 2 C
# bounds serve all C^2 pairs and only the closest get their own.
_MANY_CLASSES = 32


class CurvatureTable:
    """The matrix of |m(y, t)| of one network, filled as it is asked for."""

    def __init__(
        self,
        network: bounds.Network,
        on_bound: Callable[[], None] = lambda: None,
    ):
        """Computes what all pairs share.

        Args:
            network: The network.
            on_bound: Called after each bound of a pair, for progress.
        """
        self._on_bound = on_bound
        self._bounder = bounds.CurvatureBounder(network)
        classes = network.num_classes
        self._values = np.zeros((classes, classes))
        self._known = np.eye(classes, dtype=bool)
        self._many = classes > _MANY_CLASSES
        if self._many:
            plus, minus = self._bounder.class_concavity_upper_bounds()
            self._values = numerics.round_up(plus[:, np.newaxis] + minus, 1)

    def bounds(self, labels: np.ndarray, runners_up: np.ndarray) -> np.ndarray:
        """Returns `[classes, classes]` bounds that are proved for these rows.

        Args:
            labels: `[batch]` labels y; the rows of other labels may be zero
                and must not be used.
            runners_up: `[batch]` the most likely other classes, which get
                the tightest bounds.
        """
        if self._many:
            self._improve(zip(labels.tolist(), runners_up.tolist()))
        else:
            classes = range(len(self._values))
            self._improve((y, t) for y in set(labels.tolist()) for t in classes)
        return self._values

    def _improve(self, pairs) -> None:
        for y, t in set(pairs):
            if self._known[y, t]:
                continue
            bound = self._bounder.pair_concavity_upper_bound(y, t)
            if self._many:
                bound = min(bound, float(self._values[y, t]))
            self._values[y, t] = bound
            self._known[y, t] = True
            self._on_bound()
