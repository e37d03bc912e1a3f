"""Tests of tfcurv.certificates.portfolio: the best proof of several."""

from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import random_graphs
from tfcurv import certificates
from tfcurv import errors
from tfcurv import networks
from tfcurv.certificates.deciding import contract
from tfcurv.certificates.portfolio import Portfolio
from tfcurv.networks.maps import affine
from untraced import untraced

_THREAT = certificates.Threat()
_NONE = certificates.NO_METHOD


class _Given(certificates.Method):
    """A method that proves what it was told, and counts who asked."""

    cost = certificates.Cost.PASSES
    needs_graph = True

    def __init__(self, network, options, name, shares):
        super().__init__(network, options)
        self.name = name
        self.grounds = ((name, "given"), ("norms", "given"))
        self.shares = np.asarray(shares, np.float64)
        self.asked = []

    @classmethod
    def refusal(cls, network, threat, options):
        return None

    def first_radii(self, x, y, rivals):
        rows = x[:, 0].astype(int)
        self.asked.append(np.flatnonzero(np.any(rivals, axis=-1)))
        self.asked[-1] = rows[self.asked[-1]]
        # Points are numbered in an entry that the logits do not depend on.
        distance = np.abs(x[:, 1])[:, np.newaxis]
        return np.where(rivals, self.shares[rows] * distance, 0.0)


def _network():
    """The class changes where the second entry does: radii are known."""
    build = random_graphs.Builder((2,))
    kernel = np.array([[0.0, 0.0], [1.0, -1.0]])
    build.linear(0, networks.Dense(kernel=kernel))
    node = build.nodes[-1]
    build.nodes[-1] = node._replace(step=node.step._replace(bias=np.zeros(2)))
    return networks.GraphNetwork(build.graph())


def _found(*shares, options=certificates.CertifierOptions()):
    """Certifies points at distance one, by methods that prove shares of it."""
    network, count = _network(), len(shares[0])
    methods = [
        _Given(network, options, f"given{number}", np.stack([each] * 2, 1))
        for number, each in enumerate(shares)
    ]
    x = np.stack([np.arange(count), np.full(count, 1.0)], axis=1)
    y = np.zeros(count, np.int32)
    with untraced():
        found = certificates.Decider(Portfolio(methods))(x, y)
    return found, methods


class PortfolioTest(parameterized.TestCase):
    def test_takes_the_largest_radius_and_says_whose_it_is(self):
        found, _ = _found([0.2, 0.5, 0.4], [0.3, 0.1, np.nan], [0.25, 0.5, 0.6])
        np.testing.assert_allclose(found.radius, [0.3, 0.5, 0.6])
        np.testing.assert_array_equal(found.method, [1, 0, 2])

    def test_asks_others_only_where_a_gap_is_left(self):
        # The adversarial example is at one, nearly.
        _, methods = _found([0.99, 0.5, 0.96], [0.1, 0.1, 0.1])
        np.testing.assert_array_equal(methods[0].asked[0], [0, 1, 2])
        np.testing.assert_array_equal(methods[1].asked[0], [1])

    def test_asks_nobody_about_what_is_decided(self):
        options = certificates.CertifierOptions(enough=0.3, too_little=0.3)
        found, methods = _found(
            [0.31, 0.2, 0.2], [0.1, 0.4, 0.2], [0.5, 0.5, 0.3], options=options
        )
        np.testing.assert_array_equal(methods[1].asked[0], [1, 2])
        np.testing.assert_array_equal(methods[2].asked[0], [2])
        np.testing.assert_array_equal(found.method, [0, 1, 2])

    def test_certifies_what_the_first_cannot(self):
        found, _ = _found([0.0, np.nan, 0.0], [0.4, 0.4, 0.0])
        np.testing.assert_array_equal(found.method, [1, 1, _NONE])
        np.testing.assert_allclose(found.radius, [0.4, 0.4, 0.0])
        # And is attacked then, where it was not before.
        np.testing.assert_allclose(found.upper_bound[:2], 1.0, rtol=1e-3)

    def test_closes_where_all_of_them_leave_a_gap(self):
        asked = []

        class Closing(certificates.Stage):
            skips_closed = True

            def __call__(self, pairs):
                asked.extend(pairs.x[:, 0].astype(int))
                return certificates.Raised(
                    np.full(len(pairs.y), 0.9), np.zeros(len(pairs.y))
                )

        network = _network()
        methods = [
            _Given(network, certificates.CertifierOptions(), name, shares)
            for name, shares in (
                ("first", [[0.2] * 2, [0.96] * 2, [0.3] * 2]),
                ("second", [[0.5] * 2, [0.1] * 2, [0.98] * 2]),
            )
        ]
        methods[0].closing_stages = lambda: (Closing(),)
        x = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
        with untraced():
            found = certificates.Decider(Portfolio(methods))(
                x, np.zeros(3, np.int32)
            )
        self.assertEqual(asked, [0])
        np.testing.assert_allclose(found.radius, [0.9, 0.96, 0.98])
        np.testing.assert_array_equal(found.method, [0, 0, 1])

    def test_names_all_methods_and_what_they_rest_on_once(self):
        _, methods = _found([0.1], [0.2])
        portfolio = Portfolio(methods)
        self.assertEqual(portfolio.names, ("given0", "given1"))
        self.assertEqual(
            portfolio.grounds,
            (("given0", "given"), ("norms", "given"), ("given1", "given")),
        )

    def test_what_is_misclassified_is_asked_of_none(self):
        network = _network()
        methods = [
            _Given(network, certificates.CertifierOptions(), name, [[0.5] * 2])
            for name in ("first", "second")
        ]
        with untraced():
            found = certificates.Decider(Portfolio(methods))(
                np.array([[0.0, -1.0]]), np.zeros(1, np.int32)
            )
        self.assertEqual(found.method[0], _NONE)
        self.assertEqual(found.reason[0], certificates.Reason.MISCLASSIFIED)
        self.assertEmpty(methods[0].asked[0])
        self.assertLen(methods[1].asked, 0)


