"""Tests of tfcurv.nn.training.attack."""

import functools

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

import tfcurv
from tfcurv import errors
from tfcurv.nn.training.trained_graph import TrainedGraph

# Some hundred float32 operations, each off by 2**-24.
_ROUNDING = 1e-5

_CONSTRAINTS = ("dual", "sphere")


@functools.cache
def _model(activations=("tanh", "softplus"), shape=(4,), gain=1.0, classes=3):
    keras.utils.set_random_seed(2)
    layers = [tfcurv.layers.Dense(6, activation=name) for name in activations]
    flatten = [keras.layers.Flatten()] if len(shape) > 1 else []
    last = tfcurv.layers.Dense(classes)
    model = tfcurv.Sequential([keras.Input(shape), *flatten, *layers, last])
    for layer in model.layers[len(flatten) :]:
        layer.kernel.assign(gain * layer.kernel)
    chain = TrainedGraph(model)
    for _ in range(30):
        chain.step()
    return model


def _batch(model, size=12, seed=0):
    random = np.random.default_rng(seed)
    shape = (size, *model.input_shape[1:])
    x = tf.constant(random.normal(size=shape), tf.float32)
    return x, tf.constant(random.integers(3, size=size), tf.int32)


def _perturb(model, x, y, epsilon=0.5, **settings):
    attack = tfcurv.CurvatureAttack(epsilon, **settings)
    return attack.perturb(model, TrainedGraph(model), x, y)


def _distances(x, moved):
    difference = (moved - x).numpy().reshape(len(x), -1)
    return np.linalg.norm(difference.astype(np.float64), axis=-1)


def _runner_up(model, x, y):
    logits = model(x).numpy()
    logits[np.arange(len(x)), y] = -np.inf
    return logits.argmax(axis=-1)


def _margin(model, x, y, t):
    logits = model(x)
    own = tf.gather(logits, y, batch_dims=1)
    return own - tf.gather(logits, t, batch_dims=1)


def _margin_gradient(model, x, y, t):
    with tf.GradientTape() as tape:
        tape.watch(x)
        margin = _margin(model, x, y, t)
    return tape.gradient(margin, x).numpy()


