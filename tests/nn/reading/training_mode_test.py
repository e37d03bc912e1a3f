"""Tests of which layers are in training mode when a model is called."""

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

import tfcurv
from tfcurv import errors
from tfcurv.nn.reading import training_mode
from untraced import untraced

_L = keras.layers


class _Spy(_L.Layer):
    """Notes the mode in which it was last called."""

    def call(self, x, training=None):
        self.seen = training
        return x


class _TrainingSpy(_Spy):
    def call(self, x, training=True):
        return super().call(x, training)


class _InferringSpy(_Spy):
    def call(self, x, training=False):
        return super().call(x, training)


class _Deaf(_Spy):
    """Has no argument for the mode; Keras hands it on all the same."""

    def call(self, x):
        return x


_KINDS = (_Spy, _TrainingSpy, _InferringSpy, _Deaf, _Spy)


def _random_model(random, depth: int, spies: list) -> keras.Model:
    """A functional or sequential model of spies, with branches and models."""
    if depth and random.random() < 0.4:
        layers = [_random_layer(random, depth, spies) for _ in range(3)]
        return keras.Sequential([keras.Input((2,)), *layers])
    values = [keras.Input((2,))]
    for _ in range(random.integers(2, 6)):
        layer = _random_layer(random, depth, spies)
        source = values[random.integers(len(values))]
        mode = random.choice(np.array([None, None, None, True, False]))
        heard = {} if type(layer) is _Deaf else {"training": mode}
        values.append(layer(source, **heard))
    return keras.Model(values[0], _L.Add()(values[1:]))


def _random_layer(random, depth, spies):
    if depth and random.random() < 0.3:
        return _random_model(random, depth - 1, spies)
    spies.append(_KINDS[random.integers(len(_KINDS))]())
    return spies[-1]


class TrainedWhenCalledTest(absltest.TestCase):
    def test_is_what_layers_see(self):
        random = np.random.default_rng(0)
        x, count = np.ones((1, 2), np.float32), 0
        for _ in range(150):
            spies = []
            model = _random_model(random, 2, spies)
            model(x)
            found = training_mode.trained_when_called(model)
            for spy in spies:
                if type(spy) is not _Deaf:
                    self.assertEqual(id(spy) in found, bool(spy.seen))
                    count += bool(spy.seen)
        self.assertGreater(count, 100)

    def test_predict_trains_nothing(self):
        model = keras.Sequential([keras.Input((2,)), _TrainingSpy()])
        model(np.ones((1, 2), np.float32), training=False)
        self.assertFalse(model.layers[0].seen)


def _dense(value):
    return _L.Dense(3)(_L.Dense(4, activation="tanh")(_L.Flatten()(value)))


def _chain(*layers, **modes):
    """A model of an 8 x 8 image; `modes` are those of layers, by position."""
    x = keras.Input((8, 8, 1))
    value = x
    for position, layer in enumerate(layers):
        mode = modes.get(f"at{position}")
        value = layer(value) if mode is None else layer(value, training=mode)
    return keras.Model(x, _dense(value))


def _normalised():
    layer = _L.BatchNormalization()
    layer.build((None, 8, 8, 1))
    layer.moving_mean.assign([0.5])
    layer.moving_variance.assign([4.0])
    return layer


def _inner(*layers):
    return keras.Sequential([keras.Input((8, 8, 1)), *layers])


_IMAGES = np.random.default_rng(0).uniform(size=(6, 8, 8, 1)).astype("float32")
_RANDOM = {
    kind.__name__: kind
    for kind in training_mode.RANDOM
    if kind is not _L.SpatialDropout1D
}


def _made(kind):
    if kind in (_L.RandomTranslation, _L.RandomZoom):
        return kind(0.4, 0.4)
    return kind() if kind is _L.RandomFlip else kind(0.4)


