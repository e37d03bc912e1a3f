"""Tests of tfcurv.runs.properties: a model and a file become a verdict."""

import functools
import itertools

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np

import onnx_toys
import tfcurv
from tfcurv import errors
from tfcurv import runs

_LOW, _HIGH = 0.25, 0.5


def _statement(shape, outputs, unsafe, high=None):
    """A property of which one input moves, and all others are 0.25."""
    count = int(np.prod(shape))
    names = [f"X_{i}" for i in range(count)]
    names += [f"Y_{j}" for j in range(outputs)]
    lines = [f"(declare-const {name} Real)" for name in names]
    for i in range(count):
        top = _HIGH if high is None or high == i else _LOW
        lines += [f"(assert (>= X_{i} {_LOW}))", f"(assert (<= X_{i} {top}))"]
    return "\n".join([*lines, f"(assert {unsafe})"])


class VerifyTest(parameterized.TestCase):
    def write(self, text):
        return self.create_tempfile("a.vnnlib", text).full_path

    @functools.cached_property
    def toy(self):
        toy = onnx_toys.convolution(np.random.default_rng(1))
        return toy, toy.save(self.create_tempdir().full_path)

    @parameterized.parameters(37, 82)
    def test_numbers_inputs_as_onnx_does(self, moving):
        toy, path = self.toy
        model = tfcurv.from_onnx(path)
        x = np.full((1, *toy.shape), _LOW, np.float32)
        values = []
        for step in np.linspace(_LOW, _HIGH, 21):
            x.reshape(-1)[moving] = step
            values.append(onnx_toys.run(path, x)[0, 2])
        least, slack = min(values), 0.1 * (max(values) - min(values))
        self.assertGreater(slack, 1e-4)
        verdicts = {}
        for bound in (least - slack, least + slack):
            text = _statement(toy.shape, 4, f"(<= Y_2 {bound})", moving)
            found = runs.verify_property(model, self.write(text), seconds=20)
            verdicts[found.verdict] = found
        self.assertCountEqual(verdicts, ["holds", "violated"])
        found = verdicts["violated"]
        self.assertEqual(found.witness.shape, toy.shape)
        x = found.witness.astype(np.float32)
        np.testing.assert_array_equal(x, found.witness)
        y = onnx_toys.run(path, x[np.newaxis])[0]
        np.testing.assert_allclose(found.outputs, y, rtol=1e-5)
        self.assertLessEqual(y[2], least + slack)
        moved = np.flatnonzero(x != np.float32(_LOW))
        self.assertContainsSubset(moved, [moving])

    def test_knows_where_an_affine_network_ends(self):
        kernel = np.array([[1.0, -2.0], [0.5, 1.0], [-1.0, 0.25]])
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        model.set_weights([kernel, np.array([0.125, 0.0])])
        corners = np.array(list(itertools.product([_LOW, _HIGH], repeat=3)))
        difference = (corners @ kernel + [0.125, 0.0]) @ [1.0, -1.0]
        for unsafe, verdict in (
            (f"(<= (- Y_0 Y_1) {difference.min() - 1e-6})", "holds"),
            (f"(<= (- Y_0 Y_1) {difference.min() + 1e-6})", "violated"),
            (f"(>= Y_0 (+ Y_1 {difference.max() + 1e-6}))", "holds"),
            (f"(>= Y_0 (+ Y_1 {difference.max() - 1e-6}))", "violated"),
        ):
            with self.subTest(unsafe):
                path = self.write(_statement((3,), 2, unsafe))
                found = runs.verify_property(model, path, seconds=9)
                self.assertEqual(found.verdict, verdict)

    def test_refuses_what_does_not_fit(self):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        path = self.write(_statement((4,), 2, "(<= Y_0 0)"))
        with self.assertRaisesRegex(
            errors.InvalidPropertyError, "4 inputs.*has 3"
        ):
            runs.verify_property(model, path)
        with self.assertRaisesRegex(ValueError, "seconds=0"):
            runs.verify_property(model, path, seconds=0)


if __name__ == "__main__":
    absltest.main()
