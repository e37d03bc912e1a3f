"""Tests of tfcurv.certificates.quadratic.method against exact distances."""

import itertools

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import scipy.optimize
import tensorflow as tf

from tfcurv import certificates
from tfcurv import errors
from tfcurv import networks
from untraced import untraced

_Reason = certificates.Reason
_GLOBAL = certificates.ReluSearchOptions(balls=0)
_HARD = certificates.ReluSearchOptions(steps=40, balls=4, ball_steps=10)


def _network(first, first_bias, last, last_bias):
    pairs = (first, first_bias), (last, last_bias)
    affines = [
        networks.Affine(
            kernel=np.asarray(kernel, np.float64),
            bias=np.asarray(bias, np.float64),
        )
        for kernel, bias in pairs
    ]
    return networks.Network(affines, [networks.RELU])


def _random(d, n, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    return _network(
        1.5 * rng.normal(size=(d, n)) / np.sqrt(d),
        0.4 * rng.normal(size=n),
        1.5 * rng.normal(size=(n, classes)) / np.sqrt(n),
        0.3 * rng.normal(size=classes),
    )


def _predict(network, x):
    logits = network.logits(tf.constant(x))
    return np.argmax(logits, axis=-1).astype(np.int32)


def _certify(network, x, y=None, how=None, **options):
    x = np.asarray(x, np.float64)
    y = _predict(network, x) if y is None else np.asarray(y, np.int32)
    options = certificates.CertifierOptions(**options)
    with untraced():
        return certificates.ReluCertifier(network, options, how)(x, y)


def _linear(network, x):
    return _certify(network, x, search=None)


def _points(d, count=12, seed=1):
    return np.random.default_rng(seed).normal(size=(count, d))


def _distances(network, x, y):
    """Exact distances of each point to where another class is as good.

    One least-distance problem for each class and activation pattern, by the
    method of Lawson and Hanson.
    """
    first, last = network.affines
    found = []
    for point, label in zip(x, y):
        z = point @ first.kernel + first.bias
        best = np.inf
        for pattern in itertools.product((0.0, 1.0), repeat=len(z)):
            on = np.array(pattern)
            sign = 2.0 * on - 1.0
            for t in set(range(network.num_classes)) - {label}:
                w = on * (last.kernel[:, label] - last.kernel[:, t])
                rows = [-(first.kernel @ w), *(first.kernel * sign).T]
                margin = w @ z + last.bias[label] - last.bias[t]
                sides = [margin, *(-sign * z)]
                best = min(best, _least_norm(np.array(rows), np.array(sides)))
        found.append(best)
    return np.array(found)


def _least_norm(rows, sides) -> float:
    """Returns the least ||v|| with rows v >= sides; infinite if none."""
    matrix = np.vstack([rows.T, sides])
    goal = np.zeros(len(matrix))
    goal[-1] = 1.0
    solution, residual = scipy.optimize.nnls(matrix, goal)
    if residual < 1e-9:
        return np.inf
    rest = matrix @ solution - goal
    return float(np.linalg.norm(rest[:-1] / rest[-1]))


def _first_crossings(network, x, y, count=4000, seed=0):
    """Least distances of class changes on many rays, exact on each."""
    rng = np.random.default_rng(seed)
    found = np.full(len(x), np.inf)
    first, last = network.affines
    for ray in rng.normal(size=(count, x.shape[1])):
        ray /= np.linalg.norm(ray)
        speed = ray @ first.kernel
        for i, point in enumerate(x):
            z = point @ first.kernel + first.bias
            kinks = -z / speed
            knots = np.sort(kinks[(kinks > 0.0) & (kinks < found[i])])
            knots = np.concatenate([[0.0], knots, [min(found[i], 1e3)]])
            at = np.maximum(z + knots[:, None] * speed, 0.0)
            logits = at @ last.kernel + last.bias
            margins = logits[:, y[i], None] - np.delete(logits, y[i], axis=-1)
            for margin in margins.T:
                for k in np.flatnonzero(margin[1:] < 0.0)[:1]:
                    share = margin[k] / (margin[k] - margin[k + 1])
                    there = knots[k] + share * (knots[k + 1] - knots[k])
                    found[i] = min(found[i], there)
    return found


class SoundnessTest(parameterized.TestCase):
    @parameterized.parameters((2, 0), (2, 1), (3, 0), (3, 2))
    def test_never_exceeds_the_distance_found_pattern_by_pattern(self, d, seed):
        network = _random(d, 6, seed=seed)
        x = _points(d, 6, seed)
        y = _predict(network, x)
        distance = _distances(network, x, y)
        for found in (
            _certify(network, x),
            _certify(network, x, how=_GLOBAL),
            _linear(network, x),
        ):
            self.assertTrue(np.all(found.radius <= distance * (1.0 + 1e-9)))
            self.assertTrue(np.all(found.upper_bound >= distance * (1 - 1e-9)))
            self.assertTrue(np.all(found.radius > 0.0))

    @parameterized.product(d=(1, 3), n=(1, 40), how=(None, _HARD))
    def test_never_exceeds_what_dense_rays_meet(self, d, n, how):
        seed = 3 if how is None else 4
        network = _random(d, n, seed=seed)
        x = _points(d, 4, seed)
        y = _predict(network, x)
        met = _first_crossings(network, x, y, 4 if d == 1 else 300)
        found = _certify(network, x, how=how)
        self.assertTrue(np.all(found.radius <= met * (1.0 + 1e-9)))
        self.assertTrue(np.all(found.radius <= found.upper_bound))

    def test_holds_for_any_quadratics_whatever(self):
        network = _random(2, 15)
        x = _points(2, 20)
        y = _predict(network, x)
        prover = certificates.ReluProver(network)
        rng = np.random.default_rng(0)
        successes = 0
        for _ in range(25):
            size = rng.uniform(0.05, 1.0)
            shape = (len(x), 15)
            quadratics = certificates.Quadratics(
                rng.exponential(1.0, shape) * rng.choice([0, 0.1, 1], shape),
                rng.normal(0.5, 0.4, shape),
            )
            t = (y + rng.integers(1, 3, len(x))) % 3
            ball = np.full(len(x), rng.choice([size, np.inf]))
            c = x + 0.1 * rng.normal(size=x.shape)
            proved = prover.prove(x, ball, c, y, t, quadratics)
            successes += np.sum(proved > 0.0)
            nearest = _pair_crossings(network, x, y, t)
            self.assertTrue(np.all(proved <= nearest * (1.0 + 1e-9)))
        self.assertGreater(successes, 20)

    def test_nothing_is_proved_from_numbers_that_are_none(self):
        network = _random(2, 5)
        x = _points(2, 1)
        y = _predict(network, x)
        prover = certificates.ReluProver(network)
        for bad in (np.nan, np.inf, -np.inf):
            for a, b, ball, c in (
                (bad, 0.5, 1.0, 0.0),
                (1.0, bad, 1.0, 0.0),
                (1.0, 0.5, 1.0, bad),
                (0.0, 0.5, np.inf, 0.0),
                (1.0, 0.5, np.nan, 0.0),
            ):
                proved = prover.prove(
                    x,
                    np.array([ball]),
                    x + c,
                    y,
                    (y + 1) % 3,
                    certificates.Quadratics(
                        np.full((1, 5), a), np.full((1, 5), b)
                    ),
                )
                self.assertFalse(proved[0] > 0.5 and not np.isfinite(a + b + c))
                self.assertFalse(np.isinf(proved[0]))


def _pair_crossings(network, x, y, t, count=60):
    """As `_first_crossings`, against one other class each."""
    found = []
    for point, label, other in zip(x, y, t):
        first, last = network.affines
        pair = _network(
            first.kernel,
            first.bias,
            last.kernel[:, [label, other]],
            last.bias[[label, other]],
        )
        zero = np.zeros(1, np.int32)
        found.append(_first_crossings(pair, point[None], zero, count)[0])
    return np.array(found)


class SharpnessTest(parameterized.TestCase):
    def test_one_unit_is_certified_as_far_as_it_goes(self):
        # z_0 - z_1 = 1 - 2 relu(x - 0.2), which vanishes at 0.7.
        network = _network([[1.0]], [-0.2], [[-2.0, 0.0]], [1.0, 0.0])
        x = np.array([[0.6], [0.3], [-0.1]])
        found = _certify(network, x)
        np.testing.assert_allclose(found.radius, 0.7 - x[:, 0], rtol=2e-3)
        np.testing.assert_allclose(found.upper_bound, 0.7 - x[:, 0], rtol=1e-4)

    @parameterized.parameters(range(3))
    def test_convex_margins_are_exact(self, seed):
        # All weights of z_0 - z_1 are positive: lines bound it, no parabola.
        rng = np.random.default_rng(seed)
        w = rng.uniform(0.1, 1.0, (6, 1))
        network = _network(
            rng.normal(size=(3, 6)),
            rng.normal(size=6),
            np.hstack([w, 0.0 * w]),
            [0.0, 1.0],
        )
        x = 2.0 * _points(3, 40, seed)
        x = x[_predict(network, x) == 0][:6]
        y = np.zeros(len(x), np.int32)
        found = _certify(network, x, y, how=_HARD)
        distance = _distances(network, x, y)
        np.testing.assert_allclose(found.radius, distance, rtol=2e-2)
        self.assertTrue(np.all(found.radius <= distance * (1.0 + 1e-9)))

    @parameterized.parameters((20, 100), (40, 300))
    def test_is_sharper_than_linear_bounds_and_than_touching_at_x0(self, d, n):
        network = _random(d, n, classes=5)
        x = _points(d, 8)
        y = _predict(network, x)
        best = _certify(network, x)
        everywhere = _certify(network, x, how=_GLOBAL)
        linear = _linear(network, x)
        touching = np.array(
            [_touching(network, *each) for each in zip(x, y, best.target)]
        )
        self.assertTrue(np.all(best.radius >= linear.radius))
        self.assertTrue(np.all(everywhere.radius >= linear.radius))
        self.assertGreater(np.mean(best.radius) / np.mean(linear.radius), 1.3)
        against = np.take_along_axis(best.radii, best.target[:, None], -1)[:, 0]
        self.assertTrue(np.all(against >= touching * (1.0 - 1e-2)))
        self.assertGreaterEqual(
            np.mean(best.radius), np.mean(everywhere.radius) * (1.0 - 1e-3)
        )
        self.assertTrue(np.all(best.radius <= best.upper_bound))
        self.assertGreater(np.mean(best.radius / best.upper_bound), 0.95)

    def test_balls_help_where_units_are_few(self):
        network = _random(2, 12)
        x = _points(2, 12)
        everywhere = _certify(network, x, how=_GLOBAL).radius
        inside = _certify(network, x).radius
        self.assertGreater(np.mean(inside), 1.005 * np.mean(everywhere))

    def test_the_linear_bounds_are_those_of_a_grid_of_radii(self):
        network = _random(3, 20)
        x = _points(3, 4)
        found = _linear(network, x)
        for i, (y, t) in enumerate(zip(_predict(network, x), found.target)):
            radius = found.radius[i]
            inside = _linear_minimum(network, x[i], y, t, 0.995 * radius)
            outside = _linear_minimum(network, x[i], y, t, 1.005 * radius)
            self.assertGreater(inside, 0.0)
            self.assertLess(outside, 0.0)


def _linear_minimum(network, x, y, t, radius):
    """The least value in a ball of CROWN-Ada's bound, written anew."""
    first, last = network.affines
    w = last.kernel[:, y] - last.kernel[:, t]
    z = x @ first.kernel + first.bias
    value, gradient = last.bias[y] - last.bias[t], np.zeros_like(x)
    for i, column in enumerate(first.kernel.T):
        size = radius * np.linalg.norm(column)
        low, high = z[i] - size, z[i] + size
        if low >= 0.0:
            slope, above = 1.0, 0.0
        elif high <= 0.0:
            slope, above = 0.0, 0.0
        elif w[i] < 0.0:
            slope = high / (high - low)
            above = -slope * low
        else:
            slope, above = float(high >= -low), 0.0
        value += w[i] * (slope * z[i] + above)
        gradient += w[i] * slope * column
    return value - radius * np.linalg.norm(gradient)


def _touching(network, x, y, t):
    """Certificate of the parabolas that touch relu at z(x0), by the dual."""
    first, last = network.affines
    w = last.kernel[:, y] - last.kernel[:, t]
    z = x @ first.kernel + first.bias
    margin = w @ np.maximum(z, 0.0) + last.bias[y] - last.bias[t]
    g = first.kernel @ (w * (z > 0.0))
    bend = np.where(w < 0.0, -w / (2.0 * np.abs(z)), 0.0)
    values, vectors = np.linalg.eigh((first.kernel * bend) @ first.kernel.T)
    parts = (vectors.T @ g) ** 2
    eta = np.linspace(0.0, 1.0, 20001)[1:-1, None] / values[-1]
    bent = np.sum(parts / (1.0 - eta * values), axis=-1)
    dual = eta[:, 0] * margin - 0.5 * eta[:, 0] ** 2 * bent
    return np.sqrt(2.0 * max(np.max(dual), 0.0))


class InvarianceTest(parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.network = _random(4, 30)
        cls.x = _points(4, 6)
        cls.layers = [
            part for a in cls.network.affines for part in (a.kernel, a.bias)
        ]
        cls.radius = _certify(cls.network, cls.x).radius

    def _assert_same(self, layers, x=None, unit=1.0):
        found = _certify(_network(*layers), self.x if x is None else x)
        np.testing.assert_allclose(found.radius, unit * self.radius, rtol=1e-2)

    def test_the_order_of_the_units_does_not_matter(self):
        order = np.random.default_rng(0).permutation(30)
        k, b, v, c = self.layers
        self._assert_same([k[:, order], b[order], v[order], c])

    def test_scaling_units_does_not_matter(self):
        scale = 10.0 ** np.random.default_rng(0).uniform(-3.0, 3.0, 30)
        k, b, v, c = self.layers
        self._assert_same([k * scale, b * scale, v / scale[:, None], c])

    @parameterized.parameters(1e-30, 1e8)
    def test_scaling_the_margin_does_not_matter(self, scale):
        k, b, v, c = self.layers
        self._assert_same([k, b, scale * v, scale * c])
        self._assert_same([k / scale, b / scale, v, c / scale])

    @parameterized.parameters(1e-30, 1e-8, 1e30)
    def test_radii_scale_with_the_input(self, unit):
        k, b, v, c = self.layers
        # The attack searches in float32, where squares of 1e30 overflow.
        self._assert_same([k / unit, b, v, c], unit * self.x, unit)

    def test_units_that_do_nothing_do_nothing(self):
        k, b, v, c = self.layers
        nothing = np.zeros((4, 1))
        first = np.hstack([k, nothing, nothing, k[:, :1], k[:, :1]])
        bias = np.concatenate([b, [1.0, 0.0, -1e6, 0.0]])
        last = np.vstack([v, v[:3], np.zeros((1, 3))])
        c = c - v[0]
        self._assert_same([first, bias, last, c])

    def test_rows_do_not_depend_on_their_batch(self):
        for i in range(len(self.x)):
            alone = _certify(self.network, self.x[i : i + 1])
            np.testing.assert_allclose(
                alone.radius, self.radius[i : i + 1], rtol=1e-5
            )


class ReasonTest(parameterized.TestCase):
    def test_says_why_a_radius_is_zero(self):
        network = _random(2, 8)
        x = np.concatenate([_points(2, 3), np.full((2, 2), np.nan)])
        x[4] = [np.inf, 0.0]
        y = _predict(network, np.nan_to_num(x, posinf=0.0))
        y[1] = (y[1] + 1) % 3
        found = _certify(network, x, y)
        self.assertEqual(
            [_Reason(r).name for r in found.reason],
            ["CERTIFIED", "MISCLASSIFIED", "CERTIFIED"] + ["NON_FINITE"] * 2,
        )
        np.testing.assert_array_equal(found.radius > 0, found.reason == 0)
        self.assertEqual(found.upper_bound[1], 0.0)
        self.assertEqual(found.prediction[3], -1)
        self.assertEqual(found.target[1], found.prediction[1])
        self.assertFalse(np.any(found.exact[3:]))

    def test_ties_certify_nothing(self):
        k, b = np.random.default_rng(0).normal(size=(2, 4)), np.zeros(4)
        twice = np.repeat(np.random.default_rng(1).normal(size=(4, 1)), 2, 1)
        found = _certify(_network(k, b, twice, [0.0, 0.0]), _points(2, 3))
        self.assertTrue(np.all(found.reason == _Reason.TIED))
        self.assertTrue(np.all(found.radius == 0.0))

    def test_a_constant_margin_is_safe_far_out(self):
        for k in (np.zeros((2, 3)), np.ones((2, 3))):
            network = _network(k, np.ones(3), np.zeros((3, 2)), [1.0, 0.0])
            found = _certify(network, np.zeros((2, 2)))
            self.assertTrue(np.all(found.radius > 1e50))
            self.assertTrue(np.all(np.isinf(found.upper_bound)))

    def test_points_on_every_kink_are_certified(self):
        rng = np.random.default_rng(0)
        network = _network(
            rng.normal(size=(2, 10)),
            np.zeros(10),
            rng.normal(size=(10, 2)),
            [1.0, 0.0],
        )
        x = np.zeros((1, 2))
        found = _certify(network, x)
        met = _first_crossings(network, x, np.zeros(1, np.int32), 2000)
        self.assertGreater(found.radius[0], 0.5 * met[0])
        self.assertLessEqual(found.radius[0], met[0])

    def test_weights_that_overflow_certify_nothing(self):
        for size in (1e160, 1e308):
            with np.errstate(over="ignore"):  # The float32 copies.
                kernel, last = np.full((2, 3), size), [[-1.0, 0.0]] * 3
                network = _network(kernel, np.zeros(3), last, [1.0, 0.0])
            found = _certify(network, np.zeros((1, 2)))
            self.assertLess(found.radius[0], 1e-100)

    def test_refuses_one_logit(self):
        network = _network(np.ones((2, 3)), np.zeros(3), np.ones((3, 1)), [0.0])
        with self.assertRaisesRegex(errors.UnsupportedModelError, "Remedy"):
            certificates.ReluCertifier(network)


class OptionsTest(parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.network = _random(5, 40, classes=4)
        cls.x = _points(5, 10)
        cls.full = _certify(cls.network, cls.x)

    def test_enough_and_too_little_save_steps_and_decide_alike(self):
        middle = float(np.median(self.full.radius))
        found = _certify(
            self.network, self.x, enough=middle, too_little=0.9 * middle
        )
        # A radius this near to the middle may fall on either side.
        clear = np.abs(self.full.radius / middle - 1.0) > 0.02
        np.testing.assert_array_equal(
            (found.radius > middle)[clear], (self.full.radius > middle)[clear]
        )
        self.assertLess(
            found.num_evaluations.sum(), self.full.num_evaluations.sum()
        )

    def test_runner_up_looks_at_no_other_class(self):
        found = _certify(
            self.network, self.x, targets=certificates.Targets.RUNNER_UP
        )
        self.assertEqual(np.isfinite(found.radii).sum(), len(self.x))
        self.assertTrue(np.all(found.radius >= self.full.radius * (1 - 1e-3)))

    def test_the_deciding_class_has_been_searched(self):
        each = np.arange(len(self.x))
        np.testing.assert_array_equal(
            self.full.radius, self.full.radii[each, self.full.target]
        )
        linear = _linear(self.network, self.x)
        self.assertTrue(np.all(linear.num_evaluations == 0.0))
        self.assertTrue(np.all(self.full.num_evaluations > 0.0))

    def test_is_exact_where_the_bounds_meet(self):
        gap = self.full.upper_bound - self.full.radius
        np.testing.assert_array_equal(
            self.full.exact, gap <= 1e-4 * self.full.radius
        )


if __name__ == "__main__":
    absltest.main()
