"""Tests of in_balls against Taylor remainders that were searched."""

from collections.abc import Iterator
import functools
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import mpmath as mp
import numpy as np
import tensorflow as tf

import bounds_oracles as oracles
from tfcurv import bounds
from tfcurv import networks
from tfcurv.bounds.curvature import in_balls as local

_WIDTHS = {2: (3, 5, 3), 3: (3, 4, 4, 3), 4: (2, 4, 3, 4, 3)}

# Those whose second derivative is continuous: quadrature can be trusted.
_SMOOTH = tuple(
    name
    for name in oracles.CURVED
    if networks.activation(name).curvature_jump is None
)

# What rounding in the dense Hessians of the tests themselves may add.
_ROUNDING = 1e-12

# How loose a bound is because eigenvalues are not bounded to the last digit.
_LOOSENESS = 1e-4

_every_activation = parameterized.named_parameters(
    (name, name) for name in oracles.CURVED
)
_seeds = st.integers(0, 2**32 - 1)


def _bound(network, x0, radius, c, y=0, t=1) -> np.ndarray:
    """Returns the bounds for rows of balls, which share the pair."""
    x0 = np.atleast_2d(np.asarray(x0, float))
    rows = len(x0)
    ball = bounds.Ball(
        tf.constant(x0),
        tf.constant(np.broadcast_to(np.asarray(radius, float), rows)),
        tf.constant(np.broadcast_to(np.asarray(c, float), x0.shape)),
    )
    found = bounds.LocalCurvature(network)
    return found.concavity_upper_bounds(
        ball, np.full(rows, y), np.full(rows, t)
    )


def _evaluate(network, x, y=0, t=1):
    rows = len(x)
    pair = network.pair(tf.fill([rows], y), tf.fill([rows], t), tf.float64)
    found = network.evaluate(tf.constant(x), *pair)
    return found.margin.numpy(), found.gradient.numpy()


def _directions(rng, count, dim) -> np.ndarray:
    found = rng.standard_normal((count, dim))
    return found / np.linalg.norm(found, axis=-1, keepdims=True)


def _balls(seed, dim, radii, rows=12):
    """Returns centres, radii, and points at, in, on and outside the balls."""
    rng = np.random.default_rng(seed)
    x0 = rng.standard_normal((rows, dim))
    radius = np.resize(radii, rows).astype(float)
    far = np.resize(np.repeat([0.0, 0.5, 1.0, 3.0], len(radii)), rows) * radius
    return x0, radius, x0 + far[:, np.newaxis] * _directions(rng, rows, dim)


def _inside(x, x0, radius):
    step = x - x0
    length = np.linalg.norm(step, axis=-1, keepdims=True)
    room = radius[:, np.newaxis] * (1.0 - 1e-12)
    return x0 + step * np.minimum(1.0, room / np.maximum(length, 1e-300))


def _shortfall(network, x, c) -> np.ndarray:
    """Returns the least a that the inequality needs at x, rounded down."""
    at_x, at_c = _evaluate(network, x)[0], _evaluate(network, c)
    step = x - c
    linear = np.sum(at_c[1] * step, axis=-1)
    size = np.abs(at_x) + np.abs(at_c[0])
    noise = 1e-13 * (size + np.sum(np.abs(at_c[1] * step), axis=-1) + 1.0)
    square = np.maximum(np.sum(step * step, axis=-1), 1e-300)
    return 2.0 * (at_c[0] + linear - at_x - noise) / square


def _climb(network, x0, radius, c, points=30, steps=20) -> np.ndarray:
    """Returns the largest shortfall that a search finds in each ball."""
    rng = np.random.default_rng(0)
    rows, dim = x0.shape
    x0, c = np.repeat(x0, points, axis=0), np.repeat(c, points, axis=0)
    radius = np.repeat(radius, points)
    reach = radius * rng.choice([1.0, 1.0, 0.5, 0.03], len(radius))
    x = x0 + reach[:, np.newaxis] * _directions(rng, len(x0), dim)
    best = _shortfall(network, x, c)
    for _ in range(steps):
        length = radius * 10.0 ** rng.uniform(-2.5, 0.3, len(radius))
        step = length[:, np.newaxis] * rng.standard_normal(x.shape)
        other = _inside(x + step, x0, radius)
        value = _shortfall(network, other, c)
        better = value > best
        x = np.where(better[:, np.newaxis], other, x)
        best = np.maximum(best, value)
    return np.max(best.reshape(rows, points), axis=-1)


