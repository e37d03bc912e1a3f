"""Tests of decisions on properties, against dense grids of inputs."""

from fractions import Fraction
import functools
import itertools
from unittest import mock

from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import numpy as np
import tensorflow as tf

from tfcurv import errors
from tfcurv import networks
from tfcurv.certificates.properties import attack
from tfcurv.certificates.properties import bisection
from tfcurv.certificates.properties import boxes
from tfcurv.certificates.properties import decision
from tfcurv.certificates.properties import unsafe_graph
from tfcurv.certificates.properties.decision import Verdict
from tfcurv.certificates.properties.statement import Constraint
from tfcurv.certificates.properties.statement import Region
from tfcurv.networks import Kind
from tfcurv.networks import LinearStep
from tfcurv.networks import Node

_RANDOM = np.random.default_rng(0)
_FIRST = _RANDOM.normal(size=(2, 8))
_BIAS = _RANDOM.normal(size=8)
_SECOND = _RANDOM.normal(size=(8, 2)) / 2.0

# On two outputs: both signs of each, and of their difference.
_CONSTRAINTS = tuple(
    Constraint(
        tuple((j, Fraction(w)) for j, w in enumerate(weights) if w),
        Fraction(bound),
    )
    for weights, bound in (
        ((1, 0), "0.3"),
        ((-1, 0), "-0.1"),
        ((0, 1), "-0.2"),
        ((0, -1), "-0.4"),
        ((1, -1), "0.1"),
        ((-1, 1), "-1/3"),
    )
)


def _network():
    def linear(source, kernel, bias):
        step = LinearStep(networks.Dense(kernel=kernel), bias)
        return Node(Kind.LINEAR, (source,), bias.shape, step=step)

    relu = Node(Kind.ACTIVATION, (1,), (8,), activation=networks.RELU)
    nodes = (
        Node(Kind.INPUT, (), (2,)),
        linear(0, _FIRST, _BIAS),
        relu,
        linear(2, _SECOND, np.zeros(2)),
    )
    return networks.GraphNetwork(networks.Graph(nodes=nodes))


def _outputs(x):
    return np.maximum(x @ _FIRST + _BIAS, 0.0) @ _SECOND


def _execute(x):
    return _outputs(x).astype(np.float32)


def _solver():
    return decision.Solver(_network(), _CONSTRAINTS, _execute)


def _slacks(x):
    """`[points, constraints]` by how much each holds."""
    y = _outputs(x)
    return np.stack(
        [
            float(bound) - sum(float(w) * y[:, j] for j, w in weights)
            for weights, bound in _CONSTRAINTS
        ],
        axis=-1,
    )


def _grid(region):
    sides = [
        np.linspace(float(low), float(high), 81)
        for low, high in zip(region.lower, region.upper)
    ]
    return np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2)


def _most(regions):
    """The largest least slack of a clause on the grids: unsafe from 0 on."""
    return max(
        _slacks(_grid(region))[:, list(clause)].min(axis=-1).max()
        for region in regions
        for clause in region.clauses
    )


_SIDES = st.tuples(
    st.fractions(-2, 2, max_denominator=100),
    st.fractions(0, 1, max_denominator=100),
)
_CLAUSES = st.lists(
    st.integers(0, len(_CONSTRAINTS) - 1), min_size=1, max_size=3, unique=True
)


def _region(sides, clauses):
    return Region(
        tuple(low for low, _ in sides),
        tuple(low + width for low, width in sides),
        tuple(map(tuple, clauses)),
    )


_REGIONS = st.builds(
    _region,
    st.tuples(_SIDES, _SIDES),
    st.lists(_CLAUSES, min_size=1, max_size=3),
)


class DecisionTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.solver = _solver()

    @hypothesis.settings(deadline=None, max_examples=12, derandomize=True)
    @hypothesis.given(st.lists(_REGIONS, min_size=1, max_size=2))
    def test_is_what_a_dense_grid_says(self, regions):
        found = self.solver.decide(regions, 20.0)
        most = _most(regions)
        if found.verdict is Verdict.HOLDS:
            self.assertLess(most, 0.0)
        elif found.verdict is Verdict.VIOLATED:
            self.assert_is_witness(found.witness, regions)
        # Only where it hangs by a thread nothing is known.
        if abs(most) > 0.02:
            expected = Verdict.VIOLATED if most > 0.0 else Verdict.HOLDS
            self.assertIs(found.verdict, expected)

    def assert_is_witness(self, witness, regions):
        x, y = witness
        self.assertAllEqual(y, _execute(x[np.newaxis])[0])
        slacks = _slacks(x[np.newaxis])[0]
        inside = [
            region
            for region in regions
            if all(
                low <= Fraction(float(each)) <= high or low == high
                for low, each, high in zip(region.lower, x, region.upper)
            )
        ]
        self.assertTrue(
            any(
                np.all(slacks[list(clause)] >= 0.0)
                for region in inside
                for clause in region.clauses
            )
        )

    def _region_of(self, clauses, margin):
        """A box around the place where clauses have the least slack."""
        x = _grid(_region([(-2, 4)] * 2, [])).astype(np.float64)
        slack = np.max(
            [_slacks(x)[:, list(clause)].min(axis=-1) for clause in clauses],
            axis=0,
        )
        centre = [Fraction(float(e)) for e in x[np.argmin(slack)]]
        return Region(
            tuple(e - margin for e in centre),
            tuple(e + margin for e in centre),
            tuple(clauses),
        )

    def test_excludes_a_clause_by_any_of_its_constraints(self):
        region = self._region_of([(0, 1), (4, 5)], Fraction(1, 4))
        self.assertLess(_most([region]), 0.0)
        self.assertIs(self.solver.decide([region], 9.0).verdict, Verdict.HOLDS)

    @parameterized.parameters(([0, 1],), ([1, 0],))
    def test_one_region_that_is_open_leaves_all_unknown(self, order):
        region = self._region_of([(0, 1), (4, 5)], Fraction(1, 4))
        found = [[(False, None), (True, None)][i] for i in order]
        with mock.patch.object(decision.Solver, "_proved", side_effect=found):
            decided = self.solver.decide([region] * 2, 9.0)
        self.assertIs(decided.verdict, Verdict.UNKNOWN)

    def test_an_execution_that_is_safe_refutes_nothing(self):
        region = _region([(Fraction(-2), Fraction(4))] * 2, [(0,)])
        self.assertGreater(_most([region]), 0.1)
        with mock.patch.object(
            self.solver, "_execute", lambda x: np.full((len(x), 2), 9.0)
        ):
            found = self.solver.decide([region], 0.5)
        self.assertIs(found.verdict, Verdict.UNKNOWN)

    def test_a_tie_is_neither(self):
        point = _region([(Fraction(1), Fraction(0))] * 2, [(0,)])
        y = _outputs(np.ones((1, 2)))[0]
        exact = Constraint(((0, Fraction(1)),), Fraction(float(y[0])))
        # That the model finds it unsafe is not enough.
        solver = decision.Solver(
            _network(), [exact], lambda x: _execute(x) - np.float32(1.0)
        )
        found = solver.decide([point], 20.0)
        self.assertIs(found.verdict, Verdict.UNKNOWN)

    def test_without_constraints_every_input_is_unsafe(self):
        region = _region([(Fraction(0), Fraction(1))] * 2, [()])
        found = self.solver.decide([region], 9.0)
        self.assertIs(found.verdict, Verdict.VIOLATED)
        self.assertIs(self.solver.decide([], 9.0).verdict, Verdict.HOLDS)

    def test_decides_by_branches_too(self):
        regions = [
            _region([(Fraction(-1), Fraction(2))] * 2, [(k, k + 1)])
            for k in range(0, len(_CONSTRAINTS), 2)
        ]
        regions += [self._region_of([(k,)], Fraction(3, 4)) for k in (0, 3, 4)]
        with mock.patch.object(decision, "_MOST_HALVED", 0):
            for region in regions:
                found = self.solver.decide([region], 9.0)
                most = _most([region])
                if found.verdict is Verdict.HOLDS:
                    self.assertLess(most, 0.0)
                elif found.verdict is Verdict.VIOLATED:
                    self.assert_is_witness(found.witness, [region])
                elif len(region.clauses[0]) == 1:
                    self.assertLess(abs(most), 0.02)


