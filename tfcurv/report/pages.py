"""One HTML file that explains itself, and that nothing else has to go with."""

import base64
from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import html
import os
from typing import Any

import numpy as np

from tfcurv.report import files
from tfcurv.report import images
from tfcurv.report import stylesheet
from tfcurv.report import tables

# The policy makes the browser enforce what the page promises: no script, and
# nothing fetched.
_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
<header>
<h1>{title}</h1>
<p class="lead">{lead}</p>
{contents}</header>
{sections}
</main>
</body>
</html>
"""

# A page of fewer sections is seen at a glance.
_FEWEST_SECTIONS_WITH_CONTENTS = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextSection:
    """Plain text.

    Attributes:
        heading: Title of the section.
        paragraphs: One string each.
    """

    heading: str
    paragraphs: Sequence[str]

    def __post_init__(self):
        # A string is a sequence too, of one paragraph per letter.
        if isinstance(self.paragraphs, str):
            raise TypeError(
                "One string is no sequence of paragraphs. "
                f"Received: paragraphs={self.paragraphs!r}. "
                "Allowed: a sequence of strings."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableSection:
    """A table whose first column names the row.

    Attributes:
        heading: Title of the section.
        headers: One string per column, at least one.
        rows: Any number of rows of one string per column.
        note: What to know in reading it, below the table.
    """

    heading: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def __post_init__(self):
        tables.check_table(self.headers, self.rows)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FigureSection:
    """A drawing.

    Attributes:
        heading: Title of the section.
        png: The bytes of a PNG file, as from `curves_png`.
        caption: What it shows; also read out to those who cannot see it.
    """

    heading: str
    png: bytes
    caption: str

    def __post_init__(self):
        if not self.png.startswith(images.PNG_SIGNATURE):
            raise ValueError(
                "A figure is not a PNG file. "
                f"Received: png={self.png[:8]!r}... of {len(self.png)} bytes. "
                f"Allowed: bytes that start with {images.PNG_SIGNATURE!r}."
            )


# Compared by identity: `==` on arrays has no single answer.
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class GalleryItem:
    """A small image.

    Attributes:
        image: `[height, width]` or `[height, width, channels]` with one or
            three channels, black at 0 and full at 1. Values outside are
            clipped.
        caption: What it shows.
    """

    image: np.ndarray
    caption: str

    def __post_init__(self):
        images.check_image("image", self.image)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GallerySection:
    """Small images side by side, enlarged so that each pixel is seen.

    Attributes:
        heading: Title of the section.
        items: Any number of images.
        note: What to know in looking at them, below the images.
    """

    heading: str
    items: Sequence[GalleryItem]
    note: str = ""


Section = TextSection | TableSection | FigureSection | GallerySection


def write_page(
    path: str | os.PathLike[str],
    *,
    title: str,
    lead: str,
    sections: Sequence[Section],
) -> None:
    """Writes one self-contained HTML file: no script, nothing to fetch.

    All text is shown as it is; none of it is taken for HTML.

    Args:
        path: File to create or to replace.
        title: Heading of the page.
        lead: The paragraph below it: what a reader in a hurry should know.
        sections: The rest, in order.

    Raises:
        ImportError: There is an image and matplotlib is not installed.
        OSError: The file cannot be written. Nothing is left behind.
        TypeError: A section is of another class.
    """
    bodies = [_section(index, each) for index, each in enumerate(sections)]
    page = _PAGE.format(
        title=html.escape(title),
        style=stylesheet.STYLESHEET,
        lead=html.escape(lead),
        contents=_contents(sections),
        sections="\n".join(bodies),
    )
    files.write_atomically(path, page.encode("utf-8"))


def _contents(sections: Sequence[Section]) -> str:
    if len(sections) < _FEWEST_SECTIONS_WITH_CONTENTS:
        return ""
    links = "\n".join(
        f'<li><a href="#section-{index}">{html.escape(section.heading)}</a>'
        for index, section in enumerate(sections)
    )
    return f'<nav aria-label="Contents">\n<ul>\n{links}\n</ul>\n</nav>\n'


def _section(index: int, section: Section) -> str:
    body = _BODIES.get(type(section))
    if body is None:
        raise TypeError(
            "Cannot show a section of this class. "
            f"Received: sections[{index}] of type {type(section).__name__}. "
            f"Allowed: {', '.join(known.__name__ for known in _BODIES)}."
        )
    return (
        f'<section id="section-{index}">\n'
        f"<h2>{html.escape(section.heading)}</h2>\n"
        f"{body(section)}\n"
        "</section>"
    )


def _text_body(section: TextSection) -> str:
    return "\n".join(f"<p>{html.escape(p)}</p>" for p in section.paragraphs)


def _table_body(section: TableSection) -> str:
    headers = "".join(
        f'<th scope="col">{html.escape(h)}</th>' for h in section.headers
    )
    rows = "\n".join(map(_table_row, section.rows))
    label = html.escape(section.heading)
    # Focusable, so that a wide table can be scrolled from the keyboard.
    return (
        f'<div class="scroll" role="region" aria-label="{label}" '
        f'tabindex="0">\n<table>\n<thead><tr>{headers}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody>\n</table>\n</div>{_note(section.note)}"
    )


def _table_row(row: Sequence[str]) -> str:
    first, *rest = map(html.escape, row)
    cells = "".join(f"<td>{cell}</td>" for cell in rest)
    return f'<tr><th scope="row">{first}</th>{cells}</tr>'


def _figure_body(section: FigureSection) -> str:
    return _figure(section.png, section.caption, ' class="plate"')


def _gallery_body(section: GallerySection) -> str:
    items = "\n".join(
        f"<li>{_figure(images.image_png(item.image), item.caption)}</li>"
        for item in section.items
    )
    return f'<ul class="gallery">\n{items}\n</ul>{_note(section.note)}'


def _figure(png: bytes, caption: str, attributes: str = "") -> str:
    data = base64.b64encode(png).decode("ascii")
    caption = html.escape(caption)
    return (
        f'<figure><img{attributes} alt="{caption}" '
        f'src="data:image/png;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _note(note: str) -> str:
    return f'\n<p class="note">{html.escape(note)}</p>' if note else ""


_BODIES: dict[type, Callable[[Any], str]] = {
    TextSection: _text_body,
    TableSection: _table_body,
    FigureSection: _figure_body,
    GallerySection: _gallery_body,
}
