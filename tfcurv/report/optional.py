"""The one dependency that only drawing needs."""

import types

from tfcurv import imports


def import_matplotlib() -> types.ModuleType:
    """Imports matplotlib with the parts that draw without a display.

    Never `pyplot`, which keeps every figure alive and chooses a window system
    for the whole process.

    Returns:
        The package, with `backends.backend_agg`, `figure`, `image`, `lines`
        and `patches` loaded.

    Raises:
        ImportError: It is not installed. Says how to install it.
    """
    with imports.of_extra("report", "Drawing needs matplotlib"):
        import matplotlib
        import matplotlib.backends.backend_agg
        import matplotlib.figure
        import matplotlib.image
        import matplotlib.lines
        import matplotlib.patches
    return matplotlib
