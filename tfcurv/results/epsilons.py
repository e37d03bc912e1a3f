"""Radii of a summary, where nobody has asked for any."""

import numpy as np

# Of the images with a proof, so many are proved beyond each.
_SHARES = (0.9, 0.65, 0.35, 0.1)

# Where nothing is proved.
_ANY = (0.1, 0.25, 0.5, 1.0)


def fitting_epsilons(radii: np.ndarray) -> tuple[float, ...]:
    """Returns round radii among those that were proved, the least first.

    Args:
        radii: `[images]` proved; 0 where nothing is.
    """
    proved = radii[(radii > 0.0) & np.isfinite(radii)]
    if not proved.size:
        return _ANY
    ends = np.quantile(proved, [1.0 - share for share in _SHARES])
    return tuple(sorted({float(f"{end:.1g}") for end in ends}))
