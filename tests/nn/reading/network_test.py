"""Tests of tfcurv.nn.reading.network."""

from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import keras
import mpmath
import numpy as np
import tensorflow as tf

import tfcurv
from tfcurv import errors
from tfcurv import networks
from tfcurv.nn.reading import layer_checks

_L = keras.layers

# Keras rounds scale factors, and the constant of gelu, to float32 whatever
# the dtype of the layer; elsewhere float64 models agree to the last digits.
_FLOAT32 = 1e-5
_FLOAT32_CONSTANTS = 3e-7
_FLOAT64 = 1e-13


def _tolerance(model):
    """How far the logits of the model may be off, relative to their size."""
    if model.layers[-1].compute_dtype == "float32":
        return _FLOAT32
    constants = any(
        isinstance(layer, (_L.Rescaling, keras.Model))
        or getattr(layer, "activation", None) is keras.activations.gelu
        for layer in model.layers
    )
    return _FLOAT32_CONSTANTS if constants else _FLOAT64


def _sequential(*layers, shape=(4,)):
    return keras.Sequential([keras.Input(shape), *layers])


def _adapted(**settings):
    layer = _L.Normalization(**settings)
    data = np.random.default_rng(1).normal(3.0, 2.0, (50, 2, 3))
    layer.adapt(data.astype(layer.compute_dtype))
    return _sequential(layer, _L.Flatten(), shape=(2, 3))


def _nested(dense):
    inner = _sequential(dense(5, "tanh"), _L.Dropout(0.3), shape=(4,))
    x = keras.Input((4,))
    return keras.Model(x, dense(3)(inner(dense(4, "gelu")(x))))


# What stands between input and logits, made of `dense` layers; the shape of
# the input; the shapes of the affine maps.
_LAYERS = {
    "linear": (lambda d: [], (4,), [(4, 3)]),
    "hidden": (lambda d: [d(5, "softplus")], (4,), [(4, 5), (5, 3)]),
    "no_bias": (lambda d: [d(5, "tanh", False)], (4,), [(4, 5), (5, 3)]),
    "dense_layers_in_a_row": (
        lambda d: [d(5), d(6), d(5, "mish"), d(4)],
        (4,),
        [(4, 5), (5, 3)],
    ),
    "activation_on_the_input": (
        lambda d: [_L.Activation("silu")],
        (4,),
        [(4, 4), (4, 3)],
    ),
    "activations_in_a_row": (
        lambda d: [d(5, "elu"), _L.Activation("sigmoid")],
        (4,),
        [(4, 5), (5, 5), (5, 3)],
    ),
    "rescaling": (
        lambda d: [_L.Rescaling(1 / 255, -0.5), d(5, "softsign")],
        (4,),
        [(4, 5), (5, 3)],
    ),
    "rescaling_in_between": (
        lambda d: [d(5, "tanh"), _L.Rescaling(-2.0, 1.0)],
        (4,),
        [(4, 5), (5, 3)],
    ),
    "rescaled_channels": (
        lambda d: [
            _L.Rescaling([1.0, 2.0, 3.0], [0.1, 0.2, 0.3]),
            _L.Flatten(),
        ],
        (2, 2, 3),
        [(12, 3)],
    ),
    "images": (
        lambda d: [_L.Flatten(), d(5, "tanh")],
        (2, 3, 1),
        [(6, 5), (5, 3)],
    ),
    "reshaped": (
        lambda d: [
            _L.Reshape((6,)),
            d(4, "tanh"),
            _L.Reshape((2, 2)),
            _L.Flatten(),
        ],
        (2, 3),
        [(6, 4), (4, 3)],
    ),
    "noise": (
        lambda d: [_L.GaussianNoise(1.0), d(5, "tanh"), _L.Dropout(0.5)],
        (4,),
        [(4, 5), (5, 3)],
    ),
    **{
        f"normalization_{settings}": (
            lambda d, settings=settings: [_adapted(**settings)],
            (2, 3),
            [(6, 3)],
        )
        for settings in ({}, {"axis": 1}, {"axis": None}, {"invert": True})
    },
    "nested": (
        lambda d: [_nested(d)],
        (4,),
        [(4, 4), (4, 5), (5, 3)],
    ),
}


