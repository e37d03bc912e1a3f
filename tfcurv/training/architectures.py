"""Networks of published tables by name, layer by layer.

For layers and initial weights: [LLP20] and its code; "2C2F" is the network
for MNIST that [BV20]'s authors released, "2C2F-wide" that for CIFAR-10 of its
text.

[BV20]: Balunovic and Vechev, "Adversarial Training and Provable Defenses:
Bridging the Gap", ICLR 2020.

[LLP20]: Lee, Lee and Park, "Lipschitz-Certifiable Training with a Tight Outer
Bound", NeurIPS 2020.
"""

from collections.abc import Mapping
import math
import types
from typing import Any
from typing import NamedTuple

import keras

from tfcurv import networks
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
        "2C2F": Architecture((_Window(32, 5, 2), _Window(64, 4, 2)), (100,)),
        "2C2F-wide": Architecture((_HALVING_32, _Window(128, 4, 2)), (150,)),
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


def activation_of(name: str) -> Any:
    """Returns what Keras' layers take for the activation of a `TrainConfig`.

    Args:
        name: Keras' name of it, or "absolute".
    """
    is_own = name == networks.ABSOLUTE.name
    return nn.layers.absolute if is_own else name


def architecture_layers(
    name: str, num_classes: int, activation: str = "relu"
) -> list[keras.layers.Layer]:
    """Returns new layers, from behind the input to the logits.

    With Keras' initial weights; see `start_as_published`.

    Args:
        name: A key of `ARCHITECTURES`.
        num_classes: The number of logits.
        activation: See `activation_of`; "softplus" gives the smooth twin of
            the same sizes.

    Raises:
        ValueError: There is no such architecture.
    """
    windows, units = ARCHITECTURES[check_architecture(name)]
    activation = activation_of(activation)
    layers: list[keras.layers.Layer] = [
        nn.layers.Conv2D(*window, activation=activation) for window in windows
    ]
    layers.append(keras.layers.Flatten())
    for count in units:
        layers.append(nn.layers.Dense(count, activation=activation))
    return [*layers, nn.layers.Dense(num_classes)]


def start_as_published(model: keras.Model) -> None:
    """Draws weights as the code of [LLP20] does, by Keras' global seed.

    Kernels and biases uniform within 1 / sqrt(what an output reads), which is
    PyTorch's default; but on images in colour convolutions of variance 2 /
    (window * filters), with no bias.

    Args:
        model: Of images, built.
    """
    has_colour = model.input_shape[-1] > 1
    for layer in model.layers:
        if not hasattr(layer, "kernel"):
            continue
        shape = layer.kernel.shape
        is_window = len(shape) > 2
        if is_window and has_colour:
            variance = 2.0 / (math.prod(shape[:-2]) * shape[-1])
            kernel = keras.random.normal(shape, stddev=math.sqrt(variance))
            bias = keras.ops.zeros(layer.bias.shape)
        else:
            most = 1.0 / math.sqrt(math.prod(shape[:-1]))
            kernel, bias = (
                keras.random.uniform(each.shape, -most, most)
                for each in (layer.kernel, layer.bias)
            )
        layer.kernel.assign(kernel)
        layer.bias.assign(bias)


def parameter_count(model: keras.Model) -> int:
    """Returns the number of trained numbers, as tables print it."""
    return sum(math.prod(w.shape) for w in model.trainable_variables)
