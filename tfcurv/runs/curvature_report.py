"""`tfcurv.curvature_report`: true curvature beside proved curvature."""

from collections.abc import Iterator
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcurv import bounds
from tfcurv import certificates
from tfcurv import data as tfcurv_data
from tfcurv import errors
from tfcurv import networks
from tfcurv import report
from tfcurv.nn.reading.subject import Subject
from tfcurv.nn.reading.subject import read_subject
from tfcurv.results.curvature_report import CurvatureReport

# The Lanczos basis takes inputs x steps numbers an image.
_BATCH_SIZE = 256


def curvature_report(
    model: keras.Model | networks.Network,
    data: Any,
    *,
    limit: int | None = None,
    num_steps: int = bounds.LANCZOS_STEPS,
    rigor: str = "verified",
    batch_size: int = _BATCH_SIZE,
    data_dir: str | None = None,
    verbose: int = 1,
) -> CurvatureReport:
    """Measures how loose the proved curvature bounds of a model are.

    For each pair of a label and the most likely other class: the extreme
    eigenvalues of the Hessian of their logit difference that occur at images
    of the pair, by Lanczos' method, beside their proved bounds, as a whole
    and by hidden layer. Images that are misclassified count, too.

    Source: Singla and Feizi, "Second-Order Provable Defenses against
    Adversarial Attacks", ICML 2020 [SF20], section 6.

    Args:
        model: As `certify` takes it.
        data: As `certify` takes them.
        limit: Most images to look at; None for all.
        num_steps: Lanczos steps an eigenvalue, at least 1.
        rigor: See `certify`.
        batch_size: Images at a time; memory grows with it.
        data_dir: Folder of tensorflow-datasets, for a name.
        verbose: 0 for silence, 1 for a progress bar on stderr if that is a
            terminal.

    Returns:
        A frozen report.

    Raises:
        UnsupportedModelError: The model cannot be certified.
        DataError: The data do not fit the model or are not to be had, or the
            Hessian at one of them is not finite.
        ValueError: An option is out of range.
    """
    start = time.monotonic()
    subject = read_subject(model, rigor=rigor)
    probe = bounds.CurvatureProbe(subject.network, num_steps=num_steps)
    source = tfcurv_data.batches(
        data,
        input_shape=subject.input_shape,
        num_classes=subject.network.num_classes,
        batch_size=batch_size,
        data_dir=data_dir,
        limit=limit,
        expects_unit_range=not subject.is_scaled,
    )
    found = _attained(subject, probe, source, verbose)
    pairs = sorted(found)
    counts, rows = zip(*(found[pair] for pair in pairs))
    proved = _proved(subject, pairs, verbose)
    return CurvatureReport(
        pairs=np.array(pairs),
        num_images=np.array(counts),
        attained=bounds.AttainedCurvature(*map(np.stack, zip(*rows))),
        proved=bounds.ProvedCurvature(*map(np.stack, zip(*proved))),
        activations=tuple(fn.name for fn in subject.network.activations),
        num_steps=num_steps,
        data_name=source.name,
        model_name=getattr(model, "name", "network"),
        model_hash=subject.model_hash,
        seconds=time.monotonic() - start,
    )


def _attained(subject: Subject, probe, source, verbose) -> dict:
    """Returns the number of images and the maxima of each pair that occurs."""
    found: dict[tuple[int, int], tuple[int, list[np.ndarray]]] = {}
    seen = 0
    with report.progress_bar(
        source.num_examples, "image", verbose=verbose
    ) as progress:
        for batch in source:
            x = batch.inputs.reshape(len(batch.labels), -1)
            x = tf.constant(x, tf.float64)
            y = tf.constant(batch.labels)
            t = certificates.rival(subject.network.logits(x), y)
            fields = [field.numpy() for field in probe(x, y, t)]
            _check_finite(fields, seen)
            pairs = zip(y.numpy().tolist(), t.numpy().tolist())
            for row, pair in enumerate(pairs):
                values = [field[row] for field in fields]
                count, before = found.get(pair, (0, values))
                largest = map(np.maximum, before, values)
                found[pair] = (count + 1, list(largest))
            seen += len(batch.labels)
            progress.update(len(batch.labels))
    return found


def _check_finite(fields, first: int) -> None:
    for field in fields:
        wrong = ~np.isfinite(field.reshape(len(field), -1)).all(axis=1)
        if np.any(wrong):
            raise errors.DataError(
                "The curvature at an input is not finite. "
                f"Received: input {first + int(np.argmax(wrong))}, one of "
                f"{np.sum(wrong)} in its batch. Remedy: leave out inputs that "
                "hold NaN or overflow the network."
            )


def _proved(subject: Subject, pairs, verbose) -> Iterator:
    prover = bounds.CurvatureProver(subject.network)
    with report.progress_bar(
        len(pairs), "curvature bound", verbose=verbose
    ) as progress:
        for y, t in pairs:
            yield prover(y, t)
            progress.update()
