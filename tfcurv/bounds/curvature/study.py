"""How far the logit differences of a network really bend at given points.

Estimates from below, to hold proved bounds against: see `CurvatureBounder`.
"""

from collections.abc import Callable
from collections.abc import Sequence
import functools
from typing import Any
from typing import NamedTuple

import tensorflow as tf

from tfcurv import solvers
from tfcurv import tracing
from tfcurv.bounds.curvature.everywhere import CurvatureBounder
from tfcurv.networks.chain import ForwardPass
from tfcurv.networks.chain import Network

#: Products with a matrix that find its extreme eigenvalues well enough: to
#: 1e-7, relative, at 200 images each of two networks on MNIST. There float32
#: spared a quarter of the time or more, and erred by 3e-6.
LANCZOS_STEPS = 20

# All points start from one random vector, so that what is found at a point
# does not depend on the others.
_SEED = (20, 8)


class AttainedCurvature(NamedTuple):
    """What is attained at a batch of points, for f = z_y - z_t.

    All are estimates from below, in logits per squared input unit. B_I and
    F_I are those of [SF20, Lemma 1], see `hessian`; ^+ and ^- are the positive
    and the negative part, which both are zero or more.

    Attributes:
        convexity_estimate: `[batch]` lambda_max(H), what M(y, t) bounds.
        concavity_estimate: `[batch]` -lambda_min(H), what -m(y, t) bounds.
        layer_convexity_estimate: `[batch, L - 1]` the largest eigenvalue of
            B_I^T diag((F_I s''(z_I))^+) B_I, for each hidden layer.
        layer_concavity_estimate: `[batch, L - 1]` the same of the negative
            parts, what `CurvatureBounder.layer_terms` bounds.
    """

    convexity_estimate: tf.Tensor
    concavity_estimate: tf.Tensor
    layer_convexity_estimate: tf.Tensor
    layer_concavity_estimate: tf.Tensor


class ProvedCurvature(NamedTuple):
    """What is proved for one f = z_y - z_t, for all x.

    In logits per squared input unit, zero or more. Numbers of one pair; of
    several, arrays with an axis more in front.

    Attributes:
        convexity_bound: M(y, t), on lambda_max(H).
        concavity_bound: -m(y, t), on -lambda_min(H).
        theorem4_bound: K of [SF20, Theorem 4], on both.
        layer_convexity_bound: `[L - 1]` `layer_terms(t, y)`.
        layer_concavity_bound: `[L - 1]` `layer_terms(y, t)`.
    """

    convexity_bound: Any
    concavity_bound: Any
    theorem4_bound: Any
    layer_convexity_bound: Any
    layer_concavity_bound: Any


class CurvatureProver:
    """Proves what a `CurvatureProbe` is to be held against, pair by pair."""

    def __init__(self, network: Network):
        """Computes what all pairs share."""
        bounder = CurvatureBounder(network)
        self._theorem4 = bounder.pair_theorem4_bound
        # Each serves the pair and the one in the other order.
        self._concavity = functools.cache(bounder.pair_concavity_upper_bound)
        self._layer_terms = functools.cache(bounder.layer_terms)

    def __call__(self, y: int, t: int) -> ProvedCurvature:
        """Returns what is proved of z_y - z_t."""
        return ProvedCurvature(
            convexity_bound=self._concavity(t, y),
            concavity_bound=self._concavity(y, t),
            theorem4_bound=self._theorem4(y, t),
            layer_convexity_bound=self._layer_terms(t, y),
            layer_concavity_bound=self._layer_terms(y, t),
        )