class PerturbTest(parameterized.TestCase):
    @parameterized.product(constraint=_CONSTRAINTS, epsilon=(1e-3, 0.5, 20.0))
    def test_moves_a_linear_model_straight_down_its_gradient(
        self, constraint, epsilon
    ):
        model = _model(activations=())
        x, y = _batch(model)
        t = _runner_up(model, x, y)
        kernel = model.layers[-1].kernel.numpy().astype(np.float64)
        gradient = (kernel[:, y] - kernel[:, t]).T
        length = np.linalg.norm(gradient, axis=-1, keepdims=True)
        oracle = -epsilon * gradient / length
        moved = _perturb(model, x, y, epsilon, constraint=constraint)
        np.testing.assert_allclose(
            moved - x, oracle, atol=_ROUNDING * (epsilon + 5.0)
        )

    @parameterized.product(
        constraint=_CONSTRAINTS,
        gain=(0.1, 1.0, 5.0, 100.0),
        num_steps=(1, 3, 8),
    )
    def test_stays_in_the_ball(self, constraint, gain, num_steps):
        model = _model(gain=gain)
        x, y = _batch(model)
        moved = _perturb(
            model, x, y, 0.5, constraint=constraint, num_steps=num_steps
        )
        self.assertLessEqual(_distances(x, moved).max(), 0.5 * (1 + _ROUNDING))

    @parameterized.parameters(0.01, 0.5, 3.0)
    def test_reaches_the_sphere_if_told_so(self, epsilon):
        model = _model()
        x, y = _batch(model)
        moved = _perturb(model, x, y, epsilon, constraint="sphere")
        np.testing.assert_allclose(
            _distances(x, moved), epsilon, rtol=_ROUNDING, atol=_ROUNDING
        )

    def test_dual_stays_inside_where_the_curvature_is_large(self):
        model = _model(gain=4.0)
        x, y = _batch(model)
        inner = _distances(x, _perturb(model, x, y, 10.0))
        self.assertLess(inner.max(), 1.0)
        self.assertGreater(inner.min(), 0.0)

    @parameterized.parameters(0.2, 0.6, 1.0)
    def test_one_dual_step_is_the_gradient_over_the_curvature(self, fraction):
        model = _model(gain=4.0)
        x, y = _batch(model)
        t = _runner_up(model, x, y)
        gradient = _margin_gradient(model, x, y, t)
        curvature = TrainedGraph(model).curvature_estimate(y, tf.constant(t))
        divisor = np.maximum(
            np.linalg.norm(gradient, axis=-1) / 10.0,
            fraction * curvature.numpy(),
        )
        moved = _perturb(
            model, x, y, 10.0, num_steps=1, curvature_fraction=fraction
        )
        np.testing.assert_allclose(
            moved - x, -gradient / divisor[:, None], atol=_ROUNDING
        )

    def test_dual_ends_where_its_fixed_point_is(self):
        model = _model()
        x, y = _batch(model)
        t = _runner_up(model, x, y)
        moved = _perturb(model, x, y, 0.3, num_steps=60)
        gradient = _margin_gradient(model, moved, y, t)
        curvature = TrainedGraph(model).curvature_estimate(y, tf.constant(t))
        divisor = np.maximum(
            np.linalg.norm(gradient, axis=-1) / 0.3, 0.6 * curvature.numpy()
        )
        np.testing.assert_allclose(
            moved, x - gradient / divisor[:, None], atol=1e-4
        )

    @parameterized.parameters((("softplus",), 0.4), (("tanh", "softplus"), 0.6))
    def test_default_fraction_depends_on_the_depth(self, activations, fraction):
        model = _model(activations, gain=4.0)
        x, y = _batch(model)
        np.testing.assert_array_equal(
            _perturb(model, x, y, 10.0),
            _perturb(model, x, y, 10.0, curvature_fraction=fraction),
        )

    def test_without_curvature_dual_is_the_sphere(self):
        model = _model()
        x, y = _batch(model)
        np.testing.assert_allclose(
            _perturb(model, x, y, curvature_fraction=0.0),
            _perturb(model, x, y, constraint="sphere"),
            atol=_ROUNDING,
        )

    @parameterized.product(
        constraint=_CONSTRAINTS, target=("runner-up", "least-likely")
    )
    def test_lowers_every_margin(self, constraint, target):
        model = _model()
        x, y = _batch(model)
        logits = model(x).numpy()
        worst = np.inf if target == "least-likely" else -np.inf
        logits[np.arange(len(x)), y] = worst
        choice = np.argmin if target == "least-likely" else np.argmax
        t = choice(logits, axis=-1)
        moved = _perturb(model, x, y, 0.2, constraint=constraint, target=target)
        before, after = _margin(model, x, y, t), _margin(model, moved, y, t)
        self.assertTrue(np.all(after.numpy() < before.numpy()))

    def test_finds_what_a_search_over_the_circle_finds(self):
        model = _model(shape=(2,), gain=0.7)
        x, y = _batch(model, size=6)
        t = _runner_up(model, x, y)
        angles = np.linspace(0.0, 2 * np.pi, 721)
        circle = 0.3 * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        oracle = [
            _margin(model, x[i] + circle, [y[i]] * 721, [t[i]] * 721)
            for i in range(len(x))
        ]
        moved = _perturb(model, x, y, 0.3, constraint="sphere", num_steps=30)
        np.testing.assert_allclose(
            _margin(model, moved, y, t), np.min(oracle, axis=-1), atol=1e-4
        )

    @parameterized.parameters(*_CONSTRAINTS)
    def test_keeps_the_shape_of_images(self, constraint):
        image, flat = _model(shape=(2, 3, 1)), _model(shape=(6,))
        flat.set_weights(image.get_weights())
        x, y = _batch(image)
        moved = _perturb(image, x, y, constraint=constraint)
        self.assertEqual(moved.shape, x.shape)
        rows = tf.reshape(x, [-1, 6])
        np.testing.assert_allclose(
            tf.reshape(moved, [-1, 6]),
            _perturb(flat, rows, y, constraint=constraint),
            atol=_ROUNDING,
        )

    @parameterized.product(
        constraint=_CONSTRAINTS, gain=(0.0, 1e-30, 1e-10, 1e10, 1e25)
    )
    def test_stays_finite_and_in_the_ball_at_extremes(self, constraint, gain):
        model = _model(activations=(), gain=gain)
        x, y = _batch(model)
        moved = _perturb(model, x, y, constraint=constraint)
        self.assertLessEqual(_distances(x, moved).max(), 0.5 * (1 + _ROUNDING))

    @parameterized.parameters(*_CONSTRAINTS)
    def test_leaves_saturated_points_where_they_are(self, constraint):
        model = _model(activations=("tanh",), gain=30.0)
        x = tf.fill([4, 4], 1e6)
        y = tf.constant([0, 1, 2, 0])
        np.testing.assert_array_equal(
            _perturb(model, x, y, constraint=constraint), x
        )

    @parameterized.parameters("mixed_float16", "mixed_bfloat16", "float64")
    def test_reaches_the_sphere_in_every_precision(self, policy):
        # Gradients whose squares are no float16 numbers.
        keras.utils.set_random_seed(0)
        hidden = tfcurv.layers.Dense(6, activation="sigmoid", dtype=policy)
        model = tfcurv.Sequential(
            [keras.Input((4,)), hidden, tfcurv.layers.Dense(3, dtype=policy)]
        )
        hidden.kernel.assign(1e-3 * hidden.kernel)
        x, y = _batch(model)
        x = tf.cast(x, "float64" if policy == "float64" else "float32")
        attack = tfcurv.CurvatureAttack(50.0, constraint="sphere")
        moved = attack.perturb(model, None, x, y)
        self.assertEqual(moved.dtype, x.dtype)
        np.testing.assert_allclose(_distances(x, moved), 50.0, rtol=1e-4)
        t = _runner_up(model, x, y)
        before, after = _margin(model, x, y, t), _margin(model, moved, y, t)
        self.assertTrue(np.all(after.numpy() < before.numpy()))

    @parameterized.parameters(*_CONSTRAINTS)
    def test_moves_no_point_without_a_class(self, constraint):
        model = _model()
        x, y = _batch(model)
        labels = np.where(np.arange(12) % 3, y, -1)
        moved = _perturb(model, x, tf.constant(labels), constraint=constraint)
        every = _perturb(model, x, y, constraint=constraint)
        oracle = np.where((labels < 0)[:, None], x, every)
        np.testing.assert_array_equal(moved, oracle)

    @parameterized.parameters(*_CONSTRAINTS)
    def test_takes_a_batch_of_no_points(self, constraint):
        model = _model(shape=(2, 3, 1))
        x, y = _batch(model)
        moved = _perturb(model, x[:0], y[:0], constraint=constraint)
        self.assertEqual(moved.shape, x[:0].shape)

    @parameterized.parameters(float("inf"), float("nan"))
    def test_a_curvature_that_is_no_number_makes_no_point_one(self, value):
        model = _model()
        x, y = _batch(model)
        gradient = tf.ones_like(x)
        least = tf.fill([len(x), 1], value)
        moved = tfcurv.CurvatureAttack(0.5, num_steps=1).descend(
            None, x, gradient, least
        )
        self.assertTrue(np.all(np.isfinite(moved)))
        self.assertLessEqual(_distances(x, moved).max(), 0.5 * (1 + _ROUNDING))

    def test_is_a_constant_to_the_gradient(self):
        model = _model()
        x, y = _batch(model)
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(_perturb(model, x, y))
        self.assertIsNone(tape.gradient(total, x))

    def test_changes_no_weight_and_ignores_dropout(self):
        model = _model()
        x, y = _batch(model)
        still = _perturb(model, x, y)
        dropping = tfcurv.Sequential(
            [keras.Input((4,)), keras.layers.Dropout(0.5), *model.layers]
        )
        before = [w.numpy() for w in dropping.weights]
        np.testing.assert_array_equal(_perturb(dropping, x, y), still)
        for old, new in zip(before, dropping.weights):
            np.testing.assert_array_equal(old, new.numpy())

    def test_radius_changes_without_tracing_again(self):
        model = _model()
        x, y = _batch(model)
        chain = TrainedGraph(model)
        attack = tfcurv.CurvatureAttack(0.5, constraint="sphere")
        traces = []

        @tf.function
        def perturb():
            traces.append(1)
            return attack.perturb(model, chain, x, y)

        for epsilon in (0.5, 0.1, 0.0):
            attack.epsilon.assign(epsilon)
            np.testing.assert_allclose(
                _distances(x, perturb()), epsilon, atol=_ROUNDING
            )
        self.assertLen(traces, 1)


