"""The compiled functions of the curvature method."""

import numpy as np
import tensorflow as tf

from tfcurv import networks
from tfcurv import numerics
from tfcurv import tracing
from tfcurv.certificates.curvature.proof import closed_form_radii
from tfcurv.certificates.curvature.proof import prove
from tfcurv.certificates.deciding.contract import CertifierOptions
from tfcurv.certificates.deciding.contract import Pairs
from tfcurv.certificates.deciding.contract import Raised
from tfcurv.certificates.margins.search import SearchOptions
from tfcurv.certificates.margins.search import find_centre
from tfcurv.certificates.margins.search import search_problem


class CurvatureProofs:
    """The compiled functions of the method, for every batch size."""

    def __init__(self, network: networks.Network, options: CertifierOptions):
        """Builds them; nothing is traced yet.

        Args:
            network: The network.
            options: How to search.
        """
        self._network = network
        self._options = options
        points = tf.TensorSpec([None, network.input_dim], numerics.PROOF_DTYPE)
        classes = tf.TensorSpec([None], tf.int32)
        pairs = tf.TensorSpec([None], numerics.PROOF_DTYPE)
        table = tf.TensorSpec([None, network.num_classes], numerics.PROOF_DTYPE)
        self._first = tracing.Traced(
            self._first_batch, [points, classes, table]
        )
        self._search = tracing.Traced(
            self._search_batch, [points, classes, classes, pairs, pairs]
        )

    def trace(self) -> None:
        """Traces the compiled functions, which the first calls do otherwise."""
        self._first.trace()
        if self._options.search is not None:
            self._search.trace()

    def first(
        self, x: np.ndarray, y: np.ndarray, curvatures: np.ndarray
    ) -> np.ndarray:
        """Returns radii `[batch, classes]` of the closed form.

        Args:
            x: `[batch, dim]` float64 points.
            y: `[batch]` int32 labels.
            curvatures: `[batch, classes]` proved |m(y, t)|.
        """
        return self._first(*map(tf.constant, (x, y, curvatures))).numpy()

    def search(self, pairs: Pairs, curvature: np.ndarray) -> Raised:
        """Returns radii that a search has found and float64 proved.

        Args:
            pairs: What to raise.
            curvature: `[batch]` proved |m(y, t)|.
        """
        columns = pairs.x, pairs.y, pairs.t, curvature, pairs.limit
        found = self._search(*map(tf.constant, columns))
        radius, spent, centre, _ = found
        return Raised(radius.numpy(), spent.numpy(), centre.numpy())

    def _first_batch(self, x, y, curvatures) -> tf.Tensor:
        return closed_form_radii(self._network, x, y, curvatures)

    def _search_batch(self, x, y, t, a, limit) -> Raised:
        network, options = self._network, self._options
        problem = search_problem(network, x, y, t, a, limit, options.too_little)
        search = options.search or SearchOptions()
        found = find_centre(network, problem, search)
        centre = tf.cast(found.centre, x.dtype)
        proved = prove(network, x, centre, y, t, a)
        return Raised(proved, tf.cast(found.num_evaluations, x.dtype), centre)
