"""Tests of tfcurv.networks.rounding against evaluation in 40 digits."""

import dataclasses
from typing import NamedTuple

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import mpmath as mp
import numpy as np
import tensorflow as tf

import bounds_oracles as oracles
from tfcurv import networks
from tfcurv.networks.functions.smooth import EVALUATION_ROUNDOFFS

_WIDTHS = {1: (4, 3), 2: (4, 5, 3), 3: (4, 5, 4, 3), 4: (4, 3, 5, 4, 3)}

_ROUNDOFF = 2.0**-53


class _Outcome(NamedTuple):
    """What one evaluation erred by, and what it was said to err by."""

    margin_error: np.ndarray
    gradient_error: np.ndarray
    margin_bound: np.ndarray
    gradient_bound: np.ndarray
    size: np.ndarray


def _exact(array) -> np.ndarray:
    return np.vectorize(mp.mpf, otypes=[object])(np.asarray(array, float))


def _norm(vector) -> mp.mpf:
    return mp.sqrt(sum((v * v for v in vector), mp.mpf(0)))


def _exact_evaluation(affines, names, x, y, t):
    """Returns f and grad f at x for maps (kernel, bias) in 40 digits."""
    x, slopes = _exact(x), []
    for (kernel, bias), name in zip(affines, names):
        z = x @ kernel + bias
        x = np.asarray([oracles.derivative(name, v) for v in z])
        slopes.append(np.asarray([oracles.derivative(name, v, 1) for v in z]))
    kernel, bias = affines[-1]
    weights = kernel[:, y] - kernel[:, t]
    margin, gradient = x @ weights + bias[y] - bias[t], weights
    for (kernel, _), slope in zip(affines[-2::-1], slopes[::-1]):
        gradient = kernel @ (slope * gradient)
    return margin, gradient


def _perturbed(network, seed: int):
    """Returns exact maps that lie as far off as their errors allow."""
    rng = np.random.default_rng(seed)
    found = []
    for affine in network.affines:
        pair = []
        for stored, error in (
            (affine.kernel, affine.kernel_error),
            (affine.bias, affine.bias_error),
        ):
            step = rng.standard_normal(stored.shape)
            step *= error * (1.0 - 1e-12) / np.linalg.norm(step)
            pair.append(_exact(stored) + _exact(step))
        found.append(tuple(pair))
    return found


def _evaluate(network, x, y, t, compiled=lambda fn: fn):
    """Returns the computed margin and gradient, and the bounds."""

    def run(x):
        classes = tf.fill([x.shape[0]], y), tf.fill([x.shape[0]], t)
        weights, bias = network.pair(*classes, tf.float64)
        forward = network.forward(x)
        error = networks.evaluation_error(
            network,
            forward,
            networks.forward_error(network, forward),
            network.backward(forward, weights),
            sum(
                tf.abs(tf.gather(network.affines[-1].bias, c)) for c in classes
            ),
        )
        return network.evaluate(x, weights, bias), error

    return compiled(run)(tf.constant(x))


def _outcome(network, x, y=0, t=1, seed=0, compiled=lambda fn: fn):
    """Evaluates in double precision and in 40 digits."""
    found, bound = _evaluate(network, x, y, t, compiled)
    names = [fn.name for fn in network.activations]
    margins, gradients, sizes = [], [], []
    with mp.workdps(oracles.DIGITS):
        affines = _perturbed(network, seed)
        for row, margin, gradient in zip(x, *(v.numpy() for v in found)):
            exact = _exact_evaluation(affines, names, row, y, t)
            margins.append(float(abs(exact[0] - mp.mpf(float(margin)))))
            gradients.append(float(_norm(exact[1] - _exact(gradient))))
            sizes.append(float(1 + abs(exact[0])))
    return _Outcome(
        np.asarray(margins),
        np.asarray(gradients),
        bound.margin.numpy(),
        bound.gradient.numpy(),
        np.asarray(sizes),
    )


