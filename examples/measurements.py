"""What is measured on a trained network for the published tables.

Each part is a dictionary of plain numbers: shares, radii, seconds.
"""

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
from typing import Any

import keras
import measurements_bcp
import measurements_colt
import numpy as np
import tensorflow as tf

from tfcurv import bounds
from tfcurv import certificates
from tfcurv import data
from tfcurv import networks
from tfcurv import nn
from tfcurv import report
from tfcurv import runs

_BOTH = (0.5, 1.58)

# As many random correctly classified images as the published means are over.
_SAMPLE = 150

# Local bounds cost tens of milliseconds an image and class.
_LOCAL_IMAGES = 1000
_CURVATURE_IMAGES = 1000
# What is measured beside the main figures, to explain them.
_THEOREM4_IMAGES = 1000

# Lines of a deep network of 1,024 neurons a layer cost seconds an image.
_LINES_IMAGES = 50
_COMPARED = ("curvature", "crown")

# Distances this close, relative, are called equal.
_EQUAL = 1e-4

_BATCH = 1000


def _certify(model, split: data.Split, epsilon: float, **options):
    images = split.images, split.labels
    return runs.certify(
        model, images, method="curvature", epsilons=(epsilon,), **options
    )


def _figures(result, epsilon: float) -> dict[str, float]:
    found = {
        "images": result.num_images,
        "clean": result.clean_accuracy,
        "certified": result.certified_accuracy(epsilon),
        "attacked": result.attacked_accuracy(epsilon),
        "radius": result.mean_radius,
        "seconds": result.seconds,
    }
    if result.is_certificate:
        found["exact"] = result.exact_share
    return found


def against_all(
    model, split: data.Split, epsilon: float, verbose: int = 1
) -> dict[str, float]:
    """Certifies against every other class; `radius` is a mean, of correct."""
    return _figures(_certify(model, split, epsilon, verbose=verbose), epsilon)


def at_both_radii(
    model, split: data.Split, epsilon: float, verbose: int = 1
) -> dict:
    """Certifies against every other class at the radii of the paper."""
    del epsilon
    images = split.images, split.labels
    result = runs.certify(
        model, images, method="curvature", epsilons=_BOTH, verbose=verbose
    )
    found = {"clean": result.clean_accuracy, "seconds": result.seconds}
    for radius in _BOTH:
        found[f"certified {radius}"] = result.certified_accuracy(radius)
        found[f"attacked {radius}"] = result.attacked_accuracy(radius)
    return found


def against_runner_up(
    model, split: data.Split, epsilon: float, verbose: int = 1
) -> dict[str, float]:
    """Follows the published protocol, which certifies nothing."""
    result = _certify(
        model, split, epsilon, targets="runner-up", verbose=verbose
    )
    found = _figures(result, epsilon)
    correct = np.flatnonzero(result.correct)
    sample = np.random.default_rng(0).permutation(correct)[:_SAMPLE]
    found["radius_of_sample"] = float(np.mean(result.radii[sample]))
    return found


def local_curvature(
    model, split: data.Split, epsilon: float, verbose: int = 1
) -> dict[str, dict[str, float]]:
    """Compares global with local curvature bounds on the first images."""
    return {
        f"{targets}, {curvature}": _figures(
            _certify(
                model,
                split,
                epsilon,
                targets=targets,
                curvature=curvature,
                limit=_LOCAL_IMAGES,
                verbose=verbose,
            ),
            epsilon,
        )
        for targets in ("runner-up", "all")
        for curvature in ("global", "local")
    }


def duality(
    model, split: data.Split, epsilon: float, verbose: int = 1
) -> dict[str, float]:
    """Counts the points where primal and dual meet, for the runner-up.

    `attack`: the worst point of the ball was found and proved to be it.
    `certificate`: a point of the other class lies as far away as the
    certificate reaches. Shares of the correctly classified images.
    """
    network = nn.network_from_model(model)
    bounder = bounds.CurvatureBounder(network)
    table = _curvature(network, bounder.pair_concavity_upper_bound)
    return _meeting(network, table, split, epsilon, verbose)


def duality_with_theorem4(
    model, split: data.Split, epsilon: float, verbose: int = 1
) -> dict[str, float]:
    """Counts as `duality` does, of the first images, with Theorem 4's bound."""
    network = nn.network_from_model(model)
    bounder = bounds.CurvatureBounder(network)
    table = _curvature(network, bounder.pair_theorem4_bound)
    first = _first(split, _THEOREM4_IMAGES)
    return _meeting(network, table, first, epsilon, verbose)


def _first(split: data.Split, count: int) -> data.Split:
    images, labels = split.images[:count], split.labels[:count]
    return dataclasses.replace(split, images=images, labels=labels)


def _curvature(network: networks.Network, bound) -> np.ndarray:
    """Returns a bound for each pair of classes."""
    classes = range(network.num_classes)
    return np.array([[bound(y, t) for t in classes] for y in classes])


