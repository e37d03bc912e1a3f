"""What several ONNX nodes compute together, said by one.

    MatMul, Add of a row                 MatMul with a bias
    x Sigmoid(x)                         Silu
    x HardSigmoid(x)                     HardSwish
    x Tanh(Softplus(x))                  Mish
    x (1 + Erf(x / sqrt 2)) / 2          Gelu

PyTorch exports them apart. What is not recognised stays as it is, and is
refused further on.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import math
from typing import Any

import numpy as np

_GATES = {
    ("Sigmoid",): "Silu",
    ("HardSigmoid",): "HardSwish",
    ("Tanh", "Softplus"): "Mish",
}

# float32 and a few digits of those who write the constants down.
_CLOSE = 1e-5


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Step:
    """A node of an ONNX graph, or several.

    Attributes:
        label: See `nodes.Node`.
        kind: Its op type.
        domain: Of its operator; "" for ONNX' own.
        inputs: Names of tensors, "" where one is left out.
        outputs: Names of tensors.
        attributes: By name.
    """

    label: str
    kind: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


def gathered(
    steps: Sequence[Step], constants: Mapping[str, np.ndarray], output: str
) -> list[Step]:
    """Returns the steps that an output needs, some of them gathered in one.

    Args:
        steps: In topological order.
        constants: Known tensors by name.
        output: The tensor that is asked for.
    """
    rules = (_biased, _gated, _gelu)
    for rule in rules:
        graph = _Graph(steps, constants, output)
        steps = [rule(graph, step) or step for step in steps]
    needed = {output}
    kept = []
    for step in reversed(steps):
        if needed & set(step.outputs):
            needed |= set(step.inputs)
            kept.append(step)
    return kept[::-1]


class _Graph:
    """Who makes a tensor, and who reads it."""

    def __init__(self, steps, constants, output: str):
        self._constants = constants
        self._makers = {name: step for step in steps for name in step.outputs}
        self._readers: dict[str, list[Step | None]] = {output: [None]}
        for step in steps:
            for name in step.inputs:
                self._readers.setdefault(name, []).append(step)

    def maker(self, name: str, kind: str) -> Step | None:
        """Returns the step of a kind that makes a tensor, if one does."""
        found = self._makers.get(name)
        is_it = found is not None and found.kind == kind and not found.domain
        return found if is_it else None

    def is_private(self, name: str) -> bool:
        """Whether one step alone reads a tensor."""
        return len(self._readers.get(name, ())) == 1

    def number(self, name: str) -> float | None:
        """Returns a constant of one element."""
        found = self._constants.get(name)
        if found is None or found.size != 1 or found.dtype.kind != "f":
            return None
        return float(found.ravel()[0])

    def row(self, name: str, width: int) -> bool:
        """Whether a tensor is a constant row of some elements."""
        found = self._constants.get(name)
        return found is not None and found.shape in ((width,), (1, width))

    def width(self, name: str) -> int | None:
        """Returns the columns of a constant matrix."""
        found = self._constants.get(name)
        is_matrix = found is not None and found.ndim == 2
        return found.shape[1] if is_matrix else None


def _replaced(step: Step, kind: str, *inputs: str) -> Step:
    return dataclasses.replace(step, kind=kind, inputs=inputs, attributes={})


def _biased(graph: _Graph, step: Step) -> Step | None:
    if step.kind != "Add" or len(step.inputs) != 2:
        return None
    for first, second in (step.inputs, step.inputs[::-1]):
        product = graph.maker(first, "MatMul")
        if product is None or not graph.is_private(first):
            continue
        width = graph.width(product.inputs[1])
        if width is not None and graph.row(second, width):
            found = _replaced(product, "MatMul", *product.inputs, second)
            return dataclasses.replace(found, outputs=step.outputs)
    return None


def _gated(graph: _Graph, step: Step) -> Step | None:
    if step.kind != "Mul" or len(step.inputs) != 2:
        return None
    for x, gate in (step.inputs, step.inputs[::-1]):
        for kinds, kind in _GATES.items():
            if _comes_from(graph, gate, kinds) == x:
                last = graph.maker(gate, kinds[0])
                settings = {} if last is None else last.attributes
                if kind == "HardSwish" and not _is_swish(settings):
                    continue
                return _replaced(step, kind, x)
    return None


def _is_swish(settings: Mapping[str, Any]) -> bool:
    alpha, beta = settings.get("alpha", 0.2), settings.get("beta", 0.5)
    is_sixth = math.isclose(alpha, 1.0 / 6.0, rel_tol=_CLOSE)
    return is_sixth and beta == 0.5


def _comes_from(graph: _Graph, name: str, kinds: Sequence[str]) -> str | None:
    """Returns what a chain of functions is applied to."""
    for kind in kinds:
        step = graph.maker(name, kind)
        if step is None:
            return None
        name = step.inputs[0]
    return name


def _gelu(graph: _Graph, step: Step) -> Step | None:
    if step.kind != "Mul":
        return None
    factors = _factors(graph, step)
    numbers = [graph.number(name) for name in factors]
    others = [f for f, number in zip(factors, numbers) if number is None]
    product = math.prod(number for number in numbers if number is not None)
    if len(others) != 2 or not math.isclose(product, 0.5, rel_tol=_CLOSE):
        return None
    for x, gate in (others, others[::-1]):
        if _is_normal_distribution(graph, gate, x):
            return _replaced(step, "Gelu", x)
    return None


def _factors(graph: _Graph, step: Step) -> list[str]:
    """Returns what is multiplied, also by steps before that nobody reads."""
    found: list[str] = []
    for name in step.inputs:
        before = graph.maker(name, "Mul")
        if before is not None and graph.is_private(name):
            found += _factors(graph, before)
        else:
            found.append(name)
    return found


def _is_normal_distribution(graph: _Graph, name: str, x: str) -> bool:
    """Whether a tensor is 1 + Erf(x / sqrt 2)."""
    total = graph.maker(name, "Add")
    if total is None:
        return False
    for error, one in (total.inputs, total.inputs[::-1]):
        inner = _comes_from(graph, error, ("Erf",))
        if inner is not None and graph.number(one) == 1.0:
            scale = functools.partial(_scale, graph, inner, x)
            found = scale("Mul", 1.0), scale("Div", -1.0)
            root = math.sqrt(0.5)
            return any(math.isclose(s, root, rel_tol=_CLOSE) for s in found)
    return False


def _scale(graph: _Graph, name: str, x: str, kind: str, power: float) -> float:
    """Returns s where a tensor is s x by a step of a kind; 0 where not."""
    step = graph.maker(name, kind)
    if step is None:
        return 0.0
    first, second = step.inputs
    if kind == "Mul" and second == x:
        first, second = second, first
    number = graph.number(second)
    return number**power if first == x and number else 0.0
