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

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MODULES = {
    path.stem for path in (ROOT / "tfod_helpers").iterdir() if (path / "__init__.py").exists() or path.suffix == ".py"
}
ELSEWHERE = {
    "Dataset": "tfod_helpers.annotations",
    "Detector": "tfod_helpers.detector",
    "ExportFacts": "tfod_helpers.detector",
    "inputs": "tfod_helpers.network",
    "run_folder": "tfod_helpers.files",
    "saved_model": "tfod_helpers.exporting",
    "storage": "tfod_helpers.files",
    "voc": "tfod_helpers.formats",
    "workspace": "tfod_helpers.files",
}
TITLE = "#@title Setup"
ON_A_LINE = 8  # names
CELL = f"""\
{TITLE}
import importlib
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("tfod_helpers") is None:  # a fresh Colab tab, or a checkout that is not installed yet
    source = ".." if Path("../pyproject.toml").exists() else "git+{{address}}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", source], check=True)
    importlib.invalidate_caches()
from tfod_helpers import installing

installing.install()  # what this package needs and this machine lacks; where nothing is missing, nothing

{{imports}}"""


def imports(notebook: nbformat.NotebookNode) -> str:
    """The import lines of what the cells of a notebook use: modules of this package, and what `ELSEWHERE` names."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and not cell.source.startswith(TITLE)]
    nodes = [node for cell in cells for node in ast.walk(ast.parse(cell.source))]
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    made = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    found: dict[str, list[str]] = {}
    for name in sorted(names - made):
        home = ELSEWHERE.get(name) or ("tfod_helpers" if name in MODULES else None)
        if home:
            found.setdefault(home, []).append(name)
    lines = [
        (home, names[at : at + ON_A_LINE])
        for home, names in sorted(found.items())
        for at in range(0, len(names), ON_A_LINE)
    ]
    return "\n".join(f"from {home} import {', '.join(names)}" for home, names in lines)


def render(notebook: nbformat.NotebookNode) -> str:
    """The setup cell of a notebook, with the address of this repository as pyproject.toml gives it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return CELL.format(address=project["urls"]["Repository"], imports=imports(notebook))


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
