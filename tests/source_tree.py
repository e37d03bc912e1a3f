"""Reads the project's sources without running them."""

import ast
from collections.abc import Iterator
import pathlib
import re

# Not resolved: a sandbox may hold links to the sources.
ROOT = pathlib.Path(__file__).absolute().parents[1]

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def files(*patterns: str) -> list[pathlib.Path]:
    """Returns the files under the root that match, sorted."""
    return sorted({path for each in patterns for path in ROOT.glob(each)})


def parse(path: pathlib.Path) -> ast.Module:
    """Returns the syntax tree of a source file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def module_name(path: pathlib.Path) -> str:
    """Returns the dotted name, that of the package for an `__init__.py`."""
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def is_module(name: str) -> bool:
    """Whether the project has a module or a package of this dotted name."""
    stem = ROOT.joinpath(*name.split("."))
    return stem.with_suffix(".py").is_file() or stem.is_dir()


def imports_of(node: ast.AST) -> set[str]:
    """Returns the modules that one statement imports.

    `from a import b` imports `a.b` where the project has such a module, else
    `a`.
    """
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if not isinstance(node, ast.ImportFrom) or node.module is None:
        return set()
    names = {f"{node.module}.{alias.name}" for alias in node.names}
    return {name if is_module(name) else node.module for name in names}


def imports(tree: ast.AST) -> set[str]:
    """Returns every module that is imported, inside of functions too."""
    return set().union(*map(imports_of, ast.walk(tree)))


def statements_at_import(tree: ast.AST) -> Iterator[ast.AST]:
    """Yields the nodes that run when the module is imported."""
    for node in ast.iter_child_nodes(tree):
        only_for_types = isinstance(node, ast.If) and _is_for_types(node)
        if not isinstance(node, _FUNCTIONS) and not only_for_types:
            yield node
            yield from statements_at_import(node)


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yields statements, and those that only type checkers read."""
    for node in body:
        yield node
        if isinstance(node, ast.If) and _is_for_types(node):
            yield from node.body


def _is_for_types(node: ast.If) -> bool:
    return "TYPE_CHECKING" in ast.unparse(node.test)


def public_names(module: str) -> set[str]:
    """Returns what a module, or the `__init__.py` of a package, offers.

    What it imports is offered only as `from a import b as b`.
    """
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    names = set()
    for node in _statements(parse(path).body):
        if isinstance(node, ast.Import | ast.ImportFrom):
            offered = (each for each in node.names if each.name == each.asname)
            names |= {alias.name for alias in offered}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = getattr(node, "targets", None) or [node.target]
            names |= {each.id for each in targets if hasattr(each, "id")}
    # Not `_private` and no hook of Python's, but `__version__`.
    names -= {"__all__", "__dir__", "__getattr__"}
    return {name for name in names if not re.match(r"_[^_]", name)}
