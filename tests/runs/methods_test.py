"""Tests of certify(method=): a method goes through the whole pipeline."""

import dataclasses
import functools
import pathlib
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np

import compiled_once
import tfcurv
from tfcurv import certificates
from tfcurv import errors
from tfcurv import report
from tfcurv.certificates import methods
from toy_method import ToyLipschitz
from untraced import untraced

_L = keras.layers
_OPTIONS = certificates.CertifierOptions(search=None, attack_steps=4)


@functools.cache
def _model(activation="tanh"):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            _L.Dense(8, activation=activation),
            _L.Dense(3, bias_initializer="normal"),
        ],
        name="tiny",
    )
    return model


def _data():
    x = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
    y = np.argmax(_model()(x), axis=-1)
    y[0] = (y[0] + 1) % 3
    return x, y


def _certify(method, **settings):
    settings = {"options": _OPTIONS, "verbose": 0} | settings
    with (
        compiled_once.compiled_once(_model()),
        mock.patch.dict(methods.METHODS, toy=ToyLipschitz),
    ):
        return tfcurv.certify(_model(), _data(), method=method, **settings)


class NewMethodTest(absltest.TestCase):
    """One that the library does not know, registered for a moment."""

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)

    def test_its_radii_are_certificates_that_withstand_attacks(self):
        result = _certify("toy", falsify=True)
        self.assertGreater(result.num_attacks, 0)
        self.assertEqual(result.reason_counts["misclassified"], 1)
        self.assertTrue(np.all(result.radii[1:] > 0.0))
        self.assertTrue(np.all(result.radii <= result.upper_bounds))
        # The stages of the other method have not been at it.
        self.assertEqual(result.num_evaluations, 0.0)

    def test_the_result_says_how_it_was_proved(self):
        result = _certify("toy")
        self.assertEqual((result.norm, result.domain), ("l2", None))
        self.assertEqual(result.method, "toy")
        self.assertEqual(result.method_names, ("toy",))
        np.testing.assert_array_equal(result.methods, [-1] + [0] * 11)
        self.assertEqual(result.method_counts, {"toy": 11})
        self.assertEqual(result.curvature, "none")
        rests_on = dict(result.proof_rows())
        self.assertIn("Frobenius norms", rests_on)
        self.assertNotIn("ranges of s' and s''", rests_on)
        for text in (str(result), repr(result.page_sections())):
            self.assertIn("toy (11 toy)", text)
        result.save(self.folder / "report")
        loaded = tfcurv.load_result(self.folder / "report")
        self.assertEqual(str(loaded), str(result))
        page = (self.folder / "report" / "report.html").read_text()
        self.assertIn("l2 radii in input units, by toy (11 toy)", page)

    def test_its_checkpoint_is_of_no_other_method(self):
        first = _certify("toy", checkpoint=self.folder)
        with mock.patch.object(
            certificates.Decider, "__call__", side_effect=AssertionError
        ):
            again = _certify("toy", checkpoint=self.folder)
        np.testing.assert_array_equal(again.radii, first.radii)
        np.testing.assert_array_equal(again.methods, first.methods)
        with self.assertRaisesRegex(errors.InvalidCheckpointError, "curvature"):
            _certify("curvature", checkpoint=self.folder)

    def test_what_it_cannot_do_is_refused_in_its_own_words(self):
        with mock.patch.dict(methods.METHODS, toy=ToyLipschitz):
            with self.assertRaisesRegex(
                errors.UnsupportedModelError, "toy: .*'gelu'.*Allowed: l2, tanh"
            ):
                tfcurv.certify(_model("gelu"), _data(), method="toy", verbose=0)

    def test_one_that_says_nan_certifies_nothing(self):
        with mock.patch.object(
            ToyLipschitz,
            "first_radii",
            lambda method, x, y, rivals: np.full(rivals.shape, np.nan),
        ):
            result = _certify("toy")
        np.testing.assert_array_equal(result.radii, 0.0)
        self.assertEqual(result.certified_accuracy(0.0), 0.0)
        self.assertEqual(result.method_counts, {})
        self.assertIn("none proved", str(result))


