"""Tests of tfcurv.check, of the reasons it gives and the ways out it names."""

import importlib
import inspect
import os
import subprocess
import sys
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np

import tfcurv
from tfcurv import errors
from tfcurv.nn import backend
from tfcurv.nn.reading import reader
from tfcurv.nn.reading import reasons
from tfcurv.nn.reading import refusals

_L = keras.layers
_LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _layers():
    """Keras' public layers, each once, without what is no layer."""
    found = {}
    for value in vars(_L).values():
        if inspect.isclass(value) and issubclass(value, _L.Layer):
            found[value.__name__] = value
    del found["InputLayer"]  # Part of every model.
    return found


def _model(*layers, shape=(4,)):
    return keras.Sequential([keras.Input(shape), *layers])


class Opaque(_L.Layer):
    def call(self, x):
        return keras.ops.sort(x)


class TableTest(parameterized.TestCase):
    def test_every_layer_is_read_or_has_a_reason(self):
        known = set(reader.known_types())
        # Of a Lambda nothing is known, and that is what is said.
        for name, kind in set(_layers().items()) - {("Lambda", _L.Lambda)}:
            with self.subTest(name):
                if kind not in known:
                    self.assertIsNotNone(refusals.known_reason(kind))

    def test_no_reason_is_of_a_layer_that_is_not_there(self):
        self.assertEmpty(set(reasons.LAYERS) - set(vars(_L)))
        for name in reasons.FUNCTIONS:
            rooms = keras.activations, keras.ops
            found = any(hasattr(room, name) for room in rooms)
            self.assertTrue(found, name)

    def test_every_function_is_read_or_has_a_reason(self):
        silent = []
        for name, fn in vars(keras.activations).items():
            if not inspect.isfunction(fn) or name in (
                "deserialize",
                "get",
                "serialize",
            ):
                continue
            problems = tfcurv.check(
                _model(_L.Dense(4), _L.Activation(fn, name="it"), _L.Dense(2))
            )
            if any("nothing is known" in each.reason for each in problems):
                silent.append(name)
        self.assertEmpty(silent)

    def test_what_is_said_of_slopes_is_so(self):
        # Just below and above zero, by differences.
        x = np.array([-2e-4, -1e-4, 1e-4, 2e-4])
        for name, jumps in (("selu", True), ("elu", False), ("silu", False)):
            y = np.asarray(getattr(keras.activations, name)(x))
            below, above = np.diff(y)[[0, 2]] / 1e-4
            self.assertEqual(abs(below - above) > 0.1, jumps, name)
        self.assertAlmostEqual(
            float(np.asarray(keras.activations.celu(x))[0]),
            float(np.asarray(keras.activations.elu(x))[0]),
        )


