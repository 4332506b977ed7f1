"""The laws of the package, which CONTRIBUTING.md states, held against its source."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tfod_helpers

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tfod_helpers"
SOURCES = sorted(PACKAGE.rglob("*.py"))
MAX_NAMES = 26  # at the top of the package
MAX_FILE_LINES = 350
MAX_FUNCTION_LINES = 40
ODDS_AND_ENDS = {"util", "utils", "helper", "helpers", "misc", "common"}
each_source = pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def pictured() -> list[str]:
    """What CONTRIBUTING.md's picture lists, from the top: ``photos.py``, ``formats/``, ..."""
    picture = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("```")[1]
    return re.findall(r"^  (\w+(?:\.py|/))\s", picture, re.MULTILINE)


def rooms() -> list[str]:
    """The rooms in the order of the picture, the topmost first."""
    return [name.removesuffix("/").removesuffix(".py") for name in pictured()]


def room_of(path: Path) -> str:
    """The room that a source file belongs to: its module, or the folder that it lies in."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def tree(path: Path) -> ast.Module:
    """The syntax tree of a source file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(path: Path) -> Iterator[str]:
    """The dotted names that a file imports anywhere but for types alone; ``from a import b`` counts as ``a.b``."""
    inside = ["tfod_helpers", *path.relative_to(PACKAGE).parts[:-1]]
    checked = [
        node for node in ast.walk(tree(path)) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ]
    never_made = {line.lineno for node in checked for line in node.body}
    for node in ast.walk(tree(path)):
        if getattr(node, "lineno", None) in never_made:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = inside[: len(inside) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def public(path: Path) -> Iterator[tuple[str, ast.AST]]:
    """What a file offers: the module, its classes and functions, and the classes' methods, with their names."""

    def offered(owner: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[str, ast.AST]]:
        for node in owner.body:
            if isinstance(node, FunctionNode | ast.ClassDef) and not node.name.startswith("_"):
                yield prefix + node.name, node
                if isinstance(node, ast.ClassDef):
                    yield from offered(node, f"{prefix}{node.name}.")

    yield path.name, tree(path)
    yield from offered(tree(path), "")


def is_overload(node: ast.AST) -> bool:
    """Whether a function only declares types for the one that follows it."""
    return "overload" in [ast.unparse(one).split(".")[-1] for one in getattr(node, "decorator_list", [])]


def test_picture_shows_the_rooms_that_exist() -> None:
    """CONTRIBUTING.md's picture lists every file and folder of the package, once, and none that is not there."""
    there = {path.relative_to(PACKAGE).parts for path in SOURCES} - {("__init__.py",)}
    assert sorted(pictured()) == sorted({parts[0] + "/" * (len(parts) > 1) for parts in there})


def test_docstring_of_the_package_maps_the_same_rooms() -> None:
    """The package's docstring lists the rooms of CONTRIBUTING.md's picture, in the same order."""
    assert re.findall(r"^    (\w+)  ", tfod_helpers.__doc__ or "", re.MULTILINE) == rooms()


def test_few_names_at_the_top() -> None:
    """A stranger reads the names at the top of the package in one glance: 26 at most."""
    assert len(pictured()) <= MAX_NAMES


def test_no_room_for_odds_and_ends() -> None:
    """No module is called utils, helpers, misc or common."""
    assert not ODDS_AND_ENDS & {path.stem.strip("_") for path in [*SOURCES, *ROOT.glob("tests/*.py")]}


@pytest.mark.parametrize(
    "room", ["", "files", "photos", "presets", "annotations", "checks", "formats", "records", "sources"]
)
def test_light_rooms_load_no_tensorflow_and_no_pandas(room: str) -> None:
    """Importing the package, the formats and the records, with all files in them, leaves the heavy libraries out."""
    there = [path for path in SOURCES if room and room_of(path) == room]
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in there]
    lines = [f"import {name.removesuffix('.__init__')}" for name in ["tfod_helpers", *modules]]
    code = "\n".join([*lines, "import sys", "print(*{name.split('.')[0] for name in sys.modules})"])
    assert there or not room, f"there is no room {room}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    loaded = set(done.stdout.split())
    assert "tfod_helpers" in loaded
    assert not loaded & {"tensorflow", "tf_keras", "keras", "tensorflow_models", "official", "pandas", "matplotlib"}


