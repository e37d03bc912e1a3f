"""Tests of the pages: self-contained, escaped, and showing what they hold."""

import base64
import html.parser
import io
import pathlib
import re
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import matplotlib.image
import numpy as np

from tfcurv import report

_HOSTILE = "<script>alert('a' & \"b\")</script>"
_VOID = ("meta", "img", "li")  # li: its end tag is optional


def _png():
    curve = report.Curve(
        label="a", certified=np.array([0.1]), attacked=np.array([0.2])
    )
    return report.curves_png([curve])


def _sections(text="plain"):
    return [
        report.TextSection(heading=text, paragraphs=[text, text]),
        report.TableSection(
            heading=text, headers=[text, text], rows=[[text, text]], note=text
        ),
        report.FigureSection(heading=text, png=_png(), caption=text),
        report.GallerySection(
            heading=text,
            items=[report.GalleryItem(image=np.eye(3), caption=text)],
            note=text,
        ),
    ]


class _Reader(html.parser.HTMLParser):
    """Collects tags, attributes and text, and checks that tags are paired."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text, self.unpaired = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in _VOID:
            self.unpaired.append(tag)

    def handle_endtag(self, tag):
        if tag not in _VOID and self.unpaired.pop() != tag:
            raise ValueError(f"</{tag}> closes another tag.")

    def handle_data(self, data):
        self.text.append(data)


def _read(page):
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader


class WritePageTest(parameterized.TestCase):
    def _write(self, sections, title="title", lead="lead"):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "page.html")
            report.write_page(path, title=title, lead=lead, sections=sections)
            self.assertEqual(list(path.parent.iterdir()), [path])
            return path.read_text(encoding="utf-8")

    def test_is_self_contained(self):
        page = self._write(_sections())
        reader = _read(page)
        self.assertEmpty(reader.unpaired)
        self.assertNoCommonElements(
            reader.tags, ["script", "link", "iframe", "object", "base"]
        )
        for name, value in reader.attributes:
            self.assertFalse(name.startswith("on"), name)
            if name in ("src", "href"):
                self.assertRegex(value, r"^(data:image/png;base64,|#section-)")
        for reference in "http:", "https:", "url(", "@import":
            self.assertNotIn(reference, page)

    def test_escapes_every_text(self):
        page = self._write(_sections(_HOSTILE), _HOSTILE, _HOSTILE)
        self.assertNotIn("<script", page)
        self.assertNotIn("alert('", page)
        reader = _read(page)
        self.assertNotIn("script", reader.tags)
        # Title (also in the head), lead; in four sections the heading, here
        # and in the contents; 2 + 5 + 1 + 2 texts of their own.
        self.assertEqual(reader.text.count(_HOSTILE), 3 + 2 * 4 + 10)

    def test_follows_light_and_dark(self):
        self.assertIn("prefers-color-scheme: dark", self._write([]))

    def test_braces_in_text_are_text(self):
        self.assertIn("{lead} {0}", self._write([], lead="{lead} {0}"))

    def test_links_of_the_contents_lead_to_sections(self):
        attributes = _read(self._write(_sections())).attributes
        links = [value for name, value in attributes if name == "href"]
        ids = ["#" + value for name, value in attributes if name == "id"]
        self.assertLen(links, 4)
        self.assertEqual(links, ids)

    def test_a_short_page_has_no_contents(self):
        self.assertNotIn("<nav", self._write(_sections()[:2]))

    def test_an_empty_note_is_left_out(self):
        table = report.TableSection(heading="a", headers=["b"], rows=[])
        self.assertNotIn('class="note"', self._write([table]))

    @parameterized.named_parameters(
        ("gray", np.array([[0.0, 1.0], [0.5, 2.0]]), [[0, 255], [128, 255]]),
        ("one_channel", np.array([[[-0.2]], [[1.0]]]), [[0], [255]]),
        ("whole_numbers", np.array([[0, 1]]), [[0, 255]]),
    )
    def test_shows_each_pixel_as_a_square(self, image, expected):
        shown = self._only_image(image)
        scale = shown.shape[0] // image.shape[0]
        self.assertGreater(scale, 10)
        expected = np.kron(expected, np.ones((scale, scale)))
        for channel in range(3):
            np.testing.assert_array_equal(shown[:, :, channel], expected)

    def test_keeps_colours(self):
        image = np.random.default_rng(0).random((32, 32, 3))
        shown = self._only_image(image)
        scale = len(shown) // 32
        np.testing.assert_allclose(
            shown[::scale, ::scale, :3], 255.0 * image, atol=0.51
        )

    def test_keeps_a_large_image_at_its_size(self):
        self.assertEqual(
            self._only_image(np.zeros((2, 300))).shape[:2], (2, 300)
        )

    def _only_image(self, image):
        item = report.GalleryItem(image=image, caption="a")
        page = self._write([report.GallerySection(heading="b", items=[item])])
        (data,) = re.findall(r"data:image/png;base64,([^\"]*)", page)
        png = io.BytesIO(base64.b64decode(data, validate=True))
        return np.rint(255.0 * matplotlib.image.imread(png, format="png"))

    def test_refuses_a_section_of_another_class(self):
        with self.assertRaisesRegex(TypeError, r"sections\[0\].*type str"):
            self._write(["text"])


class SectionsTest(parameterized.TestCase):
    @parameterized.parameters(
        ((3,),), ((2, 2, 2),), ((1, 2, 2, 3),), ((0, 2),), ((2, 2, 4),)
    )
    def test_refuses_an_array_that_is_no_image(self, shape):
        with self.assertRaisesRegex(ValueError, "image of shape"):
            report.GalleryItem(image=np.zeros(shape), caption="a")

    def test_refuses_pixels_that_are_nan(self):
        with self.assertRaisesRegex(ValueError, "image with 1 NaN"):
            report.GalleryItem(image=np.array([[np.nan]]), caption="a")

    def test_refuses_a_figure_that_is_no_png(self):
        with self.assertRaisesRegex(ValueError, "png="):
            report.FigureSection(heading="a", png=b"GIF89a", caption="b")

    def test_refuses_a_string_for_paragraphs(self):
        with self.assertRaisesRegex(TypeError, "paragraphs="):
            report.TextSection(heading="a", paragraphs="text")

    def test_refuses_a_table_with_a_short_row(self):
        with self.assertRaisesRegex(ValueError, r"rows\[0\]"):
            report.TableSection(heading="a", headers=["b", "c"], rows=[["d"]])


if __name__ == "__main__":
    absltest.main()
