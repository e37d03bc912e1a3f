"""Networks made to break a certifier, and what must hold of them anyway."""

from collections.abc import Callable
from collections.abc import Iterator

import mpmath
import numpy as np
import tensorflow as tf

from certificates_toys import ACTIVATIONS
from certificates_toys import exact_margin
from certificates_toys import network_of
from tfcurv import certificates
from tfcurv import networks

#: How weights of one array are made; see `filled`.
STYLES = ("wild", "uniform", "whole", "normal")
#: Weights lie between ten to minus and plus one of these.
EXPONENTS = (1, 8, 30)

_SHARES = (1e-2, 0.5, 1.0 - 1e-9)

Case = tuple[networks.Network, np.ndarray]


def filled(rng, shape, style: str, most: float) -> np.ndarray:
    """Returns weights of one style; about a tenth of them are zero."""
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


def twisted(rng, kernel: np.ndarray) -> np.ndarray:
    """Makes two columns equal, opposite or zero, now and then."""
    twist = rng.integers(0, 8)
    if twist < 3 and kernel.shape[1] > 1:
        kernel[:, 1] = kernel[:, 0] * (1.0, -1.0, 0.0)[twist]
    return kernel


def cancelled(
    rng, network: networks.Network, x: np.ndarray
) -> networks.Network:
    """Shifts the logits until they nearly cancel at the first point."""
    logits = network.logits(tf.constant(x[:1])).numpy()[0]
    last = network.affines[-1]
    noise = rng.choice([0.0, 1e-16, 1e-15, 1e-13]) * rng.normal(
        size=logits.shape
    )
    bias = last.bias - logits + noise * np.max(np.abs(logits))
    if not np.max(np.abs(bias)) < 1e37:  # The search is in float32.
        return network
    affine = networks.Affine(kernel=last.kernel, bias=bias)
    return networks.Network(
        [*network.affines[:-1], affine], network.activations
    )


def generated(seed: int) -> Case:
    """Returns a network of up to four layers and three points."""
    rng = np.random.default_rng(seed)
    most, hidden = rng.choice(EXPONENTS), rng.integers(0, 4)
    widths = rng.integers(1, 4, size=hidden + 2)
    widths[-1] = max(widths[-1], 2)
    layers = []
    for shape in zip(widths, widths[1:]):
        kernel = filled(rng, shape, rng.choice(STYLES), most)
        bias = filled(rng, shape[1], rng.choice(STYLES), most)
        layers.append((twisted(rng, kernel), bias))
    x = filled(rng, (3, widths[0]), rng.choice(STYLES), most)
    network = network_of(layers, *rng.choice(ACTIVATIONS, size=hidden))
    return (cancelled(rng, network, x) if rng.uniform() < 0.5 else network), x


def _two_layers(scale=1.0, hidden=5, classes=3, activation="tanh", dim=4):
    rng = np.random.default_rng(0)
    layers = [
        (scale * rng.normal(size=(dim, hidden)), rng.normal(size=hidden)),
        (scale * rng.normal(size=(hidden, classes)), rng.normal(size=classes)),
    ]
    return layers, activation, rng.normal(size=(4, dim))


def _scaled(scale, activation="tanh") -> Case:
    layers, _, x = _two_layers(scale)
    return network_of(layers, activation), x


def _flat_directions() -> Case:
    layers, activation, x = _two_layers()
    layers[0][0][2:] = 0.0
    return network_of(layers, activation), x


def _twin_classes(apart: float) -> Case:
    layers, activation, x = _two_layers()
    kernel, bias = layers[1]
    kernel[:, 2], bias[2] = kernel[:, 0], bias[0] + apart
    return network_of(layers, activation), x


def _many_classes() -> Case:
    layers, activation, x = _two_layers(hidden=3, classes=500, dim=2)
    return network_of(layers, activation), x[:1]


def _one_unit() -> Case:
    layers, activation, x = _two_layers(hidden=1)
    return network_of(layers, activation), x


def _nearly_linear() -> Case:
    # Units in the straight part of tanh: K is a billion times |H| there.
    layers, _, x = _two_layers()
    layers = [(1e-5 * layers[0][0], 0.0 * layers[0][1])] + [
        (1e5 * layers[1][0], layers[1][1])
    ]
    return network_of(layers, "tanh"), x


def _saturated() -> Case:
    layers, _, x = _two_layers()
    return network_of(
        [(layers[0][0], 40.0 + layers[0][1]), layers[1]], "tanh"
    ), x


def _cancelling() -> Case:
    # Two units, alike but for the last bits, weighed against each other.
    rng = np.random.default_rng(0)
    column = rng.normal(size=(4, 1))
    first = np.concatenate([column, column * (1 + 2e-16)], axis=1)
    last = 1e15 * np.array([[1.0, -1.0], [-1.0, 1.0]])
    layers = [(first, np.zeros(2)), (last, np.array([1e-3, 0.0]))]
    return network_of(layers, "softplus"), rng.normal(size=(4, 4))


