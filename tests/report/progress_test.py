"""Progress is for people: on stderr, on a terminal, and nowhere else."""

import contextlib
import io
import os
import sys
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized

from tfcurv import report


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def _written(stream, fn):
    """Returns what a function writes to stdout and to this stderr."""
    out = io.StringIO()
    with mock.patch.object(sys, "stderr", stream):
        with contextlib.redirect_stdout(out):
            fn()
    return out.getvalue(), stream.getvalue() if stream else ""


def _count(total=4, **settings):
    with report.progress_bar(total, "image", **settings) as bar:
        for _ in range(4):
            bar.set_postfix(clean=0.5, refresh=False)
            bar.update()


class ProgressBarTest(parameterized.TestCase):
    def test_tells_a_terminal_how_much_is_done_and_how_long_it_takes(self):
        out, err = _written(_Terminal(), lambda: _count(description="certify"))
        self.assertEqual(out, "")
        for part in ("certify", "4/4", "image", "clean=0.5", "00:00<00:00"):
            self.assertIn(part, err)

    def test_tells_a_terminal_that_does_not_know_its_size(self):
        reader, writer = os.openpty()
        with os.fdopen(writer, "w") as stream:
            with mock.patch.object(sys, "stderr", stream):
                _count()
            self.assertIn(b"4/4", os.read(reader, 10_000))
        os.close(reader)

    @parameterized.named_parameters(
        ("file", io.StringIO, {}),
        ("quiet_terminal", _Terminal, {"verbose": 0}),
    )
    def test_writes_nothing_to(self, stream, settings):
        found = _written(stream(), lambda: _count(**settings))
        self.assertEqual(found, ("", ""))

    def test_what_never_begins_leaves_no_line(self):
        begin = lambda: report.progress_bar(None, "bound").close()
        self.assertEqual(_written(_Terminal(), begin), ("", ""))

    def test_goes_on_with_what_an_earlier_run_has_done(self):
        begin = lambda: _count(total=104, done=100)
        self.assertIn("104/104", _written(_Terminal(), begin)[1])


class ClosedTest(absltest.TestCase):
    def test_a_closed_stderr_is_no_terminal(self):
        self.assertEqual(_written(None, _count), ("", ""))


class AnnounceTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("terminal", _Terminal()), ("file", io.StringIO()), ("closed", None)
    )
    def test_writes_a_line_to_what_there_is(self, stream):
        out, err = _written(stream, lambda: report.announce("training"))
        self.assertEqual((out, err), ("", "training\n" if stream else ""))


if __name__ == "__main__":
    absltest.main()
