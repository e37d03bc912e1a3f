"""`tfcurv.smooth`: radii of the majority of a model under normal noise."""

from collections.abc import Sequence
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcurv import certificates
from tfcurv import data as tfcurv_data
from tfcurv import errors
from tfcurv import report
from tfcurv import results
from tfcurv import tracing
from tfcurv.certificates import smoothing
from tfcurv.data.named import require_positive

# Copies of the input at a time.
_CHUNK = 1000


def smooth(
    model: keras.Model,
    data: Any,
    *,
    sigma: float,
    epsilons: Sequence[float] = (0.5,),
    samples: int = 10_000,
    selection_samples: int = 100,
    failure_probability: float = 0.001,
    seed: int = 0,
    data_dir: str | None = None,
    limit: int | None = None,
    verbose: int = 1,
) -> results.SmoothedResult:
    """Finds l2 radii of the smoothed classifier, with a confidence [CRK19].

    Some noisy copies of an input choose the class, others count how often the
    model gives it; see `tfcurv.certificates.smoothing` for the formula. Any
    model will do whose output for an input rests on nothing else of its batch:
    it is only called, and nothing of it is read or checked. What holds is
    a statement about the majority under ideal noise, with a probability, and
    no certificate of the model itself: see `certify` for those.

    Args:
        model: A Keras model that gives logits or probabilities, `[n, classes]`.
        data: As `certify` takes them.
        sigma: Standard deviation of the noise, in units of the input.
        epsilons: Radii to summarise at.
        samples: Copies that are counted.
        selection_samples: Copies that choose the class.
        failure_probability: How often a radius may be too large.
        seed: Of the noise. The noise of an input rests on its place alone.
        data_dir: Folder of tensorflow-datasets, for a name.
        limit: Stop after this many inputs.
        verbose: 0 for silence, 1 for a progress bar on stderr if that is a
            terminal.

    Returns:
        Classes, or abstentions, with radii.

    Raises:
        UnsupportedModelError: The output is not `[n, classes]`, or has one
            class.
        DataError: The data do not fit the model or are not to be had.
        ValueError: A number is not allowed.

    [CRK19]: Cohen, Rosenfeld and Kolter, "Certified Adversarial Robustness via
    Randomized Smoothing", ICML 2019.
    """
    start = time.monotonic()
    _check(sigma, samples, selection_samples, failure_probability)
    epsilons = certificates.check_epsilons(epsilons)
    classes = _classes_of(model)
    source = tfcurv_data.batches(
        data,
        input_shape=model.input_shape[1:],
        num_classes=classes,
        batch_size=tfcurv_data.DEFAULT_BATCH_SIZE,
        data_dir=data_dir,
        limit=limit,
    )
    votes = _votes(model, classes, sigma)
    labels: list[int] = []
    predictions: list[int] = []
    radii: list[float] = []
    with report.progress_bar(
        source.num_examples, "image", verbose=verbose, description="smoothing"
    ) as progress:
        for batch in source:
            inputs = batch.inputs.astype(np.float32)
            for x, label in zip(inputs, batch.labels):
                draw = tf.constant([seed, len(labels)])
                first = votes(x, draw, selection_samples, 0).numpy()
                # What is of no class, not being a number, is nobody's vote.
                top = int(np.argmax(first[:classes]))
                hits = votes(x, draw, samples, 1).numpy()[top]
                bound = smoothing.probability_lower_bound(
                    hits, samples, failure_probability
                )
                radius = float(smoothing.smoothed_radius(bound, sigma))
                labels.append(label)
                radii.append(radius)
                predictions.append(top if radius > 0.0 else results.ABSTAINED)
                progress.update(1)
    return results.SmoothedResult(
        sigma=float(sigma),
        samples=samples,
        failure_probability=failure_probability,
        epsilons=epsilons,
        labels=np.array(labels, np.int32),
        predictions=np.array(predictions, np.int32),
        radii=np.array(radii, np.float64),
        data_name=source.name,
        model_name=model.name,
        seconds=time.monotonic() - start,
    )


def _check(sigma, samples, selection_samples, failure_probability) -> None:
    if not 0.0 < sigma < float("inf"):
        raise ValueError(
            "Noise has a positive, finite standard deviation. "
            f"Received: sigma={sigma!r}."
        )
    if not 0.0 < failure_probability < 1.0:
        raise ValueError(
            "A probability lies between 0 and 1. "
            f"Received: failure_probability={failure_probability!r}."
        )
    for name, value in (
        ("samples", samples),
        ("selection_samples", selection_samples),
    ):
        require_positive(name, value)


def _classes_of(model: keras.Model) -> int:
    shape = model.output_shape
    if isinstance(shape, list) or len(shape) != 2 or (shape[1] or 0) < 2:
        raise errors.UnsupportedModelError(
            "A classifier gives one number for each of at least two classes. "
            f"Received: output_shape={shape} of model {model.name!r}. "
            "Allowed: (None, classes)."
        )
    return int(shape[1])


def _votes(model: keras.Model, classes: int, sigma: float):
    """Returns a compiled function that counts classes of noisy copies."""

    def count(x, draw, copies, stage):
        def chunk(index, counts):
            size = tf.minimum(copies - index * _CHUNK, _CHUNK)
            # Each stage, each chunk of it and each input has its own noise.
            key = tf.random.experimental.stateless_fold_in(draw, stage)
            key = tf.random.experimental.stateless_fold_in(key, index)
            shape = tf.concat([[_CHUNK], tf.shape(x)], axis=0)
            noise = tf.random.stateless_normal(shape, key)
            outputs = model(x + sigma * noise[:size], training=False)
            finite = tf.reduce_all(tf.math.is_finite(outputs), axis=-1)
            found = tf.argmax(outputs, axis=-1, output_type=tf.int32)
            found = tf.where(finite, found, classes)
            votes = tf.reduce_sum(tf.one_hot(found, classes + 1), axis=0)
            return index + 1, counts + tf.cast(votes, tf.int32)

        chunks = (copies + _CHUNK - 1) // _CHUNK
        return tf.while_loop(
            lambda index, _: index < chunks,
            chunk,
            (0, tf.zeros([classes + 1], tf.int32)),
        )[1]

    number = tf.TensorSpec([], tf.int32)
    return tracing.Traced(
        count,
        [
            tf.TensorSpec(model.input_shape[1:], tf.float32),
            tf.TensorSpec([2], tf.int32),
            *(number, number),
        ],
    )
