"""Tests of the search for the point that proves most."""

import dataclasses

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import scipy.optimize
import tensorflow as tf

from certificates_toys import network_of
from certificates_toys import predict
from certificates_toys import random_network
from tfcurv import bounds
from tfcurv import certificates

_THOROUGH = certificates.SearchOptions(
    fixed_point_steps=60, relative_tolerance=1e-6
)
_FIELDS = ("centre", "radius", "settled", "num_evaluations")


def _problem(network, x0, *, dtype=tf.float64, enough=np.inf, too_little=0.0):
    """The margins of the predicted class over the next one, modulo classes."""
    y = predict(network, x0)
    t = ((y + 1) % network.num_classes).astype(np.int32)
    weights, bias = network.pair(tf.constant(y), tf.constant(t), dtype)
    bounder = bounds.CurvatureBounder(network)
    curvature = [bounder.pair_concavity_upper_bound(*p) for p in zip(y, t)]
    return certificates.Problem(
        tf.constant(x0, dtype),
        weights,
        bias,
        tf.constant(curvature, dtype),
        tf.fill([len(x0)], tf.constant(enough, dtype)),
        tf.fill([len(x0)], tf.constant(too_little, dtype)),
    )


def _points(batch, dim, seed=0):
    return np.random.default_rng(seed).normal(size=(batch, dim))


def _find(network, problem, options=certificates.SearchOptions()):
    found = certificates.find_centre(network, problem, options)
    return type(found)(*(field.numpy() for field in found))


def _row(problem, index):
    return certificates.Problem(*(f[index : index + 1] for f in problem))


def _radius_at(network, problem, x) -> tf.Tensor:
    """R of one row's problem at a point `[1, dim]`."""
    evaluation = network.evaluate(x, problem.weights, problem.bias)
    return certificates.safe_ball_radius(
        evaluation, problem.x0 - x, problem.curvature
    )[0]


def _supremum(network, problem) -> float:
    """The largest R, by a general optimiser from several starts."""
    rng = np.random.default_rng(0)
    x0, best = problem.x0.numpy()[0], 0.0
    # Traced, for the optimiser asks thousands of times.
    radius = tf.function(
        lambda x: _radius_at(network, problem, x),
        input_signature=[tf.TensorSpec((1, x0.size), tf.float64)],
        autograph=False,
    ).get_concrete_function()
    for spread in (0.0, 0.3, 1.0):
        found = scipy.optimize.minimize(
            lambda x: -float(radius(tf.constant(x[np.newaxis]))),
            x0 + spread * rng.normal(size=x0.shape),
            method="Nelder-Mead",
            options={"xatol": 1e-7, "fatol": 1e-10, "maxfev": 400},
        )
        best = max(best, -found.fun)
    return best


