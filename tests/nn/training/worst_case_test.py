"""Tests of tfcurv.nn.training.worst_case: certified training."""

import functools
import os

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

import tfcurv
from tfcurv import errors
from tfcurv.bounds.propagation.ball_box import Rules
from tfcurv.certificates.linear import lines
from tfcurv.nn.reading.subject import read_subject
from tfcurv.nn.training.trained_graph import TrainedGraph
from untraced import plain
from untraced import untraced

_L, _T = keras.layers, tfcurv.layers
_RANDOM = np.random.default_rng(0)
_X = _RANDOM.uniform(size=(24, 6, 6, 1)).astype(np.float32)
_UPPER, _LOWER = (
    _X[:, rows].mean(axis=(1, 2, 3)) for rows in ([0, 1, 2], [3, 4, 5])
)
_Y = (_UPPER > _LOWER).astype(np.int32)
_METHODS = ("bcp", "ibp", "lipschitz")
_LINES = ("crown-ibp", "coap")


def _loss():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _model(*layers, shape=(6, 6, 1)):
    keras.utils.set_random_seed(1)
    layers = layers or (
        _T.Conv2D(3, 3, padding="same", activation="relu"),
        _L.MaxPooling2D(2),
        _L.Flatten(),
        _T.Dense(6, activation="relu"),
        _T.Dense(3),
    )
    return tfcurv.Sequential([keras.Input(shape), *layers])


def _compiled(model, **settings):
    settings = {
        "optimizer": keras.optimizers.SGD(0.0),
        "loss": _loss(),
        "worst_case": tfcurv.WorstCase(0.2),
        "run_eagerly": True,
    } | settings
    model.compile(**settings)
    return model


@functools.cache
def _read(with_norm=True):
    model = _model()
    if with_norm:
        for _ in range(60):
            for layer in model.layers:
                if hasattr(layer, "spectral_norm"):
                    layer.spectral_norm.step(layer.kernel)
    return model, TrainedGraph(model, with_kinks=True)


def _double(fn):
    """A dense model in float64, and its graph."""
    keras.utils.set_random_seed(1)
    # Biases, or what reads only dead neurons lies at a kink.
    settings = {"dtype": "float64", "bias_initializer": "random_normal"}
    made = [_T.Dense(n, fn, **settings) for n in (7, 6)]
    model = tfcurv.Sequential(
        [
            keras.Input((36,), dtype="float64"),
            *made,
            _T.Dense(3, **settings),
        ]
    )
    model.dtype_policy = keras.dtype_policies.get("float64")
    graph = TrainedGraph(model, with_kinks=True)
    graph.step(60)
    return model, graph


def _worst(model, graph, epsilon, **settings):
    case = tfcurv.WorstCase(epsilon, **settings)
    found = case.logits(graph, _X, tf.constant(_Y))
    return [each.numpy() for each in found[:2]]


