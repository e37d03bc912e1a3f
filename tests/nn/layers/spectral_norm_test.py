"""Tests of tfcurv.nn.layers.spectral_norm."""

import os

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import keras
import numpy as np
import tensorflow as tf

import tfcurv

# Some hundred float32 operations, each off by 2**-24.
_ROUNDING = 1e-5

# Powers of the ratio of the first two singular values, at most 0.8, that
# vanish beside float32's roundoff.
_MANY_STEPS = 60

_REGIMES = (
    ("eager", lambda fn: fn),
    ("graph", tf.function),
    ("xla", lambda fn: tf.function(fn, jit_compile=True)),
)


def _kernel(shape, seed=0, scale=1.0):
    """A kernel whose largest singular value, `scale`, stands apart."""
    random = np.random.default_rng(seed)
    rank = min(shape)
    left = np.linalg.qr(random.normal(size=(shape[0], rank)))[0]
    right = np.linalg.qr(random.normal(size=(shape[1], rank)))[0]
    values = np.concatenate([[1.0], random.uniform(0.0, 0.8, rank - 1)])
    return scale * (left * values) @ right.T


def _tracker(kernel, steps):
    tracker = tfcurv.SpectralNormTracker()
    tracker.build(kernel.shape)
    kernel = tf.constant(kernel, tf.float32)
    for _ in range(steps):
        tracker.step(kernel)
    return tracker, float(tracker(kernel))


def _numpy_steps(u, kernel, steps):
    for _ in range(steps):
        v = u @ kernel
        v /= np.linalg.norm(v)
        u = kernel @ v
        u /= np.linalg.norm(u)
    return u


class EstimateTest(parameterized.TestCase):
    @hypothesis.settings(max_examples=15, deadline=None)
    @hypothesis.given(
        st.tuples(st.integers(1, 9), st.integers(1, 9)),
        st.integers(0, 2**16),
    )
    def test_reaches_the_norm_of_the_svd(self, shape, seed):
        kernel = _kernel(shape, seed)
        _, estimate = _tracker(kernel, _MANY_STEPS)
        oracle = np.linalg.norm(kernel, 2)
        self.assertAlmostEqual(estimate, oracle, delta=_ROUNDING)

    @parameterized.parameters((1, 1), (1, 7), (7, 1), (3, 5), (5, 3), (8, 8))
    def test_approaches_the_norm_from_below(self, *shape):
        kernel = np.random.default_rng(1).normal(size=shape)
        norm = np.linalg.norm(kernel, 2)
        tracker, estimate = _tracker(kernel, 1)
        for _ in range(30):
            self.assertLessEqual(estimate, norm * (1.0 + _ROUNDING))
            tracker.step(tf.constant(kernel, tf.float32))
            following = float(tracker(tf.constant(kernel, tf.float32)))
            self.assertGreaterEqual(following, estimate * (1.0 - _ROUNDING))
            estimate = following

    @parameterized.parameters(1e-30, 1e-22, 1e-10, 1e10, 1e22, 1e30)
    def test_scales_with_the_kernel(self, scale):
        # The squares of most of these are no float32 numbers.
        _, estimate = _tracker(_kernel((4, 3), scale=scale), _MANY_STEPS)
        self.assertAlmostEqual(estimate / scale, 1.0, delta=_ROUNDING)

    def test_follows_a_kernel_that_changes(self):
        tracker, _ = _tracker(_kernel((4, 3), seed=0), _MANY_STEPS)
        other = tf.constant(_kernel((4, 3), seed=5, scale=3.0), tf.float32)
        for _ in range(_MANY_STEPS):
            tracker.step(other)
        self.assertAlmostEqual(float(tracker(other)), 3.0, delta=3 * _ROUNDING)

    @parameterized.named_parameters(
        ("zero", 0.0), ("nan", float("nan")), ("infinite", float("inf"))
    )
    def test_outlives_a_kernel_that_is(self, value):
        tracker, _ = _tracker(np.full((4, 3), value), 2)
        kernel = tf.constant(_kernel((4, 3)), tf.float32)
        for _ in range(_MANY_STEPS):
            tracker.step(kernel)
        self.assertAlmostEqual(float(tracker(kernel)), 1.0, delta=_ROUNDING)

    def test_stays_in_float64_if_told_so(self):
        kernel = _kernel((5, 4))
        tracker = tfcurv.SpectralNormTracker(dtype="float64")
        tracker.build(kernel.shape)
        for _ in range(4 * _MANY_STEPS):
            tracker.step(tf.constant(kernel))
        self.assertAlmostEqual(float(tracker(kernel)), 1.0, delta=1e-14)


