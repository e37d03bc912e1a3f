"""`tfcurv.certify`: from a model and data to a result."""

from collections.abc import Sequence
import dataclasses
import hashlib
import platform
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcurv import bounds
from tfcurv import certificates
from tfcurv import data as tfcurv_data
from tfcurv import version
from tfcurv.nn import adapter
from tfcurv.nn import chain

#: Radii of the summary where none are asked for.
DEFAULT_EPSILONS = (0.1, 0.25, 0.5, 1.0)


def certify(
    model: keras.Model | bounds.Network,
    data: Any,
    *,
    epsilons: Sequence[float] = DEFAULT_EPSILONS,
    targets: str = "all",
    batch_size: int = 512,
    limit: int | None = None,
    data_dir: str | None = None,
    options: certificates.CertifierOptions | None = None,
    verbose: int = 1,
) -> certificates.CertificationResult:
    """Proves how far each input can be moved before its class can change.

    For every image the curvature-based certificate of [SF20, Theorem 1]
    against every other class, the smallest counting: proved in float64 with
    outward rounding, from bounds on the eigenvalues of the Hessian of each
    logit difference. See `CertificationResult` for what is guaranteed.

    Source: Singla and Feizi, "Second-Order Provable Defenses against
    Adversarial Attacks", ICML 2020 [SF20].

    Args:
        model: A `keras.Sequential` or functional model that ends in logits,
            of Dense, Activation, Flatten, Reshape, Rescaling, Normalization
            and Dropout layers; or a `Network`.
        data: A batched `tf.data.Dataset` of (x, y), a pair of arrays, or the
            name of a data set (its test split, pixels in [0, 1]).
        epsilons: Radii of the summary, in the units of the model's input.
        targets: "all", or "runner-up" to compare with published tables,
            which certifies nothing.
        batch_size: Images at a time; memory grows with it alone.
        limit: Most images to certify; None for all.
        data_dir: Folder of tensorflow-datasets, for a name.
        options: How hard to search. Its targets are replaced by `targets`.
        verbose: 0 for silence, 1 for a progress bar.

    Returns:
        A frozen result, in the order of the data.

    Raises:
        UnsupportedModelError: The model cannot be certified; the message
            names the layer and a way out.
        DataError: The data do not fit the model or are not to be had.
        ValueError: An epsilon is not positive, or an option is unknown.
    """
    start = time.monotonic()
    epsilons = _check_epsilons(epsilons)
    options = dataclasses.replace(
        options or certificates.CertifierOptions(),
        targets=_check_targets(targets),
    )
    network, shape, is_scaled = _read_model(model)
    certifier = certificates.Certifier(network, options)
    source = tfcurv_data.batches(
        data,
        input_shape=shape,
        num_classes=network.num_classes,
        batch_size=batch_size,
        data_dir=data_dir,
        limit=limit,
        expects_unit_range=not is_scaled,
    )
    fingerprint = tfcurv_data.DataFingerprint()
    columns = _certify_batches(network, certifier, source, fingerprint, verbose)
    return certificates.CertificationResult(
        **columns,
        epsilons=epsilons,
        targets_protocol=options.targets.value,
        data_name=source.name,
        model_name=getattr(model, "name", "network"),
        data_hash=fingerprint.hexdigest(),
        model_hash=_model_hash(network),
        versions=_versions(),
        seconds=time.monotonic() - start,
    )


def _check_epsilons(epsilons: Sequence[float]) -> tuple[float, ...]:
    if np.ndim(epsilons) != 1:
        raise ValueError(
            "The radii must be a sequence of numbers. "
            f"Received: epsilons={epsilons!r}. Allowed: such as (0.5, 1.0)."
        )
    values = tuple(float(epsilon) for epsilon in epsilons)
    if not all(0.0 < value < float("inf") for value in values):
        raise ValueError(
            "Every radius must be positive and finite. "
            f"Received: epsilons={epsilons!r}."
        )
    return values


def _check_targets(targets: str) -> certificates.Targets:
    try:
        return certificates.Targets(targets)
    except ValueError as error:
        allowed = [entry.value for entry in certificates.Targets]
        raise ValueError(
            "Unknown choice of target classes. "
            f"Received: targets={targets!r}. Allowed: {allowed}."
        ) from error


def _read_model(model) -> tuple[bounds.Network, tuple[int, ...], bool]:
    """Returns the network, its input's shape and whether it scales it."""
    if isinstance(model, bounds.Network):
        return model, (model.input_dim,), False
    network = adapter.network_from_model(model)
    kinds = [type(link) for link in chain.read_chain(model)]
    return network, adapter.input_shape(model), chain.Scaling in kinds


def _certify_batches(
    network, certifier, source, fingerprint, verbose
) -> dict[str, Any]:
    """Returns the arrays of the result."""
    # Deep networks take a second a pair of classes before the first image.
    pairs = keras.utils.Progbar(
        None, unit_name="curvature bound", verbose=verbose
    )
    table = certificates.CurvatureTable(network, lambda: pairs.add(1))
    progress = keras.utils.Progbar(
        source.num_examples, unit_name="image", verbose=verbose
    )
    labels, found = [], []
    for batch in source:
        fingerprint.update(batch)
        x = tf.constant(batch.inputs.reshape(len(batch.labels), -1), tf.float64)
        curvature = table.bounds(batch.labels, _runners_up(network, x, batch))
        result = certifier(x, tf.constant(batch.labels), curvature)
        labels.append(batch.labels)
        found.append([field.numpy() for field in result])
        progress.add(len(batch.labels), values=_means(labels[-1], result))
    columns = [np.concatenate(parts) for parts in zip(*found)]
    certified = certificates.Certificates(*columns)
    return {
        "labels": np.concatenate(labels),
        "predictions": certified.prediction,
        "radii": certified.radius,
        "targets": certified.target,
        "upper_bounds": certified.upper_bound,
        "exact": certified.exact,
        "reasons": certified.reason,
        "num_evaluations": float(np.sum(certified.num_evaluations)),
    }


def _means(labels, result) -> list[tuple[str, float]]:
    """Returns what the progress bar averages."""
    return [
        ("clean", float(np.mean(result.prediction.numpy() == labels))),
        ("radius", float(np.mean(result.radius.numpy()))),
    ]


def _runners_up(network, x, batch) -> np.ndarray:
    logits = network.logits(x).numpy()
    logits[np.arange(len(logits)), batch.labels] = -np.inf
    return np.argmax(logits, axis=-1)


def _model_hash(network: bounds.Network) -> str:
    digest = hashlib.sha256()
    for affine in network.affines:
        for array in (affine.kernel, affine.bias):
            digest.update(repr(array.shape).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(repr([a.name for a in network.activations]).encode())
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    return {
        "tfcurv": version.__version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
