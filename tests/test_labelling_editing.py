"""The box editor without a browser: what a person does, what is saved, and what is never overwritten."""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfod_helpers import formats, labelling, photos
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.files import workspace
from tfod_helpers.labelling.editing import opening
from tfod_helpers.labelling.editing.front import Front
from tfod_helpers.labelling.editing.session import SIDE
from tfod_helpers.problems import DatasetError

CLASSES = ["cat", "dog"]
BOX = [10, 20, 60, 50, 1, None, False]


class Person:
    """Somebody at an editor, by the messages that the browser sends."""

    def __init__(self, given: Any, folder: Path, classes: Sequence[str] = CLASSES) -> None:
        self.editor = labelling.editor(given, folder, classes)
        self.session = self.editor._session
        self.state: dict[str, Any] = {}
        self.jpeg: bytes | None = None
        self.does("show", have=-1)

    def does(self, what: str, **more: Any) -> str:
        """Do something with the photo on the screen; return what the editor says to it."""
        self.state, jpeg = self.session.handle({"do": what, "at": self.session.at, "have": self.session.at} | more)
        self.jpeg = jpeg or self.jpeg
        json.dumps(self.state)
        return str(self.state["message"])

    def draws(self, *rows: list[Any]) -> str:
        """Add boxes to those on the screen."""
        return self.does("boxes", boxes=[*self.state["boxes"], *rows])

    def sees(self) -> list[list[Any]]:
        """The boxes on the screen: corners and class id."""
        return [list(box[:5]) for box in self.state["boxes"]]


@pytest.fixture
def three(tmp_path: Path) -> list[Path]:
    """Three photos of different sizes."""
    return [photo(tmp_path / "photos" / f"{name}.jpg", (100 + 20 * number, 80)) for number, name in enumerate("abc")]


def photo(path: Path, size: tuple[int, int], orientation: int = 1) -> Path:
    """Write a photo of random blocks, stored as its EXIF orientation says."""
    path.parent.mkdir(exist_ok=True)
    blocks = np.random.default_rng(len(path.name)).integers(0, 256, (9, 12, 3), np.uint8)
    image = Image.fromarray(blocks).resize(size)
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(path, exif=exif)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def suggested(paths: Sequence[Path]) -> Dataset:
    """Two suggested boxes on each photo."""
    boxes_xyxy, scores = [[5, 5, 40, 40], [50, 10, 90, 70]], [0.9, 0.25]
    made = [
        LabelledImage(path, *photos.read_info(path).upright_size, boxes_xyxy, [1, 2], scores=scores) for path in paths
    ]
    return Dataset(tuple(made), LabelMap(CLASSES))


def test_what_was_gone_past_is_a_data_set(three: list[Path], tmp_path: Path) -> None:
    """The folder reads as it is: the photos that were gone past, byte for byte, with their boxes in true pixels."""
    person = Person(three, tmp_path / "labels")
    person.draws(BOX, [0.5, 3.25, 99, 80, 2, None, False])
    assert not contents(tmp_path / "labels").keys() & {"a.xml", "a.jpg"}
    person.does("next")
    person.does("none")
    dataset = formats.read(tmp_path / "labels", label_map=person.editor.label_map)
    assert [image.path.name for image in dataset] == ["a.jpg", "b.jpg"]
    assert dataset[0].boxes_xyxy.tolist() == [[10, 20, 60, 50], [0.5, 3.25, 99, 80]]
    assert dataset[0].labels.tolist() == [1, 2]
    assert len(dataset[1].labels) == 0
    assert dataset[0].path.read_bytes() == three[0].read_bytes()
    assert person.editor.to_do == (three[2],)
    assert "2 of 3 photos labelled" in repr(person.editor)


