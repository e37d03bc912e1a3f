"""Tests of accuracy curves and of their drawings."""

import os
import pathlib
import sys
import tempfile
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import matplotlib.figure
import numpy as np

from tfcurv import report

_PNG = b"\x89PNG\r\n\x1a\n"
# Few distinct values, so that radii and epsilons often coincide.
_DISTANCES = st.sampled_from([0.0, 5e-324, 0.1, 0.5, 1.0, 1e300, np.inf])
_RADII = st.lists(_DISTANCES | st.floats(0.0), min_size=1, max_size=20)


def _curve(label="network", certified=(0.0, 0.2, 0.4), attacked=(0, 0.3, 0.4)):
    return report.Curve(
        label=label,
        certified=np.asarray(certified),
        attacked=np.asarray(attacked),
    )


class CurveTest(parameterized.TestCase):
    def test_accepts_bounds_that_meet_or_are_infinite(self):
        infinite = np.array([0.0, 1.0, np.inf])
        curve = _curve(certified=infinite, attacked=infinite)
        np.testing.assert_array_equal(curve.attacked, infinite)

    def test_does_not_change_with_the_arrays_it_was_made_of(self):
        certified = np.array([0.5, 1.0])
        curve = _curve(certified=certified, attacked=[1.0, 1.0])
        certified[0] = 9.0
        self.assertEqual(curve.certified[0], 0.5)
        with self.assertRaises(ValueError):
            curve.certified[0] = 9.0

    @parameterized.named_parameters(
        ("empty", [], [], "certified of shape"),
        ("matrix", [[1.0]], [[1.0]], "certified of shape"),
        ("scalar", [1.0], 1.0, "attacked of shape"),
        ("lengths", [1.0], [1.0, 2.0], "certified of shape.*attacked of"),
        ("nan_certified", [np.nan], [1.0], "certified="),
        ("nan_attacked", [1.0], [np.nan], "attacked="),
        ("negative", [-1.0], [1.0], "certified="),
        ("refuted", [0.0, 2.0], [0.0, 1.0], r"certified\[1\].*attacked\[1\]"),
        ("unbounded", [np.inf], [1.0], r"certified\[0\].*attacked\[0\]"),
    )
    def test_refuses(self, certified, attacked, message):
        with self.assertRaisesRegex(ValueError, message):
            _curve(certified=certified, attacked=attacked)


class CertifiedAccuracyTest(parameterized.TestCase):
    def test_counts_strictly_greater_radii_only(self):
        accuracy = report.certified_accuracy(
            np.array([0.0, 0.5, 0.5, 1.0]), [0.0, 0.25, 0.5, 1.0]
        )
        np.testing.assert_array_equal(accuracy, [0.75, 0.75, 0.25, 0.0])

    @hypothesis.settings(deadline=None)
    @hypothesis.given(_RADII, st.lists(_DISTANCES | st.floats(0.0)))
    def test_agrees_with_counting_one_by_one(self, radii, epsilons):
        accuracy = report.certified_accuracy(np.array(radii), epsilons)
        counts = [sum(r > e for r in radii) for e in epsilons]
        np.testing.assert_array_equal(accuracy, np.array(counts) / len(radii))

    @hypothesis.settings(deadline=None)
    @hypothesis.given(_RADII, st.lists(st.floats(0.0)))
    def test_never_grows_with_epsilon(self, radii, epsilons):
        accuracy = report.certified_accuracy(np.array(radii), sorted(epsilons))
        self.assertTrue((np.diff(accuracy) <= 0.0).all())
        self.assertTrue(((accuracy >= 0.0) & (accuracy <= 1.0)).all())

    @hypothesis.settings(deadline=None)
    @hypothesis.given(_RADII, st.floats(0.0, allow_infinity=False))
    def test_is_strict_at_each_radius(self, radii, epsilon):
        accuracy = report.certified_accuracy(
            np.array([*radii, epsilon]),
            [epsilon, np.nextafter(epsilon, -1.0)] if epsilon else [0.0],
        )
        others = report.certified_accuracy(np.array(radii), [epsilon])[0]
        self.assertAlmostEqual(
            accuracy[0], others * len(radii) / (len(radii) + 1)
        )
        if epsilon:
            self.assertGreater(accuracy[1], accuracy[0])

    def test_keeps_the_shape_of_epsilons(self):
        radii = np.array([1.0])
        for shape in (), (0,), (2, 3):
            accuracy = report.certified_accuracy(radii, np.ones(shape))
            self.assertEqual(accuracy.shape, shape)

    def test_leaves_the_radii_as_they_are(self):
        radii = np.array([2.0, 1.0])
        report.certified_accuracy(radii, [0.5])
        np.testing.assert_array_equal(radii, [2.0, 1.0])

    @parameterized.named_parameters(
        ("nan_radius", [np.nan], [0.0], "radii="),
        ("no_radius", [], [0.0], "radii of shape"),
        ("matrix", [[1.0]], [0.0], "radii of shape"),
        ("nan_epsilon", [1.0], [np.nan], "epsilons="),
        ("negative_epsilon", [1.0], [0.0, -0.5], "epsilons="),
    )
    def test_refuses(self, radii, epsilons, message):
        with self.assertRaisesRegex(ValueError, message):
            report.certified_accuracy(np.array(radii), epsilons)


def _axes(*arguments):
    """Returns what `curves_png` draws, before it becomes pixels."""
    with mock.patch.object(
        matplotlib.figure.Figure, "savefig", autospec=True
    ) as savefig:
        report.curves_png(*arguments)
    (figure, *_), _ = savefig.call_args
    return figure.axes[0]


