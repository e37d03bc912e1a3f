"""Tests of tfcurv.networks.maps.convolution and convolution_norms."""

import dataclasses

from absl.testing import absltest
from absl.testing import parameterized
import keras
import mpmath as mp
import numpy as np
import tensorflow as tf

import linear_map_oracles as oracles
from tfcurv import networks
from tfcurv import solvers
from tfcurv.networks.maps import convolution_norms


def _geometry(rng, largest: int) -> dict:
    """Returns a random convolution's arguments but for its kernel."""
    groups = int(rng.integers(1, 4))
    inputs, outputs = groups * rng.integers(1, 3, size=2)
    sizes = rng.integers(1, largest + 1, size=2)
    padding = [(0, 0), (0, 0)]
    dilations, taps = rng.integers(1, 4, size=(2, 2))
    for axis in range(2):
        reach = (taps[axis] - 1) * dilations[axis] + 1
        before, after = rng.integers(0, taps[axis] + 2, size=2)
        missing = max(0, reach - int(sizes[axis] + before + after))
        padding[axis] = (int(before), int(after) + missing)
    return {
        "window": (*taps, inputs // groups, outputs),
        "input_shape": (*sizes, inputs),
        "strides": tuple(map(int, rng.integers(1, 4, size=2))),
        "padding": tuple(padding),
        "dilations": tuple(map(int, dilations)),
        "groups": groups,
    }


def _kernel(rng, shape) -> np.ndarray:
    """Returns a kernel of one of the kinds whose extremes differ."""
    kind = rng.integers(5)
    if kind == 0:  # Largest at frequency 0.
        return np.ones(shape)
    if kind == 1:  # Largest at the highest one.
        signs = np.indices(shape).sum(0) % 2
        return 1.0 - 2.0 * signs
    if kind == 2:  # One tap: equally large at all.
        kernel = np.zeros(shape)
        kernel[tuple(rng.integers(shape))] = -3.0
        return kernel
    kernel = rng.standard_normal(shape)
    return np.abs(kernel) if kind == 3 else kernel


def _random(seed: int, largest: int = 6):
    rng = np.random.default_rng(seed)
    arguments = _geometry(rng, largest)
    kernel = _kernel(rng, arguments.pop("window"))
    found = networks.Convolution(kernel=kernel, **arguments)
    matrix = oracles.convolution_matrix(
        kernel,
        found.input_shape[:2],
        found.strides,
        found.padding,
        found.dilations,
        found.groups,
    )
    return found, matrix


def _by_frequency(convolution, rigor=solvers.Rigor.VERIFIED) -> float:
    return convolution_norms.frequency_norm_upper_bound(
        convolution.window, convolution.axes, convolution.groups, rigor
    )


def _mixed(convolution, rigor=solvers.Rigor.VERIFIED) -> float:
    return convolution_norms.mixed_norm_upper_bound(
        convolution.window, convolution.axes, convolution.groups, rigor
    )


def _attained(linear_map, steps: int = 100) -> float:
    """Returns a lower bound on the norm, by power iteration."""
    v = tf.constant(
        np.random.default_rng(0).standard_normal((1, linear_map.inputs))
    )
    for _ in range(steps):
        v = linear_map.transpose(linear_map.apply(v / tf.norm(v)))
    return float(tf.sqrt(tf.norm(v)))


class RandomConvolutionsTest(parameterized.TestCase):
    @parameterized.parameters(range(0, 400, 40))
    def test_frequencies_enclose_the_singular_values(self, first):
        for seed in range(first, first + 40):
            with self.subTest(seed):
                convolution, matrix = _random(seed)
                least = oracles.norm(matrix) * (1.0 - 1e-14)
                for bound in (_by_frequency, _mixed):
                    proved = bound(convolution)
                    trusted = bound(convolution, solvers.Rigor.FLOAT64)
                    self.assertGreaterEqual(proved, least)
                    self.assertGreaterEqual(trusted, least)
                    self.assertAlmostEqual(
                        proved, trusted, delta=1e-7 * trusted
                    )

    @parameterized.parameters(range(0, 60, 20))
    def test_is_the_matrix_of_its_definition(self, first):
        for seed in range(first, first + 20):
            with self.subTest(seed):
                oracles.check(self, *_random(seed))

    def test_many_groups_are_bounded_by_frequency(self):
        rng = np.random.default_rng(0)
        kernel = rng.standard_normal((3, 3, 1, 24))
        convolution = networks.Convolution(
            kernel=kernel, input_shape=(16, 16, 24), padding="same", groups=24
        )
        alone = max(
            networks.Convolution(
                kernel=kernel[..., i : i + 1],
                input_shape=(16, 16, 1),
                padding="same",
            ).norm_upper_bound()
            for i in range(24)
        )
        bound = convolution.norm_upper_bound()
        self.assertGreaterEqual(bound, alone * (1.0 - 1e-8))
        self.assertLessEqual(bound, alone * 1.03)


class TightnessTest(parameterized.TestCase):
    @parameterized.product(
        taps=(3, 4, 5), stride=(1, 2), padding=("same", "valid")
    )
    def test_bounds_are_close_at_28x28(self, taps, stride, padding):
        allowed = 1.03 if stride == 1 else 1.1
        for make in (np.asarray, np.abs):
            rng = np.random.default_rng(0)
            kernel = make(rng.standard_normal((taps, taps, 2, 3)))
            convolution = networks.Convolution(
                kernel=kernel,
                input_shape=(28, 28, 2),
                strides=stride,
                padding=padding,
            )
            exact = _attained(convolution)
            by_frequency = _by_frequency(convolution)
            mixed = _mixed(convolution)
            with self.subTest(f"{make}: {by_frequency / exact}"):
                self.assertBetween(mixed, exact, allowed * exact)
                self.assertLess(mixed, by_frequency)
                self.assertLessEqual(by_frequency, 1.04 * exact)
                bound = convolution.norm_upper_bound()
                self.assertBetween(bound, exact, mixed)

    def test_phases_are_as_accurate_as_assumed(self):
        for period in (1, 3, 7, 29, 30, 101, 226):
            shifts = np.arange(-3, 6)
            blocks = convolution_norms._Blocks(period, shifts, 0 * shifts)
            phases = convolution_norms._phases(blocks)
            for w in range(period):
                for j, shift in enumerate(shifts):
                    exact = mp.expjpi(2 * mp.mpf(int(w * shift)) / period)
                    error = abs(mp.mpc(phases[w, j]) - exact)
                    # Half of what the product of two may err by.
                    self.assertLess(error, 48 * 2.0**-53)

    @parameterized.product(taps=(3, 4, 5), stride=(1, 2))
    def test_the_bound_is_exact_where_a_side_is_small(self, taps, stride):
        convolution = networks.Convolution(
            kernel=np.ones((taps, taps, 1, 2)),
            input_shape=(12, 12, 1),
            strides=stride,
            padding="same",
        )
        oracles.check_bounds(self, convolution, convolution.materialise())
        self.assertGreater(
            _by_frequency(convolution), convolution.norm_upper_bound()
        )

    def test_a_stride_is_not_ignored(self):
        kernel = np.random.default_rng(0).standard_normal((2, 2, 8, 16))
        apart = networks.Convolution(
            kernel=kernel, input_shape=(28, 28, 8), strides=2
        )
        # Windows that do not overlap: one matrix, again and again.
        exact = oracles.norm(kernel.reshape(32, 16))
        self.assertGreaterEqual(apart.norm_upper_bound(), exact)
        self.assertLessEqual(apart.norm_upper_bound(), exact * (1 + 1e-7))


def _output(layer, x) -> np.ndarray:
    return np.asarray(layer(x)).reshape(len(x), -1)


class KerasTest(parameterized.TestCase):
    """The same numbers as Keras' layers in float64."""

    def _check(self, layer, convolution):
        x = np.random.default_rng(1).standard_normal(
            (2, *convolution.input_shape)
        )
        expected = _output(layer, x)
        self.assertEqual(expected.shape[1], convolution.outputs)
        found = convolution.apply(x.reshape(2, -1))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)

    @parameterized.product(
        padding=("same", "valid"),
        geometry=((1, 1, 1), (2, 1, 1), (3, 1, 2), (1, 2, 1), (1, 3, 2)),
        size=(7, 8),
    )
    def test_conv2d(self, padding, geometry, size):
        strides, dilations, groups = geometry
        layer = keras.layers.Conv2D(
            4,
            (3, 4),
            strides,
            padding,
            dilation_rate=dilations,
            groups=groups,
            use_bias=False,
            dtype="float64",
        )
        layer.build((None, size, 11, 2))
        self._check(
            layer,
            networks.Convolution(
                kernel=layer.kernel.numpy(),
                input_shape=(size, 11, 2),
                strides=strides,
                padding=padding,
                dilations=dilations,
                groups=groups,
            ),
        )

    @parameterized.product(
        padding=("same", "valid", "causal"),
        geometry=((1, 1, 1), (2, 1, 2), (1, 3, 1)),
    )
    def test_conv1d(self, padding, geometry):
        strides, dilations, groups = geometry
        layer = keras.layers.Conv1D(
            6,
            4,
            strides,
            padding,
            dilation_rate=dilations,
            groups=groups,
            use_bias=False,
            dtype="float64",
        )
        layer.build((None, 11, 4))
        convolution = networks.Convolution(
            kernel=layer.kernel.numpy(),
            input_shape=(11, 4),
            strides=strides,
            padding=padding,
            dilations=dilations,
            groups=groups,
        )
        self._check(layer, convolution)
        oracles.check_bounds(self, convolution, convolution.materialise())

    @parameterized.product(
        padding=("same", "valid"), geometry=((1, 1), (2, 1), (1, 2))
    )
    def test_depthwise_conv2d(self, padding, geometry):
        strides, dilations = geometry
        layer = keras.layers.DepthwiseConv2D(
            3,
            strides,
            padding,
            depth_multiplier=2,
            dilation_rate=dilations,
            use_bias=False,
            dtype="float64",
        )
        layer.build((None, 8, 7, 3))
        self._check(
            layer,
            networks.Convolution(
                kernel=layer.kernel.numpy().reshape(3, 3, 1, 6),
                input_shape=(8, 7, 3),
                strides=strides,
                padding=padding,
                dilations=dilations,
                groups=3,
            ),
        )


