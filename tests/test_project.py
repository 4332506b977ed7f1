"""The furniture of the project: requirements, package data, commands, and what the README promises of them."""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import inspect
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import tfod_helpers

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tfod_helpers"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NEEDED_UNSEEN = {"jinja2", "setuptools"}  # imported by what we import
FOR_DEVELOPERS = {"docs", "notebooks", "test"}  # the extras that the package itself imports nothing of
ALWAYS_THERE = {"IPython", "pip"}  # in the hook that IPython itself calls; where packaging is yet to be installed
PRODUCT = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile", "pyproject.toml", "requirements*.txt")
PRODUCT += ("tfod_helpers/**/*.py", "notebooks/*.ipynb", "dataset/*.py", "dataset/*.md", "tools/*.py")
PINNED = ("requirements.txt", "requirements-tpu.txt")
RED_DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
# Runs the code cells of the notebook that it is given, in the working folder, where no blocked module can be found.
CELLS = """
import sys, json
sys.modules |= dict.fromkeys(sys.argv[2:])  # None: importing it raises ModuleNotFoundError
cells = json.load(open(sys.argv[1], encoding="utf-8"))["cells"]
for cell in cells:
    if cell["cell_type"] == "code":
        exec(compile("".join(cell["source"]), "".join(cell["source"][:1]), "exec"))
assert not {"tensorflow", "official", "tf_keras"} & {name for name, module in sys.modules.items() if module}
"""
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="this machine has no make")


def pins(file: str = "requirements.txt") -> dict[str, tuple[str, str]]:
    """Each line of a requirements file: the package's name -> its pinned version and the reason given."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    found = {}
    for line in filter(None, (line.strip() for line in lines)):
        if not line.startswith("#"):
            wanted, _, reason = line.partition("#")
            name, _, version = wanted.strip().partition("==")
            found[canonicalize_name(name.partition("[")[0])] = (version, reason.strip())
    return found


def needed() -> dict[str, Requirement]:
    """What pyproject.toml asks for, with the extras: the package's name -> the requirement."""
    texts = [*PROJECT["dependencies"], *(text for extra in PROJECT["optional-dependencies"].values() for text in extra)]
    return {canonicalize_name(one.name): one for one in map(Requirement, texts)}


def product_files() -> list[Path]:
    """The files that a user gets to read."""
    return [path for pattern in PRODUCT for path in sorted(ROOT.glob(pattern))]


def commands() -> set[str]:
    """The commands that the Makefile has."""
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert phony
    return set(phony.group(1).split())


def run_tool(folder: Path, *cells: list[nbformat.NotebookNode]) -> subprocess.CompletedProcess[str]:
    """Write notebooks of these cells into a folder and run tools/execute_notebooks.py on it."""
    (folder / "notebooks").mkdir()
    for number, some in enumerate(cells, start=1):
        nbformat.write(new_notebook(cells=some), folder / "notebooks" / f"0{number}_test.ipynb")
    command = [sys.executable, str(ROOT / "tools" / "execute_notebooks.py"), str(folder)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("file", [*PINNED, "requirements-gpu.txt"])
def test_every_requirement_is_pinned_and_has_its_reason(file: str) -> None:
    """Each line of the requirements files names one version and says why the package is there."""
    assert pins(file)
    for name, (version, reason) in pins(file).items():
        assert Version(version), name
        assert len(reason.split()) >= 2, f"{name}: why is it there?"


def test_pins_are_what_the_package_asks_for() -> None:
    """requirements.txt and pyproject.toml name the same packages, and each pin lies in its range."""
    assert set(pins()) == set(needed())
    for name, requirement in needed().items():
        assert requirement.specifier.contains(pins()[name][0]), f"{name} {pins()[name][0]} is not {requirement}"


def test_tpu_requirements_are_the_same_with_the_tensorflow_of_tpus() -> None:
    """requirements-tpu.txt repeats requirements.txt, version and reason; only TensorFlow is the build for TPUs."""
    plain, tpu = pins(), pins("requirements-tpu.txt")
    assert tpu["tensorflow-tpu"][0] == plain.pop("tensorflow")[0]
    assert "tensorflow" not in tpu
    assert plain.items() <= tpu.items()
    assert tpu.keys() >= {"libtpu", "seqeval"}


def test_tpu_requirements_are_complete() -> None:
    """Every package that this environment's packages need is in requirements-tpu.txt, in the version that is here."""
    tool = runpy.run_path(str(ROOT / "tools" / "write_tpu_requirements.py"))
    tpu = pins("requirements-tpu.txt")
    here = tool["closure"](tool["wanted"]()).keys() - {"tensorflow", "tensorflow-tpu", "libtpu"}
    assert len(here) > 200
    assert {name: importlib.metadata.version(name) for name in here} == {name: tpu[name][0] for name in here}


def test_what_the_package_imports_is_what_it_asks_for() -> None:
    """Each library that the package imports is a dependency or an extra for users, and each of these is imported."""
    trees = [ast.walk(ast.parse(path.read_text(encoding="utf-8"))) for path in PACKAGE.rglob("*.py")]
    nodes = [node for tree in trees for node in tree]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    tops = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"tfod_helpers"} - ALWAYS_THERE
    homes = importlib.metadata.packages_distributions()
    extras = PROJECT["optional-dependencies"]
    texts = [*PROJECT["dependencies"], *(text for extra in extras.keys() - FOR_DEVELOPERS for text in extras[extra])]
    asked = {canonicalize_name(Requirement(text).name) for text in texts}
    imported = {top: {canonicalize_name(home) for home in homes.get(top, [])} for top in tops}
    assert not {top for top, packages in imported.items() if not packages & asked}, "imported and not asked for"
    assert not asked - NEEDED_UNSEEN - set().union(*imported.values()), "asked for and not imported"


