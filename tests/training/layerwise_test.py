"""Tests of tfcurv.training.layerwise: COLT, stage by stage."""

import functools

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

import tfcurv
from tfcurv import data
from tfcurv import errors
from tfcurv import nn
from tfcurv import training
from untraced import untraced

_EPSILON = 0.1


def _stages(**settings):
    return training.Stages(
        **{"count": 3, "epochs": 6, "mixing_epochs": 3.0} | settings
    )


def _model():
    keras.utils.set_random_seed(0)
    dense = tfcurv.layers.Dense
    return tfcurv.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            dense(24, activation="relu"),
            dense(24, activation="relu"),
            dense(10),
        ]
    )


@functools.cache
def _splits():
    return [data.load_split("digits", name) for name in ("train", "test")]


def _batches(limit=None):
    train, _ = _splits()
    pairs = train.images[:limit], train.labels[:limit]
    found = tf.data.Dataset.from_tensor_slices(pairs)
    return data.without_autotuning(found.shuffle(2000, seed=0).batch(50))


def _adversary(**settings):
    return nn.LayerwiseAdversary(
        _EPSILON, domain=(0.0, 1.0), num_steps=3, step_size=0.7, **settings
    )


class _Kernels(keras.callbacks.Callback):
    """Keeps the first kernels at the end of each epoch, or stops."""

    def __init__(self, stops_after=None):
        super().__init__()
        self.found = []
        self._stops_after = stops_after

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self._stops_after:
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch, logs=None):
        dense = [each for each in self.model.layers if each.weights]
        self.found.append([each.kernel.numpy() for each in dense])


def _fit(model, stages, limit=None, **settings):
    return training.fit_layerwise(
        *(model, _batches(limit), _adversary(projections=8, stability=0.001)),
        stages,
        verbose=0,
        **settings,
    )


@functools.cache
def _trained():
    model, kernels = _model(), _Kernels()
    history = _fit(model, _stages(learning_rate=5e-3), callbacks=[kernels])
    return model, history, kernels.found


def _proved(model):
    _, test = _splits()
    with untraced():
        return tfcurv.certify(
            model,
            (test.images[:150], test.labels[:150]),
            method="zonotope",
            norm="linf",
            domain=(0.0, 1.0),
            epsilons=(_EPSILON,),
            radii=False,
            verbose=0,
        ).certified_accuracy(_EPSILON)


