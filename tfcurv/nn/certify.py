"""`tfcurv.certify`: from a model and data to a result."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent import futures
import contextlib
import dataclasses
import enum
import pathlib
import platform
import time
from typing import Any
from typing import TypeVar

import keras
import numpy as np
import tensorflow as tf

from tfcurv import bounds
from tfcurv import certificates
from tfcurv import data as tfcurv_data
from tfcurv import report
from tfcurv import version
from tfcurv.nn.falsify import Attacker
from tfcurv.nn.graph import Assumption
from tfcurv.nn.subject import read_subject

#: Radii of the summary where none are asked for.
DEFAULT_EPSILONS = (0.1, 0.25, 0.5, 1.0)

# Curvature bounds are saved this often while they are computed.
_SAVE_SECONDS = 1.0

# What the batches' arrays are summed to.
_TOTALS = {
    "num_evaluations": float,
    "num_attacks": int,
    "seconds_before": float,
}


def certify(
    model: keras.Model | bounds.Network,
    data: Any,
    *,
    epsilons: Sequence[float] = DEFAULT_EPSILONS,
    targets: str = "all",
    guard: str | None = None,
    rigor: str = "verified",
    curvature: str = "global",
    assume: Mapping[str, Assumption] | None = None,
    radii: bool = True,
    falsify: bool = False,
    checkpoint: str | pathlib.Path | None = None,
    batch_size: int = tfcurv_data.DEFAULT_BATCH_SIZE,
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
        model: A `keras.Sequential` or functional model that ends in logits;
            or a `Network`. Its layers may be dense, convolutions, average
            pooling, normalisations, paddings, sums and joins of branches,
            with smooth activations; the README has the list. ReLU may be the
            activation of one hidden layer, whose margins are then bounded by
            concave quadratics.
        data: A batched `tf.data.Dataset` of (x, y), a pair of arrays, or the
            name of a data set (its test split, pixels in [0, 1]).
        epsilons: Radii of the summary, in the units of the model's input.
        targets: "all", or "runner-up" to compare with published tables,
            which certifies nothing.
        guard: None for certificates about the real-valued function with the
            stored weights; "float32" for such as hold for its execution by
            Keras, too: the radius shrinks by what float32 sums of any order
            may err anywhere in the ball.
        rigor: "verified" proves norms and eigenvalues by a factorisation
            that must succeed; "float64" trusts LAPACK, which is slower.
        curvature: "global" for one bound on the curvature a pair of classes;
            "local" for one in a ball around each image, too, which proves
            larger radii, most of all for networks without a curvature
            penalty, and costs tens of milliseconds an image; "auto" does so
            where the global one does not meet an adversarial example.
        assume: What layers that are not known compute in inference, by name:
            a `LinearMapSpec` or a `bounds.Activation`. They are believed, and
            the result names them.
        radii: False decides at the epsilons and refines no radius beyond
            what that takes: sooner. Accuracies are proved, too; an image
            whose refined radius exceeds an epsilon by less than the search
            errs, some 1e-5 of it, or by local bounds alone, may not count.
        falsify: Whether to attack every certified point inside its radius,
            by means that the certifier does not use.
        checkpoint: Folder in which each batch is kept as it is done. The same
            call goes on where a killed one stopped, to the same arrays.
        batch_size: Images at a time; memory grows with it alone.
        limit: Most images to certify; None for all.
        data_dir: Folder of tensorflow-datasets, for a name.
        options: How hard to search. Its targets are replaced by `targets`.
        verbose: 0 for silence, 1 for a progress bar on stderr if that is a
            terminal.

    Returns:
        A frozen result, in the order of the data.

    Raises:
        UnsupportedModelError: The model cannot be certified; the message
            names the layer and a way out.
        FalseCertificateError: `falsify` has found a counter-example, saved
            in the checkpoint's folder, or else in the current one.
        InvalidCheckpointError: The checkpoint is damaged or of another run.
        DataError: The data do not fit the model or are not to be had.
        ValueError: An epsilon is not positive, or an option is unknown.
    """
    start = time.monotonic()
    epsilons = certificates.check_epsilons(epsilons)
    options = dataclasses.replace(
        options or certificates.CertifierOptions(),
        targets=_check(certificates.Targets, "targets", targets),
    )
    scope = _check(certificates.Curvature, "curvature", curvature)
    if not radii:
        options = _deciding_alone(options, epsilons)
    if falsify and options.targets is not certificates.Targets.ALL:
        raise ValueError(
            "What certifies nothing cannot be falsified. "
            f"Received: falsify={falsify!r}, targets={targets!r}."
        )
    subject = read_subject(model, guard=guard, rigor=rigor, assume=assume)
    certifier = _certifier(subject.network, scope, options)
    # Tracing takes a second or two; data and curvature bounds take as long.
    with futures.ThreadPoolExecutor(max_workers=1) as meanwhile:
        meanwhile.submit(certifier.trace)
        source = tfcurv_data.batches(
            data,
            input_shape=subject.input_shape,
            num_classes=subject.network.num_classes,
            batch_size=batch_size,
            data_dir=data_dir,
            limit=limit,
            expects_unit_range=not subject.is_scaled,
        )
        facts = {
            "targets_protocol": options.targets.value,
            "model_hash": subject.model_hash,
            "guard": guard,
            "rigor": rigor,
            "curvature": _curvature_bounds(subject.network, scope),
            "decisions_only": not radii,
            "assumptions": subject.assumptions,
            "versions": _versions(),
        }
        store = None
        if checkpoint is not None:
            run = {"options": repr(options), "falsify": falsify, "limit": limit}
            run |= {"batch_size": batch_size, **facts}
            store = certificates.Checkpoint(checkpoint, run)
        attacker = (
            Attacker(subject, folder=checkpoint or ".") if falsify else None
        )
        job = _Job(subject, certifier, options, scope, attacker, store, verbose)
        columns = job.run(source)
        seconds = time.monotonic() - start + columns.pop("seconds_before")
    return certificates.CertificationResult(
        **columns,
        **facts,
        epsilons=epsilons,
        data_name=source.name,
        model_name=getattr(model, "name", "network"),
        seconds=seconds,
    )


