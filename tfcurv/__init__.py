"""Proves how far inputs of Keras networks can be moved, and trains.

model.add_loss(tfcurv.CurvatureRegularizer(gamma=0.01))
model.compile(..., adversary=tfcurv.CurvatureAttack(epsilon=1.58))
result = tfcurv.certify(model, test_ds, epsilons=(0.5, 1.58))

TensorFlow and Keras are imported when the first name that needs them is used.
"""

import importlib
from typing import TYPE_CHECKING

from tfcurv import errors as errors
from tfcurv import former
from tfcurv import imports
from tfcurv.version import __version__ as __version__

if TYPE_CHECKING:
    from tfcurv.nn import CurvatureAttack as CurvatureAttack
    from tfcurv.nn import CurvatureRegularizer as CurvatureRegularizer
    from tfcurv.nn import Model as Model
    from tfcurv.nn import Sequential as Sequential
    from tfcurv.nn import SpectralNormTracker as SpectralNormTracker
    from tfcurv.nn import WarmUp as WarmUp
    from tfcurv.nn import WorstCase as WorstCase
    from tfcurv.nn import check as check
    from tfcurv.nn import copy_weights as copy_weights
    from tfcurv.nn import from_keras as from_keras
    from tfcurv.nn import from_onnx as from_onnx
    from tfcurv.nn import layers as layers
    from tfcurv.results import CertificationResult as CertificationResult
    from tfcurv.results import load_result as load_result
    from tfcurv.runs import CertifiedAccuracy as CertifiedAccuracy
    from tfcurv.runs.attack import attack as attack
    from tfcurv.runs.certify import certify as certify
    from tfcurv.runs.curvature_report import (
        curvature_report as curvature_report,
    )
    from tfcurv.runs.falsify import falsify as falsify
    from tfcurv.runs.smooth import smooth as smooth

# The same, by the package that has them; a test holds the two to each other.
_HOMES = {
    "CurvatureAttack": "tfcurv.nn",
    "CurvatureRegularizer": "tfcurv.nn",
    "Model": "tfcurv.nn",
    "Sequential": "tfcurv.nn",
    "SpectralNormTracker": "tfcurv.nn",
    "WarmUp": "tfcurv.nn",
    "WorstCase": "tfcurv.nn",
    "check": "tfcurv.nn",
    "copy_weights": "tfcurv.nn",
    "from_keras": "tfcurv.nn",
    "from_onnx": "tfcurv.nn",
    "layers": "tfcurv.nn",
    "CertificationResult": "tfcurv.results",
    "load_result": "tfcurv.results",
    "CertifiedAccuracy": "tfcurv.runs",
    "attack": "tfcurv.runs",
    "certify": "tfcurv.runs",
    "curvature_report": "tfcurv.runs",
    "falsify": "tfcurv.runs",
    "smooth": "tfcurv.runs",
}

# For those who build on the mathematics: one floor down.
_ONE_FLOOR_DOWN = {
    "CurvatureReport": "tfcurv.results",
    "LinearMapSpec": "tfcurv.nn",
    "network_from_model": "tfcurv.nn",
}

_ROOMS = (
    "bounds",
    "certificates",
    "data",
    "networks",
    "nn",
    "numerics",
    "report",
    "results",
    "runs",
    "solvers",
    "training",
)

__all__ = ["__version__", "errors", *_HOMES]

__getattr__ = former.names(__name__, {**_HOMES, **_ONE_FLOOR_DOWN}, _ROOMS)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_ROOMS})


def _register() -> None:
    """Lets Keras find the classes of tfcurv in the models that it loads."""
    keras = importlib.import_module("keras")
    # On another backend what needs it says so, and saved models need tfcurv.
    if keras.config.backend() == "tensorflow":
        importlib.import_module("tfcurv.nn")


imports.call_after("keras", _register)
