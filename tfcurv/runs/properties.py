"""A model and a property file become a verdict."""

from collections.abc import Mapping
import pathlib
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcurv import errors
from tfcurv import results
from tfcurv.certificates.properties import decision
from tfcurv.certificates.properties import vnnlib
from tfcurv.nn.reading.subject import read_subject


def verify_property(
    model: keras.Model,
    path: str | pathlib.Path,
    *,
    seconds: float = 60.0,
    assume: Mapping[str, Any] | None = None,
) -> results.PropertyResult:
    """Decides whether a model has a property, as a VNN-LIB file states it.

    The file describes boxes of inputs and, of each, unsafe outputs, linear
    constraints in `and` and `or`; X_i and Y_j number the model's inputs and
    outputs in the order of their elements, which of a model that
    `tfcurv.from_onnx` has read is that of ONNX. "holds" is proved of the
    real-valued function with the stored weights: bounds in float64, rounded
    outward, with the numbers of the file taken exactly. "violated" comes with
    an input of float32 numbers in a box whose outputs are unsafe both in exact
    arithmetic, proved, and as Keras executes the model. All else is "unknown".

    Args:
        model: A Keras model, of any activations that `certify` takes.
        path: The .vnnlib file.
        seconds: After which nothing more is begun; one step may end later.
        assume: As `certify`.

    Returns:
        The verdict.

    Raises:
        InvalidPropertyError: The file is not understood, or of another number
            of inputs or outputs than the model.
        UnsupportedModelError: The model cannot be read.
        ValueError: `seconds` is not positive.
    """
    start = time.monotonic()
    if not 0.0 < seconds < float("inf"):
        raise ValueError(
            "A time limit is positive and finite. "
            f"Received: seconds={seconds!r}."
        )
    statement = vnnlib.read_property(path)
    subject = read_subject(model, assume=assume, as_graph=True)
    network = subject.network
    sizes = network.input_dim, network.num_classes
    if sizes != (statement.num_inputs, statement.num_outputs):
        raise errors.InvalidPropertyError(
            "The property is of another network. Received: "
            f"{statement.num_inputs} inputs and {statement.num_outputs} "
            f"outputs in {str(path)!r}; the model has {sizes[0]} and "
            f"{sizes[1]}. Allowed: as many of both."
        )

    def execute(x: np.ndarray) -> np.ndarray:
        samples = tf.reshape(tf.constant(x), [-1, *subject.input_shape])
        with tf.device("CPU:0"):
            # As the model rounds its inputs.
            found = model(tf.cast(samples, tf.float32), training=False)
        return np.asarray(found)

    solver = decision.Solver(network, statement.constraints, execute)
    left = seconds - (time.monotonic() - start)
    found = solver.decide(statement.regions, left)
    witness = found.witness
    return results.PropertyResult(
        verdict=found.verdict.value,
        witness=None if witness is None else _shaped(witness.x, subject),
        outputs=None if witness is None else witness.y,
        model_name=model.name,
        seconds=time.monotonic() - start,
    )


def _shaped(x: np.ndarray, subject: Any) -> np.ndarray:
    return x.reshape(subject.input_shape)
