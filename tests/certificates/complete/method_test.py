"""Tests of certify(method="complete")."""

import functools
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np

import random_graphs
import relu_oracle as oracle
import tfcurv
from tfcurv import certificates
from tfcurv import errors
from tfcurv import networks
from tfcurv.certificates.complete import search
from tfcurv.certificates.deciding.contract import Pairs

_LINF = certificates.Threat(norm="linf", domain=(0.0, 1.0))


@functools.cache
def _weights():
    return oracle.layers((5, 10, 10, 3), seed=4)


def _points(count=30):
    x = np.random.default_rng(2).uniform(size=(count, 5))
    logits = oracle.evaluate(_weights(), x)[-1]
    return x, np.argmax(logits, axis=-1).astype(np.int32)


@functools.cache
def _decided(method, threat=_LINF, **options):
    network = networks.GraphNetwork(oracle.graph(_weights()))
    options = certificates.CertifierOptions(**options)
    decider = certificates.Decider(
        certificates.choose(method, network, threat, options)
    )
    return decider(*_points())


class DecisionTest(absltest.TestCase):
    def test_decides_every_point(self):
        epsilon = 0.1
        options = {"enough": epsilon, "too_little": epsilon}
        found = _decided("complete", **options)
        x, y = _points()
        least = np.array(
            [
                min(
                    oracle.least_margin(
                        _weights(), each, label, t, epsilon, (0.0, 1.0)
                    )
                    for t in range(3)
                    if t != label
                )
                for each, label in zip(x, y)
            ]
        )
        clear = np.abs(least) > 1e-4
        np.testing.assert_array_equal(
            (found.radius > epsilon)[clear], (least > 0.0)[clear]
        )
        # What is not proved is refuted.
        self.assertTrue(
            np.all((found.radius > epsilon) | (found.upper_bound <= epsilon))
        )
        lines = _decided("crown", **options)
        self.assertGreater(
            np.sum(found.radius > epsilon), np.sum(lines.radius > epsilon)
        )
        self.assertTrue(np.all(found.radius <= found.upper_bound))


class AutoTest(absltest.TestCase):
    def test_is_asked_last_where_an_epsilon_is_to_be_decided(self):
        epsilon = {"enough": 0.1, "too_little": 0.1}
        network = networks.GraphNetwork(oracle.graph(_weights()))
        names = []
        for options in ({}, epsilon):
            method = certificates.choose(
                "auto",
                network,
                _LINF,
                certificates.CertifierOptions(**options),
            )
            names.append(method.names)
        self.assertEqual(names[0], ("bcp", "crown"))
        self.assertEqual(names[1], ("bcp", "crown", "complete"))
        self.assertIn("complete", method.plan)
        decided, found = (_decided(m, **epsilon) for m in ("complete", "auto"))
        np.testing.assert_array_equal(found.radius > 0.1, decided.radius > 0.1)
        proved = found.method[found.radius > 0.1]
        self.assertContainsSubset([2], np.unique(proved).tolist())

    def test_is_not_asked_about_other_bends(self):
        options = certificates.CertifierOptions(enough=0.1, too_little=0.1)
        for make in (random_graphs.plain, random_graphs.residual):
            network = networks.GraphNetwork(make(fn=networks.RELU))
            found = certificates.choose("auto", network, _LINF, options)
            self.assertNotIn("complete", found.names)


class RadiusTest(parameterized.TestCase):
    @parameterized.parameters(certificates.Threat(), _LINF)
    def test_lies_between_lines_and_adversarial_examples(self, threat):
        lines, found = (_decided(m, threat) for m in ("crown", "complete"))
        self.assertTrue(np.all(found.radius >= lines.radius))
        self.assertTrue(np.all(found.radius <= found.upper_bound))
        self.assertGreater(np.mean(found.radius), 1.1 * np.mean(lines.radius))


