"""Networks to try bounds on, and their values in high precision."""

from collections.abc import Sequence

from absl.testing import parameterized
import mpmath as mp
import numpy as np
import tensorflow as tf

from tfcurv import networks

#: Digits of every high-precision value.
DIGITS = 40

#: Every activation of the library.
NAMES = tuple(networks.ACTIVATIONS)

#: Those that bend.
CURVED = tuple(name for name in NAMES if name != "linear")

in_every_regime = parameterized.named_parameters(
    ("eager", lambda fn: fn),
    ("graph", tf.function),
    ("xla", lambda fn: tf.function(fn, jit_compile=True)),
)


def _softplus(x):
    return mp.log1p(mp.exp(x)) if x < 0 else x + mp.log1p(mp.exp(-x))


_VALUES = {
    "linear": lambda x: x,
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "tanh": mp.tanh,
    "softplus": _softplus,
    "gelu": lambda x: x * mp.erfc(-x / mp.sqrt(2)) / 2,
    "silu": lambda x: x / (1 + mp.exp(-x)),
    "mish": lambda x: x * mp.tanh(_softplus(x)),
    "elu": lambda x: x if x > 0 else mp.expm1(x),
    "softsign": lambda x: x / (1 + abs(x)),
}


def derivative(name: str, x: float, order: int = 0) -> mp.mpf:
    """Returns the derivative of an activation by its definition alone."""
    with mp.workdps(DIGITS):
        x = mp.mpf(x)
        # The step is absolute: a large x needs the digits to feel it.
        digits = 10 + 4 * max(int(mp.mag(x)), 0) if x else 10
        fn = _VALUES[name]
        return mp.diff(fn, x, order, addprec=digits) if order else fn(x)


def random_network(
    seed: int,
    widths: Sequence[int],
    activations: Sequence[str] | str,
    *,
    gain: float = 1.0,
    errors: float = 0.0,
) -> networks.Network:
    """Returns a network with normal weights of variance gain^2 / inputs.

    Args:
        seed: Of its weights.
        widths: Inputs, hidden units, classes.
        activations: Their names, or one for all.
        gain: Scale of every kernel.
        errors: `kernel_error` and `bias_error` of every map.
    """
    rng = np.random.default_rng(seed)
    if isinstance(activations, str):
        activations = [activations] * (len(widths) - 2)
    affines = [
        networks.Affine(
            kernel=rng.standard_normal((n, m)) * gain / np.sqrt(n),
            bias=rng.standard_normal(m) * 0.5,
            kernel_error=errors,
            bias_error=errors,
        )
        for n, m in zip(widths, widths[1:])
    ]
    return networks.Network(affines, [*map(networks.activation, activations)])
