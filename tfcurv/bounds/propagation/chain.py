"""Balls and boxes around the pre-activations of a chain, proved."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tfcurv import networks
from tfcurv.bounds.propagation.ball_box import BallBox
from tfcurv.bounds.propagation.ball_box import Centre
from tfcurv.bounds.propagation.ball_box import enclosed
from tfcurv.bounds.propagation.ball_box import through_activation
from tfcurv.bounds.propagation.ball_box import through_linear


class ChainCentres(NamedTuple):
    """What a chain gives at the centres of balls.

    Attributes:
        pre_activations: z_1, ..., z_{L-1}.
        values: x0 = a_0, a_1, ..., a_{L-1}.
    """

    pre_activations: list[Centre]
    values: list[Centre]


class ChainRegions:
    """Encloses what the activations of one chain are given."""

    def __init__(self, network: networks.Network):
        """Proves no norm yet.

        Args:
            network: The chain; what its maps may be off by counts.
        """
        self._network = network
        self._maps = [
            networks.ProvedMap(
                affine.linear, rigor=network.rigor, error=affine.kernel_error
            )
            for affine in network.affines[:-1]
        ]

    def centres(self, x0: tf.Tensor) -> ChainCentres:
        """Evaluates the chain.

        Args:
            x0: `[batch, dim]` float64 points, taken as exact.
        """
        forward = self._network.forward(x0)
        errors = networks.forward_error(self._network, forward)
        return ChainCentres(
            [*map(Centre, forward.pre_activations, errors.pre_activations)],
            [*map(Centre, forward.values, errors.values)],
        )

    def pre_activations(
        self,
        centres: ChainCentres,
        radius: tf.Tensor,
        layers: int | None = None,
    ) -> list[networks.Interval]:
        """Encloses z_1, ..., z_{L-1}, `[batch, n]`, in closed balls.

        Args:
            centres: Of the balls.
            radius: `[batch]` float64, perhaps infinite.
            layers: How many of them are asked for. Default: all.

        Returns:
            Of each the interval, rounded outward; NaN where nothing is known.
        """
        region, found = BallBox(radius), []
        refine = self._refinement(centres, region)
        for index, linear in enumerate(self._maps[:layers]):
            if index:
                before, after = (
                    centres.pre_activations[index - 1],
                    centres.values[index],
                )
                region = through_activation(
                    self._network.activations[index - 1], before, after, region
                )
            moved = through_linear({0: linear}, {0: region})
            region = refine(index, region, moved)
            found.append(enclosed(centres.pre_activations[index], region))
        return found

    def _refinement(
        self, centres: ChainCentres, start: BallBox
    ) -> Callable[[int, BallBox, BallBox], BallBox]:
        """Returns what else is known: of map I - 1, its source and its value.

        Args:
            centres: Of the balls.
            start: Where inputs are.
        """
        del centres, start
        return lambda index, source, value: value
