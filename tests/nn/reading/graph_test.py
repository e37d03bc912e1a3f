"""Tests of tfcurv.nn.reading.graph."""

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np

import graph_oracle as oracle
import tfcurv
from tfcurv import errors
from tfcurv import networks
from tfcurv.nn.reading import graph

_L = keras.layers
_Kind = graph.Kind


def _residual_network():
    """Blocks as of a residual network, with everything that is usual."""
    x = keras.Input((9, 8, 3))
    value = _L.Normalization(mean=[0.5, 1.0, -1.0], variance=[4.0, 1.0, 0.25])(
        x
    )
    value = _L.RandomFlip()(value, training=False)
    value = _L.ZeroPadding2D(((1, 0), (0, 1)))(value)
    value = _L.Conv2D(4, 3, strides=2, padding="same", use_bias=False)(value)
    value = _L.BatchNormalization()(value)
    value = _L.Activation("softplus")(value)
    for filters, strides in ((4, 1), (6, 2)):
        inner = _L.Conv2D(filters, 3, strides=strides, padding="same")(value)
        inner = _L.BatchNormalization(center=False)(inner)
        inner = _L.Activation("silu")(inner)
        inner = _L.SpatialDropout2D(0.5)(inner)
        inner = _L.SeparableConv2D(filters, 3, padding="same")(inner)
        if strides > 1:
            value = _L.Conv2D(filters, 1, strides=strides)(value)
        value = _L.ELU()(_L.Add()([inner, value]))
    value = _L.GlobalAveragePooling2D()(value)
    return keras.Model(x, _L.Dense(3)(_L.Dropout(0.5)(value)))


def _branched_network():
    """Branches of several kinds, joined along several axes."""
    x = keras.Input((6, 5, 2))
    left = _L.Conv2D(3, 1, activation="tanh")(x)
    right = _L.DepthwiseConv2D(3, padding="same", activation="mish")(x)
    joined = _L.Concatenate()([left, right, x])
    pooled = _L.AveragePooling2D(2, strides=1, padding="same")(joined)
    longer = _L.Concatenate(axis=1)([joined, pooled])
    wider = _L.Concatenate(axis=-2)([joined, pooled])
    halves = [
        _L.Flatten()(_L.AveragePooling2D(2)(longer)),
        _L.Flatten()(_L.Cropping2D(1)(wider)),
    ]
    return keras.Model(x, _L.Dense(3)(_L.Concatenate()(halves)))


def _signal_network():
    return oracle.sequential(
        _L.GaussianNoise(0.1),
        _L.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="mish"),
        _L.AveragePooling1D(2, padding="same"),
        _L.Permute((2, 1)),
        _L.Dense(5, activation="softsign"),
        _L.Reshape((5, 4)),
        _L.UpSampling1D(2),
        _L.GlobalAveragePooling1D(),
        _L.Dense(3),
        shape=(11, 2),
    )


def _nested_network():
    """An inner model of open shape, one within it, and a table's columns."""
    inner = oracle.sequential(
        _L.Conv1D(3, 2, activation="tanh"), _L.Dropout(0.1), shape=(None, 2)
    )
    y = keras.Input((None, 2))
    middle = keras.Model(y, _L.Conv1D(2, 1)(inner(y)))
    x = keras.Input((12,))
    value = middle(_L.Reshape((6, 2))(x)) + _L.Reshape((5, 2))(_L.Dense(10)(x))
    outputs = _L.Dense(3)(_L.Flatten()(_L.Activation("sigmoid")(value)))
    return tfcurv.Sequential([keras.Input((12,)), keras.Model(x, outputs)])


def _twice_added():
    x = keras.Input((4,))
    hidden = _L.Dense(4, activation="tanh")(x)
    both = _L.Add()([hidden, hidden, x])
    return keras.Model(x, _L.Dense(3)(_L.Concatenate()([both, both])))


def _shared_source():
    """A source that is read by a near and by a distant layer."""
    x = keras.Input((4,))
    first = _L.Dense(4, activation="tanh")(x)
    value = first
    for _ in range(3):
        value = value + _L.Dense(4, activation="softplus")(value)
    return keras.Model(x, _L.Dense(3)(keras.ops.add(value, first) + x))


_NETWORKS = (
    ("residual", _residual_network),
    ("branched", _branched_network),
    ("signal", _signal_network),
    ("nested", _nested_network),
    ("twice_added", _twice_added),
    ("shared_source", _shared_source),
)


class AgreementTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        # keras.Input rounds to it, within a model too.
        oracle.in_float64(self)

    @parameterized.named_parameters(*_NETWORKS)
    def test_computes_what_the_model_does(self, make):
        oracle.assert_agrees(make())

    def test_a_layer_is_read_on_the_shape_of_this_model(self):
        layer = _L.Rescaling([[1.0], [2.0]])
        layer(keras.Input((3, 2, 6)))
        x = keras.Input((1, 2, 6))
        model = keras.Model(x, _L.Dense(3)(_L.Flatten()(layer(x))))
        oracle.assert_agrees(model)

    @parameterized.parameters(*networks.ACTIVATIONS)
    def test_applies_every_activation_in_a_convolution(self, name):
        model = oracle.sequential(
            _L.Conv1D(2, 2, activation=name),
            _L.DepthwiseConv1D(2, activation=name),
            _L.SeparableConv1D(2, 2, activation=name),
            _L.Flatten(),
            _L.Dense(3),
            shape=(5, 2),
        )
        # Keras has the constant of gelu in float32.
        read = oracle.assert_agrees(model, 3e-7 if name == "gelu" else 1e-12)
        self.assertLen(read.nodes, 6 if name == "linear" else 9)

    def test_reads_a_part_of_a_model(self):
        whole = _residual_network()
        cut = [n for n in whole.layers if type(n) is _L.Add][0].output
        part = keras.Model(cut, whole.outputs[0])
        head = oracle.sequential(_L.Dense(6), shape=(3,))
        x = keras.Input(cut.shape[1:])
        oracle.assert_agrees(keras.Model(x, head(part(x))))

    def test_a_very_deep_model(self):
        x = value = keras.Input((2,))
        for _ in range(600):
            value = value + x
        read = graph.read_graph(keras.Model(x, _L.Dense(2)(value)))
        self.assertLen(read.nodes, 602)

    def test_an_attribute_that_keras_never_looks_at_is_no_activation(self):
        model = oracle.sequential(
            _L.Dense(4, activation="tanh"), _L.BatchNormalization(), _L.Dense(3)
        )
        model.layers[1].activation = keras.activations.softplus
        oracle.assert_agrees(model, tolerance=1e-5)
        self.assertNotIn("softplus", oracle.names(model))


