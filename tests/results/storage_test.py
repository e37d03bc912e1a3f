"""Tests of results in folders: whole or not at all, and checked when read."""

import hashlib
import json
import pathlib
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from tfcurv import errors
from tfcurv import results
from tfcurv.results import storage


def _result() -> results.CertificationResult:
    return results.CertificationResult(
        labels=np.array([0, 1]),
        predictions=np.array([0, 0]),
        radii=np.array([0.5, 0.0]),
        targets=np.array([1, 0]),
        upper_bounds=np.array([0.5, 0.0]),
        exact=np.array([True, False]),
        reasons=np.array([0, 1]),
        epsilons=(0.25,),
    )


class _FolderTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.parent = pathlib.Path(self.create_tempdir().full_path)
        self.folder = self.parent / "report"


class NewFolderTest(_FolderTest):
    def test_appears_when_it_is_complete(self):
        with results.new_folder(self.folder) as path:
            (path / "a.txt").write_text("a")
            self.assertFalse(self.folder.exists())
        self.assertEqual((self.folder / "a.txt").read_text(), "a")
        self.assertEqual(list(self.parent.iterdir()), [self.folder])

    def test_replaces_an_empty_folder(self):
        self.folder.mkdir()
        with results.new_folder(str(self.folder)) as path:
            (path / "a.txt").write_text("a")
        self.assertEqual(list(self.parent.rglob("*.txt"))[0].name, "a.txt")

    def test_makes_the_folders_above_it(self):
        with results.new_folder(self.folder / "deep") as path:
            (path / "a.txt").write_text("a")
        self.assertTrue((self.folder / "deep" / "a.txt").is_file())

    def test_can_be_read_by_others(self):
        with results.new_folder(self.folder):
            pass
        self.assertEqual(self.folder.stat().st_mode & 0o777, 0o755)

    @parameterized.parameters(RuntimeError, KeyboardInterrupt, SystemExit)
    def test_an_interruption_leaves_nothing_behind(self, interruption):
        with self.assertRaises(interruption):
            with results.new_folder(self.folder) as path:
                (path / "a.txt").write_text("a")
                raise interruption()
        self.assertEmpty(list(self.parent.iterdir()))

    def test_refuses_what_holds_something_and_leaves_it(self):
        self.folder.mkdir()
        (self.folder / "mine.txt").write_text("mine")
        for refuse in (
            results.check_new_folder,
            lambda path: results.new_folder(path).__enter__(),
        ):
            with self.assertRaisesRegex(errors.ResultExistsError, "report"):
                refuse(self.folder)
        self.assertEqual((self.folder / "mine.txt").read_text(), "mine")
        self.assertEqual(list(self.parent.iterdir()), [self.folder])

    def test_refuses_a_file(self):
        self.folder.write_text("a file")
        with self.assertRaisesRegex(errors.ResultExistsError, "folder="):
            results.check_new_folder(self.folder)
        self.assertEqual(self.folder.read_text(), "a file")

    def test_refuses_now_what_could_not_be_made_later(self):
        self.folder.write_text("a file")
        for path in (self.folder / "deep", self.folder / "deep" / "er"):
            with self.assertRaisesRegex(OSError, "Received.*Remedy"):
                results.check_new_folder(path)
        with mock.patch("os.path.ismount", return_value=True):
            with self.assertRaisesRegex(OSError, "mount point"):
                results.check_new_folder(self.parent / "mounted")
        self.assertEqual(list(self.parent.iterdir()), [self.folder])

    def test_a_rehearsal_leaves_nothing_behind(self):
        results.check_new_folder(self.folder / "deep" / "er")
        self.assertEmpty(list(self.parent.iterdir()))

    def test_fills_the_empty_folder_that_a_link_names(self):
        real = self.parent / "real"
        real.mkdir()
        self.folder.symlink_to(real)
        with results.new_folder(self.folder) as path:
            (path / "a.txt").write_text("a")
        self.assertTrue(self.folder.is_symlink())
        self.assertEqual((real / "a.txt").read_text(), "a")

    def test_one_that_appears_meanwhile_is_not_overwritten(self):
        with self.assertRaises(OSError):
            with results.new_folder(self.folder) as path:
                (path / "a.txt").write_text("a")
                self.folder.mkdir()
                (self.folder / "mine.txt").write_text("mine")
        self.assertEqual(
            [path.name for path in self.folder.iterdir()], ["mine.txt"]
        )
        self.assertEqual(list(self.parent.iterdir()), [self.folder])