@each_source
def test_google_is_imported_where_it_is_needed(path: Path) -> None:
    """google.* (Colab, Cloud Storage) is missing on most machines, so no module imports it at the top."""
    top = [node for node in tree(path).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [alias.name for node in top for alias in node.names]
    names += [node.module or "" for node in top if isinstance(node, ast.ImportFrom)]
    assert not [name for name in names if name == "google" or name.startswith("google.")]


@each_source
def test_progress_bars_are_text(path: Path) -> None:
    """A progress bar is text, which a terminal and a stored notebook can show; a widget shows in neither."""
    assert not [name for name in imported(path) if re.match(r"tqdm\.(auto|autonotebook|notebook)\b", name)]


@each_source
def test_nothing_read_can_run_code(path: Path) -> None:
    """No pickle, no eval or exec, and yaml only through its safe loader."""
    assert not {"pickle", "dill", "marshal", "shelve"} & {name.split(".")[0] for name in imported(path)}
    unsafe = {"eval", "exec", "yaml.load", "yaml.unsafe_load", "yaml.full_load"}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in unsafe, f"{path.name}:{node.lineno} calls {ast.unparse(node.func)}"
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert ast.unparse(node.value) == "False", f"{path.name}:{node.value.lineno} allows pickle"


@each_source
def test_public_things_are_documented(path: Path) -> None:
    """Every module and every public class, function, method and property has a docstring; an overload needs none."""
    bare = [name for name, node in public(path) if not ast.get_docstring(node) and not is_overload(node)]
    assert not bare, f"{path.name}: no docstring: {', '.join(bare)}"


@each_source
def test_public_functions_are_fully_typed(path: Path) -> None:
    """Every argument of a public function or method has a type, and so has what it returns."""
    for name, node in public(path):
        if isinstance(node, FunctionNode):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            arguments += [extra for extra in (node.args.vararg, node.args.kwarg) if extra]
            untyped = [a.arg for a in arguments if a.annotation is None and a.arg not in ("self", "cls")]
            assert not untyped, f"{path.name}: {name}: no type: {', '.join(untyped)}"
            assert node.returns is not None, f"{path.name}: {name}: no return type"


@each_source
def test_sizes_stay_readable(path: Path) -> None:
    """No file is longer than 350 lines, and no function than 40 lines without its docstring."""
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_FILE_LINES, f"{path.name} has {lines} lines"
    for node in ast.walk(tree(path)):
        if isinstance(node, FunctionNode):
            docstring = node.body[0] if ast.get_docstring(node) else None
            length = node.end_lineno - node.lineno + 1
            length -= docstring.end_lineno - docstring.lineno + 1 if docstring else 0
            assert length <= MAX_FUNCTION_LINES, f"{path.name}: {node.name} has {length} lines"


@each_source
def test_box_arrays_carry_their_format(path: Path) -> None:
    """An argument or attribute that holds boxes, not their number, says in its name which format they are in."""
    for node in ast.walk(tree(path)):
        name = node.arg if isinstance(node, ast.arg) else ""
        if isinstance(node, ast.AnnAssign):
            name = ast.unparse(node.target).removeprefix("self.")
        if name in ("boxes", "bboxes", "box", "bbox"):
            kind = ast.unparse(node.annotation) if node.annotation else "no type"
            assert kind == "int", f"{path.name}:{node.lineno}: {name} ({kind}) in which format?"


def test_package_is_the_one_under_test() -> None:
    """The package that the tests import is this checkout's source, not another one that is installed."""
    assert Path(tfod_helpers.__file__) == PACKAGE / "__init__.py"