def test_only_going_on_confirms(three: list[Path], tmp_path: Path) -> None:
    """Back and skip write no suggestion as a label, and keys that repeat confirm one photo, not those behind it."""
    person = Person(suggested(three), tmp_path / "labels")
    person.does("skip")
    person.does("back")
    assert not list(tmp_path.glob("labels/*.xml"))
    for _ in range(3):
        person.does("next", at=0)  # sent before the second photo was seen
    assert [path.name for path in tmp_path.glob("labels/*.xml")] == ["a.xml"]
    assert person.session.at == 1


def test_suggestions_show_their_score_until_they_are_confirmed(three: list[Path], tmp_path: Path) -> None:
    """A suggested box has its score while the photo is to do; confirmed, it is a person's, here and in the file."""
    person = Person(suggested(three), tmp_path / "labels")
    assert [box[5] for box in person.state["boxes"]] == [0.9, 0.25]
    first, second = map(list, person.state["boxes"])
    person.does("boxes", boxes=[[6, *first[1:5], None, False], second])
    assert [box[5] for box in person.state["boxes"]] == [None, 0.25]
    person.does("next")
    person.does("back")
    assert [box[5] for box in person.state["boxes"]] == [None, None]
    dataset = formats.read(tmp_path / "labels", label_map=LabelMap(CLASSES))
    assert (dataset.unconfirmed, len(dataset)) == (0, 1)


def test_no_boxes_are_no_statement(three: list[Path], tmp_path: Path) -> None:
    """An untouched photo without boxes stays to do until a person says that there is nothing; deleting all says it."""
    person = Person(three[:1], tmp_path / "labels")
    assert "press N" in person.does("next")
    assert not (tmp_path / "labels").exists()
    person.does("none")
    assert len(formats.read(tmp_path / "labels", label_map=LabelMap(CLASSES))[0].labels) == 0
    other = Person(suggested(three), tmp_path / "corrected")
    other.does("boxes", boxes=[])
    other.does("next")
    assert (tmp_path / "corrected" / "a.xml").exists()


def test_it_goes_on_tomorrow(three: list[Path], tmp_path: Path) -> None:
    """Opened again, the first photo to do is shown; labelled ones come with their boxes, and paging changes no file."""
    labels = tmp_path / "labels"
    person = Person(three, labels)
    person.draws(BOX)
    person.does("next")
    before = contents(labels)
    again = Person(three, labels, [])
    assert (again.session.at, again.state["done"]) == (1, 1)
    again.does("back")
    assert again.sees() == [[10, 20, 60, 50, 1]]
    assert again.state["labelled"]
    again.does("next")
    assert contents(labels) == before


def test_what_is_on_the_screen_survives_the_end_of_python(three: list[Path], tmp_path: Path) -> None:
    """What was drawn and not saved is there again, can be undone, and is no label until the person goes on."""
    Person(three, tmp_path / "labels").draws(BOX)
    assert formats.find_format(tmp_path / "labels") is None
    again = Person(three, tmp_path / "labels", [*CLASSES, "bird"])
    assert "begun earlier" in again.state["message"]
    assert again.sees() == [[10, 20, 60, 50, 1]]
    again.does("undo")
    assert again.sees() == []
    assert contents(tmp_path / "labels") == {}
    again.does("redo")
    again.does("next")
    assert "a.xml" in contents(tmp_path / "labels")
    assert not [name for name in contents(tmp_path / "labels") if name.startswith(".")]


