"""Tests of near_each_image: radii against attacks in their balls."""

import contextlib
import functools

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from certificates_toys import eagerly
from certificates_toys import exact_margin
from certificates_toys import network_of
from certificates_toys import predict
from certificates_toys import random_network
import hostile_networks
from tfcurv import certificates
from tfcurv import networks

_LOCAL = certificates.Curvature.LOCAL
_AUTO = certificates.Curvature.AUTO
_REASON = certificates.Reason

# What a margin may be off by in float64, beside one.
_ROUNDING = 1e-12

# What is proved is true however short the search.
_QUICK = {
    "search": certificates.SearchOptions(fixed_point_steps=8, newton_steps=0),
    "attack_steps": 3,
}


def _refine(
    network, x, y=None, scope=_LOCAL, compiled=False, on_bound=None, **options
):
    """Returns what the certifier gives, what the refiner does, the labels."""
    x = np.asarray(x, np.float64)
    y = predict(network, x) if y is None else np.asarray(y, np.int32)
    options = certificates.CertifierOptions(**options)
    table = certificates.CurvatureTable(network)
    if network.num_classes > 32:
        rivals = certificates.rival(network.logits(tf.constant(x)), y).numpy()
        curvature = table.bounds(y, rivals)
    else:
        curvature = table.bounds(y, y)
    settings = [network, options, scope, *([on_bound] if on_bound else [])]
    with contextlib.nullcontext() if compiled else eagerly():
        before = certificates.Certifier(network, options)(x, y, curvature)
        refiner = certificates.LocalRefiner(*settings)
        after = refiner(x, y, curvature, before)
    return before, after, y


def _points(batch, dim, seed=0):
    return np.random.default_rng(seed).normal(size=(batch, dim))


def _margins(network, points, y, t):
    logits = network.logits(tf.constant(points)).numpy()
    each = np.arange(len(points))
    return logits[each, y] - logits[each, t]


class _Balls:
    """Balls to attack, in rows: one for each point and class certified."""

    def __init__(self, x, y, found, restarts):
        rows, t = np.nonzero(np.isfinite(found.radii))
        keep = (found.reason[rows] == _REASON.CERTIFIED) & (t != y[rows])
        rows, t = rows[keep], t[keep]
        self.count = len(rows)
        self.x0 = np.repeat(x[rows], restarts, axis=0)
        self.y = np.repeat(y[rows], restarts)
        self.t = np.repeat(t, restarts).astype(np.int32)
        # Strictly inside: what is proved is about open balls.
        self.radius = np.repeat(found.radii[rows, t], restarts) * (1.0 - 1e-9)

    def project(self, x):
        step = x - self.x0
        length = np.linalg.norm(step, axis=-1)
        shrink = np.minimum(1.0, self.radius / np.maximum(length, 1e-300))
        return self.x0 + step * shrink[:, np.newaxis]


def _attacked(network, x, y, found, restarts=20, steps=30):
    """Returns the least margin met in each ball: descent, then sampling."""
    rng = np.random.default_rng(0)
    balls = _Balls(x, y, found, restarts)
    pair = network.pair(balls.y, balls.t, tf.float64)
    step = rng.standard_normal(balls.x0.shape)
    step /= np.linalg.norm(step, axis=-1, keepdims=True)
    share = rng.choice([1.0, 0.9, 0.5], len(step)) * balls.radius
    point = balls.project(balls.x0 + share[:, np.newaxis] * step)
    best = _margins(network, point, balls.y, balls.t)
    for k in range(steps):
        if k < steps // 2:
            slope = network.evaluate(tf.constant(point), *pair).gradient.numpy()
            size = np.linalg.norm(slope, axis=-1, keepdims=True)
            step = -slope / np.maximum(size, 1e-300)
        else:
            step = rng.standard_normal(point.shape)
        length = balls.radius * 10.0 ** rng.uniform(-3.0, 0.3, len(step))
        other = balls.project(point + length[:, np.newaxis] * step)
        value = _margins(network, other, balls.y, balls.t)
        better = value < best
        point = np.where(better[:, np.newaxis], other, point)
        best = np.where(better, value, best)
    return np.min(best.reshape(balls.count, restarts), axis=-1)


