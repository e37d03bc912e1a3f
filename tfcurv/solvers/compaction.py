"""Batched iterations in which finished rows leave the batch."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

# Rows leave after this many steps: each leaving copies the state once.
_CHUNK = 4


def iterate(
    step: Callable[[Any, Any], Any],
    constants: Any,
    state: Any,
    *,
    max_steps: int,
) -> Any:
    """Repeats a step on each row of a batch until the row is finished.

    A batch waits for its slowest row; here the others do not: every few steps
    the rows that go on are gathered into a smaller batch. What a row becomes
    does not depend on the others, up to the rounding of sums whose order
    depends on the size of the batch.

    Args:
        step: Maps rows of the constants and of the state to the new rows.
            It may go on with rows that are finished, but not revive them:
            `active` must never become true again.
        constants: Nested structure of tensors `[batch, ...]`.
        state: Nested structure of tensors `[batch, ...]`, with an attribute
            `active`, `[batch]` bool.
        max_steps: Most steps of any row.

    Returns:
        The state, like the one given.
    """

    def advance(inner_constants):
        def body(count, rows):
            return count + 1, step(inner_constants, rows)

        return body

    def work(count, whole):
        index = tf.where(whole.active)[:, 0]
        rows = tf.nest.map_structure(lambda x: tf.gather(x, index), whole)
        fixed = tf.nest.map_structure(lambda x: tf.gather(x, index), constants)
        limit = tf.minimum(_CHUNK, max_steps - count)
        _, rows = tf.while_loop(
            lambda done, rest: (done < limit) & tf.reduce_any(rest.active),
            advance(fixed),
            (0, rows),
        )
        where = index[:, tf.newaxis]
        whole = tf.nest.map_structure(
            lambda old, new: tf.tensor_scatter_nd_update(old, where, new),
            whole,
            rows,
        )
        return count + limit, whole

    _, state = tf.while_loop(
        lambda count, whole: (count < max_steps) & tf.reduce_any(whole.active),
        work,
        (0, state),
    )
    return state
