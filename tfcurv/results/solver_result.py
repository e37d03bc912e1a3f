"""What a solver for integer programmes has said: to a tolerance, no proof."""

import dataclasses

import numpy as np

from tfcurv.results.labelled import Labelled

#: What is said of an input: right in all of the box, as the solver says, which
#: is no certificate; an adversarial example, which the network confirms; none
#: of both; and wrong to begin with.
POSITIVE, FALSIFIED, OPEN, WRONG = 1, -1, 0, -2


# eq=False: the generated `==` would compare arrays and have no truth value.
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SolverResult(Labelled):
    """Verdicts on inputs within an linf distance.

    Those that are POSITIVE rest on the solver and its tolerance. They are
    never to be added to what is certified: print them beside it.

    Attributes:
        epsilon: The distance.
        domain: Interval that every entry lies in; None for all inputs.
        labels: `[n]` int32.
        predictions: `[n]` int32.
        verdicts: `[n]` int32: POSITIVE, FALSIFIED, OPEN or WRONG.
        examples: `[n, ...]` inputs that the network gives another class than
            the label; the inputs themselves where there is none.
        data_name: What it was about.
        model_name: Name of the model.
        seconds: Wall time.
    """

    epsilon: float
    domain: tuple[float, float] | None
    labels: np.ndarray
    predictions: np.ndarray
    verdicts: np.ndarray
    examples: np.ndarray
    data_name: str
    model_name: str
    seconds: float

    def share(self, verdict: int) -> float:
        """Returns the share of inputs of a verdict.

        Args:
            verdict: POSITIVE, FALSIFIED, OPEN or WRONG.
        """
        return float(np.mean(self.verdicts == verdict))

    def __str__(self) -> str:
        """Returns a few lines for people."""
        where = "" if self.domain is None else f" in {list(self.domain)}"
        return "\n".join(
            [
                f"integer programmes of {self.model_name}, {self.data_name}: "
                f"{self.num_images} images in {self.seconds:.1f} s, linf "
                f"{self.epsilon:g}{where}",
                f"  wrong               {self.share(WRONG):8.2%}",
                f"  adversarial example {self.share(FALSIFIED):8.2%}",
                f"  open                {self.share(OPEN):8.2%}",
                f"  right, to the solver's tolerance, not certified "
                f"{self.share(POSITIVE):8.2%}",
            ]
        )
