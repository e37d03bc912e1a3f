"""Tests of the contract: what deciding makes of what a method says."""

from unittest import mock

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from certificates_toys import eagerly
from certificates_toys import network_of
from certificates_toys import predict
from certificates_toys import random_network
from tfcurv import certificates
from tfcurv import errors
from tfcurv import networks
from tfcurv.certificates import methods
from tfcurv.certificates.deciding import decider as deciding
from toy_method import ToyLipschitz

_REASON = certificates.Reason
_LINF = certificates.Threat(norm="linf")


class _Claims(ToyLipschitz):
    """Says of every class what it is told to say."""

    def __init__(self, network, claim, stages=(), **options):
        super().__init__(network, certificates.CertifierOptions(**options))
        self._claim = claim
        self._stages = stages

    def first_radii(self, x, y, rivals):
        return self._claim(super().first_radii(x, y, rivals))

    def stages(self):
        return self._stages


class _Recorder(certificates.Stage):
    """Says what it is told to say, and keeps what it is asked."""

    def __init__(self, claim, cost=certificates.Cost.SEARCH):
        self.cost = cost
        self.asked = []
        self._claim = claim

    def __call__(self, pairs):
        self.asked.append(pairs)
        spent = np.ones(len(pairs.y))
        return certificates.Raised(self._claim(pairs), spent)


def _decide(network, x, claim, stages=(), y=None, **options):
    method = _Claims(network, claim, stages, **options)
    y = predict(network, x) if y is None else y
    with eagerly():
        return certificates.Decider(method)(x, y)


def _points(batch=8):
    return np.random.default_rng(0).normal(size=(batch, 3))


class ClaimTest(parameterized.TestCase):
    """What a method says of a network that has other classes nearby."""

    def setUp(self):
        super().setUp()
        self.network = random_network([3, 6, 4], "tanh", seed=1)
        self.x = _points()
        self.plain = _decide(self.network, self.x, lambda radii: radii)

    def test_a_lipschitz_bound_is_a_certificate(self):
        found = self.plain
        self.assertTrue(np.all(found.reason == _REASON.CERTIFIED))
        self.assertTrue(np.all(found.radius > 0.0))
        self.assertTrue(np.all(found.radius <= found.upper_bound))
        self.assertTrue(np.all(np.isfinite(found.upper_bound)))
        np.testing.assert_array_equal(found.radius, found.radii.min(axis=-1))

    @parameterized.named_parameters(
        ("nan", lambda radii: np.full_like(radii, np.nan)),
        ("one_nan", lambda radii: np.where(np.eye(8, 4), np.nan, radii)),
        ("zero", np.zeros_like),
        ("negative", np.negative),
    )
    def test_what_is_no_proof_certifies_nothing(self, claim):
        found = _decide(self.network, self.x, claim)
        radii = claim(self.plain.radii)
        others = np.arange(4) != predict(self.network, self.x)[:, np.newaxis]
        bad = np.any(others & ~(radii > 0.0), axis=-1)
        self.assertTrue(np.any(bad))
        np.testing.assert_array_equal(found.reason == _REASON.CERTIFIED, ~bad)
        np.testing.assert_array_equal(found.radius[bad], 0.0)
        self.assertFalse(np.any(found.exact[bad]))

    @parameterized.named_parameters(
        ("a_class_too_few", lambda radii: radii[:, 1:]),
        ("one_for_all", lambda radii: radii[:, :1]),
        ("no_classes", lambda radii: radii[:, 0]),
        ("a_point_too_few", lambda radii: radii[1:]),
    )
    def test_too_few_radii_are_refused(self, claim):
        with self.assertRaisesRegex(ValueError, "radii.shape.*'toy'.*8, 4"):
            _decide(self.network, self.x, claim)

    def test_labels_and_inputs_decide_whatever_is_claimed(self):
        x, y = self.x.copy(), predict(self.network, self.x)
        x[0, 0], x[1, 1] = np.nan, np.inf
        y[2] = (y[2] + 1) % 4
        found = _decide(self.network, x, np.ones_like, y=y)
        np.testing.assert_array_equal(found.radius, [0, 0, 0, 1, 1, 1, 1, 1])
        np.testing.assert_array_equal(
            found.reason[:3], [_REASON.NON_FINITE] * 2 + [_REASON.MISCLASSIFIED]
        )
        self.assertEqual(found.upper_bound[2], 0.0)

    def test_a_network_with_a_single_logit_is_refused(self):
        network = network_of([(np.ones((2, 1)), np.zeros(1))])
        with self.assertRaisesRegex(
            errors.UnsupportedModelError, "num_classes=1.*Remedy"
        ):
            certificates.Decider(_Claims(network, np.ones_like))


