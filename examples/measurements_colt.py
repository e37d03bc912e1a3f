"""What is measured on a trained network for the tables of [BV20].

See `measurements` for the form, and `paper_colt` for the source.
"""

import numpy as np

from tfcurv import data
from tfcurv import runs

# From what is cheap to what decides; [BV20] has zonotopes, then branches. The
# last is left out where lines leave most of it open: it would take days.
_STEPS = ("ibp", "zonotope", "crown", "complete")

_FIRST = 1000

# Share of what attacks leave.
_WORTH = 0.8


def by_steps(
    model,
    split: data.Split,
    epsilon: float,
    verbose: int = 1,
    limit: int | None = None,
) -> dict[str, float]:
    """Certifies at an linf epsilon in [0, 1] by each method alone."""
    found: dict[str, float] = {}
    survived = None
    for method in _STEPS:
        proved = found.get("crown", 1.0)
        if method == _STEPS[-1] and proved < _WORTH * float(np.mean(survived)):
            break
        result = runs.certify(
            model,
            (split.images, split.labels),
            method=method,
            norm="linf",
            domain=(0.0, 1.0),
            epsilons=(epsilon,),
            limit=limit,
            radii=False,
            verbose=verbose,
        )
        found[method] = result.certified_accuracy(epsilon)
        found[f"{method}, seconds"] = result.seconds
        alive = result.correct & (result.upper_bounds > epsilon)
        survived = alive if survived is None else survived & alive
    return {
        "images": result.num_images,
        "clean": result.clean_accuracy,
        "attacked": float(np.mean(survived)),
        **found,
    }


def by_first_steps(
    model, split: data.Split, epsilon: float, verbose: int = 1
) -> dict[str, float]:
    """Certifies the first 1,000 images, as [BV20] does on CIFAR-10."""
    return by_steps(model, split, epsilon, verbose, _FIRST)


#: Merged into `measurements.PARTS`.
PARTS = {"steps": by_steps, "first_steps": by_first_steps}
