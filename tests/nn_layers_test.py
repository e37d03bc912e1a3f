"""Tests of tfcurv.nn.layers."""

import os

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np

import tfcurv

_X = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
_Y = np.arange(8) % 3


def _stock_model():
    """A model that knows nothing of tfcurv but its layer."""
    return keras.Sequential(
        [
            keras.Input((4,)),
            tfcurv.layers.Dense(5, activation="tanh"),
            tfcurv.layers.Dense(3),
        ]
    )


def _compile(model):
    model.compile(
        keras.optimizers.SGD(0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    return model


class DenseTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("plain", (), {}),
        ("activation", (), {"activation": "gelu"}),
        ("positional", ("softplus", False), {}),
        ("no_bias", (), {"use_bias": False}),
        ("float64", (), {"dtype": "float64"}),
        ("initialised", (), {"bias_initializer": "ones"}),
    )
    def test_gives_what_the_layer_of_keras_gives(self, args, kwargs):
        ours = tfcurv.layers.Dense(6, *args, **kwargs)
        stock = keras.layers.Dense(6, *args, **kwargs)
        ours.build((None, 4))
        stock.build((None, 4))
        stock.set_weights([w.numpy() for w in ours.trainable_weights])
        np.testing.assert_array_equal(ours(_X), stock(_X))

    def test_takes_inputs_of_higher_rank_like_the_layer_of_keras(self):
        x = _X.reshape(2, 4, 4)
        ours, stock = tfcurv.layers.Dense(6), keras.layers.Dense(6)
        result = ours(x)
        stock.build(x.shape)
        stock.set_weights([w.numpy() for w in ours.trainable_weights])
        np.testing.assert_array_equal(result, stock(x))

    def test_trains_the_same_weights_as_the_layer_of_keras(self):
        ours, stock = tfcurv.layers.Dense(6), keras.layers.Dense(6)
        ours.build((None, 4))
        stock.build((None, 4))
        shapes = [w.shape for w in stock.trainable_weights]
        self.assertEqual([w.shape for w in ours.trainable_weights], shapes)
        extra = [w.shape for w in ours.non_trainable_weights]
        self.assertCountEqual(extra, [(4,), (6,)])

    def test_has_the_config_of_the_layer_of_keras(self):
        arguments = {"units": 6, "activation": "softplus", "name": "here"}
        ours = tfcurv.layers.Dense(**arguments)
        stock = keras.layers.Dense(**arguments)
        self.assertEqual(ours.get_config(), stock.get_config())

    def test_config_makes_another(self):
        layer = tfcurv.layers.Dense(6, activation="mish", use_bias=False)
        other = tfcurv.layers.Dense.from_config(layer.get_config())
        self.assertIs(type(other), tfcurv.layers.Dense)
        self.assertEqual(other.get_config(), layer.get_config())


class StockModelTest(absltest.TestCase):
    def test_trains_like_the_layers_of_keras(self):
        ours = _compile(_stock_model())
        stock = keras.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dense(5, activation="tanh"),
                keras.layers.Dense(3),
            ]
        )
        _compile(stock)
        stock.set_weights([w.numpy() for w in ours.trainable_weights])
        for model in (ours, stock):
            model.fit(_X, _Y, epochs=2, shuffle=False, verbose=0)
        for mine, theirs in zip(
            ours.trainable_weights, stock.trainable_weights
        ):
            np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-6)

    def test_survives_saving(self):
        model = _stock_model()
        path = os.path.join(self.create_tempdir().full_path, "model.keras")
        model.save(path)
        loaded = keras.models.load_model(path)
        self.assertIs(type(loaded.layers[0]), tfcurv.layers.Dense)
        np.testing.assert_array_equal(
            loaded.predict(_X, verbose=0), model.predict(_X, verbose=0)
        )

    def test_survives_clone_model(self):
        model = _stock_model()
        clone = keras.models.clone_model(model)
        clone.set_weights(model.get_weights())
        self.assertIs(type(clone.layers[0]), tfcurv.layers.Dense)
        self.assertIsNot(clone.layers[0].kernel, model.layers[0].kernel)
        np.testing.assert_array_equal(clone(_X), model(_X))


if __name__ == "__main__":
    absltest.main()