def _remainder(network, x, c, y=0, t=1) -> np.ndarray:
    """Returns 2 times the integral of (1 - theta) e^T (-H) e, e the direction.

    Unlike a difference of margins this is precise for x however close to c.
    """
    nodes, weights = np.polynomial.legendre.leggauss(8)
    pieces = np.linspace(0.0, 1.0, 13)
    widths = np.diff(pieces)
    theta = pieces[:-1, np.newaxis] + 0.5 * widths[:, np.newaxis] * (nodes + 1)
    share = (0.5 * widths[:, np.newaxis] * weights).ravel()
    theta = theta.ravel()
    step = x - c
    unit = step / np.linalg.norm(step, axis=-1, keepdims=True)
    points = c[:, np.newaxis] + theta[:, np.newaxis] * step[:, np.newaxis]
    flat = tf.constant(points.reshape(-1, x.shape[1]))
    matrices = bounds.hessian(network, flat, y, t).numpy()
    matrices = matrices.reshape(len(x), len(theta), *matrices.shape[1:])
    bend = -np.einsum("ri,rnij,rj->rn", unit, matrices, unit)
    return 2.0 * np.sum(share * (1.0 - theta) * bend, axis=-1)


def _perturbed(network, seed, share=1.0) -> networks.Network:
    """Returns a network that the errors of this one allow."""
    rng = np.random.default_rng(seed)

    def moved(value, error):
        change = rng.standard_normal(value.shape)
        return value + share * error * change / np.linalg.norm(change)

    return networks.Network(
        [
            networks.Affine(
                kernel=moved(affine.kernel, affine.kernel_error),
                bias=moved(affine.bias, affine.bias_error),
            )
            for affine in network.affines
        ],
        network.activations,
    )


class TaylorTest(parameterized.TestCase):
    @parameterized.product(name=oracles.CURVED, depth=(*_WIDTHS,))
    def test_holds_at_what_a_search_finds(self, name, depth):
        network = oracles.random_network(depth, _WIDTHS[depth], name, gain=2.0)
        balls = _balls(depth, network.input_dim, (0.1, 1.0, 10.0))
        found, needed = _bound(network, *balls), _climb(network, *balls)
        self.assertTrue(np.all(needed <= found * (1.0 + 1e-9) + 1e-10))

    @hypothesis.given(
        _seeds,
        st.lists(st.sampled_from(oracles.NAMES), min_size=1, max_size=3),
        st.floats(-1.0, 1.3),
        st.sampled_from([0.0, 1e-3, 0.3]),
    )
    @hypothesis.settings(max_examples=20)
    def test_holds_for_all_that_errors_allow(self, seed, names, gain, error):
        network = oracles.random_network(
            seed, (2, 3, 2, 3, 2)[-len(names) - 2 :], names, gain=10.0**gain
        )
        stored = networks.Network(
            [
                networks.Affine(
                    kernel=a.kernel,
                    bias=a.bias,
                    kernel_error=error * (1.0 + 1e-9),
                    bias_error=error * (1.0 + 1e-9),
                )
                for a in network.affines
            ],
            network.activations,
        )
        exact = _perturbed(stored, seed, 1.0 - 1e-9)
        balls = _balls(seed, network.input_dim, (0.03, 0.3, 3.0))
        found, needed = _bound(stored, *balls), _climb(exact, *balls, steps=15)
        self.assertTrue(np.all(needed <= found * (1.0 + 1e-9) + 1e-9))

    @parameterized.product(name=_SMOOTH, depth=(*_WIDTHS,))
    def test_holds_along_segments_of_every_length(self, name, depth):
        network = oracles.random_network(depth, _WIDTHS[depth], name, gain=2.0)
        radii = (1e-12, 1e-6, 1e-2, 1.0, 1e2, 1e6)
        x0, radius, c = _balls(depth, network.input_dim, radii, rows=24)
        found = _bound(network, x0, radius, c)
        rng = np.random.default_rng(1)
        for share in (1.0, 0.4):
            step = _directions(rng, len(x0), x0.shape[1])
            x = x0 + share * radius[:, np.newaxis] * step
            needed = _remainder(network, x, c)
            # Quadrature of waves much shorter than the segment is a guess.
            slack = np.where(radius <= 1.0, _ROUNDING, 1e-3)
            self.assertTrue(np.all(needed <= found * (1.0 + slack)))

    @_every_activation
    def test_holds_in_exact_arithmetic(self, name):
        for depth, radius in ((2, 1e-12), (2, 1.0), (3, 1e-9), (3, 0.3)):
            widths = (2, 3, 2)[:depth] + (2,)
            network = oracles.random_network(depth, widths, name)
            x0, _, c = _balls(depth, 2, (radius,), rows=4)
            found = _bound(network, x0, radius, c)
            rng = np.random.default_rng(2)
            for row, step in enumerate(_directions(rng, 4, 2)):
                with mp.workdps(oracles.DIGITS):
                    x = [
                        mp.mpf(a) + mp.mpf(radius * b) * (1 - 1e-12)
                        for a, b in zip(x0[row], step)
                    ]
                    needed = _exact_shortfall(network, x, c[row])
                    self.assertLessEqual(needed, mp.mpf(found[row]))