class DeployedModelTest(parameterized.TestCase):
    """What is certified is what `model(x)` and exported models compute."""

    def _agrees(self, model) -> bool:
        predicted = model(_IMAGES, training=False)
        called = [model(_IMAGES) for _ in range(4)]
        return all(np.allclose(each, predicted) for each in called)

    def _check(self, model, accepted: bool, culprit: str = ""):
        self.assertEqual(self._agrees(model), accepted)
        if accepted:
            tfcurv.network_from_model(model)
            return
        with self.assertRaisesRegex(
            errors.UnsupportedLayerError, f"called or exported.*{culprit}"
        ):
            tfcurv.network_from_model(model)

    @parameterized.parameters(*_RANDOM)
    def test_is_refused_where_it_is_random(self, name):
        self._check(_chain(_made(_RANDOM[name]), at0=True), False, name)
        self._check(_chain(_made(_RANDOM[name]), at0=False), True)

    @parameterized.parameters(*_RANDOM)
    def test_is_judged_by_the_default_of_each_layer(self, name):
        is_augmentation = name.startswith("Random")
        self._check(_chain(_made(_RANDOM[name])), not is_augmentation, name)

    def test_is_refused_where_a_mode_is_handed_on(self):
        drop = lambda: _L.Dropout(0.0, name="culprit")
        self._check(_chain(drop(), _normalised(), at0=True), False, "culprit")
        self._check(
            _chain(drop(), _inner(_L.Dropout(0.5)), at0=True), False, "culprit"
        )
        self._check(
            _chain(_inner(_L.Dropout(0.0)), _normalised(), at0=True),
            False,
            "sequential",
        )
        self._check(_chain(_inner(_normalised()), at0=True), False)
        self._check(_chain(_normalised(), at0=True), False)

    def test_is_certified_where_no_layer_heeds_the_mode(self):
        self._check(_chain(_inner(_L.Identity()), at0=True), True)
        self._check(
            _chain(_normalised(), _inner(_L.Identity()), at1=True), True
        )
        self._check(_chain(_inner(_made(_L.RandomZoom)), at0=False), True)
        self._check(_chain(_L.Dropout(0.5), _normalised()), True)

    def test_may_be_vouched_for(self):
        model = _chain(_L.Dropout(0.4, name="mc"), at0=True)
        labels = np.argmax(model(_IMAGES, training=False), -1)
        with untraced():
            result = tfcurv.certify(
                model,
                (_IMAGES, labels),
                assume={"mc": tfcurv.bounds.ACTIVATIONS["linear"]},
                verbose=0,
            )
        self.assertEqual(result.assumptions, ("mc",))

    def test_vouching_for_one_layer_hides_no_other(self):
        class Leaking(_L.Layer):
            def __init__(self):
                super().__init__(name="leaking")
                self.inner = _L.Identity()

            def call(self, x):
                return self.inner(x, training=True)

        model = _chain(
            _L.GaussianNoise(1e-4, name="noise"),
            _L.Identity(),
            Leaking(),
            _normalised(),
            at0=True,
            at1=False,
        )
        linear = tfcurv.bounds.ACTIVATIONS["linear"]
        with self.assertRaisesRegex(
            errors.UnsupportedModelError, "'noise'.*'leaking'"
        ):
            tfcurv.network_from_model(
                model, assume={"noise": linear, "leaking": linear}
            )

    def test_the_way_out_still_augments_in_training(self):
        model = _chain(_made(_L.RandomTranslation), at0=False)
        tfcurv.network_from_model(model)
        trained = [model(_IMAGES, training=True) for _ in range(2)]
        self.assertFalse(np.allclose(*trained))

    def test_predict_runs_what_was_certified_where_a_layer_was_changed(self):
        model = _chain(_L.Identity())
        before = model.predict(_IMAGES, verbose=0)
        model.layers[-2].activation = keras.activations.softplus
        tfcurv.network_from_model(model)
        after = model.predict(_IMAGES, verbose=0)
        self.assertFalse(np.allclose(before, after))
        np.testing.assert_allclose(after, model(_IMAGES), rtol=1e-5)

    def test_layers_that_hide_another_mode_are_found_out(self):
        class Hidden(_L.Layer):
            def __init__(self):
                super().__init__(name="hidden")
                self.drop = _L.RandomTranslation(0.4, 0.4)

            def call(self, x):
                return self.drop(x)

        with self.assertRaisesRegex(
            errors.UnsupportedModelError, "called or exported"
        ):
            tfcurv.network_from_model(
                _chain(Hidden()),
                assume={"hidden": tfcurv.bounds.ACTIVATIONS["linear"]},
            )

    def test_random_layers_may_be_trained(self):
        model = tfcurv.Sequential(
            [
                keras.Input((8, 8, 1)),
                _L.RandomTranslation(0.1, 0.1),
                _L.Flatten(),
                tfcurv.layers.Dense(4, activation="tanh"),
                tfcurv.layers.Dense(3),
            ]
        )
        model.add_loss(tfcurv.CurvatureRegularizer(0.01))
        model.compile(
            "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        loss = model.evaluate(_IMAGES, np.zeros(6), verbose=0)
        self.assertTrue(np.isfinite(loss))


if __name__ == "__main__":
    tf.test.main()
