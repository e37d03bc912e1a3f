r"""Randomised smoothing: what holds of a majority, with a probability [CRK19].

The smoothed classifier gives x the class that the base classifier gives most
of all x + sigma g, g standard normal. If the probability of that class is at
least p > 1/2, it stays the same within

    R = sigma Phi^{-1}(p)             ([CRK19], Theorem 1, with p_B = 1 - p),

Phi the normal distribution function. p is not known, but counted: of n draws k
were of the class, and the p with P(at least k of n | p) = alpha,

    p = the alpha quantile of Beta(k, n - k + 1)   (Clopper and Pearson, 1934),

is too large with a probability of at most alpha.

Statistics, no proof: it holds of ideal normal noise and of the smoothed
classifier, never of the base classifier itself.

[CRK19]: Cohen, Rosenfeld and Kolter, "Certified Adversarial Robustness via
Randomized Smoothing", ICML 2019.
"""

import numpy as np
import tensorflow as tf

# Halvings of [0, 1]: to the last digit of float64.
_HALVINGS = 60

# How far the functions of TensorFlow may be off, relative, with room to spare.
_ACCURACY = 1e-9


def probability_lower_bound(
    hits: np.ndarray, draws: int, failure_probability: float
) -> np.ndarray:
    """Returns lower bounds on probabilities, by Clopper and Pearson.

    Args:
        hits: `[...]` integers, how many of the draws were of the class.
        draws: How many there were.
        failure_probability: alpha, how often a bound may be too large.

    Returns:
        `[...]` float64; 0 where there were no hits.
    """
    hits = np.asarray(hits, np.float64)
    low, high = np.zeros(hits.shape), np.ones(hits.shape)
    # Of no hits the distribution below has no meaning, and 0 is right.
    k = tf.constant(np.maximum(hits, 1.0))
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        tail = tf.math.betainc(k, draws - k + 1.0, middle).numpy()
        # NaN compares false: it raises nothing.
        rare = tail * (1.0 + _ACCURACY) <= failure_probability
        low, high = np.where(rare, middle, low), np.where(rare, high, middle)
    return np.where(hits > 0.0, low, 0.0)


def smoothed_radius(probability: np.ndarray, sigma: float) -> np.ndarray:
    """Returns radii in which a class keeps the majority; 0 for no majority.

    Args:
        probability: `[...]` float64 lower bounds on the probability of it.
        sigma: Standard deviation of the noise.
    """
    quantile = tf.math.ndtri(tf.constant(probability, tf.float64)).numpy()
    majority = (probability > 0.5) & np.isfinite(quantile)
    return np.where(majority, sigma * quantile * (1.0 - _ACCURACY), 0.0)
