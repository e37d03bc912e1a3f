"""What all results about labelled inputs have in common."""

import numpy as np


class Labelled:
    """Inputs with their labels, and what they were given.

    Attributes:
        labels: `[n]` int32.
        predictions: `[n]` int32.
    """

    labels: np.ndarray
    predictions: np.ndarray

    @property
    def num_images(self) -> int:
        """The number of inputs."""
        return len(self.labels)

    @property
    def correct(self) -> np.ndarray:
        """`[n]` whether the prediction is the label."""
        return self.predictions == self.labels
