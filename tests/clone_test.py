"""An installed tfcurv is found from beside a clone that is named tfcurv."""

import importlib.metadata
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

from absl.testing import absltest
from absl.testing import parameterized

import source_tree

# The first that reads the licence as pyproject.toml gives it.
_SETUPTOOLS = 77

_SCRIPT = """
import site
import sys

site.addsitedir(sys.argv[1])
import tfcurv.nn
print(tfcurv.certify)
"""


def _has_setuptools() -> bool:
    try:
        found = importlib.metadata.version("setuptools")
    except importlib.metadata.PackageNotFoundError:
        return False
    return int(found.partition(".")[0]) >= _SETUPTOOLS


def _run(*arguments, cwd):
    # -S: what is installed here has to stay out of it.
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
    )


@absltest.skipUnless(
    _has_setuptools(), f"setuptools {_SETUPTOOLS} is not installed"
)
class CloneTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.parent = pathlib.Path(self.create_tempdir().full_path)
        self.clone = self.parent / "tfcurv"
        (self.clone / "tests").mkdir(parents=True)
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(source_tree.ROOT / name, self.clone)
        # In place of the library, what can be told from a namespace package.
        for package in ("tfcurv", "tfcurv/nn"):
            (self.clone / package).mkdir()
            (self.clone / package / "__init__.py").touch()
        (self.clone / "tfcurv" / "__init__.py").write_text("certify = 7\n")
        (self.clone / "tfcurv" / "version.py").write_text("__version__ = '1'\n")

    def _install(self, build) -> pathlib.Path:
        """Returns the folder in which a wheel has been unpacked."""
        site = self.parent / "site"
        program = f"import setuptools.build_meta as b; b.{build}(r'{site}')"
        built = _run("-c", program, cwd=self.clone)
        self.assertEqual(built.returncode, 0, built.stderr)
        (wheel,) = site.glob("*.whl")
        zipfile.ZipFile(wheel).extractall(site)
        return site

    @parameterized.parameters("build_editable", "build_wheel")
    def test_a_script_beside_it_imports_the_library(self, build):
        site = self._install(build)
        script = self.parent / "script.py"
        script.write_text(_SCRIPT)
        found = _run("-S", str(script), str(site), cwd=self.parent)
        self.assertEqual((found.stdout, found.stderr), ("7\n", ""))


if __name__ == "__main__":
    absltest.main()
