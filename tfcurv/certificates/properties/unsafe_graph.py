"""A network whose outputs are the constraints of a property.

Behind the outputs y stands one more linear map. Of constraint k, c . y <= d,

    z_k = d - c . y,

and one output more that is zero. So z_k < 0 says that the constraint does not
hold, and the margin of the zero over z_k is c . y - d: whatever bounds margins
bounds constraints.
"""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from tfcurv import errors
from tfcurv import networks
from tfcurv.certificates.properties.statement import LARGEST
from tfcurv.certificates.properties.statement import Constraint
from tfcurv.networks import Kind


def unsafe_graph(
    graph: networks.Graph, constraints: Sequence[Constraint]
) -> networks.Graph:
    """Returns a graph of z_0, z_1, ... and zero; see the module.

    What is rounded of c and d, which are exact, is told by the last step.

    Args:
        graph: The network.
        constraints: On its outputs.

    Raises:
        InvalidPropertyError: A number is too large or too small.
    """
    count = len(constraints)
    kernel = np.zeros((graph.num_classes, count + 1))
    bias = np.zeros(count + 1)
    missed, is_exact = Fraction(0), True
    for k, (weights, bound) in enumerate(constraints):
        for j, weight in weights:
            kernel[j, k] = -_as_float(weight)
            is_exact &= Fraction(kernel[j, k]) == -weight
        bias[k] = _as_float(bound)
        missed += abs(Fraction(bias[k]) - bound)
    step = networks.LinearStep(
        map=networks.Dense(kernel=kernel),
        bias=bias,
        roundings=0 if is_exact else 1,
        bias_error=0.0 if not missed else np.nextafter(float(missed), np.inf),
    )
    last = len(graph.nodes) - 1
    node = networks.Node(
        Kind.LINEAR, (last,), (count + 1,), step=step, name="property"
    )
    return networks.Graph(nodes=(*graph.nodes, node))


def _as_float(number: Fraction) -> float:
    """Returns the nearest number of float64."""
    if number and not 1 / LARGEST <= abs(number) <= LARGEST:
        raise errors.InvalidPropertyError(
            "A number of the property is beyond what float64 computes with. "
            f"Received: about 10**{_digits(number)}. Allowed: 1e-270 to 1e270."
        )
    return float(number)


def _digits(number: Fraction) -> int:
    top, bottom = abs(number.numerator), number.denominator
    return len(str(top)) - len(str(bottom))