class CurvatureProbe:
    """Estimates the curvature of a network's logit differences at points.

    Lanczos' method on the closed form of [SF20, Lemma 1] of the Hessian, a
    product with which costs a pass forward and one back. Compiled once, for
    every batch size.

    Source: Singla and Feizi, "Second-Order Provable Defenses against
    Adversarial Attacks", ICML 2020 [SF20].
    """

    def __init__(self, network: Network, *, num_steps: int = LANCZOS_STEPS):
        """Prepares the probe.

        Args:
            network: The network.
            num_steps: Number of products with each matrix, at least 1. Exact
                but for rounding where it is the number of inputs.

        Raises:
            ValueError: `num_steps` is not positive.
        """
        if num_steps < 1:
            raise ValueError(
                "Lanczos needs a step. "
                f"Received: num_steps={num_steps!r}. Allowed: 1 or more."
            )
        self._network = network
        self._num_steps = num_steps
        classes = tf.TensorSpec([None], tf.int32)
        self._attained = tracing.Traced(
            self._attain,
            [
                tf.TensorSpec([None, network.input_dim], tf.float64),
                classes,
                classes,
            ],
        )

    def __call__(
        self, x: tf.Tensor, y: tf.Tensor, t: tf.Tensor
    ) -> AttainedCurvature:
        """Returns what is attained at the rows of x.

        Args:
            x: `[batch, dim]` float64 points.
            y: `[batch]` int32 classes counted positively.
            t: `[batch]` int32 classes counted negatively.
        """
        return self._attained(x, y, t)

    def _attain(self, x, y, t) -> AttainedCurvature:
        weights, _ = self._network.pair(y, t, x.dtype)
        forward = self._network.forward(x)
        densities = signed_densities(self._network, forward, weights)
        whole = self._ritz_values(forward, densities)
        positive = [tf.nn.relu(density) for density in densities]
        negative = [tf.nn.relu(-density) for density in densities]
        return AttainedCurvature(
            whole.largest,
            -whole.smallest,
            self._by_layer(forward, positive),
            self._by_layer(forward, negative),
        )

    def _by_layer(self, forward: ForwardPass, densities) -> tf.Tensor:
        found = [
            self._ritz_values(forward, [None] * index + [density]).largest
            for index, density in enumerate(densities)
        ]
        batch = tf.shape(forward.values[0])[0]
        none = tf.zeros([batch, 0], forward.features.dtype)
        return tf.stack(found, axis=-1) if found else none

    def _ritz_values(self, forward, densities) -> solvers.RitzValues:
        x = forward.values[0]
        start = tf.random.stateless_normal(x.shape[-1:], _SEED, dtype=x.dtype)
        return solvers.extreme_ritz_values(
            hessian_operator(self._network, forward, densities),
            tf.zeros_like(x) + start,
            num_steps=self._num_steps,
        )


def signed_densities(
    network: Network, forward: ForwardPass, weights: tf.Tensor
) -> list[tf.Tensor]:
    """Returns F_I s''(z_I), `[batch, n]` each, for I = 1, ..., L - 1.

    Args:
        network: The network.
        forward: Its pass at a batch of points.
        weights: `[batch, n]` as given by `Network.pair`.
    """
    outer = network.backward(forward, weights)[-2::-1]
    return [
        layer * fn.curvature(z)
        for layer, fn, z in zip(
            outer, network.activations, forward.pre_activations
        )
    ]


def hessian_operator(
    network: Network,
    forward: ForwardPass,
    densities: Sequence[tf.Tensor | None],
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns v -> sum_I B_I^T diag(D_I) B_I v, row by row.

    With D_I = F_I s''(z_I) that is the Hessian of [SF20, Lemma 1].

    Args:
        network: The network.
        forward: Its pass at a batch of points, where B_I is taken.
        densities: `[batch, n]` D_I for I = 1, 2, ..., up to the last layer
            that counts; before it, None stands for zero.
    """
    maps = [affine.linear for affine in network.affines[: len(densities)]]

    def operator(v):
        if not maps:
            return tf.zeros_like(v)
        tangents = [maps[0].apply(v)]
        for slope, each in zip(forward.slopes, maps[1:]):
            tangents.append(each.apply(slope * tangents[-1]))
        carried = densities[-1] * tangents[-1]
        for index in range(len(maps) - 2, -1, -1):
            carried = maps[index + 1].transpose(carried)
            carried *= forward.slopes[index]
            if densities[index] is not None:
                carried += densities[index] * tangents[index]
        return maps[0].transpose(carried)

    return operator