class LogitsTest(parameterized.TestCase):
    @parameterized.product(method=_METHODS + _LINES, norm=("l2", "linf"))
    def test_no_input_nearby_has_worse_ones(self, method, norm):
        model, graph = _read()
        epsilon = 0.3
        clean, worst = _worst(model, graph, epsilon, method=method, norm=norm)
        np.testing.assert_allclose(clean, model(_X), atol=1e-5)
        own = np.arange(len(_X)), _Y
        np.testing.assert_allclose(worst[own], clean[own], atol=1e-6)
        random = np.random.default_rng(1)
        for _ in range(60):
            noise = random.normal(size=_X.shape)
            if norm == "linf":
                noise = np.clip(4.0 * noise, -1.0, 1.0)
            else:
                size = np.sum(noise**2, axis=(1, 2, 3), keepdims=True)
                noise /= np.sqrt(size)
            moved = model(_X + epsilon * noise).numpy()
            margins = moved - moved[own][:, np.newaxis]
            bound = worst - worst[own][:, np.newaxis]
            self.assertTrue(np.all(margins <= bound + 1e-4))

    def test_of_a_linear_model_are_known(self):
        model = _model(_L.Flatten(), _T.Dense(3))
        graph = TrainedGraph(model)
        kernel = model.layers[-1].kernel.numpy()
        apart = kernel[:, np.newaxis] - kernel[:, :, np.newaxis]
        for norm, dual in (("l2", 2), ("linf", 1)):
            clean, worst = _worst(model, graph, 0.5, norm=norm)
            size = np.linalg.norm(apart, dual, axis=0)
            exact = clean + 0.5 * size[_Y]
            np.testing.assert_allclose(worst, exact, rtol=1e-4, atol=1e-4)

    def test_ball_and_box_are_better_than_either(self):
        model, graph = _read()
        both, box, ball = (
            _worst(model, graph, 0.3, method=method)[1] for method in _METHODS
        )
        self.assertTrue(np.all(both <= box + 1e-4))
        self.assertTrue(np.all(both <= ball + 1e-4))
        self.assertLess(both.mean(), min(box.mean(), ball.mean()))

    def test_a_domain_makes_them_better(self):
        model, graph = _read()
        every, inside = (
            _worst(model, graph, 0.5, norm="linf", domain=domain)[1]
            for domain in (None, (0.0, 1.0))
        )
        self.assertTrue(np.all(inside <= every + 1e-5))
        self.assertLess(inside.mean(), every.mean())

    @parameterized.named_parameters(
        ("a_layer", []),
        ("flatten", [_L.Flatten()]),
        ("scaling", [_L.Rescaling(4.0), _L.Flatten()]),
        ("pooling", [_L.AveragePooling2D(2), _L.Flatten()]),
    )
    def test_of_boxes_are_those_that_are_proved(self, first):
        layers = _L.Dense(8, "relu"), _L.Flatten(), _L.Dense(2)
        model = _model(*first, *layers)
        x = _X[:6]
        y = np.argmax(model(x), axis=-1).astype(np.int32)
        graph = TrainedGraph(model, needs_norms=False, with_kinks=True)
        radii = tfcurv.certify(model, (x, y), method="ibp", verbose=0).radii
        for index, r in enumerate(radii):
            for share, is_verified in ((0.98, True), (1.02, False)):
                case = tfcurv.WorstCase(share * r, method="ibp")
                label = tf.constant(y[index : index + 1])
                (worst,) = case.logits(graph, x[index : index + 1], label).worst
                found = np.argmax(worst) == y[index]
                self.assertEqual(found, is_verified)

    @parameterized.product(
        method=_LINES, fn=("relu", "tanh"), norm=("l2", "linf")
    )
    def test_by_lines_are_those_that_are_proved(self, method, fn, norm):
        model, found = _double(fn)
        case = tfcurv.WorstCase(0.1, method=method, norm=norm)
        rows = _X.reshape([len(_X), -1]).astype(np.float64)
        worst = case.logits(found, rows, tf.constant(_Y))[1].numpy()
        kind = lines.LastLines if method == "crown-ibp" else lines.ParallelLines
        graph = read_subject(model, as_graph=True).network.graph
        proof = plain(kind, ("margins",))(graph, Rules(ball=False), norm)
        margins = proof.margins(rows, _Y, np.full(len(_X), 0.1))
        own = np.take_along_axis(worst, _Y[:, np.newaxis], axis=-1)
        rivals = np.arange(3) != _Y[:, np.newaxis]
        # Which chord of a smooth curve is best may differ by a rounding.
        near = 1e-6 if fn == "relu" else 2e-3
        np.testing.assert_allclose(
            (own - worst)[rivals], margins[rivals], atol=near
        )

    @parameterized.product(method=_METHODS + _LINES, fn=("relu", "softplus"))
    def test_have_the_slopes_of_differences(self, method, fn):
        size, delta = 1e-6, 1e-4
        if method in _LINES and fn == "softplus":
            # Where lines meet the curve jumps, by a small part of a slope.
            size, delta = 1e-3, 3e-3
        model, graph = _double(fn)
        rows = _X.reshape([len(_X), -1]).astype(np.float64)
        case, y = tfcurv.WorstCase(0.3, method=method), tf.constant(_Y)

        def total():
            worst = case.logits(graph, rows, y).worst
            return tf.reduce_sum(tf.math.softplus(worst))

        with tf.GradientTape() as tape:
            value = total()
        weights = model.trainable_variables
        slopes = tape.gradient(value, weights)
        random = np.random.default_rng(3)
        ways = [random.normal(size=w.shape) for w in weights]
        expected = sum(np.sum(s * w) for s, w in zip(slopes, ways))
        ends = []
        for step in (0.5 * size, -size):
            for weight, way in zip(weights, ways):
                weight.assign_add(step * way)
            ends.append(float(total()))
        found = (ends[0] - ends[1]) / size
        self.assertAlmostEqual(found / expected, 1.0, delta=delta)

    @parameterized.parameters(*_LINES)
    def test_by_lines_can_be_followed_where_there_is_no_room(self, method):
        model, graph = _read()
        case = tfcurv.WorstCase(0.0, method=method)
        with tf.GradientTape() as tape:
            clean, worst, _ = case.logits(graph, _X, tf.constant(_Y))
        np.testing.assert_allclose(worst, clean, atol=1e-5)
        for slope in tape.gradient(worst, model.trainable_variables):
            self.assertTrue(np.all(np.isfinite(slope)))

    def test_by_lines_are_nearer_than_by_boxes(self):
        model, graph = _read()
        boxes, last, parallel = (
            _worst(model, graph, 0.3, method=method)[1]
            for method in ("ibp", *_LINES)
        )
        for found in (last, parallel):
            self.assertTrue(np.all(found <= boxes + 1e-4))
            self.assertLess(found.mean(), boxes.mean() - 0.1)

    def test_of_no_example_are_none(self):
        _, graph = _read()
        case = tfcurv.WorstCase(0.1)
        found = case.logits(graph, _X[:0], tf.constant(_Y[:0]))
        for each in found[:2]:
            self.assertEqual(each.shape, (0, 3))


