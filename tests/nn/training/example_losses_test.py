"""Tests of example_losses, and of the penalty as a part of a loss."""

import functools

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

import tfcurv
from tfcurv.nn.training.example_losses import reduce_as_compiled

_RANDOM = np.random.default_rng(0)
_X = _RANDOM.normal(size=(12, 4)).astype(np.float32)
_Y = np.arange(12) % 3
_LOGITS = tf.constant(_RANDOM.normal(size=(12, 3)), tf.float32)
_WEIGHTS = _RANDOM.uniform(size=12).astype(np.float32)
# Of every fourth example nothing shall count.
_COUNTS = np.arange(12) % 4 != 0

_REDUCTIONS = (
    "sum_over_batch_size",
    "mean",
    "mean_with_sample_weight",
    "sum",
    None,
)
_Sparse = functools.partial(
    keras.losses.SparseCategoricalCrossentropy, from_logits=True
)


class ReductionTest(parameterized.TestCase):
    """Of a loss's own values, Keras' loss must come out."""

    @parameterized.product(
        reduction=_REDUCTIONS,
        weights=(None, _WEIGHTS, _WEIGHTS[:, None]),
        ignored=(None, -1, 1),
        masked=(False, True),
    )
    def test_is_that_of_keras(self, reduction, weights, ignored, masked):
        y = np.where(_COUNTS, _Y, -1 if ignored == -1 else _Y)
        loss = _Sparse(reduction=reduction, ignore_class=ignored)
        logits = tf.identity(_LOGITS)
        if masked:
            logits._keras_mask = tf.constant(np.arange(12) < 7)
        values = loss.call(tf.constant(y, tf.float32), logits)
        values = tf.identity(values)  # Without the mask that Keras wrote.
        found = reduce_as_compiled(values, loss, y, logits, weights)
        np.testing.assert_allclose(found, loss(y, logits, weights), rtol=1e-6)

    @parameterized.named_parameters(
        ("name", "sparse_categorical_crossentropy"),
        ("function", keras.losses.sparse_categorical_crossentropy),
        ("short", "ce"),
        ("listed", [_Sparse()]),
        ("named", {"logits": _Sparse()}),
        ("of_one_value", lambda y, logits: keras.ops.mean(logits)),
    )
    def test_is_a_mean_for_a_loss_given_as(self, loss):
        found = reduce_as_compiled(tf.constant(_WEIGHTS), loss, _Y, _LOGITS)
        self.assertAlmostEqual(float(found), _WEIGHTS.mean(), places=6)

    def test_finds_what_a_plain_function_ignores(self):
        ignoring = functools.partial(
            keras.losses.sparse_categorical_crossentropy,
            from_logits=True,
            ignore_class=1,
        )
        found = reduce_as_compiled(tf.constant(_WEIGHTS), ignoring, _Y, _LOGITS)
        self.assertAlmostEqual(float(found), _WEIGHTS[_Y != 1].mean(), places=6)

    def test_takes_a_loss_that_replaces_its_call(self):
        class Own(keras.losses.Loss):
            def __call__(self, y_true, y_pred, sample_weight=None):
                return keras.ops.mean(y_pred)

        found = reduce_as_compiled(tf.constant(_WEIGHTS), Own(), _Y, _LOGITS)
        self.assertAlmostEqual(float(found), _WEIGHTS.mean(), places=6)

    @parameterized.parameters(0.25, [0.25], None)
    def test_is_weighted_as_the_loss_of_its_output(self, given):
        found = reduce_as_compiled(
            tf.constant(_WEIGHTS), _Sparse(), _Y, _LOGITS, None, given
        )
        share = 1.0 if given is None else 0.25
        self.assertAlmostEqual(float(found), share * _WEIGHTS.mean(), places=6)

    def test_of_no_example_is_nothing(self):
        found = reduce_as_compiled(
            tf.zeros([0]), _Sparse(), _Y[:0], _LOGITS[:0]
        )
        self.assertEqual(float(tf.reduce_sum(found)), 0.0)


