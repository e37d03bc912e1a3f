r"""Bounds on the curvature of a margin seen from one point, image by image.

A proof evaluates the margin f at a centre c and needs a bound a with

    f(x) >= f(c) + grad f(c) . (x - c) - a/2 ||x - c||^2

for the points x of the ball of radius R around x0: then f > 0 wherever the
quadratic is positive and ||x - x0|| < R. A bound on the Hessian of f between c
and x would do, by Lemma 1 of [SF20]; but it takes the worst of the outer
weights F_I = df/da_I over all these points, where at c they are known. Unit by
unit, with z = z_I(c), D = z_I(x) - z and theta in [0, 1],

    s(z + D) - s(z) - s'(z) D = D^2 integral of (1 - theta) s''(z + theta D).

Going back from f, the parts linear in D add up to the gradient at c, exactly,
and the quadratic ones leave, each weighted with F_I at c:

    f(x) >= f(c) + grad f(c) . (x - c) - 1/2 sum_I sum_k E_Ik D_Ik^2,
    E_I >= max(0, -F_I 2 integral of (1 - theta) s''(z + theta D)),
    D_I = W_I S_{I-1} W_{I-1} ... S_1 W_1 (x - c),

with S_J the diagonal of secant slopes, averages of s' between z_J(c) and
z_J(x). No Hessian appears, nor the path from c to x: only the intervals that
the z_I(x) lie in, which the ball gives. a is the sum over I of the squared
norm of diag(sqrt E_I) W_I S_{I-1} ... W_1, bounded over all such S by
`centred_chain`. [SF20, section 7.4] mentions bounds in a ball for two layers.

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
from tfcurv.bounds.curvature.centred_chain import spread_of
from tfcurv.bounds.curvature.theorem4 import vanished
from tfcurv.bounds.propagation.ball_box import Centre
from tfcurv.bounds.propagation.chain import ChainRegions
from tfcurv.bounds.propagation.chain_lines import ChainLines
from tfcurv.networks.chain import Network
from tfcurv.networks.functions.intervals import Interval
from tfcurv.solvers.threads import in_threads

# Pieces of [0, 1] for theta.
_PIECES = 16

# Of an array that several pieces make together.
_NUMBERS = 2**20

# Up to this many neurons behind the first layer get intervals by lines: two
# passes back through the network each.
_MAX_LINES = 4096

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
        deep = [affine.linear.outputs for affine in network.affines[1:-1]]
        lines = sum(deep) <= _MAX_LINES
        self._regions = (ChainLines if lines else ChainRegions)(network)

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
        with tf.device("CPU:0"):  # The errors of other kernels nobody bounds.
            weights, slopes = self._known(ball, *self._weights(y, t))

        def bound(row: int) -> float:
            return self._bound(
                [weight[row] for weight in weights],
                [Interval(s.lower[row], s.upper[row]) for s in slopes],
            )

        return np.array(in_threads(bound, range(len(y))))

    def _known(self, ball: Ball, low, high):
        """Returns E of each layer and its slopes, for w within low and high."""
        network = self._network
        at_c = [_exact(z) for z in self._regions.centres(ball.c)[0]]
        centres = self._regions.centres(ball.x0)
        reached = self._regions.pre_activations(centres, ball.radius)
        layers = list(zip(network.activations, at_c, reached))
        at_slopes = [_numpy(fn.slope_range_on(*z)) for fn, z, _ in layers]
        outer = densities.outer_ranges(network, low, high, at_slopes)
        weights = [
            _bends(fn, outer[index], z, values)
            for index, (fn, z, values) in enumerate(layers)
        ]
        slopes = [_secants(*layer) for layer in layers]
        return weights, slopes

    def _bound(self, weights, slopes) -> float:
        """Bounds lambda_max(sum_I B_I^T diag(E_I) B_I), layer by layer."""
        network = self._network
        spread = [spread_of(slope) for slope in slopes]
        total: float = 0.0
        moved: list[float] = []
        for layer, weight in enumerate(weights):
            share = self._share(layer, weight, slopes, moved)
            total += share * share
            if layer + 1 < len(weights):
                moved.append(self._share(layer, spread[layer], slopes, moved))
        total = numerics.round_up(total, 2 * len(weights))
        found = math.inf if math.isnan(total) else total
        return found + vanished(network)

    def _share(self, layer: int, weight, slopes, moved) -> float:
        """Bounds ||diag(sqrt weight) B_I||."""
        if layer:
            return centred_chain_norm_bound(
                self._network, layer, weight, slopes, moved
            )
        root = np.sqrt(weight)
        first = self._gram.scaled_norm_upper_bound(root)
        error = self._network.affines[0].kernel_error
        return numerics.round_up(first + error * float(np.max(root)), 8)

    def _weights(self, y, t) -> tuple[np.ndarray, np.ndarray]:
        """Encloses w = K[:, y] - K[:, t] of the exact kernel, row by row."""
        last = self._network.affines[-1]
        columns = last.kernel.T
        weights = columns[y] - columns[t]
        error = numerics.gamma(1) * np.abs(weights) + 2.0 * last.kernel_error
        error *= _INFLATION
        return weights - error, weights + error


def _exact(centre: Centre) -> Interval:
    """Encloses the exact value of what was computed."""
    error = centre.error[:, tf.newaxis] * _INFLATION + numerics.NORM_FLOOR
    slack = error + 2.0 * numerics.gamma(1) * tf.abs(centre.value)
    return Interval(centre.value - slack, centre.value + slack)


class _Pieces(NamedTuple):
    """Some of the pieces of [0, 1] that theta runs through.

    Attributes:
        start: `[pieces, 1, 1]` their left ends, binary fractions.
        end: `[pieces, 1, 1]` their right ends.
        values: `[pieces, batch, n]` where z + theta D is.
    """

    start: np.ndarray
    end: np.ndarray
    values: Interval


def _pieces(at: Interval, values: Interval) -> Iterator[_Pieces]:
    """Yields all pieces, several at a time in arrays of moderate size.

    z + theta D = (1 - theta) z + theta z(x) is linear in theta: its ends are at
    the piece's.
    """
    size = tf.add_n([tf.abs(end) for end in (*at, *values)])
    slack = 16.0 * numerics.gamma(1) * size
    ends = np.linspace(0.0, 1.0, _PIECES + 1)[:, np.newaxis, np.newaxis]
    count = max(1, _NUMBERS // max(1, size.shape.num_elements()))
    for first in range(0, _PIECES, count):
        theta = ends[first : first + count + 1]
        lows, highs = (
            (1.0 - theta) * z + theta * value for z, value in zip(at, values)
        )
        yield _Pieces(
            theta[:-1],
            theta[1:],
            Interval(
                tf.minimum(lows[:-1], lows[1:]) - slack,
                tf.maximum(highs[:-1], highs[1:]) + slack,
            ),
        )


def _bends(fn, outer: Interval, at: Interval, values: Interval) -> np.ndarray:
    """Bounds E of the module, `[batch, n]`."""
    total = np.zeros_like(outer.lower)
    for start, end, piece in _pieces(at, values):
        # 2 times the integral of 1 - theta; exact, the ends are binary.
        weight = (1.0 - start) ** 2 - (1.0 - end) ** 2
        found = _numpy(fn.curvature_range_on(*piece))
        part = densities.product(outer, found).lower
        part = part - numerics.gamma(2 * _PIECES) * np.abs(part)
        total = total + np.sum(weight * part, axis=0)
    return numerics.round_up(np.maximum(-total, 0.0), 2)


def _secants(fn, at: Interval, values: Interval) -> Interval:
    """Encloses the averages of s' between the values of two points."""
    lower, upper = np.zeros(at.lower.shape), np.zeros(at.lower.shape)
    size = np.zeros(at.lower.shape)
    for start, end, piece in _pieces(at, values):
        slope = _numpy(fn.slope_range_on(*piece))
        lower += np.sum((end - start) * slope.lower, axis=0)
        upper += np.sum((end - start) * slope.upper, axis=0)
        size += np.sum((end - start) * slope.farthest, axis=0)
    size *= numerics.gamma(2 * _PIECES + 4) * _INFLATION
    return Interval(lower - size, upper + size)


def _numpy(ends) -> Interval:
    return Interval(*(end.numpy() for end in ends))
