"""Tests of usage: what cannot be trained is refused by name."""

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np

import tfcurv
from tfcurv import errors

_X = np.zeros((4, 3), np.float32)
_Y = np.arange(4) % 2


def _compiled(output, *, attacks):
    """A model with its logits in `output`, attacked or with a penalty."""
    x = keras.Input((3,))
    model = tfcurv.Model(x, output(tfcurv.layers.Dense(2)(x)))
    adversary = None
    if attacks:
        adversary = tfcurv.CurvatureAttack(0.1, constraint="sphere")
    else:
        model.add_loss(tfcurv.CurvatureRegularizer(0.1))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, adversary=adversary, run_eagerly=True)
    return model


class UsageTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("dict", lambda logits: {"logits": logits}, "output in a dict"),
        ("two", lambda logits: [logits, logits], "2 outputs"),
    )
    def test_an_adversary_refuses_outputs_as(self, output, what):
        model = _compiled(output, attacks=True)
        with self.assertRaisesRegex(errors.UnsupportedModelError, what):
            model.train_on_batch(_X, _Y)

    def test_a_list_of_one_output_is_that_output(self):
        model = _compiled(lambda logits: [logits], attacks=True)
        self.assertGreater(model.train_on_batch(_X, _Y), 0.0)

    @parameterized.parameters(True, False)
    def test_training_without_labels_is_refused(self, attacks):
        model = _compiled(lambda logits: logits, attacks=attacks)
        with self.assertRaisesRegex(ValueError, "no labels for"):
            model.fit(_X, verbose=0)


if __name__ == "__main__":
    absltest.main()
