"""Tests of operations that are no layers, and of functions by what they are."""

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

import graph_oracle as oracle
import tfcurv
from tfcurv import errors
from tfcurv import networks
from tfcurv import numerics
from tfcurv.nn.reading import graph

_L = keras.layers
_SHAPE = (3, 2, 4)
_CHANNELS = np.array([0.5, -2.0, 3.0, 0.25])
_ROWS = np.arange(1.0, 4.0).reshape(3, 1, 1)

_AFFINE = {
    "quotient": lambda x: x / 255.0,
    "product": lambda x: 3 * x,
    "sum": lambda x: 1 + x,
    "difference": lambda x: x - 0.1,
    "remainder": lambda x: 0.1 - x,
    "opposite": lambda x: -x,
    "standardised": lambda x: (x - _CHANNELS) / (_CHANNELS**2 + 1.0),
    "channels": lambda x: x * _CHANNELS.astype(np.float32),
    "channels_first": lambda x: tf.constant(_CHANNELS) * x,
    "whole": lambda x: x + np.ones((1, *_SHAPE)),
    "rows": lambda x: x + _ROWS,
    "integers": lambda x: x * np.arange(4),
    "divided": lambda x: keras.ops.divide(x, 2.0),
}


def _model(operation, shape=_SHAPE, **settings):
    x = keras.Input(shape, **settings)
    hidden = _L.Dense(3, activation="tanh")(_L.Flatten()(operation(x)))
    return keras.Model(x, _L.Dense(2)(hidden))


class AffineTest(parameterized.TestCase):
    @parameterized.named_parameters(_AFFINE.items())
    def test_computes_what_numpy_does(self, operation):
        read = graph.read_graph(_model(operation))
        x = np.random.default_rng(0).normal(size=(5, *_SHAPE))
        value = tf.constant(x.reshape(5, -1))
        for node, layer in zip(read.nodes[1:], read.layers[1:]):
            if isinstance(layer, keras.layers.Layer):
                break
            value = node.step.map.apply(value) + node.step.bias
        exact = np.asarray(operation(x)).reshape(5, -1)
        np.testing.assert_allclose(value, exact, rtol=1e-14, atol=1e-14)

    @parameterized.named_parameters(_AFFINE.items())
    def test_agrees_with_the_model(self, operation):
        oracle.assert_agrees(_model(operation), 1e-5)

    @parameterized.product(
        number=(0.1, 255.0, 1.0 / 3.0, 2**24 + 1, np.float64(0.7)),
        role=("*", "/", "+", "-"),
    )
    def test_covers_the_stored_number_and_that_of_float32(self, number, role):
        apply = {
            "*": lambda x, c: x * c,
            "/": lambda x, c: x / c,
            "+": lambda x, c: x + c,
            "-": lambda x, c: x - c,
        }[role]
        node = graph.read_graph(_model(lambda x: apply(x, number))).nodes[1]
        linear, bias, roundings, error = node.step
        entry = float(linear.scale) if role in "*/" else float(bias[0])
        for said in (float(number), float(np.float32(number))):
            if role in "*/":
                apart = abs(entry - apply(1.0, said))
                slack = numerics.gamma(roundings)
                self.assertLessEqual(apart, slack * abs(entry))
            else:
                apart = abs(entry - apply(0.0, said)) * np.sqrt(24.0)
                self.assertLessEqual(apart, error)

    def test_reads_what_the_array_holds_now(self):
        array = np.array([1.0, 2.0, 3.0, 4.0])
        model = _model(lambda x: x * array)
        array[:] = 7.0
        step = graph.read_graph(model).nodes[1].step
        np.testing.assert_array_equal(step.map.scale, np.full(4, 7.0))
        array[:] = 1.0
        np.testing.assert_array_equal(step.map.scale, np.full(4, 7.0))

    def test_gives_the_network_of_the_layer_that_does_the_same(self):
        found = []
        for scaled in (lambda x: x / 256.0, _L.Rescaling(1 / 256.0)):
            keras.utils.set_random_seed(0)
            found.append(tfcurv.network_from_model(_model(scaled)))
        for first, second in zip(*(each.affines for each in found)):
            np.testing.assert_array_equal(first.kernel, second.kernel)
            np.testing.assert_array_equal(first.bias, second.bias)
        # 1 / 256 is exact, which the division is not known to be.
        first, second = (each.affines[0].kernel_error for each in found)
        self.assertGreater(first, second)
        self.assertLess(first, 1e-13)

    def test_carries_the_rounding_of_its_constant(self):
        errors_of = [
            tfcurv.network_from_model(_model(operation)).affines[0]
            for operation in (lambda x: x * 0.5, lambda x: x * 0.1)
        ]
        exact, rounded = (each.kernel_error for each in errors_of)
        self.assertLess(exact, 1e-12)
        self.assertGreater(rounded, 2.0**-24 * 0.1)


