"""Tests of everywhere against eigenvalues of dense Hessians."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import numpy as np
import tensorflow as tf

import bounds_oracles as oracles
from tfcurv import bounds
from tfcurv import networks

_WIDTHS = {2: (4, 7, 3), 3: (4, 6, 5, 3), 4: (3, 5, 4, 5, 3)}

# What rounding in the Hessians of the tests themselves may add, beside the
# size of their terms.
_ROUNDING = 1e-12

_every_activation = parameterized.named_parameters(
    (name, name) for name in oracles.CURVED
)
_seeds = st.integers(0, 2**32 - 1)
_depths = st.sampled_from([*_WIDTHS])
_names = st.lists(st.sampled_from(oracles.NAMES), min_size=3, max_size=3)


def _eigenvalues(network, x, y, t) -> np.ndarray:
    matrices = bounds.hessian(network, tf.constant(x), y, t).numpy()
    return np.linalg.eigvalsh(matrices)


def _telling_points(network, seed: int, count: int = 30) -> np.ndarray:
    """Returns points near and far, and some that centre many units.

    Centred are the first layer's pre-activations, as closely as the inputs
    allow, where |s''| is largest or s' is.
    """
    rng = np.random.default_rng(seed)
    dim, first = network.input_dim, network.affines[0]
    size = max(float(np.max(np.abs(first.kernel))), 1e-300)
    spread = 10.0 ** rng.uniform(-2.0, 2.0, (count, 1)) / size
    x = rng.standard_normal((count, dim)) * spread
    if not network.activations:
        return x
    fn = network.activations[0]
    critical = np.asarray([0.0, *fn.slope_critical, *fn.curvature_critical])
    goals = rng.choice(critical, (count, first.bias.size)) - first.bias
    inverse = np.linalg.pinv(first.kernel / size) / size
    return np.concatenate([x, goals @ inverse])


def _climb(network, y, t, start, steps: int = 40) -> np.ndarray:
    """Returns the largest eigenvalues of H and of -H that searches find."""

    def value(x):
        found = _eigenvalues(network, x.reshape(-1, x.shape[-1]), y, t)
        return np.max(signs * found.reshape(x.shape), axis=-1)

    rng, signs = np.random.default_rng(0), np.reshape([1.0, -1.0], (2, 1, 1))
    x = np.stack([start, start])
    best = value(x)
    size = 0.3 / np.max(np.abs(network.affines[0].kernel))
    for step in range(steps):
        length = size * 10.0 ** rng.uniform(-2.0, 0.5, (*best.shape, 1))
        other = x + rng.standard_normal(x.shape) * length
        found = value(other)
        x = np.where((found > best)[..., np.newaxis], other, x)
        best = np.maximum(best, found)
        if step % 10 == 9:  # The better half goes on, twice.
            order = np.argsort(best, axis=1)[:, best.shape[1] // 2 :]
            order = np.concatenate([order, order], axis=1)
            x = np.take_along_axis(x, order[..., np.newaxis], axis=1)
            best = np.take_along_axis(best, order, axis=1)
    return np.max(best, axis=1)


def _contains(found, eigenvalues) -> bool:
    slack = _ROUNDING * max(found.upper, -found.lower)
    return bool(
        np.min(eigenvalues) >= found.lower - slack
        and np.max(eigenvalues) <= found.upper + slack
    )


def _free_network(seed, name, hidden=4, gain=1.0):
    """Two layers, with pre-activations that take every value: it attains."""
    return oracles.random_network(
        seed, (hidden + 1, hidden, 3), name, gain=gain
    )


class BoundsTest(parameterized.TestCase):
    @parameterized.product(name=oracles.CURVED, depth=(*_WIDTHS,))
    def test_contain_what_a_search_finds(self, name, depth):
        network = oracles.random_network(depth, _WIDTHS[depth], name, gain=2.0)
        found = bounds.CurvatureBounder(network).bounds(0, 1)
        start = _telling_points(network, seed=depth)
        most, least = _climb(network, 0, 1, start)
        self.assertLessEqual(most, found.upper * (1 + _ROUNDING))
        self.assertLessEqual(least, -found.lower * (1 + _ROUNDING))

    @hypothesis.given(_seeds, _depths, _names, st.floats(-3.0, 2.0))
    @hypothesis.settings(max_examples=80)
    def test_contain_every_eigenvalue(self, seed, depth, names, gain):
        network = oracles.random_network(
            seed, _WIDTHS[depth], names[: depth - 1], gain=10.0**gain
        )
        found = bounds.CurvatureBounder(network).bounds(2, 0)
        x = _telling_points(network, seed)
        self.assertTrue(_contains(found, _eigenvalues(network, x, 2, 0)))

    @parameterized.product(name=oracles.CURVED, depth=(*_WIDTHS,))
    def test_contain_every_curvature_on_a_line(self, name, depth):
        # One input: the second derivative on a fine grid is the truth.
        for seed in range(3):
            widths = (1, *_WIDTHS[depth][1:])
            network = oracles.random_network(seed, widths, name, gain=2.0)
            found = bounds.CurvatureBounder(network).bounds(0, 1)
            grid = np.linspace(-8.0, 8.0, 2001)[:, np.newaxis]
            truth = _eigenvalues(network, grid, 0, 1)
            self.assertTrue(_contains(found, truth))
            self.assertGreater(found.upper, 0.0)
            self.assertLess(found.lower, 0.0)

    @parameterized.product(name=oracles.CURVED, depth=(*_WIDTHS,))
    def test_contain_chains_of_single_units(self, name, depth):
        for seed in range(3):
            widths = (1,) * depth + (2,)
            network = oracles.random_network(seed, widths, name, gain=3.0)
            found = bounds.CurvatureBounder(network).bounds(1, 0)
            grid = np.linspace(-20.0, 20.0, 4001)[:, np.newaxis]
            self.assertTrue(_contains(found, _eigenvalues(network, grid, 1, 0)))

    @_every_activation
    def test_contain_paths_that_cancel_only_for_equal_slopes(self, name):
        # One unit reaches the margin along two paths of opposite weight, one
        # where the slope is largest, the other where it is smallest.
        fn, weak = networks.activation(name), 1e-3
        places = np.asarray([*fn.slope_critical, -30.0, 30.0])
        slopes = fn.slope(tf.constant(places)).numpy()
        ends = [places[np.argmax(slopes)], places[np.argmin(slopes)]]
        affines = [
            networks.Affine(kernel=np.ones((1, 1)), bias=np.zeros(1)),
            networks.Affine(
                kernel=np.full((1, 2), weak), bias=np.asarray(ends)
            ),
            networks.Affine(
                kernel=np.asarray([[1.0, 0.0], [-1.0, 0.0]]), bias=np.zeros(2)
            ),
        ]
        network = networks.Network(affines, [fn, fn])
        found = bounds.CurvatureBounder(network).bounds(0, 1)
        grid = np.linspace(-5.0, 5.0, 501)[:, np.newaxis]
        truth = _eigenvalues(network, grid, 0, 1)
        self.assertGreater(np.max(np.abs(truth)), 0.02 * weak)
        self.assertTrue(_contains(found, truth))

    @parameterized.product(depth=(*_WIDTHS,), error=(0.0, 1e-3))
    def test_of_a_pair_are_those_of_its_mirror_image(self, depth, error):
        network = oracles.random_network(
            depth, _WIDTHS[depth], "gelu", errors=error
        )
        bounder = bounds.CurvatureBounder(network)
        for y in range(3):
            for t in range(3):
                found, mirrored = bounder.bounds(y, t), bounder.bounds(t, y)
                self.assertLessEqual(found.lower, 0.0)
                self.assertGreaterEqual(found.upper, 0.0)
                self.assertEqual(found.lower, -mirrored.upper)
                self.assertEqual(
                    bounder.pair_concavity_upper_bound(y, t), -found.lower
                )

    @parameterized.product(name=oracles.CURVED, depth=(*_WIDTHS,))
    def test_are_never_worse_than_theorem_4(self, name, depth):
        for seed in range(4):
            network = oracles.random_network(seed, _WIDTHS[depth], name)
            kernel = network.affines[-1].kernel
            found = bounds.CurvatureBounder(network).bounds(0, 2)
            loose = bounds.theorem4_bound(network, kernel[:, 0] - kernel[:, 2])
            for value in (found.upper, -found.lower):
                self.assertLessEqual(value, loose * (1.0 + 1e-6))

    def test_of_one_layer_are_zero(self):
        network = oracles.random_network(0, (4, 3), (), errors=0.1)
        found = bounds.CurvatureBounder(network).bounds(0, 1)
        self.assertEqual(found, (0.0, 0.0))

    @parameterized.parameters(3, 4)
    def test_of_linear_activations_are_zero(self, depth):
        network = oracles.random_network(0, _WIDTHS[depth], "linear")
        found = bounds.CurvatureBounder(network).bounds(0, 1)
        np.testing.assert_allclose(found, 0.0, atol=1e-250)

    def test_a_linear_layer_adds_nothing(self):
        # The linear layer in the middle may be multiplied out.
        rng = np.random.default_rng(2)
        kernels = [rng.standard_normal(s) for s in ((3, 5), (5, 4), (4, 2))]
        apart = networks.Network(
            [
                networks.Affine(kernel=k, bias=np.zeros(k.shape[1]))
                for k in kernels
            ],
            [networks.activation(name) for name in ("linear", "tanh")],
        )
        product = kernels[0] @ kernels[1]
        joined = networks.Network(
            [
                networks.Affine(kernel=k, bias=np.zeros(k.shape[1]))
                for k in (product, kernels[2])
            ],
            [networks.activation("tanh")],
        )
        np.testing.assert_allclose(
            bounds.CurvatureBounder(apart).bounds(0, 1),
            bounds.CurvatureBounder(joined).bounds(0, 1),
            rtol=1e-6,
        )


class TwoLayersTest(parameterized.TestCase):
    @_every_activation
    def test_are_theorem_3(self, name):
        network = oracles.random_network(1, _WIDTHS[2], name)
        first, last = network.affines
        weights = last.kernel[:, 0] - last.kernel[:, 1]
        span = network.activations[0].curvature_range
        ends = np.stack([weights * span.lower, weights * span.upper])
        found = bounds.CurvatureBounder(network).bounds(0, 1)
        for value, density in (
            (found.upper, np.max(ends, axis=0)),
            (found.lower, np.min(ends, axis=0)),
        ):
            matrix = (first.kernel * density) @ first.kernel.T
            exact = np.linalg.eigvalsh(matrix)[-1 if value > 0.0 else 0]
            np.testing.assert_allclose(value, exact, rtol=1e-6)

    @_every_activation
    def test_are_attained_where_pre_activations_are_free(self, name):
        network = _free_network(3, name)
        first, last = network.affines
        fn = network.activations[0]
        weights = last.kernel[:, 0] - last.kernel[:, 1]
        # Where s'' has its extrema; far out it vanishes, and at a jump its
        # limits are on either side.
        places = np.asarray([*fn.curvature_critical, -1e-13, 1e-13, 80.0])
        values = fn.curvature(tf.constant(places)).numpy()
        z = places[np.argmax(np.outer(weights, values), axis=1)]
        x = (z - first.bias) @ np.linalg.pinv(first.kernel)
        found = bounds.CurvatureBounder(network).bounds(0, 1)
        attained = np.max(_eigenvalues(network, x[np.newaxis], 0, 1))
        self.assertLessEqual(attained, found.upper * (1.0 + _ROUNDING))
        self.assertGreaterEqual(attained, found.upper * (1.0 - 1e-6))

    @_every_activation
    def test_are_nearly_attained_where_they_are_not(self, name):
        for seed in range(2):
            network = oracles.random_network(seed, (6, 8, 3), name)
            start = _telling_points(network, seed)
            found = bounds.CurvatureBounder(network).bounds(0, 1)
            _, climbed = _climb(network, 0, 1, start)
            self.assertLessEqual(-found.lower, 1.3 * climbed)

    def test_of_a_convex_margin_are_one_sided(self):
        rng = np.random.default_rng(0)
        kernel = np.stack([rng.random(6), -rng.random(6)], axis=1)
        affines = [
            networks.Affine(
                kernel=rng.standard_normal((3, 6)), bias=np.zeros(6)
            ),
            networks.Affine(kernel=kernel, bias=np.zeros(2)),
        ]
        network = networks.Network(affines, [networks.activation("softplus")])
        found = bounds.CurvatureBounder(network).bounds(0, 1)
        self.assertBetween(found.lower, -1e-250, 0.0)
        self.assertGreater(found.upper, 0.1)


class DegenerateNetworksTest(parameterized.TestCase):
    @parameterized.product(depth=(*_WIDTHS,), error=(0.0, 1e-3))
    def test_a_class_against_itself_is_flat(self, depth, error):
        network = oracles.random_network(
            0, _WIDTHS[depth], "tanh", errors=error
        )
        found = bounds.CurvatureBounder(network).bounds(1, 1)
        if error:
            # The two may be off in different directions.
            self.assertLess(found.lower, 0.0)
        else:
            self.assertEqual(found, (0.0, 0.0))

    @parameterized.product(depth=(*_WIDTHS,), name=("tanh", "gelu", "elu"))
    def test_classes_with_equal_weights_are_flat(self, depth, name):
        network = self._with(depth, name, -1, lambda k: k[:, [0, 0, 2]])
        found = bounds.CurvatureBounder(network).bounds(0, 1)
        self.assertEqual(found, (0.0, 0.0))

    @parameterized.parameters((2, 0), (3, 0), (3, 1), (4, 0), (4, 2))
    def test_a_zero_kernel_below_the_last_makes_it_flat(self, depth, index):
        network = self._with(depth, "tanh", index, np.zeros_like)
        found = bounds.CurvatureBounder(network).bounds(0, 1)
        np.testing.assert_allclose(found, 0.0, atol=1e-250)

    @parameterized.product(depth=(*_WIDTHS,), index=(0, 1))
    def test_dead_units_are_no_trouble(self, depth, index):
        def kill(kernel):
            kernel = kernel.copy()
            kernel[:, ::2] = 0.0
            return kernel

        network = self._with(depth, "gelu", index, kill)
        found = bounds.CurvatureBounder(network).bounds(0, 1)
        x = _telling_points(network, 0)
        self.assertTrue(_contains(found, _eigenvalues(network, x, 0, 1)))

    def _with(self, depth, name, index, change):
        """Returns a network one kernel of which is changed."""
        network = oracles.random_network(1, _WIDTHS[depth], name)
        affines = list(network.affines)
        affines[index] = networks.Affine(
            kernel=change(affines[index].kernel), bias=affines[index].bias
        )
        return networks.Network(affines, network.activations)

    @parameterized.product(
        depth=(*_WIDTHS,),
        name=("tanh", "mish"),
        gain=(1e-30, 1e-10, 1e10, 1e30),
    )
    def test_extreme_weights_are_bounded(self, depth, name, gain):
        network = oracles.random_network(1, _WIDTHS[depth], name, gain=gain)
        found = bounds.CurvatureBounder(network).bounds(0, 1)
        self.assertTrue(np.all(np.isfinite(found)))
        x = _telling_points(network, 1)
        self.assertTrue(_contains(found, _eigenvalues(network, x, 0, 1)))

    @parameterized.product(
        depth=(*_WIDTHS,), name=("tanh", "silu"), gain=(1e120, 1e160, 1e300)
    )
    def test_overflow_bounds_nothing(self, depth, name, gain):
        # Found here: a NaN among the densities once counted as no weight, so
        # that weights beyond all bounds had a small one.
        with np.errstate(all="ignore"):
            network = oracles.random_network(1, _WIDTHS[depth], name, gain=gain)
            bounder = bounds.CurvatureBounder(network)
            self.assertEqual(bounder.bounds(0, 1), (-math.inf, math.inf))
            plus, minus = bounder.class_concavity_upper_bounds()
        self.assertTrue(np.all(np.isinf(plus) & np.isinf(minus)))

    @parameterized.product(depth=(*_WIDTHS,), entry=(math.nan, math.inf))
    def test_weights_that_are_no_numbers_bound_nothing(self, depth, entry):
        network = oracles.random_network(1, _WIDTHS[depth], "tanh")
        bounder = bounds.CurvatureBounder(network)
        weights = np.ones(_WIDTHS[depth][-2])
        weights[0] = entry
        with np.errstate(all="ignore"):
            found = bounder.concavity_upper_bound(weights, 0.0)
            self.assertEqual(found, math.inf)
            found = bounder.concavity_upper_bound(np.ones_like(weights), entry)
            self.assertEqual(found, math.inf)
            found = bounds.theorem4_bound(network, weights)
            self.assertEqual(found, math.inf)

    def test_a_difference_that_overflows_bounds_nothing(self):
        for hidden in (1, 5):
            affines = [
                networks.Affine(
                    kernel=np.ones((2, hidden)), bias=np.zeros(hidden)
                ),
                networks.Affine(
                    kernel=np.full((hidden, 2), 1.7e308) * [1.0, -1.0],
                    bias=np.zeros(2),
                ),
            ]
            with np.errstate(all="ignore"):
                network = networks.Network(
                    affines, [networks.activation("tanh")]
                )
                found = bounds.CurvatureBounder(network).bounds(0, 1)
            self.assertEqual(found, (-math.inf, math.inf))

    def test_underflow_on_the_way_does_not_flatten(self):
        # k1^2 k2 w is 1, though k2 w underflows.
        kernels = [[[1e200]], [[1e-200]], [[1e-200, 0.0]]]
        affines = [
            networks.Affine(kernel=np.asarray(k), bias=np.zeros(len(k[0])))
            for k in kernels
        ]
        with np.errstate(all="ignore"):
            network = networks.Network(
                affines, [networks.activation("tanh")] * 2
            )
            found = bounds.CurvatureBounder(network).bounds(0, 1)
        self.assertGreater(found.upper, 0.5)
        self.assertLess(found.lower, -0.5)


class ClassBoundsTest(parameterized.TestCase):
    @_every_activation
    def test_dominate_the_pairs_of_two_layers(self, name):
        network = oracles.random_network(4, (4, 7, 5), name)
        bounder = bounds.CurvatureBounder(network)
        plus, minus = bounder.class_concavity_upper_bounds()
        self.assertEqual((plus.shape, minus.shape), ((5,), (5,)))
        for y in range(5):
            for t in range(5):
                pair = bounder.pair_concavity_upper_bound(y, t)
                total = (plus[y] + minus[t]) * (1.0 + 1e-6)
                self.assertLessEqual(pair, total)

    @hypothesis.given(_seeds, _depths, _names, st.sampled_from([0.0, 1e-2]))
    @hypothesis.settings(max_examples=40)
    def test_hold_for_every_pair(self, seed, depth, names, error):
        network = oracles.random_network(
            seed, _WIDTHS[depth], names[: depth - 1], errors=error
        )
        bounder = bounds.CurvatureBounder(network)
        plus, minus = bounder.class_concavity_upper_bounds()
        x = _telling_points(network, seed, 10)
        for y in range(3):
            for t in range(3):
                truth = -np.min(_eigenvalues(network, x, y, t))
                total = (plus[y] + minus[t]) * (1.0 + _ROUNDING)
                self.assertLessEqual(truth, total)

    @parameterized.parameters(2, 3, 4)
    def test_hold_for_each_logit(self, depth):
        network = oracles.random_network(1, _WIDTHS[depth], "gelu")
        last = network.affines[-1]
        # Against a logit that is zero.
        single = networks.Network(
            [
                *network.affines[:-1],
                networks.Affine(
                    kernel=last.kernel * [1.0, 1.0, 0.0], bias=last.bias
                ),
            ],
            network.activations,
        )
        plus, minus = bounds.CurvatureBounder(
            network
        ).class_concavity_upper_bounds()
        x = _telling_points(network, 1)
        for y in (0, 1):
            values = _eigenvalues(single, x, y, 2)
            self.assertLessEqual(-np.min(values), plus[y] * (1 + _ROUNDING))
            self.assertLessEqual(np.max(values), minus[y] * (1 + _ROUNDING))


def _moved(network, rng) -> networks.Network:
    """Returns exact kernels that lie as far off as their errors allow."""
    affines = []
    for affine in network.affines:
        rows, columns = affine.kernel.shape
        step = np.outer(rng.standard_normal(rows), rng.standard_normal(columns))
        if rng.random() < 0.5:
            # The direction in which the norm grows most.
            left, _, right = np.linalg.svd(affine.kernel, full_matrices=False)
            step = np.outer(left[:, 0], right[0])
        step *= affine.kernel_error / np.linalg.norm(step)
        affines.append(
            networks.Affine(kernel=affine.kernel + step, bias=affine.bias)
        )
    return networks.Network(affines, network.activations)


class KernelErrorTest(parameterized.TestCase):
    @hypothesis.given(_seeds, _depths, _names, st.floats(-6.0, 0.0))
    @hypothesis.settings(max_examples=60)
    def test_bounds_hold_for_every_kernel_so_near(
        self, seed, depth, names, exponent
    ):
        network = oracles.random_network(
            seed, _WIDTHS[depth], names[: depth - 1], errors=10.0**exponent
        )
        found = bounds.CurvatureBounder(network).bounds(0, 1)
        rng = np.random.default_rng(seed)
        for _ in range(3):
            moved = _moved(network, rng)
            x = _telling_points(moved, seed, 10)
            self.assertTrue(_contains(found, _eigenvalues(moved, x, 0, 1)))

    @_every_activation
    def test_bounds_of_every_kernel_so_near_are_enclosed(self, name):
        # Theorem 3 of a moved network is attained, so it must be enclosed.
        error = 1e-2
        rng = np.random.default_rng(0)
        for seed in range(3):
            near = oracles.random_network(seed, (5, 4, 3), name, errors=error)
            found = bounds.CurvatureBounder(near).bounds(0, 1)
            for _ in range(5):
                moved = bounds.CurvatureBounder(_moved(near, rng)).bounds(0, 1)
                # The moved one's own bounds are rounded outward.
                self.assertLessEqual(moved.upper, found.upper * (1.0 + 1e-8))
                self.assertLessEqual(found.lower * (1.0 + 1e-8), moved.lower)

    @parameterized.parameters(1e-6, 1e-3, 0.1)
    def test_bounds_what_an_error_may_connect(self, error):
        # Nothing passes the middle kernel as it is stored.
        kernels = [[[1.0]], [[0.0]], [[1.0, 0.0]]]
        moved = [[[1.0]], [[error]], [[1.0, 0.0]]]
        stored, exact = (
            networks.Network(
                [
                    networks.Affine(
                        kernel=np.asarray(kernel),
                        bias=np.zeros(len(kernel[0])),
                        kernel_error=error,
                    )
                    for kernel in each
                ],
                [networks.activation("tanh")] * 2,
            )
            for each in (kernels, moved)
        )
        found = bounds.CurvatureBounder(stored).bounds(0, 1)
        grid = np.linspace(-3.0, 3.0, 201)[:, np.newaxis]
        truth = _eigenvalues(exact, grid, 0, 1)
        self.assertGreater(np.max(truth), 0.7 * error)
        self.assertTrue(_contains(found, truth))

    @parameterized.product(name=oracles.CURVED, depth=(*_WIDTHS,))
    def test_enlarges_every_bound(self, name, depth):
        found = []
        for error in (0.0, 1e-6, 1e-3, 1e-1):
            network = oracles.random_network(
                depth, _WIDTHS[depth], name, errors=error
            )
            pair = bounds.CurvatureBounder(network).bounds(0, 1)
            weights = network.affines[-1].kernel[:, 0]
            single = bounds.theorem4_bound(network, weights, error)
            found.append((-pair.lower, pair.upper, single))
        self.assertTrue(np.all(np.diff(found, axis=0) > 0.0))
        # And by no more than it has to: a millionth moves little.
        np.testing.assert_allclose(found[1], found[0], rtol=1e-3)


class TheoremFourTest(parameterized.TestCase):
    @hypothesis.given(_seeds, _depths, _names)
    @hypothesis.settings(max_examples=40)
    def test_is_the_formula(self, seed, depth, names):
        network = oracles.random_network(
            seed, _WIDTHS[depth], names[: depth - 1]
        )
        weights = np.random.default_rng(seed).standard_normal(
            network.affines[-1].kernel.shape[0]
        )
        found = bounds.theorem4_bound(network, weights)
        np.testing.assert_allclose(
            found, self._formula(network, weights), rtol=1e-7, atol=1e-250
        )

    def _formula(self, network, weights):
        """K = sum_I h r_I^2 max_j S_{I,j}, radii first."""
        slopes = [fn.slope_range.magnitude for fn in network.activations]
        radii = []
        for index, affine in enumerate(network.affines[:-1]):
            radius = np.linalg.norm(affine.kernel, 2)
            if index:
                radius *= slopes[index - 1] * radii[-1]
            radii.append(radius)
        spread, total = np.abs(weights), 0.0
        for index in reversed(range(len(radii))):
            fn = network.activations[index]
            peak = fn.curvature_range.magnitude
            total += peak * radii[index] ** 2 * np.max(spread)
            spread = np.abs(network.affines[index].kernel) @ (
                slopes[index] * spread
            )
        return total

    @parameterized.product(name=oracles.CURVED, depth=(*_WIDTHS,))
    def test_bounds_the_curvature(self, name, depth):
        network = oracles.random_network(3, _WIDTHS[depth], name, gain=2.0)
        kernel = network.affines[-1].kernel
        x = _telling_points(network, 3)
        for y, t in (0, 1), (1, 2), (2, 0):
            found = bounds.theorem4_bound(network, kernel[:, y] - kernel[:, t])
            truth = np.max(np.abs(_eigenvalues(network, x, y, t)))
            self.assertLessEqual(truth, found)

    def test_of_one_layer_or_no_weights_is_zero(self):
        linear = oracles.random_network(0, (4, 3), ())
        self.assertEqual(bounds.theorem4_bound(linear, np.ones(4)), 0.0)
        network = oracles.random_network(0, _WIDTHS[3], "tanh")
        self.assertEqual(bounds.theorem4_bound(network, np.zeros(5)), 0.0)


class ChainTest(parameterized.TestCase):
    @hypothesis.given(_seeds, _names, st.sampled_from([0.0, 1e-2]))
    @hypothesis.settings(max_examples=60)
    def test_bounds_every_pattern_of_slopes(self, seed, names, error):
        network = oracles.random_network(
            seed, (4, 5, 3, 6, 2), names, errors=error
        )
        # White box: what the bounds are made of.
        constants = bounds.CurvatureBounder(network)._lipschitz
        rng = np.random.default_rng(seed)
        for trial in range(20):
            moved = _moved(network, rng)
            product = moved.affines[0].kernel
            for index, bound in enumerate(constants):
                norm = np.linalg.norm(product, 2)
                self.assertLessEqual(norm, bound * (1.0 + _ROUNDING))
                span = network.activations[index].slope_range
                width = product.shape[1]
                slopes = rng.uniform(span.lower, span.upper, width)
                if trial % 2:
                    slopes = rng.choice([span.lower, span.upper], width)
                product = (product * slopes) @ moved.affines[index + 1].kernel

    @_every_activation
    def test_is_no_larger_than_the_product_of_norms(self, name):
        network = oracles.random_network(0, (4, 5, 3, 6, 2), name)
        constants = bounds.CurvatureBounder(network)._lipschitz
        product = 1.0
        for index, constant in enumerate(constants):
            product *= network.norms[index]
            self.assertLessEqual(constant, product * (1.0 + 1e-9))
            product *= network.activations[index].slope_range.magnitude

    def test_is_smaller_where_the_product_of_kernels_cancels(self):
        # tanh: slopes in [0, 1], so half of K1 K2 = 0 and half of |K1||K2|.
        first, second = np.asarray([[1.0, 0.0]]), np.asarray([[0.0], [1.0]])
        affines = [
            networks.Affine(kernel=k, bias=np.zeros(k.shape[1]))
            for k in (first, second, np.ones((1, 2)))
        ]
        network = networks.Network(affines, [networks.activation("tanh")] * 2)
        constants = bounds.CurvatureBounder(network)._lipschitz
        np.testing.assert_allclose(constants, [1.0, 0.5], rtol=1e-6)


class MetamorphicTest(parameterized.TestCase):
    def _bounds(self, affines, activations):
        network = networks.Network(affines, activations)
        return np.asarray(bounds.CurvatureBounder(network).bounds(0, 1))

    @parameterized.product(depth=(*_WIDTHS,), name=("tanh", "gelu", "softplus"))
    def test_follow_the_scale_of_the_first_and_the_last_kernel(
        self, depth, name
    ):
        network = oracles.random_network(0, _WIDTHS[depth], name)
        plain = self._bounds(network.affines, network.activations)
        for index, power in (0, 2), (-1, 1):
            affines = list(network.affines)
            affines[index] = networks.Affine(
                kernel=3.0 * affines[index].kernel, bias=affines[index].bias
            )
            found = self._bounds(affines, network.activations)
            np.testing.assert_allclose(found, 3.0**power * plain, rtol=1e-6)

    @parameterized.product(
        depth=(*_WIDTHS,),
        scales=((-270, 0), (-300, 100), (-400, 0), (-250, -250), (200, -400)),
    )
    def test_lose_nothing_where_powers_of_the_weights_vanish(
        self, depth, scales
    ):
        network = oracles.random_network(0, _WIDTHS[depth], "tanh")
        plain = self._bounds(network.affines, network.activations)
        affines, factor = list(network.affines), 1.0
        for index, power, exponent in zip((0, -1), (2, 1), scales):
            affines[index] = networks.Affine(
                kernel=affines[index].kernel * 2.0**exponent,
                bias=affines[index].bias,
            )
            factor *= 2.0 ** (power * exponent)
        found = self._bounds(affines, network.activations) * [-1.0, 1.0]
        expected = plain * [-1.0, 1.0] * factor
        self.assertTrue(np.all(found >= expected * (1.0 - 1e-9)), found)

    @parameterized.product(depth=(*_WIDTHS,), name=("tanh", "gelu", "softplus"))
    def test_do_not_see_the_order_of_units_nor_the_basis_of_inputs(
        self, depth, name
    ):
        rng = np.random.default_rng(0)
        network = oracles.random_network(0, _WIDTHS[depth], name)
        plain = self._bounds(network.affines, network.activations)
        kernels = [affine.kernel for affine in network.affines]
        turn = np.linalg.qr(rng.standard_normal((len(kernels[0]),) * 2))[0]
        kernels[0] = turn @ kernels[0]
        for index in range(depth - 1):
            order = rng.permutation(kernels[index].shape[1])
            kernels[index] = kernels[index][:, order]
            kernels[index + 1] = kernels[index + 1][order]
        affines = [
            networks.Affine(kernel=k, bias=rng.standard_normal(k.shape[1]))
            for k in kernels
        ]
        found = self._bounds(affines, network.activations)
        np.testing.assert_allclose(found, plain, rtol=1e-6)

    @parameterized.parameters("tanh", "gelu", "softplus")
    def test_units_that_nothing_reads_change_nothing(self, name):
        network = oracles.random_network(0, _WIDTHS[2], name)
        plain = self._bounds(network.affines, network.activations)
        first, last = network.affines
        rng = np.random.default_rng(0)
        affines = [
            networks.Affine(
                kernel=np.hstack([first.kernel, rng.standard_normal((4, 5))]),
                bias=np.zeros(12),
            ),
            networks.Affine(
                kernel=np.vstack([last.kernel, np.zeros((5, 3))]),
                bias=last.bias,
            ),
        ]
        found = self._bounds(affines, network.activations)
        np.testing.assert_allclose(found, plain, rtol=1e-6)


if __name__ == "__main__":
    absltest.main()
