"""Tests of tfcurv.nn.reading.linear_layers."""

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

from tfcurv import errors
from tfcurv import networks
from tfcurv.nn import layers as tfcurv_layers
from tfcurv.nn.reading import linear_layers

_L = keras.layers
_SEEDS = tuple(range(12))


def _randomise(layer, random):
    """Gives every weight random numbers, of a variance positive ones."""
    for weight in layer.weights:
        value = random.normal(size=weight.shape)
        weight.assign(np.abs(value) if "variance" in weight.path else value)


def _read(layer, shape, random):
    """Reads a layer with random weights, and compares it with the layer."""
    x = random.normal(size=(3, *shape))
    layer(tf.constant(x))
    _randomise(layer, random)
    expected = layer(tf.constant(x)).numpy()
    step = linear_layers.read_linear(layer, shape)
    found = step.map.apply(x.reshape(3, -1)) + step.bias
    np.testing.assert_array_equal(step.map.input_shape, shape)
    np.testing.assert_array_equal(step.map.output_shape, expected.shape[1:])
    size = 1.0 + np.abs(expected).max()
    np.testing.assert_allclose(
        np.reshape(found, expected.shape), expected, atol=1e-13 * size, rtol=0
    )
    return step


def _pick(random, *choices):
    return choices[random.integers(len(choices))]


def _sizes(random, rank, least, most):
    return tuple(int(n) for n in random.integers(least, most + 1, rank))


def _strides(random, rank, kind):
    """Strides or dilations, of which Keras allows one alone."""
    one = (1,) * rank
    if random.random() < 0.5:
        return {"strides": _sizes(random, rank, 1, 3), "dilation_rate": one}
    # On a CPU, TensorFlow dilates depthwise kernels by as much on all axes.
    dilation = _sizes(random, 1, 1, 3) * rank
    if kind == "Conv":
        dilation = _sizes(random, rank, 1, 3)
    return {"strides": one, "dilation_rate": dilation}


def _window(random, rank, kind):
    settings = _strides(random, rank, kind)
    if kind != "Conv":
        # So it is with the strides of depthwise kernels.
        settings["strides"] = settings["strides"][:1] * rank
    paddings = ["valid", "same"]
    if kind == "Conv" and rank == 1:
        paddings.append("causal")
    return {
        "kernel_size": _sizes(random, rank, 1, 3),
        "padding": _pick(random, *paddings),
        "use_bias": bool(random.integers(2)),
        "dtype": "float64",
        **settings,
    }


class ConvolutionTest(parameterized.TestCase):
    @parameterized.product(rank=(1, 2), seed=_SEEDS)
    def test_reads_any_convolution(self, rank, seed):
        random = np.random.default_rng(seed)
        groups = _pick(random, 1, 1, 1, 2, 3)
        layer = getattr(_L, f"Conv{rank}D")(
            filters=groups * int(random.integers(1, 4)),
            groups=groups,
            **_window(random, rank, "Conv"),
        )
        channels = groups * int(random.integers(1, 3))
        _read(layer, (*_sizes(random, rank, 7, 9), channels), random)

    @parameterized.product(rank=(1, 2), seed=_SEEDS)
    def test_reads_any_depthwise_convolution(self, rank, seed):
        random = np.random.default_rng(seed)
        layer = getattr(_L, f"DepthwiseConv{rank}D")(
            depth_multiplier=int(random.integers(1, 4)),
            **_window(random, rank, "Depthwise"),
        )
        channels = int(random.integers(1, 4))
        _read(layer, (*_sizes(random, rank, 7, 9), channels), random)

    @parameterized.product(rank=(1, 2), seed=_SEEDS)
    def test_reads_any_separable_convolution(self, rank, seed):
        random = np.random.default_rng(seed)
        layer = getattr(_L, f"SeparableConv{rank}D")(
            filters=int(random.integers(1, 4)),
            depth_multiplier=int(random.integers(1, 4)),
            **_window(random, rank, "Separable"),
        )
        channels = int(random.integers(1, 4))
        _read(layer, (*_sizes(random, rank, 7, 9), channels), random)

    @parameterized.parameters(
        ("Conv1D", (6, 2)),
        ("Conv2D", (5, 6, 2)),
        ("DepthwiseConv2D", (5, 6, 2)),
    )
    def test_reads_tfcurvs_own(self, name, shape):
        first = 3 if name.startswith("Depth") else 4
        layer = getattr(tfcurv_layers, name)(first, 3, dtype="float64")
        layer.build((None, *shape))
        for weight in layer.weights:
            weight.assign(np.random.default_rng(0).normal(size=weight.shape))
        stock = getattr(_L, name)(first, 3, dtype="float64")
        stock.build((None, *shape))
        kernel, bias, *_ = layer.weights
        stock.set_weights([kernel.numpy(), bias.numpy()])
        own = linear_layers.read_linear(layer, shape)
        other = linear_layers.read_linear(stock, shape)
        np.testing.assert_array_equal(own.map.kernel, other.map.kernel)
        np.testing.assert_array_equal(own.bias, other.bias)

    def test_leaves_the_activation_out(self):
        layer = _L.Conv1D(2, 2, activation="tanh", dtype="float64")
        layer.build((None, 4, 1))
        layer.bias.assign([5.0, 6.0])
        step = linear_layers.read_linear(layer, (4, 1))
        np.testing.assert_array_equal(step.bias, [5.0, 6.0] * 3)


