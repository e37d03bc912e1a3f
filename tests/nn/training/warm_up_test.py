"""Tests of tfcurv.nn.training.warm_up."""

import functools
import os

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

import tfcurv
from untraced import untraced

_RANDOM = np.random.default_rng(0)
_X = _RANDOM.normal(size=(16, 4)).astype(np.float32)
_Y = (_X[:, 0] > 0).astype(np.int32)


class _Recorder(keras.callbacks.Callback):
    """Notes epsilon and gamma as each batch begins."""

    def __init__(self):
        super().__init__()
        self.epsilons, self.gammas = [], []

    def on_train_batch_begin(self, batch, logs=None):
        self.epsilons.append(float(self.model.adversary.epsilon.value))
        (regularizer,) = self.model.curvature_regularizers
        self.gammas.append(float(regularizer.gamma.value))


class _StopAfter(keras.callbacks.Callback):
    def __init__(self, batch):
        super().__init__()
        self._batch = batch

    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = batch >= self._batch


class _Do(keras.callbacks.Callback):
    """Calls a function after the given number of batches."""

    def __init__(self, count, function, *arguments):
        super().__init__()
        self._count, self._call = count, lambda: function(*arguments)

    def on_train_batch_end(self, batch, logs=None):
        self._count -= 1
        if self._count == 0:
            self._call()


def _raise(kind):
    raise kind


@functools.cache
def _compiled():
    """The model that most tests share: to trace a step takes seconds."""
    return _new_model()


def _model():
    """Returns it as if it were new."""
    model = _compiled()
    model.adversary.epsilon.assign(0.8)
    (regularizer,) = model.curvature_regularizers
    regularizer.gamma.assign(0.4)
    return model


def _new_model():
    keras.utils.set_random_seed(0)
    model = tfcurv.Sequential(
        [
            keras.Input((4,)),
            tfcurv.layers.Dense(3, activation="softplus"),
            tfcurv.layers.Dense(2),
        ]
    )
    model.add_loss(tfcurv.CurvatureRegularizer(0.4))
    model.compile(
        keras.optimizers.Adam(0.05),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        adversary=tfcurv.CurvatureAttack(0.8, num_steps=1),
        jit_compile=False,
    )
    return model


def _fit(model, warm_up, *others, epochs=3, **settings):
    recorder = _Recorder()
    model.fit(
        _X,
        _Y,
        batch_size=4,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[warm_up, recorder, *others],
        **settings,
    )
    return recorder


def _finals(model):
    (regularizer,) = model.curvature_regularizers
    epsilon = float(model.adversary.epsilon.value)
    return epsilon, float(regularizer.gamma.value)


