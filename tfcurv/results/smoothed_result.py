"""What randomised smoothing has found: statistics, no proofs."""

import dataclasses

import numpy as np

from tfcurv.results.labelled import Labelled

#: In `predictions`: no class had a majority beyond doubt.
ABSTAINED = -1


# eq=False: the generated `==` would compare arrays and have no truth value.
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SmoothedResult(Labelled):
    """l2 radii of a smoothed classifier, each with a confidence.

    They hold of the majority under noise, not of the model itself, and each is
    wrong with a probability of at most `failure_probability`.

    Attributes:
        sigma: Standard deviation of the noise, in units of the input.
        samples: Noisy copies of each input that were counted.
        failure_probability: How often a radius may be too large.
        epsilons: Radii to summarise at.
        labels: `[n]` int32.
        predictions: `[n]` int32 classes of the majority; -1 where the
            classifier abstains.
        radii: `[n]` float64: within it the majority stays that of
            `predictions`, whatever the label; 0 where it abstains.
        data_name: What it was about.
        model_name: Name of the model.
        seconds: Wall time.
    """

    sigma: float
    samples: int
    failure_probability: float
    epsilons: tuple[float, ...]
    labels: np.ndarray
    predictions: np.ndarray
    radii: np.ndarray
    data_name: str
    model_name: str
    seconds: float

    @property
    def abstained(self) -> float:
        """The share of inputs that no class was given to."""
        return float(np.mean(self.predictions == ABSTAINED))

    @property
    def smoothed_accuracy(self) -> float:
        """The share of inputs whose majority is their label."""
        return float(np.mean(self.correct))

    def accuracy_with_confidence(self, epsilon: float) -> float:
        """Returns the share of inputs that are right within epsilon.

        An estimate by inputs each of which is wrong with the probability of
        failure: of n inputs, no more than n times that are expected to be.

        Args:
            epsilon: The radius that those of these inputs exceed.
        """
        return float(np.mean(self.correct & (self.radii > epsilon)))

    def __str__(self) -> str:
        """Returns a few lines for people."""
        lines = [
            f"randomised smoothing of {self.model_name}, {self.data_name}: "
            f"{self.num_images} images in {self.seconds:.1f} s",
            f"  sigma {self.sigma:g}, {self.samples} draws an image; a radius "
            f"holds with a probability of {1.0 - self.failure_probability:.4%}",
            "  of the smoothed classifier, not of the model",
            f"  right               {self.smoothed_accuracy:8.2%}",
            f"  abstained           {self.abstained:8.2%}",
        ]
        for epsilon in self.epsilons:
            share = self.accuracy_with_confidence(epsilon)
            lines.append(f"  right within {epsilon:<6g} {share:8.2%}")
        return "\n".join(lines)
