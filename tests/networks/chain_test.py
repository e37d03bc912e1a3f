"""Tests of tfcurv.networks.chain against plain and exact arithmetic."""

from fractions import Fraction
import math
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import numpy as np
import tensorflow as tf

import bounds_oracles as oracles
from tfcurv import networks

_WIDTHS = {1: (3, 4), 2: (3, 6, 4), 3: (3, 6, 5, 4), 4: (3, 6, 5, 7, 4)}

_every_depth = parameterized.named_parameters(
    *((f"{depth}_layers", depth) for depth in _WIDTHS)
)
_every_dtype = parameterized.named_parameters(
    ("float32", tf.float32, 1e-5), ("float64", tf.float64, 1e-13)
)


def _points(dim: int, count: int = 5) -> np.ndarray:
    return np.random.default_rng(8).standard_normal((count, dim))


def _plain_logits(network, x):
    """The network as its module writes it down."""
    for affine, fn in zip(network.affines, [*network.activations, None]):
        x = x @ affine.kernel + affine.bias
        x = fn.value(tf.constant(x)).numpy() if fn else x
    return x


def _exact(array) -> np.ndarray:
    return np.vectorize(Fraction, otypes=[object])(np.asarray(array, float))


def _squared_size(array) -> Fraction:
    return sum((x * x for x in array.flat), Fraction(0))


class NormsTest(absltest.TestCase):
    def test_are_proved_for_those_who_ask(self):
        kernels = np.ones((2, 3)), np.ones((3, 2))
        dense = [networks.Dense(kernel=kernel) for kernel in kernels]
        network = networks.Network(
            [
                networks.Affine(linear=d, bias=np.zeros(d.outputs))
                for d in dense
            ],
            [networks.activation("tanh")],
        )
        x = tf.ones([1, 2], tf.float64)
        with mock.patch.object(
            networks.Dense, "norm_upper_bound", side_effect=[7.0, 8.0]
        ) as norm:
            network.evaluate(x, *network.pair([0], [1], tf.float64))
            norm.assert_not_called()
            self.assertLess(abs(network.norms[0] - 7.0), 1e-12)
            self.assertLess(abs(network.norms[1] - 8.0), 1e-12)
            self.assertEqual(norm.call_count, 2)


class EvaluationTest(parameterized.TestCase):
    @parameterized.product(depth=(*_WIDTHS,), name=oracles.NAMES)
    def test_logits_are_those_of_the_formula(self, depth, name):
        network = oracles.random_network(depth, _WIDTHS[depth], name)
        x = _points(3)
        np.testing.assert_allclose(
            network.logits(tf.constant(x)), _plain_logits(network, x), 1e-12
        )

    @_every_depth
    def test_mixed_activations_stand_in_their_order(self, depth):
        names = ("tanh", "softplus", "sigmoid")[: depth - 1]
        network = oracles.random_network(0, _WIDTHS[depth], names)
        x = _points(3)
        np.testing.assert_allclose(
            network.logits(tf.constant(x)), _plain_logits(network, x), 1e-12
        )

    @parameterized.product(depth=(*_WIDTHS,), name=("tanh", "gelu", "elu"))
    def test_evaluates_the_margin_and_its_gradient(self, depth, name):
        network = oracles.random_network(depth, _WIDTHS[depth], name)
        x = tf.constant(_points(3))
        y, t = tf.constant([0, 1, 2, 3, 3]), tf.constant([1, 0, 3, 2, 3])
        with tf.GradientTape() as tape:
            tape.watch(x)
            logits = network.logits(x)
            margin = tf.gather(logits, y, batch_dims=1)
            margin -= tf.gather(logits, t, batch_dims=1)
        found = network.evaluate(x, *network.pair(y, t, tf.float64))
        np.testing.assert_allclose(found.margin, margin, atol=1e-13)
        gradient = tape.gradient(margin, x)
        np.testing.assert_allclose(found.gradient, gradient, atol=1e-13)
        # A class against itself.
        self.assertEqual(found.margin[-1], 0.0)
        self.assertFalse(np.any(found.gradient[-1]))

    @_every_dtype
    def test_keeps_the_dtype_of_its_input(self, dtype, accuracy):
        network = oracles.random_network(1, _WIDTHS[3], "silu")
        x = tf.cast(_points(3), dtype)
        y, t = tf.zeros([5], tf.int32), tf.ones([5], tf.int32)
        found = network.evaluate(x, *network.pair(y, t, dtype))
        plain = _plain_logits(network, x.numpy().astype(np.float64))
        for tensor in (*found, network.logits(x), network.columns(dtype)):
            self.assertEqual(tensor.dtype, dtype)
        np.testing.assert_allclose(
            found.margin, plain[:, 0] - plain[:, 1], atol=accuracy
        )

    @_every_depth
    def test_backward_ends_with_the_gradient(self, depth):
        network = oracles.random_network(2, _WIDTHS[depth], "mish")
        x = tf.constant(_points(3))
        forward = network.forward(x)
        self.assertLen(forward.pre_activations, depth - 1)
        self.assertLen(forward.slopes, depth - 1)
        self.assertLen(forward.values, depth)
        weights, bias = network.pair(
            tf.fill([5], 1), tf.fill([5], 0), tf.float64
        )
        found = network.backward(forward, weights)
        widths = [tensor.shape[-1] for tensor in found]
        self.assertEqual(widths, [*_WIDTHS[depth][-2::-1]])
        gradient = network.evaluate(x, weights, bias).gradient
        np.testing.assert_array_equal(found[-1], gradient)

    @oracles.in_every_regime
    def test_is_the_same_in_every_regime(self, compiled):
        network = oracles.random_network(3, _WIDTHS[3], "tanh")
        x = tf.constant(_points(3))
        weights, bias = network.pair(
            tf.fill([5], 1), tf.fill([5], 0), tf.float64
        )
        expected = network.evaluate(x, weights, bias)
        found = compiled(network.evaluate)(x, weights, bias)
        for one, other in zip(found, expected):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)

    def test_one_hidden_unit_and_one_input_are_enough(self):
        network = oracles.random_network(3, (1, 1, 2), "tanh")
        x = _points(1)
        np.testing.assert_allclose(
            network.logits(tf.constant(x)), _plain_logits(network, x), 1e-12
        )


