"""Tests of tfcurv.nn.training.model."""

import functools
import os

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

import tfcurv
from tfcurv import certificates
from tfcurv import errors
from tfcurv.nn.training.trained_graph import TrainedGraph
from untraced import untraced

_RANDOM = np.random.default_rng(0)
_X = _RANDOM.normal(size=(24, 4)).astype(np.float32)
_Y = (_X[:, 0] > 0).astype(np.int32) + (_X[:, 1] > 0)

_KINDS = (("sequential", "sequential"), ("functional", "functional"))


def _bare(kind="sequential", units=6, classes=3):
    keras.utils.set_random_seed(3)
    layers = [
        tfcurv.layers.Dense(units, activation="softplus", name="hidden"),
        tfcurv.layers.Dense(classes, name="logits"),
    ]
    if kind == "sequential":
        return tfcurv.Sequential([keras.Input((4,)), *layers])
    x = keras.Input((4,))
    return tfcurv.Model(x, layers[1](layers[0](x)))


def _loss():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _model(kind="sequential", gamma=0.05, epsilon=0.3, **compile_settings):
    model = _bare(kind)
    model.add_loss(tfcurv.CurvatureRegularizer(gamma))
    settings = {
        "optimizer": keras.optimizers.Adam(0.02),
        "loss": _loss(),
        "adversary": tfcurv.CurvatureAttack(epsilon, num_steps=2),
        "jit_compile": False,
    }
    model.compile(**(settings | compile_settings))
    return model


def _fit(model, epochs=1, y=_Y, **settings):
    settings = {"batch_size": 8, "shuffle": False, "verbose": 0} | settings
    return model.fit(_X, y, epochs=epochs, **settings)


def _cross_entropy(logits, y):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=-1))
    return np.mean(log_sum - shifted[np.arange(len(y)), y])


def _penalty(model, logits, gamma):
    regularizer = tfcurv.CurvatureRegularizer(gamma)
    labels = tf.constant(_Y, tf.int32)
    values = regularizer.per_example(
        TrainedGraph(model), labels, tf.constant(logits), converged=True
    )
    return float(tf.reduce_mean(values))


@functools.cache
def _plainly_trained():
    """The weights after two epochs with nothing out of the ordinary."""
    model = _model()
    _fit(model, epochs=2)
    return model.get_weights()


def _assert_same_weights(first, second, **tolerance):
    for mine, theirs in zip(first.get_weights(), second.get_weights()):
        np.testing.assert_allclose(mine, theirs, **tolerance)


class LossTest(parameterized.TestCase):
    @parameterized.named_parameters(*_KINDS)
    def test_evaluation_adds_the_penalty_and_does_not_attack(self, kind):
        model = _model(kind)
        model.update_spectral_norms()
        logits = model(_X).numpy()
        found = model.evaluate(_X, _Y, batch_size=24, verbose=0)
        oracle = _cross_entropy(logits, _Y) + _penalty(model, logits, 0.05)
        self.assertAlmostEqual(found, oracle, places=5)

    @parameterized.named_parameters(*_KINDS)
    def test_training_takes_the_loss_at_the_attacked_points(self, kind):
        model = _model(
            kind, optimizer=keras.optimizers.SGD(0.0), run_eagerly=True
        )
        found = model.train_on_batch(_X, _Y)[0]
        attacked = model.adversary.perturb(
            model, TrainedGraph(model), tf.constant(_X), tf.constant(_Y)
        )
        logits = model(attacked).numpy()
        oracle = _cross_entropy(logits, _Y) + _penalty(model, logits, 0.05)
        self.assertAlmostEqual(float(found), oracle, places=5)
        self.assertGreater(oracle, model.evaluate(_X, _Y, verbose=0))

    def test_penalties_add_up(self):
        model = _model(adversary=None, run_eagerly=True)
        model.update_spectral_norms()
        once = model.evaluate(_X, _Y, batch_size=24, verbose=0)
        model.add_loss(tfcurv.CurvatureRegularizer(0.1))
        self.assertLen(model.curvature_regularizers, 2)
        twice = model.evaluate(_X, _Y, batch_size=24, verbose=0)
        logits = model(_X).numpy()
        more = _penalty(model, logits, 0.1)
        self.assertAlmostEqual(twice - once, more, places=5)

    def test_without_extras_it_trains_like_the_model_of_keras(self):
        ours, stock = _bare(), keras.Sequential(_bare().layers)
        _assert_same_weights(ours, stock, rtol=0.0)
        for model in (ours, stock):
            model.compile("sgd", _loss(), jit_compile=False)
            _fit(model, sample_weight=np.linspace(0.0, 1.0, 24))
        _assert_same_weights(ours, stock, rtol=1e-6)

    def test_takes_scalar_tensors_like_keras(self):
        model = _bare()
        model.add_loss(tf.constant(3.0))
        self.assertEqual([float(loss) for loss in model.losses], [3.0])
        self.assertEmpty(model.curvature_regularizers)

    def test_functional_models_take_no_tensors_like_keras(self):
        x = keras.Input((4,))
        stock = keras.Model(x, keras.layers.Dense(3)(x))
        for model in (stock, _bare("functional")):
            with self.assertRaises(NotImplementedError):
                model.add_loss(tf.constant(3.0))


class TrainingTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("several_steps_at_once", {"steps_per_execution": 2}, {}),
        ("eagerly", {"run_eagerly": True}, {}),
        ("with_xla", {"jit_compile": True}, {}),
        ("on_labels_in_a_column", {}, {"y": _Y[:, np.newaxis]}),
        ("on_unit_weights", {}, {"sample_weight": np.ones(24)}),
        (
            "on_one_hot_labels",
            {"loss": keras.losses.CategoricalCrossentropy(from_logits=True)},
            {"y": np.eye(3, dtype=np.float32)[_Y]},
        ),
    )
    def test_gives_the_same_weights(self, compile_settings, fit_settings):
        model = _model(**compile_settings)
        _fit(model, epochs=2, **fit_settings)
        for found, plain in zip(model.get_weights(), _plainly_trained()):
            np.testing.assert_allclose(found, plain, rtol=1e-4, atol=1e-5)

    def test_metrics_and_validation_data_work_as_in_keras(self):
        model = _bare()
        model.compile("sgd", _loss(), metrics=["accuracy"], run_eagerly=True)
        history = _fit(model, validation_data=(_X, _Y)).history
        self.assertCountEqual(
            history, ["loss", "accuracy", "val_loss", "val_accuracy"]
        )
        predicted = np.argmax(model(_X), axis=-1)
        self.assertAlmostEqual(
            history["val_accuracy"][0], np.mean(predicted == _Y), places=6
        )

    def test_reads_the_layers_again_when_they_change(self):
        model = _model(adversary=None, run_eagerly=True)
        model.evaluate(_X, _Y, batch_size=24, verbose=0)
        model.pop()
        model.add(tfcurv.layers.Dense(5, activation="tanh", name="more"))
        model.add(tfcurv.layers.Dense(3, name="new"))
        found = model.evaluate(_X, _Y, batch_size=24, verbose=0)
        logits = model(_X).numpy()
        oracle = _cross_entropy(logits, _Y) + _penalty(model, logits, 0.05)
        self.assertAlmostEqual(found, oracle, places=5)
        model.pop()
        with self.assertRaisesRegex(errors.UnsupportedLayerError, "more"):
            model.evaluate(_X, _Y, batch_size=24, verbose=0)

    def test_refuses_half_precision_and_names_the_way_out(self):
        model = tfcurv.Sequential(
            [
                keras.Input((4,)),
                tfcurv.layers.Dense(3, dtype="mixed_float16"),
            ]
        )
        model.dtype_policy = keras.dtype_policies.get("mixed_float16")
        model.add_loss(tfcurv.CurvatureRegularizer(0.1))
        model.compile("sgd", _loss(), run_eagerly=True)
        with self.assertRaisesRegex(
            errors.UnsupportedModelError, "mixed_float16.*set_dtype_policy"
        ):
            _fit(model)

    def test_says_what_a_model_without_input_lacks(self):
        model = tfcurv.Sequential([tfcurv.layers.Dense(3)])
        model.add_loss(tfcurv.CurvatureRegularizer(0.1))
        model.compile("sgd", _loss(), run_eagerly=True)
        with self.assertRaisesRegex(
            errors.UnsupportedModelError, r"keras\.Input"
        ):
            _fit(model)

    @parameterized.named_parameters(
        ("name", "curvature"),
        ("class", tfcurv.CurvatureAttack),
        ("regularizer", tfcurv.CurvatureRegularizer(0.1)),
        ("number", 0.5),
    )
    def test_refuses_an_adversary_that_is_a(self, adversary):
        with self.assertRaisesRegex(TypeError, "adversary=.*"):
            _bare().compile("sgd", _loss(), adversary=adversary)

    def test_compiling_again_takes_the_adversary_away(self):
        model = _model()
        self.assertIsNotNone(model.adversary)
        model.compile("sgd", _loss())
        self.assertIsNone(model.adversary)
        self.assertLen(model.curvature_regularizers, 1)

    def test_raises_the_certified_accuracy(self):
        random = np.random.default_rng(0)
        corners = 2 * random.integers(2, size=(80, 2)) - 1
        x = (corners + 0.2 * random.normal(size=(80, 2))).astype(np.float32)
        y = (corners[:, 0] == corners[:, 1]).astype(np.int32)
        plain = _exclusive_or(x, y, penalty=None, adversary=None)
        robust = _exclusive_or(
            x,
            y,
            penalty=tfcurv.CurvatureRegularizer(0.02),
            adversary=tfcurv.CurvatureAttack(0.6, num_steps=3),
        )
        self.assertGreater(robust.clean_accuracy, 0.95)
        self.assertGreater(
            robust.certified_accuracy(0.6), plain.certified_accuracy(0.6) + 0.2
        )


