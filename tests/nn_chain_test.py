"""Tests of tfcurv.nn.chain."""

from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np

import tfcurv
from tfcurv import bounds
from tfcurv import errors
from tfcurv.nn import chain

_L = keras.layers


def _sequential(*layers, shape=(4,), **settings):
    return keras.Sequential([keras.Input(shape, **settings), *layers])


def _names(model):
    """The chain in short: what each link is."""
    return [
        link.activation.name if hasattr(link, "activation") else type(link)
        for link in chain.read_chain(model)
    ]


class _CustomDense(keras.layers.Dense):
    pass


class _CustomModel(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = _L.Dense(3)

    def call(self, x):
        return self.dense(x)


def _twice(x):
    return 2.0 * keras.activations.tanh(x)


class ReadTest(parameterized.TestCase):
    @parameterized.parameters(*bounds.ACTIVATIONS)
    def test_knows_every_activation_in_and_out_of_a_dense_layer(self, name):
        inside = _sequential(_L.Dense(5, activation=name), _L.Dense(3))
        outside = _sequential(_L.Dense(5), _L.Activation(name), _L.Dense(3))
        expected = [chain.DenseMap, name, chain.DenseMap]
        if name == "linear":
            expected.remove(name)
        self.assertEqual(_names(inside), expected)
        self.assertEqual(_names(outside), expected)

    @parameterized.named_parameters(
        ("flatten", _L.Flatten),
        ("dropout", lambda: _L.Dropout(0.5)),
        ("gaussian_dropout", lambda: _L.GaussianDropout(0.5)),
        ("gaussian_noise", lambda: _L.GaussianNoise(0.5)),
        ("reshape", lambda: _L.Reshape((4,))),
        ("linear", lambda: _L.Activation("linear")),
        ("activity", lambda: _L.ActivityRegularization(0.1)),
    )
    def test_passes_over(self, layer):
        model = _sequential(layer(), _L.Dense(3), layer_after := _L.Dense(3))
        self.assertEqual(_names(model), [chain.DenseMap] * 2)
        self.assertIs(chain.read_chain(model)[-1].layer, layer_after)

    def test_reads_scalings(self):
        model = _sequential(
            _L.Rescaling(2.0, offset=-1.0),
            _L.Normalization(mean=[1.0, 2.0], variance=[4.0, 9.0]),
            _L.Flatten(),
            _L.Dense(3),
            shape=(3, 2),
        )
        first, second, _ = chain.read_chain(model)
        np.testing.assert_array_equal(first.scale, [2.0] * 6)
        np.testing.assert_array_equal(first.offset, [-1.0] * 6)
        np.testing.assert_allclose(second.scale, [1 / 2, 1 / 3] * 3)
        np.testing.assert_allclose(second.offset, [-1 / 2, -2 / 3] * 3)

    def test_a_constant_feature_is_divided_by_what_keras_divides_by(self):
        layer = _L.Normalization(mean=[0.0] * 4, variance=[0.0] * 4)
        scaling = chain.read_chain(_sequential(layer, _L.Dense(3)))[0]
        np.testing.assert_allclose(
            scaling.scale, np.full(4, 1.0 / keras.config.epsilon())
        )

    def test_opens_models_within_models(self):
        inner = _sequential(_L.Dense(4, activation="tanh"), _L.Dropout(0.1))
        x = keras.Input((4,))
        functional = keras.Model(x, _L.Dense(3)(inner(x)))
        wrapped = tfcurv.Sequential([keras.Input((4,)), functional])
        self.assertEqual(
            _names(wrapped), [chain.DenseMap, "tanh", chain.DenseMap]
        )

    @parameterized.named_parameters(
        ("called", lambda model: model(np.ones((2, 4), np.float32))),
        ("built", lambda model: model.build((None, 4))),
    )
    def test_reads_a_sequential_model_once_it_is(self, make):
        model = keras.Sequential([_L.Dense(5, activation="tanh"), _L.Dense(3)])
        make(model)
        self.assertEqual(
            _names(model), [chain.DenseMap, "tanh", chain.DenseMap]
        )

    def test_a_layer_may_stand_twice_in_a_sequence(self):
        shared = _L.Dense(4, activation="tanh")
        inner = _sequential(shared)
        model = _sequential(shared, inner, _L.Dense(3))
        links = chain.read_chain(model)
        self.assertIs(links[0].layer, links[2].layer)


# Each is called "bad" and stands before Flatten and Dense, on this shape.
_REFUSED_LAYERS = (
    ("LeakyReLU", _L.LeakyReLU, {}, (4,)),
    ("PReLU", _L.PReLU, {}, (4,)),
    ("Conv2D", _L.Conv2D, {"filters": 2, "kernel_size": 2}, (4, 4, 1)),
    ("MaxPooling2D", _L.MaxPooling2D, {}, (4, 4, 1)),
    ("BatchNormalization", _L.BatchNormalization, {}, (4,)),
    ("LayerNormalization", _L.LayerNormalization, {}, (4,)),
    ("UnitNormalization", _L.UnitNormalization, {}, (4,)),
    ("Permute", _L.Permute, {"dims": (2, 1)}, (2, 3)),
    ("Flatten", _L.Flatten, {"data_format": "channels_first"}, (2, 2, 3)),
    ("Lambda", _L.Lambda, {"function": lambda x: x}, (4,)),
    ("_CustomDense", _CustomDense, {"units": 3}, (4,)),
)

_HEADS = (
    ("softmax", lambda: [_L.Dense(3, activation="softmax", name="bad")]),
    ("softmax", lambda: [_L.Dense(3), _L.Softmax(name="bad")]),
    ("softmax", lambda: [_L.Dense(3), _L.Activation("softmax", name="bad")]),
    ("log_softmax", lambda: [_L.Dense(3, "log_softmax", name="bad")]),
    ("sigmoid", lambda: [_L.Dense(3, "sigmoid", name="bad")]),
    ("tanh", lambda: [_L.Dense(3), _L.Activation("tanh", name="bad")]),
)

_NOT_FINITE = (
    ("Rescaling", lambda: _L.Rescaling(np.nan, name="bad")),
    ("Rescaling", lambda: _L.Rescaling(1.0, offset=np.inf, name="bad")),
    ("Normalization", lambda: _normalization(mean=np.inf, variance=1.0)),
    ("Normalization", lambda: _normalization(mean=np.nan, variance=1.0)),
    ("Normalization", lambda: _normalization(mean=0.0, variance=-1.0)),
)


def _normalization(**settings):
    return _L.Normalization(name="bad", **settings)


class RefusalTest(parameterized.TestCase):
    def _assert_refused(self, error, message, model):
        with self.assertRaisesRegex(error, message) as caught:
            chain.read_chain(model)
        self.assertIs(type(caught.exception), error)

    @parameterized.named_parameters(
        (entry[0].strip("_"), *entry) for entry in _REFUSED_LAYERS
    )
    def test_names_a_layer_that_it_cannot_read(
        self, kind, make, settings, shape
    ):
        bad = make(name="bad", **settings)
        self._assert_refused(
            errors.UnsupportedLayerError,
            f"'bad' of type {kind}.*Supported: Dense",
            _sequential(bad, _L.Flatten(), _L.Dense(3), shape=shape),
        )

    @parameterized.named_parameters(
        ("relu", "relu", "relu"),
        ("selu", "selu", "selu"),
        ("hard_sigmoid", "hard_sigmoid", "hard_sigmoid"),
        ("layer", _L.LeakyReLU(), "LeakyReLU"),
        ("function", _twice, "_twice"),
        ("lambda", lambda x: x, "<lambda>"),
    )
    def test_names_an_activation_that_it_cannot_bound(self, activation, name):
        inside = _L.Dense(5, activation=activation, name="bad")
        outside = _L.Activation(activation, name="bad")
        for layer in (inside, outside):
            self._assert_refused(
                errors.UnsupportedActivationError,
                f"softplus.*'bad', activation='{name}'.*Known",
                _sequential(_L.Dense(5), layer, _L.Dense(3)),
            )

    @parameterized.parameters(*_HEADS)
    def test_names_a_head_and_says_how_to_drop_it(self, name, make):
        self._assert_refused(
            errors.UnsupportedLayerError,
            f"'bad' with a final '{name}'.*Remedy.*from_logits=True",
            _sequential(*make()),
        )

    @parameterized.parameters(*_NOT_FINITE)
    def test_names_a_layer_whose_scale_is_no_number(self, kind, make):
        self._assert_refused(
            errors.NonFiniteWeightsError,
            f"'bad' of type {kind}",
            _sequential(make(), _L.Dense(3)),
        )

    @parameterized.parameters("mixed_bfloat16", "mixed_float16", "float16")
    def test_names_a_layer_of_low_precision(self, policy):
        for layer in (
            _L.Dense(4, dtype=policy, name="bad"),
            _L.Reshape((4,), dtype=policy, name="bad"),
        ):
            self._assert_refused(
                errors.UnsupportedLayerError,
                f"{policy}.*'bad'",
                _sequential(layer, _L.Dense(3)),
            )

    def test_asks_for_flat_inputs_of_dense_layers(self):
        layers = _L.Dense(3, name="bad"), _L.Flatten(), _L.Dense(3)
        self._assert_refused(
            errors.UnsupportedLayerError,
            "rank 3; put a Flatten.*'bad'",
            _sequential(*layers, shape=(2, 4)),
        )

    def test_asks_for_a_known_shape_of_scaled_inputs(self):
        layers = _L.Rescaling(2.0, name="bad"), _L.Reshape((6,)), _L.Dense(3)
        self._assert_refused(
            errors.UnsupportedLayerError,
            r"open shape \(None, 3\).*'bad'",
            _sequential(*layers, shape=(None, 3)),
        )

    @parameterized.named_parameters(
        ("no_dense_layer", "without a Dense layer.*'bad'", True),
        ("not_built", r"keras\.Input.*'bad'", False),
    )
    def test_asks_for_a_sequential_model_that_is_a_classifier(
        self, message, has_input
    ):
        layers = [keras.Input((4,)), _L.Flatten()] if has_input else []
        model = keras.Sequential(layers or [_L.Dense(3)], name="bad")
        self._assert_refused(errors.UnsupportedModelError, message, model)

    @parameterized.named_parameters(
        ("model", _CustomModel, "_CustomModel"),
        ("array", lambda: np.ones((3, 3)), "ndarray"),
        ("layer", lambda: _L.Dense(3), "Dense"),
    )
    def test_refuses_what_may_do_anything(self, make, kind):
        self._assert_refused(
            errors.UnsupportedModelError,
            f"type {kind}.*keras.Sequential",
            make(),
        )

    @parameterized.parameters("float16", "bfloat16", "uint8", "int32")
    def test_refuses_an_input_that_is_rounded_to(self, dtype):
        # Keras casts what it is given to the dtype of the Input.
        inner = _sequential(_L.Dense(3), dtype=dtype)
        outer = _sequential(_L.Dense(4, activation="tanh"), inner)
        for model in (inner, outer):
            with self.assertRaisesRegex(
                errors.UnsupportedModelError, f"dtype='{dtype}'"
            ):
                chain.read_chain(model)

    @parameterized.parameters("int8", "int4", "float8")
    def test_refuses_a_quantized_layer(self, mode):
        model = _sequential(_L.Dense(4, name="bad"), _L.Dense(3))
        model.layers[0].quantize(mode)
        with self.assertRaisesRegex(
            errors.UnsupportedLayerError, "quantized.*'bad'"
        ):
            chain.read_chain(model)

    def test_refuses_lora(self):
        model = _sequential(_L.Dense(4, name="bad"), _L.Dense(3))
        model.layers[0].enable_lora(2)
        with self.assertRaisesRegex(
            errors.UnsupportedLayerError, "LoRA.*'bad'"
        ):
            chain.read_chain(model)

    def test_refuses_a_layer_whose_call_was_replaced(self):
        model = _sequential(_L.Dense(4, name="bad"), _L.Dense(3))
        stock = model.layers[0].call
        # Away from zero no probe would find this out.
        model.layers[0].call = lambda x: stock(keras.ops.clip(x, -9.0, 9.0))
        with self.assertRaisesRegex(
            errors.UnsupportedLayerError, "replaced.*'bad'"
        ):
            chain.read_chain(model)

    def test_refuses_a_model_whose_call_was_replaced(self):
        model = _sequential(_L.Dense(3))
        with mock.patch.object(model, "call", lambda x, **_: -x):
            with self.assertRaisesRegex(
                errors.UnsupportedModelError, model.name
            ):
                chain.read_chain(model)

    @parameterized.named_parameters(
        ("rescaling", lambda: _L.Rescaling([[1.0], [2.0]], name="bad")),
        ("dense", lambda: _L.Dense(6, name="bad")),
    )
    def test_refuses_a_layer_with_inputs_of_two_shapes(self, make):
        # Whose shape of input is that of another model.
        layer = make()
        layer(keras.Input((3, 2, 6)))
        x = keras.Input((1, 2, 6))
        model = keras.Model(x, _L.Dense(3)(_L.Flatten()(layer(x))))
        with self.assertRaisesRegex(
            errors.UnsupportedLayerError, r"\(3, 2, 6\).*'bad'"
        ):
            chain.read_chain(model)


class BranchTest(absltest.TestCase):
    def _assert_refused(self, error, message, inputs, outputs):
        with self.assertRaisesRegex(error, message):
            chain.read_chain(keras.Model(inputs, outputs))

    def test_refuses_layers_that_join(self):
        x = keras.Input((4,))
        left, right = _L.Dense(4)(x), _L.Dense(4)(x)
        for layer in (_L.Add(name="bad"), _L.Concatenate(name="bad")):
            joined = _L.Dense(3)(layer([left, right]))
            kind = type(layer).__name__
            self._assert_refused(
                errors.UnsupportedLayerError,
                f"joins.*'bad' of type {kind}",
                x,
                joined,
            )

    def test_refuses_a_residual_connection(self):
        x = keras.Input((4,))
        outputs = _L.Dense(3)(x + _L.Dense(4, activation="tanh")(x))
        self._assert_refused(
            errors.UnsupportedLayerError, "joins.*type Add", x, outputs
        )

    def test_refuses_operations_without_a_layer(self):
        x = keras.Input((4,))
        outputs = _L.Dense(3)(keras.ops.tanh(x))
        self._assert_refused(
            errors.UnsupportedLayerError, "type Tanh", x, outputs
        )

    def test_refuses_a_layer_used_twice(self):
        x = keras.Input((4,))
        shared = _L.Dense(4, activation="tanh", name="bad")
        outputs = _L.Dense(3)(shared(shared(x)))
        self._assert_refused(
            errors.UnsupportedLayerError, "more than once.*'bad'", x, outputs
        )

    def test_refuses_two_inputs_and_two_outputs(self):
        x, other = keras.Input((4,)), keras.Input((4,))
        outputs = _L.Dense(3)(_L.Concatenate()([x, other]))
        self._assert_refused(
            errors.UnsupportedModelError, "2 inputs", [x, other], outputs
        )
        both = [_L.Dense(3)(x), _L.Dense(2)(x)]
        self._assert_refused(errors.UnsupportedModelError, "2 outputs", x, both)


if __name__ == "__main__":
    absltest.main()