class EvaluationErrorTest(parameterized.TestCase):
    def _check(self, outcome):
        self.assertTrue(np.all(outcome.margin_error <= outcome.margin_bound))
        self.assertTrue(
            np.all(outcome.gradient_error <= outcome.gradient_bound)
        )

    @parameterized.product(name=oracles.NAMES, depth=(*_WIDTHS,))
    def test_covers_the_actual_error_without_exaggeration(self, name, depth):
        network = oracles.random_network(depth, _WIDTHS[depth], name, gain=1.5)
        x = np.random.default_rng(depth).standard_normal((3, 4))
        outcome = _outcome(network, x)
        self._check(outcome)
        # Ten thousand roundings of the result: far below any margin that
        # matters.
        self.assertLess(
            np.max(outcome.margin_bound / outcome.size), 1e4 * _ROUNDOFF
        )
        self.assertLess(np.max(outcome.gradient_bound), 1e5 * _ROUNDOFF)

    @oracles.in_every_regime
    def test_covers_the_error_of_every_regime(self, compiled):
        names = ("tanh", "mish")
        network = oracles.random_network(1, _WIDTHS[3], names, gain=3.0)
        x = np.random.default_rng(1).standard_normal((4, 4))
        self._check(_outcome(network, x, compiled=compiled))

    @hypothesis.given(
        st.integers(0, 10**6),
        st.sampled_from(oracles.NAMES),
        st.sampled_from([*_WIDTHS]),
        st.floats(-6.0, 2.0),
        st.floats(-8.0, 4.0),
    )
    @hypothesis.settings(max_examples=60)
    def test_covers_it_at_any_scale(self, seed, name, depth, gain, size):
        network = oracles.random_network(
            seed, _WIDTHS[depth], name, gain=10.0**gain
        )
        x = np.random.default_rng(seed).standard_normal((1, 4)) * 10.0**size
        self._check(_outcome(network, x))

    @parameterized.product(
        name=("linear", "tanh", "softplus"),
        gain=(1e-160, 1e-30, 1e30),
        size=(0.0, 1e-310, 1e-160, 1.0, 1e30),
        depth=(1, 2, 3),
    )
    def test_covers_it_at_absurd_scales(self, name, gain, size, depth):
        network = oracles.random_network(0, _WIDTHS[depth], name, gain=gain)
        x = np.random.default_rng(2).standard_normal((1, 4)) * size
        outcome = _outcome(network, x)
        self.assertFalse(np.any(outcome.margin_error > outcome.margin_bound))
        self.assertFalse(
            np.any(outcome.gradient_error > outcome.gradient_bound)
        )

    @parameterized.parameters(1e-200, 1e-160, 1e-150)
    def test_covers_what_is_lost_when_squares_underflow(self, size):
        # Found here: the norm of a vector of 1e-160s is computed as zero.
        kernel = np.asarray([[1.0, 0.0], [1.0 / 3.0, 0.0], [1.0 / 7.0, 0.0]])
        network = networks.Network(
            [networks.Affine(kernel=kernel, bias=np.zeros(2))], []
        )
        x = np.asarray([[0.1, 0.7, 0.3], [1.1, -2.0 / 3.0, 0.9]]) * size
        outcome = _outcome(network, x)
        self.assertGreater(np.max(outcome.margin_error), 0.0)
        self._check(outcome)

    @parameterized.product(seed=(0, 1, 2), depth=(*_WIDTHS,))
    def test_covers_kernels_known_up_to_an_error(self, seed, depth):
        network = oracles.random_network(
            seed, _WIDTHS[depth], "tanh", errors=1e-3
        )
        x = np.random.default_rng(seed).standard_normal((3, 4))
        outcome = _outcome(network, x, seed=seed)
        self._check(outcome)
        self.assertGreater(np.min(outcome.margin_error), 1e-8)
        self.assertLess(np.max(outcome.margin_bound), 0.5)

    def test_an_error_of_a_kernel_may_come_true(self):
        # One number a layer, off by all that it may be off.
        error = 1e-3
        affines = [
            networks.Affine(
                kernel=np.asarray([[1.0]]),
                bias=np.zeros(1),
                kernel_error=error,
                bias_error=error,
            ),
            networks.Affine(
                kernel=np.asarray([[1.0, 0.0]]),
                bias=np.zeros(2),
                kernel_error=error,
                bias_error=error,
            ),
        ]
        network = networks.Network(affines, [networks.activation("linear")])
        _, bound = _evaluate(network, np.asarray([[2.0]]), 0, 1)
        # f = ((1 + e) 2 + e) (1 + e) + e - (-e), and the other column's
        # kernel off by nothing: the Frobenius norm is shared.
        exact = ((1.0 + error) * 2.0 + error) * (1.0 + error) + error - 2.0
        self.assertGreaterEqual(bound.margin[0], exact)
        self.assertLess(bound.margin[0], 2.0 * exact)
        slope = (1.0 + error) ** 2 - 1.0
        self.assertGreaterEqual(bound.gradient[0], slope)
        self.assertLess(bound.gradient[0], 2.0 * slope)

    @parameterized.product(name=("tanh", "softplus"), sign=(-1.0, 1.0))
    def test_covers_activations_as_inexact_as_they_may_be(self, name, sign):
        known = networks.activation(name)
        off = sign * 0.99 * EVALUATION_ROUNDOFFS * _ROUNDOFF
        worst = dataclasses.replace(
            known,
            value=lambda x: known.value(x) + off * (1.0 + tf.abs(x)),
            slope=lambda x: known.slope(x) + off,
        )
        # Zero inputs and one unit leave little else to err.
        affines = [
            networks.Affine(kernel=np.ones((1, 1)), bias=np.asarray([0.3])),
            networks.Affine(kernel=np.asarray([[1.0, 0.0]]), bias=np.zeros(2)),
        ]
        network = networks.Network(affines, [worst])
        self._check(_outcome(network, np.zeros((1, 1))))

    @parameterized.parameters(1e-6, 1e-3, 0.1)
    def test_grows_with_the_error_of_the_kernels(self, error):
        x = np.random.default_rng(0).standard_normal((4, 4))
        found = [
            _evaluate(
                oracles.random_network(0, _WIDTHS[3], "tanh", errors=each),
                x,
                0,
                1,
            )[1]
            for each in (0.0, error, 2.0 * error)
        ]
        for smaller, larger in zip(found, found[1:]):
            self.assertTrue(np.all(larger.margin > smaller.margin))
            self.assertTrue(np.all(larger.gradient > smaller.gradient))

    def test_what_is_not_finite_is_not_covered(self):
        network = oracles.random_network(0, _WIDTHS[3], "tanh")
        for entry in (np.nan, np.inf):
            x = np.ones((2, 4))
            x[1, 2] = entry
            _, bound = _evaluate(network, x, 0, 1)
            for error in bound:
                self.assertTrue(np.isfinite(error[0]))
                self.assertFalse(np.isfinite(error[1]))


