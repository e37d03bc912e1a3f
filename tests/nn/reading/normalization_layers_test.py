"""Tests of tfcurv.nn.reading.normalization_layers."""

from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import keras
import mpmath
import numpy as np
import tensorflow as tf

from tfcurv import errors
from tfcurv import numerics
from tfcurv.nn.reading import linear_layers

_L = keras.layers


def _assert_agree(layer, shape):
    x = np.random.default_rng(2).normal(size=(3, *shape))
    expected = layer(tf.constant(x)).numpy()
    step = linear_layers.read_linear(layer, shape)
    found = step.map.apply(x.reshape(3, -1)) + step.bias
    np.testing.assert_allclose(
        np.reshape(found, expected.shape), expected, rtol=1e-12, atol=1e-12
    )
    return step


def _batch_normalization(shape, seed=0, **settings):
    layer = _L.BatchNormalization(dtype="float64", name="bad", **settings)
    layer.build((None, *shape))
    random = np.random.default_rng(seed)
    for weight in layer.weights:
        value = random.normal(size=weight.shape)
        if weight is layer.moving_variance:
            value = np.exp(3.0 * value)
        weight.assign(value)
    return layer


class SavedNormalizationTest(parameterized.TestCase):
    """What is certified is what a saved and loaded layer computes."""

    def _adapted(self):
        layer = _L.Normalization(name="bad")
        layer.adapt(np.arange(12.0).reshape(4, 3))
        return layer

    def test_takes_what_was_adapted_or_given(self):
        for layer in (
            self._adapted(),
            _L.Normalization(mean=0.5, variance=2.0),
            _L.Normalization(mean=[0.0, 1.0, 2.0], variance=[1.0, 2.0, 3.0]),
        ):
            if not layer.built:
                layer.build((None, 3))
            linear_layers.read_linear(layer, (3,))

    @parameterized.parameters("mean", "variance")
    def test_refuses_what_would_not_be_saved(self, name):
        given = _L.Normalization(mean=0.5, variance=2.0, name="bad")
        given.build((None, 3))
        for layer in (given, self._adapted()):
            setattr(layer, name, getattr(layer, name) + 0.25)
            with self.assertRaisesRegex(
                errors.UnsupportedLayerError, f"`{name}`.*saved.*'bad'"
            ):
                linear_layers.read_linear(layer, (3,))

    def test_refuses_an_epsilon_that_would_not_be_saved(self):
        layer = _L.Normalization(
            mean=[0.0, 0.0], variance=[1.0, 0.0], name="bad"
        )
        layer.build((None, 2))
        linear_layers.read_linear(layer, (2,))
        self.addCleanup(keras.config.set_epsilon, keras.config.epsilon())
        keras.config.set_epsilon(0.5)
        with self.assertRaisesRegex(
            errors.UnsupportedLayerError, "epsilon.*saved.*'bad'"
        ):
            linear_layers.read_linear(layer, (2,))
        layer = _L.Normalization(mean=[0.0, 0.0], variance=[1.0, 2.0])
        layer.build((None, 2))
        linear_layers.read_linear(layer, (2,))

    def test_refuses_weights_that_are_saved_but_not_used(self):
        layer = self._adapted()
        layer.set_weights([2.0 * weight for weight in layer.get_weights()])
        with self.assertRaisesRegex(
            errors.UnsupportedLayerError, "'bad'.*finalize_state"
        ):
            linear_layers.read_linear(layer, (3,))
        layer.finalize_state()
        linear_layers.read_linear(layer, (3,))


class RescalingTest(parameterized.TestCase):
    @parameterized.parameters(
        (2.0, 0.0, (4,)),
        (-0.5, 0.25, (2, 3)),
        ([1.0, 2.0, 3.0], 0.5, (2, 3)),
        ([[1.0], [2.0]], [0.5, 1.0, -1.0], (2, 3)),
        ([[[1.0], [2.0]]], [[[1.0, 2.0, 3.0]]], (2, 3)),
        (0.0, 1.0, (2, 3)),
    )
    def test_scales_and_shifts(self, scale, offset, shape):
        layer = _L.Rescaling(scale, offset, dtype="float64")
        step = _assert_agree(layer, shape)
        self.assertEqual((step.roundings, step.bias_error), (0, 0.0))

    @parameterized.parameters("float32", "float64")
    def test_takes_the_numbers_that_keras_computes_with(self, dtype):
        scale, offset = 1.0 / 255.0, [0.1, 1.0 / 3.0, 1e-9]
        for numbers in (offset, np.array(offset)):
            layer = _L.Rescaling(scale, numbers, dtype=dtype)
            step = linear_layers.read_linear(layer, (3,))
            used = np.asarray(layer(np.zeros((1, 3))))[0]
            if dtype == "float64":
                np.testing.assert_array_equal(step.bias, used)
                # Powers of two, beside which an offset is nothing.
                large = np.asarray(layer(np.full((1, 3), 2.0**200)))[0]
                scaled = step.map.apply(np.full((1, 3), 2.0**200))[0]
                np.testing.assert_array_equal(scaled, large)
            else:
                np.testing.assert_array_equal(step.bias, offset)

    @parameterized.parameters(
        ([1.0, 2.0], (3,)), ([1.0, 2.0], (2, 1)), ([[1.0], [2.0]], (4,))
    )
    def test_names_a_scale_that_does_not_fit(self, scale, shape):
        layer = _L.Rescaling(scale, name="bad")
        with self.assertRaisesRegex(
            errors.UnsupportedLayerError, "does not fit.*'bad'"
        ):
            linear_layers.read_linear(layer, shape)

    def test_refuses_scales_that_keras_turns_for_channels_first(self):
        layer = _L.Rescaling([1.0, 2.0], name="bad")
        with mock.patch.object(
            keras.config, "image_data_format", lambda: "channels_first"
        ):
            with self.assertRaisesRegex(
                errors.UnsupportedLayerError, "channels_first.*'bad'"
            ):
                linear_layers.read_linear(layer, (3, 3, 2))


