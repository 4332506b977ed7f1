"""The rules of the package, which CONTRIBUTING.md states and no linter knows, held against its source."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tfod_helpers

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tfod_helpers"
SOURCES = sorted(PACKAGE.rglob("*.py"))
MAX_NAMES = 29  # at the top of the package
MAX_FILE_LINES = 350
MAX_FUNCTION_LINES = 40
ODDS_AND_ENDS = {"util", "utils", "helper", "helpers", "misc", "common"}
TENSORFLOW = ("tensorflow", "tensorflow_models", "official", "tf_keras", "keras", "orbit", "tensorboard", "h5py")
# These train or run a model, or ask what there is to train on.
NEED_TENSORFLOW = {
    "doctor",
    "experiment",
    "exporting",
    "learning_curve",
    "network",
    "pipeline_config",
    "runtime",
    "training",
}
IMPORT_FAST = {"annotations", "checks", "files", "formats", "photos", "presets", "problems", "records", "sources"}
# Of modules that need TensorFlow otherwise.
LIGHT = ("tfod_helpers.exporting.certificate", "tfod_helpers.pipeline_config")
# Run in a Python of its own: imports the modules named after the first argument, in which no blocked one can be found.
IMPORTING = """
import importlib, sys
sys.modules |= dict.fromkeys(sys.argv[1].split(","))  # None: importing it raises ModuleNotFoundError
for name in sys.argv[2:]:
    importlib.import_module(name)
print(*{name.split(".")[0] for name, module in sys.modules.items() if module})
"""
each_source = pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def pictured() -> list[str]:
    """What CONTRIBUTING.md's picture lists, from the top: ``photos.py``, ``formats/``, ..."""
    picture = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("```")[1]
    return re.findall(r"^  (\w+(?:\.py|/))\s", picture, re.MULTILINE)


def modules() -> list[str]:
    """The modules at the top of the package, in the order of the picture."""
    return [name.removesuffix("/").removesuffix(".py") for name in pictured()]


def module_of(path: Path) -> str:
    """The module at the top of the package that a source file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def tree(path: Path) -> ast.Module:
    """The syntax tree of a source file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported_by(names: list[str], blocked: tuple[str, ...], also: tuple[str, ...] = ()) -> set[str]:
    """The libraries that are loaded after every file of some modules was imported, without the blocked ones."""
    there = [path for path in SOURCES if module_of(path) in names]
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in there]
    command = [sys.executable, "-c", IMPORTING, ",".join(blocked), "tfod_helpers", *modules, *also]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_picture_shows_the_modules_that_exist() -> None:
    """CONTRIBUTING.md's picture lists every file and folder of the package, once, and none that is not there."""
    there = {path.relative_to(PACKAGE).parts for path in SOURCES} - {("__init__.py",)}
    assert sorted(pictured()) == sorted({parts[0] + "/" * (len(parts) > 1) for parts in there})


def test_docstring_of_the_package_maps_the_same_modules() -> None:
    """The package's docstring lists the modules of CONTRIBUTING.md's picture, in the same order."""
    assert re.findall(r"^    (\w+)  ", tfod_helpers.__doc__ or "", re.MULTILINE) == modules()


def test_few_names_at_the_top() -> None:
    """A stranger reads the names at the top of the package in one glance: 29 at most."""
    assert len(pictured()) <= MAX_NAMES


def test_no_module_for_odds_and_ends() -> None:
    """No module is called utils, helpers, misc or common."""
    assert not ODDS_AND_ENDS & {path.stem.strip("_") for path in [*SOURCES, *ROOT.glob("tests/*.py")]}


def test_light_modules_need_no_tensorflow() -> None:
    """Without TensorFlow, what finds, reads, checks, shows and records photos imports, whole."""
    light = [name for name in modules() if name not in NEED_TENSORFLOW]
    assert imported_by(light, blocked=TENSORFLOW, also=LIGHT) >= {"matplotlib", "supervision", "tfod_helpers"}


def test_reading_photos_does_not_begin_with_waiting() -> None:
    """What reads, checks and records photos imports no table and no figure library, which take a second each."""
    loaded = imported_by([name for name in modules() if name in IMPORT_FAST], blocked=TENSORFLOW)
    assert not loaded & {"pandas", "matplotlib"}


@each_source
def test_no_array_is_read_with_pickle(path: Path) -> None:
    """No array file is read that could run code; ruff's rules (S) look for pickle, eval and exec."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert ast.unparse(node.value) == "False", f"{path.name}:{node.value.lineno} allows pickle"


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


def test_missing_tensorflow_is_answered_with_the_extra_that_brings_it() -> None:
    """Where only the light install is there, a module that trains says what to install; a misspelt one says that."""
    code = "import sys; sys.modules['official'] = None; from tfod_helpers import {}"
    command = [sys.executable, "-c"]
    done = subprocess.run([*command, code.format("experiment")], capture_output=True, text=True, cwd=ROOT)
    assert "tfod_helpers.experiment needs TensorFlow and the Model Garden, and there is no module" in done.stderr
    assert done.stderr.strip().endswith("Install them: pip install 'tfod_helpers[train]'")
    done = subprocess.run([*command, code.format("experiments")], capture_output=True, text=True, cwd=ROOT)
    assert "cannot import name 'experiments'" in done.stderr