_REFUSED = {
    "reciprocal": (lambda x: 255.0 / x, "divides by"),
    "power": (lambda x: x**2, "not linear"),
    "whole_quotient": (lambda x: x // 2, "jumps"),
    "product": (lambda x: x * x, "not linear"),
    "quotient": (lambda x: x / (x + 1.0), "not linear"),
    "batch": (lambda x: x + np.ones((8, 1, 1, 1)), "between samples"),
    "batch_of_bias": (lambda x: x + np.ones((4, 1, 1, 1)), "between samples"),
    "infinite": (lambda x: x * np.inf, "NaN or infinite"),
    "nothing": (lambda x: x / 0.0, "NaN or infinite"),
    "tiny": (lambda x: x * 1e-300, "too small"),
    "huge": (lambda x: x / 1e300, "too large"),
    "variable": (lambda x: x * keras.Variable(2.0), "no constant"),
    "tf_variable": (lambda x: x * tf.Variable(2.0), "no constant"),
    "truth": (lambda x: x + True, "no constant"),
    "masked": (lambda x: x + np.ma.ones(4), "no constant"),
}


class RefusalTest(parameterized.TestCase):
    @parameterized.named_parameters(
        (name, *row) for name, row in _REFUSED.items()
    )
    def test_is_named(self, operation, why):
        with self.assertRaisesRegex(errors.UnsupportedModelError, why):
            graph.read_graph(_model(operation, (3, 2, 4)))

    @parameterized.parameters(((4, 4), (4, 1)), ((5, 5, 3), (5, 1)))
    def test_of_a_sum_that_keras_makes_along_another_axis(self, shape, by):
        # Keras adds the bias of the axis that it finds by size alone.
        constant = np.arange(float(np.prod(by)), dtype=np.float32).reshape(by)
        x = np.zeros((2, *shape), np.float32)
        model = _model(lambda x: x + constant, shape)
        inner = keras.Model(model.input, model.operations[1].output)
        self.assertGreater(np.abs(inner(x) - (x + constant)).max(), 0.5)
        with self.assertRaisesRegex(errors.UnsupportedLayerError, "axis"):
            graph.read_graph(model)
        # The way out that the message names.
        oracle.assert_agrees(_model(lambda x: x - (-constant), shape), 1e-5)

    def test_of_what_one_operation_does_twice(self):
        operation = type((keras.Input((4,)) * 2.0)._keras_history.operation)()
        x = keras.Input((4,))
        model = keras.Model(x, _L.Dense(2)(operation(operation(x, 2.0), 3.0)))
        with self.assertRaisesRegex(errors.UnsupportedLayerError, "once"):
            graph.read_graph(model)

    def test_under_the_guard_names_the_operation(self):
        with self.assertRaisesRegex(
            errors.UnsupportedModelError, "layers in place of operations"
        ):
            tfcurv.network_from_model(
                _model(lambda x: x / 255.0), guard="float32"
            )


def _functions():
    """Functions under all their names, with the one that they are."""
    for name in networks.ACTIVATIONS:
        rooms = keras.activations, keras.ops, tf, tf.nn, tf.math
        for room in rooms:
            fn = getattr(room, "identity" if name == "linear" else name, None)
            if fn is not None and fn is not keras.ops.identity:
                yield f"{room.__name__.split('.')[-1]}_{name}", name, fn


def _same_name():
    def tanh(x):
        return keras.ops.relu(x)

    return tanh


class FunctionTest(parameterized.TestCase):
    @parameterized.named_parameters(*_functions())
    def test_is_known_under_every_name(self, name, fn):
        model = oracle.sequential(_L.Dense(4, activation=fn), _L.Dense(2))
        if fn is keras.ops.gelu:
            # The approximation, unless it is told otherwise.
            with self.assertRaisesRegex(
                errors.UnsupportedActivationError, "approximate=True"
            ):
                graph.read_graph(model)
            return
        expected = [] if name == "linear" else [name]
        self.assertEqual(oracle.names(model), ["linear", *expected, "linear"])
        x = np.linspace(-6.0, 6.0, 401)
        np.testing.assert_allclose(
            fn(tf.constant(x)),
            networks.activation(name).value(tf.constant(x)),
            atol=1e-7,
        )

    def test_of_the_same_name_is_not_known(self):
        for fn in (_same_name(), lambda x: keras.activations.tanh(x)):
            with self.assertRaisesRegex(
                errors.UnsupportedActivationError, "nothing is known"
            ):
                graph.read_graph(
                    oracle.sequential(_L.Dense(4, activation=fn), _L.Dense(2))
                )

    @parameterized.parameters(
        (keras.ops.tanh, "tanh"),
        (keras.activations.sigmoid, "sigmoid"),
        (keras.activations.softplus, "softplus"),
        (keras.activations.softsign, "softsign"),
        (keras.ops.silu, "silu"),
        (keras.activations.gelu, "gelu"),
        (lambda x: keras.ops.gelu(x, approximate=False), "gelu"),
        (keras.ops.elu, "elu"),
        (keras.ops.relu, "relu"),
        (keras.activations.relu, "relu"),
        (lambda x: keras.activations.relu(x, 0.1), "leaky_relu"),
        (lambda x: keras.activations.relu(x, max_value=6.0), "relu6"),
        (lambda x: keras.activations.relu(x, 0.5, 0.7), "relu"),
        (keras.ops.relu6, "relu6"),
        (keras.ops.selu, "selu"),
        (keras.ops.abs, "absolute"),
        (keras.ops.absolute, "absolute"),
        (keras.ops.hard_tanh, "hard_tanh"),
        (keras.ops.hard_sigmoid, "hard_sigmoid"),
        (keras.ops.hard_silu, "hard_silu"),
        (lambda x: keras.activations.leaky_relu(x, 1.5), "leaky_relu"),
    )
    def test_may_be_an_operation(self, operation, name):
        x = keras.Input((4,))
        model = keras.Model(x, _L.Dense(2)(operation(_L.Dense(4)(x))))
        self.assertEqual(
            oracle.names(model, with_kinks=True), ["linear", name, "linear"]
        )
        oracle.assert_agrees(model, 1e-5, with_kinks=True)

    def test_reading_names_no_operation_of_its_own(self):
        def name(number):
            return (keras.Input((4,)) / number)._keras_history.operation.name

        before = int(name(2.0).removeprefix("true_divide").strip("_") or 0)
        graph.read_graph(_model(lambda x: -x))
        after = int(name(2.0).removeprefix("true_divide").strip("_"))
        self.assertEqual(after, before + 1)

    @parameterized.parameters(
        (keras.ops.gelu, "approximate=True"),
        (lambda x: keras.activations.elu(x, 0.5), "alpha=0.5"),
        (lambda x: keras.activations.relu(x, threshold=0.5), "jumps"),
        (keras.ops.softmax, "divides by a sum"),
    )
    def test_with_other_settings_is_another(self, operation, why):
        x = keras.Input((4,))
        model = keras.Model(x, _L.Dense(2)(operation(_L.Dense(4)(x))))
        with self.assertRaisesRegex(errors.UnsupportedLayerError, why):
            graph.read_graph(model)


class JoinTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("subtract", lambda x, y: _L.Subtract()([x, y])),
        ("difference", lambda x, y: x - y),
        ("average", lambda x, y: _L.Average()([x, y, x])),
    )
    def test_is_linear(self, join):
        x = keras.Input((4,))
        first = _L.Dense(5, activation="tanh")(x)
        second = _L.Dense(5, activation="softplus")(x)
        model = keras.Model(x, _L.Dense(3)(join(first, second)))
        oracle.assert_agrees(model, 1e-5)
        tfcurv.network_from_model(model)

    def test_of_a_value_with_itself_is_nothing(self):
        x = keras.Input((4,))
        hidden = _L.Dense(4, activation="tanh")(x)
        model = keras.Model(x, _L.Dense(3)(hidden) + _L.Dense(3)(x - x))
        oracle.assert_agrees(model, 1e-5)

    def test_takes_the_middle_of_an_image(self):
        for shape in ((5, 6, 2), (4, 4, 1)):
            model = oracle.sequential(
                _L.CenterCrop(3, 4), _L.Flatten(), _L.Dense(2), shape=shape
            )
            oracle.assert_agrees(model, 1e-5)

    def test_does_not_take_part_in_training(self):
        # As a trained model reads it: no weights, and no error.
        x = keras.Input((4,))
        hidden = tfcurv.layers.Dense(5, activation="tanh")(x / 2.0)
        model = tfcurv.Model(x, tfcurv.layers.Dense(3)(hidden - 0.5))
        model.add_loss(tfcurv.CurvatureRegularizer(gamma=0.01))
        model.compile(
            "sgd",
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            run_eagerly=True,
        )
        history = model.fit(np.ones((4, 4)), np.zeros(4), verbose=0)
        self.assertTrue(np.isfinite(history.history["loss"][0]))


if __name__ == "__main__":
    absltest.main()
