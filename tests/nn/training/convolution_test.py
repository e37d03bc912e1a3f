"""Certificates of convolutional, pooled and residual Keras models."""

import contextlib

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

import graph_oracle as oracle
import tfcurv
from tfcurv import bounds
from tfcurv import errors
from tfcurv.nn.reading import subject
from untraced import untraced

_L = keras.layers


def _randomised(model: keras.Model) -> keras.Model:
    rng = np.random.default_rng(0)
    for weight in model.weights:
        value = 0.5 * rng.normal(size=weight.shape)
        if "variance" in weight.path:
            value = 0.5 + value**2
        weight.assign(value)
    return model


def _strided() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            _L.Rescaling(0.5, offset=-0.125),
            _L.Conv2D(4, 3, strides=2, padding="same", activation="softplus"),
            _L.AveragePooling2D(2),
            _L.Flatten(),
            _L.Dense(3),
        ]
    )


def _residual() -> keras.Model:
    x = keras.Input((6, 6, 2))
    h = _L.Conv2D(3, 3, padding="same", activation="tanh")(x)
    r = _L.BatchNormalization()(h)
    r = _L.Conv2D(3, 3, padding="same", activation="softplus")(r)
    r = _L.Conv2D(3, 1)(r)
    h = _L.Add()([h, r])
    h = _L.Activation("softplus")(h)
    h = _L.GlobalAveragePooling2D()(h)
    return keras.Model(x, _L.Dense(3)(h))


def _branched() -> keras.Model:
    x = keras.Input((6, 6, 1))
    left = _L.Conv2D(2, 3, padding="same", activation="softplus")(x)
    right = _L.DepthwiseConv2D(3, padding="same", activation="tanh")(x)
    h = _L.Concatenate()([left, right])
    h = _L.SeparableConv2D(3, 2, strides=2, activation="sigmoid")(h)
    return keras.Model(x, _L.Dense(3)(_L.Flatten()(h)))


def _signal() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((20, 2)),
            _L.Conv1D(4, 5, padding="causal", dilation_rate=2),
            _L.Activation("silu"),
            _L.AveragePooling1D(4),
            _L.Conv1D(4, 3, activation="elu"),
            _L.GlobalAveragePooling1D(),
            _L.Dense(3),
        ]
    )


_MODELS = parameterized.named_parameters(
    ("strided", _strided),
    ("residual", _residual),
    ("branched", _branched),
    ("signal", _signal),
)


def _data(model, count: int = 24):
    shape = (count, *model.input_shape[1:])
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    return x, np.argmax(model(x, training=False), axis=-1)


class ConvolutionTest(parameterized.TestCase):
    @_MODELS
    def test_the_network_computes_what_keras_does(self, make):
        oracle.in_float64(self)
        model = _randomised(make())
        x = np.random.default_rng(2).normal(size=(5, *model.input_shape[1:]))
        network = tfcurv.network_from_model(model)
        found = network.logits(tf.constant(x.reshape(5, -1)))
        expected = model(x, training=False)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)

    @_MODELS
    def test_eigenvalues_lie_inside_the_bounds(self, make):
        model = _randomised(make())
        network = tfcurv.network_from_model(model)
        found = bounds.CurvatureBounder(network).bounds(0, 1)
        for scale in (0.1, 1.0, 10.0):
            x = scale * _data(model, 8)[0].reshape(8, -1).astype(np.float64)
            hessians = bounds.hessian(network, tf.constant(x), 0, 1)
            eigenvalues = np.linalg.eigvalsh(hessians)
            slack = 1e-10 * (found.upper - found.lower)
            self.assertGreaterEqual(np.min(eigenvalues), found.lower - slack)
            self.assertLessEqual(np.max(eigenvalues), found.upper + slack)

    @parameterized.named_parameters(
        ("residual", _residual), ("branched", _branched)
    )
    def test_attacks_do_not_get_inside_the_radii(self, make):
        model = _randomised(make())
        # One of them compiled, as they are certified.
        with contextlib.nullcontext() if make is _residual else untraced():
            result = tfcurv.certify(
                model,
                _data(model),
                method="curvature",
                falsify=True,
                verbose=0,
            )
        self.assertGreater(result.num_attacks, 0)
        self.assertTrue(np.all(result.radii <= result.upper_bounds))
        self.assertGreater(np.median(result.radii), 1e-3)

    def test_local_bounds_raise_the_radii_of_a_residual_network(self):
        model = _randomised(_residual())
        data = _data(model, 12)
        with untraced():
            plain, local = (
                tfcurv.certify(
                    model,
                    data,
                    method="curvature",
                    curvature=curvature,
                    verbose=0,
                )
                for curvature in ("global", "local")
            )
        self.assertTrue(np.all(local.radii >= plain.radii))
        self.assertGreater(local.mean_radius, 1.01 * plain.mean_radius)
        self.assertTrue(np.all(local.radii <= local.upper_bounds))

    def test_radii_are_in_units_of_the_input(self):
        """Inputs twice as large, halved by the model: twice the radii."""
        inner = _randomised(_strided())
        x, y = _data(inner)
        outer = keras.Sequential(
            [keras.Input((8, 8, 1)), _L.Rescaling(0.5), inner]
        )
        with untraced():
            first = tfcurv.certify(inner, (x, y), verbose=0)
            second = tfcurv.certify(outer, (2.0 * x, y), verbose=0)
        np.testing.assert_allclose(second.radii, 2.0 * first.radii, rtol=1e-4)

    def test_the_guard_is_refused_and_says_why(self):
        model = _strided()
        with self.assertRaisesRegex(errors.UnsupportedModelError, "float32"):
            tfcurv.certify(model, _data(model), guard="float32", verbose=0)

    def test_the_hash_sees_weights_and_what_is_none(self):
        def model_hash(model):
            return subject.read_subject(model).model_hash

        first, second, third = (_randomised(_strided()) for _ in range(3))
        second.layers[1].bias.assign_add([0.0, 0.0, 0.1, 0.0])
        third.layers[0].offset = 0.25
        self.assertEqual(model_hash(first), model_hash(_randomised(_strided())))
        self.assertNotEqual(model_hash(first), model_hash(second))
        self.assertNotEqual(model_hash(first), model_hash(third))


if __name__ == "__main__":
    absltest.main()
