"""Linear terms of VNN-LIB, in exact arithmetic."""

from collections.abc import Container
from fractions import Fraction
import re
from typing import NamedTuple

from tfcurv.certificates.properties.expressions import Atom
from tfcurv.certificates.properties.expressions import Expression
from tfcurv.certificates.properties.expressions import invalid

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_ALLOWED = (
    "numbers, declared names, (+ a b), (- a b), and (* a b) with one number"
)


class Term(NamedTuple):
    """A linear function of inputs and outputs.

    Attributes:
        weights: By name, none of them zero.
        constant: What is added.
    """

    weights: dict[str, Fraction]
    constant: Fraction

    def plus(self, other: "Term") -> "Term":
        """Returns the sum."""
        names = {**self.weights, **other.weights}
        found = {
            name: self.weights.get(name, 0) + other.weights.get(name, 0)
            for name in names
        }
        kept = {name: Fraction(w) for name, w in found.items() if w}
        return Term(kept, self.constant + other.constant)

    def times(self, factor: Fraction) -> "Term":
        """Returns a multiple."""
        kept = {n: w * factor for n, w in self.weights.items() if factor}
        return Term(kept, self.constant * factor)

    def minus(self, other: "Term") -> "Term":
        """Returns the difference."""
        return self.plus(other.times(Fraction(-1)))


def linear(expression: Expression, names: Container[str]) -> Term:
    """Returns the linear term that an expression is.

    Args:
        expression: The expression.
        names: Those that are declared.

    Raises:
        InvalidPropertyError: It is none; names the line.
    """
    if isinstance(expression, Atom):
        return _of_atom(expression, names)
    parts = [linear(each, names) for each in expression.items[1:]]
    head = expression.head
    if head == "+" and parts:
        found = parts[0]
        for part in parts[1:]:
            found = found.plus(part)
        return found
    if head == "-" and parts:
        if len(parts) == 1:
            return parts[0].times(Fraction(-1))
        found = parts[0]
        for part in parts[1:]:
            found = found.minus(part)
        return found
    if head == "*" and len(parts) == 2:
        for number, term in (parts, parts[::-1]):
            if not number.weights:
                return term.times(number.constant)
    raise invalid(expression, "it is no linear term", _ALLOWED)


def _of_atom(atom: Atom, names: Container[str]) -> Term:
    if atom.text in names:
        return Term({atom.text: Fraction(1)}, Fraction(0))
    if not _NUMBER.fullmatch(atom.text):
        raise invalid(atom, "it is no number and is not declared", _ALLOWED)
    return Term({}, Fraction(atom.text))
