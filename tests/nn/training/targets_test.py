"""Tests of tfcurv.nn.training.targets."""

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import numpy as np
import tensorflow as tf

from tfcurv import errors
from tfcurv.data.labels import class_labels
from tfcurv.nn.training import targets

_LOGITS = st.integers(2, 6).flatmap(
    lambda classes: st.lists(
        st.lists(
            st.floats(-(2.0**99), 2.0**99, width=32, allow_subnormal=False),
            min_size=classes,
            max_size=classes,
        ),
        min_size=1,
        max_size=5,
    )
)


def _choose(logits, y, target):
    return targets.choose_targets(
        tf.constant(logits, tf.float32), tf.constant(y, tf.int32), target
    ).numpy()


class ClassIndicesTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("sparse", np.array([2, 0, 1])),
        ("sparse_int64", np.array([2, 0, 1], np.int64)),
        ("sparse_float", np.array([2.0, 0.0, 1.0], np.float32)),
        ("column", np.array([[2], [0], [1]])),
        ("one_hot", np.eye(3)[[2, 0, 1]]),
        ("smoothed", 0.9 * np.eye(3)[[2, 0, 1]] + 0.1 / 3),
        ("list", [2, 0, 1]),
    )
    def test_reads_labels_that_are(self, y):
        found = targets.class_indices(y, 3)
        self.assertEqual(found.dtype, tf.int32)
        np.testing.assert_array_equal(found, [2, 0, 1])

    @parameterized.named_parameters(
        ("sparse", np.array([7, 0, 9]), [None], [7, 0, 9]),
        ("sparse_of_one", np.array([7]), [None], [7]),
        ("column", np.array([[7], [0]]), [None, None], [7, 0]),
        ("one_hot", np.eye(10)[[7, 0]], [None, None], [7, 0]),
        ("one_hot_of_one", np.eye(10)[[7]], [None, None], [7]),
        ("nothing", np.zeros((0, 10)), [None, None], []),
        ("another_width", np.eye(5)[[2, 0]], [None, None], [-1, -1]),
    )
    def test_reads_what_it_learns_at_run_time(self, y, shape, classes):
        for jit in (False, True):
            for known in (shape, None):
                if jit and known is None:
                    continue  # XLA compiles no unknown rank.
                read = tf.function(
                    lambda y: targets.class_indices(y, 10),
                    input_signature=[tf.TensorSpec(known, tf.float32)],
                    jit_compile=jit,
                )
                np.testing.assert_array_equal(
                    read(tf.constant(y, tf.float32)), classes
                )

    @parameterized.named_parameters(
        ("ignored", [1, -1, 255], [1, -1, -1]),
        ("of_64_bits", [1, 2**32 + 1, -(2**40)], [1, -1, -1]),
        ("bytes", np.array([1, 255, 3], np.uint8), [1, -1, -1]),
        ("floats", [1.0, float("nan"), float("inf")], [1, -1, -1]),
        ("rows", [[0, 1, 0], [0, 0, 0], [np.nan] * 3], [1, -1, -1]),
        ("booleans", np.eye(3, dtype=bool)[[1]], [1]),
    )
    def test_what_is_no_class_is_read_as_none(self, y, classes):
        for jit in (False, True):
            read = tf.function(targets.class_indices, jit_compile=jit)
            found = read(tf.constant(np.array(y)), 3)
            np.testing.assert_array_equal(found, classes)

    def test_refuses_rows_of_another_width(self):
        with self.assertRaisesRegex(ValueError, r"shape \(2, 5\).*, 3\]"):
            targets.class_indices(np.zeros((2, 5)), 3)

    def test_reads_as_certification_does(self):
        random = np.random.default_rng(0)
        for classes in (2, 3, 10):
            y = random.integers(classes, size=classes)
            for form in (y, y[:, None], np.eye(classes)[y], y.astype("f4")):
                for rows in (1, classes):
                    np.testing.assert_array_equal(
                        targets.class_indices(form[:rows], classes),
                        class_labels(form[:rows], classes),
                    )

    def test_a_column_of_one_class_is_no_one_hot_label(self):
        found = targets.class_indices(np.array([[0], [0]]), 1)
        np.testing.assert_array_equal(found, [0, 0])


class ChooseTargetsTest(parameterized.TestCase):
    @hypothesis.settings(max_examples=40, deadline=None)
    @hypothesis.given(_LOGITS, st.integers(0, 100))
    def test_chooses_the_extreme_other_logit(self, logits, seed):
        logits = np.array(logits, np.float32)
        batch, classes = logits.shape
        y = np.random.default_rng(seed).integers(classes, size=batch)
        others = [np.delete(row, label) for row, label in zip(logits, y)]
        for target, extreme in (("runner-up", max), ("least-likely", min)):
            t = _choose(logits, y, target)
            self.assertTrue(np.all(t != y))
            np.testing.assert_array_equal(
                logits[np.arange(batch), t], [extreme(row) for row in others]
            )

    def test_random_targets_are_every_other_class_and_no_label(self):
        y = np.repeat(np.arange(4), 500)
        t = _choose(np.zeros((2000, 4)), y, "random")
        counts = np.array(
            [
                [np.sum(t[y == label] == k) for k in range(4)]
                for label in y[::500]
            ]
        )
        np.testing.assert_array_equal(np.diag(counts), 0)
        # 500 / 3 is expected; 6 standard deviations are about 63.
        shares = counts[~np.eye(4, dtype=bool)]
        self.assertGreater(shares.min(), 500 / 3 - 64)
        self.assertLess(shares.max(), 500 / 3 + 64)

    @parameterized.parameters(*targets.TARGETS)
    def test_two_classes_leave_no_choice(self, target):
        t = _choose([[0.0, 0.0], [3.0, -1.0]], [0, 1], target)
        np.testing.assert_array_equal(t, [1, 0])

    @parameterized.parameters(*targets.TARGETS)
    def test_refuses_a_single_logit(self, target):
        with self.assertRaisesRegex(
            errors.UnsupportedModelError, r"logits\.shape=\(2, 1\)"
        ):
            _choose([[0.0], [1.0]], [0, 0], target)

    def test_refuses_more_than_one_axis_of_classes(self):
        with self.assertRaisesRegex(errors.UnsupportedModelError, "Flatten"):
            _choose(np.zeros((2, 3, 4)), [0, 0], "runner-up")


class CheckTargetTest(parameterized.TestCase):
    @parameterized.parameters(*targets.TARGETS)
    def test_lets_a_known_name_pass(self, target):
        self.assertEqual(targets.check_target(target), target)

    @parameterized.parameters("all", "", None)
    def test_refuses_an_unknown_name(self, target):
        with self.assertRaisesRegex(ValueError, "target=.*runner-up"):
            targets.check_target(target)


if __name__ == "__main__":
    absltest.main()
