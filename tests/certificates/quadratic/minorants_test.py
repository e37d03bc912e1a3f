"""Tests of tfcurv.certificates.quadratic.minorants."""

from absl.testing import absltest
from absl.testing import parameterized
import mpmath
import numpy as np
import tensorflow as tf

from tfcurv import bounds
from tfcurv import certificates
from tfcurv import errors
from tfcurv import networks

_RELU = networks.RELU


def _network(widths=(3, 12, 4), seed=0, unit=1.0, errors=0.0):
    rng = np.random.default_rng(seed)
    d, n, k = widths
    first = unit * rng.normal(size=(d, n)), unit * rng.normal(size=n)
    last = rng.normal(size=(n, k)) / unit, rng.normal(size=k)
    affines = [
        networks.Affine(
            kernel=kernel,
            bias=bias,
            kernel_error=errors * float(np.linalg.norm(kernel)),
            bias_error=errors * float(np.linalg.norm(bias)),
        )
        for kernel, bias in (first, last)
    ]
    return networks.Network(affines, [_RELU])


def _exact_margin(affines, x, y, t):
    """z_y - z_t at the numbers as they are, in many digits."""
    x = [mpmath.mpf(float(v)) for v in x]
    (k, b), (v, c) = affines
    z = [mpmath.fdot(col, x) + bias for col, bias in zip(_mp(k.T), _mp(b))]
    a = [max(each, mpmath.mpf(0)) for each in z]
    logits = [mpmath.fdot(col, a) + bias for col, bias in zip(_mp(v.T), _mp(c))]
    return logits[y] - logits[t]


def _mp(array):
    if np.ndim(array) == 0:
        return mpmath.mpf(float(array))
    return [_mp(each) for each in array]


class ConstantsTest(parameterized.TestCase):
    @parameterized.parameters(range(6))
    def test_are_the_least_that_hold_on_the_interval(self, seed):
        rng = np.random.default_rng(seed)
        scale = 10.0 ** rng.uniform(-6.0, 6.0, 200)
        low = -scale * rng.uniform(-0.5, 2.0, 200)
        high = low + scale * rng.uniform(0.0, 3.0, 200)
        a = rng.choice([0.0, 1.0], 200) * rng.exponential(1.0, 200) / scale
        b = rng.normal(0.5, 1.0, 200)
        found = certificates.upper_constants(
            certificates.Quadratics(a, b), low, high
        )
        shares = np.linspace(0.0, 1.0, 20001)[:, np.newaxis]
        z = np.clip(low + shares * (high - low), low, high)
        gap = np.maximum(z, 0.0) - a * z * z - b * z
        size = 1e-12 * (a * z * z + np.abs(b * z) + np.abs(z)).max(axis=0)
        self.assertTrue(np.all(found >= gap.max(axis=0)))
        # A grid point is within 1e-4 of the peak, where the slope is zero,
        # or at the kink.
        near = 1e-4 * (high - low)
        slack = (a * near + np.abs(b) + 1.0) * near
        self.assertTrue(np.all(found <= gap.max(axis=0) + slack + size))

    def test_know_the_parabola_that_touches_both_arms(self):
        c = np.array([1e-12, 0.3, 1.0, 1e9])
        everywhere = np.full(4, np.inf)
        quadratics = certificates.Quadratics(0.25 / c, np.full(4, 0.5))
        found = certificates.upper_constants(
            quadratics, -everywhere, everywhere
        )
        np.testing.assert_allclose(found, c / 4.0, rtol=1e-13)
        self.assertTrue(np.all(found >= c / 4.0))

    @parameterized.named_parameters(
        ("active", 0.0, 1.0, 1.0, 5.0, 0.0),
        ("from_zero", 0.0, 1.0, 0.0, 5.0, 0.0),
        ("inactive", 0.0, 0.0, -5.0, -1.0, 0.0),
        ("chord", 0.0, 0.5, -1.0, 1.0, 0.5),
        ("point", 0.0, 0.0, 2.0, 2.0, 2.0),
    )
    def test_know_lines(self, a, b, low, high, expected):
        a, b, low, high = (np.array([v]) for v in (a, b, low, high))
        (found,) = certificates.upper_constants(
            certificates.Quadratics(a, b), low, high
        )
        self.assertGreaterEqual(found, expected)
        self.assertAlmostEqual(found, expected, places=13)

    def test_survive_the_largest_numbers(self):
        # Twice this A overflows; its vertex does not.
        huge, ball = np.array([1e308]), np.array([1e300])
        quadratics = certificates.Quadratics(huge, huge)
        (found,) = certificates.upper_constants(quadratics, -ball, ball)
        self.assertGreaterEqual(found, 0.25e308)

    @parameterized.named_parameters(
        ("lines_everywhere", 0.0, 0.5, -np.inf, np.inf),
        ("unknown_ranges", 1.0, 0.5, np.nan, np.nan),
        ("empty", 1.0, 0.5, 1.0, -1.0),
        ("unknown_slope", 1.0, np.nan, -1.0, 1.0),
        ("unknown_curvature", np.nan, 0.5, -1.0, 1.0),
    )
    def test_are_not_finite_where_there_are_none(self, a, b, low, high):
        a, b, low, high = (np.array([v]) for v in (a, b, low, high))
        (found,) = certificates.upper_constants(
            certificates.Quadratics(a, b), low, high
        )
        self.assertFalse(np.isfinite(found) or found == -np.inf)


