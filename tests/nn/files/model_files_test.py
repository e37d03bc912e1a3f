"""Reading models from files: what is read is what was saved."""

import io
import pathlib

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np

import tfcurv
from tfcurv import errors
from tfcurv import nn
from tfcurv.nn.files import keras_archive

_INPUTS = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)


def _plain():
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(6, activation="softplus"),
            keras.layers.Dense(3),
        ]
    )


def _trained_by_curvature():
    model = tfcurv.Sequential(
        [
            keras.Input((4,)),
            tfcurv.layers.Dense(6, activation="tanh"),
            tfcurv.layers.Dense(3),
        ]
    )
    model.add_loss(tfcurv.CurvatureRegularizer(gamma=0.1))
    model.compile(
        "adam",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        adversary=tfcurv.CurvatureAttack(0.5),
    )
    model.fit(_INPUTS, np.arange(5) % 3, verbose=0)
    return model


def _functional(kind=keras.Model, dense=keras.layers.Dense):
    inputs = keras.Input((4,))
    hidden = dense(6, activation="sigmoid")(inputs)
    return kind(inputs, dense(3)(hidden))


def _every_certifiable_layer():
    inner = keras.Sequential(
        [
            keras.layers.Dense(
                5,
                kernel_initializer=keras.initializers.RandomNormal(
                    seed=keras.random.SeedGenerator(1)
                ),
                kernel_regularizer="l2",
                kernel_constraint=keras.constraints.MaxNorm(2.0),
            ),
            keras.layers.Activation("tanh"),
        ]
    )
    inner.compile("adam", "mse")
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Reshape((2, 2)),
            keras.layers.Rescaling(np.full((2, 2), 0.5), offset=0.1),
            keras.layers.Normalization(mean=[0.1, 0.2], variance=[1.0, 2.0]),
            keras.layers.Flatten(),
            keras.layers.GaussianNoise(0.1),
            inner,
            keras.layers.Dropout(0.1, seed=3),
            keras.layers.GaussianDropout(0.1),
            keras.layers.ActivityRegularization(l2=0.1),
            keras.layers.Dense(3, dtype="float64"),
        ]
    )
    model.build((None, 4))
    return model


class _FileTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)
        self.path = self.folder / "model.keras"

    def assert_refused(self, pattern=""):
        with self.assertRaisesRegex(
            errors.UnsupportedModelError, pattern
        ) as caught:
            nn.read_model(self.path)
        self.assertIn(str(self.path), str(caught.exception))


class HonestFileTest(_FileTest):
    @parameterized.named_parameters(
        ("sequential", _plain),
        ("functional", _functional),
        ("trained_by_curvature", _trained_by_curvature),
        (
            "functional_of_tfcurv",
            lambda: _functional(tfcurv.Model, tfcurv.layers.Dense),
        ),
        ("every_certifiable_layer", _every_certifiable_layer),
    )
    def test_gives_the_same_logits_to_the_bit(self, make):
        model = make()
        model.save(self.path)
        read = nn.read_model(self.path)
        self.assertIs(type(read), type(model))
        np.testing.assert_array_equal(
            read(_INPUTS, training=False), model(_INPUTS, training=False)
        )

    def test_keeps_regularizer_and_adversary(self):
        _trained_by_curvature().save(self.path)
        read = nn.read_model(self.path)
        self.assertEqual(
            [
                each.get_config()["gamma"]
                for each in read.curvature_regularizers
            ],
            [0.1],
        )
        self.assertEqual(read.adversary.get_config()["epsilon"], 0.5)

    @parameterized.parameters(
        nn.ProjectedGradientAttack(0.5, norm="linf"),
        nn.TradesAttack(0.5, beta=2.0),
    )
    def test_keeps_other_adversaries_and_own_activations(self, adversary):
        hidden = [
            tfcurv.layers.Dense(6, activation=tfcurv.layers.absolute)
            for _ in range(2)
        ]
        model = tfcurv.Sequential(
            [keras.Input((4,)), *hidden, tfcurv.layers.Dense(3)]
        )
        model.compile("adam", "mse", adversary=adversary)
        model.save(self.path)
        read = nn.read_model(self.path)
        self.assertEqual(read.adversary.get_config(), adversary.get_config())
        np.testing.assert_array_equal(read(_INPUTS), model(_INPUTS))

    def test_reads_all_that_tfcurv_registers_with_keras(self):
        registered = {
            name: kind
            for name, kind in keras.saving.get_custom_objects().items()
            if name.startswith("tfcurv>")
            and kind.__module__.startswith("tfcurv.")
        }
        self.assertGreater(len(registered), 8)
        for name, kind in registered.items():
            with self.subTest(name):
                if isinstance(kind, type):
                    self.assertIn(name, keras_archive._OWN_CLASSES)
                else:
                    self.assertIn(
                        keras.saving.serialize_keras_object(kind),
                        keras_archive._OWN_FUNCTIONS,
                    )

    def test_compiles_nothing_not_even_inner_models(self):
        model = _every_certifiable_layer()
        model.compile("adam", "mse")
        model.save(self.path)
        read = nn.read_model(self.path)
        self.assertFalse(read.compiled)
        # Keras' own compile=False does compile it.
        inner = [type(each) for each in read.layers].index(keras.Sequential)
        self.assertTrue(model.layers[inner].compiled)
        self.assertFalse(read.layers[inner].compiled)

    def test_leaves_the_refusal_of_common_layers_to_the_certifier(self):
        keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                keras.layers.Conv2D(2, 3, name="edges"),
                keras.layers.BatchNormalization(),
                keras.layers.ReLU(),
                keras.layers.MaxPooling2D(),
                keras.layers.Flatten(),
                keras.layers.Dense(3),
            ]
        ).save(self.path)
        read = nn.read_model(self.path)
        with self.assertRaisesRegex(
            errors.UnsupportedLayerError, "max_pooling2d"
        ):
            nn.network_from_model(read)


