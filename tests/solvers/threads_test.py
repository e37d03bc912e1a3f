"""Tests of tfcurv.solvers.threads."""

from absl.testing import absltest
import numpy as np
import threadpoolctl

from tfcurv import solvers


def _blas_threads(*_) -> list[int]:
    # A product, for a library may be loaded when it is first used.
    np.ones((2, 2)) @ np.ones((2, 2))
    found = threadpoolctl.threadpool_info()
    return [each["num_threads"] for each in found if each["user_api"] == "blas"]


class InThreadsTest(absltest.TestCase):
    def test_keeps_the_order_of_the_rows(self):
        rows = np.arange(50)
        found = solvers.in_threads(lambda a, b: a - 2 * b, rows, rows[::-1])
        self.assertEqual(found, (rows - 2 * rows[::-1]).tolist())

    def test_blas_has_one_thread_within_and_what_it_had_behind(self):
        with threadpoolctl.threadpool_limits(3, user_api="blas"):
            before = _blas_threads()
            (within,) = solvers.in_threads(_blas_threads, [0])
            self.assertEqual(set(within), {1})
            self.assertEqual(_blas_threads(), before)
            self.assertIn(3, before)

    def test_an_error_comes_out_and_restores_the_threads(self):
        def fail(row):
            raise ValueError(f"row {row}")

        before = _blas_threads()
        with self.assertRaisesRegex(ValueError, "row 7"):
            solvers.in_threads(fail, [7])
        self.assertEqual(_blas_threads(), before)


if __name__ == "__main__":
    absltest.main()