class StructureTest(parameterized.TestCase):
    @_every_depth
    def test_knows_its_sizes(self, depth):
        network = oracles.random_network(0, _WIDTHS[depth], "tanh")
        self.assertEqual(network.input_dim, 3)
        self.assertEqual(network.num_classes, 4)
        self.assertEqual(network.num_layers, depth)

    @parameterized.parameters(0.0, 0.25)
    def test_norms_are_those_of_the_exact_kernels(self, error):
        network = oracles.random_network(
            0, _WIDTHS[3], "tanh", gain=3.0, errors=error
        )
        rng = np.random.default_rng(1)
        for affine, norm, frobenius in zip(
            network.affines, network.norms, network.frobenius_norms
        ):
            oracle = np.linalg.norm(affine.kernel, 2)
            self.assertBetween(norm, oracle + error, (oracle + error) * 1.001)
            self.assertGreaterEqual(frobenius, np.linalg.norm(affine.kernel))
            # A kernel that far away, along the leading singular vectors.
            left, _, right = np.linalg.svd(affine.kernel)
            off = affine.kernel + error * np.outer(left[:, 0], right[0])
            self.assertGreaterEqual(norm, np.linalg.norm(off, 2))
            # And another, anywhere.
            step = rng.standard_normal(affine.kernel.shape)
            step *= error / np.linalg.norm(step)
            self.assertGreaterEqual(
                norm, np.linalg.norm(affine.kernel + step, 2)
            )

    @parameterized.parameters(math.inf, math.nan)
    def test_an_unknown_kernel_has_no_norm(self, error):
        affine = networks.Affine(
            kernel=np.ones((2, 2)), bias=np.zeros(2), kernel_error=error
        )
        network = networks.Network([affine], [])
        self.assertEqual(network.norms, (math.inf,))

    @parameterized.parameters(0, 2)
    def test_refuses_a_wrong_number_of_activations(self, count):
        affines = [
            networks.Affine(kernel=np.ones((2, 2)), bias=np.ones(2))
            for _ in range(2)
        ]
        with self.assertRaisesRegex(
            ValueError, f"Received: 2 maps, {count} activations"
        ):
            networks.Network(affines, [networks.activation("tanh")] * count)

    def test_refuses_no_maps_at_all(self):
        with self.assertRaisesRegex(ValueError, "Received: 0 maps"):
            networks.Network([], [])

    def test_refuses_maps_that_do_not_fit(self):
        affines = [
            networks.Affine(kernel=np.ones((3, 4)), bias=np.ones(4)),
            networks.Affine(kernel=np.ones((3, 2)), bias=np.ones(2)),
        ]
        with self.assertRaisesRegex(ValueError, "4 outputs before 3 inputs"):
            networks.Network(affines, [networks.activation("tanh")])

    @parameterized.parameters(
        ((3,), (3,)), ((3, 4), (3,)), ((3, 4), (4, 1)), ((1, 3, 4), (4,))
    )
    def test_refuses_a_bias_that_does_not_fit(self, kernel, bias):
        with self.assertRaisesRegex(ValueError, "kernel.shape=.*bias.shape="):
            networks.Affine(kernel=np.ones(kernel), bias=np.ones(bias))

    @parameterized.parameters(
        (np.float32, float),
        (float, np.float32),
        (np.float16, float),
        (int, int),
    )
    def test_refuses_arrays_whose_rounding_it_does_not_bound(
        self, kernel, bias
    ):
        with self.assertRaisesRegex(TypeError, "kernel.dtype=.*bias.dtype="):
            networks.Affine(
                kernel=np.ones((2, 3), kernel), bias=np.ones(3, bias)
            )