class CheckTest(parameterized.TestCase):
    def test_of_a_model_that_can_be_certified_is_empty(self):
        found = tfcurv.check(_model(_L.Dense(4, "tanh"), _L.Dense(2)))
        self.assertEqual(found, ())
        self.assertFalse(found)
        self.assertEqual(str(found), "The model can be certified.")

    def test_lists_every_layer_in_one_error(self):
        model = _model(
            _L.Conv2D(2, 3, activation="relu", name="bent"),
            _L.MaxPooling2D(name="pool"),
            _L.LayerNormalization(name="norm"),
            _model(Opaque(name="inner_bad"), shape=(3, 3, 2)),
            _L.Flatten(),
            _L.Dense(4, "selu", name="selu"),
            _L.Dense(2, activation="softmax", name="head"),
            shape=(8, 8, 1),
        )
        self.assertEqual(
            [each.layer for each in tfcurv.check(model)],
            ["norm", "inner_bad", "head"],
        )
        found = tfcurv.check(model, method="curvature")
        self.assertEqual(
            [(each.layer, each.type) for each in found],
            [
                ("pool", "MaxPooling2D"),
                ("norm", "LayerNormalization"),
                ("inner_bad", "Opaque"),
                ("selu", "Dense"),
                ("head", "Dense"),
                ("bent", "Conv2D"),
            ],
        )
        for each in found:
            self.assertTrue(each.reason and each.remedy)
            self.assertIn(each.remedy, str(found))
        for call in (
            lambda: tfcurv.network_from_model(model),
            lambda: tfcurv.certify(
                model,
                (np.ones((2, 8, 8, 1)), np.zeros(2)),
                method="curvature",
                verbose=0,
            ),
        ):
            with self.assertRaises(errors.UnsupportedLayerError) as caught:
                call()
            self.assertEqual(caught.exception.problems, tuple(found))
            for each in found:
                self.assertIn(f"'{each.layer}'", str(caught.exception))

    def test_goes_on_where_the_shape_is_not_known(self):
        x = keras.Input((4,))
        value = _L.Lambda(lambda x: x, output_shape=(None,), name="odd")(x)
        value = _L.Activation("tanh")(value)
        value = _L.LeakyReLU(name="leaky")(value)
        value = _L.Reshape((4,))(value)
        model = keras.Model(x, _L.Dense(2)(value))
        self.assertEqual(
            [each.layer for each in tfcurv.check(model, method="curvature")],
            ["odd", "leaky"],
        )

    def test_lists_what_is_structural_with_the_rest(self):
        x = keras.Input((4, 2))
        shared = _L.Dense(4, name="shared")
        first, _, _ = _L.LSTM(4, return_state=True, name="lstm")(x)
        total = shared(first) + shared(_L.Flatten()(x)[:, :4])
        model = keras.Model(x, _L.Dense(2)(total))
        found = {each.layer: each for each in tfcurv.check(model)}
        self.assertIn("several outputs", found["lstm"].reason)
        self.assertIn("more than once", found["shared"].reason)

    def test_lists_several_relu_and_non_finite_weights(self):
        model = _model(
            _L.Dense(4, "relu", name="a"),
            _L.Dense(4, "relu", name="b"),
            _L.Dense(2, name="c"),
        )
        model.layers[2].bias.assign([np.nan, 0.0])
        found = tfcurv.check(model, method="curvature")
        self.assertEqual(
            [each.layer for each in found], ["a", "b", model.weights[5].path]
        )
        (problem,) = tfcurv.check(model)
        self.assertEqual(problem.layer, model.weights[5].path)

    def test_knows_the_limits_of_the_guard(self):
        model = _model(_L.Reshape((4, 1)), _L.Conv1D(2, 2), _L.Flatten())
        model.add(_L.Dense(2))
        self.assertEqual(tfcurv.check(model), ())
        (problem,) = tfcurv.check(model, guard="float32")
        self.assertIn("guard", problem.reason)

    @parameterized.named_parameters(
        ("hidden", lambda: _L.Dense(4, "softmax", name="it"), False),
        ("layer", lambda: _L.Softmax(name="it"), False),
        ("last", lambda: _L.Dense(4, "softmax", name="it"), True),
        ("last_layer", lambda: _L.Softmax(name="it"), True),
    )
    def test_tells_to_drop_a_softmax_only_where_it_is_last(self, make, last):
        behind = [] if last else [_L.Dense(2)]
        (problem,) = tfcurv.check(_model(_L.Dense(4), make(), *behind))
        self.assertEqual("drop the head" in problem.remedy, last)

    def test_advises_to_assume_only_where_it_serves(self):
        x = keras.Input((4,))
        one = Opaque(name="one")(x)
        two = _L.Lambda(lambda pair: pair[0] * pair[1], name="two")([one, x])
        model = keras.Model(x, _L.Dense(2)(two))
        first, second = tfcurv.check(model)
        self.assertIn("assume={'one'", first.remedy)
        self.assertNotIn("assume=", second.remedy)

    def test_what_is_advised_to_assume_can_be(self):
        resized = _model(_L.Resizing(1, 2, name="small"), shape=(2, 2, 1))
        bilinear = resized(np.eye(4).reshape(4, 2, 2, 1).astype(np.float32))
        matrix = np.asarray(bilinear).reshape(4, 2)
        model = _model(
            _L.Resizing(1, 2, name="small"),
            _L.Flatten(),
            _L.Dense(2),
            shape=(2, 2, 1),
        )
        (problem,) = tfcurv.check(model)
        self.assertIn("assume={'small': tfcurv.LinearMapSpec", problem.remedy)
        said = {"small": tfcurv.LinearMapSpec(map=matrix)}
        self.assertEqual(tfcurv.check(model, assume=said), ())

    def test_an_activation_of_a_layer_of_its_own_can_be_assumed(self):
        layers = _L.Dense(4), _L.Activation(lambda x: keras.ops.tanh(x))
        layers[1].name = "mine"
        model = _model(*layers, _L.Dense(2))
        (problem,) = tfcurv.check(model)
        self.assertIn("assume={'mine'", problem.remedy)
        said = {"mine": tfcurv.bounds.activation("tanh")}
        self.assertEqual(tfcurv.check(model, assume=said), ())

    @parameterized.named_parameters(
        ("several_inputs", "2 inputs"),
        ("legacy", "tf_keras"),
        ("subclassed", "subclassed"),
        ("not_built", "no weights yet"),
    )
    def test_says_what_is_wrong_with_a_whole_model(self, reason):
        x, y = keras.Input((2,)), keras.Input((2,))
        legacy = type("Sequential", (), {"__module__": "tf_keras.src.engine"})
        legacy.name = "old"
        model = {
            "2 inputs": lambda: keras.Model([x, y], _L.Add()([x, y])),
            "tf_keras": legacy,
            "subclassed": type("Own", (keras.Model,), {}),
            "no weights yet": lambda: keras.Sequential([_L.Dense(2)]),
        }[reason]()
        (problem,) = tfcurv.check(model)
        self.assertIn(reason, problem.reason)
        self.assertTrue(problem.remedy)