class WarmUpTest(parameterized.TestCase):
    @parameterized.parameters(0.5, 1.0, 2.0, 2.5, 10.0)
    def test_rises_linearly_over_the_batches(self, epochs):
        model = _model()
        found = _fit(model, tfcurv.WarmUp(epochs))
        share = np.minimum(1.0, np.arange(12) / (4.0 * epochs))
        np.testing.assert_allclose(found.epsilons, 0.8 * share, rtol=1e-6)
        np.testing.assert_allclose(found.gammas, 0.4 * share, rtol=1e-6)

    @parameterized.named_parameters(("to_the_end", 99), ("in_between", 1))
    def test_leaves_the_final_values_after_training(self, batch):
        model = _model()
        _fit(model, tfcurv.WarmUp(10.0), _StopAfter(batch))
        np.testing.assert_allclose(_finals(model), (0.8, 0.4), rtol=1e-6)

    def test_knows_the_epoch_of_a_training_that_goes_on(self):
        model = _model()
        found = _fit(model, tfcurv.WarmUp(2.0), initial_epoch=1)
        share = np.minimum(1.0, (4 + np.arange(8)) / 8.0)
        np.testing.assert_allclose(found.epsilons, 0.8 * share, rtol=1e-6)

    def test_is_over_in_a_training_that_goes_on_after_it(self):
        model = _model()
        found = _fit(model, tfcurv.WarmUp(2.0), initial_epoch=2)
        np.testing.assert_allclose(found.epsilons, 0.8, rtol=1e-6)
        self.assertLen(found.epsilons, 4)

    def test_can_be_used_again(self):
        model, warm_up = _model(), tfcurv.WarmUp(1.0)
        first = _fit(model, warm_up, epochs=1)
        second = _fit(model, warm_up, epochs=1)
        self.assertEqual(first.epsilons, second.epsilons)

    @parameterized.parameters(KeyboardInterrupt, RuntimeError)
    def test_an_interruption_leaves_the_final_values(self, kind):
        model = _model()
        with self.assertRaises(kind):
            _fit(model, tfcurv.WarmUp(10.0), _Do(2, _raise, kind))
        np.testing.assert_allclose(_finals(model), (0.8, 0.4), rtol=1e-6)
        self.assertEqual(model.adversary.get_config()["epsilon"], 0.8)

    def test_rises_to_what_was_assigned_before(self):
        model = _model()
        model.adversary.epsilon.assign(0.2)
        found = _fit(model, tfcurv.WarmUp(1.0), epochs=2)
        np.testing.assert_allclose(found.epsilons[4:], 0.2, rtol=1e-6)

    def test_leaves_the_changes_of_other_callbacks(self):
        model = _model()
        lower = _Do(6, model.adversary.epsilon.assign, 0.1)
        found = _fit(model, tfcurv.WarmUp(1.0), lower)
        np.testing.assert_allclose(found.epsilons[7:], 0.1, rtol=1e-6)
        np.testing.assert_allclose(_finals(model), (0.1, 0.4), rtol=1e-6)

    def test_what_is_saved_is_what_it_rises_to_or_was_changed_to(self):
        path = os.path.join(self.create_tempdir().full_path, "model.keras")
        model = _model()
        _fit(model, tfcurv.WarmUp(10.0), _Do(2, model.save, path))
        loaded = keras.models.load_model(path)
        np.testing.assert_allclose(_finals(loaded), (0.8, 0.4), rtol=1e-6)
        (regularizer,) = model.curvature_regularizers
        regularizer.gamma.assign(0.3)
        model.adversary.epsilon.assign(0.7)
        model.save(path)
        loaded = keras.models.load_model(path)
        np.testing.assert_allclose(_finals(loaded), (0.7, 0.3), rtol=1e-6)

    def test_rises_in_each_of_two_models_with_the_same_adversary(self):
        first, second = _model(), _new_model()
        second.compile(
            "sgd", second.loss, adversary=first.adversary, jit_compile=False
        )
        share = np.minimum(1.0, np.arange(12) / 10.0)
        for model in (second, first, second):
            found = _fit(model, tfcurv.WarmUp(2.5))
            np.testing.assert_allclose(found.epsilons, 0.8 * share, rtol=1e-6)

    def test_rises_within_executions_of_several_steps(self):
        model, seen = _new_model(), []

        def note(epsilon):
            seen.append(float(epsilon))
            return epsilon

        class Noting(tfcurv.CurvatureAttack):
            def descend(self, gradient, x, first, least):
                epsilon = tf.convert_to_tensor(self.epsilon)
                tf.numpy_function(note, [epsilon], tf.float32)
                return x

        model.compile(
            "sgd",
            model.loss,
            adversary=Noting(0.8),
            steps_per_execution=4,
            jit_compile=False,
        )
        _fit(model, tfcurv.WarmUp(2.5), epochs=1)  # Traced before the rise.
        _fit(model, tfcurv.WarmUp(2.5))
        share = np.minimum(1.0, np.arange(12) / 10.0)
        np.testing.assert_allclose(seen[4:], 0.8 * share, rtol=1e-6)

    def test_counts_epochs_where_the_batches_are_not_known(self):
        dataset = tf.data.Dataset.from_tensor_slices((_X, _Y)).batch(4)
        dataset = dataset.filter(lambda x, y: tf.size(y) > 0)
        model = _model()
        # Keras finds the end of the data by running into it.
        with self.assertWarnsRegex(UserWarning, "ran out of data"):
            recorder = _Recorder()
            model.fit(
                dataset,
                epochs=3,
                verbose=0,
                shuffle=False,
                callbacks=[tfcurv.WarmUp(2.0), recorder],
            )
        values = sorted(set(recorder.epsilons))
        np.testing.assert_allclose(values, [0.0, 0.4, 0.8], rtol=1e-6)
        self.assertEqual(recorder.epsilons, sorted(recorder.epsilons))

    def test_does_nothing_to_a_model_without_extras(self):
        model = tfcurv.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        model.compile(
            "sgd",
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            run_eagerly=True,
        )
        history = model.fit(
            _X, _Y, verbose=0, callbacks=[tfcurv.WarmUp(1.0)]
        ).history
        self.assertLen(history["loss"], 1)

    @parameterized.parameters(0.0, -1.0, float("nan"))
    def test_refuses_a_length_that_is_none(self, epochs):
        with self.assertRaisesRegex(ValueError, f"epochs={epochs}"):
            tfcurv.WarmUp(epochs)


