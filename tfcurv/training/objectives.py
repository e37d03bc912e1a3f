"""What a training can aim at, and which certificate belongs to it."""

from collections.abc import Mapping
import types
from typing import NamedTuple

import keras

from tfcurv import certificates
from tfcurv.nn.reading.subject import read_subject

#: For `tfcurv.nn.LayerwiseAdversary`, stage by stage.
LAYERWISE = "layerwise"


class Objective(NamedTuple):
    """What a network is trained for.

    Attributes:
        worst_case: Method of `tfcurv.WorstCase`, or `LAYERWISE`; None for a
            training without.
        method: Of certification, see `tfcurv.certify`.
        text: What it is, for people.
        adversary: What moves the images of a training step: "curvature",
            "pgd" or "trades"; None for nothing.
    """

    worst_case: str | None
    method: str
    text: str
    adversary: str | None = None

    @property
    def is_layerwise(self) -> bool:
        """Whether the network is trained stage by stage."""
        return self.worst_case == LAYERWISE


#: By the name that `tfcurv train --objective` takes.
OBJECTIVES: Mapping[str, Objective] = types.MappingProxyType(
    {
        "crt": Objective(
            None,
            certificates.AUTO,
            "curvature-based robust training",
            "curvature",
        ),
        "bcp": Objective("bcp", "bcp", "box constraint propagation"),
        "ibp": Objective("ibp", "ibp", "interval bound propagation"),
        "lmt": Objective("lipschitz", "lipschitz", "Lipschitz-margin training"),
        "crown-ibp": Objective(
            "crown-ibp", "crown-ibp", "linear bounds on intervals of boxes"
        ),
        "coap": Objective("coap", "coap", "convex outer adversarial polytope"),
        "colt": Objective(
            LAYERWISE, "complete", "layerwise adversarial training"
        ),
        "pgd": Objective(
            None, certificates.AUTO, "projected gradient descent", "pgd"
        ),
        "trades": Objective(
            None, certificates.AUTO, "the loss beside a divergence", "trades"
        ),
        "plain": Objective(None, certificates.AUTO, "plain training"),
    }
)

#: Those that lead linear bounds back from the logits: once for each class, and
#: as often through each convolution. XLA takes many times as long for it, and
#: would have to know beforehand how many neurons bend.
BY_LINES = ("crown-ibp", "coap")

#: Adversarial training by projected gradients, in either norm.
ATTACKS = ("pgd", "trades")


def check_objective(name: str) -> str:
    """Returns the name of an objective.

    Raises:
        ValueError: There is none of this name.
    """
    if name not in OBJECTIVES:
        raise ValueError(
            f"Unknown objective. Received: objective={name!r}. Allowed: "
            f"{tuple(OBJECTIVES)}."
        )
    return name


def check_certifiable(
    model: keras.Model, method: str, norm: str = "l2"
) -> None:
    """Raises, before hours of training, what certification would raise.

    Args:
        model: The network that is to be trained.
        method: See `tfcurv.certify`.
        norm: In which the radii are to be.

    Raises:
        UnsupportedModelError: The method cannot certify such a network.
        ValueError: No method has this name.
    """
    threat = certificates.Threat(norm=norm)
    as_graph = certificates.needs_graph(method, threat)
    subject = read_subject(model, as_graph=as_graph)
    certificates.choose(method, subject.network, threat)
