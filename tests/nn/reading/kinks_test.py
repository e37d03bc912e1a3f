"""Tests of how tfcurv.nn reads maxima and activations with kinks."""

from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

import graph_oracle as oracle
import tfcurv
from tfcurv import errors
from tfcurv import networks
from tfcurv.networks.functions import kinked
from tfcurv.nn.reading import graph
from tfcurv.nn.reading import network as adapter
from tfcurv.nn.reading import reasons

_L = keras.layers

_POOLING = (
    ("plain", lambda: _L.MaxPooling2D(), (5, 6, 2)),
    ("overlaps", lambda: _L.MaxPooling2D(3, 2), (6, 7, 2)),
    ("same", lambda: _L.MaxPooling2D((3, 2), (2, 1), "same"), (5, 6, 2)),
    ("gaps", lambda: _L.MaxPooling2D(2, 3, "same"), (7, 8, 1)),
    ("signal", lambda: _L.MaxPooling1D(3, 2, "same"), (7, 2)),
    ("whole", lambda: _L.GlobalMaxPooling2D(), (4, 3, 2)),
    ("kept", lambda: _L.GlobalMaxPooling2D(keepdims=True), (4, 3, 2)),
    ("whole_signal", lambda: _L.GlobalMaxPooling1D(), (4, 3)),
)
_ACTIVATIONS = (
    ("leaky", lambda: _L.LeakyReLU(), "leaky_relu"),
    ("leaky_tenth", lambda: _L.LeakyReLU(0.1), "leaky_relu"),
    ("not_leaky", lambda: _L.LeakyReLU(0.0), "relu"),
    ("relu", lambda: _L.ReLU(), "relu"),
    ("relu6", lambda: _L.ReLU(6.0), "relu6"),
    ("cut", lambda: _L.ReLU(0.7), "relu"),
    ("sloped", lambda: _L.ReLU(negative_slope=0.3), "leaky_relu"),
    ("cut_and_sloped", lambda: _L.ReLU(0.7, 0.3), "relu"),
    ("named", lambda: _L.Activation("leaky_relu"), "leaky_relu"),
    ("named_relu6", lambda: _L.Activation("relu6"), "relu6"),
    ("tensorflow", lambda: _L.Activation(tf.nn.leaky_relu), "leaky_relu"),
    ("layer_in_layer", lambda: _L.Activation(_L.ReLU(0.7)), "relu"),
    ("elu", lambda: _L.ELU(0.1), "elu"),
    ("selu", lambda: _L.Activation("selu"), "selu"),
    ("hard_tanh", lambda: _L.Activation("hard_tanh"), "hard_tanh"),
    ("hard_silu", lambda: _L.Activation("hard_swish"), "hard_silu"),
    ("hard_sigmoid", lambda: _L.Activation("hard_sigmoid"), "hard_sigmoid"),
    ("abs", lambda: _L.Activation(keras.ops.abs), "absolute"),
    ("absolute", lambda: _L.Activation(keras.ops.absolute), "absolute"),
    ("tensorflow_abs", lambda: _L.Activation(tf.abs), "absolute"),
    ("own_abs", lambda: _L.Activation(tfcurv.layers.absolute), "absolute"),
)


class ReadingTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        oracle.in_float64(self)

    @parameterized.named_parameters(*_POOLING)
    def test_takes_the_maxima_that_keras_takes(self, make, shape):
        model = oracle.sequential(make(), _L.Flatten(), shape=shape)
        model.add(_L.Dense(2))
        read = oracle.assert_agrees(model, with_kinks=True)
        self.assertIs(read.nodes[1].kind, networks.Kind.MAXIMUM)
        # Where a padding of zeros would show.
        negative = -np.random.default_rng(0).uniform(1.0, 2.0, (3, *shape))
        np.testing.assert_allclose(
            oracle.evaluate(read, negative), model(negative), rtol=1e-12
        )

    @parameterized.named_parameters(*_ACTIVATIONS)
    def test_bends_as_keras_bends(self, make, name):
        model = oracle.sequential(_L.Dense(6), make(), _L.Dense(3))
        self.assertEqual(
            oracle.names(model, with_kinks=True), ["linear", name, "linear"]
        )
        # To the last bit: a slope of 0.3 in float32 is another in float64.
        oracle.assert_agrees(model, 1e-14, with_kinks=True)

    def test_a_maximum_may_give_the_logits(self):
        model = oracle.sequential(
            _L.Conv1D(3, 2), _L.GlobalMaxPooling1D(), shape=(5, 2)
        )
        oracle.assert_agrees(model, with_kinks=True)


