"""What a certificate is about, on what it rests, and attacks on it."""

import dataclasses
import functools
import pathlib
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

from redrawn import redrawn
import tfcurv
from tfcurv import certificates
from tfcurv import errors
from tfcurv import networks
from tfcurv import numerics
from tfcurv import report
from tfcurv.networks.functions import smooth as activations
from tfcurv.nn.reading import subject
from untraced import untraced

_L = keras.layers
_CLOSED_FORM = certificates.CertifierOptions(search=None)

# For what must be found.
_LIGHT = certificates.FalsifierOptions(restarts=1)


def _built(*layers, shape=(8,), seed=0, dtype=None):
    inputs = keras.Input(shape, dtype=dtype)
    model = redrawn(keras.Sequential([inputs, *layers]), seed)
    for layer in model.layers:
        if isinstance(layer, _L.Dense):
            layer.kernel.assign(2.0 * layer.kernel)
    return model


@functools.cache
def _model():
    return _built(
        _L.Rescaling(0.5, offset=0.1),
        _L.Dense(16, activation="softplus"),
        _L.Dense(12),
        _L.Dense(10, activation="tanh"),
        _L.Dense(4),
    )


@functools.cache
def _data(rows=30):
    x = np.random.default_rng(0).normal(size=(rows, 8)).astype(np.float32)
    return x, np.argmax(_model()(x), axis=-1)


def _certify(model=None, data=None, **settings):
    given = {"options": _CLOSED_FORM, "verbose": 0, "method": "curvature"}
    settings = given | settings
    with untraced():
        return tfcurv.certify(model or _model(), data or _data(), **settings)


def _falsify(result, data, **settings):
    with untraced():
        return tfcurv.falsify(_model(), result, data, verbose=0, **settings)


@functools.cache
def _plain():
    return _certify()


@functools.cache
def _guarded():
    # Compiled, with all that an execution adds.
    settings = {"options": _CLOSED_FORM, "guard": "float32", "verbose": 0}
    return tfcurv.certify(_model(), _data(), **settings)


