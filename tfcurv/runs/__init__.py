"""A model, data and a method become a result."""

from tfcurv import nn  # noqa: F401  First: it refuses other backends.
from tfcurv.runs.attack import attack as attack
from tfcurv.runs.certified_accuracy import (
    CertifiedAccuracy as CertifiedAccuracy,
)
from tfcurv.runs.certify import certify as certify
from tfcurv.runs.curvature_report import curvature_report as curvature_report
from tfcurv.runs.falsify import falsify as falsify
from tfcurv.runs.integer_programs import (
    solve_integer_programs as solve_integer_programs,
)
from tfcurv.runs.properties import verify_property as verify_property
from tfcurv.runs.smooth import smooth as smooth
