"""Tests of tfcurv.bounds.curvature.densities against backward passes."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import bounds_oracles as oracles
from tfcurv import networks
from tfcurv.bounds.curvature import densities

_WIDTHS = (3, 5, 4, 6, 3)

# What the passes of the tests themselves may be off by.
_ROUNDING = 1e-12


def _spread(network, x, rows):
    """Returns ranges of s' and s'' over groups of rows of x."""
    forward = network.forward(tf.constant(x))
    slopes, curvatures = [], []
    for fn, z in zip(network.activations, forward.pre_activations):
        z = z.numpy().reshape(rows, -1, z.shape[-1])
        ends = tf.constant(z.min(axis=1)), tf.constant(z.max(axis=1))
        for found, within in (
            (slopes, fn.slope_range_on(*ends)),
            (curvatures, fn.curvature_range_on(*ends)),
        ):
            found.append(networks.Interval(*(end.numpy() for end in within)))
    return forward, slopes, curvatures


def _densities(network, w, slopes, curvatures):
    outer = densities.outer_ranges(network, w, w, slopes)
    return densities.negative_densities(outer, curvatures)


class DensitiesTest(parameterized.TestCase):
    @parameterized.product(name=oracles.NAMES, error=(0.0, 1e-2))
    def test_enclose_what_backward_passes_give(self, name, error):
        stored = oracles.random_network(0, _WIDTHS, name, errors=error)
        rng = np.random.default_rng(0)
        x = rng.standard_normal((4, 1, 3)) + 0.2 * rng.standard_normal(
            (4, 9, 3)
        )
        forward, slopes, curvatures = _spread(stored, x.reshape(-1, 3), 4)
        w = rng.standard_normal((4, 6))
        low, high = w - 0.1, w + 0.1
        outer = densities.outer_ranges(stored, low, high, slopes)
        negative = densities.negative_densities(outer, curvatures)
        for share in (-1.0, 0.3, 1.0):
            weights = np.repeat(w + 0.1 * share, 9, axis=0)
            backward = stored.backward(forward, tf.constant(weights))[-2::-1]
            for index, fn in enumerate(stored.activations):
                f = backward[index].numpy().reshape(4, 9, -1)
                slack = _ROUNDING * np.max(np.abs(f))
                lower = outer[index].lower[:, np.newaxis] - slack
                upper = outer[index].upper[:, np.newaxis] + slack
                self.assertTrue(np.all((lower <= f) & (f <= upper)))
                bend = fn.curvature(forward.pre_activations[index]).numpy()
                needed = -f * bend.reshape(f.shape)
                limit = negative[index][:, np.newaxis] + slack
                self.assertTrue(np.all(needed <= limit))

    def test_errors_of_kernels_widen_the_ranges_by_what_they_may_do(self):
        rng = np.random.default_rng(0)
        exact, stored = (
            oracles.random_network(0, _WIDTHS, "linear", errors=error)
            for error in (0.0, 0.5)
        )
        w = rng.standard_normal((4, 6))
        slopes = [networks.Interval(1.0, 1.0)] * 3
        narrow, wide = (
            densities.outer_ranges(network, w, w, slopes)
            for network in (exact, stored)
        )
        # One row of a kernel may move by the whole error, along w.
        moved = 0.5 * np.linalg.norm(w, axis=-1, keepdims=True)
        wider = wide[1].upper - narrow[1].upper
        np.testing.assert_allclose(
            wider, np.broadcast_to(moved, wider.shape), rtol=1e-6
        )
        self.assertTrue(np.all(wide[0].upper - narrow[0].upper >= 0.5))

    def test_rows_do_not_know_of_each_other(self):
        network = oracles.random_network(0, _WIDTHS, "gelu")
        rng = np.random.default_rng(0)
        x = rng.standard_normal((20, 3))
        _, slopes, curvatures = _spread(network, x, 4)
        w = rng.standard_normal((4, 6))
        together = _densities(network, w, slopes, curvatures)
        for row in range(4):
            one = [
                [networks.Interval(r.lower[row], r.upper[row]) for r in ranges]
                for ranges in (slopes, curvatures)
            ]
            alone = _densities(network, w[row], *one)
            for a, b in zip(alone, together):
                np.testing.assert_allclose(a, b[row], rtol=1e-9, atol=1e-14)


if __name__ == "__main__":
    absltest.main()
