"""Batched solvers and eigenvalue bounds. Knows functions, no networks."""

from tfcurv.solvers.anderson import AndersonMemory as AndersonMemory
from tfcurv.solvers.anderson import anderson_step as anderson_step
from tfcurv.solvers.anderson import initial_memory as initial_memory
from tfcurv.solvers.as_written import as_written as as_written
from tfcurv.solvers.compaction import iterate as iterate
from tfcurv.solvers.conjugate_gradient import (
    conjugate_gradient as conjugate_gradient,
)
from tfcurv.solvers.eigenvalues import Rigor as Rigor
from tfcurv.solvers.eigenvalues import (
    eigenvalue_upper_bound as eigenvalue_upper_bound,
)
from tfcurv.solvers.eigenvalues import (
    frobenius_norm_upper_bound as frobenius_norm_upper_bound,
)
from tfcurv.solvers.eigenvalues import (
    spectral_norm_upper_bound as spectral_norm_upper_bound,
)
from tfcurv.solvers.lanczos import RitzValues as RitzValues
from tfcurv.solvers.lanczos import extreme_ritz_values as extreme_ritz_values
from tfcurv.solvers.norm_batches import ComplexMatrices as ComplexMatrices
from tfcurv.solvers.norm_batches import (
    largest_norm_upper_bound as largest_norm_upper_bound,
)
from tfcurv.solvers.scaled_gram import ScaledGram as ScaledGram
from tfcurv.solvers.threads import in_threads as in_threads
