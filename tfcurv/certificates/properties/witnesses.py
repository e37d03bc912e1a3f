"""Inputs that violate a property: what it takes to believe one."""

from collections.abc import Callable
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfcurv import networks
from tfcurv.certificates.properties import boxes
from tfcurv.certificates.properties.statement import Constraint
from tfcurv.certificates.properties.statement import Region

#: Maps inputs `[batch, inputs]` to outputs `[batch, outputs]`, as executed.
Execution = Callable[[np.ndarray], np.ndarray]


class Witness(NamedTuple):
    """An input of a region whose output is unsafe.

    Attributes:
        x: `[inputs]` float64.
        y: `[outputs]` float64, as the network executes it.
    """

    x: np.ndarray
    y: np.ndarray


class Judge:
    """Says which inputs of one region are witnesses.

    One is where the constraints of a clause hold twice: of the real-valued
    function, evaluated in float64 with its rounding errors bounded, and of
    what the network executes, compared in exact arithmetic.
    """

    def __init__(
        self,
        graph: networks.Graph,
        constraints: Sequence[Constraint],
        region: Region,
        execute: Execution,
    ):
        """Keeps what it is given.

        Args:
            graph: That of `unsafe_graph`.
            constraints: All of the property.
            region: The region.
            execute: The network.
        """
        self._graph, self._constraints = graph, constraints
        self._clauses, self._execute = region.clauses, execute
        self.box = boxes.inward(region.lower, region.upper)

    def into(self, x: np.ndarray) -> np.ndarray:
        """Returns numbers of float32 in the region, near some points.

        Args:
            x: `[points, inputs]` float64.
        """
        with np.errstate(over="ignore"):
            near = x.astype(np.float32).astype(np.float64)
        return np.clip(near, self.box.low, self.box.high)

    def __call__(self, x: np.ndarray) -> Witness | None:
        """Returns the first witness near some points, if there is one.

        Args:
            x: `[points, inputs]` float64.
        """
        x = self.into(x)
        value, error = networks.enclosed_logits(self._graph, tf.constant(x))
        # Not `<`: a NaN holds nothing.
        holds = (value.numpy() - error.numpy()) >= 0.0
        for clause in self._clauses:
            for row in np.flatnonzero(holds[:, list(clause)].all(axis=-1)):
                y = self._execute(x[row : row + 1])[0].astype(np.float64)
                if self._is_unsafe(y, clause):
                    return Witness(x[row], y)
        return None

    def _is_unsafe(self, y: np.ndarray, clause: Sequence[int]) -> bool:
        """Whether all constraints of a clause hold, exactly."""
        if not np.all(np.isfinite(y)):
            return False
        return all(
            sum(w * Fraction(float(y[j])) for j, w in weights) <= bound
            for weights, bound in (self._constraints[k] for k in clause)
        )
