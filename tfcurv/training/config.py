"""Everything that decides the result of a training run."""

import dataclasses
from typing import NamedTuple

from tfcurv import data
from tfcurv import networks
from tfcurv.training.architectures import check_architecture
from tfcurv.training.objectives import ATTACKS
from tfcurv.training.objectives import OBJECTIVES
from tfcurv.training.objectives import check_objective

CONSTRAINTS = ("dual", "sphere")
_COUNTS = (
    *("layers", "width", "epochs", "batch_size", "attack_steps"),
    "stages",
)
_STRENGTHS = (
    *("epsilon", "gamma", "warmup_epochs", "rampup_epochs"),
    *("stability", "l1"),
)
NORMS = ("l2", "linf")

#: Of networks that are not to have a bounded curvature, beside the smooth ones.
KINKED = (networks.RELU.name, networks.ABSOLUTE.name)


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
    """Settings of a training that is to end in certificates.

    The defaults are those of curvature-based robust training of dense
    networks; `default_config` has those of each objective.

    Attributes:
        dataset: Name of a data set, see `tfcurv.data.DATASETS`.
        objective: A key of `OBJECTIVES`: "crt" for curvature-based robust
            training; "bcp", "ibp", "lmt", "crown-ibp" and "coap" for the worst
            logits within epsilon, see `tfcurv.WorstCase`; "colt" for the worst
            latent points, see `fit_layerwise`; "pgd" and "trades"
            for adversarial training, see `tfcurv.nn.ProjectedGradientAttack`
            and `TradesAttack`; "plain" for none.
        architecture: A key of `ARCHITECTURES`; None for the layers below.
        convolutions: The convolutions before the dense layers, if any.
        layers: Number of dense layers, the logits' layer included.
        width: Units of each hidden dense layer.
        activation: Keras name of an activation, a smooth one for "crt"; or
            "absolute", for `tfcurv.layers.absolute`.
        epsilon: Radius of the adversary or of the worst logits, pixels in
            [0, 1]; 0 for none. Without effect on "plain".
        norm: Of the worst logits, of "pgd" and "trades": "l2" or "linf".
        gamma: Strength of the curvature penalty; 0 for none. "crt" alone.
        epochs: Passes over the training data, in all stages.
        batch_size: Images a step.
        learning_rate: Of Adam, at first.
        learning_rate_drops: Shares of the epochs, of "colt" of those of each
            stage, after which it drops, rising.
        learning_rate_factor: What each of them multiplies it by.
        warmup_epochs: Of an adversary, epochs over which epsilon and gamma
            rise from 0; of worst logits, plain epochs before the rise begins.
        rampup_epochs: Epochs over which epsilon and the weight of the worst
            logits rise from 0; of "colt" in each stage, the weight alone.
        augmentation: Whether training images are shifted by up to four pixels
            and mirrored at random.
        attack_steps: Gradient evaluations of the adversary a step.
        constraint: Of "crt": "dual" or "sphere", see `tfcurv.CurvatureAttack`.
        beta: Weight of the divergence of "trades".
        stages: Of "colt": adversarial training at the input, then one with the
            first activation replaced, and so on; they share the epochs.
        projections: Of "colt", see `tfcurv.nn.LayerwiseAdversary`.
        stability: Likewise.
        l1: Likewise.
        seed: Of weights and of the order of the data.
    """

    dataset: str = "mnist"
    objective: str = "crt"
    architecture: str | None = None
    convolutions: tuple[ConvolutionSettings, ...] = ()
    layers: int = 2
    width: int = 1024
    activation: str = "softplus"
    epsilon: float = 1.58
    norm: str = "l2"
    gamma: float = 0.01
    epochs: int = 20
    batch_size: int = 128
    learning_rate: float = 1e-3
    learning_rate_drops: tuple[float, ...] = (0.6, 0.85)
    learning_rate_factor: float = 0.1
    warmup_epochs: float = 3.0
    rampup_epochs: float = 0.0
    augmentation: bool = False
    attack_steps: int = 3
    constraint: str = "dual"
    beta: float = 6.0
    stages: int = 1
    projections: int = 50
    stability: float = 0.0
    l1: float = 0.0
    seed: int = 0

    @property
    def network(self) -> str:
        """The layers in short: "conv32k5s2_2x1024", or a name as "4C3F"."""
        if self.architecture is not None:
            return self.architecture
        windows = [f"conv{f}k{k}s{s}" for f, k, s in self.convolutions]
        if self.layers > 1 or not windows:
            windows.append(f"{self.layers}x{self.width}")
        return "_".join(windows)

    @property
    def is_dense(self) -> bool:
        """Whether the network has no convolution."""
        return self.architecture is None and not self.convolutions

    @property
    def is_layerwise(self) -> bool:
        """Whether the network is trained stage by stage."""
        return OBJECTIVES[self.objective].is_layerwise

    @property
    def domain(self) -> tuple[float, float] | None:
        """In which the worst inputs are looked for; None for all inputs."""
        return (0.0, 1.0) if self.is_layerwise else None

    @property
    def worst_case(self) -> str | None:
        """See `Objective`."""
        return OBJECTIVES[self.objective].worst_case

    @property
    def adversary(self) -> str | None:
        """What moves the images of a step, see `Objective`."""
        return OBJECTIVES[self.objective].adversary if self.epsilon else None

    @property
    def settling_epochs(self) -> float:
        """Epochs until all strengths of the training are the final ones."""
        before = self.epochs - self.epochs // self.stages
        return before + self.warmup_epochs + self.rampup_epochs

    def __post_init__(self) -> None:
        check_objective(self.objective)
        data.dataset_info(self.dataset)
        if self.architecture is not None:
            check_architecture(self.architecture)
        if self.objective == "crt" or self.activation not in KINKED:
            networks.activation(self.activation)
        for name, allowed in (("constraint", CONSTRAINTS), ("norm", NORMS)):
            self._require(name, getattr(self, name) in allowed, str(allowed))
        settings = [ConvolutionSettings(*each) for each in self.convolutions]
        object.__setattr__(self, "convolutions", tuple(settings))
        positive = all(min(each) >= 1 for each in settings)
        self._require("convolutions", positive, "numbers of at least 1")
        for name in _COUNTS:
            self._require(name, getattr(self, name) >= 1, "at least 1")
        for name in _STRENGTHS:
            value = getattr(self, name)
            self._require(name, 0.0 <= value < float("inf"), "at least 0")
        is_rate = 0.0 < self.learning_rate < float("inf")
        self._require("learning_rate", is_rate, "positive and finite")
        weighs = 0.0 < self.beta < float("inf")
        self._require("beta", weighs, "positive and finite")
        self._require("projections", self.projections >= 2, "at least 2")
        self._check_drops()
        self._check_worst_case()
        self._check_stages()

    def _check_drops(self) -> None:
        drops = tuple(map(float, self.learning_rate_drops))
        object.__setattr__(self, "learning_rate_drops", drops)
        ends = (0.0, *drops, 1.0)
        rising = all(a < b for a, b in zip(ends, ends[1:]))
        self._require("learning_rate_drops", rising, "rising, in (0, 1)")
        factor = 0.0 < self.learning_rate_factor <= 1.0
        self._require("learning_rate_factor", factor, "in (0, 1]")

    def _check_worst_case(self) -> None:
        if self.worst_case is None:
            has_norm = self.norm == "l2" or self.objective in ATTACKS
            self._require("norm", has_norm, "'l2', beside this objective")
            nothing = self.rampup_epochs == 0.0
            self._require("rampup_epochs", nothing, "0, without worst case")
            return
        # Without one of them it would be plain training under another name.
        self._require("epsilon", self.epsilon > 0.0, "positive")
        risen = self.rampup_epochs > 0.0 or self.warmup_epochs == 0.0
        self._require("rampup_epochs", risen, "positive, after a warm-up")

    def _check_stages(self) -> None:
        if not self.is_layerwise:
            self._require(
                "stages", self.stages == 1, "1, beside this objective"
            )
            return
        self._require("norm", self.norm == "linf", "'linf', with stages")
        each, rest = divmod(self.epochs, self.stages)
        self._require("epochs", not rest, f"multiples of {self.stages}")
        nothing = self.warmup_epochs == 0.0
        self._require("warmup_epochs", nothing, "0, with stages")
        mixes = self.rampup_epochs <= each
        self._require(
            "rampup_epochs", mixes, f"at most {each}, those of a stage"
        )

    def _require(self, name: str, holds: bool, allowed: str) -> None:
        if not holds:
            raise ValueError(
                f"A training setting is out of range. Received: "
                f"{name}={getattr(self, name)!r}. Allowed: {allowed}."
            )
