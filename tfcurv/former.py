"""Names that a package offers and another one holds, looked up when asked for.

Public names that have moved to other packages stay where they were.
"""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
import importlib
from typing import Any


def names(
    package: str, homes: Mapping[str, str], rooms: Collection[str] = ()
) -> Callable[[str], Any]:
    """Returns the `__getattr__` of a package that some names have left.

    Looked up when asked for: some are now on floors above.

    Args:
        package: Its dotted name.
        homes: By name, the package that has it now.
        rooms: Packages inside it that are imported when they are asked for.
    """

    def attribute(name: str) -> Any:
        if name in rooms:
            return importlib.import_module(f"{package}.{name}")
        if name not in homes:
            raise AttributeError(f"module {package!r} has no {name!r}")
        return getattr(importlib.import_module(homes[name]), name)

    return attribute