def _assert_agree(network, model, tolerance=None):
    random = np.random.default_rng(2)
    x = random.normal(size=(20, *model.input_shape[1:])).astype(np.float32)
    expected = np.asarray(model(x, training=False), np.float64)
    found = network.logits(tf.constant(x.reshape(20, -1), tf.float64))
    allowed = (tolerance or _tolerance(model)) * (1 + np.abs(expected).max())
    np.testing.assert_allclose(found, expected, atol=allowed, rtol=0.0)


class LogitsTest(parameterized.TestCase):
    @parameterized.named_parameters(
        (f"{name}_{dtype}", *entry, dtype)
        for name, entry in _LAYERS.items()
        for dtype in ("float32", "float64")
    )
    def test_are_those_of_the_model(self, make, shape, shapes, dtype):
        keras.utils.set_random_seed(0)
        keras.config.set_dtype_policy(dtype)
        self.addCleanup(keras.config.set_dtype_policy, "float32")
        kind = tfcurv.layers.Dense if dtype == "float32" else _L.Dense

        def dense(units, activation=None, use_bias=True):
            start = "glorot_uniform"
            return kind(units, activation, use_bias, start, "normal")

        model = _sequential(*make(dense), dense(3), shape=shape)
        network = tfcurv.network_from_model(model)
        self.assertEqual([a.kernel.shape for a in network.affines], shapes)
        _assert_agree(network, model)

    def test_are_those_of_a_model_that_rescales_them(self):
        model = _sequential(_L.Dense(3), _L.Rescaling(-2.0, 1.0))
        network = tfcurv.network_from_model(model)
        self.assertLen(network.affines, 1)
        _assert_agree(network, model)

    @parameterized.parameters(*networks.ACTIVATIONS)
    def test_are_those_of_the_model_for_every_activation(self, name):
        keras.utils.set_random_seed(0)
        model = _sequential(
            _L.Dense(7, activation=name, dtype="float64"),
            _L.Dense(3, dtype="float64"),
        )
        model.layers[0].kernel.assign(4.0 * model.layers[0].kernel)
        _assert_agree(tfcurv.network_from_model(model), model)

    @hypothesis.settings(max_examples=12, deadline=None)
    @hypothesis.given(
        st.lists(
            st.tuples(
                st.sampled_from(sorted({*networks.ACTIVATIONS} - {"gelu"})),
                st.integers(1, 6),
                st.booleans(),
                # Scales that are float32 numbers.
                st.sampled_from([None, -3.0, 0.25]),
            ),
            max_size=4,
        ),
        st.integers(1, 5),
        st.integers(0, 2**16),
    )
    def test_are_those_of_any_chain(self, hidden, classes, seed):
        keras.utils.set_random_seed(seed)
        layers = []
        for name, units, use_bias, scale in hidden:
            if scale is not None:
                layers.append(_L.Rescaling(scale, 0.5, dtype="float64"))
            layers.append(_L.Dense(units, name, use_bias, dtype="float64"))
        model = _sequential(*layers, _L.Dense(classes, dtype="float64"))
        _assert_agree(tfcurv.network_from_model(model), model, 1e-12)

    def test_do_not_change_when_the_model_trains_on(self):
        model = _sequential(_L.Dense(3, dtype="float64"))
        network = tfcurv.network_from_model(model)
        x = tf.ones((1, 4), tf.float64)
        before = network.logits(x).numpy()
        model.layers[0].kernel.assign_add(np.ones((4, 3)))
        np.testing.assert_array_equal(network.logits(x), before)

    @parameterized.parameters(0.0, 1e-30, 1e10, 1e30)
    def test_are_read_at_any_scale_of_the_weights(self, scale):
        model = _sequential(_L.Dense(5, "softplus"), _L.Dense(3))
        for weight in model.weights:
            weight.assign(scale * np.ones(weight.shape))
        network = tfcurv.network_from_model(model)
        np.testing.assert_array_equal(
            network.affines[0].kernel, model.layers[0].kernel.numpy()
        )

    def test_of_a_model_with_a_fixed_batch_size(self):
        model = keras.Sequential([keras.Input(batch_shape=(8, 4)), _L.Dense(3)])
        network = tfcurv.network_from_model(model)
        self.assertEqual((network.input_dim, network.num_classes), (4, 3))


