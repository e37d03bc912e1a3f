"""Networks that come with tfcurv: small ones, trained for proofs on digits.

Made by `python examples/train_shipped.py`, which also writes what was measured
of them. Larger ones are made by `tfcurv train`, or by `examples/reproduce.py`
with the settings in `RECIPES`.
"""

from collections.abc import Mapping
import dataclasses
import json
import pathlib
import types
from typing import Any

import keras

from tfcurv import errors
from tfcurv import nn
from tfcurv.training.config import TrainConfig
from tfcurv.training.defaults import default_config

_FOLDER = pathlib.Path(__file__).with_name("shipped")

#: Settings by name; images of digits, 8 x 8, pixels in [0, 1].
PRETRAINED: Mapping[str, TrainConfig] = types.MappingProxyType(
    {
        "digits-crt": TrainConfig(
            dataset="digits",
            layers=2,
            width=128,
            epsilon=0.5,
            gamma=0.01,
            epochs=60,
            batch_size=50,
            warmup_epochs=5.0,
        ),
        "digits-crown-ibp": default_config(
            "crown-ibp",
            "digits",
            norm="linf",
            layers=3,
            width=100,
            epsilon=0.1,
            epochs=100,
        ),
    }
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shipped:
    """A network that comes with tfcurv.

    Attributes:
        name: A key of `PRETRAINED`.
        path: Its .keras file, a stock Keras model that ends in logits.
        measured: Of the digits' test images: `clean`, `certified` and
            `attacked` at the `epsilon` of its settings, in its `norm` and
            `domain`; when and on which machine.
    """

    name: str
    path: pathlib.Path
    measured: Mapping[str, Any]

    def load(self) -> keras.Model:
        """Returns the network, not compiled."""
        return nn.read_model(self.path)


def pretrained(name: str) -> Shipped:
    """Returns a network that comes with tfcurv.

    Args:
        name: A key of `PRETRAINED`.

    Raises:
        ValueError: There is no such network.
    """
    if name not in PRETRAINED:
        raise ValueError(
            "No network of this name comes with tfcurv."
            f"{errors.did_you_mean(name, PRETRAINED)} "
            f"Received: name={name!r}. Allowed: {sorted(PRETRAINED)}."
        )
    measured = json.loads((_FOLDER / f"{name}.json").read_text())
    return Shipped(name=name, path=_FOLDER / f"{name}.keras", measured=measured)
