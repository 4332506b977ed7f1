"""Write the setup cell, the same into every notebook; what a cell printed stays.

The cell installs this package where it is missing, and `tfod_helpers.installing` does the rest, so that what can go
wrong stands in code with tests and not in a cell.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TITLE = "#@title Setup"
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

from tfod_helpers import broken_sample, bucket, checks, drive, evaluation, experiment, formats
from tfod_helpers import inputs, learning_curve, pictures, records, run_folder, runs, runtime, sources
from tfod_helpers import storage, training, workspace
from tfod_helpers.annotations import Dataset
from tfod_helpers.detector import Detector, ExportFacts
from tfod_helpers.exporting import saved_model
from tfod_helpers.formats import voc"""


def render() -> str:
    """The setup cell, with the address of this repository as pyproject.toml gives it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return CELL.format(address=project["urls"]["Repository"])


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
        if first.source != render():
            first.source = render()
            nbformat.write(notebook, path)
            print(f"{path.name}: setup cell written.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
