"""pictures: what is drawn, where, in which colour and words, and that a notebook shows it once and small."""

from __future__ import annotations

import gc
import io
import itertools
import subprocess
import sys
import weakref
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy as np
import pandas as pd
import pytest
import supervision as sv
from matplotlib import colors
from PIL import Image

from tfod_helpers import evaluation, photos, pictures
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.formats import voc
from tfod_helpers.pictures.picture import PALETTE, Picture, ink_on, readable

ROOT = Path(__file__).parents[1]
CAT_DOG = LabelMap(["cat", "dog"])
ODD_NAMES = ("cão", "🐱 猫", "$pot_$ _x_", "_hidden", "a class name so long that no photo could ever show all of it")
pytestmark = pytest.mark.filterwarnings("error")  # a missing letter or a bad layout would warn


def photo(folder: Path, name: str, size=(320, 240), boxes_xyxy=(), labels=(), colour=(90, 90, 90)) -> LabelledImage:
    """A plain photo on disk, with boxes."""
    Image.new("RGB", size, colour).save(folder / name)
    return LabelledImage(folder / name, *size, np.array(boxes_xyxy, float).reshape(-1, 4), labels)


def detections(*found: tuple[list[float], float, int], names: LabelMap = CAT_DOG) -> sv.Detections:
    """Detections as `Detector.detect` gives them: (box, confidence, class id) each."""
    ids = np.array([id for _, _, id in found], int)
    return sv.Detections(
        xyxy=np.array([box_xyxy for box_xyxy, _, _ in found], np.float32).reshape(-1, 4),
        confidence=np.array([confidence for _, confidence, _ in found], np.float32),
        class_id=ids,
        data={"class_name": np.array([names.name(id) for id in ids.tolist()], dtype=object)},
    )


def all_found(image: LabelledImage, names: LabelMap = CAT_DOG) -> sv.Detections:
    """The detections of a perfect detector."""
    pairs = zip(image.boxes_xyxy.tolist(), image.labels.tolist(), strict=True)
    return detections(*((box_xyxy, 0.9, label) for box_xyxy, label in pairs), names=names)


def drawn(axes, gid: str) -> list:
    """The rectangles of an axes that are boxes, or the grounds of names."""
    return [patch for patch in axes.patches if patch.get_gid() == gid]


def words(artist) -> list[str]:
    """Every text that a picture or an axes holds."""
    return [text.get_text() for text in artist.findobj(matplotlib.text.Text) if text.get_text()]


@pytest.fixture
def few(tmp_path: Path) -> Dataset:
    """Twelve photos, a cat in each, and a dog in every third."""
    cat, dog = [20, 30, 120, 200], [150, 60, 300, 220]
    return Dataset(
        tuple(
            photo(tmp_path, f"{n:02}.png", boxes_xyxy=[cat] if n % 3 else [cat, dog], labels=[1] if n % 3 else [1, 2])
            for n in range(12)
        ),
        CAT_DOG,
    )


@pytest.fixture
def odd(tmp_path: Path) -> Dataset:
    """Tiny, very wide, very high, crowded and empty photos, with names that are hard to draw."""
    corners_xy = np.random.default_rng(0).uniform(0, 700, (30, 2))
    crowd_xyxy = np.hstack([corners_xy, corners_xy + 60])
    return Dataset(
        (
            photo(tmp_path, "tiny.png", (32, 24), [[2, 2, 20, 20]], [1]),
            photo(tmp_path, "long " * 20 + ".png", (1500, 90), [[5, 5, 900, 80], [1480, 9, 1495, 80]], [2, 5]),
            photo(tmp_path, "high.png", (60, 900), [[3, 40, 58, 300], [0, 700, 60, 900]], [3, 4]),
            photo(tmp_path, "crowd.png", (800, 800), crowd_xyxy, np.arange(30) % 5 + 1),
            photo(tmp_path, "$nothing$.png"),
        ),
        LabelMap(ODD_NAMES),
    )


