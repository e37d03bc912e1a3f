"""The one dependency that only drawing needs."""

import types


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
    try:
        import matplotlib
        import matplotlib.backends.backend_agg
        import matplotlib.figure
        import matplotlib.image
        import matplotlib.lines
        import matplotlib.patches
    except ImportError as error:
        raise ImportError(
            "Drawing needs matplotlib, which cannot be imported. "
            "Remedy: pip install tfcurv[report]"
        ) from error
    return matplotlib