class FitLayerwiseTest(parameterized.TestCase):
    def test_freezes_one_layer_after_the_other(self):
        model, history, kernels = _trained()
        self.assertLen(kernels, 18)
        self.assertLen(history["attacked_estimate"], 18)
        for stage in range(3):
            begin, end = kernels[6 * stage], kernels[6 * stage + 5]
            same = [np.array_equal(*each) for each in zip(begin, end)]
            self.assertEqual(same, [i < stage for i in range(3)])
        self.assertTrue(all(layer.trainable for layer in model.layers))

    def test_raises_what_is_proved_by_zonotopes(self):
        model, history, _ = _trained()
        plain = _model()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        plain.compile(keras.optimizers.Adam(5e-3), loss, metrics=["accuracy"])
        plain.fit(_batches(), epochs=12, shuffle=False, verbose=0)
        self.assertGreater(_proved(model), _proved(plain) + 0.2)
        # What the last adversary leaves is no proof, and near one.
        left = history["attacked_estimate"][-1]
        self.assertAlmostEqual(_proved(model), left, delta=0.12)

    def test_goes_on_where_it_was_stopped(self):
        folder = self.create_tempdir().full_path
        stages = _stages(count=2, epochs=2, mixing_epochs=1.0)
        for stop in (1, 2, 3):
            with self.assertRaises(KeyboardInterrupt):
                _fit(
                    *(_model(), stages, 100),
                    backup=folder,
                    callbacks=[_Kernels(stop)],
                )
        model, kernels = _model(), _Kernels()
        history = _fit(model, stages, 100, backup=folder, callbacks=[kernels])
        self.assertLen(kernels.found, 1)
        self.assertEqual({len(each) for each in history.values()}, {4})
        again = _model()
        self.assertEqual(_fit(again, stages, 100, backup=folder), history)
        for a, b in zip(model.get_weights(), again.get_weights()):
            np.testing.assert_array_equal(a, b)
        # It is compiled for whoever goes on with it.
        self.assertIsNone(again.worst_case)
        names = {metric.name for metric in again.metrics}
        self.assertNotIn("attacked_estimate", names)
        before = again.layers[1].kernel.numpy()
        again.fit(_batches(100), epochs=1, shuffle=False, verbose=0)
        self.assertTrue(np.any(again.layers[1].kernel != before))
        other = _stages(count=2, epochs=3, mixing_epochs=1.0)
        with self.assertRaisesRegex(errors.InvalidCheckpointError, "settings"):
            _fit(_model(), other, 100, backup=folder)

    def test_what_was_not_trained_before_is_not_afterwards(self):
        model = _model()
        model.layers[1].kernel.trainable = False
        stages = _stages(count=2, epochs=1, mixing_epochs=0.0)
        _fit(model, stages, 50, validation_data=_batches(20))
        found = [each.trainable for each in model.layers[1].weights[:2]]
        self.assertEqual(found, [False, True])

    def test_a_callback_may_end_it_in_any_stage(self):
        class Stop(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                self.model.stop_training = epoch == 1

        history = _fit(_model(), _stages(epochs=4), 50, callbacks=[Stop()])
        self.assertLen(history["loss"], 2)

    @parameterized.parameters(
        ({"model": keras.Sequential([keras.Input((8, 8, 1))])}, "model"),
        ({"x": (np.zeros((2, 8, 8, 1)), np.zeros(2))}, "x of type tuple"),
        ({"adversary": tfcurv.WorstCase(0.1)}, "adversary"),
        ({"epochs": 3}, "epochs"),
    )
    def test_refuses_other_arguments(self, given, message):
        usual = {
            "model": _model(),
            "x": _batches(50),
            "adversary": _adversary(),
            "stages": _stages(),
        }
        with self.assertRaisesRegex(TypeError, message):
            training.fit_layerwise(**usual | given)

    def test_more_stages_than_activations_are_refused(self):
        with self.assertRaisesRegex(ValueError, "stages.*count=4.*3"):
            _fit(_model(), _stages(count=4, epochs=1, mixing_epochs=0.0), 50)

    def test_batches_without_end_are_refused(self):
        with self.assertRaisesRegex(ValueError, "cardinality"):
            training.fit_layerwise(
                _model(), _batches().repeat(), _adversary(), _stages()
            )


class StagesTest(parameterized.TestCase):
    def test_epsilon_falls_to_that_of_the_last(self):
        stages = _stages(growth=1.1, growth_factor=1.2)
        given = _adversary(stability=0.5)
        found = [stages.adversary(given, stage) for stage in range(3)]
        np.testing.assert_allclose(
            [each.epsilon.settled / _EPSILON for each in found],
            [1.1 * 1.44, 1.1 * 1.2, 1.1],
        )
        self.assertEqual([each.stage for each in found], [0, 1, 2])
        np.testing.assert_allclose(
            [each.get_config()["stability"] for each in found],
            [0.5, 0.75, 1.125],
        )

    def test_rates_drop_within_a_stage_and_from_stage_to_stage(self):
        stages = _stages(
            epochs=10, learning_rate_drops=(0.5, 0.8), drop_factor=0.2
        )
        rates = [stages.optimizer(i, 100)._learning_rate for i in (0, 2)]
        found = [[float(r(s)) for s in (0, 490, 510, 810)] for r in rates]
        first = [1e-3, 1e-3, 2e-4, 4e-5]
        np.testing.assert_allclose(
            found, [first, np.multiply(0.75**2, first)], rtol=1e-5
        )

    @parameterized.parameters(
        {"count": 0},
        {"count": 1.5},
        {"growth": float("nan")},
        {"mixing_epochs": 7.0},
        {"learning_rate": 0.0},
        {"learning_rate_drops": (0.9, 0.7)},
        {"growth_factor": -1.0},
    )
    def test_refuses_what_is_out_of_range(self, **settings):
        with self.assertRaisesRegex(ValueError, "stages"):
            _stages(**settings)


if __name__ == "__main__":
    absltest.main()
