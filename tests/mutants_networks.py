"""Faults in networks; see `mutant_list`."""

from mutant import Mutant

MUTANTS = (
    Mutant(
        name="overlaps_forgotten",
        fault="Max pooling taken for 1-Lipschitz where windows overlap.",
        file="tfcurv/networks/maximum.py",
        old="return math.prod(_most_windows(axis) for axis in self.axes)",
        new="return 1",
        tests=(
            "tests/networks_evaluation_test.py::MaxPoolingTest",
            "tests/certificates_lipschitz_test.py::ConstantsTest",
        ),
    ),
    Mutant(
        name="nan_passed_over_by_maxima",
        fault="An unknown error that a maximum does not see.",
        file="tfcurv/networks/evaluation.py",
        old="known = tf.where(tf.math.is_nan(error), _infinite(error), error)",
        new="known = error",
        tests=("tests/networks_evaluation_test.py::EvaluationTest",),
    ),
)