class ScalesTest(parameterized.TestCase):
    @parameterized.product(
        exponent=(-100, -30, 30, 100), shape=((6, 6, 2), (24, 24, 3))
    )
    def test_bounds_scale_with_the_kernel(self, exponent, shape):
        rng = np.random.default_rng(0)
        kernel = rng.standard_normal((3, 3, shape[-1], 3))
        one = networks.Convolution(
            kernel=kernel, input_shape=shape, padding="same"
        )
        scale = 10.0**exponent
        other = dataclasses.replace(one, kernel=kernel * scale)
        for what in ("norm_upper_bound", "frobenius_norm_upper_bound"):
            expected = getattr(one, what)() * scale
            ratio = getattr(other, what)() / expected
            self.assertAlmostEqual(ratio, 1.0, delta=1e-8)
        np.testing.assert_allclose(
            other.column_norms, one.column_norms * scale, rtol=1e-12
        )

    @parameterized.product(bad=(np.nan, np.inf), size=(6, 28))
    def test_what_is_not_finite_is_not_bounded(self, bad, size):
        kernel = np.ones((3, 3, 2, 2))
        kernel[1, 1, 0, 1] = bad
        convolution = networks.Convolution(
            kernel=kernel, input_shape=(size, size, 2)
        )
        self.assertEqual(convolution.norm_upper_bound(), np.inf)
        self.assertEqual(convolution.frobenius_norm_upper_bound(), np.inf)

    @parameterized.parameters(6, 28)
    def test_zero_has_norm_zero(self, size):
        convolution = networks.Convolution(
            kernel=np.zeros((3, 3, 2, 2)), input_shape=(size, size, 2)
        )
        self.assertEqual(convolution.norm_upper_bound(), 0.0)
        self.assertEqual(convolution.frobenius_norm_upper_bound(), 0.0)
        self.assertFalse(np.any(convolution.column_norms))


