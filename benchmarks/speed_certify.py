"""How fast certificates are, beside the published schedule.

Both solve on the same network and images in one process, taking turns; the
ratio is the median over the rounds. The published schedule certifies against
the runner-up alone, tfcurv against every class.

    python benchmarks/speed_certify.py --model=released.npz --name=released
"""

from collections.abc import Sequence
import functools
import pathlib
import statistics
import subprocess
import sys

from absl import app
from absl import flags
import measure
import numpy as np
from published_schedule import PublishedCertificate
import tensorflow as tf

from tfcurv import bounds
from tfcurv import certificates
from tfcurv import data
from tfcurv import nn

_MODEL = flags.DEFINE_string(
    "model", None, "File of the network.", required=True
)
_NAME = flags.DEFINE_string(
    "name", None, "Of the row in the table.", required=True
)
_DATASET = flags.DEFINE_enum(
    "dataset", "mnist", sorted(data.DATASETS), "Images, of the test split."
)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds.", lower_bound=1)
_IMAGES = flags.DEFINE_integer("images", 2048, "Images a round of tfcurv.")
_PUBLISHED_IMAGES = flags.DEFINE_integer(
    "published_images", 300, "Images a round of the published schedule."
)
_WHOLE_ROUNDS = flags.DEFINE_integer(
    "whole_rounds", 5, "Runs of tfcurv.certify on the whole test split."
)
_EPSILON = flags.DEFINE_float("epsilon", 1.58, "Radius of the decisions.")

_PUBLISHED_BATCH = 100


class _Case:
    """One network and its images."""

    def __init__(self, path: str):
        self.model = nn.read_model(path)
        self.network = nn.network_from_model(self.model)
        split = data.load_split(_DATASET.value, "test", limit=_IMAGES.value)
        self.x = split.images.reshape(len(split.labels), -1)
        self.y = split.labels.astype(np.int32)
        logits = self.network.logits(tf.constant(self.x, tf.float64))
        self.right = np.argmax(logits, axis=-1) == self.y
        self.runner_up = certificates.rival(logits, self.y).numpy()
        self.table = certificates.CurvatureTable(self.network)
        self.curvature = self.table.bounds(self.y, self.runner_up)


def _published(case: _Case, jit: bool):
    """Returns a task that gives the published radii of the first images."""
    solver = PublishedCertificate(case.network, jit_compile=jit)
    bounder = bounds.CurvatureBounder(case.network)
    bound = functools.cache(lambda y, t: bounder.bounds(int(y), int(t)))
    count = min(_PUBLISHED_IMAGES.value, len(case.y))
    pairs = [bound(*p) for p in zip(case.y[:count], case.runner_up)]
    lower, upper = np.array(pairs, np.float32).T
    columns = case.x.astype(np.float32), case.y, case.runner_up, -lower, upper

    def solve():
        radii = []
        for first in range(0, count, _PUBLISHED_BATCH):
            rows = slice(first, min(first + _PUBLISHED_BATCH, count))
            radii.append(solver(*(tf.constant(c[rows]) for c in columns)))
        return np.concatenate([r.numpy() for r in radii])

    return solve


def _certifier(case: _Case, count: int, **options):
    """Returns a task that gives tfcurv's certificates of the first images."""
    certifier = certificates.Certifier(
        case.network, certificates.CertifierOptions(**options)
    )

    def solve():
        radii = []
        for first in range(0, count, data.DEFAULT_BATCH_SIZE):
            rows = slice(first, min(first + data.DEFAULT_BATCH_SIZE, count))
            found = certifier(case.x[rows], case.y[rows], case.curvature)
            radii.append(found.radius)
        return np.concatenate(radii)

    return solve