def _meeting(
    network: networks.Network,
    curvature: np.ndarray,
    split: data.Split,
    epsilon: float,
    verbose: int,
) -> dict[str, float]:
    meet = tf.function(
        lambda *batch: _meet(network, epsilon, *batch),
        input_signature=[
            tf.TensorSpec([None, network.input_dim], tf.float64),
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([None], tf.float64),
        ],
        autograph=False,
    )
    x = split.images.reshape(len(split.labels), -1).astype(np.float64)
    labels = split.labels.astype(np.int32)
    counts = np.zeros(3)
    progress = report.progress_bar(len(labels), "image", verbose=verbose)
    for start in range(0, len(labels), _BATCH):
        rows, y = x[start : start + _BATCH], labels[start : start + _BATCH]
        logits = network.logits(tf.constant(rows))
        t = certificates.rival(logits, y).numpy().astype(np.int32)
        right = np.argmax(logits, axis=-1) == y
        rows, y, t = rows[right], y[right], t[right]
        a = curvature[y, t]
        counts += [len(y), *(np.sum(found) for found in meet(rows, y, t, a))]
        progress.update(len(right))
    progress.close()
    total, attack, certificate = counts.tolist()
    return {"attack": attack / total, "certificate": certificate / total}


def _meet(network: networks.Network, epsilon: float, x, y, t, a):
    weights, bias = network.pair(y, t, x.dtype)
    unlimited = tf.fill(tf.shape(a), tf.constant(float("inf"), a.dtype))
    problem = certificates.Problem(
        x, weights, bias, a, unlimited, tf.zeros_like(a)
    )
    worst = certificates.worst_case(
        network, problem, tf.constant(epsilon, x.dtype)
    )
    options = certificates.SearchOptions(relative_tolerance=1e-8)
    centre = certificates.find_centre(network, problem, options).centre
    evaluation = network.evaluate(centre, weights, bias)
    proved = certificates.safe_ball_radius(evaluation, x - centre, a)
    beyond = x + (1.0 + _EQUAL) * (centre - x)
    crossed = network.evaluate(beyond, weights, bias).margin <= 0.0
    distance = tf.norm(beyond - x, axis=-1)
    return worst.is_worst, crossed & (distance <= (1.0 + 3.0 * _EQUAL) * proved)


def curvature_bounds(
    model, split: data.Split, epsilon: float, verbose: int = 1
) -> dict:
    """Measures the curvature at the data and its bounds, means over pairs."""
    del epsilon
    images = split.images, split.labels
    study = runs.curvature_report(
        model, images, limit=_CURVATURE_IMAGES, verbose=verbose
    )
    return {
        "pairs": len(study.pairs),
        "k_lb_estimate": study.k_lb_estimate,
        "k_ub_bound": study.k_ub_bound,
        "convexity_bound": float(np.mean(study.proved.convexity_bound)),
        "layer_ratio_estimate": study.layer_ratio_estimate.tolist(),
    }


def with_theorem4(
    model, split: data.Split, epsilon: float, verbose: int = 1
) -> dict:
    """Certifies with the published curvature bound in place of tfcurv's own.

    Shares of the first images, certified at epsilon, by protocol and bound.
    """
    del verbose  # It is over soon.
    network = nn.network_from_model(model)
    bounder = bounds.CurvatureBounder(network)
    split = _first(split, _THEOREM4_IMAGES)
    count = len(split.labels)
    x = split.images.reshape(count, -1).astype(np.float64)
    labels = split.labels.astype(np.int32)
    found = {"images": count}
    tables = {
        "theorem 4": _curvature(network, bounder.pair_theorem4_bound),
        "signed": _curvature(network, bounder.pair_concavity_upper_bound),
    }
    for targets in certificates.Targets:
        options = certificates.CertifierOptions(targets=targets)
        certifier = certificates.Certifier(network, options)
        for name, table in tables.items():
            radii = certifier(x, labels, table).radius
            share = float(np.mean(radii > epsilon))
            found[f"{targets.value}, {name}"] = share
    return found


def beside_lines(
    model, split: data.Split, epsilon: float, verbose: int = 1
) -> dict[str, float]:
    """Compares curvature with linear bounds.

    Mean radii over the first images, of those that are right; `attacked` is
    the mean distance of adversarial examples, of those that have one.
    """
    del epsilon
    found: dict[str, float] = {}
    upper = np.inf
    for method in _COMPARED:
        result = runs.certify(
            model,
            (split.images, split.labels),
            method=method,
            epsilons=(),
            limit=_LINES_IMAGES,
            verbose=verbose,
        )
        found |= {
            "images": result.num_images,
            "clean": result.clean_accuracy,
            method: result.mean_radius,
            f"{method}, seconds": result.seconds,
        }
        upper = np.minimum(upper, result.upper_bounds[result.correct])
    return {**found, "attacked": float(np.mean(upper[np.isfinite(upper)]))}


#: By name: maps a model, test images, a radius and whether to show progress to
#: what was found.
PARTS: Mapping[str, Callable[[keras.Model, data.Split, float, int], Any]] = {
    "all": against_all,
    "both": at_both_radii,
    "runner_up": against_runner_up,
    "local": local_curvature,
    "duality": duality,
    "duality_theorem4": duality_with_theorem4,
    "curvature": curvature_bounds,
    "theorem4": with_theorem4,
    "lines": beside_lines,
    **measurements_bcp.PARTS,
    **measurements_colt.PARTS,
}
