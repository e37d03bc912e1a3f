"""Tests of tfcurv.attack: examples that are what they say, and near."""

import contextlib
import functools
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np

from redrawn import redrawn
import tfcurv
from tfcurv import certificates
from tfcurv import errors
from untraced import plain
from untraced import untraced

_L = keras.layers
_QUICK = certificates.AttackOptions(targets=2, restarts=2, steps=8)


@contextlib.contextmanager
def _untraced():
    kind = plain(certificates.MultiTargetAttack, ("attack",))
    with mock.patch.object(certificates, "MultiTargetAttack", kind):
        yield


def _linear(kernel, bias):
    model = keras.Sequential([keras.Input((len(kernel),)), _L.Dense(3)])
    model.layers[-1].set_weights([np.array(kernel), np.array(bias)])
    return model


@functools.cache
def _convolutional():
    return redrawn(
        keras.Sequential(
            [
                keras.Input((5, 5, 1)),
                _L.Conv2D(3, 3, activation="relu"),
                _L.MaxPooling2D(2, strides=1),
                _L.Flatten(),
                _L.Dense(6, activation="tanh"),
                _L.Dense(3),
            ]
        )
    )


def _data(model, count=8, seed=0):
    shape = (count, *model.input_shape[1:])
    x = np.random.default_rng(seed).uniform(size=shape).astype(np.float32)
    return x, np.argmax(model(x), axis=-1)


class AttackTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.enter_context(_untraced())

    @parameterized.parameters(("l2", 2), ("linf", 1))
    def test_of_a_linear_model_is_the_nearest_point(self, norm, dual):
        random = np.random.default_rng(0)
        kernel, bias = random.normal(size=(4, 3)), random.normal(size=3)
        model = _linear(kernel, bias)
        kernel = model.layers[-1].get_weights()[0].astype(np.float64)
        x, y = _data(model)
        found = tfcurv.attack(model, (x, y), norm=norm, verbose=0)
        logits = x.astype(np.float64) @ kernel + np.float32(bias)
        for row, label in enumerate(y):
            nearest = min(
                (logits[row, label] - logits[row, t])
                / np.linalg.norm(kernel[:, label] - kernel[:, t], dual)
                for t in set(range(3)) - {label}
            )
            self.assertAlmostEqual(
                found.distances[row], nearest, delta=1e-4 * nearest
            )
            self.assertGreaterEqual(found.distances[row], nearest)

    @parameterized.parameters(
        ("l2", None), ("linf", None), ("l2", (0.0, 1.0)), ("linf", (0.0, 1.0))
    )
    def test_examples_are_misclassified_as_far_away_as_it_says(
        self, norm, domain
    ):
        model = _convolutional()
        x, y = _data(model)
        found = tfcurv.attack(
            model, (x, y), norm=norm, domain=domain, options=_QUICK, verbose=0
        )
        met = np.isfinite(found.distances)
        self.assertGreater(np.mean(met), 0.7)
        away = (found.examples - x).reshape(len(x), -1)
        order = 2 if norm == "l2" else np.inf
        sizes = np.linalg.norm(away, order, axis=-1)[met]
        self.assertTrue(np.all(sizes <= found.distances[met]))
        np.testing.assert_allclose(sizes, found.distances[met], rtol=1e-9)
        self.assertTrue(np.all(found.classes[met] != y[met]))
        # As Keras says, where the point is far enough for its float32.
        beyond = x + (1.0 + 1e-4) * (found.examples - x)
        says = np.argmax(model(beyond.astype(np.float32)), axis=-1)
        self.assertGreater(np.mean(says[met] != y[met]), 0.9)
        if domain is not None:
            inside = (found.examples >= 0.0) & (found.examples <= 1.0)
            self.assertTrue(np.all(inside))

    def test_no_certificate_reaches_beyond_an_example(self):
        model = _convolutional()
        data = _data(model)
        with untraced():
            proved = tfcurv.certify(model, data, method="bcp", verbose=0)
        found = tfcurv.attack(model, data, verbose=0)
        self.assertTrue(np.all(proved.radii <= found.distances))
        # Nor is it farther than what certify finds by one attack.
        self.assertLessEqual(
            np.median(found.distances), 1.001 * np.median(proved.upper_bounds)
        )
        self.assertEqual(found.accuracy_upper_bound(found.distances.max()), 0.0)

    def test_more_restarts_find_no_farther_ones(self):
        model = _convolutional()
        data = _data(model)
        few, many = (
            tfcurv.attack(
                model,
                data,
                options=certificates.AttackOptions(restarts=n, targets=1),
                verbose=0,
            ).distances
            for n in (1, 3)
        )
        self.assertTrue(np.all(many <= few))

    def test_what_is_misclassified_or_no_number_is_not_attacked(self):
        model = _linear(np.eye(3), np.zeros(3))
        x = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [np.nan, 0.0, 0.0]])
        y = np.array([0, 1, 0])
        found = tfcurv.attack(model, (x, y), options=_QUICK, verbose=0)
        np.testing.assert_array_equal(found.distances[1:], 0.0)
        np.testing.assert_array_equal(found.examples[1:], x[1:])
        np.testing.assert_array_equal(found.predictions, [0, 0, -1])
        self.assertAlmostEqual(found.clean_accuracy, 1 / 3)
        self.assertAlmostEqual(found.median_distance, 0.5**0.5, places=3)
        self.assertIn("examples found", str(found))

    def test_where_there_is_no_other_class_finds_nothing(self):
        model = _linear(np.zeros((3, 3)), np.array([1.0, 0.0, 0.0]))
        x, y = np.ones((2, 3)), np.zeros(2, np.int32)
        found = tfcurv.attack(model, (x, y), options=_QUICK, verbose=0)
        self.assertTrue(np.all(np.isinf(found.distances)))
        np.testing.assert_array_equal(found.examples, x)
        self.assertEqual(found.accuracy_upper_bound(1e9), 1.0)

    def test_refuses_by_name(self):
        model = _linear(np.eye(3), np.zeros(3))
        with self.assertRaisesRegex(ValueError, "norm='l1'"):
            tfcurv.attack(model, (np.ones((1, 3)), [0]), norm="l1")
        with self.assertRaisesRegex(ValueError, "restarts=0"):
            certificates.AttackOptions(restarts=0)
        single = keras.Sequential([keras.Input((2,)), _L.Dense(1)])
        with self.assertRaisesRegex(errors.UnsupportedModelError, "single"):
            tfcurv.attack(single, (np.ones((1, 2)), [0]))


class CompiledTest(absltest.TestCase):
    def test_gives_the_same(self):
        model = _linear(np.eye(3), np.zeros(3))
        data = _data(model)
        found = tfcurv.attack(model, data, options=_QUICK, verbose=0)
        with _untraced():
            eager = tfcurv.attack(model, data, options=_QUICK, verbose=0)
        np.testing.assert_allclose(found.distances, eager.distances, rtol=1e-4)


if __name__ == "__main__":
    absltest.main()
