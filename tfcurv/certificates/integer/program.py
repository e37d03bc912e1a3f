r"""Whether a margin can be negative in a box, as a mixed-integer programme.

With deviations d = v - v(x0) of the input and of what each ReLU gives, and
z = z(x0) + sum d K of what a ReLU reads, which lies in [l, u]: where l >= 0,
v = z; where u <= 0, v = 0; and between [TXT19],

    v >= z,   v >= 0,   v <= z - l (1 - s),   v <= u s,   s in {0, 1}.

Then a point with z_y - z_t <= 0 is asked for. If there is none, the margin is
positive; with s in [0, 1] it may also be that the point is none of the
network's. [BV20] asks of the last layers alone.

What comes out rests on the solver, HiGHS by SciPy: on the tolerance by which it
lets constraints be violated, and on its being right. It is no certificate. A
point is an adversarial example if the network itself says so.

[BV20]: Balunovic and Vechev, "Adversarial Training and Provable Defenses:
Bridging the Gap", ICLR 2020, section 6.
[TXT19]: Tjeng, Xiao and Tedrake, "Evaluating Robustness of Neural Networks with
Mixed Integer Programming", ICLR 2019.
"""

from collections.abc import Iterator
import enum
import types
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfcurv import imports
from tfcurv import networks
from tfcurv.certificates.complete.branches import Roots
from tfcurv.certificates.complete.duals import is_split
from tfcurv.networks import Kind

# Rows of a linear map at a time.
_ROWS = 256

# What `scipy.optimize.milp` calls so.
_INFEASIBLE = 2


class Answer(enum.Enum):
    """What a solver says of a margin.

    Attributes:
        POSITIVE: No point has a margin that is not, to its tolerance.
        POINT: It has found one.
        OPEN: It did not come to an end.
    """

    POSITIVE = "positive"
    POINT = "point"
    OPEN = "open"


class Solved(NamedTuple):
    """An answer, and the input that it is about.

    Attributes:
        answer: What the solver says.
        point: `[inputs]`, in the box; None unless it is POINT.
    """

    answer: Answer
    point: np.ndarray | None = None


