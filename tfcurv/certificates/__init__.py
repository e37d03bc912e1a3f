"""Certificates of networks: search, proof, attack. Knows no Keras."""

from tfcurv.certificates.adversary import Adversarial as Adversarial
from tfcurv.certificates.adversary import rival as rival
from tfcurv.certificates.certifier import Certifier as Certifier
from tfcurv.certificates.certifier import CurvatureMethod as CurvatureMethod
from tfcurv.certificates.contract import NO_METHOD as NO_METHOD
from tfcurv.certificates.contract import Certificates as Certificates
from tfcurv.certificates.contract import CertifierOptions as CertifierOptions
from tfcurv.certificates.contract import Cost as Cost
from tfcurv.certificates.contract import Curvature as Curvature
from tfcurv.certificates.contract import Method as Method
from tfcurv.certificates.contract import Pairs as Pairs
from tfcurv.certificates.contract import Raised as Raised
from tfcurv.certificates.contract import Reason as Reason
from tfcurv.certificates.contract import Stage as Stage
from tfcurv.certificates.contract import Targets as Targets
from tfcurv.certificates.contract import Threat as Threat
from tfcurv.certificates.curvature_table import CurvatureTable as CurvatureTable
from tfcurv.certificates.deciding import Decider as Decider
from tfcurv.certificates.epsilons import check_epsilons as check_epsilons
from tfcurv.certificates.falsification import Attempt as Attempt
from tfcurv.certificates.falsification import Falsifier as Falsifier
from tfcurv.certificates.falsification import (
    FalsifierOptions as FalsifierOptions,
)
from tfcurv.certificates.lipschitz import LipschitzBounds as LipschitzBounds
from tfcurv.certificates.lipschitz import Margins as Margins
from tfcurv.certificates.lipschitz_method import (
    LipschitzMethod as LipschitzMethod,
)
from tfcurv.certificates.local import LocalRefiner as LocalRefiner
from tfcurv.certificates.methods import AUTO as AUTO
from tfcurv.certificates.methods import METHODS as METHODS
from tfcurv.certificates.methods import check_method as check_method
from tfcurv.certificates.methods import choose as choose
from tfcurv.certificates.methods import needs_graph as needs_graph
from tfcurv.certificates.relu import RELU_CURVATURE as RELU_CURVATURE
from tfcurv.certificates.relu import QuadraticMethod as QuadraticMethod
from tfcurv.certificates.relu import ReluCertifier as ReluCertifier
from tfcurv.certificates.relu import ReluProver as ReluProver
from tfcurv.certificates.relu_search import ReluFound as ReluFound
from tfcurv.certificates.relu_search import ReluSearch as ReluSearch
from tfcurv.certificates.relu_search import (
    ReluSearchOptions as ReluSearchOptions,
)
from tfcurv.certificates.result import (
    CertificationResult as CertificationResult,
)
from tfcurv.certificates.result import load_result as load_result
from tfcurv.certificates.safe_ball import ball_lower_bound as ball_lower_bound
from tfcurv.certificates.safe_ball import safe_ball_radius as safe_ball_radius
from tfcurv.certificates.safe_ball import (
    safe_ball_radius_bound as safe_ball_radius_bound,
)
from tfcurv.certificates.search import Problem as Problem
from tfcurv.certificates.search import SearchOptions as SearchOptions
from tfcurv.certificates.search import find_centre as find_centre
from tfcurv.certificates.search import hessian_product as hessian_product
from tfcurv.certificates.shards import Checkpoint as Checkpoint
from tfcurv.certificates.storage import check_new_folder as check_new_folder
from tfcurv.certificates.storage import new_folder as new_folder
from tfcurv.certificates.worst_case import WorstCase as WorstCase
from tfcurv.certificates.worst_case import worst_case as worst_case
