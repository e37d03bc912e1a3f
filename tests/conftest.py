"""What every test needs when pytest runs it, and `python file` does by itself.

absltest reads its flags in `absltest.main`, which pytest never calls.
"""

from collections.abc import Iterator
import os

# Read when TensorFlow is first imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# As are these by NumPy: two processes share the cores already.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from absl import flags  # noqa: E402
from absl.testing import absltest  # noqa: E402, F401
from absl.testing import flagsaver  # noqa: E402
import hypothesis  # noqa: E402
import pytest  # noqa: E402

# All of it, first: what is imported while a test patches `sys.modules` is
# forgotten with the patch, and would be there twice.
import tfcurv.training  # noqa: E402, F401

# The first example compiles, and a failure must be the same everywhere.
hypothesis.settings.register_profile(
    "tfcurv", deadline=None, derandomize=True, database=None
)
hypothesis.settings.load_profile("tfcurv")

flags.FLAGS.mark_as_parsed()

# Begun first, or one process waits for them at the end.
_LONG = (
    "tests/training/trainer_test.py",
    "tests/examples_reproduce_test.py",
    "tests/cli_test.py",
    "tests/networks/flow_test.py",
    "tests/nn/training/convolution_test.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the files that take longest first."""
    items.sort(key=lambda item: not item.path.as_posix().endswith(_LONG))


@pytest.fixture(autouse=True, scope="session")
def own_scratch_folder(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """Keeps the temporary files of two runs at the same time apart."""
    folder = tmp_path_factory.mktemp("absltest")
    with flagsaver.flagsaver(test_tmpdir=str(folder)):
        yield
