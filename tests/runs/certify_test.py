"""Tests of tfcurv.runs.certify."""

import contextlib
import dataclasses
import functools
import io

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

import compiled_once
from redrawn import redrawn
import tfcurv
from tfcurv import certificates
from tfcurv import data as tfcurv_data
from tfcurv import errors
from untraced import untraced

_L = keras.layers

# Deterministic, fast, and float64 throughout.
_CLOSED_FORM = certificates.CertifierOptions(search=None)

_RANDOM = np.random.default_rng(0)
_X = _RANDOM.normal(size=(20, 2))
_IMAGES = _RANDOM.uniform(size=(11, 2, 2, 1)).astype(np.float32)


def _model(*layers, shape=(2,), classes=3, gain=3.0, seed=0):
    last = _L.Dense(classes, bias_initializer="normal")
    model = keras.Sequential([keras.Input(shape), *layers, last])
    redrawn(model, seed)
    for layer in model.layers:
        if isinstance(layer, _L.Dense):
            layer.kernel.assign(gain * layer.kernel)
    return model


@functools.cache
def _tanh_model():
    return _model(_L.Dense(6, activation="tanh"))


@functools.cache
def _image_model():
    hidden = _L.Dense(6, activation="tanh")
    return _model(_L.Flatten(), hidden, shape=(2, 2, 1))


def _predictions(model, x=_X):
    return np.argmax(model(x), axis=-1)


def _certify(model, data, **settings):
    settings = {"options": _CLOSED_FORM, "verbose": 0} | settings
    # Nothing changes the weights of those that tests share.
    is_shared = model in (_tanh_model(), _image_model())
    with compiled_once.compiled_once(model) if is_shared else untraced():
        return tfcurv.certify(model, data, **settings)


@functools.cache
def _searched():
    """The tanh model on its own predictions, with the search."""
    model = _tanh_model()
    return _certify(model, (_X, _predictions(model)), options=None)


@functools.cache
def _image_labels():
    return _predictions(_image_model(), _IMAGES).astype(np.int32)


@functools.cache
def _certified_images():
    return _certify(_image_model(), (_IMAGES, _image_labels()))


def _rings(radii, num_angles=360):
    """Points `[images, points, 2]` nearer than each radius."""
    angles = np.linspace(0.0, 2 * np.pi, num_angles, endpoint=False)
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    shares = np.array([0.25, 0.5, 0.75, 0.9, 0.99, 1.0 - 1e-9])
    offsets = (shares[:, None, None] * directions).reshape(-1, 2)
    return radii[:, None, None] * offsets