def _scanned(network, x, y, found, num_angles=120, num_radii=40):
    """Returns the least margin on a polar grid in each ball of the plane."""
    shares = np.append(np.linspace(0.025, 0.975, num_radii), 1.0)
    angles = np.linspace(0.0, 2.0 * np.pi, num_angles, endpoint=False)
    rays = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    offsets = (shares[:, np.newaxis, np.newaxis] * rays).reshape(-1, 2)
    balls = _Balls(x, y, found, len(offsets))
    offsets = np.tile(offsets, (balls.count, 1))
    points = balls.x0 + balls.radius[:, np.newaxis] * offsets
    found = _margins(network, balls.project(points), balls.y, balls.t)
    return np.min(found.reshape(balls.count, -1), axis=-1)


class TruthTest(parameterized.TestCase):
    @parameterized.parameters(
        ("tanh", [2, 6, 3]),
        ("softplus", [2, 5, 4, 3]),
        ("gelu", [2, 5, 4, 3]),
        ("softsign", [2, 4, 3, 3, 2]),
    )
    def test_no_margin_vanishes_in_the_plane(self, activation, widths):
        network = random_network(widths, activation, seed=1)
        x = _points(6, 2)
        before, after, y = _refine(network, x, **_QUICK)
        self.assertGreater(np.max(after.radius / before.radius), 1.05)
        for least in (
            _scanned(network, x, y, after),
            _attacked(network, x, y, after),
        ):
            self.assertGreater(np.min(least), -_ROUNDING)

    @parameterized.parameters("silu", "elu")
    def test_no_margin_vanishes_in_space(self, activation):
        network = random_network([5, 8, 6, 4], activation, seed=2, scale=4.0)
        x = _points(4, 5)
        before, after, y = _refine(network, x, **_QUICK)
        self.assertGreater(np.sum(after.radii > before.radii), 0)
        self.assertGreater(np.min(_attacked(network, x, y, after)), -_ROUNDING)

    @parameterized.parameters((4.0, 5.0), (20.0, 1.5), (100.0, 5.0))
    def test_a_cliff_is_seen_before_the_ball_reaches_it(self, steepness, drop):
        # Flat around the points, and a cliff at 1: a bound in a small ball
        # proves, if taken for one everywhere, that there is no end.
        network = network_of(
            [
                ([[steepness]], [-steepness]),
                ([[-drop, 0.0]], [1.0, 0.0]),
            ],
            "sigmoid",
        )
        edge = 1.0 - np.log(drop - 1.0) / steepness
        x = np.asarray([[-3.0], [-1.0], [0.0], [0.5], [0.7]])
        before, after, _ = _refine(network, x, **_QUICK)
        distance = np.abs(edge - x[:, 0])
        self.assertTrue(np.all(after.reason == _REASON.CERTIFIED))
        self.assertTrue(np.all(after.radius <= distance * (1.0 + _ROUNDING)))
        self.assertGreater(np.max(after.radius / before.radius), 1.2)

    @parameterized.parameters(1, 2)
    def test_every_ball_on_a_line_ends_before_the_boundary(self, seed):
        network = random_network([1, 4, 2], "tanh", seed=seed, scale=4.0)
        x = np.linspace(-3.0, 3.0, 9)[:, np.newaxis]
        before, after, y = _refine(network, x)
        grid = np.linspace(-40.0, 40.0, 400_001)
        signs = predict(network, grid[:, np.newaxis])
        width = grid[1] - grid[0]
        for row, label in enumerate(y):
            others = grid[signs != label]
            if others.size and after.radius[row] > 0.0:
                nearest = np.min(np.abs(others - x[row, 0]))
                self.assertLessEqual(after.radius[row], nearest + _ROUNDING)
                if after.exact[row]:
                    limit = nearest - width - 1e-3 * nearest
                    self.assertGreaterEqual(after.radius[row], limit)
        self.assertTrue(np.all(after.exact | ~before.exact))

    @parameterized.parameters(
        "weights of 1e30",
        "weights of 1e-30",
        "nearly linear units",
        "saturated units",
        "catastrophic cancellation",
        "zero gradient at x0",
        "inputs that are not finite",
    )
    def test_hostile_networks_are_not_believed(self, case):
        network, x = hostile_networks.BY_HAND[case]()
        y = predict(network, x)
        with np.errstate(all="ignore"):
            before, after, _ = _refine(network, x, y, **_QUICK)
        self.assertEmpty(hostile_networks.violations(network, x, y, after))
        self.assertTrue(np.all(after.radius >= before.radius))

    @parameterized.parameters(1, 4, 9)
    def test_generated_networks_are_not_believed(self, seed):
        network, x = hostile_networks.generated(seed)
        y = predict(network, x)
        with np.errstate(all="ignore"):
            before, after, _ = _refine(network, x, y, **_QUICK)
        self.assertEmpty(hostile_networks.violations(network, x, y, after))
        self.assertTrue(np.all(after.radius >= before.radius))


