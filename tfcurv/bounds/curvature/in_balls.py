"""Bounds on the curvature of a margin inside a ball, image by image.

Every curvature-based proof uses the Hessian H only along segments from the
centre c, where the margin f was evaluated, to points x of the ball of radius
R around x0. By Taylor's theorem, with g = grad f(c) and d = x - c,

    f(x) = f(c) + g . d + integral over [0, 1] of
           (1 - theta) d^T H(c + theta d) d.

So a bound a with f(x) >= f(c) + g . d - a/2 ||d||^2 for these x is enough,
and f > 0 wherever the quadratic is positive and ||x - x0|| < R: nothing is
asked of the path on which c was found. Two things make a smaller than the
global |m|: each pre-activation stays in an interval around its value at x0,
and theta near 0, where 1 - theta is large, keeps the first layer's even
nearer to their values at c. [SF20, section 7.4] mentions the first, for two
layers.

[SF20]: Singla and Feizi, "Second-Order Provable Defenses against Adversarial
Attacks", ICML 2020.
"""

from collections.abc import Iterator
import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfcurv import numerics
from tfcurv import solvers
from tfcurv.bounds.curvature import densities
from tfcurv.bounds.curvature.centred_chain import centred_chain_norm_bound
from tfcurv.bounds.curvature.theorem4 import vanished
from tfcurv.bounds.propagation.chain import ChainRegions
from tfcurv.networks.chain import Network
from tfcurv.networks.functions.intervals import Interval
from tfcurv.solvers.threads import in_threads

# Pieces of [0, 1] for theta. On a plain sigmoid network for MNIST the mean
# bound was 0.71 of the global one with 1 piece, 0.55 with 4, 0.52 with 16 and
# 0.51 with 64, in balls of radius 0.6; the factorisation costs more than these.
_PIECES = 16

# Of an array that several pieces make together.
_NUMBERS = 2**20

_INFLATION = numerics.STEP_INFLATION


class Ball(NamedTuple):
    """Balls of inputs, row by row, each with a point to evaluate at.

    Attributes:
        x0: `[batch, dim]` float64 centres of the balls.
        radius: `[batch]` float64 radii R.
        c: `[batch, dim]` float64 points, in the ball or not.
    """

    x0: tf.Tensor
    radius: tf.Tensor
    c: tf.Tensor


class LocalCurvature:
    """Bounds curvature in balls around points of one network."""

    def __init__(self, network: Network):
        """Computes what all points share.

        Args:
            network: The network, of at least two layers.
        """
        self._network = network
        self._gram = solvers.ScaledGram(network.affines[0].kernel)
        self._regions = ChainRegions(network)

    def concavity_upper_bounds(
        self, ball: Ball, y: np.ndarray, t: np.ndarray
    ) -> np.ndarray:
        """Returns a with f(x) >= f(c) + g . (x - c) - a/2 ||x - c||^2.

        For f = z_y - z_t and every x in the ball; see the module.

        Args:
            ball: The balls.
            y: `[batch]` classes that are to stay.
            t: `[batch]` classes that they are compared with.

        Returns:
            `[batch]` proved bounds, infinite where numbers overflow.
        """
        network = self._network
        inside, reached = self._pre_activations(ball)
        layers = list(zip(network.activations, reached))
        slopes = [_numpy(fn.slope_range_on(*z)) for fn, z in layers]
        outer = densities.outer_ranges(network, *self._weights(y, t), slopes)
        first = _averaged(outer[0], self._pieces(ball.c, inside))
        bends = [_numpy(fn.curvature_range_on(*z)) for fn, z in layers[1:]]
        weights = [first, *densities.negative_densities(outer[1:], bends)]

        def bound(row: int) -> float:
            return self._bound(
                [weight[row] for weight in weights],
                [Interval(s.lower[row], s.upper[row]) for s in slopes],
            )

        return np.array(in_threads(bound, range(len(y))))

    def _bound(self, weights, slopes) -> float:
        """Bounds lambda_max(sum_I B_I^T diag(D_I) B_I), layer by layer."""
        network = self._network
        root = np.sqrt(weights[0])
        first = self._gram.scaled_norm_upper_bound(root)
        first += network.affines[0].kernel_error * float(np.max(root))
        first = numerics.round_up(first, 8)
        total, lipschitz = first * first, [network.norms[0]]
        for layer in range(1, len(weights)):
            share = centred_chain_norm_bound(
                network, layer, weights[layer], slopes, lipschitz
            )
            total += share * share
            if layer + 1 < len(weights):
                every = np.ones_like(weights[layer])
                lipschitz.append(
                    centred_chain_norm_bound(
                        network, layer, every, slopes, lipschitz
                    )
                )
        total = numerics.round_up(total, 2 * len(weights))
        found = math.inf if math.isnan(total) else total
        return found + vanished(network)

    def _weights(self, y, t) -> tuple[np.ndarray, np.ndarray]:
        """Encloses w = K[:, y] - K[:, t] of the exact kernel, row by row."""
        last = self._network.affines[-1]
        columns = last.kernel.T
        weights = columns[y] - columns[t]
        error = numerics.gamma(1) * np.abs(weights) + 2.0 * last.kernel_error
        error *= _INFLATION
        return weights - error, weights + error

    def _pre_activations(self, ball: Ball) -> tuple[Interval, list[Interval]]:
        """Encloses z_1 in the balls, and every z_I on segments from c."""
        centres = self._regions.centres(ball.x0)
        (inside,) = self._regions.pre_activations(centres, ball.radius, 1)
        # The segments lie in the hull of the ball and c.
        beyond = tf.norm(ball.c - ball.x0, axis=-1) + numerics.NORM_FLOOR
        reach = tf.maximum(ball.radius, beyond * _INFLATION)
        return inside, self._regions.pre_activations(centres, reach)

    def _pieces(self, c, inside) -> Iterator[tuple[float, Interval]]:
        """Yields weights of pieces of theta, and s'' of the first layer there.

        z(c + theta (x - c)) = (1 - theta) z(c) + theta z(x), with z(x) in
        `inside`; linear in theta, so that its ends are at the piece's.
        """
        low, high = inside
        z, error = self._regions.centres(c).pre_activations[0]
        slack = error[:, tf.newaxis] + 8.0 * numerics.gamma(1) * (
            tf.abs(z) + tf.abs(low) + tf.abs(high)
        )
        ends = np.linspace(0.0, 1.0, _PIECES + 1)
        # Several pieces at a time, in arrays of moderate size.
        count = max(1, _NUMBERS // max(1, z.shape.num_elements()))
        for first in range(0, _PIECES, count):
            some = ends[first : first + count + 1]
            theta = tf.constant(some)[:, tf.newaxis, tf.newaxis]
            lows = (1.0 - theta) * z + theta * low
            highs = (1.0 - theta) * z + theta * high
            found = self._network.activations[0].curvature_range_on(
                tf.minimum(lows[:-1], lows[1:]) - slack,
                tf.maximum(highs[:-1], highs[1:]) + slack,
            )
            for start, end, *piece in zip(some, some[1:], *_numpy(found)):
                # 2 times the integral of 1 - theta; exact, the ends are binary.
                weight = (1.0 - start) ** 2 - (1.0 - end) ** 2
                yield weight, Interval(*piece)


def _averaged(outer: Interval, pieces) -> np.ndarray:
    total = sum(
        weight * densities.negative_part(outer, curvature)
        for weight, curvature in pieces
    )
    return numerics.round_up(total, 2 * _PIECES)


def _numpy(ends) -> Interval:
    return Interval(*(end.numpy() for end in ends))
