"""Looks for inputs of a box whose outputs are unsafe."""

from collections.abc import Callable
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfcurv import networks
from tfcurv.certificates.properties.boxes import Box
from tfcurv.certificates.properties.witnesses import Witness

# Starts of each clause: the middle, corners and random points; all corners of
# boxes of so few inputs. And points at a time.
_RANDOM, _FEW, _ROWS = 16, 5, 256

# Steps, as shares of the box: from the first to the last.
_STEPS, _FIRST, _LAST = 24, 0.5, 0.01


class BoxAttack:
    """Raises the least z of a clause; see `unsafe_graph`."""

    def __init__(self, network: networks.GraphNetwork):
        """Keeps the network.

        Args:
            network: Whose graph is that of `unsafe_graph`.
        """
        self._network = network

    def __call__(
        self,
        box: Box,
        clauses: Sequence[Sequence[int]],
        judge: Callable[[np.ndarray], Witness | None],
        is_over: Callable[[], bool],
    ) -> Witness | None:
        """Returns a witness, if one is found.

        Args:
            box: One box.
            clauses: Numbers of constraints.
            judge: Says what is one.
            is_over: Whether there is no time left.
        """
        starts = _starts(box)
        found = judge(starts)
        for clause in clauses:
            for first in range(0, len(starts), _ROWS):
                if found is not None or is_over() or not clause:
                    return found
                x = starts[first : first + _ROWS]
                found = judge(self._raised(x, box, clause))
        return found

    def steepest(self, x: np.ndarray, number: np.ndarray) -> np.ndarray:
        """Returns the gradients of one z each.

        Args:
            x: `[points, inputs]`.
            number: `[points]` of the constraints.
        """
        with tf.device("CPU:0"):
            forward = self._network.forward(tf.constant(x))
            weights = tf.one_hot(
                number, self._network.num_classes, dtype=tf.float64
            )
            return self._network.backward(forward, weights)[-1].numpy()

    def _raised(self, x: np.ndarray, box: Box, clause) -> np.ndarray:
        """Returns the best points that ascent meets."""
        best, most = x, np.full(len(x), -np.inf)
        rates = np.geomspace(_FIRST, _LAST, _STEPS)
        for rate in [*rates, 0.0]:
            z = self._network.logits(tf.constant(x)).numpy()[:, list(clause)]
            least = z.min(axis=-1)
            better = least > most
            best = np.where(better[:, np.newaxis], x, best)
            most = np.where(better, least, most)
            if not rate or np.all(most > 0.0):
                break
            number = np.asarray(clause)[z.argmin(axis=-1)]
            way = np.sign(self.steepest(x, number))
            x = np.clip(x + rate * box.reach * way, box.low, box.high)
        return best


def _starts(box: Box) -> np.ndarray:
    """Returns points of a box to begin at."""
    random = np.random.default_rng(0)
    count = box.low.shape[-1]
    signs = random.integers(0, 2, (_RANDOM, count))
    if count <= _FEW:
        signs = np.indices((2,) * count).reshape(count, -1).T
    inside = random.uniform(0.0, 1.0, (_RANDOM, count))
    shares = np.concatenate([signs, inside])
    points = box.low * (1.0 - shares) + box.high * shares
    return np.clip(np.concatenate([box.middle, points]), box.low, box.high)
