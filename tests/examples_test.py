"""The example scripts start and do what they say."""

import os
import pathlib
import subprocess
import sys

from absl.testing import absltest
from absl.testing import parameterized

_ROOT = pathlib.Path(__file__).parent.parent


class ExamplesTest(parameterized.TestCase):
    @parameterized.parameters(
        ("train_crt.py", "--gamma"),
        ("train_bcp.py", "--architecture"),
        ("certify_checkpoint.py", "--report"),
        ("reproduce.py", "--[no]redraw"),
    )
    def test_helps(self, script, flag):
        found = subprocess.run(
            [sys.executable, str(_ROOT / "examples" / script), "--help"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
        )
        self.assertIn(flag, found.stdout)


if __name__ == "__main__":
    absltest.main()
