"""Tests of tfcurv.certificates.complete: bounds of branches, and the search."""

import functools
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from scipy import optimize

import random_graphs
import relu_oracle as oracle
from tfcurv import networks
from tfcurv.bounds.propagation.ball_box import Rules
from tfcurv.certificates.complete.branches import Branches
from tfcurv.certificates.complete.duals import Duals
from tfcurv.certificates.complete.search import BranchAndBound

_THREATS = (("l2", None), ("linf", None), ("linf", (-0.5, 0.6)))
_SMALL = oracle.layers((4, 8, 8, 3), seed=1)
_GRAPHS = {
    "dense": lambda: oracle.graph(_SMALL),
    "maxima": functools.partial(random_graphs.plain, fn=networks.RELU),
    "residual": functools.partial(random_graphs.residual, fn=networks.RELU),
}


def _duals(graph, norm="linf", domain=None, proves=True):
    return Duals(graph, Rules(), norm, domain, proves=proves)


def _inside(x, epsilon, norm, domain, random, count=400):
    """Returns points within epsilon of x, many of them at the border."""
    away = random.normal(size=(count, len(x)))
    if norm == "linf":
        away = np.clip(2.0 * away, -1.0, 1.0)
    else:
        away /= np.linalg.norm(away, axis=-1, keepdims=True)
    found = x + epsilon * away * random.uniform(size=(count, 1)) ** 0.2
    return found if domain is None else np.clip(found, *domain)


def _given(graph, x):
    """Returns `[points, neurons]` what each ReLU is given."""
    values = networks.values_of(graph, np.asarray(x))
    return np.concatenate(
        [
            values[node.sources[0]].numpy()
            for node in graph.nodes
            if node.kind is networks.Kind.ACTIVATION
            and node.activation is networks.RELU
        ],
        axis=-1,
    )