def history() -> pd.DataFrame:
    """Forty rows of a training that was evaluated four times, best at step 300."""
    steps = np.arange(10, 410, 10)
    frame = pd.DataFrame({"step": steps, "loss": 3 * np.exp(-steps / 80), "learning_rate": 1e-3})
    frame["steps_per_second"] = 5.0
    for column, values in {"ap": [0.2, 0.4, 0.61, 0.6], "ap50": [0.5, 0.7, 0.88, 0.9]}.items():
        frame[column] = frame["step"].map(dict(zip((100, 200, 300, 400), values, strict=True)))
    return frame


def many_classes(count: int) -> SimpleNamespace:
    """An evaluation of many classes, the first the best; the last has nothing to find."""
    names = [f"class {n:02}" for n in range(count)]
    ap = np.append(np.linspace(0.9, 0.1, count - 1), np.nan)
    recall = np.linspace(0, 1, 101)
    confusion = np.random.default_rng(0).poisson(0.1, (count + 1, count + 1))
    confusion[-1, -1] = 0
    return SimpleNamespace(
        ap=0.5, ap50=0.5, ap75=float("nan"), threshold=0.4,
        per_class=pd.DataFrame({"ap": ap, "ap50": ap, "boxes": [*range(count, 1, -1), 0]}, index=names),
        pr_curves={name: (recall, 1 - recall) for name in names},
        confusion=pd.DataFrame(confusion, [*names, "(nothing there)"], [*names, "(missed)"]),
    )  # fmt: skip


def every_picture(dataset: Dataset) -> dict[str, Picture]:
    """One picture of each kind."""
    found = [all_found(image, dataset.label_map) for image in dataset]
    return {
        "images": pictures.show_images(dataset),
        "detections": pictures.show_detections(list(dataset), found),
        "predictions": pictures.show_predictions(dataset, found),
        "labels": pictures.plot_labels({"train": dataset, "validation": dataset}),
        "history": pictures.plot_history(history()),
        "evaluation": pictures.plot_evaluation(evaluation.score(dataset, found)),
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
    """As base64, nine real photos take under 80 kB and a chart under 30 kB."""
    dataset = voc.read(shared / "data/asirra/test", on_problem="skip")
    grid, chart = pictures.show_images(dataset).to_bytes(), pictures.plot_labels(dataset).to_bytes()
    assert grid[:2] == b"\xff\xd8"
    assert chart[:4] == b"\x89PNG"
    assert len(grid) * 4 / 3 < 80_000
    assert len(chart) * 4 / 3 < 30_000


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


# --- photos ------------------------------------------------------------------------------------


def test_boxes_lie_on_the_pixels_they_name(tmp_path: Path) -> None:
    """A box is drawn around exactly the pixels that boxes_xyxy names, in a photo scaled into the grid."""
    image = photo(tmp_path, "a.png", (640, 400), [[100, 50, 420, 350]], [2], colour=(0, 0, 0))
    pixels = np.zeros((400, 640, 3), np.uint8)
    pixels[50:350, 100:420] = (255, 0, 0)
    Image.fromarray(pixels).save(image.path)
    picture = pictures.show_images([image], label_map=CAT_DOG)
    axes, (box,) = picture.axes[0], drawn(picture.axes[0], "box")
    picture.canvas.draw()
    rgb = np.asarray(picture.canvas.buffer_rgba())[..., :3].astype(int)
    whole, around = axes.get_window_extent(), box.get_extents()
    scale = whole.width / 640
    assert whole.height / 400 == pytest.approx(scale)
    assert np.allclose(around.x0 - whole.x0, 100 * scale)
    assert np.allclose(whole.y1 - around.y1, 50 * scale)
    assert np.allclose((around.width, around.height), (320 * scale, 300 * scale))
    line = (np.abs(rgb - np.array(colors.to_rgb(pictures.colour_of(2))) * 255) < 8).all(-1)
    red = (rgb[..., 0] > 200) & (rgb[..., 1:].max(-1) < 60)
    middle = int(rgb.shape[0] - (around.y0 + around.y1) / 2)
    across = np.flatnonzero(line[middle])
    assert across.min() == pytest.approx(around.x0, abs=3)
    assert across.max() == pytest.approx(around.x1, abs=3)
    inside = np.flatnonzero(red[middle])
    assert inside.min() == pytest.approx(around.x0, abs=4)
    assert inside.max() == pytest.approx(around.x1, abs=4)


def test_photos_are_spread_and_the_same_every_time(few: Dataset) -> None:
    """Photos come evenly from the whole dataset; a seed draws others, the same each time; all where they are few."""

    def names(**options: int) -> list[str]:
        picture = pictures.show_images(few, **options)
        return [axes.texts[0].get_text() for axes in picture.axes]

    assert names(count=3) == ["02.png", "06.png", "10.png"]
    assert names(count=4, seed=1) == names(count=4, seed=1) != names(count=4, seed=2)
    assert names(count=99) == [f"{n:02}.png" for n in range(12)]


def test_names_never_cover_each_other(odd: Dataset) -> None:
    """In a crowd a name that finds no free place is left out; every box is still drawn, small ones on top."""
    crowd = pictures.show_images(odd).axes[3]
    grounds = [patch.get_extents() for patch in drawn(crowd, "name")]
    assert len(drawn(crowd, "box")) == 30
    assert 5 < len(grounds) < 30
    for a, b in itertools.combinations(grounds, 2):
        across, down = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(across, down) < 0.01


def test_titles_never_cover_each_other(odd: Dataset) -> None:
    """Titles over very wide and very narrow photos stay over their own photo."""
    picture = pictures.show_images(odd, columns=5)
    titles = sorted((axes.texts[0].get_window_extent() for axes in picture.axes), key=lambda area: area.x0)
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(titles))


