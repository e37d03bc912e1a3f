"""The packages that only ONNX files need."""

import types

from tfcurv import imports


def import_onnx() -> types.ModuleType:
    """Imports onnx, with what checks and evaluates its models.

    Raises:
        ImportError: It is not installed. Says how to install it.
    """
    with imports.of_extra("onnx", "ONNX files are read by onnx"):
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
        import onnx.reference
    return onnx


def import_onnxruntime() -> types.ModuleType | None:
    """Imports onnxruntime; None where it is not installed."""
    try:
        import onnxruntime
    except ImportError:
        return None
    return onnxruntime
