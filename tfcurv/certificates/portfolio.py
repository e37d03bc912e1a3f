"""Several methods for one network: the best proof for each point."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfcurv.certificates.deciding.contract import CertifierOptions
from tfcurv.certificates.deciding.contract import Cost
from tfcurv.certificates.deciding.contract import Curvature
from tfcurv.certificates.deciding.contract import Grounds
from tfcurv.certificates.deciding.contract import Method
from tfcurv.certificates.deciding.contract import PointStage
from tfcurv.certificates.deciding.contract import Stage
from tfcurv.certificates.deciding.contract import Threat


class Portfolio(Method):
    """Methods in the order in which they are asked.

    The first for all points; each of the others for those whose nearest
    adversarial example is farther than what is proved by those before, and
    whose decision is open; last what the first can add to these. A class has
    the largest of all radii: what one of them proves is proved.
    """

    name = "auto"
    cost = Cost.PASSES

    def __init__(self, methods: Sequence[Method]):
        """Keeps the methods.

        Args:
            methods: Of one network, against one threat; the first may have it
                in another form than those after it.
        """
        self._methods = tuple(methods)
        first = self._methods[0]
        first.precede()
        self.threat = first.threat
        super().__init__(first.network, first.options)

    @classmethod
    def refusal(
        cls, network: Any, threat: Threat, options: CertifierOptions
    ) -> str | None:
        """Returns None: its methods were asked one by one."""
        del network, threat, options
        return None

    @property
    def names(self) -> tuple[str, ...]:
        """Of the methods, in their order."""
        return tuple(each.name for each in self._methods)

    @property
    def plan(self) -> str:
        """Which method is asked for every image, and which where."""
        first, *others = self._methods
        closing = first.closing_stages()
        more = [each.name for each in others]
        more += [f"{first.name} around the image"] if closing else []
        return (
            f"certifying by {first.name}; then, where an adversarial example "
            f"is farther than what is proved, by {', '.join(more)}"
        )

    @property
    def grounds(self) -> Grounds:  # type: ignore[override]
        """Those of all methods, each once."""
        every = [ground for each in self._methods for ground in each.grounds]
        return tuple(dict.fromkeys(every))

    @property
    def work(self) -> tuple[str, ...]:  # type: ignore[override]
        """What any of them counts."""
        every = [unit for each in self._methods for unit in each.work]
        return tuple(dict.fromkeys(every))

    @property
    def on_work(self) -> Callable[[str, int], None]:
        """Called by each of them."""
        return self._methods[0].on_work

    @on_work.setter
    def on_work(self, call: Callable[[str, int], None]) -> None:
        for each in self._methods:
            each.on_work = call

    @property
    def curvature(self) -> str:
        """What the first says, closing stages included."""
        first = self._methods[0]
        closing = first.closing_stages()
        return Curvature.AUTO.value if closing else first.curvature

    def first_radii(
        self, x: np.ndarray, y: np.ndarray, rivals: np.ndarray
    ) -> np.ndarray:
        """Returns those of the first."""
        return self._methods[0].first_radii(x, y, rivals)

    def stages(self) -> Sequence[Stage | PointStage]:
        """Returns what the first refines, the others, what closes it."""
        first, *others = self._methods
        found = [*first.stages()]
        for number, method in enumerate(others, start=1):
            for stage in method.following_stages():
                stage.method = number
                found.append(stage)
        return (*found, *first.closing_stages())

    def trace(self) -> None:
        """Compiles the first: perhaps no other is asked."""
        self._methods[0].trace()

    @property
    def num_shared(self) -> int:
        """What the first shares: the others share nothing."""
        return self._methods[0].num_shared

    def shared(self) -> dict[str, np.ndarray]:
        """Returns what the first shares."""
        return self._methods[0].shared()

    def share(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Takes what `shared` gave."""
        self._methods[0].share(arrays)
