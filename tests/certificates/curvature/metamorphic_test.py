"""Tests of the certifier: what must not change a radius, and what must."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from certificates_toys import certify
from certificates_toys import network_of
from certificates_toys import predict
from certificates_toys import random_network
from tfcurv import certificates
from tfcurv import tracing


def _points(batch, dim, seed=0):
    return np.random.default_rng(seed).normal(size=(batch, dim))


class BatchTest(absltest.TestCase):
    """One compiled certifier of a network on which some points are slow."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        network = random_network([3, 10, 8, 4], "tanh", seed=7, scale=3.0)
        cls.network = network
        cls.x = _points(16, 3)
        cls.y = predict(network, cls.x)
        cls.table = certificates.CurvatureTable(network).bounds(cls.y, cls.y)
        options = certificates.CertifierOptions(
            search=certificates.SearchOptions(
                fixed_point_steps=4, newton_steps=6, relative_tolerance=1e-5
            )
        )
        cls.options = {"search": options.search}
        cls.certifier = certificates.Certifier(network, options)
        cls.together = cls._certify(cls.x, cls.y)

    @classmethod
    def _certify(cls, x, y):
        return cls.certifier(x, y, cls.table)

    def _assert_same(self, found, expected):
        # Not the upper bounds: an attack that wanders doubles its roundings.
        np.testing.assert_allclose(found.radius, expected.radius, rtol=1e-9)
        for name in ("prediction", "target", "reason"):
            np.testing.assert_array_equal(
                getattr(found, name), getattr(expected, name), name
            )

    def test_some_points_are_slow_and_some_are_not(self):
        spent = self.together.num_evaluations
        self.assertGreater(np.max(spent), 5 * np.min(spent))

    def test_a_point_does_not_know_of_the_others(self):
        for i in range(16):
            alone = self._certify(self.x[[i]], self.y[[i]])
            self._assert_same(
                alone,
                certificates.Certificates(*(f[[i]] for f in self.together)),
            )

    def test_permuting_the_batch_permutes_the_result(self):
        order = np.random.default_rng(0).permutation(16)
        found = self._certify(self.x[order], self.y[order])
        self._assert_same(
            found, certificates.Certificates(*(f[order] for f in self.together))
        )

    def test_uncompiled_it_finds_the_same(self):
        found = certify(self.network, self.x, self.y, **self.options)
        self._assert_same(found, self.together)

    def test_is_traced_once_for_all_batch_sizes(self):
        for size in (0, 1, 3, 16):
            self._certify(self.x[:size], self.y[:size])
        decide = self.certifier._decide
        traces = [
            fn._function.experimental_get_tracing_count()
            for part in (decide._witness, decide.method._proofs)
            for fn in vars(part).values()
            if isinstance(fn, tracing.Traced)
        ]
        # The look, the closed form, the search and the attack.
        self.assertEqual(traces, [1] * 4)


class MetamorphicTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.network = random_network([3, 7, 5, 4], "gelu", seed=3)
        self.layers = [(a.kernel, a.bias) for a in self.network.affines]
        self.x = _points(12, 3)
        self.found = certify(self.network, self.x)

    def _changed(self, index, layer):
        layers = list(self.layers)
        layers[index] = layer
        return network_of(layers, "gelu", "gelu")

    def test_permuting_the_classes_permutes_the_targets(self):
        order = np.array([2, 0, 3, 1])  # New class i was order[i].
        kernel, bias = self.layers[2]
        network = self._changed(2, (kernel[:, order], bias[order]))
        found = certify(network, self.x)
        np.testing.assert_allclose(found.radius, self.found.radius, rtol=1e-6)
        np.testing.assert_array_equal(order[found.target], self.found.target)
        np.testing.assert_array_equal(
            order[found.prediction], self.found.prediction
        )

    @parameterized.parameters(2.0**-8, 255.0)
    def test_scaling_the_inputs_scales_the_radii(self, scale):
        kernel, bias = self.layers[0]
        network = self._changed(0, (kernel / scale, bias))
        found = certify(network, scale * self.x)
        np.testing.assert_allclose(
            found.radius, scale * self.found.radius, rtol=1e-5
        )

    @parameterized.parameters(1e-6, 1e6)
    def test_scaling_the_logits_changes_nothing(self, scale):
        kernel, bias = self.layers[2]
        found = certify(
            self._changed(2, (scale * kernel, scale * bias)), self.x
        )
        np.testing.assert_allclose(found.radius, self.found.radius, rtol=1e-5)

    def test_rotating_the_inputs_changes_nothing(self):
        rotation = np.linalg.qr(_points(3, 3, seed=5))[0]
        kernel, bias = self.layers[0]
        network = self._changed(0, (rotation.T @ kernel, bias))
        found = certify(network, self.x @ rotation)
        np.testing.assert_allclose(found.radius, self.found.radius, rtol=1e-5)

    def test_adding_a_class_that_never_wins_changes_nothing(self):
        kernel, bias = self.layers[2]
        never = np.zeros((len(kernel), 1))
        network = self._changed(
            2, (np.hstack([kernel, never]), np.append(bias, -1e3))
        )
        found = certify(network, self.x)
        np.testing.assert_allclose(found.radius, self.found.radius, rtol=1e-6)


if __name__ == "__main__":
    absltest.main()
