"""Tests of tfcurv.nn.training.trades."""

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np
from scipy import special
import tensorflow as tf

import tfcurv
from tfcurv import nn
from tfcurv.nn.training import trades

_L = keras.layers
_EPSILON, _BETA = 0.4, 3.0


def _model(seed=0, **compiled):
    keras.utils.set_random_seed(seed)
    model = tfcurv.Sequential(
        [keras.Input((2,)), _L.Dense(8, activation="tanh"), _L.Dense(3)]
    )
    model.set_weights([2.0 * weight for weight in model.get_weights()])
    compiled.setdefault("adversary", nn.TradesAttack(_EPSILON, beta=_BETA))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    compiled.setdefault("optimizer", keras.optimizers.SGD(1.0))
    model.compile(loss=loss, jit_compile=False, **compiled)
    return model


def _data(count=12):
    random = np.random.default_rng(1)
    x = random.normal(size=(count, 2)).astype(np.float32)
    return x, random.integers(3, size=count).astype(np.int32)


def _divergence(model, x, moved):
    p, q = (special.softmax(model(z), -1) for z in (x, moved))
    return np.sum(special.rel_entr(p, q), axis=-1)


def _moved(model, x, y, seed=5):
    tf.random.set_seed(seed)
    found = model.adversary.perturb(model, None, tf.constant(x), tf.constant(y))
    return found.numpy()


class AttackTest(parameterized.TestCase):
    def test_the_divergence_is_that_of_the_outputs(self):
        random = np.random.default_rng(0)
        logits = 4.0 * random.normal(size=(2, 50, 4))
        found = trades.divergence(*map(tf.constant, logits))
        p, q = special.softmax(logits, axis=-1)
        expected = np.sum(special.rel_entr(p, q), axis=-1)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)

    @parameterized.parameters("l2", "linf")
    def test_moves_the_output_nearly_as_far_as_it_can_be(self, norm):
        attack = nn.TradesAttack(_EPSILON, norm=norm, num_steps=40)
        model, (x, y) = _model(adversary=attack), _data()
        # It has a maximum on either side of x, and a start leads to one.
        reached = np.max(
            [
                _divergence(model, x, _moved(model, x, y, seed))
                for seed in range(8)
            ],
            axis=0,
        )
        turns = np.linspace(0.0, 2.0 * np.pi, 360, endpoint=False)
        way = np.stack([np.cos(turns), np.sin(turns)], axis=-1)
        order = {"l2": 2, "linf": np.inf}[norm]
        way /= np.linalg.norm(way, order, axis=-1, keepdims=True)
        lengths = np.linspace(0.1, 1.0, 10)[:, np.newaxis, np.newaxis]
        away = (_EPSILON * lengths * way).reshape(-1, 2)
        most = np.array(
            [
                np.max(_divergence(model, np.tile(z, (len(away), 1)), z + away))
                for z in x
            ]
        )
        self.assertTrue(np.all(reached <= most * 1.02 + 1e-6))
        self.assertGreater(np.min(reached / most), 0.9)

    def test_knows_nothing_of_labels(self):
        model, (x, y) = _model(), _data()
        moved = _moved(model, x, y)
        np.testing.assert_array_equal(moved, _moved(model, x, (y + 1) % 3))

    @parameterized.parameters(0.0, -1.0, float("nan"), float("inf"))
    def test_refuses_a_weight_of(self, beta):
        with self.assertRaisesRegex(ValueError, "beta="):
            nn.TradesAttack(0.1, beta=beta)


class TrainingTest(parameterized.TestCase):
    @parameterized.parameters(False, True)
    def test_a_step_follows_loss_and_divergence(self, weighted):
        model, (x, y) = _model(run_eagerly=True), _data()
        weights = np.linspace(0.0, 2.0, len(y)) if weighted else np.ones(len(y))
        moved = _moved(model, x, y)
        before = model.get_weights()
        with tf.GradientTape() as tape:
            here, there = model(x), model(moved)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, here)
            p, q = tf.nn.softmax(here), tf.nn.softmax(there)
            losses += _BETA * tf.reduce_sum(p * tf.math.log(p / q), axis=-1)
            loss = tf.reduce_mean(tf.cast(weights, tf.float32) * losses)
        slopes = tape.gradient(loss, model.trainable_variables)
        tf.random.set_seed(5)
        given = weights if weighted else None
        logs = model.train_on_batch(x, y, sample_weight=given, return_dict=True)
        self.assertAlmostEqual(float(logs["loss"]), float(loss), places=5)
        for old, new, slope in zip(before, model.get_weights(), slopes):
            np.testing.assert_allclose(old - new, slope, rtol=1e-3, atol=1e-5)

    def test_evaluation_is_of_the_data_alone(self):
        model, (x, y) = _model(), _data()
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, model(x))
        found = model.evaluate(x, y, verbose=0)
        self.assertAlmostEqual(found, float(tf.reduce_mean(losses)), places=5)

    def test_what_it_trains_is_moved_less(self):
        x, y = _data(60)
        optimizer = keras.optimizers.Adam(0.02)
        model = _model(optimizer=optimizer)
        plain = _model(optimizer=keras.optimizers.Adam(0.02), adversary=None)
        for each in (model, plain):
            each.fit(x, y, epochs=20, verbose=0)
        near = _divergence(plain, x, _moved(_with_attack(plain), x, y))
        self.assertLess(
            np.mean(_divergence(model, x, _moved(model, x, y))),
            0.5 * np.mean(near),
        )

    def test_rises_with_a_warm_up(self):
        model, (x, y) = _model(), _data()
        seen = []
        watch = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda *_, **__: seen.append(
                float(model.adversary.epsilon.value)
            )
        )
        model.fit(
            x,
            y,
            batch_size=4,
            epochs=2,
            callbacks=[nn.WarmUp(2), watch],
            verbose=0,
        )
        self.assertLess(seen[0], seen[-2])
        self.assertAlmostEqual(float(model.adversary.epsilon.value), _EPSILON)

    def test_is_saved_and_loaded(self):
        model = _model()
        path = self.create_tempdir().full_path + "/model.keras"
        model.save(path)
        found = keras.models.load_model(path)
        self.assertIsInstance(found.adversary, nn.TradesAttack)
        config = model.adversary.get_config()
        self.assertEqual(found.adversary.get_config(), config)
        self.assertEqual(config["beta"], _BETA)
        self.assertTrue(np.isfinite(found.train_on_batch(*_data())[0]))


def _with_attack(model):
    model.compile("sgd", "mse", adversary=nn.TradesAttack(_EPSILON))
    return model


if __name__ == "__main__":
    absltest.main()
