"""Tests of smooth against definitions in 40 digits."""

import dataclasses
import functools
import math

from absl.testing import absltest
from absl.testing import parameterized
import keras
import mpmath as mp
import numpy as np
import tensorflow as tf

import bounds_oracles as oracles
from tfcurv import errors
from tfcurv import networks
from tfcurv.networks.functions.smooth import EVALUATION_ROUNDOFFS

_ROUNDOFF = 2.0**-53
_WIDENING = EVALUATION_ROUNDOFFS * _ROUNDOFF

# Far out every activation has reached its limits: (s, s', s'') at -infinity
# and +infinity, where s is a multiple of x plus a constant.
_LIMITS = {
    "linear": ((1, 0, 1), (1, 0, 1)),
    "sigmoid": ((0, 0, 0), (0, 1, 0)),
    "tanh": ((0, -1, 0), (0, 1, 0)),
    "softplus": ((0, 0, 0), (1, 0, 1)),
    "gelu": ((0, 0, 0), (1, 0, 1)),
    "silu": ((0, 0, 0), (1, 0, 1)),
    "mish": ((0, 0, 0), (1, 0, 1)),
    "elu": ((0, -1, 0), (1, 0, 1)),
}

# min s', max s', min s'', max s'', rounded outward to 12 decimals.
_RANGES = {
    "linear": (1, 1, 0, 0),
    "sigmoid": (0, 0.25, -0.096225044865, 0.096225044865),
    "tanh": (0, 1, -0.769800358920, 0.769800358920),
    "softplus": (0, 1, 0, 0.25),
    "gelu": (-0.128904145186, 1.128904145186, -0.107981933027, 0.797884560803),
    "silu": (-0.099839320129, 1.099839320129, -0.036914373200, 0.5),
    "mish": (-0.112526122390, 1.088498161252, -0.059033356954, 0.644204637237),
    "elu": (0, 1, 0, 1),
    "softsign": (0, 1, -2, 2),
}

# s'' jumps at 0 there.
_JUMPS = {"elu": (0.0, 1.0), "softsign": (-2.0, 2.0)}

_named = parameterized.named_parameters((name, name) for name in oracles.NAMES)
_PARTS = ("value", "slope", "curvature")


def _points() -> np.ndarray:
    rng = np.random.default_rng(0)
    near = np.concatenate(
        [
            rng.uniform(-45.0, 45.0, 120),
            rng.uniform(-25.0, 25.0, 80),
            rng.normal(0.0, 1.5, 80),
            # Where exp, tanh and softplus go over to their limits.
            rng.uniform(16.0, 21.0, 30),
            rng.uniform(36.0, 38.0, 10),
            -rng.uniform(36.0, 38.0, 10),
        ]
    )
    tiny = 10.0 ** -np.asarray([3.0, 8.0, 16.0, 30.0])
    return np.concatenate([near, tiny, -tiny])


_POINTS = _points()
_EXTREMES = np.asarray([1e3, 1e4, 1e100, 1e155, 1e200, 1e308])


