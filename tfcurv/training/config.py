"""Everything that decides the result of a training run."""

import dataclasses
from typing import NamedTuple

from tfcurv import data
from tfcurv import networks

CONSTRAINTS = ("dual", "sphere")


class ConvolutionSettings(NamedTuple):
    """A square convolution without padding.

    Attributes:
        filters: Its output channels.
        kernel_size: Width of its window.
        strides: Its steps.
    """

    filters: int
    kernel_size: int
    strides: int

    @classmethod
    def parse(cls, text: str) -> "ConvolutionSettings":
        """Reads "FILTERS:KERNEL:STRIDES", as flags have it.

        Raises:
            ValueError: The text is something else.
        """
        parts = text.split(":")
        if len(parts) != 3 or not all(part.isdigit() for part in parts):
            raise ValueError(
                "A convolution is three whole numbers. "
                f"Received: {text!r}. Allowed: FILTERS:KERNEL:STRIDES, such "
                "as 32:5:2."
            )
        return cls(*map(int, parts))


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of curvature-based robust training of a network.

    Attributes:
        dataset: Name of a data set, see `tfcurv.data.DATASETS`.
        convolutions: The convolutions before the dense layers, if any.
        layers: Number of dense layers, the logits' layer included.
        width: Units of each hidden dense layer.
        activation: Keras name of a smooth activation.
        epsilon: l2 radius of the adversary, pixels in [0, 1]; 0 for none.
        gamma: Strength of the curvature penalty; 0 for none.
        epochs: Passes over the training data.
        batch_size: Images a step.
        learning_rate: Of Adam; a tenth from 60 %, a hundredth from 85 % of
            the epochs on.
        warmup_epochs: Epochs over which epsilon and gamma rise from 0.
        attack_steps: Gradient evaluations of the adversary a step.
        constraint: "dual" or "sphere", see `tfcurv.CurvatureAttack`.
        seed: Of weights and of the order of the data.
    """

    dataset: str = "mnist"
    convolutions: tuple[ConvolutionSettings, ...] = ()
    layers: int = 2
    width: int = 1024
    activation: str = "softplus"
    epsilon: float = 1.58
    gamma: float = 0.01
    epochs: int = 20
    batch_size: int = 128
    learning_rate: float = 1e-3
    warmup_epochs: float = 3.0
    attack_steps: int = 3
    constraint: str = "dual"
    seed: int = 0

    @property
    def architecture(self) -> str:
        """The layers in short: "conv32k5s2_2x1024", or "conv32k5s2" alone."""
        windows = [f"conv{f}k{k}s{s}" for f, k, s in self.convolutions]
        if self.layers > 1 or not windows:
            windows.append(f"{self.layers}x{self.width}")
        return "_".join(windows)

    def __post_init__(self) -> None:
        networks.activation(self.activation)
        if self.constraint not in CONSTRAINTS:
            raise ValueError(
                "Unknown constraint. Received: "
                f"constraint={self.constraint!r}. Allowed: {CONSTRAINTS}."
            )
        data.dataset_info(self.dataset)
        settings = [ConvolutionSettings(*each) for each in self.convolutions]
        object.__setattr__(self, "convolutions", tuple(settings))
        positive = all(min(each) >= 1 for each in settings)
        self._require("convolutions", positive, "numbers of at least 1")
        for name in ("layers", "width", "epochs", "batch_size", "attack_steps"):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        for name in ("epsilon", "gamma", "warmup_epochs"):
            value = getattr(self, name)
            self._require(name, 0.0 <= value < float("inf"), "at least 0")
        is_rate = 0.0 < self.learning_rate < float("inf")
        self._require("learning_rate", is_rate, "positive and finite")

    def _require(self, name: str, holds: bool, allowed: str) -> None:
        if not holds:
            raise ValueError(
                f"A training setting is out of range. Received: "
                f"{name}={getattr(self, name)!r}. Allowed: {allowed}."
            )
