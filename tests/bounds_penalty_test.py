"""Tests of tfcurv.bounds.penalty."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import bounds_oracles as oracles
from tfcurv import bounds

_WIDTHS = {1: (4, 3), 2: (4, 6, 3), 3: (4, 6, 5, 3), 4: (3, 5, 4, 6, 3)}

_DEEP = (2, 3, 4)


def _layers(kernels, activations, norms):
    return [
        bounds.TrainedLayer(*layer)
        for layer in zip(kernels, norms, [*activations, None])
    ]


def _pair_weights(kernel, pairs):
    return tf.stack([kernel[:, y] - kernel[:, t] for y, t in pairs])


_PAIRS = ((0, 1), (1, 0), (2, 1), (2, 2))


def _smooth_norm(kernel):
    """A smooth function of the kernel in the place of its norm estimate."""
    gram = tf.matmul(kernel, kernel, transpose_a=True)
    vector = tf.linalg.matvec(gram, tf.ones_like(gram[0]))
    return tf.reduce_sum(vector * vector)


class ValueTest(parameterized.TestCase):
    @parameterized.product(name=oracles.CURVED, depth=_DEEP)
    def test_with_exact_norms_it_is_theorem_4(self, name, depth):
        network = oracles.random_network(depth, _WIDTHS[depth], name, gain=2.0)
        kernels = network.kernels(tf.float64)
        norms = [np.linalg.norm(kernel, 2) for kernel in kernels]
        layers = _layers(
            kernels, network.activations, [tf.constant(n) for n in norms]
        )
        found = bounds.theorem4_estimate(
            layers, _pair_weights(kernels[-1], _PAIRS)
        )
        kernel = network.affines[-1].kernel
        bound = [
            bounds.theorem4_bound(network, kernel[:, y] - kernel[:, t])
            for y, t in _PAIRS
        ]
        self.assertEqual(found.shape, (len(_PAIRS),))
        np.testing.assert_allclose(found, bound, rtol=1e-7)
        # The bound is rounded outward and its norms are proved.
        self.assertTrue(np.all(found.numpy() <= bound))

    def test_every_layer_has_its_own_activation(self):
        names = ("tanh", "softplus", "gelu")
        network = oracles.random_network(0, _WIDTHS[4], names)
        kernels = network.kernels(tf.float64)
        norms = [tf.constant(np.linalg.norm(k, 2)) for k in kernels]
        found = bounds.theorem4_estimate(
            _layers(kernels, network.activations, norms),
            _pair_weights(kernels[-1], [(0, 1)]),
        )
        kernel = network.affines[-1].kernel
        bound = bounds.theorem4_bound(network, kernel[:, 0] - kernel[:, 1])
        np.testing.assert_allclose(found, [bound], rtol=1e-7)

    def test_equal_layers_count_each(self):
        # Found here: the same layer twice over was once taken for the first.
        kernel = tf.constant([[0.5, 0.2], [-0.1, 0.7]], tf.float64)
        norm = tf.constant(np.linalg.norm(kernel, 2))
        layer = bounds.TrainedLayer(kernel, norm, bounds.activation("tanh"))
        last = bounds.TrainedLayer(kernel, norm, None)
        affine = bounds.Affine(kernel=kernel.numpy(), bias=np.zeros(2))
        network = bounds.Network([affine] * 3, [layer.activation] * 2)
        weights = np.asarray([1.0, -2.0])
        found = bounds.theorem4_estimate(
            [layer, layer, last], tf.constant(weights[np.newaxis])
        )
        bound = bounds.theorem4_bound(network, weights)
        np.testing.assert_allclose(found, [bound], rtol=1e-7)

    def test_of_one_layer_is_zero(self):
        kernel = tf.ones([4, 3])
        layers = _layers([kernel], [], [tf.ones([])])
        found = bounds.theorem4_estimate(layers, tf.ones([5, 4]))
        np.testing.assert_array_equal(found, np.zeros(5, np.float32))

    def test_grows_with_the_norms(self):
        network = oracles.random_network(0, _WIDTHS[3], "tanh")
        kernels = network.kernels(tf.float32)
        weights = _pair_weights(kernels[-1], _PAIRS[:3])
        found = []
        for factor in (0.5, 1.0, 2.0):
            norms = [tf.constant(factor, tf.float32) for _ in kernels]
            layers = _layers(kernels, network.activations, norms)
            found.append(bounds.theorem4_estimate(layers, weights))
        self.assertTrue(np.all(np.diff(found, axis=0) > 0.0))

    @parameterized.parameters(tf.float32, tf.float64)
    def test_keeps_the_dtype_whatever_that_of_the_norms(self, dtype):
        network = oracles.random_network(0, _WIDTHS[3], "silu")
        kernels = network.kernels(dtype)
        norms = [tf.constant(1.5, tf.float32) for _ in kernels]
        found = bounds.theorem4_estimate(
            _layers(kernels, network.activations, norms),
            _pair_weights(kernels[-1], _PAIRS),
        )
        self.assertEqual(found.dtype, dtype)


class GradientTest(parameterized.TestCase):
    def _penalty(self, kernels, activations):
        layers = _layers(kernels, activations, map(_smooth_norm, kernels))
        weights = _pair_weights(kernels[-1], _PAIRS[:3])
        return tf.reduce_sum(bounds.theorem4_estimate(layers, weights))

    def _gradient(self, kernels, activations, compiled=lambda fn: fn):
        def run(*kernels):
            with tf.GradientTape() as tape:
                tape.watch(kernels)
                value = self._penalty(list(kernels), activations)
            return tape.gradient(value, kernels, unconnected_gradients="zero")

        return compiled(run)(*kernels)

    @parameterized.product(name=("tanh", "softplus", "gelu"), depth=_DEEP)
    def test_is_what_differencing_gives(self, name, depth):
        network = oracles.random_network(depth, _WIDTHS[depth], name)
        kernels = list(network.kernels(tf.float64))
        gradients = self._gradient(kernels, network.activations)
        rng = np.random.default_rng(0)
        for index, gradient in enumerate(gradients):
            direction = rng.standard_normal(gradient.shape)
            values = []
            for step in (1e-6, -1e-6):
                moved = list(kernels)
                moved[index] = kernels[index] + step * direction
                values.append(self._penalty(moved, network.activations))
            slope = float(values[0] - values[1]) / 2e-6
            expected = float(tf.reduce_sum(gradient * direction))
            self.assertAlmostEqual(slope / expected, 1.0, delta=1e-5)

    @oracles.in_every_regime
    def test_is_finite_where_kernels_vanish(self, compiled):
        activations = [bounds.activation("tanh"), bounds.activation("gelu")]
        shapes = ((4, 6), (6, 5), (5, 3))
        for dtype in (tf.float32, tf.float64):
            for zeros in ((0,), (1,), (2,), (0, 1, 2)):
                kernels = [
                    tf.zeros(shape, dtype)
                    if index in zeros
                    else tf.ones(shape, dtype)
                    for index, shape in enumerate(shapes)
                ]
                gradients = self._gradient(kernels, activations, compiled)
                for gradient, kernel in zip(gradients, kernels):
                    with self.subTest(f"{dtype.name}, {zeros}"):
                        self.assertEqual(gradient.dtype, dtype)
                        self.assertEqual(gradient.shape, kernel.shape)
                        self.assertTrue(np.all(np.isfinite(gradient)))

    @oracles.in_every_regime
    def test_is_the_same_in_every_regime(self, compiled):
        network = oracles.random_network(1, _WIDTHS[3], "mish")
        kernels = list(network.kernels(tf.float64))
        expected = self._gradient(kernels, network.activations)
        found = self._gradient(kernels, network.activations, compiled)
        for one, other in zip(found, expected):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)

    def test_descending_it_lowers_the_proved_bound(self):
        network = oracles.random_network(2, _WIDTHS[3], "tanh", gain=2.0)
        kernels = list(network.kernels(tf.float64))

        def bound(kernels):
            affines = [
                bounds.Affine(kernel=k.numpy(), bias=np.zeros(k.shape[1]))
                for k in kernels
            ]
            moved = bounds.Network(affines, network.activations)
            weights = affines[-1].kernel[:, 0] - affines[-1].kernel[:, 1]
            return bounds.theorem4_bound(moved, weights)

        before = bound(kernels)
        for _ in range(10):
            gradients = self._gradient(kernels, network.activations)
            kernels = [
                kernel - 0.01 * gradient / tf.norm(gradient)
                for kernel, gradient in zip(kernels, gradients)
            ]
        self.assertLess(bound(kernels), 0.95 * before)


if __name__ == "__main__":
    absltest.main()
