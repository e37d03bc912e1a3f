"""Everything that decides the result of a training run."""

import dataclasses

from tfcurv import bounds
from tfcurv import data

CONSTRAINTS = ("dual", "sphere")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of curvature-based robust training of a dense network.

    Attributes:
        dataset: Name of a data set, see `tfcurv.data.DATASETS`.
        layers: Number of dense layers, the logits' layer included.
        width: Units of each hidden layer.
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

    def __post_init__(self) -> None:
        bounds.activation(self.activation)
        if self.constraint not in CONSTRAINTS:
            raise ValueError(
                "Unknown constraint. Received: "
                f"constraint={self.constraint!r}. Allowed: {CONSTRAINTS}."
            )
        data.dataset_info(self.dataset)
        for name in ("layers", "width", "epochs", "batch_size", "attack_steps"):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        for name in ("epsilon", "gamma", "warmup_epochs"):
            value = getattr(self, name)
            self._require(name, 0.0 <= value < float("inf"), "at least 0")
        self._require("learning_rate", self.learning_rate > 0.0, "positive")

    def _require(self, name: str, holds: bool, allowed: str) -> None:
        if not holds:
            raise ValueError(
                f"A training setting is out of range. Received: "
                f"{name}={getattr(self, name)!r}. Allowed: {allowed}."
            )
