"""Tests of tfcurv.nn.layers.tracked."""

import os

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np

import tfcurv
from tfcurv import errors

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


_IMAGES = np.random.default_rng(1).normal(size=(3, 7, 6, 2))
_IMAGES = _IMAGES.astype(np.float32)

_CONVOLUTIONS = (
    ("plain", "Conv2D", {"filters": 4, "kernel_size": 3}),
    (
        "strided",
        "Conv2D",
        {
            "filters": 4,
            "kernel_size": (5, 2),
            "strides": (2, 3),
            "padding": "same",
            "activation": "tanh",
        },
    ),
    (
        "dilated",
        "Conv2D",
        {
            "filters": 3,
            "kernel_size": 2,
            "dilation_rate": 2,
            "use_bias": False,
        },
    ),
    ("grouped", "Conv2D", {"filters": 4, "kernel_size": 3, "groups": 2}),
    (
        "causal",
        "Conv1D",
        {
            "filters": 3,
            "kernel_size": 3,
            "padding": "causal",
            "dilation_rate": 2,
        },
    ),
    (
        "depthwise",
        "DepthwiseConv2D",
        {"kernel_size": 3, "depth_multiplier": 2, "padding": "same"},
    ),
    (
        "double",
        "Conv2D",
        {"filters": 4, "kernel_size": 3, "dtype": "float64"},
    ),
)


def _pair(kind, arguments):
    """A tracked layer and the one of Keras, with the same weights."""
    x = _IMAGES if kind.endswith("2D") else _IMAGES[:, 0]
    ours = getattr(tfcurv.layers, kind)(**arguments)
    stock = getattr(keras.layers, kind)(**arguments)
    for layer in (ours, stock):
        layer.build(x.shape)
    stock.set_weights([w.numpy() for w in ours.trainable_weights])
    return x, ours, stock


class ConvolutionTest(parameterized.TestCase):
    @parameterized.named_parameters(*_CONVOLUTIONS)
    def test_gives_what_the_layer_of_keras_gives(self, kind, arguments):
        x, ours, stock = _pair(kind, arguments)
        np.testing.assert_array_equal(ours(x), stock(x))

    @parameterized.named_parameters(*_CONVOLUTIONS)
    def test_trains_the_same_weights_as_the_layer_of_keras(
        self, kind, arguments
    ):
        x, ours, stock = _pair(kind, arguments)
        shapes = [w.shape for w in stock.trainable_weights]
        self.assertEqual([w.shape for w in ours.trainable_weights], shapes)
        extra = [w.shape for w in ours.non_trainable_weights]
        self.assertEqual(extra, [x.shape[1:], stock(x).shape[1:]])

    @parameterized.named_parameters(*_CONVOLUTIONS)
    def test_config_makes_another(self, kind, arguments):
        _, ours, stock = _pair(kind, {**arguments, "name": "here"})
        self.assertEqual(ours.get_config(), stock.get_config())
        other = type(ours).from_config(ours.get_config())
        self.assertIs(type(other), type(ours))
        self.assertEqual(other.get_config(), ours.get_config())

    def test_survives_saving_with_its_vectors(self):
        model = keras.Sequential(
            [
                keras.Input((7, 6, 2)),
                tfcurv.layers.Conv2D(3, 3, activation="tanh"),
                tfcurv.layers.DepthwiseConv2D(2),
                keras.layers.Reshape((4, 9)),
                tfcurv.layers.Conv1D(2, 2),
            ]
        )
        for layer in model.layers:
            if hasattr(layer, "spectral_norm"):
                layer.spectral_norm.step(layer.kernel)
        path = os.path.join(self.create_tempdir().full_path, "model.keras")
        model.save(path)
        loaded = keras.models.load_model(path)
        for before, after in zip(model.layers, loaded.layers):
            self.assertIs(type(after), type(before))
        for before, after in zip(model.weights, loaded.weights, strict=True):
            np.testing.assert_array_equal(before.numpy(), after.numpy())
        np.testing.assert_array_equal(loaded(_IMAGES), model(_IMAGES))

    @parameterized.named_parameters(
        ("one_axis", "Conv1D", (None, 2)),
        ("two_axes", "Conv2D", (None, None, 2)),
        ("one_of_two", "DepthwiseConv2D", (5, None, 2)),
    )
    def test_refuses_samples_of_unknown_shape_by_name(self, kind, shape):
        arguments = {"kernel_size": 2, "name": "open"}
        if kind != "DepthwiseConv2D":
            arguments["filters"] = 3
        layer = getattr(tfcurv.layers, kind)(**arguments)
        with self.assertRaisesRegex(
            errors.UnsupportedLayerError, "'open'.*None.*keras.Input"
        ):
            keras.Sequential([keras.Input(shape), layer])


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
