"""Reads properties from VNN-LIB files.

Of SMT-LIB, what the verification of networks uses: real constants X_i, the
inputs, and Y_j, the outputs; assertions of <= and >=, and of `and` and `or` of
these. A bound on one X is a side of a box, a linear constraint on Ys is one of
the outputs. All assertions together describe the UNSAFE set: a file is about
whether it is empty. Numbers are read as they are written, exactly.

Source: Demarchi et al., "Supporting Standardization of Neural Networks
Verification with VNN-LIB and CoCoNet", FoMLAS 2023.
"""

from collections.abc import Iterable
from collections.abc import Sequence
from fractions import Fraction
import itertools
import pathlib
import re
from typing import NamedTuple
from typing import TypeAlias

from tfcurv import errors
from tfcurv.certificates.properties import expressions
from tfcurv.certificates.properties import terms
from tfcurv.certificates.properties.expressions import Expression
from tfcurv.certificates.properties.expressions import Group
from tfcurv.certificates.properties.expressions import invalid
from tfcurv.certificates.properties.statement import LARGEST
from tfcurv.certificates.properties.statement import Constraint
from tfcurv.certificates.properties.statement import Property
from tfcurv.certificates.properties.statement import Region

# More are no property that somebody wrote down.
_MOST_CONJUNCTIONS = 5_000

_IGNORED = ("set-logic", "set-info", "set-option", "check-sat", "exit")
_NAME = re.compile(r"([XY])_(0|[1-9][0-9]*)")


class _Bound(NamedTuple):
    """x_i <= value, or x_i >= value."""

    number: int
    is_upper: bool
    value: Fraction


_Literal: TypeAlias = _Bound | Constraint
_Conjunction = tuple[_Literal, ...]


def read_property(path: str | pathlib.Path) -> Property:
    """Returns what a .vnnlib file states.

    Args:
        path: The file, in UTF-8.

    Raises:
        InvalidPropertyError: It says what is not understood; names the line.
        FileNotFoundError: There is no such file.
    """
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise errors.InvalidPropertyError(
            f"The property is no text. Received: {str(path)!r}. "
            "Allowed: a VNN-LIB file in UTF-8."
        ) from error
    return parse_property(text)


def parse_property(text: str) -> Property:
    """Returns what a text in VNN-LIB states.

    Args:
        text: The text.

    Raises:
        InvalidPropertyError: It says what is not understood; names the line.
    """
    names: dict[str, Expression] = {}
    asserted = []
    for expression in expressions.read(text):
        head = expression.head
        if head in ("declare-const", "declare-fun"):
            _declare(expression, names)
        elif head == "assert" and len(expression.items) == 2:
            asserted.append(expression.items[1])
        elif head not in _IGNORED:
            raise invalid(
                expression,
                "it is no statement that is known",
                "(declare-const X_0 Real) and (assert ...)",
            )
    numbers = _count(names, "X"), _count(names, "Y")
    conjunctions = _all_of(asserted, names)
    return _property(conjunctions, *numbers, names)


def _declare(statement: Expression, names: dict[str, Expression]) -> None:
    words = [str(item) for item in statement.items[1:]]
    if statement.head == "declare-fun" and words[1:2] == ["()"]:
        del words[1]
    name = words[0] if words else ""
    if len(words) != 2 or words[1] != "Real" or not _NAME.fullmatch(name):
        raise invalid(
            statement,
            "it declares no input and no output",
            "(declare-const X_0 Real), (declare-const Y_0 Real), ...",
        )
    if name in names:
        raise invalid(statement, f"{name} is declared already", "one of each")
    names[name] = statement


def _count(names: dict[str, Expression], letter: str) -> int:
    """Returns how many inputs or outputs there are, which are numbered."""
    found = [name for name in names if name[0] == letter]
    missing = {f"{letter}_{i}" for i in range(len(found))} - set(found)
    if missing or not found:
        last = names[found[-1]] if found else Group((), 1)
        raise invalid(
            last,
            f"{min(missing, default=f'{letter}_0')} is not declared",
            f"{letter}_0, {letter}_1, ... without a gap",
        )
    return len(found)


