"""Numbers of the training objective that callbacks change."""

import keras
import tensorflow as tf


class Clock:
    """Counts training steps. No attribute that Keras would take for a weight.

    Attributes:
        steps: int64 variable. Every replica counts for itself.
    """

    def __init__(self):
        """Starts at zero, in the scope of the model's strategy."""
        self.steps = _scalar(0, "int64")

    def tick(self) -> None:
        """Counts one step."""
        self.steps.assign_add(1)


class Strength(keras.Variable):
    """The epsilon of an adversary or the gamma of a penalty.

    A scalar float32 variable: what it holds is in force in the next training
    step, and is what a saved model has. While a `WarmUp` raises it there are
    two numbers: the one in force, and `settled`, to which it rises. That one
    is saved, and is in force again as soon as `fit` ends, however it ends. A
    value that is assigned meanwhile is overwritten; before and after the
    warm-up it stays.
    """

    # Keras asks for the value while it makes the variable.
    _clock: Clock | None = None

    def __init__(self, value: float, name: str):
        """Makes the variable.

        Args:
            value: At first.
            name: For messages.
        """
        super().__init__(
            float(value), trainable=False, dtype="float32", name=name
        )
        self._given = float(value)
        self._rises_to: float | None = None
        # In the graph of a step, always: a warm-up may begin after the trace.
        self._rise = _scalar(0.0, "float32")
        self._most = _scalar(float("inf"), "float32")
        self._start = _scalar(0, "int64")

    @property
    def value(self) -> tf.Tensor:
        """The value in force."""
        value = super().value
        if self._clock is None:
            return value
        steps = tf.convert_to_tensor(self._clock.steps) - self._start.value
        rise = tf.cast(steps, tf.float32) * self._rise.value
        return tf.minimum(value + rise, self._most.value)

    @property
    def settled(self) -> float:
        """The value when no warm-up is under way."""
        if self._rises_to is not None:
            return self._rises_to
        value = float(self.value)
        # The same float32 number, without the digits that float32 adds.
        is_given = value == float(tf.cast(self._given, tf.float32))
        return self._given if is_given else value

    def follow(self, clock: Clock) -> None:
        """Takes a count of training steps to rise by.

        Args:
            clock: Ticks once a training step.
        """
        self._clock = clock

    def rise(self, share: float, step: float) -> None:
        """Sets shares of the settled value for the coming steps.

        Args:
            share: For the next step; from 1 on, the rise is over.
            step: By how much the share grows from step to step.
        """
        settled = self.settled
        if share >= 1.0:
            self.settle()
            return
        self._rises_to = settled
        self._rise.assign(settled * step)
        self._most.assign(settled)
        if self._clock is not None:
            self._start.assign(self._clock.steps)
        self.assign(settled * share)

    def settle(self) -> None:
        """Ends the rise, if there is one."""
        if self._rises_to is None:
            return
        self._rise.assign(0.0)
        self._most.assign(float("inf"))
        self.assign(self._rises_to)
        self._rises_to = None


def _scalar(value: float, dtype: str) -> keras.Variable:
    return keras.Variable(value, trainable=False, dtype=dtype)
