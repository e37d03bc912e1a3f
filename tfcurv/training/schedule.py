"""Learning rates that drop after shares of a training."""

from collections.abc import Sequence

import keras


def dropping_rate(
    first: float, shares: Sequence[float], factor: float, steps: int
) -> keras.optimizers.schedules.LearningRateSchedule | float:
    """Returns a learning rate that is multiplied by a factor again and again.

    Args:
        first: The rate at first.
        shares: Of the steps, after which it drops, rising.
        factor: What each drop multiplies it by.
        steps: Batches in all.
    """
    if not shares:
        return first
    # Later by one each: drops must not coincide.
    ends = [
        max(1, round(share * steps)) + index
        for index, share in enumerate(shares)
    ]
    rates = [first * factor**index for index in range(len(ends) + 1)]
    return keras.optimizers.schedules.PiecewiseConstantDecay(ends, rates)
