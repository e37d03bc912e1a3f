"""Networks of published tables, by name."""

import functools

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np

from tfcurv import nn
from tfcurv import training


@functools.cache
def _model(name, shape, num_classes, activation="relu"):
    keras.utils.set_random_seed(0)
    layers = training.architecture_layers(name, num_classes, activation)
    return nn.Sequential([keras.Input(shape), *layers])


class ArchitecturesTest(parameterized.TestCase):
    @parameterized.parameters(
        ("4C3F", (28, 28, 1), 10, 1_974_762),
        ("4C3F", (32, 32, 3), 10, 2_466_858),
        ("6C2F", (32, 32, 3), 10, 2_250_378),
        ("8C2F", (64, 64, 3), 200, 4_342_984),
    )
    def test_have_as_many_parameters_as_the_paper_prints(
        self, name, shape, num_classes, expected
    ):
        model = _model(name, shape, num_classes)
        self.assertEqual(training.parameter_count(model), expected)
        self.assertEqual(model.output_shape, (None, num_classes))

    def test_the_smooth_twin_differs_in_the_activation_alone(self):
        kinked = _model("4C3F", (28, 28, 1), 10)
        smooth = _model("4C3F", (28, 28, 1), 10, "softplus")
        names = [
            [getattr(each, "activation", None) for each in model.layers]
            for model in (kinked, smooth)
        ]
        for first, second in zip(*names):
            is_hidden = first is keras.activations.relu
            expected = keras.activations.softplus if is_hidden else first
            self.assertIs(second, expected)
        self.assertEqual(
            *(
                [w.shape for w in model.trainable_variables]
                for model in (kinked, smooth)
            )
        )

    def test_absolute_is_that_of_tfcurv(self):
        model = _model("4C3F", (28, 28, 1), 10, "absolute")
        found = [getattr(each, "activation", None) for each in model.layers]
        self.assertEqual(found.count(nn.layers.absolute), 6)

    @parameterized.parameters((28, 1), (32, 3))
    def test_begin_with_the_weights_of_the_paper(self, size, colours):
        keras.utils.set_random_seed(0)
        layers = training.architecture_layers("4C3F", 10)
        shape = (size, size, colours)
        model = nn.Sequential([keras.Input(shape), *layers])
        training.start_as_published(model)
        for layer in model.layers:
            if not hasattr(layer, "kernel"):
                continue
            kernel = np.asarray(layer.kernel)
            if colours == 3 and isinstance(layer, keras.layers.Conv2D):
                *window, _, filters = kernel.shape
                deviation = np.sqrt(2.0 / (np.prod(window) * filters))
                # Of this many draws the deviation errs by so much of it.
                self.assertAlmostEqual(
                    np.std(kernel) / deviation,
                    1.0,
                    delta=4.0 / np.sqrt(2.0 * kernel.size),
                )
                self.assertAllZero(layer.bias)
                continue
            most = 1.0 / np.sqrt(np.prod(kernel.shape[:-1]))
            for each in (kernel, np.asarray(layer.bias)):
                share = np.max(np.abs(each)) / most
                # The largest of n is as near to the end as n is large.
                self.assertBetween(share, 1.0 - 8.0 / each.size, 1.0)
            self.assertLess(abs(np.mean(layer.kernel)), 0.1 * most)

    def assertAllZero(self, values):
        np.testing.assert_array_equal(values, 0.0)

    def test_same_is_a_padding_by_one(self):
        model = _model("4C3F", (28, 28, 1), 10)
        x = np.random.default_rng(0).normal(size=(2, 28, 28, 32))
        x = x.astype(np.float32)
        halving = model.layers[1]
        around = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
        expected = keras.ops.conv(around, halving.kernel, 2, "valid")
        expected = keras.ops.relu(expected + halving.bias)
        np.testing.assert_allclose(halving(x), expected, atol=1e-5)

    def test_an_unknown_one_is_refused_by_name(self):
        with self.assertRaisesRegex(ValueError, "'resnet'.*4C3F"):
            training.architecture_layers("resnet", 10)


if __name__ == "__main__":
    absltest.main()
