"""Margins in a neighbourhood, by balls and boxes: compiled, in two dtypes.

In float32 to look for a radius, with nothing proved; in float64 to prove what
was found, with norms that are proved and every rounding bounded.
"""

from collections.abc import Iterable
import functools
from typing import Any

import numpy as np
import tensorflow as tf

from tfcurv import networks
from tfcurv import numerics
from tfcurv import solvers
from tfcurv import tracing
from tfcurv.bounds.propagation import ball_box
from tfcurv.bounds.propagation import margins
from tfcurv.networks import Kind

_NONLINEAR = (Kind.ACTIVATION, Kind.MAXIMUM, Kind.CONCATENATE)


class GraphRegions:
    """Lower bounds on the margins of a graph around points.

    Attributes:
        proves: Whether in float64, rounding included; else in float32, to
            search.
        by_entry: Whether distances are `[batch, inputs]`, one for each entry,
            so that neighbourhoods are boxes of any shape; of linf alone.
    """

    by_entry = False

    def __init__(
        self,
        graph: networks.Graph,
        rules: ball_box.Rules,
        norm: str = "l2",
        domain: tuple[float, float] | None = None,
        *,
        rigor: solvers.Rigor = solvers.Rigor.VERIFIED,
        proves: bool = True,
    ):
        """Prepares; no norm is proved and nothing is traced yet.

        Args:
            graph: Any graph.
            rules: What is carried.
            norm: "l2" or "linf".
            domain: Interval that every entry of an input lies in.
            rigor: What norms may rest on.
            proves: See the class.
        """
        self.proves = proves
        self._graph, self._rules = graph, rules
        self._norm, self._domain, self._rigor = norm, domain, rigor
        self._parts = networks.affine_parts(graph)
        self._affine: dict[int, dict[int, networks.TrainedMap]] = {}
        self._dtype = numerics.SEARCH_DTYPE
        if proves:
            self._dtype = numerics.PROOF_DTYPE
        points = tf.TensorSpec([None, graph.input_dim], self._dtype)
        labels = tf.TensorSpec([None], tf.int32)
        each = [graph.input_dim] if self.by_entry else []
        self._radii = tf.TensorSpec([None, *each], self._dtype)
        self._margins = tracing.Traced(
            self._margins_batch, [points, labels, self._radii]
        )

    def margins(
        self, x: np.ndarray, y: np.ndarray, epsilon: np.ndarray
    ) -> np.ndarray:
        """Returns lower bounds on z_y - z_t for all points within epsilon.

        Args:
            x: `[batch, inputs]` float64 points.
            y: `[batch]` int32 labels.
            epsilon: `[batch]` distances, or see `by_entry`.

        Returns:
            `[batch, classes]` float64; NaN or minus infinity where nothing is
            known. What t = y has says nothing.
        """
        dtype = self._dtype.as_numpy_dtype
        with np.errstate(over="ignore"):  # Infinite is as good.
            x, epsilon = x.astype(dtype), epsilon.astype(dtype)
        y = np.asarray(y, np.int32)
        with solvers.as_written():
            found = self._margins(*map(tf.constant, (x, y, epsilon)))
        return found.numpy().astype(np.float64)

    @functools.cached_property
    def _steps(self) -> list[ball_box.Step]:
        """What is propagated: no more than the logits need."""
        nodes = self._graph.nodes
        wanted = self._sources(self._parts[-1].terms)
        steps = []
        for position in sorted(wanted - {0}):
            node = nodes[position]
            terms = None
            if node.kind not in _NONLINEAR:
                terms = self._maps(position)
            steps.append(ball_box.Step(node, position, terms))
        return steps

    def _sources(self, pending: Iterable[int]) -> set[int]:
        wanted, waiting = set(), list(pending)
        while waiting:
            position = waiting.pop()
            if position not in wanted:
                wanted.add(position)
                node = self._graph.nodes[position]
                is_atom = node.kind in (*_NONLINEAR, Kind.INPUT)
                terms = self._parts[position].terms
                waiting += node.sources if is_atom else terms
        return wanted

    @functools.cached_property
    def _last(self) -> dict[int, networks.TrainedMap]:
        return self._maps(len(self._graph.nodes) - 1)

    def _maps(self, position: int) -> dict[int, networks.TrainedMap]:
        if position not in self._affine:
            self._affine[position] = self._new_maps(position)
        return self._affine[position]

    def _new_maps(self, position: int) -> dict[int, networks.TrainedMap]:
        terms, roundings = self._parts[position]
        if not self.proves:
            return {a: networks.FixedMap(m) for a, m in terms.items()}
        return {
            atom: networks.ProvedMap(linear, roundings, self._rigor)
            for atom, linear in terms.items()
        }

    def _margins_batch(self, x, y, epsilon) -> tf.Tensor:
        with tf.device("CPU:0" if self.proves else None):
            return self._lower_bounds(x, y, epsilon)

    def _rises(self, centres, start: ball_box.BallBox, y) -> tf.Tensor:
        """Bounds how far the others can rise over the label's logit."""
        return self._rises_in(self._known(centres, start), y)

    def _known(
        self,
        centres,
        start: ball_box.BallBox,
        refine: ball_box.Refinement | None = None,
    ) -> dict[int, ball_box.BallBox]:
        """Returns what is known of each node; see `propagate`."""
        return ball_box.propagate(
            self._graph, self._steps, centres, start, self._rules, refine
        )

    def _rises_in(self, known, y) -> tf.Tensor:
        return margins.worst_rises(
            self._last, known, y, self._graph.num_classes
        )

    def _centres(self, x):
        """Returns values, errors and both, of all nodes at some points."""
        values = networks.values_of(self._graph, x)
        errors: list[Any] = [None] * len(values)
        if self.proves:
            errors = networks.norm_errors(self._graph, values)
        centres = {
            position: ball_box.Centre(value, error)
            for position, (value, error) in enumerate(zip(values, errors))
        }
        return values, errors, centres

    def _lower_bounds(self, x, y, epsilon) -> tf.Tensor:
        values, errors, centres = self._centres(x)
        start = margins.start_region(x, epsilon, self._norm, self._domain)
        logits, rises = values[-1], self._rises(centres, start, y)
        own = tf.gather(logits, y, batch_dims=1)[:, tf.newaxis]
        margin = own - logits - rises
        if self.proves:
            size = tf.abs(own) + tf.abs(logits) + tf.abs(rises)
            # Two logits, one subtraction each.
            missed = 2.0 * errors[-1][:, tf.newaxis]
            margin -= missed + numerics.gamma(8) * (size + missed)
        return margin