class DenseTest(parameterized.TestCase):
    @parameterized.parameters(
        ((5,),), ((3, 5),), ((2, 3, 5),), ((2, 1, 3, 5),), ((2, 1, 2, 2, 3),)
    )
    def test_acts_on_the_last_axis(self, shape):
        random = np.random.default_rng(0)
        for use_bias in (True, False):
            layer = _L.Dense(4, use_bias=use_bias, dtype="float64")
            step = _read(layer, shape, random)
            norm = np.linalg.norm(layer.kernel.numpy(), 2)
            bound = step.map.norm_upper_bound()
            self.assertBetween(bound, norm * (1 - 1e-14), norm * (1 + 1e-6))

    def test_reads_tfcurvs_own(self):
        random = np.random.default_rng(0)
        _read(tfcurv_layers.Dense(4, dtype="float64"), (3,), random)

    def test_keeps_the_weights_as_they_were(self):
        layer = _L.Dense(2)
        layer.build((None, 3))
        step = linear_layers.read_linear(layer, (3,))
        before = layer.kernel.numpy()
        layer.kernel.assign(before + 1.0)
        np.testing.assert_array_equal(step.map.kernel, before)
        self.assertEqual(step.map.kernel.dtype, np.float64)
        self.assertEqual(step.roundings, 0)
        self.assertEqual(step.bias_error, 0.0)


class PoolingTest(parameterized.TestCase):
    @parameterized.product(rank=(1, 2), seed=_SEEDS)
    def test_reads_any_average_pooling(self, rank, seed):
        random = np.random.default_rng(seed)
        layer = getattr(_L, f"AveragePooling{rank}D")(
            _sizes(random, rank, 1, 4),
            strides=_pick(random, None, _sizes(random, rank, 1, 3)),
            padding=_pick(random, "valid", "same"),
            dtype="float64",
        )
        _read(layer, (*_sizes(random, rank, 4, 9), 2), random)

    @parameterized.product(rank=(1, 2), keepdims=(True, False))
    def test_reads_global_average_pooling(self, rank, keepdims):
        random = np.random.default_rng(0)
        layer = getattr(_L, f"GlobalAveragePooling{rank}D")(
            keepdims=keepdims, dtype="float64"
        )
        _read(layer, (5, 3, 4)[-rank - 1 :], random)


# The layer and the shape of its input.
_MOVES = (
    ("flatten", lambda: _L.Flatten(), (2, 3, 4)),
    ("flatten_flat", lambda: _L.Flatten(), (4,)),
    ("reshape", lambda: _L.Reshape((4, 6)), (2, 3, 4)),
    ("reshape_open", lambda: _L.Reshape((-1, 6)), (2, 3, 4)),
    ("permute_2", lambda: _L.Permute((2, 1)), (2, 3)),
    ("permute_3", lambda: _L.Permute((3, 1, 2)), (2, 3, 4)),
    ("permute_4", lambda: _L.Permute((2, 4, 3, 1)), (2, 3, 4, 5)),
    ("zeros_1", lambda: _L.ZeroPadding1D(2), (3, 2)),
    ("zeros_1_pair", lambda: _L.ZeroPadding1D((1, 2)), (3, 2)),
    ("zeros_2", lambda: _L.ZeroPadding2D(1), (2, 3, 2)),
    ("zeros_2_axes", lambda: _L.ZeroPadding2D((1, 2)), (2, 3, 2)),
    ("zeros_2_sides", lambda: _L.ZeroPadding2D(((1, 0), (2, 3))), (2, 3, 2)),
    ("crop_1", lambda: _L.Cropping1D((1, 2)), (5, 2)),
    ("crop_1_end", lambda: _L.Cropping1D((1, 0)), (5, 2)),
    ("crop_2", lambda: _L.Cropping2D(1), (4, 5, 2)),
    ("crop_2_sides", lambda: _L.Cropping2D(((0, 1), (2, 0))), (4, 5, 2)),
    ("copies_1", lambda: _L.UpSampling1D(3), (4, 2)),
    ("copies_2", lambda: _L.UpSampling2D(), (2, 3, 2)),
    ("copies_2_axes", lambda: _L.UpSampling2D((3, 2)), (2, 3, 4)),
)


