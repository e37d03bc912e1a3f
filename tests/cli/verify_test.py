"""Tests of `tfcurv verify`: words, files and statuses."""

import contextlib
import io
import pathlib

from absl.testing import absltest
import keras
import numpy as np

import onnx_toys
from tfcurv import cli

_STATEMENT = """(declare-const X_0 Real)
(declare-const Y_0 Real) (declare-const Y_1 Real)
(assert (and (>= X_0 0) (<= X_0 1)))
(assert (>= Y_0 {bound}))
"""


def _run(*arguments):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = cli.main(["verify", *map(str, arguments)])
    return status, out.getvalue(), err.getvalue()


class VerifyTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)

    def statement(self, bound):
        path = self.folder / "a.vnnlib"
        path.write_text(_STATEMENT.format(bound=bound))
        return path

    def model(self):
        """Of outputs x and 0."""
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
        model.set_weights([np.array([[1.0, 0.0]]), np.zeros(2)])
        path = self.folder / "model.keras"
        model.save(path)
        return path

    def test_ends_with_a_status_for_each_verdict(self):
        model, told = self.model(), self.folder / "told.txt"
        flag = f"--counterexample={told}"
        status, out, _ = _run(model, self.statement(1.5), flag)
        self.assertEqual((status, out), (0, "holds\n"))
        self.assertEqual(told.read_text(), "unsat\n")
        status, out, _ = _run(model, self.statement(0.5), flag)
        self.assertEqual(status, 10)
        self.assertStartsWith(out, "violated\n((X_0 ")
        self.assertStartsWith(told.read_text(), "sat\n((X_0 ")
        told.unlink()
        # Nothing can be said of what holds with equality alone.
        bound = self.statement(1.0)
        status, out, _ = _run(model, bound, "--seconds=0.3", flag)
        self.assertEqual((status, out), (20, "unknown\n"))
        self.assertFalse(told.exists())

    def test_reads_onnx_files(self):
        toy = onnx_toys.Export((1,), np.random.default_rng(0))
        toy.add("MatMul", "input", toy.store(np.array([[1.0, 0.0]])))
        path = toy.save(self.folder)
        self.assertEqual(_run(path, self.statement(1.5))[0], 0)

    def test_says_in_one_line_what_is_wrong(self):
        model = self.model()
        bad = self.folder / "bad.vnnlib"
        bad.write_text("(assert\n(<= Y_0 0)")
        for arguments, word in (
            ((model,), "one property file"),
            ((model, bad), "Line 1 "),
            ((model, self.folder / "none.vnnlib"), "none.vnnlib"),
            ((self.folder / "none.onnx", bad), "none.onnx"),
        ):
            status, out, err = _run(*arguments)
            self.assertEqual((status, out, err.count("\n")), (2, "", 1))
            self.assertIn(word, err)


if __name__ == "__main__":
    absltest.main()
