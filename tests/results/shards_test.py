"""Tests of checkpoints: whole, of this run, or refused."""

import os
import pathlib
import subprocess
import sys
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from tfcurv import errors
from tfcurv import results

_RUN = {"model_hash": "a" * 64, "batch_size": 4, "guard": None}
_ARRAYS = {"radii": np.array([0.1, 0.2]), "targets": np.array([1, 2], np.int32)}


class CheckpointTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path) / "run"

    def _open(self, **changes):
        return results.Checkpoint(self.folder, {**_RUN, **changes})

    def test_gives_back_what_was_saved_bit_by_bit(self):
        self._open().save_shard(3, "data", _ARRAYS)
        found = self._open().load_shard(3, "data")
        self.assertEqual(found.keys(), _ARRAYS.keys())
        for name, array in _ARRAYS.items():
            np.testing.assert_array_equal(found[name], array)
            self.assertEqual(found[name].dtype, array.dtype)

    def test_knows_what_is_still_to_do(self):
        checkpoint = self._open()
        checkpoint.save_shard(1, "data", _ARRAYS)
        self.assertIsNone(checkpoint.load_shard(0, "data"))
        self.assertIsNone(checkpoint.load_curvature())

    def test_keeps_the_last_curvature(self):
        checkpoint = self._open()
        for value in (1.0, 2.0):
            checkpoint.save_curvature({"values": np.array([value])})
        self.assertEqual(self._open().load_curvature()["values"], [2.0])

    @parameterized.parameters(
        {"model_hash": "b" * 64}, {"batch_size": 5}, {"guard": "float32"}
    )
    def test_refuses_the_checkpoint_of_another_run(self, **change):
        self._open()
        (name,) = change
        with self.assertRaisesRegex(errors.InvalidCheckpointError, name):
            self._open(**change)

    def test_refuses_data_that_are_not_those_of_the_shard(self):
        checkpoint = self._open()
        checkpoint.save_shard(0, "data", _ARRAYS)
        with self.assertRaisesRegex(errors.InvalidCheckpointError, "order"):
            checkpoint.load_shard(0, "other")

    def test_refuses_the_shard_of_another_run(self):
        self._open().save_shard(0, "data", _ARRAYS)
        (shard,) = self.folder.glob("shard-*")
        content = shard.read_bytes()
        self.folder = self.folder.with_name("other")
        other = self._open(batch_size=9)
        (self.folder / shard.name).write_bytes(content)
        with self.assertRaisesRegex(errors.InvalidCheckpointError, "another"):
            other.load_shard(0, "data")

    def test_refuses_a_damaged_file_wherever_it_is_damaged(self):
        self._open().save_shard(0, "data", _ARRAYS)
        (shard,) = self.folder.glob("shard-*")
        content = shard.read_bytes()
        for place in range(0, len(content), 7):
            damaged = bytearray(content)
            damaged[place] ^= 1
            shard.write_bytes(bytes(damaged))
            with self.assertRaisesRegex(
                errors.InvalidCheckpointError, "damaged"
            ):
                self._open().load_shard(0, "data")

    @parameterized.parameters(0, 1, 64, 70, 300)
    def test_refuses_a_file_that_was_cut(self, length):
        self._open().save_shard(0, "data", _ARRAYS)
        (shard,) = self.folder.glob("shard-*")
        shard.write_bytes(shard.read_bytes()[:length])
        with self.assertRaisesRegex(errors.InvalidCheckpointError, "damaged"):
            self._open().load_shard(0, "data")

    @parameterized.parameters("", "[]", "{", '{"format": "other"}')
    def test_refuses_a_damaged_description(self, text):
        self._open()
        (self.folder / "run.json").write_text(text)
        with self.assertRaises(errors.InvalidCheckpointError):
            self._open()

    def test_refuses_a_folder_that_holds_something_else(self):
        self.folder.mkdir()
        (self.folder / "thesis.txt").write_text("mine")
        with self.assertRaisesRegex(errors.InvalidCheckpointError, "holds"):
            self._open()
        self.assertEqual((self.folder / "thesis.txt").read_text(), "mine")

    def test_what_a_killed_writer_left_is_removed(self):
        checkpoint = self._open()
        with mock.patch("os.replace", side_effect=KeyboardInterrupt):
            with mock.patch.object(pathlib.Path, "unlink"):
                with self.assertRaises(KeyboardInterrupt):
                    checkpoint.save_shard(0, "data", _ARRAYS)
        self.assertLen(list(self.folder.glob(".*.tmp")), 1)
        with self._open().writing():
            self.assertIsNone(self._open().load_shard(0, "data"))
        self.assertEmpty(list(self.folder.glob(".*.tmp")))

    def test_a_folder_that_was_killed_at_its_beginning_is_new(self):
        self.folder.mkdir()
        (self.folder / ".run.json.x.tmp").write_text("{")
        with self._open().writing():
            self.assertTrue((self.folder / "run.json").exists())
        self.assertEmpty(list(self.folder.glob(".*.tmp")))

    def test_has_one_writer_at_a_time(self):
        first, second = self._open(), self._open()
        with first.writing():
            with self.assertRaisesRegex(
                errors.CheckpointInUseError, f"process {os.getpid()} on"
            ):
                with second.writing():
                    self.fail("Two at once.")
        with second.writing():
            pass

    def test_a_writer_that_is_killed_lets_go(self):
        self._open()
        program = (
            "import pathlib, sys, time\n"
            "from tfcurv.results import lock\n"
            "with lock.alone(pathlib.Path(sys.argv[1])):\n"
            "    print('in', flush=True)\n"
            "    time.sleep(600)\n"
        )
        path = str(self.folder / ".lock")
        other = subprocess.Popen(
            [sys.executable, "-c", program, path],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(other.communicate)
        self.addCleanup(other.kill)
        self.assertEqual(other.stdout.readline(), "in\n")
        with self.assertRaisesRegex(
            errors.CheckpointInUseError, f"process {other.pid} on"
        ):
            with self._open().writing():
                self.fail("Two at once.")
        other.kill()
        other.wait()
        with self._open().writing():
            pass


if __name__ == "__main__":
    absltest.main()