class StageTest(parameterized.TestCase):
    """What a stage is asked, and what becomes of what it says."""

    def setUp(self):
        super().setUp()
        self.network = random_network([3, 6, 4], "tanh", seed=1)
        self.x = _points()
        self.plain = _decide(self.network, self.x, lambda radii: radii)

    def _refined(self, *stages, **options):
        return _decide(
            self.network, self.x, lambda radii: radii, stages, **options
        )

    @parameterized.named_parameters(
        ("nan", lambda pairs: np.full_like(pairs.known, np.nan)),
        ("less", lambda pairs: 0.5 * pairs.known),
        ("nothing", lambda pairs: np.zeros_like(pairs.known)),
    )
    def test_never_lowers_a_radius(self, claim):
        found = self._refined(_Recorder(claim))
        np.testing.assert_array_equal(found.radii, self.plain.radii)
        np.testing.assert_array_equal(found.reason, self.plain.reason)

    def test_raises_the_classes_that_decide_and_no_other(self):
        stage = _Recorder(lambda pairs: 1.1 * pairs.known)
        found = self._refined(stage)
        tried = found.radii > self.plain.radii
        np.testing.assert_array_equal(tried.sum(axis=-1), found.num_evaluations)
        # The smallest has been raised; what was not is no smaller.
        self.assertTrue(np.all(tried[np.arange(8), found.target]))
        self.assertTrue(np.all(found.radius > self.plain.radius))
        untried = np.where(tried, np.inf, self.plain.radii).min(axis=-1)
        self.assertTrue(np.all(untried >= found.radius))

    def test_is_asked_no_more_than_what_decides(self):
        stage = _Recorder(lambda pairs: 3.0 * pairs.known)
        self._refined(stage)
        for pairs in stage.asked[1:]:
            self.assertTrue(np.all(np.isfinite(pairs.limit)))
        self.assertTrue(np.all(np.isinf(stage.asked[0].limit)))

    def test_a_dear_one_knows_of_adversarial_examples(self):
        stage = _Recorder(
            lambda pairs: pairs.known, certificates.Cost.FACTORISATIONS
        )
        found = self._refined(stage)
        first = stage.asked[0]
        np.testing.assert_array_equal(first.limit, found.upper_bound)
        np.testing.assert_array_equal(first.known, self.plain.radius)

    def test_one_that_skips_what_is_exact_is_not_asked_about_it(self):
        dear = _Recorder(
            lambda pairs: pairs.known, certificates.Cost.FACTORISATIONS
        )
        dear.skips_exact = True
        with mock.patch.object(
            deciding.Witness,
            "attack",
            lambda witness, x, *_, **__: np.linspace(1.0, 2.0, len(x)),
        ):
            claim = np.linspace(1.0, 2.0, 8)[:, np.newaxis] * np.ones((8, 4))
            claim[:4] *= 0.5
            found = _decide(self.network, self.x, lambda _: claim, [dear])
        np.testing.assert_array_equal(found.exact, np.arange(8) >= 4)
        self.assertLen(dear.asked[0].y, 4)

    def test_nothing_is_asked_beyond_what_is_enough(self):
        stage = _Recorder(lambda pairs: pairs.known)
        enough = float(np.median(self.plain.radius))
        found = self._refined(stage, enough=enough)
        done = self.plain.radius > enough
        self.assertTrue(0 < np.sum(done) < 8)
        np.testing.assert_array_equal(found.num_evaluations > 0.0, ~done)
        # Nor is what has enough attacked.
        np.testing.assert_array_equal(np.isinf(found.upper_bound), done)

    def test_nothing_is_asked_where_an_example_lies_too_near(self):
        dear = _Recorder(
            lambda pairs: pairs.known, certificates.Cost.FACTORISATIONS
        )
        little = float(np.median(self.plain.upper_bound))
        found = self._refined(dear, too_little=little)
        np.testing.assert_array_equal(
            found.num_evaluations > 0.0, found.upper_bound > little
        )


