"""S-expressions, each with the line where it begins."""

import dataclasses
import re
from typing import TypeAlias

from tfcurv import errors

# Comments, spaces, brackets, atoms.
_TOKENS = re.compile(r"(;[^\n]*)|(\s+)|([()])|([^\s();]+)")

# Deeper than anybody writes.
_DEEPEST = 60


@dataclasses.dataclass(frozen=True)
class Atom:
    """A word or a number.

    Attributes:
        text: As written.
        line: From 1.
    """

    text: str
    line: int

    @property
    def items(self) -> tuple["Expression", ...]:
        """None."""
        return ()

    @property
    def head(self) -> str:
        """It is no group: ""."""
        return ""

    def __str__(self) -> str:
        return self.text


@dataclasses.dataclass(frozen=True)
class Group:
    """What stands between two brackets.

    Attributes:
        items: In order.
        line: Where it begins, from 1.
    """

    items: tuple["Expression", ...]
    line: int

    @property
    def head(self) -> str:
        """The first word; "" where there is none."""
        first = self.items[0] if self.items else None
        return first.text if isinstance(first, Atom) else ""

    def __str__(self) -> str:
        return f"({' '.join(map(str, self.items))})"


Expression: TypeAlias = Atom | Group


def invalid(expression: Expression, why: str, allowed: str):
    """Returns the error about an expression.

    Args:
        expression: What is at fault.
        why: What is wrong, a clause.
        allowed: What was expected.
    """
    return errors.InvalidPropertyError(
        f"Line {expression.line} of the property is not understood: {why}. "
        f"Received: {expression!s:.100}. Allowed: {allowed}."
    )


def read(text: str) -> list[Expression]:
    """Returns the expressions of a text.

    Args:
        text: With comments from a semicolon to the end of a line.

    Raises:
        InvalidPropertyError: Brackets do not match; names the line.
    """
    found: list[list[Expression]] = [[]]
    lines = [1]
    line = 1
    for token in _TOKENS.finditer(text):
        mark = Atom(token.group(), line)
        line += token.group().count("\n")
        if token.group(3) == "(":
            found.append([])
            lines.append(mark.line)
            if len(found) > _DEEPEST:
                raise invalid(mark, "brackets are too deep", f"{_DEEPEST}")
        elif token.group(3) == ")":
            if len(found) == 1:
                raise invalid(mark, "no bracket is open", "as many ( as )")
            group = Group(tuple(found.pop()), lines.pop())
            found[-1].append(group)
        elif token.group(4):
            found[-1].append(mark)
    if len(found) > 1:
        raise invalid(
            Atom("(", lines[-1]), "its bracket is not closed", "as many ( as )"
        )
    return found[0]