def _no_gradient() -> Case:
    # x = 0 is the top of every margin: all weights even around it.
    first = np.array([[1.0, -1.0], [2.0, -2.0]])
    last = np.array([[-1.0, 1.0], [-1.0, 1.0]])
    layers = [(first, np.zeros(2)), (last, np.array([4.0, 0.0]))]
    return network_of(layers, "softplus"), np.zeros((1, 2))


def _constant(margin: float) -> Case:
    layers, _, x = _two_layers()
    last = (np.zeros((5, 3)), np.array([margin, 0.0, 0.0]))
    return network_of([layers[0], last], "gelu"), x


def _tiny_first() -> Case:
    # The fourth powers of the first weights vanish, the margin does not.
    outer = np.array([[-100.0, 100.0]])
    margin = 100.0 * np.log1p(np.exp(0.02 * np.log(2.0))) + 0.2
    layers = [
        (1e-90 * np.eye(2), np.zeros(2)),
        (np.full((2, 1), 0.01), np.zeros(1)),
        (outer, np.array([margin, -margin])),
    ]
    return network_of(layers, "softplus", "softplus"), np.zeros((1, 2))


def _tied() -> Case:
    layers, activation, x = _two_layers(classes=2)
    layers[1] = (np.zeros((5, 2)), np.zeros(2))
    return network_of(layers, activation), x


def _not_finite() -> Case:
    network, x = _scaled(1.0)
    x[0, 0], x[1, 1], x[2] = np.nan, np.inf, 1e308
    return network, x


#: Networks made by hand, by what is wrong with them.
BY_HAND: dict[str, Callable[[], Case]] = {
    "weights of 1e30": lambda: _scaled(1e30),
    "weights of 1e-30": lambda: _scaled(1e-30),
    "weights of 1e30, softplus": lambda: _scaled(1e30, "softplus"),
    "weights of 1e-160": lambda: _scaled(1e-160),
    "exactly flat directions": _flat_directions,
    "duplicate classes": lambda: _twin_classes(0.0),
    "classes one rounding apart": lambda: _twin_classes(1e-15),
    "five hundred classes": _many_classes,
    "one hidden unit": _one_unit,
    "first weights of 1e-90": _tiny_first,
    "nearly linear units": _nearly_linear,
    "saturated units": _saturated,
    "catastrophic cancellation": _cancelling,
    "zero gradient at x0": _no_gradient,
    "constant, positive margin": lambda: _constant(1.0),
    "constant, tiny margin": lambda: _constant(1e-300),
    "all logits equal": _tied,
    "inputs that are not finite": _not_finite,
}


def _directions(network, x, y) -> Iterator[np.ndarray]:
    """Down the gradient of some margins, and along the axes."""
    rivals = [t for t in range(network.num_classes) if t != y][:9]
    for t in rivals:
        pair = tf.constant([y], tf.int32), tf.constant([t], tf.int32)
        slope = network.evaluate(
            tf.constant(x[np.newaxis]), *network.pair(*pair, tf.float64)
        ).gradient.numpy()[0]
        peak = np.max(np.abs(slope))
        if 0.0 < peak < np.inf:
            yield -slope / peak
    yield from (sign * axis for axis in np.eye(len(x)) for sign in (1.0, -1.0))


def _points_inside(network, x, y, radius) -> Iterator[list]:
    """Yields exact points strictly inside the ball."""
    for direction in _directions(network, x, y):
        length = mpmath.norm(list(map(float, direction)))
        for share in _SHARES:
            step = mpmath.mpf(radius) * share / length
            yield [float(a) + step * float(b) for a, b in zip(x, direction)]


def violations(
    network: networks.Network,
    x: np.ndarray,
    y: np.ndarray,
    found: certificates.Certificates,
) -> list[str]:
    """Returns what is wrong with certificates, decided in exact arithmetic.

    Args:
        network: The network.
        x: `[batch, dim]` points.
        y: `[batch]` labels.
        found: What the certifier says, as arrays.
    """
    wrong = []
    for row in range(len(x)):
        radius, reason = float(found.radius[row]), found.reason[row]
        upper = found.upper_bound[row]
        if not 0.0 <= radius < np.inf or np.isnan(upper):
            wrong.append(f"row {row}: radius {radius}, upper bound {upper}")
        if (radius > 0.0) != (reason == certificates.Reason.CERTIFIED):
            wrong.append(f"row {row}: radius {radius}, reason {reason}")
        if radius > 0.0 and radius > upper:
            wrong.append(f"row {row}: radius {radius} above {upper}")
        label = int(y[row])
        with mpmath.workdps(400):
            points = _points_inside(network, x[row], label, radius)
            for point in points if 0.0 < radius < np.inf else ():
                if not exact_margin(network, point, label) > 0:
                    wrong.append(f"row {row}: flipped inside {radius}")
        if reason == certificates.Reason.MISCLASSIFIED:
            if not exact_margin(network, x[row], label) < 0:
                wrong.append(f"row {row}: not misclassified")
    return wrong