def _compare(case: _Case) -> dict:
    count = len(case.y)
    epsilon = _EPSILON.value
    tasks = {
        "published": _published(case, jit=False),
        "published, XLA": _published(case, jit=True),
        "radii": _certifier(case, count),
        "decisions": _certifier(
            case, count, enough=epsilon, too_little=epsilon
        ),
    }
    seconds = measure.alternate(tasks, _ROUNDS.value)
    compared = min(_PUBLISHED_IMAGES.value, count)
    images = {name: count for name in tasks}
    images |= {"published": compared, "published, XLA": compared}
    each = {
        name: [s / images[name] for s in values]
        for name, values in seconds.items()
    }
    runner_up = certificates.Targets.RUNNER_UP
    ours = _certifier(case, compared, targets=runner_up)()
    theirs = tasks["published"]()
    solved = (ours > 0.0) & (theirs > 0.0) & case.right[:compared]
    apart = (ours - theirs)[solved]
    return {
        "milliseconds an image": {
            name: 1e3 * statistics.median(values)
            for name, values in each.items()
        },
        "ratio": measure.ratio(each["published"], each["radii"]),
        "ratio, XLA": measure.ratio(each["published, XLA"], each["radii"]),
        "targets": case.network.num_classes - 1,
        "pairs compared": int(np.sum(solved)),
        "least difference": float(np.min(apart)),
        "mean difference": float(np.mean(apart)),
    }


def _search(case: _Case) -> dict:
    """Returns how near the search is to the machine's matrix rate."""
    rows = min(data.DEFAULT_BATCH_SIZE, len(case.y))
    y, t = case.y[:rows], case.runner_up[:rows]
    weights, bias = case.network.pair(y, t, tf.float32)
    infinite = tf.fill([rows], float("inf"))
    curvature = tf.cast(case.curvature[y, t], tf.float32)
    problem = certificates.Problem(
        tf.constant(case.x[:rows], tf.float32),
        weights,
        bias,
        curvature,
        infinite,
        tf.zeros([rows]),
    )
    options = certificates.SearchOptions()
    find = tf.function(
        lambda p: certificates.find_centre(case.network, p, options)
    )

    def task():
        return find(problem).num_evaluations.numpy()

    seconds = measure.alternate({"search": task}, _ROUNDS.value)["search"]
    # Forward and backward through all but the last map, which is a product
    # of two rows.
    kernels = [a.kernel.size for a in case.network.affines[:-1]]
    operations = float(np.sum(task())) * 4.0 * sum(kernels)
    rate = operations / statistics.median(seconds)
    dim = case.network.input_dim
    width = case.network.affines[0].kernel.shape[1]
    peak = measure.matrix_rate(rows, dim, width, tf.float32)
    kernels = measure.kernel_seconds(task)
    products = sum(s for name, s in kernels.items() if "MatMul" in name)
    work = sum(s for name, s in kernels.items() if "While" not in name)
    return {
        "gradients an image": float(np.mean(task())),
        "achieved GFLOP/s": rate / 1e9,
        "matrix product GFLOP/s": peak / 1e9,
        "achieved share": rate / peak,
        "share of time in matrix products": products / work,
    }


def _whole(case: _Case) -> dict:
    runs = {"radii": [], "decisions": []}
    for _ in range(_WHOLE_ROUNDS.value):
        for name, values in runs.items():
            result = runs.certify(
                case.model,
                _DATASET.value,
                epsilons=(_EPSILON.value,),
                radii=name == "radii",
                verbose=0,
            )
            values.append(result.seconds)
    return {
        "images": result.num_images,
        "runs": _WHOLE_ROUNDS.value,
        "certified": result.certified_accuracy(_EPSILON.value),
        **{name: statistics.median(values) for name, values in runs.items()},
    }


def _memories(images: int) -> dict[str, float]:
    return {str(limit): _memory(limit) for limit in (images // 5, images)}


def _memory(limit: int) -> float:
    program = pathlib.Path(__file__).with_name("peak_memory.py")
    done = subprocess.run(
        [sys.executable, program, _MODEL.value, _DATASET.value, str(limit)],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout.split()[-1])


def main(argv: Sequence[str]) -> None:
    """Measures one network and keeps what was found."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    case = _Case(_MODEL.value)
    found = {}
    parts = {
        "compared": lambda: _compare(case),
        "search": lambda: _search(case),
        "whole": lambda: _whole(case),
        "memory": lambda: _memories(found["whole"]["images"]),
    }
    for name, part in parts.items():
        found[name] = part()
        print(name, found[name], flush=True)
        measure.save(f"certify-{_NAME.value}", found)


if __name__ == "__main__":
    app.run(main)
