"""Run the notebooks of a folder in order, show what they print, and keep outputs and pictures.

``python tools/execute_notebooks.py demo`` runs every ``demo/notebooks/*.ipynb`` as a person would, top to bottom,
and writes the executed notebook in its place and its pictures into ``demo/pictures``. The last line says the AP of the
run that the notebooks made.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

_CELL_TIMEOUT = 3600  # seconds; a cell that trains on a slow machine must not be cut off
_PICTURES = {"image/png": "png", "image/jpeg": "jpg"}


class LiveClient(NotebookClient):
    """A notebook client that shows on the terminal what the cells print, as they print it."""

    def output(self, outs: list[Any], msg: dict[str, Any], display_id: str | None, cell_index: int) -> Any:
        """Show a piece of text that a cell printed, then keep it as usual."""
        if msg["msg_type"] == "stream":
            sys.stderr.write(msg["content"]["text"])
            sys.stderr.flush()
        return super().output(outs, msg, display_id, cell_index)


def execute(path: Path) -> nbformat.NotebookNode:
    """Run a notebook in its own folder and write it back with its outputs, also where a cell fails.

    Args:
        path: the notebook file.

    Returns:
        The executed notebook.

    Raises:
        CellExecutionError: a cell raised; the notebook on disk shows where.
    """
    notebook = nbformat.read(path, as_version=4)
    headings = _headings(notebook)

    def announce(cell: nbformat.NotebookNode, cell_index: int) -> None:
        if cell.cell_type == "code":
            print(f"[{path.stem}] {headings[cell_index]}", flush=True)

    client = LiveClient(
        notebook,
        timeout=_CELL_TIMEOUT,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],  # the kernel's own start-up notes are not the notebook's
        resources={"metadata": {"path": str(path.parent)}},
        record_timing=False,  # times would make every run of an unchanged notebook a change to commit
        coalesce_streams=True,  # of a progress bar, keep its last state and not its thousand steps
        on_cell_start=announce,
    )
    try:
        client.execute()
    finally:
        nbformat.write(notebook, path)
    return notebook


def save_pictures(notebook: nbformat.NotebookNode, folder: Path, stem: str) -> list[Path]:
    """Write the pictures of an executed notebook as ``<stem>_1.png``, ``<stem>_2.png``, ... and return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            for kind, ending in _PICTURES.items():
                if kind in output.get("data", {}):
                    paths.append(folder / f"{stem}_{len(paths) + 1}.{ending}")
                    paths[-1].write_bytes(base64.b64decode(output.data[kind]))
    return paths


def score(folder: Path) -> str:
    """Say the best AP of the last run that the notebooks made below ``folder``, or that they made none."""
    manifests = sorted(folder.rglob("run.json"), key=lambda path: path.stat().st_mtime)
    if not manifests:
        return "No run was made, so there is no AP"
    best = json.loads(manifests[-1].read_text(encoding="utf-8"))["best"]
    return f"AP50 {best['ap50']:.2f}, AP {best['ap']:.2f} on the validation photos"


def main() -> int:
    """Run every notebook of the folder named on the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the folder that holds notebooks/")
    folder = parser.parse_args().folder
    notebooks = sorted((folder / "notebooks").glob("*.ipynb"))
    started, pictures = time.monotonic(), []
    for path in notebooks:
        try:
            pictures += save_pictures(execute(path), folder / "pictures", path.stem)
        except CellExecutionError as error:
            print(f"\n{path}: a cell failed.\n{error}", file=sys.stderr)
            return 1
    minutes, seconds = divmod(round(time.monotonic() - started), 60)
    print(f"\nRan in {minutes} min {seconds} s; notebooks in {folder}/notebooks, pictures in {folder}/pictures.")
    print(f"{folder}/: {len(notebooks)} notebooks, {len(pictures)} pictures. {score(folder)}.")
    return 0


def _headings(notebook: nbformat.NotebookNode) -> list[str]:
    """Return, for each cell, the last heading above it."""
    headings, heading = [], ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            titles = [line.lstrip("# ") for line in cell.source.splitlines() if line.startswith("#")]
            heading = titles[-1] if titles else heading
        headings.append(heading)
    return headings


if __name__ == "__main__":
    sys.exit(main())
