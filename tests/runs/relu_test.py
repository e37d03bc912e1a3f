"""Tests of two-layer ReLU networks through tfcurv.certify."""

import functools
import pathlib
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np

import compiled_once
from redrawn import redrawn
import tfcurv
from tfcurv import certificates
from tfcurv import errors
from tfcurv import results
from untraced import untraced

_L = keras.layers


def _model(*layers, shape=(4,), classes=3, seed=0):
    last = _L.Dense(classes, bias_initializer="normal")
    return redrawn(keras.Sequential([keras.Input(shape), *layers, last]), seed)


def _classes(model, x):
    return np.argmax(model(x), axis=-1)


def _relu(units=12, **settings):
    settings = {"bias_initializer": "normal"} | settings
    return _L.Dense(units, activation="relu", **settings)


@functools.cache
def _trained():
    """A small network trained on three overlapping clouds."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 300)
    x = rng.normal(size=(300, 4)) + 1.5 * np.eye(3, 4)[y]
    model = _model(_relu(32))
    model.compile(
        keras.optimizers.Adam(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    model.fit(x, y, epochs=15, batch_size=50, verbose=0)
    return model, (x[:24], y[:24])


@functools.cache
def _certified():
    model, data = _trained()
    with compiled_once.compiled_once(model):
        return tfcurv.certify(model, data, verbose=0, batch_size=10)


class CertifyTest(parameterized.TestCase):
    def test_certifies_between_zero_and_the_attack(self):
        result = _certified()
        right = result.reasons == certificates.Reason.CERTIFIED
        self.assertGreater(np.mean(right), 0.6)
        self.assertTrue(np.all(result.radii[right] > 0.0))
        self.assertTrue(np.all(result.radii <= result.upper_bounds))
        ratio = result.radii[right] / result.upper_bounds[right]
        self.assertGreater(np.mean(ratio), 0.95)
        np.testing.assert_array_equal(right, result.correct)

    def test_says_how_it_was_proved(self):
        result = _certified()
        self.assertEqual(result.curvature, "relu quadratic")
        self.assertIn("relu quadratic", str(result))
        self.assertTrue(result.is_certificate)

    def test_its_points_withstand_the_falsifier(self):
        model, data = _trained()
        with compiled_once.compiled_once(model):
            result = tfcurv.falsify(model, _certified(), data, verbose=0)
        self.assertGreater(result.num_attacks, 0)

    def test_the_falsifier_finds_a_false_one(self):
        model, data = _trained()
        true = _certified()
        arrays = {
            name: getattr(true, name)
            for name in ("labels", "predictions", "targets", "reasons", "exact")
        }
        false = results.CertificationResult(
            **arrays,
            radii=1.05 * np.where(true.radii > 0, true.upper_bounds, 0.0),
            upper_bounds=true.upper_bounds,
            epsilons=true.epsilons,
            data_hash=true.data_hash,
            model_hash=true.model_hash,
        )
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaises(errors.FalseCertificateError):
                with compiled_once.compiled_once(model):
                    tfcurv.falsify(model, false, data, folder=folder, verbose=0)

    def test_goes_on_where_it_was_killed_and_survives_saving(self):
        model, data = _trained()
        with tempfile.TemporaryDirectory() as folder:
            settings = {"checkpoint": folder + "/c", "batch_size": 10}
            with compiled_once.compiled_once(model):
                first = tfcurv.certify(model, data, verbose=0, **settings)
                again = tfcurv.certify(model, data, verbose=0, **settings)
            again.save(folder + "/r")
            read = tfcurv.load_result(folder + "/r")
            page = pathlib.Path(folder, "r", "report.html").read_text()
        np.testing.assert_array_equal(first.radii, again.radii)
        np.testing.assert_array_equal(first.radii, read.radii)
        np.testing.assert_allclose(first.radii, _certified().radii, rtol=1e-5)
        self.assertEqual(read.curvature, "relu quadratic")
        self.assertIn("relu quadratic", page)

    def test_decides_alike_without_radii(self):
        model, data = _trained()
        epsilons = (0.2, 0.8)
        with compiled_once.compiled_once(model):
            fast = tfcurv.certify(
                model, data, epsilons=epsilons, radii=False, verbose=0
            )
        for epsilon in epsilons:
            clear = np.abs(_certified().radii / epsilon - 1.0) > 0.02
            np.testing.assert_array_equal(
                (fast.radii > epsilon)[clear],
                (_certified().radii > epsilon)[clear],
            )

    def test_a_network_gives_the_same(self):
        model, (x, y) = _trained()
        network = tfcurv.network_from_model(model)
        self.assertTrue(certificates.has_relu(network))
        with untraced():
            result = tfcurv.certify(network, (x[:6], y[:6]), verbose=0)
        np.testing.assert_allclose(
            result.radii, _certified().radii[:6], rtol=1e-5
        )


class LayersTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("activation_layer", lambda: (_L.Dense(12), _L.Activation("relu"))),
        ("relu_layer", lambda: (_L.Dense(12), _L.ReLU())),
        ("fused", lambda: (_L.Dense(5), _relu(), _L.Dense(6))),
        ("scaled", lambda: (_L.Rescaling(1 / 255.0, -0.5), _relu())),
        (
            "normalised",
            lambda: (_L.Normalization(mean=0.3, variance=0.04), _relu()),
        ),
        ("tfcurv", lambda: (tfcurv.layers.Dense(9, activation="relu"),)),
        ("on_the_input", lambda: (_L.ReLU(),)),
    )
    def test_reads_what_is_two_layers_in_the_end(self, layers):
        model = _model(_L.Flatten(), *layers(), shape=(2, 2))
        scale = 100.0 if isinstance(model.layers[1], _L.Rescaling) else 1.0
        rng = np.random.default_rng(0)
        x = scale * rng.normal(size=(6, 2, 2)).astype(np.float32)
        y = _classes(model, x)
        with untraced():
            result = tfcurv.certify(model, (x, y), verbose=0)
        self.assertTrue(np.all(result.correct & (result.radii > 0.0)))
        for point, label, radius in zip(x, y, result.radii):
            ways = rng.normal(size=(500, 2, 2))
            ways /= np.linalg.norm(ways, axis=(1, 2), keepdims=True)
            near = point + 0.999 * min(radius, 1e3) * ways
            np.testing.assert_array_equal(_classes(model, near), label)

    def test_scaling_the_input_scales_radii(self):
        inner = _model(_relu())
        x = np.random.default_rng(0).normal(size=(5, 4))
        y = _classes(inner, x)
        outer = keras.Sequential(
            [keras.Input((4,)), _L.Rescaling(0.01), *inner.layers]
        )
        with untraced():
            small = tfcurv.certify(inner, (x, y), verbose=0)
            large = tfcurv.certify(outer, (100.0 * x, y), verbose=0)
        np.testing.assert_allclose(large.radii, 100.0 * small.radii, rtol=1e-2)


class RefusalTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("two_relu", lambda: (_relu(name="bad"), _relu())),
        ("tanh_before", lambda: (_L.Dense(5, "tanh"), _relu(name="bad"))),
        ("tanh_behind", lambda: (_relu(name="bad"), _L.Dense(5, "tanh"))),
    )
    def test_deeper_networks_are_refused_by_name(self, layers):
        model = _model(*layers())
        for ask in (
            lambda: tfcurv.certify(
                model, _trained()[1], method="quadratic", verbose=0
            ),
            lambda: tfcurv.network_from_model(model),
        ):
            with self.assertRaisesRegex(
                errors.UnsupportedActivationError, "'bad'(.|\n)*softplus"
            ):
                ask()

    @parameterized.parameters(
        _L.ReLU(6.0, name="bad"),
        _L.ReLU(negative_slope=0.1, name="bad"),
        _L.ReLU(threshold=0.5, name="bad"),
    )
    def test_relu_layers_that_are_none_are_refused(self, layer):
        with self.assertRaisesRegex(errors.UnsupportedLayerError, "'bad'"):
            tfcurv.network_from_model(_model(_L.Dense(5), layer))

    @parameterized.parameters(
        {"guard": "float32"},
        {"rigor": "float64"},
        {"curvature": "local"},
        {"curvature": "auto"},
    )
    def test_options_that_mean_nothing_are_refused(self, **setting):
        model, data = _trained()
        (value,) = setting.values()
        with self.assertRaisesRegex(ValueError, f"{value}.*(Allowed|Remedy)"):
            tfcurv.certify(
                model, data, method="quadratic", verbose=0, **setting
            )

    def test_training_for_curvature_refuses_it(self):
        layer = tfcurv.layers.Dense(5, activation="relu", name="bad")
        model = tfcurv.Sequential(
            [keras.Input((4,)), layer, tfcurv.layers.Dense(3)]
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.add_loss(tfcurv.CurvatureRegularizer(gamma=0.1))
        model.compile("sgd", loss)
        with self.assertRaisesRegex(
            errors.UnsupportedActivationError, "'bad', activation='relu'"
        ):
            model.fit(*_trained()[1], verbose=0)

    def test_the_smooth_certifier_refuses_it(self):
        network = tfcurv.network_from_model(_trained()[0])
        with self.assertRaises(errors.UnsupportedActivationError):
            certificates.CurvatureTable(network).bounds(
                np.array([0]), np.array([1])
            )


if __name__ == "__main__":
    absltest.main()
