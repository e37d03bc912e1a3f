"""Tests of convolutions of no samples, and of their gradients on a CPU."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tfcurv import networks
from tfcurv.certificates.margins.search import hessian_product
from tfcurv.networks.maps import products

_RNG = np.random.default_rng(0)


def _convolution(*kernel, shape=(6, 3), **settings):
    return networks.Convolution(
        kernel=_RNG.normal(size=kernel), input_shape=shape, **settings
    )


_GROUPED = _convolution(3, 1, 6, groups=3)
_MAPS = {
    "plain": _convolution(3, 3, 4),
    "grouped": _GROUPED,
    "dilated": _convolution(2, 3, 4, dilations=2),
    "strided": _convolution(3, 3, 4, strides=2),
    "strided_groups": _convolution(3, 1, 6, groups=3, strides=2),
    "padded": _convolution(3, 3, 4, padding="same"),
    # What the second is given has other channels than what the first was.
    "separable": networks.Composition(
        maps=(
            _GROUPED,
            _convolution(1, 6, 5, shape=_GROUPED.output_shape),
        )
    ),
    "pooled": networks.Composition(
        maps=(
            _GROUPED,
            networks.AveragePooling(
                input_shape=_GROUPED.output_shape, pool_size=2
            ),
        )
    ),
}
_ROWS = tf.float32, tf.float64


def _network(linear):
    hidden = networks.Affine(linear=linear, bias=np.zeros(linear.outputs))
    last = networks.Affine(
        kernel=_RNG.normal(size=(linear.outputs, 3)), bias=np.zeros(3)
    )
    return networks.Network([hidden, last], [networks.activation("tanh")])


class NoSamplesTest(parameterized.TestCase):
    @parameterized.product(name=tuple(_MAPS), dtype=_ROWS)
    def test_have_the_shape_of_samples(self, name, dtype):
        linear = _MAPS[name]

        @tf.function(input_signature=[tf.TensorSpec([None, 18], dtype)])
        def there_and_back(x):
            y = linear.apply(x)
            return y, linear.transpose(tf.tanh(y)), linear.absolute(x)

        for rows in (0, 1, 2):
            y, x, size = there_and_back(tf.ones([rows, 18], dtype))
            self.assertEqual(y.shape, (rows, linear.outputs))
            self.assertEqual(x.shape, (rows, 18))
            self.assertEqual(size.shape, (rows, linear.outputs))

    def test_convolutions_of_samples_are_those_of_tensorflow(self):
        samples = tf.constant(_RNG.normal(size=(2, 5, 6, 3)))
        kernel = tf.constant(_RNG.normal(size=(2, 3, 3, 4)))
        np.testing.assert_array_equal(
            products.convolve(samples, kernel, [1, 2]),
            tf.nn.conv2d(samples, kernel, [1, 2], "VALID"),
        )


class GradientTest(parameterized.TestCase):
    @parameterized.product(name=tuple(_MAPS), dtype=_ROWS)
    def test_is_the_adjoint(self, name, dtype):
        linear = _MAPS[name]
        x = tf.constant(_RNG.normal(size=(2, 18)), dtype)
        v = tf.constant(_RNG.normal(size=(2, linear.outputs)), dtype)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = tf.reduce_sum(linear.apply(x) * v)
        close = {"rtol": 1e-4, "atol": 1e-4}
        matrix = linear.materialise()
        np.testing.assert_allclose(
            tape.gradient(value, x), v.numpy() @ matrix.T, **close
        )
        with tf.GradientTape() as tape:
            tape.watch(v)
            value = tf.reduce_sum(linear.transpose(v) * x)
        np.testing.assert_allclose(
            tape.gradient(value, v), x.numpy() @ matrix, **close
        )

    @parameterized.parameters(*_MAPS)
    def test_of_second_order_is_that_of_the_closed_form(self, name):
        network = _network(_MAPS[name])
        x = tf.constant(_RNG.normal(size=(2, 18)))
        v = tf.constant(_RNG.normal(size=(2, 18)))
        y, t = tf.constant([0, 1]), tf.constant([2, 0])
        weights, _ = network.pair(y, t, tf.float64)

        def margin(points):
            features = network.forward(points).features
            return tf.reduce_sum(features * weights, axis=-1)

        kernel = _MAPS[name].materialise()
        z = x.numpy() @ kernel
        curvature = (
            networks.activation("tanh").curvature(tf.constant(z)).numpy()
        )
        expected = (curvature * weights.numpy() * (v.numpy() @ kernel)) @ (
            kernel.T
        )
        np.testing.assert_allclose(
            hessian_product(margin, x, v), expected, rtol=1e-9, atol=1e-9
        )


if __name__ == "__main__":
    absltest.main()
