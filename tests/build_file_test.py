"""BUILD, pyproject.toml, the pages and .ci/run say what is so.

Starlark parses as Python: BUILD is read here by itself, not by what wrote it.
"""

import ast
from collections.abc import Iterator
import dataclasses
import pathlib
import re

from absl.testing import absltest

import build_rules
import source_tree

_LIBRARY, _BINARY, _TEST = "py_library", "py_binary", "py_test"

_DEMO_COMMAND = (
    "python3 -m venv .venv && .venv/bin/pip install -q '.[demo]' "
    "&& .venv/bin/tfcurv demo"
)
_TEST_COMMAND = (
    "python3 -m venv .venv && .venv/bin/pip install -q -e '.[all]' "
    "&& .venv/bin/python -m pytest"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """One target of BUILD.

    Attributes:
        rule: What it is made with, such as `py_library`.
        name: What others call it, without the colon.
        srcs: Its sources.
        deps: What it is declared to depend on, as BUILD writes it.
    """

    rule: str
    name: str
    srcs: tuple[pathlib.Path, ...]
    deps: tuple[str, ...]


def _read(name: str) -> str:
    return (source_tree.ROOT / name).read_text(encoding="utf-8")


def _sources(node: ast.expr) -> list[pathlib.Path]:
    """Returns the files that a list, or a `glob` of one, names."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "glob":
        patterns = ast.literal_eval(node.args[0])
        if empty := [each for each in patterns if not source_tree.files(each)]:
            raise ValueError(f"No file matches. Received: {empty}.")
        return source_tree.files(*patterns)
    return [source_tree.ROOT / name for name in ast.literal_eval(node)]


def _targets() -> Iterator[Target]:
    for node in ast.parse(_read("BUILD"), "BUILD").body:
        call = node.value if isinstance(node, ast.Expr) else None
        if not isinstance(call, ast.Call):
            continue
        rule = ast.unparse(call.func)
        if rule in (_LIBRARY, _BINARY, _TEST):
            values = {each.arg: each.value for each in call.keywords}
            deps = values["deps"].elts if "deps" in values else []
            deps = [ast.unparse(each).replace("'", '"') for each in deps]
            yield Target(
                rule=rule,
                name=ast.literal_eval(values["name"]),
                srcs=tuple(_sources(values["srcs"])),
                deps=tuple(deps),
            )


class BuildFileTest(absltest.TestCase):
    def test_every_source_exists(self):
        for target in _targets():
            with self.subTest(target.name):
                self.assertNotEmpty(target.srcs)
                for path in target.srcs:
                    self.assertTrue(path.is_file(), path.name)

    def test_is_what_the_tool_writes(self):
        self.assertEqual(
            _read("BUILD"),
            build_rules.text(),
            "Run `python tests/build_rules.py --write`.",
        )

    def test_deps_are_what_the_sources_import(self):
        for target in _targets():
            with self.subTest(target.name):
                found = build_rules.dependencies(target.name, target.srcs)
                self.assertEqual(list(target.deps), found)

    def test_every_dependency_is_a_target_above_its_user(self):
        known = set()
        for target in _targets():
            labels = {dep.strip('":') for dep in target.deps if ":" in dep}
            with self.subTest(target.name):
                self.assertNotIn(target.name, known)
                self.assertEmpty(labels - known)
            known.add(target.name)

    def test_every_source_has_a_target(self):
        examples = source_tree.files("examples/*.py")
        programs = [p for p in examples if "__main__" in _read(p)]
        rules = {
            _LIBRARY: [
                *source_tree.files("tfcurv/**/*.py"),
                *(path for path in examples if path not in programs),
            ],
            _BINARY: [*source_tree.files("tfcurv/**/__main__.py"), *programs],
            _TEST: source_tree.files("tests/**/*_test.py"),
        }
        for rule, paths in rules.items():
            targets = [each for each in _targets() if each.rule == rule]
            built = {path for target in targets for path in target.srcs}
            with self.subTest(rule):
                self.assertEmpty([p.name for p in paths if p not in built])


def _distributions(text: str) -> set[str]:
    """Returns the names in a list of quoted requirements."""
    return set(re.findall(r'"([a-z][a-z0-9-]*)[\[>="]', text))


class PackageTest(absltest.TestCase):
    def test_every_requirement_is_declared(self):
        declared = _distributions(_read("pyproject.toml"))
        for target in _targets():
            for dep in target.deps:
                if match := re.fullmatch(r'requirement\("(.+)"\)', dep):
                    with self.subTest(f"{target.name}: {match[1]}"):
                        self.assertIn(match[1], declared)

    def test_a_bare_install_can_import_every_module(self):
        bare = re.search(
            r"^dependencies = \[(.*?)^\]", _read("pyproject.toml"), re.M | re.S
        )
        declared = _distributions(bare[1])
        for path in source_tree.files("tfcurv/**/*.py"):
            for node in source_tree.statements_at_import(
                source_tree.parse(path)
            ):
                for module in source_tree.imports_of(node):
                    label = build_rules.label(module) or ""
                    if label.startswith("requirement"):
                        with self.subTest(f"{path.name}: {module}"):
                            self.assertIn(label.split('"')[1], declared)

    def test_the_readme_gives_the_commands(self):
        for command in (_DEMO_COMMAND, _TEST_COMMAND):
            with self.subTest(command):
                self.assertIn(command, _read("README.md"))

    def test_the_checks_run_the_commands_of_the_readme(self):
        lines = _read(".ci/run").splitlines()
        for command in re.findall(r"\.venv/bin/([^&]+)", _TEST_COMMAND):
            with self.subTest(command):
                self.assertIn(command.strip(), lines)

    def test_a_commit_is_checked_as_all_is(self):
        lines = _read(".ci/run").splitlines()
        entries = re.findall(
            r"^ +entry: (.+)$", _read(".pre-commit-config.yaml"), re.M
        )
        self.assertContainsSubset(
            ("ruff check", "ruff format --check", "mypy"), entries
        )
        self.assertContainsSubset(entries, lines)

    def test_the_changelog_begins_with_this_version(self):
        found = re.search(r"^## (\S+)", _read("CHANGELOG.md"), re.M)
        self.assertEqual(f'__version__ = "{found[1]}"', self._version_line())

    @staticmethod
    def _version_line() -> str:
        return _read("tfcurv/version.py").splitlines()[-1]

    def test_contributing_names_files_that_there_are(self):
        text = _read("CONTRIBUTING.md")
        self.assertIn(_TEST_COMMAND, text)
        names = re.findall(
            r"\b((?:tfcurv|tests|benchmarks|examples|docs)/[\w*/]*(?:\.\w+)?)",
            text,
        )
        self.assertNotEmpty(names)
        for name in names:
            with self.subTest(name):
                self.assertNotEmpty(source_tree.files(name.rstrip("/")))


if __name__ == "__main__":
    absltest.main()