class ChoiceTest(parameterized.TestCase):
    def _networks(self):
        smooth = random_network([3, 4, 3], "softplus", seed=0)
        kinked = networks.Network(list(smooth.affines), [networks.RELU])
        return smooth, kinked

    def test_takes_the_one_that_can(self):
        smooth, kinked = self._networks()
        for network, name in ((smooth, "curvature"), (kinked, "quadratic")):
            for asked in ("auto", name):
                self.assertEqual(certificates.choose(asked, network).name, name)

    @parameterized.named_parameters(
        ("curvature_of_kinks", "curvature", 1, "curvature: .*kinks.*'relu'"),
        ("quadratics_of_softplus", "quadratic", 0, "quadratic: .*softplus"),
    )
    def test_one_asked_by_name_says_why_not(self, name, which, reason):
        network = self._networks()[which]
        with self.assertRaisesRegex(errors.UnsupportedModelError, reason):
            certificates.choose(name, network)

    @parameterized.parameters(
        (_LINF, "linf"),
        (certificates.Threat(domain=(0, 1)), r"l2, inputs in \[0.0, 1.0\]"),
    )
    def test_a_threat_that_none_can_do_is_refused_by_each(self, threat, said):
        for network in self._networks():
            with self.assertRaises(errors.UnsupportedModelError) as raised:
                certificates.choose("auto", network, threat)
            text = str(raised.exception)
            for name, kind in certificates.METHODS.items():
                # Those that can do it take another form of a network.
                why = f"threat={said}"
                if kind.needs_graph:
                    why = "a Network. Allowed: a networks.GraphNetwork"
                self.assertRegex(text, f"{name}: .*{why}")

    def test_an_unknown_method_is_refused_by_name(self):
        with self.assertRaisesRegex(
            ValueError, "method='quadratics'.*mean 'quadratic'"
        ):
            certificates.choose("quadratics", self._networks()[0])

    def test_one_line_adds_a_method(self):
        smooth, kinked = self._networks()
        with mock.patch.dict(methods.METHODS, toy=ToyLipschitz):
            self.assertEqual(certificates.choose("toy", smooth).name, "toy")
            # It comes last: what was chosen before still is.
            self.assertEqual(
                certificates.choose("auto", smooth).name, "curvature"
            )
            with self.assertRaisesRegex(ValueError, "toy: .*'relu'"):
                certificates.choose("toy", kinked)


class ThreatTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("norm", {"norm": "l0"}, "norm='l0'.*linf"),
        ("empty", {"domain": (1.0, 0.0)}, "domain=.*Allowed"),
        ("nan", {"domain": (0.0, np.nan)}, "domain=.*Allowed"),
        ("of_three", {"domain": (0.0, 1.0, 2.0)}, "domain=.*Allowed"),
    )
    def test_refuses_by_name(self, fields, message):
        with self.assertRaisesRegex(ValueError, message):
            certificates.Threat(**fields)

    def test_equals_one_that_says_the_same(self):
        self.assertEqual(
            certificates.Threat(domain=[0, 1]),
            certificates.Threat(domain=(0.0, 1.0)),
        )


if __name__ == "__main__":
    tf.test.main()
