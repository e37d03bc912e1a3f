"""What a property states: boxes of inputs, each with unsafe outputs."""

import dataclasses
from fractions import Fraction
from typing import NamedTuple

#: Numbers beyond it are refused: with them, products over- or underflow.
LARGEST = Fraction(2) ** 900


class Constraint(NamedTuple):
    """sum of w_j y_j <= bound, of a network's outputs y.

    Attributes:
        weights: Pairs (j, w_j), by j, none of them zero.
        bound: The right side.
    """

    weights: tuple[tuple[int, Fraction], ...]
    bound: Fraction


class Region(NamedTuple):
    """A box of inputs, and which outputs are unsafe there.

    Attributes:
        lower: One an input, at most that of `upper`, neither beyond `LARGEST`.
        upper: One an input.
        clauses: Numbers of constraints: an output is unsafe where all of one
            clause hold. One that is empty holds everywhere.
    """

    lower: tuple[Fraction, ...]
    upper: tuple[Fraction, ...]
    clauses: tuple[tuple[int, ...], ...]


@dataclasses.dataclass(frozen=True)
class Property:
    """That no input of a region has an output that is unsafe there.

    Attributes:
        num_inputs: Of the network.
        num_outputs: Of the network.
        constraints: All that clauses name.
        regions: Boxes, perhaps none.
    """

    num_inputs: int
    num_outputs: int
    constraints: tuple[Constraint, ...]
    regions: tuple[Region, ...]
