"""Writes BUILD: one target a room, a program, a helper and a test.

    python tests/build_rules.py --write

`deps` are what the sources import. What no source says stands in `_EXTRAS`.
tests/build_file_test.py holds BUILD to what is written here, and, read anew,
to the sources.
"""

import argparse
from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import functools
import pathlib
import sys

import source_tree

LIBRARY, BINARY, TEST = "py_library", "py_binary", "py_test"

_HEAD = '''"""tfcurv: ground floor first, each target after all that it needs.

Written by `python tests/build_rules.py --write`.
"""

load("@pip//:requirements.bzl", "requirement")
load("@rules_python//python:defs.bzl", "py_binary", "py_library", "py_test")

package(default_visibility = ["//visibility:public"])

# What the tests of the sources as text read.
_PROJECT = glob(
    [
        "*",
        ".ci/run",
        "benchmarks/**/*.py",
        "docs/**",
        "examples/**/*.py",
        "tests/**/*.py",
        "tfcurv/**/*.py",
    ],
    allow_empty = True,
)
'''

# Where the name of a distribution is not that of the module it holds.
_DISTRIBUTIONS = {
    "absl": "absl-py",
    "sklearn": "scikit-learn",
    "tensorflow_datasets": "tensorflow-datasets",
}

_READS_THE_PROJECT = {"data": "_PROJECT"}

# By target, what its sources do not say.
_EXTRAS = {
    "tfcurv": {"data": '["tfcurv/py.typed"]'},
    "tfcurv_cli": {"main": '"tfcurv/cli/__main__.py"'},
    "architecture_test": _READS_THE_PROJECT,
    "build_file_test": _READS_THE_PROJECT,
    "clone_test": {"data": '["LICENSE", "README.md", "pyproject.toml"]'},
    "docs_test": _READS_THE_PROJECT,
    "docstring_test": _READS_THE_PROJECT,
    "mutants": _READS_THE_PROJECT,
    "mutants_test": _READS_THE_PROJECT,
}

# The modules that are in no package, in one target.
_GROUND_TARGET = "numerics"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule:
    """One target of BUILD.

    Attributes:
        rule: What it is made with, such as `py_library`.
        name: What others call it, without the colon.
        srcs: The names of its sources, or patterns.
        is_glob: Whether they are patterns.
        attributes: What else BUILD says of it.
    """

    rule: str
    name: str
    srcs: tuple[str, ...]
    is_glob: bool = False
    attributes: tuple[tuple[str, str], ...] = ()

    @property
    def files(self) -> list[pathlib.Path]:
        """Its sources."""
        return source_tree.files(*self.srcs)

    @functools.cached_property
    def deps(self) -> list[str]:
        """What the sources import, labels before requirements."""
        return dependencies(self.name, self.files)

    def __str__(self) -> str:
        srcs = _list([f'"{each}"' for each in self.srcs])
        srcs = f"glob({srcs})" if self.is_glob else srcs
        values = {"srcs": srcs, **dict(self.attributes)}
        lines = "".join(f"    {k} = {v},\n" for k, v in values.items())
        deps = "".join(f"        {dep},\n" for dep in self.deps)
        deps = f"    deps = [\n{deps}    ],\n" if deps else ""
        head = f'{self.rule}(\n    name = "{self.name}",\n'
        return f"{head}{lines}{deps})\n"


def _list(entries: list[str]) -> str:
    if len(entries) == 1:
        return f"[{entries[0]}]"
    lines = "".join(f"        {entry},\n" for entry in entries)
    return f"[\n{lines}    ]"


def dependencies(name: str, files: Iterable[pathlib.Path]) -> list[str]:
    """Returns the entries of `deps` of the target that holds these files."""
    modules = {
        module
        for path in files
        for module in source_tree.imports(source_tree.parse(path))
    }
    labels = {label(module) for module in modules} - {None, f'":{name}"'}
    return sorted(each for each in labels if each is not None)