def _exact_pass(network, x, step):
    """Returns the margin at x and its derivative along a step."""
    for affine, fn in zip(network.affines, [*network.activations, None]):
        columns = [[*map(mp.mpf, column)] for column in affine.kernel.T]
        x = [mp.fdot(k, x) + mp.mpf(b) for k, b in zip(columns, affine.bias)]
        step = [mp.fdot(column, step) for column in columns]
        if fn:
            slopes = [oracles.derivative(fn.name, z, 1) for z in x]
            step = [a * b for a, b in zip(slopes, step)]
            x = [oracles.derivative(fn.name, z) for z in x]
    return x[0] - x[1], step[0] - step[1]


def _exact_shortfall(network, x, c):
    """Returns the least a that the inequality needs, in high precision."""
    c = [*map(mp.mpf, c)]
    step = [a - b for a, b in zip(x, c)]
    at_x, (at_c, slope) = (
        _exact_pass(network, x, step)[0],
        _exact_pass(network, c, step),
    )
    return 2 * (at_c + slope - at_x) / mp.fdot(step, step)


def _unit(*layers, names) -> networks.Network:
    """Returns a chain of single units and the margin of what comes last.

    Args:
        *layers: Kernel and bias, and the error of each, by default zero.
        names: The activations.
    """
    affines = []
    for kernel, bias, *errors in layers:
        kernel_error, bias_error = errors or (0.0, 0.0)
        affines.append(
            networks.Affine(
                kernel=np.atleast_2d(np.asarray(kernel, float)),
                bias=np.atleast_1d(np.asarray(bias, float)),
                kernel_error=kernel_error,
                bias_error=bias_error,
            )
        )
    return networks.Network(affines, [*map(networks.activation, names)])


def _bend(network, x) -> np.ndarray:
    """Returns -f'' at scalars x."""
    points = tf.constant(np.reshape(x, (-1, 1)), tf.float64)
    return -bounds.hessian(network, points, 0, 1).numpy()[:, 0, 0]


def _grid() -> Iterator[tuple[np.ndarray, float, np.ndarray]]:
    centres = np.linspace(-6.0, 6.0, 9)
    x0, c = map(np.ravel, np.meshgrid(centres, centres))
    for radius in (0.01, 0.7, 3.0):
        yield x0[:, np.newaxis], radius, c[:, np.newaxis]