class TensorsTest(parameterized.TestCase):
    @parameterized.parameters(1, 2)
    def test_gradients_pass_in_a_graph(self, groups):
        rng = np.random.default_rng(0)
        convolution = networks.Convolution(
            kernel=rng.standard_normal((3, 3, 2 // groups, 4)),
            input_shape=(6, 5, 2),
            strides=2,
            padding="same",
            groups=groups,
        )

        @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float64)])
        def gradient_of_size(x):
            z = convolution.apply(x)
            return convolution.transpose(2.0 * z)

        matrix = convolution.materialise()
        for batch in (1, 4):
            x = rng.standard_normal((batch, convolution.inputs))
            np.testing.assert_allclose(
                gradient_of_size(x), 2.0 * x @ matrix @ matrix.T, atol=1e-11
            )

    def test_constants_outlive_the_graph_that_first_used_them(self):
        convolution = networks.Convolution(
            kernel=np.ones((2, 2, 1, 1)), input_shape=(3, 3, 1)
        )
        x = tf.ones([1, 9], tf.float32)
        traced = tf.function(convolution.apply)(x)
        np.testing.assert_array_equal(traced, convolution.apply(x))


class ErrorsTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("channels", {"input_shape": (5, 5, 3)}, "kernel.shape"),
        ("rank", {"input_shape": (5, 2)}, "kernel.shape"),
        ("groups", {"groups": 3}, "groups=3"),
        ("stride", {"strides": 0}, "strides=0"),
        ("strides", {"strides": (1, 2, 3)}, "strides="),
        ("dilation", {"dilations": -1}, "dilations=-1"),
        ("name", {"padding": "full"}, "padding='full'"),
        ("pairs", {"padding": ((1, 1),)}, "padding="),
        ("negative", {"padding": ((0, 0), (-1, 0))}, "padding="),
        ("window", {"dilations": 3}, "does not fit"),
        ("empty", {"input_shape": (0, 5, 2)}, "input_shape"),
    )
    def test_refuses(self, change, message):
        arguments = {
            "kernel": np.ones((3, 3, 2, 4)),
            "input_shape": (5, 5, 2),
        }
        with self.assertRaisesRegex(ValueError, message):
            networks.Convolution(**(arguments | change))

    def test_refuses_other_dtypes(self):
        with self.assertRaisesRegex(TypeError, "kernel"):
            networks.Convolution(
                kernel=np.ones((3, 3, 1, 1), np.float32), input_shape=(5, 5, 1)
            )

    def test_refuses_rows_of_another_length(self):
        convolution = networks.Convolution(
            kernel=np.ones((3, 3, 1, 1)), input_shape=(5, 5, 1)
        )
        with self.assertRaisesRegex(ValueError, r"x\.shape=\(1, 50\)"):
            convolution.apply(tf.ones([1, 50]))
        with self.assertRaisesRegex(ValueError, r"v\.shape=\(9,\)"):
            convolution.transpose(tf.ones([9]))


if __name__ == "__main__":
    absltest.main()
