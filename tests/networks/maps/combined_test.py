"""Tests of sums, stacks and compositions of linear maps."""

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np

import linear_map_oracles as oracles
from tfcurv import networks
from tfcurv.networks.maps import folding


def _dense(rng, *shape) -> networks.Dense:
    return networks.Dense(kernel=rng.standard_normal(shape))


def _convolution(rng, shape, taps, outputs, **arguments):
    groups = arguments.get("groups", 1)
    kernel = rng.standard_normal((taps, taps, shape[-1] // groups, outputs))
    return networks.Convolution(kernel=kernel, input_shape=shape, **arguments)


class SumTest(parameterized.TestCase):
    def test_is_a_sum(self):
        rng = np.random.default_rng(0)
        maps = [_dense(rng, 4, 3) for _ in range(3)]
        matrix = sum(each.kernel for each in maps)
        oracles.check(self, networks.Sum(maps=maps), matrix, is_simple=False)

    def test_what_cancels_does_not_count(self):
        rng = np.random.default_rng(0)
        one = _convolution(rng, (5, 5, 2), 3, 2, padding="same")
        near = networks.Convolution(
            kernel=-one.kernel + 1e-3, input_shape=(5, 5, 2), padding="same"
        )
        both = networks.Sum(maps=(one, near))
        oracles.check_bounds(self, both, both.materialise(), slack=1e-4)

    def test_a_residual_block(self):
        rng = np.random.default_rng(0)
        inner = _convolution(rng, (4, 4, 2), 3, 2, padding="same")
        skip = networks.Identity(input_shape=(4, 4, 2))
        block = networks.Sum(maps=(skip, inner))
        matrix = np.eye(32) + inner.materialise()
        oracles.check(self, block, matrix, is_simple=False)

    def test_large_sums_add_norms(self):
        rng = np.random.default_rng(0)
        maps = [
            _convolution(rng, (28, 28, 2), 3, 2, padding="same")
            for _ in range(2)
        ]
        norms = [each.norm_upper_bound() for each in maps]
        bound = networks.Sum(maps=maps).norm_upper_bound()
        self.assertBetween(bound, max(norms), sum(norms) * (1 + 1e-12))

    def test_refuses_what_does_not_fit(self):
        rng = np.random.default_rng(0)
        with self.assertRaisesRegex(ValueError, r"\(3,\), \(2,\)"):
            networks.Sum(maps=(_dense(rng, 4, 3), _dense(rng, 4, 2)))
        with self.assertRaisesRegex(ValueError, r"\(4,\), \(5,\)"):
            networks.Sum(maps=(_dense(rng, 4, 3), _dense(rng, 5, 3)))
        with self.assertRaisesRegex(ValueError, r"maps=\(\)"):
            networks.Sum(maps=())
        with self.assertRaisesRegex(ValueError, "maps"):
            networks.Sum(maps=(np.eye(2),))


class StackTest(parameterized.TestCase):
    @parameterized.parameters(-1, 0, 1, 2)
    def test_is_a_concatenation(self, axis):
        rng = np.random.default_rng(0)
        shape = (4, 3, 2)
        maps = [
            _convolution(rng, shape, 3, 2, padding="same"),
            networks.Identity(input_shape=shape),
        ]
        stack = networks.Stack(maps=maps, axis=axis)
        x = rng.standard_normal((2, 24))
        parts = [np.asarray(m.apply(x)).reshape(2, *shape) for m in maps]
        layer = keras.layers.Concatenate(
            axis if axis < 0 else axis + 1, dtype="float64"
        )
        expected = np.asarray(layer(parts))
        self.assertEqual(stack.output_shape, expected.shape[1:])
        np.testing.assert_allclose(
            stack.apply(x), expected.reshape(2, -1), atol=1e-12
        )
        oracles.check(self, stack, stack.materialise())

    def test_refuses_what_does_not_fit(self):
        rng = np.random.default_rng(0)
        maps = [_convolution(rng, (4, 4, 2), taps, 3) for taps in (2, 3)]
        with self.assertRaisesRegex(ValueError, r"\(3, 3\), \(2, 2\)"):
            networks.Stack(maps=maps)
        with self.assertRaisesRegex(ValueError, "axis=3"):
            networks.Stack(maps=maps, axis=3)


class CompositionTest(parameterized.TestCase):
    def test_is_a_product(self):
        rng = np.random.default_rng(0)
        maps = [
            _convolution(rng, (6, 6, 2), 3, 4, padding="same", strides=2),
            networks.AveragePooling(
                input_shape=(3, 3, 4), pool_size=2, strides=1, padding="same"
            ),
            networks.Identity(input_shape=(3, 3, 4), output_shape=(36,)),
            _dense(rng, 36, 5),
        ]
        matrix = maps[0].materialise() @ maps[1].materialise() @ maps[3].kernel
        composition = networks.Composition(maps=maps)
        oracles.check(self, composition, matrix, is_simple=False)
        self.assertEqual(composition.output_shape, (5,))
        product = np.prod([each.norm_upper_bound() for each in maps])
        self.assertLess(composition.norm_upper_bound(), 0.9 * product)

    def test_compositions_within_are_taken_apart(self):
        rng = np.random.default_rng(0)
        maps = [_dense(rng, 4, 4) for _ in range(3)]
        inner = networks.Composition(maps=maps[:2])
        outer = networks.Composition(maps=(inner, maps[2]))
        self.assertLen(outer.maps, 3)

    @parameterized.parameters(-150, -100, 100, 150)
    def test_scales_that_cancel(self, exponent):
        rng = np.random.default_rng(0)
        first, second = rng.standard_normal((2, 4, 4))
        maps = (
            networks.Dense(kernel=first * 10.0**exponent),
            networks.Selection.permute((2, 2), (1, 0)),
            networks.Dense(kernel=second * 10.0**-exponent),
        )
        composition = networks.Composition(maps=maps)
        matrix = first[:, [0, 2, 1, 3]] @ second
        self.assertAlmostEqual(
            composition.norm_upper_bound() / oracles.norm(matrix),
            1.0,
            delta=1e-7,
        )

    def test_zero_and_what_is_not_finite(self):
        zero = networks.Dense(kernel=np.zeros((3, 3)))
        bad = networks.Dense(kernel=np.full((3, 3), np.nan))
        one = networks.Dense(kernel=np.ones((3, 3)))
        norm = lambda *maps: networks.Composition(maps=maps).norm_upper_bound()
        self.assertEqual(norm(one, zero, one), 0.0)
        self.assertEqual(norm(one, bad), np.inf)
        self.assertEqual(norm(bad, zero), np.inf)
        columns = networks.Composition(maps=(one, bad)).column_norms
        self.assertTrue(np.all(np.isinf(columns)))

    def test_refuses_what_does_not_fit(self):
        rng = np.random.default_rng(0)
        with self.assertRaisesRegex(ValueError, r"output_shape=\(3,\)"):
            networks.Composition(maps=(_dense(rng, 4, 3), _dense(rng, 4, 3)))


def _separable(rng, shape, *, groups=1):
    """Returns depthwise, pointwise, normalisation of an image."""
    depthwise = _convolution(
        rng, shape, 3, 2 * shape[-1], padding="same", groups=shape[-1]
    )
    pointwise = _convolution(rng, depthwise.output_shape, 1, 4, groups=groups)
    scale = rng.uniform(-2.0, 2.0, 4)
    normalisation = networks.Diagonal(
        scale=scale, input_shape=pointwise.output_shape
    )
    return depthwise, pointwise, normalisation


class FoldingTest(parameterized.TestCase):
    def _check(self, *maps, count=1):
        found = folding.folded(maps)
        self.assertLen(found, count)
        matrix = maps[0].materialise()
        for each in maps[1:]:
            matrix = matrix @ each.materialise()
        if count == 1:
            exact = oracles.norm(matrix)
            bound = found[0].norm_upper_bound()
            self.assertGreaterEqual(bound, exact * (1.0 - 1e-14))
            self.assertLessEqual(bound, exact * (1.0 + 1e-7))
            columns = np.linalg.norm(matrix, axis=0)
            norms = found[0].column_norms
            self.assertTrue(np.all(norms >= columns * (1 - 1e-15)))
            self.assertTrue(np.all(norms <= columns * (1 + 1e-9) + 1e-60))
        oracles.check_bounds(self, networks.Composition(maps=maps), matrix)

    @parameterized.parameters(1, 2)
    def test_a_separable_convolution_is_one(self, groups):
        rng = np.random.default_rng(0)
        maps = _separable(rng, (5, 4, 2), groups=groups)
        self._check(*maps)
        self._check(maps[0], maps[1])

    @parameterized.parameters(1, 2)
    def test_a_normalisation_joins_what_follows(self, groups):
        rng = np.random.default_rng(0)
        first = networks.Diagonal(
            scale=rng.standard_normal(4), input_shape=(5, 4, 4)
        )
        self._check(first, _convolution(rng, (5, 4, 4), 3, 4, groups=groups))

    def test_dense_maps_and_diagonals_are_one(self):
        rng = np.random.default_rng(0)
        scales = [
            networks.Diagonal(scale=rng.standard_normal(n), input_shape=(n,))
            for n in (6, 6, 4)
        ]
        self._check(scales[0], scales[1], _dense(rng, 6, 4), scales[2])
        self._check(_dense(rng, 3, 6), _dense(rng, 6, 4))

    def test_a_flattened_image_meets_its_matrix(self):
        rng = np.random.default_rng(0)
        self._check(
            networks.Diagonal(scale=rng.standard_normal(2), input_shape=(3, 2)),
            networks.Identity(input_shape=(3, 2), output_shape=(6,)),
            _dense(rng, 6, 4),
        )

    def test_what_is_not_of_one_kind_stays_apart(self):
        rng = np.random.default_rng(0)
        by_place = networks.Diagonal(
            scale=rng.standard_normal((3, 3, 1)), input_shape=(3, 3, 2)
        )
        self._check(
            _convolution(rng, (4, 4, 1), 2, 2),
            by_place,
            _convolution(rng, (3, 3, 2), 2, 2),
            count=3,
        )
        self._check(networks.Identity(input_shape=(3, 3)), count=1)

    def test_a_large_separable_convolution_is_tight(self):
        rng = np.random.default_rng(0)
        maps = _separable(rng, (28, 28, 2))
        composition = networks.Composition(maps=maps)
        bound = composition.norm_upper_bound()
        v = rng.standard_normal((1, composition.inputs))
        for _ in range(200):
            v = composition.transpose(composition.apply(v))
            v = v / np.linalg.norm(v)
        attained = np.linalg.norm(composition.apply(v))
        self.assertBetween(bound, attained, 1.03 * attained)
        product = np.prod([each.norm_upper_bound() for each in maps])
        self.assertLess(bound, product)


class VanishedTest(parameterized.TestCase):
    """Numbers that are too small on the way, and not in the end."""

    def _map(self):
        numbers = [1e60] * 5 + [1e-60] * 5 + [1e-10]
        branch = networks.Composition(
            maps=tuple(
                networks.Dense(kernel=np.full((1, 1), number))
                for number in numbers
            )
        )
        other = networks.Dense(kernel=np.full((1, 1), 1e-20))
        return networks.Sum(maps=(branch, other))

    def test_norms_are_those_of_exact_arithmetic(self):
        linear = self._map()
        exact = 1e-10 * (1.0 - 1e-9)
        self.assertGreaterEqual(linear.norm_upper_bound(), exact)
        self.assertGreaterEqual(linear.absolute_norm_upper_bound, exact)
        self.assertGreaterEqual(linear.column_norms[0], exact)

    def test_of_a_composition_and_a_stack_too(self):
        last = networks.Dense(kernel=np.ones((1, 1)))
        whole = networks.Composition(maps=(self._map(), last))
        stack = networks.Stack(maps=(self._map(), last))
        exact = 1e-10 * (1.0 - 1e-9)
        for linear in (whole, stack):
            self.assertGreaterEqual(linear.norm_upper_bound(), exact)
            self.assertGreaterEqual(np.max(linear.column_norms), exact)
            self.assertGreaterEqual(linear.column_norms[0], exact)


if __name__ == "__main__":
    absltest.main()