class ForwardErrorTest(parameterized.TestCase):
    @parameterized.product(name=("tanh", "gelu", "softsign"), depth=(2, 3, 4))
    def test_covers_pre_activations_and_features(self, name, depth):
        network = oracles.random_network(7, _WIDTHS[depth], name, gain=2.0)
        x = np.random.default_rng(7).standard_normal((1, 4))
        forward = network.forward(tf.constant(x))
        found = networks.forward_error(network, forward)
        self.assertLen(found.pre_activations, depth - 1)
        with mp.workdps(oracles.DIGITS):
            a = _exact(x[0])
            for affine, computed, bound in zip(
                network.affines, forward.pre_activations, found.pre_activations
            ):
                exact = a @ _exact(affine.kernel) + _exact(affine.bias)
                error = _norm(exact - _exact(computed[0]))
                self.assertLessEqual(float(error), float(bound[0]))
                a = np.asarray([oracles.derivative(name, v) for v in exact])
            error = float(_norm(a - _exact(forward.features.numpy()[0])))
        self.assertLessEqual(error, float(found.features[0]))

    def test_a_network_without_hidden_layers_has_exact_features(self):
        network = oracles.random_network(0, _WIDTHS[1], ())
        x = tf.ones([2, 4], tf.float64)
        found = networks.forward_error(network, network.forward(x))
        self.assertEqual(found.pre_activations, [])
        np.testing.assert_array_equal(found.features, [0.0, 0.0])


class AffineErrorTest(parameterized.TestCase):
    @hypothesis.given(st.integers(0, 10**6), st.floats(0.0, 1.0))
    @hypothesis.settings(max_examples=60)
    def test_covers_inexact_rows(self, seed, distance):
        network = oracles.random_network(seed, (5, 4), (), errors=1e-4)
        rng = np.random.default_rng(seed)
        computed = rng.standard_normal((1, 5))
        step = rng.standard_normal(5)
        step *= distance * (1.0 - 1e-12) / np.linalg.norm(step)
        logits = network.logits(tf.constant(computed)).numpy()[0]
        with mp.workdps(oracles.DIGITS):
            ((kernel, bias),) = _perturbed(network, seed)
            exact = (_exact(computed[0]) + _exact(step)) @ kernel + bias
            error = float(_norm(exact - _exact(logits)))
        bound = networks.affine_error(
            network,
            0,
            tf.constant(computed),
            tf.constant([distance], tf.float64),
            _ROUNDOFF,
        )
        self.assertLessEqual(error, float(bound[0]))

    def test_a_coarser_arithmetic_errs_more(self):
        network = oracles.random_network(0, (5, 4), ())
        row, exact = tf.ones([1, 5], tf.float64), tf.zeros([1], tf.float64)
        fine = networks.affine_error(network, 0, row, exact, 2.0**-53)
        coarse = networks.affine_error(network, 0, row, exact, 2.0**-24)
        ratio = float(coarse[0] / fine[0])
        self.assertAlmostEqual(ratio / 2.0**29, 1.0, delta=1e-6)
        single = network.logits(tf.cast(row, tf.float32)).numpy()
        error = np.linalg.norm(single - network.logits(row).numpy())
        self.assertLessEqual(error, float(coarse[0]))


if __name__ == "__main__":
    absltest.main()