class ReadResultTest(_FolderTest):
    def setUp(self):
        super().setUp()
        self.folder.mkdir()
        storage.write_result(self.folder, _result())

    def _damage(self, **changes):
        """Rewrites fields of the JSON; None takes one out."""
        path = self.folder / "result.json"
        document = {**json.loads(path.read_text()), **changes}
        kept = {k: v for k, v in document.items() if v is not None}
        path.write_text(json.dumps(kept))

    def _assert_invalid(self, message=""):
        with self.assertRaisesRegex(errors.InvalidResultError, message):
            results.load_result(self.folder)

    def test_reads_what_was_written(self):
        loaded = results.load_result(self.folder)
        np.testing.assert_array_equal(loaded.radii, [0.5, 0.0])
        self.assertEqual(loaded.epsilons, (0.25,))

    def _as_of_the_former_format(self, **changes):
        """Makes of what was written what was written before."""
        path = self.folder / "result.npz"
        with np.load(path) as packed:
            arrays = {k: packed[k] for k in packed if k != "methods"}
        np.savez_compressed(path, **arrays)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        later = ("norm", "domain", "method", "method_names", "grounds")
        path = self.folder / "result.json"
        document = json.loads(path.read_text())
        document = {k: v for k, v in document.items() if k not in later}
        document |= {"format": "tfcurv-result-1", "arrays_sha256": sha256}
        path.write_text(json.dumps({**document, **changes}))

    @parameterized.parameters(
        ("global", "curvature"),
        ("auto", "curvature"),
        ("relu quadratic", "quadratic"),
    )
    def test_reads_the_former_format_which_had_one_threat(
        self, curvature, method
    ):
        self._as_of_the_former_format(curvature=curvature)
        loaded = results.load_result(self.folder)
        np.testing.assert_array_equal(loaded.radii, [0.5, 0.0])
        self.assertEqual((loaded.norm, loaded.domain), ("l2", None))
        self.assertEqual(loaded.method, "auto")
        self.assertEqual(loaded.method_names, (method,))
        np.testing.assert_array_equal(loaded.methods, [0, -1])
        # And what is saved now is the same result.
        again = self.parent / "again"
        loaded.save(again)
        self.assertEqual(str(results.load_result(again)), str(loaded))

    def test_the_present_format_says_which_method(self):
        self._as_of_the_former_format(format="tfcurv-result-2")
        self._assert_invalid("result.npz does not hold")

    @parameterized.parameters(
        {"norm": "l0"},
        {"domain": [1.0, 0.0]},
        {"domain": 1.0},
        {"method_names": []},
    )
    def test_refuses_a_threat_or_method_that_is_none(self, **changes):
        self._damage(**changes)
        self._assert_invalid("folder=")

    def test_the_json_can_be_read_without_the_library(self):
        document = json.loads((self.folder / "result.json").read_text())
        summary = document["summary"]
        self.assertEqual(summary["clean_accuracy"], 0.5)
        self.assertEqual(summary["certified_accuracy"], {"0.25": 0.5})
        self.assertEqual(summary["attacked_accuracy"], {"0.25": 0.5})
        self.assertIs(summary["is_certificate"], True)

    @parameterized.parameters("result.json", "result.npz")
    def test_refuses_a_folder_that_lacks_a_file(self, name):
        (self.folder / name).unlink()
        self._assert_invalid(name)

    def test_refuses_a_folder_that_is_not_there(self):
        self.folder = self.parent / "nowhere"
        self._assert_invalid("nowhere")

    @parameterized.parameters(0, 1, 100, -1)
    def test_refuses_arrays_of_which_one_byte_has_changed(self, position):
        path = self.folder / "result.npz"
        content = bytearray(path.read_bytes())
        content[position] ^= 1
        path.write_bytes(content)
        self._assert_invalid("result.npz is not the one")

    def test_refuses_arrays_that_were_cut_off(self):
        path = self.folder / "result.npz"
        path.write_bytes(path.read_bytes()[:-20])
        self._assert_invalid("result.npz is not the one")

    def test_refuses_the_arrays_of_another_result(self):
        other = self.parent / "other"
        other.mkdir()
        storage.write_result(other, _result())
        path = other / "result.npz"
        content = path.read_bytes()
        np.savez_compressed(path, radii=np.ones(2))
        self.assertNotEqual(path.read_bytes(), content)
        (self.folder / "result.npz").write_bytes(path.read_bytes())
        self._assert_invalid("result.npz is not the one")

    @parameterized.parameters(
        "", "{", "[]", "3", "null", '"text"', "{}", '{"format": []}', "\x00"
    )
    def test_refuses_json_that_is_no_result(self, text):
        (self.folder / "result.json").write_text(text)
        self._assert_invalid("folder=")

    def test_refuses_json_that_is_no_text(self):
        (self.folder / "result.json").write_bytes(b"\xff\xfe\xfa")
        self._assert_invalid("folder=")

    def test_refuses_another_format(self):
        self._damage(format="tfcurv-result-99")
        self._assert_invalid("another format.*Allowed: .*'tfcurv-result-2'")

    @parameterized.parameters(
        {"epsilons": None},
        {"epsilons": 3.0},
        {"arrays_sha256": None},
        {"arrays_sha256": "0" * 64},
        {"unknown": 1},
    )
    def test_refuses_fields_that_are_missing_or_do_not_belong(self, **changes):
        self._damage(**changes)
        self._assert_invalid("folder=")

    def test_refuses_arrays_that_do_not_fit_together(self):
        # As a faulty writer would leave them: the hash is right.
        shorter = {"radii": np.zeros(1)}
        arrays = {n: getattr(_result(), n) for n in storage.ARRAYS}
        with mock.patch.object(storage.np, "savez_compressed") as save:
            real = save.side_effect = lambda buffer, **_: np.savez(
                buffer, **{**arrays, **shorter}
            )
            storage.write_result(self.folder, _result())
        self.assertIsNotNone(real)
        self._assert_invalid("radii.shape")

    def test_refuses_arrays_of_which_one_is_missing(self):
        with mock.patch.object(storage.np, "savez_compressed") as save:
            save.side_effect = lambda buffer, **_: np.savez(
                buffer, labels=np.zeros(2)
            )
            storage.write_result(self.folder, _result())
        self._assert_invalid("folder=")

    def test_runs_no_code_that_is_in_the_arrays(self):
        with mock.patch.object(storage.np, "savez_compressed") as save:
            save.side_effect = lambda buffer, **arrays: np.savez(
                buffer, **{**arrays, "radii": np.array([{}, {}])}
            )
            storage.write_result(self.folder, _result())
        self._assert_invalid("folder=")


if __name__ == "__main__":
    absltest.main()
