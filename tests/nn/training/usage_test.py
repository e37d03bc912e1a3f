"""Tests of usage: what cannot be trained is refused by name."""

from unittest import mock

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
    @parameterized.parameters(
        ({}, 1),
        ({"worst_case": tfcurv.WorstCase(0.1)}, 20),
        ({"worst_case": tfcurv.WorstCase(0.1, method="ibp")}, 1),
        ({"worst_case": tfcurv.WorstCase(0.1), "power_iterations": 3}, 3),
    )
    def test_norms_are_followed_by_so_many_steps(self, settings, expected):
        model = tfcurv.Sequential([keras.Input((3,)), tfcurv.layers.Dense(2)])
        model.add_loss(tfcurv.CurvatureRegularizer(0.1))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss, run_eagerly=True, **settings)
        tracker = tfcurv.SpectralNormTracker
        with mock.patch.object(tracker, "step", autospec=True) as step:
            model.train_on_batch(_X, _Y)
        for call in step.call_args_list:
            self.assertEqual(call.kwargs["power_iterations"], expected)
        self.assertLen(step.call_args_list, 1)

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
        self.assertGreater(model.train_on_batch(_X, _Y)[0], 0.0)

    @parameterized.parameters(True, False)
    def test_training_without_labels_is_refused(self, attacks):
        model = _compiled(lambda logits: logits, attacks=attacks)
        with self.assertRaisesRegex(ValueError, "no labels for"):
            model.fit(_X, verbose=0)


if __name__ == "__main__":
    absltest.main()