def _all_of(
    formulas: Iterable[Expression], names: dict[str, Expression]
) -> list[_Conjunction]:
    """Returns the disjunctive normal form of all formulas together."""
    common: list[_Literal] = []
    choices: list[list[_Conjunction]] = []
    for formula in formulas:
        found = _normal_form(formula, names)
        if len(found) == 1:
            common += found[0]
        else:
            choices.append(found)
        count = 1
        for choice in choices:
            count *= len(choice)
            _check_count(count, formula)
    return [
        (*common, *itertools.chain.from_iterable(chosen))
        for chosen in itertools.product(*choices)
    ]


def _check_count(count: int, formula: Expression) -> None:
    if count > _MOST_CONJUNCTIONS:
        raise invalid(
            formula,
            f"written out these are more than {_MOST_CONJUNCTIONS} cases",
            "several files, one for each case",
        )


def _normal_form(
    formula: Expression, names: dict[str, Expression]
) -> list[_Conjunction]:
    """Returns conjunctions of which one has to hold; none if none can."""
    head = formula.head
    if head == "and":
        return _all_of(formula.items[1:], names)
    if head == "or":
        cases = [_normal_form(each, names) for each in formula.items[1:]]
        _check_count(sum(map(len, cases)), formula)
        return [conjunction for case in cases for conjunction in case]
    if head in ("<=", ">=") and len(formula.items) == 3:
        return _comparison(formula, names)
    raise invalid(
        formula,
        "it is no formula that is known",
        "(<= a b), (>= a b), (and ...) and (or ...)",
    )


def _comparison(formula: Expression, names) -> list[_Conjunction]:
    left, right = (terms.linear(each, names) for each in formula.items[1:])
    if formula.head == ">=":
        left, right = right, left
    weights, constant = left.minus(right)
    bound = -constant
    if not weights:
        # It says something of numbers alone.
        return [()] if 0 <= bound else []
    letters = {name[0] for name in weights}
    indices = {int(name[2:]): weight for name, weight in weights.items()}
    if letters == {"Y"}:
        return [(Constraint(tuple(sorted(indices.items())), bound),)]
    if letters == {"X"} and len(indices) == 1:
        ((index, weight),) = indices.items()
        value = bound / weight
        if abs(value) > LARGEST:
            raise invalid(
                formula,
                "it bounds an input beyond what float64 computes with",
                "bounds between -1e270 and 1e270",
            )
        return [(_Bound(index, weight > 0, value),)]
    raise invalid(
        formula,
        "it ties several inputs, or inputs and outputs",
        "bounds on one X, and linear constraints on Ys",
    )


def _property(
    conjunctions: Sequence[_Conjunction], inputs: int, outputs: int, names
) -> Property:
    constraints: dict[Constraint, int] = {}
    regions: dict[tuple, list[tuple[int, ...]]] = {}
    for conjunction in conjunctions:
        box = _box(conjunction, inputs, names)
        if any(low > high for low, high in zip(*box)):
            continue  # There is no such input.
        clause = [each for each in conjunction if isinstance(each, Constraint)]
        numbers = {
            constraints.setdefault(each, len(constraints)) for each in clause
        }
        clauses = regions.setdefault(box, [])
        if (found := tuple(sorted(numbers))) not in clauses:
            clauses.append(found)
    return Property(
        inputs,
        outputs,
        tuple(constraints),
        tuple(
            Region(low, high, tuple(clauses))
            for (low, high), clauses in regions.items()
        ),
    )


def _box(conjunction: _Conjunction, inputs: int, names):
    """Returns the box of a conjunction, which must bound every input."""
    lower: list[Fraction | None] = [None] * inputs
    upper: list[Fraction | None] = [None] * inputs
    for each in conjunction:
        if isinstance(each, _Bound):
            number, is_upper, value = each
            ends, nearer = (upper, min) if is_upper else (lower, max)
            known = ends[number]
            ends[number] = value if known is None else nearer(known, value)
    for ends, side in ((lower, "lower"), (upper, "upper")):
        if None in ends:
            name = f"X_{ends.index(None)}"
            raise invalid(
                names[name],
                f"{name} has no {side} bound in every case",
                "bounds on both sides of every input",
            )
    return tuple(lower), tuple(upper)
