"""What is measured on a trained network for the tables of [BV20].

See `measurements` for the form, and `paper_colt` for the source.
"""

from tfcurv import data
from tfcurv import runs

# What is cheap first. [BV20] has zonotopes, then branches.
_CHEAP = ("ibp", "zonotope", "crown")

_FIRST = 1000

# Branches are left out where lines prove less of what attacks leave: they would
# take days.
_WORTH = 0.8


def by_first_steps(
    model, split: data.Split, epsilon: float, verbose: int = 1
) -> dict[str, float]:
    """Certifies the first 1,000 images, as [BV20] does on CIFAR-10."""
    found: dict[str, float] = {}
    for method in (*_CHEAP, "complete"):
        is_last = method not in _CHEAP
        if is_last and found["crown"] < _WORTH * found["attacked"]:
            break
        result = runs.certify(
            model,
            (split.images, split.labels),
            method=method,
            norm="linf",
            domain=(0.0, 1.0),
            epsilons=(epsilon,),
            limit=_FIRST,
            radii=False,
            verbose=verbose,
        )
        found[method] = result.certified_accuracy(epsilon)
        found[f"{method}, seconds"] = result.seconds
        attacked = result.attacked_accuracy(epsilon)
        found["attacked"] = min(found.get("attacked", 1.0), attacked)
    return {
        "images": result.num_images,
        "clean": result.clean_accuracy,
        **found,
    }


#: Merged into `measurements.PARTS`.
PARTS = {"first_steps": by_first_steps}
