"""Tests of tfcurv.numerics."""

from fractions import Fraction
import math

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import numpy as np
import tensorflow as tf

from tfcurv import numerics

_DTYPES = ("float32", "float64")


class UnitRoundoffTest(parameterized.TestCase):
    @parameterized.parameters(
        ("float32", 2.0**-24),
        (tf.float32, 2.0**-24),
        ("float64", 2.0**-53),
        (np.float64, 2.0**-53),
    )
    def test_is_half_the_spacing_at_one(self, dtype, expected):
        self.assertEqual(numerics.unit_roundoff(dtype), expected)

    def test_proofs_are_made_in_double_precision(self):
        self.assertEqual(numerics.PROOF_DTYPE, tf.float64)


class GammaTest(parameterized.TestCase):
    @parameterized.parameters(
        *((10**k, dtype) for k in range(7) for dtype in _DTYPES),
        (3, "float64"),
        (10**9, "float64"),
        (2**51, "float64"),
        (2**22, "float32"),
    )
    def test_bounds_the_exact_gamma(self, count, dtype):
        roundoffs = count * Fraction(numerics.unit_roundoff(dtype))
        exact = roundoffs / (1 - roundoffs)
        bound = Fraction(numerics.gamma(count, dtype))
        self.assertGreaterEqual(bound, exact)
        self.assertLessEqual(bound, exact * (1 + Fraction(1, 10**11)))

    @parameterized.parameters(
        (2.0**52, "float64"),
        (2**23, "float32"),
        (math.inf, "float64"),
        (math.nan, "float64"),
    )
    def test_refuses_counts_that_bound_nothing(self, count, dtype):
        with self.assertRaisesRegex(ValueError, f"count=.*dtype={dtype}"):
            numerics.gamma(count, dtype)

    @hypothesis.given(st.integers(0, 10**6), st.sampled_from(_DTYPES))
    @hypothesis.settings(max_examples=60)
    def test_bounds_the_error_of_a_dot_product(self, seed, dtype):
        rng = np.random.default_rng(seed)
        size = int(rng.integers(1, 40))
        # Signs and scales that cancel.
        scales = 10.0 ** rng.uniform(-6, 6, (2, size))
        pair = (rng.standard_normal((2, size)) * scales).astype(dtype)
        terms = [Fraction(float(a)) * Fraction(float(b)) for a, b in zip(*pair)]
        error = abs(Fraction(float(pair[0] @ pair[1])) - sum(terms))
        bound = Fraction(numerics.gamma(size, dtype)) * sum(map(abs, terms))
        self.assertLessEqual(error, bound)


class OutwardRoundingTest(parameterized.TestCase):
    @hypothesis.given(st.lists(st.floats(1e-10, 1e10), min_size=1, max_size=25))
    @hypothesis.settings(max_examples=100)
    def test_encloses_exact_products(self, factors):
        computed, exact = 1.0, Fraction(1)
        for factor in factors:
            computed *= factor
            exact *= Fraction(factor)
        operations = len(factors)
        up = Fraction(numerics.round_up(computed, operations))
        down = Fraction(numerics.round_down(computed, operations))
        self.assertLessEqual(exact, up)
        self.assertGreaterEqual(exact, down)
        slack = Fraction(4 * (operations + 2), 2**53)
        self.assertLessEqual(up - down, exact * slack)

    @hypothesis.given(st.lists(st.floats(0.0, 1e10), min_size=2, max_size=25))
    @hypothesis.settings(max_examples=100)
    def test_encloses_exact_sums_of_positive_terms(self, terms):
        computed = 0.0
        for term in terms:
            computed += term
        exact = sum(map(Fraction, terms))
        count = len(terms)
        self.assertLessEqual(
            exact, Fraction(numerics.round_up(computed, count))
        )
        self.assertGreaterEqual(
            exact, Fraction(numerics.round_down(computed, count))
        )

    @parameterized.parameters(
        (np.asarray([1.0, 2.0]),),
        (tf.constant([1.0, 2.0], tf.float64),),
    )
    def test_moves_each_entry_outward(self, values):
        self.assertAllLess(values, numerics.round_up(values, 1))
        self.assertAllLess(numerics.round_down(values, 1), values)

    def assertAllLess(self, smaller, larger):
        self.assertTrue(np.all(np.asarray(smaller) < np.asarray(larger)))

    def test_keeps_zero_and_infinity(self):
        self.assertEqual(numerics.round_up(0.0, 5), 0.0)
        self.assertEqual(numerics.round_up(math.inf, 5), math.inf)


