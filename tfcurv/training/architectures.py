"""Networks of published tables by name, layer by layer.

Source: Lee, Lee and Park, "Lipschitz-Certifiable Training with a Tight Outer
Bound", NeurIPS 2020, and its code, for layers and initial weights.
"""

from collections.abc import Mapping
import math
import types
from typing import NamedTuple

import keras

from tfcurv import nn


class _Window(NamedTuple):
    filters: int
    kernel_size: int
    strides: int = 1
    padding: str = "same"


class Architecture(NamedTuple):
    """Convolutions, then dense layers, an activation behind each.

    Attributes:
        convolutions: The convolutions.
        units: Of the hidden dense layers; that of the logits comes last.
    """

    convolutions: tuple[_Window, ...]
    units: tuple[int, ...]


# On even sizes "same" pads these by one on each side, as the paper's do.
_HALVING_32, _HALVING_64 = _Window(32, 4, 2), _Window(64, 4, 2)

#: By the name in the paper: C convolutions, F dense layers.
ARCHITECTURES: Mapping[str, Architecture] = types.MappingProxyType(
    {
        "4C3F": Architecture(
            (_Window(32, 3), _HALVING_32, _Window(64, 3), _HALVING_64),
            (512, 512),
        ),
        "6C2F": Architecture(
            (
                *(_Window(32, 3), _Window(32, 3), _HALVING_32),
                *(_Window(64, 3), _Window(64, 3), _HALVING_64),
            ),
            (512,),
        ),
        # Of images of 64 x 64 x 3.
        "8C2F": Architecture(
            (
                *(_Window(64, 3), _Window(64, 3), _Window(64, 4, 2, "valid")),
                _Window(128, 3),
                *(_Window(128, 3), _Window(128, 4, 2, "valid")),
                *(_Window(256, 3), _Window(256, 4, 2, "valid")),
            ),
            (256,),
        ),
    }
)


def check_architecture(name: str) -> str:
    """Returns the name of an architecture.

    Raises:
        ValueError: There is none of this name.
    """
    if name not in ARCHITECTURES:
        raise ValueError(
            f"Unknown architecture. Received: architecture={name!r}. Allowed: "
            f"{tuple(ARCHITECTURES)}."
        )
    return name


def architecture_layers(
    name: str, num_classes: int, activation: str = "relu"
) -> list[keras.layers.Layer]:
    """Returns new layers, from behind the input to the logits.

    They start as those of the paper: convolutions of variance 2 / (window *
    filters), dense kernels uniform within 1 / sqrt(inputs), PyTorch's default.

    Args:
        name: A key of `ARCHITECTURES`.
        num_classes: The number of logits.
        activation: Keras name of the activation; "softplus" gives the smooth
            twin of the same sizes.

    Raises:
        ValueError: There is no such architecture.
    """
    windows, units = ARCHITECTURES[check_architecture(name)]
    layers: list[keras.layers.Layer] = [
        nn.layers.Conv2D(
            *window,
            activation=activation,
            kernel_initializer=_of_convolution(),
        )
        for window in windows
    ]
    layers.append(keras.layers.Flatten())
    for count in units:
        layers.append(
            nn.layers.Dense(
                count, activation=activation, kernel_initializer=_of_dense()
            )
        )
    last = nn.layers.Dense(num_classes, kernel_initializer=_of_dense())
    return [*layers, last]


def parameter_count(model: keras.Model) -> int:
    """Returns the number of trained numbers, as tables print it."""
    return sum(math.prod(w.shape) for w in model.trainable_variables)


# New ones for each layer: an initializer keeps its seed.
def _of_convolution() -> keras.initializers.Initializer:
    return keras.initializers.VarianceScaling(
        2.0, mode="fan_out", distribution="untruncated_normal"
    )


def _of_dense() -> keras.initializers.Initializer:
    return keras.initializers.VarianceScaling(
        1.0 / 3.0, mode="fan_in", distribution="uniform"
    )