class UseTest(absltest.TestCase):
    def test_a_model_of_keras_is_decided(self):
        keras.utils.set_random_seed(1)
        model = keras.Sequential(
            [
                keras.Input((6, 6, 1)),
                keras.layers.Conv2D(3, 3, activation="relu"),
                keras.layers.MaxPooling2D(2),
                keras.layers.Flatten(),
                keras.layers.Dense(8, activation="relu"),
                keras.layers.Dense(3),
            ]
        )
        x = np.random.default_rng(0).uniform(size=(6, 6, 6, 1))
        y = np.argmax(model(x), axis=-1)
        options = {"norm": "linf", "domain": (0.0, 1.0), "epsilons": (0.01,)}
        lines, found = (
            tfcurv.certify(
                model,
                (x.astype(np.float32), y),
                method=method,
                radii=False,
                falsify=True,
                verbose=0,
                **options,
            )
            for method in ("crown", "complete")
        )
        self.assertEqual(found.method, "complete")
        self.assertGreaterEqual(
            found.certified_accuracy(0.01), lines.certified_accuracy(0.01)
        )

    def test_without_relu_is_refused(self):
        model = keras.Sequential(
            [
                keras.Input((3,)),
                keras.layers.Dense(4, activation="tanh"),
                keras.layers.Dense(2),
            ]
        )
        with self.assertRaisesRegex(
            errors.UnsupportedModelError, "none.*method='crown'"
        ):
            tfcurv.certify(
                model, (np.zeros((1, 3)), [0]), method="complete", verbose=0
            )

    def test_of_relu_that_nobody_reads_is_refused(self):
        build = random_graphs.Builder((3,))
        build.activate(0, networks.RELU)
        build.dense(build.activate(build.dense(0, 8), random_graphs.LEAKY), 3)
        with self.assertRaisesRegex(
            errors.UnsupportedModelError, "there are none"
        ):
            certificates.choose(
                "complete", networks.GraphNetwork(build.graph()), _LINF
            )

    def test_asks_nothing_below_the_least_epsilon(self):
        goals = []

        class Failing:
            def __call__(self, x, y, t, epsilon):
                goals.append(float(epsilon[0]))
                none = np.full(x.shape, np.nan)
                return search.Decided(np.zeros(1, bool), np.ones(1, int), none)

        network = networks.GraphNetwork(oracle.graph(_weights()))
        options = certificates.CertifierOptions(enough=0.3, too_little=0.1)
        complete = certificates.choose("complete", network, _LINF, options)
        with mock.patch.object(
            type(complete), "_decides", lambda *_: Failing()
        ):
            (stage,) = complete.stages()
        x, y = _points(1)
        one = np.ones(1)
        stage._attacked = lambda x, y: np.inf * one
        stage(Pairs(x, y, (y + 1) % 3, 0.02 * one, 0.4 * one))
        np.testing.assert_allclose(goals, [0.3, 0.1])

    def test_compiles_once_and_not_for_every_batch(self):
        network = networks.GraphNetwork(oracle.graph(_weights()))
        method = certificates.choose("complete", network, _LINF)
        for ask in (method.stages, method.following_stages):
            (first,), (again,) = ask(), ask()
            self.assertIs(first, again)

    def test_without_branches_is_refused(self):
        with self.assertRaisesRegex(ValueError, "branches=0"):
            certificates.CertifierOptions(branches=0)

    def test_graphs_with_other_bends_are_bounded(self):
        graph = random_graphs.plain(fn=networks.RELU)
        network = networks.GraphNetwork(graph)
        options = certificates.CertifierOptions(branches=20)
        x = np.random.default_rng(0).uniform(size=(4, graph.input_dim))
        logits = networks.values_of(graph, x)[-1].numpy()
        y = np.argmax(logits, axis=-1).astype(np.int32)
        lines, found = (
            certificates.Decider(
                certificates.choose(method, network, _LINF, options)
            )(x, y)
            for method in ("crown", "complete")
        )
        self.assertTrue(np.all(found.radius >= lines.radius))
        self.assertTrue(np.all(found.radius <= found.upper_bound))


if __name__ == "__main__":
    absltest.main()
