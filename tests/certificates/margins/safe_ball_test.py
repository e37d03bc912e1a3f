"""Tests of the radius that one evaluation proves."""

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import mpmath
import numpy as np
import scipy.optimize
import tensorflow as tf

from tfcurv import certificates
from tfcurv import networks

# Sums of numbers from 1e-500 to 1e500 are exact with this many digits.
_DIGITS = 1000
_ROUNDOFF = 2.0**-53
_SMALLEST_NORMAL = np.finfo(np.float64).tiny


def _tensors(f, g, d, a):
    g, d = np.atleast_1d(g), np.atleast_1d(d)
    evaluation = networks.Evaluation(
        tf.constant([f], tf.float64), tf.constant(g[np.newaxis], tf.float64)
    )
    return (
        evaluation,
        tf.constant(d[np.newaxis], tf.float64),
        tf.constant([a], tf.float64),
    )


def _radius(f, g, d, a) -> float:
    return float(certificates.safe_ball_radius(*_tensors(f, g, d, a))[0])


def _proved(f, g, d, a, e_f=0.0, e_g=0.0) -> float:
    """The proved radius; the errors are what an evaluation errs by at least."""
    evaluation, d, a = _tensors(f, g, d, a)
    error = networks.EvaluationError(
        tf.constant([e_f], tf.float64), tf.constant([e_g], tf.float64)
    )
    found = certificates.safe_ball_radius_bound(evaluation, error, d, a)
    return float(found[0])


def _ball_bound(f, g, d, a, epsilon, error=None) -> float:
    evaluation, d, a = _tensors(f, g, d, a)
    if error is not None:
        error = networks.EvaluationError(
            *(tf.constant([each], tf.float64) for each in error)
        )
    return float(
        certificates.ball_lower_bound(
            evaluation, d, a, tf.constant(epsilon, tf.float64), error
        )[0]
    )


def _quadratic(f, g, a, v):
    """The lower bound on the margin at c + v."""
    return f + g @ v - 0.5 * a * v @ v


def _exact_minimum(f, g, d, a, epsilon):
    """The least value of the quadratic on the ball around c + d."""
    with mpmath.workdps(_DIGITS):
        f, a, epsilon = map(mpmath.mpf, (f, a, epsilon))
        g, d = [list(map(mpmath.mpf, each)) for each in (g, d)]
        slope = mpmath.norm([w - a * v for v, w in zip(d, g)])
        at_centre = f + mpmath.fdot(g, d) - a * mpmath.fdot(d, d) / 2
        return at_centre - epsilon * slope - a * epsilon**2 / 2


def _exact_radius(f, g, d, a):
    """The textbook form, with digits to spare for its cancellations."""
    with mpmath.workdps(_DIGITS):
        f, a = mpmath.mpf(f), mpmath.mpf(a)
        g, d = [list(map(mpmath.mpf, each)) for each in (g, d)]
        if not a:
            return (f + mpmath.fdot(g, d)) / mpmath.norm(g)
        rest = mpmath.norm([a * v - w for v, w in zip(d, g)])
        squares = mpmath.fdot(g, g) + 2 * a * f
        return (mpmath.sqrt(max(squares, 0)) - rest) / a


def _is_safe(radius, f, g, d, a, e_f, e_g, direction) -> bool:
    """Whether the worst margin that the data allow is positive on a ray.

    Exactly: min over all margins and gradients within the errors, and over
    the x0 - c that rounds to d, of the quadratic bound short of the radius.
    """
    with mpmath.workdps(_DIGITS):
        reach = mpmath.mpf(radius) * (1 - mpmath.mpf(10) ** -30)
        length = mpmath.norm(list(map(mpmath.mpf, direction)))
        for tilt in (-_ROUNDOFF, 0, _ROUNDOFF):
            for share in (0, mpmath.mpf(1) / 2, 1):
                v = [
                    mpmath.mpf(x) * (1 + tilt)
                    + share * reach * mpmath.mpf(w) / length
                    for x, w in zip(d, direction)
                ]
                far = mpmath.norm(v)
                slope = mpmath.fdot(list(map(mpmath.mpf, g)), v)
                bend = mpmath.mpf(a) * far**2 / 2
                worst = mpmath.mpf(f) - e_f + slope - e_g * far - bend
                if not worst > 0:
                    return False
    return True


