"""Tests of balls and boxes on chains against points sampled and attacked."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import bounds_oracles as oracles
from tfcurv import bounds
from tfcurv import networks

# What the passes of the tests themselves may be off by, beside the values.
_ROUNDING = 1e-12

_SAMPLES = 100_000

_CHAINS = (
    ("smooth", (3, 5, 4, 3, 2), ("softplus", "tanh", "sigmoid")),
    ("not_monotone", (2, 4, 4, 4, 2), ("gelu", "silu", "mish")),
    ("jumping", (4, 3, 5, 2), ("elu", "softsign")),
    ("straight", (3, 4, 3, 2), ("linear", "linear")),
)


def _kinked(seed) -> networks.Network:
    """Returns a chain with kinks, and with blocks side by side."""
    steep = networks.piecewise_linear("leaky_relu", negative_slope=-3.0)
    blocks = networks.Blocks(
        [
            networks.Block(networks.activation("linear"), 2),
            networks.Block(networks.activation("gelu"), 1),
            networks.Block(steep, 2),
        ]
    )
    chain = oracles.random_network(seed, (3, 4, 5, 4, 2), "tanh", gain=2.0)
    return networks.Network(chain.affines, [steep, blocks, networks.RELU6])


def _directions(rng, count, dim) -> np.ndarray:
    found = rng.standard_normal((count, dim))
    return found / np.linalg.norm(found, axis=-1, keepdims=True)


def _ranges(
    network, x0, radius, kind=bounds.ChainRegions
) -> list[networks.Interval]:
    """Returns what is proved of one ball."""
    regions = kind(network)
    centres = regions.centres(tf.constant(np.atleast_2d(x0), tf.float64))
    found = regions.pre_activations(centres, tf.constant([radius], tf.float64))
    return [networks.Interval(*(end.numpy()[0] for end in z)) for z in found]


def _pre_activations(network, x):
    return [z.numpy() for z in network.forward(tf.constant(x)).pre_activations]


def _attacked(network, x0, radius, rng, steps) -> np.ndarray:
    """Returns points of the ball at which some pre-activation is extreme."""
    found = []
    for layer, affine in enumerate(network.affines[:-1]):
        units = affine.linear.outputs
        signs = np.repeat(np.concatenate([np.eye(units), -np.eye(units)]), 5, 0)
        x = x0 + radius * _directions(rng, len(signs), len(x0))
        for step in range(steps):
            point = tf.constant(x)
            with tf.GradientTape() as tape:
                tape.watch(point)
                z = network.forward(point).pre_activations[layer]
                height = tf.reduce_sum(signs * z)
            slope = tape.gradient(height, point).numpy()
            size = np.linalg.norm(slope, axis=-1, keepdims=True)
            x = x + radius * 0.9**step * slope / np.maximum(size, 1e-300)
            length = np.linalg.norm(x - x0, axis=-1, keepdims=True)
            x = x0 + (x - x0) * np.minimum(1.0, radius / length)
        found.append(x)
    return np.concatenate(found)


def _met(network, x0, radius, samples=_SAMPLES, steps=30) -> list[np.ndarray]:
    """Returns pre-activations in a ball, on its rim, and at the worst."""
    rng = np.random.default_rng(0)
    step = _directions(rng, samples, len(x0))
    step[::2] *= rng.uniform(size=(len(step[::2]), 1))
    points = np.concatenate(
        [x0 + radius * step, _attacked(network, x0, radius, rng, steps)]
    )
    return _pre_activations(network, points)


class ChainTest(parameterized.TestCase):
    kind = bounds.ChainRegions

    def _ranges(self, *args):
        return _ranges(*args, kind=self.kind)

    def _assert_encloses(self, ranges, met):
        for (low, high), z in zip(ranges, met, strict=True):
            slack = _ROUNDING * (1.0 + np.max(np.abs(z)))
            self.assertTrue(np.all(low - slack <= np.min(z, axis=0)))
            self.assertTrue(np.all(np.max(z, axis=0) <= high + slack))

    @parameterized.named_parameters(*_CHAINS)
    def test_no_point_of_the_ball_leaves_the_box(self, widths, names):
        network = oracles.random_network(1, widths, names, gain=2.0)
        x0 = np.random.default_rng(2).standard_normal(widths[0])
        for radius in (1e-6, 0.3, 3.0):
            met = _met(network, x0, radius)
            self._assert_encloses(self._ranges(network, x0, radius), met)

    def test_no_kink_and_no_block_lets_it_out(self):
        network = _kinked(3)
        x0 = np.random.default_rng(4).standard_normal(3)
        for radius in (1e-6, 0.3, 3.0):
            met = _met(network, x0, radius)
            self._assert_encloses(self._ranges(network, x0, radius), met)

    @parameterized.named_parameters(*_CHAINS)
    def test_holds_for_all_kernels_that_errors_allow(self, widths, names):
        error = 0.3
        stored = oracles.random_network(1, widths, names, errors=error)
        rng = np.random.default_rng(5)
        x0 = rng.standard_normal(widths[0])
        ranges = self._ranges(stored, x0, 0.5)
        for _ in range(10):
            affines = []
            for affine in stored.affines:
                # Of rank one: a column then moves by as much as the map.
                change = np.zeros(affine.kernel.shape)
                column = rng.integers(change.shape[1])
                size = error * (1.0 - 1e-9)
                change[:, column] = size * _directions(rng, 1, len(change))[0]
                shift = size * _directions(rng, 1, change.shape[1])[0]
                affines.append(
                    networks.Affine(
                        kernel=affine.kernel + change, bias=affine.bias + shift
                    )
                )
            exact = networks.Network(affines, stored.activations)
            self._assert_encloses(ranges, _met(exact, x0, 0.5, 10_000, 8))

    def test_an_error_alone_moves_as_far_as_the_ball_allows(self):
        # Nothing as stored, behind a map that keeps the ball as it is.
        same, nothing = np.eye(2), np.zeros((2, 2))
        affines = [
            networks.Affine(kernel=same, bias=np.zeros(2)),
            networks.Affine(kernel=nothing, bias=np.zeros(2), kernel_error=0.5),
            networks.Affine(kernel=nothing, bias=np.zeros(2), kernel_error=0.5),
            networks.Affine(kernel=same, bias=np.zeros(2)),
        ]
        network = networks.Network(affines, [networks.activation("linear")] * 3)
        ranges = self._ranges(network, np.zeros(2), 2.0)
        for (low, high), reach in zip(ranges, (2.0, 1.0, 0.5)):
            np.testing.assert_allclose(high, reach, rtol=1e-7)
            np.testing.assert_allclose(low, -reach, rtol=1e-7)
            self.assertTrue(np.all(high >= reach) and np.all(low <= -reach))

    def test_the_first_box_is_attained(self):
        network = oracles.random_network(1, (5, 4, 3, 2), "tanh")
        x0 = np.random.default_rng(0).standard_normal(5)
        low, high = self._ranges(network, x0, 0.7)[0]
        columns = network.affines[0].kernel.T
        unit = columns / np.linalg.norm(columns, axis=-1, keepdims=True)
        for sign, ends in ((1.0, high), (-1.0, low)):
            z = np.diag(_pre_activations(network, x0 + sign * 0.7 * unit)[0])
            np.testing.assert_allclose(ends, z, rtol=1e-8)
            self.assertTrue(np.all(sign * (ends - z) >= -_ROUNDING))

    def test_layers_asked_for_alone_are_the_same(self):
        network = oracles.random_network(1, (5, 4, 3, 2), "tanh")
        regions = self.kind(network)
        centres = regions.centres(tf.ones([2, 5], tf.float64))
        radius = tf.constant([0.1, 1.0], tf.float64)
        every = regions.pre_activations(centres, radius)
        (first,) = regions.pre_activations(centres, radius, 1)
        self.assertLen(every, 2)
        np.testing.assert_array_equal(first, every[0])

    @parameterized.parameters("tanh", "gelu", "softsign")
    def test_a_ball_without_end_bounds_nothing_but_the_bounded(self, name):
        network = oracles.random_network(1, (3, 4, 3, 2), name)
        ranges = self._ranges(network, np.zeros(3), np.inf)
        for low, high in ranges:
            self.assertTrue(np.all((low == -np.inf) | np.isnan(low)))
            self.assertTrue(np.all((high == np.inf) | np.isnan(high)))

    def test_what_is_no_number_bounds_nothing(self):
        network = oracles.random_network(1, (3, 4, 3, 2), "tanh")
        for x0, radius in (([np.nan, 0, 0], 1.0), ([0.0, 0, 0], np.nan)):
            for low, high in self._ranges(network, x0, radius):
                self.assertFalse(np.any(np.isfinite(low)))
                self.assertFalse(np.any(np.isfinite(high)))


class LinesTest(ChainTest):
    """All of that of intervals that lines have cut, and how far they are."""

    kind = bounds.ChainLines

    @parameterized.named_parameters(
        *_CHAINS[:3], ("kinked", (3, 4, 5, 4, 2), None)
    )
    def test_cuts_what_balls_and_boxes_leave(self, widths, names):
        if names is None:
            network = _kinked(3)
        else:
            network = oracles.random_network(1, widths, names, gain=2.0)
        x0 = np.random.default_rng(2).standard_normal(widths[0])
        found = self._ranges(network, x0, 0.3)
        wide = _ranges(network, x0, 0.3)
        sizes = []
        for ours, theirs in zip(found, wide, strict=True):
            self.assertTrue(np.all(ours.lower >= theirs.lower))
            self.assertTrue(np.all(ours.upper <= theirs.upper))
            shares = (ours.upper - ours.lower) / (theirs.upper - theirs.lower)
            sizes.append(np.mean(shares))
        # Of the first layer nothing is left to find out.
        self.assertEqual(sizes[0], 1.0)
        self.assertLess(sizes[1], 0.95)
        self.assertLess(sizes[2] if len(sizes) > 2 else 0.0, 0.8)


if __name__ == "__main__":
    absltest.main()
