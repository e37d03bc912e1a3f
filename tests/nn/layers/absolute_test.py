"""Tests of tfcurv.nn.layers.absolute."""

from absl.testing import absltest
import keras
import numpy as np

import tfcurv


class AbsoluteTest(absltest.TestCase):
    def _model(self):
        keras.utils.set_random_seed(0)
        hidden = tfcurv.layers.Dense(16, activation=tfcurv.layers.absolute)
        return tfcurv.Sequential(
            [keras.Input((3,)), hidden, tfcurv.layers.Dense(2)]
        )

    def test_is_the_absolute_value(self):
        x = np.linspace(-2.0, 2.0, 41)
        np.testing.assert_array_equal(tfcurv.layers.absolute(x), np.abs(x))

    def test_is_saved_and_loaded_with_its_layer(self):
        model, x = self._model(), np.random.default_rng(0).normal(size=(9, 3))
        path = self.create_tempdir().full_path + "/model.keras"
        model.save(path)
        found = keras.models.load_model(path)
        self.assertIs(found.layers[0].activation, tfcurv.layers.absolute)
        np.testing.assert_array_equal(found(x), model(x))

    def test_is_trained_and_certified(self):
        model, random = self._model(), np.random.default_rng(1)
        x = random.normal(size=(300, 3)).astype(np.float32)
        y = (np.abs(x[:, 0]) > np.abs(x[:, 1])).astype(np.int32)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        worst = tfcurv.WorstCase(0.05, method="lipschitz")
        model.compile(keras.optimizers.Adam(0.02), loss, worst_case=worst)
        model.fit(x, y, epochs=15, verbose=0)
        for method in ("lipschitz", "bcp", "ibp", "crown", "auto"):
            with self.subTest(method):
                found = tfcurv.certify(
                    model, (x, y), method=method, epsilons=(0.05,), verbose=0
                )
                self.assertGreater(found.clean_accuracy, 0.85)
                self.assertTrue(np.all(found.radii <= found.upper_bounds))
                self.assertGreater(found.certified_accuracy(0.05), 0.5)


if __name__ == "__main__":
    absltest.main()
