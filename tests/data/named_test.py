"""Tests of tfcurv.data.named.

Tests of real images other than the digits need a prepared copy of MNIST in
the folder that the environment variable TFDS_DATA_DIR names, and are skipped
without one. No test uses a network.
"""

import contextlib
import importlib.util
import io
import os
import pathlib
import shutil
import sys
import tempfile
import urllib.error

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tfcurv import data
from tfcurv.errors import DatasetUnavailableError
from tfcurv.errors import UnknownDatasetError

_SPLITS = ("train", "validation", "test")

# Enough for the official 5,000 validation images and a few to train on.
_NUM_TOY_TRAIN = 5_020
_NUM_TOY_TEST = 30


def _toy_images(count):
    """Images that hold their own index in the first two pixels."""
    images = np.zeros((count, 28, 28, 1), np.uint8)
    images[:, 0, 0, 0], images[:, 0, 1, 0] = np.divmod(np.arange(count), 256)
    return images


def _indices(images):
    pixels = np.rint(images[:, 0, :2, 0] * 255.0).astype(int)
    return pixels @ [256, 1]


def _toy_dataset(count):
    return tf.data.Dataset.from_tensor_slices(
        {"image": _toy_images(count), "label": np.arange(count) % 10}
    )


def _prepare_toy_mnist(folder):
    """Writes files such as tensorflow-datasets writes for MNIST."""
    import tensorflow_datasets as tfds

    tfds.dataset_builders.store_as_tfds_dataset(
        name="mnist",
        version=str(tfds.builder("mnist", data_dir=folder).version),
        data_dir=folder,
        split_datasets={
            "train": _toy_dataset(_NUM_TOY_TRAIN),
            "test": _toy_dataset(_NUM_TOY_TEST),
        },
        features=tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(28, 28, 1)),
                "label": tfds.features.ClassLabel(num_classes=10),
            }
        ),
        disable_shuffling=True,
    )


def _has(*packages):
    return all(importlib.util.find_spec(package) for package in packages)


def _no_network(*_, **__):
    raise urllib.error.URLError("no network in tests")


class ArgumentsTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.enter_context(
            absltest.mock.patch("urllib.request.urlopen", _no_network)
        )

    def test_names_the_known_data_sets_without_looking_anywhere(self):
        with absltest.mock.patch.dict(
            sys.modules, {"tensorflow_datasets": None, "sklearn": None}
        ):
            with self.assertRaisesRegex(
                UnknownDatasetError,
                r"name='MNIST'.*'cifar10', 'digits', 'fashion_mnist', 'mnist'",
            ):
                data.load_split("MNIST", "test")

    def test_names_the_allowed_splits(self):
        with self.assertRaisesRegex(ValueError, "split='dev'.*validation"):
            data.load_split("digits", "dev")

    @parameterized.parameters(0, -1, 1.5)
    def test_refuses_a_limit_that_is_not_positive(self, limit):
        with self.assertRaisesRegex(ValueError, f"limit={limit}"):
            data.load_split("digits", "test", limit=limit)

    @parameterized.parameters(
        ("digits", "sklearn.datasets", r"pip install tfcurv\[demo\]"),
        ("cifar10", "tensorflow_datasets", r"pip install tfcurv\[data\]"),
    )
    def test_says_how_to_get_a_missing_package(self, name, module, remedy):
        with absltest.mock.patch.dict(sys.modules, {module: None}):
            with self.assertRaisesRegex(ImportError, remedy):
                data.load_split(name, "test")

    def test_the_table_cannot_be_changed(self):
        with self.assertRaises(TypeError):
            data.DATASETS["mine"] = data.DATASETS["digits"]