def test_detections_of_any_photo(tmp_path: Path) -> None:
    """A path, an array, a Pillow image and a labelled image are shown upright, with names and confidences."""
    lying = photo(tmp_path, "lying.jpg", (300, 200))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.new("RGB", (300, 200)).save(tmp_path / "turned.jpg", exif=exif)
    image = Image.fromarray(lying.pixels())
    sources = [tmp_path / "turned.jpg", np.asarray(image), image, lying]
    found = detections(([10, 10, 90, 90], 0.25, 1), ([20, 20, 99, 99], 0.875, 2))
    picture = pictures.show_detections(sources, [found] * 4)
    assert [axes.get_xlim()[1] for axes in picture.axes] == [200, 300, 300, 300]
    assert words(picture.axes[0]) == ["turned.jpg: 1 found", "dog 0.88"]
    assert "4 photos, 4 detections, confidence 0.30 or more" in words(picture)
    assert "object" in words(pictures.show_detections(lying, sv.Detections(xyxy=np.array([[1.0, 2, 50, 60]]))))


def test_predictions_say_what_was_found_missed_and_extra(few: Dataset) -> None:
    """Beside the truth: found boxes solid, missed and extra ones dashed and named, the counts in the title."""
    cat, dog = few[0].boxes_xyxy.tolist()
    found = [detections((cat, 0.9, 1), (cat, 0.8, 1), (dog, 0.7, 1), (dog, 0.1, 2))] + [detections()] * 11
    picture = pictures.show_predictions(few, found, worst_first=True, count=1)
    truth, seen = picture.axes
    assert words(truth) == ["00.png: 1 of 2 found, 2 extra", "cat", "missed dog"]
    assert words(seen) == ["cat 0.90", "extra cat 0.80", "extra cat 0.70"]
    # Large boxes are drawn first: the dog's before the cats'.
    assert [box.get_linestyle() for box in drawn(truth, "box")] == ["dashed", "solid"]
    assert [box.get_linestyle() for box in drawn(seen, "box")] == ["dashed", "solid", "dashed"]
    assert "1 of 16 found, 2 extra in 12 photos. Here: the 1 worst" in words(picture)