@functools.cache
def _example():
    """A network on which some global certificates are exact and some not."""
    network = random_network([3, 6, 3], "tanh", seed=1)
    x = _points(12, 3)
    return network, x, *_refine(network, x)


class ContractTest(parameterized.TestCase):
    def test_only_raises(self):
        _, _, before, after, _ = _example()
        self.assertTrue(np.all(after.radii >= before.radii))
        self.assertTrue(np.all(after.radius >= before.radius))
        self.assertTrue(np.any(after.radius > 1.1 * before.radius))
        self.assertTrue(np.all(after.radius <= after.upper_bound))
        self.assertTrue(np.any(after.num_evaluations > before.num_evaluations))
        for name in ("prediction", "upper_bound", "reason"):
            np.testing.assert_array_equal(
                getattr(after, name), getattr(before, name)
            )

    def test_the_radius_is_the_least_of_the_radii(self):
        _, _, _, after, _ = _example()
        np.testing.assert_array_equal(after.radius, after.radii.min(axis=-1))
        np.testing.assert_array_equal(after.target, after.radii.argmin(axis=-1))

    def test_exact_is_what_meets_an_example(self):
        _, _, before, after, _ = _example()
        self.assertTrue(np.any(before.exact))
        self.assertTrue(np.all(after.exact[before.exact]))
        gap = after.upper_bound / after.radius - 1.0
        np.testing.assert_array_equal(after.exact, gap <= 1e-4)

    def test_auto_leaves_exact_ones_alone(self):
        network, x, before, local, y = _example()
        _, auto, _ = _refine(network, x, y, _AUTO)
        done = before.exact
        self.assertTrue(0 < np.sum(done) < len(done))
        np.testing.assert_array_equal(auto.radii[done], before.radii[done])
        np.testing.assert_array_equal(
            auto.num_evaluations[done], before.num_evaluations[done]
        )
        np.testing.assert_allclose(
            auto.radius[~done], local.radius[~done], rtol=1e-3
        )

    def test_a_point_does_not_know_of_the_others(self):
        network, x, _, together, y = _example()
        order = np.random.default_rng(0).permutation(len(x))
        _, moved, _ = _refine(network, x[order], y[order])
        np.testing.assert_allclose(
            moved.radius, together.radius[order], rtol=1e-3
        )
        np.testing.assert_array_equal(moved.target, together.target[order])

    def test_compiled_it_finds_the_same(self):
        network, x, _, plain, y = _example()
        _, compiled, _ = _refine(network, x[:4], y[:4], compiled=True)
        np.testing.assert_allclose(compiled.radius, plain.radius[:4], rtol=1e-3)

    def test_asks_for_no_more_than_enough(self):
        network, x, _, free, y = _example()
        enough = float(np.median(free.radius))
        before, after, _ = _refine(network, x, y, enough=enough)
        done = before.radius >= enough
        self.assertTrue(np.any(done))
        np.testing.assert_array_equal(after.radii[done], before.radii[done])
        # What is decided is what is decided without a limit.
        clear = np.abs(free.radius / enough - 1.0) > 2e-3
        np.testing.assert_array_equal(
            (after.radius >= enough)[clear], (free.radius >= enough)[clear]
        )
        most = np.maximum(before.radii, enough * (1.0 + 1e-12))
        self.assertTrue(np.all(after.radii <= most))

    def test_asks_nothing_of_what_has_too_little(self):
        network, x, _, free, y = _example()
        little = float(np.median(free.upper_bound))
        before, after, _ = _refine(network, x, y, too_little=little)
        lost = before.upper_bound <= little
        self.assertTrue(np.any(lost))
        np.testing.assert_array_equal(after.radii[lost], before.radii[lost])
        self.assertTrue(np.any(after.radius[~lost] > before.radius[~lost]))

    def test_needs_no_adversarial_example(self):
        # A network that says the same everywhere: there is none.
        network = network_of(
            [(3.0 * np.eye(2), [2.0, 2.0]), ([[1.0, 0], [1.0, 0]], [0.5, 0])],
            "sigmoid",
        )
        before, after, _ = _refine(network, [[0.0, 0.0], [1.0, 1.0]])
        self.assertTrue(np.all(np.isinf(after.upper_bound)))
        self.assertTrue(np.all(after.radius > 1.02 * before.radius))
        self.assertTrue(np.all(np.isfinite(after.radius)))

    def test_what_is_not_certified_stays_so(self):
        network, x, _, _, y = _example()
        x, labels = x.copy(), y.copy()
        labels[:3] = (labels[:3] + 1) % 3
        x[3, 0] = np.nan
        before, after, _ = _refine(network, x, labels)
        for row in range(4):
            self.assertNotEqual(before.reason[row], _REASON.CERTIFIED)
            for name in ("radius", "target", "upper_bound", "exact"):
                self.assertEqual(
                    getattr(after, name)[row], getattr(before, name)[row]
                )
        self.assertTrue(np.all(after.radius[:4] == 0.0))
        self.assertTrue(np.any(after.radius[4:] > before.radius[4:]))

    def test_counts_the_bounds(self):
        network, x, _, _, y = _example()
        counts = []
        _refine(network, x, y, on_bound=counts.append, **_QUICK)
        self.assertNotEmpty(counts)
        self.assertTrue(all(0 < count <= len(x) for count in counts))

    def test_serves_the_runner_up_alone_too(self):
        network, x, _, _, y = _example()
        before, after, _ = _refine(
            network, x, y, targets=certificates.Targets.RUNNER_UP
        )
        self.assertTrue(np.all(np.isinf(before.radii).sum(axis=-1) == 2))
        np.testing.assert_array_equal(
            np.isinf(after.radii), np.isinf(before.radii)
        )
        self.assertTrue(np.all(after.radius >= before.radius))

    def test_serves_many_classes(self):
        network = random_network([2, 5, 4, 40], "softplus", seed=1)
        x = _points(1, 2)
        before, after, y = _refine(network, x, **_QUICK)
        self.assertTrue(np.any(after.radius > before.radius))
        least = np.repeat(after.radius[:, np.newaxis], 40, axis=-1)
        balls = after._replace(
            radii=np.where(np.isinf(after.radii), np.inf, least)
        )
        scanned = _scanned(network, x, y, balls, 40, 10)
        self.assertGreater(np.min(scanned), -_ROUNDING)

    def test_an_empty_batch_gives_an_empty_result(self):
        network = _example()[0]
        _, after, _ = _refine(network, np.zeros((0, 3)), [])
        for field in after:
            self.assertLen(field, 0)


class MetamorphicTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.network, self.x, _, self.found, self.y = _example()
        self.layers = [(a.kernel, a.bias) for a in self.network.affines]

    @parameterized.parameters([255.0])
    def test_scaling_the_inputs_scales_the_radii(self, scale):
        (kernel, bias), last = self.layers
        network = network_of([(kernel / scale, bias), last], "tanh")
        _, found, _ = _refine(network, scale * self.x, self.y)
        np.testing.assert_allclose(
            found.radius, scale * self.found.radius, rtol=3e-3
        )

    @parameterized.parameters([1e6])
    def test_scaling_the_logits_changes_nothing(self, scale):
        first, (kernel, bias) = self.layers
        network = network_of([first, (scale * kernel, scale * bias)], "tanh")
        _, found, _ = _refine(network, self.x, self.y)
        np.testing.assert_allclose(found.radius, self.found.radius, rtol=3e-3)

    def test_adding_to_all_logits_changes_nothing(self):
        first, (kernel, bias) = self.layers
        common = np.arange(6.0)[:, np.newaxis]
        network = network_of([first, (kernel + common, bias + 7.0)], "tanh")
        _, found, _ = _refine(network, self.x, self.y)
        np.testing.assert_allclose(found.radius, self.found.radius, rtol=3e-3)


