"""Tests of the networks that come with tfcurv."""

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np

import tfcurv
from tfcurv import data
from tfcurv import training

_NAMES = sorted(training.PRETRAINED)


class PretrainedTest(parameterized.TestCase):
    @parameterized.parameters(*_NAMES)
    def test_certifies_what_its_manifest_says(self, name):
        shipped = training.pretrained(name)
        config, said = training.PRETRAINED[name], shipped.measured
        split = data.load_split("digits", "test")
        result = tfcurv.certify(
            shipped.load(),
            (split.images, split.labels),
            norm=config.norm,
            domain=config.domain,
            epsilons=(config.epsilon,),
            radii=False,
            verbose=0,
        )
        self.assertEqual(said["epsilon"], config.epsilon)
        self.assertEqual(said["norm"], config.norm)
        self.assertLen(split.labels, said["images"])
        self.assertEqual(result.clean_accuracy, said["clean"])
        # Radii are the same to 1e-5, relative: an image may be within that.
        one = 1.0 / len(split.labels)
        certified = result.certified_accuracy(config.epsilon)
        self.assertAlmostEqual(certified, said["certified"], delta=one)
        self.assertLessEqual(certified, said["attacked"] + one)

    @parameterized.parameters(*_NAMES)
    def test_has_the_layers_of_its_settings(self, name):
        loaded = training.pretrained(name).load()
        built = training.build_model(training.PRETRAINED[name])
        shapes = [
            [w.shape for w in model.get_weights()]
            for model in (loaded, built.export_plain())
        ]
        self.assertEqual(*shapes)
        self.assertTrue(tfcurv.from_keras(loaded).layers)

    def test_is_a_stock_keras_model(self):
        for name in _NAMES:
            loaded = keras.models.load_model(training.pretrained(name).path)
            self.assertIs(type(loaded), keras.Sequential)
            self.assertTrue(
                all(np.all(np.isfinite(w)) for w in loaded.get_weights())
            )

    def test_refuses_what_does_not_exist(self):
        with self.assertRaisesRegex(ValueError, "Did you mean.*digits-crt"):
            training.pretrained("digits_crt")


if __name__ == "__main__":
    absltest.main()
