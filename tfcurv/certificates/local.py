"""Radii raised by bounds on the curvature near each image.

With a bound a(R) that holds in the ball of radius R around x0, an evaluation
proves a radius T(R), of which min(R, T(R)) is certified. T falls as R grows,
so the best R is where T(R) = R; it lies between any R and T(R).
"""

from collections.abc import Callable
import enum

import numpy as np
import tensorflow as tf

from tfcurv import bounds
from tfcurv import numerics
from tfcurv.certificates.certifier import EXACTNESS_TOLERANCE
from tfcurv.certificates.certifier import Certificates
from tfcurv.certificates.certifier import CertifierOptions
from tfcurv.certificates.certifier import Reason
from tfcurv.certificates.certifier import search_problem
from tfcurv.certificates.proof import prove
from tfcurv.certificates.search import SearchOptions
from tfcurv.certificates.search import find_centre

# Balls tried for each pair, and how near, relative, R and T(R) need to come.
_MAX_ROUNDS = 6
_TOLERANCE = 1e-3

# The first ball, relative to the radius that is proved already.
_FIRST_STRETCH = 1.25

# Rows at a time, between two calls of the progress bar.
_CHUNK = 64


class Curvature(enum.Enum):
    """Where the curvature bounds of a certificate hold."""

    #: Everywhere: one bound a pair of classes.
    GLOBAL = "global"
    #: In a ball around each image, too.
    LOCAL = "local"
    #: In a ball around each image whose global certificate is not exact.
    AUTO = "auto"


class LocalRefiner:
    """Raises the radii of a batch, never below what they were.

    For each image the class that decides is tried first, until one decides
    that has been tried. Costs several factorisations of the size of a hidden
    layer for each image and class, on the host: tens of milliseconds.
    """

    def __init__(
        self,
        network: bounds.Network,
        options: CertifierOptions,
        curvature: Curvature,
        on_bound: Callable[[int], None] = lambda count: None,
    ):
        """Prepares; nothing is traced yet.

        Args:
            network: The network.
            options: As the certifier's.
            curvature: LOCAL or AUTO.
            on_bound: Called with the number of bounds computed.
        """
        self._network = network
        self._options = options
        self._all = curvature is Curvature.LOCAL
        self._on_bound = on_bound
        self._local = bounds.LocalCurvature(network)
        pairs = tf.TensorSpec([None], numerics.PROOF_DTYPE)
        points = tf.TensorSpec([None, network.input_dim], numerics.PROOF_DTYPE)
        classes = tf.TensorSpec([None], tf.int32)
        self._find = tf.function(
            self._find_batch,
            input_signature=[points, classes, classes, pairs],
            autograph=False,
        )
        self._prove = tf.function(
            self._prove_batch,
            input_signature=[points, points, classes, classes, pairs],
            autograph=False,
        )

    def __call__(
        self,
        x: np.ndarray,
        y: np.ndarray,
        curvature: np.ndarray,
        found: Certificates,
    ) -> Certificates:
        """Returns the certificates with the radii raised.

        Args:
            x: `[batch, dim]` float64 points.
            y: `[batch]` int32 labels.
            curvature: `[classes, classes]` proved |m(y, t)|.
            found: What the certifier gave, as arrays.
        """
        radii = found.radii.copy()
        tried = np.isinf(radii)
        spent = found.num_evaluations.copy()
        pending = self._pending(found)
        while True:
            target = np.argmin(radii, axis=-1)
            each = np.arange(len(y))
            least = radii[each, target]
            rows = pending & ~tried[each, target]
            rows = np.flatnonzero(rows & (least < self._options.enough))
            if not rows.size:
                break
            # Beyond a class that was tried nothing is decided.
            limits = np.where(tried, radii, np.inf).min(axis=-1)
            limits = np.minimum(limits, found.upper_bound)
            limits = np.minimum(limits, self._options.enough)
            for some in np.split(rows, range(_CHUNK, rows.size, _CHUNK)):
                t = target[some].astype(np.int32)
                a = curvature[y[some], t]
                raised = self._raise(
                    x[some], y[some], t, a, least[some], limits[some]
                )
                radii[some, t], evaluations = raised
                spent[some] += evaluations
            tried[rows, target[rows]] = True
        certified = found.reason == Reason.CERTIFIED
        radius = np.where(certified, radii.min(axis=-1), found.radius)
        gap = found.upper_bound - radius
        return found._replace(
            radius=radius,
            radii=radii,
            target=np.where(certified, target, found.target).astype(np.int32),
            exact=certified & (gap <= EXACTNESS_TOLERANCE * radius),
            num_evaluations=spent,
        )

    def _pending(self, found: Certificates) -> np.ndarray:
        rows = found.reason == Reason.CERTIFIED
        rows &= found.upper_bound > self._options.too_little
        return rows if self._all else rows & ~found.exact

    def _raise(self, x, y, t, a, low, high) -> tuple[np.ndarray, np.ndarray]:
        """Returns radii of pairs, at least `low`, and the gradients spent."""
        high = np.maximum(high, low)
        radius = np.minimum(_FIRST_STRETCH * low, high)
        local = a.copy()  # Until there is a better one.
        spent = np.zeros(len(y))
        for _ in range(_MAX_ROUNDS):
            # Where no adversarial example was found, `high` is infinite.
            rows = np.flatnonzero(high > (1.0 + _TOLERANCE) * low)
            if not rows.size:
                break
            pair = y[rows], t[rows]
            centre, evaluations = self._search(x[rows], *pair, local[rows])
            spent[rows] += evaluations
            ball = x[rows], radius[rows], centre
            local[rows] = self._bound(*ball, *pair, a[rows])
            proved = self._proved(x[rows], centre, *pair, local[rows])
            certified = np.minimum(radius[rows], proved)
            low[rows] = np.maximum(low[rows], certified)
            # Where T(R) = R is, if the centre is the best one.
            above = np.maximum(radius[rows], proved)
            high[rows] = np.maximum(np.minimum(high[rows], above), low[rows])
            radius[rows] = 0.6 * low[rows] + 0.4 * high[rows]
        return low, spent

    def _bound(self, x, radius, centre, y, t, a) -> np.ndarray:
        ball = bounds.Ball(*map(tf.constant, (x, radius, centre)))
        found = self._local.concavity_upper_bounds(ball, y, t)
        self._on_bound(len(y))
        return np.minimum(found, a)

    def _search(self, *arguments) -> tuple[np.ndarray, np.ndarray]:
        found = self._find(*map(tf.constant, arguments))
        return tuple(part.numpy() for part in found)

    def _proved(self, *arguments) -> np.ndarray:
        return self._prove(*map(tf.constant, arguments)).numpy()

    def _find_batch(self, x0, y, t, a):
        # As far as it gets: the ball that it leads to may reach further.
        enough = tf.fill(tf.shape(a), tf.constant(float("inf"), a.dtype))
        problem = search_problem(self._network, x0, y, t, a, enough)
        options = self._options.search or SearchOptions()
        found = find_centre(self._network, problem, options)
        spent = tf.cast(found.num_evaluations, x0.dtype)
        return tf.cast(found.centre, x0.dtype), spent

    def _prove_batch(self, x0, centre, y, t, a):
        return prove(self._network, x0, centre, y, t, a)