class FusingTest(absltest.TestCase):
    def test_errs_by_no_more_than_it_says(self):
        # In 50 digits: logits = ((x - mean) / root - 1/2) / 255 K1 K2 + b.
        keras.utils.set_random_seed(0)
        random = np.random.default_rng(3)
        mean = random.normal(size=4).astype(np.float32)
        variance = random.uniform(0.1, 9.0, 4).astype(np.float32)
        model = _sequential(
            _L.Normalization(mean=mean, variance=variance),
            _L.Rescaling(1 / 255, offset=-0.5 / 255),
            _L.Dense(5, bias_initializer="normal"),
            _L.Dense(3, bias_initializer="normal"),
        )
        (affine,) = tfcurv.network_from_model(model).affines
        mpmath.mp.dps = 50
        first, second = (
            [mpmath.matrix(w.numpy().tolist()) for w in layer.weights]
            for layer in model.layers[2:]
        )
        factor, offset = mpmath.mpf(1 / 255), mpmath.mpf(-0.5 / 255)
        roots = [mpmath.sqrt(mpmath.mpf(float(v))) for v in variance]
        shift = [
            offset - factor * mpmath.mpf(float(m)) / r
            for m, r in zip(mean, roots)
        ]
        diagonal = mpmath.diag([factor / r for r in roots])
        product = diagonal * first[0] * second[0]
        start = mpmath.matrix([shift]) * first[0] + first[1].T
        bias = start * second[0] + second[1].T
        kernel_apart = mpmath.norm(
            product - mpmath.matrix(affine.kernel.tolist())
        )
        bias_apart = mpmath.norm(bias - mpmath.matrix([affine.bias.tolist()]))
        self.assertLessEqual(kernel_apart, affine.kernel_error)
        self.assertLessEqual(bias_apart, affine.bias_error)
        # Rounding it is, not more: some hundred units in the last place.
        size = float(np.linalg.norm(affine.kernel))
        self.assertLess(affine.kernel_error, 1e-11 * (1.0 + size))

    def test_a_scaling_alone_errs_by_no_more_than_it_says(self):
        variance = np.random.default_rng(5).uniform(0.1, 9.0, 30)
        mean = np.random.default_rng(6).normal(size=30)
        model = _sequential(
            _L.Normalization(mean=mean, variance=variance),
            _L.Activation("tanh"),
            _L.Dense(3),
            shape=(30,),
        )
        affine = tfcurv.network_from_model(model).affines[0]
        mpmath.mp.dps = 50
        # Keras stores what it is given as float32.
        stored = model.layers[0]
        roots = [mpmath.sqrt(float(v)) for v in np.ravel(stored.variance)]
        means = [mpmath.mpf(float(m)) for m in np.ravel(stored.mean)]
        scales = [1 / r - k for r, k in zip(roots, np.diag(affine.kernel))]
        offsets = [m / r + b for m, r, b in zip(means, roots, affine.bias)]
        for apart, error in (
            (mpmath.norm(scales), affine.kernel_error),
            (mpmath.norm(offsets), affine.bias_error),
        ):
            self.assertGreater(apart, 0.0)
            self.assertLessEqual(apart, error)


