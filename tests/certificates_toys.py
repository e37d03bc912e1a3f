"""Small networks, and what is exactly known of them without the library."""

from collections.abc import Sequence
import contextlib

import mpmath
import numpy as np
import tensorflow as tf

from tfcurv import certificates
from tfcurv import networks

# Enough for sums of numbers from 1e-160 to 1e160 to be exact.
_DIGITS = 400

_EXACT = {
    "linear": lambda z: z,
    "sigmoid": lambda z: 1 / (1 + mpmath.exp(-z)),
    "tanh": mpmath.tanh,
    "softplus": lambda z: max(z, 0) + mpmath.log1p(mpmath.exp(-abs(z))),
    "gelu": lambda z: z * mpmath.erfc(-z / mpmath.sqrt(2)) / 2,
    "silu": lambda z: z / (1 + mpmath.exp(-z)),
    "elu": lambda z: z if z > 0 else mpmath.expm1(z),
    "softsign": lambda z: z / (1 + abs(z)),
}
#: The activations that `exact_margin` knows.
ACTIVATIONS = tuple(_EXACT)


def network_of(
    layers: Sequence[tuple[np.ndarray, np.ndarray]], *activations: str
) -> networks.Network:
    """Returns the network of these (kernel, bias) pairs."""
    affines = [
        networks.Affine(kernel=np.asarray(k, float), bias=np.asarray(b, float))
        for k, b in layers
    ]
    return networks.Network(
        affines, list(map(networks.activation, activations))
    )


def random_network(
    widths: Sequence[int], activation: str = "tanh", *, seed=0, scale=2.0
) -> networks.Network:
    """Returns a network with normal weights, bent enough to be interesting."""
    rng = np.random.default_rng(seed)
    layers = [
        (scale * rng.normal(size=(m, n)) / np.sqrt(m), 0.3 * rng.normal(size=n))
        for m, n in zip(widths, widths[1:])
    ]
    return network_of(layers, *[activation] * (len(layers) - 1))


def predict(network: networks.Network, x: np.ndarray) -> np.ndarray:
    """Returns the class of the largest logit, int32."""
    return np.argmax(network.logits(tf.constant(x)), axis=-1).astype(np.int32)


def certify(
    network: networks.Network,
    x: np.ndarray,
    y: np.ndarray | None = None,
    *,
    compiled: bool = False,
    **options,
) -> certificates.Certificates:
    """Certifies with proved curvatures. Uncompiled it is slow but traceless.

    Args:
        network: The network.
        x: `[batch, dim]` points.
        y: `[batch]` labels. Default: what the network says.
        compiled: Whether to run the compiled function.
        **options: Of `CertifierOptions`.
    """
    x = np.asarray(x, np.float64)
    y = predict(network, x) if y is None else np.asarray(y, np.int32)
    certifier = certificates.Certifier(
        network, certificates.CertifierOptions(**options)
    )
    table = certificates.CurvatureTable(network).bounds(y, y)
    with contextlib.nullcontext() if compiled else eagerly():
        return certifier(x, y, table)


@contextlib.contextmanager
def eagerly():
    """Runs every tf.function as plain Python."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def exact_margin(network: networks.Network, point: Sequence, y: int):
    """Returns min z_y - z_t over t != y, an mpmath number, at exact reals."""
    with mpmath.workdps(_DIGITS):
        x = [mpmath.mpf(v) for v in point]
        for index, affine in enumerate(network.affines):
            z = [
                mpmath.fdot(map(float, column), x) + float(bias)
                for column, bias in zip(affine.kernel.T, affine.bias)
            ]
            if index < len(network.activations):
                x = list(map(_EXACT[network.activations[index].name], z))
        return min(z[y] - other for t, other in enumerate(z) if t != y)
