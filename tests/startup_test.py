"""What is imported when: of a program as little as can be, and in silence."""

import os
import pathlib
import subprocess
import sys
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import keras

import source_tree
import tfcurv
from tfcurv import certificates
from tfcurv import data
from tfcurv import networks
from tfcurv import runs
from tfcurv import solvers
from tfcurv import startup
from tfcurv.cli import choices

# What takes long to import.
_HEAVY = (
    "h5py",
    "keras",
    "matplotlib",
    "numpy",
    "scipy",
    "sklearn",
    "tensorflow",
    "tensorflow_datasets",
)

_COMMAND = """
import sys
from tfcurv import cli
status = cli.main(sys.argv[1:])
"""
_LIST = f"""
print([name for name in {_HEAVY} if name in sys.modules], file=sys.stderr)
"""

_LOADED = """
import sys
import tfcurv
assert "keras" not in sys.modules
import keras
model = keras.models.load_model(sys.argv[1])
print(*(type(each).__module__ for each in (model, *model.layers)))
assert type(model) is tfcurv.Sequential
assert keras.__spec__.loader.get_filename() == keras.__file__
"""


def _python(program, *arguments):
    """Runs a program in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(source_tree.ROOT)}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        env=environment,
    )


class ImportTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("import", "import sys\nimport tfcurv", ()),
        ("usage", _COMMAND, ("--help",)),
        ("version", _COMMAND, ("--version",)),
        ("help_of_certify", _COMMAND, ("certify", "--help")),
        ("help_of_falsify", _COMMAND, ("falsify", "--help")),
        ("help_of_demo", _COMMAND, ("demo", "--help")),
        ("wrong_flag", _COMMAND, ("certify", "m", "--method=magic"), 2),
    )
    def test_neither_needs_nor_says_much(self, program, arguments, status=0):
        program += "\nstatus = globals().get('status', 0)" + _LIST
        found = _python(program + "sys.exit(status)", *arguments)
        self.assertEqual(found.returncode, status, found.stderr)
        *said, imported = found.stderr.splitlines()
        self.assertEqual(imported, "[]")
        self.assertLen(said, 1 if status else 0)

    def test_lets_keras_that_is_imported_later_load_saved_models(self):
        model = tfcurv.Sequential(
            [
                keras.Input((3,)),
                tfcurv.layers.Dense(2, activation=tfcurv.layers.absolute),
            ]
        )
        model.add_loss(tfcurv.CurvatureRegularizer(gamma=0.1))
        path = pathlib.Path(self.create_tempdir().full_path) / "m.keras"
        model.save(path)
        found = _python(_LOADED, str(path))
        self.assertEqual(found.returncode, 0, found.stderr)
        self.assertEqual(
            found.stdout.split(),
            ["tfcurv.nn.training.model", "tfcurv.nn.layers.tracked"],
        )


class NamesTest(absltest.TestCase):
    def test_are_those_that_type_checkers_read(self):
        names = source_tree.public_names("tfcurv")
        self.assertCountEqual(tfcurv.__all__, names)
        self.assertContainsSubset(names, dir(tfcurv))

    def test_stand_for_what_their_homes_hold(self):
        names = {}
        exec("from tfcurv import *", names)
        self.assertIs(names["certify"], runs.certify)
        self.assertIs(names["Sequential"], tfcurv.nn.Sequential)
        self.assertIs(names["layers"], tfcurv.nn.layers)
        self.assertIs(tfcurv.LinearMapSpec, tfcurv.nn.LinearMapSpec)

    def test_are_refused_where_there_are_none(self):
        with self.assertRaisesRegex(AttributeError, "tfcurv.*certfy"):
            getattr(tfcurv, "certfy")


class ChoicesTest(absltest.TestCase):
    def test_are_those_of_the_library(self):
        falsifier = certificates.FalsifierOptions()
        self.assertEqual(
            {k: v for k, v in vars(choices).items() if k.isupper()},
            {
                "ACTIVATIONS": tuple(sorted(networks.ACTIVATIONS)),
                "BATCH_SIZE": data.DEFAULT_BATCH_SIZE,
                "CURVATURES": tuple(c.value for c in certificates.Curvature),
                "DATASETS": tuple(sorted(data.DATASETS)),
                "FALSIFIER_RESTARTS": falsifier.restarts,
                "FALSIFIER_STEPS": falsifier.gradient_steps,
                "METHODS": (certificates.AUTO, *certificates.METHODS),
                "RIGORS": tuple(each.value for each in solvers.Rigor),
            },
        )


class WithoutNewsTest(absltest.TestCase):
    def _written(self, fn):
        """Returns what a function writes to the file descriptor of stderr."""
        kept = os.dup(2)
        try:
            with tempfile.TemporaryFile() as file:
                os.dup2(file.fileno(), 2)
                fn()
                file.seek(0)
                return file.read()
        finally:
            os.dup2(kept, 2)
            os.close(kept)

    def test_keeps_all_but_the_news_also_when_the_block_fails(self):
        def fail():
            with self.assertRaisesRegex(ImportError, "no kernel"):
                with startup.without_news():
                    os.write(2, b"I0000 00:00:17 port.cc] oneDNN is on\n")
                    os.write(2, b"E0000 00:00:17 cuda.cc] broken driver\n")
                    raise ImportError("no kernel")

        found = self._written(fail)
        self.assertEqual(found, b"E0000 00:00:17 cuda.cc] broken driver\n")

    def test_leaves_one_line_of_a_command_that_needs_tensorflow(self):
        program = f"{_COMMAND}\nassert 'tensorflow' in sys.modules"
        found = _python(program, "certify", "no.keras", "--dataset=digits")
        self.assertEqual((found.returncode, found.stdout), (0, ""))
        self.assertLen(found.stderr.splitlines(), 1, found.stderr)
        self.assertIn("no.keras", found.stderr)


if __name__ == "__main__":
    absltest.main()
