"""From the radii of a method to certificates: the same for all methods.

For each point the method gives a radius for every other class. Then the class
with the smallest is refined until the smallest is one that has been refined:
no other class can decide. Beside the radii stand adversarial examples, which
also tell where to stop.
"""

import dataclasses
from typing import Any

import numpy as np

from tfcurv.certificates.deciding.contract import EXACTNESS_TOLERANCE
from tfcurv.certificates.deciding.contract import NO_METHOD
from tfcurv.certificates.deciding.contract import Certificates
from tfcurv.certificates.deciding.contract import CertifierOptions
from tfcurv.certificates.deciding.contract import Cost
from tfcurv.certificates.deciding.contract import Method
from tfcurv.certificates.deciding.contract import Pairs
from tfcurv.certificates.deciding.contract import PointStage
from tfcurv.certificates.deciding.contract import Reason
from tfcurv.certificates.deciding.contract import Stage
from tfcurv.certificates.deciding.contract import Targets
from tfcurv.certificates.deciding.evidence import Look
from tfcurv.certificates.deciding.evidence import Witness
from tfcurv.certificates.deciding.evidence import check_classes

# A margin has the errors of two logits. A proof, whose constants are not the
# least, can need five and takes up to half of the margin for the gradient's.
_SURE, _PROVABLE = 2.0, 10.0

# Share of the distance of an adversarial example beyond which no other method
# is asked: there is little left to be gained.
_CLOSED = 0.95


@dataclasses.dataclass
class Standing:
    """What is known of a batch while it is decided.

    Attributes:
        x: `[batch, dim]` points, zeros where not finite.
        y: `[batch]` int32 labels.
        right: `[batch]` whether the label is the largest logit's, all finite.
        radii: `[batch, classes]` proved radii, 0 where nothing is; infinite
            for the classes that are left out of account.
        upper_bound: `[batch]` distances of adversarial examples.
        centre: `[batch, dim]` where the smallest radius was proved.
        spent: `[batch]` gradients.
        method: `[batch, classes]` int32 numbers of what proved the radii.
    """

    x: np.ndarray
    y: np.ndarray
    right: np.ndarray
    radii: np.ndarray
    upper_bound: np.ndarray
    centre: np.ndarray
    spent: np.ndarray
    method: np.ndarray

    @property
    def certified(self) -> np.ndarray:
        """`[batch]` whether the radii prove anything."""
        # Logits may be equal where their difference, computed first, is not.
        return self.right & np.all(self.radii > 0.0, axis=-1)

    @property
    def target(self) -> np.ndarray:
        """`[batch]` int32 class against which the radius is smallest."""
        return np.argmin(self.radii, axis=-1).astype(np.int32)

    @property
    def radius(self) -> np.ndarray:
        """`[batch]` certified radius."""
        return np.where(self.certified, np.min(self.radii, axis=-1), 0.0)

    @property
    def exact(self) -> np.ndarray:
        """`[batch]` whether radius and upper bound meet."""
        radius = self.radius
        with np.errstate(invalid="ignore"):  # Both may be infinite.
            gap = np.abs(self.upper_bound - radius)
        return self.certified & (gap <= EXACTNESS_TOLERANCE * radius)

    @property
    def open(self) -> np.ndarray:
        """`[batch]` whether an adversarial example is far from the radius."""
        return np.min(self.radii, axis=-1) < _CLOSED * self.upper_bound

    def asked(self, options: CertifierOptions) -> np.ndarray:
        """Returns `[batch]` whether there is still something to find out."""
        asked = self.right & (np.min(self.radii, axis=-1) <= options.enough)
        return asked & (self.upper_bound > options.too_little)

    def take(self, rows: np.ndarray, radii: np.ndarray, method: int) -> None:
        """Takes radii `[rows, classes]` that a method has proved, too."""
        # NaN compares false: it proves nothing.
        is_more = radii > self.radii[rows]
        self.radii[rows] = np.where(is_more, radii, self.radii[rows])
        self.method[rows] = np.where(is_more, method, self.method[rows])


