"""What is measured on a trained network for the tables of [LLP20].

See `measurements` for the form, and `paper_bcp` for the source.
"""

import numpy as np

from tfcurv import data
from tfcurv import runs
from tfcurv import training

_RULES = ("bcp", "lipschitz", "ibp")
_LINES = ("crown-ibp", "coap")

# Curves and means settle before.
_CURVE_IMAGES = 1000
_TIGHTNESS_IMAGES = 200

# Of these some methods take seconds.
_AUTO_IMAGES = 300

# Digits of what is only drawn.
_DRAWN = 6


def _decided(model, split, epsilon, method, verbose, limit=None):
    """Returns what a method says at one epsilon."""
    return runs.certify(
        model,
        (split.images, split.labels),
        method=method,
        epsilons=(epsilon,),
        limit=limit,
        radii=False,
        verbose=verbose,
    )


def by_rules(
    model, split: data.Split, epsilon: float, verbose: int = 1
) -> dict[str, float]:
    """Certifies at epsilon by ball and box, by the ball and by the box alone.

    `attacked` is what the adversarial examples of all three runs leave.
    """
    return _by_methods(_RULES, model, split, epsilon, verbose)


def by_lines(
    model, split: data.Split, epsilon: float, verbose: int = 1
) -> dict[str, float]:
    """Certifies at epsilon by lines on boxes and by parallel lines."""
    return _by_methods(_LINES, model, split, epsilon, verbose)


def _by_methods(methods, model, split, epsilon, verbose) -> dict[str, float]:
    found, survived = {}, None
    for method in methods:
        result = _decided(model, split, epsilon, method, verbose)
        found[method] = result.certified_accuracy(epsilon)
        alive = result.correct & (result.upper_bounds > epsilon)
        survived = alive if survived is None else survived & alive
    return {
        "images": result.num_images,
        "clean": result.clean_accuracy,
        "attacked": float(np.mean(survived)),
        **found,
    }


def by_auto(
    model, split: data.Split, epsilon: float, verbose: int = 1
) -> dict[str, float]:
    """Certifies first images at epsilon by whatever proves most of each."""
    result, by_box = (
        _decided(model, split, epsilon, method, verbose, _AUTO_IMAGES)
        for method in ("auto", "bcp")
    )
    return {
        "images": result.num_images,
        "clean": result.clean_accuracy,
        "bcp": by_box.certified_accuracy(epsilon),
        "certified": result.certified_accuracy(epsilon),
        "attacked": result.attacked_accuracy(epsilon),
        "methods": {name: int(n) for name, n in result.method_counts.items()},
        "seconds": result.seconds,
    }


def radius_curve(
    model, split: data.Split, epsilon: float, verbose: int = 1
) -> dict[str, list]:
    """Certifies the first images by ball and box: what a curve is drawn from.

    Radii and distances of adversarial examples, each in rising order; None
    where no example was found.
    """
    images = split.images, split.labels
    result = runs.certify(
        model,
        images,
        method="bcp",
        epsilons=(epsilon,),
        limit=_CURVE_IMAGES,
        verbose=verbose,
    )
    curve = result.curve()
    attacked = np.sort(curve.attacked)
    return {
        # Outward, so that neither side gains by what is cut off.
        "certified": _floored(np.sort(curve.certified)).tolist(),
        "attacked": [
            None if np.isinf(value) else value
            for value in (-_floored(-attacked)).tolist()
        ],
    }


def _floored(values: np.ndarray) -> np.ndarray:
    return np.floor(values * 10.0**_DRAWN) / 10.0**_DRAWN


def tightness(
    model, split: data.Split, epsilon: float, verbose: int = 1
) -> dict[str, float]:
    """Compares how far logits can rise over others, by rule.

    The mean over pairs of classes that [LLP20] calls tightness, by ball and
    box and by the box alone, relative to that of the ball alone; means and
    two percentiles over the first images.
    """
    del verbose  # It is over in a minute.
    images = split.images[:_TIGHTNESS_IMAGES]
    rises = training.mean_translations(model, images, epsilon)
    found = {"images": len(images)}
    for name in ("bcp", "ibp"):
        ratios = rises[name] / rises["lmt"]
        found[name] = float(np.mean(ratios))
        found[f"{name}, least"] = float(np.percentile(ratios, 5))
        found[f"{name}, most"] = float(np.percentile(ratios, 95))
    return found


def plane(
    model, split: data.Split, epsilon: float, verbose: int = 1
) -> dict[str, object]:
    """Finds where the logits of label and runner-up can be, of one image.

    The first image that is right: nothing is chosen by what comes out.
    """
    del verbose
    logits = model.predict(split.images[:_CURVE_IMAGES], verbose=0)
    labels = split.labels[: len(logits)]
    (right,) = np.nonzero(np.argmax(logits, axis=-1) == labels)
    index = int(right[0])
    label = int(labels[index])
    rival = int(np.argsort(logits[index])[-2])
    outlines = training.logit_plane(
        model, split.images[index], label, rival, epsilon
    )
    centre = logits[index][[label, rival]].astype(np.float64)
    return {
        "image": index,
        "label": label,
        "rival": rival,
        "centre": centre.tolist(),
        "outlines": {
            name: np.round(centre + corners, _DRAWN).tolist()
            for name, corners in outlines.items()
        },
    }


#: Merged into `measurements.PARTS`.
PARTS = {
    "rules": by_rules,
    "line_rules": by_lines,
    "auto": by_auto,
    "curve": radius_curve,
    "tightness": tightness,
    "plane": plane,
}
