"""pictures: that a notebook shows each once and small, in one look, in words that every font has."""

from __future__ import annotations

import gc
import io
import itertools
import subprocess
import sys
import weakref
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib import colors
from picture_parts import all_found, detections, drawn, few_photos, history, many_classes, odd_photos, photo
from PIL import Image

from tfod_helpers import evaluation, pictures
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.annotations.appearance import PALETTE, ink_on, readable
from tfod_helpers.formats import voc
from tfod_helpers.pictures.picture import Picture
from tfod_helpers.problems import Problem

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.filterwarnings("error")  # a missing letter or a bad layout would warn


@pytest.fixture
def few(tmp_path: Path) -> Dataset:
    """Twelve photos, a cat in each, and a dog in every third."""
    return few_photos(tmp_path)


@pytest.fixture
def odd(tmp_path: Path) -> Dataset:
    """Tiny, very wide, very high, crowded and empty photos, with names that are hard to draw."""
    return odd_photos(tmp_path)


def problem(image: LabelledImage, names: LabelMap) -> Problem:
    """A problem with the first box of a photo, moved so that it reaches out, or with the photo where it has none."""
    size = (image.width, image.height)
    if not len(image.labels):
        return Problem(
            where=image.path.name, what=f"$nothing$ in {image.path}", fix="", photo=str(image.path), size=size
        )
    box_xyxy = tuple((image.boxes_xyxy[0] - image.width / 2).tolist())
    name = names.name(int(image.labels[0]))
    return Problem(
        where="a.xml", object=f"object 1 ({name!r})", what=f"it reaches out, {name}", fix="",
        kind=name, photo=str(image.path), size=size, box_xyxy=box_xyxy, label=name,
    )  # fmt: skip


def every_picture(dataset: Dataset) -> dict[str, Picture]:
    """One picture of each kind."""
    found = [all_found(image, dataset.label_map) for image in dataset]
    turned = [one[::-1] for one in found]  # the classes no longer fit the boxes
    for one, other in zip(turned, found, strict=True):
        one.xyxy = other.xyxy
    right, wrong = evaluation.score(dataset, found, resamples=50), evaluation.score(dataset, turned, resamples=50)
    runs = {name: [0.3, 0.5] for name in ("ap", "ap_low", "ap_high", "ap50", "ap50_low", "ap50_high")}
    return {
        "images": pictures.show_images(dataset),
        "detections": pictures.show_detections(list(dataset), found),
        "predictions": pictures.show_predictions(dataset, found),
        "labels": pictures.plot_labels({"train": dataset, "validation": dataset}),
        "places": pictures.plot_places(dataset),
        "sizes": pictures.plot_sizes(dataset),
        "classes": pictures.show_classes(dataset, 2),
        "problems": pictures.show_problems([problem(image, dataset.label_map) for image in dataset]),
        "history": pictures.plot_history(history()),
        "evaluation": pictures.plot_evaluation(right),
        "confusions": pictures.plot_evaluation(wrong),
        "thresholds": pictures.plot_thresholds(wrong),
        "calibration": pictures.plot_calibration(wrong),
        "mistakes": pictures.show_mistakes(wrong),
        "no mistakes": pictures.show_mistakes(right),
        "label errors": pictures.show_label_errors(wrong),
        "learning curve": pictures.plot_learning_curve({"images": [9, 99], **runs}),
        "runs": pictures.plot_runs({"label": [*dataset.label_map][-2:], **runs}),
        "many classes": pictures.plot_evaluation(many_classes(80)),
    }


# --- the figure itself -------------------------------------------------------------------------


def test_notebook_shows_a_picture_exactly_once(tmp_path: Path) -> None:
    """A cell that ends in a picture shows one image, with inline pyplot or without; an assignment shows none."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    photo(tmp_path, "a.png")
    setup = f"""import pandas, supervision; from tfod_helpers import pictures
