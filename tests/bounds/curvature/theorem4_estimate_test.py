"""Tests of tfcurv.bounds.curvature.theorem4_estimate."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import bounds_oracles as oracles
from tfcurv import bounds
from tfcurv import networks

_WIDTHS = {1: (4, 3), 2: (4, 6, 3), 3: (4, 6, 5, 3), 4: (3, 5, 4, 6, 3)}

_DEEP = (2, 3, 4)


def _chain(*operations):
    """Steps one after the other."""
    steps = [bounds.TrainedStep(None, ())]
    for index, operation in enumerate(operations):
        steps.append(bounds.TrainedStep(operation, (index,)))
    return steps


def _map(kernel, norm):
    """A product with a kernel, as a layer lends it."""
    linear = networks.Dense(kernel=np.zeros(kernel.shape))
    return networks.trained(linear, kernel, norm)


def _steps(kernels, activations, norms):
    operations = [_map(*pair) for pair in zip(kernels, norms)]
    for index, activation in reversed(list(enumerate(activations))):
        operations.insert(index + 1, activation)
    return _chain(*operations)


def _kernels(network, dtype):
    return [tf.constant(each.kernel, dtype) for each in network.affines]


def _rows(pairs, dtype=tf.float64, classes=3):
    unit = tf.eye(classes, dtype=dtype)
    return tf.stack([unit[y] - unit[t] for y, t in pairs])


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
        kernels = _kernels(network, tf.float64)
        norms = [np.linalg.norm(kernel, 2) for kernel in kernels]
        steps = _steps(
            kernels, network.activations, [tf.constant(n) for n in norms]
        )
        found = bounds.theorem4_estimate(steps, _rows(_PAIRS))
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
        kernels = _kernels(network, tf.float64)
        norms = [tf.constant(np.linalg.norm(k, 2)) for k in kernels]
        found = bounds.theorem4_estimate(
            _steps(kernels, network.activations, norms), _rows([(0, 1)])
        )
        kernel = network.affines[-1].kernel
        bound = bounds.theorem4_bound(network, kernel[:, 0] - kernel[:, 1])
        np.testing.assert_allclose(found, [bound], rtol=1e-7)

    def test_equal_layers_count_each(self):
        # Found here: the same layer twice over was once taken for the first.
        kernel = tf.constant([[0.5, 0.2], [-0.1, 0.7]], tf.float64)
        norm = tf.constant(np.linalg.norm(kernel, 2))
        layer, tanh = _map(kernel, norm), networks.ACTIVATIONS["tanh"]
        affine = networks.Affine(kernel=kernel.numpy(), bias=np.zeros(2))
        network = networks.Network([affine] * 3, [tanh] * 2)
        found = bounds.theorem4_estimate(
            _chain(layer, tanh, layer, tanh, layer), _rows([(0, 1)], classes=2)
        )
        weights = affine.kernel[:, 0] - affine.kernel[:, 1]
        bound = bounds.theorem4_bound(network, weights)
        np.testing.assert_allclose(found, [bound], rtol=1e-7)

    def test_of_one_layer_is_zero(self):
        kernel = tf.ones([4, 3])
        steps = _steps([kernel], [], [tf.ones([])])
        found = bounds.theorem4_estimate(steps, tf.ones([5, 3]))
        np.testing.assert_array_equal(found, np.zeros(5, np.float32))

    def test_grows_with_the_norms(self):
        network = oracles.random_network(0, _WIDTHS[3], "tanh")
        kernels = _kernels(network, tf.float32)
        rows = _rows(_PAIRS[:3], tf.float32)
        found = []
        for factor in (0.5, 1.0, 2.0):
            norms = [tf.constant(factor, tf.float32) for _ in kernels]
            steps = _steps(kernels, network.activations, norms)
            found.append(bounds.theorem4_estimate(steps, rows))
        self.assertTrue(np.all(np.diff(found, axis=0) > 0.0))

    @parameterized.parameters(tf.float32, tf.float64)
    def test_keeps_the_dtype_whatever_that_of_the_norms(self, dtype):
        network = oracles.random_network(0, _WIDTHS[3], "silu")
        kernels = _kernels(network, dtype)
        norms = [tf.constant(1.5, tf.float32) for _ in kernels]
        found = bounds.theorem4_estimate(
            _steps(kernels, network.activations, norms), _rows(_PAIRS, dtype)
        )
        self.assertEqual(found.dtype, dtype)


def _random(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def _dense(kernel):
    norm = tf.constant(np.linalg.norm(kernel, 2))
    return _map(tf.constant(kernel), norm)


class GraphTest(parameterized.TestCase):
    """By hand, for what a chain has not."""

    softplus = networks.ACTIVATIONS["softplus"]  # |s'| < 1, |s''| <= 1 / 4.

    def test_what_is_added_adds_its_slopes_with_their_signs(self):
        first, second = _random(0, 4, 5), _random(1, 5, 5)
        last = _random(2, 5, 3)
        steps = [
            bounds.TrainedStep(None, ()),
            bounds.TrainedStep(_dense(first), (0,)),
            bounds.TrainedStep(self.softplus, (1,)),
            bounds.TrainedStep(_dense(second), (2,)),
            bounds.TrainedStep(bounds.TrainedAdd(), (2, 3, 2)),
            bounds.TrainedStep(_dense(last), (4,)),
        ]
        found = bounds.theorem4_estimate(steps, _rows([(0, 1)]))
        slopes = (second + 2.0 * np.eye(5)) @ (last[:, 0] - last[:, 1])
        radius = np.linalg.norm(first, 2)
        oracle = 0.25 * radius**2 * np.abs(slopes).max()
        np.testing.assert_allclose(found, [oracle])

    def test_paths_with_activations_add_absolute_slopes(self):
        first, second = _random(0, 4, 5), _random(1, 5, 5)
        last = _random(2, 5, 3)
        steps = [
            bounds.TrainedStep(None, ()),
            bounds.TrainedStep(_dense(first), (0,)),
            bounds.TrainedStep(self.softplus, (1,)),
            bounds.TrainedStep(_dense(second), (2,)),
            bounds.TrainedStep(self.softplus, (3,)),
            bounds.TrainedStep(bounds.TrainedAdd(), (2, 4)),
            bounds.TrainedStep(_dense(last), (5,)),
        ]
        found = bounds.theorem4_estimate(steps, _rows([(0, 1)]))
        weights = np.abs(last[:, 0] - last[:, 1])
        norms = [np.linalg.norm(kernel, 2) for kernel in (first, second)]
        outer = (norms[0] * norms[1]) ** 2 * weights.max()
        slopes = weights + np.abs(second) @ weights
        oracle = 0.25 * (outer + norms[0] ** 2 * slopes.max())
        np.testing.assert_allclose(found, [oracle])

    def test_what_is_concatenated_is_split_along_its_axis(self):
        first, last = _random(0, 6, 6), _random(2, 10, 3)
        shapes = ((2, 3), (2, 2))
        crop = networks.Selection.crop((2, 3), [(0, 0), (1, 0)])
        steps = [
            bounds.TrainedStep(None, ()),
            bounds.TrainedStep(_dense(first), (0,)),
            bounds.TrainedStep(networks.FixedMap(crop), (1,)),
            bounds.TrainedStep(bounds.TrainedConcatenate(shapes, 1), (1, 2)),
            bounds.TrainedStep(self.softplus, (3,)),
            bounds.TrainedStep(_dense(last), (4,)),
        ]
        found = bounds.theorem4_estimate(steps, _rows([(0, 1)]))
        weights = np.abs(last[:, 0] - last[:, 1])
        # Each part by itself changes as fast as its norm says.
        radius = np.sqrt(2.0) * np.linalg.norm(first, 2)
        oracle = 0.25 * radius**2 * weights.max()
        np.testing.assert_allclose(found, [oracle])
        steps.insert(1, bounds.TrainedStep(self.softplus, (0,)))
        steps[2:] = [
            step._replace(sources=tuple(s + 1 for s in step.sources))
            for step in steps[2:]
        ]
        found = bounds.theorem4_estimate(steps, _rows([(0, 1)]))
        halves = weights.reshape(2, 5)
        slopes = halves[:, :3] + np.pad(halves[:, 3:], [(0, 0), (1, 0)])
        slopes = np.abs(first) @ slopes.ravel()
        np.testing.assert_allclose(found, [oracle + 0.25 * slopes.max()])

    def test_a_diagonal_scales_radii_and_slopes(self):
        scale = np.array([[0.5], [-3.0]])
        last = _random(2, 4, 3)
        diagonal = networks.trained(
            networks.Diagonal(scale=np.ones((2, 1)), input_shape=(2, 2)),
            tf.constant(scale),
            tf.constant(3.0, tf.float64),
        )
        steps = _chain(diagonal, self.softplus, diagonal, _dense(last))
        found = bounds.theorem4_estimate(steps, _rows([(0, 1)]))
        weights = np.abs(last[:, 0] - last[:, 1]) * [0.5, 0.5, 3.0, 3.0]
        np.testing.assert_allclose(found, [0.25 * 9.0 * weights.max()])

    def test_a_dense_map_of_several_positions_is_one_of_each(self):
        kernel, last = _random(0, 2, 3), _random(1, 6, 3)
        norm = tf.constant(np.linalg.norm(kernel, 2))
        places = networks.Convolution(
            kernel=np.zeros((1, 2, 3)), input_shape=(2, 2)
        )
        several = networks.trained(places, tf.constant(kernel), norm)
        whole = _dense(np.kron(np.eye(2), kernel))
        found = [
            bounds.theorem4_estimate(
                _chain(self.softplus, each, self.softplus, _dense(last)),
                _rows(_PAIRS),
            )
            for each in (several, whole)
        ]
        np.testing.assert_allclose(*found)

    @oracles.in_every_regime
    def test_is_finite_where_nothing_is_concatenated(self, compiled):
        def gradient():
            kernel = tf.zeros([2, 3])
            with tf.GradientTape() as tape:
                tape.watch(kernel)
                layer = _map(kernel, tf.reduce_sum(kernel))
                join = bounds.TrainedConcatenate(((3,), (3,)), 0)
                steps = [
                    bounds.TrainedStep(None, ()),
                    bounds.TrainedStep(layer, (0,)),
                    bounds.TrainedStep(join, (1, 1)),
                    bounds.TrainedStep(self.softplus, (2,)),
                ]
                rows = tf.ones([1, 6])
                found = bounds.theorem4_estimate(steps, rows)
            return tape.gradient(found, kernel)

        self.assertTrue(np.all(np.isfinite(compiled(gradient)())))


class GradientTest(parameterized.TestCase):
    def _penalty(self, kernels, activations):
        steps = _steps(kernels, activations, map(_smooth_norm, kernels))
        rows = _rows(_PAIRS[:3], kernels[-1].dtype)
        return tf.reduce_sum(bounds.theorem4_estimate(steps, rows))

    def _gradient(self, activations, compiled=lambda fn: fn):
        """Returns the function of kernels that gives their gradients."""

        def run(*kernels):
            with tf.GradientTape() as tape:
                tape.watch(kernels)
                value = self._penalty(list(kernels), activations)
            return tape.gradient(value, kernels, unconnected_gradients="zero")

        return compiled(run)

    @parameterized.product(name=("tanh", "softplus", "gelu"), depth=_DEEP)
    def test_is_what_differencing_gives(self, name, depth):
        network = oracles.random_network(depth, _WIDTHS[depth], name)
        kernels = list(_kernels(network, tf.float64))
        gradients = self._gradient(network.activations)(*kernels)
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
        activations = [networks.activation("tanh"), networks.activation("gelu")]
        shapes = ((4, 6), (6, 5), (5, 3))
        gradient_of = self._gradient(activations, compiled)
        for dtype in (tf.float32, tf.float64):
            for zeros in ((0,), (1,), (2,), (0, 1, 2)):
                kernels = [
                    tf.zeros(shape, dtype)
                    if index in zeros
                    else tf.ones(shape, dtype)
                    for index, shape in enumerate(shapes)
                ]
                for gradient, kernel in zip(gradient_of(*kernels), kernels):
                    with self.subTest(f"{dtype.name}, {zeros}"):
                        self.assertEqual(gradient.dtype, dtype)
                        self.assertEqual(gradient.shape, kernel.shape)
                        self.assertTrue(np.all(np.isfinite(gradient)))

    @oracles.in_every_regime
    def test_is_the_same_in_every_regime(self, compiled):
        network = oracles.random_network(1, _WIDTHS[3], "mish")
        kernels = list(_kernels(network, tf.float64))
        expected = self._gradient(network.activations)(*kernels)
        found = self._gradient(network.activations, compiled)(*kernels)
        for one, other in zip(found, expected):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)

    def test_descending_it_lowers_the_proved_bound(self):
        network = oracles.random_network(2, _WIDTHS[3], "tanh", gain=2.0)
        kernels = list(_kernels(network, tf.float64))

        def bound(kernels):
            affines = [
                networks.Affine(kernel=k.numpy(), bias=np.zeros(k.shape[1]))
                for k in kernels
            ]
            moved = networks.Network(affines, network.activations)
            weights = affines[-1].kernel[:, 0] - affines[-1].kernel[:, 1]
            return bounds.theorem4_bound(moved, weights)

        before = bound(kernels)
        for _ in range(10):
            gradients = self._gradient(network.activations)(*kernels)
            kernels = [
                kernel - 0.01 * gradient / tf.norm(gradient)
                for kernel, gradient in zip(kernels, gradients)
            ]
        self.assertLess(bound(kernels), 0.95 * before)


if __name__ == "__main__":
    absltest.main()
