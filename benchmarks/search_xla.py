"""Does XLA pay for the steps of the certificate search?

Times accelerated fixed-point steps on a full batch, the runner-up of each
image, with and without `jit_compile`. In the certifier finished rows leave
the batch, so that XLA would also compile anew for every number of rows.

    python benchmarks/search_xla.py crt_mnist_2x1024_softplus.npz MODEL.keras
"""

from collections.abc import Callable
from collections.abc import Sequence
import pathlib
import statistics
import time

from absl import app
from absl import flags
import measure
import numpy as np
import tensorflow as tf

from tfcurv import certificates
from tfcurv import data
from tfcurv import nn
from tfcurv import solvers

_IMAGES = flags.DEFINE_integer("images", 1024, "Rows.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 9, "Rounds.", lower_bound=1)

_STEPS = 8
_DEPTH = certificates.SearchOptions().anderson_depth


def _problem(network) -> certificates.Problem:
    split = data.load_split("mnist", "test")
    x = split.images[: _IMAGES.value].reshape(-1, network.input_dim)
    x = tf.constant(x, tf.float64)
    y = split.labels[: _IMAGES.value]
    t = certificates.rival(network.logits(x), y)
    bounds = certificates.CurvatureTable(network).bounds(y, t.numpy())
    weights, bias = network.pair(tf.constant(y), t, tf.float32)
    return certificates.Problem(
        tf.cast(x, tf.float32),
        weights,
        bias,
        tf.cast(bounds[y, t.numpy()], tf.float32),
        tf.fill([len(y)], np.float32(np.inf)),
        tf.zeros([len(y)]),
    )


def _task(network, problem, jit_compile: bool) -> Callable[[], None]:
    """Returns some accelerated steps of all rows: what the search repeats."""

    def step(x, memory):
        evaluation = network.evaluate(x, problem.weights, problem.bias)
        f, g = evaluation
        displacement = problem.x0 - x
        along = tf.reduce_sum(g * displacement, axis=-1)
        free = (f + along) / tf.reduce_sum(g * g, axis=-1)
        eta = tf.clip_by_value(free, 0.0, 1.0 / problem.curvature)
        residual = displacement - eta[:, tf.newaxis] * g
        radius = certificates.safe_ball_radius(
            evaluation, displacement, problem.curvature
        )
        return *solvers.anderson_step(memory, x, residual), radius

    @tf.function(jit_compile=jit_compile)
    def search():
        x = problem.x0
        memory = solvers.initial_memory(x, x * 0.0, _DEPTH)
        best = tf.zeros_like(problem.bias)
        for _ in range(_STEPS):
            x, memory, radius = step(x, memory)
            best = tf.maximum(best, radius)
        return best

    return lambda: search().numpy()


def main(argv: Sequence[str]) -> None:
    """Prints and keeps the ratios."""
    if len(argv) < 2:
        raise app.UsageError("Name at least one model file.")
    found = {}
    for path in argv[1:]:
        network = nn.network_from_model(nn.read_model(path))
        problem = _problem(network)
        tasks = {
            name: _task(network, problem, name == "XLA")
            for name in ("plain", "XLA")
        }
        start = time.perf_counter()
        tasks["XLA"]()
        compiled = time.perf_counter() - start
        seconds = measure.alternate(tasks, _ROUNDS.value)
        found[pathlib.Path(path).stem] = {
            "plain_ms": 1e3 * statistics.median(seconds["plain"]) / _STEPS,
            "xla_ms": 1e3 * statistics.median(seconds["XLA"]) / _STEPS,
            "ratio": measure.ratio(seconds["plain"], seconds["XLA"]),
            "compile_s": compiled,
        }
        print(path, found[pathlib.Path(path).stem], flush=True)
        measure.save("search_xla", found)


if __name__ == "__main__":
    app.run(main)
