"""The contract of a method: what it can do, what it proves, at what cost.

A method proves radii around points against single classes. Everything that
is the same for all of them stands above: which class decides, what is still
open, adversarial examples, reasons, decisions. See `deciding`. All arrays at
the contract are NumPy's.
"""

import abc
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import enum
from typing import Any
from typing import ClassVar
from typing import NamedTuple

import numpy as np

from tfcurv import networks
from tfcurv.certificates.attacks.threat import Threat as Threat
from tfcurv.certificates.margins.search import SearchOptions

#: Lower and upper bound this close, relative, are called equal.
EXACTNESS_TOLERANCE = 1e-4

#: In a certificate's `method`: nothing was proved.
NO_METHOD = -1

#: On what each part of a proof rests: what it is, and why it holds.
Grounds = tuple[tuple[str, str], ...]


class Targets(enum.Enum):
    """Against which other classes a point is certified."""

    ALL = "all"
    #: The protocol of the published tables. It certifies nothing: another
    #: class may be nearer than the runner-up.
    RUNNER_UP = "runner-up"


class Reason(enum.IntEnum):
    """Why a point has the radius that it has."""

    CERTIFIED = 0
    MISCLASSIFIED = 1
    #: Two logits are equal, or closer than rounding can tell.
    TIED = 2
    #: A pixel, a logit or a bound is NaN or infinite.
    NON_FINITE = 3


class Curvature(enum.Enum):
    """Where the curvature bounds of a certificate hold."""

    #: Everywhere: one bound a pair of classes.
    GLOBAL = "global"
    #: In a ball around each image, too.
    LOCAL = "local"
    #: In a ball around each image whose global certificate is not exact.
    AUTO = "auto"


class Cost(enum.IntEnum):
    """What an image costs, roughly: what it takes for each class."""

    #: A pass or two through the network.
    PASSES = 0
    #: Some ten gradients.
    SEARCH = 1
    #: Factorisations of the size of a layer: more than an attack takes.
    FACTORISATIONS = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class CertifierOptions:
    """What is asked of a method, whichever it is, beyond its first radii.

    Attributes:
        targets: The classes to certify against.
        search: How hard to look for better proofs; None proves at x0 alone.
        attack_steps: Gradient evaluations of the attack on the deciding
            target that gives the upper bound; 0 only follows the ray from the
            point to where the radius was proved.
        enough: Radius beyond which nothing is asked: what has it is neither
            searched nor attacked further.
        too_little: Radius below which nothing is asked: the search ends where
            it meets another class within it, and the attack where it finds an
            example.
        curvature: Where bounds on the curvature hold, for a method that rests
            on such; another refuses what it has no choice of.
        branches: Of a method that splits neurons, how many bounds of a margin
            it may take, after which the margin stays open; None for as many as
            the method chooses.
    """

    targets: Targets = Targets.ALL
    search: SearchOptions | None = SearchOptions()
    attack_steps: int = 10
    enough: float = float("inf")
    too_little: float = 0.0
    curvature: Curvature = Curvature.GLOBAL
    branches: int | None = None

    def __post_init__(self) -> None:
        """Refuses a search without a single bound.

        Raises:
            ValueError: There are no branches.
        """
        if self.branches is not None and self.branches < 1:
            raise ValueError(
                "A margin takes one bound at least. "
                f"Received: branches={self.branches!r}. Allowed: 1, 2, ..."
            )


class Certificates(NamedTuple):
    """What was proved about a batch of points.

    Attributes:
        prediction: `[batch]` int32 class of the largest logit, the first of
            equals; -1 where a logit is not finite.
        radius: `[batch]` float64: no point strictly nearer than this is given
            another class than the label. Zero unless CERTIFIED.
        target: `[batch]` int32 class against which the radius is smallest;
            the predicted class where it is not the label.
        upper_bound: `[batch]` float64 distance of an adversarial example
            really found; infinite where none was; 0 where misclassified.
        exact: `[batch]` whether radius and upper bound meet.
        reason: `[batch]` int32 `Reason`.
        num_evaluations: `[batch]` gradients spent in the search.
        radii: `[batch, classes]` float64: what is proved against each class,
            if the point is CERTIFIED; infinite for those left out of account.
        method: `[batch]` int32 number, in `Method.names`, of what has proved
            the radius; NO_METHOD unless CERTIFIED.
    """

    prediction: np.ndarray
    radius: np.ndarray
    target: np.ndarray
    upper_bound: np.ndarray
    exact: np.ndarray
    reason: np.ndarray
    num_evaluations: np.ndarray
    radii: np.ndarray
    method: np.ndarray


class Pairs(NamedTuple):
    """Points, each with one other class: what a stage is asked about.

    Attributes:
        x: `[batch, dim]` float64 points, finite.
        y: `[batch]` int32 labels, that the network gives them.
        t: `[batch]` int32 other classes.
        known: `[batch]` positive radii that are proved already.
        limit: `[batch]` radii beyond which nothing is asked, perhaps less
            than what is known.
    """

    x: np.ndarray
    y: np.ndarray
    t: np.ndarray
    known: np.ndarray
    limit: np.ndarray


class Raised(NamedTuple):
    """What a stage has proved of pairs.

    Attributes:
        radius: `[batch]` float64 proved radii; less than what was known, or
            NaN, changes nothing.
        num_evaluations: `[batch]` gradients or factorisations spent.
        centre: `[batch, dim]` points near the boundary to attack from, or
            None where there are none.
        distance: `[batch]` how far adversarial examples are that were really
            found, proved upper bounds, infinite where none was; or None.
    """

    radius: np.ndarray
    num_evaluations: np.ndarray
    centre: np.ndarray | None = None
    distance: np.ndarray | None = None


