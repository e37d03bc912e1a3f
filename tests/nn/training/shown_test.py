"""Tests of tfcurv.nn.training.shown."""

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np

import tfcurv
from untraced import untraced

_RANDOM = np.random.default_rng(0)
_X = _RANDOM.normal(size=(24, 4)).astype(np.float32)
_Y = (_X[:, 0] > 0).astype(np.int32)
_LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _model(gamma, **settings):
    keras.utils.set_random_seed(3)
    model = tfcurv.Sequential(
        [
            keras.Input((4,)),
            tfcurv.layers.Dense(6, activation="softplus"),
            tfcurv.layers.Dense(2),
        ]
    )
    if gamma:
        model.add_loss(tfcurv.CurvatureRegularizer(gamma))
    # Nothing moves, so that all batches see the same weights.
    model.compile(
        keras.optimizers.SGD(0.0), _LOSS, metrics=["accuracy"], **settings
    )
    return model


def _accuracy(model, x):
    return np.mean(np.argmax(model.predict(x, verbose=0), -1) == _Y)


class ShownTest(parameterized.TestCase):
    def test_shows_clean_and_attacked_accuracy_under_their_names(self):
        attack = tfcurv.CurvatureAttack(0.8, num_steps=3)
        model = _model(0.1, adversary=attack)
        with untraced():
            logs = model.fit(
                _X, _Y, batch_size=8, epochs=2, verbose=0, shuffle=False
            ).history
            clean = _accuracy(model, _X)
        self.assertAlmostEqual(logs["accuracy"][1], clean, places=6)
        self.assertLess(logs["attacked_accuracy"][1], clean)
        self.assertAlmostEqual(logs["epsilon"][1], 0.8, places=6)
        self.assertAlmostEqual(logs["gamma"][1], 0.1, places=6)

    def test_shows_the_penalty_that_the_loss_has(self):
        model = _model(0.1)
        with untraced():
            logs = model.train_on_batch(_X, _Y, return_dict=True)
            logits = model.predict(_X, verbose=0)
        loss = float(_LOSS(_Y, logits))
        self.assertAlmostEqual(logs["loss"] - loss, logs["penalty"], places=5)
        self.assertGreater(logs["penalty"], 0.01)

    def test_counts_no_image_without_a_class(self):
        model = _model(0.0, adversary=tfcurv.CurvatureAttack(0.8, num_steps=1))
        labels = np.where(np.arange(24) < 12, _Y, -1)
        loss = keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, ignore_class=-1
        )
        model.compile("sgd", loss, adversary=model.adversary)
        with untraced():
            right = np.argmax(model.predict(_X, verbose=0), -1) == _Y
            logs = model.train_on_batch(_X, labels, return_dict=True)
        self.assertAlmostEqual(logs["accuracy"], right[:12].mean(), places=6)

    def test_leaves_plain_training_as_it_is(self):
        with untraced():
            logs = _model(0.0).fit(_X, _Y, verbose=0).history
        self.assertCountEqual(logs, ["loss", "accuracy"])


if __name__ == "__main__":
    absltest.main()