def test_worst_photos_first(few: Dataset) -> None:
    """worst_first shows the photos with the most missed and extra boxes, the worst at the start."""
    right = [all_found(image) for image in few]
    right[5] = detections(([0, 0, 9, 9], 0.9, 1), ([9, 9, 30, 30], 0.8, 2))
    right[8] = detections()
    picture = pictures.show_predictions(few, right, worst_first=True, count=2)
    assert [words(axes)[0] for axes in picture.axes[::2]] == [
        "05.png: 0 of 1 found, 2 extra",
        "08.png: 0 of 1 found, 0 extra",
    ]
    assert len(pictures.show_predictions(few, right, count=4).axes) == 8


# --- charts ------------------------------------------------------------------------------------


def test_labels_are_counted(few: Dataset) -> None:
    """The class bars carry the counts of each split, and the title says how uneven they are."""
    picture = pictures.plot_labels(few.split({"train": 0.75, "validation": 0.25}))
    classes, sizes, objects, shapes = picture.axes
    assert [text.get_text() for text in classes.get_yticklabels()] == ["cat", "dog"]
    bars = {bars.get_label(): [int(bar.get_width()) for bar in bars] for bars in classes.containers}
    assert np.sum(list(bars.values()), axis=0).tolist() == [12, 4]
    assert {str(n) for part in bars.values() for n in part} <= set(words(classes))
    assert "Classes: the largest has 3.0 times the smallest" in words(classes)
    for axes in (sizes, objects, shapes):
        for split in axes.containers:
            assert sum(bar.get_height() for bar in split) == pytest.approx(1)
    heights = np.mean([[bar.get_height() for bar in split] for split in objects.containers], axis=0)
    assert heights[[0, 3, 4]].tolist() == [0, 0, 0]
    assert "12 labelled photos, 16 boxes, 2 classes" in words(picture)
    assert {"train", "validation"} <= set(words(picture.legends[0]))


def test_labels_of_many_classes_say_what_is_left_out(tmp_path: Path) -> None:
    """Of eighty classes the most and the least common are drawn, and the title says so."""
    image = LabelledImage(tmp_path / "a.jpg", 100, 100, [[0, 0, 50, 50]] * 82, [*range(1, 81), 1, 1])
    classes = pictures.plot_labels(Dataset((image,), LabelMap(f"class {n}" for n in range(80)))).axes[0]
    assert len(classes.containers[0]) == 16
    assert "Classes: 8 most and 8 least common of 80" in words(classes)


def test_history_marks_the_best_step() -> None:
    """The best AP is marked and named, with the AP50 of the same step, which need not be the best AP50."""
    picture = pictures.plot_history(SimpleNamespace(frame=history()))
    assert "400 training steps: best AP 0.61, AP50 0.88 at step 300" in words(picture)
    ap = picture.axes[1]
    assert {"AP 0.61", "AP50 0.88"} <= set(words(ap))
    assert [line.get_xdata()[0] for line in ap.lines if line.get_linestyle() == ":"] == [300]


def test_history_of_a_training_that_has_just_begun() -> None:
    """One row, no evaluation, no rate: drawn all the same, saying what is not there yet."""
    picture = pictures.plot_history(pd.DataFrame({"step": [10], "loss": [2.5], "ap": [np.nan]}))
    assert words(picture).count("not recorded") == 2
    assert "10 training steps: not evaluated yet" in words(picture)
    assert picture.to_bytes()


def test_evaluation_is_drawn_as_it_was_counted(few: Dataset) -> None:
    """Curves, bars and the confusion matrix show the numbers of a real evaluation."""
    found = [detections((image.boxes_xyxy[0].tolist(), 0.9, 1 + n % 2)) for n, image in enumerate(few)]
    result = evaluation.score(few, found)
    curves, bars, confusion = pictures.plot_evaluation(result).axes
    for line, name in zip(curves.lines, CAT_DOG, strict=True):
        assert np.array_equal(line.get_ydata(), result.pr_curves[name][1])
    best = result.per_class.iloc[0]
    assert f"{best['ap']:.2f} / {best['ap50']:.2f}" in words(bars)
    cells = [text.get_text() for text in confusion.texts]
    assert cells == [*(str(n) for n in result.confusion.to_numpy().ravel()[:-1]), ""]


