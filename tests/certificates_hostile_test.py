"""Networks made to break a certifier: whatever it says must still be true."""

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import mpmath
import numpy as np
import tensorflow as tf

from certificates_toys import ACTIVATIONS
from certificates_toys import certify
from certificates_toys import exact_margin
from certificates_toys import network_of
from certificates_toys import predict
from tfcurv import bounds
from tfcurv import certificates

_REASON = certificates.Reason
_SHARES = (1e-2, 0.5, 1.0 - 1e-9)


def _filled(rng, shape, style, most):
    """Weights of one style; about a tenth of them are zero."""
    if style == "wild":
        sizes = 10.0 ** rng.uniform(-most, most, size=shape)
    elif style == "uniform":
        sizes = 10.0 ** rng.uniform(-most, most) * rng.uniform(0.1, 1, shape)
    elif style == "whole":
        sizes = rng.integers(0, 4, size=shape).astype(float)
    else:
        sizes = np.abs(rng.normal(size=shape))
    signs = rng.choice([-1.0, 1.0], size=shape)
    return np.where(rng.uniform(size=shape) < 0.1, 0.0, sizes * signs)


def _twisted(rng, kernel):
    """Makes two columns equal, opposite or zero, now and then."""
    twist = rng.integers(0, 8)
    if twist < 3 and kernel.shape[1] > 1:
        kernel[:, 1] = kernel[:, 0] * (1.0, -1.0, 0.0)[twist]
    return kernel


@st.composite
def _cases(draw):
    """A network of up to four layers and three points of one style."""
    seed = draw(st.integers(0, 2**20))
    most = draw(st.sampled_from([1, 8, 30]))
    dim = draw(st.integers(1, 3))
    hidden = draw(st.lists(st.integers(1, 3), max_size=3))
    widths = [dim, *hidden, draw(st.integers(2, 3))]
    activations = [draw(st.sampled_from(ACTIVATIONS)) for _ in hidden]
    styles = st.sampled_from(["wild", "uniform", "whole", "normal"])
    rng = np.random.default_rng(seed)
    layers = []
    for shape in zip(widths, widths[1:]):
        kernel = _twisted(rng, _filled(rng, shape, draw(styles), most))
        layers.append((kernel, _filled(rng, shape[1], draw(styles), most)))
    x = _filled(rng, (3, dim), draw(styles), most)
    network = network_of(layers, *activations)
    if draw(st.booleans()):
        network = _cancelled(rng, network, x)
    return network, x


def _cancelled(rng, network, x):
    """Shifts the logits until they nearly cancel at the first point."""
    logits = network.logits(tf.constant(x[:1])).numpy()[0]
    last = network.affines[-1]
    noise = rng.choice([0.0, 1e-16, 1e-15, 1e-13]) * rng.normal(
        size=logits.shape
    )
    bias = last.bias - logits + noise * np.max(np.abs(logits))
    if not np.max(np.abs(bias)) < 1e37:  # The search is in float32.
        return network
    affine = bounds.Affine(kernel=last.kernel, bias=bias)
    return bounds.Network([*network.affines[:-1], affine], network.activations)


def _directions(network, x, y):
    """Down the gradient of each margin, and along the axes."""
    for t in range(network.num_classes):
        pair = tf.constant([y], tf.int32), tf.constant([t], tf.int32)
        slope = network.evaluate(
            tf.constant(x[np.newaxis]), *network.pair(*pair, tf.float64)
        ).gradient.numpy()[0]
        peak = np.max(np.abs(slope))
        if t != y and 0.0 < peak < np.inf:
            yield -slope / peak
    yield from (sign * axis for axis in np.eye(len(x)) for sign in (1.0, -1.0))


class HostileTest(parameterized.TestCase):
    def _assert_true(self, network, x, y, radius):
        """No point inside the radius has another class, exactly."""
        for direction in _directions(network, x, y):
            with mpmath.workdps(400):
                length = mpmath.norm(list(map(float, direction)))
                for share in _SHARES:
                    step = mpmath.mpf(radius) * share / length
                    point = [
                        float(a) + step * float(b) for a, b in zip(x, direction)
                    ]
                    self.assertGreater(exact_margin(network, point, y), 0)

    def _assert_sound(self, network, x, found, y):
        for row in range(len(x)):
            radius, reason = found.radius[row], found.reason[row]
            self.assertTrue(0.0 <= radius < np.inf)
            self.assertFalse(np.isnan(found.upper_bound[row]))
            self.assertEqual(radius > 0.0, reason == _REASON.CERTIFIED)
            self.assertLessEqual(
                radius, found.upper_bound[row] if radius else np.inf
            )
            if radius:
                self._assert_true(network, x[row], int(y[row]), radius)
            if reason == _REASON.MISCLASSIFIED:
                self.assertLess(exact_margin(network, x[row], int(y[row])), 0)

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
