"""Linear maps of which what is asked is proved, rounding included."""

import functools
import math

import numpy as np
import tensorflow as tf

from tfcurv import numerics
from tfcurv import solvers
from tfcurv.networks.maps import operator_norms
from tfcurv.networks.maps.linear_map import Constants
from tfcurv.networks.maps.linear_map import LinearMap
from tfcurv.networks.maps.trained import FixedMap


class ProvedMap(FixedMap):
    """A map of which what is asked is proved, rounding included.

    Everything holds for each exact map near the stored one, off by up to
    gamma(roundings) |K|, entry by entry, and in the spectral norm by `error`
    more; for float64.
    """

    def __init__(
        self,
        linear: LinearMap,
        roundings: int = 0,
        rigor: solvers.Rigor = solvers.Rigor.VERIFIED,
        *,
        error: float = 0.0,
    ):
        """Proves nothing yet.

        Args:
            linear: The stored map.
            roundings: How far the exact one may be from it, by entries.
            rigor: What norms may rest on.
            error: How far it may be, in the norm.
        """
        super().__init__(linear)
        self.roundings = roundings
        self.error = error
        self._rigor = rigor

    @functools.cached_property
    def norm_upper_bound(self) -> float:
        """A proved bound on the norm of the exact map."""
        norm = self.linear.norm_upper_bound(self._rigor)
        if self.roundings:
            size = self.linear.absolute_norm_upper_bound
            more = operator_norms.product(
                [numerics.gamma(self.roundings), size]
            )
            norm = numerics.round_up(norm + more, 1)
        if self.error:
            norm = numerics.round_up(norm + self.error, 1)
        return math.inf if math.isnan(norm) else norm

    @functools.cached_property
    def _exact_columns(self):
        norms = self.linear.column_norms
        # Of a composition the absolute values may be far larger than what is
        # left of them: no column of theirs is longer than their norm. And none
        # is 0: in a ball without end what was flushed to 0 goes anywhere.
        more = numerics.gamma(self.roundings)
        more *= self.linear.absolute_norm_upper_bound if self.roundings else 0.0
        norms = numerics.round_up(norms + (more + self.error), 4)
        least = numerics.smallest_normal(numerics.PROOF_DTYPE)
        return Constants(np.maximum(norms, least))

    @functools.cached_property
    def _growth(self) -> float:
        return operator_norms.underflow_growth(self.linear)

    def norm(self, dtype: tf.DType) -> tf.Tensor:
        """Returns the bound."""
        with tf.init_scope():
            norm = self.norm_upper_bound
        return tf.constant(norm, dtype)

    def column_norms(self, dtype: tf.DType) -> tf.Tensor:
        """Returns proved bounds on the norms of the exact map's columns."""
        with tf.init_scope():
            return self._exact_columns(dtype)

    def columns(
        self, outputs: int, dtype: tf.DType
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the exact map's weights up to proved errors."""
        unit = tf.eye(outputs, dtype=dtype)
        sizes = tf.norm(self.absolute_transpose(unit), axis=-1)
        count = self.linear.transposed_terms + self.roundings + 2
        errors = numerics.gamma(count) * sizes + self.error
        errors *= numerics.STEP_INFLATION
        with tf.init_scope():
            vanished = numerics.NORM_FLOOR * self._growth
        return self.transpose(unit), errors + vanished

    def transpose_error(self, length: tf.Tensor) -> tf.Tensor:
        """Bounds how far `transpose` may be from v K^T of the exact map."""
        count = self.linear.transposed_terms + self.roundings + 2
        with tf.init_scope():
            size = self.linear.absolute_norm_upper_bound
            vanished = numerics.NORM_FLOOR * self._growth
        factor = numerics.gamma(count) * size + self.error
        length = length * numerics.STEP_INFLATION + numerics.NORM_FLOOR
        return factor * length * numerics.STEP_INFLATION + vanished

    def box(
        self,
        middle: tf.Tensor,
        half: tf.Tensor,
        radius: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Encloses x K for the exact K and x in middle +- half."""
        size = tf.abs(middle) + half
        lost = numerics.gamma(self.linear.terms + self.roundings + 2)
        # With what is flushed of the input; what is flushed within comes next.
        wide = half + lost * size + numerics.SUM_UNDERFLOW
        with tf.init_scope():
            vanished = numerics.SUM_UNDERFLOW * self._growth
        total = 1.0 + tf.reduce_sum(size, axis=-1, keepdims=True)
        wide = self.absolute(wide)
        if self.error:
            wide += self._missed(size, radius)
        wide *= numerics.STEP_INFLATION
        return self.apply(middle), wide + vanished * total

    def _missed(self, size: tf.Tensor, radius: tf.Tensor | None) -> tf.Tensor:
        """Bounds x (K - stored K) by the length of x, `[batch, 1]`."""
        length = tf.norm(size, axis=-1) + numerics.NORM_FLOOR
        if radius is not None:
            length = tf.minimum(length, radius)
        return self.error * length[:, tf.newaxis]