def test_labels_from_elsewhere_fill_in_what_is_to_do(three: list[Path], tmp_path: Path) -> None:
    """Photos without a file get a dataset's labels, by name and class; the one labelled here stays; the rest is to do.

    What nobody confirmed, and a photo of another size, are refused.
    """
    person = Person(suggested(three), tmp_path / "labels")
    person.does("boxes", boxes=[BOX])
    person.does("next")
    others = tmp_path / "elsewhere"
    mine = LabelledImage(others / "a.jpg", 100, 80, [[1, 1, 9, 9]], [1])
    theirs = LabelledImage(others / "b.jpg", 120, 80, [[30, 30, 50, 60]], [2])
    person.editor.fill_in(Dataset((mine, theirs), LabelMap(["cow", "dog"])))
    person.does("back")
    assert person.sees() == [[30, 30, 50, 60, 2]]
    person.does("skip")
    assert person.editor.to_do == (three[2],)
    assert list(person.editor.label_map) == ["cat", "dog", "cow"]
    dataset = formats.read(tmp_path / "labels")
    assert [image.boxes_xyxy.tolist() for image in dataset] == [[[10, 20, 60, 50]], [[30, 30, 50, 60]]]
    assert [dataset.label_map.name(image.labels[0]) for image in dataset] == ["cat", "dog"]
    assert person.session.at == 2
    with pytest.raises(DatasetError, match="nobody has confirmed"):
        person.editor.fill_in(suggested(three))
    with pytest.raises(ValueError, match=r"c\.jpg: 120 x 80 pixels among the labels, 140 x 80 here"):
        person.editor.fill_in(Dataset((LabelledImage(others / "c.jpg", 120, 80, [], []),), LabelMap(CLASSES)))
    assert person.editor.to_do == (three[2],)


def test_a_labelled_photo_that_was_being_changed_is_not_lost_either(three: list[Path], tmp_path: Path) -> None:
    """What was changed of a photo that has a file is there again too, unsaved, and undo gives what the file says."""
    person = Person(three, tmp_path / "labels")
    person.draws(BOX)
    person.does("next")
    person.does("back")
    person.draws([30, 30, 90, 70, 2, None, False])
    again = Person(three, tmp_path / "labels")
    assert (again.state["name"], len(again.sees()), again.state["changed"]) == ("a.jpg", 2, True)
    again.does("undo")
    assert again.sees() == [[10, 20, 60, 50, 1]]


def test_undo_and_redo(three: list[Path], tmp_path: Path) -> None:
    """Each change of a photo can be undone and redone, and a new one ends what could be redone."""
    person = Person(three, tmp_path / "labels")
    person.draws(BOX)
    person.draws([30, 30, 90, 70, 2, None, False])
    person.does("undo")
    assert len(person.sees()) == 1
    person.does("redo")
    assert len(person.sees()) == 2
    person.does("undo")
    person.does("undo")
    assert not person.state["undo"]
    person.does("undo")
    assert person.sees() == []
    person.draws([1, 1, 9, 9, 1, None, False])
    assert not person.state["redo"]


def test_a_box_is_cut_off_at_the_edge_and_nonsense_is_left_out(three: list[Path], tmp_path: Path) -> None:
    """What reaches over the photo ends at its edge; a box without area, of an unknown class or not finite is none."""
    person = Person(three, tmp_path / "labels")
    rows = [[-5, -5, 300, 50, 1], [10, 10, 10, 40, 1], [1, 1, 9, 9, 7], [1, 1, float("nan"), 9, 1]]
    person.does("boxes", boxes=[[*row, None, False] for row in rows])
    assert person.sees() == [[0, 0, 100, 50, 1]]


def test_the_later_of_two_tabs_overwrites_nothing_unseen(three: list[Path], tmp_path: Path) -> None:
    """A file that was written meanwhile is kept until the person chooses; an untouched photo shows what it says."""
    one, other = (Person(three, tmp_path / "labels") for _ in "12")
    other.draws([1, 2, 30, 40, 2, None, False])
    one.draws(BOX)
    one.does("next")
    saved = contents(tmp_path / "labels")["a.xml"]
    assert "another tab or program" in other.does("next")
    assert other.state["conflict"]
    assert contents(tmp_path / "labels")["a.xml"] == saved
    other.does("theirs")
    assert other.sees() == [[10, 20, 60, 50, 1]]
    other.draws([1, 2, 30, 40, 2, None, False])
    other.does("next")
    assert "labelled in another tab" in one.does("back")
    assert len(one.sees()) == 2
    one.does("boxes", boxes=[])
    (tmp_path / "labels" / "a.xml").unlink()
    one.does("next")
    assert one.state["conflict"]
    one.does("mine")
    assert len(formats.read(tmp_path / "labels", label_map=LabelMap(CLASSES))[0].labels) == 0


