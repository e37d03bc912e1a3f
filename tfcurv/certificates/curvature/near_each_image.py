"""Radii raised by bounds on the curvature near each image.

With a bound a(R) that holds in the ball of radius R around x0, an evaluation
proves a radius T(R), of which min(R, T(R)) is certified. T falls as R grows,
so the best R is where T(R) = R; it lies between any R and T(R).
"""

from collections.abc import Callable
import dataclasses
import functools

import numpy as np
import tensorflow as tf

from tfcurv import bounds
from tfcurv import networks
from tfcurv import numerics
from tfcurv import tracing
from tfcurv.certificates.curvature.lazy_table import LazyTable
from tfcurv.certificates.curvature.pair_table import CurvatureTable
from tfcurv.certificates.curvature.pair_table import GivenTable
from tfcurv.certificates.curvature.proof import prove
from tfcurv.certificates.deciding.contract import Certificates
from tfcurv.certificates.deciding.contract import CertifierOptions
from tfcurv.certificates.deciding.contract import Cost
from tfcurv.certificates.deciding.contract import Curvature as Curvature
from tfcurv.certificates.deciding.contract import Pairs
from tfcurv.certificates.deciding.contract import Raised
from tfcurv.certificates.deciding.contract import Reason
from tfcurv.certificates.deciding.contract import Stage
from tfcurv.certificates.deciding.decider import Standing
from tfcurv.certificates.deciding.decider import refine
from tfcurv.certificates.margins.search import SearchOptions
from tfcurv.certificates.margins.search import find_centre
from tfcurv.certificates.margins.search import search_problem

# Balls tried for each pair, and how near, relative, R and T(R) need to come.
_MAX_ROUNDS = 6
_TOLERANCE = 1e-3

# The first ball, relative to the radius that is proved already.
_FIRST_STRETCH = 1.25

# Rows at a time, between two calls of the progress bar.
_CHUNK = 64


class LocalStage(Stage):
    """Raises radii by bounds on the curvature around each point.

    Costs several factorisations of the size of a hidden layer for each image
    and class, on the host: tens of milliseconds.
    """

    cost = Cost.FACTORISATIONS

    def __init__(
        self,
        network: networks.Network,
        options: CertifierOptions,
        table: CurvatureTable | GivenTable | LazyTable,
        on_bound: Callable[[int], None] = lambda count: None,
    ):
        """Prepares; nothing is traced yet.

        Args:
            network: The network.
            options: As the certifier's, with curvature LOCAL or AUTO.
            table: Bounds on the curvature everywhere.
            on_bound: Called with the number of bounds computed.
        """
        self.skips_exact = options.curvature is Curvature.AUTO
        self._network = network
        self._options = options
        self._table = table
        self._on_bound = on_bound
        pairs = tf.TensorSpec([None], numerics.PROOF_DTYPE)
        points = tf.TensorSpec([None, network.input_dim], numerics.PROOF_DTYPE)
        classes = tf.TensorSpec([None], tf.int32)
        self._find = tracing.Traced(
            self._find_batch, [points, classes, classes, pairs]
        )
        self._prove = tracing.Traced(
            self._prove_batch, [points, points, classes, classes, pairs]
        )

    @functools.cached_property
    def _local(self) -> bounds.LocalCurvature:
        # Late: perhaps no image asks.
        return bounds.LocalCurvature(self._network)

    def __call__(self, pairs: Pairs) -> Raised:
        """Returns what is proved of these pairs, some rows at a time."""
        curvature = self._table.values[pairs.y, pairs.t]
        found = [
            self._raise(
                pairs.x[some],
                pairs.y[some],
                pairs.t[some],
                curvature[some],
                # Copies, which are changed.
                pairs.known[some].copy(),
                pairs.limit[some],
            )
            for some in _chunks(len(pairs.y))
        ]
        return Raised(*map(np.concatenate, zip(*found)))

    def _raise(self, x, y, t, a, low, high) -> tuple[np.ndarray, np.ndarray]:
        """Returns radii of pairs, at least `low`, and the gradients spent."""
        high = np.maximum(high, low)
        radius = np.minimum(_FIRST_STRETCH * low, high)
        local = a.copy()  # Until there is a better one.
        spent = np.zeros(len(y))
        # Of the last two balls R and T(R) - R.
        tried = np.full((2, 2, len(y)), np.nan)
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
            tried[:, :, rows] = tried[:, :, rows][:, ::-1]
            tried[:, 0, rows] = radius[rows], proved - radius[rows]
            radius[rows] = _between(low, high, tried)[rows]
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


def _between(low, high, tried) -> np.ndarray:
    """Returns where T(R) - R vanishes on the chord of two balls, or nearly.

    Within the interval, and not at its ends; where there is no chord, nearer
    to the lower end.
    """
    (last, before), (rise, rise_before) = tried
    with np.errstate(all="ignore"):
        found = last - rise * (last - before) / (rise - rise_before)
    width = high - low
    found = np.where(np.isfinite(found), found, low + 0.4 * width)
    return np.clip(found, low + 0.05 * width, high - 0.05 * width)


def _chunks(count: int) -> list[slice]:
    return [slice(first, first + _CHUNK) for first in range(0, count, _CHUNK)]


class LocalRefiner:
    """Raises the radii of a batch, never below what they were.

    For each image the class that decides is tried first, until one decides
    that has been tried.
    """

    def __init__(
        self,
        network: networks.Network,
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
        self._options = dataclasses.replace(options, curvature=curvature)
        self._table = GivenTable()
        self._stage = LocalStage(network, self._options, self._table, on_bound)

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
            found: What the certifier gave.
        """
        self._table.values = curvature
        standing = Standing(
            x=x,
            y=y,
            right=found.reason == Reason.CERTIFIED,
            radii=found.radii.copy(),
            upper_bound=found.upper_bound,
            centre=x,
            spent=found.num_evaluations.copy(),
            method=np.zeros(found.radii.shape, np.int32),
        )
        refine(standing, self._stage, self._options)
        certified = standing.certified
        return found._replace(
            radius=standing.radius,
            radii=standing.radii,
            target=np.where(certified, standing.target, found.target),
            exact=standing.exact,
            num_evaluations=standing.spent,
        )
