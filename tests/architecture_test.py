"""The architecture: what may import what, and what no source may hold."""

import ast
import collections
from collections.abc import Iterator
import graphlib
import pathlib
import re

from absl.testing import absltest

import source_tree

# Ground floor first. A module may import its own package and the floors below
# it: none above, and no neighbour.
FLOORS = (
    (
        "tfcurv.errors",
        "tfcurv.former",
        "tfcurv.imports",
        "tfcurv.numerics",
        "tfcurv.startup",
        "tfcurv.tracing",
        "tfcurv.version",
    ),
    ("tfcurv.solvers", "tfcurv.report", "tfcurv.data"),
    ("tfcurv.networks.maps",),
    ("tfcurv.networks.functions",),
    ("tfcurv.networks",),
    ("tfcurv.bounds.propagation",),
    ("tfcurv.bounds.curvature",),
    ("tfcurv.bounds",),
    ("tfcurv.certificates.margins",),
    ("tfcurv.certificates.attacks",),
    ("tfcurv.certificates.deciding",),
    ("tfcurv.certificates.lipschitz",),
    (
        "tfcurv.certificates.curvature",
        "tfcurv.certificates.interval",
        "tfcurv.certificates.quadratic",
    ),
    ("tfcurv.certificates.linear",),
    ("tfcurv.certificates",),
    ("tfcurv.results",),
    ("tfcurv.nn.layers",),
    ("tfcurv.nn.reading",),
    ("tfcurv.nn.training",),
    ("tfcurv.nn.onnx",),
    ("tfcurv.nn.files",),
    ("tfcurv.nn",),
    ("tfcurv.runs",),
    ("tfcurv.training",),
    ("tfcurv.cli",),
    ("examples", "benchmarks"),
)
_HEIGHTS = {room: i for i, floor in enumerate(FLOORS) for room in floor}
_KERAS_FLOOR = _HEIGHTS["tfcurv.nn.layers"]
_TOP_FLOOR = len(FLOORS) - 1
# What a program may import.
_PACKAGES = ("tfcurv", *(room for floor in FLOORS[:-1] for room in floor))

_KERAS = re.compile(r"(keras|tf_keras|(tf|tensorflow)(\.\w+)*\.keras)\b")

# What only some extras install, or only some callers pay for.
_OPTIONAL = (
    "matplotlib",
    "onnx",
    "onnxruntime",
    "sklearn",
    "tensorflow_datasets",
)

_MAX_FILE_LINES = 400
_MAX_SHARE_OF_A_ROOM = 0.2
_MAX_TOP_LEVEL_NAMES = 21
_MAX_FUNCTION_LINES = 60

# In two halves, so that this file does not hold them.
_FORBIDDEN = tuple(
    first + second
    for first, second in (
        ("pypi", ".org"),
        ("pythonhosted", ".org"),
        ("/wo", "rk/"),
        ("/ro", "ot/"),
        ("/tmp/", "venv"),
    )
)

_LIBRARY = source_tree.files("tfcurv/**/*.py")
_EXAMPLES = source_tree.files("examples/**/*.py")
_BENCHMARKS = source_tree.files("benchmarks/**/*.py")
_SOURCES = _LIBRARY + _EXAMPLES + _BENCHMARKS


def _room(module: str) -> str | None:
    """The entry of FLOORS that a module belongs to, if any."""
    while module not in _HEIGHTS and "." in module:
        module = module.rpartition(".")[0]
    return module if module in _HEIGHTS else None


def _may_import(own: str, target: str) -> bool:
    if target == "tfcurv":  # The roof sees everything, the top floor sees it.
        return _HEIGHTS[own] == _TOP_FLOOR
    room = _room(target)
    return room == own or (room is not None and _HEIGHTS[room] < _HEIGHTS[own])


def _is_ours(module: str) -> bool:
    return module.split(".")[0] in ("tfcurv", "examples", "benchmarks")


def _where(path: pathlib.Path, node: ast.AST) -> str:
    return f"{path.relative_to(source_tree.ROOT)}:{node.lineno}"


