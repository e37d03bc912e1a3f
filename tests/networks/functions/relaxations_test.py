"""Tests of tfcurv.networks.functions.relaxations: lines around activations."""

import itertools

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies
import numpy as np
import tensorflow as tf

from tfcurv import networks
from tfcurv.networks.functions import kinked
from tfcurv.networks.functions import relaxations

_SMOOTH = [fn for fn in networks.ACTIVATIONS.values() if not fn.is_linear]
_KINKED = [
    *kinked.KINKED,
    kinked.RELU6,
    kinked.scaled_elu("elu", 0.3),
    kinked.scaled_elu("elu", 3.0),
    kinked.piecewise_linear("leaky_relu", negative_slope=0.2),
    kinked.piecewise_linear("leaky_relu", negative_slope=-0.5),
    kinked.piecewise_linear("relu", negative_slope=0.3, max_value=0.7),
]
_ALL = {f"{fn.name}{i}": fn for i, fn in enumerate([*_SMOOTH, *_KINKED])}
_SHARES = np.linspace(0.0, 1.0, 801)[:, np.newaxis]
_NOTHING = tf.zeros([1, 1], tf.float64)


def _cases(seed=0, count=400):
    """Intervals of widths from a thousandth to fifteen, each with a centre."""
    random = np.random.default_rng(seed)
    width = 10.0 ** random.uniform(-3.0, 1.2, count)
    low = 2.0 * random.normal(size=count) - width * random.uniform(size=count)
    return low + width * random.uniform(size=count), low, low + width


def _lines(fn, centre, low, high, error=_NOTHING):
    values = networks.Interval(*map(tf.constant, (low, high)))
    found = relaxations.lines(fn, tf.constant(centre), values, error)
    return relaxations.Lines(*(each.numpy().ravel() for each in found))


def _heights(fn, lines, centre, z):
    """Lower line, curve and upper line, all from the centre on."""
    curve = fn.value(tf.constant(z)) - fn.value(tf.constant(centre))
    away = z - centre
    return (
        lines.lower_slope * away + lines.lower,
        curve.numpy(),
        lines.upper_slope * away + lines.upper,
    )


def _late():
    """Flat up to ten, straight from twelve on: bent far from zero alone."""

    def value(z):
        late = tf.where(z < 12.0, tf.square(z - 10.0) / 4.0, z - 11.0)
        return tf.where(z < 10.0, tf.zeros_like(z), late)

    return networks.Activation(
        name="late",
        value=value,
        slope=lambda z: tf.clip_by_value((z - 10.0) / 2.0, 0.0, 1.0),
        curvature=lambda z: tf.where(
            (z > 10.0) & (z < 12.0), 0.5 * tf.ones_like(z), tf.zeros_like(z)
        ),
        curvature_critical=(10.0, 12.0),
        slope_limits=(0.0, 1.0),
    )


