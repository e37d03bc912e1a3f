"""Tests of tables as plain text."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st

from tfcurv import report

# Without control characters, which break lines or have no width.
_CELLS = st.text(
    st.characters(exclude_categories=("C", "Zl", "Zp")), max_size=8
)


@st.composite
def _tables(draw):
    width = draw(st.integers(1, 4))
    row = st.lists(_CELLS, min_size=width, max_size=width)
    return draw(row), draw(st.lists(row, max_size=5))


class FormatTableTest(parameterized.TestCase):
    def test_aligns_the_first_column_left_and_the_rest_right(self):
        table = report.format_table(
            ["network", "clean"], [["a", "98.12 %"], ["longer one", "1 %"]]
        )
        self.assertEqual(
            table,
            "network       clean\n"
            "----------  -------\n"
            "a           98.12 %\n"
            "longer one      1 %",
        )

    @hypothesis.settings(deadline=None)
    @hypothesis.given(_tables())
    def test_every_cell_stands_in_its_column(self, table):
        headers, rows = table
        lines = report.format_table(headers, rows).split("\n")
        self.assertLen(lines, 2 + len(rows))
        ends = [
            sum(max(len(r[j]) for r in [headers, *rows]) for j in range(k + 1))
            + 2 * k
            for k in range(len(headers))
        ]
        for line, cells in zip([lines[0], *lines[2:]], [headers, *rows]):
            self.assertEqual(line, line.rstrip(" "))
            line = line.ljust(ends[-1])
            self.assertTrue(line.startswith(cells[0]))
            for end, cell in zip(ends[1:], cells[1:]):
                self.assertTrue(line[:end].endswith(cell))

    def test_a_table_without_rows_is_a_header_and_a_rule(self):
        self.assertEqual(report.format_table(["a", "b"], []), "a  b\n-  -")

    @parameterized.named_parameters(
        ("no_column", [], [], ValueError, "headers="),
        ("short_row", ["a", "b"], [["1", "2"], ["3"]], ValueError, r"rows\[1"),
        ("long_row", ["a"], [["1", "2"]], ValueError, r"rows\[0\]"),
        ("number", ["a"], [[1.0]], TypeError, r"rows\[0\]\[0\]=1\.0"),
        ("string_as_row", ["a", "b"], ["xy"], TypeError, r"rows\[0\]='xy'"),
        ("string_as_headers", "ab", [], TypeError, "headers='ab'"),
        ("two_lines", ["a"], [["1\n2"]], ValueError, r"rows\[0\]"),
        ("two_lines_above", ["a\nb"], [], ValueError, "headers"),
    )
    def test_refuses(self, headers, rows, error, message):
        with self.assertRaisesRegex(error, message):
            report.format_table(headers, rows)


class NumbersTest(parameterized.TestCase):
    @parameterized.parameters(
        (0.7357, "73.57 %"), (0.0, "0.00 %"), (1, "100.00 %"), (math.nan, "-")
    )
    def test_percent(self, x, text):
        self.assertEqual(report.percent(x), text)

    @parameterized.parameters(
        (0.123456, "0.1235"),
        (1234.5, "1234"),
        (1.23456e-7, "1.235e-07"),
        (12, "12"),
        (-0.0, "0"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (math.nan, "-"),
    )
    def test_number(self, x, text):
        self.assertEqual(report.number(x), text)

    @hypothesis.settings(deadline=None)
    @hypothesis.given(st.floats(1e-300, 1e300))
    def test_number_keeps_four_significant_digits(self, x):
        self.assertAlmostEqual(float(report.number(x)) / x, 1.0, delta=5.1e-4)


class MarkdownTest(absltest.TestCase):
    @hypothesis.settings(deadline=None)
    @hypothesis.given(_tables())
    def test_every_cell_can_be_read_back(self, table):
        headers, rows = table
        text = report.format_markdown_table(headers, rows)
        lines = text.splitlines()
        self.assertEqual(lines[1], "|" + " --- |" * len(headers))
        for line, cells in zip([lines[0], *lines[2:]], [headers, *rows]):
            inside = [cell.replace("|", "\0") for cell in cells]
            found = line.replace("\\|", "\0").split("|")[1:-1]
            self.assertEqual(found, [f" {cell} " for cell in inside])

    def test_a_line_break_in_a_cell_is_refused(self):
        with self.assertRaisesRegex(ValueError, "one line"):
            report.format_markdown_table(["a"], [["b\nc"]])


if __name__ == "__main__":
    absltest.main()
