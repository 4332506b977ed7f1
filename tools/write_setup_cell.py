"""Write the setup cell into every notebook, with the imports that its cells use; what a cell printed stays.

The cell installs this package where it is missing, and `tfod_helpers.installing` does the rest, so that what can go
wrong stands in code with tests and not in a cell.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MODULES = {path.stem for path in (ROOT / "tfod_helpers").iterdir() if not path.stem.startswith("_")}
# Modules that load TensorFlow, or run what does: a notebook that uses one needs the extra [train].
WITH_TENSORFLOW = {"detector", "doctor", "experiment", "exporting", "learning_curve", "runtime", "training"}
# What the notebooks use of this package and is no module of it, and of the standard library.
ELSEWHERE = {
    "Detector": "from tfod_helpers.detector import Detector",
    "ExportFacts": "from tfod_helpers.detector import ExportFacts",
    "saved_model": "from tfod_helpers.exporting import saved_model",
    "os": "import os",
}
NAMES_PER_LINE = 8
TITLE = "#@title Setup"
CELL = f"""\
{TITLE}
{{standard}}
if find_spec("tfod_helpers") is None:  # a fresh Colab tab, or a checkout that is not installed yet
    source = ".." if Path("../pyproject.toml").exists() else "git+{{url}}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", source], check=True)
    importlib.invalidate_caches()
from tfod_helpers import installing

installing.install({{extra}})  # what this notebook needs and this machine lacks; where nothing is missing, nothing

{{imports}}"""
STANDARD = ["import importlib", "import subprocess", "import sys", "from importlib.util import find_spec"]


def names_used(notebook: nbformat.NotebookNode) -> set[str]:
    """The names that a notebook's cells use and do not assign, but for the setup cell's own."""
    transform = TransformerManager().transform_cell
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code" and not cell.source.startswith(TITLE)]
    nodes = [node for source in cells for node in ast.walk(ast.parse(transform(source))) if isinstance(node, ast.Name)]
    return {node.id for node in nodes} - {node.id for node in nodes if isinstance(node.ctx, ast.Store)}


def render(notebook: nbformat.NotebookNode) -> str:
    """The setup cell of a notebook, with the URL of this repository as pyproject.toml gives it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = names_used(notebook)
    modules = sorted(names & MODULES)
    imports = [
        f"from tfod_helpers import {', '.join(modules[start : start + NAMES_PER_LINE])}"
        for start in range(0, len(modules), NAMES_PER_LINE)
    ]
    lines = [ELSEWHERE[name] for name in sorted(names & ELSEWHERE.keys())]
    standard = sorted([*STANDARD, *(line for line in lines if "tfod_helpers" not in line)], key=str.split)
    standard.sort(key=lambda line: line.startswith("from"))
    return CELL.format(
        standard="\n".join([*standard, "from pathlib import Path", ""]),
        url=project["urls"]["Repository"],
        extra='"train"' if needs_tensorflow(names) else "",
        imports="\n".join([*imports, *(line for line in lines if "tfod_helpers" in line)]),
    )


def needs_tensorflow(names: set[str]) -> bool:
    """Whether one of the names is, or comes from, a module that loads TensorFlow."""
    homes = {ELSEWHERE.get(name, f"from tfod_helpers import {name}") for name in names}
    return any(word.strip(",") in WITH_TENSORFLOW for line in homes for word in line.replace(".", " ").split())


def main() -> int:
    """Write the cell into each notebook where it differs; return the exit status.

    Raises:
        ValueError: a notebook's first code cell is not the setup cell.
    """
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, as_version=4)
        first = next(cell for cell in notebook.cells if cell.cell_type == "code")
        if not first.source.startswith(TITLE):
            raise ValueError(f"{path}: its first code cell does not begin with '{TITLE}'. Put a setup cell there.")
        if first.source != render(notebook):
            first.source = render(notebook)
            nbformat.write(notebook, path)
            print(f"{path.name}: setup cell written.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