class UnsafeGraphTest(tf.test.TestCase):
    def test_gives_how_far_constraints_hold(self):
        graph = unsafe_graph.unsafe_graph(_network().graph, _CONSTRAINTS)
        x = np.random.default_rng(3).normal(size=(5, 2))
        value, error = networks.enclosed_logits(graph, tf.constant(x))
        self.assertAllClose(value[:, :-1], _slacks(x), rtol=1e-12)
        self.assertAllEqual(value[:, -1], np.zeros(5))
        self.assertAllLess(error, 1e-12)

    def test_tells_what_is_rounded(self):
        def last(*constraints):
            found = unsafe_graph.unsafe_graph(_network().graph, constraints)
            return found.nodes[-1].step

        half = Constraint(((0, Fraction(1, 2)),), Fraction(1, 4))
        third = Constraint(((0, Fraction(1, 3)),), Fraction(1, 10))
        exact, rounded = last(half), last(half, third)
        self.assertEqual((exact.roundings, exact.bias_error), (0, 0.0))
        self.assertEqual(rounded.roundings, 1)
        missed = abs(Fraction(0.1) - Fraction(1, 10))
        self.assertGreaterEqual(Fraction(rounded.bias_error), missed)
        self.assertLess(rounded.bias_error, 2.0 * float(missed))

    def test_refuses_numbers_beyond_float64(self):
        tiny = Constraint(((0, Fraction(1, 10**300)),), Fraction(0))
        with self.assertRaisesRegex(errors.InvalidPropertyError, "10"):
            unsafe_graph.unsafe_graph(_network().graph, [tiny])


@functools.cache
def _halving():
    """Lines and an attack on the constraints."""
    graph = unsafe_graph.unsafe_graph(_network().graph, _CONSTRAINTS)
    lines = boxes.BoxLines(graph, decision.Rules(ball=False), "linf")
    return lines, attack.BoxAttack(networks.GraphNetwork(graph))


class BisectionTest(tf.test.TestCase):
    """Without a judge, so that no attack hides what is wrongly proved."""

    def decide(self, region, turns=12):
        table = np.zeros((len(region.clauses), len(_CONSTRAINTS)), bool)
        for row, clause in zip(table, region.clauses):
            row[list(clause)] = True
        halving = bisection.Bisection(*_halving(), table)
        box = boxes.outward(region.lower, region.upper)
        count = itertools.count(1)
        return halving(box, lambda x: None, lambda: next(count) > turns)

    @hypothesis.settings(deadline=None, max_examples=40, derandomize=True)
    @hypothesis.given(_REGIONS)
    def test_proves_nothing_that_a_point_refutes(self, region):
        is_proved, witness = self.decide(region)
        self.assertIsNone(witness)
        if is_proved:
            self.assertLess(_most([region]), 0.0)

    def test_leaves_out_no_part_of_a_box(self):
        random = np.random.default_rng(6)
        low = random.uniform(-1.0, 1.0, (20, 3))
        box = boxes.Box(low, low + random.uniform(0.0, 1.0, (20, 3)))
        parts, kept = bisection._halved(box, random.normal(size=(20, 3)))
        self.assertTrue(kept.all())
        share = random.uniform(0.0, 1.0, (200, 20, 3))
        x = np.clip(low + share * (box.high - low), low, box.high)
        inside = [
            np.all((part.low <= x) & (x <= part.high), axis=-1)
            for part in (parts.rows(slice(20)), parts.rows(slice(20, 40)))
        ]
        self.assertTrue(np.all(inside[0] | inside[1]))
        # Nor is one of the two all of it.
        self.assertFalse(np.any(np.all(inside, axis=1)))

    def test_proves_of_its_parts_what_lines_do_not_of_a_box(self):
        whole = [(Fraction(-1), Fraction(2))] * 2
        regions = [_region(whole, [(k,)]) for k in range(len(_CONSTRAINTS))]
        regions = [each for each in regions if -0.5 < _most([each]) < -0.02]
        decided = [
            (self.decide(each, turns=1)[0], self.decide(each, turns=60)[0])
            for each in regions
        ]
        self.assertTrue(all(late for _, late in decided))
        self.assertIn((False, True), decided)


class BoxLinesTest(tf.test.TestCase):
    def test_bounds_of_boxes_hold_and_nearly_touch_small_ones(self):
        lines, _ = _halving()
        random = np.random.default_rng(4)
        low = random.uniform(-1.0, 1.0, (6, 2))
        # One input moves a hundred times as far as the other.
        box = boxes.Box(low, low + [[1e-3, 0.1]])
        zero = np.full(6, len(_CONSTRAINTS), np.int32)
        found = lines.margins(box.middle, zero, box.reach)[:, :-1]
        shares = random.uniform(0.0, 1.0, (500, 1, 2))
        points = box.low + shares * (box.high - box.low)
        slack = _slacks(points.reshape(-1, 2)).reshape(500, 6, -1)
        least = (-slack).min(axis=0)
        self.assertAllLessEqual(found - least, 0.0)
        self.assertAllLess(least - found, 0.1)


if __name__ == "__main__":
    tf.test.main()