def _tanh(layers, inputs=3, width=4):
    build, value = random_graphs.Builder((inputs,)), 0
    for _ in range(layers):
        value = build.activate(
            build.dense(value, width), networks.activation("tanh")
        )
    build.dense(value, 3)
    return build.graph()


class ChoiceTest(parameterized.TestCase):
    @parameterized.parameters("plain", "residual")
    def test_proves_no_less_than_any_of_its_methods(self, name):
        graph = random_graphs.ALL[name](0)
        network = networks.GraphNetwork(graph)
        x = np.random.default_rng(0).uniform(size=(4, graph.input_dim))
        logits = networks.logits_of(graph, tf.constant(x)).numpy()
        y = logits.argmax(axis=-1).astype(np.int32)
        radii, used = {}, None
        with untraced():
            for method in ("auto", "bcp", "crown"):
                chosen = certificates.choose(method, network)
                found = certificates.Decider(chosen)(x, y)
                radii[method] = found.radius
                if method == "auto":
                    used, names = found.method, chosen.names
        self.assertEqual(names, ("bcp", "crown"))
        self.assertIn(1, used)
        for method in ("bcp", "crown"):
            # Searches end within a thousandth.
            self.assertTrue(
                np.all(radii["auto"] >= radii[method] * (1.0 - 2e-3))
            )

    def test_a_chain_is_asked_of_lines_where_its_graph_is_known(self):
        graph = _tanh(2)
        chain = networks.chain_of(graph)
        alone = certificates.choose("auto", chain)
        self.assertEqual(alone.names, ("curvature",))
        local = certificates.CertifierOptions(
            curvature=certificates.Curvature.LOCAL
        )
        both = certificates.choose(
            "auto", chain, _THREAT, local, networks.GraphNetwork(graph)
        )
        self.assertEqual(both.names, ("curvature", "crown"))
        self.assertEqual(both.curvature, "local")
        self.assertIsInstance(both.stages()[-1], contract.PointStage)

    def test_closes_with_curvature_in_what_lines_have_proved(self):
        graph = _tanh(2, inputs=12, width=20)
        graph_network = networks.GraphNetwork(graph)
        x = np.random.default_rng(3).normal(size=(6, 12))
        logits = networks.logits_of(graph, tf.constant(x)).numpy()
        y = logits.argmax(axis=-1).astype(np.int32)
        chain = networks.chain_of(graph)
        every = certificates.choose("auto", chain, graph=graph_network)
        self.assertEqual(every.curvature, "auto")
        with untraced():
            lines = certificates.Decider(
                certificates.choose("crown", graph_network)
            )(x, y)
            both = certificates.Decider(every)(x, y)
        # Searches end within a thousandth.
        self.assertTrue(np.all(both.radius >= lines.radius * (1.0 - 2e-3)))
        self.assertTrue(np.all(both.radius <= both.upper_bound))
        self.assertGreater(both.radius.mean(), 1.1 * lines.radius.mean())
        # Where it says more, it is what has proved the radius.
        more = both.radius > 1.01 * lines.radius
        np.testing.assert_array_equal(both.method[more], 0)

    def test_does_not_close_with_what_needs_too_large_a_matrix(self):
        build = random_graphs.Builder((6, 6, 2))
        tanh = networks.activation("tanh")
        value = build.activate(build.convolution(0, 3, 3), tanh)
        value = build.activate(build.dense(value, 4), tanh)
        build.dense(value, 3)
        graph = build.graph()
        chain, whole = networks.chain_of(graph), networks.GraphNetwork(graph)
        local = certificates.CertifierOptions(
            curvature=certificates.Curvature.LOCAL
        )
        found = certificates.choose("auto", chain, graph=whole)
        self.assertEqual(found.curvature, "auto")
        with mock.patch.object(affine, "MAX_WRITTEN", 4):
            found = certificates.choose("auto", chain, graph=whole)
            self.assertEqual(found.curvature, "global")
            with self.assertRaisesRegex(
                errors.UnsupportedModelError, "curvature='local'.*'global'"
            ):
                certificates.choose("curvature", chain, _THREAT, local)

    def test_of_one_hidden_layer_curvature_says_more(self):
        graph = _tanh(1)
        found = certificates.choose(
            "auto",
            networks.chain_of(graph),
            graph=networks.GraphNetwork(graph),
        )
        self.assertEqual(found.names, ("curvature",))


if __name__ == "__main__":
    absltest.main()
