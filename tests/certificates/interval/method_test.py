"""Tests of tfcurv.certificates.interval: radii by balls and boxes."""

import functools

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

import random_graphs
from tfcurv import certificates
from tfcurv import networks
from tfcurv.certificates.interval import largest_radii
from untraced import untraced

_THREATS = {
    "l2": certificates.Threat(),
    "linf": certificates.Threat(norm="linf"),
    "l2_in_domain": certificates.Threat(domain=(0.0, 1.0)),
    "linf_in_domain": certificates.Threat(norm="linf", domain=(0.0, 1.0)),
}


def _network(graph):
    return networks.GraphNetwork(graph)


def _linear(kernel, bias=None):
    build = random_graphs.Builder((len(kernel),))
    build.linear(0, networks.Dense(kernel=np.asarray(kernel, np.float64)))
    if bias is not None:
        node = build.nodes[-1]
        build.nodes[-1] = node._replace(step=node.step._replace(bias=bias))
    return build.graph()


@functools.cache
def _decider(name, method="bcp", threat="l2", seed=0, **options):
    graph = random_graphs.ALL[name](seed)
    options = certificates.CertifierOptions(**dict(options))
    return certificates.Decider(
        certificates.choose(method, _network(graph), _THREATS[threat], options)
    )


def _points(graph, count=24, seed=0):
    x = np.random.default_rng(seed).uniform(size=(count, graph.input_dim))
    logits = networks.logits_of(graph, tf.constant(x)).numpy()
    return x, logits.argmax(axis=-1).astype(np.int32)


class LinearTest(parameterized.TestCase):
    """One linear map: every radius is known."""

    def setUp(self):
        super().setUp()
        self.enter_context(untraced())

    kernel = np.array([[1.0, -2.0, 0.0], [0.5, 1.0, -1.0], [0.0, 3.0, 1.0]])

    def _radii(self, method, threat, x, y):
        graph = _linear(self.kernel, np.array([0.3, 0.1, -0.2]))
        network = _network(graph)
        decider = certificates.Decider(
            certificates.choose(method, network, _THREATS[threat])
        )
        return graph, decider(x, y)

    @parameterized.product(method=("bcp", "ibp"), norm=("l2", "linf"))
    def test_is_the_distance_of_the_nearest_plane(self, method, norm):
        x = np.random.default_rng(0).normal(size=(20, 3))
        graph = _linear(self.kernel, np.array([0.3, 0.1, -0.2]))
        logits = networks.logits_of(graph, tf.constant(x)).numpy()
        y = logits.argmax(-1).astype(np.int32)
        _, found = self._radii(method, norm, x, y)
        apart = self.kernel.T[y][:, None] - self.kernel.T
        dual = 2 if norm == "l2" else 1
        steep = np.linalg.norm(apart, dual, axis=-1)
        margin = logits[np.arange(20), y][:, None] - logits
        with np.errstate(all="ignore"):
            exact = np.nanmin(np.where(steep > 0, margin / steep, np.inf), 1)
        if method == "bcp" or norm == "linf":
            np.testing.assert_allclose(found.radius, exact, rtol=2e-3)
        self.assertTrue(np.all(found.radius <= exact * (1.0 + 1e-12)))
        self.assertTrue(np.all(found.upper_bound >= exact * (1.0 - 1e-9)))
        np.testing.assert_allclose(found.upper_bound, exact, rtol=1e-3)

    def test_a_domain_is_worth_what_it_cuts_off(self):
        # x1 - x2 > 0 at (1, 0.8), and x1 may not grow: only what is lowered.
        x, y = np.array([[0.4, 0.0, 0.0]]), np.zeros(1, np.int32)
        network = _network(
            _linear([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]], np.zeros(2))
        )
        found = {
            name: certificates.Decider(
                certificates.choose("bcp", network, threat)
            )(x, y)
            for name, threat in _THREATS.items()
        }
        # All inputs: margin 0.4 over sqrt(2), or over 2. The domain leaves all
        # of the other entry's rise, so that nothing is gained,
        self.assertAlmostEqual(
            found["l2"].radius[0], 0.4 / np.sqrt(2.0), delta=1e-3
        )
        self.assertAlmostEqual(found["linf"].radius[0], 0.2, delta=1e-3)
        # but where the other entry is to fall below zero.
        y = np.ones(1, np.int32)
        x = np.array([[0.0, 0.4, 0.0]])
        network = _network(
            _linear([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]], np.array([-0.9, 0.0]))
        )
        alone, inside = (
            certificates.Decider(
                certificates.choose("bcp", network, _THREATS[name])
            )(x, y).radius[0]
            for name in ("linf", "linf_in_domain")
        )
        self.assertAlmostEqual(alone, 0.25, delta=1e-3)
        self.assertAlmostEqual(inside, 0.25, delta=1e-3)

    def test_what_no_input_of_the_domain_can_do_is_no_threat(self):
        # Only a negative input changes the class: there is none.
        network = _network(_linear([[1.0, 0.0]], np.array([0.1, 0.0])))
        x, y = np.array([[0.2]]), np.zeros(1, np.int32)
        for name, least in (("l2_in_domain", 1e3), ("linf_in_domain", 1e3)):
            method = certificates.choose("bcp", network, _THREATS[name])
            found = certificates.Decider(method)(x, y)
            self.assertGreater(found.radius[0], least)
            self.assertEqual(found.upper_bound[0], np.inf)
        method = certificates.choose("bcp", network, _THREATS["l2"])
        found = certificates.Decider(method)(x, y)
        self.assertAlmostEqual(found.radius[0], 0.3, delta=1e-3)


class SandwichTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.enter_context(untraced())

    @parameterized.parameters(
        *[("plain", threat) for threat in _THREATS],
        ("residual", "linf"),
        ("maxima", "l2"),
    )
    def test_no_point_within_the_radius_is_of_another_class(self, name, threat):
        decider = _decider(name, threat=threat)
        graph = decider.method.network.graph
        x, y = _points(graph)
        found = decider(x, y)
        self.assertTrue(np.all(found.radius > 0.0))
        self.assertTrue(np.all(found.radius <= found.upper_bound))
        falsifier = certificates.Falsifier(
            decider.method.network, threat=_THREATS[threat]
        )
        # It would have seen a radius that is false: it does at twice the upper
        # bound. Both in one call, which takes as long as either.
        wide = np.where(np.isinf(found.upper_bound), 9.0, found.upper_bound)
        attempt = falsifier(
            tf.constant(np.concatenate([x, x])),
            tf.constant(np.concatenate([y, y])),
            tf.constant(np.concatenate([found.radius, 2.0 * wide])),
            tf.constant(np.concatenate([found.target, found.target])),
        )
        within, beyond = np.split(attempt.found.numpy(), 2)
        self.assertFalse(np.any(within))
        met = np.isfinite(found.upper_bound)
        self.assertGreaterEqual(np.sum(beyond[met]), 0.7 * np.sum(met))
        points = attempt.point.numpy()[attempt.found.numpy()]
        if _THREATS[threat].domain is not None:
            self.assertTrue(np.all((points >= 0.0) & (points <= 1.0)))

    @parameterized.parameters("plain", "residual")
    def test_ball_and_box_prove_as_much_as_either(self, name):
        both = _decider(name)
        graph = both.method.network.graph
        x, y = _points(graph)
        radius = both(x, y).radius
        for method in ("ibp", "lipschitz"):
            other = _decider(name, method)(x, y).radius
            # Bisection ends within a thousandth.
            self.assertTrue(np.all(radius >= other * (1.0 - 4e-3)))
        self.assertGreater(np.mean(radius / other), 1.03)

    def test_rows_do_not_depend_on_their_batch(self):
        decider = _decider("plain")
        x, y = _points(decider.method.network.graph)
        whole = decider(x, y).radius
        part = decider(x[3:7], y[3:7]).radius
        np.testing.assert_allclose(part, whole[3:7], rtol=2e-3)

    def test_deciding_at_one_epsilon_agrees_with_the_radii(self):
        graph = random_graphs.plain(0)
        x, y = _points(graph)
        radius = _decider("plain")(x, y).radius
        epsilon = float(np.median(radius))
        options = certificates.CertifierOptions(
            enough=epsilon, too_little=epsilon
        )
        method = certificates.choose("bcp", _network(graph), options=options)
        decided = certificates.Decider(method)(x, y).radius
        found = certificates.Decider(method)(x, y)
        self.assertTrue(np.all(found.reason == certificates.Reason.CERTIFIED))
        # What is not proved was attacked instead.
        open_ = decided <= epsilon
        self.assertTrue(np.all(np.isfinite(found.upper_bound[open_])))
        clear = np.abs(radius / epsilon - 1.0) > 2e-3
        np.testing.assert_array_equal(
            (decided > epsilon)[clear], (radius > epsilon)[clear]
        )


