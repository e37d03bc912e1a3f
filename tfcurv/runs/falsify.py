"""`tfcurv.falsify`: attacks on the certified points of a result."""

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import io
import pathlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcurv import certificates
from tfcurv import data as tfcurv_data
from tfcurv import errors
from tfcurv import networks
from tfcurv import report
from tfcurv import results
from tfcurv import version
from tfcurv.nn.reading.graph import Assumption
from tfcurv.nn.reading.subject import Subject
from tfcurv.nn.reading.subject import read_subject


class Attacker:
    """Attacks batches of certified points; raises at the first success."""

    def __init__(
        self,
        subject: Subject,
        options: certificates.FalsifierOptions | None = None,
        folder: str | pathlib.Path = ".",
        threat: certificates.Threat = certificates.Threat(),
    ):
        """Prepares the attack.

        Args:
            subject: What was certified.
            options: How hard to try.
            folder: Where a counter-example is saved.
            threat: What was certified against.

        Raises:
            OSError: Nothing can be saved there.
        """
        self._folder = pathlib.Path(folder)
        report.require_writable(self._folder / "counterexample.npz")
        self._falsifier = certificates.Falsifier(
            subject.network,
            options or certificates.FalsifierOptions(),
            _execution(subject),
            threat,
        )

    def __call__(
        self,
        x: tf.Tensor,
        labels: np.ndarray,
        radii: np.ndarray,
        targets: np.ndarray,
        first_index: int,
    ) -> int:
        """Returns the number of evaluations that found nothing.

        Args:
            x: `[batch, dim]` float64 points.
            labels: `[batch]` labels.
            radii: `[batch]` certified radii; points with none are left out.
            targets: `[batch]` classes that decided them.
            first_index: Number of the first point in its data.

        Raises:
            FalseCertificateError: A counter-example was found, and saved.
        """
        rows = np.flatnonzero(radii > 0.0)
        if not len(rows):
            return 0
        attempt = self._falsifier(
            tf.gather(x, rows),
            tf.constant(labels[rows]),
            tf.constant(radii[rows]),
            tf.constant(targets[rows]),
        )
        found = np.flatnonzero(attempt.found.numpy())
        if len(found):
            row = rows[found[0]]
            raise self._false_certificate(
                index=int(first_index + row),
                x0=x[row].numpy(),
                point=attempt.point[found[0]].numpy(),
                label=int(labels[row]),
                radius=float(radii[row]),
                distance=float(attempt.distance[found[0]]),
            )
        return int(attempt.num_evaluations)

    def _false_certificate(self, *, x0, point, **facts):
        buffer = io.BytesIO()
        np.savez(buffer, x0=x0, point=point, **facts)
        name = f"counterexample-{facts['index']}.npz"
        path = self._folder / name
        # A full disk must not hide that a certificate is false.
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            report.write_atomically(path, buffer.getvalue())
        except OSError:
            return errors.FalseCertificateError(**facts, path=None)
        return errors.FalseCertificateError(**facts, path=path)


def _execution(subject: Subject) -> Callable[[tf.Tensor], tf.Tensor] | None:
    """Returns the model as Keras runs it, where that was certified, too.

    None of a network alone: nobody runs it.
    """
    model, shape = subject.model, (-1, *subject.input_shape)
    if subject.network.execution is None or model is None:
        return None
    return lambda x: model(tf.reshape(x, shape), training=False)


def falsify(
    model: keras.Model | networks.Network,
    result: results.CertificationResult,
    data: Any = None,
    *,
    options: certificates.FalsifierOptions | None = None,
    assume: Mapping[str, Assumption] | None = None,
    batch_size: int = tfcurv_data.DEFAULT_BATCH_SIZE,
    data_dir: str | None = None,
    folder: str | pathlib.Path = ".",
    verbose: int = 1,
) -> results.CertificationResult:
    """Attacks every certified point of a result inside its radius.

    Projected gradient steps on three losses from several starts and a walk
    along the decision boundary, none of which the certifier uses. A result
    that withstands them is not thereby proved; one that does not is false.

    Args:
        model: The model that was certified.
        result: Its result.
        data: The data that were certified, as `certify` takes them. Default:
            the data set that the result names.
        options: How hard to try.
        assume: As it was given to `certify`.
        batch_size: Images at a time.
        data_dir: Folder of tensorflow-datasets, for a name.
        folder: Where a counter-example is saved.
        verbose: 0 for silence, 1 for a progress bar on stderr if that is a
            terminal.

    Returns:
        The result, with the number of evaluations added to `num_attacks`.

    Raises:
        FalseCertificateError: A counter-example was found, and saved.
        InvalidResultError: Model or data are not those of the result.
        DataError: The data are not to be had.
        ValueError: The result certifies nothing.
    """
    if not result.is_certificate:
        raise ValueError(
            "What certifies nothing cannot be falsified. "
            f"Received: a result of targets={result.targets_protocol!r}."
        )
    threat = certificates.Threat(norm=result.norm, domain=result.domain)
    subject = read_subject(
        model,
        guard=result.guard,
        rigor=result.rigor,
        assume=assume,
        as_graph=certificates.needs_graph(result.method_names[0]),
    )
    _check_same("model", subject.model_hash, result.model_hash, result)
    source = tfcurv_data.batches(
        _named_data(result.data_name) if data is None else data,
        input_shape=subject.input_shape,
        num_classes=subject.network.num_classes,
        batch_size=batch_size,
        data_dir=data_dir,
        limit=result.num_images,
    )
    attacker = Attacker(subject, options, folder, threat)
    fingerprint, parts = tfcurv_data.DataFingerprint(), []
    for batch in source:
        fingerprint.update(batch)
        parts.append(fingerprint.hexdigest())
    _check_same("data", parts[-1], result.data_hash, result)
    count, first = 0, 0
    with report.progress_bar(
        result.num_images, "image", verbose=verbose, description="attacking"
    ) as progress:
        for batch in tfcurv_data.read_again(source, parts):
            x = batch.inputs.reshape(len(batch.labels), -1)
            x = tf.constant(x, tf.float64)
            part = slice(first, first + len(batch.labels))
            count += attacker(
                x, batch.labels, result.radii[part], result.targets[part], first
            )
            first = part.stop
            progress.update(len(batch.labels))
    return dataclasses.replace(result, num_attacks=result.num_attacks + count)


def _named_data(name: str) -> str:
    """Returns the name of the data set whose test split was certified."""
    data_set, _, split = name.partition("/")
    if split != "test" or data_set not in tfcurv_data.DATASETS:
        raise ValueError(
            "The result was not made on a named data set. "
            f"Received: data=None, result.data_name={name!r}. "
            "Remedy: give the data that were certified."
        )
    return data_set


def _check_same(what: str, found: str, expected: str, result) -> None:
    if found == expected:
        return
    saved_by, here = result.versions.get("tfcurv"), version.__version__
    remedy = ""
    if saved_by not in (None, here):
        remedy = (
            f" The result was saved by tfcurv {saved_by}, and this is {here}, "
            "in which hashes may mean something else. Remedy: certify again."
        )
    raise errors.InvalidResultError(
        f"The {what} is not the one of the result. Received: {what} with "
        f"sha256 {found}. Expected: {expected}.{remedy}"
    )