def refine(standing: Standing, stage: Stage, options: CertifierOptions) -> bool:
    """Raises the radii of the classes that may decide, best first.

    Args:
        standing: Of a batch; radii, centres and what was spent are changed.
        stage: What raises them.
        options: Which radii are too little or enough.

    Returns:
        Whether there are new points to attack from.
    """
    each, moved = np.arange(len(standing.y)), False
    most = options.enough * (1.0 + stage.overshoot)
    # What is infinite is left out of account, or cannot be raised.
    tried = np.isinf(standing.radii)
    pending = standing.asked(options) & standing.certified
    if stage.skips_exact:
        pending &= ~standing.exact
    if stage.skips_closed:
        pending &= standing.open
    while True:
        target = standing.target
        known = standing.radii[each, target]
        rows = pending & ~tried[each, target] & (known <= options.enough)
        rows = np.flatnonzero(rows)
        if not rows.size:
            return moved
        t = target[rows]
        # Beyond a class that was tried nothing is decided.
        smallest = np.where(tried, standing.radii, np.inf).min(axis=-1)[rows]
        limit = np.minimum(smallest, standing.upper_bound[rows])
        found = stage(
            Pairs(
                x=standing.x[rows],
                y=standing.y[rows],
                t=t,
                known=known[rows],
                limit=np.minimum(limit, most),
            )
        )
        # NaN compares false: it proves nothing.
        raised = found.radius > known[rows]
        radius = np.where(raised, found.radius, known[rows])
        standing.radii[rows, t] = radius
        standing.method[rows[raised], t[raised]] = stage.method
        tried[rows, t] = True
        standing.spent[rows] += found.num_evaluations
        if found.distance is not None:
            standing.upper_bound[rows] = np.minimum(
                standing.upper_bound[rows], found.distance
            )
        if found.centre is not None:
            # The class that decides in the end had the smallest radius when
            # it was tried, so its centre is the one that stays.
            decides = radius < smallest
            standing.centre[rows[decides]] = found.centre[decides]
            moved = True


