"""Tests of tfcurv.bounds.curvature.study against dense Hessians."""

import functools
import math
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import bounds_oracles as oracles
import certificates_toys as toys
from tfcurv import bounds
from tfcurv import certificates
from tfcurv import networks
from tfcurv.bounds.curvature import everywhere as curvature

_WIDTHS = {1: (5, 4), 2: (5, 7, 4), 3: (5, 7, 6, 4), 4: (5, 7, 6, 8, 4)}

_POINTS = np.random.default_rng(4).standard_normal((6, 5))
_Y, _T = 1, 3


def _network(depth, name, seed=0):
    return oracles.random_network(seed, _WIDTHS[depth], name, gain=1.5)


def _probe(network, x=_POINTS, y=_Y, t=_T, **settings):
    classes = tf.fill([len(x)], y), tf.fill([len(x)], t)
    with toys.eagerly():  # Each network would be traced for a few points.
        probe = bounds.CurvatureProbe(network, **settings)
        found = probe(tf.constant(x), *classes)
    return bounds.AttainedCurvature(*(field.numpy() for field in found))


@functools.cache
def _probed(depth, name):
    return _probe(_network(depth, name))


def _passed(network, x=_POINTS, y=_Y, t=_T):
    """The forward pass and the signed densities at x."""
    x = tf.constant(x)
    rows = tf.fill([len(x)], y), tf.fill([len(x)], t)
    forward = network.forward(x)
    weights, bias = network.pair(*rows, x.dtype)
    return forward, bounds.signed_densities(network, forward, weights), bias


def _dense(network, forward, densities):
    """The matrices of `hessian_operator`, column by column."""
    operator = bounds.hessian_operator(network, forward, densities)
    x = forward.values[0]
    columns = [
        operator(tf.zeros_like(x) + tf.constant(axis))
        for axis in np.eye(x.shape[-1])
    ]
    return np.stack(columns, axis=-1)


def _diagonal_network(scales, weights, activation, first="linear"):
    """z_0 - z_1 = sum_i w_i s(a_i x_i), behind a permutation."""
    size = len(scales)
    permutation = np.eye(size)[::-1]
    kernels = [permutation, np.diag(scales), np.stack([weights, 0 * weights])]
    affines = [
        networks.Affine(kernel=kernel, bias=np.zeros(kernel.shape[1]))
        for kernel in (kernels[0], kernels[1], kernels[2].T)
    ]
    names = [first, activation]
    return networks.Network(affines, [*map(networks.activation, names)])


class OperatorTest(parameterized.TestCase):
    @parameterized.product(name=oracles.NAMES, depth=(2, 3, 4))
    def test_is_the_closed_form(self, name, depth):
        network = _network(depth, name)
        forward, densities, _ = _passed(network)
        np.testing.assert_allclose(
            _dense(network, forward, densities),
            bounds.hessian(network, tf.constant(_POINTS), _Y, _T),
            atol=1e-13,
        )

    @parameterized.product(name=("tanh", "silu", "sigmoid"), depth=(2, 3, 4))
    def test_is_what_nested_tapes_give(self, name, depth):
        network = _network(depth, name)
        forward, densities, _ = _passed(network)
        v = np.random.default_rng(0).standard_normal(_POINTS.shape)

        def margin(x):
            logits = network.logits(x)
            return logits[:, _Y] - logits[:, _T]

        operator = bounds.hessian_operator(network, forward, densities)
        np.testing.assert_allclose(
            operator(tf.constant(v)),
            certificates.hessian_product(
                margin, tf.constant(_POINTS), tf.constant(v)
            ),
            atol=1e-12,
        )

    def test_the_layers_add_up(self):
        network = _network(4, "gelu")
        forward, densities, _ = _passed(network)
        total = sum(
            _dense(network, forward, [None] * k + [density])
            for k, density in enumerate(densities)
        )
        np.testing.assert_allclose(
            total, _dense(network, forward, densities), atol=1e-13
        )


