"""No attack may succeed inside a radius: networks trained on real digits."""

import contextlib
import importlib
from unittest import mock
import warnings

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from sklearn import datasets
import tensorflow as tf

from certificates_toys import certify
from certificates_toys import network_of
from certificates_toys import predict
from tfcurv import networks

_NETWORKS = (
    ("softplus", (64, 16, 10)),
    ("tanh", (64, 14, 12, 10)),
    ("gelu", (64, 16, 10)),
)
_NUM_POINTS = 24
# Of the radius: what is strictly inside, beyond any rounding of the attack.
_INSIDE = 1.0 - 1e-6


def _digits() -> tuple[np.ndarray, np.ndarray]:
    images, labels = datasets.load_digits(return_X_y=True)
    return images / 16.0, labels.astype(np.int32)


def _train(activation: str, widths: tuple[int, ...]) -> networks.Network:
    """Full-batch gradient descent with momentum, and a little weight decay."""
    images, labels = map(tf.constant, _digits())
    rng = np.random.default_rng(0)
    weights = [
        tf.Variable(rng.normal(size=shape) / np.sqrt(shape[0]))
        for shape in zip(widths, widths[1:])
    ]
    weights += [tf.Variable(np.zeros(n)) for n in widths[1:]]
    speeds = [tf.Variable(tf.zeros_like(w)) for w in weights]
    fn, depth = networks.activation(activation), len(widths) - 1

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            x = images
            for kernel, bias in zip(weights, weights[depth:]):
                x = (x if kernel is weights[0] else fn.value(x)) @ kernel + bias
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels, x)
            ) + 1e-3 * sum(tf.nn.l2_loss(kernel) for kernel in weights[:depth])
        slopes = tape.gradient(loss, weights)
        for weight, speed, slope in zip(weights, speeds, slopes):
            speed.assign(0.9 * speed - 0.1 * slope)
            weight.assign_add(speed)

    for _ in range(120):
        step()
    arrays = [weight.numpy() for weight in weights]
    layers = list(zip(arrays[:depth], arrays[depth:]))
    return network_of(layers, *[activation] * (depth - 1))


def _margins(network, x, y) -> np.ndarray:
    logits = network.logits(tf.constant(x)).numpy()
    rows = np.arange(len(y))
    own = logits[rows, y]
    logits[rows, y] = -np.inf
    return own - np.max(logits, axis=-1)


def _margin_gradients(network, x, y, t) -> np.ndarray:
    weights, bias = network.pair(
        tf.constant(y), tf.constant(t, tf.int32), tf.float64
    )
    return network.evaluate(tf.constant(x), weights, bias).gradient.numpy()


def _entropy_gradients(network, x, y) -> np.ndarray:
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(
            y, network.logits(x)
        )
    return -tape.gradient(loss, x).numpy()


def _attack(network, x0, y, epsilons, targets, *, restarts=2, steps=25):
    """Returns the least margin seen by projected gradients, on each row.

    Restarts, from x0 and from random points of the ball; losses: the margin
    over given targets, over whichever class is nearest, cross entropy.
    """
    rng = np.random.default_rng(1)
    epsilons = epsilons[:, np.newaxis]

    def nearest(x):
        logits = network.logits(tf.constant(x)).numpy()
        logits[np.arange(len(y)), y] = -np.inf
        return _margin_gradients(network, x, y, np.argmax(logits, axis=-1))

    losses = [nearest, lambda x: _entropy_gradients(network, x, y)]
    for target in targets:
        losses.append(lambda x, t=target: _margin_gradients(network, x, y, t))
    least = _margins(network, x0, y)
    for loss in losses:
        for restart in range(restarts):
            noise = rng.normal(size=x0.shape) * min(restart, 1)
            x = x0 + epsilons * noise / np.sqrt(x0.shape[1])
            for step in range(steps):
                slope = loss(x)
                length = np.linalg.norm(slope, axis=-1, keepdims=True)
                reach = 2.0 * epsilons / (1.0 + step)
                x = x - reach * slope / np.maximum(length, 1e-300)
                offset = x - x0
                length = np.linalg.norm(offset, axis=-1, keepdims=True)
                share = np.minimum(1.0, epsilons / np.maximum(length, 1e-300))
                x = x0 + share * offset
                least = np.minimum(least, _margins(network, x, y))
    return least


