"""Tests of what certifying a data set gives."""

import dataclasses
import pathlib
import sys
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from tfcurv import errors
from tfcurv import results
from tfcurv.results import result as result_module
from tfcurv.results import storage

_HASH = "0123456789abcdef" * 4


def make_result(**changes) -> results.CertificationResult:
    """A result of five images: three certified, one wrong, one tied."""
    fields = {
        "labels": np.array([0, 1, 2, 0, 1], np.int32),
        "predictions": np.array([0, 1, 2, 1, 1], np.int32),
        "radii": np.array([0.5, 0.25, 1.0 / 3.0, 0.0, 0.0]),
        "targets": np.array([1, 2, 0, 1, 0], np.int32),
        "upper_bounds": np.array([0.5, 0.75, np.inf, 0.0, np.inf]),
        "exact": np.array([True, False, False, False, False]),
        "reasons": np.array([0, 0, 0, 1, 2], np.int32),
        "epsilons": (0.25, 0.5),
        "data_name": "toys",
        "model_name": "chain",
        "data_hash": _HASH,
        "model_hash": _HASH[::-1],
        "versions": {"tfcurv": "1.2.3"},
        "seconds": 1.5,
        "num_evaluations": 35.0,
    }
    return results.CertificationResult(**{**fields, **changes})


class AccuracyTest(parameterized.TestCase):
    @parameterized.parameters(
        (0.0, 0.6), (0.25, 0.4), (0.2499, 0.6), (0.5, 0.0), (0.4999, 0.2)
    )
    def test_certified_are_the_images_with_strictly_larger_radii(
        self, epsilon, share
    ):
        self.assertEqual(make_result().certified_accuracy(epsilon), share)

    @parameterized.parameters((0.0, 0.8), (0.5, 0.6), (0.75, 0.4), (1e300, 0.4))
    def test_attacked_are_the_images_that_no_example_reaches(
        self, epsilon, share
    ):
        self.assertEqual(make_result().attacked_accuracy(epsilon), share)

    def test_clean_are_the_images_with_their_own_label(self):
        self.assertEqual(make_result().clean_accuracy, 0.8)
        np.testing.assert_array_equal(
            make_result().correct, [True, True, True, False, True]
        )

    def test_certified_never_exceeds_attacked_nor_that_clean(self):
        # An image that no class or another class is given to, but on which
        # no adversarial example was sought.
        predictions = np.array([0, 1, 2, -1, 0])
        result = make_result(
            predictions=predictions, upper_bounds=np.full(5, np.inf)
        )
        for epsilon in np.linspace(0.0, 1.0, 21):
            attacked = result.attacked_accuracy(epsilon)
            self.assertLessEqual(result.certified_accuracy(epsilon), attacked)
            self.assertLessEqual(attacked, result.clean_accuracy)
        self.assertEqual(result.curve().attacked[4], 0.0)


class SummaryTest(absltest.TestCase):
    def test_is_of_the_correct_images(self):
        result = make_result()
        radii = [0.5, 0.25, 1.0 / 3.0, 0.0]
        self.assertEqual(result.mean_radius, np.mean(radii))
        self.assertEqual(result.median_radius, np.median(radii))
        self.assertEqual(result.exact_share, 0.25)

    def test_of_no_correct_image_is_nan(self):
        result = make_result(predictions=np.full(5, 3), radii=np.zeros(5))
        self.assertEqual(result.clean_accuracy, 0.0)
        for value in (
            result.mean_radius,
            result.median_radius,
            result.exact_share,
        ):
            self.assertTrue(np.isnan(value))
        self.assertIn("-", str(result))

    def test_counts_and_names_the_reasons(self):
        result = make_result()
        self.assertEqual(
            result.reason_counts,
            {"certified": 3, "misclassified": 1, "tied": 1},
        )
        self.assertEqual(result.reason(3), "misclassified")
        self.assertEqual(result.reason(4), "tied")

    def test_print_says_what_is_certified(self):
        text = str(make_result())
        for expected in (
            "chain",
            "5 of toys",
            "80.00 %",
            "40.00 %",
            "3 certified, 1 misclassified, 1 tied",
            "gradients an image",
        ):
            self.assertIn(expected, text)
        self.assertNotIn("NO CERTIFICATE", text)
        self.assertTrue(make_result().is_certificate)

    def test_print_says_that_the_runner_up_certifies_nothing(self):
        for protocol in ("runner-up", "ALL", ""):  # It fails closed.
            result = make_result(targets_protocol=protocol)
            self.assertFalse(result.is_certificate)
            self.assertIn("NO CERTIFICATE", str(result))
            self.assertNotIn("certified", result.accuracy_headers)

    def test_the_page_says_that_the_runner_up_certifies_nothing(self):
        fine = repr(make_result().page_sections())
        self.assertIn("No input strictly nearer", fine)
        self.assertNotIn("NO CERTIFICATE", fine)
        result = make_result(targets_protocol="runner-up")
        published = repr(result.page_sections())
        self.assertIn("NO CERTIFICATE", published)
        self.assertNotIn("No input strictly nearer", published)

    def test_the_page_names_model_data_and_versions(self):
        page = repr(make_result().page_sections())
        for expected in (_HASH, _HASH[::-1], "1.2.3", "tfcurv version"):
            self.assertIn(expected, page)


