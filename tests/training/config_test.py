"""The settings of a training run."""

import dataclasses

from absl.testing import absltest
from absl.testing import parameterized

from tfcurv import errors
from tfcurv import training


class TrainConfigTest(parameterized.TestCase):
    @parameterized.parameters(
        ("layers", 0),
        ("width", 0),
        ("epochs", 0),
        ("batch_size", 0),
        ("attack_steps", 0),
        ("epsilon", -1.0),
        ("epsilon", float("nan")),
        ("gamma", float("inf")),
        ("warmup_epochs", -0.5),
        ("learning_rate", 0.0),
        ("constraint", "cube"),
    )
    def test_refuses_a_setting_out_of_range_by_name(self, name, value):
        with self.assertRaisesRegex(ValueError, f"{name}="):
            training.TrainConfig(**{name: value})

    def test_refuses_an_unknown_data_set(self):
        with self.assertRaisesRegex(errors.UnknownDatasetError, "letters"):
            training.TrainConfig(dataset="letters")

    def test_refuses_an_activation_without_curvature_bound(self):
        with self.assertRaisesRegex(errors.UnsupportedActivationError, "relu"):
            training.TrainConfig(activation="relu")

    def test_is_frozen(self):
        with self.assertRaises(dataclasses.FrozenInstanceError):
            training.TrainConfig().epochs = 3


if __name__ == "__main__":
    absltest.main()