class MovesTest(parameterized.TestCase):
    @parameterized.named_parameters(*_MOVES)
    def test_reads_what_moves_elements(self, make, shape):
        layer = make()
        layer.dtype_policy = "float64"
        _read(layer, shape, np.random.default_rng(0))

    def test_copies_have_the_norm_of_their_number(self):
        layer = _L.UpSampling2D((3, 2))
        linear = linear_layers.read_linear(layer, (2, 3, 4)).map
        self.assertAlmostEqual(linear.norm_upper_bound(), 6**0.5, places=9)


class RefusalTest(parameterized.TestCase):
    def _assert_refused(self, message, layer, shape, built=None):
        if not layer.built:
            layer.build((None, *(built or shape)))
        with self.assertRaisesRegex(errors.UnsupportedLayerError, message):
            linear_layers.read_linear(layer, shape)

    def test_names_an_interpolation_that_is_not_known(self):
        layer = _L.UpSampling2D(interpolation="bilinear", name="bad")
        self._assert_refused("bilinear.*'bad'", layer, (2, 2, 1))

    @parameterized.parameters(
        (lambda: _L.Dense(2, name="bad"), (3,), (4,)),
        (lambda: _L.Dense(2, name="bad"), (3, 3), (4,)),
        (lambda: _L.Conv1D(2, 2, name="bad"), (3, 3), (3, 2)),
        (lambda: _L.DepthwiseConv1D(2, name="bad"), (3, 3), (3, 2)),
        (lambda: _L.AveragePooling1D(5, name="bad"), (3, 3), (6, 3)),
    )
    def test_names_a_layer_that_does_not_fit(self, make, shape, built):
        self._assert_refused("fit.*'bad'", make(), shape, built)

    def test_refuses_what_keras_shapes_in_another_way(self):
        layer = _L.Permute((2, 1), name="bad")
        layer.compute_output_shape = lambda shape: shape
        self._assert_refused(r"\(3, 2\), and Keras.*'bad'", layer, (2, 3))

    @parameterized.parameters(True, False)
    def test_names_a_layer_whose_bias_was_switched(self, use_bias):
        # Dense adds a bias that it has, a convolution one that it may use.
        layer = _L.Dense(2, use_bias=use_bias, name="bad")
        layer.build((None, 4))
        layer.use_bias = not use_bias
        self._assert_refused("use_bias.*'bad'", layer, (4,))

    def test_refuses_lora_of_a_convolution(self):
        layer = _L.Conv1D(2, 2, name="bad")
        layer.build((None, 4, 3))
        layer.enable_lora(2)
        with self.assertRaisesRegex(errors.UnsupportedLayerError, "LoRA.*bad"):
            linear_layers.read_linear(layer, (4, 3))


class ReadersTest(absltest.TestCase):
    def test_have_tfcurvs_layers_beside_keras_own(self):
        for kind in (tfcurv_layers.Dense, tfcurv_layers.Conv2D):
            self.assertIn(kind, linear_layers.READERS)

    def test_only_of_layers_that_compute_what_keras_layers_do(self):
        for kind in linear_layers.READERS:
            stock = getattr(_L, kind.__name__)
            self.assertIs(kind.call, stock.call)

    def test_give_linear_maps(self):
        layer = _L.Flatten()
        step = linear_layers.read_linear(layer, (2, 3))
        self.assertIsInstance(step.map, networks.LinearMap)
        self.assertEqual(step.bias.dtype, np.float64)


if __name__ == "__main__":
    absltest.main()
