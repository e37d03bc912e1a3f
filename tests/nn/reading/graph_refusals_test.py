"""Tests of what tfcurv.nn.reading.graph refuses, and of what it says then."""

from unittest import mock
import warnings

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np

from tfcurv import errors
from tfcurv.nn.reading import graph

_L = keras.layers


def _sequential(*layers, shape=(4,), **settings):
    return keras.Sequential([keras.Input(shape, **settings), *layers])


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


def _normalization(**settings):
    return _L.Normalization(name="bad", **settings)


_IMAGE = (4, 4, 2)
_FIRST = {"data_format": "channels_first"}

# Each is called "bad" and stands before Flatten and Dense, on this shape.
_REFUSED_LAYERS = (
    ("LeakyReLU", "kinks", "softplus", {}, (4,)),
    ("PReLU", "kinks", "softplus", {}, (4,)),
    ("ReLU", "no plain ReLU", "ReLU", {"max_value": 6.0}, (4,)),
    ("ReLU", "no plain ReLU", "ReLU", {"negative_slope": 0.5}, (4,)),
    ("ReLU", "no plain ReLU", "ReLU", {"threshold": 0.5}, (4,)),
    ("ELU", "alpha=0.5", "use alpha=1", {"alpha": 0.5}, (4,)),
    ("MaxPooling1D", "kinks", "average pooling", {}, (4, 2)),
    ("MaxPooling2D", "kinks", "average pooling", {}, _IMAGE),
    ("GlobalMaxPooling2D", "kinks", "average pooling", {}, _IMAGE),
    ("LayerNormalization", "not linear", "BatchNormalization", {}, (4,)),
    (
        "GroupNormalization",
        "not linear",
        "BatchNormalization",
        {"groups": 1},
        (4, 2),
    ),
    ("RMSNormalization", "not linear", "BatchNormalization", {}, (4,)),
    ("UnitNormalization", "not linear", "BatchNormalization", {}, (4,)),
    (
        "Conv2DTranspose",
        "transposed",
        "assume={'bad'",
        {"filters": 2, "kernel_size": 2},
        _IMAGE,
    ),
    (
        "Embedding",
        "whole numbers",
        "behind it",
        {"input_dim": 2, "output_dim": 3},
        (4,),
    ),
    ("LSTM", "recurrent", "Conv1D", {"units": 2}, (4, 2)),
    ("GRU", "recurrent", "Conv1D", {"units": 2}, (4, 2)),
    (
        "Lambda",
        "nothing is known",
        "assume={'bad'",
        {"function": lambda x: x},
        (4,),
    ),
    ("TimeDistributed", "wraps", "any rank", {"layer": _L.Dense(2)}, (4, 2)),
    ("Resizing", "interpolates", "before", {"height": 2, "width": 2}, _IMAGE),
    ("CenterCrop", "resizes", "before", {"height": 6, "width": 2}, _IMAGE),
    ("Flatten", "channels_first", "channels_last", _FIRST, (2, 2, 3)),
    (
        "GlobalAveragePooling2D",
        "channels_first",
        "channels_last",
        _FIRST,
        _IMAGE,
    ),
    ("ZeroPadding2D", "channels_first", "channels_last", _FIRST, _IMAGE),
    (
        "UpSampling2D",
        "bilinear",
        "nearest",
        {"interpolation": "bilinear"},
        _IMAGE,
    ),
)

_HEADS = (
    ("softmax", lambda: [_L.Dense(3, activation="softmax", name="bad")]),
    ("softmax", lambda: [_L.Dense(3), _L.Softmax(name="bad")]),
    ("softmax", lambda: [_L.Dense(3), _L.Activation("softmax", name="bad")]),
    ("log_softmax", lambda: [_L.Dense(3, "log_softmax", name="bad")]),
    ("sigmoid", lambda: [_L.Dense(3, "sigmoid", name="bad")]),
    ("relu", lambda: [_L.Dense(3), _L.ReLU(name="bad")]),
    ("elu", lambda: [_L.Dense(3), _L.ELU(name="bad"), _L.Rescaling(2.0)]),
    ("tanh", lambda: [_L.Dense(3), _L.Activation("tanh", name="bad")]),
    (
        "tanh",
        lambda: [
            _L.Reshape((2, 2)),
            _L.Conv1D(3, 2, activation="tanh", name="bad"),
            _L.BatchNormalization(),
            _L.Flatten(),
        ],
    ),
)

