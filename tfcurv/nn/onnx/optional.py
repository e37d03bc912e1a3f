"""The packages that only ONNX files need."""

import types


def import_onnx() -> types.ModuleType:
    """Imports onnx, with what checks and evaluates its models.

    Raises:
        ImportError: It is not installed. Says how to install it.
    """
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
        import onnx.reference
    except ImportError as error:
        raise ImportError(
            "ONNX files are read by onnx, which cannot be imported. "
            "Remedy: pip install tfcurv[onnx]"
        ) from error
    return onnx


def import_onnxruntime() -> types.ModuleType | None:
    """Imports onnxruntime; None where it is not installed."""
    try:
        import onnxruntime
    except ImportError:
        return None
    return onnxruntime
