"""Intervals of a chain's pre-activations by linear bounds, proved."""

import functools

import tensorflow as tf

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

    The chain is walked as a graph: nodes 0, the input, and 2 I - 1 and 2 I for
    z_I and a_I.
    """

    def pre_activations(
        self,
        centres: ChainCentres,
        radius: tf.Tensor,
        layers: int | None = None,
    ) -> list[networks.Interval]:
        """Encloses z_1, ..., z_{L-1}, `[batch, n]`, in closed balls.

        As `ChainRegions` does, cut by linear bounds of every entry at which
        an activation bends; see `backward_lines`.

        Args:
            centres: Of the balls.
            radius: `[batch]` float64, perhaps infinite.
            layers: How many of them are asked for. Default: all.

        Returns:
            Of each the interval, rounded outward; NaN where nothing is known.
        """
        around = Around(self._at(centres), {}, {}, BallBox(radius))
        region, found = BallBox(radius), []
        around.known[0] = region
        for index, linear in enumerate(self._maps[:layers]):
            position = 2 * index + 1
            if index:
                region = ball_box.through_activation(
                    self._network.activations[index - 1],
                    centres.pre_activations[index - 1],
                    centres.values[index],
                    region,
                )
                around.known[position - 1] = region
            region = ball_box.through_linear({0: linear}, {0: region})
            region = self._backward.refined(position, region, around)
            around.known[position] = region
            before = centres.pre_activations[index]
            found.append(ball_box.enclosed(before, region))
        return found

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
