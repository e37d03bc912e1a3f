"""What an attack has found: adversarial examples and their distances."""

import dataclasses

import numpy as np

from tfcurv.certificates.deciding.contract import Threat
from tfcurv.results.labelled import Labelled


# eq=False: the generated `==` would compare arrays and have no truth value.
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class AttackResult(Labelled):
    """The nearest adversarial examples that were found, image by image.

    Each is misclassified in exact arithmetic, whatever its rounding; that none
    was found proves nothing.

    Attributes:
        norm: "l2" or "linf", of the distances.
        domain: Interval that every entry of an example lies in, or None.
        labels: `[n]` int32.
        predictions: `[n]` int32 classes of the inputs themselves.
        distances: `[n]` float64, rounded upward: 0 where the input itself is
            misclassified, infinite where nothing was found.
        examples: `[n, ...]` float64 in the shape of inputs; the input itself
            where nothing was found, or nothing had to be.
        classes: `[n]` int32 classes of the examples.
        data_name: What was attacked.
        model_name: Name of the model.
        seconds: Wall time.
    """

    norm: str
    domain: tuple[float, float] | None
    labels: np.ndarray
    predictions: np.ndarray
    distances: np.ndarray
    examples: np.ndarray
    classes: np.ndarray
    data_name: str
    model_name: str
    seconds: float

    @property
    def clean_accuracy(self) -> float:
        """The share of inputs that are classified correctly."""
        return float(np.mean(self.correct))

    def accuracy_upper_bound(self, epsilon: float) -> float:
        """Returns the share of inputs that are left within epsilon.

        No more than this share is robust, by the examples that were found.

        Args:
            epsilon: The distance up to which examples count, inclusive.
        """
        return float(np.mean(self.distances > epsilon))

    @property
    def median_distance(self) -> float:
        """The median distance of the examples of correctly classified inputs.

        NaN if there is no such input.
        """
        right = self.distances[self.correct]
        return float(np.median(right)) if right.size else float("nan")

    def __str__(self) -> str:
        """Returns a few lines for people."""
        threat = Threat(norm=self.norm, domain=self.domain)
        found = np.isfinite(self.distances) & (self.distances > 0.0)
        return "\n".join(
            (
                f"attack on {self.model_name}, {self.data_name}: "
                f"{self.num_images} images in {self.seconds:.1f} s ({threat})",
                f"  clean accuracy   {self.clean_accuracy:8.2%}",
                f"  examples found   {int(np.sum(found)):8d}",
                f"  median distance  {self.median_distance:8.4f}",
            )
        )