class SingleUnitTest(parameterized.TestCase):
    """One input, one unit a layer: there bounds are close to the truth."""

    @parameterized.product(name=_SMOOTH, sign=(1.0, -1.0))
    def test_the_average_along_segments_is_nearly_attained(self, name, sign):
        network = _unit((1.0, 0.0), ([sign, 0.0], [0.0, 0.0]), names=[name])
        for x0, radius, c in _grid():
            found = _bound(network, x0, radius, c)
            needed = np.max(
                [
                    _remainder(network, x0 + share * radius + 1e-9, c)
                    for share in np.linspace(-1.0, 1.0, 7) * (1.0 - 1e-6)
                ],
                axis=0,
            )
            self.assertTrue(np.all(needed <= found + _ROUNDING))
            if name == "softplus" and radius < 0.1:
                # No part of a segment bends the other way, and makes good.
                gap = (found - needed) / np.max(needed)
                self.assertLess(np.max(gap), 0.2)

    @_every_activation
    def test_reaches_from_the_centre_of_a_ball_to_its_rim(self, name):
        # Bent most at 0, which the ball touches with its rim.
        for sign in (1.0, -1.0):
            network = _unit((2.0, 0.0), ([sign, 0.0], [0.0, 0.0]), names=[name])
            fn = network.activations[0]
            places = np.asarray([0.0, *fn.curvature_critical]) / 2.0
            for side in (-1.0, 1.0):
                c = places + side * 1e-9
                found = _bound(network, (c + side)[:, None], 1.0, c[:, None])
                truth = _bend(network, c)
                self.assertTrue(np.all(found >= truth))

    @parameterized.product(
        name=("tanh", "softplus", "gelu", "softsign"),
        index=(0, 1, 2),
        where=("kernel", "bias"),
    )
    def test_each_error_alone_is_covered(self, name, index, where):
        # A linear unit in front, so that errors add up before the last bends.
        error = 0.4
        layers = [[1.0, 0.1], [1.5, -1.0], [[1.0, 0.0], [0.0, 0.0]]]
        place = 0 if where == "kernel" else 1
        stored = [[*layer, 0.0, 0.0] for layer in layers]
        stored[index][2 + place] = error
        names = ["linear", name]
        for sign in (1.0, -1.0):
            exact = [[np.asarray(v, float) for v in each] for each in layers]
            change = np.zeros_like(exact[index][place])
            change.flat[0] = sign * error * (1.0 - 1e-12)
            exact[index][place] = exact[index][place] + change
            truth = _unit(*exact, names=names)
            network = _unit(*stored, names=names)
            c = np.linspace(-5.0, 5.0, 15)[:, np.newaxis]
            for x0, radius in ((0.0 * c, 5.0), (0.0 * c, 1e-3), (c, 1e-3)):
                found = _bound(network, x0, radius, c)
                needed = _bend(truth, c)
                within = np.abs(c - x0)[:, 0] <= radius
                needed = np.where(within, needed, 0.0)
                self.assertTrue(np.all(needed <= found * (1.0 + _ROUNDING)))

    def test_an_error_may_grow_along_a_segment(self):
        # Nothing at 0, and two units at 10, where the exact unit bends most.
        error = 0.2
        last = ([-1.0, 0.0], [0.0, 0.0])
        names = ["softplus"]
        stored = _unit((0.4, -6.0, error, 0.0), last, names=names)
        exact = _unit((0.4 + error * (1 - 1e-12), -6.0), last, names=names)
        for x0, c in ((10.0, 0.0), (0.0, 10.0)):
            found = _bound(stored, [[x0]], 1e-3, [[c]])
            needed = _remainder(exact, np.array([[x0]]), np.array([[c]]))
            self.assertGreater(needed[0], 0.01)
            self.assertTrue(np.all(needed <= found * (1.0 + _ROUNDING)))

    def test_a_weight_that_is_zero_as_stored_may_bend(self):
        error = 0.1
        for name in oracles.CURVED:
            fn = networks.activation(name)
            network = _unit(
                (2.0, 0.0), ([0.0, 0.0], [0.0, 0.0], error, 0.0), names=[name]
            )
            found = _bound(network, [[0.0]], 10.0, [[0.0]])[0]
            # One column moves by the whole error: the margin's weight is it.
            exact = 4.0 * error * fn.curvature_range.magnitude
            share = 0.6 if fn.curvature_critical != (0.0,) else 1.0
            self.assertGreaterEqual(found, share * exact * (1.0 - 1e-9))

    @_every_activation
    def test_segments_from_outside_bend_deep_layers_outside(self, name):
        # The second layer bends most around c, far from the ball.
        network = _unit(
            (1.0, 0.0), (1.0, 0.0), ([-1.0, 0.0], [0.0, 0.0]),
            names=["linear", name],
        )  # fmt: skip
        c = np.linspace(-3.0, 3.0, 61)[:, np.newaxis]
        for far in (-9.0, 9.0):
            found = _bound(network, c + far, 0.1, c)
            # Of x all along the ball: what lies between c and it counts, too.
            needed = [
                _remainder(network, c + far + 0.1 * way, c)
                for way in np.linspace(-1.0, 1.0, 9)
            ]
            needed = np.maximum(np.max(needed, axis=0), 0.0)
            self.assertTrue(np.all(found >= needed - 1e-6))
            # And little more, as intervals are narrow along the way.
            self.assertLess(np.max(found - needed), 0.5)

    def test_a_falling_activation_moves_the_next_layer_too(self):
        # gelu falls left of -0.75, and the next unit bends at what it gives.
        x0 = np.linspace(-4.0, -1.0, 31)[:, np.newaxis]
        fn = networks.activation("gelu")
        for place in (-3.0, -2.0, -1.5):
            centre = 50.0 * float(fn.value(tf.constant(place, tf.float64)))
            network = _unit(
                (1.0, 0.0), (50.0, -centre), ([-1.0, 0.0], [0.0, 0.0]),
                names=["gelu", "softplus"],
            )  # fmt: skip
            near = np.abs(x0 - place) < 0.5
            c = np.where(near, place, x0)
            found = _bound(network, x0, 0.5, c)
            self.assertTrue(np.all(found >= _bend(network, c) - _ROUNDING))

    def test_one_steep_unit_among_flat_ones_leads_on(self):
        # Only the first of the units has a slope and reaches the second layer.
        biases = np.asarray([30.0, -30.0, -30.0, -30.0])
        network = _unit(
            (np.ones((1, 4)), biases), (np.eye(4)[:, :1], -30.0),
            ([-1.0, 0.0], [0.0, 0.0]), names=["softplus", "softplus"],
        )  # fmt: skip
        found = _bound(network, [[0.0]], 1e-3, [[0.0]])
        truth = _bend(network, [0.0])
        self.assertGreater(truth[0], 0.24)
        self.assertTrue(np.all(found >= truth))
        self.assertTrue(np.all(found <= 0.6))