@functools.cache
def _exact(name: str, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the derivative at the points, as unevaluated sums of two."""
    exact = [oracles.derivative(name, x, order) for x in _POINTS]
    high = np.asarray([float(value) for value in exact])
    low = [float(value - mp.mpf(h)) for value, h in zip(exact, high)]
    return high, np.asarray(low)


@functools.cache
def _critical(name: str, order: int) -> tuple[float, ...]:
    """Finds where a derivative of order 1 or 2 has its local extrema."""
    if name == "linear" or (name in _JUMPS and order == 2):
        return ()  # Monotone on either side.
    if name in _JUMPS:
        return (0.0,)
    fn = functools.partial(oracles.derivative, name, order=order + 1)
    grid = np.linspace(-8.3, 8.1, 132)
    with mp.workdps(30):
        signs = [mp.sign(fn(x)) for x in grid]
        return tuple(
            float(mp.findroot(fn, (a, b), solver="anderson", tol=1e-40))
            for a, b, left, right in zip(grid, grid[1:], signs, signs[1:])
            if left * right < 0
        )


def _hull(name: str, order: int) -> tuple[mp.mpf, mp.mpf]:
    """Returns the exact range of a derivative of order 1 or 2."""
    if name in _JUMPS and order == 2:
        return tuple(map(mp.mpf, _JUMPS[name]))
    values = [
        oracles.derivative(name, x, order) for x in _critical(name, order)
    ]
    if name == "softsign":
        values += [0, 0]
    else:
        values += [limit[-1] if order == 1 else 0 for limit in _LIMITS[name]]
    return min(values), max(values)


def _parts(x):
    """Returns s, s' and s'' of every activation, to be compiled together."""
    return {
        name: [getattr(networks.activation(name), part)(x) for part in _PARTS]
        for name in oracles.NAMES
    }


@functools.cache
def _compiled_parts(compiled):
    return compiled(_parts)


def _evaluate(compiled, x) -> dict[str, list[np.ndarray]]:
    """Returns them at x, as a part of rows for which XLA compiles once."""
    rows = np.zeros((1, 400), x.dtype)
    rows[0, : x.size] = x.ravel()
    found = {}
    for name, parts in _compiled_parts(compiled)(tf.constant(rows)).items():
        for part in parts:
            assert part.shape == rows.shape, (name, part.shape)
        found[name] = [
            part.numpy()[0, : x.size].reshape(x.shape) for part in parts
        ]
    return found


class EvaluationTest(parameterized.TestCase):
    @oracles.in_every_regime
    def test_errs_by_less_than_the_documented_roundoffs(self, compiled):
        for name, parts in _evaluate(compiled, _POINTS).items():
            for order, found in enumerate(parts):
                high, low = _exact(name, order)
                error = np.abs((found - high) - low) / _ROUNDOFF
                if order == 0:
                    error /= 1.0 + np.abs(_POINTS)
                worst = np.argmax(error)
                with self.subTest(f"{_PARTS[order]} of {name}, {worst=}"):
                    # "Less than half of this", the module says.
                    self.assertLess(error[worst], EVALUATION_ROUNDOFFS / 2)

    @oracles.in_every_regime
    def test_reaches_its_limits_far_out(self, compiled):
        for sign in (-1.0, 1.0):
            x = sign * _EXTREMES
            found = _evaluate(compiled, x)
            for name, limits in _LIMITS.items():
                rate, constant, slope = limits[sign > 0.0]
                value, slopes, curvatures = found[name]
                with self.subTest(f"{name}, {sign}"):
                    np.testing.assert_allclose(
                        value, rate * x + constant, rtol=1e-15
                    )
                    self.assertAllNear(slopes, slope, _WIDENING)
                    self.assertAllNear(curvatures, 0.0, _WIDENING)

    @oracles.in_every_regime
    def test_softsign_is_slow_to_reach_its_limits(self, compiled):
        x = np.concatenate([_EXTREMES, -_EXTREMES])
        with np.errstate(under="ignore"):
            exact = (
                x / (1.0 + np.abs(x)),
                (1.0 + np.abs(x)) ** -2.0,
                -2.0 * np.sign(x) * (1.0 + np.abs(x)) ** -3.0,
            )
        for found, expected in zip(_evaluate(compiled, x)["softsign"], exact):
            np.testing.assert_allclose(found, expected, 1e-14, 1e-300)

    @oracles.in_every_regime
    def test_does_not_tell_zero_from_minus_zero(self, compiled):
        for name, parts in _evaluate(compiled, np.asarray([0.0, -0.0])).items():
            for order in range(2 if name in _JUMPS else 3):
                exact = float(oracles.derivative(name, 0.0, order))
                with self.subTest(f"{_PARTS[order]} of {name}"):
                    self.assertAllNear(parts[order], exact, _WIDENING)

    @parameterized.parameters("elu", "softsign")
    def test_curvature_at_its_jump_is_an_essential_value(self, name):
        entry = networks.activation(name)
        found = entry.curvature(tf.constant([0.0, -0.0], tf.float64)).numpy()
        self.assertTrue(np.all(found >= entry.curvature_range.lower))
        self.assertTrue(np.all(found <= entry.curvature_range.upper))

    @oracles.in_every_regime
    def test_keeps_dtype_and_shape(self, compiled):
        points = np.concatenate([_POINTS, [1e3, -1e3, 1e38, -1e38]])
        points = points.astype(np.float32).reshape(1, -1)
        singles = _evaluate(compiled, points)
        doubles = _evaluate(compiled, points.astype(np.float64))
        for name in oracles.NAMES:
            for part, single, double in zip(
                _PARTS, singles[name], doubles[name]
            ):
                with self.subTest(f"{part} of {name}"):
                    self.assertEqual(single.dtype, np.float32)
                    self.assertEqual(double.dtype, np.float64)
                    self.assertEqual(single.shape, points.shape)
                    np.testing.assert_allclose(single, double, 1e-5, 1e-5)

    @_named
    def test_is_the_function_that_keras_calls_so(self, name):
        x = tf.constant(_POINTS, tf.float32)
        np.testing.assert_allclose(
            networks.activation(name).value(x),
            keras.activations.get(name)(x),
            rtol=1e-5,
            atol=1e-6,
        )

    def assertAllNear(self, values, expected, tolerance):
        error = np.abs(np.asarray(values) - expected)
        self.assertLessEqual(np.max(error), tolerance)


class GlobalRangeTest(parameterized.TestCase):
    @_named
    def test_encloses_tightly_what_extremisation_finds(self, name):
        entry = networks.activation(name)
        for order, found in (1, entry.slope_range), (2, entry.curvature_range):
            lower, upper = _hull(name, order)
            with self.subTest(_PARTS[order]):
                self.assertLessEqual(mp.mpf(found.lower), lower)
                self.assertGreaterEqual(mp.mpf(found.upper), upper)
                self.assertLessEqual(lower - mp.mpf(found.lower), 2 * _WIDENING)
                self.assertLessEqual(mp.mpf(found.upper) - upper, 2 * _WIDENING)

    @_named
    def test_is_the_tabulated_one(self, name):
        entry = networks.activation(name)
        slope, curvature = entry.slope_range, entry.curvature_range
        found = (slope.lower, slope.upper, curvature.lower, curvature.upper)
        for value, expected in zip(found, _RANGES[name], strict=True):
            self.assertAlmostEqual(value, expected, delta=1.1e-12)

    @_named
    def test_curvature_range_contains_zero(self, name):
        found = networks.activation(name).curvature_range
        self.assertLessEqual(found.lower, 0.0)
        self.assertGreaterEqual(found.upper, 0.0)

    @parameterized.parameters(
        ("softplus", "slope_range", 0.0, 1.0),
        ("sigmoid", "slope_range", 0.0, None),
        ("tanh", "slope_range", 0.0, None),
        ("elu", "slope_range", 0.0, 1.0),
        ("softsign", "slope_range", 0.0, None),
        ("softplus", "curvature_range", 0.0, None),
        ("elu", "curvature_range", 0.0, None),
        ("linear", "curvature_range", 0.0, 0.0),
    )
    def test_limits_known_exactly_are_not_widened(
        self, name, which, lower, upper
    ):
        found = getattr(networks.activation(name), which)
        self.assertEqual(found.lower, lower)
        if upper is not None:
            self.assertEqual(found.upper, upper)

    @_named
    def test_bounds_every_secant_of_the_slope(self, name):
        entry = networks.activation(name)
        rng = np.random.default_rng(3)
        start = rng.normal(0.0, 3.0, 4000)
        step = 10.0 ** rng.uniform(-3.0, 1.0, 4000)
        # A quarter of the secants straddles the origin.
        start[::4] = -step[::4] * rng.random(1000)
        rise = entry.slope(start + step) - entry.slope(start)
        secants = rise.numpy() / step
        rounding = 2.0 * _WIDENING / np.min(step)
        self.assertGreaterEqual(
            np.min(secants), entry.curvature_range.lower - rounding
        )
        self.assertLessEqual(
            np.max(secants), entry.curvature_range.upper + rounding
        )

    @parameterized.parameters(("elu", 1.0), ("softsign", 2.0))
    def test_essential_ranges_are_attained_beside_the_jump(self, name, bound):
        entry = networks.activation(name)
        slopes = entry.slope(tf.constant([-1e-6, 0.0, 1e-6], tf.float64))
        left, right = np.diff(slopes) / 1e-6
        expected = (bound, 0.0) if name == "elu" else (bound, -bound)
        np.testing.assert_allclose([left, right], expected, atol=1e-5)

    @oracles.in_every_regime
    def test_can_be_asked_for_first_in_any_regime(self, compiled):
        for name in oracles.NAMES:
            known = networks.activation(name)
            fresh = dataclasses.replace(known)

            def scale(x, fresh=fresh):
                return x * fresh.slope_range.upper + fresh.curvature_range.upper

            one = tf.constant(1.0, tf.float64)
            expected = known.slope_range.upper + known.curvature_range.upper
            self.assertAlmostEqual(float(compiled(scale)(one)), expected)
            self.assertEqual(fresh.slope_range, known.slope_range)


def _intervals() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    centres = rng.normal(0.0, 3.0, 500)
    widths = 10.0 ** rng.uniform(-7.0, 1.5, 500)
    special = np.asarray(
        [
            [0.0, 0.0],
            [-0.0, 3.0],
            [-3.0, 0.0],
            [-1e-300, 1e-300],
            [-8e307, 8e307],
            [1e3, 1e300],
            [-1e300, -1e3],
            [-50.0, 0.5],
        ]
    )
    return (
        np.concatenate([centres - widths, centres, special[:, 0]]),
        np.concatenate([centres + widths, centres, special[:, 1]]),
    )


_LOWER, _UPPER = _intervals()


class LocalRangeTest(parameterized.TestCase):
    @_named
    def test_slope_range_encloses_and_is_attained(self, name):
        entry = networks.activation(name)
        self._check(name, 1, entry.slope, entry.slope_range_on)

    @_named
    def test_curvature_range_encloses_and_is_attained(self, name):
        entry = networks.activation(name)
        self._check(name, 2, entry.curvature, entry.curvature_range_on)

    def _check(self, name, order, fn, range_on):
        low, high = range_on(tf.constant(_LOWER), tf.constant(_UPPER))
        samples = fn(tf.constant(np.linspace(_LOWER, _UPPER, 101))).numpy()
        self.assertTrue(np.all(low <= np.min(samples, axis=0)))
        self.assertTrue(np.all(high >= np.max(samples, axis=0)))
        smallest, largest = self._hulls(name, order, fn)
        tolerance = 3.0 * _WIDENING
        np.testing.assert_allclose(low, smallest, rtol=0.0, atol=tolerance)
        np.testing.assert_allclose(high, largest, rtol=0.0, atol=tolerance)

    def _hulls(self, name, order, fn):
        """Extrema over the ends and the critical points found by bisection."""
        candidates = [fn(tf.constant(x)).numpy() for x in (_LOWER, _UPPER)]
        for point in _critical(name, order):
            inside = (_LOWER < point) & (point < _UPPER)
            value = float(oracles.derivative(name, point, order))
            candidates.append(np.where(inside, value, candidates[0]))
        if name in _JUMPS and order == 2:
            inside = (_LOWER <= 0.0) & (_UPPER >= 0.0)
            for value in _JUMPS[name]:
                candidates.append(np.where(inside, value, candidates[0]))
        return np.min(candidates, axis=0), np.max(candidates, axis=0)

    @_named
    def test_lies_in_the_global_range(self, name):
        entry = networks.activation(name)
        for range_on, everywhere in (
            (entry.slope_range_on, entry.slope_range),
            (entry.curvature_range_on, entry.curvature_range),
        ):
            low, high = range_on(tf.constant(_LOWER), tf.constant(_UPPER))
            self.assertTrue(np.all(low >= everywhere.lower))
            self.assertTrue(np.all(high <= everywhere.upper))

    @oracles.in_every_regime
    def test_is_the_same_in_every_regime(self, compiled):
        lower, upper = tf.constant(_LOWER), tf.constant(_UPPER)

        def ranges(lower, upper):
            entries = map(networks.activation, oracles.CURVED)
            return [
                range_on(lower, upper)
                for entry in entries
                for range_on in (entry.slope_range_on, entry.curvature_range_on)
            ]

        found = compiled(ranges)(lower, upper)
        np.testing.assert_allclose(
            found, ranges(lower, upper), rtol=0.0, atol=_WIDENING
        )


class LookupTest(parameterized.TestCase):
    @_named
    def test_finds_what_it_knows(self, name):
        self.assertEqual(networks.activation(name).name, name)

    @parameterized.parameters(
        "relu",
        "relu6",
        "leaky_relu",
        "selu",
        "exponential",
        "softmax",
        "log_softmax",
        "hard_sigmoid",
        "hard_silu",
        "absolute",
        "Tanh",
        "",
    )
    def test_refuses_what_it_cannot_bound(self, name):
        with self.assertRaisesRegex(
            errors.UnsupportedActivationError,
            f"activation='{name}'. Known: .*softplus",
        ):
            networks.activation(name)


class IntervalTest(parameterized.TestCase):
    @parameterized.parameters(
        (1.0, 0.0), (math.nan, 1.0), (0.0, math.nan), (math.inf, -math.inf)
    )
    def test_refuses_ends_out_of_order(self, lower, upper):
        with self.assertRaisesRegex(ValueError, "lower=.*upper="):
            networks.Interval(lower=lower, upper=upper)

    @parameterized.parameters(
        (-3.0, 2.0, 3.0), (-1.0, 2.0, 2.0), (0.5, 0.5, 0.5), (0.0, 0.0, 0.0)
    )
    def test_magnitude_is_the_largest_absolute_value(self, lower, upper, size):
        found = networks.Interval(lower=lower, upper=upper).magnitude
        self.assertEqual(found, size)

    def test_cannot_be_changed(self):
        interval = networks.Interval(lower=0.0, upper=1.0)
        with self.assertRaises(AttributeError):
            interval.upper = 2.0


if __name__ == "__main__":
    absltest.main()
