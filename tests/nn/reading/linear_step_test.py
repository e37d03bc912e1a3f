"""Tests of what a caller may say of layers that are not known."""

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np

import graph_oracle as oracle
from tfcurv import errors
from tfcurv import networks
from tfcurv.nn.reading import graph
from tfcurv.nn.reading.linear_step import LinearMapSpec

_L = keras.layers


class _Square(keras.layers.Layer):
    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        return self.factor * x


class _Custom(keras.Model):
    def call(self, x):
        return keras.ops.flip(x, -1)


def _twice(x):
    return 2.0 * x


class AssumptionTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        # keras.Input rounds to it, within a model too.
        oracle.in_float64(self)

    @parameterized.named_parameters(
        ("layer", lambda: _Square(3.0, name="odd"), 3.0 * np.eye(4)),
        ("model", lambda: _Custom(name="odd"), np.eye(4)[::-1]),
        ("lambda", lambda: _L.Lambda(_twice, name="odd"), 2.0 * np.eye(4)),
        (
            "activation",
            lambda: _L.Activation(_twice, name="odd"),
            2 * np.eye(4),
        ),
        ("fused", lambda: _dense_of_ones(), 2.0 * np.ones((4, 4))),
    )
    def test_may_say_which_linear_map_a_layer_is(self, make, kernel):
        odd = make()
        model = oracle.sequential(
            _L.Dense(4, activation="tanh"), odd, _L.Dense(3)
        )
        with self.assertRaises(errors.UnsupportedModelError):
            graph.read_graph(model)
        assume = {"odd": LinearMapSpec(map=kernel)}
        if odd.weights:
            read = graph.read_graph(model, assume=assume)
        else:
            read = oracle.assert_agrees(model, assume=assume)
        self.assertEqual(read.assumptions, ("odd",))
        self.assertIs(read.layers[3], odd)

    def test_may_give_a_bias_and_an_operator(self):
        linear = networks.Identity(input_shape=(2, 2), output_shape=(4,))
        said = LinearMapSpec(map=linear, bias=[1.0, 2.0, 3.0, 4.0])
        odd = _L.Lambda(
            lambda x: keras.ops.reshape(x, (-1, 4)) + np.arange(1.0, 5.0),
            output_shape=(4,),
            name="odd",
        )
        model = oracle.sequential(odd, _L.Dense(3), shape=(2, 2))
        read = oracle.assert_agrees(model, assume={"odd": said})
        self.assertEqual(read.nodes[1].shape, (4,))

    def test_may_say_which_activation_a_layer_is(self):
        odd = _L.Lambda(lambda x: keras.ops.tanh(x), name="odd")
        model = oracle.sequential(_L.Dense(4), odd, _L.Dense(3))
        assume = {"odd": networks.activation("tanh")}
        self.assertEqual(oracle.names(model, assume=assume)[1], "tanh")
        oracle.assert_agrees(model, assume=assume)

    def test_of_the_identity_gives_no_node(self):
        odd = _L.Lambda(lambda x: x, name="odd")
        model = oracle.sequential(_L.Dense(4), odd, _L.Dense(3))
        for said in (
            networks.activation("linear"),
            LinearMapSpec(map=networks.Identity(input_shape=(4,))),
        ):
            read = graph.read_graph(model, assume={"odd": said})
            self.assertLen(read.nodes, 3)
            self.assertEqual(read.assumptions, ("odd",))

    def test_of_a_shift_alone_gives_a_node(self):
        odd = _L.Lambda(lambda x: x + 1.0, name="odd")
        model = oracle.sequential(_L.Dense(4), odd, _L.Dense(3))
        identity = networks.Identity(input_shape=(4,))
        said = LinearMapSpec(map=identity, bias=np.ones(4))
        oracle.assert_agrees(model, assume={"odd": said})

    def test_may_be_about_an_operation(self):
        x = keras.Input((4,))
        value = keras.ops.multiply(_L.Dense(4)(x), 3.0)
        name = value._keras_history.operation.name
        model = keras.Model(x, _L.Dense(3)(keras.ops.tanh(value)))
        tanh = model.operations[-2].name
        assume = {
            name: LinearMapSpec(map=3.0 * np.eye(4)),
            tanh: networks.activation("tanh"),
        }
        self.assertEqual(
            oracle.assert_agrees(model, assume=assume).assumptions, (name, tanh)
        )

    def _assert_refused(self, message, model, said, error=ValueError):
        with self.assertRaisesRegex(error, message):
            graph.read_graph(model, assume={"odd": said})

    @parameterized.parameters(
        lambda: _L.Dense(4, name="odd"),
        lambda: _L.Dropout(0.5, name="odd"),
        lambda: _L.Activation("tanh", name="odd"),
        lambda: _sequential_named("odd", _L.Dense(4)),
    )
    def test_is_not_about_what_is_known(self, make):
        model = oracle.sequential(make(), _L.Dense(3))
        for said in (LinearMapSpec(map=np.eye(4)), networks.activation("tanh")):
            self._assert_refused(r"not known.*assume\['odd'\]", model, said)

    def test_is_not_about_the_activation_within_a_layer(self):
        model = oracle.sequential(_L.Dense(4, _twice, name="odd"), _L.Dense(3))
        self._assert_refused(
            "layer of its own", model, networks.activation("tanh")
        )

    def test_does_not_replace_a_scale_that_is_no_number(self):
        model = oracle.sequential(_L.Rescaling(np.nan, name="odd"), _L.Dense(3))
        self._assert_refused(
            "NaN.*'odd'",
            model,
            LinearMapSpec(map=np.eye(4)),
            errors.NonFiniteWeightsError,
        )

    def test_must_be_about_some_layer(self):
        model = oracle.sequential(
            _L.Dense(4, name="one"), _L.Dense(3, name="two")
        )
        self._assert_refused(
            r"\['odd'\].*\['one', 'two'\]", model, networks.activation("tanh")
        )

    def test_must_be_about_one_layer(self):
        inner = oracle.sequential(_L.Lambda(_twice, name="odd"))
        model = oracle.sequential(
            _L.Lambda(_twice, name="odd"), inner, _L.Dense(3)
        )
        self._assert_refused(
            "about one layer", model, LinearMapSpec(map=2 * np.eye(4))
        )

    def test_must_fit_the_layer(self):
        odd = _L.Lambda(lambda x: x[:, :2], output_shape=(2,), name="odd")
        model = oracle.sequential(odd, _L.Dense(3))
        for said in (
            LinearMapSpec(map=np.eye(4)),
            LinearMapSpec(map=np.eye(2)),
            networks.activation("tanh"),
        ):
            self._assert_refused(r"fit.*assume\['odd'\]", model, said)

    def test_must_be_a_map_or_an_activation(self):
        model = oracle.sequential(_L.Lambda(_twice, name="odd"), _L.Dense(3))
        for said in (np.eye(4), "tanh", None):
            self._assert_refused(r"assume\['odd'\]", model, said, TypeError)

    def test_cannot_raise_the_precision(self):
        odd = _L.Lambda(_twice, name="odd", dtype="mixed_float16")
        model = oracle.sequential(odd, _L.Dense(3))
        self._assert_refused(
            "mixed_float16.*'odd'",
            model,
            LinearMapSpec(map=2 * np.eye(4)),
            errors.UnsupportedLayerError,
        )

    def test_cannot_join(self):
        x = keras.Input((4,))
        y = _L.Multiply(name="odd")([x, _L.Dense(4)(x)])
        self._assert_refused(
            "joins.*'odd'",
            keras.Model(x, _L.Dense(3)(y)),
            LinearMapSpec(map=np.eye(4)),
            errors.UnsupportedLayerError,
        )

    @parameterized.parameters(
        {"map": np.ones(3)},
        {"map": [[1.0, np.nan]]},
        {"map": np.eye(2), "bias": np.ones(3)},
        {"map": np.eye(2), "bias": [1.0, np.inf]},
        {"map": np.eye(2), "bias": 1.0},
    )
    def test_must_be_finite_and_of_one_shape(self, **settings):
        with self.assertRaisesRegex(ValueError, "Received: (map|bias)"):
            LinearMapSpec(**settings)

    def test_is_not_changed_from_outside(self):
        kernel = np.eye(2)
        said = LinearMapSpec(map=kernel)
        kernel[0, 0] = 5.0
        np.testing.assert_array_equal(said.step.map.kernel, np.eye(2))
        np.testing.assert_array_equal(said.step.bias, np.zeros(2))


def _dense_of_ones():
    return _L.Dense(4, _twice, False, "ones", name="odd")


def _sequential_named(name, *layers):
    return keras.Sequential([keras.Input((4,)), *layers], name=name)


if __name__ == "__main__":
    absltest.main()