class LossTest(parameterized.TestCase):
    @parameterized.parameters(0.0, 0.25, 1.0)
    def test_is_the_mean_that_it_says(self, weight):
        model = _compiled(
            _model(), worst_case=tfcurv.WorstCase(0.3, weight=weight)
        )
        model.update_spectral_norms()
        found = model.evaluate(_X, _Y, batch_size=24, verbose=0)[0]
        graph = TrainedGraph(model, with_kinks=True)
        clean, worst, _ = model.worst_case.logits(graph, _X, tf.constant(_Y))
        parts = [float(_loss()(_Y, each)) for each in (clean, worst)]
        expected = (1.0 - weight) * parts[0] + weight * parts[1]
        self.assertAlmostEqual(found, expected, places=5)

    def test_examples_without_weight_might_as_well_be_absent(self):
        model = _compiled(_model())
        model.update_spectral_norms()
        counts = np.arange(24) % 3 > 0
        loss = keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="sum"
        )
        _compiled(model, loss=loss)
        some = model.evaluate(
            _X, _Y, sample_weight=counts.astype(float), batch_size=24, verbose=0
        )[0]
        few = model.evaluate(_X[counts], _Y[counts], batch_size=24, verbose=0)
        # Keras divides the sum by the batches, of which there is one each.
        self.assertAlmostEqual(some, few[0], places=3)

    def test_dropout_leaves_the_clean_loss_to_keras(self):
        layers = _L.Flatten(), _L.Dropout(0.9), _T.Dense(3)
        model = _compiled(
            _model(*layers), worst_case=tfcurv.WorstCase(0.1, weight=0.0)
        )
        losses = {model.train_on_batch(_X, _Y)[0] for _ in range(4)}
        self.assertGreater(len(losses), 1)

    def test_of_a_normalization_takes_its_moving_statistics(self):
        model = _model(
            _T.Conv2D(3, 3, use_bias=False),
            _L.BatchNormalization(
                moving_mean_initializer="random_normal",
                moving_variance_initializer=keras.initializers.Constant(0.3),
                beta_initializer="random_normal",
            ),
            _L.ReLU(),
            _L.Flatten(),
            _T.Dense(3),
        )
        clean, _ = _worst(model, TrainedGraph(model, with_kinks=True), 0.0)
        np.testing.assert_allclose(clean, model(_X), atol=1e-5)


