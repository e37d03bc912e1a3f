"""Margins in a neighbourhood, by linear bounds: compiled, in two dtypes."""

import functools

import tensorflow as tf

from tfcurv.bounds.propagation import ball_box
from tfcurv.bounds.propagation.backward_lines import Around
from tfcurv.bounds.propagation.backward_lines import BackwardLines
from tfcurv.bounds.propagation.backward_lines import Rows
from tfcurv.certificates.interval.regions import GraphRegions


class GraphLines(GraphRegions):
    """Lower bounds on the margins of a graph around points.

    Of each margin the better of what linear bounds prove and what balls and
    boxes do.
    """

    @functools.cached_property
    def _backward(self) -> BackwardLines:
        return BackwardLines(self._graph, self._maps)

    def _rises(self, centres, start: ball_box.BallBox, y) -> tf.Tensor:
        around = Around(centres, {}, {}, self._ends(start))

        def refine(step, region, found):
            around.known.update(found)
            return self._backward.refined(step.position, region, around)

        around.known.update(self._known(centres, start, refine))
        by_regions = self._rises_in(around.known, y)
        by_lines = -self._falls(around, y)
        return tf.minimum(
            *(
                ball_box.where_nan(rises, float("inf"))
                for rises in (by_regions, by_lines)
            )
        )

    def _ends(self, start: ball_box.BallBox) -> ball_box.BallBox:
        """Returns where sums of the input end: what does not cut is left."""
        if self._norm == "linf":
            # The ball is that around the box.
            return start._replace(radius=None)
        return ball_box.BallBox(start.radius) if self._domain is None else start

    def _falls(self, around: Around, y: tf.Tensor) -> tf.Tensor:
        """Bounds from below z_y - z_t less what it is at the centre."""
        classes = self._graph.num_classes
        dtype = around.centres[0].value.dtype

        def rows(numbers):
            point = numbers // classes
            own = tf.one_hot(tf.gather(y, point), classes, dtype=dtype)
            other = tf.one_hot(numbers % classes, classes, dtype=dtype)
            return Rows(point, own - other)

        found = self._backward.lower_bounds(
            len(self._graph.nodes) - 1, tf.size(y) * classes, rows, around
        )
        return tf.reshape(found, [-1, classes])