class RefusalTest(parameterized.TestCase):
    @parameterized.product(
        value=(float("nan"), float("inf"), -float("inf")), weight=(0, 1, 2, 3)
    )
    def test_names_a_weight_that_is_no_number(self, value, weight):
        model = _sequential(
            _L.Dense(5, "tanh", name="one"), _L.Dense(3, name="two")
        )
        variable = model.weights[weight]
        array = variable.numpy()
        array.flat[0] = value
        variable.assign(array)
        with self.assertRaisesRegex(
            errors.NonFiniteWeightsError, f"weight='.*{variable.path}'"
        ):
            tfcurv.network_from_model(model)

    @parameterized.named_parameters(
        ("scale", lambda y: 1.01 * y),
        ("offset", lambda y: y + 0.01),
        ("clip", lambda y: keras.ops.minimum(y, 0.5)),
        ("round", keras.ops.round),
        ("permute", lambda y: keras.ops.flip(y, -1)),
    )
    def test_finds_out_a_layer_that_does_something_else(self, after):
        keras.utils.set_random_seed(0)
        stock = _L.Dense.call

        def changed(layer, inputs, training=None):
            return after(stock(layer, inputs, training=training))

        model = _sequential(_L.Dense(5, "tanh"), _L.Dense(3))
        with mock.patch.object(_L.Dense, "call", changed):
            with self.assertRaisesRegex(
                errors.UnsupportedModelError, f"overridden.*{model.name}"
            ):
                tfcurv.network_from_model(model)
        tfcurv.network_from_model(model)

    def test_finds_out_what_shows_far_from_the_origin_alone(self):
        # Nearer, softplus of so large a number is the number.
        head = _L.Dense(3, bias_initializer="ones")
        model = _sequential(_L.Dense(5), _L.Activation("linear"), head)
        first, middle, _ = model.layers
        first.bias.assign(np.full(5, 60.0))
        middle.call = keras.activations.softplus
        with mock.patch.object(layer_checks, "check_stock"):
            with self.assertRaisesRegex(
                errors.UnsupportedModelError, f"overridden.*{model.name}"
            ):
                tfcurv.network_from_model(model)

    def test_asks_for_one_tensor(self):
        x = keras.Input((4,))
        model = keras.Model(x, {"logits": _L.Dense(3)(x)})
        with self.assertRaisesRegex(
            errors.UnsupportedModelError, f"one tensor.*{model.name}.*dict"
        ):
            tfcurv.network_from_model(model)

    def test_asks_for_one_row_of_logits(self):
        model = _sequential(_L.Dense(4), _L.Reshape((2, 2)))
        with self.assertRaisesRegex(
            errors.UnsupportedModelError, r"one row.*\(49, 2, 2\)"
        ):
            tfcurv.network_from_model(model)

    def test_asks_for_a_known_shape_of_the_input(self):
        model = _sequential(_L.Reshape((6,)), _L.Dense(3), shape=(None, 3))
        with self.assertRaisesRegex(
            errors.UnsupportedModelError, r"input_shape=\(None, None, 3\)"
        ):
            tfcurv.network_from_model(model)


class RemedyTest(parameterized.TestCase):
    """What the message about a head advises must work."""

    def _check(self, model, remedied):
        x = np.random.default_rng(4).normal(size=(50, 4)).astype(np.float32)
        before = np.argmax(model(x, training=False), axis=-1)
        network = tfcurv.network_from_model(remedied())
        logits = network.logits(tf.constant(x, tf.float64))
        np.testing.assert_array_equal(before, np.argmax(logits, axis=-1))

    @parameterized.parameters("softmax", "sigmoid", "log_softmax", "tanh")
    def test_a_dense_head_becomes_linear(self, name):
        keras.utils.set_random_seed(0)
        model = _sequential(_L.Dense(5, "tanh"), _L.Dense(3, name))
        with self.assertRaisesRegex(
            errors.UnsupportedLayerError,
            r"`model\.layers\[-1\]\.activation = keras\.activations\.linear`",
        ):
            tfcurv.network_from_model(model)

        def remedied():
            model.layers[-1].activation = keras.activations.linear
            return model

        self._check(model, remedied)

    @parameterized.named_parameters(
        (
            "sequential",
            lambda m: keras.Sequential([keras.Input((4,)), *m.layers[:-1]]),
        ),
        ("functional", lambda m: keras.Model(m.inputs, m.layers[-2].output)),
    )
    def test_a_softmax_layer_is_left_out(self, without_last_layer):
        keras.utils.set_random_seed(0)
        model = _sequential(_L.Dense(5, "tanh"), _L.Dense(3), _L.Softmax())
        with self.assertRaisesRegex(
            errors.UnsupportedLayerError, "a model without the last layer"
        ):
            tfcurv.network_from_model(model)
        self._check(model, lambda: without_last_layer(model))


if __name__ == "__main__":
    absltest.main()
