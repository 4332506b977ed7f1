"""The form of the notebooks, which CONTRIBUTING.md states, held against the committed files."""

from __future__ import annotations

import ast
import json
import math
import re
import runpy
import statistics
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

FOLDER = Path(__file__).parents[1] / "notebooks"
NAMES = [
    "00_check_your_photos",
    "01_train_tpu",
    "02_predict_gpu",
    "03_tune_and_compare",
    "04_label_more",
    "05_ship_it",
    "06_pets_many_machines",
    "07_cats_or_dogs",
    "08_old_checkpoint",
]
MAX_BYTES = 300_000
MAX_CELL_LINES = 25
MAX_MEDIAN_LINES = 5
CHECKED = "# NBVAL_CHECK_OUTPUT"
each_notebook = pytest.mark.parametrize("name", NAMES)


def read(name: str) -> nbformat.NotebookNode:
    """A committed notebook."""
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def code_cells(name: str) -> list[nbformat.NotebookNode]:
    """The code cells of a notebook."""
    return [cell for cell in read(name).cells if cell.cell_type == "code"]


def headings(name: str, level: int) -> list[str]:
    """The headings of one level in a notebook's text."""
    text = "\n".join(cell.source for cell in read(name).cells if cell.cell_type == "markdown")
    return re.findall(rf"^{'#' * level} +(.+)$", text, re.MULTILINE)


def code_lines(source: str) -> list[str]:
    """The lines of a cell that hold code."""
    return [line for line in source.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def python(source: str) -> str:
    """A cell's source with its magics turned into the Python that IPython makes of them."""
    return TransformerManager().transform_cell(source)


def nodes(name: str) -> Iterator[ast.AST]:
    """Every node of the syntax trees of a notebook's cells."""
    for cell in code_cells(name):
        yield from ast.walk(ast.parse(python(cell.source)))


def printed(cell: nbformat.NotebookNode) -> str:
    """All text that a cell left behind."""
    texts = [output.get("text", "") for output in cell.outputs]
    texts += [str(text) for output in cell.outputs for kind, text in output.get("data", {}).items() if "text" in kind]
    return "\n".join(texts)


def test_notebooks_are_the_nine() -> None:
    """The folder has those to check, train, predict, compare, label, ship, use machines, classify and carry over."""
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == NAMES


@each_notebook
def test_begins_with_its_only_h1_and_an_introduction(name: str) -> None:
    """The first cell holds the one H1 and says what the notebook needs and makes."""
    first = read(name).cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")
    assert len(headings(name, 1)) == 1
    assert re.search(r"\bneeds?\b", first.source, re.IGNORECASE)
    assert re.search(r"\bmakes?\b", first.source, re.IGNORECASE)


@each_notebook
def test_setup_cell_is_what_the_tool_writes(name: str) -> None:
    """The first code cell is the setup cell, to the letter what tools/write_setup_cell.py writes for this notebook."""
    written = runpy.run_path(str(FOLDER.parent / "tools" / "write_setup_cell.py"))["render"](read(name))
    assert written.startswith("#@title Setup\n")
    assert ('installing.install("train"' in written) == (name != "00_check_your_photos")  # which needs no TensorFlow
    assert "installing.install(" in written
    assert code_cells(name)[0].source == written


@each_notebook
def test_choices_are_form_fields(name: str) -> None:
    """Under 'Choose', every line of the cell is a form field of Colab with a literal value."""
    cells = read(name).cells
    at = next(n for n, cell in enumerate(cells) if cell.source.startswith("## Choose"))
    lines = code_lines(cells[at + 1].source)
    assert cells[at + 1].cell_type == "code"
    assert lines
    for line in lines:
        assert re.match(r"\w+ = .+ #@param\b", line), f"{name}: not a form field: {line}"
        ast.literal_eval(line.partition("=")[2].rpartition("#@param")[0].strip())


@each_notebook
def test_ends_with_what_you_made(name: str) -> None:
    """The last section says what was made."""
    assert headings(name, 2)[-1] == "What you made"


@each_notebook
def test_no_code_that_belongs_in_the_package(name: str) -> None:
    """No function, class, shell command, change of folder or change of the import path."""
    for node in nodes(name):
        assert not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda)
        if isinstance(node, ast.Attribute):
            assert ast.unparse(node) not in ("sys.path", "os.chdir", "os.system")
    for cell in code_cells(name):
        made = python(cell.source)
        assert "get_ipython().system(" not in made
        assert "get_ipython().getoutput(" not in made
        assert "run_cell_magic(" not in made
        assert set(re.findall(r"run_line_magic\('(\w+)'", made)) <= {"pip"}


@each_notebook
def test_cells_are_short(name: str) -> None:
    """No cell is over 25 lines, and half of them have 5 lines of code or fewer."""
    cells = [code_lines(cell.source) for cell in code_cells(name)]
    assert max(map(len, cells)) <= MAX_CELL_LINES
    assert statistics.median(map(len, cells)) <= MAX_MEDIAN_LINES


@each_notebook
def test_no_path_is_typed_twice(name: str) -> None:
    """A text that names a file or folder appears once; later cells use the variable."""
    texts = [node.value for node in nodes(name) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    paths = [
        text
        for text in texts
        if text != "/" and re.fullmatch(r"[\w.~-]*/[\w./ -]*|[\w-]+\.(jpg|png|xml|csv|json|yaml)", text)
    ]
    assert not [path for path, times in Counter(paths).items() if times > 1]


@each_notebook
def test_outputs_are_of_one_run_from_top_to_bottom(name: str) -> None:
    """Every code cell was executed, in order, once, and none failed."""
    cells = code_cells(name)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]


@each_notebook
def test_outputs_are_light_and_name_no_machine(name: str) -> None:
    """A notebook has at most 300 kB, and shows no folder of the machine that it ran on."""
    assert (FOLDER / f"{name}.ipynb").stat().st_size <= MAX_BYTES
    for cell in code_cells(name):
        assert not re.search(r"(?<![\w.])/(home|root|tmp|work|content|Users)/", printed(cell)), cell.source


@each_notebook
def test_a_picture_comes_early(name: str) -> None:
    """A reader sees a picture within the first third of the cells."""
    cells = read(name).cells
    early = cells[: math.ceil(len(cells) / 3)]
    kinds = {kind for cell in early for output in cell.get("outputs", []) for kind in output.get("data", {})}
    assert kinds & {"image/png", "image/jpeg"}


@each_notebook
def test_what_is_checked_can_be_compared(name: str) -> None:
    """The mark stands alone on its line, in at least one cell, with stored text to compare; no cell opts out."""
    marked = [cell for cell in code_cells(name) if "NBVAL" in cell.source]
    assert marked
    for cell in marked:
        marks = [line for line in cell.source.splitlines() if "NBVAL" in line]
        assert marks == [CHECKED]
        assert printed(cell).strip(), f"{name}: nothing is stored to compare with: {cell.source}"
        assert "import" not in cell.source, "imports write to the terminal behind nbval's back: move it to the setup"


def test_training_notebook_asserts_that_the_model_learned() -> None:
    """A cell of the train notebook fails where the AP50 that was reached is that of a model that learned nothing."""
    asserts = [ast.unparse(node) for node in nodes("01_train_tpu") if isinstance(node, ast.Assert)]
    assert [text for text in asserts if "ap50" in text and re.search(r">=? *0\.[5-9]", text)]


@each_notebook
def test_kernel_is_any_python_3(name: str) -> None:
    """The notebook asks for the kernel that every Jupyter and Colab has."""
    metadata = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))["metadata"]
    assert metadata["kernelspec"]["name"] == "python3"
