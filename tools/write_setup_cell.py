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
WITH_TENSORFLOW = {
    "classifier",
    "detector",
    "doctor",
    "experiment",
    "exporting",
    "learning_curve",
    "runtime",
    "training",
}
# What the notebooks use of a module of this package, and where it is.
INSIDE = {"Detector": "detector", "ExportFacts": "detector", "wrong_classes": "classifier"} | dict.fromkeys(
    ("edge_tpu", "onnx", "saved_model", "tfjs", "tflite", "web_page"), "exporting"
)
LIGHT = {"wrong_classes"}  # does with less where TensorFlow is missing
# A name that is used -> the extra that it needs besides.
EXTRAS = {"labelling": "label", "onnx": "onnx", "web_page": "browser"}
NAMES_PER_LINE = 8
TITLE = "#@title Setup"
CELL = f"""\
{TITLE}
import importlib
{{more}}import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("tfod_helpers") is None:  # a fresh Colab tab, or a checkout that is not installed yet
    source = ".." if Path("../pyproject.toml").exists() else "git+{{url}}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", source], check=True)
    importlib.invalidate_caches()
from tfod_helpers import installing

installing.install({{extra}})  # only what this notebook needs and this machine lacks

{{imports}}"""


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
    homes = {INSIDE[name] for name in names & INSIDE.keys()}
    heavy = {INSIDE[name] for name in (names & INSIDE.keys()) - LIGHT}
    extras = ["train"] if (names | heavy) & WITH_TENSORFLOW else []
    extras += sorted(EXTRAS[name] for name in names & EXTRAS.keys())
    lines = {"tfod_helpers": sorted(names & MODULES)}
    lines |= {
        f"tfod_helpers.{home}": sorted(name for name in names if INSIDE.get(name) == home) for home in sorted(homes)
    }
    imports = [
        f"from {home} import {', '.join(found[start : start + NAMES_PER_LINE])}"
        for home, found in lines.items()
        for start in range(0, len(found), NAMES_PER_LINE)
    ]
    return CELL.format(
        more="import os\n" if "os" in names else "",
        url=project["urls"]["Repository"],
        extra=", ".join(f'"{extra}"' for extra in extras),
        imports="\n".join(imports),
    )


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
