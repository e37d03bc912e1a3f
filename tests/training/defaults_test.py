"""Settings that fit an objective and a data set."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from tfcurv import data
from tfcurv import training


class DefaultConfigTest(parameterized.TestCase):
    def test_those_of_curvature_are_those_of_the_class(self):
        for dataset in data.DATASETS:
            self.assertEqual(
                training.default_config("crt", dataset),
                training.TrainConfig(dataset=dataset),
            )

    @parameterized.parameters("bcp", "ibp", "lmt")
    def test_those_of_worst_logits_are_the_published_ones(self, objective):
        mnist = training.default_config(objective, "mnist")
        self.assertEqual(mnist.architecture, "4C3F")
        self.assertEqual(mnist.activation, "relu")
        self.assertEqual((mnist.epsilon, mnist.batch_size), (1.58, 50))
        self.assertEqual((mnist.warmup_epochs, mnist.rampup_epochs), (1, 20))
        drops = np.multiply(mnist.learning_rate_drops, mnist.epochs)
        np.testing.assert_allclose(drops, [21, 30, 40])
        cifar10 = training.default_config(objective, "cifar10")
        self.assertEqual((cifar10.epsilon, cifar10.batch_size), (36 / 255, 128))
        drops = np.multiply(cifar10.learning_rate_drops, cifar10.epochs)
        np.testing.assert_allclose(drops, range(131, 200, 10))
        # The rate falls when all strengths are there.
        self.assertEqual(drops[0], cifar10.settling_epochs)
        self.assertTrue(cifar10.augmentation)

    def test_ramps_keep_their_share_of_fewer_epochs(self):
        config = training.default_config("bcp", "mnist", epochs=30)
        self.assertEqual(
            (config.warmup_epochs, config.rampup_epochs), (0.5, 10)
        )
        config = training.default_config("bcp", "mnist", rampup_epochs=3.0)
        self.assertEqual((config.epochs, config.rampup_epochs), (60, 3))

    def test_a_size_that_is_given_takes_the_place_of_the_named_network(self):
        config = training.default_config("bcp", "mnist", width=8)
        self.assertEqual(config.network, "2x8")

    def test_layerwise_training_takes_sizes_and_shares_its_epochs(self):
        config = training.default_config("colt", "mnist", width=8, epochs=12)
        self.assertEqual((config.network, config.rampup_epochs), ("2x8", 2.0))
        named = training.default_config("colt", "cifar10")
        self.assertEqual(named.network, "2C2F-wide")

    def test_plain_training_has_neither_radius_nor_penalty(self):
        config = training.default_config("plain", "mnist")
        self.assertEqual((config.epsilon, config.gamma), (0, 0))
        self.assertIsNone(config.worst_case)

    def test_an_unknown_objective_is_refused_by_name(self):
        with self.assertRaisesRegex(ValueError, "'best'.*bcp"):
            training.default_config("best")


if __name__ == "__main__":
    absltest.main()