def label(module: str) -> str | None:
    """Returns the dependency that holds a module; None if Python does."""
    top, *rest = module.split(".")
    if top == "tfcurv":
        return f'":{_room(rest)}"'
    if top in ("examples", "tests") and rest:
        return f'":{_helper_name(top, rest[0])}"'
    for folder in ("tests", "examples"):  # A helper beside its users.
        if source_tree.is_module(f"{folder}.{top}"):
            return f'":{_helper_name(folder, top)}"'
    if top in sys.stdlib_module_names:
        return None
    return f'requirement("{_DISTRIBUTIONS.get(top, top)}")'


def _room(rest: list[str]) -> str:
    if not rest:
        return "tfcurv"
    return rest[0] if rest[0] in _rooms() else _GROUND_TARGET


@functools.cache
def _rooms() -> list[str]:
    """Returns the packages of the library."""
    return [
        each.parent.name for each in source_tree.files("tfcurv/*/__init__.py")
    ]


def _helper_name(folder: str, stem: str) -> str:
    """Returns what a file is called that may be named as a room is."""
    return f"{folder}_{stem}" if stem in _rooms() else stem


def _libraries() -> Iterator[Rule]:
    ground = [
        _relative(path)
        for path in source_tree.files("tfcurv/*.py")
        if path.name != "__init__.py"
    ]
    yield Rule(rule=LIBRARY, name=_GROUND_TARGET, srcs=tuple(ground))
    for room in _rooms():
        pattern = f"tfcurv/{room}/**/*.py"
        yield _rule(LIBRARY, room, pattern, is_glob=True)
    yield _rule(LIBRARY, "tfcurv", "tfcurv/__init__.py")
    for path in source_tree.files("tfcurv/*/__main__.py"):
        yield _rule(BINARY, f"tfcurv_{path.parent.name}", _relative(path))


def _files_of(folder: str) -> Iterator[Rule]:
    """Yields a target for each program, test and helper of a folder."""
    for path in source_tree.files(f"{folder}/**/*.py"):
        # Tests of rooms may share a stem.
        inside = path.relative_to(source_tree.ROOT / folder).with_suffix("")
        name = _helper_name(folder, "_".join(inside.parts))
        is_program = "__main__" in path.read_text(encoding="utf-8")
        extras = {"imports": f'["{_relative(path.parent)}"]'}
        if folder == "tests":
            extras["testonly"] = "True"
        if folder == "tests" and path.stem.endswith("_test"):
            yield _rule(TEST, name, _relative(path))
        elif is_program:
            yield _rule(BINARY, name, _relative(path), extras)
        elif path.name not in ("conftest.py", "__init__.py"):
            yield _rule(LIBRARY, name, _relative(path), extras)


def _relative(path: pathlib.Path) -> str:
    return path.relative_to(source_tree.ROOT).as_posix()


def _rule(rule, name, source, extras=None, *, is_glob=False) -> Rule:
    attributes = {**(extras or {}), **_EXTRAS.get(name, {})}
    return Rule(
        rule=rule,
        name=name,
        srcs=(source,),
        is_glob=is_glob,
        attributes=tuple(sorted(attributes.items())),
    )


def rules() -> list[Rule]:
    """Returns all targets, each after those that it needs.

    Raises:
        ValueError: Some need each other in a circle, or what is no target.
    """
    files = [*_files_of("examples"), *_files_of("tests")]
    files.sort(key=lambda each: each.rule == TEST)
    waiting = [*_libraries(), *files]
    needed = {each.name: _labels(each.deps) for each in waiting}
    found: list[Rule] = []
    while waiting:
        known = {each.name for each in found}
        ready = [each for each in waiting if needed[each.name] <= known]
        if not ready:
            names = sorted(each.name for each in waiting)
            raise ValueError(
                "Targets need each other, or what is none. Received: "
                f"{', '.join(names)}."
            )
        found.append(ready[0])
        waiting.remove(ready[0])
    return found


def _labels(deps: Iterable[str]) -> set[str]:
    return {dep.strip('":') for dep in deps if dep.startswith('":')}


def text() -> str:
    """Returns what BUILD must hold."""
    return "\n".join([_HEAD, *map(str, rules())])


def main() -> int:
    """Writes BUILD, or says whether it is as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="Write BUILD.")
    path = source_tree.ROOT / "BUILD"
    if parser.parse_args().write:
        path.write_text(text(), encoding="utf-8")
    return int(path.read_text(encoding="utf-8") != text())


if __name__ == "__main__":
    sys.exit(main())
