"""Tests of tfcurv.nn.training.regularizer on chains of dense layers."""

import math
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

import tfcurv
from tfcurv import errors
from tfcurv.nn.training import targets
from tfcurv.nn.training import trained_graph
from tfcurv.nn.training.trained_graph import TrainedGraph

# Some hundred float32 operations, each off by 2**-24.
_ROUNDING = 1e-5

# max |s'| and max |s''|, in closed form.
_SLOPE_AND_CURVATURE = {
    "linear": (1.0, 0.0),
    "softplus": (1.0, 0.25),
    "tanh": (1.0, 4.0 / (3.0 * math.sqrt(3.0))),
    "sigmoid": (0.25, 1.0 / (6.0 * math.sqrt(3.0))),
}

_DEPTHS = (
    ("two", ("softplus",)),
    ("three", ("tanh", "softplus")),
    ("four", ("sigmoid", "tanh", "softplus")),
    ("two_in_a_row", ("tanh", None, "softplus")),
)


def _model(activations, classes=4, inputs=3, scale=None):
    keras.utils.set_random_seed(1)
    layers = [tfcurv.layers.Dense(5, activation=name) for name in activations]
    scaling = [] if scale is None else [keras.layers.Rescaling(scale)]
    last = tfcurv.layers.Dense(classes)
    return tfcurv.Sequential([keras.Input((inputs,)), *scaling, *layers, last])


def _batch(model, size=9, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(size, *model.input_shape[1:])).astype(np.float32)
    y = random.integers(model.output_shape[-1], size=size).astype(np.int32)
    return x, y


def _dense(model):
    return [k for k in model.layers if isinstance(k, tfcurv.layers.Dense)]


def _theorem4(model, y, t, norms, scale=1.0):
    """K(W, y, t) of Theorem 4 by its formula, in NumPy, one pair a row."""
    dense = _dense(model)
    constants = [
        _SLOPE_AND_CURVATURE[layer.activation.__name__] for layer in dense[:-1]
    ]
    kernels = [layer.kernel.numpy().astype(np.float64) for layer in dense]
    radii = []
    for index, norm in enumerate(norms[:-1]):
        before = constants[index - 1][0] * radii[-1] if index else scale
        radii.append(norm * before)
    weights = np.abs(kernels[-1][:, y] - kernels[-1][:, t])
    total = 0.0
    for index in range(len(radii) - 1, -1, -1):
        slope, curvature = constants[index]
        total = total + curvature * radii[index] ** 2 * weights.max(axis=0)
        weights = np.abs(kernels[index]) @ (slope * weights)
    return total


def _tracked_norms(model):
    return [
        float(
            layer.spectral_norm.u.numpy()
            @ layer.kernel.numpy()
            @ layer.spectral_norm.v.numpy()
        )
        for layer in _dense(model)
    ]


def _penalty(regularizer, model, x, y):
    chain = TrainedGraph(model)
    return float(regularizer(chain, tf.constant(y), model(x)))


def _runner_up(model, x, y):
    logits = model(x).numpy()
    logits[np.arange(len(y)), y] = -np.inf
    return logits.argmax(axis=-1)