class GradientTest(parameterized.TestCase):
    def test_is_the_outer_product_of_its_vectors(self):
        kernel = tf.Variable(_kernel((4, 6)), dtype=tf.float32)
        tracker, _ = _tracker(kernel.numpy(), 3)
        with tf.GradientTape() as tape:
            estimate = tracker(kernel)
        np.testing.assert_allclose(
            tape.gradient(estimate, kernel),
            np.outer(tracker.u.numpy(), tracker.v.numpy()),
            rtol=1e-6,
            atol=1e-7,
        )

    def test_becomes_that_of_the_norm(self):
        kernel = tf.Variable(_kernel((4, 6)), dtype=tf.float32)
        tracker, _ = _tracker(kernel.numpy(), _MANY_STEPS)
        with tf.GradientTape() as tape:
            estimate = tracker(kernel)
        left, _, right = np.linalg.svd(kernel.numpy())
        np.testing.assert_allclose(
            tape.gradient(estimate, kernel),
            np.outer(left[:, 0], right[0]),
            atol=10 * _ROUNDING,
        )

    @parameterized.named_parameters(*_REGIMES)
    def test_is_finite_at_a_zero_kernel(self, compiled):
        kernel = tf.Variable(np.zeros((4, 3)), dtype=tf.float32)
        tracker, _ = _tracker(kernel.numpy(), 0)

        @compiled
        def gradient():
            tracker.step(kernel)
            with tf.GradientTape() as tape:
                estimate = tracker(kernel)
            return estimate, tape.gradient(estimate, kernel)

        estimate, found = gradient()
        self.assertEqual(float(estimate), 0.0)
        self.assertTrue(np.all(np.isfinite(found)))


_SAMPLE = (6, 5, 2)

