"""The certifier: one compiled function from points to proved radii."""

import dataclasses
import enum
import functools
from typing import NamedTuple

import tensorflow as tf

from tfcurv import bounds
from tfcurv import errors
from tfcurv import numerics
from tfcurv.certificates import adversary
from tfcurv.certificates.proof import closed_form_radii
from tfcurv.certificates.proof import prove
from tfcurv.certificates.search import Problem
from tfcurv.certificates.search import SearchOptions
from tfcurv.certificates.search import find_centre

#: Lower and upper bound this close, relative, are called equal.
EXACTNESS_TOLERANCE = 1e-4

# The float32 search and the float64 proof differ by less than this, relative;
# where not, a decision is lost and nothing else.
_SEARCH_ERROR = 1e-4

# A margin has the errors of two logits. A proof, whose constants are not the
# least, can need five and takes up to half of the margin for the gradient's.
_SURE, _PROVABLE = 2.0, 10.0


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class CertifierOptions:
    """What a certifier does beyond the closed form.

    Attributes:
        targets: The classes to certify against.
        search: How hard to look for better proofs; None proves by the closed
            form at x0 alone.
        attack_steps: Gradient evaluations of the attack on the deciding
            target that gives the upper bound; 0 only follows the ray from the
            point to where the radius was proved.
        enough: Radius beyond which nothing is asked: what has it is neither
            searched nor attacked further.
        too_little: Radius below which nothing is asked: the search ends where
            it meets another class within it.
    """

    targets: Targets = Targets.ALL
    search: SearchOptions | None = SearchOptions()
    attack_steps: int = 10
    enough: float = float("inf")
    too_little: float = 0.0


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
    """

    prediction: tf.Tensor
    radius: tf.Tensor
    target: tf.Tensor
    upper_bound: tf.Tensor
    exact: tf.Tensor
    reason: tf.Tensor
    num_evaluations: tf.Tensor
    radii: tf.Tensor


class _Progress(NamedTuple):
    """State of the best-first loop over targets.

    Attributes:
        radii: `[batch, classes]` proved radii, infinite for excluded classes.
        searched: `[batch, classes]` whether the search has been there.
        centre: `[batch, dim]` where the smallest searched radius was proved.
        num_evaluations: `[batch]` gradients spent.
    """

    radii: tf.Tensor
    searched: tf.Tensor
    centre: tf.Tensor
    num_evaluations: tf.Tensor


class Certifier:
    """Certifies batches of points of one network.

    Compiled once an instance, for every batch size. For each point the
    closed form gives a radius for every target; then the target with the
    smallest proved radius is searched until the smallest is one that has
    been searched: no other target can decide.
    """

    def __init__(
        self,
        network: bounds.Network,
        options: CertifierOptions = CertifierOptions(),
    ):
        """Builds the compiled function; nothing is traced yet.

        Args:
            network: The network to certify.
            options: What to do beyond the closed form.

        Raises:
            UnsupportedModelError: The network has a single logit.
        """
        if network.num_classes < 2:
            raise errors.UnsupportedModelError(
                "A network with a single logit has no second class to certify "
                f"against. Received: num_classes={network.num_classes}. "
                "Remedy: Dense(2) in place of Dense(1); for a trained model, "
                "one whose kernel and bias have a column of zeros before the "
                "old one."
            )
        self._certify = tf.function(
            functools.partial(_certify_batch, network, options),
            input_signature=[
                tf.TensorSpec([None, network.input_dim], numerics.PROOF_DTYPE),
                tf.TensorSpec([None], tf.int32),
                tf.TensorSpec(
                    [network.num_classes, network.num_classes],
                    numerics.PROOF_DTYPE,
                ),
            ],
            autograph=False,
        )

    def trace(self) -> None:
        """Traces the compiled function, which the first call does otherwise.

        It may be called in another thread while the data are being read.
        """
        self._certify.get_concrete_function()

    def __call__(
        self, x: tf.Tensor, y: tf.Tensor, curvature: tf.Tensor
    ) -> Certificates:
        """Certifies the rows of x.

        Args:
            x: `[batch, dim]` float64 points, taken as exact.
            y: `[batch]` int32 labels, in range.
            curvature: `[classes, classes]` proved |m(y, t)|.
        """
        return self._certify(x, y, curvature)


def _certify_batch(network, options, x, y, curvature) -> Certificates:
    finite = tf.reduce_all(tf.math.is_finite(x), axis=-1)
    x = tf.where(finite[:, tf.newaxis], x, tf.zeros_like(x))
    forward = network.forward(x)
    logits = network.logits_of(forward)
    finite &= tf.reduce_all(tf.math.is_finite(logits), axis=-1)
    prediction = tf.argmax(logits, axis=-1, output_type=tf.int32)
    curvatures = tf.gather(curvature, y)
    radii = closed_form_radii(network, x, y, curvatures)
    # Classes that are left out of account get an infinite radius.
    rivals = _rivals(network, options, logits, y)
    radii = tf.where(rivals, radii, _filled(radii, float("inf")))
    # A NaN or an infinity is no proof, also where rounding made it. Logits
    # may be equal where their difference, computed first, is not.
    certified = finite & (prediction == y)
    certified &= tf.reduce_all(radii > 0.0, axis=-1)
    state = _Progress(
        radii,
        ~rivals,
        tf.cast(x, numerics.SEARCH_DTYPE),
        tf.zeros_like(radii[:, 0]),
    )
    if options.search is not None:
        state = _search(network, options, x, y, curvatures, certified, state)
    reason = _reasons(network, forward, y, finite, certified, prediction)
    radius = tf.where(certified, tf.reduce_min(state.radii, axis=-1), 0.0)
    target = tf.argmin(state.radii, axis=-1, output_type=tf.int32)
    wrong = prediction != y
    upper_bound = _attack(network, options, x, y, target, certified, state)
    upper_bound = tf.where(
        reason == Reason.MISCLASSIFIED, tf.zeros_like(radius), upper_bound
    )
    gap = upper_bound - radius
    return Certificates(
        prediction=tf.where(finite, prediction, -1),
        radius=radius,
        target=tf.where(finite & wrong, prediction, target),
        upper_bound=upper_bound,
        exact=certified & (gap <= EXACTNESS_TOLERANCE * radius),
        reason=reason,
        num_evaluations=state.num_evaluations,
        radii=state.radii,
    )


def _filled(like: tf.Tensor, value: float) -> tf.Tensor:
    return tf.fill(tf.shape(like), tf.cast(value, like.dtype))


def _rivals(network, options, logits, y) -> tf.Tensor:
    """Returns `[batch, classes]` True for the classes to certify against."""
    classes = network.num_classes
    own = tf.one_hot(y, classes, on_value=True, off_value=False)
    if options.targets is Targets.ALL:
        return ~own
    others = tf.where(own, _filled(logits, float("-inf")), logits)
    runner_up = tf.argmax(others, axis=-1)
    return tf.one_hot(runner_up, classes, on_value=True, off_value=False)


def _reasons(network, forward, y, finite, certified, prediction) -> tf.Tensor:
    margin = adversary.least_margin(network.logits_of(forward), y)
    error = bounds.logit_error(network, forward)
    if network.execution is not None:
        error += adversary.execution_error(network, forward.values[0], y)
    wrong = (prediction != y) & (margin < -_SURE * error)
    # A correct point that could not be certified is tied within rounding,
    # or one of its bounds overflowed.
    tied = tf.where(
        tf.abs(margin) <= _PROVABLE * error,
        int(Reason.TIED),
        int(Reason.NON_FINITE),
    )
    reason = tf.where(wrong, int(Reason.MISCLASSIFIED), tied)
    reason = tf.where(certified, int(Reason.CERTIFIED), reason)
    return tf.where(finite, reason, int(Reason.NON_FINITE))


def _search(network, options, x, y, curvatures, certified, start):
    """Raises the radii of the targets that may decide, best first."""

    def candidates(state):
        target = tf.argmin(state.radii, axis=-1, output_type=tf.int32)
        done = tf.gather(state.searched, target, batch_dims=1)
        done |= tf.reduce_min(state.radii, axis=-1) > options.enough
        return target, certified & ~done

    def undecided(state):
        return tf.reduce_any(candidates(state)[1])

    def improve(state):
        target, pending = candidates(state)
        rows = tf.where(pending)[:, 0]
        return [
            _search_rows(
                network, options, x, y, curvatures, target, rows, state
            )
        ]

    (end,) = tf.while_loop(undecided, improve, [start])
    return end


def _search_rows(network, options, x, y, curvatures, target, rows, state):
    """Searches the pairs (rows, target[rows]) and enters what was proved."""
    x0, label = tf.gather(x, rows), tf.gather(y, rows)
    t = tf.gather(target, rows)
    a = tf.gather(tf.gather(curvatures, rows), t, batch_dims=1)
    old = tf.gather(tf.gather(state.radii, rows), t, batch_dims=1)
    # Beyond the smallest radius already searched nothing more is decided.
    searched = tf.where(
        state.searched, state.radii, _filled(state.radii, float("inf"))
    )
    smallest = tf.gather(tf.reduce_min(searched, axis=-1), rows)
    limits = tf.minimum(smallest, _most(network, options)), options.too_little
    problem = search_problem(network, x0, label, t, a, *limits)
    found = find_centre(network, problem, options.search)
    centre = tf.cast(found.centre, x.dtype)
    proved = tf.maximum(prove(network, x0, centre, label, t, a), old)
    # The target that decides in the end had the smallest radius when it was
    # searched, so its centre is the one that stays.
    decides = tf.where(proved < smallest)[:, 0]
    where = tf.stack([rows, tf.cast(t, rows.dtype)], axis=-1)
    spent = tf.cast(found.num_evaluations, x.dtype)
    return _Progress(
        tf.tensor_scatter_nd_update(state.radii, where, proved),
        tf.tensor_scatter_nd_update(
            state.searched, where, tf.ones_like(t, tf.bool)
        ),
        tf.tensor_scatter_nd_update(
            state.centre,
            tf.gather(rows, decides)[:, tf.newaxis],
            tf.gather(found.centre, decides),
        ),
        tf.tensor_scatter_nd_add(
            state.num_evaluations, rows[:, tf.newaxis], spent
        ),
    )


def _most(network, options) -> tf.Tensor:
    """Returns the radius in the search of which `enough` is proved."""
    if network.execution is not None:  # The search does not know its price.
        return tf.constant(float("inf"), numerics.PROOF_DTYPE)
    most = options.enough * (1.0 + _SEARCH_ERROR)
    return tf.constant(most, numerics.PROOF_DTYPE)


def _attack(network, options, x, y, target, certified, state) -> tf.Tensor:
    """Returns distances of adversarial examples of the certified rows."""
    asked = tf.reduce_min(state.radii, axis=-1) <= options.enough
    rows = tf.where(certified & asked)[:, 0]
    x0, label, t = (tf.gather(field, rows) for field in (x, y, target))
    nothing = tf.zeros_like(x0[:, 0])
    problem = search_problem(network, x0, label, t, nothing, nothing)
    point = adversary.approach_boundary(
        network, problem, tf.gather(state.centre, rows), options.attack_steps
    )
    found = adversary.cross_boundary(network, x0, label, point).distance
    return tf.tensor_scatter_nd_update(
        _filled(state.radii[:, 0], float("inf")), rows[:, tf.newaxis], found
    )


def search_problem(
    network, x0, y, t, curvature, enough, too_little=0.0
) -> Problem:
    """Returns the problem of a search, in its dtype, from float64 numbers."""
    dtype = numerics.SEARCH_DTYPE
    weights, bias = network.pair(y, t, dtype)
    # A Python number beyond float32 is an error; a tensor, infinity.
    too_little = tf.constant(too_little, numerics.PROOF_DTYPE)
    return Problem(
        tf.cast(x0, dtype),
        weights,
        bias,
        tf.cast(curvature, dtype),
        tf.cast(enough, dtype),
        tf.fill(tf.shape(bias), tf.cast(too_little, dtype)),
    )
