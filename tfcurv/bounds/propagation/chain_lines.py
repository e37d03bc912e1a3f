"""Intervals of a chain's pre-activations by linear bounds, proved."""

from collections.abc import Callable
import functools

from tfcurv import networks
from tfcurv.bounds.propagation import ball_box
from tfcurv.bounds.propagation.backward_lines import BackwardLines
from tfcurv.bounds.propagation.backward_walk import Around
from tfcurv.bounds.propagation.ball_box import BallBox
from tfcurv.bounds.propagation.chain import ChainCentres
from tfcurv.bounds.propagation.chain import ChainRegions
from tfcurv.networks import Kind
from tfcurv.networks import Node


class ChainLines(ChainRegions):
    """Encloses what the activations of one chain are given, by lines, too.

    Intervals as `ChainRegions` has them are cut by linear bounds of every entry
    at which an activation bends; see `backward_lines`. The chain is walked as a
    graph: nodes 0, the input, and 2 I - 1 and 2 I for z_I and a_I.
    """

    def _refinement(
        self, centres: ChainCentres, start: BallBox
    ) -> Callable[[int, BallBox, BallBox], BallBox]:
        around = Around(self._at(centres), {}, {}, start)

        def refine(index: int, source: BallBox, value: BallBox) -> BallBox:
            position = 2 * index + 1
            around.known[position - 1] = source
            found = self._backward.refined(position, value, around)
            around.known[position] = found
            return found

        return refine

    def _at(self, centres: ChainCentres) -> dict[int, ball_box.Centre]:
        found = {2 * i: each for i, each in enumerate(centres.values)}
        for i, each in enumerate(centres.pre_activations):
            found[2 * i + 1] = each
        return found

    @functools.cached_property
    def _backward(self) -> BackwardLines:
        return BackwardLines(self._graph, self._terms)

    def _terms(self, position: int) -> dict[int, networks.TrainedMap]:
        return {position - 1: self._maps[(position - 1) // 2]}

    @functools.cached_property
    def _graph(self) -> networks.Graph:
        network = self._network
        nodes = [Node(Kind.INPUT, (), (network.input_dim,))]
        for affine, fn in zip(network.affines, network.activations):
            at, shape = len(nodes), (affine.linear.outputs,)
            nodes.append(Node(Kind.LINEAR, (at - 1,), shape))
            nodes.append(Node(Kind.ACTIVATION, (at,), shape, activation=fn))
        return networks.Graph(nodes=tuple(nodes))
