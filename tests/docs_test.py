"""The pages hold: their links, their tables, their commands, their programs."""

import contextlib
import importlib
import io
import os
import pathlib
import re
from typing import Any

from absl.testing import absltest
from absl.testing import parameterized
import keras
import sklearn.datasets  # noqa: F401  For the programs of the pages.

import source_tree
import tfcurv  # noqa: F401  Likewise.
from tfcurv import certificates
from tfcurv import errors
from tfcurv import training
from tfcurv.cli import certify
from tfcurv.cli import demo
from tfcurv.cli import falsify
from tfcurv.cli import train
from tfcurv.cli import verify
from tfcurv.networks import ACTIVATIONS
from tfcurv.nn.reading import reader
from tfcurv.nn.reading.activation_layers import read_activation
from tfcurv.nn.reading.subject import read_subject
from tfcurv.nn.training import worst_case
from untraced import untraced

_FLAGS = {
    "certify": certify.FLAGS,
    "demo": demo.FLAGS,
    "falsify": falsify.FLAGS,
    "train": train.FLAGS,
    "verify": verify.FLAGS,
}
# What a command takes beside flags, where it is not one file.
_ARGUMENTS = {"demo": 0, "train": 0, "verify": 2}

_DOCS = source_tree.ROOT / "docs"
_README = source_tree.ROOT / "README.md"
_PAGES = source_tree.files("docs/**/*.md")

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_OBJECT = re.compile(r"^::: (\S+)$", re.M)


def _name(page: pathlib.Path) -> str:
    return page.relative_to(_DOCS).as_posix()


def _read(page: pathlib.Path | str) -> str:
    return (_DOCS / page).read_text(encoding="utf-8")


def _blocks(page: pathlib.Path | str, language: str) -> list[tuple[int, str]]:
    """Returns the line and the text of each fenced block of a language."""
    text = _read(page)
    return [
        (text.count("\n", 0, match.start(2)), match[2])
        for match in _FENCE.finditer(text)
        if match[1] == language
    ]


def _nav() -> list[str]:
    settings = _read("site/mkdocs.yml")
    return re.findall(r"^ +- .+: (\S+\.md)$", settings.split("\nnav:")[1], re.M)


def _prose(page: pathlib.Path | str) -> str:
    """Returns a page without its programs."""
    text = _FENCE.sub("", _read(page))
    return re.sub(r"^    .*$|`[^`\n]*`", "", text, flags=re.M)


def _anchors(page: pathlib.Path) -> set[str]:
    """Returns what links may end in: headings, and objects of the reference."""
    text = _FENCE.sub("", _read(page))
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    plain = (re.sub(r"[^\w\s-]", "", head).strip().lower() for head in headings)
    slugs = {re.sub(r"[-\s]+", "-", head) for head in plain}
    return slugs | set(_OBJECT.findall(text))


def _table(page: str, first: str) -> list[list[str]]:
    """Returns the cells of the table whose first column is headed so."""
    found = re.findall(
        rf"^\| {first} \|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", _read(page), re.M
    )
    rows = "".join(found).splitlines()
    return [[cell.strip() for cell in row[1:-1].split("|")] for row in rows]


