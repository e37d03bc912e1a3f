"""Settings that fit an objective and a data set, where none are given.

Those of certified training are [LLP20]'s, of its code and its supplement: the
ramps and the drops of the learning rate keep their share of the epochs where
there are fewer of these.

[LLP20]: Lee, Lee and Park, "Lipschitz-Certifiable Training with a Tight Outer
Bound", NeurIPS 2020.
"""

from collections.abc import Mapping
from typing import Any

from tfcurv import data
from tfcurv.training.config import TrainConfig
from tfcurv.training.objectives import ATTACKS
from tfcurv.training.objectives import BY_LINES
from tfcurv.training.objectives import OBJECTIVES
from tfcurv.training.objectives import check_objective

_MNIST: Mapping[str, Any] = {
    "epsilon": 1.58,
    "epochs": 60,
    "batch_size": 50,
    "learning_rate": 3e-4,
    "warmup_epochs": 1.0,
    "rampup_epochs": 20.0,
    "learning_rate_drops": (21 / 60, 30 / 60, 40 / 60),
    "learning_rate_factor": 0.1,
}

_CIFAR10: Mapping[str, Any] = {
    "epsilon": 36 / 255,
    "epochs": 200,
    "batch_size": 128,
    "learning_rate": 1e-3,
    "warmup_epochs": 10.0,
    "rampup_epochs": 121.0,
    "learning_rate_drops": tuple(epoch / 200 for epoch in range(131, 200, 10)),
    "learning_rate_factor": 0.5,
    "augmentation": True,
}

_CERTIFIED: Mapping[str, Mapping[str, Any]] = {
    "mnist": _MNIST,
    "fashion_mnist": _MNIST,
    "cifar10": _CIFAR10,
    # Images of 8 x 8 do not survive more.
    "digits": {**_MNIST, "epsilon": 0.5},
}

_LAYERWISE: Mapping[str, Any] = {
    "norm": "linf",
    "epsilon": 0.1,
    "architecture": "2C2F",
    "stages": 3,
    "epochs": 24,
    "batch_size": 100,
    "learning_rate": 1e-3,
    "warmup_epochs": 0.0,
    "rampup_epochs": 4.0,
    "learning_rate_drops": (0.65, 0.85),
    "learning_rate_factor": 0.2,
    "attack_steps": 8,
    "projections": 16,
    "stability": 1e-3,
    "l1": 1e-5,
}

_LAYERWISE_CIFAR10: Mapping[str, Any] = {
    "epsilon": 2 / 255,
    "architecture": "2C2F-wide",
    "augmentation": True,
}

_RAMPS = ("warmup_epochs", "rampup_epochs")

# Any of them describes a network, in place of a named one.
_SIZES = ("layers", "width", "convolutions")


def default_config(
    objective: str = "crt", dataset: str = "mnist", **settings: Any
) -> TrainConfig:
    """Returns settings, those of the objective where none are given.

    Args:
        objective: A key of `OBJECTIVES`.
        dataset: A key of `tfcurv.data.DATASETS`.
        **settings: Fields of `TrainConfig`, which go before.

    Raises:
        ValueError: A setting is out of range, or a name unknown.
        UnknownDatasetError: There is no such data set.
    """
    check_objective(objective)
    data.dataset_info(dataset)
    found: dict[str, Any] = {}
    if objective == "plain":
        found = {"epsilon": 0.0, "gamma": 0.0}
    elif objective in ATTACKS:
        found = {"gamma": 0.0, "attack_steps": 7}
    elif objective == "colt":
        found = {"gamma": 0.0, "activation": "relu", **_LAYERWISE}
        if dataset == "cifar10":
            found |= _LAYERWISE_CIFAR10
        if settings.keys() & set(_SIZES):
            del found["architecture"]
        share = settings.get("epochs", found["epochs"]) / found["epochs"]
        found["rampup_epochs"] *= share
    elif OBJECTIVES[objective].worst_case is not None:
        found = {"gamma": 0.0, "activation": "relu", **_CERTIFIED[dataset]}
        is_named = not settings.keys() & set(_SIZES)
        if is_named and objective not in BY_LINES:
            found["architecture"] = "4C3F"
        share = settings.get("epochs", found["epochs"]) / found["epochs"]
        found |= {name: share * found[name] for name in _RAMPS}
    return TrainConfig(
        objective=objective, dataset=dataset, **{**found, **settings}
    )
