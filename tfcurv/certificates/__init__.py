"""Certificates of networks: search, proof, attack. Knows no Keras."""

from tfcurv import former
from tfcurv.certificates.attacks.boundary import Adversarial as Adversarial
from tfcurv.certificates.attacks.boundary import rival as rival
from tfcurv.certificates.attacks.falsification import Attempt as Attempt
from tfcurv.certificates.attacks.falsification import Falsifier as Falsifier
from tfcurv.certificates.attacks.falsification import (
    FalsifierOptions as FalsifierOptions,
)
from tfcurv.certificates.attacks.multi_target import (
    AttackOptions as AttackOptions,
)
from tfcurv.certificates.attacks.multi_target import (
    MultiTargetAttack as MultiTargetAttack,
)
from tfcurv.certificates.attacks.worst_case import WorstCase as WorstCase
from tfcurv.certificates.attacks.worst_case import worst_case as worst_case
from tfcurv.certificates.curvature.method import Certifier as Certifier
from tfcurv.certificates.curvature.method import (
    CurvatureMethod as CurvatureMethod,
)
from tfcurv.certificates.curvature.near_each_image import (
    LocalRefiner as LocalRefiner,
)
from tfcurv.certificates.curvature.pair_table import (
    CurvatureTable as CurvatureTable,
)
from tfcurv.certificates.deciding.contract import NO_METHOD as NO_METHOD
from tfcurv.certificates.deciding.contract import Certificates as Certificates
from tfcurv.certificates.deciding.contract import (
    CertifierOptions as CertifierOptions,
)
from tfcurv.certificates.deciding.contract import Cost as Cost
from tfcurv.certificates.deciding.contract import Curvature as Curvature
from tfcurv.certificates.deciding.contract import Method as Method
from tfcurv.certificates.deciding.contract import Pairs as Pairs
from tfcurv.certificates.deciding.contract import Raised as Raised
from tfcurv.certificates.deciding.contract import Reason as Reason
from tfcurv.certificates.deciding.contract import Stage as Stage
from tfcurv.certificates.deciding.contract import Targets as Targets
from tfcurv.certificates.deciding.contract import Threat as Threat
from tfcurv.certificates.deciding.decider import Decider as Decider
from tfcurv.certificates.deciding.epsilons import (
    check_epsilons as check_epsilons,
)
from tfcurv.certificates.deciding.evidence import check_classes as check_classes
from tfcurv.certificates.lipschitz.bounds import (
    LipschitzBounds as LipschitzBounds,
)
from tfcurv.certificates.lipschitz.bounds import Margins as Margins
from tfcurv.certificates.lipschitz.method import (
    LipschitzMethod as LipschitzMethod,
)
from tfcurv.certificates.margins.safe_ball import (
    ball_lower_bound as ball_lower_bound,
)
from tfcurv.certificates.margins.safe_ball import (
    safe_ball_radius as safe_ball_radius,
)
from tfcurv.certificates.margins.safe_ball import (
    safe_ball_radius_bound as safe_ball_radius_bound,
)
from tfcurv.certificates.margins.search import Problem as Problem
from tfcurv.certificates.margins.search import SearchOptions as SearchOptions
from tfcurv.certificates.margins.search import find_centre as find_centre
from tfcurv.certificates.margins.search import (
    hessian_product as hessian_product,
)
from tfcurv.certificates.methods import AUTO as AUTO
from tfcurv.certificates.methods import METHODS as METHODS
from tfcurv.certificates.methods import check_method as check_method
from tfcurv.certificates.methods import choose as choose
from tfcurv.certificates.methods import needs_graph as needs_graph
from tfcurv.certificates.quadratic.method import (
    RELU_CURVATURE as RELU_CURVATURE,
)
from tfcurv.certificates.quadratic.method import (
    QuadraticMethod as QuadraticMethod,
)
from tfcurv.certificates.quadratic.method import ReluCertifier as ReluCertifier
from tfcurv.certificates.quadratic.method import ReluProver as ReluProver
from tfcurv.certificates.quadratic.minorants import Minorant as Minorant
from tfcurv.certificates.quadratic.minorants import Quadratics as Quadratics
from tfcurv.certificates.quadratic.minorants import ReluBounder as ReluBounder
from tfcurv.certificates.quadratic.minorants import (
    check_two_layer_relu as check_two_layer_relu,
)
from tfcurv.certificates.quadratic.minorants import has_relu as has_relu
from tfcurv.certificates.quadratic.minorants import (
    upper_constants as upper_constants,
)
from tfcurv.certificates.quadratic.search import ReluFound as ReluFound
from tfcurv.certificates.quadratic.search import ReluSearch as ReluSearch
from tfcurv.certificates.quadratic.search import (
    ReluSearchOptions as ReluSearchOptions,
)

# Where names are now that were here.
__getattr__ = former.names(
    __name__,
    {
        "CertificationResult": "tfcurv.results",
        "Checkpoint": "tfcurv.results",
        "check_new_folder": "tfcurv.results",
        "load_result": "tfcurv.results",
        "new_folder": "tfcurv.results",
    },
)