class CheckedTest(parameterized.TestCase):
    def test_proves_no_norm_and_makes_no_chain(self):
        model = oracle.sequential(
            _L.Conv2D(2, 3),
            _L.BatchNormalization(),
            _L.LeakyReLU(),
            _L.MaxPooling2D(),
            _L.Flatten(),
            _L.Dense(3),
            shape=(8, 8, 1),
        )
        with (
            mock.patch.object(networks.LinearMap, "norm_upper_bound") as norm,
            mock.patch.object(networks, "chain_of") as chain,
        ):
            adapter.read_checked(model)
        norm.assert_not_called()
        chain.assert_not_called()

    def test_finds_out_a_layer_that_does_something_else(self):
        model = oracle.sequential(_L.Dense(4), _L.LeakyReLU(), _L.Dense(3))
        true = model.layers[1].negative_slope
        found = adapter.read_checked(model)
        model.layers[1].negative_slope = 0.9
        with mock.patch.object(graph.Survey, "reading", lambda _: found):
            with self.assertRaisesRegex(
                errors.UnsupportedModelError, "does not compute"
            ):
                adapter.read_checked(model)
        model.layers[1].negative_slope = true
        adapter.read_checked(model)

    def test_names_a_weight_that_is_no_number(self):
        model = oracle.sequential(_L.Dense(4), _L.LeakyReLU(), _L.Dense(3))
        model.layers[0].bias.assign([0.0, np.nan, 0.0, 0.0])
        with self.assertRaisesRegex(errors.NonFiniteWeightsError, "bias"):
            adapter.read_checked(model)


class RefusalTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("max_pooling", lambda: _L.MaxPooling1D(name="bad")),
        ("global", lambda: _L.GlobalMaxPooling1D(name="bad")),
        ("leaky", lambda: _L.LeakyReLU(name="bad")),
        ("named", lambda: _L.Activation("leaky_relu", name="bad")),
        ("relu6", lambda: _L.Activation("relu6", name="bad")),
        ("cut", lambda: _L.ReLU(3.0, name="bad")),
        ("absolute", lambda: _L.Activation(keras.ops.abs, name="bad")),
        ("operation", lambda: keras.ops.leaky_relu),
        ("absolute_operation", lambda: keras.ops.abs),
    )
    def test_of_kinks_tells_what_needs_no_curvature(self, make):
        x = keras.Input((4, 2))
        bent = make()(_L.Conv1D(3, 2, activation="tanh")(x))
        model = keras.Model(x, _L.Dense(2)(_L.Flatten()(bent)))
        self.assertEmpty(tfcurv.check(model))
        (problem,) = tfcurv.check(model, method="curvature")
        self.assertRegex(problem.reason, "kinks|no plain ReLU|piecewise")
        self.assertIn("method='bcp'", problem.remedy)
        for ask in (tfcurv.network_from_model, graph.read_graph):
            with self.assertRaisesRegex(
                errors.UnsupportedModelError, "method='bcp'"
            ):
                ask(model)
        adapter.read_checked(model)

    def test_has_a_reason_for_every_kink(self):
        known = {fn.name for fn in (*kinked.KINKED, networks.RELU6)}
        self.assertContainsSubset(known, reasons.FUNCTIONS)

    def test_of_relu_in_two_places_tells_it_too(self):
        model = oracle.sequential(
            _L.Dense(4, "relu"), _L.Dense(4, "relu"), _L.Dense(2)
        )
        for problem in tfcurv.check(model, method="curvature"):
            self.assertIn("method='bcp'", problem.remedy)
        adapter.read_checked(model)

    def test_of_a_maximum_that_was_changed(self):
        pooling = _L.MaxPooling2D(name="bad")
        model = oracle.sequential(
            pooling, _L.Flatten(), _L.Dense(2), shape=(4, 4, 1)
        )
        for name, value, message in (
            ("pool_mode", "average", "pool_mode"),
            ("strides", (1, 1), "Keras says"),
            ("strides", None, "does not fit"),
        ):
            with mock.patch.object(pooling, name, value):
                with self.assertRaisesRegex(
                    errors.UnsupportedLayerError, f"{message}.*'bad'"
                ):
                    adapter.read_checked(model)

    def test_of_a_threshold_where_the_function_jumps(self):
        model = oracle.sequential(
            _L.Dense(4), _L.ReLU(threshold=0.5, name="bad"), _L.Dense(2)
        )
        with self.assertRaisesRegex(
            errors.UnsupportedLayerError, "jumps.*'bad'"
        ):
            adapter.read_checked(model)

    def test_of_a_layer_in_place_of_a_function(self):
        bad = _L.Dense(4, activation=_L.ELU(0.5), name="bad")
        model = oracle.sequential(bad, _L.Dense(2))
        (problem,) = tfcurv.check(model, method="curvature")
        self.assertIn("alpha=0.5", problem.reason)
        # The one that the model lists.
        self.assertEqual(problem.layer, "bad")
        adapter.read_checked(model)

    @parameterized.parameters("PReLU", "AdaptiveMaxPooling1D")
    def test_of_what_no_method_takes_promises_nothing(self, name):
        settings = {} if name == "PReLU" else {"output_size": 2}
        model = oracle.sequential(
            getattr(_L, name)(**settings), _L.Flatten(), shape=(4, 2)
        )
        model.add(_L.Dense(2))
        (problem,) = tfcurv.check(model)
        self.assertNotIn("bcp", problem.remedy)


if __name__ == "__main__":
    absltest.main()
