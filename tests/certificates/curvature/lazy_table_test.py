"""Tests of bounds of pairs that are put off until a point asks for them."""

from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from certificates_toys import predict
from certificates_toys import random_network
from tfcurv import bounds
from tfcurv import certificates
from tfcurv.certificates.curvature import lazy_table
from tfcurv.certificates.curvature import method
from untraced import untraced

_PAIR = "pair_concavity_upper_bound"


def _put_off():
    """As if every layer were too large for all pairs to be bounded at once."""
    return mock.patch.object(lazy_table, "_QUICK", 1)


def _case(rows=10, classes=5, seed=1):
    network = random_network([3, 6, 5, classes], "tanh", seed=seed)
    x = np.random.default_rng(seed).normal(size=(rows, 3))
    return network, x, predict(network, x)


def _certified(network, x, y, precedes=False, **options):
    chosen = method.CurvatureMethod(
        network, certificates.CertifierOptions(**options)
    )
    if precedes:
        chosen.precede()
    return certificates.Decider(chosen)(x, y), chosen


class LazyTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.enter_context(untraced())

    def test_begins_with_theorem_4_and_improves_what_is_asked_for(self):
        network, *_ = _case()
        bounder = bounds.CurvatureBounder(network)
        table = lazy_table.LazyTable(network)
        first = table.bounds(np.arange(5), np.arange(5))
        for y in range(5):
            for t in range(5):
                expected = 0.0 if y == t else bounder.pair_theorem4_bound(y, t)
                self.assertEqual(first[y, t], expected)
        table.improve(np.array([1, 1, 3]), np.array([2, 2, 0]))
        for y, t in ((1, 2), (3, 0)):
            own = getattr(bounder, _PAIR)(y, t)
            self.assertEqual(table.values[y, t], own)
            self.assertLess(own, first[y, t])
            self.assertEqual(table.values[t, y], first[t, y])
        # The first ones stay what they were: no point may depend on others.
        again = table.bounds(np.arange(5), np.arange(5))
        self.assertEqual(again[1, 2], bounder.pair_theorem4_bound(1, 2))
        self.assertEqual(table.num_known, 5 + 2)

    @parameterized.parameters(None, certificates.SearchOptions())
    def test_proves_what_all_pairs_prove(self, search):
        network, x, y = _case()
        every, _ = _certified(network, x, y, search=search)
        with _put_off():
            found, chosen = _certified(network, x, y, search=search)
        np.testing.assert_allclose(found.radius, every.radius, rtol=1e-6)
        np.testing.assert_array_equal(found.target, every.target)
        # Not for all of them: some classes are far away by any bound.
        self.assertLess(chosen.num_shared, 25)

    def test_leaves_what_is_hopeless_and_no_point_knows_of_another(self):
        # Far larger weights: no bound for all inputs says much.
        network = random_network([3, 6, 5, 5], "tanh", seed=1, scale=40.0)
        x = np.random.default_rng(1).normal(size=(10, 3))
        y = predict(network, x)
        with _put_off():
            whole, chosen = _certified(network, x, y, precedes=True)
            alone = [
                _certified(network, x[i : i + 1], y[i : i + 1], precedes=True)
                for i in range(3)
            ]
        self.assertEqual(chosen.num_shared, 5)
        for i, (found, _) in enumerate(alone):
            np.testing.assert_allclose(found.radius, whole.radius[i], rtol=1e-9)
        self.assertTrue(np.all(whole.radius > 0.0))

    def test_takes_no_bounds_that_nobody_proved(self):
        # A run may go on from what another kind of table has saved.
        network, *_ = _case()
        whole = certificates.CurvatureTable(network)
        whole.bounds(np.array([2]), np.array([2]))
        saved = whole.arrays()
        for unknown in (0.0, np.inf):
            values = np.where(saved["known"], saved["values"], unknown)
            table = lazy_table.LazyTable(network)
            table.take(saved | {"values": values})
            self.assertTrue(np.all(table.values[2] <= table.first[2]))
            others = np.array([0, 1, 3, 4])
            np.testing.assert_array_equal(
                table.values[others], table.first[others]
            )
            again = certificates.CurvatureTable(network)
            again.take(saved | {"values": values})
            self.assertTrue(np.all(np.isinf(again.values[0, 1:])))

    def test_shares_what_it_knows(self):
        network, x, y = _case()
        with _put_off():
            _, chosen = _certified(network, x, y)
            other = method.CurvatureMethod(network)
            other.share(chosen.shared())
        self.assertEqual(other.num_shared, chosen.num_shared)
        self.assertGreater(other.num_shared, 5)


if __name__ == "__main__":
    absltest.main()