class Decider:
    """Certifies batches of points of one network by one method.

    Attributes:
        method: What proves the radii.
        threat: What they hold against.
    """

    def __init__(self, method: Method):
        """Prepares; nothing is traced yet.

        Args:
            method: What proves the radii, against the threat that it names.

        Raises:
            UnsupportedModelError: The network has a single logit.
        """
        network, options = method.network, method.options
        check_classes(network)
        self.method = method
        self.threat = method.threat
        self._options = options
        self._witness = Witness(network, options.attack_steps, self.threat)

    def trace(self) -> None:
        """Traces the compiled functions, which the first call does otherwise.

        It may be called in another thread while the data are being read.
        """
        self._witness.trace()
        self.method.trace()

    def facts(self) -> dict[str, Any]:
        """Returns what a result says of threat and method, by field."""
        return {
            "norm": self.threat.norm,
            "domain": self.threat.domain,
            "method_names": self.method.names,
            "rigor": self.method.rigor,
            "curvature": self.method.curvature,
            "grounds": self.method.grounds,
        }

    def __call__(self, x: np.ndarray, y: np.ndarray) -> Certificates:
        """Certifies the rows of x.

        Args:
            x: `[batch, dim]` float64 points, taken as exact.
            y: `[batch]` int32 labels, in range.
        """
        finite = np.all(np.isfinite(x), axis=-1)
        x = np.where(finite[:, np.newaxis], x, 0.0)
        look = self._witness.look(x, y)
        finite &= look.finite
        standing = self._begin(x, y, look, finite)
        self._refine(standing)
        reason = _reasons(look, y, finite, standing.certified)
        upper_bound = standing.upper_bound
        upper_bound[reason == Reason.MISCLASSIFIED] = 0.0
        proved = reason == Reason.CERTIFIED
        method = standing.method[np.arange(len(y)), standing.target]
        wrong = finite & (look.prediction != y)
        return Certificates(
            prediction=np.where(finite, look.prediction, np.int32(-1)),
            radius=standing.radius,
            target=np.where(wrong, look.prediction, standing.target),
            upper_bound=upper_bound,
            exact=standing.exact,
            reason=reason,
            num_evaluations=standing.spent,
            radii=standing.radii,
            method=np.where(proved, method, np.int32(NO_METHOD)),
        )

    def _begin(self, x, y, look: Look, finite) -> Standing:
        """Returns what the first radii say."""
        classes = np.arange(self.method.network.num_classes)
        rivals = classes != y[:, np.newaxis]
        if self._options.targets is Targets.RUNNER_UP:
            rivals = classes == look.runner_up[:, np.newaxis]
        right = finite & (look.prediction == y)
        asked = rivals & right[:, np.newaxis]
        radii = np.asarray(self.method.first_radii(x, y, asked), np.float64)
        if radii.shape != rivals.shape:
            raise ValueError(
                "A method must give a radius for every class. Received: "
                f"radii.shape={radii.shape} of method={self.method.name!r}. "
                f"Allowed: {rivals.shape}."
            )
        # A NaN is no proof, also where rounding made it. Classes that are left
        # out of account get an infinite radius.
        radii = np.where(radii > 0.0, radii, 0.0)
        return Standing(
            x=x,
            y=y,
            right=right,
            radii=np.where(rivals, radii, np.inf),
            upper_bound=np.full(len(y), np.inf),
            centre=x.copy(),
            spent=np.zeros(len(y)),
            method=np.zeros(rivals.shape, np.int32),
        )

    def _refine(self, standing: Standing) -> None:
        """Raises the radii and lowers the upper bounds, cheapest first."""
        fresh = True  # Whether there is somewhere new to attack from.
        every = np.arange(len(standing.y))
        for stage in self.method.stages():
            if fresh and stage.cost >= Cost.FACTORISATIONS:
                self._attack(standing, every)
                fresh = False
            if isinstance(stage, PointStage):
                self._ask(standing, stage)
            else:
                fresh |= refine(standing, stage, self._options)
        if fresh:
            self._attack(standing, every)

    def _ask(self, standing: Standing, stage: PointStage) -> None:
        """Asks another method where an adversarial example is far."""
        rows = np.flatnonzero(standing.asked(self._options) & standing.open)
        if not rows.size:
            return
        attacked, target = standing.certified[rows], standing.target[rows]
        rivals = np.isfinite(standing.radii[rows])
        found = stage(standing.x[rows], standing.y[rows], rivals)
        standing.take(rows, found, stage.method)
        # Nearest of all may be a class that nobody has looked at.
        is_new = ~attacked | (standing.target[rows] != target)
        self._attack(standing, rows[is_new])

    def _attack(self, standing: Standing, among: np.ndarray) -> None:
        """Lowers the upper bounds to adversarial examples really found."""
        near = np.min(standing.radii, axis=-1) <= self._options.enough
        rows = among[(standing.certified & near)[among]]
        if rows.size:
            found = self._witness.attack(
                standing.x[rows],
                standing.y[rows],
                standing.target[rows],
                standing.centre[rows],
                near=self._options.too_little,
            )
            standing.upper_bound[rows] = np.minimum(
                standing.upper_bound[rows], found
            )


def _reasons(look: Look, y, finite, certified) -> np.ndarray:
    wrong = (look.prediction != y) & (look.margin < -_SURE * look.error)
    # A correct point that could not be certified is tied within rounding,
    # or one of its bounds overflowed.
    tied = np.abs(look.margin) <= _PROVABLE * look.error
    reason = np.where(tied, Reason.TIED, Reason.NON_FINITE)
    reason = np.where(wrong, Reason.MISCLASSIFIED, reason)
    reason = np.where(certified, Reason.CERTIFIED, reason)
    return np.where(finite, reason, Reason.NON_FINITE).astype(np.int32)