class Refinement:
    """What raises radii after the first.

    Attributes:
        method: Its number in `Method.names`.
        cost: Of a pair, or of a point. A point is attacked before it is asked
            about what is dear: an adversarial example says beyond which radius
            not to ask.
    """

    method: int = 0
    cost: Cost = Cost.SEARCH


class PointStage(Refinement, abc.ABC):
    """A refinement that knows of all classes of a point at once."""

    @abc.abstractmethod
    def __call__(
        self, x: np.ndarray, y: np.ndarray, rivals: np.ndarray
    ) -> np.ndarray:
        """Returns radii as `Method.first_radii` does."""


class _FirstRadii(PointStage):
    """What a method proves at once, asked after others."""

    # An adversarial example says first where there is no gap.
    cost = Cost.FACTORISATIONS

    def __init__(self, ask: Callable[..., np.ndarray]):
        self._ask = ask

    def __call__(
        self, x: np.ndarray, y: np.ndarray, rivals: np.ndarray
    ) -> np.ndarray:
        return self._ask(x, y, rivals)


class Stage(Refinement, abc.ABC):
    """A refinement that raises the radii of classes that may decide.

    Attributes:
        overshoot: How far beyond `enough` to ask, relative, so that what is
            found is enough when it is proved.
        skips_exact: Whether to leave alone what meets an adversarial example.
        skips_closed: Whether to leave alone what nearly does.
    """

    overshoot: float = 0.0
    skips_exact: bool = False
    skips_closed: bool = False

    @abc.abstractmethod
    def __call__(self, pairs: Pairs) -> Raised:
        """Returns what is proved of these pairs."""


class Method(abc.ABC):
    """A way to prove radii, for one network.

    Attributes:
        name: What `certify(method=)` and results call it.
        cost: Of the first radii of a point.
        grounds: What its proofs rest on beside norms and rounding bounds.
        work: What is counted while it works, in the singular.
        threat: What its radii hold against.
        needs_graph: Whether it takes a `networks.GraphNetwork`, not a chain.
        on_work: Called with one of `work` and how many more there are.
    """

    name: ClassVar[str]
    cost: ClassVar[Cost]
    grounds: ClassVar[Grounds] = ()
    work: ClassVar[tuple[str, ...]] = ()
    needs_graph: ClassVar[bool] = False
    threat: Threat = Threat()

    def __init__(self, network: Any, options: CertifierOptions):
        """Stores what the method is about, which it does not refuse.

        Args:
            network: The network.
            options: What is asked of it.
        """
        self.network = network
        self.options = options
        self.on_work: Callable[[str, int], None] = lambda what, count: None

    @classmethod
    @abc.abstractmethod
    def refusal(
        cls, network: Any, threat: Threat, options: CertifierOptions
    ) -> str | None:
        """Returns why the method cannot do what is asked; None if it can.

        Args:
            network: The network.
            threat: The threat.
            options: What is asked of the method.

        Returns:
            Sentences of an error: what, `Received: ...`, `Allowed: ...`.
        """

    @classmethod
    def follows(cls, first: "Method", graph: networks.Graph) -> bool:
        """Whether it is worth asking where another method leaves a gap.

        Args:
            first: The method that is asked first.
            graph: The network, which neither refuses.
        """
        del first, graph
        return False

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all methods that play a part, the first radii's first."""
        return (self.name,)

    @property
    def plan(self) -> str:
        """What will be asked, and where, in words; empty for one method."""
        return ""

    @property
    def rigor(self) -> str:
        """How norms and eigenvalues were bounded; see `solvers.Rigor`."""
        return self.network.rigor.value

    @property
    def curvature(self) -> str:
        """What a result says of the bounds on the curvature."""
        return "none"

    @abc.abstractmethod
    def first_radii(
        self, x: np.ndarray, y: np.ndarray, rivals: np.ndarray
    ) -> np.ndarray:
        """Returns radii `[batch, classes]`, proved at once.

        Args:
            x: `[batch, dim]` float64 points, finite.
            y: `[batch]` int32 labels, perhaps not what the network says.
            rivals: `[batch, classes]` the classes that are asked for.

        Returns:
            For each rival, a radius in which the logit of y exceeds its
            logit; zero, or NaN, where nothing is proved. Others do not matter.
        """

    def stages(self) -> Sequence[Stage | PointStage]:
        """Returns what raises these radii, in the order of their cost."""
        return ()

    def precede(self) -> None:
        """Is told that others will be asked, too, where it leaves a gap."""

    def following_stages(self) -> Sequence[Stage | PointStage]:
        """Returns what is worth asking after other methods: its first radii."""
        return (_FirstRadii(self.first_radii),)

    def closing_stages(self) -> Sequence[Stage | PointStage]:
        """Returns what is worth asking when other methods have been, too."""
        return ()

    def trace(self) -> None:
        """Compiles what the first call would otherwise."""

    @property
    def num_shared(self) -> int:
        """The number of bounds that `shared` holds."""
        return 0

    def shared(self) -> dict[str, np.ndarray]:
        """Returns what was computed for all points, for `share`."""
        return {}

    def share(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Takes what `shared` gave for the same network."""