def test_a_file_that_another_program_spoiled_meanwhile_is_named(three: list[Path], tmp_path: Path) -> None:
    """A file that became unreadable is told on arrival, and replaced only when the person says so."""
    person = Person(three, tmp_path / "labels")
    person.draws(BOX)
    (tmp_path / "labels" / "b.xml").write_text("<annotation>")
    assert "b.xml" in person.does("next")
    person.draws(BOX)
    person.does("next")
    assert person.state["conflict"]
    assert "b.xml" in person.does("theirs")
    assert (tmp_path / "labels" / "b.xml").read_text() == "<annotation>"
    person.draws([1, 1, 9, 9, 1, None, False])
    person.does("mine")
    dataset = formats.read(tmp_path / "labels", label_map=LabelMap(CLASSES))
    assert [len(image.labels) for image in dataset] == [1, 2]


def test_a_class_added_half_way_is_kept(three: list[Path], tmp_path: Path) -> None:
    """A class added in the editor or by the call is there next time, in both tabs, and what was labelled stays."""
    one, other = (Person(three, tmp_path / "labels") for _ in "12")
    assert "already" in one.does("class", name="cat")
    assert one.does("class", name=" ") != ""
    one.does("class", name="black bear")
    one.draws([10, 20, 60, 50, 3, None, False])
    one.does("next")
    other.does("next")
    other.does("back")
    assert [name for name, *_ in other.state["classes"]] == ["cat", "dog", "black bear"]
    again = Person(three, tmp_path / "labels", ["dog", "cat", "eel"])
    assert list(again.editor.label_map) == ["dog", "cat", "eel", "black bear"]
    again.does("back")
    assert again.sees() == [[10, 20, 60, 50, 4]]
    assert list(Person(three, tmp_path / "labels", []).editor.label_map) == ["cat", "dog", "black bear"]


def test_classes_are_needed_once(three: list[Path], tmp_path: Path) -> None:
    """Without any class there is nothing to draw; a folder of labels that has no label map brings its own."""
    with pytest.raises(ValueError, match=r"editor\(photos, folder, \['cat', 'dog'\]\)"):
        labelling.editor(three, tmp_path / "labels")
    with pytest.raises(ValueError, match=r"Write \['cat'\]"):
        labelling.editor(three, tmp_path / "labels", "cat")
    formats.write(labelling.confirm(suggested(three)), tmp_path / "written")
    person = Person(tmp_path / "written", tmp_path / "written", [])
    assert (list(person.editor.label_map), person.editor.to_do) == (CLASSES, ())


def other_photo(labels: Path, three: list[Path]) -> None:
    """Another photo of the same name."""
    photo(labels / "b.jpg", (333, 222))


def other_ending(labels: Path, three: list[Path]) -> None:
    """A photo whose annotation would have the same name."""
    photo(labels / "b.png", (120, 80))


def other_size(labels: Path, three: list[Path]) -> None:
    """An annotation of a photo of another size."""
    formats.write(labelling.confirm(suggested([photo(labels.parent / "others" / "b.jpg", (444, 333))])), labels / "new")
    (labels / "new" / "b.xml").rename(labels / "b.xml")


def other_name(labels: Path, three: list[Path]) -> None:
    """An annotation that says it is of another of the photos."""
    text = (labels / "a.xml").read_text()
    (labels / "b.xml").write_text(text.replace("width>100", "width>120"))


def other_classes(labels: Path, three: list[Path]) -> None:
    """Labels of classes that are not known."""
    (labels / "a.xml").write_text((labels / "a.xml").read_text().replace("cat", "whale"))


def other_label_map(labels: Path, three: list[Path]) -> None:
    """A label map of none of the classes."""
    LabelMap(["whale", "shark"]).write(labels / "label_map.pbtxt")


