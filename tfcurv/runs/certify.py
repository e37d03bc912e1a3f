"""`tfcurv.certify`: from a model and data to a result."""

from collections.abc import Mapping
from collections.abc import Sequence
from concurrent import futures
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

from tfcurv import certificates
from tfcurv import data as tfcurv_data
from tfcurv import networks
from tfcurv import results
from tfcurv import version
from tfcurv.nn.reading.graph import Assumption
from tfcurv.nn.reading.subject import read_subject
from tfcurv.runs.falsify import Attacker
from tfcurv.runs.job import Job


def certify(
    model: keras.Model | networks.Network,
    data: Any,
    *,
    method: str = "auto",
    norm: str = "l2",
    domain: tuple[float, float] | None = None,
    epsilons: Sequence[float] | None = None,
    targets: str = "all",
    guard: str | None = None,
    rigor: str = "verified",
    curvature: str = "global",
    assume: Mapping[str, Assumption] | None = None,
    radii: bool = True,
    branches: int | None = None,
    falsify: bool = False,
    checkpoint: str | pathlib.Path | None = None,
    batch_size: int = tfcurv_data.DEFAULT_BATCH_SIZE,
    limit: int | None = None,
    data_dir: str | None = None,
    options: certificates.CertifierOptions | None = None,
    verbose: int = 1,
) -> results.CertificationResult:
    """Proves how far each input can be moved before its class can change.

    For every image a radius against every other class, the smallest counting,
    proved in float64 with outward rounding: for smooth networks by the
    curvature-based certificate of [SF20, Theorem 1], from bounds on the
    eigenvalues of the Hessian of each logit difference; for others, and where
    it is asked for, by another method. See `CertificationResult` for what is
    guaranteed.

    Source: Singla and Feizi, "Second-Order Provable Defenses against
    Adversarial Attacks", ICML 2020 [SF20].

    Args:
        model: A `keras.Sequential` or functional model that ends in logits;
            or a `Network`. Its layers may be dense, convolutions, pooling,
            normalisations, paddings, sums and joins of branches, with smooth
            or piecewise linear activations; docs/methods.md has the list.
        data: A batched `tf.data.Dataset` of (x, y), a pair of arrays, or the
            name of a data set (its test split, pixels in [0, 1]).
        method: How to prove: "curvature" for bounds on the Hessian,
            "quadratic" for quadratic minorants of two-layer ReLU networks,
            "bcp" for a ball and a box propagated side by side, "crown" for
            linear bounds backward through the network, "lipschitz" for global
            Lipschitz constants, "ibp" for boxes alone, "crown-ibp" for linear
            bounds on intervals of ball and box, "coap" for those of parallel
            lines, "complete" for branch and bound, which decides ReLU networks;
            "auto" takes the first of these that can do the model and the
            threat, and asks "crown" too about images that this leaves far from
            an adversarial example, unless it has a closed form and the network
            one hidden layer; last, of deep smooth networks for the curvature
            around them, and with `radii=False`, of deep ReLU networks of up to
            20,000 neurons, "complete".
        norm: In which the distance is measured, "l2" or "linf".
        domain: Interval that every entry of an input lies in, such as (0, 1):
            nothing is then said of inputs outside of it. None for all inputs.
        epsilons: Radii of the summary, in the units of the model's input.
            Default: round ones among the radii found.
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
            where the global one does not meet an adversarial example. With
            method "auto" deep networks end with the last whatever is said here.
        assume: What layers that are not known compute in inference, by name:
            a `LinearMapSpec` or a `networks.Activation`. They are believed, and
            the result names them.
        radii: False decides at the epsilons and refines no radius beyond
            what that takes: sooner. Accuracies are proved, too; an image
            whose refined radius exceeds an epsilon by less than the search
            errs, some 1e-5 of it, or by local bounds alone, may not count.
        branches: Of "complete": how many bounds a margin may take before it is
            left open. Default: 1,000; of "auto" 200. Of several epsilons
            the greatest and the least are decided, others approached.
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
        UnsupportedModelError: The model cannot be certified, or not in this
            way; the message says why, and a way out.
        FalseCertificateError: `falsify` has found a counter-example, saved
            in the checkpoint's folder, or else in the current one.
        InvalidCheckpointError: The checkpoint is damaged or of another run.
        CheckpointInUseError: Another run is writing to it.
        DataError: The data do not fit the model or are not to be had.
        ValueError: An epsilon is not positive, or an option or a method is
            unknown.
    """
    start = time.monotonic()
    asked = certificates.check_epsilons(() if epsilons is None else epsilons)
    options = _with(options, targets, curvature, branches)
    threat = certificates.Threat(norm=norm, domain=domain)
    if not radii:
        options = _deciding_alone(options, asked)
    _check_falsifiable(options, falsify)
    subject = read_subject(
        model,
        guard=guard,
        rigor=rigor,
        assume=assume,
        as_graph=certificates.needs_graph(method, threat),
    )
    chosen = certificates.choose(
        method, subject.network, threat, options, subject.graph
    )
    decider = certificates.Decider(chosen)
    # Tracing takes a second or two; data and curvature bounds take as long.
    with futures.ThreadPoolExecutor(max_workers=1) as meanwhile:
        meanwhile.submit(decider.trace)
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
            "method": method,
            **decider.facts(),
            "decisions_only": not radii,
            "assumptions": subject.assumptions,
            "versions": _versions(),
        }
        store = None
        if checkpoint is not None:
            run = {"options": repr(options), "falsify": falsify, "limit": limit}
            run |= {"batch_size": batch_size, **facts}
            store = results.Checkpoint(checkpoint, run)
        attacker = None
        if falsify:
            attacker = Attacker(subject, None, checkpoint or ".", threat)
        columns = Job(decider, attacker, store, verbose).run(source)
        seconds = time.monotonic() - start + columns.pop("seconds_before")
    if epsilons is None:
        asked = results.fitting_epsilons(columns["radii"])
    return results.CertificationResult(
        **columns,
        **facts,
        epsilons=asked,
        data_name=source.name,
        model_name=getattr(model, "name", "network"),
        seconds=seconds,
    )