class TrainingTest(parameterized.TestCase):
    @parameterized.parameters("dual", "sphere")
    def test_of_an_adversary_names_inputs_that_are_a_dict(self, constraint):
        image = keras.Input((4,), name="image")
        outputs = tfcurv.layers.Dense(3)(image)
        model = tfcurv.Model({"image": image}, outputs)
        attack = tfcurv.CurvatureAttack(0.1, constraint=constraint)
        model.compile("sgd", _LOSS, adversary=attack)
        with self.assertRaisesRegex(
            errors.UnsupportedModelError, "a dict.*Remedy.*in no dict"
        ):
            model.fit({"image": np.ones((4, 4))}, np.zeros(4), verbose=0)

    @parameterized.parameters("dual", "sphere")
    def test_of_an_adversary_names_several_outputs(self, constraint):
        x = keras.Input((4,))
        outputs = [tfcurv.layers.Dense(n)(x) for n in (3, 1)]
        model = tfcurv.Model(x, outputs)
        attack = tfcurv.CurvatureAttack(0.1, constraint=constraint)
        model.compile("sgd", [_LOSS, "mse"], adversary=attack)
        with self.assertRaisesRegex(
            errors.UnsupportedModelError, "2 outputs.*Remedy"
        ):
            model.fit(np.ones((4, 4)), [np.zeros(4), np.ones(4)], verbose=0)

    def test_of_a_warm_up_names_a_stock_model(self):
        model = _model(_L.Dense(3))
        model.compile("sgd", _LOSS)
        with self.assertRaisesRegex(TypeError, "WarmUp.*tfcurv.from_keras"):
            model.fit(
                np.ones((4, 4)),
                np.zeros(4),
                callbacks=[tfcurv.WarmUp()],
                verbose=0,
            )


class BackendTest(absltest.TestCase):
    def test_must_be_tensorflow(self):
        backend.check_backend()
        with mock.patch.object(keras.config, "backend", return_value="jax"):
            with self.assertRaisesRegex(ImportError, "'jax'.*KERAS_BACKEND"):
                importlib.reload(backend)
        importlib.reload(backend)

    def test_is_named_by_the_first_use(self):
        # NumPy is the one other backend that is always installed.
        ran = subprocess.run(
            [sys.executable, "-c", "import tfcurv; tfcurv.certify"],
            env={**_environment(), "KERAS_BACKEND": "numpy"},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertNotEqual(ran.returncode, 0)
        last = ran.stderr.strip().splitlines()[-1]
        self.assertRegex(last, "^ImportError: tfcurv needs.*'numpy'.*Remedy")


def _environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


class HeadTest(parameterized.TestCase):
    """A head may be dropped only where that leaves every prediction."""

    @parameterized.parameters(
        (lambda: keras.layers.Rescaling(2.0, 1.0), True),
        (lambda: keras.layers.Rescaling(-1.0), False),
        (lambda: keras.layers.Rescaling([1.0, 0.2, 3.0]), False),
        (lambda: keras.layers.Rescaling(1.0, [0.5, 0.0, -0.5]), False),
    )
    def test_is_told_to_be_dropped_where_nothing_changes(self, make, is_head):
        model = keras.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dense(3, activation="softmax"),
                make(),
            ]
        )
        (problem,) = tfcurv.check(model)
        self.assertEqual("drop the head" in str(problem), is_head)


if __name__ == "__main__":
    absltest.main()
