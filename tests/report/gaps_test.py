"""Tests of the drawing of estimates beside bounds."""

import pathlib
import sys
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import matplotlib.figure
import numpy as np

from tfcurv import report


def _panel(estimates=(0.5, 2.0), bounds=(3.0, 30.0), **settings):
    facts = {
        "title": "by layer",
        "names": [f"layer {k}" for k in range(len(estimates))],
        "estimates": np.asarray(estimates),
        "bounds": np.asarray(bounds),
    }
    return report.GapPanel(**facts | settings)


def _drawn(panels, **settings):
    """Returns the figure that was drawn."""
    kept = []
    save = matplotlib.figure.Figure.savefig

    def keep(figure, *args, **kwargs):
        kept.append(figure)
        return save(figure, *args, **kwargs)

    with mock.patch.object(matplotlib.figure.Figure, "savefig", keep):
        report.gaps_png(panels, **settings)
    return kept[0]


class GapPanelTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("names", {"names": ["a"]}, r"len\(names\)=1"),
        ("bounds", {"bounds": np.ones(3)}, r"bounds.shape=\(3,\)"),
        ("matrix", {"estimates": np.ones((2, 1))}, r"estimates.shape=\(2, 1\)"),
    )
    def test_refuses(self, settings, message):
        with self.assertRaisesRegex(ValueError, message):
            _panel(**settings)


class PlotGapsTest(parameterized.TestCase):
    @parameterized.parameters(
        ("png", b"\x89PNG\r\n\x1a\n"), ("svg", b"<?xml"), ("PDF", b"%PDF")
    )
    def test_writes_the_kind_that_the_name_asks_for(self, ending, magic):
        path = pathlib.Path(self.create_tempdir(), f"gaps.{ending}")
        report.plot_gaps(path, [_panel()])
        self.assertTrue(path.read_bytes().startswith(magic))
        self.assertEqual([path], list(path.parent.iterdir()))

    def test_the_same_panels_give_the_same_file(self):
        self.assertEqual(
            report.gaps_png([_panel()]), report.gaps_png([_panel()])
        )

    def test_both_values_stand_in_the_row_of_their_name(self):
        (axes,) = _drawn([_panel()], label="size", title="net").axes
        low, high = (line.get_xydata() for line in axes.lines)
        np.testing.assert_array_equal(low, [[0.5, 0], [2.0, 1]])
        np.testing.assert_array_equal(high, [[3.0, 0], [30.0, 1]])
        self.assertEqual(
            [text.get_text() for text in axes.get_yticklabels()],
            ["layer 0", "layer 1"],
        )
        self.assertEqual(axes.get_xlabel(), "size")
        self.assertEqual(axes.get_xscale(), "log")

    def test_panels_share_whole_decades(self):
        figure = _drawn([_panel(), _panel([0.02], [0.3])])
        for axes in figure.axes:
            np.testing.assert_allclose(axes.get_xlim(), [0.01, 100.0])

    @parameterized.parameters(
        ([0.0], [0.0]),
        ([-1.0], [2.0]),
        ([1.0], [np.inf]),
        ([5e-324], [1.7e308]),
        ([1.0], [1.0]),
        ([np.nan], [1.0]),
        ([], []),
    )
    def test_what_no_logarithm_shows_is_left_out(self, low, high):
        (axes,) = _drawn([_panel(low, high)]).axes
        left, right = axes.get_xlim()
        self.assertLess(left, right)
        for line in axes.lines:
            x = line.get_xdata()
            x = x[np.isfinite(x)]
            self.assertTrue(np.all((left <= x) & (x <= right)))

    def test_many_names_are_not_written(self):
        many = np.ones(100)
        (axes,) = _drawn([_panel(many, 2.0 * many)]).axes
        self.assertEmpty(axes.get_yticklabels())

    def test_names_are_not_mathematics(self):
        texts = ["$a$", "_b", r"$\bad"]
        drawn = _drawn(
            [_panel([1.0] * 3, [2.0] * 3, names=texts, title="$x$")],
            label="$y",
            title=r"$\frac",
        )
        (axes,) = drawn.axes
        found = [text.get_text() for text in axes.get_yticklabels()]
        self.assertEqual(found, texts)

    @parameterized.parameters("gaps", "gaps.gif", "gaps.png.txt")
    def test_refuses_other_kinds(self, name):
        with self.assertRaisesRegex(ValueError, "path="):
            report.plot_gaps(name, [_panel()])

    def test_refuses_no_panel(self):
        with self.assertRaisesRegex(ValueError, "panels="):
            report.gaps_png([])

    def test_says_how_to_install_what_is_missing(self):
        with mock.patch.dict(sys.modules, {"matplotlib": None}):
            with self.assertRaisesRegex(ImportError, "pip install"):
                report.gaps_png([_panel()])


if __name__ == "__main__":
    absltest.main()