class TrackerTest(absltest.TestCase):
    def _stock(self, constraint):
        model = tfcurv.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dense(5, activation="relu", name="hidden"),
                keras.layers.Dense(3),
            ]
        )
        model.compile(
            "sgd",
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            adversary=tfcurv.CurvatureAttack(0.1, constraint=constraint),
            run_eagerly=True,
        )
        return model

    def test_the_sphere_needs_none_and_takes_any_activation(self):
        model = self._stock("sphere")
        x, y = _batch(model, size=4)
        before = model.layers[0].kernel.numpy()
        model.train_on_batch(x, y)
        self.assertGreater(
            np.abs(model.layers[0].kernel.numpy() - before).max(), 0.0
        )
        self.assertFalse(model.adversary.needs_curvature)

    def test_dual_names_the_layer_that_has_none(self):
        model = self._stock("dual")
        model.layers[0].activation = keras.activations.tanh
        x, y = _batch(model, size=4)
        with self.assertRaisesRegex(
            errors.UnsupportedLayerError, "hidden.*tfcurv.layers.Dense"
        ):
            model.train_on_batch(x, y)


class ArgumentsTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("no_radius", "epsilon=0.0", {"epsilon": 0.0}),
        ("negative_radius", "epsilon=-1.0", {"epsilon": -1.0}),
        ("nan_radius", "epsilon=nan", {"epsilon": float("nan")}),
        ("infinite_radius", "epsilon=inf", {"epsilon": float("inf")}),
        ("no_steps", "num_steps=0", {"num_steps": 0}),
        ("constraint", "constraint='ball'.*sphere", {"constraint": "ball"}),
        ("negative", "curvature_fraction=-0.1", {"curvature_fraction": -0.1}),
        ("above_one", "curvature_fraction=1.1", {"curvature_fraction": 1.1}),
        ("nan", "curvature_fraction=nan", {"curvature_fraction": np.nan}),
        ("target", "target='all'", {"target": "all"}),
    )
    def test_refuses_by_name(self, message, changes):
        with self.assertRaisesRegex(ValueError, message):
            tfcurv.CurvatureAttack(**({"epsilon": 0.5} | changes))

    def test_config_makes_another(self):
        settings = {
            "epsilon": 1.5,
            "num_steps": 3,
            "constraint": "sphere",
            "curvature_fraction": 0.25,
            "target": "random",
        }
        attack = tfcurv.CurvatureAttack(**settings)
        config = keras.saving.serialize_keras_object(attack)
        other = keras.saving.deserialize_keras_object(config)
        self.assertIs(type(other), tfcurv.CurvatureAttack)
        self.assertEqual(other.get_config(), settings)
        self.assertEqual(float(other.epsilon.value), 1.5)


if __name__ == "__main__":
    absltest.main()
