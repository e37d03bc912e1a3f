"""Each value of a graph as a sum of linear maps of what is not linear.

Between two activations there may be many linear nodes: a convolution, a
batch normalization, a shortcut. What they do together is often much smaller
than the product of what each may do, and it is known exactly.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple
import weakref

import numpy as np

from tfcurv.networks.graph import Graph
from tfcurv.networks.graph import Kind
from tfcurv.networks.maps.combined import composed
from tfcurv.networks.maps.combined import summed
from tfcurv.networks.maps.linear_map import Identity
from tfcurv.networks.maps.linear_map import LinearMap


class AffinePart(NamedTuple):
    """A value, up to a constant, as a sum of linear maps of atoms.

    Attributes:
        terms: By position of an atom, a node that is the input, an
            activation, a maximum or a join, the map of its value.
        roundings: The exact weights lie within gamma(roundings) times the
            absolute ones of these maps, entry by entry.
    """

    terms: Mapping[int, LinearMap]
    roundings: int = 0


# By graph: what a map has proved of itself serves whoever asks for it.
_FOUND: weakref.WeakKeyDictionary[Graph, Sequence[AffinePart]] = (
    weakref.WeakKeyDictionary()
)


def affine_parts(graph: Graph) -> Sequence[AffinePart]:
    """Returns what each node of a graph is, in terms of atoms.

    Composed once: the maps are the same objects for all who ask.
    """
    if graph not in _FOUND:
        _FOUND[graph] = _composed_parts(graph)
    return _FOUND[graph]


def _composed_parts(graph: Graph) -> Sequence[AffinePart]:
    found: list[AffinePart] = []
    for position, node in enumerate(graph.nodes):
        sources = [found[source] for source in node.sources]
        if node.kind is Kind.LINEAR:
            found.append(_mapped(sources[0], node.step))
        elif node.kind is Kind.ADD:
            found.append(_added(sources))
        else:
            same = Identity(input_shape=node.shape)
            found.append(AffinePart({position: same}))
    return tuple(found)


def _mapped(part: AffinePart, step) -> AffinePart:
    terms = {
        atom: composed(linear, step.map) for atom, linear in part.terms.items()
    }
    return AffinePart(terms, part.roundings + step.roundings)


def _added(parts: list[AffinePart]) -> AffinePart:
    atoms = sorted({atom for part in parts for atom in part.terms})
    terms = {
        atom: summed([p.terms[atom] for p in parts if atom in p.terms])
        for atom in atoms
    }
    return AffinePart(terms, int(np.max([part.roundings for part in parts])))