_NOT_FINITE = (
    ("Rescaling", lambda: _L.Rescaling(np.nan, name="bad")),
    ("Rescaling", lambda: _L.Rescaling(1.0, offset=np.inf, name="bad")),
    ("Normalization", lambda: _normalization(mean=np.inf, variance=1.0)),
    ("Normalization", lambda: _normalization(mean=np.nan, variance=1.0)),
    ("Normalization", lambda: _normalization(mean=0.0, variance=-1.0)),
    ("Normalization", lambda: _normalization(mean=0.0, variance=np.inf)),
    (
        "BatchNormalization",
        lambda: _L.BatchNormalization(gamma_initializer=_nan, name="bad"),
    ),
)


def _nan(shape, dtype=None):
    return keras.ops.full(shape, np.nan, dtype)


class LayerTest(parameterized.TestCase):
    def _assert_refused(self, error, message, model):
        with self.assertRaisesRegex(error, message) as caught:
            graph.read_graph(model)
        self.assertIs(type(caught.exception), error)

    @parameterized.parameters(*_REFUSED_LAYERS)
    def test_is_named_if_it_cannot_be_read(
        self, kind, why, remedy, settings, shape
    ):
        bad = getattr(_L, kind)(name="bad", **settings)
        self._assert_refused(
            errors.UnsupportedLayerError,
            f"{why}.*'bad' of type {kind}.*Remedy.*{remedy}.*Supported: Dense",
            _sequential(bad, _L.Flatten(), _L.Dense(3), shape=shape),
        )

    def test_is_named_if_a_user_has_written_it(self):
        self._assert_refused(
            errors.UnsupportedLayerError,
            "nothing is known.*'bad' of type _CustomDense.*assume={'bad'",
            _sequential(_CustomDense(4, name="bad"), _L.Dense(3)),
        )

    @parameterized.named_parameters(
        ("relu", "relu", "relu"),
        ("celu", "celu", "celu"),
        ("soft_shrink", "soft_shrink", "soft_shrink"),
        ("layer", _L.LeakyReLU(), "LeakyReLU"),
        ("function", _twice, "_twice"),
        ("lambda", lambda x: x, "<lambda>"),
    )
    def test_is_named_if_its_activation_has_no_bound(self, activation, name):
        for layer, shape in (
            (_L.Dense(5, activation=activation, name="bad"), (4,)),
            (_L.Activation(activation, name="bad"), (4,)),
            (_L.Conv1D(5, 2, activation=activation, name="bad"), (4, 2)),
            (
                _L.SeparableConv1D(5, 2, activation=activation, name="bad"),
                (4, 2),
            ),
        ):
            self._assert_refused(
                errors.UnsupportedActivationError,
                f"'bad', activation='{name}'.*softplus.*Known",
                _sequential(layer, _L.Flatten(), _L.Dense(3), shape=shape),
            )

    @parameterized.parameters(*_HEADS)
    def test_is_named_if_it_hides_the_logits(self, name, make):
        self._assert_refused(
            errors.UnsupportedLayerError,
            f"'bad' with a final '{name}'.*Remedy.*from_logits=True",
            _sequential(*make()),
        )

    @parameterized.parameters(*_NOT_FINITE)
    def test_is_named_if_its_scale_is_no_number(self, kind, make):
        self._assert_refused(
            errors.NonFiniteWeightsError,
            f"'bad' of type {kind}",
            _sequential(make(), _L.Dense(3)),
        )

    @parameterized.parameters("mixed_bfloat16", "mixed_float16", "float16")
    def test_is_named_if_it_is_of_low_precision(self, policy):
        for layer in (
            _L.Dense(4, dtype=policy, name="bad"),
            _L.Reshape((4,), dtype=policy, name="bad"),
            _L.Dropout(0.1, dtype=policy, name="bad"),
            _L.BatchNormalization(dtype=policy, name="bad"),
        ):
            self._assert_refused(
                errors.UnsupportedLayerError,
                f"{policy}.*'bad'",
                _sequential(layer, _L.Dense(3)),
            )

    @parameterized.parameters("int8", "int4", "float8")
    def test_is_named_if_it_is_quantized(self, mode):
        model = _sequential(_L.Dense(4, name="bad"), _L.Dense(3))
        model.layers[0].quantize(mode)
        self._assert_refused(
            errors.UnsupportedLayerError, "quantized.*'bad'", model
        )

    @parameterized.named_parameters(
        ("dense", lambda: _L.Dense(4, name="bad")),
        ("convolution", lambda: _L.Conv1D(2, 2, name="bad")),
    )
    def test_is_named_if_it_has_lora(self, make):
        model = _sequential(make(), _L.Flatten(), _L.Dense(3), shape=(4, 2))
        model.layers[0].enable_lora(2)
        self._assert_refused(errors.UnsupportedLayerError, "LoRA.*'bad'", model)

    @parameterized.parameters("call", "convolution_op", "compute_output_shape")
    def test_is_named_if_a_method_was_replaced(self, name):
        model = _sequential(
            _L.Conv2D(4, 2, name="bad"), _L.Flatten(), _L.Dense(3), shape=_IMAGE
        )
        layer = model.layers[0]
        stock = getattr(layer, name)
        # Away from zero no probe would find this out.
        setattr(layer, name, lambda *x: stock(*x))
        self._assert_refused(
            errors.UnsupportedLayerError, f"`{name}`.*replaced.*'bad'", model
        )

    def test_is_named_if_it_was_changed_since_the_model_was_built(self):
        layers = _L.Conv1D(2, 2, name="bad"), _L.GlobalAveragePooling1D()
        model = _sequential(*layers, _L.Dense(3), shape=(5, 2))
        layers[0].strides = (2,)
        self._assert_refused(
            errors.UnsupportedLayerError,
            r"\(2, 2\), of which Keras says that it is \(4, 2\).*'bad'",
            model,
        )

    @parameterized.parameters(
        ("pool_mode", "max", "pool_mode"), ("strides", None, "does not fit")
    )
    def test_is_named_if_its_pooling_was_changed(self, name, value, message):
        # A maximum of equal numbers is their mean: probes may not tell.
        pooling = _L.AveragePooling2D(2, name="bad")
        model = _sequential(pooling, _L.Flatten(), _L.Dense(3), shape=_IMAGE)
        setattr(pooling, name, value)
        self._assert_refused(
            errors.UnsupportedLayerError, f"{message}.*'bad'", model
        )

    def test_is_named_if_an_addition_was_replaced(self):
        x = keras.Input((4,))
        total = _L.Dense(4)(x) + _L.Dense(4)(x)
        total._keras_history[0].call = lambda x, y: x
        self._assert_refused(
            errors.UnsupportedLayerError,
            "`call`.*replaced",
            keras.Model(x, _L.Dense(3)(total)),
        )

    def test_is_named_if_it_is_called_on_constants(self):
        x = keras.Input((4, 2))
        mask = np.array([[True, True, False, True]])
        pooled = _L.GlobalAveragePooling1D(name="bad")(x, mask=mask)
        self._assert_refused(
            errors.UnsupportedLayerError,
            "more than tensors.*'bad'",
            keras.Model(x, _L.Dense(3)(pooled)),
        )

    def test_is_named_if_it_is_called_on_a_second_tensor(self):
        x = keras.Input((4, 2))
        mask = _L.Reshape((4,))(_L.Conv1D(1, 1)(x))
        pooling = _L.GlobalAveragePooling1D(name="bad")
        inner = _sequential(_L.GlobalAveragePooling1D(), shape=(4, 2))
        inner.name = "bad"
        for layer in (pooling, inner):
            with warnings.catch_warnings():
                # That the mask goes no further.
                warnings.simplefilter("ignore")
                outputs = _L.Dense(3)(layer(x, mask=mask))
            self._assert_refused(
                errors.UnsupportedLayerError,
                "joins several.*'bad'",
                keras.Model(x, outputs),
            )


