"""What ``componentize.py`` does before and after componentize-py: which files it takes, and what it makes of errors."""

import importlib.util
import re
import tempfile
import unittest
from pathlib import Path

FOLDER = Path(__file__).parent.parent
_SPEC = importlib.util.spec_from_file_location("componentize", FOLDER / "componentize.py")
assert _SPEC is not None and _SPEC.loader is not None
componentize = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(componentize)


class ComponentizeTest(unittest.TestCase):
    def setUp(self) -> None:
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.folder = Path(made.name)

    def write(self, *files: str, text: str = "") -> None:
        for file in files:
            path = self.folder / "project" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def test_the_module_is_at_the_top_or_in_src(self) -> None:
        self.write("flat.py", "src/deep.py", "package/__init__.py")
        project = self.folder / "project"
        for module, root in [("flat", project), ("package", project), ("deep", project / "src")]:
            self.assertEqual(componentize.root_of(str(project), module), str(root))
        for module, expected in [
            ("absent", "there is no absent.py in "),
            ("two-words", "cannot be the name of a module"),
            ("statistics", "is a module of Python itself"),
            ("kennel_projection", "is a module of this SDK"),
        ]:
            with self.assertRaisesRegex(componentize.Problem, expected):
                componentize.root_of(str(project), module)

    def test_only_what_can_be_a_module_or_belong_to_one_is_copied(self) -> None:
        kept = ["a.py", "b/__init__.py", "b/data.json", "b/sdk/c.py"]
        self.write(*kept)
        self.write("sdk/src/x.py", ".git/x", "env/pyvenv.cfg", "env/lib/x.py", "b/__pycache__/x.pyc", "dist/x.py")
        self.write("kennel.db", text="x" * (componentize.COPIED_BYTES_MAX + 1))
        componentize.copy(str(self.folder / "project"), str(self.folder / "copy"))
        copied = [path for path in (self.folder / "copy").rglob("*") if path.is_file()]
        self.assertEqual(sorted(str(path.relative_to(self.folder / "copy")) for path in copied), kept)

    def test_links_are_followed_but_to_folders_that_they_are_in(self) -> None:
        self.write("a/x.py", "b/y.py")
        project = self.folder / "project"
        for link, leads in [("a/top", ".."), ("a/b", "../b"), ("b/a", "../a"), ("out", "../.."), ("gone.py", "none.py")]:
            (project / link).symlink_to(leads)
        (self.folder / "common").mkdir()
        (self.folder / "common" / "z.py").touch()
        (project / "common").symlink_to("../common")
        componentize.copy(str(project), str(self.folder / "copy"))
        copied = sorted(str(path.relative_to(self.folder / "copy")) for path in (self.folder / "copy").rglob("*.py"))
        self.assertEqual(copied, ["a/b/y.py", "a/x.py", "b/a/x.py", "b/y.py", "common/z.py"])

    def test_a_component_that_cannot_be_placed_leaves_nothing(self) -> None:
        self.write("made.wasm", "out.wasm/x")
        project = self.folder / "project"
        with self.assertRaises(OSError):
            componentize.place(str(project / "made.wasm"), str(project / "out.wasm"))
        self.assertEqual(sorted(path.name for path in project.iterdir()), ["made.wasm", "out.wasm"])

    def test_an_error_is_shown_without_the_stack_of_the_toolchain(self) -> None:
        said = 'Traceback (most recent call last):\n  File "/0/a.py", line 1, in f\n  File "/1/b.py", line 2\nOops: x'
        text = componentize.explained(f"{said}\n\n\nCaused by:\n    Oops: x\n\nStack backtrace:\n   0: main", "a")
        self.assertEqual(
            text,
            "a cannot be loaded in a component:\nTraceback (most recent call last):\n"
            '  File "a.py", line 1, in f\n  File "sdk/src/b.py", line 2\nOops: x',
        )
        missing = "AttributeError: module 'a' has no attribute 'KennelProjectionBindings'"
        self.assertIn("decorate its class with @projection", componentize.explained(missing, "a"))
        hint = componentize.explained("ModuleNotFoundError: No module named 'x'", "a")
        self.assertIn("virtual environment that is active", hint)

    def test_one_version_of_the_tool_is_named_everywhere(self) -> None:
        for file in ("pyproject.toml", "build-requirements.txt"):
            found = re.findall(r"componentize-py==([0-9.]+)", (FOLDER / file).read_text())
            self.assertEqual(found, [componentize.VERSION], file)


if __name__ == "__main__":
    unittest.main()