def _softmax_model():
    layers = [keras.Input((4,)), keras.layers.Dense(2, activation="softmax")]
    model = tfcurv.Sequential(layers)
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    return model


class CertifiedAccuracyTest(parameterized.TestCase):
    def test_is_seen_by_the_callbacks_after_it(self):
        model = _model()
        path = os.path.join(self.create_tempdir().full_path, "best.keras")
        with untraced():
            history = model.fit(
                _X,
                _Y,
                epochs=2,
                batch_size=4,
                verbose=0,
                callbacks=[
                    tfcurv.CertifiedAccuracy((_X, _Y), 0.05),
                    keras.callbacks.ModelCheckpoint(
                        path,
                        monitor="val_certified_accuracy",
                        mode="max",
                        save_best_only=True,
                    ),
                ],
            ).history
        logged = history["val_certified_accuracy"]
        self.assertLen(logged, 2)
        best = keras.models.load_model(path)
        with untraced():
            result = tfcurv.certify(best, (_X, _Y), epsilons=(0.05,), verbose=0)
        self.assertAlmostEqual(
            max(logged), result.certified_accuracy(0.05), places=12
        )
        self.assertGreater(max(logged), 0.0)

    def test_certifies_every_so_many_epochs_so_many_examples(self):
        model = _model()
        callback = tfcurv.CertifiedAccuracy((_X, _Y), 0.05, every=2, limit=3)
        callback.set_model(model)
        logs = [{}, {}, {}]
        with untraced():
            for epoch, entry in enumerate(logs):
                callback.on_epoch_end(epoch, entry)
        self.assertEqual(list(map(bool, logs)), [False, True, False])
        self.assertGreater(logs[1]["val_certified_seconds"], 0.0)
        count = 3.0 * logs[1]["val_certified_accuracy"]
        self.assertAlmostEqual(count, round(count), places=9)

    def test_certifies_by_the_method_and_threat_that_it_is_given(self):
        model, logs = _model(), {}
        threat = {"norm": "linf", "domain": (-3.0, 3.0), "method": "ibp"}
        callback = tfcurv.CertifiedAccuracy((_X, _Y), 0.02, **threat)
        callback.set_model(model)
        with untraced():
            callback.on_train_begin()
            callback.on_epoch_end(0, logs)
            result = tfcurv.certify(
                model, (_X, _Y), epsilons=(0.02,), verbose=0, **threat
            )
        self.assertEqual(
            logs["val_certified_accuracy"], result.certified_accuracy(0.02)
        )
        self.assertGreater(logs["val_certified_accuracy"], 0.0)

    def test_refuses_a_method_that_cannot(self):
        callback = tfcurv.CertifiedAccuracy((_X, _Y), 0.1, method="quadratic")
        callback.set_model(_model())
        with self.assertRaisesRegex(ValueError, "quadratic"):
            callback.on_train_begin()

    @parameterized.named_parameters(
        ("data", _model, (_X[:, :3], _Y), "shape"),
        ("labels", _model, (_X, _Y + 7), "label"),
        ("model", _softmax_model, (_X, _Y), "from_logits"),
    )
    def test_refuses_before_the_first_epoch(self, model, examples, culprit):
        model = model()
        before = model.get_weights()
        callback = tfcurv.CertifiedAccuracy(examples, 0.05)
        with self.assertRaisesRegex(ValueError, culprit):
            model.fit(_X, _Y, verbose=0, callbacks=[callback])
        for old, new in zip(before, model.get_weights()):
            np.testing.assert_array_equal(old, new)

    @parameterized.named_parameters(
        ("no_radius", "epsilon=0.0", {"epsilon": 0.0}),
        ("negative_radius", "epsilon=-1.0", {"epsilon": -1.0}),
        ("infinite_radius", "epsilon=inf", {"epsilon": float("inf")}),
        ("nan_radius", "epsilon=nan", {"epsilon": float("nan")}),
        ("no_period", "every=0", {"every": 0}),
        ("no_norm", "l1", {"norm": "l1"}),
    )
    def test_refuses_by_name(self, message, changes):
        with self.assertRaisesRegex(ValueError, message):
            tfcurv.CertifiedAccuracy((_X, _Y), **({"epsilon": 1.0} | changes))


if __name__ == "__main__":
    absltest.main()
