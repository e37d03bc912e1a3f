"""The planted faults fit the sources, and the runner is not fooled."""

import ast
import contextlib
import importlib
import io
import json
import pathlib
import re
from unittest import mock

from absl import app
from absl.testing import absltest
from absl.testing import flagsaver
from absl.testing import parameterized

import mutant_list
import mutants
import source_tree

_FEWEST = 20

# A project of one function, whose tests import nothing large.
_TOY = {
    "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["."]\n',
    "tfcurv/__init__.py": "",
    "tfcurv/errors.py": "class UnsupportedError(Exception):\n    pass\n",
    "tfcurv/toy.py": "import time\n\n\ndef double(x):\n    return x + x\n",
    "tests/toy_test.py": (
        "from tfcurv import errors, toy\n\n\n"
        "def test_doubles():\n    assert toy.double(2) == 4\n\n\n"
        "def test_only_runs():\n    toy.double(3)\n"
    ),
}
_DOUBLES, _RUNS = (
    f"tests/toy_test.py::{name}" for name in ("test_doubles", "test_only_runs")
)


def _toy_mutant(new="return x * x", old="return x + x", test=_DOUBLES):
    return mutant_list.Mutant(
        name="toy",
        fault="A fault.",
        file="tfcurv/toy.py",
        old=old,
        new=new,
        tests=(test,),
    )


class TableTest(absltest.TestCase):
    def test_there_are_enough_of_them_and_each_has_its_name(self):
        names = [mutant.name for mutant in mutant_list.MUTANTS]
        self.assertGreaterEqual(len(names), _FEWEST)
        self.assertLen(set(names), len(names))
        for name in names:
            with self.subTest(name):
                self.assertRegex(name, r"^[a-z][a-z0-9_]+$")

    def test_each_says_in_a_sentence_what_it_stands_for(self):
        for mutant in mutant_list.MUTANTS:
            with self.subTest(mutant.name):
                self.assertRegex(mutant.fault, r"^[A-Z].{20,}\.$")

    def test_each_changes_one_place_and_leaves_it_python(self):
        for mutant in mutant_list.MUTANTS:
            with self.subTest(mutant.name):
                source = (source_tree.ROOT / mutant.file).read_text()
                planted = mutant.planted_in(source)
                changed = ast.dump(ast.parse(planted))
                self.assertNotEqual(changed, ast.dump(ast.parse(source)))

    def test_each_is_in_the_list_of_its_room(self):
        for path in source_tree.files("tests/mutants_*.py"):
            room = path.stem.removeprefix("mutants_")
            found = getattr(importlib.import_module(path.stem), "MUTANTS", ())
            folder = f"tfcurv/{room}/"
            for mutant in found:
                with self.subTest(f"{path.name}: {mutant.name}"):
                    self.assertIn(mutant, mutant_list.MUTANTS)
                    # The others hold what no room of its own has.
                    is_room = (source_tree.ROOT / folder).is_dir()
                    self.assertEqual(is_room, mutant.file.startswith(folder))

    def test_each_names_tests_that_there_are(self):
        for mutant in mutant_list.MUTANTS:
            self.assertNotEmpty(mutant.tests)
            for test in mutant.tests:
                with self.subTest(f"{mutant.name}: {test}"):
                    file, *rest = test.split("::")
                    tree = source_tree.parse(source_tree.ROOT / file)
                    classes = {
                        node.name
                        for node in tree.body
                        if isinstance(node, ast.ClassDef)
                    }
                    self.assertContainsSubset(rest, classes)

    def test_text_that_is_not_there_or_twice_is_refused(self):
        for source in ("", "return x + x; return x + x"):
            with self.assertRaisesRegex(ValueError, "occurs [02] times"):
                _toy_mutant().planted_in(source)


class RunnerTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        folder = self.create_tempdir()
        for name, content in _TOY.items():
            folder.create_file(name, content)
        self.root = pathlib.Path(folder.full_path)

    def _run(self, mutant, timeout=None):
        return mutants.run_mutant(mutant, self.root, timeout)

    @parameterized.named_parameters(
        ("an_assertion", "return 3 * x"),
        (
            "an_error_of_the_library",
            "from tfcurv import errors; raise errors.UnsupportedError",
        ),
    )
    def test_a_fault_is_caught_by(self, new):
        found = self._run(_toy_mutant(new))
        self.assertEqual(found.verdict, mutants.Verdict.CAUGHT)
        self.assertEqual(found.detail, _DOUBLES)

    def test_a_fault_that_no_test_feels_survives(self):
        found = self._run(_toy_mutant("return 3 * x", test=_RUNS))
        self.assertEqual(found.verdict, mutants.Verdict.SURVIVED)

    @parameterized.named_parameters(
        ("text_that_is_not_there", {"old": "return y"}, "occurs 0 times"),
        ("a_test_that_is_not_there", {"test": _RUNS + "_no"}, "status 4"),
        ("a_source_that_is_not_python", {"new": "return ("}, "status [24]"),
        ("a_name_that_is_not_there", {"new": "return y"}, "NameError"),
        ("another_error", {"new": "raise KeyError(x)"}, "KeyError"),
    )
    def test_broken_and_not_caught_is(self, changes, reason):
        found = self._run(_toy_mutant(**changes))
        self.assertEqual(found.verdict, mutants.Verdict.BROKEN)
        self.assertRegex(found.detail, reason)

    def test_broken_and_not_caught_is_what_does_not_end(self):
        found = self._run(_toy_mutant("time.sleep(600)"), timeout=0.5)
        self.assertEqual(found.verdict, mutants.Verdict.BROKEN)
        self.assertIn("0.5 s", found.detail)

    def test_broken_and_not_caught_is_a_test_of_other_sources(self):
        # As if an installed tfcurv came before the copy.
        elsewhere = self.create_tempdir()
        for name, content in _TOY.items():
            elsewhere.create_file(name, content)
        path = self.root / "tests" / "conftest.py"
        path.write_text(
            f"import sys\nsys.path.insert(0, {elsewhere.full_path!r})\n"
            "import tfcurv.toy, tfcurv.errors\nsys.path.pop(0)\n"
        )
        found = self._run(_toy_mutant("return 3 * x"))
        self.assertEqual(found.verdict, mutants.Verdict.BROKEN)
        self.assertIn("status 3", found.detail)

    def test_tests_that_fail_without_a_fault_catch_nothing(self):
        path = self.root / "tfcurv" / "toy.py"
        mutants.check_baseline([_toy_mutant()], self.root)
        path.write_text(path.read_text().replace("x + x", "x"))
        with self.assertRaisesRegex(mutants.BaselineError, "status 1"):
            mutants.check_baseline([_toy_mutant()], self.root)

    def test_the_sources_stay_as_they_are(self):
        self._run(_toy_mutant("return 3 * x"))
        for name, content in _TOY.items():
            self.assertEqual((self.root / name).read_text(), content)


class ProgramTest(parameterized.TestCase):
    def _main(self, verdicts=None, **values):
        """Runs the program with these verdicts in place of tests."""

        def run(mutant, root, timeout):
            del root, timeout
            return mutants.Outcome(
                mutant=mutant,
                verdict=(verdicts or {}).get(
                    mutant.name, mutants.Verdict.CAUGHT
                ),
                seconds=1.25,
                detail="tests/some_test.py",
            )

        with (
            mock.patch.object(mutants, "run_mutant", run),
            mock.patch.object(mutants, "check_baseline", return_value=1.0),
            flagsaver.flagsaver(**values),
            contextlib.redirect_stdout(io.StringIO()) as output,
        ):
            return mutants.main(["mutants.py"]), output.getvalue()

    @parameterized.parameters(*mutants.Verdict)
    def test_only_succeeds_if_all_are_caught(self, verdict):
        name = mutant_list.MUTANTS[-1].name
        path = pathlib.Path(self.create_tempdir().full_path) / "found.json"
        status, output = self._main({name: verdict}, json=str(path))
        caught = verdict is mutants.Verdict.CAUGHT
        self.assertEqual(status, 0 if caught else 1)
        found = json.loads(path.read_text())
        count = len(mutant_list.MUTANTS)
        self.assertEqual(found["planted"], count)
        self.assertEqual(found["caught"], count if caught else count - 1)
        self.assertEqual(found["mutants"][-1]["name"], name)
        self.assertEqual(found["mutants"][-1]["verdict"], verdict.value.lower())
        self.assertIn(f"caught {found['caught']} of {count}", output)
        self.assertEqual([p.name for p in path.parent.iterdir()], [path.name])

    def test_lists_every_fault_without_planting_it(self):
        with mock.patch.object(mutants, "run_mutants") as run:
            status, output = self._main(list=True)
        run.assert_not_called()
        self.assertEqual(status, 0)
        for mutant in mutant_list.MUTANTS:
            self.assertRegex(output, rf"(?m)^{re.escape(mutant.name)} ")

    def test_plants_only_what_is_asked_for(self):
        names = [mutant_list.MUTANTS[i].name for i in (3, 1)]
        _, output = self._main(only=names)
        self.assertIn("caught 2 of 2", output)
        self.assertIn(names[0], output)

    def test_an_unknown_name_is_an_error_of_usage(self):
        with self.assertRaisesRegex(app.UsageError, "--only=no_such"):
            self._main(only=["no_such"])

    def test_a_report_that_could_not_be_written_is_refused_first(self):
        path = pathlib.Path(self.create_tempdir().full_path) / "no" / "x.json"
        with self.assertRaisesRegex(app.UsageError, "--json="):
            self._main(json=str(path))

    def test_nothing_is_planted_where_the_tests_fail_already(self):
        with (
            mock.patch.object(
                mutants,
                "check_baseline",
                side_effect=mutants.BaselineError("x"),
            ) as check,
            mock.patch.object(mutants, "run_mutants") as run,
            contextlib.redirect_stdout(io.StringIO()),
        ):
            self.assertEqual(mutants.main(["mutants.py"]), 1)
        check.assert_called_once()
        run.assert_not_called()


if __name__ == "__main__":
    absltest.main()
