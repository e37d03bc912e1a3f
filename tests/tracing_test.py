"""Functions that are traced once, and of which nothing is said."""

from unittest import mock

from absl.testing import absltest
import keras
import numpy as np
import tensorflow as tf

import source_tree
import tfcurv
from tfcurv import tracing

_NUMBERS = tf.TensorSpec([None], tf.float64)


class _Adder:
    """As certificates are made: each network has an object of its own."""

    def __init__(self, number):
        self._number = number
        self.traces = 0
        self.add = tracing.Traced(self._add, [_NUMBERS])

    def _add(self, x):
        self.traces += 1
        return x + self._number


class TracedTest(absltest.TestCase):
    def test_is_traced_by_the_first_call_alone(self):
        adder = _Adder(2.0)
        self.assertEqual(adder.traces, 0)
        for size in (0, 1, 5):
            x = np.arange(size, dtype=np.float64)
            np.testing.assert_array_equal(adder.add(tf.constant(x)), x + 2.0)
        self.assertEqual(adder.traces, 1)

    def test_is_traced_before_where_it_is_asked_for(self):
        adder = _Adder(2.0)
        adder.add.trace()
        self.assertEqual(adder.traces, 1)
        self.assertEqual(float(adder.add(tf.ones([1], tf.float64))[0]), 3.0)
        self.assertEqual(adder.traces, 1)

    def test_runs_as_it_stands_where_tensorflow_is_told_so(self):
        adder = _Adder(2.0)
        tf.config.run_functions_eagerly(True)
        self.addCleanup(tf.config.run_functions_eagerly, False)
        adder.add.trace()
        self.assertEqual(adder.traces, 0)
        for _ in range(2):
            adder.add(tf.ones([1], tf.float64))
        self.assertEqual(adder.traces, 2)

    def test_refuses_what_would_be_traced_again(self):
        adder = _Adder(2.0)
        for x in (tf.ones([1], tf.float32), tf.ones([1, 1], tf.float64)):
            with self.assertRaises(TypeError):
                adder.add(x)
        self.assertLessEqual(adder.traces, 1)

    def test_many_of_one_kind_are_no_fault(self):
        adders = [_Adder(float(i)) for i in range(8)]
        with self.assertNoLogs(tf.get_logger(), "WARNING"):
            for i, adder in enumerate(adders):
                self.assertEqual(float(adder.add([1.0])[0]), 1.0 + i)

    def test_nothing_is_compiled_otherwise(self):
        # Once a process, or within what is compiled already.
        known = {"tracing.py", "dual.py", "backward_lines.py"}
        for path in source_tree.files("tfcurv/**/*.py"):
            if "tf.function(" in path.read_text(encoding="utf-8"):
                with self.subTest(path.name):
                    self.assertIn(path.name, known)


class CertifyTest(absltest.TestCase):
    def test_traces_no_more_for_more_batches(self):
        model = keras.Sequential(
            [
                keras.Input((3,)),
                keras.layers.Dense(4, "relu"),
                keras.layers.Dense(3),
            ]
        )
        x = np.random.default_rng(0).normal(size=(6, 3))
        y = np.argmax(np.asarray(model(x)), axis=-1)
        counts = []
        for batch_size in (6, 2):
            made = []
            with _noting(made):
                tfcurv.certify(
                    model,
                    (x, y),
                    method="ibp",
                    norm="linf",
                    epsilons=(0.1,),
                    batch_size=batch_size,
                    verbose=0,
                )
            counts.append(
                [
                    each._function.experimental_get_tracing_count()
                    for each in made
                ]
            )
        self.assertEqual(*counts)
        self.assertEqual(max(counts[0]), 1)


def _noting(made):
    """Notes every function that is to be traced."""
    start = tracing.Traced.__init__

    def init(self, *args):
        start(self, *args)
        made.append(self)

    return mock.patch.object(tracing.Traced, "__init__", init)


if __name__ == "__main__":
    absltest.main()