class ComparisonTest(parameterized.TestCase):
    @parameterized.product(name=oracles.NAMES, depth=(*_WIDTHS,))
    def test_is_hardly_above_the_global_bound(self, name, depth):
        network = oracles.random_network(depth, _WIDTHS[depth], name)
        bounder = bounds.CurvatureBounder(network)
        everywhere = bounder.pair_concavity_upper_bound(0, 1)
        radii = (1e-3, 1.0, 1e3, 1e9)
        found = _bound(network, *_balls(0, network.input_dim, radii, rows=8))
        limit = everywhere * (1.0 + _LOOSENESS) + 1e-250
        self.assertTrue(np.all(found <= limit))

    @_every_activation
    def test_is_the_hessian_of_its_signs_in_a_ball_without_size(self, name):
        network = oracles.random_network(4, _WIDTHS[2], name, gain=2.0)
        first, last = network.affines
        x = np.random.default_rng(0).standard_normal(
            (10, first.kernel.shape[0])
        )
        found = _bound(network, x, 1e-9, x)
        bend = network.activations[0].curvature(
            tf.constant(x @ first.kernel + first.bias)
        )
        outer = last.kernel[:, 0] - last.kernel[:, 1]
        density = np.maximum(-outer * bend.numpy(), 0.0)
        matrices = (first.kernel * density[:, np.newaxis]) @ first.kernel.T
        exact = np.linalg.eigvalsh(matrices)[:, -1]
        np.testing.assert_allclose(found, exact, rtol=_LOOSENESS)
        self.assertTrue(np.all(found >= exact * (1.0 - 1e-6)))

    @parameterized.product(name=("tanh", "gelu"), depth=(*_WIDTHS,))
    def test_grows_with_the_ball(self, name, depth):
        network = oracles.random_network(depth, _WIDTHS[depth], name)
        x = np.random.default_rng(0).standard_normal((4, network.input_dim))
        local_bound = functools.partial(_bound, network, x)
        last, least = np.zeros(4), np.mean(local_bound(1e-4, x))
        for radius in (1e-2, 0.1, 0.5, 2.0, 10.0):
            found = local_bound(radius, x)
            self.assertTrue(np.all(last <= found * (1.0 + _LOOSENESS)))
            last = found
        self.assertLess(least, 0.7 * np.mean(last))

    def test_rows_do_not_know_of_each_other(self):
        network = oracles.random_network(0, _WIDTHS[3], "tanh")
        x0, radius, c = _balls(0, 3, (0.1, 1.0))
        y, t = np.resize([0, 1, 2, 0], 12), np.resize([1, 2, 0, 2], 12)
        bounder = bounds.LocalCurvature(network)
        together = bounder.concavity_upper_bounds(
            bounds.Ball(*map(tf.constant, (x0, radius, c))), y, t
        )
        for row in range(12):
            one = slice(row, row + 1)
            alone = _bound(
                network, x0[one], radius[one], c[one], y[row], t[row]
            )
            np.testing.assert_allclose(alone, together[one], rtol=1e-9)

    def test_more_pieces_are_hardly_tighter(self):
        network = oracles.random_network(1, _WIDTHS[2], "tanh", gain=2.0)
        balls = _balls(1, 3, (1.0, 3.0))
        found = _bound(network, *balls)
        with mock.patch.object(local, "_PIECES", 64):
            finer = _bound(network, *balls)
        self.assertTrue(np.all(finer <= found * (1.0 + _LOOSENESS)))
        self.assertTrue(np.all(finer >= 0.8 * found))