@absltest.skipUnless(_has("sklearn"), "scikit-learn is not installed")
class DigitsTest(parameterized.TestCase):
    def test_every_image_is_in_exactly_one_split(self):
        from sklearn import datasets

        splits = [data.load_split("digits", split) for split in _SPLITS]
        images = np.concatenate([split.images for split in splits])
        labels = np.concatenate([split.labels for split in splits])
        bundled = datasets.load_digits()

        def rows(images, labels):
            flat = np.reshape(images, (len(labels), -1))
            return sorted(map(tuple, np.column_stack([flat, labels])))

        self.assertEqual(
            rows(16.0 * images, labels), rows(bundled.images, bundled.target)
        )

    @parameterized.parameters(
        ("train", 1000), ("validation", 300), ("test", 497)
    )
    def test_splits_have_their_sizes_and_all_classes_alike(self, split, size):
        digits = data.load_split("digits", split)
        info = data.DATASETS["digits"]
        self.assertEqual(digits.images.shape, (size, *info.image_shape))
        self.assertEqual(digits.images.dtype, np.float32)
        self.assertEqual(digits.labels.dtype, np.int32)
        self.assertEqual(digits.name, f"digits/{split}")
        self.assertEqual((digits.images.min(), digits.images.max()), (0, 1))
        counts = np.bincount(digits.labels, minlength=info.num_classes)
        self.assertLessEqual(np.ptp(counts), 0.03 * size)

    # Published results name the split: it must be the same everywhere.
    def test_is_the_same_in_every_version(self):
        first = data.load_split("digits", "test", limit=10)
        np.testing.assert_array_equal(
            first.labels, [7, 3, 9, 2, 6, 4, 8, 0, 5, 1]
        )

    def test_a_limit_takes_the_first_images(self):
        for split in _SPLITS:
            whole = data.load_split("digits", split)
            part = data.load_split("digits", split, limit=50)
            np.testing.assert_array_equal(part.images, whole.images[:50])
            np.testing.assert_array_equal(part.labels, whole.labels[:50])


@absltest.skipUnless(
    _has("tensorflow_datasets"), "tensorflow-datasets is not installed"
)
class UnavailableTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.enter_context(
            absltest.mock.patch("urllib.request.urlopen", _no_network)
        )
        self.folder = self.enter_context(tempfile.TemporaryDirectory())

    def test_says_where_it_looked_and_what_to_do(self):
        with self.assertRaises(DatasetUnavailableError) as raised:
            data.load_split("mnist", "test", data_dir=self.folder)
        message = str(raised.exception)
        for part in ("'mnist'", self.folder, "--data_dir", "TFDS_DATA_DIR"):
            self.assertIn(part, message)
        self.assertIsNotNone(raised.exception.__cause__)

    def test_leaves_no_files_behind(self):
        with self.assertRaises(DatasetUnavailableError):
            data.load_split("cifar10", "train", data_dir=self.folder)
        self.assertEmpty(os.listdir(self.folder))