class ProbeTest(parameterized.TestCase):
    @parameterized.product(name=oracles.NAMES, depth=(1, 2, 3, 4))
    def test_finds_the_ends_of_the_dense_spectrum(self, name, depth):
        network = _network(depth, name)
        found = _probed(depth, name)
        matrices = bounds.hessian(network, tf.constant(_POINTS), _Y, _T)
        truth = np.linalg.eigvalsh(matrices)
        np.testing.assert_allclose(
            found.convexity_estimate, truth[:, -1], atol=1e-12
        )
        np.testing.assert_allclose(
            found.concavity_estimate, -truth[:, 0], atol=1e-12
        )

    @parameterized.product(name=("softplus", "tanh"), depth=(2, 3, 4))
    def test_finds_the_ends_layer_by_layer(self, name, depth):
        network = _network(depth, name)
        found = _probed(depth, name)
        forward, densities, _ = _passed(network)
        for sign, estimate in (
            (1.0, found.layer_convexity_estimate),
            (-1.0, found.layer_concavity_estimate),
        ):
            self.assertEqual(estimate.shape, (len(_POINTS), depth - 1))
            for k, density in enumerate(densities):
                part = [None] * k + [tf.nn.relu(sign * density)]
                truth = np.linalg.eigvalsh(_dense(network, forward, part))
                np.testing.assert_allclose(
                    estimate[:, k], truth[:, -1], atol=1e-12
                )

    @parameterized.product(name=oracles.NAMES, depth=(2, 3, 4))
    def test_few_steps_stay_below_the_truth(self, name, depth):
        fewer = _probe(_network(depth, name), num_steps=2)
        for low, high in zip(fewer, _probed(depth, name)):
            self.assertTrue(np.all(low <= high + 1e-13))

    def test_the_other_order_of_the_classes_is_the_other_side(self):
        network = _network(3, "silu")
        found, other = _probe(network), _probe(network, y=_T, t=_Y)
        for ours, theirs in (
            (found.convexity_estimate, other.concavity_estimate),
            (found.concavity_estimate, other.convexity_estimate),
            (found.layer_convexity_estimate, other.layer_concavity_estimate),
        ):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)

    def test_a_point_does_not_depend_on_its_batch(self):
        network = _network(3, "tanh")
        together = _probe(network, num_steps=3)
        for row in range(len(_POINTS)):
            alone = _probe(network, _POINTS[row : row + 1], num_steps=3)
            for ours, theirs in zip(alone, together):
                np.testing.assert_allclose(ours[0], theirs[row], rtol=1e-12)

    def test_compiles_once(self):
        network = _network(2, "tanh")
        probe = bounds.CurvatureProbe(network)
        with mock.patch.object(
            networks.Network,
            "forward",
            autospec=True,
            side_effect=network.forward.__func__,
        ) as traced:
            for size in 1, 2, 5:
                classes = tf.fill([size], 1), tf.fill([size], 2)
                probe(tf.constant(_POINTS[:size]), *classes)
        traced.assert_called_once()

    def test_is_the_same_compiled(self):
        network = _network(3, "gelu")
        classes = tf.fill([6], _Y), tf.fill([6], _T)
        compiled = bounds.CurvatureProbe(network)(
            tf.constant(_POINTS), *classes
        )
        for ours, eager in zip(compiled, _probe(network)):
            np.testing.assert_allclose(ours, eager, rtol=1e-12)

    def test_refuses_no_step(self):
        with self.assertRaisesRegex(ValueError, "num_steps=0"):
            _probe(_network(2, "tanh"), num_steps=0)


