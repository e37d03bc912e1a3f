"""Tests of verdicts on properties, as people and programs read them."""

from absl.testing import absltest
import numpy as np

from tfcurv import results


def _result(verdict, witness=None, outputs=None):
    return results.PropertyResult(
        verdict=verdict,
        witness=witness,
        outputs=outputs,
        model_name="toy",
        seconds=0.0,
    )


class PropertyResultTest(absltest.TestCase):
    def test_writes_the_assignments_of_a_witness_without_rounding(self):
        x = np.float32([[0.1, -2.0]]).astype(np.float64)
        found = _result("violated", x, np.array([1e-9]))
        first, *lines = found.counterexample.split()
        self.assertEqual(first, "sat")
        words = " ".join(lines).replace("(", "").replace(")", "").split()
        self.assertEqual(words[::2], ["X_0", "X_1", "Y_0"])
        self.assertEqual([*map(float, words[1::2])], [*x.ravel(), 1e-9])
        self.assertStartsWith(str(found), "violated\n((X_0 ")

    def test_says_so_where_there_is_no_witness(self):
        self.assertEqual(_result("holds").counterexample, "unsat\n")
        self.assertEqual(str(_result("holds")), "holds")
        with self.assertRaisesRegex(ValueError, "unknown"):
            _ = _result("unknown").counterexample


if __name__ == "__main__":
    absltest.main()