class ValueTest(parameterized.TestCase):
    @parameterized.named_parameters(*_DEPTHS)
    def test_is_gamma_times_the_mean_of_theorem_4(self, activations):
        model = _model(activations)
        TrainedGraph(model).step()
        x, y = _batch(model)
        found = _penalty(tfcurv.CurvatureRegularizer(0.3), model, x, y)
        t = _runner_up(model, x, y)
        oracle = 0.3 * np.mean(_theorem4(model, y, t, _tracked_norms(model)))
        self.assertAlmostEqual(found, oracle, delta=_ROUNDING * oracle)

    @parameterized.named_parameters(*_DEPTHS)
    def test_reaches_the_proved_bound_of_theorem_4_from_below(
        self, activations
    ):
        model = _model(activations)
        chain = TrainedGraph(model)
        step = tf.function(chain.step)
        for _ in range(1000):
            step()
        x, y = _batch(model)
        t = _runner_up(model, x, y)
        found = chain.curvature_estimate(tf.constant(y), tf.constant(t))
        norms = [np.linalg.norm(k.kernel.numpy(), 2) for k in _dense(model)]
        oracle = _theorem4(model, y, t, norms)
        self.assertTrue(np.all(found <= oracle * (1.0 + _ROUNDING)))
        self.assertTrue(np.all(found >= oracle * (1.0 - _ROUNDING)))

    @parameterized.named_parameters(*_DEPTHS)
    def test_a_pair_looked_up_is_one_computed(self, activations):
        model = _model(activations)
        chain = TrainedGraph(model)
        chain.step()
        y, t = tf.constant([0, 3, 1, 2, 2]), tf.constant([3, 0, 2, 0, 2])

        def run():
            weights = model.trainable_variables
            with tf.GradientTape() as tape:
                found = chain.curvature_estimate(y, t)
            gradients = tape.gradient(found, [w.value for w in weights])
            return found, [
                tf.convert_to_tensor(g) for g in gradients if g is not None
            ]

        looked_up, few = run()
        with mock.patch.object(trained_graph, "_FEW_CLASSES", 0):
            computed, many = run()
        np.testing.assert_allclose(looked_up, computed, rtol=_ROUNDING)
        self.assertEqual(looked_up[4], 0.0)
        self.assertLen(many, len(activations) + 1)
        for left, right in zip(few, many, strict=True):
            scale = np.max(np.abs(right))
            np.testing.assert_allclose(left, right, atol=_ROUNDING * scale)

    @parameterized.parameters(1.0 / 255.0, -2.0, 30.0)
    def test_knows_the_units_of_the_input(self, scale):
        model = _model(("tanh", "softplus"), scale=scale)
        TrainedGraph(model).step()
        x, y = _batch(model)
        found = _penalty(tfcurv.CurvatureRegularizer(1.0), model, x, y)
        oracle = np.mean(
            _theorem4(
                model, y, _runner_up(model, x, y), _tracked_norms(model), scale
            )
        )
        self.assertAlmostEqual(found, oracle, delta=_ROUNDING * oracle)

    def test_bounds_the_curvature_of_the_network(self):
        # The largest eigenvalue of dense Hessians, sampled, as an oracle.
        model = _model(("tanh", "softplus"))
        chain = TrainedGraph(model)
        for _ in range(100):
            chain.step()
        x, y = _batch(model, size=20)
        t = _runner_up(model, x, y)
        points = tf.constant(x)
        with tf.GradientTape(persistent=True) as outer:
            outer.watch(points)
            with tf.GradientTape() as inner:
                inner.watch(points)
                logits = model(points)
                margin = tf.gather(logits, y, batch_dims=1)
                margin -= tf.gather(logits, t, batch_dims=1)
            gradient = inner.gradient(margin, points)
        hessians = outer.batch_jacobian(gradient, points).numpy()
        largest = np.abs(np.linalg.eigvalsh(hessians)).max(axis=-1)
        estimate = chain.curvature_estimate(tf.constant(y), tf.constant(t))
        self.assertTrue(np.all(largest <= estimate.numpy() * (1 + _ROUNDING)))

    def test_is_zero_without_a_hidden_layer(self):
        model = _model(())
        x, y = _batch(model)
        penalty = _penalty(tfcurv.CurvatureRegularizer(1.0), model, x, y)
        self.assertEqual(penalty, 0.0)

    @parameterized.parameters(*targets.TARGETS)
    def test_lies_between_the_least_and_the_most_curved_pair(self, target):
        model = _model(("softplus",))
        TrainedGraph(model).step()
        x, y = _batch(model)
        pairs = [
            _theorem4(model, y, (y + k) % 4, _tracked_norms(model))
            for k in (1, 2, 3)
        ]
        penalty = tfcurv.CurvatureRegularizer(1.0, target=target)
        found = _penalty(penalty, model, x, y)
        low, high = np.mean(np.min(pairs, axis=0)), np.mean(np.max(pairs, 0))
        self.assertGreaterEqual(found, low * (1.0 - _ROUNDING))
        self.assertLessEqual(found, high * (1.0 + _ROUNDING))

    def test_targets_differ_by_name(self):
        model = _model(("softplus",))
        TrainedGraph(model).step()
        x, y = _batch(model)
        logits = model(x).numpy()
        logits[np.arange(len(y)), y] = np.inf
        oracle = _theorem4(
            model, y, logits.argmin(axis=-1), _tracked_norms(model)
        )
        regularizer = tfcurv.CurvatureRegularizer(1.0, target="least-likely")
        found = _penalty(regularizer, model, x, y)
        self.assertAlmostEqual(found, np.mean(oracle), delta=_ROUNDING * found)


