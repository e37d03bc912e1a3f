"""What stands in the way of certifying a model, layer by layer."""

from collections.abc import Iterable
import dataclasses

from tfcurv.errors import UnsupportedModelError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Problem:
    """Why a layer cannot be certified, and the way out.

    Attributes:
        layer: Its name; of the model where the fault is no layer's.
        type: Name of its class.
        reason: What is wrong with it, a clause.
        remedy: What to do, a clause; "" where nothing is known to help.
    """

    layer: str
    type: str
    reason: str
    remedy: str = ""

    def __str__(self) -> str:
        """One line for people."""
        text = f"layer {self.layer!r} of type {self.type}: {self.reason}."
        return f"{text} Remedy: {self.remedy}." if self.remedy else text


class Problems(tuple[Problem, ...]):
    """What `tfcurv.check` has found: empty where a model can be certified."""

    __slots__ = ()

    def __str__(self) -> str:
        """One line for each problem."""
        return "\n".join(map(str, self)) or "The model can be certified."


def of_errors(found: Iterable[UnsupportedModelError]) -> tuple[Problem, ...]:
    """Returns the problems that errors are about, each layer's first alone.

    Args:
        found: `UnsupportedModelError`s of one model.
    """
    problems: dict[tuple[str, str], Problem] = {}
    for error in found:
        for problem in error.problems:
            problems.setdefault((problem.layer, problem.type), problem)
    return tuple(problems.values())
