"""Faults in numbers, solvers, data and reports; see `mutant_list`."""

from mutant import Mutant

MUTANTS = (
    Mutant(
        name="roundoff_halved",
        fault="A unit roundoff of half its size, under every rounding bound.",
        file="tfcurv/numerics.py",
        old=".eps) / 2.0",
        new=".eps) / 4.0",
        tests=("tests/numerics_test.py",),
    ),
    Mutant(
        name="power_iteration_as_bound",
        fault=(
            "Power iteration taken for a bound on a norm, as in the code of "
            "[SF20]'s authors, which under-estimates the curvature by up to "
            "4.2 %."
        ),
        file="tfcurv/solvers/eigenvalues.py",
        old="squared = eigenvalue_upper_bound(gram, tolerance)",
        new=(
            "v = np.ones(len(gram))\n"
            "    for _ in range(20):\n"
            "        v = gram @ v / (np.linalg.norm(gram @ v) + 1e-300)\n"
            "    squared = float(v @ gram @ v)"
        ),
        tests=("tests/solvers/eigenvalues_test.py::SpectralNormTest",),
    ),
    Mutant(
        name="unproved_eigenvalue",
        fault=(
            "The convergence of an iteration trusted: its proposal is no "
            "longer proved by a factorisation that succeeds."
        ),
        file="tfcurv/solvers/eigenvalues.py",
        old="if _is_positive_definite(bound, matrix):",
        new="if bound > 0.0:",
        tests=("tests/solvers/eigenvalues_test.py::EigenvalueTest",),
    ),
    Mutant(
        name="gram_rounding_dropped",
        fault="A norm from a Gram matrix without the rounding of its sums.",
        file="tfcurv/solvers/eigenvalues.py",
        old="squared += numerics.gamma(long + 2) * frobenius",
        new="squared += 0.0",
        tests=("tests/bounds/curvature/sharpness_test.py",),
    ),
    Mutant(
        name="rows_left_behind",
        fault=(
            "Rows gathered into a smaller batch with what belongs to the "
            "first rows of the whole."
        ),
        file="tfcurv/solvers/compaction.py",
        old="return count + limit, *_select(rows.active, (index, fixed, rows))",
        new=(
            "kept = _select(rows.active, (index, rows))\n"
            "        size = tf.size(kept[0])\n"
            "        fixed = tf.nest.map_structure(lambda x: x[:size], fixed)\n"
            "        return count + limit, kept[0], fixed, kept[1]"
        ),
        tests=("tests/solvers/compaction_test.py",),
    ),
    Mutant(
        name="scaled_rounding_dropped",
        fault=(
            "The norm of a scaled matrix without the rounding of its Gram "
            "matrix."
        ),
        file="tfcurv/solvers/scaled_gram.py",
        old="numerics.gamma(length + 8) * numerics.round_up(trace, length)",
        new="0.0 * trace * length",
        tests=("tests/solvers/scaled_gram_test.py",),
    ),
    Mutant(
        name="overflow_bounds_nothing",
        fault="Scales that are not finite dropped like those that are zero.",
        file="tfcurv/solvers/scaled_gram.py",
        old="if not np.all(np.isfinite(scale)):\n            return math.inf",
        new="scale = np.where(np.isfinite(scale), scale, 0.0)",
        tests=("tests/solvers/scaled_gram_test.py",),
    ),
    Mutant(
        name="boundary_is_inside",
        fault="An image counted at its own radius, where the class may change.",
        file="tfcurv/report/curves.py",
        old='side="right"',
        new='side="left"',
        tests=("tests/results/result_test.py::AccuracyTest",),
    ),
    Mutant(
        name="second_pass_unchecked",
        fault="Data that are read twice compared once.",
        file="tfcurv/data/fingerprint.py",
        old="fingerprint.hexdigest() != parts[count]",
        new="False",
        tests=("tests/data/fingerprint_test.py::ReadAgainTest",),
    ),
    Mutant(
        name="paths_checked_after_work",
        fault="An output that cannot be written found out at the end.",
        file="tfcurv/report/files.py",
        old="        with _folders_above(target):\n",
        new="        with contextlib.suppress(OSError), "
        "_folders_above(target):\n",
        tests=(
            "tests/cli_test.py::NothingIsLostTest",
            "tests/report/files_test.py",
        ),
    ),
    Mutant(
        name="progress_in_files",
        fault="Backspaces and bars in output that is redirected.",
        file="tfcurv/report/progress.py",
        old="disable=not verbose or not _is_terminal()",
        new="disable=not verbose",
        tests=("tests/report/progress_test.py::ProgressBarTest",),
    ),
    Mutant(
        name="inflation_too_small",
        fault="A factor for a million roundings taken for nine million.",
        file="tfcurv/numerics.py",
        old="STEP_INFLATION = 1.0 + 1e-9",
        new="STEP_INFLATION = 1.0 + 1e-10",
        tests=("tests/numerics_test.py::ConstantsTest",),
    ),
    Mutant(
        name="underflow_of_one_product",
        fault="What one product loses by underflow taken for a sum's loss.",
        file="tfcurv/numerics.py",
        old="SUM_UNDERFLOW = 1e-290",
        new="SUM_UNDERFLOW = 1e-307",
        tests=("tests/numerics_test.py::ConstantsTest",),
    ),
)