def _fused(maps) -> networks.Affine:
    """Fuses (kernel, bias, roundings, bias_error) by way of a graph."""
    flow = networks.Flow(len(maps[0][0]))
    value = flow.input
    for kernel, bias, roundings, error in maps:
        dense = networks.Dense(kernel=kernel)
        value = flow.linear(
            value, dense, bias, roundings=roundings, bias_error=error
        )
    return flow.network(value).affines[0]


class FusedMapsTest(parameterized.TestCase):
    @hypothesis.given(
        st.integers(0, 10**6), st.sampled_from([(0, 0.0), (5000, 0.1)])
    )
    @hypothesis.settings(max_examples=60)
    def test_carries_its_error_in_exact_arithmetic(self, seed, errors):
        roundings, error = errors
        rng = np.random.default_rng(seed)
        widths = rng.integers(1, 6, 4)
        scales = 10.0 ** rng.uniform(-8.0, 8.0, 3)
        stored = [
            (
                rng.standard_normal((n, m)) * scale,
                rng.standard_normal(m) * scale,
                roundings,
                error * scale,
            )
            for n, m, scale in zip(widths, widths[1:], scales)
        ]
        fused = _fused(stored)
        kernel, bias = self._exact_composition(rng, stored)
        missed = (_exact(fused.kernel) - kernel).astype(float)
        self.assertLessEqual(np.linalg.norm(missed, 2), fused.kernel_error)
        distance = _squared_size(_exact(fused.bias) - bias)
        self.assertLessEqual(distance, Fraction(fused.bias_error) ** 2)

    def _exact_composition(self, rng, stored):
        """Fuses, without rounding, maps as far off as their errors allow."""
        kernel = bias = None
        for own_kernel, own_bias, roundings, error in stored:
            gamma = 0.999 * roundings * 2.0**-53
            signs = rng.choice([-1.0, 1.0], own_kernel.shape)
            true = _exact(own_kernel) * (1 + _exact(gamma * signs))
            step = rng.standard_normal(own_bias.shape)
            # A little inside, whatever the rounding of the length.
            step *= error * (1.0 - 1e-12) / np.linalg.norm(step)
            shift = _exact(own_bias) + _exact(step)
            if kernel is None:
                kernel, bias = true, shift
            else:
                kernel, bias = kernel @ true, bias @ true + shift
        return kernel, bias

    @parameterized.parameters(0.0, 0.5)
    def test_every_inherited_error_of_a_bias_may_come_true(self, error):
        one = np.ones((1, 1))
        fused = _fused(
            [
                (2.0 * one, np.full(1, 3.0), 0, error),
                (5.0 * one, np.full(1, 7.0), 0, error),
            ]
        )
        shift = (3.0 + error) * 5.0 + (7.0 + error) - 22.0
        self.assertBetween(fused.bias_error, shift, shift + 1e-13)

    def test_roundings_of_kernels_add_up(self):
        one = np.ones((1, 1))
        maps = [(2.0 * one, np.zeros(1), 3, 0.0), (5.0 * one, None, 7, 0.0)]
        found = _fused(maps).kernel_error / (10.0 * 2.0**-53)
        self.assertBetween(found, 10.0, 14.0)

    def test_the_error_is_that_of_rounding(self):
        rng = np.random.default_rng(0)
        first, second = rng.standard_normal((2, 20, 20))
        zero = np.zeros(20)
        fused = _fused([(first, zero, 0, 0.0), (second, zero, 0, 0.0)])
        size = np.linalg.norm(np.abs(first) @ np.abs(second), 2)
        self.assertBetween(fused.kernel_error, 0.0, 60 * 2.0**-53 * size)
        self.assertGreater(fused.kernel_error, 0.0)

    def test_is_the_composition(self):
        network = oracles.random_network(5, (4, 3, 5), "linear")
        fused = _fused([(a.kernel, a.bias, 0, 0.0) for a in network.affines])
        x = tf.constant(_points(4))
        np.testing.assert_allclose(
            networks.Network([fused], []).logits(x),
            network.logits(x),
            rtol=1e-12,
            atol=1e-13,
        )


if __name__ == "__main__":
    absltest.main()
