"""Tests of certificates that rest on what the caller says of a layer."""

import tempfile

from absl.testing import absltest
import keras
import numpy as np
import tensorflow as tf

import tfcurv
from tfcurv import errors
from untraced import untraced


class _Mirrored(keras.layers.Layer):
    def call(self, x):
        return keras.ops.flip(x, -1)


def _model(*, known: bool) -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    middle = _Mirrored(name="mirror")
    if known:
        middle = layers.Dense(6, use_bias=False, name="mirror")
    model = keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(6, activation="tanh", name="first"),
            middle,
            layers.Dense(3, name="last"),
        ]
    )
    if known:
        middle.set_weights([_FLIP])
    for name in ("first", "last"):
        keras.utils.set_random_seed(7)
        layer = model.get_layer(name)
        layer.set_weights([keras.random.normal(w.shape) for w in layer.weights])
    return model


_FLIP = np.eye(6)[::-1]
_ASSUME = {"mirror": tfcurv.LinearMapSpec(map=_FLIP)}


def _data(model):
    x = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    return x, np.argmax(model(x), axis=-1)


def _certify(model, data, **settings):
    with untraced():
        return tfcurv.certify(model, data, verbose=0, **settings)


class AssumptionTest(absltest.TestCase):
    def test_radii_are_those_of_the_layer_that_it_is(self):
        data = _data(_model(known=True))
        known = _certify(_model(known=True), data)
        said = _certify(_model(known=False), data, assume=_ASSUME)
        np.testing.assert_allclose(said.radii, known.radii, rtol=1e-5)
        self.assertGreater(np.mean(said.radii), 0.01)

    def test_without_it_the_layer_is_refused(self):
        model = _model(known=False)
        with self.assertRaisesRegex(errors.UnsupportedLayerError, "mirror"):
            _certify(model, _data(model))

    def test_the_result_names_it_everywhere(self):
        model = _model(known=False)
        result = _certify(model, _data(model), assume=_ASSUME)
        self.assertEqual(result.assumptions, ("mirror",))
        self.assertIn("conditional on layers", str(result))
        with tempfile.TemporaryDirectory() as folder:
            result.save(folder)
            with open(f"{folder}/report.html") as page:
                self.assertIn(
                    "on condition that the layers mirror", page.read()
                )
            again = tfcurv.load_result(folder)
        self.assertEqual(again.assumptions, ("mirror",))

    def test_results_that_rest_on_nothing_name_nothing(self):
        model = _model(known=True)
        result = _certify(model, _data(model))
        self.assertEqual(result.assumptions, ())
        self.assertNotIn("conditional", str(result))

    def test_attacks_find_out_what_is_not_so(self):
        """Certificates are attacked on the model, not on what was said."""
        model = _model(known=False)
        false = {"mirror": tfcurv.LinearMapSpec(map=0.1 * _FLIP)}
        x, y = _data(model)
        # What is said disagrees with the model, at the first look.
        with self.assertRaisesRegex(
            errors.UnsupportedModelError, "does not compute"
        ):
            _certify(model, (x, y), assume=false)

    def test_the_same_assumption_is_needed_to_attack(self):
        model = _model(known=False)
        data = _data(model)
        result = _certify(model, data, assume=_ASSUME)
        with tempfile.TemporaryDirectory() as folder, untraced():
            attacked = tfcurv.falsify(
                model, result, data, assume=_ASSUME, folder=folder, verbose=0
            )
        self.assertGreater(attacked.num_attacks, 0)
        with self.assertRaises(errors.UnsupportedLayerError):
            tfcurv.falsify(model, result, data, verbose=0)


class ModelInFloat64Test(absltest.TestCase):
    def test_an_activation_may_be_said(self):
        fn = tfcurv.bounds.activation("softplus")
        layers = keras.layers
        model = keras.Sequential(
            [
                keras.Input((5,)),
                layers.Dense(6),
                layers.Lambda(tf.math.softplus, name="odd"),
                layers.Dense(3),
            ]
        )
        result = _certify(model, _data(model), assume={"odd": fn})
        self.assertEqual(result.assumptions, ("odd",))
        self.assertGreater(result.mean_radius, 0.0)


if __name__ == "__main__":
    absltest.main()