class GuardTest(parameterized.TestCase):
    def test_costs_a_little_of_every_radius(self):
        plain, guarded = _plain(), _guarded()
        self.assertTrue(np.all(guarded.radii < plain.radii))
        self.assertLess(np.max(plain.radii - guarded.radii), 1e-3)
        self.assertGreater(np.median(guarded.radii / plain.radii), 0.99)
        self.assertEqual(guarded.guard, "float32")
        self.assertIsNone(plain.guard)
        self.assertIn("float32", str(guarded))

    def test_the_executed_model_keeps_the_class_in_the_whole_ball(self):
        x, y = _data()
        guarded = _guarded()
        rng = np.random.default_rng(1)
        for share in (0.5, 0.9, 1.0 - 1e-5):
            step = rng.normal(size=(40, *x.shape))
            step /= np.linalg.norm(step, axis=-1, keepdims=True)
            points = x + share * guarded.radii[:, None] * step
            found = _model()(points.reshape(-1, 8).astype(np.float32))
            classes = found.numpy().argmax(axis=-1).reshape(40, -1)
            np.testing.assert_array_equal(classes, np.tile(y, (40, 1)))

    @parameterized.parameters("softplus", "tanh", "mish", "gelu", "softsign")
    def test_the_executed_logits_lie_within_the_bound(self, activation):
        model = _built(
            _L.Rescaling(1 / 255.0, offset=-0.5),
            _L.Dense(300, activation=activation),
            _L.Dense(200, activation=activation),
            _L.Dense(3),
            shape=(100,),
        )
        network = tfcurv.network_from_model(model, guard="float32")
        x = np.random.default_rng(0).uniform(0, 255, size=(50, 100))
        x = x.astype(np.float32).astype(np.float64)
        exact = network.logits(tf.constant(x)).numpy()
        found = model(x.astype(np.float32)).numpy().astype(np.float64)
        trace = network.execution.trace(tf.constant(x))
        for y, t in ((0, 1), (1, 2), (2, 0)):
            error = network.execution.margin_error(
                trace,
                tf.fill([50], y),
                tf.fill([50], t),
                tf.zeros(50, tf.float64),
            ).numpy()
            apart = found[:, y] - found[:, t] - exact[:, y] + exact[:, t]
            self.assertTrue(np.all(np.abs(apart) <= error))
            self.assertLess(np.max(error), 0.05)

    @parameterized.parameters(sorted(networks.ACTIVATIONS))
    def test_float32_activations_err_by_no_more_than_is_assumed(self, name):
        z = np.concatenate(
            [np.linspace(-120, 120, 40001), np.geomspace(1e-30, 1e6, 2001)]
        ).astype(np.float32)
        found = keras.ops.convert_to_numpy(keras.activations.get(name)(z))
        exact = networks.activation(name).value(tf.constant(z, tf.float64))
        roundoff = numerics.unit_roundoff("float32")
        allowed = activations.EVALUATION_ROUNDOFFS * roundoff
        error = np.abs(found - exact.numpy()) / (1.0 + np.abs(z))
        self.assertLessEqual(np.max(error), allowed / 2.0)

    def test_a_model_that_float32_gets_wrong_is_not_certified_with_it(self):
        # 1e4 - 1e4 + x cancels: exactly, the sign of x decides; executed,
        # what is left of it.
        model = _built(_L.Dense(1 + 1), shape=(3,))
        kernel = np.array([[1e4, 0.0], [-1e4, 0.0], [1.0, 0.0]], np.float32)
        model.layers[-1].set_weights([kernel, np.zeros(2, np.float32)])
        x = np.array([[1000.0001, 1000.0, 2e-2]], np.float32)
        # Where x_0 and x_1 round to the same, 1e-2 decides.
        data = (x, np.array([0]))
        exact = _certify(model, data)
        self.assertGreater(exact.radii[0], 0.0)
        guarded = _certify(model, data, guard="float32")
        self.assertEqual(guarded.radii[0], 0.0)
        self.assertEqual(guarded.reason(0), "tied")

    def test_upper_bounds_are_of_points_that_are_wrong_when_executed(self):
        guarded, plain = _guarded(), _plain()
        found = np.isfinite(guarded.upper_bounds)
        self.assertGreater(np.mean(found), 0.9)
        self.assertTrue(
            np.all(guarded.upper_bounds[found] >= plain.radii[found])
        )

    def test_refuses_what_is_not_executed_in_float32(self):
        double = _built(_L.Dense(3, dtype="float64"), dtype="float64")
        with self.assertRaisesRegex(
            errors.UnsupportedModelError, "compute_dtype='float64'"
        ):
            tfcurv.network_from_model(double, guard="float32")
        network = tfcurv.network_from_model(_model())
        with self.assertRaisesRegex(ValueError, "guard='float32'"):
            _certify(network, guard="float32")
        with self.assertRaisesRegex(ValueError, "guard='float16'"):
            _certify(guard="float16")


class RigorTest(parameterized.TestCase):
    def test_both_ways_to_bound_norms_agree(self):
        trusting = _certify(rigor="float64")
        self.assertEqual(trusting.rigor, "float64")
        self.assertEqual(_plain().rigor, "verified")
        np.testing.assert_allclose(trusting.radii, _plain().radii, rtol=1e-7)

    def test_the_result_says_on_what_each_part_rests(self):
        rows = dict(_plain().proof_rows())
        self.assertIn("verified", rows["norms and eigenvalues"])
        self.assertIn("real-valued", rows["holds for"])

    def test_survives_saving(self):
        folder = pathlib.Path(self.create_tempdir().full_path) / "report"
        result = dataclasses.replace(_guarded(), num_attacks=7)
        result.save(folder)
        loaded = tfcurv.load_result(folder)
        for name in ("guard", "rigor", "num_attacks"):
            self.assertEqual(getattr(loaded, name), getattr(result, name))

    def test_refuses_an_unknown_level(self):
        with self.assertRaisesRegex(ValueError, "rigor='hoped'"):
            _certify(rigor="hoped")