def _with(
    options: certificates.CertifierOptions | None,
    targets: str,
    curvature: str,
    branches: int | None,
) -> certificates.CertifierOptions:
    """Returns options with what is asked by name."""
    options = options or certificates.CertifierOptions()
    return dataclasses.replace(
        options,
        targets=_check(certificates.Targets, "targets", targets),
        curvature=_check(certificates.Curvature, "curvature", curvature),
        branches=options.branches if branches is None else branches,
    )


def _check_falsifiable(
    options: certificates.CertifierOptions, falsify: bool
) -> None:
    if falsify and options.targets is not certificates.Targets.ALL:
        raise ValueError(
            "What certifies nothing cannot be falsified. "
            f"Received: falsify=True, targets={options.targets.value!r}."
        )


def _deciding_alone(options, epsilons):
    """Returns options that refine no radius beyond what the epsilons take."""
    if not epsilons:
        raise ValueError(
            "There is nothing to decide. "
            f"Received: radii=False, epsilons={epsilons!r}. "
            "Remedy: epsilons=, such as (0.1, 0.5)."
        )
    return dataclasses.replace(
        options, enough=max(epsilons), too_little=min(epsilons)
    )


_Choice = TypeVar("_Choice", bound=enum.Enum)


def _check(choices: type[_Choice], name: str, value: str) -> _Choice:
    try:
        return choices(value)
    except ValueError as error:
        allowed = [entry.value for entry in choices]
        raise ValueError(
            f"Unknown choice. Received: {name}={value!r}. Allowed: {allowed}."
        ) from error


def _versions() -> dict[str, str]:
    return {
        "tfcurv": version.__version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
