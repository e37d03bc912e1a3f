"""Tests of tfcurv.imports."""

import importlib
import importlib.util
import pathlib
import sys

from absl.testing import absltest

from tfcurv import imports


class CallAfterTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)
        self.enter_context(_path_with(self.folder))
        self.name = f"toy_{self.folder.name}".replace("-", "_")
        file = self.folder / f"{self.name}.py"
        file.write_text("value = 7\n")
        importlib.invalidate_caches()
        self.called = []

    def _note(self):
        self.called.append(sys.modules[self.name].value)

    def test_calls_once_when_it_is_imported_and_complete(self):
        imports.call_after(self.name, self._note)
        # Who only looks for it does not import it.
        self.assertIsNotNone(importlib.util.find_spec(self.name))
        self.assertEmpty(self.called)
        module = importlib.import_module(self.name)
        importlib.import_module(self.name)
        self.assertEqual(self.called, [7])
        self.assertEqual(module.__file__, module.__loader__.get_filename())

    def test_calls_now_where_it_is_there(self):
        importlib.import_module(self.name)
        imports.call_after(self.name, self._note)
        self.assertEqual(self.called, [7])

    def test_calls_for_each_who_waits(self):
        imports.call_after(self.name, self._note)
        imports.call_after(self.name, self._note)
        importlib.import_module(self.name)
        self.assertEqual(self.called, [7, 7])

    def test_leaves_what_is_missing_missing(self):
        imports.call_after(f"{self.name}_not", self._note)
        with self.assertRaises(ModuleNotFoundError):
            importlib.import_module(f"{self.name}_not")


class OfExtraTest(absltest.TestCase):
    def test_says_what_is_missing_and_how_to_get_it(self):
        said = (
            r"Drawing needs a pen, which .*nowhere.*`pip install tfcurv\[pen\]`"
        )
        with self.assertRaisesRegex(ImportError, said):
            with imports.of_extra("pen", "Drawing needs a pen"):
                importlib.import_module("nowhere")

    def test_leaves_other_errors_alone(self):
        with self.assertRaisesRegex(ValueError, "dry"):
            with imports.of_extra("pen", "Drawing needs a pen"):
                raise ValueError("dry")


class _path_with:
    """Modules of a folder can be imported, and finders go as they came."""

    def __init__(self, folder):
        self._folder = str(folder)

    def __enter__(self):
        self._finders = list(sys.meta_path)
        sys.path.insert(0, self._folder)

    def __exit__(self, *error):
        sys.path.remove(self._folder)
        sys.meta_path[:] = self._finders


if __name__ == "__main__":
    absltest.main()
