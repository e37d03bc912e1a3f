"""Tests of tfcurv.networks.flow against graphs that are simply computed."""

import functools

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import numpy as np
import tensorflow as tf

import bounds_oracles as oracles
from tfcurv import bounds
from tfcurv import networks

_CLASSES = 3
_SHAPE = (3, 4, 2)
_SIZE = 24

_seeds = st.integers(0, 2**32 - 1)


class _Twin:
    """A graph, built by `Flow` and as functions of x, side by side."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        self.flow = networks.Flow(_SIZE)
        self.values = [(self.flow.input, lambda x: x)]

    def _pick(self):
        return self.values[self.rng.integers(len(self.values))]

    def linear(self, value, outputs=None):
        """Adds a matrix or, among samples of one shape, a convolution."""
        found, plain = value
        if outputs is None and found.size == _SIZE and self.rng.random() < 0.6:
            kernel = self.rng.normal(size=(2, 2, 2, 2)) * 0.5
            linear = networks.Convolution(
                kernel=kernel, input_shape=_SHAPE, padding="same"
            )
        else:
            shape = found.size, outputs or _SIZE
            kernel = self.rng.normal(size=shape) / np.sqrt(found.size)
            linear = networks.Dense(kernel=kernel)
        bias = self.rng.normal(size=linear.outputs)
        matrix = tf.constant(linear.materialise())
        return (
            self.flow.linear(found, linear, bias),
            lambda x: plain(x) @ matrix + bias,
        )

    def activate(self, value, name=None):
        found, plain = value
        fn = networks.activation(name or self.rng.choice(oracles.CURVED))
        return self.flow.activate(found, fn), lambda x: fn.value(plain(x))

    def add(self, first, second):
        return (
            self.flow.add([first[0], second[0]]),
            lambda x: first[1](x) + second[1](x),
        )

    def concatenate(self, first, second):
        joined = self.flow.concatenate(
            [first[0], second[0]], [_SHAPE, _SHAPE], 2
        )

        def plain(x):
            shape = [-1, *_SHAPE]
            parts = [tf.reshape(p(x), shape) for p in (first[1], second[1])]
            return tf.reshape(tf.concat(parts, -1), [-1, 2 * _SIZE])

        return joined, plain

    def grow(self, steps: int):
        """Adds random values, all of one size."""
        for _ in range(steps):
            kind = self.rng.integers(4)
            if kind == 0:
                new = self.linear(self._pick())
            elif kind == 1:
                new = self.activate(self.linear(self._pick()))
            elif kind == 2:
                new = self.add(self._pick(), self._pick())
            else:
                pair = self.concatenate(self._pick(), self._pick())
                new = self.linear(pair)
            self.values.append(new)
        return self

    def finish(self):
        """Returns the network and the function."""
        last = self.linear(self.values[-1], _CLASSES)
        return self.flow.network(last[0]), last[1]


def _points(seed: int, count: int = 12) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, _SIZE)) * 10 ** rng.uniform(-1, 1)


def _hessians(plain, x) -> tf.Tensor:
    """Returns Hessians of z_0 - z_1 by differentiating twice."""
    x = tf.convert_to_tensor(x)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            logits = plain(x)
            margin = logits[:, 0] - logits[:, 1]
        gradient = inner.gradient(
            margin, x, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
    return outer.batch_jacobian(gradient, x)


def _residual(seed: int, steps: int = 2, name: str = "softplus"):
    """x + G s(x K + b), again and again, and a head behind s."""
    twin = _Twin(seed)
    value = twin.linear(twin.values[0])
    for _ in range(steps):
        inner = twin.activate(twin.linear(value), name)
        value = twin.add(value, twin.linear(inner))
    twin.values.append(twin.activate(value, name))
    return twin.finish()


class RandomGraphTest(absltest.TestCase):
    """Graphs of matrices, convolutions, activations, sums and joins."""

    @hypothesis.settings(max_examples=10, deadline=None)
    @hypothesis.given(seed=_seeds, steps=st.integers(1, 7))
    def test_logits_and_gradients_are_those_of_the_graph(self, seed, steps):
        network, plain = _Twin(seed).grow(steps).finish()
        x = tf.constant(_points(seed))
        expected = plain(x).numpy()
        size = 1e-11 * (1.0 + np.abs(expected).max())
        np.testing.assert_allclose(network.logits(x), expected, atol=size)
        y, t = tf.zeros([len(x)], tf.int32), tf.ones([len(x)], tf.int32)
        found = network.evaluate(x, *network.pair(y, t, x.dtype))
        with tf.GradientTape() as tape:
            tape.watch(x)
            logits = plain(x)
            margin = logits[:, 0] - logits[:, 1]
        gradient = tape.gradient(margin, x)
        np.testing.assert_allclose(found.margin, margin, atol=2 * size)
        np.testing.assert_allclose(found.gradient, gradient, atol=1e-9)

    @hypothesis.settings(max_examples=10, deadline=None)
    @hypothesis.given(seed=_seeds, steps=st.integers(1, 6))
    def test_bounds_contain_the_eigenvalues(self, seed, steps):
        network, plain = _Twin(seed).grow(steps).finish()
        found = bounds.CurvatureBounder(network).bounds(0, 1)
        eigenvalues = np.linalg.eigvalsh(_hessians(plain, _points(seed)))
        slack = 1e-10 * (found.upper - found.lower)
        self.assertGreaterEqual(np.min(eigenvalues), found.lower - slack)
        self.assertLessEqual(np.max(eigenvalues), found.upper + slack)

    @hypothesis.settings(max_examples=6, deadline=None)
    @hypothesis.given(seed=_seeds, steps=st.integers(1, 6))
    def test_the_closed_form_is_the_hessian(self, seed, steps):
        network, plain = _Twin(seed).grow(steps).finish()
        x = _points(seed, 3)
        found = bounds.hessian(network, tf.constant(x), 0, 1)
        expected = _hessians(plain, x)
        size = 1e-10 * (1.0 + np.abs(expected).max())
        np.testing.assert_allclose(found, expected, atol=size)

    @hypothesis.settings(max_examples=6, deadline=None)
    @hypothesis.given(seed=_seeds)
    def test_rounding_errors_are_bounded(self, seed):
        network, plain = _Twin(seed).grow(5).finish()
        x = tf.constant(_points(seed))
        roundoff = 2.0**-24
        allowed = networks.logit_error(network, network.forward(x), roundoff)
        single = network.logits(tf.cast(tf.cast(x, tf.float32), tf.float32))
        exact = plain(tf.cast(tf.cast(x, tf.float32), tf.float64))
        apart = np.abs(tf.cast(single, tf.float64) - exact).max(axis=-1)
        np.testing.assert_array_less(apart, allowed.numpy())


class SingleUnitTest(parameterized.TestCase):
    """w s(x) + v s(a s(x) + b x), whose second derivative is written down."""

    @parameterized.product(
        w=(-1.0, 2.0), v=(0.3, -1.5), a=(3.0, -2.0), b=(0.0, 0.7)
    )
    def test_bounds_contain_the_second_derivative(self, w, v, a, b):
        flow = networks.Flow(1)

        def scaled(value, factor):
            return flow.linear(
                value, networks.Dense(kernel=np.full((1, 1), factor))
            )

        first = flow.activate(flow.input, _TANH)
        joined = flow.add([scaled(first, a), scaled(flow.input, b)])
        second = flow.activate(joined, _TANH)
        halves = [scaled(first, 0.5 * w) for _ in range(2)]
        logit = flow.add([*halves, scaled(second, v)])
        head = networks.Dense(kernel=np.asarray([[1.0, 0.0]]))
        network = flow.network(flow.linear(logit, head))
        found = bounds.CurvatureBounder(network).bounds(0, 1)
        x = np.linspace(-6.0, 6.0, 10**5)
        s = np.tanh(x)
        slope, curvature = 1 - s**2, -2 * s * (1 - s**2)
        inner = np.tanh(a * s + b * x)
        inner_slope, bend = 1 - inner**2, -2 * inner * (1 - inner**2)
        second = w * curvature + v * (
            bend * (a * slope + b) ** 2 + inner_slope * a * curvature
        )
        self.assertLessEqual(second.max(), found.upper)
        self.assertGreaterEqual(second.min(), found.lower)
        # Of the size that they should be, and not of another.
        self.assertLess(found.upper, 10 * np.abs(second).max())


class ResidualTest(parameterized.TestCase):
    """Networks of residual blocks."""

    @parameterized.parameters("softplus", "tanh", "elu", "softsign")
    def test_no_point_found_by_climbing_leaves_the_bounds(self, name):
        network, plain = _residual(3, 1, name)
        hessians = tf.function(functools.partial(_hessians, plain))
        found = bounds.CurvatureBounder(network).bounds(0, 1)
        rng = np.random.default_rng(0)
        for sign, limit in ((1.0, found.upper), (-1.0, -found.lower)):
            x = _points(0, 16)
            best = np.full(len(x), -np.inf)
            for step in range(25):
                moved = rng.normal(size=x.shape) * 10 ** rng.uniform(-2, 0.5)
                other = x + (step > 0) * moved
                values = np.linalg.eigvalsh(sign * hessians(tf.constant(other)))
                better = values[:, -1] > best
                x = np.where(better[:, np.newaxis], other, x)
                best = np.maximum(best, values[:, -1])
            self.assertLessEqual(best.max(), limit * (1 + 1e-10))
            # Of the size that it should be, and not of another.
            self.assertGreater(best.max(), 0.02 * limit)

    def test_local_bounds_hold_in_their_balls(self):
        network, plain = _residual(5)
        local = bounds.LocalCurvature(network)
        rng = np.random.default_rng(1)
        x0 = _points(2, 4)
        radius = np.asarray([0.01, 0.1, 0.5, 2.0])
        ball = bounds.Ball(*map(tf.constant, (x0, radius, x0)))
        y, t = np.zeros(4, np.int32), np.ones(4, np.int32)
        a = local.concavity_upper_bounds(ball, y, t)
        everywhere = bounds.CurvatureBounder(network)
        self.assertLess(a[0], everywhere.pair_concavity_upper_bound(0, 1))
        centre = network.evaluate(
            tf.constant(x0), *network.pair(y, t, tf.float64)
        )
        for _ in range(200):
            d = rng.normal(size=x0.shape)
            d *= (radius * rng.uniform(0, 1, 4) / np.linalg.norm(d, axis=-1))[
                :, np.newaxis
            ]
            logits = plain(tf.constant(x0 + d)).numpy()
            margin = logits[:, 0] - logits[:, 1]
            linear = centre.margin + np.sum(centre.gradient * d, axis=-1)
            floor = linear - 0.5 * a * np.sum(d * d, axis=-1)
            np.testing.assert_array_less(floor - 1e-12, margin)

    def test_what_is_carried_costs_nothing(self):
        """A branch that adds zero leaves the bounds of the chain."""
        for name in ("softplus", "tanh"):
            found = []
            for carried in (0.0, None):
                twin = _Twin(7)
                first = twin.activate(twin.linear(twin.values[0], 9), name)
                second = twin.activate(twin.linear(first, 8), name)
                value = twin.linear(second, _CLASSES)[0]
                if carried is not None:
                    silent = networks.Dense(kernel=np.zeros((9, _CLASSES)))
                    skipped = twin.flow.linear(first[0], silent)
                    value = twin.flow.add([value, skipped])
                network = twin.flow.network(value)
                found.append(bounds.CurvatureBounder(network).bounds(0, 1))
            with_branch, chain = found
            self.assertLess(with_branch.upper, 1.3 * chain.upper)
            self.assertGreaterEqual(with_branch.upper, 0.999 * chain.upper)


class StructureTest(parameterized.TestCase):
    """What chains the graphs become."""

    def test_a_residual_sum_before_an_activation_is_one_map(self):
        twin = _Twin(0)
        first = twin.activate(twin.linear(twin.values[0]), "tanh")
        joined = twin.add(first, twin.linear(first))
        twin.values.append(twin.activate(joined, "tanh"))
        network, _ = twin.finish()
        self.assertEqual([fn.name for fn in network.activations], ["tanh"] * 2)

    def test_branches_of_one_depth_are_one_step(self):
        twin = _Twin(0)
        left = twin.activate(twin.linear(twin.values[0]), "tanh")
        right = twin.activate(twin.linear(twin.values[0]), "softplus")
        twin.values.append(twin.add(left, right))
        network, _ = twin.finish()
        self.assertLen(network.activations, 1)
        self.assertEqual(network.activations[0].name, "tanh:24+softplus:24")

    def test_what_the_logits_do_not_need_is_left_out(self):
        twin = _Twin(0)
        twin.activate(twin.linear(twin.values[0]), "tanh")
        network, _ = twin.finish()
        self.assertEmpty(network.activations)

    def test_a_linear_activation_is_none(self):
        twin = _Twin(0)
        twin.values.append(twin.activate(twin.values[0], "linear"))
        network, _ = twin.finish()
        self.assertLen(network.affines, 1)

    def test_matrices_are_fused_and_convolutions_remain_operators(self):
        flow = networks.Flow(_SIZE)
        scaling = networks.Diagonal(scale=np.full(2, 0.3), input_shape=_SHAPE)
        dense = networks.Dense(kernel=np.ones((_SIZE, 4)))
        value = flow.linear(flow.linear(flow.input, scaling), dense)
        network = flow.network(flow.linear(flow.activate(value, _TANH), _HEAD))
        self.assertIs(type(network.affines[0].linear), networks.Dense)
        kernel = np.ones((2, 2, 2, 3))
        conv = networks.Convolution(kernel=kernel, input_shape=_SHAPE)
        value = flow.linear(flow.linear(flow.input, scaling), conv)
        head = networks.Dense(kernel=np.ones((value.size, 3)))
        network = flow.network(flow.linear(flow.activate(value, _TANH), head))
        self.assertIs(type(network.affines[0].linear), networks.Composition)

    def test_errors_of_stored_weights_are_carried(self):
        exact = networks.Flow(_SIZE)
        dense = networks.Dense(kernel=np.ones((_SIZE, 4)))
        for roundings, expected in ((0, 0.0), (3, 3 * 2.0**-53)):
            value = exact.linear(exact.input, dense, roundings=roundings)
            network = exact.network(
                exact.linear(exact.activate(value, _TANH), _HEAD)
            )
            error = network.affines[0].kernel_error
            self.assertGreaterEqual(error, expected * np.sqrt(_SIZE * 4))
            self.assertLess(error, 1e-12 if roundings else 1e-300)

    @parameterized.parameters(
        ((-600, -600, 1000, 1000, 400, -600, -600), False),
        ((-600, -600, 1000, 1000, 400, -600, -600), True),
        ((-600, -600, 1000, 200), False),
    )
    def test_what_underflows_between_stages_bounds_nothing(
        self, exponents, is_operator
    ):
        """Scalings whose product is one, and whose partial products are 0."""
        flow = networks.Flow(4)
        value = flow.linear(
            flow.input, networks.Dense(kernel=np.eye(4)), np.full(4, 0.5)
        )
        for exponent in exponents:
            scale = np.full(2, 2.0**exponent)
            scaling = networks.Diagonal(scale=scale, input_shape=(2, 2))
            value = flow.linear(value, scaling)
        if is_operator:
            kernel = np.eye(2).reshape(1, 2, 2)
            conv = networks.Convolution(kernel=kernel, input_shape=(2, 2))
            value = flow.linear(value, conv)
        network = flow.network(flow.linear(flow.activate(value, _TANH), _HEAD))
        affine = network.affines[0]
        self.assertGreaterEqual(affine.kernel_error, 1.0)
        self.assertGreaterEqual(affine.bias_error, 0.5)

    def test_tiny_biases_round_like_others(self):
        flow = networks.Flow(1)
        first = networks.Dense(kernel=np.ones((1, 1)))
        value = flow.linear(flow.input, first, np.asarray([1.1e-170]))
        second = networks.Dense(kernel=np.full((1, 1), 1.3e170))
        value = flow.linear(value, second, np.asarray([0.7]))
        self.assertGreater(flow.network(value).affines[0].bias_error, 1e-16)

    def test_fused_biases_carry_their_rounding(self):
        flow = networks.Flow(2)
        first = networks.Dense(kernel=np.asarray([[1.0, 1e16], [1.0, -1e16]]))
        second = networks.Dense(kernel=np.ones((2, 2)))
        value = flow.linear(flow.input, first, np.asarray([0.1, 1e16]))
        value = flow.linear(value, second, np.asarray([0.3, 0.7]))
        affine = flow.network(value).affines[0]
        # 0.1 + 1e16 + 0.3 is 1e16 in float64.
        self.assertGreaterEqual(affine.bias_error, 0.4)


_TANH = networks.activation("tanh")
_HEAD = networks.Dense(kernel=np.ones((4, 3)))


if __name__ == "__main__":
    absltest.main()
