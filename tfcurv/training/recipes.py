"""The settings of every network of docs/results.md, by name.

A name is dataset-activation-layers-method: `plain` for standard training,
`gammaX` for standard training with the penalty X, `crtX` for curvature-based
robust training with it, and otherwise the objective. Epsilon is 0.5 for sigmoid
and 1.58 for softplus and ReLU networks, unless a name ends with another, as
`at0.5`. Penalties and radii are those of [SF20], Tables 2 to 6. `conv` stands
for a network whose only hidden layer is a convolution.

Networks of [LLP20] have a name for their layers, as `4C3F`, and end with the
objective. They are trained for a part of its epochs, which two cores manage;
the shares of the epochs are its own on CIFAR-10, see `default_config`, while on
MNIST the ramp of epsilon is longer. Those named "2C2F" are COLT's, linf, at 0.1
on MNIST and 2/255 on CIFAR-10.

[SF20]: Singla and Feizi, "Second-Order Provable Defenses against Adversarial
Attacks", ICML 2020.
[LLP20]: Lee, Lee and Park, "Lipschitz-Certifiable Training with a Tight Outer
Bound", NeurIPS 2020.
"""

from collections.abc import Mapping
import dataclasses
import types
from typing import Any

from tfcurv.training.config import ConvolutionSettings
from tfcurv.training.config import TrainConfig
from tfcurv.training.defaults import default_config
from tfcurv.training.objectives import ATTACKS

# The rows of [SF20], Tables 3 and 4, beside its own.
_LINE_ROWS = (
    ("softplus", "crown-ibp"),
    ("relu", "coap"),
    ("relu", "crown-ibp"),
)

_EPSILONS = {"sigmoid": 0.5, "softplus": 1.58}

# By the number of layers: [SF20], Table 2, and Tables 3 and 4.
_SIGMOID_GAMMAS = {2: 0.03, 3: 0.05, 4: 0.07}
_SOFTPLUS_GAMMAS = {2: 0.01, 3: 0.05, 4: 0.07}

# The slides that extend [SF20] to convolutions do not say which they used.
_SLIDES_CONVOLUTION = (ConvolutionSettings(16, 5, 2),)

# Windows so wide that a few hundred places remain.
_MNIST_CONVOLUTION = (ConvolutionSettings(64, 16, 4),)
_CIFAR_CONVOLUTION = (ConvolutionSettings(64, 8, 4),)

# Of 0.01, 0.02, 0.04 and 0.08 the one that certifies most validation images.
_FASHION_GAMMA = 0.08
# Of 0.05, 0.07 and 0.1, for four layers.
_DEEP_GAMMA = 0.1

# Of MNIST at 1.58, two layers gain 0.9 points by 30 epochs instead of 20.
_SOFTPLUS_EPOCHS = {2: 30, 3: 20, 4: 30}
_SIGMOID_EPOCHS = {2: 30, 3: 20, 4: 20}


def _standard(layers: int, gamma: float) -> tuple[str, TrainConfig]:
    method = f"gamma{gamma:g}" if gamma else "plain"
    config = TrainConfig(
        layers=layers, activation="sigmoid", epsilon=0.0, gamma=gamma
    )
    return f"mnist-sigmoid-{layers}-{method}", config


def _robust(
    dataset: str, activation: str, layers: int, gamma: float
) -> tuple[str, TrainConfig]:
    is_softplus = activation == "softplus"
    epochs = _SOFTPLUS_EPOCHS if is_softplus else _SIGMOID_EPOCHS
    config = TrainConfig(
        dataset=dataset,
        layers=layers,
        activation=activation,
        epsilon=_EPSILONS[activation],
        gamma=gamma,
        epochs=epochs[layers],
    )
    return f"{dataset}-{activation}-{layers}-crt{gamma:g}", config


def _attacked(layers: int, objective: str) -> tuple[str, TrainConfig]:
    config = default_config(
        objective, layers=layers, activation="sigmoid", epsilon=0.5
    )
    return f"mnist-sigmoid-{layers}-{objective}", config


def _by_lines(
    dataset: str, activation: str, layers: int, objective: str
) -> tuple[str, TrainConfig]:
    config = default_config(
        objective,
        dataset,
        layers=layers,
        activation=activation,
        **_BY_LINES_SCHEDULE,
    )
    return f"{dataset}-{activation}-{layers}-{objective}", config


def _slides(gamma: float) -> tuple[str, TrainConfig]:
    method = f"gamma{gamma:g}" if gamma else "plain"
    config = TrainConfig(
        convolutions=_SLIDES_CONVOLUTION,
        layers=1,
        activation="tanh",
        epsilon=0.0,
        gamma=gamma,
    )
    return f"mnist-tanh-conv-{method}", config


def _convolutional() -> dict[str, TrainConfig]:
    config = TrainConfig(
        convolutions=_MNIST_CONVOLUTION,
        layers=1,
        gamma=0.01,
        epochs=30,
        learning_rate=3e-3,
    )
    return {
        "mnist-softplus-conv-crt0.01": config,
        "mnist-softplus-conv-crt0.01-at0.5": dataclasses.replace(
            config, epsilon=0.5
        ),
        "cifar10-softplus-conv-crt0.001-at36_255": dataclasses.replace(
            config,
            dataset="cifar10",
            convolutions=_CIFAR_CONVOLUTION,
            epsilon=36 / 255,
            gamma=0.001,
        ),
    }


# Of 60 on MNIST and 200 on CIFAR-10.
_LEE_EPOCHS = {"mnist": 22, "cifar10": 24}
# What two cores train in two hours.
_LONG_EPOCHS = 130