class ArraysTest(_FileTest):
    def setUp(self):
        super().setUp()
        self.path = self.folder / "weights.npz"

    def test_reads_dense_layers_without_rounding(self):
        kernel, bias = np.full((4, 3), 1 / 3, np.float32), np.full(3, 1 / 3)
        np.savez(self.path, kernel_0=kernel, bias_0=bias)
        weights = nn.read_model(self.path).get_weights()
        np.testing.assert_array_equal(weights[0], kernel)
        np.testing.assert_array_equal(weights[1], bias)

    def test_unpickles_nothing(self):
        marker = self.folder / "marker"

        class Armed:
            def __reduce__(self):
                return marker.touch, ()

        objects = np.array([[Armed()]], dtype=object)
        np.savez(self.path, kernel_0=objects, bias_0=np.zeros(1))
        self.assert_refused("pickle")
        self.path.write_bytes(objects.dumps())
        self.assert_refused("pickle")
        self.assertFalse(marker.exists())

    @parameterized.named_parameters(
        ("nothing", {}),
        ("no_bias", {"kernel_0": np.ones((4, 3))}),
        ("gap", {"kernel_1": np.ones((4, 3)), "bias_1": np.ones(3)}),
        ("vector", {"kernel_0": np.ones(4), "bias_0": np.ones(4)}),
        ("short_bias", {"kernel_0": np.ones((4, 3)), "bias_0": np.ones(2)}),
        ("text", {"kernel_0": np.full((4, 3), "a"), "bias_0": np.ones(3)}),
        (
            "no_chain",
            {
                "kernel_0": np.ones((4, 3)),
                "bias_0": np.ones(3),
                "kernel_1": np.ones((4, 3)),
                "bias_1": np.ones(3),
            },
        ),
    )
    def test_refuses_what_is_no_chain_of_layers(self, arrays):
        np.savez(self.path, **arrays)
        self.assert_refused("kernel_0")

    def test_refuses_other_files_of_that_name(self):
        buffer = io.BytesIO()
        np.save(buffer, np.ones(3))
        for content in (b"", b"PK", b"PK\x03\x04", buffer.getvalue()):
            with self.subTest(content[:4]):
                self.path.write_bytes(content)
                self.assert_refused()


class PathTest(_FileTest):
    def test_names_a_missing_file(self):
        with self.assertRaisesRegex(FileNotFoundError, "model.keras"):
            nn.read_model(self.path)

    @parameterized.parameters("model.h5", "model.pkl", "model")
    def test_refuses_other_kinds(self, name):
        self.path = self.folder / name
        self.path.write_bytes(b"x")
        self.assert_refused(name)


if __name__ == "__main__":
    absltest.main()