def _magnitudes(most=60):
    exponents = st.integers(-most, most) | st.sampled_from([-200, -160, 120])
    return st.builds(
        lambda digits, power: float(f"{digits}e{power}"),
        st.floats(1.0, 9.99),
        exponents,
    )


_POSITIVE = st.just(0.0) | _magnitudes()
_SIGNED = st.builds(lambda x, s: s * x, _POSITIVE, st.sampled_from([-1, 1]))
_ORDINARY = st.floats(-4.0, 4.0).map(lambda x: round(x, 6))


@st.composite
def _evaluations(draw, numbers, positives):
    """f, g, d, a of one to three inputs."""
    dim = draw(st.integers(1, 3))
    vector = st.lists(numbers, min_size=dim, max_size=dim).map(np.array)
    f, g, d, a = draw(numbers), draw(vector), draw(vector), draw(positives)
    return f, g, draw(st.just(d) | st.just(0.0 * d)), a


class SafeBallRadiusTest(parameterized.TestCase):
    @hypothesis.settings(deadline=None, max_examples=80)
    @hypothesis.given(_evaluations(_ORDINARY, st.floats(1e-3, 10.0)))
    def test_is_the_textbook_form_times_its_conjugate(self, evaluation):
        f, g, d, a = evaluation
        hypothesis.assume(g @ g + 2.0 * a * f >= 0.0)
        hypothesis.assume(g.any())
        found, exact = _radius(f, g, d, a), float(_exact_radius(f, g, d, a))
        if exact > 1e-3:
            self.assertAlmostEqual(found / exact, 1.0, delta=1e-9)
        else:  # What is not certified may be anything that is not positive.
            self.assertLess(found, 1.1e-3)

    def test_is_the_maximum_of_the_strong_convexity_bound(self):
        rng = np.random.default_rng(0)
        checked = 0
        for _ in range(60):
            f, a = rng.uniform(0.1, 2.0), rng.uniform(0.1, 2.0)
            g, d = rng.normal(size=3), 0.3 * rng.normal(size=3)

            def loss(eta):
                slope = d - eta * g  # -(grad phi)
                mu = 1.0 - eta * a
                return -(0.5 * d @ d + eta * f - 0.5 * slope @ slope / mu)

            best = scipy.optimize.minimize_scalar(
                loss,
                bounds=(0.0, (1.0 - 1e-12) / a),
                method="bounded",
                options={"xatol": 1e-12},
            )
            radius = _radius(f, g, d, a)
            if radius > 0.0:
                checked += 1
                self.assertAlmostEqual(-best.fun, 0.5 * radius**2, delta=1e-8)
        self.assertGreater(checked, 40)

    def test_the_quadratic_bound_vanishes_at_the_radius_and_not_before(self):
        rng = np.random.default_rng(1)
        for _ in range(40):
            f, a = rng.uniform(0.5, 2.0), rng.uniform(0.0, 2.0)
            g, d = rng.normal(size=2), 0.2 * rng.normal(size=2)
            radius = _radius(f, g, d, a)
            worst = (a * d - g) / np.linalg.norm(a * d - g)
            at = _quadratic(f, g, a, d + radius * worst)
            self.assertAlmostEqual(at, 0.0, delta=1e-12)
            for angle in np.linspace(0.0, 6.28, 100):
                ray = np.array([np.cos(angle), np.sin(angle)])
                inside = d + 0.999 * radius * ray
                self.assertGreater(_quadratic(f, g, a, inside), 0.0)

    def test_at_x0_it_is_the_closed_form(self):
        f, g, a = 1.5, np.array([3.0, 4.0]), 2.0
        self.assertAlmostEqual(
            _radius(f, g, 0.0 * g, a),
            (np.sqrt(25.0 + 2.0 * a * f) - 5.0) / a,
            delta=1e-15,
        )

    def test_without_curvature_it_is_the_distance_to_a_hyperplane(self):
        g, d = np.array([3.0, 4.0]), np.array([0.1, -0.7])
        self.assertAlmostEqual(
            _radius(2.0, g, d, 0.0), (2.0 + g @ d) / 5.0, delta=1e-15
        )