# Its ramp takes a third of its epochs, and in most of the others the learning
# rate is all but gone: of so many fewer, most go into the ramp.
_LEE_SCHEDULES: Mapping[str, Mapping[str, Any]] = {
    "mnist": {
        "warmup_epochs": 0.5,
        "rampup_epochs": 15.0,
        "learning_rate_drops": (0.75, 0.85, 0.95),
        "learning_rate_factor": 0.2,
    },
    "cifar10": {},
}

# What two cores manage in half an hour with two layers.
_BY_LINES_SCHEDULE: Mapping[str, Any] = {
    "epochs": 12,
    "batch_size": 128,
    "learning_rate": 1e-3,
    "warmup_epochs": 0.5,
    "rampup_epochs": 8.0,
    "learning_rate_drops": (0.75, 0.85, 0.95),
    "learning_rate_factor": 0.2,
}

# What plain training has of the others' settings, to be compared with them.
_SHARED = (
    "learning_rate",
    "learning_rate_drops",
    "learning_rate_factor",
    "batch_size",
    "epochs",
    "augmentation",
)


def _lee(
    dataset: str,
    architecture: str,
    objective: str,
    activation: str = "relu",
    epochs: int | None = None,
) -> tuple[str, TrainConfig]:
    shape = {"architecture": architecture, "activation": activation}
    name = f"{dataset}-{activation}-{architecture}-{objective}"
    return name, _in_lees_way(dataset, objective, shape, epochs)


def _dense(activation: str) -> tuple[str, TrainConfig]:
    shape = {"layers": 2, "width": 1024, "activation": activation}
    return f"mnist-{activation}-2-bcp", _in_lees_way("mnist", "bcp", shape)


def _in_lees_way(
    dataset: str,
    objective: str,
    shape: Mapping[str, Any],
    epochs: int | None = None,
) -> TrainConfig:
    config = default_config(
        "bcp" if objective == "plain" else objective,
        dataset,
        epochs=_LEE_EPOCHS[dataset] if epochs is None else epochs,
        **shape,
        **_LEE_SCHEDULES[dataset],
    )
    if objective != "plain":
        return config
    shared = {name: getattr(config, name) for name in _SHARED}
    return default_config("plain", dataset, **shape, **shared)


# By the data set: the network and 255 times epsilon.
_COLT_NETWORKS = {"mnist": ("2C2F", 25.5), "cifar10": ("2C2F-wide", 2.0)}

# Epochs of what is compared with it, and what these have of their own.
_BESIDE_COLT: Mapping[str, Mapping[str, Any]] = {
    "ibp": {**_BY_LINES_SCHEDULE, "epochs": 24, "rampup_epochs": 16.0},
    "crown-ibp": _BY_LINES_SCHEDULE,
    "pgd": {"epochs": 8, "activation": "relu", "warmup_epochs": 1.0},
}


def _colt(
    dataset: str, objective: str, epsilon: float | None = None
) -> tuple[str, TrainConfig]:
    network, usual = _COLT_NETWORKS[dataset]
    settings = dict(_BESIDE_COLT.get(objective, {}))
    config = default_config(
        objective,
        dataset,
        architecture=network,
        norm="linf",
        epsilon=(usual if epsilon is None else epsilon) / 255,
        **settings,
    )
    name = f"{dataset}-relu-{network}-{objective}"
    return name if epsilon is None else f"{name}-at{epsilon:g}_255", config


def _all() -> dict[str, TrainConfig]:
    found = []
    for layers in (2, 3, 4):
        for gamma in (0.0, 0.01, _SIGMOID_GAMMAS[layers]):
            found.append(_standard(layers, gamma))
        found.append(_robust("mnist", "sigmoid", layers, 0.01))
        for dataset in ("mnist", "fashion_mnist"):
            gamma = _SOFTPLUS_GAMMAS[layers]
            found.append(_robust(dataset, "softplus", layers, gamma))
            for activation, objective in _LINE_ROWS:
                row = _by_lines(dataset, activation, layers, objective)
                found.append(row)
        for objective in ATTACKS:
            found.append(_attacked(layers, objective))
    for gamma in (0.0, 0.02):
        found.append(_robust("mnist", "sigmoid", 2, gamma))
    found.append(_robust("fashion_mnist", "softplus", 2, _FASHION_GAMMA))
    found.append(_robust("mnist", "softplus", 4, _DEEP_GAMMA))
    for gamma in (0.0, 0.01, 0.02, 0.03):
        found.append(_slides(gamma))
    for dataset in ("mnist", "cifar10"):
        for objective in ("bcp", "lmt", "plain"):
            found.append(_lee(dataset, "4C3F", objective))
    found.append(_lee("cifar10", "4C3F", "ibp"))
    for activation in ("relu", "softplus"):
        found.append(_dense(activation))
    found.append(_lee("cifar10", "6C2F", "bcp"))
    for dataset in _COLT_NETWORKS:
        for objective in ("colt", *_BESIDE_COLT):
            found.append(_colt(dataset, objective))
    found.append(_colt("cifar10", "colt", 8))
    found.append(_lee("mnist", "4C3F", "lmt", "absolute"))
    found.append(_lee("cifar10", "4C3F", "lmt", "absolute", _LONG_EPOCHS))
    return dict(found) | _convolutional()


#: Settings by name; seed 0.
RECIPES: Mapping[str, TrainConfig] = types.MappingProxyType(_all())


def recipe(name: str, seed: int = 0) -> TrainConfig:
    """Returns the settings of a network of docs/results.md.

    Args:
        name: A key of `RECIPES`.
        seed: Of the weights and of the order of the images.

    Raises:
        ValueError: There is no such recipe.
    """
    if name not in RECIPES:
        raise ValueError(
            f"Unknown recipe. Received: {name!r}. Allowed: {sorted(RECIPES)}."
        )
    return dataclasses.replace(RECIPES[name], seed=seed)
