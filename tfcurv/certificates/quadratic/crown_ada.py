"""The linear bounds of CROWN-Ada, for two layers and the l2 norm.

In the ball of radius R a hidden unit's z stays in [l, u]; where l < 0 < u,

    relu(z) <= u / (u - l) (z - l),    relu(z) >= [u >= -l] z,

and the margin is at least a linear function, whose least value in the ball is
its value at x0 less R times its gradient's norm. Source: Zhang, Weng, Chen,
Hsieh and Daniel, "Efficient Neural Network Robustness Certification with
General Activation Functions", NeurIPS 2018. A first bound for every class,
cheaper than those of `relu_search`, and what these are compared with.
"""

import numpy as np

from tfcurv.certificates.quadratic.minorants import Quadratics
from tfcurv.certificates.quadratic.minorants import ReluBounder

# Evaluations that narrow the interval in which the radius lies, by doubling
# its lower end at first, by half later.
_STEPS = 16

# No length of a gradient is smaller: a constant margin is safe far out.
_LEAST = 1e-100


def chords(weights: np.ndarray, low: np.ndarray, high: np.ndarray):
    """Returns the bounds as `Quadratics` without curvature.

    Args:
        weights: `[batch, n]` w.
        low: `[batch, n]` l.
        high: `[batch, n]` u.
    """
    with np.errstate(all="ignore"):
        chord = high / (high - low)
    nearer = np.where(high >= -low, 1.0, 0.0)
    slope = np.where(weights < 0.0, chord, nearer)
    slope = np.where(low >= 0.0, 1.0, np.where(high <= 0.0, 0.0, slope))
    return Quadratics(np.zeros_like(slope), slope)


def linear_radii(
    bounder: ReluBounder, x0: np.ndarray, y: np.ndarray, t: np.ndarray
) -> np.ndarray:
    """Estimates the largest radii `[batch]` that the linear bounds prove.

    Args:
        bounder: Of the network.
        x0: `[batch, dim]` float64 points.
        y: `[batch]` classes that are to stay.
        t: `[batch]` classes that they are compared with.

    Returns:
        Radii R for which the bounds in the ball of radius R are positive, up
        to rounding; 0 where none are.
    """
    z, weights = bounder.pre_activations(x0), bounder.weights(y, t)
    ranges = bounder.ranges_around(x0)
    bias = bounder.bias(y, t)
    kernel = bounder.network.affines[0].kernel
    with np.errstate(all="ignore"):
        norms = np.linalg.norm(kernel, axis=0)

    def reach(radius: np.ndarray) -> np.ndarray:
        """Returns how far from x0 the bounds in a ball are positive."""
        low, high = ranges(radius)
        slope = chords(weights, low, high).slope
        crossing = (low < 0.0) & (high > 0.0) & (weights < 0.0)
        above = np.where(crossing, -slope * low, 0.0)
        value = np.sum(weights * (slope * z + above), axis=-1) + bias
        size = bounder.about_gradient_norms(weights * slope)
        return np.where(value > 0.0, value / np.maximum(size, _LEAST), 0.0)

    with np.errstate(all="ignore"):
        margin = np.sum(weights * np.maximum(z, 0.0), axis=-1) + bias
        steepest = np.maximum(np.abs(weights) @ norms, _LEAST)
        first = np.maximum(margin / steepest, 0.0)
        low, high = np.zeros_like(bias), reach(np.zeros_like(bias))
        for _ in range(_STEPS):
            # Where the gradient vanishes at x0, nothing is known from above.
            near = np.maximum(low, first)
            middle = np.where(high > 4.0 * near, 2.0 * near, 0.5 * (low + high))
            there = reach(middle)
            high = np.where(there < middle, np.minimum(middle, high), high)
            low = np.maximum(low, np.minimum(middle, there))
            high = np.maximum(high, low)
    return low