class GuaranteeTest(parameterized.TestCase):
    def _assert_no_class_changes(self, model, result, x):
        network = tfcurv.network_from_model(model)
        points = (x[:, None] + _rings(result.radii)).reshape(-1, x.shape[1])
        logits = network.logits(tf.constant(points)).numpy()
        classes = logits.argmax(axis=-1).reshape(len(x), -1)
        certified = result.radii > 0.0
        np.testing.assert_array_equal(
            classes[certified],
            np.broadcast_to(
                result.labels[certified, None], classes[certified].shape
            ),
        )

    def test_no_point_within_the_radius_has_another_class(self):
        result = _searched()
        self.assertGreater(result.radii.min(), 0.0)
        self._assert_no_class_changes(_tanh_model(), result, _X)

    def test_radii_lie_below_the_adversarial_examples_found(self):
        result = _searched()
        self.assertTrue(np.all(result.radii <= result.upper_bounds))
        self.assertTrue(np.any(np.isfinite(result.upper_bounds)))

    def test_the_search_only_adds_to_the_closed_form(self):
        model = _tanh_model()
        closed = _certify(model, (_X, _predictions(model)))
        gained = _searched().radii - closed.radii
        self.assertTrue(np.all(gained >= 0.0))
        self.assertGreater(gained.max(), 0.0)

    def test_radii_of_a_linear_model_are_distances_to_hyperplanes(self):
        model = _model(classes=5)
        labels = _predictions(model)
        result = _certify(model, (_X, labels))
        kernel, bias = (w.numpy().astype(np.float64) for w in model.weights)
        logits = _X @ kernel + bias
        distances = np.full((20, 5), np.inf)
        for row, label in enumerate(labels):
            for t in set(range(5)) - {label}:
                margin = logits[row, label] - logits[row, t]
                size = np.linalg.norm(kernel[:, label] - kernel[:, t])
                distances[row, t] = margin / size
        np.testing.assert_allclose(result.radii, distances.min(-1), rtol=1e-9)
        self.assertTrue(np.all(result.radii <= distances.min(-1)))
        np.testing.assert_array_equal(result.targets, distances.argmin(-1))

    def test_holds_with_more_classes_than_pairs_get_a_bound_of_their_own(self):
        model = _model(_L.Dense(6, activation="softplus"), classes=40)
        result = _certify(model, (_X, _predictions(model)), batch_size=7)
        self.assertGreater(result.radii.min(), 0.0)
        self._assert_no_class_changes(model, result, _X)

    def test_classes_that_are_far_away_change_little(self):
        few = _model(_L.Dense(6, activation="softplus"), classes=3)
        many = _model(_L.Dense(6, activation="softplus"), classes=40)
        many.layers[0].set_weights(few.layers[0].get_weights())
        kernel, bias = np.zeros((6, 40)), np.full(40, -1e4)
        kernel[:, :3], bias[:3] = few.layers[1].get_weights()
        many.layers[1].set_weights([kernel, bias])
        labels = _predictions(few)
        alone = _certify(few, (_X, labels)).radii
        among = _certify(many, (_X, labels)).radii
        self.assertTrue(np.all(among <= alone * (1.0 + 1e-9)))
        self.assertTrue(np.all(among >= 0.5 * alone))

    def test_runner_up_alone_is_no_certificate(self):
        model = _tanh_model()
        data = (_X, _predictions(model))
        every, one = (
            _certify(model, data),
            _certify(model, data, targets="runner-up"),
        )
        self.assertTrue(every.is_certificate)
        self.assertFalse(one.is_certificate)
        self.assertIn("NO CERTIFICATE", str(one))
        self.assertNotIn("NO CERTIFICATE", str(every))
        self.assertTrue(np.all(one.radii >= every.radii))
        self.assertGreater((one.radii - every.radii).max(), 0.0)

    def test_misclassified_points_have_no_radius(self):
        model = _tanh_model()
        labels = (_predictions(model) + 1) % 3
        result = _certify(model, (_X, labels))
        np.testing.assert_array_equal(result.radii, np.zeros(20))
        self.assertEqual(result.reason_counts, {"misclassified": 20})
        self.assertEqual(result.clean_accuracy, 0.0)

    def test_equal_classes_have_no_radius(self):
        model = _model(_L.Dense(6, activation="tanh"))
        kernel, bias = model.layers[1].get_weights()
        kernel[:, 1], bias[1] = kernel[:, 0], bias[0]
        model.layers[1].set_weights([kernel, bias])
        result = _certify(model, (_X, np.zeros(20, int)))
        np.testing.assert_array_equal(result.radii, np.zeros(20))
        self.assertNotIn("certified", result.reason_counts)

    def test_a_point_that_is_no_number_has_no_radius(self):
        model = _tanh_model()
        labels = _predictions(model)
        x = _X.copy()
        x[3, 1], x[7, 0] = np.nan, np.inf
        result = _certify(model, (x, labels))
        clean = _certify(model, (_X, labels))
        for row in (3, 7):
            self.assertEqual(result.radii[row], 0.0)
            self.assertEqual(result.reason(row), "non_finite")
            self.assertEqual(result.predictions[row], -1)
        others = np.delete(np.arange(20), [3, 7])
        np.testing.assert_array_equal(result.radii[others], clean.radii[others])

    @parameterized.parameters(1e-30, 1e-10, 1e10, 1e30)
    def test_scaling_the_logits_changes_no_radius(self, scale):
        model = _tanh_model()
        data = (_X, _predictions(model))
        scaled = keras.Sequential(
            [*model.layers, _L.Rescaling(scale, dtype="float64")]
        )
        scaled.build((None, 2))
        np.testing.assert_allclose(
            _certify(scaled, data).radii, _certify(model, data).radii, rtol=1e-9
        )


