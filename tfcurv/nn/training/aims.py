"""What a model trains for beside its loss."""

import dataclasses
from typing import Any

import keras

from tfcurv.nn.training.adversary import Adversary
from tfcurv.nn.training.regularizer import CurvatureRegularizer
from tfcurv.nn.training.strength import Clock
from tfcurv.nn.training.strength import Strength
from tfcurv.nn.training.trained_graph import TrainedGraph
from tfcurv.nn.training.worst_logits import WorstLogits


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Aims:
    """Adversary, worst case and penalties of a model, saved with it.

    Attributes:
        adversary: That of `compile`, or None.
        worst_case: That of `compile`, or None.
        regularizers: Those of `add_loss`.
        power_iterations: Steps of power iteration a training batch.
    """

    adversary: Adversary | None = None
    worst_case: WorstLogits | None = None
    regularizers: tuple[CurvatureRegularizer, ...] = ()
    power_iterations: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "regularizers", tuple(self.regularizers))
        for each in self.regularizers:
            if not isinstance(each, CurvatureRegularizer):
                raise TypeError(
                    "Regularizers must be tfcurv.CurvatureRegularizer. "
                    f"Received: {each!r}."
                )

    @property
    def strengths(self) -> tuple[Strength, ...]:
        """The numbers that a `WarmUp` raises: gammas, epsilons, a weight."""
        found = [each.gamma for each in self.regularizers]
        if self.adversary is not None:
            found.append(self.adversary.epsilon)
        if self.worst_case is not None:
            found += self.worst_case.strengths
        return tuple(found)

    @property
    def mover(self) -> Adversary | None:
        """The adversary, if the loss is taken at the points that it finds."""
        return self._adversary_if(is_penalty=False)

    @property
    def penalizer(self) -> Adversary | None:
        """The adversary, if what it finds is a penalty beside the loss."""
        return self._adversary_if(is_penalty=True)

    def _adversary_if(self, *, is_penalty: bool) -> Adversary | None:
        found = self.adversary
        return found if found and found.is_penalty is is_penalty else None

    @property
    def needs_curvature(self) -> bool:
        """Whether layers must track norms for the sake of the curvature."""
        adversary = self.adversary
        attacks = adversary is not None and adversary.needs_curvature
        return bool(self.regularizers) or attacks

    @property
    def needs_graph(self) -> bool:
        """Whether the model must be read."""
        return self.needs_curvature or self.worst_case is not None

    def graph_of(self, model: keras.Model) -> TrainedGraph:
        """Reads a model, for what is needed of it.

        Args:
            model: The model that is trained.

        Raises:
            UnsupportedModelError: It cannot be read.
        """
        curved, worst = self.needs_curvature, self.worst_case
        tracked = curved or (worst is not None and worst.needs_norms)
        return TrainedGraph(model, needs_norms=tracked, with_kinks=not curved)

    def follow(self, clock: Clock | None) -> None:
        """Lets all strengths rise by a model's steps, if it counts them."""
        if clock is not None:
            for strength in self.strengths:
                strength.follow(clock)

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` takes, serialized by Keras."""
        return keras.saving.serialize_keras_object(
            {
                "curvature_regularizers": list(self.regularizers),
                "adversary": self.adversary,
                "worst_case": self.worst_case,
                "power_iterations": self.power_iterations,
            }
        )

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> "Aims":
        """Returns the aims that `get_config` describes.

        Args:
            config: What it returned; models of earlier versions lack the last
                two.
            custom_objects: As Keras has them.
        """
        found = keras.saving.deserialize_keras_object(
            config, custom_objects=custom_objects
        )
        return cls(
            adversary=found["adversary"],
            worst_case=found.get("worst_case"),
            regularizers=found["curvature_regularizers"],
            power_iterations=found.get("power_iterations", 1),
        )
