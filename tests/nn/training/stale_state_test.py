"""Nothing that a compiled step has read outlives its change."""

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

import tfcurv
from tfcurv.nn.training.trained_graph import TrainedGraph

_RANDOM = np.random.default_rng(0)
_X = _RANDOM.normal(size=(8, 4)).astype(np.float32)
_Y = np.arange(8) % 3

_ACTIVATIONS = ("softplus", "tanh", "sigmoid", "elu", "gelu", "silu")


def _model(gammas=(0.5,), activation="softplus"):
    keras.utils.set_random_seed(3)
    model = tfcurv.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Rescaling(1.0),
            keras.layers.Dense(4, trainable=False, name="frozen"),
            tfcurv.layers.Dense(5, activation=activation, name="hidden"),
            keras.layers.BatchNormalization(),
            tfcurv.layers.Dense(3),
        ]
    )
    for gamma in gammas:
        model.add_loss(tfcurv.CurvatureRegularizer(gamma))
    # A learning rate of zero: the loss changes with what it is made of.
    model.compile(
        keras.optimizers.SGD(0.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    return model


def _fit(model, *callbacks, epochs=1):
    history = model.fit(
        _X, _Y, epochs=epochs, verbose=0, shuffle=False, callbacks=callbacks
    )
    return history.history["loss"]


def _evaluate(model):
    return model.evaluate(_X, _Y, verbose=0)


def _afresh(model):
    """What a model that never ran reports with the same settings."""
    other = type(model).from_config(model.get_config())
    other.compile("sgd", model.loss, run_eagerly=True)
    other.set_weights(model.get_weights())
    return _evaluate(other)


def _to_tanh(model):
    model.get_layer("hidden").activation = keras.activations.tanh


def _to_other_kernel(model):
    layer = model.get_layer("frozen")
    layer.kernel.assign(3.0 * layer.kernel)


def _to_other_scale(model):
    model.layers[0].scale = 0.25


def _to_other_regularizers(model):
    model.add_loss(tfcurv.CurvatureRegularizer(1.5, target="least-likely"))


def _to_other_gamma(model):
    model.curvature_regularizers[0].gamma.assign(2.0)


def _to_other_tracked_kernel(model):
    layer = model.get_layer("hidden")
    layer.kernel.assign(2.0 * layer.kernel[::-1])


def _to_other_variance(model):
    model.layers[3].moving_variance.assign([0.1, 0.2, 0.3, 0.4, 0.5])


def _to_no_more_than_the_loss(model):
    model.curvature_regularizers = ()


class ChangeTest(parameterized.TestCase):
    @parameterized.parameters(
        _to_tanh,
        _to_other_kernel,
        _to_other_scale,
        _to_other_regularizers,
        _to_other_gamma,
        _to_other_tracked_kernel,
        _to_other_variance,
        _to_no_more_than_the_loss,
    )
    def test_after_an_evaluation_is_seen_by_the_next(self, change):
        model = _model()
        before = _evaluate(model)
        change(model)
        after = _evaluate(model)
        self.assertNotAlmostEqual(before, after, places=3)
        self.assertAlmostEqual(after, _afresh(model), places=4)

    def test_of_regularizers_after_a_fit_is_seen_by_the_next(self):
        model = _model(gammas=())
        (plain,) = _fit(model)
        model.add_loss(tfcurv.CurvatureRegularizer(100.0))
        (penalised,) = _fit(model)
        self.assertGreater(penalised, plain + 10.0)
        model.curvature_regularizers = ()
        (again,) = _fit(model)
        self.assertAlmostEqual(again, plain, places=4)

    def test_of_regularizers_within_a_fit_is_seen_by_the_next_batch(self):
        model = _model(gammas=())

        class Adding(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                if epoch == 0:
                    model.add_loss(tfcurv.CurvatureRegularizer(100.0))

        plain, penalised = _fit(model, Adding(), epochs=2)
        self.assertGreater(penalised, plain + 10.0)

    def test_refuses_what_is_no_regularizer(self):
        with self.assertRaisesRegex(TypeError, "Received: 0.1"):
            _model().curvature_regularizers = (0.1,)

    @parameterized.parameters(*_ACTIVATIONS)
    def test_is_not_taken_for_one_where_there_is_none(self, activation):
        model = _model(activation=activation)
        self.assertTrue(TrainedGraph(model).reads_as(TrainedGraph(model)))

    def test_no_more_is_traced_than_must_be(self):
        model = _model()
        _evaluate(model)
        made = model.test_function
        _evaluate(model)
        self.assertIs(model.test_function, made)


class InferenceTest(absltest.TestCase):
    def test_the_penalty_takes_moving_statistics_in_training_too(self):
        model = _model()
        for _ in range(30):
            model.update_spectral_norms()
        _to_other_variance(model)
        logits = model(_X, training=True)
        training, testing = (
            float(model.compute_loss(_X, _Y, logits, training=mode))
            for mode in (True, False)
        )
        self.assertAlmostEqual(training, testing, delta=1e-4 * testing)
        # Slopes grow as the root of the variance falls, K at least as fast.
        penalty = testing - self._plain(model, logits)
        model.layers[3].moving_variance.assign([0.01] * 5)
        larger = float(model.compute_loss(_X, _Y, logits, training=False))
        self.assertGreater(larger - self._plain(model, logits), 2.0 * penalty)

    def _plain(self, model, logits):
        return float(tf.reduce_mean(model.loss(_Y, logits)))


if __name__ == "__main__":
    absltest.main()