class ModelTest(parameterized.TestCase):
    def _assert_refused(self, message, model):
        with self.assertRaisesRegex(errors.UnsupportedModelError, message):
            graph.read_graph(model)

    @parameterized.named_parameters(
        ("no_dense_layer", "without a Dense layer.*'bad'", True),
        ("not_built", r"'bad'.*keras\.Input", False),
    )
    def test_must_be_a_classifier(self, message, has_input):
        layers = [keras.Input((4,)), _L.Flatten()] if has_input else []
        model = keras.Sequential(layers or [_L.Dense(3)], name="bad")
        self._assert_refused(message, model)

    @parameterized.named_parameters(
        ("model", _CustomModel, "_CustomModel"),
        ("array", lambda: np.ones((3, 3)), "ndarray"),
        ("layer", lambda: _L.Dense(3), "Dense"),
        ("nothing", lambda: None, "NoneType"),
    )
    def test_must_not_do_just_anything(self, make, kind):
        self._assert_refused(f"type {kind}.*keras.Sequential", make())

    def test_must_have_been_read(self):
        self._assert_refused("read_model.*run/model.keras", "run/model.keras")

    def test_must_not_be_subclassed_within_another(self):
        inner = _CustomModel()
        x = keras.Input((4,))
        self._assert_refused(
            "subclassed.*_CustomModel", keras.Model(x, _L.Dense(3)(inner(x)))
        )

    @parameterized.parameters("float16", "bfloat16", "uint8", "int32")
    def test_must_not_round_its_input(self, dtype):
        # Keras casts what it is given to the dtype of the Input.
        inner = _sequential(_L.Dense(3), dtype=dtype)
        outer = _sequential(_L.Dense(4, activation="tanh"), inner)
        for model in (inner, outer):
            self._assert_refused(f"dtype='{dtype}'", model)

    def test_must_not_have_another_call(self):
        model = _sequential(_L.Dense(3))
        with mock.patch.object(model, "call", lambda x, **_: -x):
            self._assert_refused(model.name, model)
            self._assert_refused(model.name, _sequential(model))

    def test_must_have_an_input_of_known_shape(self):
        layers = _L.Rescaling(2.0), _L.Reshape((6,)), _L.Dense(3)
        self._assert_refused(
            r"input_shape=\(None, None, 3\)",
            _sequential(*layers, shape=(None, 3)),
        )

    def test_must_be_used_on_inputs_of_its_own_rank(self):
        # Which Keras would squeeze.
        inner = _sequential(_L.Dense(3))
        self._assert_refused(
            rf"'{inner.name}'.*\(4, 1\).*Allowed: \(4,\)",
            _sequential(inner, shape=(4, 1)),
        )

    def test_must_have_one_input_and_one_output(self):
        x, other = keras.Input((4,)), keras.Input((4,))
        outputs = _L.Dense(3)(_L.Concatenate()([x, other]))
        self._assert_refused("2 inputs", keras.Model([x, other], outputs))
        both = [_L.Dense(3)(x), _L.Dense(2)(x)]
        self._assert_refused("2 outputs", keras.Model(x, both))


