"""Tests of the table of curvature bounds."""

from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from certificates_toys import random_network
from tfcurv import bounds
from tfcurv import certificates
from tfcurv.certificates.curvature import pair_table as curvature_table

_CLASSES = 5
_PAIR = "pair_concavity_upper_bound"


def _network(activation="tanh"):
    return random_network([3, 6, 5, _CLASSES], activation, seed=1)


def _exact(network) -> np.ndarray:
    """Every pair's own bound."""
    bounder = bounds.CurvatureBounder(network)
    return np.array(
        [
            [getattr(bounder, _PAIR)(y, t) for t in range(_CLASSES)]
            for y in range(_CLASSES)
        ]
    )


def _asked_for(network, *batches) -> tuple[list[tuple[int, int]], np.ndarray]:
    """Returns the pairs that were computed for batches of (y, t) lists."""
    table = certificates.CurvatureTable(network)
    original = getattr(bounds.CurvatureBounder, _PAIR)
    with mock.patch.object(
        bounds.CurvatureBounder, _PAIR, autospec=True, side_effect=original
    ) as spy:
        for labels, runners_up in batches:
            found = table.bounds(np.array(labels), np.array(runners_up))
    return sorted(call.args[1:] for call in spy.call_args_list), found


def _with_many_classes():
    return mock.patch.object(curvature_table, "_MANY_CLASSES", 2)


def _others(y):
    return [(y, t) for t in range(_CLASSES) if t != y]


class FewClassesTest(absltest.TestCase):
    def test_gives_every_pair_its_own_bound(self):
        network = _network()
        _, found = _asked_for(network, ([0, 3, 3], [1, 1, 1]))
        exact = _exact(network)
        for y in (0, 3):
            for t in range(_CLASSES):
                if t != y:
                    self.assertEqual(found[y, t], exact[y, t])

    def test_computes_the_rows_asked_for_and_each_once(self):
        asked, _ = _asked_for(
            _network(), ([3, 0, 3], [1, 1, 1]), ([0, 0], [2, 1]), ([3], [0])
        )
        self.assertEqual(asked, _others(0) + _others(3))

    def test_an_empty_batch_computes_nothing(self):
        asked, found = _asked_for(_network(), ([], []))
        self.assertEmpty(asked)
        self.assertEqual(found.shape, (_CLASSES, _CLASSES))


class ManyClassesTest(parameterized.TestCase):
    @parameterized.parameters("tanh", "softplus", "gelu", "elu")
    def test_the_split_bounds_dominate_what_they_stand_for(self, activation):
        network = _network(activation)
        with _with_many_classes():
            _, found = _asked_for(network, ([], []))
        exact = _exact(network)
        off = ~np.eye(_CLASSES, dtype=bool)
        self.assertTrue(np.all(found[off] >= exact[off] * (1.0 - 1e-7)))
        x = tf.constant(np.random.default_rng(0).normal(size=(300, 3)))
        for y, t in np.argwhere(off):
            hessians = bounds.hessian(network, x, int(y), int(t)).numpy()
            concavity = -np.min(np.linalg.eigvalsh(hessians))
            self.assertGreaterEqual(found[y, t], concavity)

    def test_only_the_closest_pairs_get_their_own_bound(self):
        network = _network()
        exact = _exact(network)
        with _with_many_classes():
            asked, found = _asked_for(network, ([0, 3, 3], [1, 2, 2]))
            _, split = _asked_for(network, ([], []))
        self.assertEqual(asked, [(0, 1), (3, 2)])
        for y, t in np.argwhere(~np.eye(_CLASSES, dtype=bool)):
            own = (y, t) in asked
            best = min(exact[y, t], split[y, t]) if own else split[y, t]
            self.assertEqual(found[y, t], best)
        self.assertLess(found[0, 1], split[0, 1])

    def test_certificates_are_weaker_and_hold(self):
        network = _network()
        x = np.random.default_rng(1).normal(size=(20, 3))
        logits = network.logits(tf.constant(x)).numpy()
        y, t = np.argsort(logits, axis=-1)[:, :-3:-1].astype(np.int32).T
        certifier = certificates.Certifier(
            network, certificates.CertifierOptions(search=None)
        )
        exact = certifier(
            x, y, certificates.CurvatureTable(network).bounds(y, t)
        )
        with _with_many_classes():
            table = certificates.CurvatureTable(network).bounds(y, t)
        split = certifier(x, y, table)
        self.assertTrue(np.all(split.radius <= exact.radius * (1.0 + 1e-7)))
        self.assertTrue(np.all(split.radius > 0.0))


if __name__ == "__main__":
    absltest.main()