def _certifier(network, scope, options):
    """Returns what certifies batches of points of a network."""
    if not bounds.has_relu(network):
        return certificates.Certifier(network, options)
    if scope is not certificates.Curvature.GLOBAL:
        raise ValueError(
            "Networks with ReLU are bounded by quadratics, everywhere and "
            "around each image: there is nothing to choose. "
            f"Received: curvature={scope.value!r}. Allowed: 'global'."
        )
    if network.rigor.value != "verified":
        raise ValueError(
            "Networks with ReLU are certified by verified norms alone. "
            f"Received: rigor={network.rigor.value!r}. Allowed: 'verified'."
        )
    return certificates.ReluCertifier(network, options)


def _deciding_alone(options, epsilons):
    """Returns options that refine no radius beyond what the epsilons take."""
    if not epsilons:
        raise ValueError(
            "There is nothing to decide. "
            f"Received: radii=False, epsilons={epsilons!r}."
        )
    return dataclasses.replace(
        options, enough=max(epsilons), too_little=min(epsilons)
    )


def _curvature_bounds(network, scope) -> str:
    """Returns what a result says of its curvature bounds."""
    is_bent = not bounds.has_relu(network)
    return scope.value if is_bent else certificates.RELU_CURVATURE


_Choice = TypeVar("_Choice", bound=enum.Enum)


def _check(choices: type[_Choice], name: str, value: str) -> _Choice:
    try:
        return choices(value)
    except ValueError as error:
        allowed = [entry.value for entry in choices]
        raise ValueError(
            f"Unknown choice. Received: {name}={value!r}. Allowed: {allowed}."
        ) from error