class SandwichTest(parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cases = {}
        images, labels = _digits()
        for activation, widths in _NETWORKS:
            network = _train(activation, widths)
            correct = np.flatnonzero(predict(network, images) == labels)
            rows = correct[:: len(correct) // _NUM_POINTS][:_NUM_POINTS]
            x, y = images[rows], labels[rows]
            share = len(correct) / len(labels)
            cls.cases[activation] = network, x, y, certify(network, x, y), share

    @parameterized.parameters("softplus", "tanh", "gelu")
    def test_the_networks_have_learned_and_the_radii_mean_something(
        self, activation
    ):
        *_, found, share = self.cases[activation]
        self.assertGreater(share, 0.8)
        self.assertTrue(np.all(found.radius > 1e-3))
        self.assertTrue(np.all(found.radius <= found.upper_bound))
        self.assertGreater(np.median(found.radius), 0.05)

    @parameterized.parameters("softplus", "tanh", "gelu")
    def test_no_projected_gradient_flips_a_point_inside_its_radius(
        self, activation
    ):
        network, x, y, found, _ = self.cases[activation]
        others = [(y + 1 + k) % 10 for k in range(0, 9, 4)]
        least = _attack(
            network, x, y, found.radius * _INSIDE, [found.target, *others]
        )
        self.assertGreater(np.min(least), 0.0)

    @parameterized.parameters("softplus", "tanh", "gelu")
    def test_the_attack_flips_what_lies_beyond_an_exact_radius(
        self, activation
    ):
        # Without this the test above might hold for want of an attack.
        network, x, y, found, _ = self.cases[activation]
        least = _attack(
            network, x, y, found.upper_bound * 1.02, [found.target], restarts=1
        )
        self.assertGreater(np.mean(least <= 0.0), 0.9)

    @parameterized.parameters("softplus", "tanh", "gelu")
    def test_no_attack_of_foolbox_comes_nearer_than_the_radius(
        self, activation
    ):
        with _ancient_numpy():
            foolbox = importlib.import_module("foolbox")
        network, x, y, found, _ = self.cases[activation]
        model = foolbox.TensorFlowModel(network.logits, bounds=(-9.0, 9.0))
        reach = float(np.median(found.upper_bound))
        attacks = (
            (foolbox.attacks.L2PGD(steps=40, rel_stepsize=0.1), reach),
            (foolbox.attacks.L2DeepFoolAttack(steps=30), None),
            (
                foolbox.attacks.L2CarliniWagnerAttack(
                    binary_search_steps=3, steps=40, stepsize=0.05
                ),
                None,
            ),
        )
        for attack, epsilon in attacks:
            with self.subTest(type(attack).__name__):
                with _ancient_numpy():
                    _, points, _ = attack(
                        model,
                        tf.constant(x, tf.float32),
                        tf.constant(y),
                        epsilons=epsilon,
                    )
                points = points.numpy().astype(np.float64)
                flipped = _margins(network, points, y) <= 0.0
                self.assertGreater(np.mean(flipped), 0.3)
                distance = np.linalg.norm(points - x, axis=-1)
                nearer = distance < found.radius * _INSIDE
                self.assertFalse(np.any(flipped & nearer))


@contextlib.contextmanager
def _ancient_numpy():
    """EagerPy, on which Foolbox rests, calls what NumPy 2 has removed."""
    common = mock.patch.object(
        np,
        "find_common_type",
        lambda types, _: np.result_type(*types),
        create=True,
    )
    with warnings.catch_warnings(), common:
        warnings.simplefilter("ignore")
        yield


if __name__ == "__main__":
    absltest.main()