def _exclusive_or(x, y, penalty, adversary):
    """Trains a small network and certifies it on what it was trained on."""
    keras.utils.set_random_seed(3)
    model = tfcurv.Sequential(
        [
            keras.Input((2,)),
            tfcurv.layers.Dense(12, activation="tanh"),
            tfcurv.layers.Dense(2),
        ]
    )
    if penalty is not None:
        model.add_loss(penalty)
    optimizer = keras.optimizers.Adam(0.1)
    model.compile(optimizer, _loss(), adversary=adversary, jit_compile=False)
    model.fit(x, y, batch_size=80, epochs=40, shuffle=False, verbose=0)
    closed_form = certificates.CertifierOptions(search=None)
    with untraced():
        return tfcurv.certify(model, (x, y), options=closed_form, verbose=0)


class SavingTest(parameterized.TestCase):
    def _saved(self, model):
        path = os.path.join(self.create_tempdir().full_path, "model.keras")
        model.save(path)
        return path

    @parameterized.named_parameters(*_KINDS)
    def test_training_goes_on_as_if_uninterrupted(self, kind):
        model = _model(kind, run_eagerly=True)
        _fit(model)
        loaded = keras.models.load_model(self._saved(model))
        loaded.run_eagerly = True
        self.assertIs(type(loaded), type(model))
        self.assertEqual(
            loaded.adversary.get_config(), model.adversary.get_config()
        )
        self.assertEqual(
            [r.get_config() for r in loaded.curvature_regularizers],
            [r.get_config() for r in model.curvature_regularizers],
        )
        self.assertEqual(
            loaded.evaluate(_X, _Y, verbose=0),
            model.evaluate(_X, _Y, verbose=0),
        )
        _fit(model)
        _fit(loaded)
        _assert_same_weights(model, loaded, rtol=1e-6, atol=1e-7)

    def test_loads_without_compiling(self):
        path = self._saved(_model())
        loaded = keras.models.load_model(path, compile=False)
        self.assertLen(loaded.curvature_regularizers, 1)
        self.assertFalse(loaded.compiled)

    def test_plain_models_stay_plain(self):
        loaded = keras.models.load_model(self._saved(_bare()))
        self.assertIs(type(loaded), tfcurv.Sequential)
        self.assertIsNone(loaded.adversary)
        self.assertEmpty(loaded.curvature_regularizers)

    def test_weights_files_hold_the_trackers(self):
        model, other = _bare(), _bare()
        model.add_loss(tfcurv.CurvatureRegularizer(0.1))
        model.update_spectral_norms()
        path = os.path.join(self.create_tempdir().full_path, "a.weights.h5")
        model.save_weights(path)
        other.load_weights(path)
        _assert_same_weights(model, other, rtol=0.0)

    @parameterized.named_parameters(*_KINDS)
    def test_config_keeps_the_extras(self, kind):
        model = _model(kind)
        other = type(model).from_config(model.get_config())
        other.set_weights(model.get_weights())
        self.assertIs(type(other), type(model))
        self.assertEqual(
            other.adversary.get_config(), model.adversary.get_config()
        )
        self.assertIsNot(other.adversary, model.adversary)
        gammas = [float(r.gamma.value) for r in other.curvature_regularizers]
        np.testing.assert_allclose(gammas, [0.05])
        np.testing.assert_array_equal(other(_X), model(_X))

    @parameterized.named_parameters(*_KINDS)
    def test_clone_model_copies_the_layers_alone(self, kind):
        model = _model(kind)
        clone = keras.models.clone_model(model)
        clone.set_weights(model.get_weights())
        np.testing.assert_array_equal(clone(_X), model(_X))
        self.assertIs(type(clone.layers[-1]), tfcurv.layers.Dense)
        self.assertIsNot(clone.layers[-1], model.layers[-1])
        self.assertEmpty(getattr(clone, "curvature_regularizers", ()))
        self.assertIsNone(getattr(clone, "adversary", None))


class _Doubled(tfcurv.Sequential):
    def call(self, inputs, training=None, mask=None):
        return 2.0 * super().call(inputs, training=training, mask=mask)


class _Inherited(tfcurv.Model):
    pass


class SubclassTest(absltest.TestCase):
    def test_of_sequential_is_not_taken_for_its_layers(self):
        model = _Doubled(_bare().layers)
        with self.assertRaisesRegex(
            errors.UnsupportedModelError, "type _Doubled"
        ):
            tfcurv.network_from_model(model)

    def test_of_functional_is_not_taken_for_its_layers(self):
        x = keras.Input((4,))
        model = _Inherited(x, keras.layers.Dense(3)(x))
        with self.assertRaisesRegex(
            errors.UnsupportedModelError, "type _Inherited"
        ):
            tfcurv.network_from_model(model)


if __name__ == "__main__":
    absltest.main()
