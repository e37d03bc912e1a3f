"""Networks as chains of maps, and bounds on their curvature. No Keras."""

from tfcurv.bounds.activations import ACTIVATIONS as ACTIVATIONS
from tfcurv.bounds.activations import Activation as Activation
from tfcurv.bounds.activations import Interval as Interval
from tfcurv.bounds.activations import activation as activation
from tfcurv.bounds.affine import Affine as Affine
from tfcurv.bounds.curvature import CurvatureBounder as CurvatureBounder
from tfcurv.bounds.curvature import CurvatureBounds as CurvatureBounds
from tfcurv.bounds.curvature import theorem4_bound as theorem4_bound
from tfcurv.bounds.execution import Execution as Execution
from tfcurv.bounds.execution import Scaling as Scaling
from tfcurv.bounds.hessian import hessian as hessian
from tfcurv.bounds.local import Ball as Ball
from tfcurv.bounds.local import LocalCurvature as LocalCurvature
from tfcurv.bounds.network import Evaluation as Evaluation
from tfcurv.bounds.network import ForwardPass as ForwardPass
from tfcurv.bounds.network import Network as Network
from tfcurv.bounds.penalty import TrainedLayer as TrainedLayer
from tfcurv.bounds.penalty import theorem4_estimate as theorem4_estimate
from tfcurv.bounds.rounding import EvaluationError as EvaluationError
from tfcurv.bounds.rounding import ForwardError as ForwardError
from tfcurv.bounds.rounding import affine_error as affine_error
from tfcurv.bounds.rounding import evaluation_error as evaluation_error
from tfcurv.bounds.rounding import forward_error as forward_error
from tfcurv.bounds.rounding import logit_error as logit_error
