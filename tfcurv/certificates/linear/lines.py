"""Margins in a neighbourhood, by linear bounds: compiled, in two dtypes."""

import functools

import tensorflow as tf

from tfcurv.bounds.propagation import ball_box
from tfcurv.bounds.propagation import margins
from tfcurv.bounds.propagation.backward_lines import BackwardLines
from tfcurv.bounds.propagation.margin_lines import MarginLines
from tfcurv.certificates.interval.regions import GraphRegions


class GraphLines(GraphRegions):
    """Lower bounds on the margins of a graph around points.

    Of each margin the better of what linear bounds prove and what balls and
    boxes do.

    Attributes:
        refines: Whether intervals of neurons are bounded by lines, too.
        parallel: Whether the two lines around an activation are.
    """

    refines = True
    parallel = False

    @functools.cached_property
    def _backward(self) -> BackwardLines:
        return BackwardLines(self._graph, self._maps, parallel=self.parallel)

    def _rises(self, centres, start: ball_box.BallBox, y) -> tf.Tensor:
        ends = margins.ends(start, self._norm, self._domain)
        lines = MarginLines(self._backward, centres, ends)
        refine = lines.refine if self.refines else None
        known = self._known(centres, start, refine)
        nodes = self._graph.nodes
        by_lines = lines.rises(
            len(nodes) - 1, known, y, self._graph.num_classes
        )
        return tf.minimum(
            *(
                ball_box.where_nan(rises, float("inf"))
                for rises in (self._rises_in(known, y), by_lines)
            )
        )


class LastLines(GraphLines):
    """Lines for the margins alone, on intervals of balls and boxes."""

    refines = False


class ParallelLines(GraphLines):
    """Lines of equal slope above and below."""

    parallel = True