class TrainingTest(parameterized.TestCase):
    def _trained(self, worst_case):
        model = _model(
            _L.Flatten(), _T.Dense(16, activation="relu"), _T.Dense(2)
        )
        _compiled(
            model,
            optimizer=keras.optimizers.Adam(0.02),
            worst_case=worst_case,
            run_eagerly=False,
            jit_compile=False,
        )
        warm = [tfcurv.WarmUp(10, start=1.0)] if worst_case else []
        history = model.fit(
            _X, _Y, batch_size=24, epochs=40, verbose=0, callbacks=warm
        )
        return model, history.history

    def test_raises_what_can_be_proved(self):
        plain, _ = self._trained(None)
        robust, history = self._trained(tfcurv.WorstCase(0.3))
        self.assertEqual(history["epsilon"][0], 0.0)
        self.assertAlmostEqual(history["epsilon"][-1], 0.3, places=6)
        self.assertEqual(history["weight"][-1], 1.0)
        with untraced():
            shares = [
                tfcurv.certify(
                    model, (_X, _Y), method="bcp", epsilons=(0.3,), verbose=0
                ).certified_accuracy(0.3)
                for model in (plain, robust)
            ]
        self.assertGreater(shares[1], shares[0])
        # An estimate, of norms from below, of the weights before the step.
        self.assertAlmostEqual(
            history["verified_estimate"][-1], shares[1], delta=0.15
        )

    def test_is_saved_and_loaded(self):
        model = _compiled(
            _model(),
            worst_case=tfcurv.WorstCase(
                0.2, method="ibp", norm="linf", domain=(0.0, 1.0), weight=0.5
            ),
        )
        path = os.path.join(self.create_tempdir().full_path, "model.keras")
        model.save(path)
        loaded = keras.models.load_model(path)
        self.assertEqual(
            loaded.worst_case.get_config(), model.worst_case.get_config()
        )
        self.assertAlmostEqual(
            loaded.evaluate(_X, _Y, verbose=0)[0],
            model.evaluate(_X, _Y, verbose=0)[0],
            places=5,
        )

    def test_a_compilation_without_forgets_it(self):
        model = _compiled(_model())
        self.assertLen(model.evaluate(_X, _Y, verbose=0), 2)
        _compiled(model, worst_case=None)
        self.assertIsInstance(model.evaluate(_X, _Y, verbose=0), float)
        self.assertIsNone(model.worst_case)


class RefusalTest(parameterized.TestCase):
    @parameterized.parameters(
        ({"epsilon": -1.0}, "epsilon=-1.0"),
        ({"epsilon": 0.1, "weight": 1.5}, "weight=1.5"),
        ({"epsilon": 0.1, "method": "crown"}, "method='crown'.*Allowed"),
        ({"epsilon": 0.1, "norm": "l1"}, "norm='l1'"),
        ({"epsilon": 0.1, "rounds": 0}, "rounds=0"),
        ({"epsilon": 0.1, "domain": (1.0, 0.0)}, "domain=.*Allowed"),
    )
    def test_of_settings_names_them(self, settings, message):
        with self.assertRaisesRegex(ValueError, message):
            tfcurv.WorstCase(**settings)

    def test_of_another_object_names_it(self):
        with self.assertRaisesRegex(TypeError, "worst_case=0.3"):
            _compiled(_model(), worst_case=0.3)

    def test_boxes_alone_need_no_tracker(self):
        layers = _L.Flatten(), _L.Dense(4, "relu"), _L.Dense(3)
        model = _compiled(
            _model(*layers), worst_case=tfcurv.WorstCase(0.1, method="ibp")
        )
        self.assertTrue(np.isfinite(model.train_on_batch(_X, _Y)[0]))
        _compiled(model, worst_case=tfcurv.WorstCase(0.1))
        with self.assertRaisesRegex(
            errors.UnsupportedLayerError, "track.*tfcurv.layers.Dense"
        ):
            model.train_on_batch(_X, _Y)


if __name__ == "__main__":
    absltest.main()