def _is_use_of_keras(node: ast.AST) -> bool:
    names = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        names = [f"{node.module}.{alias.name}" for alias in node.names]
    elif isinstance(node, ast.Attribute):  # tf.keras
        names = [ast.unparse(node)]
    return any(map(_KERAS.match, names))


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    has_docstring = ast.get_docstring(function) is not None
    body = function.body[1:] if has_docstring else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def _private_uses(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Yields each use of a tfcurv name that no table of contents lists."""
    packages = {}  # The local name of a package -> the package.
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in _PACKAGES:
                    packages[alias.asname or alias.name] = alias.name
                elif _is_of_another(alias.name):
                    yield node, alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                if name in _PACKAGES:
                    packages[alias.asname or alias.name] = name
                elif _is_of_another(name):
                    if not _is_public(node.module, alias.name):
                        yield node, name
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            package = packages.get(ast.unparse(node.value))
            if package and not _is_public(package, node.attr):
                yield node, f"{package}.{node.attr}"


def _is_of_another(module: str) -> bool:
    """Whether it is ours, and not of the command line itself."""
    return _is_ours(module) and _room(module) != "tfcurv.cli"


def _is_public(package: str, name: str) -> bool:
    return f"{package}.{name}" in _PACKAGES or (
        package in _PACKAGES and name in source_tree.public_names(package)
    )


def _texts() -> Iterator[tuple[pathlib.Path, str]]:
    """Yields every file of the project that is text."""
    for path in source_tree.files(
        "*",
        ".ci/**/*",
        *(
            f"{folder}/**/*"
            for folder in ("tfcurv", "examples", "benchmarks", "tests", "docs")
        ),
    ):
        # In a second working tree .git is a file that names the first.
        if path.is_file() and path.suffix != ".pyc" and path.name != ".git":
            try:
                yield path, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:  # An image or an archive.
                continue


class FloorsTest(absltest.TestCase):
    def test_every_floor_is_built(self):
        for room in _HEIGHTS:
            with self.subTest(room):
                self.assertTrue(source_tree.is_module(room))

    def test_every_module_lies_on_a_floor(self):
        for path in _SOURCES:
            module = source_tree.module_name(path)
            with self.subTest(module):
                self.assertTrue(module == "tfcurv" or _room(module))

    def test_imports_only_go_down(self):
        for path in _SOURCES:
            module = source_tree.module_name(path)
            own = _room(module)
            if own is None:  # tfcurv/__init__.py sees everything.
                continue
            for target in source_tree.imports(source_tree.parse(path)):
                if _is_ours(target):
                    with self.subTest(f"{module} -> {target}"):
                        self.assertTrue(_may_import(own, target))

    def test_no_modules_import_each_other_in_a_circle(self):
        graph = collections.defaultdict(set)
        for path in _LIBRARY:
            imports = source_tree.imports(source_tree.parse(path))
            graph[source_tree.module_name(path)] |= set(
                filter(_is_ours, imports)
            )
        try:
            graphlib.TopologicalSorter(graph).prepare()
        except graphlib.CycleError as error:
            self.fail(" <- ".join(error.args[1]))

    def test_keras_is_used_only_from_its_floor_up(self):
        for path in _LIBRARY:
            room = _room(source_tree.module_name(path))
            if room is not None and _HEIGHTS[room] < _KERAS_FLOOR:
                for node in ast.walk(source_tree.parse(path)):
                    if _is_use_of_keras(node):
                        with self.subTest(_where(path, node)):
                            self.fail("Keras is used below tfcurv.nn.")

    def test_optional_packages_are_imported_only_where_they_are_used(self):
        for path in _LIBRARY:
            tree = source_tree.parse(path)
            for node in source_tree.statements_at_import(tree):
                for module in source_tree.imports_of(node):
                    with self.subTest(_where(path, node)):
                        self.assertNotIn(module.split(".")[0], _OPTIONAL)

    def test_no_certificate_rests_on_an_estimate(self):
        for path in source_tree.files("tfcurv/certificates/**/*.py"):
            with self.subTest(path.name):
                text = path.read_text(encoding="utf-8")
                self.assertEmpty(re.findall(r"\w*_estimate\b", text))

    def test_programs_use_only_public_names(self):
        programs = source_tree.files("tfcurv/cli/**/*.py")
        for path in programs + _EXAMPLES:
            for node, name in _private_uses(source_tree.parse(path)):
                with self.subTest(_where(path, node)):
                    self.fail(f"{name} is not public.")


class SourcesTest(absltest.TestCase):
    def test_the_library_neither_asserts_nor_prints(self):
        for path in _LIBRARY:
            for node in ast.walk(source_tree.parse(path)):
                is_print = isinstance(node, ast.Name) and node.id == "print"
                if is_print or isinstance(node, ast.Assert):
                    with self.subTest(_where(path, node)):
                        self.fail("Neither assert nor print may stand here.")

    def test_files_are_short(self):
        for path in _LIBRARY + _EXAMPLES:
            with self.subTest(source_tree.module_name(path)):
                text = path.read_text(encoding="utf-8")
                self.assertLessEqual(text.count("\n"), _MAX_FILE_LINES)

    def test_no_room_is_a_house(self):
        lines = collections.Counter()
        for path in _LIBRARY:
            text = path.read_text(encoding="utf-8")
            lines[_room(source_tree.module_name(path))] += text.count("\n")
        for room, count in lines.items():
            with self.subTest(room):
                share = count / sum(lines.values())
                self.assertLessEqual(share, _MAX_SHARE_OF_A_ROOM)

    def test_the_door_is_narrow(self):
        names = source_tree.public_names("tfcurv") - {"__version__"}
        self.assertLessEqual(len(names), _MAX_TOP_LEVEL_NAMES)

    def test_functions_are_short(self):
        for path in _LIBRARY + _EXAMPLES:
            for node in ast.walk(source_tree.parse(path)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    with self.subTest(f"{_where(path, node)} {node.name}"):
                        self.assertLessEqual(
                            _body_lines(node), _MAX_FUNCTION_LINES
                        )

    def test_no_text_names_one_machine_or_a_registry(self):
        for path, text in _texts():
            for forbidden in _FORBIDDEN:
                with self.subTest(f"{path.name}: {forbidden}"):
                    self.assertNotIn(forbidden, text)

    def test_the_public_names_are_documented(self):
        pages = source_tree.files("README.md", "docs/**/*.md")
        text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
        for name in sorted(source_tree.public_names("tfcurv")):
            # `__version__` speaks for itself.
            if name.startswith("_"):
                continue
            with self.subTest(name):
                self.assertRegex(text, rf"\b{name}\b")


if __name__ == "__main__":
    absltest.main()
