"""The embedded sample is what its README says, and its script draws it again."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from tfod_helpers import sources
from tfod_helpers.annotations import Dataset, LabelMap
from tfod_helpers.formats import oxford_pets, voc

SAMPLE = Path(__file__).parents[1] / "dataset"
SPLITS = ("train", "test")
each_split = pytest.mark.parametrize("split", SPLITS)


@pytest.fixture(scope="module")
def sample() -> dict[str, Dataset]:
    """Both splits, read with the sample's own label map; reading raises if anything is wrong with a file."""
    label_map = LabelMap.read(SAMPLE / "data" / "label_map.pbtxt")
    return {split: voc.read(SAMPLE / split, label_map=label_map) for split in SPLITS}


@pytest.fixture
def draw_sample(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script that draws the sample, imported as it runs: with its own folder on the path."""
    monkeypatch.syspath_prepend(SAMPLE)
    return importlib.import_module("draw_sample")


def test_label_map_is_cat_then_dog(sample: dict[str, Dataset]) -> None:
    """Class 1 is cat and class 2 is dog."""
    assert sample["train"].label_map == LabelMap(["cat", "dog"])


@each_split
def test_readme_counts_are_true(sample: dict[str, Dataset], split: str) -> None:
    """The README's table gives the pictures and boxes that are there: 200 and 50 pictures, balanced within 10 %."""
    rows = re.findall(r"^\| (\w+) +\|(.+)\|$", (SAMPLE / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    said = {name: [int(cell) for cell in cells.split("|")] for name, cells in rows if name in SPLITS}
    counts = sample[split].counts()
    assert said[split] == [len(sample[split]), sum(counts.values()), counts["cat"], counts["dog"]]
    assert len(sample[split]) == {"train": 200, "test": 50}[split]
    assert max(counts.values()) <= 1.1 * min(counts.values())


@each_split
def test_every_picture_has_its_annotation(sample: dict[str, Dataset], split: str) -> None:
    """JPEGs and XMLs come in pairs, nothing else lies there, the sizes agree and reading finds no problem."""
    names = {path.name for path in (SAMPLE / split).iterdir()}
    stems = [f"{split}_{number:03}" for number in range(1, len(sample[split]) + 1)]
    assert names == {stem + ending for stem in stems for ending in (".jpg", ".xml")}
    assert sample[split].problems == ()
    for image in sample[split]:
        with Image.open(image.path) as file:
            assert (file.format, file.mode, file.size) == ("JPEG", "RGB", (image.width, image.height))


@each_split
def test_one_to_four_animals_of_a_sixth_of_the_frame_or_more(sample: dict[str, Dataset], split: str) -> None:
    """A picture has 1 to 4 boxes, mostly 1 or 2, with sizes from a sixth of the frame to most of it."""
    crowds = np.array([len(image.labels) for image in sample[split]])
    assert crowds.min() == 1
    assert crowds.max() == 4
    assert (crowds <= 2).mean() >= 0.6
    shares = np.concatenate(
        [
            (image.boxes_xyxy[:, 2:] - image.boxes_xyxy[:, :2]).max(1) / max(image.width, image.height)
            for image in sample[split]
        ]
    )
    assert 1 / 6 <= shares.min() < 0.3
    assert shares.max() > 0.8


def test_shapes_of_frames_vary(sample: dict[str, Dataset]) -> None:
    """There are landscape, portrait and square pictures, none longer than 320 pixels."""
    sizes = {(image.width, image.height) for image in sample["train"]}
    assert {np.sign(width - height) for width, height in sizes} == {-1, 0, 1}
    assert max(max(size) for size in sizes) <= 320


def test_sample_fits_in_four_megabytes() -> None:
    """Everything that is committed under dataset/ takes at most 4 MB, and the old training at most 1 MB more."""
    paths = [path for path in SAMPLE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    old = SAMPLE / "data" / "old_training.zip"
    assert sum(path.stat().st_size for path in paths if path != old) <= 4_000_000
    assert old.stat().st_size <= 1_000_000


def test_colour_is_no_cue_to_the_class(sample: dict[str, Dataset]) -> None:
    """A linear classifier on the mean colour inside the boxes stays near chance on the test split."""
    colours, is_dog = {}, {}
    for split in SPLITS:
        means = []
        for image in sample[split]:
            pixels = image.pixels()
            for left, top, right, bottom in image.boxes_xyxy.astype(int):
                means.append(pixels[top:bottom, left:right].reshape(-1, 3).mean(0) / 255)
        colours[split] = np.column_stack([means, np.ones(len(means))])
        is_dog[split] = np.concatenate([image.labels for image in sample[split]]) == 2
    weights = np.linalg.lstsq(colours["train"], np.where(is_dog["train"], 1.0, -1.0), rcond=None)[0]
    accuracy = {split: ((colours[split] @ weights > 0) == is_dog[split]).mean() for split in SPLITS}
    assert accuracy["train"] < 0.65
    assert accuracy["test"] < 0.65


@pytest.mark.parametrize(("split", "index"), [("train", 0), ("train", 77), ("test", 49)])
def test_drawing_again_gives_the_same(draw_sample: ModuleType, tmp_path: Path, split: str, index: int) -> None:
    """A picture drawn again has the same annotation, byte for byte, and the same pixels but for a shade."""
    path = draw_sample.write_picture(tmp_path, split, index, draw_sample.plan(split)[index])
    committed = SAMPLE / split / path.name
    assert path.with_suffix(".xml").read_bytes() == committed.with_suffix(".xml").read_bytes()
    with Image.open(path) as drawn, Image.open(committed) as kept:
        # Another Pillow may round an edge or a JPEG coefficient another way.
        assert np.abs(np.asarray(drawn, float) - np.asarray(kept, float)).mean() < 1


@pytest.mark.parametrize(
    ("left", "cover_top", "truncated", "box_xyxy"),
    [
        (10, None, False, (10, 20, 50, 80)),
        (-10, None, True, (0, 20, 30, 80)),
        (10, 60, False, (10, 20, 50, 80)),
        (10, -30, False, None),
        (-30, None, True, None),
    ],
    ids=["whole", "cut off by the frame", "feet hidden", "head hidden", "mostly outside"],
)
def test_box_is_tight_on_what_lies_in_the_frame(
    draw_sample: ModuleType,
    left: int,
    cover_top: int | None,
    truncated: bool,
    box_xyxy: tuple[int, int, int, int] | None,
) -> None:
    """A box ends at the frame and not at what stands in front; an animal that hardly shows is refused."""
    drawing = importlib.import_module("drawing")
    head, body = drawing.box(0, 0, 39.9, 19.9), drawing.box(0, 20, 39.9, 59.9)
    parts = [drawing.Part(body, (90, 80, 70)), drawing.Part(head, (90, 80, 70), head=True)]
    whisker = drawing.Part(drawing.box(30, 5, 58, 7), (255, 255, 255), solid=False)
    animal = drawing.render([*parts, whisker], 60, 60)
    layers = [draw_sample.Layer(animal, left, 20, 80, "cat", "Frontal")]
    if cover_top is not None:
        thing = drawing.render([drawing.Part(drawing.box(0, 0, 60, 60), (0, 0, 0))], 60, 60)
        layers.append(draw_sample.Layer(thing, 5, cover_top, 90))
    expected = [] if box_xyxy is None else [draw_sample.Box("cat", "Frontal", truncated, box_xyxy)]
    assert draw_sample.find_boxes(layers, 100, 100) == expected


def test_preview_shows_the_pictures_with_their_boxes(draw_sample: ModuleType, tmp_path: Path) -> None:
    """The contact sheet has the size asked for, and the colour of a box where a box is."""
    draw_sample.save_preview(SAMPLE, tmp_path / "sheet.png", columns=2, rows=1, side=320)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (640, 320)
        colours = {colour for _, colour in sheet.getcolors(maxcolors=1 << 24)}
    assert colours & {(255, 140, 0), (30, 144, 255)}


def test_drawn_pets_have_the_layout_of_the_real_ones(tmp_path: Path) -> None:
    """Both classes, heads and bodies, the test list without heads; heads lie on their bodies, and all is small."""
    folder = sources.local("drawn_pets", tmp_path)
    assert (SAMPLE / "data" / "drawn_pets.zip").stat().st_size <= 300_000
    heads, bodies = oxford_pets.read(folder, masks=True), oxford_pets.read(folder, around="body", masks=True)
    assert list(heads.label_map) == ["Bombay", "Egyptian_Mau", "samoyed", "shiba_inu"]
    assert {split: len(images) for split, images in bodies.splits().items()} == {"trainval": 44, "test": 16}
    assert [problem.where for problem in heads.problems] == ["test.txt", "trainval.txt"]
    assert bodies.problems == ()
    outside = {image.path: image.boxes_xyxy[0] for image in bodies}
    for image in heads:
        head, body = image.boxes_xyxy[0], outside[image.path]
        assert (head[:2] >= body[:2] - 1).all()
        assert (head[2:] <= body[2:] + 1).all()
    assert {*oxford_pets.read(folder, classes="species").counts()} == {"cat", "dog"}


def test_drawn_pets_can_be_drawn_again(draw_sample: ModuleType, tmp_path: Path) -> None:
    """The script draws a picture of the archive again, and its outline."""
    pets = importlib.import_module("draw_pets")
    folder = sources.local("drawn_pets", tmp_path)
    for number, breed in enumerate(pets.BREEDS, start=1):
        picture, layers = draw_sample.draw_layers((pets.SEED, number, 1), (breed,), pets.FRAMES)
        with Image.open(folder / "images" / f"{breed}_1.jpg") as kept:
            assert np.abs(np.asarray(picture, float) - np.asarray(kept, float)).mean() < 6  # grey levels, of the JPEG
        _, body = pets.head_and_body(layers, *picture.size)
        with Image.open(folder / "annotations/trimaps" / f"{breed}_1.png") as kept:
            assert (np.asarray(pets.trimap(body)) != np.asarray(kept)).mean() < 0.01
