r"""Radii from global Lipschitz constants, one for each pair of classes.

Where |f(x) - f(x0)| <= L ||x - x0||_2 for a margin f = z_y - z_t, no point
nearer than f(x0) / L has f <= 0. The constants are products along the graph,
as in GloRo [LWF21] and LMT [TSS18], with norms that are proved: between
activations and maxima, the atoms, everything is one linear map each,

    z = sum over atoms a of M_a v_a + constant,
    c(z) = sum over atoms of ||M_a||_2 c(v_a),
    c(s(z)) = max |s'| c(z),          for an activation s,
    c(max z) = sqrt(windows) c(z),    see `networks.MaxPooling`,
    c(join of z_i) = root of the sum of the c(z_i)^2,
    L_yt = sum over atoms of ||M_a (e_y - e_t)||_2 c(v_a),

and c(x) = 1. Any node may be the last: nothing is lost to a shortcut that
ends in the logits.

[LWF21]: Leino, Wang and Fredrikson, "Globally-Robust Neural Networks", ICML
2021. [TSS18]: Tsuzuku, Sato and Sugiyama, "Lipschitz-Margin Training", NeurIPS
2018.
"""

import functools
import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfcurv import networks
from tfcurv import numerics
from tfcurv import solvers
from tfcurv.networks import Kind
from tfcurv.networks.maps import operator_norms

# What weights that vanish may add up to in the columns of a map of 1e8.
_UNDERFLOW = 1e-290

# What a margin may lose where it is itself subnormal.
_SMALLEST = 1e-300


class Margins(NamedTuple):
    """Margins of the label against each class, with their errors.

    Attributes:
        margin: `[batch, classes]` z_y - z_t as computed; 0 for t = y.
        error: `[batch, classes]` bound on the distance to the exact one;
            infinite or NaN where nothing is proved.
    """

    margin: np.ndarray
    error: np.ndarray