history = pandas.DataFrame({{"step": [1, 2], "loss": [2.0, 1.0]}})
photo, found = {str(tmp_path / "a.png")!r}, supervision.Detections.empty()"""
    chart, grid = "pictures.plot_history(history)", "pictures.show_detections(photo, found)"
    inline = "%matplotlib inline\nimport matplotlib.pyplot as plt"
    sources = [setup, chart, inline, chart, grid, f"kept = {chart}", f"display({grid})"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(ROOT)}}).execute()
    shown = [[sorted(output["data"]) for output in cell.outputs if "data" in output] for cell in notebook.cells]
    png, jpeg = [["image/png", "text/plain"]], [["image/jpeg", "text/plain"]]
    assert shown == [[], png, [], png, jpeg, [], jpeg]


def test_no_figure_stays_open(few: Dataset) -> None:
    """Hundreds of pictures leave nothing behind: pyplot knows none of them and the memory is free again."""
    from matplotlib import pyplot

    picture = pictures.show_images(few)
    picture.to_bytes()
    gone = weakref.ref(picture)
    assert pyplot.get_fignums() == []
    del picture
    gc.collect()
    assert gone() is None


def test_import_is_light() -> None:
    """The pictures import no TensorFlow, no pandas, no supervision and no pyplot, which picks a backend."""
    code = "import sys, tfod_helpers.pictures; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert not {"tensorflow", "pandas", "supervision", "matplotlib.pyplot"} & set(loaded.stdout.split())


def test_notebook_stays_small(shared: Path) -> None:
    """As base64, pictures of real photos take under 80 kB each and charts under 45 kB, three of them 100 kB."""
    dataset = voc.read(shared / "data/asirra/test", on_problem="skip")
    twice = [Problem(where="a", what="twice", fix="", kind=str(n), photo=str(dataset[n].path)) for n in range(9)]
    grids = pictures.show_images(dataset), pictures.show_classes(dataset), pictures.show_problems(twice)
    charts = pictures.plot_labels(dataset), pictures.plot_places(dataset), pictures.plot_sizes(dataset)
    sizes = [len(picture.to_bytes()) * 4 / 3 for picture in (*grids, *charts)]
    assert [picture.to_bytes()[:2] for picture in grids] == [b"\xff\xd8"] * 3
    assert [picture.to_bytes()[:4] for picture in charts] == [b"\x89PNG"] * 3
    assert max(sizes[:3]) < 80_000
    assert max(sizes[3:]) < 45_000
    assert sum(sizes[3:]) < 100_000


def test_small_png_keeps_line_colours() -> None:
    """The palette that makes charts small turns no class's thin curve into the colour of another."""
    picture = pictures.plot_evaluation(many_classes(7))
    with Image.open(io.BytesIO(picture.to_bytes())) as image:
        shown = {
            colors.to_hex(pixel / 255).upper()
            for pixel in np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)
        }
    assert {pictures.colour_of(id) for id in range(1, 7)} <= shown


def test_save_is_whole_or_not_at_all(few: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """save() writes by the ending, in the size asked for; a failure leaves the old file and no half one."""
    picture = pictures.show_images(few)
    path = picture.save(tmp_path / "out/a.png", dpi=150)
    with Image.open(path) as saved:
        assert saved.size == pytest.approx(picture.get_size_inches() * 150, abs=1)
    assert picture.save(tmp_path / "out/a.pdf").read_bytes()[:4] == b"%PDF"
    before = path.read_bytes()

    def fail(part: Path, **_: object) -> None:
        part.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(picture, "savefig", fail)
    with pytest.raises(OSError, match="No space"):
        picture.save(path)
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == ["a.pdf", "a.png"]
    with pytest.raises(ValueError, match=r"cannot be saved as '\.xyz'"):
        picture.save(tmp_path / "a.xyz")


def test_look_is_ours_whatever_the_notebook_set() -> None:
    """A dark or large style of the notebook changes no picture, and is as it was afterwards."""
    plain = pictures.plot_history(history()).to_bytes()
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30, "lines.linewidth": 9, "text.color": "w"}):
        assert pictures.plot_history(history()).to_bytes() == plain
        assert matplotlib.rcParams["font.size"] == 30


# --- colours and words -------------------------------------------------------------------------


def lightness(colour: str) -> float:
    """WCAG relative luminance."""
    rgb = np.array(colors.to_rgb(colour))
    return float(np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722))


def test_palette_is_safe_for_colour_blind_readers() -> None:
    """Seven class colours stay apart with deuteranopia, the first two in grey as well; names on them are read."""
    # Machado, Oliveira and Fernandes 2009, severity 1.0.
    deuteranopia = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
    seen = [deuteranopia @ colors.to_rgb(colour) for colour in PALETTE[:7]]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 0.12
    assert (lightness(PALETTE[0]) + 0.05) / (lightness(PALETTE[1]) + 0.05) > 2
    for colour in PALETTE:
        lighter, darker = sorted((lightness(colour), lightness(ink_on(colour))), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def test_class_has_one_colour_everywhere(few: Dataset) -> None:
    """A class has the same colour on labels, on detections and on its curve, whatever else is drawn."""
    dog = pictures.colour_of(2)
    truth = pictures.show_images(few, count=1)  # the middle one, which has a dog
    found = pictures.show_detections(few[0], detections(([10, 10, 90, 90], 0.9, 2)))
    curves = pictures.plot_evaluation(evaluation.score(few, [detections()] * 12)).axes[0]
    assert dog in {colors.to_hex(box.get_edgecolor()).upper() for box in drawn(truth.axes[0], "box")}
    assert [colors.to_hex(box.get_edgecolor()).upper() for box in drawn(found.axes[0], "box")] == [dog]
    assert [line.get_color() for line in curves.lines if line.get_label().startswith("dog")] == [dog]


def test_readable_text() -> None:
    """Text is on one line, short enough, and holds only letters that a font has."""
    assert readable("cão") == "cão"
    assert readable("ca\u0303o\n2") == "cão 2"
    assert readable("\U000e0041x\ufdd0") == "x□"
    assert readable("abcdefghijkl", 7) == "abc…jkl"


def test_hard_names_and_shapes_draw_without_a_warning(odd: Dataset) -> None:
    """Accents, emoji, dollars, long names and extreme photos warn nowhere and keep every text on the page."""
    for name, picture in every_picture(odd).items():
        assert picture.to_bytes(), name
        wide, high = picture.get_size_inches()
        inked = picture.get_tightbbox()  # inches, of everything that is drawn
        assert min(inked.x0, inked.y0) > -0.03, name
        assert inked.x1 < wide + 0.03, name
        assert inked.y1 < high + 0.03, name