def _on_bytes(model):
    rescaling = _L.Rescaling(1 / 255)
    return keras.Sequential([keras.Input((2,)), rescaling, *model.layers])


class UnitsTest(absltest.TestCase):
    def test_are_those_of_the_data_before_any_rescaling(self):
        unit = _model(_L.Dense(6, activation="softplus"))
        bytewise = _on_bytes(unit)
        x = _RANDOM.uniform(size=(20, 2))
        labels = _predictions(unit, x)
        np.testing.assert_allclose(
            _certify(bytewise, (255.0 * x, labels)).radii,
            255.0 * _certify(unit, (x, labels)).radii,
            rtol=1e-9,
        )

    def test_bytes_are_warned_of_unless_the_model_rescales_them(self):
        x = np.array([[0.0, 255.0], [17.0, 128.0]])
        unit = _model(_L.Dense(6, activation="softplus"))
        bytewise = _on_bytes(unit)
        with self.assertWarnsRegex(
            tfcurv_data.PixelRangeWarning, r"\[0, 255\]"
        ):
            _certify(unit, (x, [0, 1]))
        _certify(bytewise, (x, [0, 1]))  # Warnings are errors here.


class DataTest(parameterized.TestCase):
    def test_of_every_form_give_the_same_result(self):
        plain = _certified_images()
        pairs = tf.data.Dataset.from_tensor_slices((_IMAGES, _image_labels()))
        split = tfcurv_data.Split(
            images=_IMAGES, labels=_image_labels(), name="own/test"
        )
        one_hot = np.eye(3)[_image_labels()]
        for data in (pairs.batch(3), split, (_IMAGES, one_hot)):
            result = _certify(_image_model(), data)
            np.testing.assert_array_equal(result.radii, plain.radii)
            np.testing.assert_array_equal(result.labels, plain.labels)
            self.assertEqual(result.data_hash, plain.data_hash)
            if data is split:
                self.assertEqual(result.data_name, "own/test")

    @parameterized.parameters(1, 4)
    def test_may_come_in_batches_of_any_size(self, batch_size):
        data, whole = (_IMAGES, _image_labels()), _certified_images()
        parts = _certify(_image_model(), data, batch_size=batch_size)
        np.testing.assert_allclose(parts.radii, whole.radii, rtol=1e-9)
        self.assertEqual(parts.data_hash, whole.data_hash)

    def test_may_come_in_any_order(self):
        order = np.random.default_rng(2).permutation(11)
        data = (_IMAGES[order], _image_labels()[order])
        moved = _certify(_image_model(), data, batch_size=4)
        whole = _certified_images().radii[order]
        np.testing.assert_allclose(moved.radii, whole, rtol=1e-9)

    def test_batches_meet_the_same_truth_when_searched(self):
        # The search is float32, so it may find another proof: each of them
        # lies between the closed form and every adversarial example.
        model, whole = _tanh_model(), _searched()
        labels = _predictions(model)
        closed = _certify(model, (_X, labels))
        parts = _certify(model, (_X, labels), batch_size=3, options=None)
        nearest = np.minimum(parts.upper_bounds, whole.upper_bounds)
        for result in (parts, whole):
            self.assertTrue(np.all(result.radii <= nearest))
            self.assertTrue(np.all(result.radii >= closed.radii))
        # It stops when the next step is this small beside the radius.
        tolerance = certificates.SearchOptions().relative_tolerance
        np.testing.assert_allclose(parts.radii, whole.radii, rtol=tolerance)

    def test_stop_at_the_limit(self):
        data = (_IMAGES, _image_labels())
        some = _certify(_image_model(), data, limit=5, batch_size=3)
        self.assertEqual(some.num_images, 5)
        whole = _certified_images().radii
        np.testing.assert_allclose(some.radii, whole[:5], rtol=1e-9)

    @parameterized.named_parameters(
        ("flat_images", lambda x, y: (x.reshape(11, 4), y), "shape"),
        ("too_few_labels", lambda x, y: (x, y[:-1]), "as many labels"),
        ("labels_out_of_range", lambda x, y: (x, y + 3), "out of range"),
        ("soft_labels", lambda x, y: (x, np.full((11, 3), 1 / 3)), "one-hot"),
        ("no_images", lambda x, y: (x[:0], y[:0]), "no data"),
        ("no_pair", lambda x, y: x, "of type ndarray"),
        ("text", lambda x, y: (x.astype(str), y), "real numbers"),
    )
    def test_that_do_not_fit_are_refused(self, change, message):
        with self.assertRaisesRegex(errors.DataError, message):
            _certify(_image_model(), change(_IMAGES, _image_labels()))