class JoinTest(parameterized.TestCase):
    def _assert_refused(self, message, inputs, outputs):
        with self.assertRaisesRegex(errors.UnsupportedLayerError, message):
            graph.read_graph(keras.Model(inputs, outputs))

    @parameterized.parameters(
        ("Multiply", "not linear"),
        ("Dot", "not linear"),
        ("Maximum", "kinks"),
        ("Minimum", "kinks"),
    )
    def test_names_a_layer_that_joins_in_another_way(self, kind, why):
        x = keras.Input((4,))
        settings = {"axes": -1} if kind == "Dot" else {}
        layer = getattr(_L, kind)(name="bad", **settings)
        joined = layer([_L.Dense(4)(x), _L.Dense(4)(x)])
        self._assert_refused(
            f"{why}.*'bad' of type {kind}", x, _L.Dense(3)(joined)
        )

    def test_names_an_addition_that_repeats_one_side(self):
        x = keras.Input((4, 2))
        narrow = _L.GlobalAveragePooling1D(keepdims=True)(x)
        for joined in (_L.Add(name="add_bad")([x, narrow]), x + narrow):
            self._assert_refused(
                r"different shapes, \[\(4, 2\), \(1, 2\)\].*'add",
                x,
                _L.Dense(3)(_L.Flatten()(joined)),
            )

    @parameterized.named_parameters(
        ("product", lambda x: x * x, "not linear.*type Multiply"),
        ("split", lambda x: keras.ops.split(x, 2, 1)[1], "several outputs"),
        ("part", lambda x: x[:, :2], "type GetItem"),
    )
    def test_names_an_operation_without_a_layer(self, operation, message):
        x = keras.Input((4,))
        hidden = operation(_L.Dense(4)(x))
        self._assert_refused(message, x, _L.Dense(3)(hidden))

    def test_names_what_is_used_twice(self):
        x = keras.Input((4,))
        for shared in (
            _L.Dense(4, activation="tanh"),
            _sequential(_L.Dense(4, activation="tanh")),
        ):
            shared.name = "bad"
            self._assert_refused(
                "more than once.*'bad'", x, _L.Dense(3)(shared(shared(x)))
            )
            self._assert_refused(
                "more than once.*'bad'",
                x,
                _L.Dense(3)(shared(x) + shared(_L.Dense(4)(x))),
            )

    def test_names_a_concatenation_of_samples(self):
        x = keras.Input((4,), batch_size=2)
        joined = _L.Concatenate(axis=0, name="bad")([x, x])
        self._assert_refused("axis 0.*'bad'", x, _L.Dense(3)(joined))


if __name__ == "__main__":
    absltest.main()
