"""Write the documentation into a folder: the texts, the notebooks, and a page for each module with its docstrings.

``python tools/write_docs.py build`` (``make docs``) writes Markdown into ``build/pages``, and Zensical makes
``build/docs`` of it, as ``docs/mkdocs.yml`` says. A link that leads nowhere fails it. Notebooks are shown with the
outputs that are stored in them; nothing is run.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import yaml
from nbconvert import MarkdownExporter

ROOT = Path(__file__).parents[1]
TEXTS = {"README.md": "index.md", "dataset/README.md": "dataset.md"}
TEXTS |= {name: name for name in ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")}
# What a person imports from within a module; of all others the module itself offers everything.
WITHIN = {
    "exporting": ["saved_model", "onnx", "tflite", "edge_tpu", "tfjs", "web_page"],
    "files": ["run_folder", "storage", "workspace"],
    "formats": ["coco", "tfds"],
    "network": ["inputs"],
    "records": ["beam"],
}


def linked(text: str) -> str:
    """A text of the repository with its links leading to the pages made of what they named."""
    for name, page in TEXTS.items():
        text = text.replace(f"]({name})", f"]({page})")
    return re.sub(r"\]\((notebooks/)?(\w+)\.ipynb", r"](\1\2.md", text)


def write_texts(pages: Path) -> None:
    """Write README and the like."""
    for name, page in TEXTS.items():
        (pages / page).write_text(linked((ROOT / name).read_text(encoding="utf-8")), encoding="utf-8")
    shutil.copy(ROOT / "dataset" / "sample.jpg", pages)
    (pages / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "web_page.png", pages / "docs")


def write_notebooks(pages: Path) -> None:
    """Write each notebook with its pictures beside it."""
    (pages / "notebooks").mkdir()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        text, made = MarkdownExporter().from_notebook_node(
            notebook, {"unique_key": path.stem, "output_files_dir": path.stem}
        )
        (pages / "notebooks" / f"{path.stem}.md").write_text(linked(text), encoding="utf-8")
        for name, data in made["outputs"].items():
            picture = pages / "notebooks" / name
            picture.parent.mkdir(exist_ok=True)
            picture.write_bytes(data)


def write_modules(pages: Path) -> list[str]:
    """Write a page for each module of CONTRIBUTING.md's picture and return their names, in its order."""
    picture = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("```")[1]
    modules = re.findall(r"^  (\w+)(?:\.py|/)\s", picture, re.MULTILINE)
    (pages / "modules").mkdir()
    for name in modules:
        dotted = [f"tfod_helpers.{name}", *(f"tfod_helpers.{name}.{one}" for one in WITHIN.get(name, []))]
        text = "\n\n".join(f"::: {one}" for one in dotted)
        (pages / "modules" / f"{name}.md").write_text(f"---\ntitle: {name}\n---\n\n{text}\n", encoding="utf-8")
    return modules


def write_order(pages: Path, modules: list[str]) -> None:
    """Write the configuration: that of docs/mkdocs.yml, with the pages in order."""
    notebooks = [f"notebooks/{path.name}" for path in sorted((pages / "notebooks").glob("*.md"))]
    order = [
        {"Start": "index.md"},
        {"Notebooks": [*notebooks, {"The sample": "dataset.md"}]},
        {"Modules": [f"modules/{name}.md" for name in modules]},
        {"How it is built": "CONTRIBUTING.md"},
        {"Security": "SECURITY.md"},
        {"Changes": "CHANGELOG.md"},
    ]
    config = {"INHERIT": str(ROOT / "docs" / "mkdocs.yml"), "docs_dir": "pages", "site_dir": "docs", "nav": order}
    (pages.parent / "mkdocs.yml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def main() -> int:
    """Write pages and documentation into the folder named on the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="pages/, mkdocs.yml and docs/ are made in it, anew")
    pages = parser.parse_args().folder.resolve() / "pages"
    shutil.rmtree(pages, ignore_errors=True)
    pages.mkdir(parents=True)
    write_texts(pages)
    write_notebooks(pages)
    write_order(pages, write_modules(pages))
    config = str(pages.parent / "mkdocs.yml")
    return subprocess.run([sys.executable, "-m", "zensical", "build", "--clean", "--strict", "-f", config]).returncode


if __name__ == "__main__":
    sys.exit(main())
