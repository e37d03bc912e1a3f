"""The floor that knows Keras: layers, models, training."""

# First: without it, the errors of the rest say nothing.
from tfcurv.nn import backend as backend  # isort: skip
from tfcurv import former
from tfcurv.nn import layers as layers
from tfcurv.nn.files.conversion import copy_weights as copy_weights
from tfcurv.nn.files.conversion import from_keras as from_keras
from tfcurv.nn.files.model_files import read_model as read_model
from tfcurv.nn.layers.spectral_norm import (
    SpectralNormTracker as SpectralNormTracker,
)
from tfcurv.nn.onnx.reading import from_onnx as from_onnx
from tfcurv.nn.reading.check import check as check
from tfcurv.nn.reading.linear_step import LinearMapSpec as LinearMapSpec
from tfcurv.nn.reading.network import network_from_model as network_from_model
from tfcurv.nn.reading.problems import Problem as Problem
from tfcurv.nn.reading.problems import Problems as Problems
from tfcurv.nn.training.adversary import Adversary as Adversary
from tfcurv.nn.training.attack import CurvatureAttack as CurvatureAttack
from tfcurv.nn.training.layerwise_adversary import (
    LayerwiseAdversary as LayerwiseAdversary,
)
from tfcurv.nn.training.model import Model as Model
from tfcurv.nn.training.model import Sequential as Sequential
from tfcurv.nn.training.projected_gradient import (
    ProjectedGradientAttack as ProjectedGradientAttack,
)
from tfcurv.nn.training.regularizer import (
    CurvatureRegularizer as CurvatureRegularizer,
)
from tfcurv.nn.training.trades import TradesAttack as TradesAttack
from tfcurv.nn.training.warm_up import WarmUp as WarmUp
from tfcurv.nn.training.worst_case import WorstCase as WorstCase

# Where names are now that were here.
__getattr__ = former.names(
    __name__,
    {
        "CertifiedAccuracy": "tfcurv.runs",
        "CurvatureReport": "tfcurv.results",
        "certify": "tfcurv.runs",
        "curvature_report": "tfcurv.runs",
        "falsify": "tfcurv.runs",
    },
)
