"""Tests of tfcurv.nn.training.trained_graph."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

import tfcurv
from tfcurv import errors
from tfcurv.nn.reading import graph
from tfcurv.nn.training.trained_graph import TrainedGraph

# Some thousand float32 operations, each off by 2**-24.
_ROUNDING = 1e-5

# Enough for the gaps between the singular values here.
_MANY_STEPS = 800
_CONVERGED = 2e-3

# max |s'| and max |s''|, in closed form.
_SLOPE_AND_CURVATURE = {
    "softplus": (1.0, 0.25),
    "tanh": (1.0, 4.0 / (3.0 * math.sqrt(3.0))),
    "sigmoid": (0.25, 1.0 / (6.0 * math.sqrt(3.0))),
}

_SHAPE = (5, 4, 2)
_Y, _T = np.array([0, 2, 1, 1]), np.array([1, 0, 2, 1])

_KERAS, _OURS = keras.layers, tfcurv.layers


def _stack(*layers):
    return tfcurv.Sequential([keras.Input(_SHAPE), *layers])


def _dense():
    return _stack(
        _KERAS.Flatten(),
        _OURS.Dense(6, activation="tanh"),
        _OURS.Dense(7, activation="softplus"),
        _OURS.Dense(3),
    )


def _convolutional():
    return _stack(
        _KERAS.Rescaling(0.5),
        _OURS.Conv2D(3, 3, strides=2, padding="same", activation="softplus"),
        _KERAS.Flatten(),
        _OURS.Dense(3),
    )


def _normalised():
    return _stack(
        _OURS.Conv2D(3, 2, use_bias=False),
        _KERAS.BatchNormalization(),
        _KERAS.Activation("softplus"),
        _KERAS.AveragePooling2D((2, 1)),
        _KERAS.ZeroPadding2D(1),
        _OURS.DepthwiseConv2D(2, depth_multiplier=2, activation="tanh"),
        _KERAS.Flatten(),
        _OURS.Dense(4, activation="sigmoid"),
        _OURS.Dense(5),
        _OURS.Dense(3),
    )


def _sequence():
    return _stack(
        _OURS.Dense(3, activation="tanh"),
        _KERAS.Reshape((10, 6)),
        _OURS.Conv1D(4, 2, padding="causal", activation="softplus"),
        _OURS.Dense(2, activation="tanh"),
        _OURS.Conv1D(2, 3, dilation_rate=2),
        _KERAS.Flatten(),
        _OURS.Dense(3),
    )


def _residual():
    inputs = keras.Input(_SHAPE)
    x = _OURS.Conv2D(3, 3, padding="same", activation="tanh")(inputs)
    branch = _OURS.Conv2D(3, 2, padding="same", activation="softplus")(x)
    x = _KERAS.Add()([x, branch])
    branch = _OURS.Conv2D(2, 2, padding="same")(x)
    x = _KERAS.Concatenate()([x, branch, x])
    x = _KERAS.Flatten()(_KERAS.Activation("tanh")(x))
    straight = _OURS.Dense(3)(x)
    branch = _OURS.Dense(3)(_OURS.Dense(5, activation="softplus")(x))
    return tfcurv.Model(inputs, _KERAS.Add()([straight, branch]))


_MODELS = tuple(
    (make.__name__.strip("_"), make)
    for make in (_dense, _convolutional, _normalised, _sequence, _residual)
)


def _made(make):
    """A model with weights of all signs, and its graph."""
    keras.utils.set_random_seed(4)
    model = make()
    random = np.random.default_rng(0)
    for weight in model.weights:
        if "bias" in weight.path or "gamma" in weight.path:
            weight.assign(random.normal(size=weight.shape))
        elif "moving_variance" in weight.path:
            weight.assign(random.uniform(0.3, 2.0, weight.shape))
    return model, TrainedGraph(model)


def _converged(make):
    model, trained = _made(make)
    step = tf.function(trained.step)
    for _ in range(_MANY_STEPS):
        step()
    return model, trained


def _matrix(layer, shape):
    """The layer without bias and activation, applied to every unit vector."""
    activation = getattr(layer, "activation", None)
    if activation is not None:
        layer.activation = keras.activations.linear
    unit = tf.reshape(tf.eye(math.prod(shape)), (-1, *shape))
    found = layer(unit, training=False) - layer(0.0 * unit[:1], training=False)
    if activation is not None:
        layer.activation = activation
    return found.numpy().reshape(len(unit), -1).astype(np.float64)


def _radius(node, before, matrix):
    if node.kind is graph.Kind.INPUT:
        return 1.0
    if node.kind is graph.Kind.LINEAR:
        return np.linalg.norm(matrix, 2) * before[0]
    if node.kind is graph.Kind.ADD:
        return sum(before)
    if node.kind is graph.Kind.CONCATENATE:
        return math.hypot(*before)
    return _SLOPE_AND_CURVATURE[node.activation.name][0] * before[0]


def _parts(node, nodes, rows):
    if node.kind is graph.Kind.ADD:
        return [rows] * len(node.sources)
    extents = [nodes[source].shape[node.axis] for source in node.sources]
    cuts = np.cumsum(extents)[:-1]
    parts = np.split(rows.reshape(node.shape), cuts, node.axis)
    return [part.ravel() for part in parts]


def _theorem4(model, y, t):
    """Theorem 4 by its formula, with the matrices of all layers."""
    read = graph.read_graph(model)
    nodes = read.nodes
    radii, matrices = [], {}
    for index, node in enumerate(nodes):
        if node.kind is graph.Kind.LINEAR:
            shape = nodes[node.sources[0]].shape
            matrices[index] = _matrix(read.layers[index], shape)
        before = [radii[source] for source in node.sources]
        radii.append(_radius(node, before, matrices.get(index)))
    # Slopes that are known with their sign, and bounds on the others.
    signed = [np.zeros(math.prod(node.shape)) for node in nodes]
    bound = [np.zeros(math.prod(node.shape)) for node in nodes]
    signed[-1] = np.eye(3)[y] - np.eye(3)[t]
    total = 0.0
    for index in range(len(nodes) - 1, 0, -1):
        node, (source, *others) = nodes[index], nodes[index].sources
        if node.kind is graph.Kind.LINEAR:
            signed[source] += matrices[index] @ signed[index]
            bound[source] += np.abs(matrices[index]) @ bound[index]
        elif node.kind is graph.Kind.ACTIVATION:
            slope, curvature = _SLOPE_AND_CURVATURE[node.activation.name]
            size = np.abs(signed[index]) + bound[index]
            total += curvature * radii[source] ** 2 * size.max()
            bound[source] += slope * size
        else:
            for slopes in (signed, bound):
                parts = _parts(node, nodes, slopes[index])
                for place, part in zip((source, *others), parts):
                    slopes[place] = slopes[place] + part
    return total


def _gradients(model, trained):
    weights = [weight.value for weight in model.trainable_variables]
    y, t = tf.constant(_Y), tf.constant(_T)

    def run():
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(trained.curvature_estimate(y, t))
        gradients = tape.gradient(total, weights, unconnected_gradients="zero")
        return total, gradients

    return run


class ValueTest(parameterized.TestCase):
    @parameterized.named_parameters(*_MODELS)
    def test_is_theorem_4_with_the_matrices_written_down(self, make):
        model, trained = _converged(make)
        found = trained.curvature_estimate(tf.constant(_Y), tf.constant(_T))
        oracle = [_theorem4(model, y, t) for y, t in zip(_Y, _T)]
        self.assertEqual(found.dtype, tf.float32)
        np.testing.assert_allclose(found, oracle, rtol=_CONVERGED)
        self.assertTrue(np.all(found <= np.array(oracle) * (1 + _ROUNDING)))

    @parameterized.named_parameters(*_MODELS)
    def test_bounds_hessians_at_points(self, make):
        model, trained = _converged(make)
        x = tf.random.stateless_normal((10, *_SHAPE), seed=(1, 2))
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                logits = model(x, training=False)
                margin = logits[:, 0] - logits[:, 1]
            gradient = inner.gradient(margin, x)
        size = math.prod(_SHAPE)
        hessians = outer.batch_jacobian(gradient, x).numpy()
        largest = np.linalg.norm(hessians.reshape(-1, size, size), 2, (1, 2))
        bound = trained.curvature_estimate(tf.constant([0]), tf.constant([1]))
        self.assertGreater(largest.max(), 0.0)
        self.assertLessEqual(largest.max(), float(bound[0]))

    def test_a_linear_layer_that_is_fixed_needs_no_tracker(self):
        model = _stack(
            _KERAS.Conv2D(3, 2, activation="tanh", trainable=False),
            _KERAS.Flatten(),
            _OURS.Dense(3),
        )
        trained = TrainedGraph(model)
        found = trained.curvature_estimate(tf.constant(_Y), tf.constant(_T))
        oracle = [_theorem4(model, y, t) for y, t in zip(_Y, _T)]
        np.testing.assert_allclose(found, oracle, rtol=_ROUNDING)

    def test_takes_more_classes_than_it_looks_up(self):
        model = _stack(
            _OURS.Conv2D(3, 2, activation="tanh"),
            _KERAS.Flatten(),
            _OURS.Dense(12),
        )
        trained = TrainedGraph(model)
        y, t = tf.constant([3, 11, 4]), tf.constant([11, 3, 4])
        found = trained.curvature_estimate(y, t).numpy()
        self.assertEqual(found.shape, (3,))
        self.assertGreater(found[0], 0.0)
        self.assertAlmostEqual(found[0], found[1], delta=_ROUNDING * found[0])
        self.assertEqual(found[2], 0.0)


class GradientTest(parameterized.TestCase):
    @parameterized.named_parameters(*_MODELS)
    def test_is_what_differencing_gives(self, make):
        model, trained = _made(make)
        trained.step()
        run = _gradients(model, trained)
        _, gradients = run()
        # Along the gradient, where float32 differences say the most.
        length = math.sqrt(sum(np.sum(np.square(g)) for g in gradients))
        values = []
        for sign in (1.0, -2.0):
            step = 1e-3 * sign / length
            for weight, gradient in zip(model.trainable_variables, gradients):
                weight.assign_add(step * gradient)
            values.append(float(run()[0]))
        slope = (values[0] - values[1]) / 2e-3
        self.assertAlmostEqual(slope / length, 1.0, delta=0.02)

    @parameterized.named_parameters(*_MODELS)
    def test_is_the_same_compiled(self, make):
        model, trained = _made(make)
        trained.step()
        run = _gradients(model, trained)
        value, gradients = run()
        compiled, others = tf.function(run, jit_compile=True)()
        np.testing.assert_allclose(compiled, value, rtol=_ROUNDING)
        for one, other in zip(gradients, others, strict=True):
            scale = np.max(np.abs(one))
            np.testing.assert_allclose(other, one, atol=_ROUNDING * scale)

    def test_is_finite_where_every_kernel_vanishes(self):
        model, trained = _made(_convolutional)
        for weight in model.trainable_variables:
            weight.assign(0.0 * weight)
        run = tf.function(_gradients(model, trained), jit_compile=True)
        for gradient in run()[1]:
            self.assertTrue(np.all(np.isfinite(gradient)))


class TrainingTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("with_xla", _dense, True), ("without", _residual, False)
    )
    def test_fits_and_lowers_the_curvature(self, make, xla):
        model, trained = _made(make)
        for _ in range(5):
            trained.step()
        before = trained.curvature_estimate([0], [1])
        model.add_loss(tfcurv.CurvatureRegularizer(0.01))
        model.compile(
            keras.optimizers.Adam(0.01),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            adversary=tfcurv.CurvatureAttack(0.3, num_steps=2),
            jit_compile=xla,
        )
        random = np.random.default_rng(0)
        x = random.normal(size=(32, *_SHAPE)).astype(np.float32)
        history = model.fit(x, np.arange(32) % 3, epochs=8, verbose=0)
        self.assertTrue(np.all(np.isfinite(history.history["loss"])))
        after = trained.curvature_estimate([0], [1])
        self.assertLess(float(after[0]), 0.9 * float(before[0]))


class ReadingTest(parameterized.TestCase):
    def test_counts_and_steps_the_layers_with_trackers(self):
        model, trained = _made(_normalised)
        self.assertEqual(trained.num_layers, 5)
        tracked = [k for k in model.layers if hasattr(k, "spectral_norm")]
        before = [layer.spectral_norm.u.numpy() for layer in tracked]
        trained.step()
        for layer, old in zip(tracked, before, strict=True):
            change = np.abs(layer.spectral_norm.u.numpy() - old)
            self.assertGreater(change.max(), 0.0)

    @parameterized.named_parameters(
        ("dense", _KERAS.Dense(3, name="stock")),
        ("convolution", _KERAS.Conv2D(3, 2, name="stock")),
        ("depthwise", _KERAS.DepthwiseConv2D(2, name="stock")),
    )
    def test_refuses_layers_without_a_tracker_by_name(self, layer):
        model = _stack(layer, _KERAS.Flatten(), _OURS.Dense(3))
        with self.assertRaisesRegex(
            errors.UnsupportedLayerError, r"'stock'.*tfcurv\.layers\.Dense"
        ):
            TrainedGraph(model)


if __name__ == "__main__":
    absltest.main()