class FindCentreTest(parameterized.TestCase):
    @parameterized.parameters(
        ("tanh", 1), ("softplus", 2), ("gelu", 2), ("sigmoid", 3)
    )
    def test_finds_the_supremum(self, activation, hidden):
        widths = [2, *[6] * hidden, 3]
        network = random_network(widths, activation, seed=1)
        problem = _problem(network, _points(3, 2, seed=1))
        found = _find(network, problem, _THOROUGH)
        for index, radius in enumerate(found.radius):
            best = _supremum(network, _row(problem, index))
            self.assertGreaterEqual(radius, best * (1.0 - 1e-4))

    def test_reports_the_radius_of_the_centre(self):
        network = random_network([3, 8, 3], "softplus", seed=2)
        problem = _problem(network, _points(6, 3))
        found = _find(network, problem)
        for index, (centre, radius) in enumerate(
            zip(found.centre, found.radius)
        ):
            again = float(
                _radius_at(network, _row(problem, index), centre[np.newaxis])
            )
            self.assertAlmostEqual(again, radius, delta=1e-12)

    def test_never_does_worse_than_the_closed_form(self):
        for seed in range(5):
            network = random_network([3, 8, 8, 3], "tanh", seed=seed, scale=4.0)
            problem = _problem(network, _points(10, 3, seed))
            found = _find(network, problem)
            for index, radius in enumerate(found.radius):
                row = _row(problem, index)
                at_x0 = float(_radius_at(network, row, row.x0))
                self.assertGreaterEqual(radius, at_x0 * (1.0 - 1e-12))

    @parameterized.parameters(tf.float32, tf.float64)
    def test_settles_at_once_at_a_hyperplane(self, dtype):
        kernel = np.random.default_rng(3).normal(size=(4, 3))
        network = network_of([(kernel, np.array([0.1, 0.2, 0.3]))])
        x0 = _points(8, 4)
        problem = _problem(network, x0, dtype=dtype)
        found = _find(network, problem)
        weights, bias = problem.weights.numpy(), problem.bias.numpy()
        margin = np.sum(x0 * weights, axis=-1) + bias
        distance = margin / np.linalg.norm(weights, axis=-1)
        correct = distance > 0.0
        np.testing.assert_allclose(
            found.radius[correct], distance[correct], rtol=1e-5
        )
        self.assertTrue(np.all(found.settled))
        self.assertLessEqual(np.max(found.num_evaluations), 3)

    def test_settles_where_it_converges(self):
        network = random_network([3, 8, 3], "softplus", seed=4, scale=1.0)
        problem = _problem(network, _points(20, 3))
        found = _find(network, problem)
        certified = found.radius > 0.0
        self.assertGreater(np.sum(certified), 5)
        self.assertTrue(np.all(found.settled[certified]))

    @parameterized.parameters("tanh", "softplus")
    def test_newton_steps_finish_what_has_not_settled(self, activation):
        network = random_network([4, 10, 3], activation, seed=5, scale=3.0)
        problem = _problem(network, _points(12, 4))
        few = dataclasses.replace(_THOROUGH, fixed_point_steps=3)
        without = _find(
            network, problem, dataclasses.replace(few, newton_steps=0)
        )
        longer = _find(
            network, problem, dataclasses.replace(few, newton_steps=8)
        )
        best = _find(network, problem, _THOROUGH)
        self.assertTrue(np.all(longer.radius >= without.radius))
        self.assertTrue(np.any(longer.radius > without.radius * 1.0001))
        self.assertFalse(np.all(without.settled))
        self.assertGreater(np.sum(longer.settled), np.sum(without.settled))
        near = longer.radius >= best.radius * (1.0 - 1e-4)
        self.assertGreater(np.mean(near), 0.8)

    def test_looks_at_the_last_newton_step(self):
        network = random_network([4, 10, 3], "tanh", seed=5, scale=3.0)
        problem = _problem(network, _points(12, 4))
        options = dataclasses.replace(
            _THOROUGH, fixed_point_steps=2, newton_steps=0
        )
        before = _find(network, problem, options)
        after = _find(
            network, problem, dataclasses.replace(options, newton_steps=1)
        )
        self.assertTrue(np.any(after.radius > before.radius * 1.001))

    def test_stops_where_the_radius_is_enough(self):
        network = random_network([3, 8, 3], "tanh", seed=6)
        x0 = _points(10, 3)
        free = _find(network, _problem(network, x0), _THOROUGH)
        enough = 0.9 * float(np.min(free.radius[free.radius > 0.0]))
        limited = _find(
            network, _problem(network, x0, enough=enough), _THOROUGH
        )
        reached = free.radius > 0.0
        self.assertTrue(np.all(limited.radius[reached] >= enough))
        self.assertLess(
            np.sum(limited.num_evaluations), np.sum(free.num_evaluations)
        )

    @parameterized.parameters(("tanh", 3.0, 12, 0), ("softplus", 3.0, 3, 6))
    def test_slow_elements_change_nothing_for_fast_ones(
        self, activation, scale, fixed_point_steps, newton_steps
    ):
        network = random_network([4, 10, 3], activation, seed=0, scale=scale)
        problem = _problem(network, _points(12, 4))
        options = certificates.SearchOptions(
            fixed_point_steps=fixed_point_steps,
            newton_steps=newton_steps,
            relative_tolerance=1e-3,
        )
        together = _find(network, problem, options)
        # Some are slow, and not all of them.
        self.assertGreater(len(set(together.num_evaluations)), 2)
        for index in range(12):
            alone = _find(network, _row(problem, index), options)
            for name in _FIELDS:
                np.testing.assert_allclose(
                    getattr(together, name)[index],
                    getattr(alone, name)[0],
                    rtol=1e-9,
                    err_msg=name,
                )

    @parameterized.parameters(np.nan, np.inf, 1e200)
    def test_a_row_that_is_not_finite_certifies_nothing_and_harms_none(
        self, value
    ):
        network = random_network([2, 6, 3], "softplus", seed=8)
        x0 = _points(4, 2)
        whole = _find(network, _problem(network, x0))
        problem = _problem(network, x0)
        broken = np.array(x0)
        broken[2] = value
        found = _find(network, problem._replace(x0=tf.constant(broken)))
        self.assertFalse(np.isnan(found.radius[2]))
        np.testing.assert_allclose(
            found.radius[[0, 1, 3]], whole.radius[[0, 1, 3]], rtol=1e-9
        )

    def test_an_empty_batch_gives_an_empty_result(self):
        network = random_network([2, 4, 3])
        found = _find(network, _problem(network, np.zeros((0, 2))))
        self.assertEqual(found.centre.shape, (0, 2))
        self.assertEqual(found.radius.shape, (0,))

    def test_compiled_it_finds_the_same(self):
        network = random_network([3, 8, 3], "gelu", seed=9)
        problem = _problem(network, _points(6, 3))
        compiled = tf.function(
            lambda p: certificates.find_centre(
                network, p, certificates.SearchOptions(fixed_point_steps=3)
            )
        )(problem)
        plain = _find(
            network, problem, certificates.SearchOptions(fixed_point_steps=3)
        )
        for name in _FIELDS:
            np.testing.assert_allclose(
                getattr(compiled, name), getattr(plain, name), rtol=1e-9
            )


class HessianProductTest(parameterized.TestCase):
    @parameterized.parameters("tanh", "softplus", "gelu", "elu", "mish")
    def test_is_the_dense_hessian_times_the_vector(self, activation):
        network = random_network([4, 6, 5, 3], activation, seed=10)
        x, v = tf.constant(_points(7, 4)), tf.constant(_points(7, 4, seed=1))
        weights, bias = network.pair(
            tf.zeros([7], tf.int32), tf.ones([7], tf.int32), tf.float64
        )
        found = certificates.hessian_product(
            lambda points: network.evaluate(points, weights, bias).margin, x, v
        )
        dense = bounds.hessian(network, x, 0, 1).numpy()
        exact = np.einsum("bij,bj->bi", dense, v.numpy())
        np.testing.assert_allclose(found, exact, rtol=1e-9, atol=1e-12)

    def test_of_a_linear_margin_is_zero(self):
        x = tf.constant(_points(3, 2))
        for margin in (
            lambda points: tf.reduce_sum(points, axis=-1),
            lambda points: 0.0 * points[:, 0] + 1.0,
        ):
            found = certificates.hessian_product(margin, x, x)
            np.testing.assert_array_equal(found, np.zeros((3, 2)))


if __name__ == "__main__":
    absltest.main()
