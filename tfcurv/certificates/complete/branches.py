"""What a search by branches is about, and what is seen of it."""

from typing import Any
from typing import NamedTuple


class Roots(NamedTuple):
    """What is known around some points, before anything is split.

    Attributes:
        x: `[points, inputs]`.
        epsilon: `[points]` the neighbourhoods, or see `GraphRegions.by_entry`.
        values: By node, what it gives at the points.
        errors: By node, `[points]` how far that is off.
        radii: By node, of the balls of its deviations.
        lower: By node, left ends of the boxes.
        upper: By node, right ends.
    """

    x: Any
    epsilon: Any
    values: tuple[Any, ...]
    errors: tuple[Any, ...]
    radii: tuple[Any, ...]
    lower: tuple[Any, ...]
    upper: tuple[Any, ...]


class Branches(NamedTuple):
    """Branches of the search, each of one margin of one point.

    Attributes:
        point: `[branches]` int32 row of `Roots`.
        y: `[branches]` int32 labels.
        t: `[branches]` int32 other classes.
        signs: `[branches, neurons]` 1 or -1 where a sign is decided, else 0.
        slopes: `[branches, neurons]` lower slopes.
        forces: `[branches, neurons]` sizes of multipliers, at least 0.
    """

    point: Any
    y: Any
    t: Any
    signs: Any
    slopes: Any
    forces: Any


class Sight(NamedTuple):
    """What is seen of branches that are to be split.

    Attributes:
        losses: `[branches, neurons]` what lies between lines and ReLU, at
            most; -1 of a neuron that is not bent.
        points: `[branches, inputs]` where the lines are least.
        margins: `[branches]` of the network at these points, as computed.
    """

    losses: Any
    points: Any
    margins: Any
