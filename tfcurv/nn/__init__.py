"""The floor that knows Keras: layers, models, training, `certify`."""

# First: without it, the errors of the rest say nothing.
from tfcurv.nn import backend as backend  # isort: skip
from tfcurv.nn import layers as layers
from tfcurv.nn.adapter import network_from_model as network_from_model
from tfcurv.nn.attack import CurvatureAttack as CurvatureAttack
from tfcurv.nn.callbacks import CertifiedAccuracy as CertifiedAccuracy
from tfcurv.nn.callbacks import WarmUp as WarmUp
from tfcurv.nn.certify import DEFAULT_EPSILONS as DEFAULT_EPSILONS
from tfcurv.nn.certify import certify as certify
from tfcurv.nn.check import check as check
from tfcurv.nn.conversion import copy_weights as copy_weights
from tfcurv.nn.conversion import from_keras as from_keras
from tfcurv.nn.curvature_report import curvature_report as curvature_report
from tfcurv.nn.curvature_result import CurvatureReport as CurvatureReport
from tfcurv.nn.falsify import falsify as falsify
from tfcurv.nn.linear_step import LinearMapSpec as LinearMapSpec
from tfcurv.nn.model import Model as Model
from tfcurv.nn.model import Sequential as Sequential
from tfcurv.nn.model_files import read_model as read_model
from tfcurv.nn.problems import Problem as Problem
from tfcurv.nn.problems import Problems as Problems
from tfcurv.nn.regularizer import CurvatureRegularizer as CurvatureRegularizer
from tfcurv.nn.spectral_norm import SpectralNormTracker as SpectralNormTracker