class ProvedRadiusTest(parameterized.TestCase):
    @hypothesis.settings(deadline=None, max_examples=150)
    @hypothesis.given(
        _evaluations(_SIGNED, _POSITIVE), _POSITIVE, _POSITIVE, st.data()
    )
    def test_holds_for_all_that_the_errors_allow(
        self, evaluation, e_f, e_g, data
    ):
        f, g, d, a = evaluation
        # Else hardly anything is certified.
        e_f, e_g = min(e_f, abs(f) / 8), min(e_g, np.max(np.abs(g)) / 8)
        radius = _proved(f, g, d, a, e_f, e_g)
        self.assertTrue(0.0 <= radius < np.inf)
        if radius:
            free = st.lists(_ORDINARY, min_size=len(g), max_size=len(g))
            rays = [*np.eye(len(g)), *-np.eye(len(g)), -g, d, -d]
            rays += [a * d - g, data.draw(free)]
            for ray in rays:
                if np.any(ray) and np.all(np.isfinite(ray)):
                    self.assertTrue(_is_safe(radius, f, g, d, a, e_f, e_g, ray))

    @hypothesis.settings(deadline=None, max_examples=80)
    @hypothesis.given(_evaluations(_ORDINARY, st.floats(0.0, 10.0)))
    def test_loses_next_to_nothing_of_ordinary_numbers(self, evaluation):
        f, g, d, a = evaluation
        size, reach = np.linalg.norm(g), np.linalg.norm(d)
        hypothesis.assume(size > 1e-3 and size**2 + 2.0 * a * f > 1e-3)
        exact = _exact_radius(f, g, d, a)
        found = _proved(f, g, d, a, 1e-15, 1e-15)
        # What the sums may lose by cancelling, in terms of the radius.
        terms = abs(f) + size * reach + a * reach**2 + 1.0
        self.assertLessEqual(found, max(exact, 0.0))
        self.assertGreaterEqual(found, float(exact) - 1e-11 * terms / size)

    @parameterized.parameters(1e-3, 1.0, 1e6)
    def test_a_vanishing_gradient_leaves_the_curvature_to_decide(self, a):
        for size in (0.0, 1e-200, 1e-18):
            found = _proved(2.0, np.full(3, size), np.zeros(3), a, 1e-15, 1e-15)
            self.assertAlmostEqual(found / np.sqrt(4.0 / a), 1.0, delta=1e-8)

    def test_a_gradient_that_squares_to_nothing_doubles_no_radius(self):
        found = _proved(1.0, np.array([1e-200, 0.0]), np.zeros(2), 1.0)
        self.assertLessEqual(found, np.sqrt(2.0))
        self.assertAlmostEqual(found, np.sqrt(2.0), delta=1e-12)
        f, g, d, a = 1e-200, np.array([1.4e-154]), np.zeros(1), 1e-82
        self.assertLessEqual(_proved(f, g, d, a), _exact_radius(f, g, d, a))

    def test_a_curvature_that_reads_as_zero_still_counts(self):
        # TensorFlow flushes it, but at 1e200 it decides.
        a = 0.01 * _SMALLEST_NORMAL
        found = _proved(1e100, np.zeros(1), np.zeros(1), a)
        self.assertGreater(found, 1e100)
        self.assertTrue(
            _is_safe(found, 1e100, [0.0], [0.0], a, 0.0, 0.0, [1.0])
        )

    def test_a_displacement_that_squares_to_nothing_still_counts(self):
        a, d = 1e60, np.array([1.4e-154])
        f = 0.4 * a * 2e-308  # Less than a/2 ||d||^2: no ball is safe.
        self.assertLess(_exact_radius(f, [0.0], d, a), 0)
        self.assertEqual(_proved(f, np.zeros(1), d, a), 0.0)

    @parameterized.parameters(1, 2, 8)
    def test_rounding_never_helps(self, dim):
        rng = np.random.default_rng(dim)
        certified = 0
        for _ in range(60):
            g, d, a = rng.normal(size=dim), rng.normal(size=dim), rng.uniform()
            # The numerator all but cancels: only roundings are left of it.
            f = 0.5 * a * d @ d - g @ d
            f += rng.normal() * 10.0 ** rng.uniform(-16, -10)
            found = _proved(f, g, d, a)
            certified += found > 0.0
            self.assertLessEqual(found, max(_exact_radius(f, g, d, a), 0))
        self.assertGreater(certified, 5)

    def test_is_below_the_exact_radius_without_any_error(self):
        rng = np.random.default_rng(0)
        for _ in range(60):
            f, a = 10.0 ** rng.uniform(-3, 3, size=2)
            g, d = rng.normal(size=2), np.zeros(2)
            if rng.uniform() < 0.5:  # The root is that of a sum that cancels.
                f, d = -0.5 * g @ g / a * (1 - 1e-12), g / a
            exact = _exact_radius(f, g, d, a)
            self.assertLessEqual(_proved(f, g, d, a), max(exact, 0))

    def test_a_constant_margin_is_certified_far_and_finitely(self):
        found = _proved(1.0, np.zeros(2), np.zeros(2), 0.0, 1e-15, 1e-290)
        self.assertGreater(found, 1e100)
        self.assertLess(found, np.inf)
        # However large, it stays a number.
        self.assertLess(_proved(1e308, np.zeros(2), np.zeros(2), 0.0), np.inf)

    @hypothesis.settings(deadline=None, max_examples=60)
    @hypothesis.given(
        _evaluations(_ORDINARY, st.floats(0.0, 10.0)),
        st.integers(-30, 30),
        st.integers(-30, 30),
    )
    def test_scales_with_inputs_and_with_logits(self, evaluation, p, q):
        f, g, d, a = evaluation
        hypothesis.assume(np.linalg.norm(g) > 1e-3)
        logit, unit = 2.0**p, 2.0**q
        one = _proved(f, g, d, a, 1e-15, 1e-15)
        other = _proved(
            logit * f,
            logit / unit * g,
            unit * d,
            logit / unit**2 * a,
            logit * 1e-15,
            logit / unit * 1e-15,
        )
        np.testing.assert_allclose(other, unit * one, rtol=1e-14)

    @parameterized.parameters(-1.0, -1e-300, 0.0)
    def test_a_margin_that_is_not_positive_certifies_nothing(self, f):
        for a in (0.0, 1.0, 1e30):
            for g in (np.zeros(2), np.ones(2)):
                self.assertEqual(_proved(f, g, np.zeros(2), a), 0.0)

    def test_a_margin_within_its_error_certifies_nothing(self):
        self.assertEqual(_proved(1.0, np.ones(2), np.zeros(2), 1.0, 1.0), 0.0)

    @parameterized.product(
        position=tuple(range(6)), value=[np.nan, np.inf, -np.inf, 1e308]
    )
    def test_what_is_not_finite_certifies_nothing(self, position, value):
        arguments = [1.0, np.ones(2), np.zeros(2), 1.0, 1e-15, 1e-15]
        if position in (1, 2):
            arguments[position] = np.array([1.0, value])
        else:
            arguments[position] = value
        f, g, d, a, e_f, e_g = arguments
        found = _proved(*arguments)
        if np.isfinite(value) and position in (0, 3):  # It is so far, or near.
            self.assertTrue(_is_safe(found, f, g, d, a, e_f, e_g, -g))
        else:
            self.assertEqual(found, 0.0)

    def test_one_row_that_is_not_finite_harms_no_other(self):
        evaluation = networks.Evaluation(
            tf.constant([1.0, np.nan, 1.0], tf.float64),
            tf.constant([[1.0], [1.0], [np.inf]], tf.float64),
        )
        error = networks.EvaluationError(
            *(tf.fill([3], tf.constant(1e-15, tf.float64)) for _ in range(2))
        )
        zeros = tf.zeros([3, 1], tf.float64)
        found = certificates.safe_ball_radius_bound(
            evaluation, error, zeros, zeros[:, 0]
        )
        np.testing.assert_allclose(found, [1.0, 0.0, 0.0], rtol=1e-12)