class HostileTest(parameterized.TestCase):
    @parameterized.parameters(np.nan, np.inf, 1e300)
    def test_weights_that_are_no_numbers_prove_nothing(self, value):
        build = random_graphs.Builder((3,))
        hidden = build.dense(0, 4)
        step = build.nodes[hidden].step
        kernel = step.map.kernel.copy()
        kernel[1, 2] = value
        build.nodes[hidden] = build.nodes[hidden]._replace(
            step=step._replace(map=networks.Dense(kernel=kernel))
        )
        build.dense(build.activate(hidden, networks.RELU), 3)
        method = certificates.choose("bcp", _network(build.graph()))
        x = np.random.default_rng(0).normal(size=(6, 3))
        with np.errstate(all="ignore"):
            margins = method._proving.margins(
                x, np.zeros(6, np.int32), np.full(6, 0.1)
            )
        self.assertFalse(np.any(margins[:, 1:] > 0.0))

    @parameterized.parameters(1e-150, 1e-80, 1e80, 1e140)
    def test_scaled_weights_scale_the_radii(self, scale):
        graph = _linear(scale * LinearTest.kernel, np.zeros(3))
        plain = _linear(LinearTest.kernel, np.zeros(3))
        x, y = _points(plain)
        radii = [
            certificates.Decider(certificates.choose("bcp", _network(each)))(
                x, y
            ).radius
            for each in (graph, plain)
        ]
        # What float32 cannot hold is not found: less, and never more.
        self.assertTrue(np.all(radii[0] <= radii[1] * (1.0 + 2e-3)))

    def test_a_search_that_lies_proves_nothing(self):
        x, y = np.zeros((2, 1)), np.zeros(2, np.int32)
        rivals = np.array([[False, True]] * 2)
        found = largest_radii.largest_radii(
            lambda x, y, e: np.ones((len(x), 2)),
            lambda x, y, e: np.stack([0.25 - e, 0.25 - e], axis=1),
            x,
            y,
            rivals,
        )
        self.assertTrue(np.all(found < 0.25))

    def test_what_is_not_proved_there_is_still_correct(self):
        x, y = np.zeros((3, 1)), np.zeros(3, np.int32)
        rivals = np.array([[False, True]] * 3)

        def margins(x, y, epsilon):
            return np.stack([0.3 - epsilon, 0.3 - epsilon], axis=1)

        found = largest_radii.largest_radii(
            margins, margins, x, y, rivals, enough=0.5, too_little=0.5
        )
        self.assertTrue(np.all(found[:, 1] > 0.0))
        self.assertTrue(np.all(found[:, 1] < 0.3))

    def test_what_is_enough_is_proved_beyond_it(self):
        x, y = np.zeros((2, 1)), np.zeros(2, np.int32)
        rivals = np.array([[False, True]] * 2)

        def margins(x, y, epsilon):
            return np.stack([1.0 - epsilon, 1.0 - epsilon], axis=1)

        found = largest_radii.largest_radii(
            margins, margins, x, y, rivals, enough=0.5, too_little=0.5
        )
        self.assertTrue(np.all(found[:, 1] > 0.5))
        found = largest_radii.largest_radii(margins, margins, x, y, rivals)
        np.testing.assert_allclose(found[:, 1], 1.0, rtol=2e-3)

    def test_what_is_known_is_neither_lost_nor_asked_again(self):
        x, y = np.arange(3.0)[:, np.newaxis], np.zeros(3, np.int32)
        rivals = np.array([[False, True]] * 3)
        known = np.array([[np.inf, 0.6], [np.inf, 0.125], [np.inf, 0.0]])
        asked = []

        def margins(x, y, epsilon):
            asked.extend(zip(x[:, 0], epsilon))
            return np.stack([0.25 - epsilon, 0.25 - epsilon], axis=1)

        found = largest_radii.largest_radii(
            margins, margins, x, y, rivals, known=known, enough=0.5
        )
        np.testing.assert_array_equal(found[0], [0.0, 0.6])
        np.testing.assert_allclose(found[1:, 1], 0.25, rtol=2e-3)
        points = [point for point, _ in asked]
        self.assertNotIn(0.0, points)
        # Of the second neither a first step from 0, nor a proof below.
        steps = [e for point, e in asked if point == 1.0 and e > 0.0]
        self.assertGreater(min(steps), 0.125)
        # Where no more is proved, what is known stays.
        asked.clear()
        found = largest_radii.largest_radii(
            *(margins, lambda x, *_: np.zeros((len(x), 2))),
            *(x, y, rivals),
            known=known,
        )
        np.testing.assert_array_equal(found[:, 1], known[:, 1])
        steps = [e for point, e in asked if point == 1.0]
        np.testing.assert_allclose(steps[:2], [0.0, 0.125 * 17.0 / 16.0])

    def test_a_single_question_is_put_once(self):
        x, y = np.arange(4.0)[:, np.newaxis], np.zeros(4, np.int32)
        rivals = np.array([[False, True]] * 4)
        known = np.array([[np.inf, 0.1]] * 3 + [[np.inf, 0.7]])
        limits, asked, proved = np.array([0.3, 0.6, 0.6, 0.3]), [], []

        def margins(calls):
            def found(x, y, epsilon):
                calls.extend(x[:, 0])
                left = limits[x[:, 0].astype(int)] - epsilon
                return np.stack([left, left], axis=1)

            return found

        found = largest_radii.largest_radii(
            *(margins(asked), margins(proved)),
            *(x, y, rivals),
            known=known,
            enough=0.5,
            too_little=0.5,
        )
        self.assertEqual(asked, [0.0, 1.0, 2.0])
        self.assertEqual(proved, [1.0, 2.0])
        np.testing.assert_array_equal(
            found[:, 1] > 0.5, [False, True, True, True]
        )
        self.assertEqual(found[0, 1], 0.1)


if __name__ == "__main__":
    absltest.main()
