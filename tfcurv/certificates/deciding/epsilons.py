"""The radii that a result is summarised at."""

from collections.abc import Sequence

import numpy as np


def check_epsilons(epsilons: Sequence[float]) -> tuple[float, ...]:
    """Returns radii as numbers.

    Args:
        epsilons: The radii, in units of the model's input.

    Raises:
        ValueError: They are no sequence, or one is not positive and finite.
    """
    if np.ndim(epsilons) != 1:
        raise ValueError(
            "The radii must be a sequence of numbers. "
            f"Received: epsilons={epsilons!r}. Allowed: such as (0.5, 1.0)."
        )
    values = tuple(float(epsilon) for epsilon in epsilons)
    if not all(0.0 < value < float("inf") for value in values):
        raise ValueError(
            "Every radius must be positive and finite. "
            f"Received: epsilons={epsilons!r}."
        )
    return values
