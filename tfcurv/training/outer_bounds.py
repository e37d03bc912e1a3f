"""Where the logits can be, by each rule: Figures 2 and 3 of [LLP20].

Of a trained network, with proved norms and in float64, rounding included.

[LLP20]: Lee, Lee and Park, "Lipschitz-Certifiable Training with a Tight Outer
Bound", NeurIPS 2020.
"""

from collections.abc import Mapping
import types

import keras
import numpy as np

from tfcurv.bounds.propagation import ball_box
from tfcurv.certificates.interval.regions import GraphRegions
from tfcurv.nn.reading.subject import read_subject

#: What is carried through the network, by the objective that trains with it.
RULES: Mapping[str, ball_box.Rules] = types.MappingProxyType(
    {
        "lmt": ball_box.Rules(box=False),
        "ibp": ball_box.Rules(ball=False),
        "bcp": ball_box.Rules(),
    }
)

_DIRECTIONS = 96
_ROWS = 256


def mean_translations(
    model: keras.Model, images: np.ndarray, epsilon: float
) -> dict[str, np.ndarray]:
    """Returns by how much logits can rise over others, a mean over pairs.

    The measure of tightness of [LLP20, section 4]: the largest rise of
    z_t - z_y within epsilon, mean over all pairs of classes y != t.

    Args:
        model: It ends in logits.
        images: `[n, ...]`.
        epsilon: l2 distance.

    Returns:
        By a key of `RULES`, `[n]` float64.
    """
    subject = read_subject(model, as_graph=True)
    x = np.reshape(images, [len(images), -1]).astype(np.float64)
    classes = subject.network.graph.num_classes
    rows = np.repeat(x, classes, axis=0)
    labels = np.tile(np.arange(classes, dtype=np.int32), len(x))
    found = {}
    for name, rules in RULES.items():
        regions = GraphRegions(subject.network.graph, rules)
        rises = _rises(regions, rows, labels, epsilon)
        rises = rises.reshape(len(x), classes, classes)
        rises[:, range(classes), range(classes)] = 0.0
        found[name] = rises.sum(axis=(1, 2)) / (classes * (classes - 1))
    return found


def logit_plane(
    model: keras.Model,
    image: np.ndarray,
    first: int,
    second: int,
    epsilon: float,
) -> dict[str, np.ndarray]:
    """Returns where two logits can be together, a polygon by each rule.

    The image of a ball, a box or both of the last features in the plane of
    two logits: an ellipse, a polygon, or the first cut by the second. Half
    planes of many directions meet in the polygons, so that each encloses what
    it stands for.

    Args:
        model: It ends in logits.
        image: One input.
        first: Class of the horizontal axis.
        second: Another class, of the vertical axis.
        epsilon: l2 distance.

    Returns:
        By a key of `RULES`, `[k, 2]` corners, relative to the image's logits.
    """
    angles = 2.0 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    looked_at = _with_directions(model, first, second, directions)
    graph = read_subject(looked_at, as_graph=True).network.graph
    x = np.reshape(image, [1, -1]).astype(np.float64)
    found = {}
    for name, rules in RULES.items():
        regions = GraphRegions(graph, rules)
        reach = _rises(regions, x, np.zeros(1, np.int32), epsilon)[0, 1:]
        found[name] = _corners(directions, reach)
    return found


def _with_directions(
    model: keras.Model, first: int, second: int, directions: np.ndarray
) -> keras.Model:
    """Returns a model of logits u . (z_first, z_second), behind one of zero.

    How far u . z rises over zero is how far the plane reaches along u.
    """
    count = len(directions) + 1
    weights = np.zeros((model.output_shape[-1], count), np.float32)
    weights[first, 1:], weights[second, 1:] = directions.T
    last = keras.layers.Dense(count, use_bias=False, dtype=model.compute_dtype)
    inputs = keras.Input(model.input_shape[1:], dtype=model.input_dtype)
    looked_at = keras.Model(inputs, last(model(inputs)))
    last.set_weights([weights])
    return looked_at


def _rises(regions: GraphRegions, x, y, epsilon: float) -> np.ndarray:
    """Returns by how much margins fall from the point to its worst."""
    parts = []
    for start in range(0, len(x), _ROWS):
        rows = slice(start, start + _ROWS)
        far = np.full(len(x[rows]), epsilon)
        at_point = regions.margins(x[rows], y[rows], np.zeros_like(far))
        parts.append(at_point - regions.margins(x[rows], y[rows], far))
    return np.concatenate(parts)


def _corners(directions: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Returns where the edges of neighbouring half planes u . p <= h meet."""
    after = np.roll(directions, -1, axis=0)
    edges = np.stack([directions, after], axis=1)
    ends = np.stack([reach, np.roll(reach, -1)], axis=-1)
    return np.linalg.solve(edges, ends[..., np.newaxis])[..., 0]
