"""Kills certifying processes at random moments and goes on."""

from collections.abc import Callable
import dataclasses
import multiprocessing
import pathlib
import random
import signal
import time

import keras
import numpy as np
import tensorflow as tf

import tfcurv

_ROWS, _BATCH = 400, 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class KillStudy:
    """What became of the killed runs.

    Attributes:
        kills: Processes that died of SIGKILL.
        before_a_shard: Of these, before the first shard was whole.
        runs: Runs that were brought to their end through kills.
        shards: Shards that survived a kill, over all of them.
        different: Runs whose result differed in any bit from that of a run
            that nobody killed.
    """

    kills: int
    before_a_shard: int
    runs: int
    shards: int
    different: int


def _certify(folder: pathlib.Path | None) -> tfcurv.CertificationResult:
    """Certifies some points of a small network, always the same."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((20,)),
            keras.layers.Dense(64, activation="softplus"),
            keras.layers.Dense(32, activation="tanh"),
            keras.layers.Dense(6),
        ]
    )
    x = np.random.default_rng(0).normal(size=(_ROWS, 20)).astype(np.float32)
    y = model.predict(x, verbose=0).argmax(axis=-1)
    return tfcurv.certify(
        model, (x, y), batch_size=_BATCH, checkpoint=folder, verbose=0
    )


def _certify_quietly(folder: pathlib.Path) -> None:
    _certify(folder)


def _context():
    context = multiprocessing.get_context("forkserver")
    # Importing TensorFlow takes longer than what is to be killed.
    context.set_forkserver_preload(["tfcurv", "kill_study"])
    return context


def _shards(folder: pathlib.Path) -> int:
    return len(list(folder.glob("shard-*")))


def run(
    folder: pathlib.Path, kills: int, say: Callable[[str], None]
) -> KillStudy:
    """Kills processes until enough have died, and compares what they give.

    Args:
        folder: Where the checkpoints go.
        kills: How many are to die.
        say: Is told of the progress.
    """
    context, chance = _context(), random.Random(0)
    expected = _certify(None)
    died = starting = runs = survived = different = 0
    while died < kills:
        checkpoint = folder / str(runs)
        process = context.Process(target=_certify_quietly, args=(checkpoint,))
        process.start()
        # Every tenth dies while it starts, the others between or in shards.
        goal = chance.randint(_shards(checkpoint) + 1, _ROWS // _BATCH)
        if not chance.randrange(10):
            goal = 0
            process.join(timeout=chance.uniform(0.0, 2.0))
        while process.is_alive() and _shards(checkpoint) < goal:
            process.join(timeout=0.001)
        process.join(timeout=chance.uniform(0.0, 0.02))
        if process.is_alive():
            process.kill()
            process.join()
        if process.exitcode == -signal.SIGKILL:
            died += 1
            starting += not _shards(checkpoint)
            survived += _shards(checkpoint)
            say(f"kill {died}: {_shards(checkpoint)} shards are whole")
        elif process.exitcode:
            raise RuntimeError(f"A run failed: exit code {process.exitcode}.")
        if process.exitcode == 0 or died == kills:
            runs += 1
            different += not _same(_certify(checkpoint), expected)
    return KillStudy(
        kills=died,
        before_a_shard=starting,
        runs=runs,
        shards=survived,
        different=different,
    )


def _same(found, expected) -> bool:
    names = ("radii", "targets", "upper_bounds", "exact", "reasons")
    return all(
        np.array_equal(getattr(found, name), getattr(expected, name))
        for name in names
    )


def _one_thread(path: pathlib.Path, folder: pathlib.Path) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    with np.load(folder / "images.npz") as images:
        points = images["x"], images["y"]
    result = tfcurv.certify(tfcurv.nn.read_model(path), points, verbose=0)
    np.save(folder / "radii.npy", result.radii)


def radii_on_one_thread(path: pathlib.Path, folder: pathlib.Path) -> np.ndarray:
    """Returns the radii of images.npz, certified by a process of one thread.

    Args:
        path: The model.
        folder: Where images.npz lies.
    """
    process = _context().Process(target=_one_thread, args=(path, folder))
    start = time.monotonic()
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(
            f"The process failed after {time.monotonic() - start:.0f} s."
        )
    return np.load(folder / "radii.npy")
