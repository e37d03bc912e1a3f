"""Tests of tfcurv.bounds.curvature.hessian against differentiation."""

from absl.testing import absltest
from absl.testing import parameterized
import mpmath as mp
import numpy as np
import tensorflow as tf

import bounds_oracles as oracles
from tfcurv import bounds
from tfcurv import networks

_WIDTHS = {1: (3, 4), 2: (3, 6, 4), 3: (3, 6, 5, 4), 4: (3, 6, 5, 7, 4)}

_POINTS = np.random.default_rng(4).standard_normal((5, 3))


def _by_tapes(network, x, y, t):
    """Differentiates the logits twice."""
    x = tf.constant(x)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            logits = network.logits(x)
            margin = logits[:, y] - logits[:, t]
        gradient = inner.gradient(margin, x)
        if gradient is None:
            raise ValueError("The margin does not depend on x.")
    return outer.batch_jacobian(gradient, x).numpy()


def _by_differences(network, x, y, t, step=1e-5):
    """Differences the gradients, centrally."""
    columns = []
    for shift in step * np.eye(x.shape[-1]):
        classes = tf.fill([len(x)], y), tf.fill([len(x)], t)
        pair = network.pair(*classes, tf.float64)
        ahead = network.evaluate(tf.constant(x + shift), *pair).gradient
        behind = network.evaluate(tf.constant(x - shift), *pair).gradient
        columns.append((ahead - behind).numpy() / (2.0 * step))
    return np.stack(columns, axis=-1)


class HessianTest(parameterized.TestCase):
    @parameterized.product(name=oracles.CURVED, depth=(2, 3, 4))
    def test_is_what_differentiating_twice_gives(self, name, depth):
        network = oracles.random_network(depth, _WIDTHS[depth], name, gain=1.5)
        found = bounds.hessian(network, tf.constant(_POINTS), 1, 3)
        np.testing.assert_allclose(
            found, _by_tapes(network, _POINTS, 1, 3), atol=1e-12
        )

    @parameterized.product(name=oracles.NAMES, depth=(2, 3, 4))
    def test_is_what_differencing_the_gradient_gives(self, name, depth):
        network = oracles.random_network(depth, _WIDTHS[depth], name, gain=1.5)
        found = bounds.hessian(network, tf.constant(_POINTS), 2, 0)
        np.testing.assert_allclose(
            found, _by_differences(network, _POINTS, 2, 0), atol=1e-7
        )

    @parameterized.parameters(
        (("tanh", "softplus"),),
        (("gelu", "sigmoid", "silu"),),
        (("linear", "mish", "linear"),),
    )
    def test_every_layer_has_its_own_activation(self, names):
        widths = _WIDTHS[len(names) + 1]
        network = oracles.random_network(3, widths, names)
        found = bounds.hessian(network, tf.constant(_POINTS), 0, 1)
        np.testing.assert_allclose(
            found, _by_differences(network, _POINTS, 0, 1), atol=1e-8
        )

    def test_of_one_unit_is_its_second_derivative(self):
        affines = [
            networks.Affine(kernel=np.asarray([[3.0]]), bias=np.asarray([0.5])),
            networks.Affine(kernel=np.asarray([[2.0, -5.0]]), bias=np.ones(2)),
        ]
        network = networks.Network(affines, [networks.activation("tanh")])
        x = np.asarray([[-0.7], [0.1], [0.4]])
        found = bounds.hessian(network, tf.constant(x), 0, 1).numpy()
        exact = [
            7.0 * 9.0 * float(mp.diff(mp.tanh, 3.0 * v + 0.5, 2))
            for v in x[:, 0]
        ]
        np.testing.assert_allclose(found[:, 0, 0], exact, rtol=1e-12)

    @parameterized.parameters(1, 2, 3, 4)
    def test_is_symmetric_and_changes_sign_with_the_classes(self, depth):
        network = oracles.random_network(1, _WIDTHS[depth], "gelu")
        x = tf.constant(_POINTS)
        found = bounds.hessian(network, x, 1, 2).numpy()
        self.assertEqual(found.shape, (5, 3, 3))
        np.testing.assert_allclose(found, np.swapaxes(found, 1, 2), atol=1e-14)
        np.testing.assert_allclose(
            found, -bounds.hessian(network, x, 2, 1).numpy(), atol=1e-14
        )
        self.assertFalse(np.any(bounds.hessian(network, x, 2, 2)))

    def test_of_a_linear_network_is_zero(self):
        x = tf.constant(_POINTS)
        for depth in (1, 3):
            network = oracles.random_network(1, _WIDTHS[depth], "linear")
            self.assertFalse(np.any(bounds.hessian(network, x, 0, 1)))

    @oracles.in_every_regime
    def test_is_the_same_in_every_regime(self, compiled):
        network = oracles.random_network(2, _WIDTHS[3], "silu")
        for dtype, accuracy in (tf.float32, 1e-4), (tf.float64, 1e-13):
            x = tf.constant(_POINTS, dtype)
            found = compiled(lambda x: bounds.hessian(network, x, 0, 1))(x)
            self.assertEqual(found.dtype, dtype)
            np.testing.assert_allclose(
                found,
                bounds.hessian(network, tf.constant(_POINTS), 0, 1),
                atol=accuracy,
            )


if __name__ == "__main__":
    absltest.main()