class _Job:
    """One run over data: certifies batch after batch, or reads it back."""

    def __init__(
        self, subject, certifier, options, scope, attacker, checkpoint, verbose
    ):
        self._subject = subject
        self._certifier = certifier
        self._attacker = attacker
        self._checkpoint = checkpoint
        self._verbose = verbose
        # Deep networks take a second a pair of classes before the first image.
        self._pairs = report.progress_bar(
            None, "curvature bound", verbose=verbose
        )
        self._near = report.progress_bar(
            None, "local curvature bound", verbose=verbose
        )
        self._saved = time.monotonic()
        known = checkpoint and checkpoint.load_curvature()
        # Bounds for pairs of classes; those of ReLU are made for each image.
        self._table: Any = None
        if not bounds.has_relu(subject.network):
            self._table = certificates.CurvatureTable(
                subject.network, self._on_bound, known
            )
        # Without activations nothing is curved.
        self._refiner = None
        is_curved = bool(subject.network.activations)
        if is_curved and scope is not certificates.Curvature.GLOBAL:
            self._refiner = certificates.LocalRefiner(
                subject.network, options, scope, self._near.update
            )

    def run(self, source: tfcurv_data.BatchSource) -> dict[str, Any]:
        """Returns the fields of the result that the data decide."""
        fingerprint = tfcurv_data.DataFingerprint()
        shards, count, sums = [], 0, np.zeros(2)
        images = report.progress_bar(
            source.num_examples,
            "image",
            verbose=self._verbose,
            description="certifying",
        )
        with images, self._pairs, self._near:
            for index, batch in enumerate(source):
                fingerprint.update(batch)
                with _says_how_to_go_on(count, self._checkpoint):
                    shards.append(self._shard(index, count, batch))
                count += len(batch.labels)
                sums += _sums(shards[-1])
                right, radii = sums
                images.set_postfix(
                    clean=right / count,
                    mean_radius=radii / max(right, 1),
                    refresh=False,
                )
                images.update(len(batch.labels))
        columns = {
            name: np.concatenate([shard[name] for shard in shards])
            for name in shards[0]
        }
        for name, kind in _TOTALS.items():
            columns[name] = kind(np.sum(columns[name]))
        return {**columns, "data_hash": fingerprint.hexdigest()}

    def _shard(self, index, first, batch) -> dict[str, np.ndarray]:
        """Returns the arrays of one batch, computed at most once."""
        if self._checkpoint is None:
            return {
                **self._compute(first, batch),
                "seconds_before": np.zeros(1),
            }
        one = tfcurv_data.DataFingerprint()
        one.update(batch)
        found = self._checkpoint.load_shard(index, one.hexdigest())
        if found is None:
            start = time.monotonic()
            found = self._compute(first, batch)
            seconds = np.array([time.monotonic() - start])
            found["seconds_before"] = seconds
            self._checkpoint.save_shard(index, one.hexdigest(), found)
            # This run's time counts it already.
            found["seconds_before"] = np.zeros(1)
        return found

    def _compute(self, first, batch) -> dict[str, np.ndarray]:
        x = tf.constant(batch.inputs.reshape(len(batch.labels), -1), tf.float64)
        found = self._certificates(x, batch.labels)
        shard = {
            "labels": batch.labels,
            "predictions": found.prediction,
            "radii": found.radius,
            "targets": found.target,
            "upper_bounds": found.upper_bound,
            "exact": found.exact,
            "reasons": found.reason,
            "num_evaluations": found.num_evaluations,
            "num_attacks": np.zeros(1, np.int64),
        }
        if self._attacker is not None:
            shard["num_attacks"] += self._attacker(
                x, batch.labels, found.radius, found.target, first
            )
        return shard

    def _certificates(self, x, labels) -> certificates.Certificates:
        if self._table is None:
            return self._certifier(x.numpy(), labels)
        curvature = self._curvature(x, labels)
        found = self._certifier(x, tf.constant(labels), curvature)
        found = certificates.Certificates(*(f.numpy() for f in found))
        if self._refiner is None:
            return found
        return self._refiner(x.numpy(), labels, curvature.numpy(), found)

    def _curvature(self, x, labels) -> tf.Tensor:
        runners_up = labels
        if not self._table.covers_all_pairs:
            logits = self._subject.network.logits(x)
            runners_up = certificates.rival(logits, labels).numpy()
        before = self._table.num_known
        found = self._table.bounds(labels, runners_up)
        if self._checkpoint is not None and self._table.num_known > before:
            self._checkpoint.save_curvature(self._table.arrays())
        return tf.constant(found)

    def _on_bound(self) -> None:
        self._pairs.update()
        # A killed run loses no more than this of its bounds.
        now = time.monotonic()
        if self._checkpoint is not None and now - self._saved > _SAVE_SECONDS:
            self._checkpoint.save_curvature(self._table.arrays())
            self._saved = now


def _sums(shard) -> np.ndarray:
    """Returns the number of right predictions and the sum of radii."""
    right = shard["predictions"] == shard["labels"]
    return np.array([np.sum(right), np.sum(shard["radii"])])


@contextlib.contextmanager
def _says_how_to_go_on(count: int, checkpoint: Any) -> Iterator[None]:
    """Gives an interruption a text: what is kept, or how it would have been."""
    try:
        yield
    except KeyboardInterrupt as error:
        kept = "Nothing is kept; with checkpoint= the same call would go on."
        if checkpoint is not None:
            kept = "The same call goes on from its checkpoint."
        raise KeyboardInterrupt(
            f"certify was interrupted after {count} images. {kept}"
        ) from error


def _versions() -> dict[str, str]:
    return {
        "tfcurv": version.__version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
