"""Tests of VNN-LIB files: what they state, and what is wrong with them."""

from fractions import Fraction
import itertools

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st

from tfcurv import errors
from tfcurv.certificates.properties import vnnlib
from tfcurv.certificates.properties.statement import Constraint

_DECLARED = """; two inputs, two outputs
(declare-const X_0 Real)
(declare-const X_1 Real)
(declare-const Y_0 Real)
(declare-fun Y_1 () Real)
"""
_BOX = """(assert (>= X_0 -1)) (assert (<= X_0 1.0))
(assert (and (>= X_1 -1e0) (<= X_1 +1)))
"""


def _parse(text, box=_BOX):
    return vnnlib.parse_property(_DECLARED + box + text)


def _constraint(bound, *weights):
    pairs = tuple((j, Fraction(w)) for j, w in enumerate(weights) if w)
    return Constraint(pairs, Fraction(bound))


def _is_unsafe(found, x, y):
    """Whether a property calls an output unsafe, by its definition."""

    def holds(number):
        weights, bound = found.constraints[number]
        return sum(w * y[j] for j, w in weights) <= bound

    return any(
        all(low <= e <= high for low, e, high in zip(r.lower, x, r.upper))
        and any(all(map(holds, clause)) for clause in r.clauses)
        for r in found.regions
    )


# What a formula says: text, and a function of inputs and outputs.
_NUMBERS = st.integers(-4, 4)


def _bound(letter):
    def made(index, sign, value):
        text = f"({sign} {letter}_{index} {value})"
        pick = 0 if letter == "X" else 1
        if sign == "<=":
            return text, lambda *xy: xy[pick][index] <= value
        return text, lambda *xy: xy[pick][index] >= value

    return st.builds(
        made, st.integers(0, 1), st.sampled_from(["<=", ">="]), _NUMBERS
    )


def _linear(a, b, sign, c):
    text = f"({sign} (- (* {a} Y_0) (* Y_1 {b})) (+ Y_0 {c}))"

    def says(x, y):
        left, right = a * y[0] - b * y[1], y[0] + c
        return left <= right if sign == "<=" else left >= right

    return text, says


_ATOMS = (
    _bound("X")
    | _bound("Y")
    | st.builds(
        _linear, _NUMBERS, _NUMBERS, st.sampled_from(["<=", ">="]), _NUMBERS
    )
)


def _joined(word, parts):
    text = f"({word} {' '.join(text for text, _ in parts)})"
    every = all if word == "and" else any
    return text, lambda x, y: every(says(x, y) for _, says in parts)


_FORMULAS = st.recursive(
    _ATOMS,
    lambda inner: st.builds(
        _joined, st.sampled_from(["and", "or"]), st.lists(inner, max_size=3)
    ),
    max_leaves=6,
)


class StatementTest(parameterized.TestCase):
    @hypothesis.settings(deadline=None, max_examples=60)
    @hypothesis.given(st.lists(_FORMULAS, max_size=3))
    def test_means_what_its_formulas_say(self, formulas):
        text = "\n".join(f"(assert {text})" for text, _ in formulas)
        found = _parse(text)
        half = [Fraction(n, 2) for n in (-2, -1, 0, 1, 2)]
        far = [Fraction(n, 2) for n in (-9, -3, 0, 2, 9)]
        for x in itertools.product(half, half[::2]):
            for y in itertools.product(far, far):
                says = all(says(x, y) for _, says in formulas)
                self.assertEqual(_is_unsafe(found, x, y), says)

    def test_keeps_numbers_exactly(self):
        found = _parse("(assert (<= Y_0 0.1)) (assert (>= (* 3e-2 Y_1) Y_0))")
        self.assertEqual(
            set(found.constraints),
            {
                _constraint("1/10", 1),
                _constraint(0, 1, "-3/100"),
            },
        )
        ((lower, upper, clauses),) = found.regions
        self.assertEqual((lower, upper), ((-1, -1), (1, 1)))
        self.assertEqual(clauses, ((0, 1),))

    def test_gathers_clauses_of_one_box(self):
        found = _parse("(assert (or (and (>= Y_0 Y_1)) (<= Y_1 2)))")
        self.assertLen(found.regions, 1)
        self.assertEqual(found.regions[0].clauses, ((0,), (1,)))

    def test_keeps_boxes_apart(self):
        text = """(assert (or (and (<= X_0 0.0) (<= Y_0 0))
        (and (>= X_0 0.5) (>= Y_0 1))))"""
        lower, upper = _parse(text).regions
        self.assertEqual((lower.lower[0], lower.upper[0]), (-1, 0))
        self.assertEqual((upper.lower[0], upper.upper[0]), (Fraction(1, 2), 1))

    def test_leaves_out_what_no_input_meets(self):
        self.assertEmpty(_parse("(assert (>= X_0 2))").regions)
        self.assertEmpty(_parse("(assert (or))").regions)
        self.assertEmpty(_parse("(assert (<= 1 0))").regions)

    def test_ignores_what_says_nothing_of_the_set(self):
        text = "(set-logic QF_LRA)(check-sat)(exit)"
        self.assertEqual(_parse(text).regions[0].clauses, ((),))

    @parameterized.parameters(
        ("(assert (< Y_0 1))", 8, "<="),
        ("\n(assert (<= Y_0 Z))", 9, "not declared"),
        ("(assert (<= Y_2 1))", 8, "Y_2"),
        ("(assert (<= X_0 Y_0))", 8, "ties"),
        ("(assert (<= (+ X_0 X_1) 1))", 8, "ties"),
        ("(assert (<= (* Y_0 Y_1) 1))", 8, "linear"),
        ("(assert (<= Y_0 1e9999))", 8, "number"),
        ("(assert (<= Y_0 0x1))", 8, "number"),
        ("(assert (<= X_0 1e400))", 8, "float64"),
        ("(assert (>= (* 1e-200 X_0) -1e200))", 8, "float64"),
        ("(assert (not (<= Y_0 1)))", 8, "formula"),
        ("(assert)", 8, "statement"),
        ("Y_0", 8, "statement"),
        ("(declare-const X_0 Real)", 8, "already"),
        ("(declare-const X_3 Real)", 8, "X_2"),
        ("(declare-const Z_0 Real)", 8, "no input"),
        ("(declare-const X_2 Int)", 8, "no input"),
        ("(declare-const X_2 Real)", 8, "X_2 has no lower"),
    )
    def test_names_the_line_that_is_not_understood(self, text, line, word):
        with self.assertRaises(errors.InvalidPropertyError) as caught:
            _parse(text)
        self.assertIn(f"Line {line} ", str(caught.exception))
        self.assertIn(word, str(caught.exception))
        self.assertIn("Allowed", str(caught.exception))

    def test_refuses_cases_without_number(self):
        choice = "(assert (or (<= Y_0 0) (<= Y_1 0) (>= Y_1 1)))\n"
        with self.assertRaisesRegex(errors.InvalidPropertyError, "cases"):
            _parse(choice * 12)

    def test_refuses_a_file_that_is_no_text(self):
        path = self.create_tempfile(content=b"\xff\xfe\x00").full_path
        with self.assertRaisesRegex(errors.InvalidPropertyError, "UTF-8"):
            vnnlib.read_property(path)


if __name__ == "__main__":
    absltest.main()
