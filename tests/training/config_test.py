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
        ("objective", "acb"),
        ("architecture", "9C9F"),
        ("norm", "l1"),
        ("norm", "linf"),
        ("rampup_epochs", 1.0),
        ("stages", 0),
        ("stages", 2),
        ("projections", 1),
        ("stability", -1.0),
        ("l1", float("inf")),
        ("learning_rate_drops", (0.5, 0.5)),
        ("learning_rate_drops", (0.5, 1.0)),
        ("learning_rate_factor", 0.0),
        ("learning_rate_factor", 1.5),
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

    def test_takes_kinks_where_no_curvature_is_wanted(self):
        for objective in ("bcp", "ibp", "lmt", "plain"):
            config = training.TrainConfig(
                objective=objective, activation="relu", warmup_epochs=0.0
            )
            self.assertEqual(config.activation, "relu")

    @parameterized.parameters(
        ("norm", "l2"),
        ("epochs", 25),
        ("warmup_epochs", 1.0),
        ("rampup_epochs", 9.0),
    )
    def test_stages_share_the_epochs(self, name, value):
        config = training.default_config("colt", "mnist")
        self.assertEqual((config.stages, config.epochs), (3, 24))
        with self.assertRaisesRegex(ValueError, f"{name}="):
            dataclasses.replace(config, **{name: value})

    @parameterized.parameters(
        ("epsilon", {"epsilon": 0.0}), ("rampup_epochs", {})
    )
    def test_worst_logits_need_a_radius_and_a_ramp(self, name, settings):
        with self.assertRaisesRegex(ValueError, f"{name}="):
            training.TrainConfig(objective="bcp", **settings)

    def test_a_named_network_is_called_by_its_name(self):
        config = training.TrainConfig(architecture="4C3F")
        self.assertEqual(config.network, "4C3F")
        self.assertFalse(config.is_dense)
        self.assertEqual(training.TrainConfig().network, "2x1024")
        self.assertTrue(training.TrainConfig().is_dense)

    def test_is_frozen(self):
        with self.assertRaises(dataclasses.FrozenInstanceError):
            training.TrainConfig().epochs = 3


if __name__ == "__main__":
    absltest.main()