class BoundTest(parameterized.TestCase):
    @parameterized.product(kind=list(_GRAPHS), threat=_THREATS)
    def test_holds_in_every_branch_for_any_slopes_and_forces(
        self, kind, threat
    ):
        graph, (norm, domain) = _GRAPHS[kind](), threat
        random = np.random.default_rng(3)
        x = 0.4 * random.normal(size=(3, graph.input_dim))
        if domain is not None:
            x = np.clip(x, *domain)
        epsilon = np.array([0.05, 0.3, 0.8])
        duals = _duals(graph, norm, domain)
        roots = duals.roots(x, epsilon)
        low, high = duals.neurons(roots)
        tight, count = [], 12
        for i in range(3):
            points = _inside(x[i], epsilon[i], norm, domain, random)
            given = _given(graph, points)
            self.assertTrue(np.all((given >= low[i]) & (given <= high[i])))
            logits = networks.values_of(graph, points)[-1].numpy()
            # Signs of some point, at some neurons.
            own = random.integers(len(points), size=count)
            asked = random.uniform(size=(count, low.shape[1])) < 0.3
            signs = np.where(asked, np.sign(given[own]), 0.0)
            y, t = np.zeros(count, int), np.ones(count, int)
            table = random.uniform(size=(2, *signs.shape))
            found = duals.bounds(
                roots,
                Branches(np.full(count, i), y, t, signs, table[0], table[1]),
            )
            fits = np.all(signs[:, np.newaxis] * given >= 0.0, axis=-1)
            self.assertTrue(np.all(fits[np.arange(count), own]))
            margins = np.where(fits, logits[:, 0] - logits[:, 1], np.inf)
            least = margins.min(axis=-1)
            self.assertTrue(np.all(found <= least))
            tight.append(np.min(least - found))
        # Where nearly everything is linear they are nearly that; of maxima
        # that overlap little is known.
        self.assertLess(tight[0], 10.0 if kind == "maxima" else 1.0)

    @parameterized.parameters(0, 1, 2)
    def test_comes_close_to_the_linear_program_of_a_branch(self, seed):
        weights = oracle.layers((4, 8, 8, 3), seed=seed)
        graph, random = oracle.graph(weights), np.random.default_rng(seed)
        x, epsilon = 0.4 * random.normal(size=(1, 4)), 0.3
        duals = _duals(graph)
        roots = duals.roots(x, np.array([epsilon]))
        point = x[0] + epsilon * random.uniform(-1.0, 1.0, 4)
        signs = np.sign(_given(graph, point[np.newaxis]))
        expected = _least_of_branch(weights, x[0], epsilon, signs[0])
        searching = _duals(graph, proves=False)
        none = np.zeros(signs.shape)
        branch = Branches([0], [0], [1], signs, none, none)
        plain = duals.bounds(roots, branch)[0]
        found = searching.ascend(searching.taken(roots), branch, 400)
        best = duals.bounds(
            roots, branch._replace(slopes=found.slopes, forces=found.forces)
        )[0]
        self.assertAlmostEqual(best, float(found.bounds[0]), places=4)
        self.assertLessEqual(best, expected + 1e-7)
        self.assertLessEqual(plain, best + 1e-6)
        self.assertGreater(best, expected - 0.02 * (1.0 + expected - plain))

    def test_losses_are_heights_between_lines_and_relu(self):
        graph = oracle.graph(_SMALL)
        random = np.random.default_rng(0)
        x = (0.3 * random.normal(size=(1, 4))).astype(np.float32)
        duals = _duals(graph, proves=False)
        roots = duals.roots(x, np.array([0.4], np.float32))
        low, high = duals.neurons(roots)
        none = np.zeros(low.shape)
        branch = Branches([0], [0], [1], none, none + 0.3, none)
        losses = duals.look(roots, branch).losses[0]
        is_bent = (low[0] < 0.0) & (high[0] > 0.0)
        np.testing.assert_array_equal(losses >= 0.0, is_bent)
        # Of the last layer the weights are those of the logits.
        kernel = _SMALL[-1][0]
        for j, weight in enumerate(kernel[:, 0] - kernel[:, 1], 8):
            grid = np.linspace(low[0, j], high[0, j], 1001)
            chord = np.interp(grid, grid[[0, -1]], [0.0, high[0, j]])
            above = np.max(chord[grid <= 0.0], initial=0.0)
            below = min(
                np.maximum(grid, 0.0)[i] - 0.3 * grid[i] for i in (0, -1)
            )
            expected = -weight * above if weight < 0.0 else weight * below
            if is_bent[j]:
                self.assertAlmostEqual(losses[j], expected, delta=0.01)


def _least_of_branch(weights, x, epsilon, signs):
    """Returns the least margin where every ReLU has its sign, by an LP."""
    matrix, offset = np.eye(len(x)), np.zeros(len(x))
    rows, sides, start = [], [], 0
    for kernel, bias in weights[:-1]:
        matrix, offset = matrix @ kernel, offset @ kernel + bias
        sign = signs[start : start + len(bias)]
        start += len(bias)
        rows.append((-sign * matrix).T)
        sides.append(sign * offset)
        on = sign > 0.0
        matrix, offset = matrix * on, offset * on
    kernel, bias = weights[-1]
    cost = matrix @ (kernel[:, 0] - kernel[:, 1])
    found = optimize.linprog(
        cost,
        np.concatenate(rows),
        np.concatenate(sides),
        bounds=np.stack([x - epsilon, x + epsilon], axis=-1),
    )
    return (
        found.fun + offset @ (kernel[:, 0] - kernel[:, 1]) + bias[0] - bias[1]
    )