def test_checking_photos_needs_no_tensorflow(tmp_path: Path) -> None:
    """The first notebook runs from top to bottom where the libraries of the extra [train] are missing."""
    blocked = ["tensorflow", "tensorflow_models", "official", "tf_keras", "keras", "tensorboard", "h5py"]
    blocked += ["tensorflow_datasets"]
    command = [sys.executable, "-c", CELLS, str(ROOT / "notebooks" / "00_check_your_photos.ipynb"), *blocked]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | {"MPLBACKEND": "agg"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "checked" / "clean").is_dir()


@pytest.mark.install
def test_the_plain_package_checks_photos(tmp_path: Path) -> None:
    """'pip install' of the wheel brings no TensorFlow, and the first notebook runs with what it brings."""
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    (wheel,) = tmp_path.glob("*.whl")
    pins = ["--constraint", str(ROOT / "requirements-tpu.txt")]
    subprocess.run([python, "-m", "pip", "install", *pins, f"{wheel}[cloud,heic]"], check=True)
    run = [python, "-c", CELLS, str(ROOT / "notebooks" / "00_check_your_photos.ipynb")]
    subprocess.run(run, cwd=tmp_path, env=os.environ | {"MPLBACKEND": "agg"}, check=True)
    listed = subprocess.run([python, "-m", "pip", "list"], check=True, capture_output=True, text=True).stdout
    assert "tensorflow" not in listed
    assert len(listed.splitlines()) < 70