def test_evaluation_of_many_classes_says_what_is_left_out() -> None:
    """Of eighty classes the best and worst are drawn, no count is lost, and a class without boxes is no curve."""
    result = many_classes(80)
    picture = pictures.plot_evaluation(result)
    curves, bars, confusion = picture.axes
    assert "2 best and 2 worst of 79 classes" in curves.get_title(loc="left")
    assert [text.get_text() for text in bars.get_yticklabels()][::15] == ["class 00 (80)", "class 78 (2)"]
    assert "10 most confused of 80" in confusion.get_title(loc="left")
    assert sum(int(text.get_text() or 0) for text in confusion.texts) == result.confusion.to_numpy().sum()
    assert "AP75 unknown" in picture.get_suptitle()


# --- errors ------------------------------------------------------------------------------------


def test_errors_say_what_to_do(few: Dataset) -> None:
    """Empty, mismatched and wrong input is refused with what was found."""
    none, found = Dataset((), CAT_DOG), detections(([1, 1, 9, 9], 0.9, 1))
    other = Dataset(few.images, LabelMap(["dog", "cat"]))
    for call, kind, message in [
        (lambda: pictures.show_images(none), ValueError, "no photos to show"),
        (lambda: pictures.show_images(list(few)), ValueError, "Give label_map="),
        (lambda: pictures.show_images(list(few), label_map=LabelMap(["cat"])), ValueError, "06.png: class id 2|00.png"),
        (lambda: pictures.show_images("photos"), TypeError, "got str"),
        (lambda: pictures.show_images([1], label_map=CAT_DOG), TypeError, "image 0 must be a LabelledImage, got int"),
        (lambda: pictures.show_images(few, count=0), ValueError, "count must be 1 or more, got 0"),
        (lambda: pictures.show_images(few, columns=0), ValueError, "columns must be 1 or more, got 0"),
        (lambda: pictures.show_detections([], []), ValueError, "no photos to show"),
        (lambda: pictures.show_detections(list(few), [found]), ValueError, "got 12 photos and 1 detections"),
        (lambda: pictures.show_detections(few[0].path, [found]), TypeError, "one photo takes one Detections"),
        (lambda: pictures.show_detections([7], [found]), TypeError, "must be a path, a Pillow image or an array"),
        (lambda: pictures.show_detections([few[0]], ["x"]), TypeError, "detections 0 must be supervision.Detections"),
        (lambda: pictures.show_detections(few[0].path.parent / "no.jpg", found), FileNotFoundError, "no such file"),
        (lambda: pictures.show_predictions(list(few), [found] * 12), TypeError, "must be a Dataset, got list"),
        (lambda: pictures.show_predictions(few, [found]), ValueError, "got 12 photos and 1 detections"),
        (lambda: pictures.show_predictions(few, [sv.Detections(np.ones((1, 4)))] * 12), ValueError, "need class_id"),
        (lambda: pictures.plot_labels(none), ValueError, "'all' holds no photos"),
        (lambda: pictures.plot_labels({}), ValueError, "empty dict"),
        (lambda: pictures.plot_labels([few]), TypeError, "dict of them by name, got list"),
        (lambda: pictures.plot_labels({"a": few, "b": other}), ValueError, "different label maps"),
        (lambda: pictures.plot_history(pd.DataFrame({"step": [1]})), ValueError, "columns step and loss, got Data"),
        (lambda: pictures.plot_history(history()[:0]), ValueError, "no rows yet"),
    ]:  # fmt: skip
        with pytest.raises(kind, match=message):
            call()


def test_photo_that_is_gone_is_named(few: Dataset) -> None:
    """A photo deleted since the dataset was read is reported with its path."""
    few[0].path.unlink()
    with pytest.raises(FileNotFoundError, match=r"00\.png: there is no such file"):
        pictures.show_images(few, count=12)
    assert issubclass(photos.PhotoError, ValueError)
