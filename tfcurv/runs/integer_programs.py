"""What a solver for integer programmes says of a model's margins."""

from collections.abc import Mapping
import time
from typing import Any

import keras
import numpy as np

from tfcurv import certificates
from tfcurv import data as tfcurv_data
from tfcurv import errors
from tfcurv import report
from tfcurv import results
from tfcurv.bounds.propagation.ball_box import Rules
from tfcurv.certificates.complete.duals import Duals
from tfcurv.certificates.integer import program
from tfcurv.certificates.integer.program import Answer
from tfcurv.nn.reading.subject import read_subject
from tfcurv.results.solver_result import FALSIFIED
from tfcurv.results.solver_result import OPEN
from tfcurv.results.solver_result import POSITIVE
from tfcurv.results.solver_result import WRONG
from tfcurv.runs.attack import classes_of

# Whether a programme is linear, and what the margin is to be at most: points
# that a solver puts on the boundary are not yet of another class.
_QUESTIONS = ((True, 0.0), (False, 0.0), (False, -1e-4))


def solve_integer_programs(
    model: keras.Model,
    data: Any,
    *,
    epsilon: float,
    domain: tuple[float, float] | None = None,
    time_limit: float = 60.0,
    assume: Mapping[str, Any] | None = None,
    data_dir: str | None = None,
    limit: int | None = None,
    verbose: int = 1,
) -> results.SolverResult:
    """Asks HiGHS whether inputs within an linf distance change the class.

    Of each input, class by class, in the order of their logits, with proved
    intervals of all neurons: first a linear programme, then, where that finds a
    point, a mixed-integer one; see `tfcurv.certificates.integer.program` for
    both. It is meant for the few inputs that `certify(method="complete")`
    leaves open. What the solver calls positive rests on its tolerance, 1e-6,
    and on its being right: **it is no certificate**. An adversarial example is
    one, for the network itself is asked.

    Args:
        model: A Keras model whose only bends are ReLUs.
        data: As `certify` takes them.
        epsilon: linf distance, positive.
        domain: Interval that every entry of an input lies in; None for all.
        time_limit: Seconds an input, for all its classes together.
        assume: As `certify`.
        data_dir: Folder of tensorflow-datasets, for a name.
        limit: Stop after this many inputs.
        verbose: 0 for silence, 1 for a progress bar on stderr if that is a
            terminal.

    Returns:
        A verdict an input, and the examples.

    Raises:
        UnsupportedModelError: The model bends elsewhere, or cannot be read.
        DataError: The data do not fit the model or are not to be had.
        ValueError: A number is not allowed.
        ImportError: SciPy is missing: pip install tfcurv[milp].
    """
    start = time.monotonic()
    (epsilon,) = certificates.check_epsilons((epsilon,))
    if not 0.0 < time_limit < float("inf"):
        raise ValueError(
            "A time limit is positive and finite. "
            f"Received: time_limit={time_limit!r}."
        )
    threat = certificates.Threat(norm="linf", domain=domain)
    subject = read_subject(model, assume=assume, as_graph=True)
    graph = subject.network.graph
    why = program.refusal(graph)
    if why is not None:
        raise errors.UnsupportedModelError(why)
    source = tfcurv_data.batches(
        data,
        input_shape=subject.input_shape,
        num_classes=graph.num_classes,
        batch_size=tfcurv_data.DEFAULT_BATCH_SIZE,
        data_dir=data_dir,
        limit=limit,
        expects_unit_range=not subject.is_scaled,
    )
    solver = _Solver(subject.network, epsilon, threat, time_limit)
    columns: dict[str, list] = {
        name: [] for name in ("labels", "predictions", "verdicts", "examples")
    }
    with report.progress_bar(
        source.num_examples, "image", verbose=verbose, description="solving"
    ) as progress:
        for batch in source:
            for x, label in zip(batch.inputs, batch.labels):
                row = solver(np.ravel(x).astype(np.float64), int(label))
                found = (label, *row[:2], row[2].reshape(x.shape))
                for name, value in zip(columns, found):
                    columns[name].append(value)
                progress.update(1)
    numbers = {
        name: np.array(columns[name], np.int32)
        for name in columns
        if name != "examples"
    }
    return results.SolverResult(
        **numbers,
        examples=np.array(columns["examples"]),
        epsilon=epsilon,
        domain=threat.domain,
        data_name=source.name,
        model_name=getattr(model, "name", "network"),
        seconds=time.monotonic() - start,
    )


class _Solver:
    """Decides one input after the other."""

    def __init__(self, network, epsilon: float, threat, time_limit: float):
        self._network, self._epsilon = network, epsilon
        self._domain, self._limit = threat.domain, time_limit
        self._duals = Duals(
            network.graph,
            Rules(ball=False),
            "linf",
            threat.domain,
            rigor=network.rigor,
        )

    def __call__(self, x: np.ndarray, y: int) -> tuple[int, int, np.ndarray]:
        """Returns prediction, verdict and example of an input.

        Args:
            x: `[inputs]`.
            y: Its label.
        """
        prediction = self._class_of(x)
        if prediction != y:
            return prediction, WRONG, x
        end = time.monotonic() + self._limit
        roots = self._duals.roots(x[np.newaxis], np.array([self._epsilon]))
        ends = (*roots.lower, *roots.upper)
        if not all(np.all(np.isfinite(each)) for each in ends):
            return prediction, OPEN, x
        asked = program.IntegerProgram(
            self._network.graph, roots, self._duals.kept
        )
        verdict = POSITIVE
        for t in np.argsort(-np.asarray(roots.values[-1])[0]):
            if t == y:
                continue
            answer, point = self._decided(asked, x, y, int(t), end)
            if point is not None:
                return prediction, FALSIFIED, point
            if answer is not Answer.POSITIVE:
                verdict = OPEN
        return prediction, verdict, x

    def _decided(self, asked, x, y: int, t: int, end: float):
        """Returns an answer, and an example if the network confirms it."""
        for relaxed, at_most in _QUESTIONS:
            left = end - time.monotonic()
            if left <= 0.0:
                return Answer.OPEN, None
            answer, point = asked.ask(
                y, t, left, relaxed=relaxed, at_most=at_most
            )
            if answer is not Answer.POINT:
                # That there is none further below says nothing.
                return (answer if at_most == 0.0 else Answer.OPEN), None
            point = self._inside(point, x)
            if self._class_of(point) != y:
                return answer, point
        return Answer.OPEN, None

    def _inside(self, point: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Returns the nearest point of the box, which rounding has widened."""
        point = np.clip(point, x - self._epsilon, x + self._epsilon)
        if self._domain is None:
            return point
        low, high = self._domain
        # An input outside of the domain may stay where it is.
        return np.clip(point, np.minimum(low, x), np.maximum(high, x))

    def _class_of(self, x: np.ndarray) -> int:
        return int(classes_of(self._network, x[np.newaxis])[0])