class FrozenTest(parameterized.TestCase):
    def test_nothing_can_be_assigned(self):
        result = make_result()
        with self.assertRaises(dataclasses.FrozenInstanceError):
            result.radii = np.ones(5)
        with self.assertRaises(ValueError):
            result.radii[0] = 9.0

    def test_does_not_change_with_the_arrays_it_was_made_of(self):
        radii = np.array([0.5, 0.25, 0.125, 0.0, 0.0])
        result = make_result(radii=radii)
        radii[0] = 9.0
        self.assertEqual(result.radii[0], 0.5)

    @parameterized.parameters(*storage.ARRAYS)
    def test_refuses_arrays_of_unequal_length(self, name):
        with self.assertRaisesRegex(ValueError, f"{name}.shape="):
            make_result(**{name: np.zeros(4 if name != "labels" else (5, 1))})


class CurveTest(absltest.TestCase):
    def test_lies_between_the_two_bounds(self):
        curve = make_result().curve("mine")
        self.assertEqual(curve.label, "mine")
        self.assertEqual(make_result().curve().label, "chain")
        np.testing.assert_array_equal(curve.certified, make_result().radii)
        np.testing.assert_array_equal(
            curve.attacked, make_result().upper_bounds
        )

    def test_of_the_runner_up_never_lies_above_an_attack(self):
        result = make_result(
            targets_protocol="runner-up", radii=np.array([9.0, 0, 0, 0, 0])
        )
        self.assertEqual(result.curve().certified[0], 0.5)


class SaveTest(absltest.TestCase):
    def _folder(self) -> pathlib.Path:
        return pathlib.Path(self.create_tempdir().full_path)

    def test_what_is_loaded_is_what_was_saved(self):
        folder = self._folder() / "deep" / "report"
        saved = make_result()
        saved.save(folder)
        loaded = results.load_result(folder)
        for field in dataclasses.fields(saved):
            before = getattr(saved, field.name)
            after = getattr(loaded, field.name)
            self.assertIs(type(after), type(before), field.name)
            if field.name in storage.ARRAYS:
                self.assertEqual(after.dtype, before.dtype)
                np.testing.assert_array_equal(after, before)
            else:
                self.assertEqual(after, before)
        self.assertEqual(str(loaded), str(saved))

    def test_radii_survive_to_the_last_bit(self):
        radii = np.array([5e-324, 1e-200, 0.1 + 0.2, 1e148, 0.0])
        folder = self._folder() / "report"
        make_result(radii=radii, upper_bounds=radii).save(folder)
        loaded = results.load_result(folder)
        self.assertEqual(loaded.radii.tobytes(), radii.tobytes())

    def test_the_runner_up_is_still_no_certificate_when_loaded(self):
        folder = self._folder() / "report"
        make_result(targets_protocol="runner-up").save(folder)
        self.assertFalse(results.load_result(folder).is_certificate)
        page = (folder / "report.html").read_text(encoding="utf-8")
        self.assertIn("NO CERTIFICATE", page)

    def test_a_result_without_times_or_correct_images_can_be_saved(self):
        folder = self._folder() / "report"
        make_result(
            predictions=np.full(5, -1), radii=np.zeros(5), seconds=np.nan
        ).save(folder)
        self.assertTrue(np.isnan(results.load_result(folder).seconds))

    def test_the_folder_holds_three_files(self):
        folder = self._folder() / "report"
        make_result().save(folder)
        self.assertEqual(
            sorted(path.name for path in folder.iterdir()),
            ["report.html", "result.json", "result.npz"],
        )

    def test_overwrites_nothing(self):
        folder = self._folder()
        make_result().save(folder / "report")
        before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        with self.assertRaisesRegex(errors.ResultExistsError, "report"):
            make_result(radii=np.zeros(5)).save(folder / "report")
        after = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        self.assertEqual(after, before)

    def test_a_failure_midway_leaves_nothing_behind(self):
        for module, function in (
            (result_module.report, "write_page"),
            (storage, "write_result"),
            (storage.json, "dumps"),
        ):
            parent = self._folder()
            with mock.patch.object(module, function, side_effect=OSError("x")):
                with self.assertRaises(OSError):
                    make_result().save(parent / "report")
            self.assertEmpty(list(parent.iterdir()))

    def test_without_matplotlib_the_page_says_so(self):
        folder = self._folder() / "report"
        with mock.patch.dict(sys.modules, {"matplotlib": None}):
            with mock.patch.object(
                result_module.report,
                "curves_png",
                side_effect=ImportError("no matplotlib"),
            ):
                make_result().save(folder)
        page = (folder / "report.html").read_text(encoding="utf-8")
        self.assertIn("no matplotlib", page)


if __name__ == "__main__":
    absltest.main()
