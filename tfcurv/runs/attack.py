"""`tfcurv.attack`: the nearest adversarial examples of a data set."""

from collections.abc import Mapping
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcurv import certificates
from tfcurv import data as tfcurv_data
from tfcurv import networks
from tfcurv import report
from tfcurv import results
from tfcurv.nn.reading.graph import Assumption
from tfcurv.nn.reading.subject import read_subject


def attack(
    model: keras.Model | networks.Network | networks.GraphNetwork,
    data: Any,
    *,
    norm: str = "l2",
    domain: tuple[float, float] | None = None,
    options: certificates.AttackOptions | None = None,
    assume: Mapping[str, Assumption] | None = None,
    batch_size: int = tfcurv_data.DEFAULT_BATCH_SIZE,
    data_dir: str | None = None,
    limit: int | None = None,
    verbose: int = 1,
) -> results.AttackResult:
    """Looks for the nearest adversarial example of every input.

    From each input and from random points near it towards every likely class:
    what is found is misclassified beyond the rounding of float64, and its
    distance an upper bound on the radius in which the input is robust, of any
    certificate too. Nothing found proves nothing.

    Args:
        model: Any model that `certify` can read.
        data: As `certify` takes them.
        norm: "l2" or "linf": in which examples are near.
        domain: Interval that every entry of an example has to lie in.
        options: How hard to try.
        assume: As `certify` takes it.
        batch_size: Inputs at a time.
        data_dir: Folder of tensorflow-datasets, for a name.
        limit: Stop after this many inputs.
        verbose: 0 for silence, 1 for a progress bar on stderr if that is a
            terminal.

    Returns:
        The examples, with distances and classes.

    Raises:
        UnsupportedModelError: The model cannot be read, or has one logit.
        DataError: The data do not fit the model or are not to be had.
        ValueError: Norm, domain or a number is not allowed.
    """
    start = time.monotonic()
    threat = certificates.Threat(norm=norm, domain=domain)
    subject = read_subject(
        model, assume=assume, as_graph=True, rigor=_rigor(model)
    )
    network = subject.network
    certificates.check_classes(network)
    source = tfcurv_data.batches(
        data,
        input_shape=subject.input_shape,
        num_classes=network.num_classes,
        batch_size=batch_size,
        data_dir=data_dir,
        limit=limit,
        expects_unit_range=not subject.is_scaled,
    )
    search = certificates.MultiTargetAttack(
        network, options or certificates.AttackOptions(), threat
    )
    parts: list[dict[str, np.ndarray]] = []
    with report.progress_bar(
        source.num_examples, "image", verbose=verbose, description="attacking"
    ) as progress:
        for batch in source:
            parts.append(_attacked(network, search, batch))
            progress.update(len(batch.labels))
    columns = {
        name: np.concatenate([part[name] for part in parts])
        for name in parts[0]
    }
    return results.AttackResult(
        **columns,
        norm=threat.norm,
        domain=threat.domain,
        data_name=source.name,
        model_name=getattr(model, "name", "network"),
        seconds=time.monotonic() - start,
    )


def _rigor(model) -> str:
    """Returns what a network brings; of a model no norm is proved here."""
    is_network = isinstance(model, networks.Network | networks.GraphNetwork)
    return model.rigor.value if is_network else "verified"


def _attacked(network, search, batch) -> dict[str, np.ndarray]:
    x = batch.inputs.reshape(len(batch.labels), -1).astype(np.float64)
    # What is not finite is of no class, and nothing is near it.
    finite = np.all(np.isfinite(x), axis=-1)
    found = search(
        tf.constant(np.where(finite[:, np.newaxis], x, 0.0)),
        tf.constant(batch.labels),
    )
    prediction = classes_of(network, x)
    right = (prediction == batch.labels) & finite
    point = np.where(right[:, np.newaxis], found.point.numpy(), x)
    distance = np.where(right, found.distance.numpy(), 0.0)
    return {
        "labels": batch.labels,
        "predictions": prediction,
        "distances": distance,
        "examples": point.reshape(batch.inputs.shape),
        "classes": classes_of(network, point),
    }


def classes_of(network: Any, x: np.ndarray) -> np.ndarray:
    """Returns the class of the largest logit; -1 where one is not finite.

    Args:
        network: As the certificate reads it.
        x: `[batch, inputs]` float64.
    """
    logits = network.logits(tf.constant(x)).numpy()
    found = np.argmax(logits, axis=-1).astype(np.int32)
    return np.where(np.all(np.isfinite(logits), axis=-1), found, np.int32(-1))
