"""Outlines in a plane."""

import pathlib

from absl.testing import absltest
import numpy as np

from tfcurv import report
from tfcurv.report import planes

_SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])


def _panel(**settings):
    return report.PlanePanel(
        **{
            "title": "$a$",
            "axes": ("x", "y"),
            "centre": np.zeros(2),
            "outlines": {"ball": _SQUARE, "box": 2.0 * _SQUARE},
            **settings,
        }
    )


class PlanesTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)

    def test_draws_the_same_file_twice(self):
        paths = [self.folder / name for name in ("a.png", "b.png")]
        for path in paths:
            report.plot_planes(path, [_panel(), _panel(centre=np.ones(2))])
        first, second = (path.read_bytes() for path in paths)
        self.assertEqual(first[:4], b"\x89PNG")
        self.assertEqual(first, second)

    def test_what_is_drawn_depends_on_the_outlines(self):
        paths = [self.folder / name for name in ("a.png", "b.png")]
        cut = {"ball": _SQUARE, "box": _SQUARE}
        for path, panel in zip(paths, (_panel(), _panel(outlines=cut))):
            report.plot_planes(path, [panel])
        first, second = (path.read_bytes() for path in paths)
        self.assertNotEqual(first, second)

    def test_shows_all_outlines_but_what_dwarfs_them(self):
        far = _SQUARE + 7.0
        outlines = {"ball": far, "box": 3.0 * _SQUARE, "all": 1e4 * _SQUARE}
        low, high = planes._limits(_panel(outlines=outlines))
        self.assertTrue(np.all((low < 0.0) & (low > -1.0)))
        self.assertTrue(np.all((high > 8.0) & (high < 9.0)))
        # A point alone has room around it, too.
        point = np.zeros((3, 2))
        low, high = planes._limits(_panel(outlines={"none": point}))
        self.assertTrue(np.all(low < high))

    def test_refuses_what_is_no_outline(self):
        for outlines in ({}, {"line": _SQUARE[:2]}, {"box": np.zeros((4, 3))}):
            with self.assertRaisesRegex(ValueError, "outlines"):
                _panel(outlines=outlines)
        with self.assertRaisesRegex(ValueError, "nothing to draw"):
            report.plot_planes(self.folder / "a.png", [])


if __name__ == "__main__":
    absltest.main()
