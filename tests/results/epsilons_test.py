"""Tests of the radii of a summary that nobody has asked for."""

from absl.testing import absltest
from hypothesis import given
from hypothesis import strategies as st
import numpy as np

from tfcurv.results.epsilons import fitting_epsilons


class FittingEpsilonsTest(absltest.TestCase):
    @given(
        st.lists(st.floats(1e-12, 1e6), min_size=1, max_size=40),
        st.floats(1e-3, 1e3),
    )
    def test_are_round_and_where_the_radii_are(self, radii, scale):
        found = fitting_epsilons(scale * np.array(radii))
        self.assertEqual(list(found), sorted(set(found)))
        self.assertBetween(len(found), 1, 4)
        for epsilon in found:
            self.assertEqual(epsilon, float(f"{epsilon:.0e}"))
            # Rounded to one digit: by a third at most.
            near = scale * np.array(radii)
            self.assertGreater(epsilon, 0.66 * near.min())
            self.assertLess(epsilon, 1.5 * near.max())

    def test_show_a_curve(self):
        radii = np.linspace(0.0, 1.0, 101)
        shares = [np.mean(radii > e) for e in fitting_epsilons(radii)]
        np.testing.assert_allclose(shares, [0.9, 0.6, 0.3, 0.1], atol=0.051)

    def test_leave_out_what_is_not_proved(self):
        radii = np.array([0.0, 0.0, 0.0, 2.0, np.inf])
        self.assertEqual(fitting_epsilons(radii), (2.0,))

    def test_of_nothing_are_the_usual_ones(self):
        self.assertEqual(
            fitting_epsilons(np.zeros(3)), fitting_epsilons(np.zeros(0))
        )


if __name__ == "__main__":
    absltest.main()