def _codes(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def _firsts(page: str, first: str) -> list[str]:
    return [_codes(row[0])[0].strip('"') for row in _table(page, first)]


class SiteTest(absltest.TestCase):
    def test_every_page_is_in_the_navigation_once_and_exists(self):
        self.assertCountEqual(_nav(), map(_name, _PAGES))

    def test_every_relative_link_leads_somewhere(self):
        for page in (*_PAGES, *source_tree.files("*.md")):
            for link in re.findall(r"\]\(([^)\s]+)\)", _prose(page)):
                if re.match(r"https?://", link):
                    continue
                file, _, anchor = link.partition("#")
                target = (page.parent / file) if file else page
                with self.subTest(f"{page.name}: {link}"):
                    self.assertTrue(target.exists())
                    if anchor:
                        self.assertIn(anchor, _anchors(target))

    def test_pages_link_to_nothing_that_the_site_lacks(self):
        for page in _PAGES:
            for link in re.findall(r"\]\(([^)\s#]+)", _prose(page)):
                if not re.match(r"https?://", link):
                    with self.subTest(f"{page.name}: {link}"):
                        found = (page.parent / link).resolve()
                        self.assertTrue(found.is_relative_to(_DOCS.resolve()))

    def test_the_reference_has_objects_that_there_are(self):
        for page in _PAGES:
            for name in _OBJECT.findall(_read(page)):
                with self.subTest(name):
                    _look_up(name)

    def test_the_reference_has_every_everyday_name(self):
        found = {
            name for page in _PAGES for name in _OBJECT.findall(_read(page))
        }
        for name in source_tree.public_names("tfcurv") - {"__version__"}:
            with self.subTest(name):
                self.assertIn(f"tfcurv.{name}", found)

    def test_figures_of_the_readme_are_those_of_their_page(self):
        page = _read("measured.md")
        readme = _README.read_text(encoding="utf-8").split("## Measured")[1]
        rows = re.findall(r"^\|.*%.*$", readme, re.M)
        self.assertGreater(len(rows), 5)
        for row in rows:
            with self.subTest(row):
                self.assertIn(row, page)


def _look_up(name: str) -> Any:
    """Returns a module, or what one holds, by its dotted name."""
    try:
        return importlib.import_module(name)
    except ImportError:
        module, _, attribute = name.rpartition(".")
        return getattr(importlib.import_module(module), attribute)


class TablesTest(absltest.TestCase):
    """Tables of the pages say what the code has."""

    def test_methods(self):
        self.assertEqual(
            _firsts("methods.md", "method"), list(certificates.METHODS)
        )

    def test_threats_of_methods(self):
        hidden = keras.layers.Dense(2, activation="relu")
        layers = keras.Input((2,)), hidden, keras.layers.Dense(2)
        model = keras.Sequential(layers)
        network = read_subject(model, as_graph=True).network
        options = certificates.CertifierOptions()
        for name, _, norms, domain, *_ in _table("methods.md", "method"):
            method = certificates.METHODS[_codes(name)[0]]
            with self.subTest(name):
                in_linf = certificates.Threat(norm="linf")
                in_domain = certificates.Threat(domain=(0.0, 1.0))
                self.assertEqual(
                    norms == "l2, linf",
                    method.refusal(network, in_linf, options) is None,
                )
                self.assertEqual(
                    domain == "yes",
                    method.refusal(network, in_domain, options) is None,
                )

    def test_layers(self):
        found = [
            name
            for _, names in _table("methods.md", "kind")
            for name in _codes(names)
        ]
        known = {kind.__name__ for kind in reader.known_types()}
        self.assertCountEqual(found, known)

    def test_activations(self):
        smooth, kinked = set(), set()
        for name, fn in vars(keras.activations).items():
            if not callable(fn) or name != getattr(fn, "__name__", ""):
                continue
            with contextlib.suppress(errors.UnsupportedModelError):
                found = read_activation(keras.layers.Activation(fn))
                is_kinked = found is not None and found.is_kinked
                (kinked if is_kinked else smooth).add(name)
        rows = _firsts("methods.md", "activation")
        self.assertEqual(rows[: len(smooth)], list(ACTIVATIONS))
        self.assertEqual(smooth, set(ACTIVATIONS))
        self.assertCountEqual(rows[len(smooth) :], kinked | {"absolute"})

    def test_objectives(self):
        rows = [
            (_codes(name)[0], text, _codes(method)[0])
            for name, text, method in _table("train.md", "objective")
        ]
        self.assertEqual(
            rows,
            [(k, v.text, v.method) for k, v in training.OBJECTIVES.items()],
        )

    def test_worst_cases(self):
        self.assertEqual(_firsts("train.md", "method"), list(worst_case.BOUNDS))

    def test_architectures(self):
        (listed,) = re.findall(r"there are ([^.]+)\.", _read("train.md"))
        self.assertCountEqual(_codes(listed), training.ARCHITECTURES)

    def test_reasons(self):
        self.assertEqual(
            _firsts("reading.md", "reason"),
            [reason.name.lower() for reason in certificates.Reason],
        )


class CommandsTest(absltest.TestCase):
    def test_commands_have_flags_that_there_are(self):
        shell = [text for page in _PAGES for _, text in _blocks(page, "sh")]
        texts = "\n".join([_README.read_text(encoding="utf-8"), *shell])
        commands = re.findall(r"^(?:    )?tfcurv (\w+)( .*-.*)$", texts, re.M)
        self.assertGreater(len(commands), 10)
        for name, arguments in commands:
            with self.subTest(name + arguments):
                flags = _FLAGS[name]
                flags.unparse_flags()
                rest = flags([name, *arguments.split()])[1:]
                self.assertLen(rest, _ARGUMENTS.get(name, 1))


class ProgramsTest(parameterized.TestCase):
    """Every program of a page runs as it stands, in the order of the page."""

    def test_that_of_the_readme_is_that_of_the_start(self):
        readme = _FENCE.findall(_README.read_text(encoding="utf-8"))
        programs = [text for language, text in readme if language == "python"]
        self.assertEqual(programs, [_blocks("start.md", "python")[0][1]])

    @parameterized.parameters(
        *(_name(page) for page in _PAGES if _blocks(page, "python"))
    )
    def test_runs(self, page):
        keras.utils.set_random_seed(0)
        # Where programs save what they save.
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.create_tempdir().full_path)
        names: dict[str, Any] = {"__name__": "a_page"}
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), untraced():
            for line, text in _blocks(page, "python"):
                program = compile("\n" * line + text, _DOCS / page, "exec")
                exec(program, names)
        self.assertNotEmpty(printed.getvalue())


if __name__ == "__main__":
    absltest.main()
