"""Networks made to break a certifier: whatever it says must still be true."""

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import numpy as np

from certificates_toys import ACTIVATIONS
from certificates_toys import certify
from certificates_toys import network_of
from certificates_toys import predict
from hostile_networks import BY_HAND
from hostile_networks import EXPONENTS
from hostile_networks import STYLES
from hostile_networks import cancelled
from hostile_networks import filled
from hostile_networks import twisted
from hostile_networks import violations
from tfcurv import certificates


@st.composite
def _cases(draw):
    """A network of up to four layers and three points of one style."""
    seed = draw(st.integers(0, 2**20))
    most = draw(st.sampled_from(EXPONENTS))
    dim = draw(st.integers(1, 3))
    hidden = draw(st.lists(st.integers(1, 3), max_size=3))
    widths = [dim, *hidden, draw(st.integers(2, 3))]
    activations = [draw(st.sampled_from(ACTIVATIONS)) for _ in hidden]
    styles = st.sampled_from(STYLES)
    rng = np.random.default_rng(seed)
    layers = []
    for shape in zip(widths, widths[1:]):
        kernel = twisted(rng, filled(rng, shape, draw(styles), most))
        layers.append((kernel, filled(rng, shape[1], draw(styles), most)))
    x = filled(rng, (3, dim), draw(styles), most)
    network = network_of(layers, *activations)
    if draw(st.booleans()):
        network = cancelled(rng, network, x)
    return network, x


class HostileTest(parameterized.TestCase):
    def _assert_sound(self, network, x, found, y):
        self.assertEmpty(violations(network, x, y, found))

    @parameterized.parameters(*BY_HAND)
    def test_what_is_said_of_a_network_made_by_hand_is_true(self, name):
        network, x = BY_HAND[name]()
        y = predict(network, x)
        many = network.num_classes > 100  # One step a class, eagerly.
        for search in (None, certificates.SearchOptions()):
            found = certify(network, x, y, search=search, compiled=many)
            self._assert_sound(network, x, found, y)

    def test_what_is_made_by_hand_is_certified_where_it_can_be(self):
        for name in ("exactly flat directions", "nearly linear units"):
            network, x = BY_HAND[name]()
            self.assertTrue(np.all(certify(network, x).radius > 0.0))
        network, x = BY_HAND["constant, positive margin"]()
        self.assertTrue(np.all(certify(network, x).radius > 1e3))
        for name in ("duplicate classes", "all logits equal"):
            network, x = BY_HAND[name]()
            twins = predict(network, x) != 1
            found = certify(network, x)
            self.assertFalse(np.any(found.radius[twins] > 0.0))

    @hypothesis.settings(
        deadline=None,
        max_examples=40,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(_cases())
    def test_the_closed_form_is_true(self, case):
        network, x = case
        y = predict(network, x)
        y[2] = (y[2] + 1) % network.num_classes
        self._assert_sound(network, x, certify(network, x, y, search=None), y)

    @hypothesis.settings(
        deadline=None,
        max_examples=15,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(_cases())
    def test_what_the_search_proves_is_true(self, case):
        network, x = case
        y = predict(network, x)
        closed = certify(network, x, y, search=None)
        found = certify(network, x, y)
        self._assert_sound(network, x, found, y)
        self.assertTrue(np.all(found.radius >= closed.radius))

    @parameterized.parameters("softplus", "tanh", "gelu")
    def test_the_compiled_function_survives_what_overflows_the_search(
        self, activation
    ):
        # In float32 the squares of all of these are infinite.
        rng = np.random.default_rng(0)
        network = network_of(
            [
                (1e30 * rng.normal(size=(2, 3)), np.zeros(3)),
                (1e30 * rng.normal(size=(3, 3)), rng.normal(size=3)),
            ],
            activation,
        )
        x = rng.normal(size=(4, 2)) * np.array(
            [[1e-30], [1.0], [1e30], [1e300]]
        )
        y = predict(network, x)
        found = certify(network, x, y, compiled=True)
        self._assert_sound(network, x, found, y)

    def test_numbers_whose_squares_vanish_certify_nothing_false(self):
        # w . x cancels to less than its rounding, where ||w|| or ||x||
        # underflows to zero.
        rng = np.random.default_rng(1)
        for small, large in ((1e-180, 1.0), (1.0, 1e-180), (1e-165, 1e140)):
            weights = small * rng.normal(size=(3, 2))
            normal = weights[:, 0] - weights[:, 1]
            x = large * rng.normal(size=(60, 3))
            x[:, 2] = -(x[:, :2] @ (normal[:2] / normal[2]))
            network = network_of([(weights, np.zeros(2))])
            found = certify(network, x, search=None)
            self._assert_sound(network, x, found, predict(network, x))


if __name__ == "__main__":
    absltest.main()