class OverflowTest(parameterized.TestCase):
    @parameterized.product(
        depth=(2, 3), name=("tanh", "softplus", "gelu", "elu", "softsign")
    )
    def test_what_is_not_finite_proves_nothing_or_all(self, depth, name):
        network = oracles.random_network(depth, _WIDTHS[depth], name)
        everywhere = bounds.CurvatureBounder(network)
        limit = everywhere.pair_concavity_upper_bound(0, 1)
        x = np.ones((4, 3))
        x[0, 0], x[1, 0], x[2, 0], x[3, 0] = np.nan, np.inf, 1e308, 1.0
        for x0, c, radius in (
            (x, np.ones((4, 3)), 1.0),
            (np.ones((4, 3)), x, 1.0),
            (np.ones((4, 3)), np.ones((4, 3)), [np.nan, np.inf, 1e308, 1e300]),
        ):
            with np.errstate(all="ignore"):
                found = _bound(network, x0, radius, c)
            self.assertFalse(np.any(np.isnan(found)))
            self.assertTrue(np.all(found[:2] >= 0.99 * limit))
            self.assertTrue(np.all(found[2] >= 0.3 * limit))

    @parameterized.parameters(1e-160, 1e-100, 1e100, 1e160)
    def test_weights_of_any_size_are_bounded(self, size):
        # The same function of inputs in other units.
        for depth in (2, 3):
            network = oracles.random_network(depth, _WIDTHS[depth], "softplus")
            first, *others = network.affines
            first = networks.Affine(kernel=first.kernel * size, bias=first.bias)
            x0, radius, c = _balls(depth, 3, (0.1, 1.0))
            with np.errstate(all="ignore"):
                scaled = networks.Network([first, *others], network.activations)
                found = _bound(scaled, x0 / size, radius / size, c / size)
            exact = _bound(network, x0, radius, c)
            # At 1e160 the square of the size is beyond every number.
            with np.errstate(over="ignore"):
                self.assertTrue(np.all(found / size / size >= 0.999 * exact))


class SecantTest(parameterized.TestCase):
    """What is known of one neuron on its way from z(c) to z(x)."""

    @_every_activation
    def test_secants_and_bends_are_within_what_is_said(self, name):
        fn = networks.activation(name)
        rng = np.random.default_rng(0)
        z = 2.0 * rng.normal(size=(1, 60))
        low = z + 2.0 * rng.normal(size=z.shape)
        high = low + 10.0 ** rng.uniform(-4.0, 1.0, z.shape)
        at, values = (
            networks.Interval(*map(tf.constant, ends))
            for ends in ((z, z), (low, high))
        )
        slopes = local._secants(fn, at, values)
        force = networks.Interval(*([rng.normal(size=z.shape)] * 2))
        bends = local._bends(fn, force, at, values)
        start, slope = fn.value(tf.constant(z)), fn.slope(tf.constant(z))
        widest = np.zeros(z.shape)
        for share in np.linspace(0.0, 1.0, 41):
            there = low + share * (high - low)
            way = there - z
            # Nearer than this, differences say nothing.
            way = np.where(np.abs(way) > 1e-3, way, np.inf)
            rise = fn.value(tf.constant(there)).numpy() - start.numpy()
            secant = np.where(np.isfinite(way), rise / way, slopes.lower)
            self.assertTrue(np.all(secant >= slopes.lower - 1e-9))
            self.assertTrue(np.all(secant <= slopes.upper + 1e-9))
            bend = -2.0 * force.lower * (rise / way - slope.numpy()) / way
            widest = np.maximum(widest, np.where(np.isfinite(way), bend, 0.0))
        self.assertTrue(np.all(bends >= widest - 1e-6))
        # And not much more, where the interval is narrow.
        narrow = high - low < 1e-2
        self.assertLess(np.median((bends - widest)[narrow]), 0.05)


if __name__ == "__main__":
    absltest.main()