class NamedMethodTest(parameterized.TestCase):
    def test_by_name_or_chosen_it_proves_the_same(self):
        chosen, named = _certify("auto"), _certify("curvature")
        for field in ("radii", "targets", "upper_bounds", "reasons", "methods"):
            np.testing.assert_array_equal(
                getattr(chosen, field), getattr(named, field)
            )
        self.assertEqual(chosen.method, "auto")
        self.assertEqual(named.method, "curvature")
        self.assertEqual(chosen.method_names, named.method_names)
        # Two proofs of the same: neither is beyond the other's examples.
        toy = _certify("toy")
        self.assertTrue(np.all(toy.radii <= chosen.upper_bounds))
        self.assertTrue(np.all(chosen.radii <= toy.upper_bounds))

    @parameterized.parameters(
        ("curvature", "relu", "curvature: .*kinks.*'relu'"),
        ("quadratic", "tanh", "quadratic: .*'tanh'"),
    )
    def test_one_that_cannot_do_the_model_says_why(
        self, method, activation, reason
    ):
        with self.assertRaisesRegex(errors.UnsupportedModelError, reason):
            tfcurv.certify(
                _model(activation), _data(), method=method, verbose=0
            )

    @parameterized.parameters("crown", "crown-ibp", "coap", "zonotope")
    def test_by_lines_its_radii_withstand_attacks(self, method):
        model = _model("relu")
        with untraced():
            result = tfcurv.certify(
                model, _data(), method=method, falsify=True, verbose=0
            )
        self.assertEqual(result.method_names, (method,))
        self.assertGreater(result.num_attacks, 0)
        right = result.reason_counts["certified"]
        self.assertEqual(np.count_nonzero(result.radii), right)
        self.assertEqual(result.method_counts, {method: right})
        self.assertTrue(np.all(result.radii <= result.upper_bounds))

    def test_an_unknown_one_is_refused_by_name(self):
        with self.assertRaisesRegex(ValueError, "method='curve'.*Allowed"):
            _certify("curve")

    def test_a_result_against_another_threat_is_attacked_in_its_norm(self):
        model, data = _model(), _data()
        with untraced():
            result = tfcurv.certify(model, data, norm="linf", verbose=0)
        self.assertEqual(result.norm, "linf")
        self.assertEqual(result.method_names, ("bcp", "crown"))
        tfcurv.falsify(model, result, data, verbose=0)
        # Just beyond an example in linf, which is far beyond it in l2.
        found = np.isfinite(result.upper_bounds)
        wrong = np.where(found, 1.02 * result.upper_bounds, result.radii)
        false = dataclasses.replace(result, radii=wrong)
        folder = self.create_tempdir().full_path
        with self.assertRaises(errors.FalseCertificateError):
            tfcurv.falsify(model, false, data, folder=folder, verbose=0)

    def test_says_what_it_will_do_and_shows_the_first_images_soon(self):
        x = np.random.default_rng(0).normal(size=(150, 4)).astype(np.float32)
        data = x, np.argmax(_model()(x), axis=-1)
        bars, lines = [], []

        def bar(total, unit, **settings):
            del settings
            bars.append(mock.MagicMock(total=total, unit=unit, disable=False))
            return bars[-1]

        with (
            untraced(),
            mock.patch.object(report, "progress_bar", bar),
            mock.patch.object(report, "announce", lines.append),
        ):
            found = tfcurv.certify(_model(), data, norm="linf")
            tfcurv.certify(_model(), data, method="bcp")
        self.assertEqual(found.method_names, ("bcp", "crown"))
        dear, cheap = (
            [call.args[0] for call in each.update.call_args_list]
            for each in bars
            if each.total == 150
        )
        self.assertEqual(dear, [8, 64, 64, 14])
        self.assertEqual(cheap, [150])
        (plan,) = lines
        self.assertIn("certifying by bcp; then, where", plan)
        self.assertIn("by crown", plan)
        # The parts make the same as the whole, in the same order.
        np.testing.assert_array_equal(found.labels, data[1])
        self.assertLen(found.radii, 150)


if __name__ == "__main__":
    absltest.main()
