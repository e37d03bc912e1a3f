"""A training in a folder: nothing that was paid for is lost."""

import functools
import json
import os
import pathlib
import tempfile
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np

from tfcurv import data
from tfcurv import errors
from tfcurv import report
from tfcurv import training
from tfcurv.training import trainer

_EPOCHS = 4
_CONFIG = training.TrainConfig(
    dataset="digits",
    width=8,
    epochs=_EPOCHS,
    epsilon=0.0,
    gamma=0.0,
    warmup_epochs=1.0,
    batch_size=100,
)


_WRITE = report.write_atomically
_LOAD = data.load_split


class Killed(BaseException):
    """In place of a signal."""


def _few(name, split, *, data_dir=None, limit=100):
    del data_dir
    return _LOAD(name, split, limit=limit)


def _compile(model, config, steps, adversary):
    """Compiles for one step an epoch, which needs no graph."""
    del config, steps, adversary
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"], run_eagerly=True)


def _train(folder, config=_CONFIG):
    with mock.patch.object(data, "load_split", _few):
        with mock.patch.object(trainer, "compile_model", _compile):
            return training.train_in_folder(config, folder, verbose=0)


@functools.cache
def _whole():
    folder = pathlib.Path(tempfile.mkdtemp(dir=absltest.TEST_TMPDIR.value))
    return _train(folder), folder


class FolderTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path) / "run"

    def _kill_at(self, name, count):
        """Trains until a file of this name has been written `count` times."""

        def write(path, content):
            nonlocal count
            _WRITE(path, content)
            count -= pathlib.Path(path).name == name
            if not count:
                raise Killed

        with mock.patch.object(report, "write_atomically", write):
            with self.assertRaises(Killed):
                _train(self.folder)

    def test_holds_the_last_network_the_best_one_and_their_history(self):
        facts, folder = _whole()
        self.assertEqual(
            sorted(os.listdir(folder)),
            ["best_val_accuracy.keras", "model.keras", "training.json"],
        )
        self.assertEqual(
            facts, json.loads((folder / "training.json").read_text())
        )
        split = _few("digits", "validation")
        accuracies = facts["history"]["val_accuracy"]
        self.assertLen(accuracies, _EPOCHS)
        for name, expected in (
            ("model", accuracies[-1]),
            # Not in the first epoch, which is the warm-up.
            ("best_val_accuracy", max(accuracies[1:])),
        ):
            model = keras.models.load_model(folder / f"{name}.keras")
            found = model.predict(split.images, verbose=0).argmax(axis=-1)
            self.assertAlmostEqual(
                np.mean(found == split.labels), expected, places=6
            )

    def test_does_not_train_again(self):
        facts, folder = _whole()
        with mock.patch.object(trainer, "train") as train:
            self.assertEqual(_train(folder), facts)
        train.assert_not_called()

    @parameterized.named_parameters(
        ("in_training", "state.json", 2),
        ("after_the_last_epoch", "state.json", _EPOCHS),
        ("when_all_is_saved", "training.json", 2),
    )
    def test_goes_on_after_a_kill(self, name, count):
        self._kill_at(name, count)
        fit = keras.Model.fit
        with mock.patch.object(keras.Model, "fit", autospec=True) as trained:
            trained.side_effect = fit
            facts = _train(self.folder)
        epochs = sum(
            call.kwargs["epochs"] - call.kwargs["initial_epoch"]
            for call in trained.call_args_list
        )
        done = count if name == "state.json" else _EPOCHS
        self.assertEqual(epochs, _EPOCHS - done)
        self.assertLen(facts["history"]["loss"], _EPOCHS)
        np.testing.assert_allclose(
            facts["history"]["loss"][:done],
            _whole()[0]["history"]["loss"][:done],
            rtol=1e-4,
        )
        self.assertEqual(
            sorted(os.listdir(self.folder)), sorted(os.listdir(_whole()[1]))
        )

    def test_goes_on_with_what_an_older_version_began(self):
        self._kill_at("state.json", _EPOCHS)
        path = self.folder / "training.json"
        facts = json.loads(path.read_text())
        for name in ("objective", "architecture", "norm", "augmentation"):
            del facts["config"][name]
        path.write_text(json.dumps(facts))
        self.assertLen(_train(self.folder)["history"]["loss"], _EPOCHS)
        other = training.TrainConfig(**{**vars(_CONFIG), "augmentation": True})
        with self.assertRaisesRegex(
            errors.InvalidCheckpointError, "augmentation"
        ):
            _train(self.folder, other)

    def test_counts_the_time_of_all_its_parts(self):
        self._kill_at("state.json", 2)
        path = self.folder / "unfinished" / "state.json"
        state = json.loads(path.read_text())
        path.write_text(json.dumps({**state, "seconds": 1000.0}))
        self.assertGreater(_train(self.folder)["seconds"], 1000.0)

    def test_refuses_to_go_on_with_another_training(self):
        _, folder = _whole()
        other = training.TrainConfig(**{**vars(_CONFIG), "width": 9})
        with self.assertRaisesRegex(
            errors.InvalidCheckpointError, "width is '8'. Expected: '9'"
        ):
            _train(folder, other)

    def test_refuses_to_go_on_with_other_data(self):
        self._kill_at("state.json", 1)
        path = self.folder / "training.json"
        facts = json.loads(path.read_text())
        path.write_text(json.dumps({**facts, "data_hash": "another"}))
        with self.assertRaisesRegex(errors.InvalidCheckpointError, "data_hash"):
            _train(self.folder)

    def test_names_a_damaged_backup_and_the_remedy(self):
        self._kill_at("state.json", 1)
        (weights,) = (self.folder / "unfinished").glob("epoch-*.h5")
        weights.write_bytes(weights.read_bytes()[:100])
        with self.assertRaisesRegex(
            errors.InvalidCheckpointError, "unfinished.*Remedy: delete"
        ):
            _train(self.folder)

    def test_leaves_alone_a_folder_of_something_else(self):
        self.folder.mkdir()
        (self.folder / "mine.txt").write_text("mine")
        with self.assertRaisesRegex(errors.ResultExistsError, "no training"):
            _train(self.folder)
        self.assertEqual(os.listdir(self.folder), ["mine.txt"])


if __name__ == "__main__":
    absltest.main()