class MinorantTest(parameterized.TestCase):
    def _quadratics(self, rng, shape, unit):
        a = rng.exponential(1.0, shape) / unit
        a *= rng.choice([0.0, 1.0], shape)
        return certificates.Quadratics(a, rng.normal(0.5, 0.3, shape))

    @parameterized.product(
        unit=(1.0, 1e-30, 1e30), radius=(0.3, 3.0), seed=(0, 1)
    )
    def test_lies_below_the_margin_in_the_ball(self, unit, radius, seed):
        network = _network(unit=unit, seed=seed)
        rng = np.random.default_rng(seed)
        bounder = certificates.ReluBounder(network)
        x0, rows = rng.normal(size=(4, 3)), np.arange(4)
        y, t = rows % 4, (rows + 1) % 4
        c = x0 + rng.normal(size=(4, 3))
        found = bounder.minorant(
            x0,
            np.full(4, radius),
            c,
            y,
            t,
            self._quadratics(rng, (4, 12), unit),
        )
        layers = [(a.kernel, a.bias) for a in network.affines]
        for _ in range(20):
            step = rng.normal(size=(4, 3))
            step /= np.linalg.norm(step, axis=-1, keepdims=True)
            step *= radius * rng.uniform(0.0, 1.0, (4, 1)) ** 0.3
            self._assert_below(found, layers, x0 + step, c, y, t)

    def _assert_below(self, found, layers, x, c, y, t):
        f, g = (part.numpy() for part in found.evaluation)
        f_error, g_error = (part.numpy() for part in found.error)
        with mpmath.workdps(60):
            for i in range(len(y)):
                way = [
                    mpmath.mpf(a) - mpmath.mpf(b) for a, b in zip(x[i], c[i])
                ]
                square = mpmath.fdot(way, way)
                below = mpmath.mpf(f[i]) - mpmath.mpf(f_error[i])
                below += mpmath.fdot(_mp(g[i]), way)
                below -= mpmath.mpf(g_error[i]) * mpmath.sqrt(square)
                below -= mpmath.mpf(float(found.concavity[i])) * square / 2
                margin = _exact_margin(layers, x[i], y[i], t[i])
                self.assertGreaterEqual(margin, below)

    def test_holds_for_every_kernel_within_the_errors(self):
        size = 1e-3
        network = _network(errors=size, widths=(3, 8, 3))
        rng = np.random.default_rng(0)
        bounder = certificates.ReluBounder(network)
        x0 = rng.normal(size=(2, 3))
        y, t = np.array([0, 1]), np.array([1, 2])
        quadratics = self._quadratics(rng, (2, 8), 1.0)
        ball = np.full(2, 1.0), x0 + 0.1
        found = bounder.minorant(x0, *ball, y, t, quadratics)
        for _ in range(30):
            layers = [
                (
                    affine.kernel + _of_norm(rng, affine.kernel, size),
                    affine.bias + _of_norm(rng, affine.bias, size),
                )
                for affine in network.affines
            ]
            x = x0 + _of_norm(rng, x0[:1], 1.0 / np.linalg.norm(x0[:1]))
            self._assert_below(found, layers, x, x0 + 0.1, y, t)

    def test_is_exact_to_rounding_where_relu_is_linear(self):
        network = _network()
        x0 = np.array([[0.3, -0.2, 0.1]])
        bounder = certificates.ReluBounder(network)
        on = (bounder.pre_activations(x0) > 0.0).astype(float)
        lines = certificates.Quadratics(np.zeros_like(on), on)
        y, t = np.array([0]), np.array([1])
        found = bounder.minorant(x0, np.array([1e-9]), x0, y, t, lines)
        weights, bias = network.pair(y, t, tf.float64)
        expected = network.evaluate(tf.constant(x0), weights, bias)
        for one, other in zip(found.evaluation, expected):
            np.testing.assert_allclose(one, other, rtol=1e-12)
        self.assertEqual(found.concavity[0], 0.0)
        self.assertLess(found.error.margin[0], 1e-12)

    def test_ranges_enclose_the_ball(self):
        network = _network()
        rng = np.random.default_rng(0)
        bounder = certificates.ReluBounder(network)
        x0 = rng.normal(size=(5, 3))
        low, high = bounder.ranges(x0, np.full(5, 0.7))
        columns = network.affines[0].kernel / np.linalg.norm(
            network.affines[0].kernel, axis=0
        )
        for column in columns.T:
            for sign in (-0.7, 0.7):
                z = bounder.pre_activations(x0 + sign * column)
                self.assertTrue(
                    np.all((low <= z + 1e-12) & (z <= high + 1e-12))
                )
        z = bounder.pre_activations(x0)
        norms = np.linalg.norm(network.affines[0].kernel, axis=0)
        np.testing.assert_allclose(high - z, z - low, rtol=1e-9)
        np.testing.assert_allclose(high - z, 0.7 * norms + 0 * z, rtol=1e-8)

    def test_takes_lines_for_positive_weights_between_0_and_1(self):
        network = _network()
        rng = np.random.default_rng(0)
        bounder = certificates.ReluBounder(network)
        x0 = rng.normal(size=(1, 3))
        ball = np.array([0.5]), x0, np.array([0]), np.array([1])
        w = bounder.weights(*ball[2:])
        inside = np.where(w < 0.0, 1.0, 0.0)
        parts = [
            bounder.minorant(x0, *ball, certificates.Quadratics(inside, slope))
            for slope in (
                np.where(w < 0.0, 0.5, 7.0),
                np.where(w < 0, 0.5, 1.0),
            )
        ]
        for one, other in zip(parts[0].evaluation, parts[1].evaluation):
            np.testing.assert_array_equal(one, other)


