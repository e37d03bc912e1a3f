"""Tests that fail if one term of a bound is left out that others may hide.

Where every kernel and every bias may be off, the errors of some hide those of
others. Here one alone is off, by all that it may be.
"""

import dataclasses
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import bounds_oracles as oracles
from tfcurv import bounds
from tfcurv import networks
from tfcurv import solvers
from tfcurv.networks.functions.smooth import EVALUATION_ROUNDOFFS
from tfcurv.solvers import eigenvalues


def _affine(kernel, bias=None, **errors) -> networks.Affine:
    kernel = np.asarray(kernel, float)
    bias = np.zeros(kernel.shape[1]) if bias is None else np.asarray(bias)
    return networks.Affine(kernel=kernel, bias=bias, **errors)


def _network(affines, *names) -> networks.Network:
    return networks.Network(affines, [*map(networks.activation, names)])


def _evaluate(network, x):
    """Returns the margin of class 0 over class 1, its gradient, the bounds."""
    x = tf.constant(x, tf.float64)
    zero, one = tf.zeros([len(x)], tf.int32), tf.ones([len(x)], tf.int32)
    weights, bias = network.pair(zero, one, x.dtype)
    forward = network.forward(x)
    sizes = np.abs(network.affines[-1].bias)
    bound = networks.evaluation_error(
        network,
        forward,
        networks.forward_error(network, forward),
        network.backward(forward, weights),
        tf.fill([len(x)], tf.constant(sizes[0] + sizes[1], x.dtype)),
    )
    return network.evaluate(x, weights, bias), bound


class EvaluationErrorTest(parameterized.TestCase):
    @parameterized.product(
        name=oracles.CURVED, gain=(0.1, 1.0, 10.0), error=(1e-6, 1e-2)
    )
    def test_a_slope_errs_with_its_argument(self, name, gain, error):
        # Only the bias of the hidden layer is off, so only s' errs: by h e.
        fn = networks.activation(name)
        steepest = np.asarray(
            [*fn.curvature_critical, -3 * error, -error / 2, error / 2]
        )
        last = _affine([[2.0, 0.0]])
        stored, exact = (
            _network([_affine([[gain]], [shift], **errors), last], name)
            for shift, errors in (
                (0.0, {"bias_error": error}),
                (error, {}),
            )
        )
        x = (steepest / gain)[:, np.newaxis]
        found, bound = _evaluate(stored, x)
        truth, _ = _evaluate(exact, x)
        moved = np.abs(truth.gradient - found.gradient)[:, 0]
        self.assertTrue(np.all(moved <= bound.gradient))
        # Where s'' is largest the bound is attained.
        self.assertGreater(np.max(moved / bound.gradient), 0.9)

    def test_a_slope_errs_with_every_argument_before(self):
        # Two hidden layers: the error of the first reaches the second's s'.
        error, gain = 1e-3, 5.0
        stored, exact = (
            _network(
                [
                    _affine([[1.0]], [shift], **errors),
                    _affine([[gain]], [-gain / 2.0]),
                    _affine([[1.0, 0.0]]),
                ],
                "sigmoid",
                "softplus",
            )
            for shift, errors in (
                (0.0, {"bias_error": error}),
                (error, {}),
            )
        )
        found, bound = _evaluate(stored, [[0.0]])
        truth, _ = _evaluate(exact, [[0.0]])
        moved = abs(truth.gradient - found.gradient)[0, 0]
        self.assertLessEqual(moved, bound.gradient[0])
        self.assertGreater(moved, 0.6 * bound.gradient[0])

    def test_errors_of_features_and_weights_multiply(self):
        # The feature is 0, off by the bias's error; its weight is off too.
        error, share = 0.1, 1.0 / np.sqrt(2.0)
        hidden = _affine([[1.0]], bias_error=error)
        stored = _network(
            [hidden, _affine([[1.0, 0.0]], kernel_error=1.0)], "linear"
        )
        exact = _network(
            [_affine([[1.0]], [error]), _affine([[1.0 + share, -share]])],
            "linear",
        )
        found, bound = _evaluate(stored, [[0.0]])
        truth, _ = _evaluate(exact, [[0.0]])
        moved = abs(truth.margin - found.margin)[0]
        self.assertLessEqual(moved, bound.margin[0])
        self.assertGreater(moved, 0.9 * bound.margin[0])

    def test_two_biases_may_err_in_opposite_directions(self):
        share = 1.0 / np.sqrt(2.0)
        stored = _network([_affine([[0.0, 0.0]], bias_error=1.0)])
        exact = _network([_affine([[0.0, 0.0]], [share, -share])])
        found, bound = _evaluate(stored, [[0.0]])
        truth, _ = _evaluate(exact, [[0.0]])
        moved = abs(truth.margin - found.margin)[0]
        self.assertGreater(moved, 1.4)
        self.assertLessEqual(moved, bound.margin[0])

    def test_adding_a_large_bias_rounds(self):
        # 1/4 is lost beside 2**53: a whole quarter of a spacing.
        network = _network(
            [_affine([[0.25]], [2.0**53]), _affine([[1.0, 0.0]])], "linear"
        )
        x = tf.ones([1, 1], tf.float64)
        forward = network.forward(x)
        found = networks.forward_error(network, forward)
        lost = 0.25 - float(forward.pre_activations[0][0, 0] - 2.0**53)
        self.assertEqual(lost, 0.25)
        self.assertGreaterEqual(found.pre_activations[0][0], lost)


