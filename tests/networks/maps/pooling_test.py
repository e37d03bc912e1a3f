"""Tests of tfcurv.networks.maps.pooling against Keras and singular values."""

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np

import linear_map_oracles as oracles
from tfcurv import networks


def _keras_matrix(layer, input_shape) -> np.ndarray:
    inputs = int(np.prod(input_shape))
    rows = np.eye(inputs).reshape(inputs, *input_shape)
    return np.asarray(layer(rows)).reshape(inputs, -1)


class AveragePoolingTest(parameterized.TestCase):
    @parameterized.product(
        padding=("same", "valid"),
        pool=(1, 2, 3, (2, 3)),
        strides=(None, 1, 2, (3, 1)),
        shape=((6, 6, 2), (5, 7, 1)),
    )
    def test_is_the_layer_of_keras(self, padding, pool, strides, shape):
        layer = keras.layers.AveragePooling2D(
            pool, strides, padding, dtype="float64"
        )
        pooling = networks.AveragePooling(
            input_shape=shape, pool_size=pool, strides=strides, padding=padding
        )
        oracles.check(self, pooling, _keras_matrix(layer, shape))

    @parameterized.product(padding=("same", "valid"), strides=(1, 2, 3))
    def test_one_axis(self, padding, strides):
        layer = keras.layers.AveragePooling1D(
            3, strides, padding, dtype="float64"
        )
        pooling = networks.AveragePooling(
            input_shape=(8, 3), pool_size=3, strides=strides, padding=padding
        )
        oracles.check(self, pooling, _keras_matrix(layer, (8, 3)))

    def test_known_norms(self):
        apart = networks.AveragePooling(input_shape=(12, 12, 5), pool_size=3)
        self.assertAlmostEqual(apart.norm_upper_bound(), 1 / 3, delta=1e-8)
        whole = networks.AveragePooling(input_shape=(7, 9, 5), pool_size=(7, 9))
        self.assertEqual(whole.output_shape, (1, 1, 5))
        self.assertAlmostEqual(whole.norm_upper_bound(), 63**-0.5, delta=1e-8)
        # Fewer cells are counted at the borders: there it is no contraction.
        same = networks.AveragePooling(
            input_shape=(8, 8, 1), pool_size=3, strides=1, padding="same"
        )
        self.assertGreater(same.norm_upper_bound(), 1.01)

    def test_a_large_image_costs_no_more(self):
        pooling = networks.AveragePooling(
            input_shape=(224, 224, 64), pool_size=3, strides=2, padding="same"
        )
        # sqrt(5) / 3 along each axis, and more at the border.
        self.assertBetween(pooling.norm_upper_bound(), 5 / 9, 0.63)
        self.assertLen(pooling.column_norms, pooling.outputs)

    @parameterized.named_parameters(
        ("padding", {"padding": "causal"}, "padding='causal'"),
        ("rank", {"input_shape": (5,)}, "input_shape"),
        ("pool", {"pool_size": (2, 2, 2)}, "pool_size"),
        ("zero", {"pool_size": 0}, "pool_size"),
        ("stride", {"strides": 0}, "strides=0"),
        ("large", {"pool_size": 6}, "does not fit"),
    )
    def test_refuses(self, change, message):
        arguments = {"input_shape": (5, 5, 2), "pool_size": 2}
        with self.assertRaisesRegex(ValueError, message):
            networks.AveragePooling(**(arguments | change))


if __name__ == "__main__":
    absltest.main()