class ExecutionTest(parameterized.TestCase):
    def _networks(self, offset):
        """A network and itself with its execution, at a large offset."""
        rng = np.random.default_rng(3)
        affines = [
            networks.Affine(
                kernel=kernel.astype(np.float32).astype(np.float64),
                bias=np.zeros(kernel.shape[1]),
            )
            for kernel in (
                1.5 * rng.normal(size=(2, 6)),
                rng.normal(size=(6, 3)),
            )
        ]
        bias = np.full(3, offset)
        affines[1] = networks.Affine(kernel=affines[1].kernel, bias=bias)
        fn = networks.activation("tanh")
        stages = [affines[0], fn, affines[1]]
        return [
            networks.Network(affines, [fn], execution=execution)
            for execution in (None, networks.Execution(stages))
        ]

    @parameterized.parameters(0.0, 2.0**18)
    def test_no_execution_in_the_ball_gives_another_class(self, offset):
        # At the offset float32 resolves 1/64 of a margin, and no less.
        plain, guarded = self._networks(offset)
        x = _points(2, 2).astype(np.float32).astype(np.float64)
        _, free, y = _refine(plain, x, **_QUICK)
        before, after, _ = _refine(guarded, x, y, **_QUICK)
        self.assertTrue(np.all(after.radius >= before.radius))
        self.assertTrue(np.any(after.radius > 1.01 * before.radius))
        self.assertTrue(np.all(after.radius <= free.radius * (1.0 + 2e-3)))
        angles = np.linspace(0.0, 2.0 * np.pi, 200)
        rays = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        for row in np.flatnonzero(after.radius > 0.0):
            points = x[row] + after.radius[row] * (1.0 - 1e-6) * rays
            logits = plain.logits(tf.constant(points, tf.float32)).numpy()
            others = np.delete(logits, y[row], axis=-1).max(axis=-1)
            self.assertTrue(np.all(logits[:, y[row]] > others))


class ExactTest(absltest.TestCase):
    def test_margins_in_the_balls_are_positive_exactly(self):
        network, x, _, after, y = _example()
        for row in range(len(x)):
            t = int(after.target[row])
            slope = network.evaluate(
                tf.constant(x[[row]]),
                *network.pair(y[[row]], np.asarray([t], np.int32), tf.float64),
            ).gradient.numpy()[0]
            step = -slope / np.linalg.norm(slope) * (1.0 - 1e-12)
            for share in (0.5, 0.9, 1.0 - 1e-9):
                point = x[row] + share * after.radius[row] * step
                self.assertGreater(exact_margin(network, point, int(y[row])), 0)


if __name__ == "__main__":
    absltest.main()
