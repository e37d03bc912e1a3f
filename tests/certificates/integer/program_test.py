"""Tests of tfcurv.certificates.integer.program, by branch and bound."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import random_graphs
import relu_oracle
from tfcurv import networks
from tfcurv.bounds.propagation.ball_box import Rules
from tfcurv.certificates.complete.duals import Duals
from tfcurv.certificates.integer import program
from tfcurv.certificates.integer.program import Answer
from untraced import plain

_RANDOM = np.random.default_rng(0)


def _residual():
    """A convolution, a shortcut and a sum, between ReLUs."""
    build = random_graphs.Builder((4, 4, 1), 2)
    value = build.activate(
        build.convolution(0, 3, padding="same"), networks.RELU
    )
    inner = build.convolution(value, 3, padding="same")
    value = build.activate(build.add(inner, value), networks.RELU)
    build.dense(value, 3)
    return build.graph()


_WEIGHTS = relu_oracle.layers((5, 8, 7, 3), seed=4)
_GRAPHS = {
    "dense": lambda: relu_oracle.graph(_WEIGHTS),
    "residual": _residual,
}


def _program(graph, x, epsilon, domain=None):
    kind = plain(Duals, ("roots", "bounds", "sight", "ascent"))
    duals = kind(graph, Rules(), "linf", domain)
    roots = duals.roots(x[np.newaxis], np.array([epsilon]))
    return program.IntegerProgram(graph, roots, duals.kept)


def _margin(graph, x, y, t):
    logits = networks.logits_of(graph, tf.constant(x[np.newaxis])).numpy()[0]
    return logits[y] - logits[t]


class IntegerProgramTest(parameterized.TestCase):
    @parameterized.product(domain=[None, (0.0, 1.0)], seed=[0, 1, 2, 3])
    def test_agrees_with_the_least_margin(self, domain, seed):
        graph = _GRAPHS["dense"]()
        x = np.random.default_rng(seed).uniform(size=5)
        logits = relu_oracle.evaluate(_WEIGHTS, x)[-1]
        y = int(np.argmax(logits))
        answers = set()
        for epsilon in (0.02, 0.1, 0.3, 0.6):
            asked = _program(graph, x, epsilon, domain)
            for t in {0, 1, 2} - {y}:
                least = relu_oracle.least_margin(
                    *(_WEIGHTS, x, y, t, epsilon, domain)
                )
                solved = asked.ask(y, t, 60.0)
                answers.add(solved.answer)
                if abs(least) < 1e-5:
                    continue
                is_positive = solved.answer is Answer.POSITIVE
                self.assertEqual(is_positive, least > 0.0)
                if is_positive:
                    continue
                point = solved.point
                self.assertLess(_margin(graph, point, y, t), 1e-5)
                self.assertLessEqual(np.max(np.abs(point - x)), epsilon + 1e-9)
                if domain:
                    self.assertTrue(np.all(np.abs(point - 0.5) <= 0.5 + 1e-9))
        self.assertEqual(answers, {Answer.POSITIVE, Answer.POINT})

    @parameterized.named_parameters(*_GRAPHS.items())
    def test_no_point_of_the_box_is_better_than_what_is_positive(self, build):
        graph = build()
        positive = 0
        for _ in range(4):
            x = _RANDOM.uniform(size=graph.input_dim)
            logits = networks.logits_of(graph, tf.constant(x[np.newaxis]))
            y = int(np.argmax(logits))
            for epsilon in (0.03, 0.1):
                asked = _program(graph, x, epsilon)
                box = _RANDOM.uniform(-epsilon, epsilon, (3000, len(x)))
                box[1500:] = epsilon * np.sign(box[1500:])
                found = networks.logits_of(graph, tf.constant(x + box)).numpy()
                for t in {0, 1, 2} - {y}:
                    solved = asked.ask(y, t, 60.0)
                    least = np.min(found[:, y] - found[:, t])
                    if solved.answer is Answer.POSITIVE:
                        positive += 1
                        self.assertGreater(least, 0.0)
                    else:
                        at = _margin(graph, solved.point, y, t)
                        self.assertLess(at, 1e-5)
        self.assertGreater(positive, 3)

    @parameterized.parameters(1e-6, 1e6)
    def test_says_the_same_in_other_units(self, scale):
        (first, *second), last = _WEIGHTS[:2], _WEIGHTS[2]
        (second, bias), (kernel, offset) = second[0], first
        scaled = [
            (kernel * scale, offset * scale),
            (second / scale, bias),
            last,
        ]
        answers = set()
        for seed in range(6):
            x = np.random.default_rng(seed).uniform(size=5)
            logits = relu_oracle.evaluate(_WEIGHTS, x)[-1]
            y, t = np.argsort(logits)[[-1, -2]]
            for epsilon in (0.05, 0.2):
                least = relu_oracle.least_margin(_WEIGHTS, x, y, t, epsilon)
                asked = _program(relu_oracle.graph(scaled), x, epsilon)
                answer = asked.ask(y, t, 60.0).answer
                self.assertEqual(answer is Answer.POSITIVE, least > 0.0)
                answers.add(answer)
        self.assertLen(answers, 2)

    def test_a_relaxed_one_says_less(self):
        graph = _GRAPHS["dense"]()
        answers = []
        for seed in range(12):
            x = np.random.default_rng(seed).uniform(size=5)
            logits = relu_oracle.evaluate(_WEIGHTS, x)[-1]
            y, t = np.argsort(logits)[[-1, -2]]
            asked = _program(graph, x, 0.15)
            pair = [
                asked.ask(y, t, 60.0, relaxed=relaxed).answer
                for relaxed in (True, False)
            ]
            self.assertNotEqual(pair, [Answer.POSITIVE, Answer.POINT])
            answers.append(tuple(pair))
        # And may find points where there are none of the network's.
        self.assertIn((Answer.POINT, Answer.POSITIVE), answers)

    @parameterized.parameters(True, False)
    def test_neurons_that_are_all_off_give_nothing(self, has_relu):
        off = [(np.eye(2), np.full(2, -5.0))] if has_relu else []
        graph = relu_oracle.graph([*off, (np.eye(2), np.array([0.3, 0.1]))])
        asked = _program(graph, np.array([0.1, 0.1]), 0.05)
        self.assertIs(asked.ask(0, 1, 60.0).answer, Answer.POSITIVE)
        self.assertIs(asked.ask(1, 0, 60.0).answer, Answer.POINT)

    def test_without_time_nothing_is_said(self):
        sizes = (30, 60, 60, 60, 2)
        weights = relu_oracle.layers(sizes, seed=1)
        x = _RANDOM.uniform(size=30)
        y = int(np.argmax(relu_oracle.evaluate(weights, x)[-1]))
        asked = _program(relu_oracle.graph(weights), x, 0.08)
        self.assertIs(asked.ask(y, 1 - y, 1e-3).answer, Answer.OPEN)

    def test_other_bends_are_refused_by_name(self):
        for name, build in random_graphs.ALL.items():
            with self.subTest(name):
                self.assertRegex(program.refusal(build()), "crown")
        self.assertIsNone(program.refusal(_residual()))


if __name__ == "__main__":
    absltest.main()