# tensorflow-datasets imports importlib_resources when it writes a data set,
# but does not install it.
@absltest.skipUnless(
    _has("tensorflow_datasets", "importlib_resources"),
    "tensorflow-datasets or importlib_resources is not installed",
)
class PreparedTest(parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        _prepare_toy_mnist(cls.folder)

    @parameterized.named_parameters(
        ("train", "train", 0, 20),
        ("validation", "validation", 20, 5_020),
        ("test", "test", 0, 30),
    )
    def test_cuts_the_official_splits_in_their_order(self, split, first, end):
        toys = data.load_split("mnist", split, data_dir=self.folder)
        np.testing.assert_array_equal(
            _indices(toys.images), np.arange(first, end)
        )
        np.testing.assert_array_equal(toys.labels, np.arange(first, end) % 10)
        self.assertEqual(toys.images.dtype, np.float32)
        self.assertEqual(toys.labels.dtype, np.int32)

    @parameterized.parameters(("train", 0), ("validation", 20), ("test", 0))
    def test_a_limit_takes_the_first_images(self, split, first):
        toys = data.load_split("mnist", split, data_dir=self.folder, limit=7)
        np.testing.assert_array_equal(
            _indices(toys.images), np.arange(first, first + 7)
        )

    def test_a_limit_beyond_the_end_takes_all(self):
        toys = data.load_split("mnist", "test", data_dir=self.folder, limit=99)
        self.assertLen(toys.labels, _NUM_TOY_TEST)

    def test_downloads_what_is_not_prepared(self):
        import tensorflow_datasets as tfds

        def download(builder):
            shutil.copytree(
                f"{self.folder}/mnist", pathlib.Path(builder.data_dir).parent
            )
            builder.info.read_from_directory(builder.data_dir)

        folder = self.enter_context(tempfile.TemporaryDirectory())
        with (
            absltest.mock.patch("urllib.request.urlopen"),
            absltest.mock.patch.object(
                tfds.core.DatasetBuilder, "download_and_prepare", download
            ),
        ):
            toys = data.load_split("mnist", "test", data_dir=folder)
        self.assertLen(toys.labels, _NUM_TOY_TEST)

    def test_says_that_files_are_damaged(self):
        folder = self.enter_context(tempfile.TemporaryDirectory())
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        for file in pathlib.Path(folder).glob("mnist/*/*test.tfrecord*"):
            file.write_bytes(file.read_bytes()[:-100])
        with self.assertRaisesRegex(DatasetUnavailableError, "cannot be read"):
            data.load_split("mnist", "test", data_dir=folder)

    @parameterized.named_parameters(
        ("cut", lambda text: text[:40]),
        ("empty", lambda text: ""),
        ("another", lambda text: "[1, 2]"),
        ("bare", lambda text: "{}"),
        ("without_counts", lambda text: text.replace("shardLengths", "shards")),
    )
    def test_says_that_its_description_is_damaged(self, damage):
        folder = self.enter_context(tempfile.TemporaryDirectory())
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        (file,) = pathlib.Path(folder).glob("mnist/*/dataset_info.json")
        file.write_text(damage(file.read_text()))
        with self.assertRaisesRegex(DatasetUnavailableError, "Remedy") as found:
            data.load_split("mnist", "test", data_dir=folder)
        self.assertIn(folder, str(found.exception))

    def test_says_that_files_are_missing(self):
        folder = self.enter_context(tempfile.TemporaryDirectory())
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        for file in pathlib.Path(folder).glob("mnist/*/*test.tfrecord*"):
            file.unlink()
        with self.assertRaisesRegex(DatasetUnavailableError, "cannot be read"):
            data.load_split("mnist", "test", data_dir=folder)

    def test_a_download_writes_nothing_to_stdout(self):
        import tensorflow_datasets as tfds

        def download(builder):
            sys.stdout.write("\x1b[1mDownloading\x1b[0m")
            raise OSError("full")

        out, err = io.StringIO(), io.StringIO()
        folder = self.enter_context(tempfile.TemporaryDirectory())
        with (
            absltest.mock.patch("urllib.request.urlopen"),
            absltest.mock.patch.object(
                tfds.core.DatasetBuilder, "download_and_prepare", download
            ),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            with self.assertRaisesRegex(DatasetUnavailableError, "full"):
                data.load_split("mnist", "test", data_dir=folder)
        self.assertEqual((out.getvalue(), err.getvalue()), ("", ""))


@absltest.skipUnless(
    (pathlib.Path(os.environ.get("TFDS_DATA_DIR", "")) / "mnist").is_dir()
    and _has("tensorflow_datasets"),
    "TFDS_DATA_DIR holds no prepared copy of MNIST",
)
class MnistTest(parameterized.TestCase):
    @parameterized.parameters(
        ("train", 55_000), ("validation", 5_000), ("test", 10_000)
    )
    def test_splits_have_their_sizes_and_pixels_in_the_unit_range(
        self, split, size
    ):
        mnist = data.load_split("mnist", split)
        info = data.DATASETS["mnist"]
        self.assertEqual(mnist.images.shape, (size, *info.image_shape))
        self.assertEqual((mnist.images.min(), mnist.images.max()), (0, 1))
        self.assertEqual(set(mnist.labels), set(range(info.num_classes)))

    def test_streams_the_test_split_in_the_shape_of_the_network(self):
        source = data.batches(
            "mnist",
            input_shape=(784,),
            num_classes=10,
            batch_size=64,
            limit=100,
        )
        sizes = [batch.inputs.shape for batch in source]
        self.assertEqual(sizes, [(64, 784), (36, 784)])


if __name__ == "__main__":
    absltest.main()
