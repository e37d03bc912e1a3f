"""Tests of S-expressions with lines."""

from absl.testing import absltest
from absl.testing import parameterized

from tfcurv import errors
from tfcurv.certificates.properties import expressions


class ReadTest(parameterized.TestCase):
    def test_keeps_what_is_written_and_where(self):
        text = "; (ignored)\n(assert\n  (<= X_0 1.5)) ; more )\n\n(exit)"
        first, second = expressions.read(text)
        self.assertEqual(str(first), "(assert (<= X_0 1.5))")
        self.assertEqual(first.line, 2)
        self.assertEqual(first.head, "assert")
        self.assertEqual(first.items[1].line, 3)
        self.assertEqual((str(second), second.line), ("(exit)", 5))

    @parameterized.parameters(
        ("(a)\n)", "Line 2 "),
        ("(a)\n\n(b (c)", "Line 3 "),
        ("\n" + "(" * 100, "Line 2 "),
    )
    def test_names_the_line_of_a_bracket_without_a_partner(self, text, line):
        with self.assertRaisesRegex(errors.InvalidPropertyError, line):
            expressions.read(text)


if __name__ == "__main__":
    absltest.main()
