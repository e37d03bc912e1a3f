"""The curvature bound of Theorem 4 as a differentiable training penalty."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from tfcurv.networks.functions.smooth import Activation
from tfcurv.networks.maps.linear_map import root_of
from tfcurv.networks.maps.trained import TrainedMap


class TrainedAdd(NamedTuple):
    """The sum of several values."""


class TrainedConcatenate(NamedTuple):
    """Several values side by side.

    Attributes:
        shapes: Of one sample of each value.
        axis: Along which they are put together, not counting the batch.
    """

    shapes: tuple[tuple[int, ...], ...]
    axis: int

    def split(self, rows: tf.Tensor) -> list[tf.Tensor]:
        """Returns each value's part of flattened rows of the whole."""
        sizes = [shape[self.axis] for shape in self.shapes]
        whole = list(self.shapes[0])
        whole[self.axis] = sum(sizes)
        samples = tf.reshape(rows, [-1, *whole])
        parts = tf.split(samples, sizes, self.axis + 1)
        return [tf.reshape(part, [tf.shape(rows)[0], -1]) for part in parts]


class TrainedStep(NamedTuple):
    """One step of a network in training.

    Attributes:
        operation: What is done; None for the network's input.
        sources: Positions of the earlier steps that it is done to.
    """

    operation: TrainedMap | Activation | TrainedAdd | TrainedConcatenate | None
    sources: tuple[int, ...]


def theorem4_estimate(
    steps: Sequence[TrainedStep], rows: tf.Tensor
) -> tf.Tensor:
    """Returns K(W, y, t) of [SF20, Theorem 4], with estimated norms.

    For a chain of dense maps

        K = sum_I h_I r_I^2 max_j S_{I,j},   r_1 = ||W_1||,
        r_I = g_{I-1} ||W_I|| r_{I-1},       S_{L-1} = |w|,
        S_I = g_{I+1} S_{I+1} |W_{I+1}|,     w = W_L[y] - W_L[t],

    where g and h are the largest |s'| and |s''|: r bounds how fast the values
    before an activation change, S the slope along each value after it. In a
    graph, r is the sum over what is added and the root of the sum of squares
    over what is concatenated, and S the sum over all that reads a value.
    Slopes are added with their signs for as long as no activation has made
    them depend on the point. Differentiable in the maps. It is no bound while
    the norms are estimates, which approach from below. Source: Singla and
    Feizi, "Second-Order Provable Defenses against Adversarial Attacks", ICML
    2020 [SF20].

    Args:
        steps: The network: the input first, the logits last.
        rows: `[batch, classes]` e_y - e_t.

    Returns:
        `[batch]`, in logits per squared input unit; zero without activations.
    """
    return _BackwardPass(steps, rows).curvature()


class _Slopes:
    """Slopes along the values of one step, one row a pair of classes."""

    def __init__(self):
        self.signed = None  # Of the paths without an activation.
        self.bound = None  # On the absolute values, of all others.
        self._peak = None

    @property
    def is_empty(self) -> bool:
        return all(x is None for x in (self.signed, self.bound, self._peak))

    def add(self, signed=None, bound=None) -> None:
        self.signed = _sum(self.signed, signed)
        self.bound = _sum(self.bound, bound)

    def set_peak(self, peak) -> None:
        """Says what the largest are, where nobody will ask for the others."""
        self._peak = peak

    def sizes(self) -> tf.Tensor:
        size = None if self.signed is None else tf.abs(self.signed)
        return _sum(size, self.bound)

    def peak(self) -> tf.Tensor:
        if self._peak is not None:
            return self._peak
        return tf.reduce_max(self.sizes(), axis=-1)


def _sum(one, other):
    if one is None or other is None:
        return other if one is None else one
    return one + other


class _BackwardPass:
    """Walks from the logits to the first activations."""

    def __init__(self, steps: Sequence[TrainedStep], rows: tf.Tensor):
        self._steps = steps
        self._radii = _radii(steps, rows.dtype)
        self._curved = _curved(steps)
        self._uses = [source for step in steps for source in step.sources]
        self._slopes = [_Slopes() for _ in steps]
        self._slopes[-1].add(signed=rows)
        self._total = tf.zeros_like(rows[:, 0])

    def curvature(self) -> tf.Tensor:
        for index in reversed(range(len(self._steps))):
            operation, sources = self._steps[index]
            slopes = self._slopes[index]
            if slopes.is_empty:
                continue
            if isinstance(operation, Activation):
                self._pass_activation(operation, sources[0], slopes)
            elif isinstance(operation, TrainedMap):
                self._pass_map(operation, sources[0], slopes)
            elif operation is not None:
                self._pass_join(operation, sources, slopes)
        return self._total

    def _pass_activation(self, activation, source, slopes) -> None:
        curvature = activation.curvature_range.magnitude
        self._total += curvature * self._radii[source] ** 2 * slopes.peak()
        if self._curved[source]:
            slope = activation.slope_range.magnitude
            self._slopes[source].add(bound=slope * slopes.sizes())

    def _pass_map(self, linear, source, slopes) -> None:
        if not self._curved[source]:
            return
        before = self._slopes[source]
        if slopes.signed is not None:
            before.add(signed=linear.transpose(slopes.signed))
        elif self._needs_peak_alone(source):
            before.set_peak(linear.peak(slopes.bound))
            return
        if slopes.bound is not None:
            before.add(bound=linear.absolute_transpose(slopes.bound))

    def _needs_peak_alone(self, index) -> bool:
        operation, sources = self._steps[index]
        return (
            isinstance(operation, Activation)
            and not self._curved[sources[0]]
            and self._uses.count(index) == 1
        )

    def _pass_join(self, operation, sources, slopes) -> None:
        signed = _parts(operation, slopes.signed, len(sources))
        bound = _parts(operation, slopes.bound, len(sources))
        for source, *parts in zip(sources, signed, bound):
            if self._curved[source]:
                self._slopes[source].add(*parts)


def _parts(operation, rows, count) -> list[tf.Tensor | None]:
    if rows is None or isinstance(operation, TrainedAdd):
        return [rows] * count
    return operation.split(rows)


def _curved(steps: Sequence[TrainedStep]) -> list[bool]:
    """Returns whether an activation is part of each step's value."""
    curved: list[bool] = []
    for operation, sources in steps:
        own = isinstance(operation, Activation)
        curved.append(own or any(curved[source] for source in sources))
    return curved


def _radii(steps: Sequence[TrainedStep], dtype) -> list[tf.Tensor]:
    """Returns r of each step: how fast its value changes with the input."""
    radii: list[tf.Tensor] = []
    for operation, sources in steps:
        before = [radii[source] for source in sources]
        radii.append(_radius(operation, before, dtype))
    return radii


def _radius(operation, before, dtype) -> tf.Tensor:
    if operation is None:
        return tf.ones([], dtype)
    if isinstance(operation, Activation):
        return operation.slope_range.magnitude * before[0]
    if isinstance(operation, TrainedMap):
        return operation.norm(dtype) * before[0]
    if isinstance(operation, TrainedAdd):
        return tf.add_n(before)
    return root_of(tf.add_n([tf.square(radius) for radius in before]))
