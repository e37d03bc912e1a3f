"""Tests of tfcurv.data.labels."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from tfcurv.data.labels import class_labels
from tfcurv.errors import DataError


class ClassLabelsTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("bytes", np.array([2, 0, 1], np.uint8)),
        ("int64", np.array([2, 0, 1], np.int64)),
        ("floats", np.array([2.0, 0.0, 1.0])),
        ("a_column", np.array([[2], [0], [1]])),
        ("one_hot_floats", np.eye(3, dtype=np.float32)[[2, 0, 1]]),
        ("one_hot_integers", np.eye(3, dtype=np.int64)[[2, 0, 1]]),
        ("one_hot_booleans", np.eye(3, dtype=bool)[[2, 0, 1]]),
    )
    def test_reads_every_form_of_the_same_classes(self, labels):
        classes = class_labels(labels, 3)
        self.assertEqual(classes.dtype, np.int32)
        np.testing.assert_array_equal(classes, [2, 0, 1])

    @parameterized.named_parameters(
        ("too_large", 3, "label=3 at index 11"),
        ("negative", -1, "label=-1 at index 11"),
        ("infinite", float("inf"), "label=inf at index 11"),
        ("beyond_int32", 2**32, "label=4294967296 at index 11"),
    )
    def test_names_the_label_out_of_range_and_its_index(self, label, message):
        with self.assertRaisesRegex(DataError, message + ".*leave out"):
            class_labels(np.array([0, label, 1]), 3, first_index=10)

    @parameterized.named_parameters(
        ("smoothed", [0.05, 0.9, 0.05]),
        ("empty", [0.0, 0.0, 0.0]),
        ("double", [1.0, 1.0, 0.0]),
        ("not_a_number", [1.0, 0.0, float("nan")]),
        ("negative", [1.0, 1.0, -1.0]),
    )
    def test_takes_no_one_hot_label_that_is_not_exact(self, row):
        labels = np.array([[1.0, 0.0, 0.0], row])
        with self.assertRaisesRegex(DataError, r"label=\[.*\] at index 6"):
            class_labels(labels, 3, first_index=5)

    @parameterized.named_parameters(
        ("fractions", np.array([0.0, 0.5])),
        ("not_a_number", np.array([0.0, np.nan])),
        ("booleans", np.array([True, False])),
        ("text", np.array(["cat", "dog"])),
        ("another_number_of_classes", np.eye(4)),
        ("three_axes", np.zeros((2, 3, 1), np.int64)),
    )
    def test_says_which_forms_are_allowed(self, labels):
        with self.assertRaisesRegex(DataError, r"Allowed: integers \[n\]"):
            class_labels(labels, 3)

    def test_a_column_of_a_single_class_holds_classes(self):
        classes = class_labels(np.zeros((2, 1), np.int64), 1)
        np.testing.assert_array_equal(classes, [0, 0])


if __name__ == "__main__":
    absltest.main()
