"""Tests of tfcurv.solvers.as_written: graphs that nothing rewrites."""

from absl.testing import absltest
from absl.testing import parameterized
import tensorflow as tf

from tfcurv import solvers

_OFF = "disable_meta_optimizer"


def _is_off():
    return tf.config.optimizer.get_experimental_options().get(_OFF, False)


class AsWrittenTest(parameterized.TestCase):
    @parameterized.parameters(False, True)
    def test_leaves_the_option_as_it_was(self, before):
        tf.config.optimizer.set_experimental_options({_OFF: before})
        self.addCleanup(
            tf.config.optimizer.set_experimental_options, {_OFF: False}
        )
        with solvers.as_written():
            self.assertTrue(_is_off())
        self.assertEqual(_is_off(), before)
        with self.assertRaises(ZeroDivisionError):
            with solvers.as_written():
                raise ZeroDivisionError
        self.assertEqual(_is_off(), before)

    def test_functions_give_what_they_give(self):
        @tf.function
        def scaled(x):
            return (x * 2.0 + 1.0) * 0.5

        x = tf.linspace(-1.0, 1.0, 7)
        with solvers.as_written():
            inside = scaled(x)
        self.assertAllEqual(inside, scaled(x))

    def assertAllEqual(self, first, second):
        self.assertTrue(bool(tf.reduce_all(first == second)))


if __name__ == "__main__":
    absltest.main()
