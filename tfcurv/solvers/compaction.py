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
    max_steps: int | tf.Tensor,
    result: Callable[[Any], Any],
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
        result: What of a state is wanted; the rest is dropped with its row.

    Returns:
        What `result` gives for the last states of all rows.
    """

    def work(count, index, fixed, rows, ends):
        limit = tf.minimum(_CHUNK, max_steps - count)
        _, rows = tf.while_loop(
            lambda done, rest: (done < limit) & tf.reduce_any(rest.active),
            lambda done, rest: (done + 1, step(fixed, rest)),
            (0, rows),
        )
        ends = tf.nest.map_structure(
            lambda old, new: tf.tensor_scatter_nd_update(
                old, index[:, tf.newaxis], new
            ),
            ends,
            result(rows),
        )
        return count + limit, *_select(rows.active, (index, fixed, rows)), ends

    rows = tf.range(tf.size(state.active))
    start = _select(state.active, (rows, constants, state))
    loop = (0, *start, result(state))
    return tf.while_loop(
        lambda count, index, *_: (count < max_steps) & (tf.size(index) > 0),
        work,
        loop,
        shape_invariants=tf.nest.map_structure(_any_batch, loop),
    )[-1]


def _select(active: tf.Tensor, structure: Any) -> Any:
    """Returns the active rows of every tensor."""
    index = tf.where(active)[:, 0]
    return tf.nest.map_structure(lambda x: tf.gather(x, index), structure)


def _any_batch(value: Any) -> tf.TensorShape:
    shape = tf.convert_to_tensor(value).shape
    return tf.TensorShape([None, *shape[1:]] if shape.rank else [])