class LinesTest(parameterized.TestCase):
    @parameterized.parameters(*_ALL)
    def test_parallel_ones_hold_and_are(self, name):
        fn = _ALL[name]
        centre, low, high = _cases(seed=4)
        values = networks.Interval(*map(tf.constant, (low, high)))
        found = relaxations.lines(
            fn, tf.constant(centre), values, _NOTHING, parallel=True
        )
        found = relaxations.Lines(*(each.numpy().ravel() for each in found))
        np.testing.assert_array_equal(found.lower_slope, found.upper_slope)
        z = low + _SHARES * (high - low)
        below, curve, above = _heights(fn, found, centre, z)
        self.assertTrue(np.all(below <= curve))
        self.assertTrue(np.all(curve <= above))
        # Each meets the curve: no line of this slope is nearer.
        size = 1.0 + np.abs(low) + np.abs(high)
        for room in (curve - below, above - curve):
            self.assertLess(np.max(np.min(room, axis=0) / size), 1e-3)

    @parameterized.named_parameters(_ALL.items())
    def test_hold_on_their_interval(self, fn):
        centre, low, high = _cases()
        lines = _lines(fn, centre, low, high)
        z = low + (high - low) * _SHARES
        below, curve, above = _heights(fn, lines, centre, z)
        self.assertTrue(np.all(below <= curve))
        self.assertTrue(np.all(curve <= above))

    @parameterized.named_parameters(_ALL.items())
    def test_leave_hardly_more_than_the_least_area(self, fn):
        centre, low, high = _cases(count=60)
        lines = _lines(fn, centre, low, high)
        z = low + (high - low) * _SHARES
        curve = _heights(fn, lines, centre, z)[1]
        middle = 0.5 * (low + high)
        envelopes = []
        for side in (1.0, -1.0):
            best = side * curve[400]
            left, right = range(0, 400, 8), range(401, 801, 8)
            for i, j in itertools.product(left, right):
                chord = curve[i] * (z[j] - middle) + curve[j] * (middle - z[i])
                best = np.maximum(best, side * chord / (z[j] - z[i]))
            envelopes.append(side * best)
        upper = lines.upper_slope * (middle - centre) + lines.upper
        lower = lines.lower_slope * (middle - centre) + lines.lower
        least = np.sum(envelopes[0] - envelopes[1])
        # By the chords of a grid, the least is a little too small.
        self.assertLess(np.sum(upper - lower), 1.04 * least + 1e-9)

    @parameterized.named_parameters(_ALL.items())
    def test_hold_at_every_scale_and_in_a_point(self, fn):
        scale = np.array([0.0, 1e-300, 1e-20, 1e-8, 1e3, 1e8])
        low, high = -scale, 2.0 * scale
        centre = 0.5 * scale
        lines = _lines(fn, centre, low, high)
        z = low + (high - low) * _SHARES
        below, curve, above = _heights(fn, lines, centre, z)
        self.assertTrue(np.all((below <= curve) & (curve <= above)))
        # Rounding apart, a point is no interval.
        self.assertLess(lines.upper[0] - lines.lower[0], 1e-12)

    @hypothesis.given(
        name=strategies.sampled_from(sorted(_ALL)),
        ends=strategies.tuples(
            strategies.floats(-40.0, 40.0), strategies.floats(-40.0, 40.0)
        ),
        share=strategies.floats(0.0, 1.0),
    )
    @hypothesis.settings(max_examples=60, deadline=None)
    def test_hold_anywhere(self, name, ends, share):
        fn, (low, high) = _ALL[name], (np.array([e]) for e in sorted(ends))
        centre = np.clip(low + share * (high - low), low, high)
        lines = _lines(fn, centre, low, high)
        z = np.clip(low + (high - low) * _SHARES, low, high)
        below, curve, above = _heights(fn, lines, centre, z)
        self.assertTrue(np.all((below <= curve) & (curve <= above)))

    @parameterized.named_parameters(_ALL.items())
    def test_hold_around_a_centre_that_is_not_quite_known(self, fn):
        centre, low, high = _cases(1, 100)
        error = 1e-3
        lines = _lines(fn, centre, low, high, _NOTHING + np.float64(error))
        z = low + (high - low) * _SHARES
        for sign in (-1.0, 1.0):
            exact = centre + sign * error
            below, curve, above = _heights(fn, lines, exact, z)
            self.assertTrue(np.all((below <= curve) & (curve <= above)))

    def test_of_blocks_are_those_of_each(self):
        every = [*_SMOOTH[:2], _KINKED[0]]
        blocks = networks.Blocks([networks.Block(fn, 1) for fn in every])
        cases = _cases()
        together = _lines(blocks, *(np.stack([z] * 3, -1) for z in cases))
        for index, fn in enumerate(every):
            alone = _lines(fn, *(z[:, np.newaxis] for z in cases))
            for ours, theirs in zip(together, alone):
                np.testing.assert_array_equal(ours[index::3], theirs)

    def test_of_relu_are_the_known_ones(self):
        low, high = np.array([-1.0, -3.0, 1.0, -2.0]), np.array([3.0, 1, 2, -1])
        centre = np.array([0.5, -1.0, 1.5, -1.5])
        lines = _lines(networks.RELU, centre, low, high)
        np.testing.assert_allclose(lines.upper_slope, [0.75, 0.25, 1.0, 0.0])
        np.testing.assert_allclose(lines.lower_slope, [1.0, 0.0, 1.0, 0.0])

    @parameterized.parameters("sigmoid", "gelu", "relu")
    def test_where_an_end_is_unknown_say_nothing(self, name):
        fn = networks.RELU if name == "relu" else networks.activation(name)
        for ends in ((-np.inf, 1.0), (0.0, np.inf), (np.nan, 1.0)):
            lines = _lines(fn, np.array([0.5]), *np.array(ends)[:, np.newaxis])
            room = np.array(lines.upper - lines.lower)
            self.assertFalse(np.any(np.isfinite(room)))

    def test_in_float32_follow_those_in_float64(self):
        fn, (centre, low, high) = networks.activation("tanh"), _cases(2, 50)
        single = _lines(
            fn, *(e.astype(np.float32) for e in (centre, low, high)), None
        )
        for ours, theirs in zip(single, _lines(fn, centre, low, high)):
            np.testing.assert_allclose(ours, theirs, atol=0.05)


class PiecesTest(parameterized.TestCase):
    @parameterized.named_parameters(_ALL.items())
    def test_bend_one_way(self, fn):
        for piece in relaxations.pieces(fn):
            low, high = max(piece.start, -30.0), min(piece.end, 30.0)
            z = np.linspace(low, high, 2003)[1:-1]
            change = np.diff(fn.slope(tf.constant(z)).numpy())
            self.assertTrue(np.all(piece.bend * change >= -1e-14))
            if not piece.bend:
                np.testing.assert_array_equal(change, 0.0)

    def test_bends_are_seen_wherever_they_are(self):
        (piece,) = relaxations.pieces(_late())
        self.assertEqual(piece.bend, 1)
        random = np.random.default_rng(0)
        centre = random.uniform(8.0, 14.0, 200)
        low, high = centre - random.uniform(0, 4, 200), centre + 3.0
        found = _lines(_late(), centre, low, high)
        points = low + _SHARES * (high - low)
        below, curve, above = _heights(_late(), found, centre, points)
        self.assertTrue(np.all(below <= curve + 1e-12))
        self.assertTrue(np.all(above >= curve - 1e-12))

    def test_of_what_is_known(self):
        bends = {
            "softplus": (1,),
            "tanh": (1, -1),
            "gelu": (-1, 1, -1),
            "elu": (1,),
        }
        for name, expected in bends.items():
            found = relaxations.pieces(networks.activation(name))
            self.assertEqual(tuple(piece.bend for piece in found), expected)
        found = relaxations.pieces(networks.RELU)
        self.assertEqual([piece.bend for piece in found], [0, 0])


if __name__ == "__main__":
    absltest.main()
