"""Tests of tfcurv.nn.training.layerwise_adversary: COLT's objective."""

import os

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

import tfcurv
from tfcurv import nn
from tfcurv.bounds.propagation import zonotopes
from tfcurv.nn.training.trained_graph import TrainedGraph

_L, _T = keras.layers, tfcurv.layers
_RANDOM = np.random.default_rng(0)
_X = _RANDOM.uniform(size=(12, 5)).astype(np.float32)
_Y = _RANDOM.integers(0, 2, size=12).astype(np.int32)


def _model(*units, classes=2, shape=(5,)):
    keras.utils.set_random_seed(1)
    hidden = [_T.Dense(n, "relu", bias_initializer="normal") for n in units]
    return tfcurv.Sequential(
        [keras.Input(shape), _L.Flatten(), *hidden, _T.Dense(classes)]
    )


def _graph(model):
    return TrainedGraph(model, needs_norms=False, with_kinks=True)


def _adversary(epsilon=0.1, **settings):
    return nn.LayerwiseAdversary(epsilon, **settings)


def _logits(model, adversary, x=_X, y=_Y):
    tf.random.set_seed(2)
    return adversary.logits(_graph(model), x, tf.constant(y))


def _margins(logits, y=_Y):
    own = np.take_along_axis(np.asarray(logits), y[:, np.newaxis], axis=-1)
    return (2.0 * own - np.sum(logits, axis=-1, keepdims=True))[:, 0]


