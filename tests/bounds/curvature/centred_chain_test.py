"""Tests of tfcurv.bounds.curvature.centred_chain against singular values."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from tfcurv import networks
from tfcurv.bounds.curvature.centred_chain import centred_chain_norm_bound
from tfcurv.networks import Interval

_WIDTHS = (4, 7, 6, 5, 3)


def _network(rng, kernel_error=0.0, scale=1.0):
    affines = [
        networks.Affine(
            kernel=scale * rng.standard_normal((m, n)),
            bias=np.zeros(n),
            kernel_error=kernel_error,
        )
        for m, n in zip(_WIDTHS, _WIDTHS[1:])
    ]
    return networks.Network(affines, [networks.activation("silu")] * 3)


def _slopes(rng, width):
    """Returns ranges for each neuron of the first layers, `width` wide."""
    found = []
    for n in _WIDTHS[1:-2]:
        centre = rng.uniform(-1.0, 1.0, n)
        spread = width * rng.uniform(0.0, 0.5, n)
        found.append(Interval(centre - spread, centre + spread))
    return found


def _jacobian(affines, slopes, layer):
    """Returns d z_{layer} / d x, as rows multiply, for some slopes."""
    product = affines[0].kernel
    for affine, slope in zip(affines[1 : layer + 1], slopes):
        product = (product * slope) @ affine.kernel
    return product


def _norms(network, ranges, layer, density, rng, tries=300):
    """Yields ||diag(sqrt D) B|| for slopes within the ranges."""
    for index in range(tries):
        # Ends are where a norm, which is convex, is largest.
        share = [
            rng.integers(0, 2, len(r.lower)) if index % 2 else rng.random()
            for r in ranges
        ]
        slopes = [
            r.lower + s * (r.upper - r.lower) for r, s in zip(ranges, share)
        ]
        product = _jacobian(network.affines, slopes, layer)
        yield np.linalg.norm(product * np.sqrt(density), 2)


def _lipschitz(network, ranges, layer):
    found = [network.norms[0]]
    for index in range(1, layer):
        every = np.ones(_WIDTHS[index + 1])
        found.append(
            centred_chain_norm_bound(network, index, every, ranges, found)
        )
    return found


class CentredChainTest(parameterized.TestCase):
    @parameterized.product(layer=(1, 2), width=(0.01, 0.3, 2.0))
    def test_no_slopes_in_the_ranges_exceed_it(self, layer, width):
        rng = np.random.default_rng(layer)
        for _ in range(20):
            network, ranges = _network(rng), _slopes(rng, width)
            density = rng.random(_WIDTHS[layer + 1]) ** 4
            found = centred_chain_norm_bound(
                network,
                layer,
                density,
                ranges,
                _lipschitz(network, ranges, layer),
            )
            norms = _norms(network, ranges, layer, density, rng)
            self.assertGreaterEqual(found, max(norms))

    @parameterized.parameters(1, 2)
    def test_known_slopes_give_the_norm_itself(self, layer):
        rng = np.random.default_rng(0)
        network, ranges = _network(rng), _slopes(rng, 0.0)
        density = rng.random(_WIDTHS[layer + 1])
        found = centred_chain_norm_bound(
            network, layer, density, ranges, _lipschitz(network, ranges, layer)
        )
        exact = next(_norms(network, ranges, layer, density, rng))
        self.assertBetween(found, exact, exact * (1.0 + 1e-4))

    def test_one_wide_neuron_does_not_widen_the_others(self):
        rng = np.random.default_rng(1)
        network, ranges = _network(rng), _slopes(rng, 0.0)
        density = np.ones(_WIDTHS[2])

        def bound(upper):
            each = Interval(ranges[0].lower, ranges[0].lower + upper)
            return centred_chain_norm_bound(
                network, 1, density, [each], [network.norms[0]]
            )

        one = np.zeros(_WIDTHS[1])
        one[2] = 1.0
        self.assertLess(bound(one), 0.8 * bound(np.ones(_WIDTHS[1])))

    def test_what_the_kernels_may_err_by_is_in_it(self):
        rng = np.random.default_rng(2)
        for _ in range(10):
            error = 0.3
            stored, ranges = (
                _network(rng, kernel_error=error),
                _slopes(rng, 0.2),
            )
            density = rng.random(_WIDTHS[3])
            found = centred_chain_norm_bound(
                stored, 2, density, ranges, _lipschitz(stored, ranges, 2)
            )
            for _ in range(20):
                moved = []
                for affine in stored.affines:
                    move = rng.standard_normal(affine.kernel.shape)
                    move *= error / np.linalg.norm(move)
                    moved.append(
                        networks.Affine(
                            kernel=affine.kernel + move, bias=affine.bias
                        )
                    )
                near = networks.Network(moved, stored.activations)
                norms = _norms(near, ranges, 2, density, rng, tries=10)
                self.assertGreaterEqual(found, max(norms))

    def test_is_tight_enough_for_a_kernel_error_to_show(self):
        rng = np.random.default_rng(3)
        seed = int(rng.integers(1 << 30))
        found = [
            centred_chain_norm_bound(
                _network(np.random.default_rng(seed), kernel_error=error),
                1,
                np.ones(_WIDTHS[2]),
                _slopes(np.random.default_rng(seed), 0.0),
                [0.0],
            )
            for error in (0.0, 1e-3)
        ]
        self.assertGreater(found[1], found[0] + 1e-3)

    @parameterized.parameters(1e-30, 1e30)
    def test_scales_with_the_kernels(self, scale):
        ranges = _slopes(np.random.default_rng(4), 0.3)
        found = [
            centred_chain_norm_bound(
                _network(np.random.default_rng(4), scale=factor),
                1,
                np.ones(_WIDTHS[2]),
                ranges,
                [factor],
            )
            for factor in (1.0, scale)
        ]
        self.assertAlmostEqual(
            found[1] / scale / scale / found[0], 1, delta=1e-4
        )

    @parameterized.parameters(math.nan, math.inf)
    def test_what_is_not_finite_bounds_nothing(self, value):
        rng = np.random.default_rng(5)
        network, ranges = _network(rng), _slopes(rng, 0.3)
        density = np.ones(_WIDTHS[2])
        density[1] = value
        with np.errstate(all="ignore"):
            found = centred_chain_norm_bound(
                network, 1, density, ranges, [network.norms[0]]
            )
        self.assertFalse(found < math.inf)


if __name__ == "__main__":
    absltest.main()