def other_format(labels: Path, three: list[Path]) -> None:
    """Annotations of another tool."""
    for path in labels.iterdir():
        path.unlink()
    formats.write(labelling.confirm(suggested(three)), labels, "coco")


def unconfirmed(labels: Path, three: list[Path]) -> None:
    """A detector's suggestions, written for another tool."""
    for path in labels.iterdir():
        path.unlink()
    formats.write(suggested(three), labels)


def other_layout(labels: Path, three: list[Path]) -> None:
    """Annotations in a folder of their own, as the VOCdevkit has them."""
    for name, ending in (("Annotations", ".xml"), ("JPEGImages", ".jpg")):
        (labels / name).mkdir()
        (labels / f"a{ending}").rename(labels / name / f"a{ending}")


def damaged(labels: Path, three: list[Path]) -> None:
    """A file that ends in the middle."""
    (labels / "a.xml").write_bytes((labels / "a.xml").read_bytes()[:150])


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (other_photo, r"b.jpg: it is another photo than .*choose a new folder"),
        (other_ending, r"b.png is there, and would share b.xml"),
        (other_size, r"b.xml: the size 444 x 333 is not that of b.jpg, 120 x 80"),
        (other_name, r"b.xml: it describes 'a.jpg', not b.jpg"),
        (other_classes, r"a.xml, object 1 \('whale'\): class 'whale' is not in the label map"),
        (other_label_map, r"its classes are whale, shark, and none of them is among cat, dog"),
        (other_format, r"annotations of another format, COCO"),
        (other_layout, r"Annotations: a.xml is here, and the editor would write another one"),
        (unconfirmed, r"suggestions.json says that the labels here are a detector's"),
        (damaged, r"a.xml: "),
    ],
)
def test_labels_that_do_not_fit_are_refused_and_left_alone(
    three: list[Path], tmp_path: Path, spoil: Any, told: str
) -> None:
    """Files of another data set, of other classes or damaged are named with what to do, and none is touched."""
    labels = tmp_path / "labels"
    person = Person(three, labels)
    person.draws(BOX)
    person.does("next")
    spoil(labels, three)
    before = contents(labels)
    with pytest.raises(DatasetError, match=told):
        labelling.editor(three, labels, CLASSES)
    assert contents(labels) == before


