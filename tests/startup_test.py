"""What the command does before TensorFlow is imported."""

import os
import subprocess
import sys
import tempfile

from absl.testing import absltest
from absl.testing import parameterized

import source_tree
from tfcurv import startup


class IsCommandTest(parameterized.TestCase):
    @parameterized.parameters(
        (("python", "/home/a/.venv/bin/tfcurv", "certify"), True),
        (("tfcurv.exe", "certify"), True),
        (("python", "-m", "tfcurv.cli", "certify"), True),
        (("python", "train.py"), False),
        (("python", "train.py", "tfcurv"), False),
        (("python", "-c", "import tfcurv"), False),
        (("python",), False),
    )
    def test_tells_the_command_from_programs_of_users(self, line, expected):
        self.assertEqual(startup.is_command(line), expected)


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

    def test_a_wrong_command_is_answered_by_one_line(self):
        environment = {**os.environ, "PYTHONPATH": str(source_tree.ROOT)}
        environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
        found = subprocess.run(
            [sys.executable, "-m", "tfcurv.cli", "certfy"],
            capture_output=True,
            text=True,
            env=environment,
        )
        self.assertEqual((found.returncode, found.stdout), (2, ""))
        self.assertLen(found.stderr.splitlines(), 1, found.stderr)
        self.assertIn("Did you mean 'certify'?", found.stderr)


if __name__ == "__main__":
    absltest.main()
