"""Proves how far inputs of Keras networks can be moved, and trains.

model.add_loss(tfcurv.CurvatureRegularizer(gamma=0.01))
model.compile(..., adversary=tfcurv.CurvatureAttack(epsilon=1.58))
result = tfcurv.certify(model, test_ds, epsilons=(0.5, 1.58))
"""

import tfcurv.startup  # noqa: F401  First: TensorFlow is imported below.

# isort: split

from tfcurv import errors as errors
from tfcurv import former
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
from tfcurv.runs import attack as attack
from tfcurv.runs import certify as certify
from tfcurv.runs import curvature_report as curvature_report
from tfcurv.runs import falsify as falsify
from tfcurv.runs import smooth as smooth
from tfcurv.version import __version__ as __version__

# For those who build on the mathematics: one floor down.
__getattr__ = former.names(
    __name__,
    {
        "CurvatureReport": "tfcurv.results",
        "LinearMapSpec": "tfcurv.nn",
        "network_from_model": "tfcurv.nn",
    },
)