class ProverTest(parameterized.TestCase):
    @parameterized.product(name=oracles.NAMES, depth=(1, 2, 3, 4))
    def test_nothing_attained_exceeds_its_bound(self, name, depth):
        for seed in range(2):
            network = _network(depth, name, seed)
            x = 2.0 * np.random.default_rng(seed).standard_normal((50, 5))
            found = _probe(network, x)
            proved = bounds.CurvatureProver(network)(_Y, _T)
            for estimate, bound in (
                (found.convexity_estimate, proved.convexity_bound),
                (found.concavity_estimate, proved.concavity_bound),
                (found.convexity_estimate, proved.theorem4_bound),
                (found.concavity_estimate, proved.theorem4_bound),
                (found.layer_convexity_estimate, proved.layer_convexity_bound),
                (found.layer_concavity_estimate, proved.layer_concavity_bound),
            ):
                self.assertTrue(np.all(estimate <= np.array(bound) + 1e-12))

    @parameterized.parameters(2, 3, 4)
    def test_the_bounds_are_those_of_the_bounder(self, depth):
        network = _network(depth, "silu")
        proved = bounds.CurvatureProver(network)(_Y, _T)
        bounder = bounds.CurvatureBounder(network)
        expected = bounder.bounds(_Y, _T)
        self.assertEqual(proved.convexity_bound, expected.upper)
        self.assertEqual(proved.concavity_bound, -expected.lower)
        self.assertEqual(
            proved.layer_concavity_bound, bounder.layer_terms(_Y, _T)
        )
        self.assertEqual(
            proved.layer_convexity_bound, bounder.layer_terms(_T, _Y)
        )

    @parameterized.product(name=oracles.CURVED, depth=(2, 3, 4))
    def test_the_terms_of_the_layers_add_up_to_the_sum_form(self, name, depth):
        bounder = bounds.CurvatureBounder(_network(depth, name))
        terms = bounder.layer_terms(_Y, _T)
        self.assertLen(terms, depth - 1)
        best = bounder.pair_concavity_upper_bound(_Y, _T)
        self.assertGreaterEqual(sum(terms), best * (1.0 - 1e-13))
        with (
            mock.patch.object(
                bounds.CurvatureBounder, "_merged_form", return_value=math.inf
            ),
            mock.patch.object(
                curvature, "theorem4_bound", return_value=math.inf
            ),
        ):
            alone = bounder.pair_concavity_upper_bound(_Y, _T)
        np.testing.assert_allclose(sum(terms), alone, rtol=1e-13)

    def test_without_a_hidden_layer_nothing_is_curved(self):
        proved = bounds.CurvatureProver(_network(1, "tanh"))(_Y, _T)
        self.assertEqual(proved, (0.0, 0.0, 0.0, (), ()))

    def test_an_overflow_is_infinite(self):
        # Finite in float32, too: a network keeps a copy of its kernels.
        widths = (3, 4, 4, 4, 4, 3)
        network = oracles.random_network(0, widths, "tanh", gain=1e37)
        proved = bounds.CurvatureProver(network)(0, 1)
        self.assertEqual(proved.layer_concavity_bound[-1], math.inf)
        self.assertEqual(proved.concavity_bound, math.inf)
        for bound in proved:
            self.assertFalse(np.any(np.isnan(bound)))

    @parameterized.parameters("softplus", "linear")
    def test_of_a_diagonal_network_all_is_known(self, first):
        # softplus' = 1/2 and softplus'' = 1/4, its largest, at zero.
        scales, weights = np.array([2.0, 3.0, 1.0]), np.array([1.0, -0.5, 4.0])
        network = _diagonal_network(scales, weights, "softplus")
        if first == "softplus":
            network = networks.Network(
                network.affines[1:], network.activations[1:]
            )
        found = _probe(network, np.zeros((1, 3)), 0, 1)
        proved = bounds.CurvatureProver(network)(0, 1)
        eigenvalues = weights * scales**2 / 4.0
        for estimate, bound, exact in (
            (found.convexity_estimate, proved.convexity_bound, 1.0),
            (found.concavity_estimate, proved.concavity_bound, 9.0 / 8.0),
        ):
            self.assertIn(exact, np.abs(eigenvalues))
            np.testing.assert_allclose(estimate, [exact], rtol=1e-12)
            np.testing.assert_allclose(bound, exact, rtol=1e-8)
        # Largest s'', largest scale and largest weight, wherever they are.
        np.testing.assert_allclose(proved.theorem4_bound, 9.0, rtol=1e-8)
        np.testing.assert_allclose(
            proved.layer_concavity_bound[-1], 9.0 / 8.0, rtol=1e-8
        )


if __name__ == "__main__":
    absltest.main()
