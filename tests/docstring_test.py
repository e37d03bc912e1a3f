"""Every public name says what it is, and of which types."""

from collections.abc import Iterator
import importlib
import inspect
import pkgutil
import re
import types
from typing import Any

from absl.testing import absltest

import source_tree
import tfcurv

_MODULES = (
    "tfcurv",
    "tfcurv.errors",
    "tfcurv.numerics",
    *(
        info.name
        for info in pkgutil.walk_packages(tfcurv.__path__, "tfcurv.")
        if info.ispkg
    ),
)


def _exports() -> Iterator[tuple[str, Any]]:
    """Yields each public name of each package, with what it stands for."""
    for module in _MODULES:
        for name in sorted(source_tree.public_names(module)):
            value = getattr(importlib.import_module(module), name)
            yield f"{module}.{name}", value


def _is_described(value: Any) -> bool:
    """Whether a docstring stands there that no decorator has written."""
    docstring = value.__doc__ or ""
    # What `dataclass`, `NamedTuple` and `Enum` write themselves.
    generated = (f"{value.__name__}(", "An enumeration.")
    return docstring != "" and not docstring.startswith(generated)


def _methods(cls: type) -> Iterator[tuple[str, types.FunctionType]]:
    """Yields the public methods and properties that a class itself defines."""
    for name, value in vars(cls).items():
        if isinstance(value, property):
            value = value.fget
        value = inspect.unwrap(getattr(value, "__func__", value))
        is_public = name == "__init__" or not name.startswith("_")
        if is_public and inspect.isfunction(value):
            yield name, value


def _unannotated(function: types.FunctionType) -> list[str]:
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    if parameters and parameters[0].name in ("self", "cls"):
        parameters = parameters[1:]
    missing = [
        each.name for each in parameters if each.annotation is each.empty
    ]
    if signature.return_annotation is signature.empty:
        if function.__name__ != "__init__":
            missing.append("return")
    return missing


class DocstringTest(absltest.TestCase):
    def test_every_package_says_what_it_is(self):
        for module in _MODULES:
            with self.subTest(module):
                self.assertTrue(importlib.import_module(module).__doc__)

    def test_every_public_name_is_described(self):
        for name, value in _exports():
            if inspect.isclass(value) or inspect.isfunction(value):
                with self.subTest(name):
                    self.assertTrue(_is_described(value))

    def test_every_public_method_is_described(self):
        for name, value in _exports():
            for method, _ in _methods(value) if inspect.isclass(value) else ():
                if method != "__init__":
                    with self.subTest(f"{name}.{method}"):
                        self.assertTrue(inspect.getdoc(getattr(value, method)))

    def test_every_public_function_is_annotated(self):
        for name, value in _exports():
            if inspect.isfunction(value):
                with self.subTest(name):
                    self.assertEmpty(_unannotated(inspect.unwrap(value)))

    def test_every_public_method_is_annotated(self):
        for name, value in _exports():
            if inspect.isclass(value):
                for method, function in _methods(value):
                    with self.subTest(f"{name}.{method}"):
                        self.assertEmpty(_unannotated(function))

    def test_every_numbered_source_is_given_in_full(self):
        for package in source_tree.files("tfcurv/", "tfcurv/**/"):
            text = "\n".join(
                path.read_text(encoding="utf-8")
                for path in sorted(package.glob("*.py"))
            )
            if re.search(r"\[SF20\b", text):
                with self.subTest(package.name):
                    self.assertIn("Singla", text)


if __name__ == "__main__":
    absltest.main()
