"""Tests of certify(method="lipschitz"): networks that no curvature bounds."""

import functools

from absl.testing import absltest
import keras
import numpy as np
import tensorflow as tf

from redrawn import redrawn
import tfcurv
from tfcurv import certificates
from tfcurv import errors
from tfcurv import networks
from tfcurv.nn.reading.subject import read_subject
from untraced import untraced

_L = keras.layers


@functools.cache
def _model():
    """As anybody writes it: convolutions, normalisation, kinks, maxima."""
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            _L.Conv2D(3, 3, padding="same"),
            _L.BatchNormalization(),
            _L.Activation("relu"),
            _L.MaxPooling2D(2, strides=1),
            _L.Flatten(),
            _L.Dense(7, activation="leaky_relu"),
            _L.Dense(6, activation="relu"),
            _L.Dense(3),
        ]
    )
    redrawn(model)
    model.layers[1].moving_mean.assign([0.1, -0.2, 0.3])
    model.layers[1].moving_variance.assign([0.5, 1.5, 1.0])
    return model


@functools.cache
def _data():
    x = np.random.default_rng(0).uniform(size=(24, 6, 6, 1)).astype(np.float32)
    return x, np.argmax(_model()(x), axis=-1)


@functools.cache
def _result():
    with untraced():
        return tfcurv.certify(
            _model(), _data(), method="lipschitz", falsify=True, verbose=0
        )


