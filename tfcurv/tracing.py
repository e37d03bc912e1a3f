"""Functions that TensorFlow traces once, and never again."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import tensorflow as tf


class Traced:
    """A function compiled for inputs of one signature when it is first called.

    TensorFlow counts how often calls trace a `tf.function`, by the line that it
    is written in, and warns of a program that works on several networks, each
    with functions of its own, as of a fault. It does not count what is traced
    without a call.
    """

    def __init__(self, fn: Callable[..., Any], signature: Sequence[Any]):
        """Initializes it; nothing is traced yet.

        Args:
            fn: Plain, graph-safe Python.
            signature: A `tf.TensorSpec`, or a structure of them, an argument.
        """
        self._function = tf.function(
            fn, input_signature=list(signature), autograph=False
        )
        self._is_traced = False

    def trace(self) -> None:
        """Traces it now, which the first call does otherwise.

        Nothing is where TensorFlow is told to run functions as they stand.
        """
        if not self._is_traced and not tf.config.functions_run_eagerly():
            self._function.get_concrete_function()
            self._is_traced = True

    def __call__(self, *inputs: Any) -> Any:
        """Returns what the function does.

        Args:
            *inputs: Of the signature; others are refused.
        """
        self.trace()
        return self._function(*inputs)
