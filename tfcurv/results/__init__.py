"""What a run has found: numbers, pages, files. Knows no Keras."""

from tfcurv.results.attack_result import AttackResult as AttackResult
from tfcurv.results.curvature_report import CurvatureReport as CurvatureReport
from tfcurv.results.epsilons import fitting_epsilons as fitting_epsilons
from tfcurv.results.property_result import PropertyResult as PropertyResult
from tfcurv.results.result import CertificationResult as CertificationResult
from tfcurv.results.result import load_result as load_result
from tfcurv.results.shards import Checkpoint as Checkpoint
from tfcurv.results.smoothed_result import ABSTAINED as ABSTAINED
from tfcurv.results.smoothed_result import SmoothedResult as SmoothedResult
from tfcurv.results.solver_result import SolverResult as SolverResult
from tfcurv.results.storage import check_new_folder as check_new_folder
from tfcurv.results.storage import new_folder as new_folder