class KernelErrorTest(parameterized.TestCase):
    @parameterized.product(
        first=(0.0, 1.0), second=(0.0, 1.0), error=(1e-3, 0.5)
    )
    def test_chains_hold_for_what_errors_connect(self, first, second, error):
        # One unit a layer, in whose middle every slope is one.
        affines = [
            _affine([[value]], kernel_error=error) for value in (first, second)
        ]
        affines.append(_affine([[1.0, 0.0]]))
        network = _network(affines, "tanh", "tanh")
        constants = bounds.CurvatureBounder(network)._lipschitz
        self.assertGreaterEqual(constants[0], first + error)
        exact = (first + error) * (second + error)
        self.assertGreaterEqual(constants[1], exact)
        self.assertLess(constants[1], exact * (1.0 + 1e-6))

    @parameterized.parameters("tanh", "softplus", "gelu")
    def test_logits_bend_for_what_an_error_may_connect(self, name):
        # No logit reads the unit, as they are stored.
        error, fn = 0.1, networks.activation(name)
        network = _network(
            [_affine([[2.0]]), _affine([[0.0, 0.0]], kernel_error=error)], name
        )
        bounder = bounds.CurvatureBounder(network)
        exact = 4.0 * error * fn.curvature_range.magnitude
        for values in bounder.class_concavity_upper_bounds():
            self.assertTrue(np.all(values >= exact * (1.0 - 1e-12)))


# 1 + 2**-24 is a tie and rounds to 1 in float32.
_LOST = 2.0**-24


def _executed_error(stages, x) -> float:
    """What float32, adding from left to right, errs by in z_0 - z_1 at x."""
    exact, found = np.asarray(x, float), np.asarray(x, np.float32)
    for stage in stages:
        if isinstance(stage, networks.Affine):
            exact = exact @ stage.kernel + stage.bias
            terms = found[:, np.newaxis] * stage.kernel.astype(np.float32)
            terms = np.vstack([terms, stage.bias.astype(np.float32)])
            found = np.add.accumulate(terms, axis=0)[-1]
        elif isinstance(stage, networks.Scaling):
            exact = exact * stage.scale + stage.offset
            found = found * stage.scale.astype(np.float32)
            found = found + stage.offset.astype(np.float32)
        else:
            exact = stage.value(tf.constant(exact)).numpy()
            found = stage.value(tf.constant(found)).numpy()
    found = found.astype(np.float64)
    return abs((found[0] - found[1]) - (exact[0] - exact[1]))


def _execution_bound(stages, x, radius=0.0) -> float:
    """What that is said to err by at most in a ball around x."""
    execution = networks.Execution(stages)
    found = execution.margin_error(
        execution.trace(tf.constant([x], tf.float64)),
        tf.constant([0]),
        tf.constant([1]),
        tf.constant([radius], tf.float64),
    )
    return float(found[0])


def _losing_column(count) -> np.ndarray:
    """Weights of ones of which a sum from left to right loses all but one."""
    return np.asarray([[1.0], *[[_LOST]] * count])


def _cancelling(size, small, bias=0.0) -> networks.Affine:
    """Gives `small + bias` of three ones, of which float32 loses the first."""
    return _affine([[size], [small], [-size]], [bias])