def test_labels_of_other_photos_stay_as_they_are(
    three: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder with labels of photos that are not given is added to, and a line says how many there are."""
    formats.write(labelling.confirm(suggested(three[:2])), tmp_path / "labels")
    before = contents(tmp_path / "labels")
    person = Person(three[2:], tmp_path / "labels")
    assert "2 files of other photos there stay as they are" in capsys.readouterr().out
    person.draws(BOX)
    person.does("next")
    assert before.items() <= contents(tmp_path / "labels").items()
    assert len(formats.read(tmp_path / "labels", label_map=LabelMap(CLASSES))) == 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_photos_are_labelled_as_they_are_seen(tmp_path: Path, orientation: int) -> None:
    """Of a photo that lies on its side but for its EXIF data, the upright one is shown, and its boxes read back so."""
    path = photo(tmp_path / "photos" / "turned.jpg", (120, 80), orientation)
    person = Person([path], tmp_path / "labels")
    upright = photos.to_rgb(path)
    assert person.jpeg
    assert np.abs(photos.to_rgb(person.jpeg).astype(int) - upright).mean() < 8
    assert person.state["size"] == [upright.shape[1], upright.shape[0]]
    person.draws([1, 40, 70, 78, 1, None, False])
    person.does("next")
    (image,) = formats.read(tmp_path / "labels", label_map=LabelMap(CLASSES))
    assert image.boxes_xyxy.tolist() == [[1, 40, 70, 78]]
    assert np.array_equal(image.pixels(), upright)


def test_a_data_set_labelled_as_stored_stays_in_its_frame(tmp_path: Path) -> None:
    """A photo whose boxes are in the stored picture is shown as stored, and its boxes read back to the same pixels."""
    path = photo(tmp_path / "photos" / "turned.jpg", (120, 80), 6)
    image = LabelledImage(path, 120, 80, [[70, 10, 118, 60]], [1])
    person = Person(Dataset((image,), LabelMap(CLASSES)), tmp_path / "labels")
    assert person.state["size"] == [120, 80]
    assert person.jpeg
    assert photos.to_rgb(person.jpeg).shape == (80, 120, 3)
    person.does("next")
    (found,) = formats.read(tmp_path / "labels", label_map=LabelMap(CLASSES))
    assert (found.width, found.height, found.boxes_xyxy.tolist()) == (120, 80, [[70, 10, 118, 60]])


def test_a_large_photo_is_sent_small_and_saved_in_true_pixels(tmp_path: Path) -> None:
    """4,000 pixels come to the browser as 1,600, within half a second, and the file is about 4,000."""
    path = photo(tmp_path / "photos" / "large.jpg", (4000, 3000))
    started = time.perf_counter()
    person = Person([path], tmp_path / "labels")
    assert time.perf_counter() - started < 2  # 0.2 on a quiet machine
    assert person.jpeg
    assert photos.to_rgb(person.jpeg).shape == (1200, SIDE, 3)
    person.draws([17, 23, 3999, 2999, 1, None, False])
    person.does("next")
    (image,) = formats.read(tmp_path / "labels", label_map=LabelMap(CLASSES))
    assert (image.width, image.boxes_xyxy.tolist()) == (4000, [[17, 23, 3999, 2999]])


def test_photos_that_cannot_be_read_are_named_and_never_labelled(
    three: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is no photo is left out with a line; one that is cut off says so in its place, and has no file."""
    three[0].write_text("no photo")
    three[1].write_bytes(three[1].read_bytes()[:-300])
    person = Person(three[0].parent, tmp_path / "labels")
    assert "a.jpg: not an image" in capsys.readouterr().out
    assert (person.state["name"], person.state["count"]) == ("b.jpg", 2)
    assert "damaged or cut off" in person.state["broken"]
    person.draws(BOX)
    assert "damaged or cut off" in person.does("none")
    assert "damaged or cut off" in person.does("next")
    assert person.state["name"] == "c.jpg"
    assert not list(tmp_path.glob("labels/*.xml"))
    with pytest.raises(DatasetError, match=r"a\.jpg: not an image"):
        labelling.editor(three[:1], tmp_path / "labels", CLASSES)
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        labelling.editor([tmp_path / "gone.jpg"], tmp_path / "labels", CLASSES)


def test_a_full_disk_is_said_and_nothing_is_lost(
    three: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a photo cannot be saved the editor says why and stays there; when there is room again it is saved."""
    person = Person(three, tmp_path / "labels")
    person.draws(BOX)

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(workspace, "whole_file", full)
        assert "No space left" in person.does("next")
        assert (person.session.at, person.sees()) == (0, [[10, 20, 60, 50, 1]])
    person.does("next")
    assert (tmp_path / "labels" / "a.xml").exists()


def test_photos_are_labelled_where_they_are(three: list[Path]) -> None:
    """In the photos' own folder nothing is copied: the annotations lie beside them, and photos to do have none."""
    person = Person(three[0].parent, three[0].parent)
    person.draws(BOX)
    person.does("next")
    assert sorted(contents(three[0].parent)) == ["a.jpg", "a.xml", "b.jpg", "c.jpg", "label_map.pbtxt"]
    assert Person(three[0].parent, three[0].parent, []).state["name"] == "b.jpg"


def test_splits_and_photos_without_files_are_kept(three: list[Path], tmp_path: Path) -> None:
    """Each split has its folder; a photo that came in records is written from its bytes; difficult stays difficult."""
    made = [
        LabelledImage(Path("a.jpg"), 100, 80, [[1, 1, 9, 9]], [1], encoded=three[0].read_bytes(), split="train"),
        LabelledImage(three[1], 120, 80, [[1, 1, 9, 9]], [2], split="val", difficult=[True]),
    ]
    person = Person(Dataset(tuple(made), LabelMap(CLASSES)), tmp_path / "labels")
    person.does("next")
    person.does("next")
    dataset = formats.read(tmp_path / "labels", label_map=LabelMap(CLASSES))
    assert {name: part[0].path.name for name, part in dataset.splits().items()} == {"train": "a.jpg", "val": "b.jpg"}
    assert dataset.splits()["val"][0].difficult.tolist() == [True]
    assert dataset.splits()["train"][0].path.read_bytes() == three[0].read_bytes()
    assert Person(Dataset(tuple(made), LabelMap(CLASSES)), tmp_path / "labels").editor.to_do == ()


def test_labels_within_a_folder_of_suggestions_are_refused(three: list[Path], tmp_path: Path) -> None:
    """Below a folder of suggestions, readers would take what a person left as it was for a suggestion again."""
    formats.write(suggested(three), tmp_path / "suggested")
    dataset = formats.read(tmp_path / "suggested")
    with pytest.raises(DatasetError, match="Choose a folder elsewhere"):
        labelling.editor(dataset, tmp_path / "suggested" / "labels")
    person = Person(dataset, tmp_path / "labels", [])
    assert person.sees() == [[5, 5, 40, 40, 1], [50, 10, 90, 70, 2]]
    person.does("next")
    assert formats.read(tmp_path / "labels").unconfirmed == 0


def test_two_photos_of_one_name_and_a_bucket_are_refused(three: list[Path], tmp_path: Path) -> None:
    """Photos that would share a file are named before anything is drawn, and a bucket is no place to draw into."""
    same = photo(tmp_path / "others" / "a.jpg", (50, 50))
    with pytest.raises(ValueError, match="would be written under one name"):
        labelling.editor([*three, same], tmp_path / "labels", CLASSES)
    with pytest.raises(ValueError, match="is in a bucket"):
        labelling.editor(three, "gs://bucket/labels", CLASSES)


def test_it_runs_where_nobody_looks(three: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a browser a line is printed and the cell shows a sentence; nothing is written."""
    made = labelling.editor(three, tmp_path / "labels", CLASSES)
    data, _ = made._repr_mimebundle_()
    assert capsys.readouterr().out == f"3 photos, 3 to do; labels go to {tmp_path / 'labels'}.\n"
    assert "Editor(0 of 3 photos labelled" in data["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in data
    assert not (tmp_path / "labels").exists()


def test_nothing_comes_from_elsewhere_and_no_photo_stays_in_the_notebook(three: list[Path], tmp_path: Path) -> None:
    """The page's part names no address and runs no text as code; the widget's kept state has no photo and no box."""
    front = Front(Person(three, tmp_path / "labels").session)
    texts = front._esm.replace("http://www.w3.org/2000/svg", "") + front._css
    assert not [
        word for word in ("http:", "https:", "//cdn", "import ", "eval(", "innerHTML", "new Function") if word in texts
    ]
    own = {name for name in front.keys if not name.startswith("_")}
    assert own == {"comm", "layout", "tabbable", "tooltip"} & own
    sent: list[Any] = []
    front.send = lambda content, buffers: sent.append((content, buffers))
    front._handle_msg({"content": {"data": {"method": "custom", "content": {"do": "show", "have": -1}}}, "buffers": []})
    ((state, (jpeg,)),) = sent
    assert state["name"] == "a.jpg"
    assert jpeg.startswith(photos.JPEG_START)


def test_a_missing_library_is_named(three: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the extra is not installed, the command that installs it is said."""
    monkeypatch.setattr(opening, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'tfod_helpers\[label\]'"):
        labelling.editor(three, tmp_path / "labels", CLASSES)
