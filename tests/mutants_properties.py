"""Faults in decisions on properties, and in ONNX models; see `mutant_list`."""

from mutant import Mutant

_ROOM = "tfcurv/certificates/properties"
_PARSED = ("tests/certificates/properties/vnnlib_test.py",)
_DECIDED = ("tests/certificates/properties/decision_test.py",)
_READ = ("tests/nn/onnx/reading_test.py",)

MUTANTS = (
    Mutant(
        name="constraint_turned_round",
        fault="A >= of a property file taken for a <=: the safe set verified.",
        file=f"{_ROOM}/vnnlib.py",
        old='    if formula.head == ">=":\n        left',
        new='    if formula.head == "<=":\n        left',
        tests=_PARSED,
    ),
    Mutant(
        name="bound_of_a_negative_weight",
        fault="The bound -x <= b taken for one from above on x.",
        file=f"{_ROOM}/vnnlib.py",
        old="_Bound(index, weight > 0, value)",
        new="_Bound(index, True, value)",
        tests=_PARSED,
    ),
    Mutant(
        name="or_taken_for_and",
        fault="Unsafe where one case holds, and verified where all do.",
        file=f"{_ROOM}/vnnlib.py",
        old="return [conjunction for case in cases for conjunction in case]",
        new="return _all_of(formula.items[1:], names)",
        tests=_PARSED,
    ),
    Mutant(
        name="case_forgotten",
        fault="Of the unsafe cases of one box only the first verified.",
        file=f"{_ROOM}/vnnlib.py",
        old="Region(low, high, tuple(clauses))",
        new="Region(low, high, tuple(clauses[:1]))",
        tests=_PARSED,
    ),
    Mutant(
        name="numbers_through_float64",
        fault="A decimal of a property file rounded before it is verified.",
        file=f"{_ROOM}/terms.py",
        old="return Term({}, Fraction(atom.text))",
        new="return Term({}, Fraction(float(atom.text)))",
        tests=_PARSED,
    ),
    Mutant(
        name="box_rounded_inward",
        fault="Inputs between a side of a box and its float64 left out.",
        file=f"{_ROOM}/boxes.py",
        old="(Fraction(found) - number) < 0",
        new="(Fraction(found) - number) > 0",
        tests=("tests/certificates/properties/boxes_test.py",),
    ),
    Mutant(
        name="reach_rounded_down",
        fault="A box around its middle that ends a rounding too early.",
        file=f"{_ROOM}/boxes.py",
        old="return np.nextafter(far, np.inf) + _FLUSHED",
        new="return np.nextafter(far, 0.0)",
        tests=("tests/certificates/properties/boxes_test.py",),
    ),
    Mutant(
        name="clause_of_another",
        fault="A clause excluded by a constraint that it does not have.",
        file=f"{_ROOM}/bisection.py",
        old="(holds_nowhere[:, np.newaxis] & self._clauses).any(axis=-1)",
        new=(
            "(holds_nowhere[:, np.newaxis] | (0 * self._clauses > 0)).any(\n"
            "            axis=-1\n"
            "        )"
        ),
        tests=_DECIDED,
    ),
    Mutant(
        name="one_half_of_a_box",
        fault="A box cut in two, and one part of it examined twice.",
        file=f"{_ROOM}/bisection.py",
        old="np.concatenate([low, right]), np.concatenate([left, high])",
        new="np.concatenate([low, low]), np.concatenate([left, left])",
        tests=_DECIDED,
    ),
    Mutant(
        name="point_left_out",
        fault="A box too small to be cut counted as proved.",
        file=f"{_ROOM}/bisection.py",
        old="is_proved &= bool(kept.all())",
        new="is_proved &= True",
        tests=_DECIDED,
    ),
    Mutant(
        name="time_is_a_proof",
        fault="What is open when the time is over counted as proved.",
        file=f"{_ROOM}/bisection.py",
        old="                return False, None\n            box, is_open",
        new="                return is_proved, None\n            box, is_open",
        tests=_DECIDED,
    ),
    Mutant(
        name="last_region_decides",
        fault="A region that is open forgotten when the next is proved.",
        file=f"{_ROOM}/decision.py",
        old="            if not is_proved:\n                found = ",
        new="            found = Verdict.HOLDS\n"
        "            if not is_proved:\n                found = ",
        tests=_DECIDED,
    ),
    Mutant(
        name="execution_not_asked",
        fault="An input called a witness that the model finds safe.",
        file=f"{_ROOM}/witnesses.py",
        old="if self._is_unsafe(y, clause):",
        new="if np.all(np.isfinite(y)):",
        tests=_DECIDED,
    ),
    Mutant(
        name="witness_within_rounding",
        fault="A constraint called unsafe that holds by rounding alone.",
        file=f"{_ROOM}/witnesses.py",
        old="(value.numpy() - error.numpy()) >= 0.0",
        new="value.numpy() >= -1e-9",
        tests=_DECIDED,
    ),
    Mutant(
        name="property_rounded_silently",
        fault="Constraints rounded to float64 and taken for exact.",
        file=f"{_ROOM}/unsafe_graph.py",
        old="roundings=0 if is_exact else 1,",
        new="roundings=0,",
        tests=_DECIDED,
    ),
    Mutant(
        name="half_the_sides",
        fault="Boxes whose sides differ bounded by half of their reach.",
        file="tfcurv/bounds/propagation/margins.py",
        old="distance = epsilon if epsilon.shape.rank == 2",
        new="distance = 0.5 * epsilon if epsilon.shape.rank == 2",
        tests=_DECIDED,
    ),
    Mutant(
        name="flattened_channels_last",
        fault="A flatten of ONNX without the permutation of its elements.",
        file="tfcurv/nn/onnx/shapes.py",
        old="    tensor = value.in_order\n    if tuple",
        new="    tensor = value.tensor\n    if tuple",
        tests=_READ,
    ),
    Mutant(
        name="onnx_not_compared",
        fault="A Keras model returned that is not what ONNX computes.",
        file="tfcurv/nn/onnx/agreement.py",
        old="if not np.all(apart <= _TOLERANCE * scale + _TOLERANCE**2):",
        new="if not np.all(scale >= 0.0):",
        tests=_READ,
    ),
    Mutant(
        name="onnx_pads_maxima_with_zeros",
        fault="Zeros around a MaxPool of numbers that may be negative.",
        file="tfcurv/nn/onnx/windows.py",
        old="elif node.is_nonnegative:",
        new="elif pads:",
        tests=_READ,
    ),
)