class ExecutionTest(parameterized.TestCase):
    @parameterized.parameters(0, 1)
    def test_either_logit_may_lose_every_term_but_one(self, index):
        kernel = np.zeros((1001, 2))
        kernel[:, index : index + 1] = _losing_column(1000)
        stages, x = [_affine(kernel)], np.ones(1001)
        error = _executed_error(stages, x)
        self.assertEqual(error, 1000 * _LOST)
        bound = _execution_bound(stages, x)
        self.assertGreaterEqual(bound, error)
        self.assertLess(bound, 1.1 * error)

    def test_sums_may_round_more_at_the_rim_than_at_the_centre(self):
        stages = [_affine(np.pad(_losing_column(1000), ((0, 0), (0, 1))))]
        error = _executed_error(stages, np.ones(1001))
        radius = 1.001 * np.sqrt(1001.0)
        bound = _execution_bound(stages, np.zeros(1001), radius)
        self.assertGreaterEqual(bound, error)

    def test_a_layer_may_enlarge_the_ball_before_the_next(self):
        stages = [
            _affine(np.full((1, 1001), 128.0)),
            networks.activation("linear"),
            _affine(np.pad(_losing_column(1000), ((0, 0), (0, 1)))),
        ]
        error = _executed_error(stages, [1.0])
        self.assertEqual(error, 128 * 1000 * _LOST)
        self.assertGreaterEqual(_execution_bound(stages, [0.0], 1.0), error)

    @parameterized.parameters(1.0, 8.0)
    def test_what_cancels_in_one_layer_errs_in_the_next(self, gain):
        stages = [
            _cancelling(2.0**24, 1.0),
            networks.activation("linear"),
            _affine([[gain, 0.0]]),
        ]
        error = _executed_error(stages, np.ones(3))
        self.assertEqual(error, gain)
        self.assertGreaterEqual(_execution_bound(stages, np.ones(3)), error)

    def test_what_one_layer_loses_errs_in_the_next(self):
        stages = [
            _affine(_losing_column(1000)),
            networks.activation("linear"),
            _affine([[1.0, 0.0]]),
        ]
        error = _executed_error(stages, np.ones(1001))
        self.assertEqual(error, 1000 * _LOST)
        bound = _execution_bound(stages, np.ones(1001))
        self.assertGreaterEqual(bound, error)

    def test_what_cancels_in_one_layer_errs_in_all_that_follow(self):
        stages = [
            _cancelling(2.0**24, 1.0),
            networks.activation("linear"),
            _affine([[64.0]]),
            networks.activation("linear"),
            _affine([[1.0, 0.0]]),
        ]
        error = _executed_error(stages, np.ones(3))
        self.assertEqual(error, 64.0)
        self.assertGreaterEqual(_execution_bound(stages, np.ones(3)), error)

    def test_a_falling_activation_carries_errors_too(self):
        # gelu falls left of its minimum at -0.75: there, between zero at the
        # right end of what z may be and its steepest fall.
        name, small = "gelu", 2.0**-4
        stages = [
            _cancelling(2.0**20, small, -1.34375 - small),
            networks.activation(name),
            _affine([[1.0, 0.0]]),
        ]
        error = _executed_error(stages, np.ones(3))
        self.assertGreater(error, 0.1 * small)
        self.assertGreaterEqual(_execution_bound(stages, np.ones(3)), error)

    def test_an_activation_may_err_by_all_that_it_may(self):
        known = networks.activation("tanh")
        off = 0.99 * EVALUATION_ROUNDOFFS * 2.0**-24

        def inexact(x):
            value = known.value(x)
            return value + off if x.dtype == tf.float32 else value

        stages = [
            _affine([[1.0]]),
            dataclasses.replace(known, value=inexact),
            _affine([[1.0, 0.0]]),
        ]
        error = _executed_error(stages, [0.0])
        self.assertGreater(error, 0.9 * off)
        self.assertGreaterEqual(_execution_bound(stages, [0.0]), error)

    def test_a_scaling_rounds_beside_its_input(self):
        # Both (1 + e)^2 and the input lose e^2, and then the rest cancels.
        e = 2.0**-12
        stages = [
            networks.Scaling(
                scale=np.asarray([1.0 + e]), offset=np.asarray([-1.0 - 2.0 * e])
            ),
            _affine([[1.0, 0.0]]),
        ]
        x = [1.0 + e + 0.99 * e * e]
        error = _executed_error(stages, x)
        self.assertGreater(error, 1.9 * e * e)
        self.assertGreaterEqual(_execution_bound(stages, x), error)


class NormTest(absltest.TestCase):
    def test_the_rounding_of_squares_is_covered_by_its_own_term(self):
        # 1 + 1e5 * 2**-54, of which a sum from left to right loses all but
        # the one. Elsewhere the first margin above Lanczos' value hides it.
        count = 100_000
        row = np.full((1, count + 1), 2.0**-27)
        row[0, 0] = 1.0
        exact = np.sqrt(1.0 + count * 2.0**-54)
        self.assertLess(float((row @ row.T)[0, 0]), exact**2)
        with mock.patch.object(
            eigenvalues, "eigenvalue_upper_bound", lambda gram, _: np.max(gram)
        ):
            found = solvers.spectral_norm_upper_bound(row)
        self.assertGreaterEqual(found, exact)


if __name__ == "__main__":
    absltest.main()