_CONVOLUTIONS = (
    ("valid", "Conv2D", _SAMPLE, {"filters": 3, "kernel_size": 3}),
    (
        "strided",
        "Conv2D",
        _SAMPLE,
        {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same"},
    ),
    (
        "dilated_in_groups",
        "Conv2D",
        _SAMPLE,
        {"filters": 4, "kernel_size": 2, "dilation_rate": 2, "groups": 2},
    ),
    (
        "causal",
        "Conv1D",
        (8, 2),
        {
            "filters": 3,
            "kernel_size": 3,
            "padding": "causal",
            "dilation_rate": 2,
        },
    ),
    (
        "depthwise",
        "DepthwiseConv2D",
        _SAMPLE,
        {"kernel_size": 3, "depth_multiplier": 2, "padding": "same"},
    ),
)


def _convolution(kind, shape, arguments):
    """A layer without bias, and the matrix of its map of samples."""
    keras.utils.set_random_seed(5)
    layer = getattr(tfcurv.layers, kind)(**arguments)
    layer.build((None, *shape))
    unit = tf.reshape(tf.eye(np.prod(shape)), (-1, *shape))
    return layer, layer(unit).numpy().reshape(len(unit), -1)


class ConvolutionTest(parameterized.TestCase):
    @parameterized.named_parameters(*_CONVOLUTIONS)
    def test_reaches_the_norm_of_the_map_of_samples(self, *settings):
        layer, matrix = _convolution(*settings)
        norm = np.linalg.norm(matrix, 2)
        tracker = layer.spectral_norm

        @tf.function
        def step():
            tracker.step(layer.kernel)
            return tracker(layer.kernel)

        estimates = [float(step()) for _ in range(400)]
        # The largest singular values of a convolution lie close together.
        self.assertAlmostEqual(estimates[-1] / norm, 1.0, delta=1e-3)
        self.assertLessEqual(max(estimates), norm * (1.0 + _ROUNDING))
        self.assertTrue(np.all(np.diff(estimates) >= -_ROUNDING * norm))

    @parameterized.named_parameters(*_CONVOLUTIONS)
    def test_adjoint_is_the_transposed_matrix(self, *settings):
        layer, matrix = _convolution(*settings)
        tracker = layer.spectral_norm
        v = np.random.default_rng(0).normal(size=(3, *tracker.v.shape))
        found = tracker.convolution.adjoint(
            tf.constant(v, tf.float32), layer.kernel, tracker.u.shape
        )
        np.testing.assert_allclose(
            np.reshape(found, (3, -1)), v.reshape(3, -1) @ matrix.T, atol=1e-5
        )

    def test_is_more_than_the_norm_of_the_flattened_kernel(self):
        layer, matrix = _convolution(
            "Conv2D", _SAMPLE, {"filters": 2, "kernel_size": 3}
        )
        flat = layer.kernel.numpy().reshape(-1, 2)
        self.assertGreater(
            np.linalg.norm(matrix, 2), 1.2 * np.linalg.norm(flat, 2)
        )

    @parameterized.named_parameters(*_REGIMES)
    def test_gradient_is_that_of_the_norm(self, compiled):
        layer, _ = _convolution(*_CONVOLUTIONS[1][1:])
        tracker = layer.spectral_norm

        @compiled
        def run():
            tracker.step(layer.kernel)
            kernel = layer.kernel.value
            with tf.GradientTape() as tape:
                tape.watch(kernel)
                estimate = tracker(kernel)
            return estimate, tape.gradient(estimate, kernel)

        for _ in range(60):
            estimate, gradient = run()
        # Norms are homogeneous: the directional derivative along the kernel.
        along = float(tf.reduce_sum(gradient * layer.kernel))
        self.assertAlmostEqual(along, float(estimate), delta=_ROUNDING)
        layer.kernel.assign_sub(1e-2 * gradient)
        self.assertLess(float(tracker(layer.kernel)), float(estimate))

    def test_outlives_a_kernel_of_zeros(self):
        layer, _ = _convolution(*_CONVOLUTIONS[0][1:])
        tracker = layer.spectral_norm
        tracker.step(0.0 * layer.kernel)
        self.assertEqual(float(tracker(0.0 * layer.kernel)), 0.0)
        tracker.step(layer.kernel)
        self.assertGreater(float(tracker(layer.kernel)), 0.0)


class StateTest(parameterized.TestCase):
    def _model(self):
        model = tfcurv.Sequential(
            [
                keras.Input((4,)),
                tfcurv.layers.Dense(5, activation="softplus"),
                tfcurv.layers.Dense(3),
            ]
        )
        model.add_loss(tfcurv.CurvatureRegularizer(0.1))
        # A learning rate of zero: the kernels stand still.
        model.compile(
            keras.optimizers.SGD(0.0),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=False,
        )
        return model

    def test_takes_one_step_a_training_batch_and_no_other(self):
        model = self._model()
        x, y = np.ones((10, 4), np.float32), np.arange(10) % 3
        layer = model.layers[0]
        # Nearly, not quite, where it leads: no step finds the kernel new.
        left, _, _ = np.linalg.svd(layer.kernel.numpy())
        layer.spectral_norm.u.assign(left[:, 0] + 0.1 * left[:, 1])
        start = layer.spectral_norm.u.numpy().astype(np.float64)
        kernel = layer.kernel.numpy().astype(np.float64)
        leading = start @ kernel
        layer.spectral_norm.v.assign(leading / np.linalg.norm(leading))
        model.evaluate(x, y, batch_size=2, verbose=0)
        model.predict(x, batch_size=2, verbose=0)
        np.testing.assert_array_equal(layer.spectral_norm.u.numpy(), start)
        model.fit(x, y, batch_size=2, epochs=1, verbose=0)
        np.testing.assert_allclose(
            layer.spectral_norm.u.numpy(),
            _numpy_steps(start, kernel, 5),
            atol=_ROUNDING,
        )

    def test_takes_as_many_steps_as_it_is_told(self):
        kernel = _kernel((6, 5))
        tracker, _ = _tracker(kernel, _MANY_STEPS)
        left, _, _ = np.linalg.svd(kernel)
        start = (left[:, 0] + 0.1 * left[:, 1]) / np.sqrt(1.01)
        tracker.u.assign(start)
        tracker.v.assign(start @ kernel / np.linalg.norm(start @ kernel))
        tracker.step(tf.constant(kernel, tf.float32), power_iterations=3)
        np.testing.assert_allclose(
            tracker.u.numpy(), _numpy_steps(start, kernel, 3), atol=_ROUNDING
        )

    @parameterized.named_parameters(*_REGIMES)
    def test_one_call_follows_a_new_kernel_to_its_norm(self, compiled):
        tracker, _ = _tracker(_kernel((30, 20), seed=1), 0)

        @compiled
        def step(kernel):
            tracker.step(kernel)
            return tracker(kernel)

        for seed in (1, 2):  # Made, then assigned.
            found = step(tf.constant(_kernel((30, 20), seed), tf.float32))
            self.assertAlmostEqual(float(found), 1.0, delta=1e-3)

    def test_the_first_step_sees_the_norms_of_small_kernels(self):
        # Of few entries, a random vector sees much at once: little grows.
        random = np.random.default_rng(0)
        for shape in random.integers(2, 12, (40, 2)):
            with self.subTest(str(shape)):
                kernel = random.normal(size=shape)
                _, found = _tracker(kernel, 1)
                self.assertGreater(found, 0.85 * np.linalg.norm(kernel, 2))

    @parameterized.parameters((7,), (16, 9), (5, 4, 3))
    def test_vectors_start_at_length_one(self, *shape):
        tracker = tfcurv.SpectralNormTracker()
        tracker._make_vectors(shape, shape[::-1])
        for vector in (tracker.u, tracker.v):
            length = np.linalg.norm(vector.numpy())
            self.assertAlmostEqual(length, 1.0, delta=_ROUNDING)

    @parameterized.parameters(1.5, 30.0)
    def test_converges_from_another_singular_vector(self, ratio):
        tracker = tfcurv.SpectralNormTracker()
        tracker.build((3, 3))
        tracker.u.assign([0.0, 1.0, 0.0])
        tracker.v.assign([0.0, 1.0, 0.0])
        kernel = tf.constant(np.diag([ratio, 1.0, 0.5]), tf.float32)
        self.assertEqual(float(tracker(kernel)), 1.0)
        self.assertAlmostEqual(
            float(tracker.converged(kernel)) / ratio, 1.0, delta=2e-3
        )

    def test_converges_without_moving(self):
        kernel = _kernel((30, 20))
        tracker, _ = _tracker(kernel, 0)
        start = tracker.u.numpy()
        found = tracker.converged(tf.constant(kernel, tf.float32))
        self.assertAlmostEqual(float(found), 1.0, delta=1e-3)
        np.testing.assert_array_equal(tracker.u.numpy(), start)

    @parameterized.parameters("float16", "mixed_float16", "mixed_bfloat16")
    def test_is_as_precise_as_float32_under(self, policy):
        # Sums of squares of such entries leave the range of float16.
        kernel = tf.constant(_kernel((40, 30), scale=3e4), tf.float16)
        tracker = tfcurv.SpectralNormTracker(
            dtype=keras.dtype_policies.get(policy)
        )
        tracker.build(kernel.shape)
        tracker.step(kernel)
        oracle = np.linalg.norm(kernel.numpy().astype(np.float64), 2)
        self.assertAlmostEqual(float(tracker(kernel)) / oracle, 1.0, delta=1e-3)

    def test_survives_saving(self):
        model = self._model()
        model.update_spectral_norms()
        path = os.path.join(self.create_tempdir().full_path, "model.keras")
        model.save(path)
        loaded = keras.models.load_model(path)
        for before, after in zip(model.layers, loaded.layers):
            for name in ("u", "v"):
                np.testing.assert_array_equal(
                    getattr(before.spectral_norm, name).numpy(),
                    getattr(after.spectral_norm, name).numpy(),
                )

    def test_has_no_trainable_weight(self):
        tracker, _ = _tracker(_kernel((4, 3)), 0)
        self.assertEmpty(tracker.trainable_weights)
        self.assertLen(tracker.non_trainable_weights, 2)

    def test_config_makes_another(self):
        tracker = tfcurv.SpectralNormTracker(name="norm", dtype="float64")
        other = tfcurv.SpectralNormTracker.from_config(tracker.get_config())
        self.assertEqual(other.get_config(), tracker.get_config())


if __name__ == "__main__":
    absltest.main()
