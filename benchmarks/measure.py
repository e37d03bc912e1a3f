"""What the benchmarks share: clocks, rates, and where results are kept."""

import collections
from collections.abc import Callable
from collections.abc import Mapping
import datetime
import json
import os
import pathlib
import platform
import shlex
import statistics
import sys
import tempfile
import time
from typing import Any

import keras
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from tfcurv import report

_RESULTS = pathlib.Path(__file__).resolve().parent / "results"


def machine() -> str:
    """Returns the date, the kind of machine and the versions."""
    return (
        f"{datetime.date.today()}, {os.cpu_count()} CPU cores "
        f"({platform.machine()}), {len(tf.config.list_physical_devices('GPU'))}"
        f" GPUs, TensorFlow {tf.__version__}, Keras {keras.__version__}"
    )


def save(name: str, found: Any) -> None:
    """Keeps what a benchmark found, with its command, machine and date."""
    program = pathlib.Path(sys.argv[0]).name
    command = shlex.join(["python", f"benchmarks/{program}", *sys.argv[1:]])
    document = {"command": command, "machine": machine(), "found": found}
    _RESULTS.mkdir(exist_ok=True)
    text = json.dumps(document, indent=2) + "\n"
    report.write_atomically(_RESULTS / f"{name}.json", text.encode())


def load(name: str) -> dict[str, Any] | None:
    """Returns what `save` kept; None if there is nothing."""
    path = _RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def load_all(prefix: str) -> dict[str, dict[str, Any]]:
    """Returns what `save` kept under all names that begin so, by the rest."""
    paths = sorted(_RESULTS.glob(f"{prefix}*.json"))
    return {
        path.stem.removeprefix(prefix): json.loads(path.read_text())
        for path in paths
    }


def alternate(
    tasks: Mapping[str, Callable[[], Any]], rounds: int
) -> dict[str, list[float]]:
    """Returns the seconds of each task in each round.

    The tasks take turns, so that a slow minute of the machine slows all; each
    runs once before, to be traced and compiled.
    """
    seconds = {name: [] for name in tasks}
    for number in range(rounds + 1):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            if number:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(slow: list[float], fast: list[float]) -> float:
    """Returns the median over the rounds of slow / fast."""
    return statistics.median(a / b for a, b in zip(slow, fast))


def matrix_rate(rows: int, inputs: int, outputs: int, dtype: Any) -> float:
    """Returns the floating-point operations a second of a matrix product."""
    a, b = tf.random.normal([rows, inputs]), tf.random.normal([inputs, outputs])
    a, b = tf.cast(a, dtype), tf.cast(b, dtype)

    @tf.function
    def repeat():
        # Different factors, lest the products be found equal.
        return tf.add_n([(a + tf.cast(i, dtype)) @ b for i in range(20)])

    seconds = alternate({"product": lambda: repeat().numpy()}, 7)["product"]
    return 20 * 2.0 * rows * inputs * outputs / statistics.median(seconds)


def kernel_seconds(task: Callable[[], Any]) -> dict[str, float]:
    """Returns the seconds in each kind of TensorFlow kernel, on the CPU."""
    with tempfile.TemporaryDirectory() as folder:
        options = tf.profiler.experimental.ProfilerOptions(
            host_tracer_level=2, python_tracer_level=0, device_tracer_level=0
        )
        tf.profiler.experimental.start(folder, options=options)
        task()
        tf.profiler.experimental.stop()
        (path,) = pathlib.Path(folder).glob("**/*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(path.read_bytes())
    found = collections.Counter()
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                name = plane.event_metadata[event.metadata_id].name
                # Kernels are called node:Operation.
                node, mark, kind = name.rpartition(":")
                if mark and kind.isidentifier() and not node.endswith(":"):
                    found[kind] += event.duration_ps / 1e12
    return dict(found)