class DecisionsTest(parameterized.TestCase):
    @parameterized.parameters(None, "float32")
    def test_are_those_of_the_radii_with_and_without_a_guard(self, guard):
        epsilons = tuple(np.quantile(_plain().radii, (0.4, 0.6)))
        settings = {"epsilons": epsilons, "guard": guard, "options": None}
        full = _certify(**settings)
        decided = _certify(radii=False, **settings)
        for epsilon in epsilons:
            np.testing.assert_array_equal(
                decided.radii > epsilon, full.radii > epsilon
            )
            self.assertEqual(
                decided.attacked_accuracy(epsilon),
                full.attacked_accuracy(epsilon),
            )
        self.assertIn("at least", str(decided))
        self.assertNotIn("at least", str(full))


class FalsifyTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)

    def test_certify_attacks_what_it_has_certified(self):
        result = _certify(falsify=True)
        np.testing.assert_array_equal(result.radii, _plain().radii)
        self.assertGreater(result.num_attacks, 100 * len(result.radii))
        self.assertEqual(_plain().num_attacks, 0)

    def test_a_false_certificate_raises_with_a_counter_example(self):
        call = certificates.Decider.__call__

        def boasting(certifier, *arguments):
            found = call(certifier, *arguments)
            return found._replace(radius=1.5 * found.upper_bound)

        checkpoint = self.folder / "run"
        with mock.patch.object(certificates.Decider, "__call__", boasting):
            with self.assertRaises(errors.FalseCertificateError) as raised:
                _certify(falsify=True, checkpoint=checkpoint)
        self._assert_is_counter_example(raised.exception)
        self.assertEqual(raised.exception.path.parent, checkpoint)
        self.assertEmpty(list(checkpoint.glob("shard-*")))

    def test_a_full_disk_does_not_hide_that_a_certificate_is_false(self):
        radii = 1.2 * np.minimum(_plain().upper_bounds, 9.0)
        boasting = dataclasses.replace(_plain(), radii=radii)
        full = mock.patch.object(
            report, "write_atomically", side_effect=OSError("full")
        )
        with (
            self.assertRaisesRegex(
                errors.FalseCertificateError, "could not be saved"
            ) as raised,
            full,
        ):
            _falsify(boasting, _data(), options=_LIGHT, folder=self.folder)
        self.assertIsNone(raised.exception.path)

    def test_a_folder_for_counter_examples_is_tried_before_the_attack(self):
        file = self.folder / "file"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        with mock.patch.object(certificates.Falsifier, "__call__") as attack:
            for run in (
                lambda: tfcurv.falsify(
                    _model(), _plain(), _data(), folder=file, verbose=0
                ),
                lambda: _certify(falsify=True, checkpoint=file),
            ):
                with self.assertRaisesRegex(OSError, "file"):
                    run()
        attack.assert_not_called()

    def _assert_is_counter_example(self, error):
        x, y = _data()
        with np.load(error.path) as saved:
            np.testing.assert_array_equal(saved["x0"], x[error.index])
            point, label = saved["point"], int(saved["label"])
        self.assertEqual(label, y[error.index])
        distance = np.linalg.norm(point - x[error.index])
        self.assertLessEqual(distance, error.distance)
        self.assertLess(error.distance, error.radius)
        network = tfcurv.network_from_model(_model())
        logits = network.logits(tf.constant(point[None])).numpy()[0]
        self.assertNotEqual(logits.argmax(), label)

    def test_a_saved_result_can_be_attacked_later(self):
        attacked = _falsify(_plain(), _data())
        self.assertGreater(attacked.num_attacks, 0)
        np.testing.assert_array_equal(attacked.radii, _plain().radii)

    def test_a_saved_result_that_is_false_is_found_out(self):
        radii = 1.2 * np.minimum(_plain().upper_bounds, 9.0)
        boasting = dataclasses.replace(_plain(), radii=radii)
        with self.assertRaises(errors.FalseCertificateError) as raised:
            _falsify(boasting, _data(), options=_LIGHT, folder=self.folder)
        self._assert_is_counter_example(raised.exception)
        self.assertEqual(raised.exception.path.parent, self.folder)

    def test_the_executed_model_is_attacked_where_it_was_certified(self):
        # Radii that are true of the exact network alone: beyond the guard.
        model = _built(_L.Dense(2), shape=(3,))
        kernel = np.array([[1e4, 0.0], [-1e4, 0.0], [1.0, 0.0]], np.float32)
        model.layers[-1].set_weights([kernel, np.zeros(2, np.float32)])
        rng = np.random.default_rng(0)
        x = rng.uniform(900.0, 1000.0, size=(40, 3)).astype(np.float32)
        x[:, 1] = x[:, 0]
        x[:, 2] = rng.uniform(-1.0, 1.0, size=40)
        y = (x[:, 2] < 0.0).astype(np.int64)
        exact = _certify(model, (x, y))
        self.assertGreater(exact.radii.min(), 0.0)
        with untraced():
            tfcurv.falsify(model, exact, (x, y), verbose=0)
        guarded = subject.read_subject(model, guard="float32")
        claimed = dataclasses.replace(
            exact, guard="float32", model_hash=guarded.model_hash
        )
        with self.assertRaises(errors.FalseCertificateError) as raised:
            tfcurv.falsify(
                model,
                claimed,
                (x, y),
                options=_LIGHT,
                folder=self.folder,
                verbose=0,
            )
        with np.load(raised.exception.path) as saved:
            point = saved["point"].astype(np.float32)
        answer = model(point[None]).numpy().argmax()
        self.assertNotEqual(answer, raised.exception.label)

    def test_refuses_another_model_and_other_data(self):
        x, y = _data()
        with self.assertRaisesRegex(errors.InvalidResultError, "data"):
            tfcurv.falsify(_model(), _plain(), (x + 1, y), verbose=0)
        other = _built(_L.Dense(4), seed=1)
        with self.assertRaisesRegex(errors.InvalidResultError, "model"):
            tfcurv.falsify(other, _plain(), _data(), verbose=0)
        with self.assertRaisesRegex(ValueError, "data_name='arrays'"):
            tfcurv.falsify(_model(), _plain(), verbose=0)

    def test_data_that_come_in_another_order_again_are_no_false_alarm(self):
        x, y = _data()
        random = np.random.default_rng(0)

        def rows():
            order = random.permutation(len(y))
            return zip(x[order], y[order])

        shuffled = tf.data.Dataset.from_generator(
            rows,
            output_signature=(
                tf.TensorSpec(x.shape[1:], x.dtype),
                tf.TensorSpec([], tf.int64),
            ),
        ).batch(10)
        result = _certify(data=shuffled)
        # What the attack is told is the first pass, as it was certified.
        random = np.random.default_rng(0)
        with self.assertRaisesRegex(errors.DataError, "read twice"):
            _falsify(result, shuffled)

    def test_a_result_of_another_version_is_no_mystery(self):
        old = dataclasses.replace(
            _plain(), model_hash="0" * 64, versions={"tfcurv": "0.0.1"}
        )
        with self.assertRaisesRegex(
            errors.InvalidResultError, "saved by tfcurv 0.0.1.*certify again"
        ):
            tfcurv.falsify(_model(), old, _data(), verbose=0)

    def test_what_certifies_nothing_is_not_attacked(self):
        with self.assertRaisesRegex(ValueError, "runner-up"):
            _certify(targets="runner-up", falsify=True)
        published = dataclasses.replace(_plain(), targets_protocol="runner-up")
        with self.assertRaisesRegex(ValueError, "runner-up"):
            tfcurv.falsify(_model(), published, _data(), verbose=0)


if __name__ == "__main__":
    absltest.main()