class FloatingTensorTest(parameterized.TestCase):
    @parameterized.product(
        dtype=_DTYPES, wrap=(np.asarray, tf.constant, tf.Variable)
    )
    def test_keeps_what_is_floating_already(self, dtype, wrap):
        value = wrap(np.asarray([1.5, -2.0], dtype))
        tensor = numerics.floating_tensor(value, "x")
        self.assertEqual(tensor.dtype, tf.as_dtype(dtype))
        self.assertEqual(tensor.numpy().tolist(), [1.5, -2.0])

    @parameterized.parameters(
        (0.1, 0.1), (3, 3.0), (True, 1.0), ([1, 2], [1.0, 2.0]), ((1,), [1.0])
    )
    def test_reads_python_numbers_in_double_precision(self, value, expected):
        tensor = numerics.floating_tensor(value, "x")
        self.assertEqual(tensor.dtype, tf.float64)
        self.assertEqual(tensor.numpy().tolist(), expected)

    @parameterized.parameters(
        (np.asarray([1.0], np.float16), "float16"),
        (tf.constant([1.0], tf.bfloat16), "bfloat16"),
        (np.asarray([1j]), "complex128"),
        (np.asarray([1], np.uint8), "uint8"),
        (tf.constant([1]), "int32"),
        (tf.constant("1"), "string"),
    )
    def test_refuses_every_other_dtype_by_name(self, value, dtype):
        with self.assertRaisesRegex(TypeError, f"margin.*margin.dtype={dtype}"):
            numerics.floating_tensor(value, "margin")


class ConstantsTest(parameterized.TestCase):
    @parameterized.parameters(
        (numerics.STEP_INFLATION, 9 * 10**6),
        (numerics.CHAIN_INFLATION, 9 * 10**9),
    )
    def test_inflations_cover_the_roundings_that_they_claim(self, factor, n):
        roundoffs = n * Fraction(numerics.unit_roundoff("float64"))
        # One more for the product with the factor.
        covered = Fraction(factor) * (1 - Fraction(1, 2**53)) - 1
        self.assertGreaterEqual(covered, roundoffs / (1 - roundoffs))

    @parameterized.parameters(
        (numerics.PRODUCT_UNDERFLOW, 10**7),
        (numerics.SUM_UNDERFLOW, 10**17),
        (numerics.MATRIX_UNDERFLOW, 10**17),
        (numerics.MATRIX_UNDERFLOW**2, 10**17),
        (numerics.NORM_FLOOR**2, 10**8),
    )
    def test_underflows_cover_the_products_that_they_claim(self, loss, count):
        flushed = Fraction(numerics.smallest_normal("float64"))
        self.assertGreaterEqual(Fraction(loss), count * flushed)

    def test_nothing_lies_between_zero_and_the_smallest(self):
        smallest = numerics.SMALLEST_SUBNORMAL
        self.assertGreater(smallest, 0.0)
        self.assertEqual(smallest, math.nextafter(0.0, 1.0))
        self.assertEqual(smallest / 2.0, 0.0)

    @parameterized.parameters(*_DTYPES)
    def test_tensorflow_keeps_the_smallest_normal_number(self, dtype):
        normal = tf.constant(numerics.smallest_normal(dtype), dtype)
        self.assertGreater(float(normal * 1.0), 0.0)
        self.assertLess(np.nextafter(normal.numpy(), 0.0), normal.numpy())
        self.assertEqual(normal.numpy(), np.finfo(dtype).smallest_normal)


if __name__ == "__main__":
    absltest.main()
