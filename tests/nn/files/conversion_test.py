"""Tests of from_keras, export_plain and copy_weights."""

import os
import subprocess
import sys
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

import tfcurv
from tfcurv import errors

_L = keras.layers
_SHAPE = (6, 6, 2)


def _own(x):
    return 0.5 * keras.ops.tanh(x)


class Scale(_L.Layer):
    """A user's layer, which nobody has registered."""

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, shape):
        self.offset = self.add_weight(shape=shape[1:], name="offset")

    def call(self, x):
        return self.factor * x + self.offset

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def _sequential():
    return keras.Sequential(
        [
            keras.Input(_SHAPE, name="image"),
            _L.Rescaling(0.5),
            _L.Conv2D(3, 2, activation="softplus", kernel_regularizer="l2"),
            _L.BatchNormalization(),
            _L.DepthwiseConv2D(2, name="by_channel"),
            _L.Flatten(),
            _L.Dense(5, activation=_own),
            _L.Dense(3, trainable=False, name="logits"),
        ],
        name="chain",
    )


def _functional():
    x = keras.Input(_SHAPE, name="image")
    hidden = _L.Conv2D(3, 2, padding="same")((x - 1.0) / np.float32(4.0))
    shared = _L.Conv2D(3, 1, activation="tanh", name="shared")
    hidden = shared(shared(hidden)) - hidden
    inner = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            Scale(2.0),
            _L.Flatten(),
            _L.Dense(4, activation=tf.nn.softplus),
        ],
        name="inner",
    )
    # Frozen as a whole, but for one layer that asks for more.
    inner.trainable = False
    inner.layers[-1].trainable = True
    hidden = _L.Dropout(0.5)(inner(hidden), training=False)
    return keras.Model(x, _L.Dense(3, dtype="float64")(hidden), name="graph")


def _lazy():
    model = keras.Sequential([_L.Flatten(), _L.Dense(3, "tanh"), _L.Dense(2)])
    model(np.zeros((2, *_SHAPE), np.float32))
    return model


def _adapted():
    layer = _L.Normalization()
    layer.adapt(np.random.default_rng(0).normal(2.0, 3.0, (20, *_SHAPE)))
    return keras.Sequential(
        [keras.Input(_SHAPE), layer, _L.Flatten(), _L.Dense(2)]
    )


_MODELS = (
    ("adapted", _adapted),
    ("sequential", _sequential),
    ("functional", _functional),
    ("lazy", _lazy),
)


def _randomised(model):
    random = np.random.default_rng(0)
    for weight in model.weights:
        if weight.dtype.startswith("float"):
            weight.assign(random.uniform(0.1, 1.0, weight.shape))
    for layer in model.layers:
        if isinstance(layer, _L.Normalization):
            layer.finalize_state()
    return model


def _facts(model):
    """What must be the same in all three models, at any depth."""
    return [
        (
            layer.name,
            layer.trainable,
            layer.dtype_policy.name,
            _facts(layer) if isinstance(layer, keras.Model) else None,
        )
        for layer in model.layers
    ]


def _classes(model):
    own = []
    for layer in model.layers:
        nested = isinstance(layer, keras.Model)
        own += _classes(layer) if nested else [type(layer)]
    return [type(model), *own]