class LipschitzTest(absltest.TestCase):
    def test_no_point_within_the_radius_has_another_class(self):
        result, (x, y) = _result(), _data()
        self.assertGreater(result.radii.min(), 0.0)
        self.assertGreater(result.num_attacks, 0)
        self.assertTrue(np.all(result.radii <= result.upper_bounds))
        random = np.random.default_rng(1)
        for _ in range(50):
            step = random.normal(size=x.shape)
            length = np.linalg.norm(step.reshape(len(x), -1), axis=1)
            scale = 0.999 * result.radii / length
            moved = x + step * scale[:, None, None, None]
            found = np.argmax(_model()(moved), axis=-1)
            np.testing.assert_array_equal(found, y)

    def test_is_the_margin_over_a_constant_of_the_pair(self):
        result, (x, y) = _result(), _data()
        network = read_subject(_model(), as_graph=True).network
        self.assertIsInstance(network, networks.GraphNetwork)
        constants = certificates.LipschitzBounds(network.graph).pair_constants
        logits = _model()(x).numpy().astype(np.float64)
        expected = [
            min(
                (z[label] - z[t]) / constants[label, t]
                for t in range(3)
                if t != label
            )
            for z, label in zip(logits, y)
        ]
        np.testing.assert_allclose(result.radii, expected, rtol=1e-4)

    def test_says_what_it_is(self):
        result = _result()
        self.assertEqual(result.method, "lipschitz")
        self.assertEqual(result.method_names, ("lipschitz",))
        self.assertIn("lipschitz", str(result))

    def test_can_be_saved_loaded_and_attacked_again(self):
        folder = self.create_tempdir().full_path + "/result"
        _result().save(folder)
        result = tfcurv.load_result(folder)
        with untraced():
            attacked = tfcurv.falsify(_model(), result, _data(), verbose=0)
        self.assertGreater(attacked.num_attacks, result.num_attacks)

    def test_is_a_lower_radius_than_curvature_proves_of_a_smooth_network(self):
        smooth = redrawn(
            keras.Sequential(
                [
                    keras.Input((4,)),
                    _L.Dense(8, activation="tanh"),
                    _L.Dense(3),
                ]
            )
        )
        x = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
        data = x, np.argmax(smooth(x), axis=-1)
        with untraced():
            curved = tfcurv.certify(smooth, data, verbose=0)
            found = tfcurv.certify(smooth, data, method="lipschitz", verbose=0)
        self.assertTrue(np.all(found.radii <= curved.upper_bounds))
        self.assertGreater(found.radii.min(), 0.0)
        self.assertLess(found.mean_radius, curved.mean_radius)

    def test_refuses_what_it_has_no_part_in(self):
        for settings, message in (
            ({"curvature": "local"}, "no curvature"),
            ({"guard": "float32"}, "chains alone"),
        ):
            with self.assertRaisesRegex(errors.UnsupportedModelError, message):
                tfcurv.certify(
                    _model(), _data(), method="lipschitz", verbose=0, **settings
                )

    def test_check_knows_of_it(self):
        found = tfcurv.check(_model(), method="curvature")
        self.assertLen(found, 4)
        self.assertIn("method='bcp'", str(found))
        for method in ("auto", "bcp", "lipschitz"):
            self.assertEmpty(tfcurv.check(_model(), method=method))

    @untraced()
    def test_what_vanishes_in_a_branch_is_not_lost(self):
        # Found by a search for false certificates: 1e-30 ten times over is no
        # number, and 1e30 ten times more makes it 1 again. The radius is 1.
        constant = keras.initializers.Constant
        x = value = keras.Input((1,))
        for number in [1e30] * 10 + [1e-30] * 10 + [1e-10]:
            value = keras.layers.Dense(
                1, use_bias=False, kernel_initializer=constant(number)
            )(value)
        other = keras.layers.Dense(
            1, use_bias=False, kernel_initializer=constant(1e-20)
        )
        value = keras.layers.ReLU()(keras.layers.Add()([value, other(x)]))
        last = keras.layers.Dense(2)
        model = keras.Model(x, last(value))
        last.set_weights([np.array([[0.0, 1e10]]), np.array([1.0, 0.0])])
        data = np.zeros((1, 1), np.float32), np.zeros(1, np.int32)
        for method in ("bcp", "crown", "ibp", "lipschitz"):
            found = tfcurv.certify(model, data, method=method, verbose=0)
            self.assertLessEqual(found.radii[0], 1.0 + 1e-6)

    @untraced()
    def test_a_reshape_moves_no_neuron_to_another_place(self):
        # Found by a search for false certificates: windows of one shape were
        # read in another, and what lay outside was taken for constant.
        kernel = np.zeros((8, 3))
        kernel[5, 1], kernel[0, 2] = 1.0, 0.1
        x, y = np.ones((1, 1, 8, 1)), np.zeros(1, np.int32)
        for before in (True, False):
            bent = _L.Conv2D(1, 1)
            moved = _L.Reshape((2, 4, 1))
            order = (moved, bent) if before else (bent, moved)
            model = keras.Sequential(
                [keras.Input((1, 8, 1)), _L.ReLU(), *order, _L.ReLU()]
                + [_L.Flatten(), _L.Dense(3)]
            )
            bent.set_weights([np.ones((1, 1, 1, 1)), np.array([-2.0])])
            model.layers[-1].set_weights([kernel, np.array([0.5, 0.0, 0.0])])
            found = tfcurv.certify(model, (x, y), method="crown", verbose=0)
            self.assertLessEqual(found.radii[0], 1.5)

    @untraced()
    def test_certifies_elu_of_any_alpha(self):
        layers = keras.layers
        x = keras.Input((3,))
        value = layers.ELU(0.3)(layers.Dense(4)(x))
        model = keras.Model(x, layers.Dense(2)(value))
        points = np.random.default_rng(0).normal(size=(6, 3))
        labels = model.predict(points, verbose=0).argmax(-1)
        found = tfcurv.certify(model, (points, labels), verbose=0)
        self.assertEqual(found.method_names, ("bcp", "crown"))
        self.assertTrue(np.all(found.radii > 0.0))

    @untraced()
    def test_where_curvature_fails_others_are_named_and_chosen(self):
        with self.assertRaisesRegex(
            errors.UnsupportedModelError, "method='bcp'"
        ):
            tfcurv.certify(_model(), _data(), method="curvature", verbose=0)
        chosen = tfcurv.certify(_model(), _data(), limit=8, verbose=0)
        self.assertEqual(chosen.method_names, ("bcp", "crown"))
        self.assertGreater(chosen.radii.mean(), _result().radii[:8].mean())


if __name__ == "__main__":
    tf.test.main()
