"""What a run is about: a model, as a network, with its hash."""

import dataclasses
import hashlib

import keras
import numpy as np

from tfcurv import bounds
from tfcurv.nn import adapter
from tfcurv.nn import chain


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """A model that is certified or attacked.

    Attributes:
        model: The Keras model; None where a network was given.
        network: What it computes.
        input_shape: Shape of one of its inputs.
        is_scaled: Whether it scales its input itself.
    """

    model: keras.Model | None
    network: bounds.Network
    input_shape: tuple[int, ...]
    is_scaled: bool

    @property
    def model_hash(self) -> str:
        """sha256 of weights, biases and activations."""
        digest = hashlib.sha256()
        for affine in self.network.affines:
            for array in (affine.kernel, affine.bias):
                digest.update(repr(array.shape).encode())
                digest.update(np.ascontiguousarray(array).tobytes())
        names = [activation.name for activation in self.network.activations]
        digest.update(repr(names).encode())
        return digest.hexdigest()


def read_subject(
    model: keras.Model | bounds.Network,
    *,
    guard: str | None = None,
    rigor: str = "verified",
) -> Subject:
    """Returns what a model computes, with what a run needs to know of it.

    Args:
        model: A Keras model, or a `Network`, taken as it is.
        guard: See `network_from_model`.
        rigor: See `network_from_model`.

    Raises:
        UnsupportedModelError: The model cannot be certified.
        ValueError: `guard` or `rigor` is unknown, or set for a `Network`.
    """
    if isinstance(model, bounds.Network):
        if guard is not None or rigor != model.rigor.value:
            raise ValueError(
                "A Network brings its own rigor, and nothing executes it. "
                f"Received: guard={guard!r}, rigor={rigor!r}. Allowed: "
                f"guard=None, rigor={model.rigor.value!r}; or a Keras model."
            )
        return Subject(
            model=None,
            network=model,
            input_shape=(model.input_dim,),
            is_scaled=False,
        )
    network = adapter.network_from_model(model, guard=guard, rigor=rigor)
    kinds = [type(link) for link in chain.read_chain(model, with_relu=True)]
    return Subject(
        model=model,
        network=network,
        input_shape=adapter.input_shape(model),
        is_scaled=chain.Scaling in kinds,
    )
