"""Tests that a file is written whole or not at all."""

import os
import pathlib
import tempfile
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from tfcurv import report
from tfcurv.report import files


def _write_page(path):
    report.write_page(path, title="a", lead="b", sections=[])


def _plot_curves(path):
    curve = report.Curve(label="a", certified=np.ones(1), attacked=np.ones(1))
    report.plot_curves(path.with_suffix(".png"), [curve])


_every_writer = parameterized.named_parameters(
    ("bytes", lambda path: files.write_atomically(path, b"new")),
    ("page", _write_page),
    ("drawing", _plot_curves),
)


class WriteAtomicallyTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def test_replaces_what_was_there(self):
        path = self.folder / "a.html"
        for content in b"old", b"new":
            files.write_atomically(str(path), content)
            self.assertEqual(path.read_bytes(), content)
        self.assertEqual(os.listdir(self.folder), ["a.html"])

    def test_others_may_read_what_the_user_lets_them(self):
        plain, atomic = self.folder / "plain", self.folder / "atomic"
        plain.write_bytes(b"")
        files.write_atomically(atomic, b"")
        self.assertEqual(atomic.stat().st_mode, plain.stat().st_mode)

    @_every_writer
    def test_nothing_is_left_behind_when_renaming_fails(self, write):
        with mock.patch.object(os, "replace", side_effect=OSError("full")):
            with self.assertRaisesRegex(OSError, "full"):
                write(self.folder / "a.html")
        self.assertEmpty(os.listdir(self.folder))

    @_every_writer
    def test_an_interrupted_write_keeps_the_old_file(self, write):
        for name in "a.html", "a.png":
            (self.folder / name).write_bytes(b"old")
        with mock.patch.object(os, "replace", side_effect=KeyboardInterrupt):
            with self.assertRaises(KeyboardInterrupt):
                write(self.folder / "a.html")
        self.assertCountEqual(os.listdir(self.folder), ["a.html", "a.png"])
        for path in self.folder.iterdir():
            self.assertEqual(path.read_bytes(), b"old")

    @_every_writer
    def test_the_folder_must_exist(self, write):
        with self.assertRaises(FileNotFoundError):
            write(self.folder / "missing" / "a.html")

    def test_a_folder_is_not_replaced(self):
        (self.folder / "a").mkdir()
        with self.assertRaises(OSError):
            files.write_atomically(self.folder / "a", b"new")
        self.assertEqual(os.listdir(self.folder), ["a"])

    def test_text_that_is_no_unicode_leaves_nothing_behind(self):
        with self.assertRaises(UnicodeEncodeError):
            report.write_page(
                self.folder / "a", title="\ud800", lead="", sections=[]
            )
        self.assertEmpty(os.listdir(self.folder))


class RequireWritableTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)

    @parameterized.parameters("a", "b/c/a", "kept")
    def test_leaves_everything_as_it_was(self, name):
        (self.folder / "kept").write_text("mine")
        files.require_writable(self.folder / name)
        self.assertEqual(os.listdir(self.folder), ["kept"])
        self.assertEqual((self.folder / "kept").read_text(), "mine")

    @parameterized.parameters("file/a", "file/b/a", "")
    def test_refuses_by_name_what_cannot_be(self, name):
        (self.folder / "file").touch()
        path = self.folder / name
        with self.assertRaisesRegex(OSError, f"path='{path}'.*Remedy"):
            files.require_writable(path)

    def test_finds_a_full_disk(self):
        with mock.patch.object(os, "fsync", side_effect=OSError("full")):
            with self.assertRaisesRegex(OSError, "full"):
                files.require_writable(self.folder / "b" / "a")
        self.assertEmpty(os.listdir(self.folder))

    @parameterized.parameters(
        ("a.jpg", ValueError), ("a.png/a.png", OSError), ("a.png", None)
    )
    def test_a_drawing_is_checked_as_a_whole(self, name, error):
        path = self.folder / name
        if error is OSError:
            path.parent.touch()
        if error is None:
            report.check_drawing(path)
            self.assertEmpty(os.listdir(self.folder))
        else:
            with self.assertRaisesRegex(error, "Received"):
                report.check_drawing(path)


if __name__ == "__main__":
    absltest.main()