class _Ends(NamedTuple):
    """What is known of a node's values: `[n]` at x0, and both ends."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def refusal(graph: networks.Graph) -> str | None:
    """Returns why a graph cannot be written down; None if it can.

    Args:
        graph: The graph.
    """
    linear = (Kind.INPUT, Kind.LINEAR, Kind.ADD)
    for node in graph.nodes:
        if node.kind not in linear and not is_split(node):
            return (
                "Programmes are written of linear maps, sums and ReLUs. "
                f"Received: a node of kind {node.kind.value!r}"
                + (f", {node.activation.name}" if node.activation else "")
                + ". Allowed: method='crown' of certify, with lines around "
                "it."
            )
    return None


class IntegerProgram:
    """The constraints around one point, for all its margins."""

    def __init__(self, graph: networks.Graph, roots: Roots, kept: list[int]):
        """Writes them down.

        Args:
            graph: It has no other bends than ReLUs, see `refusal`.
            roots: Of one point, what is known of each node.
            kept: The positions of these nodes; the last values are logits.
        """
        self._graph, self._parts = graph, networks.affine_parts(graph)
        values, low, high = (
            [np.asarray(part)[0] for part in parts]
            for parts in (roots.values, roots.lower, roots.upper)
        )
        self._logits = values[-1]
        self._known = {
            i: _Ends(value, value + down, value + up)
            for i, value, down, up in zip(kept, values, low, high)
        }
        self._number()
        self._write()

    def _number(self) -> None:
        """Numbers the variables: inputs, then values and switches of ReLUs."""
        low: list[np.ndarray] = []
        high: list[np.ndarray] = []
        whole: list[np.ndarray] = []

        def number(chosen: np.ndarray, least, most, is_whole: bool):
            """Returns the columns of the chosen of `[n]`; -1 of the others."""
            first, count = sum(len(each) for each in low), np.sum(chosen)
            low.append(least[chosen])
            high.append(most[chosen])
            whole.append(np.full(count, float(is_whole)))
            columns = np.full(len(chosen), -1)
            columns[chosen] = first + np.arange(count)
            return columns

        _, least, most = self._known[0]
        every = np.ones(len(least), bool)
        self._columns = {0: number(every, least, most, False)}
        self._switches: dict[int, np.ndarray] = {}
        for position, before in self._relus():
            zero, one = np.zeros_like(before.low), np.ones_like(before.low)
            self._columns[position] = number(
                *(before.high > 0.0, np.maximum(before.low, 0.0), before.high),
                False,
            )
            bent = _is_bent(before)
            self._switches[position] = number(bent, zero, one, True)
        self._low, self._high, self._whole = map(
            np.concatenate, (low, high, whole)
        )
        width = self._high - self._low
        self._size = np.where(width > 0.0, width, 1.0)

    def _relus(self) -> Iterator[tuple[int, _Ends]]:
        """Yields positions, and what is known of what they read."""
        for position in self._known:
            node = self._graph.nodes[position]
            if is_split(node):
                yield position, self._known[node.sources[0]]

    def _write(self) -> None:
        rows, least, most = [self._none], [np.zeros(0)], [np.zeros(0)]

        def add(row, low, high):
            rows.append(row)
            least.append(low)
            most.append(high)

        for position, before in self._relus():
            alive = np.flatnonzero(before.high > 0.0)
            source = self._graph.nodes[position].sources[0]
            z, constant = self._read(source, alive)
            value = self._picked(self._columns[position][alive])
            bent = _is_bent(before)[alive]
            nothing = np.full(sum(bent), np.inf)
            # z is a sum of variables and the constant.
            add(value - z, constant, np.where(bent, np.inf, constant))
            low, high = (e[alive][bent] for e in (before.low, before.high))
            switch = self._picked(self._switches[position][alive][bent])
            under = (value - z)[bent] - _scaled(switch, low)
            add(under, -nothing, constant[bent] - low)
            add(value[bent] - _scaled(switch, high), -nothing, 0.0 * low)
        self._rows = self._in_units(
            _scipy().sparse.vstack(rows, format="csr"),
            *map(np.concatenate, (least, most)),
        )

    def _in_units(self, matrix, least: np.ndarray, most: np.ndarray):
        """Returns rows and their ends, of variables from 0 to 1.

        What a tolerance means rests on units: the largest weight of a row is 1,
        whatever the units of the network are.
        """
        start = matrix @ self._low
        matrix = (matrix @ _scipy().sparse.diags(self._size)).tocsr()
        most_of = np.zeros(matrix.shape[0])
        rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        np.maximum.at(most_of, rows, np.abs(matrix.data))
        weight = 1.0 / np.where(most_of > 0.0, most_of, 1.0)
        ends = (weight * (each - start) for each in (least, most))
        return _scaled(matrix, weight), *ends

    @property
    def _none(self):
        """No rows."""
        return _scipy().sparse.csr_matrix((0, len(self._low)))

    def _picked(self, columns: np.ndarray):
        """Returns rows with a 1 in a column each."""
        places = np.arange(len(columns)), columns
        shape = len(columns), len(self._low)
        ones = np.ones(len(columns))
        return _scipy().sparse.csr_matrix((ones, places), shape)

    def _read(self, position: int, entries: np.ndarray):
        """Returns entries of a linear node as rows and constants."""
        size = self._graph.nodes[position].size
        rows, constants = [self._none], [np.zeros(0)]
        for first in range(0, len(entries), _ROWS):
            some = entries[first : first + _ROWS]
            units = np.zeros((len(some), size))
            units[np.arange(len(some)), some] = 1.0
            value = self._known[position].value[some]
            row, constant = self._combined(position, units, value)
            rows.append(row)
            constants.append(constant)
        return _scipy().sparse.vstack(rows, "csr"), np.concatenate(constants)

    def _combined(self, position: int, weights: np.ndarray, value: np.ndarray):
        """Returns sums of a linear node's values as rows and constants.

        Args:
            position: Of the node.
            weights: `[rows, n]`, a few.
            value: `[rows]` the sums at x0.
        """
        sparse, shape = _scipy().sparse, (len(weights), len(self._low))
        total, constant = sparse.csr_matrix(shape), value.astype(np.float64)
        for atom, linear in self._parts[position].terms.items():
            found = linear.transpose(tf.constant(weights)).numpy()
            constant = constant - found @ self._known[atom].value
            columns = self._columns[atom]
            # What is off is 0, at x0 too.
            some = sparse.coo_matrix(found * (columns >= 0))
            places = some.row, columns[some.col]
            total = total + sparse.csr_matrix((some.data, places), shape)
        return total, constant

    def ask(
        self,
        y: int,
        t: int,
        time_limit: float,
        *,
        relaxed: bool = False,
        at_most: float = 0.0,
    ) -> Solved:
        """Asks for a point at which z_y - z_t is not positive.

        Args:
            y: The label.
            t: Another class.
            time_limit: Seconds.
            relaxed: Whether switches may lie between 0 and 1: a linear
                programme, whose points are not those of the network.
            at_most: What z_y - z_t is to be at most, in the place of 0.
        """
        optimize, last = _scipy().optimize, len(self._graph.nodes) - 1
        classes = np.zeros((1, self._graph.num_classes))
        classes[0, y], classes[0, t] = 1.0, -1.0
        goal, constant = self._combined(last, classes, classes @ self._logits)
        asked = self._in_units(goal, np.array([-np.inf]), at_most - constant)
        matrix, least, most = zip(self._rows, asked)
        found = optimize.milp(
            np.zeros_like(self._size),
            constraints=optimize.LinearConstraint(
                _scipy().sparse.vstack(matrix, format="csr"),
                np.concatenate(least),
                np.concatenate(most),
            ),
            bounds=optimize.Bounds(0.0, (self._high - self._low) / self._size),
            integrality=None if relaxed else self._whole,
            options={"time_limit": float(time_limit)},
        )
        if found.status == _INFEASIBLE:
            return Solved(Answer.POSITIVE)
        if found.x is None:
            return Solved(Answer.OPEN)
        _, low, high = self._known[0]
        point = (self._low + self._size * found.x)[: len(low)]
        return Solved(Answer.POINT, np.clip(point, low, high))


def _is_bent(before: _Ends) -> np.ndarray:
    return (before.low < 0.0) & (before.high > 0.0)


def _scaled(rows, factors: np.ndarray):
    return _scipy().sparse.diags(factors) @ rows


def _scipy() -> types.ModuleType:
    """Imports what programmes need.

    Raises:
        ImportError: It is not installed. Says how to install it.
    """
    with imports.of_extra("milp", "Mixed-integer programmes need SciPy"):
        import scipy
        import scipy.optimize
        import scipy.sparse
    return scipy