class NetworkTest(absltest.TestCase):
    def test_gives_what_its_model_gives(self):
        model = _tanh_model()
        data = (_X, _predictions(model))
        network = tfcurv.network_from_model(model)
        first, second = _certify(model, data), _certify(network, data)
        np.testing.assert_array_equal(first.radii, second.radii)
        self.assertEqual(first.model_hash, second.model_hash)
        self.assertEqual(first.model_name, model.name)
        self.assertEqual(second.model_name, "network")

    def test_hash_changes_with_a_weight_and_an_activation(self):
        model = _model(_L.Dense(6, activation="tanh"))
        data = (_X[:1], [0])
        hashes = {_certify(model, data).model_hash}
        bias = model.layers[0].bias.numpy()
        bias[-1] = np.nextafter(bias[-1], np.float32(9.0))
        model.layers[0].bias.assign(bias)
        hashes.add(_certify(model, data).model_hash)
        model.layers[0].activation = keras.activations.softsign
        hashes.add(_certify(model, data).model_hash)
        self.assertLen(hashes, 3)
        self.assertEqual({len(value) for value in hashes}, {64})

    def test_with_one_logit_has_no_other_class(self):
        # Whatever the label, no other class: an infinite radius for a model
        # that decides by the sign.
        model = _model(_L.Dense(6, activation="tanh"), classes=1)
        for given in (model, tfcurv.network_from_model(model)):
            with self.assertRaisesRegex(
                errors.UnsupportedModelError, r"single logit.*Dense\(2\)"
            ):
                _certify(given, (_X, np.zeros(20, int)))

    def test_with_one_logit_is_remedied_by_a_column_of_zeros(self):
        binary = _model(_L.Dense(6, activation="tanh"), classes=1)
        remedied = _model(_L.Dense(6, activation="tanh"), classes=2)
        kernel, bias = binary.layers[1].get_weights()
        remedied.layers[0].set_weights(binary.layers[0].get_weights())
        remedied.layers[1].set_weights(
            [np.hstack([0 * kernel, kernel]), np.hstack([0 * bias, bias])]
        )
        labels = (binary(_X).numpy()[:, 0] > 0).astype(int)
        result = _certify(remedied, (_X, labels))
        self.assertEqual(result.clean_accuracy, 1.0)
        self.assertTrue(np.all(np.isfinite(result.radii)))


class CallTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("zero", (0.0,), "epsilons=.*0.0"),
        ("negative", (0.5, -1.0), "epsilons=.*-1.0"),
        ("nan", (float("nan"),), "epsilons=.*nan"),
        ("infinite", (float("inf"),), "epsilons=.*inf"),
        ("number", 0.5, "epsilons=0.5.*sequence|sequence.*epsilons=0.5"),
    )
    def test_refuses_radii_by_name(self, epsilons, message):
        with self.assertRaisesRegex(ValueError, message):
            _certify(_tanh_model(), (_X, np.zeros(20, int)), epsilons=epsilons)

    def test_refuses_unknown_bounds_by_name(self):
        with self.assertRaisesRegex(ValueError, "curvature='near'.*local"):
            _certify(_tanh_model(), (_X, np.zeros(20, int)), curvature="near")

    def test_refuses_unknown_targets_by_name(self):
        with self.assertRaisesRegex(ValueError, "targets='some'.*runner-up"):
            _certify(_tanh_model(), (_X, np.zeros(20, int)), targets="some")

    @parameterized.parameters((0, True, ""), (1, False, ""), (1, True, "20/20"))
    def test_shows_progress_on_a_terminal_alone(self, verbose, is_tty, said):
        out, err = io.StringIO(), io.StringIO()
        err.isatty = lambda: is_tty
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            data = (_X, np.zeros(20, int))
            _certify(_tanh_model(), data, verbose=verbose)
        self.assertEqual(out.getvalue(), "")
        self.assertIn(said, err.getvalue())
        self.assertEqual(bool(err.getvalue()), bool(said))

    def test_decides_nothing_without_radii(self):
        with self.assertRaisesRegex(ValueError, "epsilons=\\(\\)"):
            data = (_X, np.zeros(20, int))
            _certify(_tanh_model(), data, radii=False, epsilons=())

    def test_result_cannot_be_changed(self):
        result = _searched()
        with self.assertRaises(dataclasses.FrozenInstanceError):
            result.radii = np.ones(20)
        with self.assertRaisesRegex(ValueError, "read-only"):
            result.radii[0] = 1.0

    def test_result_answers_for_the_radii_asked_for(self):
        data = (_X, _predictions(_tanh_model()))
        result = _certify(_tanh_model(), data, epsilons=[0.01, 0.2])
        self.assertEqual(result.epsilons, (0.01, 0.2))
        share = np.mean(result.radii > 0.2)
        self.assertAlmostEqual(result.certified_accuracy(0.2), share)


class CurvatureTest(absltest.TestCase):
    """Bounds around each image, on a network trained without a penalty."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        train = tfcurv_data.load_split("digits", "train")
        keras.utils.set_random_seed(0)
        cls.model = keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                _L.Flatten(),
                _L.Dense(16, activation="sigmoid"),
                _L.Dense(12, activation="softplus"),
                _L.Dense(10),
            ]
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        cls.model.compile(keras.optimizers.Adam(0.02), loss, jit_compile=False)
        cls.model.fit(train.images, train.labels, 64, epochs=4, verbose=0)

    def _certify(self, curvature, **settings):
        search = certificates.SearchOptions(newton_steps=0)
        options = certificates.CertifierOptions(search=search)
        settings = {"limit": 8, "falsify": True, "verbose": 0} | settings
        settings |= {"options": options, "curvature": curvature}
        settings["method"] = "curvature"
        data = tfcurv_data.load_split("digits", "test")
        with untraced():
            return tfcurv.certify(self.model, data, **settings)

    def test_around_an_image_proves_more_and_nothing_false(self):
        everywhere = self._certify("global", falsify=False)
        near = self._certify("local")
        self.assertGreater(everywhere.clean_accuracy, 0.8)
        self.assertEqual(everywhere.curvature, "global")
        self.assertEqual(near.curvature, "local")
        right = everywhere.radii > 0.0
        np.testing.assert_array_equal(near.radii > 0.0, right)
        gained = near.radii[right] / everywhere.radii[right]
        self.assertTrue(np.all(gained >= 1.0 - 1e-6))
        self.assertGreater(np.mean(gained), 1.02)
        self.assertTrue(np.all(near.radii <= near.upper_bounds))
        # And each was attacked inside its radius.
        self.assertGreater(near.num_attacks, 0)


if __name__ == "__main__":
    absltest.main()
