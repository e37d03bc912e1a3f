"""What models compute, as graphs of nodes. Knows no Keras, no certificates."""

from tfcurv.networks.affine_parts import AffinePart as AffinePart
from tfcurv.networks.affine_parts import affine_parts as affine_parts
from tfcurv.networks.evaluation import Enclosure as Enclosure
from tfcurv.networks.evaluation import enclosed_logits as enclosed_logits
from tfcurv.networks.evaluation import logit_errors as logit_errors
from tfcurv.networks.evaluation import logits_of as logits_of
from tfcurv.networks.evaluation import values_of as values_of
from tfcurv.networks.graph import Graph as Graph
from tfcurv.networks.graph import Kind as Kind
from tfcurv.networks.graph import LinearStep as LinearStep
from tfcurv.networks.graph import Node as Node
from tfcurv.networks.graph_network import GraphForward as GraphForward
from tfcurv.networks.graph_network import GraphNetwork as GraphNetwork
from tfcurv.networks.lowering import chain_of as chain_of
from tfcurv.networks.maximum import MaxPooling as MaxPooling
