"""The example scripts start and do what they say."""

import os
import pathlib
import subprocess
import sys

from absl.testing import absltest
from absl.testing import parameterized

_ROOT = pathlib.Path(__file__).parent.parent

_FLAGS = {
    "train_crt.py": "--gamma",
    "train_bcp.py": "--architecture",
    "train_colt.py": "--stages",
    "certify_checkpoint.py": "--report",
    "reproduce.py": "--[no]redraw",
}

# Each script as if started by itself, in a copy of a process that has imported
# what takes seconds.
_PROGRAM = """
import os, runpy, sys
from tfcurv import cli, data, nn, report, runs, training
folder, *scripts = sys.argv[1:]
for script in scripts:
    child = os.fork()
    if not child:
        sys.path[0], sys.argv = folder, [script, "--help"]
        print("\\f", script, sep="")
        try:
            runpy.run_path(os.path.join(folder, script), run_name="__main__")
        except SystemExit as end:
            sys.stdout.flush()
            os._exit(end.code or 0)  # To leave in order takes a second.
    if os.wait()[1]:
        sys.exit(script)
os._exit(0)
"""


class ExamplesTest(parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        found = subprocess.run(
            [sys.executable, "-c", _PROGRAM, _ROOT / "examples", *_FLAGS],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
        )
        pages = found.stdout.split("\f")[1:]
        cls.pages = dict(page.split("\n", 1) for page in pages)

    @parameterized.parameters(*_FLAGS)
    def test_helps(self, script):
        self.assertIn(_FLAGS[script], self.pages[script])


if __name__ == "__main__":
    absltest.main()
