"""Tests of the bound on what float32 execution may err by in a ball."""

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import numpy as np
import tensorflow as tf

from tfcurv import networks

_ACTIVATIONS = ("softplus", "tanh", "sigmoid", "gelu", "elu", "softsign")


def _in_order(terms):
    return terms


def _by_sign(terms):
    """Positive terms first: partial sums as large as they can be."""
    return np.sort(terms, axis=0)[::-1]


def _by_size(terms):
    return np.take_along_axis(terms, np.argsort(-np.abs(terms), axis=0), 0)


_ORDERS = (_in_order, _by_sign, _by_size)


def _float32_sum(terms, order):
    """Adds float32 numbers one after the other, rounding each time."""
    return np.add.accumulate(order(terms.astype(np.float32)), axis=0)[-1]


def _executed(stages, x, order):
    """What float32 arithmetic may give for one point."""
    a = np.asarray(x, np.float32)
    for stage in stages:
        if isinstance(stage, networks.Affine):
            products = a[:, None] * stage.kernel.astype(np.float32)
            bias = stage.bias.astype(np.float32)[None]
            a = _float32_sum(np.concatenate([products, bias]), order)
        elif isinstance(stage, networks.Scaling):
            a = a * stage.scale.astype(np.float32)
            a = a + stage.offset.astype(np.float32)
        else:
            a = stage.value(tf.constant(a)).numpy()
    return a.astype(np.float64)


def _exact(stages, x):
    a = np.asarray(x, np.float64)
    for stage in stages:
        if isinstance(stage, networks.Affine):
            a = a @ stage.kernel + stage.bias
        elif isinstance(stage, networks.Scaling):
            a = a * stage.scale + stage.offset
        else:
            a = stage.value(tf.constant(a)).numpy()
    return a


def _affine(rng, inputs, outputs, scale=1.0, shift=0.0):
    """Weights that float32 holds exactly."""
    kernel = scale * (rng.normal(size=(inputs, outputs)) + shift)
    bias = rng.normal(size=outputs)
    return networks.Affine(
        kernel=kernel.astype(np.float32).astype(np.float64),
        bias=bias.astype(np.float32).astype(np.float64),
    )


def _margin_error(stages, x, y, t, radius):
    execution = networks.Execution(stages)
    trace = execution.trace(tf.constant(np.atleast_2d(x)))
    labels = (tf.constant([y]), tf.constant([t]))
    radii = tf.constant([radius], tf.float64)
    return float(execution.margin_error(trace, *labels, radii)[0])


class ExecutionTest(parameterized.TestCase):
    @hypothesis.settings(deadline=None, max_examples=60)
    @hypothesis.given(
        seed=st.integers(0, 2**20),
        widths=st.lists(st.integers(1, 40), min_size=2, max_size=4),
        name=st.sampled_from(_ACTIVATIONS),
        shift=st.sampled_from([0.0, 2.0]),
        radius=st.sampled_from([0.0, 1e-3, 1.0, 30.0]),
        scaled=st.booleans(),
    )
    def test_no_order_of_summation_errs_by_more_anywhere_in_the_ball(
        self, seed, widths, name, shift, radius, scaled
    ):
        rng = np.random.default_rng(seed)
        stages = []
        if scaled:
            ones = np.ones(widths[0])
            stages.append(networks.Scaling(scale=ones / 8, offset=ones / 4))
        for inputs, outputs in zip(widths, [*widths[1:], 3]):
            stages.append(_affine(rng, inputs, outputs, 3.0, shift))
            stages.append(networks.activation(name))
        stages.pop()
        x = rng.normal(size=widths[0])
        bound = _margin_error(stages, x, 0, 1, radius)
        for _ in range(4):
            step = rng.normal(size=len(x))
            point = x + radius * step / np.linalg.norm(step)
            # Rounding of the input is part of the execution.
            exact = _exact(stages, point)
            for order in _ORDERS:
                found = _executed(stages, point, order)
                error = abs((found[0] - found[1]) - (exact[0] - exact[1]))
                self.assertLessEqual(error, bound)

    def test_the_worst_order_comes_within_a_small_factor_of_the_bound(self):
        # Equal terms whose partial sums all round the same way.
        kernel = np.full((3000, 2), np.float32(0.1), np.float64)
        kernel[:, 1] = 0.0
        stages = [networks.Affine(kernel=kernel, bias=np.zeros(2))]
        x = np.ones(3000)
        found, exact = _executed(stages, x, _in_order), _exact(stages, x)
        bound = _margin_error(stages, x, 0, 1, 0.0)
        self.assertLessEqual(abs(found[0] - exact[0]), bound)
        self.assertGreater(abs(found[0] - exact[0]), bound / 40)

    def test_grows_with_the_ball(self):
        rng = np.random.default_rng(0)
        stages = [
            _affine(rng, 5, 7),
            networks.activation("tanh"),
            _affine(rng, 7, 3),
        ]
        x = rng.normal(size=5)
        errors = [
            _margin_error(stages, x, 0, 1, radius)
            for radius in (0.0, 0.1, 1.0, 10.0)
        ]
        self.assertEqual(errors, sorted(errors))
        self.assertGreater(errors[3], 2.0 * errors[0])

    @parameterized.parameters(1e30, 1e38)
    def test_is_infinite_where_float32_may_overflow(self, scale):
        rng = np.random.default_rng(0)
        stages = [_affine(rng, 4, 4, scale), _affine(rng, 4, 2, 1e10)]
        self.assertEqual(_margin_error(stages, np.ones(4), 0, 1, 1.0), np.inf)

    def test_numbers_that_float32_flushes_to_zero_are_counted(self):
        kernel = np.array([[1e-30, 0.0]])
        stages = [networks.Affine(kernel=kernel, bias=np.zeros(2))]
        bound = _margin_error(stages, np.array([1e-12]), 0, 1, 0.0)
        self.assertGreaterEqual(bound, 1e-42)

    def test_a_scaling_at_the_end_is_bounded_too(self):
        rng = np.random.default_rng(1)
        stages = [
            _affine(rng, 4, 3),
            networks.Scaling(scale=np.full(3, 0.3), offset=np.full(3, 0.7)),
        ]
        x = rng.normal(size=4)
        found = _executed(stages, x, _by_size)
        exact = _exact(stages, x)
        error = abs((found[0] - found[2]) - (exact[0] - exact[2]))
        bound = _margin_error(stages, x, 0, 2, 0.0)
        self.assertLessEqual(error, bound)
        self.assertLess(bound, 1e-4)


if __name__ == "__main__":
    absltest.main()