class GradientTest(parameterized.TestCase):
    @parameterized.parameters(0.0, 1e-20, 1.0, 1e5)
    def test_reaches_every_kernel_and_is_finite(self, scale):
        model = _model(("tanh", "softplus"))
        for layer in model.layers:
            layer.kernel.assign(layer.kernel * scale)
        chain = TrainedGraph(model)
        chain.step()
        x, y = _batch(model)
        kernels = [layer.kernel.value for layer in model.layers]
        with tf.GradientTape() as tape:
            regularizer = tfcurv.CurvatureRegularizer(1.0)
            penalty = regularizer(chain, tf.constant(y), model(x))
        for gradient in tape.gradient(penalty, kernels):
            self.assertTrue(np.all(np.isfinite(gradient)))
            if scale == 1.0:
                self.assertGreater(np.abs(gradient).max(), 0.0)

    def test_a_step_along_it_lowers_the_penalty(self):
        model = _model(("tanh", "softplus"))
        chain = TrainedGraph(model)
        for _ in range(50):
            chain.step()
        x, y = _batch(model)
        regularizer = tfcurv.CurvatureRegularizer(1.0)
        kernels = [layer.kernel for layer in model.layers]
        with tf.GradientTape() as tape:
            before = regularizer(chain, tf.constant(y), model(x))
        found = tape.gradient(before, [kernel.value for kernel in kernels])
        for kernel, gradient in zip(kernels, found):
            kernel.assign_sub(1e-3 * gradient)
        self.assertLess(_penalty(regularizer, model, x, y), float(before))


class GammaTest(parameterized.TestCase):
    def test_changes_without_tracing_again(self):
        model = _model(("softplus",))
        regularizer = tfcurv.CurvatureRegularizer(0.5)
        chain = TrainedGraph(model)
        x, y = _batch(model)
        traces = []

        @tf.function
        def penalty():
            traces.append(1)
            return regularizer(chain, tf.constant(y), model(x))

        first = float(penalty())
        regularizer.gamma.assign(1.5)
        self.assertAlmostEqual(float(penalty()), 3.0 * first, places=5)
        regularizer.gamma.assign(0.0)
        self.assertEqual(float(penalty()), 0.0)
        self.assertLen(traces, 1)

    @parameterized.parameters(-1e-9, float("nan"), float("inf"))
    def test_refuses_a_strength_that_is_none(self, gamma):
        with self.assertRaisesRegex(ValueError, f"gamma={gamma}"):
            tfcurv.CurvatureRegularizer(gamma)

    def test_refuses_an_unknown_target(self):
        with self.assertRaisesRegex(ValueError, "target='nearest'"):
            tfcurv.CurvatureRegularizer(0.1, target="nearest")

    def test_config_makes_another(self):
        regularizer = tfcurv.CurvatureRegularizer(0.25, target="random")
        config = keras.saving.serialize_keras_object(regularizer)
        other = keras.saving.deserialize_keras_object(config)
        self.assertIs(type(other), tfcurv.CurvatureRegularizer)
        self.assertEqual(other.get_config(), regularizer.get_config())
        self.assertEqual(
            regularizer.get_config(), {"gamma": 0.25, "target": "random"}
        )
        self.assertEqual(float(other.gamma.value), 0.25)


class TrainedGraphTest(absltest.TestCase):
    def test_refuses_a_layer_without_a_tracker_by_name(self):
        model = tfcurv.Sequential(
            [
                keras.Input((3,)),
                keras.layers.Dense(5, activation="tanh", name="untracked"),
                tfcurv.layers.Dense(2),
            ]
        )
        with self.assertRaisesRegex(
            errors.UnsupportedLayerError, "untracked.*tfcurv.layers.Dense"
        ):
            TrainedGraph(model)

    def test_steps_every_tracker(self):
        model = _model(("tanh", "softplus"))
        before = [k.spectral_norm.u.numpy() for k in model.layers]
        TrainedGraph(model).step()
        for layer, old in zip(model.layers, before):
            self.assertGreater(
                np.abs(layer.spectral_norm.u.numpy() - old).max(), 0.0
            )


if __name__ == "__main__":
    absltest.main()