def _model(loss, optimizer=None, attacks=True, dtype=None):
    keras.utils.set_random_seed(3)
    model = tfcurv.Sequential(
        [
            keras.Input((4,), dtype=dtype),
            tfcurv.layers.Dense(5, activation="softplus", dtype=dtype),
            tfcurv.layers.Dense(3, dtype=dtype),
        ]
    )
    model.dtype_policy = keras.dtype_policies.get(dtype)
    model.add_loss(tfcurv.CurvatureRegularizer(0.5))
    adversary = tfcurv.CurvatureAttack(0.3, num_steps=1) if attacks else None
    optimizer = optimizer or keras.optimizers.SGD(0.05)
    model.compile(optimizer, loss, adversary=adversary, run_eagerly=True)
    return model


def _trained(model, x=_X, y=_Y, **settings):
    settings = {"batch_size": 12, "epochs": 2} | settings
    model.fit(x, y, shuffle=False, verbose=0, **settings)
    return model.get_weights()


def _assert_close(found, oracle):
    for mine, theirs in zip(found, oracle, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)


class TrainingTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("weights", "sum", {"sample_weight": _COUNTS.astype(np.float32)}),
        (
            "relative_weights",
            "mean_with_sample_weight",
            {"sample_weight": _COUNTS.astype(np.float32)},
        ),
        ("negative", "mean", {"ignore_class": -1}),
        ("byte", "mean", {"ignore_class": 255}),
    )
    def test_what_does_not_count_might_as_well_be_absent(self, kind, settings):
        settings = dict(settings)
        ignored = settings.pop("ignore_class", None)
        loss = _Sparse(reduction=kind, ignore_class=ignored)
        y = _Y if ignored is None else np.where(_COUNTS, _Y, ignored)
        found = _trained(_model(loss), y=y, **settings)
        oracle = _trained(_model(loss), _X[_COUNTS], _Y[_COUNTS])
        _assert_close(found, oracle)

    def test_loss_weights_weight_the_penalty(self):
        model = _model(_Sparse())
        settings = {"optimizer": "sgd", "loss": _Sparse(), "run_eagerly": True}
        model.compile(**settings)
        whole = model.evaluate(_X, _Y, verbose=0)
        # By place as by name.
        model.compile("sgd", _Sparse(), [0.5], run_eagerly=True)
        self.assertAlmostEqual(
            model.evaluate(_X, _Y, verbose=0), 0.5 * whole, places=5
        )

    def test_class_weights_weight_the_penalty(self):
        weights = {0: 0.0, 1: 2.0, 2: 2.0}
        found = _trained(_model(_Sparse(reduction="sum")), class_weight=weights)
        some = np.repeat(np.flatnonzero(_Y), 2)
        oracle = _trained(
            _model(_Sparse(reduction="sum")),
            _X[some],
            _Y[some],
            batch_size=len(some),
        )
        _assert_close(found, oracle)

    def test_gradients_accumulate_to_those_of_the_whole_batch(self):
        optimizer = keras.optimizers.SGD(0.05, gradient_accumulation_steps=2)
        halves = _model(_Sparse(), optimizer, attacks=False)
        whole = _model(_Sparse(), attacks=False)
        start = whole.layers[0].kernel.numpy()
        for model in (halves, whole):
            for _ in range(30):  # So that both see the same norms.
                model.update_spectral_norms()
        _trained(halves, batch_size=6, epochs=1)
        _trained(whole, epochs=1)
        moved = np.abs(whole.layers[0].kernel.numpy() - start).max()
        self.assertGreater(moved, 1e-3)
        _assert_close(
            [w.numpy() for w in halves.trainable_weights],
            [w.numpy() for w in whole.trainable_weights],
        )

    def test_float64_gives_what_float32_gives(self):
        double, single = _model(_Sparse(), dtype="float64"), _model(_Sparse())
        double.set_weights(single.get_weights())
        _assert_close(_trained(double), _trained(single))

    def test_zero_weights_leave_no_loss(self):
        model = _model(_Sparse())
        loss = model.evaluate(_X, _Y, sample_weight=np.zeros(12), verbose=0)
        self.assertEqual(loss, 0.0)


if __name__ == "__main__":
    absltest.main()
