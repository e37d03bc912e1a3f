"""How far margins can fall in a region, by linear bounds."""

from collections.abc import Mapping

import tensorflow as tf

from tfcurv.bounds.propagation.backward_lines import BackwardLines
from tfcurv.bounds.propagation.backward_walk import Around
from tfcurv.bounds.propagation.backward_walk import Rows
from tfcurv.bounds.propagation.ball_box import BallBox
from tfcurv.bounds.propagation.ball_box import Centre
from tfcurv.bounds.propagation.ball_box import Step


class MarginLines:
    """Lines around some points, from the logits back to the input."""

    def __init__(
        self,
        backward: BackwardLines,
        centres: Mapping[int, Centre],
        ends: BallBox,
    ):
        """Keeps what it is given.

        Args:
            backward: Of the graph.
            centres: By position, what a node gives at the points.
            ends: Where sums of the input end; see `margins.ends`.
        """
        self._backward = backward
        self._around = Around(centres, {}, {}, ends)

    def refine(
        self, step: Step, region: BallBox, known: Mapping[int, BallBox]
    ) -> BallBox:
        """Returns a linear step's region with what lines add to it.

        A `Refinement` of `propagate`.

        Args:
            step: The step.
            region: What is known of its value.
            known: What is known of those before.
        """
        self._around.known.update(known)
        return self._backward.refined(step.position, region, self._around)

    def rises(
        self,
        position: int,
        known: Mapping[int, BallBox],
        y: tf.Tensor,
        classes: int,
        *,
        at_once: bool = False,
    ) -> tf.Tensor:
        """Bounds by how much z_t - z_y can rise from where it is at the centre.

        Args:
            position: Of the logits.
            known: By position, what is known of all before.
            y: `[batch]` int32 labels.
            classes: The number of logits.
            at_once: Whether all rows are bounded in one, as training does;
                otherwise some at a time.

        Returns:
            `[batch, classes]`; NaN or infinite where nothing is known.
        """
        around = self._around
        around.known.update(known)
        dtype = around.centres[0].value.dtype

        def rows(numbers):
            point = numbers // classes
            own = tf.one_hot(tf.gather(y, point), classes, dtype=dtype)
            other = tf.one_hot(numbers % classes, classes, dtype=dtype)
            return Rows(point, own - other)

        count = tf.size(y) * classes
        if at_once:
            found = self._backward.lower_bounds_at_once(
                position, rows(tf.range(count)), around
            )
        else:
            found = self._backward.lower_bounds(position, count, rows, around)
        return -tf.reshape(found, [-1, classes])
