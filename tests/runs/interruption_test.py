"""A killed run goes on, and what it gives depends on the data alone."""

import dataclasses
import functools
import multiprocessing
import os
import pathlib
import signal
import time
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np

import compiled_once
import tfcurv
from tfcurv import certificates
from tfcurv import errors
from tfcurv import report
from tfcurv.results import storage

# Radii of the same point in other batches, on other threads, agree to this,
# relative: the search is in float32 and its sums depend on the shapes. Each of
# them is proved by itself.
_TOLERANCE = 1e-5


@functools.cache
def _model():
    keras.utils.set_random_seed(0)
    layers = [
        keras.Input((6,)),
        keras.layers.Dense(12, activation="tanh"),
        keras.layers.Dense(10, activation="softplus"),
        keras.layers.Dense(4),
    ]
    model = keras.Sequential(layers, name="small")
    for layer in model.layers:
        layer.kernel.assign(2.0 * layer.kernel)
    return model


@functools.cache
def _data(rows=40):
    x = np.random.default_rng(0).normal(size=(rows, 6)).astype(np.float32)
    return x, np.argmax(_model()(x), axis=-1)


# Quick to compile; that the search repeats itself is for the study to show.
_QUICK = certificates.CertifierOptions(search=None, attack_steps=1)


def _certify(data=None, **settings):
    given = {"batch_size": 8, "verbose": 0, "options": _QUICK}
    settings = {**given, "method": "curvature", **settings}
    with compiled_once.compiled_once(_model()):
        return tfcurv.certify(_model(), data or _data(), **settings)


@functools.cache
def _uninterrupted():
    return _certify()


def _run_until_killed(folder):
    _certify(checkpoint=folder)


class InterruptionTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path) / "run"

    def _assert_same(self, found, expected):
        """Bit by bit, but for the time that it took."""
        for name in storage.ARRAYS:
            np.testing.assert_array_equal(
                getattr(found, name), getattr(expected, name)
            )
        rest = [
            {
                field.name: getattr(result, field.name)
                for field in dataclasses.fields(result)
                if field.name not in (*storage.ARRAYS, "seconds")
            }
            for result in (found, expected)
        ]
        self.assertEqual(*rest)

    def test_a_checkpoint_changes_nothing(self):
        self._assert_same(_certify(checkpoint=self.folder), _uninterrupted())

    def test_stopping_at_any_write_and_going_on_gives_the_same(self):
        write = report.write_atomically
        for kill_at in range(1, 20):
            folder = self.folder / str(kill_at)
            count = 0

            def dying(path, content):
                nonlocal count
                count += 1
                if count == kill_at:
                    raise KeyboardInterrupt
                write(path, content)

            with mock.patch.object(report, "write_atomically", dying):
                try:
                    _certify(checkpoint=folder)
                except KeyboardInterrupt:
                    pass
                else:
                    break
            self._assert_same(_certify(checkpoint=folder), _uninterrupted())
        # run.json, the curvature and a shard for each of five batches.
        self.assertGreaterEqual(kill_at, 8)

    @parameterized.parameters(True, False)
    def test_an_interruption_says_how_to_go_on(self, is_kept):
        settings = {"checkpoint": self.folder} if is_kept else {}
        with mock.patch.object(
            certificates.Decider, "__call__", side_effect=KeyboardInterrupt
        ):
            with self.assertRaisesRegex(
                KeyboardInterrupt,
                "after 0 images.*"
                + ("from its checkpoint" if is_kept else "with checkpoint="),
            ):
                _certify(**settings)

    def test_nothing_that_is_done_is_computed_again(self):
        _certify(checkpoint=self.folder)
        with mock.patch.object(
            certificates.Decider, "__call__", side_effect=AssertionError
        ):
            found = _certify(checkpoint=self.folder)
        self._assert_same(found, _uninterrupted())

    def test_only_the_missing_shard_is_computed(self):
        _certify(checkpoint=self.folder)
        sorted(self.folder.glob("shard-*"))[2].unlink()
        call, calls = certificates.Decider.__call__, []

        def counted(certifier, *arguments):
            calls.append(len(arguments[1]))
            return call(certifier, *arguments)

        with mock.patch.object(certificates.Decider, "__call__", counted):
            found = _certify(checkpoint=self.folder)
        self.assertEqual(calls, [8])
        self._assert_same(found, _uninterrupted())

    def test_stopping_again_and_again_gives_the_same_in_the_end(self):
        write = report.write_atomically
        for attempts in range(1, 20):
            count = 0

            def dying(path, content):
                nonlocal count
                count += 1
                if count == 2:
                    raise KeyboardInterrupt
                write(path, content)

            with mock.patch.object(report, "write_atomically", dying):
                try:
                    found = _certify(checkpoint=self.folder)
                except KeyboardInterrupt:
                    continue
                break
        # Each writes one file more.
        self.assertGreaterEqual(attempts, 7)
        self._assert_same(found, _uninterrupted())

    def test_a_process_killed_at_any_moment_gives_the_same_in_the_end(self):
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=_run_until_killed, args=(self.folder,))
        process.start()
        while not list(self.folder.glob("shard-*")):
            self.assertTrue(process.is_alive() or process.exitcode == 0)
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        self._assert_same(_certify(checkpoint=self.folder), _uninterrupted())

    @parameterized.named_parameters(
        ("settings", {"batch_size": 4}, "batch_size"),
        ("guard", {"guard": "float32"}, "guard"),
        ("data", {"data": "reversed"}, "order"),
    )
    def test_the_checkpoint_of_another_run_is_refused(self, change, reason):
        _certify(checkpoint=self.folder)
        if change.get("data"):
            x, y = _data()
            change = {"data": (x[::-1], y[::-1])}
        with self.assertRaisesRegex(errors.InvalidCheckpointError, reason):
            _certify(checkpoint=self.folder, **change)


@functools.cache
def _searched():
    return _certify(options=None)


class IndependenceTest(parameterized.TestCase):
    def _assert_alike(self, found, order=slice(None)):
        expected = _searched()
        np.testing.assert_allclose(
            found.radii, expected.radii[order], rtol=_TOLERANCE
        )
        np.testing.assert_array_equal(found.targets, expected.targets[order])
        np.testing.assert_array_equal(found.reasons, expected.reasons[order])

    @parameterized.parameters(1, 3, 512)
    def test_the_batch_size_does_not_matter(self, batch_size):
        self._assert_alike(_certify(batch_size=batch_size, options=None))

    def test_the_order_of_the_data_does_not_matter(self):
        x, y = _data()
        order = np.random.default_rng(1).permutation(len(y))
        found = _certify((x[order], y[order]), options=None)
        self._assert_alike(found, order)

    def test_what_else_is_in_the_batch_does_not_matter(self):
        x, y = _data()
        others = 100.0 * x[8:]
        others[::3] = np.nan
        mixed = np.concatenate([x[:8], others]), y
        found = _certify(mixed, batch_size=40, options=None)
        np.testing.assert_allclose(
            found.radii[:8], _searched().radii[:8], rtol=_TOLERANCE
        )


if __name__ == "__main__":
    absltest.main()