class SearchTest(parameterized.TestCase):
    @parameterized.parameters(0, 1, 2)
    def test_decides_as_mixed_integer_programming_does(self, seed):
        weights = oracle.layers((4, 10, 10, 3), seed=seed)
        graph = oracle.graph(weights)
        random = np.random.default_rng(seed)
        domain = (-1.0, 1.0)
        x = random.uniform(*domain, (24, 4))
        logits = oracle.evaluate(weights, x)[-1]
        y = np.argmax(logits, axis=-1).astype(np.int32)
        t = ((y + random.integers(1, 3, 24)) % 3).astype(np.int32)
        epsilon = random.uniform(0.02, 0.6, 24)
        least = np.array(
            [
                oracle.least_margin(weights, *each, domain)
                for each in zip(x, y, t, epsilon)
            ]
        )
        parts = (_duals(graph, "linf", domain, p) for p in (True, False))
        decides = BranchAndBound(*parts, most=2000)
        found = decides(x, y, t, epsilon)
        clear = np.abs(least) > 1e-4
        np.testing.assert_array_equal(found.proved[clear], least[clear] > 0.0)
        self.assertBetween(np.mean(least > 0.0), 0.2, 0.9)
        # Most of what is clearly refuted has a point, near and in the domain.
        (met,) = np.nonzero(np.isfinite(found.points[:, 0]))
        self.assertGreater(met.size, 0.6 * np.sum(least < -1e-3))
        away = np.abs(found.points - x).max(axis=-1)[met]
        self.assertTrue(np.all(away <= epsilon[met] + 1e-6))
        self.assertTrue(np.all(np.abs(found.points[met]) <= 1.0 + 1e-6))
        for i in met:
            logits = oracle.evaluate(weights, found.points[i])[-1]
            self.assertLess(logits[y[i]] - logits[t[i]], 1e-5)
        # Lines alone do not.
        first = BranchAndBound(decides._proving, decides._searching, most=1)
        alone = first(x, y, t, epsilon)
        self.assertFalse(np.any(alone.proved & (least < 0.0)))
        self.assertLess(np.sum(alone.proved), np.sum(found.proved))

    def test_leaves_what_comes_no_nearer(self):
        graph, random = oracle.graph(_SMALL), np.random.default_rng(0)
        x = random.uniform(-1.0, 1.0, (12, 4))
        logits = oracle.evaluate(_SMALL, x)[-1]
        y = np.argmax(logits, axis=-1).astype(np.int32)
        given = x, y, (y + 1) % 3, np.full(12, 0.5)
        parts = [_duals(graph, "linf", None, p) for p in (True, False)]
        all_, some = (
            BranchAndBound(*parts, most=300, halved=halved)(*given)
            for halved in (None, 6)
        )
        self.assertFalse(np.any(some.proved & ~all_.proved))
        self.assertLessEqual(some.branches.sum(), all_.branches.sum())
        quick = all_.proved & (all_.branches <= 6)
        np.testing.assert_array_equal(some.proved[quick], True)

    def test_what_float32_has_found_is_proved_in_float64_or_not_at_all(self):
        graph, x = oracle.graph(_SMALL), np.zeros((1, 4))
        y = np.array([np.argmax(oracle.evaluate(_SMALL, x)[-1])], np.int32)
        parts = [_duals(graph, "linf", None, p) for p in (True, False)]
        given = x, y, (y + 1) % 3, np.array([0.01])
        self.assertTrue(BranchAndBound(*parts, most=50)(*given).proved[0])
        nothing = np.full(1, -np.inf)
        with mock.patch.object(
            parts[0], "bounds", lambda _, b: np.repeat(nothing, len(b.point))
        ):
            found = BranchAndBound(*parts, most=50)(*given)
        self.assertFalse(found.proved[0])

    def test_says_nothing_of_what_is_no_number(self):
        weights = oracle.layers((4, 8, 3), seed=0)
        weights[0][0][0, 0] = 1e300
        graph = oracle.graph(weights)
        parts = (_duals(graph, "linf", None, p) for p in (True, False))
        found = BranchAndBound(*parts, most=20)(
            np.ones((1, 4)), *np.array([[0], [1]], np.int32), np.array([0.1])
        )
        self.assertFalse(found.proved[0])


if __name__ == "__main__":
    absltest.main()