class LipschitzBounds:
    """Proves of a graph by how much each margin changes at most.

    Attributes:
        graph: What is certified.
        rigor: What its norms rest on.
    """

    def __init__(
        self,
        graph: networks.Graph,
        rigor: solvers.Rigor = solvers.Rigor.VERIFIED,
    ):
        """Proves nothing yet.

        Args:
            graph: Any graph.
            rigor: What its norms may rest on.
        """
        self.graph = graph
        self.rigor = rigor
        self._parts = networks.affine_parts(graph)

    @functools.cached_property
    def constants(self) -> dict[int, float]:
        """Proved l2 Lipschitz constants of nodes, as functions of the input.

        By position, of the nodes that the constants of pairs rest on: atoms,
        and what each of them bends. Infinite where a weight is not finite or
        a product overflows.
        """
        found = {}
        for position in self._needed():
            node = self.graph.nodes[position]
            if node.kind is Kind.INPUT:
                found[position] = 1.0
            elif node.kind is Kind.ACTIVATION:
                slope = node.activation.slope_range.magnitude
                found[position] = _product(slope, found[node.sources[0]])
            elif node.kind is Kind.MAXIMUM:
                root = node.windows.lipschitz_upper_bound
                found[position] = _product(root, found[node.sources[0]])
            elif node.kind is Kind.CONCATENATE:
                sizes = np.array([found[source] for source in node.sources])
                found[position] = solvers.frobenius_norm_upper_bound(sizes)
            else:
                found[position] = self._affine_constant(position, found)
        return found

    def _needed(self) -> list[int]:
        """Returns, in order, the nodes whose constants count in the end."""
        needed, pending = set(), list(self._parts[-1].terms)
        while pending:
            position = pending.pop()
            if position not in needed:
                needed.add(position)
                terms = self._parts[position].terms
                is_atom = position in terms
                sources = self.graph.nodes[position].sources
                pending += sources if is_atom else terms
        return sorted(needed)

    def _affine_constant(self, position: int, known: dict[int, float]) -> float:
        part = self._parts[position]
        return _sum(
            _product(self._norm(linear, part.roundings), known[atom])
            for atom, linear in part.terms.items()
        )

    def _norm(self, linear: networks.LinearMap, roundings: int) -> float:
        proved = networks.ProvedMap(linear, roundings, self.rigor)
        return proved.norm_upper_bound

    @functools.cached_property
    def pair_constants(self) -> np.ndarray:
        """`[classes, classes]` proved Lipschitz constants of z_y - z_t.

        Symmetric, zero on the diagonal alone.
        """
        part = self._parts[-1]
        total = np.zeros([self.graph.num_classes] * 2)
        for atom, linear in part.terms.items():
            apart = _column_distances(linear, part.roundings)
            with np.errstate(all="ignore"):  # 0 times infinity, below.
                grown = numerics.round_up(apart * self.constants[atom], 1)
            grown = np.where(apart == 0.0, 0.0, grown + _SMALLEST)
            total = numerics.round_up(total + grown, 1)
        return np.where(np.isnan(total), np.inf, total)

    def margins(self, x: np.ndarray, y: np.ndarray) -> Margins:
        """Returns the margins at some points, in float64.

        Args:
            x: `[batch, inputs]` float64 points, taken as exact.
            y: `[batch]` integer labels.
        """
        logits = networks.enclosed_logits(
            self.graph, tf.constant(x, numerics.PROOF_DTYPE)
        )
        value, error = logits.value.numpy(), logits.error.numpy()
        with np.errstate(all="ignore"):  # Not finite: certifies nothing.
            own = np.take_along_axis(value, np.asarray(y)[:, np.newaxis], 1)
            margin = own - value
            label = np.take_along_axis(error, np.asarray(y)[:, np.newaxis], 1)
            # One rounding of the difference, and three of these sums.
            unit = numerics.unit_roundoff(numerics.PROOF_DTYPE)
            total = label + error + unit * np.abs(margin) + _SMALLEST
            return Margins(margin, numerics.round_up(total, 4))

    def radii(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Returns radii within which no class overtakes the label.

        Args:
            x: `[batch, inputs]` float64 points, taken as exact.
            y: `[batch]` integer labels.

        Returns:
            `[batch, classes]` in input units, rounded down: no point nearer
            than this has z_y <= z_t. Infinite for t = y; 0 where none is
            proved.
        """
        margin, error = self.margins(x, y)
        constants = self.pair_constants[np.asarray(y)]
        with np.errstate(all="ignore"):
            left = numerics.round_down(margin - error, 1)
            radius = numerics.round_down(left / constants, 1)
        # Comparisons with NaN are false.
        proved = np.isfinite(margin) & np.isfinite(error) & (left > 0.0)
        radius = np.where(proved, radius, 0.0)
        radius[np.arange(len(radius)), y] = np.inf
        return radius


def _column_distances(linear: networks.LinearMap, roundings: int) -> np.ndarray:
    """Bounds `[classes, classes]` the distances of the exact map's columns.

    Column j is what the transpose makes of unit row j. It errs, entry by
    entry, by at most gamma_n times what the absolute values make of it, n
    the terms of the transpose and the roundings of the weights.
    """
    unit = np.eye(linear.outputs)
    columns = operator_norms.on_host(linear.transpose, unit)
    sizes = operator_norms.norm_of_rows(
        operator_norms.on_host(linear.absolute_transpose, unit)
    )
    count = linear.transposed_terms + roundings + 1
    # Twice, for the sizes are rounded as well.
    errors = 2.0 * numerics.gamma(count) * sizes
    growth = operator_norms.underflow_growth(linear)
    errors = numerics.round_up(errors, 2) + _UNDERFLOW * growth
    found = np.stack([_distances(columns, column) for column in columns])
    # Of the difference, one rounding.
    found = numerics.round_up(found, 1) + errors + errors[:, np.newaxis]
    found = numerics.round_up(found, 2)
    np.fill_diagonal(found, 0.0)
    return found


def _distances(columns: np.ndarray, column: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):  # Not finite: infinite.
        return operator_norms.norm_of_rows(columns - column)


def _product(first: float, second: float) -> float:
    return operator_norms.product([first, second])


def _sum(values) -> float:
    total = 0.0
    for value in values:
        total = numerics.round_up(total + value, 1)
    return math.inf if math.isnan(total) else total
