"""Bounds on what networks compute. Knows no Keras."""

from tfcurv import former
from tfcurv.bounds.curvature.everywhere import (
    CurvatureBounder as CurvatureBounder,
)
from tfcurv.bounds.curvature.everywhere import (
    CurvatureBounds as CurvatureBounds,
)
from tfcurv.bounds.curvature.hessian import hessian as hessian
from tfcurv.bounds.curvature.in_balls import Ball as Ball
from tfcurv.bounds.curvature.in_balls import LocalCurvature as LocalCurvature
from tfcurv.bounds.curvature.study import LANCZOS_STEPS as LANCZOS_STEPS
from tfcurv.bounds.curvature.study import AttainedCurvature as AttainedCurvature
from tfcurv.bounds.curvature.study import CurvatureProbe as CurvatureProbe
from tfcurv.bounds.curvature.study import CurvatureProver as CurvatureProver
from tfcurv.bounds.curvature.study import ProvedCurvature as ProvedCurvature
from tfcurv.bounds.curvature.study import hessian_operator as hessian_operator
from tfcurv.bounds.curvature.study import signed_densities as signed_densities
from tfcurv.bounds.curvature.theorem4 import pair_weights as pair_weights
from tfcurv.bounds.curvature.theorem4 import theorem4_bound as theorem4_bound
from tfcurv.bounds.curvature.theorem4_estimate import TrainedAdd as TrainedAdd
from tfcurv.bounds.curvature.theorem4_estimate import (
    TrainedConcatenate as TrainedConcatenate,
)
from tfcurv.bounds.curvature.theorem4_estimate import TrainedStep as TrainedStep
from tfcurv.bounds.curvature.theorem4_estimate import (
    theorem4_estimate as theorem4_estimate,
)
from tfcurv.bounds.propagation.chain import ChainCentres as ChainCentres
from tfcurv.bounds.propagation.chain import ChainRegions as ChainRegions
from tfcurv.bounds.propagation.chain_lines import ChainLines as ChainLines
from tfcurv.bounds.propagation.execution import Execution as Execution
from tfcurv.bounds.propagation.execution import Scaling as Scaling

# isort: split
# What the floor below offers was here once.
from tfcurv.networks import ACTIVATIONS as ACTIVATIONS
from tfcurv.networks import RELU as RELU
from tfcurv.networks import RELU6 as RELU6
from tfcurv.networks import Activation as Activation
from tfcurv.networks import Affine as Affine
from tfcurv.networks import AveragePooling as AveragePooling
from tfcurv.networks import Block as Block
from tfcurv.networks import Blocks as Blocks
from tfcurv.networks import Composition as Composition
from tfcurv.networks import Convolution as Convolution
from tfcurv.networks import Dense as Dense
from tfcurv.networks import Diagonal as Diagonal
from tfcurv.networks import Evaluation as Evaluation
from tfcurv.networks import EvaluationError as EvaluationError
from tfcurv.networks import Flow as Flow
from tfcurv.networks import ForwardError as ForwardError
from tfcurv.networks import ForwardPass as ForwardPass
from tfcurv.networks import Identity as Identity
from tfcurv.networks import Interval as Interval
from tfcurv.networks import LinearMap as LinearMap
from tfcurv.networks import Network as Network
from tfcurv.networks import Padding as Padding
from tfcurv.networks import PiecewiseLinear as PiecewiseLinear
from tfcurv.networks import Selection as Selection
from tfcurv.networks import Stack as Stack
from tfcurv.networks import Sum as Sum
from tfcurv.networks import Value as Value
from tfcurv.networks import activation as activation
from tfcurv.networks import affine_error as affine_error
from tfcurv.networks import composed as composed
from tfcurv.networks import digest as digest
from tfcurv.networks import evaluation_error as evaluation_error
from tfcurv.networks import fingerprint as fingerprint
from tfcurv.networks import forward_error as forward_error
from tfcurv.networks import logit_error as logit_error
from tfcurv.networks import piecewise_linear as piecewise_linear
from tfcurv.networks import summed as summed
from tfcurv.solvers import in_threads as in_threads

# Where names are now that were here.
__getattr__ = former.names(
    __name__,
    {
        "Minorant": "tfcurv.certificates",
        "Quadratics": "tfcurv.certificates",
        "ReluBounder": "tfcurv.certificates",
        "check_two_layer_relu": "tfcurv.certificates",
        "has_relu": "tfcurv.certificates",
        "upper_constants": "tfcurv.certificates",
    },
)
