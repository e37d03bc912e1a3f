"""Tests of boxes: no input is lost by rounding, none is gained."""

from fractions import Fraction

from absl.testing import absltest
import hypothesis
from hypothesis import strategies as st
import numpy as np

from tfcurv.certificates.properties import boxes

_SIDES = st.tuples(
    st.fractions(-100, 100, max_denominator=10**6),
    st.fractions(0, 1, max_denominator=10**9),
)


class RoundingTest(absltest.TestCase):
    @hypothesis.settings(deadline=None, max_examples=100)
    @hypothesis.given(st.lists(_SIDES, min_size=1, max_size=4))
    def test_encloses_and_is_enclosed(self, sides):
        lower = [low for low, _ in sides]
        upper = [low + width for low, width in sides]
        outer = boxes.outward(lower, upper)
        inner = boxes.inward(lower, upper)
        for j, (low, high) in enumerate(zip(lower, upper)):
            least, most = Fraction(outer.low[0, j]), Fraction(outer.high[0, j])
            self.assertLessEqual(least, low)
            self.assertGreaterEqual(most, high)
            self.assertLessEqual(float(low - least), np.spacing(abs(low) + 1.0))
            first, last = Fraction(inner.low[0, j]), Fraction(inner.high[0, j])
            if first < last:
                self.assertTrue(low <= first and last <= high)
                self.assertEqual(np.float32(inner.low[0, j]), inner.low[0, j])

    def test_takes_the_nearest_number_where_float32_has_none(self):
        found = boxes.inward([Fraction(1, 10)], [Fraction(1, 10)])
        self.assertEqual(found.low[0, 0], 0.1)
        self.assertEqual(found.high[0, 0], 0.1)

    @hypothesis.settings(deadline=None, max_examples=100)
    @hypothesis.given(
        st.floats(-1e300, 1e300), st.floats(0.0, 1e3), st.floats(0.0, 1.0)
    )
    def test_reaches_every_point_from_the_middle(self, low, width, share):
        box = boxes.Box(np.array([[low]]), np.array([[low + width]]))
        point = min(max(low + share * width, low), low + width)
        away = abs(Fraction(point) - Fraction(box.middle[0, 0]))
        self.assertGreater(Fraction(box.reach[0, 0]), away)


if __name__ == "__main__":
    absltest.main()