class ConversionTest(parameterized.TestCase):
    @parameterized.named_parameters(*_MODELS)
    def test_computes_the_same_in_both_directions(self, make):
        model = _randomised(make())
        own = tfcurv.from_keras(model)
        plain = own.export_plain()
        x = np.random.default_rng(1).normal(size=(3, *_SHAPE))
        x = x.astype(np.float32)
        expected = np.asarray(model(x))
        for made in (own, plain):
            np.testing.assert_array_equal(np.asarray(made(x)), expected)
            self.assertEqual(_facts(made), _facts(model))
            self.assertEqual(made.name, model.name)
            self.assertEqual(made.trainable, model.trainable)
            self.assertEqual(
                [w.path for w in made.trainable_variables],
                [w.path for w in model.trainable_variables],
            )
        self.assertIsInstance(own, tfcurv.Sequential | tfcurv.Model)
        self.assertEqual(_classes(plain), _classes(model))
        self.assertNotIn(_L.Dense, _classes(own))
        self.assertNotIn("tfcurv", plain.to_json())

    def test_shares_no_weights(self):
        model = _randomised(_sequential())
        own = tfcurv.from_keras(model)
        plain = own.export_plain()
        before = [np.array(w) for w in plain.weights]
        for weight in (*own.weights, *model.weights):
            weight.assign(np.zeros(weight.shape))
        for weight, value in zip(plain.weights, before):
            np.testing.assert_array_equal(weight, value)

    def test_can_be_trained_with_penalty_and_adversary(self):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [keras.Input((4,)), _L.Dense(5, "tanh"), _L.Dense(3)]
        )
        own = tfcurv.from_keras(model)
        own.add_loss(tfcurv.CurvatureRegularizer(gamma=0.01))
        own.compile(
            "sgd",
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            adversary=tfcurv.CurvatureAttack(0.1),
        )
        x = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
        own.fit(x, np.arange(8) % 3, verbose=0)
        before = np.asarray(model(x))
        self.assertGreater(np.abs(np.asarray(own(x)) - before).max(), 1e-4)
        tfcurv.copy_weights(own, model)
        np.testing.assert_array_equal(np.asarray(own(x)), np.asarray(model(x)))
        # What is exported knows nothing of losses and adversary.
        self.assertEmpty(own.export_plain().losses)

    def test_loads_where_there_is_no_tfcurv(self):
        own = tfcurv.from_keras(_randomised(_lazy()))
        x = np.random.default_rng(0).normal(size=(3, *_SHAPE))
        x = x.astype(np.float32)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "plain.keras")
            own.export_plain().save(path)
            np.save(os.path.join(folder, "x.npy"), x)
            program = (
                "import sys; sys.modules['tfcurv'] = None\n"
                "import keras, numpy as np\n"
                f"model = keras.models.load_model({path!r})\n"
                f"y = model(np.load({folder!r} + '/x.npy'))\n"
                f"np.save({folder!r} + '/y.npy', np.asarray(y))"
            )
            subprocess.run([sys.executable, "-c", program], check=True)
            y = np.load(os.path.join(folder, "y.npy"))
        np.testing.assert_allclose(y, np.asarray(own(x)), rtol=1e-6)

    def test_refuses_a_model_that_it_cannot_see(self):
        class Own(keras.Model):
            def call(self, x):
                return x

        x = keras.Input((4,))
        for model in (Own(), keras.Model(x, Own()(x))):
            with self.assertRaisesRegex(
                errors.UnsupportedModelError, "subclassed"
            ):
                tfcurv.from_keras(model)

    def test_names_a_layer_whose_config_is_not_enough(self):
        class Lost(Scale):
            def get_config(self):
                return {}

        model = keras.Sequential([keras.Input((4,)), Lost(2.0, name="lost")])
        with self.assertRaisesRegex(
            errors.UnsupportedModelError, "'lost' of type Lost.*get_config"
        ):
            tfcurv.from_keras(model)


class CopyTest(absltest.TestCase):
    def test_refuses_weights_of_other_shapes_and_copies_none(self):
        def model(units):
            return keras.Sequential(
                [keras.Input((4,)), _L.Dense(5), _L.Dense(units)]
            )

        source, target = _randomised(model(3)), model(2)
        before = [np.array(w) for w in target.weights]
        with self.assertRaisesRegex(
            errors.UnsupportedModelError, r"\(5, 3\).*\(5, 2\)"
        ):
            tfcurv.copy_weights(source, target)
        for weight, value in zip(target.weights, before):
            np.testing.assert_array_equal(weight, value)

    def test_refuses_another_number_of_layers(self):
        source = keras.Sequential([keras.Input((4,)), _L.Dense(4)])
        target = keras.Sequential([_L.Dense(4), _L.Dense(4)])
        for why in ("no weights yet", "1 layers with weights"):
            with self.assertRaisesRegex(errors.UnsupportedModelError, why):
                tfcurv.copy_weights(source, target)
            target(np.zeros((1, 4)))


if __name__ == "__main__":
    absltest.main()
