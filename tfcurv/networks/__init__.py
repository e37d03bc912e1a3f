"""What models compute: maps, functions, graphs, chains. Knows no Keras."""

from tfcurv import former
from tfcurv.networks.affine_parts import AffinePart as AffinePart
from tfcurv.networks.affine_parts import affine_parts as affine_parts
from tfcurv.networks.chain import Evaluation as Evaluation
from tfcurv.networks.chain import ForwardPass as ForwardPass
from tfcurv.networks.chain import Network as Network
from tfcurv.networks.evaluation import Enclosure as Enclosure
from tfcurv.networks.evaluation import enclosed_logits as enclosed_logits
from tfcurv.networks.evaluation import function_of as function_of
from tfcurv.networks.evaluation import joined as joined
from tfcurv.networks.evaluation import logit_errors as logit_errors
from tfcurv.networks.evaluation import logits_of as logits_of
from tfcurv.networks.evaluation import values_of as values_of
from tfcurv.networks.fingerprint import digest as digest
from tfcurv.networks.fingerprint import fingerprint as fingerprint
from tfcurv.networks.flow import Flow as Flow
from tfcurv.networks.flow import Value as Value
from tfcurv.networks.functions.intervals import Interval as Interval
from tfcurv.networks.functions.kinked import ABSOLUTE as ABSOLUTE
from tfcurv.networks.functions.kinked import HARD_SIGMOID as HARD_SIGMOID
from tfcurv.networks.functions.kinked import HARD_SILU as HARD_SILU
from tfcurv.networks.functions.kinked import HARD_TANH as HARD_TANH
from tfcurv.networks.functions.kinked import RELU as RELU
from tfcurv.networks.functions.kinked import RELU6 as RELU6
from tfcurv.networks.functions.kinked import SELU as SELU
from tfcurv.networks.functions.kinked import PiecewiseLinear as PiecewiseLinear
from tfcurv.networks.functions.kinked import (
    piecewise_linear as piecewise_linear,
)
from tfcurv.networks.functions.kinked import scaled_elu as scaled_elu
from tfcurv.networks.functions.maximum import MaxPooling as MaxPooling
from tfcurv.networks.functions.relaxations import Lines as Lines
from tfcurv.networks.functions.relaxations import lines as lines
from tfcurv.networks.functions.side_by_side import Block as Block
from tfcurv.networks.functions.side_by_side import Blocks as Blocks
from tfcurv.networks.functions.smooth import ACTIVATIONS as ACTIVATIONS
from tfcurv.networks.functions.smooth import Activation as Activation
from tfcurv.networks.functions.smooth import activation as activation
from tfcurv.networks.graph import Graph as Graph
from tfcurv.networks.graph import Kind as Kind
from tfcurv.networks.graph import LinearStep as LinearStep
from tfcurv.networks.graph import Node as Node
from tfcurv.networks.graph_network import GraphForward as GraphForward
from tfcurv.networks.graph_network import GraphNetwork as GraphNetwork
from tfcurv.networks.lowering import chain_of as chain_of
from tfcurv.networks.maps.affine import MAX_WRITTEN as MAX_WRITTEN
from tfcurv.networks.maps.affine import Affine as Affine
from tfcurv.networks.maps.combined import Composition as Composition
from tfcurv.networks.maps.combined import Stack as Stack
from tfcurv.networks.maps.combined import Sum as Sum
from tfcurv.networks.maps.combined import composed as composed
from tfcurv.networks.maps.combined import summed as summed
from tfcurv.networks.maps.convolution import Convolution as Convolution
from tfcurv.networks.maps.convolution import Padding as Padding
from tfcurv.networks.maps.elementary import Dense as Dense
from tfcurv.networks.maps.elementary import Diagonal as Diagonal
from tfcurv.networks.maps.elementary import Selection as Selection
from tfcurv.networks.maps.linear_map import Identity as Identity
from tfcurv.networks.maps.linear_map import LinearMap as LinearMap
from tfcurv.networks.maps.linear_map import Weighted as Weighted
from tfcurv.networks.maps.pooling import AveragePooling as AveragePooling
from tfcurv.networks.maps.proved import ProvedMap as ProvedMap
from tfcurv.networks.maps.trained import Chained as Chained
from tfcurv.networks.maps.trained import FixedMap as FixedMap
from tfcurv.networks.maps.trained import TrainedMap as TrainedMap
from tfcurv.networks.maps.trained import trained as trained
from tfcurv.networks.maps.windows import Window as Window
from tfcurv.networks.maps.windows import places as places
from tfcurv.networks.maps.windows import whole as whole
from tfcurv.networks.maps.windows import window_of_entry as window_of_entry
from tfcurv.networks.norm_errors import norm_errors as norm_errors
from tfcurv.networks.rounding import EvaluationError as EvaluationError
from tfcurv.networks.rounding import ForwardError as ForwardError
from tfcurv.networks.rounding import affine_error as affine_error
from tfcurv.networks.rounding import evaluation_error as evaluation_error
from tfcurv.networks.rounding import forward_error as forward_error
from tfcurv.networks.rounding import logit_error as logit_error

# Where names are now that were here.
__getattr__ = former.names(
    __name__, {"Execution": "tfcurv.bounds", "Scaling": "tfcurv.bounds"}
)
