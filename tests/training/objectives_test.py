"""What a training aims at, and what proves it."""

from absl.testing import absltest

from tfcurv import certificates
from tfcurv import errors
from tfcurv import training


class ObjectivesTest(absltest.TestCase):
    def test_every_method_is_one_that_there_is(self):
        for name, objective in training.OBJECTIVES.items():
            with self.subTest(name):
                certificates.check_method(objective.method)

    def test_says_before_the_training_what_cannot_be_certified(self):
        config = training.default_config("bcp", "digits", layers=3, width=4)
        model = training.build_model(config)
        training.check_certifiable(model, "bcp")
        training.check_certifiable(model, "ibp", "linf")
        with self.assertRaisesRegex(errors.UnsupportedModelError, "relu"):
            training.check_certifiable(model, "curvature")


if __name__ == "__main__":
    absltest.main()