class BallLowerBoundTest(parameterized.TestCase):
    def test_is_the_least_value_of_the_quadratic_bound_in_the_ball(self):
        rng = np.random.default_rng(2)
        for _ in range(40):
            f, a, epsilon = rng.normal(), rng.uniform(0, 2), rng.uniform(0, 2)
            g, d = rng.normal(size=2), rng.normal(size=2)
            bound = _ball_bound(f, g, d, a, epsilon)
            slope = g - a * d
            worst = d - epsilon * slope / np.linalg.norm(slope)
            self.assertAlmostEqual(
                _quadratic(f, g, a, worst), bound, delta=1e-12
            )
            for _ in range(50):
                step = rng.normal(size=2)
                step *= epsilon * rng.uniform() / np.linalg.norm(step)
                self.assertGreaterEqual(
                    _quadratic(f, g, a, d + step), bound - 1e-12
                )

    def test_is_below_the_minimum_to_the_last_digit(self):
        rng = np.random.default_rng(5)
        for dim in (2, 40):
            for scale in (1e-9, 1.0, 1e9):
                f, a, epsilon = rng.normal(), scale * rng.uniform(0, 2), 0.7
                g, d = scale * rng.normal(size=dim), rng.normal(size=dim)
                bound = _ball_bound(f, g, d, a, epsilon)
                least = _exact_minimum(f, g, d, a, epsilon)
                self.assertLessEqual(mpmath.mpf(bound), least)
                size = 1.0 + abs(f) + np.linalg.norm(g) + a
                self.assertGreater(bound, float(least) - 1e-11 * dim * size)

    def test_covers_what_the_evaluation_errs_by(self):
        rng = np.random.default_rng(6)
        for _ in range(20):
            f, a, epsilon = rng.normal(), rng.uniform(0, 2), rng.uniform(0, 2)
            g, d, wrong = rng.normal(size=(3, 3))
            wrong *= 0.1 / np.linalg.norm(wrong)
            bound = _ball_bound(f, g, d, a, epsilon, error=(0.2, 0.1))
            least = _exact_minimum(f - 0.2, g + wrong, d, a, epsilon)
            self.assertLess(bound, least)

    def test_is_positive_exactly_inside_the_safe_ball(self):
        rng = np.random.default_rng(3)
        for _ in range(40):
            f, a = rng.uniform(0.5, 2.0), rng.uniform(0.0, 2.0)
            g, d = rng.normal(size=3), 0.1 * rng.normal(size=3)
            radius = _radius(f, g, d, a)
            self.assertGreater(_ball_bound(f, g, d, a, radius * 0.9999), 0.0)
            self.assertLess(_ball_bound(f, g, d, a, radius * 1.0001), 0.0)


if __name__ == "__main__":
    absltest.main()