class NormalizationTest(parameterized.TestCase):
    @parameterized.product(axis=(-1, 1, 2, (1, 3), None), invert=(False, True))
    def test_is_that_of_what_it_has_adapted_to(self, axis, invert):
        layer = _L.Normalization(axis=axis, invert=invert, dtype="float64")
        layer.adapt(np.random.default_rng(0).normal(3, 2, (30, 2, 3, 4)))
        _assert_agree(layer, (2, 3, 4))

    @parameterized.product(invert=(False, True))
    def test_is_that_of_given_statistics(self, invert):
        layer = _L.Normalization(
            mean=[1.0, 2.0], variance=[4.0, 0.0], invert=invert
        )
        layer.build((None, 3, 2))
        step = linear_layers.read_linear(layer, (3, 2))
        deviation = np.array([2.0, keras.config.epsilon()])
        scale, bias = 1 / deviation, -np.array([1.0, 2.0]) / deviation
        if invert:
            scale, bias = deviation, [1.0, 2.0]
        kernel = np.diag(np.tile(scale, 3))
        np.testing.assert_allclose(step.map.materialise(), kernel, rtol=1e-15)
        np.testing.assert_allclose(step.bias, np.tile(bias, 3), rtol=1e-15)

    def test_asks_for_statistics(self):
        with self.assertRaisesRegex(
            errors.UnsupportedLayerError, "no statistics.*'bad'.*adapt it"
        ):
            linear_layers.read_linear(_L.Normalization(name="bad"), (3,))


class BatchNormalizationTest(parameterized.TestCase):
    @parameterized.product(scale=(True, False), center=(True, False))
    def test_uses_the_moving_statistics(self, scale, center):
        layer = _batch_normalization((3, 4), scale=scale, center=center)
        _assert_agree(layer, (3, 4))

    @parameterized.parameters(
        ((4,), -1), ((3, 4), 1), ((2, 3, 4), 2), ((2, 3, 4), 3), ((2, 3), -2)
    )
    def test_takes_any_axis(self, shape, axis):
        _assert_agree(_batch_normalization(shape, axis=axis), shape)

    def test_renormalisation_changes_nothing_in_inference(self):
        layer = _batch_normalization((4,), renorm=True)
        _assert_agree(layer, (4,))

    @parameterized.product(seed=tuple(range(5)), float32=(True, False))
    def test_errs_by_no_more_than_it_says(self, seed, float32):
        layer = _batch_normalization((2, 9), seed, epsilon=1e-3)
        if float32:
            for weight in layer.weights:
                weight.assign(weight.numpy().astype(np.float32))
        step = linear_layers.read_linear(layer, (2, 9))
        mpmath.mp.dps = 50
        epsilon = mpmath.mpf(1e-3)
        scales, offsets = [], []
        weights = [
            layer.gamma,
            layer.beta,
            layer.moving_mean,
            layer.moving_variance,
        ]
        for each in zip(*(weight.numpy().tolist() for weight in weights)):
            gamma, beta, mean, variance = map(mpmath.mpf, each)
            scales.append(gamma / mpmath.sqrt(variance + epsilon))
            offsets.append(beta - mean * scales[-1])
        kernel = np.diag(step.map.materialise())
        allowed = numerics.gamma(step.roundings)
        for stored, exact in zip(kernel, 2 * scales):
            self.assertLessEqual(abs(exact - stored), allowed * abs(stored))
        apart = [e - stored for stored, e in zip(step.bias, 2 * offsets)]
        self.assertGreater(mpmath.norm(apart), 0.0)
        self.assertLessEqual(mpmath.norm(apart), step.bias_error)
        # Rounding it is, not more.
        size = np.linalg.norm(step.bias) + np.linalg.norm(kernel)
        self.assertLess(step.bias_error, 1e-13 * size)

    @parameterized.parameters(
        ("moving_variance", -1.0),
        ("moving_variance", np.inf),
        ("moving_variance", np.nan),
        ("moving_mean", np.inf),
        ("gamma", np.nan),
        ("beta", -np.inf),
    )
    def test_names_a_layer_whose_statistics_are_no_numbers(self, name, value):
        layer = _batch_normalization((4,))
        weight = getattr(layer, name)
        weight.assign([1.0, 1.0, value, 1.0])
        with self.assertRaisesRegex(
            errors.NonFiniteWeightsError, "'bad' of type BatchNormalization"
        ):
            linear_layers.read_linear(layer, (4,))

    def test_names_a_scale_that_vanishes(self):
        layer = _batch_normalization((4,))
        layer.moving_variance.assign([1e200] * 4)
        layer.gamma.assign([0.0, 1e-250, 1.0, 1.0])
        with self.assertRaisesRegex(
            errors.UnsupportedLayerError, "underflows.*'bad'"
        ):
            linear_layers.read_linear(layer, (4,))

    @parameterized.parameters(((5,), -1), ((4, 5), -1), ((4,), 0), ((4,), 2))
    def test_names_an_axis_that_does_not_fit(self, shape, axis):
        layer = _batch_normalization((4,))
        layer.axis = axis
        with self.assertRaisesRegex(errors.UnsupportedLayerError, "'bad'"):
            linear_layers.read_linear(layer, shape)


if __name__ == "__main__":
    absltest.main()