class NodesTest(parameterized.TestCase):
    @parameterized.parameters(*networks.ACTIVATIONS)
    def test_knows_every_activation_in_and_out_of_a_layer(self, name):
        inside = oracle.sequential(_L.Dense(5, activation=name), _L.Dense(3))
        outside = oracle.sequential(
            _L.Dense(5), _L.Activation(name), _L.Dense(3)
        )
        expected = ["linear", name, "linear"]
        if name == "linear":
            expected.remove(name)
        self.assertEqual(oracle.names(inside), expected)
        self.assertEqual(oracle.names(outside), expected)

    @parameterized.named_parameters(
        ("flatten", _L.Flatten),
        ("identity", _L.Identity),
        ("dropout", lambda: _L.Dropout(0.5)),
        ("alpha_dropout", lambda: _L.AlphaDropout(0.5)),
        ("gaussian_dropout", lambda: _L.GaussianDropout(0.5)),
        ("gaussian_noise", lambda: _L.GaussianNoise(0.5)),
        ("reshape", lambda: _L.Reshape((4,))),
        ("linear", lambda: _L.Activation("linear")),
        ("activity", lambda: _L.ActivityRegularization(0.1)),
    )
    def test_passes_over(self, layer):
        model = oracle.sequential(layer(), _L.Dense(3), last := _L.Dense(3))
        self.assertEqual(oracle.names(model), ["linear", "linear"])
        self.assertIs(graph.read_graph(model).layers[-1], last)

    @parameterized.named_parameters(
        ("flip", _L.RandomFlip),
        ("rotation", lambda: _L.RandomRotation(0.3)),
        ("translation", lambda: _L.RandomTranslation(0.3, 0.3)),
        ("zoom", lambda: _L.RandomZoom(0.3)),
        ("contrast", lambda: _L.RandomContrast(0.5)),
        ("brightness", lambda: _L.RandomBrightness(0.5)),
        ("spatial_dropout", lambda: _L.SpatialDropout2D(0.5)),
    )
    def test_passes_over_what_augments_images(self, make):
        layer = make()
        x = np.random.default_rng(0).normal(0, 200, (2, 5, 4, 3))
        x = x.astype(np.float32)
        np.testing.assert_array_equal(layer(x, training=False), x)
        model = oracle.sequential(
            layer, _L.Flatten(), _L.Dense(3), shape=(5, 4, 3)
        )
        found = oracle.names(model, in_training=True)
        self.assertEqual(found, ["linear", "linear"])

    def test_are_a_fused_layers_map_and_activation(self):
        model = oracle.sequential(
            layer := _L.Conv1D(2, 3, activation="tanh"),
            _L.Flatten(),
            _L.Dense(3),
            shape=(5, 4),
        )
        read = graph.read_graph(model)
        first, linear, activation, *_ = read.nodes
        self.assertEqual(first[:3], (_Kind.INPUT, (), (5, 4)))
        self.assertEqual(linear[:3], (_Kind.LINEAR, (0,), (3, 2)))
        self.assertEqual(activation[:3], (_Kind.ACTIVATION, (1,), (3, 2)))
        self.assertEqual(read.layers[:3], (model, layer, layer))
        self.assertIs(activation.activation, networks.activation("tanh"))

    def test_name_the_layers_that_join(self):
        x = keras.Input((3, 4))
        add, join = _L.Add(), _L.Concatenate(axis=1)
        outputs = _L.Dense(3)(_L.Flatten()(join([add([x, x]), x])))
        read = graph.read_graph(keras.Model(x, outputs))
        _, added, joined, *_ = read.nodes
        self.assertEqual(added[:3], (_Kind.ADD, (0, 0), (3, 4)))
        self.assertEqual(joined[:3], (_Kind.CONCATENATE, (1, 0), (6, 4)))
        self.assertEqual(joined.axis, 0)
        self.assertEqual(read.layers[1:3], (add, join))
        self.assertEqual(joined.name, join.name)

    def test_of_an_activation_layer_that_is_one_of_the_known(self):
        model = oracle.sequential(_L.Dense(4), _L.ELU(), _L.Dense(3))
        self.assertEqual(oracle.names(model), ["linear", "elu", "linear"])

    @parameterized.named_parameters(
        (
            "layer",
            lambda: oracle.sequential(_L.Dense(4), _L.ReLU(), _L.Dense(3)),
        ),
        ("fused", lambda: oracle.sequential(_L.Dense(4, "relu"), _L.Dense(3))),
    )
    def test_of_relu_are_for_those_who_ask(self, make):
        model = make()
        with self.assertRaisesRegex(
            errors.UnsupportedActivationError, "activation='relu'"
        ):
            graph.read_graph(model)
        self.assertEqual(
            oracle.names(model, with_kinks=True), ["linear", "relu", "linear"]
        )

    def test_are_read_from_a_layer_without_an_activation(self):
        model = oracle.sequential(_L.Dense(3, activation="softmax"))
        model.layers[-1].activation = None
        self.assertEqual(oracle.names(model), ["linear"])

    @parameterized.named_parameters(
        ("called", lambda model: model(np.ones((2, 4), np.float32))),
        ("built", lambda model: model.build((None, 4))),
    )
    def test_of_a_sequential_model_once_it_is_built(self, make):
        model = keras.Sequential([_L.Dense(5, activation="tanh"), _L.Dense(3)])
        make(model)
        self.assertEqual(oracle.names(model), ["linear", "tanh", "linear"])

    def test_of_a_layer_that_stands_twice_in_a_sequence(self):
        shared = _L.Dense(4, activation="tanh")
        model = oracle.sequential(
            shared, oracle.sequential(shared), _L.Dense(3)
        )
        _, first, _, second, *_ = graph.read_graph(model).layers
        self.assertIs(first, second)

    def test_of_dropout_that_is_forced_are_those_of_inference(self):
        x = keras.Input((4,))
        model = keras.Model(x, _L.Dense(3)(_L.Dropout(0.5)(x, training=True)))
        self.assertEqual(oracle.names(model, in_training=True), ["linear"])

    @parameterized.named_parameters(
        ("after_pooling", lambda x: _L.GlobalAveragePooling1D()(x)),
        ("joined", lambda x: _L.Flatten()(x) + _L.Dense(6)(_L.Flatten()(x))),
    )
    def test_of_an_activation_that_is_no_head(self, after):
        x = keras.Input((2, 3))
        outputs = after(_L.Dense(3, activation="tanh")(x))
        self.assertIn("tanh", oracle.names(keras.Model(x, outputs)))


if __name__ == "__main__":
    absltest.main()