def test_wheel_holds_the_package_and_the_sample_and_nothing_else(tmp_path: Path) -> None:
    """What 'pip install .' installs is the package with the sample, under the version it says it has."""
    for name in ("pyproject.toml", "README.md", "LICENSE", *PINNED):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(PACKAGE, tmp_path / "tfod_helpers", ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("train", "test", "data"):
        shutil.copytree(ROOT / "dataset" / part, tmp_path / "dataset" / part)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", "out", "."]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = (tmp_path / "out").glob("*.whl")
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    sample = [path for path in (tmp_path / "dataset").rglob("*") if path.is_file()]
    assert len(sample) == 2 * 250 + 4  # the label map, what differs in the broken sample, an old training, and pets
    files = [path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    ours = {path.relative_to(ROOT).as_posix() for path in files}
    photos = {f"tfod_helpers/sample/{path.relative_to(tmp_path / 'dataset').as_posix()}" for path in sample}
    assert inside == ours | photos | {f"tfod_helpers/{name}" for name in PINNED}
    assert "tfod_helpers/py.typed" in inside
    assert wheel.name.startswith(f"tfod_helpers-{tfod_helpers.__version__}-")


def test_every_file_that_names_the_version_names_this_one() -> None:
    """CHANGELOG.md has a section for the version that the package says it has, and CITATION.cff cites it."""
    assert f"\n## {tfod_helpers.__version__} " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\nversion: {tfod_helpers.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_commands_that_the_texts_name_exist() -> None:
    """Every 'make something' that a text or a machine's instructions name is a command of the Makefile."""
    named = set()
    for name in ("README.md", "CONTRIBUTING.md", ".ci/run", ".github/workflows/test.yml", ".pre-commit-config.yaml"):
        text = (ROOT / name).read_text(encoding="utf-8")
        named |= set(re.findall(r"(?:^|['`]|run: |\d[a-z]* )make ([a-z]+)", text, re.MULTILINE))
    assert {"demo", "env", "test", "tpu", "quick"} <= named <= commands()


@pytest.mark.tensorflow
def test_example_in_the_readme_uses_what_exists() -> None:
    """Every function that the README's Python examples call is there and takes the arguments that it is given."""
    examples = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    tree = ast.parse("\n".join(examples))
    names: dict[str, object] = {}
    imports = ast.Module([node for node in tree.body if isinstance(node, ast.ImportFrom)], [])
    exec(compile(imports, "README.md", "exec"), names)
    checked = []
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        dotted = ast.unparse(call.func)
        path = dotted.split(".")
        if path[0] in names and "(" not in dotted:  # a method of what another call returned is not looked up
            function = functools.reduce(getattr, path[1:], names[path[0]])
            inspect.signature(function).bind(*call.args, **{word.arg: word.value for word in call.keywords})
            checked.append(dotted)
    assert {"experiment.make", "training.train", "saved_model.export", "detector.Detector.load"} <= set(checked)
    assert "pipeline_config.read" in checked


def test_documentation_is_made_and_opens_offline(tmp_path: Path) -> None:
    """Each module has its page with its docstrings, no link leads nowhere, and no page loads anything from afar."""
    command = [sys.executable, str(ROOT / "tools" / "write_docs.py"), str(tmp_path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    page = (tmp_path / "docs" / "modules" / "formats.html").read_text(encoding="utf-8")
    assert 'id="tfod_helpers.formats.read"' in page
    for path in (tmp_path / "docs").rglob("*.html"):
        loads = re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="?(?:https?:)?//', path.read_text(encoding="utf-8"))
        assert not loads, path.name


@needs_make
def test_help_says_what_each_command_does() -> None:
    """'make help', and make alone, list every command of the Makefile."""
    for command in (["make", "help"], ["make"]):
        done = subprocess.run([*command, "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True)
        assert {line.split()[1] for line in done.stdout.splitlines()} == commands()


@needs_make
def test_another_python_is_refused_with_a_word_on_what_to_do(tmp_path: Path) -> None:
    """'make env' with a Python that is not 3.11 or 3.12 makes nothing, and says which it needs."""
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    command = ["make", "env", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert "Needs Python 3.11 or 3.12" in done.stderr
    assert "PYTHON=/path/to/python3.12" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_address_of_the_repository_is_the_same_everywhere() -> None:
    """An address of this repository in any file is the one that pyproject.toml gives."""
    address = PROJECT["urls"]["Repository"]
    for path in product_files():
        found = re.findall(r"https?://[^\s\"'\\)>@]*/tfod[_-]helpers[^\s\"'\\)>@/#]*", path.read_text(encoding="utf-8"))
        assert {one.removesuffix(".git") for one in found} <= {address}, path.name


def test_product_knows_nothing_of_where_it_was_made() -> None:
    """No file that a user reads names a folder of a developer's machine or the test material beside the checkout."""
    assert len(product_files()) > 10
    for path in product_files():
        found = re.search(
            r"/work/|/opt/pypi|/tmp/\w|\.\./shared|DESIGN\.md|FACTS\.md", path.read_text(encoding="utf-8")
        )
        assert not found, f"{path.name}: {found.group()}"


def test_notebooks_run_in_order_and_leave_pictures_and_the_score(tmp_path: Path) -> None:
    """The demo's tool runs the notebooks in order in their folder, and ends in the AP that their run reached."""
    best = '{"best": {"ap50": 0.8649, "ap": 0.5751}}'
    train = [
        new_markdown_cell("# One\n## Train the model"),
        new_code_cell("import os\nfrom pathlib import Path\nPath('../runs').mkdir()\nprint('learning')"),
        new_code_cell(f"Path('../runs/run.json').write_text('{best}');"),
    ]
    show = f"from IPython.display import Image\nimport base64\nImage(base64.b64decode('{RED_DOT}'))"
    predict = [new_code_cell("open('../runs/run.json').close()"), new_code_cell(show)]
    done = run_tool(tmp_path, train, predict)
    assert done.returncode == 0, done.stderr
    assert "[01_test] Train the model" in done.stdout
    assert "learning" in done.stderr
    last = done.stdout.splitlines()[-1]
    assert last == f"{tmp_path}/: 2 notebooks, 1 pictures. AP50 0.86, AP 0.58 on the validation photos."
    assert (tmp_path / "pictures" / "02_test_1.png").read_bytes().startswith(b"\x89PNG")
    counts = [cell.execution_count for cell in nbformat.read(tmp_path / "notebooks/02_test.ipynb", 4).cells]
    assert counts == [1, 2]


def test_a_cell_that_fails_stops_the_run(tmp_path: Path) -> None:
    """The demo's tool fails with the cell's error and does not go on to the next notebook."""
    done = run_tool(tmp_path, [new_code_cell("1 / 0")], [new_code_cell("print('never')")])
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert "never" not in done.stderr


@pytest.mark.parametrize("status", [0, 3])
def test_ci_tests_in_an_environment_of_its_own(tmp_path: Path, status: int) -> None:
    """.ci/run calls 'make test' with an environment that did not exist before, and fails where that fails."""
    make = tmp_path / "make"
    make.write_text(f'#!/bin/sh\necho "$@"\nexit {status}\n')
    make.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", ".ci/run"], cwd=ROOT, capture_output=True, text=True, env=os.environ | {"PATH": path}
    )
    assert done.returncode == status
    ((command, environment),) = re.findall(r"^(\w+) VENV=(\S+) PYTHON=\S*python", done.stdout, re.MULTILINE)
    assert command == "test"
    assert not Path(environment).exists()
