"""Compares a Keras model with the ONNX model that it was read from."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcurv import errors
from tfcurv.nn.onnx import optional

# Both sum in float32, each in its own order. Weights that are moved to another
# place or left out differ by much more.
_TOLERANCE = 1e-4
_NUM_PROBES = 8


def check(model: Any, found: keras.Model, channels_last: bool, path: str):
    """Refuses a Keras model that is not what it was read from.

    Args:
        model: The ONNX model.
        found: The Keras model.
        channels_last: Whether images of the Keras model have channels last.
        path: Of the file, for messages.

    Raises:
        UnsupportedModelError: They differ, or ONNX' own does not run.
    """
    (source,) = _inputs(model)
    kind = source.type.tensor_type
    batch, *sizes = (size.dim_value for size in kind.shape.dim)
    probes = _probes(sizes, batch or 1)
    double = optional.import_onnx().TensorProto.DOUBLE
    dtype = np.float64 if kind.elem_type == double else np.float32
    expected = _outputs(model, source.name, probes.astype(dtype), batch, path)
    given = probes
    if channels_last and probes.ndim == 4:
        given = probes.transpose(0, 2, 3, 1)
    # GPUs multiply float32 matrices in TensorFloat-32, with 10 bits.
    with tf.device("CPU:0"):
        computed = np.asarray(found(tf.constant(given), training=False))
    if computed.shape != expected.shape:
        raise _differ(path, f"shapes {computed.shape}, {expected.shape}")
    if not np.all(np.isfinite(expected)):
        raise _differ(path, "outputs of ONNX that are no numbers")
    rows = expected.reshape(len(expected), -1).astype(np.float64)
    scale = np.abs(rows).max(axis=-1, initial=0.0) + np.abs(rows).max()
    apart = np.abs(rows - computed.reshape(rows.shape)).max(axis=-1)
    # Not `>`: a NaN differs.
    if not np.all(apart <= _TOLERANCE * scale + _TOLERANCE**2):
        raise _differ(path, f"outputs {float(apart.max()):.3g} apart")


def _inputs(model: Any) -> list:
    stored = {each.name for each in model.graph.initializer}
    return [each for each in model.graph.input if each.name not in stored]


def _probes(sizes: list[int], batch: int) -> np.ndarray:
    """Returns zeros and random inputs, as many as fill whole batches."""
    random = np.random.default_rng(0)
    rows = -(-_NUM_PROBES // batch) * batch
    parts = [
        np.zeros((batch, *sizes)),
        random.uniform(0.0, 1.0, (rows, *sizes)),
        random.normal(0.0, 1.0, (rows, *sizes)),
        # Where activations saturate.
        random.normal(0.0, 10.0, (rows, *sizes)),
    ]
    return np.concatenate(parts).astype(np.float32)


def _outputs(model, name: str, probes, batch: int, path: str) -> np.ndarray:
    """Returns what ONNX gives, batch by batch where its size is fixed."""
    try:
        run = _runner(model)
        size = batch or len(probes)
        parts = [
            run({name: probes[i : i + size]})
            for i in range(0, len(probes), size)
        ]
    # Both evaluators raise all kinds of errors.
    except Exception as error:
        raise errors.UnsupportedModelError(
            f"ONNX does not run this model: {error!s:.400} "
            f"({type(error).__name__}). Received: {path!r}. "
            "Remedy: export it anew."
        ) from error
    return np.concatenate([np.asarray(part) for part in parts])


def _runner(model: Any):
    runtime, onnx = optional.import_onnxruntime(), optional.import_onnx()
    if runtime is None:
        evaluator = onnx.reference.ReferenceEvaluator(model)
        return lambda given: evaluator.run(None, given)[0]
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(
        model.SerializeToString(),
        options,
        providers=["CPUExecutionProvider"],
    )
    return lambda given: session.run(None, given)[0]


def _differ(path: str, what: str) -> errors.UnsupportedModelError:
    return errors.UnsupportedModelError(
        "The Keras model does not compute what the ONNX model does. "
        f"Received: {path!r}, {what}. Remedy: report this with the file; "
        "build the model in Keras by hand and copy its weights."
    )