def _compiled(model, adversary, rate):
    """Compiles a model, and returns its loss."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.SGD(rate)
    model.compile(optimizer, loss, worst_case=adversary, run_eagerly=True)
    return loss


class LogitsTest(parameterized.TestCase):
    def test_of_a_linear_model_are_the_worst_that_there_are(self):
        model = _model()
        found = _logits(model, _adversary(0.3, weight=0.5))
        np.testing.assert_allclose(found.usual, model(_X), atol=1e-5)
        kernel = model.layers[-1].kernel.numpy()
        fall = 0.3 * np.abs(kernel[:, 0] - kernel[:, 1]).sum()
        np.testing.assert_allclose(
            _margins(found.worst), _margins(model(_X)) - fall, atol=1e-4
        )

    @parameterized.parameters({"domain": None}, {"domain": (0.0, 1.0)})
    def test_of_slabs_alone_are_the_least_of_the_zonotope(self, domain):
        model = _model(9, 8)
        adversary = _adversary(
            0.2, stage=2, domain=domain, projections=400, num_steps=10
        )
        found = _logits(model, adversary)
        # The same numbers again: generators by one forward pass each.
        graph = _graph(model)
        start = zonotopes.box_around(tf.constant(_X), 0.2, domain)

        def linear(position):
            return zonotopes.Linear(
                graph.linear_map(position), graph.bias(position)
            )

        tf.random.set_seed(2)
        slabs = zonotopes.relax(graph.graph, linear, start, 2, 400).slabs
        sizes = {0: 5} | {i: s.half.shape[-1] for i, s in slabs.items()}
        zeros = {i: np.zeros((12, n), np.float32) for i, n in sizes.items()}
        ask = graph.graph, linear, start, slabs
        middle = _margins(zonotopes.point(*ask, zeros))
        fall = np.zeros(12)
        for i, n in sizes.items():
            for unit in np.eye(n, dtype=np.float32):
                one = zeros | {i: np.tile(unit, (12, 1))}
                fall += np.abs(_margins(zonotopes.point(*ask, one)) - middle)
        np.testing.assert_allclose(
            _margins(found.worst), middle - fall, atol=1e-4
        )

    def test_each_stage_sees_worse_than_the_one_before(self):
        model = _model(30, 30)
        losses = []
        for stage in range(3):
            found = _logits(model, _adversary(0.2, stage=stage, weight=0.5))
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits
            usual, worst = (
                float(tf.reduce_mean(loss(_Y, each)))
                for each in (found.usual, found.worst)
            )
            self.assertLess(usual, worst)
            losses.append((usual, worst))
        for before, after in zip(losses, losses[1:]):
            # The usual loss of a stage is the worst of the one before.
            self.assertAlmostEqual(after[0], before[1], delta=0.02)

    def test_of_a_stage_alone_need_no_other(self):
        found = _logits(_model(6), _adversary(stage=1))
        np.testing.assert_array_equal(found.usual, found.worst)

    def test_of_any_graph_are_numbers_in_every_stage(self):
        keras.utils.set_random_seed(0)
        image = keras.Input((6, 6, 1))
        inner = _T.Conv2D(4, 3, padding="same", activation="gelu")(image)
        value = _L.Add()([_T.Conv2D(4, 3, padding="same")(inner), inner])
        value = _L.MaxPooling2D(2)(_L.BatchNormalization()(value))
        value = _L.Dense(5, "relu")(_L.Flatten()(value))
        model = tfcurv.Model(image, _T.Dense(3)(value))
        x = _RANDOM.uniform(size=(4, 6, 6, 1)).astype(np.float32)
        y = np.arange(4, dtype=np.int32) % 3
        for stage in range(4):
            adversary = _adversary(
                stage=stage, weight=0.5, stability=0.1, l1=0.1, projections=5
            )
            found = _logits(model, adversary, x, y)
            for each in found:
                self.assertTrue(np.all(np.isfinite(each)))
        with self.assertRaisesRegex(ValueError, "stage=4.*0 to 3"):
            _logits(model, _adversary(stage=4), x, y)

    def test_of_no_example_are_none(self):
        found = _logits(_model(6), _adversary(stage=1, l1=1.0), _X[:0], _Y[:0])
        self.assertEqual([each.shape[0] for each in found], [0, 0, 0])


class PenaltyTest(absltest.TestCase):
    def test_is_that_of_intervals_around_zero(self):
        model = _model(7)
        found = _logits(model, _adversary(0.2, stability=0.3, weight=0.5))
        kernel, bias = (w.numpy() for w in model.trainable_variables[:2])
        z, half = _X @ kernel + bias, 0.2 * np.abs(kernel).sum(axis=0)
        areas = np.maximum(half - z, 0.0) * np.maximum(z + half, 0.0)
        np.testing.assert_allclose(
            found.penalty, 0.15 * areas.sum(axis=-1), rtol=1e-4
        )
        # Behind the last activation no interval matters.
        last = _logits(model, _adversary(stage=1, stability=0.3))
        self.assertIsNone(last.penalty)

    def test_is_that_of_kernels_that_are_trained(self):
        model = _model(7)
        model.layers[1].trainable = False
        found = _logits(model, _adversary(l1=0.5))
        size = np.abs(model.layers[2].kernel).sum()
        np.testing.assert_allclose(found.penalty, 0.5 * size, rtol=1e-5)


class TrainingTest(parameterized.TestCase):
    @parameterized.parameters(0, 1, 2)
    def test_layers_before_what_is_replaced_are_not_trained(self, stage):
        model = _model(6, 4)
        adversary = _adversary(stage=stage)
        frozen = adversary.frozen_layers(_graph(model))
        dense = [each for each in model.layers if each.weights]
        self.assertEqual(frozen, dense[:stage])
        for layer in frozen:
            layer.trainable = False
        before = [each.kernel.numpy() for each in dense]
        _compiled(model, adversary, 0.1)
        logs = model.train_on_batch(_X, _Y, return_dict=True)
        self.assertIn("attacked_estimate", logs)
        for number, (layer, kernel) in enumerate(zip(dense, before)):
            is_same = np.array_equal(layer.kernel, kernel)
            self.assertEqual(is_same, number < stage)

    def test_the_loss_is_the_mixed_one_and_the_penalty(self):
        model = _model(6)
        adversary = _adversary(0.0, weight=0.25, l1=0.01)
        loss = _compiled(model, adversary, 0.0)
        found = model.evaluate(_X, _Y, batch_size=12, verbose=0)[0]
        size = sum(np.abs(w).sum() for w in model.get_weights() if w.ndim == 2)
        # No distance: both losses are that of the data.
        expected = float(loss(_Y, model(_X))) + 0.01 * size
        self.assertAlmostEqual(found, expected, places=4)

    def test_a_saved_model_has_it(self):
        model = _model(6)
        adversary = _adversary(
            0.3, stage=1, domain=(0.0, 1.0), projections=7, stability=0.5
        )
        model.compile("adam", "mse", worst_case=adversary)
        path = os.path.join(self.create_tempdir().full_path, "model.keras")
        model.save(path)
        loaded = nn.read_model(path)
        found = loaded.worst_case.get_config()
        self.assertEqual(found, adversary.get_config())
        self.assertEqual(found["stage"], 1)

    def test_a_warm_up_raises_the_weight_alone(self):
        adversary = _adversary()
        self.assertEqual(adversary.strengths, (adversary.weight,))

    @parameterized.parameters(
        {"stage": -1},
        {"num_steps": 0},
        {"projections": 0},
        {"step_size": 0.0},
        {"stability": -1.0},
        {"l1": float("nan")},
        {"weight": 1.5},
        {"domain": (1.0, 0.0)},
    )
    def test_refuses_what_is_out_of_range(self, **settings):
        with self.assertRaises(ValueError):
            _adversary(**settings)


if __name__ == "__main__":
    absltest.main()
