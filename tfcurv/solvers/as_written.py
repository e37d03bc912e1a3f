"""TensorFlow's functions run as they were written."""

from collections.abc import Iterator
import contextlib

import tensorflow as tf

_OFF = "disable_meta_optimizer"


@contextlib.contextmanager
def as_written() -> Iterator[None]:
    """Runs functions of TensorFlow without rewriting their graphs.

    A rewritten graph may add in another order, which changes roundings; and of
    large graphs the rewriting takes longer than the tracing, and saves nothing
    in running. Functions that are compiled by XLA are compiled all the same.
    """
    options = tf.config.optimizer
    before = options.get_experimental_options().get(_OFF, False)
    options.set_experimental_options({_OFF: True})
    try:
        yield
    finally:
        options.set_experimental_options({_OFF: before})