def _of_norm(rng, like, share):
    """A random array whose norm is a share of another's."""
    found = rng.normal(size=like.shape)
    return found * share * np.linalg.norm(like) / np.linalg.norm(found)


class RefusalTest(parameterized.TestCase):
    def test_relu_is_no_activation_of_bounded_curvature(self):
        self.assertNotIn("relu", networks.ACTIVATIONS)
        self.assertTrue(certificates.has_relu(_network()))
        zero, centre = tf.zeros([1], tf.float64), tf.zeros([1, 3], tf.float64)
        for ask in (
            lambda: _RELU.curvature_range,
            lambda: _RELU.curvature_range_on(zero, zero),
            lambda: _RELU.curvature(zero),
            lambda: bounds.CurvatureBounder(_network()).bounds(0, 1),
            lambda: bounds.LocalCurvature(_network()).concavity_upper_bounds(
                bounds.Ball(centre, zero, centre),
                np.array([0]),
                np.array([1]),
            ),
        ):
            with self.assertRaisesRegex(
                errors.UnsupportedActivationError, "'relu'.*Remedy"
            ):
                ask()

    def test_bounds_two_layers_of_relu_alone(self):
        tanh = networks.activation("tanh")
        affine = _network().affines[0]
        square = networks.Affine(kernel=np.eye(12), bias=np.zeros(12))
        for affines, activations in (
            ([affine, square], [tanh]),
            ([affine, square, square], [_RELU, _RELU]),
            ([affine], []),
        ):
            network = networks.Network(affines, activations)
            with self.assertRaisesRegex(
                errors.UnsupportedModelError, "two-layer ReLU"
            ):
                certificates.ReluBounder(network)


if __name__ == "__main__":
    absltest.main()
