"""What imports of other packages bring with them: errors, and calls."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types


@contextlib.contextmanager
def of_extra(extra: str, need: str) -> Iterator[None]:
    """Says of imports in here, where one fails, how to install what is missing.

    Args:
        extra: Of tfcurv, that installs it.
        need: What needs which package, a clause.

    Raises:
        ImportError: An import failed.
    """
    try:
        yield
    except ImportError as error:
        raise ImportError(
            f"{need}, which cannot be imported ({error}). "
            f"Remedy: `pip install tfcurv[{extra}]`."
        ) from error


def call_after(name: str, function: Callable[[], None]) -> None:
    """Calls a function once a module is imported, now if it is already.

    The module is found and loaded as ever, by whoever finds it; what `function`
    raises, the import raises.

    Args:
        name: Dotted name of the module.
        function: What to call; without arguments.
    """
    if name in sys.modules:
        function()
    else:
        sys.meta_path.insert(0, _Finder(name, function))


class _Finder(importlib.abc.MetaPathFinder):
    """Finds one module as the others do, and sees to what follows."""

    def __init__(self, name: str, function: Callable[[], None]):
        self._name = name
        self._function = function

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: types.ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name:
            return None
        own = sys.meta_path.index(self)
        for finder in sys.meta_path[own + 1 :]:
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                return self._followed(spec)
        return None

    def _followed(
        self, spec: importlib.machinery.ModuleSpec
    ) -> importlib.machinery.ModuleSpec:
        """Lets the function follow the module's own code."""
        loader = spec.loader
        if loader is not None:  # A folder without code has none.
            load = loader.exec_module

            def exec_module(module: types.ModuleType) -> None:
                load(module)
                self._function()

            # Of this loader alone, which stays what it is to all who ask.
            setattr(loader, "exec_module", exec_module)
        return spec
