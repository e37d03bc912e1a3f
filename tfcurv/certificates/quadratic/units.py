"""One-dimensional bounds on relu that a search chooses from, unit by unit.

In a ball around x0, or everywhere, a hidden unit's z stays in [l, u]. Where
its weight is positive and l < 0 < u it is bounded below by a line alpha z, 0
<= alpha <= 1; where it is negative, from above by a parabola A z^2 + B z + C.
Mirrored if need be, so that [l, u] = [-m, M] with m <= M, for relu(z) = z +
relu(-z), the best parabola for a given A is

    (z + c)^2 / (4 c), c = 1 / (4 A)               if 4 A m >= 1,
    A (z + m)^2 + (1 - 2 sqrt(A m)) (z + m)        if A (m + M)^2 >= m,
    M / (m + M) (z + m) - A (z + m) (M - z)        otherwise:

it touches both arms; or is zero at -m and touches z; or goes through both
ends. At a given z it is convex in A. Nothing here is a proof.
"""

from typing import NamedTuple

import tensorflow as tf

from tfcurv.bounds.propagation.ball_box import half_widths


class Margin(NamedTuple):
    """A margin around one point.

    Attributes:
        z: `[n]` pre-activations at x0.
        weights: `[n]` w.
        bias: `[]` b.
    """

    z: tf.Tensor
    weights: tf.Tensor
    bias: tf.Tensor


class Shape(NamedTuple):
    """What the hidden units are in a ball.

    Attributes:
        on: `[n]` 1 where relu(z) = z in the ball, else 0.
        is_line: `[n]` whether a line bounds the unit.
        is_parabola: `[n]` whether a parabola does.
        is_mirrored: `[n]` whether -l > u.
        near: `[n]` m.
        far: `[n]` M.
    """

    on: tf.Tensor
    is_line: tf.Tensor
    is_parabola: tf.Tensor
    is_mirrored: tf.Tensor
    near: tf.Tensor
    far: tf.Tensor


def units_in_ball(margin: Margin, norms: tf.Tensor, ball: float) -> Shape:
    """Returns what the units are in a ball around x0.

    Args:
        margin: Of x0.
        norms: `[n]` norms of the columns of K.
        ball: Its radius, perhaps infinite.
    """
    reach = half_widths(tf.constant(ball, norms.dtype), norms)
    low, high = margin.z - reach, margin.z + reach
    is_open = (low < 0.0) & (high > 0.0)
    return Shape(
        on=tf.cast(low >= 0.0, low.dtype),
        is_line=is_open & (margin.weights > 0.0),
        is_parabola=is_open & (margin.weights < 0.0),
        is_mirrored=-low > high,
        near=tf.minimum(-low, high),
        far=tf.maximum(-low, high),
    )


def curvature(margin: Margin, shape: Shape, bend, eta) -> tf.Tensor:
    """Returns A where e = 2 eta |w| A is `bend`; 0 but for parabolas."""
    sizes = 2.0 * eta * tf.abs(margin.weights)
    zero = tf.zeros_like(bend)
    return tf.where(shape.is_parabola, bend / sizes, zero)


def _mirrored(shape: Shape, z) -> tf.Tensor:
    return tf.where(shape.is_mirrored, -z, z)


def wanted_alpha(z: tf.Tensor, variance: tf.Tensor) -> tf.Tensor:
    """Returns the alpha of a line that is asked for at z."""
    return 0.5 + 0.5 * z / tf.sqrt(z * z + variance + 1e-30)


def wanted_curvature(shape: Shape, z, variance) -> tf.Tensor:
    """Returns the A at which (d/dA)(parabola at z) + variance vanishes."""
    z, near, far = _mirrored(shape, z), shape.near, shape.far
    touching = tf.sqrt(z * z + variance + 1e-30)
    z = tf.clip_by_value(z, -near, far)
    beyond = tf.maximum(z + variance / (z + near), near)
    from_end = near / (beyond + near) ** 2
    zero = tf.zeros_like(z)
    from_end = tf.where((z > -near) & (beyond <= far), from_end, zero)
    found = tf.where(touching <= near, 0.25 / touching, from_end)
    return tf.where(shape.is_parabola, found, zero)


class _Cases(NamedTuple):
    """Which parabola A is of, and sqrt(A m)."""

    twice: tf.Tensor
    once: tf.Tensor
    root: tf.Tensor

    def pick(self, touching, from_end, chord) -> tf.Tensor:
        found = tf.where(self.once, from_end, chord)
        return tf.where(self.twice, touching, found)


def _cases(shape: Shape, a) -> _Cases:
    twice = 4.0 * a * shape.near >= 1.0
    once = a * (shape.near + shape.far) ** 2 >= shape.near
    return _Cases(twice, once, tf.sqrt(a * shape.near))


def _all_slopes(shape: Shape, alpha, of_parabolas) -> tf.Tensor:
    mirrored = tf.where(shape.is_mirrored, 1.0 - of_parabolas, of_parabolas)
    found = tf.where(shape.is_line, alpha, shape.on)
    return tf.where(shape.is_parabola, mirrored, found)


def slopes(shape: Shape, a, alpha) -> tf.Tensor:
    """Returns B of all units; alpha of lines."""
    near, far, cases = shape.near, shape.far, _cases(shape, a)
    chord = far / (near + far) - a * (far - near)
    from_end = 1.0 + 2.0 * a * near - 2.0 * cases.root
    half = 0.5 * tf.ones_like(a)
    return _all_slopes(shape, alpha, cases.pick(half, from_end, chord))


def constants(shape: Shape, a) -> tf.Tensor:
    """Returns C of all units."""
    near, far, cases = shape.near, shape.far, _cases(shape, a)
    chord = near * far / (near + far) - a * near * far
    from_end = a * near * near + (1.0 - 2.0 * cases.root) * near
    found = cases.pick(0.0625 / a, from_end, chord)
    return tf.where(shape.is_parabola, found, tf.zeros_like(a))


def slopes_along_eta(shape: Shape, a, alpha) -> tf.Tensor:
    """Returns the slopes by z of d(eta bound)/d eta, as eta A stays."""
    cases = _cases(shape, a)
    chord = shape.far / (shape.near + shape.far)
    half = 0.5 * tf.ones_like(a)
    found = cases.pick(half, 1.0 - cases.root, chord)
    return _all_slopes(shape, alpha, found)


def offsets_along_eta(shape: Shape, a, z) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the constants that go with them, and -2 eta (d/d eta) of all."""
    cases, at, zero = _cases(shape, a), _mirrored(shape, z), tf.zeros_like(z)
    near, touch = shape.near, 0.25 / a
    chord = near * shape.far / (near + shape.far)
    offset = cases.pick(0.5 * touch, (1.0 - cases.root) * near, chord)
    inside = tf.maximum(at + near, 0.0) * cases.root
    bent = cases.pick(touch, inside, zero)
    return (
        tf.where(shape.is_parabola, offset, zero),
        tf.where(shape.is_parabola, bent, zero),
    )