class ShapesTest(parameterized.TestCase):
    def test_lines_fall_where_the_radii_are(self):
        curve = _curve(certified=[0.5, 0.0], attacked=[1.0, 0.0])
        certified, attacked = _axes([curve], [2.0]).lines[:2]
        for line, radius in (certified, 0.5), (attacked, 1.0):
            self.assertEqual(line.get_drawstyle(), "steps-post")
            x, y = line.get_data()
            self.assertEqual(y[0], 50.0)
            self.assertEqual(x[np.flatnonzero(y == 0.0)[0]], radius)
            self.assertEqual(x[-1], 2.2)
        self.assertEqual(certified.get_linestyle(), "-")
        self.assertEqual(attacked.get_linestyle(), "--")
        self.assertEqual(certified.get_color(), attacked.get_color())

    def test_the_band_lies_between_the_lines(self):
        curve = _curve(certified=[0.5, 0.0], attacked=[1.0, 0.0])
        (band,) = _axes([curve], [2.0]).collections
        (path,) = band.get_paths()
        inside = [path.contains_point((x, 25.0)) for x in (0.3, 0.7, 1.3)]
        self.assertEqual(inside, [False, True, False])

    @parameterized.named_parameters(
        ("nearly_all_radii", [*[1.0] * 199, 50.0], (), 1.0),
        ("finite_radii", [1.0, np.inf], (), 1.0),
        ("marks", [1.0], (2.0,), 2.2),
        ("something", [0.0], (), 1.0),
    )
    def test_the_axis_reaches(self, attacked, epsilons, end):
        curve = _curve(certified=np.zeros(len(attacked)), attacked=attacked)
        left, right = _axes([curve], epsilons).get_xlim()
        self.assertEqual(left, 0.0)
        self.assertAlmostEqual(right, end)

    def test_curves_differ_in_colour(self):
        lines = _axes([_curve()] * 7).lines
        self.assertLen({line.get_color() for line in lines}, 7)

    def test_marks_are_drawn_at_epsilons(self):
        lines = _axes([_curve()], [0.3, 0.1]).lines[2:]
        marked = [line.get_xdata()[0] for line in lines]
        self.assertEqual(marked, [0.1, 0.3])

    def test_the_legend_says_where_the_truth_lies(self):
        figure = _axes([_curve(label="_a $b$")]).figure
        (legend,) = figure.legends
        self.assertIn("truth lies in the band", legend.get_title().get_text())
        self.assertEqual(
            [text.get_text() for text in legend.get_texts()], ["_a $b$"]
        )


class DrawingTest(parameterized.TestCase):
    @parameterized.parameters(
        ("a.png", _PNG),
        ("a.PNG", _PNG),
        ("a.svg", b"<?xml"),
        ("a.pdf", b"%PDF"),
    )
    def test_the_ending_decides_the_format(self, name, signature):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, name)
            report.plot_curves(path, [_curve()], [0.1], "Title")
            self.assertTrue(path.read_bytes().startswith(signature))
            self.assertEqual(os.listdir(folder), [name])

    def test_the_same_curves_give_the_same_png(self):
        first, second = (report.curves_png([_curve()]) for _ in range(2))
        self.assertStartsWith(first, _PNG)
        self.assertEqual(first, second)

    @parameterized.named_parameters(
        ("all_wrong", [0.0, 0.0], [0.0, 0.0], ()),
        ("never_attacked", [0.0, 0.1], [0.0, np.inf], ()),
        ("certain", [np.inf], [np.inf], ()),
        ("far_marks", [0.1], [0.2], (0.0, 5.0)),
        ("crowded_marks", [1.0], [2.0], np.linspace(0.1, 0.2, 30)),
    )
    def test_draws(self, certified, attacked, epsilons):
        curve = _curve(certified=certified, attacked=attacked)
        self.assertStartsWith(report.curves_png([curve], epsilons), _PNG)

    def test_takes_no_label_for_markup(self):
        # Mathematics that does not parse would raise.
        for label in r"_hidden $\frac{$", "", "x" * 60:
            png = report.curves_png([_curve(label=label)], title=label)
            self.assertStartsWith(png, _PNG)

    def test_shows_a_label_that_starts_with_an_underscore(self):
        self.assertNotEqual(
            report.curves_png([_curve(label="_")]),
            report.curves_png([_curve(label="")]),
        )

    def test_needs_no_pyplot(self):
        with mock.patch.dict(sys.modules, {"matplotlib.pyplot": None}):
            self.assertStartsWith(report.curves_png([_curve()]), _PNG)

    def test_says_how_to_install_matplotlib(self):
        with mock.patch.dict(sys.modules, {"matplotlib": None}):
            with self.assertRaisesRegex(ImportError, r"tfcurv\[report\]"):
                report.curves_png([_curve()])

    @parameterized.named_parameters(
        ("no_ending", {"path": "a"}, "path='a'"),
        ("strange_ending", {"path": "a.doc"}, "path='a.doc'"),
        ("no_curve", {"curves": []}, r"len\(curves\)=0"),
        ("many_curves", {"curves": [_curve()] * 8}, r"len\(curves\)=8"),
        ("negative_mark", {"epsilons": [-1.0]}, "epsilons="),
        ("infinite_mark", {"epsilons": [np.inf]}, "epsilons"),
    )
    def test_refuses(self, change, message):
        arguments = {"path": "a.png", "curves": [_curve()], **change}
        with self.assertRaisesRegex(ValueError, message):
            report.plot_curves(**arguments)


if __name__ == "__main__":
    absltest.main()
