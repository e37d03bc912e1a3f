"""Training that is not about XLA, which takes seconds to compile a step."""

from collections.abc import Iterator
import contextlib
from unittest import mock

from tfcurv.training import trainer


@contextlib.contextmanager
def without_xla() -> Iterator[None]:
    """Trains in graphs what is trained in here, where XLA would be used."""
    compile_model = trainer.compile_model

    def compiled(model, *args, **settings):
        compile_model(model, *args, **settings)
        model.jit_compile = False

    with mock.patch.object(trainer, "compile_model", compiled):
        yield
