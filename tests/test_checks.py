"""checks: each mistake is told with its file, a sound dataset has none, and mending does only what is safe."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import supervision as sv
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tfod_helpers import checks, formats, photos, presets, records, sources
from tfod_helpers.annotations import BOX_OVER_EDGE, BOX_SWAPPED, Dataset, LabelledImage, LabelMap
from tfod_helpers.checks.boxes import same_boxes
from tfod_helpers.formats import voc
from tfod_helpers.problems import Problem

SIZE = (320, 240)
BOXES_XYXY = [[20, 20, 120, 130], [150, 60, 300, 200]]  # some anchor of the sample preset fits each


def picture(seed: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """A photo like no other: soft spots of colour."""
    spots = np.random.default_rng(seed).integers(0, 255, (5, 6, 3), np.uint8)
    return Image.fromarray(spots).resize(size, Image.Resampling.BICUBIC)


def labelled(path: Path, seed: int, **change: Any) -> LabelledImage:
    """A photo with a cat and a dog, drawn anew."""
    picture(seed).save(path, quality=90)
    return dataclasses.replace(LabelledImage(path, *SIZE, BOXES_XYXY, [1, 2]), **change)


@pytest.fixture
def sound(tmp_path: Path) -> Dataset:
    """Twelve photos that nothing is wrong with."""
    return Dataset(tuple(labelled(tmp_path / f"{n:02}.jpg", n) for n in range(12)), LabelMap(["cat", "dog"]))


def changed(dataset: Dataset, number: int, **change: Any) -> Dataset:
    """The dataset with one image changed."""
    images = list(dataset.images)
    images[number] = dataclasses.replace(images[number], **({"crowd": None, "difficult": None} | change))
    return dataclasses.replace(dataset, images=tuple(images))


def told(report: checks.Report) -> list[tuple[str, str, str, str]]:
    """Severity, kind, where and object of each problem."""
    return [(one.severity, one.kind, one.where, one.object) for one in report.problems]


def kinds(dataset: Any) -> set[str]:
    """The kinds of problem that the checks find."""
    return {problem.kind for problem in checks.check(dataset).problems}


# --- what is found --------------------------------------------------------------------------------


def test_sound_dataset_has_no_problem(sound: Dataset) -> None:
    """Nothing is found where nothing is wrong, alone and as splits."""
    assert checks.check(sound).problems == ()
    halves = {name: dataclasses.replace(sound, images=sound.images[part::2]) for part, name in enumerate("ab")}
    few = {"rare class"}  # both halves together still have enough
    assert not kinds(halves) - few
    assert checks.check(sound).images == 12
    assert checks.check(sound).boxes == 24


@pytest.mark.parametrize(
    ("box_xyxy", "severity", "kind", "words"),
    [
        ([50, 50, 51, 51], "warning", "box of a pixel or two", "the box is 1 x 1 pixels"),
        ([50, 50, 200, 51.5], "warning", "box of a pixel or two", "the box is 150 x 1.5 pixels"),
        ([1, 0, 320, 240], "note", "box of the whole image", "nearly the whole 320 x 240 image"),
        ([50, 50, 60, 60], "warning", "box that no anchor fits", "at 192 pixels the box is 6 x 6"),
        ([20, 50, 320, 60], "warning", "box that no anchor fits", "at 192 pixels the box is 180 x 6"),
        ([21, 20, 120, 131], "warning", "box drawn twice", "it is drawn on object 1 of the same class"),
    ],
)
def test_odd_box(sound: Dataset, box_xyxy: list[float], severity: str, kind: str, words: str) -> None:
    """A third object that is odd is told with its image, number, class, size and box."""
    broken = changed(sound, 3, boxes_xyxy=[*BOXES_XYXY, box_xyxy], labels=[1, 2, 1])
    report = checks.check(broken)
    (found,) = report.problems
    assert told(report) == [(severity, kind, "03.jpg", "object 3 ('cat')")]
    assert words in found.what
    assert found.fix
    assert (found.photo, found.size, found.label) == (str(broken[3].path), SIZE, "cat")
    assert found.box_xyxy == tuple(box_xyxy)


def test_one_place_with_two_classes(sound: Dataset) -> None:
    """A box that is drawn on another class's is told, and which one that is."""
    broken = changed(sound, 3, boxes_xyxy=[*BOXES_XYXY, [20, 20, 120, 130]], labels=[1, 2, 2])
    assert told(checks.check(broken)) == [("warning", "one object, two classes", "03.jpg", "object 3 ('dog')")]
    assert "it is drawn on object 1, which is a 'cat'" in checks.check(broken).problems[0].what


def test_larger_preset_sees_smaller_boxes(sound: Dataset) -> None:
    """A box that the small preset's anchors miss is right for a preset with a larger image."""
    broken = changed(sound, 3, boxes_xyxy=[*BOXES_XYXY, [50, 50, 78, 78]], labels=[1, 2, 1])
    assert kinds(broken) == {"box that no anchor fits"}
    assert checks.check(broken, preset="mobilenet_v2_fpnlite_320").problems == ()
    with pytest.raises(ValueError, match="There is no preset 'mobilenet'"):
        checks.check(broken, preset="mobilenet")


def test_boxes_are_checked_as_the_photos_are_to_be_resized(sound: Dataset) -> None:
    """A box that is too flat in a letterboxed photo is higher where the wide photo is stretched, and fits."""
    broken = changed(sound, 3, boxes_xyxy=[*BOXES_XYXY, [50, 50, 86, 70]], labels=[1, 2, 1])
    (found,) = checks.check(broken).problems
    assert "at 192 pixels the box is 22 x 12" in found.what
    assert checks.check(broken, resize="stretch").problems == ()
    (flat,) = checks.check(
        changed(sound, 3, boxes_xyxy=[*BOXES_XYXY, [20, 50, 320, 60]], labels=[1, 2, 1]), resize="stretch"
    ).problems
    assert "at 192 pixels the box is 180 x 8" in flat.what
    with pytest.raises(ValueError, match="resize must be one of 'letterbox', 'stretch', 'stretch_bilinear', got 'fit'"):
        checks.check(broken, resize="fit")
    assert set(presets.PRESETS) >= {"mobilenet_v2_fpnlite_320"}


def test_crowded_image(sound: Dataset) -> None:
    """500 objects in an image are more than a model detects."""
    corners = np.stack(np.meshgrid(np.arange(25) * 12, np.arange(20) * 10), axis=-1).reshape(-1, 2)
    boxes_xyxy = np.concatenate([corners, corners + [12, 10]], axis=1)
    report = checks.check(changed(sound, 0, boxes_xyxy=boxes_xyxy, labels=[1, 2] * 250))
    assert ("note", "very many objects", "00.jpg", "") in told(report)
    assert kinds(changed(sound, 0, boxes_xyxy=boxes_xyxy, labels=[1, 2] * 250)) == {
        "very many objects",
        "box that no anchor fits",
    }


def test_same_boxes_are_those_of_the_plain_formula() -> None:
    """Pairs of overlapping boxes are found as comparing each with each does, also beyond one tile."""
    random = np.random.default_rng(0)
    low = random.integers(0, 30, (600, 2)).astype(np.float32)
    boxes_xyxy = np.concatenate([low, low + random.integers(20, 40, (600, 2))], axis=1)
    expected = {(a, b) for a, b in np.argwhere(sv.box_iou_batch(boxes_xyxy, boxes_xyxy) >= 0.8).tolist() if a < b}
    assert len(expected) > 300
    assert sorted(same_boxes(boxes_xyxy, 0.8)) == sorted(expected)


def test_damaged_and_missing_photos(sound: Dataset) -> None:
    """Photos that were cut off, damaged or deleted after reading are errors that name the file."""
    data = sound[1].path.read_bytes()
    sound[1].path.write_bytes(data[: len(data) // 2])
    sound[2].path.write_bytes(b"<html>404</html>")
    sound[4].path.unlink()
    report = checks.check(sound)
    assert [one[:3] for one in told(report)] == [("error", "photo unreadable", f"0{n}.jpg") for n in (1, 2, 4)]
    assert "damaged or cut off" in report.problems[0].what
    assert "a web page" in report.problems[1].what
    assert "cannot be opened (No such file or directory)" in report.problems[2].what
    assert [one.photo for one in report.problems] == [str(sound[n].path) for n in (1, 2, 4)]


def test_photo_of_another_size_than_its_labels(sound: Dataset, tmp_path: Path) -> None:
    """A photo that was scaled after it was read is an error, and mend leaves it out, so that records can be written."""
    picture(3, (160, 120)).save(sound[3].path)
    report = checks.check(sound)
    assert told(report) == [("error", "size differs", "03.jpg", "")]
    assert report.problems[0].what == "its labels are for 320 x 240 pixels, and the photo has 160 x 120"
    mended = checks.mend(sound)
    assert [change.kind for change in mended.changes] == ["size differs"]
    assert len(list(records.read(records.write(mended.dataset, tmp_path / "train")))) == 11


def test_photo_without_permission(sound: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """A photo that may not be read is told as such, not as a traceback."""
    real = open

    def refuse(path: Any, *arguments: Any, **options: Any) -> Any:
        if Path(path).name == "05.jpg":
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr("builtins.open", refuse)
    report = checks.check(sound, workers=1)
    assert told(report) == [("error", "photo unreadable", "05.jpg", "")]
    assert "Permission denied" in report.problems[0].what


def test_same_photo_twice(sound: Dataset, tmp_path: Path) -> None:
    """The same file and a smaller copy are told with the photo that they are the same as."""
    (tmp_path / "copy.jpg").write_bytes(sound[0].path.read_bytes())
    picture(1, (160, 120)).save(tmp_path / "small.jpg")
    more = (
        dataclasses.replace(sound[0], path=tmp_path / "copy.jpg"),
        LabelledImage(tmp_path / "small.jpg", 160, 120, np.array(BOXES_XYXY) / 2, [1, 2]),
    )
    report = checks.check(dataclasses.replace(sound, images=sound.images + more))
    assert told(report) == [
        ("warning", "nearly the same photo", "small.jpg", ""),
        ("warning", "same photo twice", "copy.jpg", ""),
    ]
    assert [one.other_photo for one in report.problems] == [str(sound[1].path), str(sound[0].path)]
    assert report.problems[1].what == "it is the same file as 00.jpg"
    relabelled = dataclasses.replace(more[0], labels=[2, 1])
    report = checks.check(dataclasses.replace(sound, images=(*sound.images, relabelled)))
    assert report.problems[0].what == "it is the same file as 00.jpg, and its labels differ"


def test_same_photo_in_two_splits_is_an_error(sound: Dataset) -> None:
    """A copy of a training photo makes the evaluation untrue, however the splits are given."""
    held = dataclasses.replace(sound, images=(dataclasses.replace(sound[0]),))
    report = checks.check({"train": sound, "validation": held})
    assert told(report)[:1] == [("error", "same photo in two splits", "validation/00.jpg", "")]
    assert "in 'train', so the evaluation sees what was trained on" in report.problems[0].what
    whole = [dataclasses.replace(image, split="train") for image in sound]
    whole += [dataclasses.replace(image, split="validation") for image in held]
    assert told(checks.check(dataclasses.replace(sound, images=tuple(whole))))[:1] == told(report)[:1]
    # Of two copies the one in the other split is told, though it comes second.
    three = {"a": held, "train": dataclasses.replace(sound, images=sound.images[:2])}
    twice = checks.check({**three, "a": dataclasses.replace(held, images=held.images * 2)})
    assert twice.counts()["error", "same photo in two splits"] == twice.counts()["warning", "same photo twice"] == 1


def test_likeness_alone_is_no_error(sound: Dataset, tmp_path: Path) -> None:
    """A photo that is nearly the same as one in another split is a warning, with both photos and their likeness."""
    near, nearer = tmp_path / "near.jpg", tmp_path / "nearer.jpg"
    picture(1).save(nearer, quality=80)
    Image.fromarray(np.clip(np.array(picture(1)) * 1.15 + 4, 0, 255).astype(np.uint8)).save(near, quality=50)
    held = [dataclasses.replace(sound[1], path=path) for path in (near, nearer)]
    report = checks.check({"train": sound, "validation": dataclasses.replace(sound, images=tuple(held))})
    found = [one for one in report.problems if one.kind == "nearly the same photo"]
    assert [(one.severity, one.where) for one in found] == [
        ("warning", "validation/near.jpg"), ("warning", "validation/nearer.jpg")
    ]  # fmt: skip
    assert {one.other_photo for one in found} == {str(sound[1].path)}  # nearer is most like near, which is beside it
    for one in found:
        assert re.fullmatch(r"it is nearly the same picture as 01.jpg \(likeness (0.9\d|1.00)\) in 'train'", one.what)
    assert "error" not in {one.severity for one in report.problems}


def test_place_begins_with_the_split(sound: Dataset) -> None:
    """Of splits by name, each problem with a photo, a box or an image says which split it is in."""
    broken = changed(changed(sound, 3, boxes_xyxy=[], labels=[]), 4, boxes_xyxy=[[50, 50, 51, 51]], labels=[1])
    sound[5].path.write_bytes(b"")
    parts = {"train": dataclasses.replace(sound, images=sound.images[6:]), "test": broken}
    wheres = {one.kind: one.where for one in checks.check(parts).problems if one.kind != "same photo in two splits"}
    assert wheres == {
        "photo unreadable": "test/05.jpg",
        "box of a pixel or two": "test/04.jpg",
        "image without objects": "test/03.jpg",
    }


def test_empty_image_is_told_once(sound: Dataset) -> None:
    """An image without objects is a note; where reading told of it, it is not told again."""
    empty = changed(sound, 2, boxes_xyxy=[], labels=[])
    assert told(checks.check(empty)) == [("note", "image without objects", "02.jpg", "")]
    note = Problem(
        where="02.xml", what="it has no objects", fix="Kept.",
        severity="note", kind="image without objects", photo=str(empty[2].path),
    )  # fmt: skip
    assert told(checks.check(dataclasses.replace(empty, problems=(note,)))) == [
        ("note", "image without objects", "02.xml", "")
    ]


def test_classes(sound: Dataset) -> None:
    """Rare, empty and doubled classes are told with their numbers."""
    names = ["cat", "dog", "Cat", "c_at", "dogs", "bird"]
    several = changed(dataclasses.replace(sound, label_map=LabelMap(names)), 0, labels=[3, 5])
    what = {(one.severity, one.kind, one.what) for one in checks.check(several).problems}
    spelled = "'cat' (11 boxes) and 'Cat' (1 box) and 'c_at' (0 boxes) are taken as 3 classes"
    assert what == {
        ("warning", "class spelled differently", spelled),
        ("note", "class in singular and plural", "'dog' (11 boxes) and 'dogs' (1 box) are taken as 2 classes"),
        ("warning", "rare class", "class 'Cat' has 1 box"),
        ("warning", "rare class", "class 'dogs' has 1 box"),
        ("warning", "class without boxes", "class 'c_at' has no box"),
        ("warning", "class without boxes", "class 'bird' has no box"),
    }  # fmt: skip


def test_classes_that_a_mirror_swaps(sound: Dataset) -> None:
    """A pair of classes that are each other's mirror image is one warning with both names."""
    turns = checks.check(dataclasses.replace(sound, label_map=LabelMap(["turnLeft", "turn_right"])))
    (warning,) = [one for one in turns.problems if one.kind == "classes that are mirror images"]
    assert warning.severity == "warning"
    assert warning.what == "in a mirrored photo these classes change places: 'turnLeft' and 'turn_right'"


def test_splits_that_differ(sound: Dataset) -> None:
    """Classes shared out unevenly, one missing and boxes of another size are told; chance is not."""
    images = sound.images * 4
    one_sided = [dataclasses.replace(image, labels=[1, 1 if n % 8 else 2]) for n, image in enumerate(images)]
    small = [dataclasses.replace(image, boxes_xyxy=np.array(BOXES_XYXY) / 2) for image in images]
    copies = {"same photo in two splits", "same photo twice", "rare class"}
    train = dataclasses.replace(sound, images=tuple(images))
    even = kinds({"train": train, "validation": train}) - copies
    assert even == set()
    classes = checks.check({"train": train, "validation": dataclasses.replace(sound, images=tuple(one_sided))})
    (shift, *_) = [one for one in classes.problems if one.kind == "splits with different classes"]
    assert shift.what == "class 'cat' is 50% of the boxes in 'train', and 94% in 'validation'"
    sizes = kinds({"train": train, "validation": dataclasses.replace(sound, images=tuple(small))})
    assert sizes - copies == {"splits with different sizes"}
    no_dog = [dataclasses.replace(image, labels=[1, 1]) for image in images]
    missing = kinds({"train": train, "validation": dataclasses.replace(sound, images=tuple(no_dog))})
    assert "class missing from a split" in missing


def test_random_splits_are_rarely_called_different() -> None:
    """Of 200 sets that are divided at random, at most two are called uneven by the classes or the sizes."""
    random = np.random.default_rng(0)
    called = 0
    for _ in range(200):
        boxes_xyxy = np.sort(random.uniform(2, 99, (400, 2, 2)).astype(np.float32), axis=1).reshape(400, 4)
        boxes_xyxy[:, 2:] += 0.5
        labels = random.integers(1, 4, 400)
        images = [
            LabelledImage(Path("a.jpg"), 100, 100, boxes_xyxy[half], labels[half], split=split)
            for half, split in zip(np.array_split(random.permutation(400), [320]), ("train", "test"), strict=True)
        ]
        whole = Dataset(tuple(images), LabelMap(["a", "b", "c"]))
        called += any(problem.kind.startswith("splits") for problem in checks.classes.check_classes(whole))
    assert called <= 2


def test_large_photos_are_told_with_what_is_saved(sound: Dataset, tmp_path: Path) -> None:
    """Photos far larger than the model sees are one note, which says what scaling them down saves."""
    picture(50, (1920, 1440)).save(tmp_path / "large.jpg")
    large = LabelledImage(tmp_path / "large.jpg", 1920, 1440, np.array(BOXES_XYXY) * 6, [1, 2])
    (note,) = checks.check(dataclasses.replace(sound, images=(*sound.images, large))).problems
    before = large.path.stat().st_size / 1e6
    assert (note.severity, note.kind, note.photo) == ("note", "photos larger than needed", str(large.path))
    assert note.what.startswith("1 of 13 photos are far larger than the 192 pixels that the model sees")
    assert f"records.write(..., longest_side=384) makes their {before:.1f} MB about {before * 0.04:.1f} MB" in note.fix


def test_dark_photos_are_one_warning(sound: Dataset) -> None:
    """Photos that are nearly black, as after a wrong conversion, are counted, and the first is named; night is not."""
    for number in (3, 5):
        dark = np.random.default_rng(number).integers(0, 32, (240, 320, 3), np.uint8)
        Image.fromarray(dark).save(sound[number].path)
    night = np.array(picture(7)) // 8
    night[60:90, 60:90] = 255
    Image.fromarray(night).save(sound[7].path)
    (found,) = [one for one in checks.check(sound).problems if one.kind == "dark photos"]
    assert (found.severity, found.photo) == ("warning", str(sound[3].path))
    assert found.what.startswith("2 of 12 photos are nearly black, such as 03.jpg: nothing in it is brighter than 1")


def test_photos_from_records_are_checked_too(sound: Dataset) -> None:
    """Images that have bytes and no file are judged by these."""
    kept = [dataclasses.replace(image, path=image.path.name, encoded=image.path.read_bytes()) for image in sound]
    kept[3] = dataclasses.replace(kept[3], encoded=kept[3].encoded[:500])
    assert told(checks.check(dataclasses.replace(sound, images=tuple(kept)))) == [
        ("error", "photo unreadable", "03.jpg", "")
    ]


def test_what_reading_found_is_carried_over(sound: Dataset) -> None:
    """The problems of reading stand in the report, before those of less weight."""
    error = Problem(where="a.xml", what="not XML", fix="Correct it.", kind="annotation unreadable")
    broken = changed(dataclasses.replace(sound, problems=(error,)), 2, boxes_xyxy=[], labels=[])
    assert [one.severity for one in checks.check(broken).problems] == ["error", "note"]
    assert checks.check(broken).problems[0] is error


def test_there_must_be_something_to_check(sound: Dataset) -> None:
    """No dataset, and splits with different label maps, are refused."""
    with pytest.raises(ValueError, match="There is no dataset to check"):
        checks.check({})
    other = dataclasses.replace(sound, label_map=LabelMap(["dog", "cat"]))
    with pytest.raises(ValueError, match=r"different label maps \(train: cat, dog; test: dog, cat\)"):
        checks.check({"train": sound, "test": other})
    assert checks.check(Dataset((), LabelMap(["cat"]))).problems == ()


def test_real_photos(shared: Path) -> None:
    """In the real set the two photos of the same puppies and boxes of the whole photo are found, and no error."""
    report = checks.check(voc.read(shared / "data" / "asirra" / "train"))
    assert report.images == 995
    counts = report.counts()
    assert counts.pop(("note", "photos larger than needed")) == 1
    assert counts.pop(("note", "box of the whole image")) < 10
    assert counts == {("warning", "nearly the same photo"): 1}


def test_drawn_sample_is_sound() -> None:
    """The embedded sample has nothing worse than notes."""
    train = voc.read(sources.local("sample") / "train")
    test = voc.read(sources.local("sample") / "test", label_map=train.label_map)
    assert {one.severity for one in checks.check({"train": train, "test": test}).problems} <= {"note"}


# --- the report -----------------------------------------------------------------------------------


@pytest.fixture
def report(sound: Dataset) -> checks.Report:
    """Of a dataset with one error, two warnings of a kind and a note."""
    error = Problem(
        where="a.xml", object="object 1", what="not finite", fix="Fix it.", kind="box", box_xyxy=(0, 0, float("inf"), 1)
    )
    broken = changed(sound, 1, boxes_xyxy=[[5, 5, 6, 6], [7, 7, 8, 8]])
    return checks.check(dataclasses.replace(changed(broken, 2, boxes_xyxy=[], labels=[]), problems=(error,)))


def test_summary(report: checks.Report) -> None:
    """The text counts by severity and kind, with an example of each; a notebook shows it too."""
    assert str(report).splitlines()[0] == "12 images, 22 boxes: 1 error, 2 warnings, 1 note"
    assert "warning      2 x box of a pixel or two" in str(report)
    assert "such as 01.jpg, object 1 ('cat'): the box is 1 x 1 pixels" in str(report)
    assert repr(report) == str(report)
    assert list(report.counts().items()) == [
        (("error", "box"), 1), (("warning", "box of a pixel or two"), 2), (("note", "image without objects"), 1)
    ]  # fmt: skip


def test_common_kinds_come_first(sound: Dataset) -> None:
    """Of one severity the kind that there is most of is told first, whatever its name."""
    broken = changed(sound, 1, boxes_xyxy=[[0, 0, *SIZE], [0, 0, 319, 240]], labels=[1, 2])
    notes = tuple(Problem(where=f"{n}.xml", what="odd", fix="", severity="note", kind="an odd one") for n in range(1))
    report = checks.check(dataclasses.replace(broken, problems=notes))
    assert [one.kind for one in report.problems if one.severity == "note"] == ["box of the whole image"] * 2 + [
        "an odd one"
    ]


def test_report_as_table(report: checks.Report) -> None:
    """The table has one row a problem, in the same order."""
    frame = report.to_frame()
    assert list(frame.columns) == ["severity", "kind", "where", "object", "what", "fix", "photo"]
    assert frame["where"].tolist() == [problem.where for problem in report.problems]


def test_report_as_file(report: checks.Report, tmp_path: Path) -> None:
    """The file is strict JSON, of which the problems can be made again; a name that is no Unicode does no harm."""
    odd = dataclasses.replace(
        report, problems=(*report.problems, Problem(where="\udcff.jpg", what="odd", fix="", severity="note"))
    )
    path = odd.save(tmp_path / "new" / "report.json")

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    facts = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    assert (facts["images"], facts["boxes"]) == (12, 22)
    assert facts["counts"][1] == {"severity": "warning", "kind": "box of a pixel or two", "count": 2}
    again = [Problem(**one) for one in facts["problems"]]
    assert again == [dataclasses.replace(one, box_xyxy=None) if one.kind == "box" else one for one in odd.problems]
    assert [one.name for one in path.parent.iterdir()] == ["report.json"]


# --- mending --------------------------------------------------------------------------------------


def refused(kind: str, box_xyxy: tuple[float, ...], photo: Path, label: str = "cat", place: int = 3) -> Problem:
    """What reading tells of a box that it left out."""
    return Problem(
        where=f"{photo.stem}.xml", object=f"object {place} ({label!r})", what="wrong", fix="Fix it.",
        kind=kind, photo=str(photo), size=SIZE, box_xyxy=box_xyxy, label=label,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "box_xyxy", "becomes"),
    [
        (BOX_OVER_EDGE, (200, -10, 330, 100), [200, 0, 320, 100]),
        (BOX_SWAPPED, (100, 90, 40, 20), [40, 20, 100, 90]),
        (BOX_SWAPPED, (100, 20, 40, 90), [40, 20, 100, 90]),
        (BOX_OVER_EDGE, (300, 10, 390, 100), None),  # most of it lies outside
        (BOX_SWAPPED, (400, 90, 40, 20), None),  # put right it would reach over the edge
        ("box outside", (400, 10, 500, 90), None),
    ],
)
def test_box_is_put_right(
    sound: Dataset, kind: str, box_xyxy: tuple[float, ...], becomes: list[float] | None
) -> None:  # fmt: skip
    """A box that is surely meant otherwise comes back into its image; another one stays in the problems."""
    problem = refused(kind, box_xyxy, sound[4].path)
    mended = checks.mend(dataclasses.replace(sound, problems=(problem,)))
    if becomes is None:
        assert (mended.changes, mended.dataset.problems) == ((), (problem,))
        assert mended.dataset.images == sound.images
        return
    assert mended.dataset.problems == ()
    assert mended.dataset[4].boxes_xyxy.tolist() == [*BOXES_XYXY, becomes]
    assert mended.dataset[4].labels.tolist() == [1, 2, 1]
    assert [image.path for image in mended.dataset] == [image.path for image in sound]
    (change,) = mended.changes
    assert (change.where, change.object, change.kind) == ("04.xml", "object 3 ('cat')", kind)
    assert str(mended).startswith("1 change:\n  04.xml, object 3 ('cat'): the box [")
    assert repr(mended) == str(mended)


def test_image_that_was_left_out_comes_back(tmp_path: Path) -> None:
    """An image whose only object was refused comes back with it, in its split and at its place."""
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        for number in range(3):
            labelled(tmp_path / split / f"{number}.jpg", number + 3 * (split == "test"))
    images = [
        LabelledImage(tmp_path / split / f"{number}.jpg", *SIZE, BOXES_XYXY, [1, 2], split=split)
        for split in ("train", "test") for number in (0, 2)
    ]  # fmt: skip
    problem = refused(BOX_SWAPPED, (100, 90, 40, 20), tmp_path / "test" / "1.jpg", place=1)
    problem = dataclasses.replace(problem, where="test/annotations/1.xml")
    mended = checks.mend(Dataset(tuple(images), LabelMap(["cat", "dog"]), (problem,))).dataset
    names = ["train/0.jpg", "train/2.jpg", "test/0.jpg", "test/1.jpg", "test/2.jpg"]
    assert [f"{image.split}/{image.path.name}" for image in mended] == names
    assert mended[3].boxes_xyxy.tolist() == [[40, 20, 100, 90]]
    assert (mended[3].width, mended[3].height, mended[3].labels.tolist()) == (*SIZE, [1])


def test_real_reading_and_mending(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Annotations that are broken in their files are read from the folder one stands in, mended, and then sound."""
    sources = sorted((shared / "data/asirra/train").glob("*.xml"))[:12]
    for source in sources:
        (tmp_path / source.name).write_bytes(source.read_bytes())
        photo = source.with_suffix(".jpg")
        (tmp_path / photo.name).write_bytes(photo.read_bytes())
    whole = voc.read(tmp_path)
    texts = [tmp_path / source.name for source in sources[:2]]
    for path, number in zip(texts, (0, 1), strict=True):
        text, image = path.read_text(), whole[number]
        xmin, _, xmax, _ = image.boxes_xyxy[0].astype(int)
        if number:
            text = text.replace(f"<xmin>{xmin}<", "<xmin>SWAP<").replace(f"<xmax>{xmax}<", f"<xmax>{xmin}<")
            text = text.replace("<xmin>SWAP<", f"<xmin>{xmax}<")
        else:
            text = text.replace(f"<xmax>{xmax}<", f"<xmax>{image.width + 20}<")
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    broken = voc.read(".", on_problem="skip")
    assert len(broken) == 10  # each of the two had but one object
    mended = checks.mend(broken)
    assert sorted(change.kind for change in mended.changes) == [BOX_OVER_EDGE, BOX_SWAPPED]
    assert [image.path.name for image in mended.dataset] == [image.path.name for image in whole]
    assert mended.dataset[0].boxes_xyxy[0, 2] == whole[0].width
    assert mended.dataset[1].boxes_xyxy.tolist() == whole[1].boxes_xyxy.tolist()
    assert not kinds(mended.dataset) & {BOX_OVER_EDGE, BOX_SWAPPED}


def test_objects_that_are_not_sure_stay_out(sound: Dataset) -> None:
    """An object with another fault, of a class that the label map lacks, or whose outline is lost, stays out."""
    box_xyxy = (100, 90, 40, 20)
    twice = [refused(BOX_SWAPPED, box_xyxy, sound[4].path), refused("class unknown", box_xyxy, sound[4].path)]
    unknown = [
        refused(kind, box_xyxy, sound[4].path, label="bird") for kind in (BOX_SWAPPED, "class unknown")
    ]  # fmt: skip
    masks = dataclasses.replace(
        sound, images=tuple(dataclasses.replace(image, masks=(b"a", b"b")) for image in sound)
    )  # fmt: skip
    one = [refused(BOX_SWAPPED, box_xyxy, sound[4].path)]
    for dataset, problems in ((sound, twice), (sound, unknown), (masks, one)):
        broken = dataclasses.replace(dataset, problems=tuple(problems))
        assert checks.mend(broken).changes == ()
        assert checks.mend(broken).dataset.problems == tuple(problems)


def test_images_of_one_name_all_stay(sound: Dataset) -> None:
    """Records may hold two images of one name; mending another image loses neither."""
    images = [dataclasses.replace(image, path="same.jpg", encoded=image.path.read_bytes()) for image in sound[:2]]
    broken = Dataset((*images, *sound[2:]), sound.label_map, (refused(BOX_SWAPPED, (100, 90, 40, 20), sound[4].path),))
    mended = checks.mend(broken)
    assert len(mended.changes) == 1
    assert len(mended.dataset) == 12
    unclear = dataclasses.replace(broken, problems=(refused(BOX_SWAPPED, (100, 90, 40, 20), images[0].path),))
    assert checks.mend(unclear).changes == ()  # which of the two is it?


def test_box_drawn_twice_is_kept_once(sound: Dataset) -> None:
    """The very same box and class is kept once, its masks and flags with it; a box that differs stays."""
    again = [*BOXES_XYXY, BOXES_XYXY[0], [21, 20, 120, 130], BOXES_XYXY[1]]
    masks = (b"a", b"b", b"c", b"d", b"e")
    flags = {"crowd": [False, False, False, True, False], "difficult": [False, True, False, False, True]}
    flags |= {"areas": [1, 2, 1, 4, 5]}
    mended = checks.mend(changed(sound, 3, boxes_xyxy=again, labels=[1, 2, 1, 1, 1], masks=masks, **flags))
    image = mended.dataset[3]
    assert image.boxes_xyxy.tolist() == [*BOXES_XYXY, [21, 20, 120, 130], BOXES_XYXY[1]]
    assert (image.labels.tolist(), image.masks) == ([1, 2, 1, 1], (b"a", b"b", b"d", b"e"))
    assert image.crowd.tolist() == [False, False, True, False]
    assert image.difficult.tolist() == [False, True, False, True]
    assert image.areas.tolist() == [1, 2, 4, 5]
    assert str(mended) == "1 change:\n  03.jpg, 4 of 5 objects kept: the same box was there more than once"


def test_same_photo_is_kept_once_where_its_labels_agree(sound: Dataset, tmp_path: Path) -> None:
    """A second file with the same bytes and labels goes; with other labels it stays and is told of."""
    for name in ("agrees", "differs"):
        (tmp_path / f"{name}.jpg").write_bytes(sound[0].path.read_bytes())
    agrees = dataclasses.replace(sound[0], path=tmp_path / "agrees.jpg")
    differs = dataclasses.replace(sound[0], path=tmp_path / "differs.jpg", labels=[2, 2])
    mended = checks.mend(dataclasses.replace(sound, images=(*sound.images, agrees, differs)))
    assert [image.path.name for image in mended.dataset[11:]] == ["11.jpg", "differs.jpg"]
    assert [str(change) for change in mended.changes] == ["agrees.jpg: left out, it is the same file as 00.jpg"]
    assert kinds(mended.dataset) == {"same photo twice"}


@pytest.mark.parametrize("ready", [False, True])
def test_training_gives_up_what_the_evaluation_has(sound: Dataset, ready: bool) -> None:
    """A photo in several splits stays out of the training, in whatever order these come; the last one keeps it."""
    images = {"test": sound.images[:2], "train": sound.images, "valid": sound.images[1:3]}
    if ready:
        whole = tuple(dataclasses.replace(image, split=name) for name, some in images.items() for image in some)
        mended = checks.mend(dataclasses.replace(sound, images=whole))
        parts = mended.dataset.splits()
    else:
        mended = checks.mend({name: dataclasses.replace(sound, images=some) for name, some in images.items()})
        parts = mended.parts
        with pytest.raises(ValueError, match="Several splits were given: test, train, valid"):
            _ = mended.dataset
    numbers = {name: [int(image.path.stem) for image in part] for name, part in parts.items()}
    assert numbers == {"test": [0], "train": list(range(3, 12)), "valid": [1, 2]}
    told = {f"{change.where}: {change.what}" for change in mended.changes}
    assert "train/00.jpg: left out, it is the same file as 00.jpg in 'test'" in told
    assert {change.kind for change in mended.changes} == {"same photo in two splits"}


def test_photos_that_cannot_be_read_are_left_out(sound: Dataset) -> None:
    """An image whose photo is cut off or gone is left out, and listed with what is wrong; no such problem is left."""
    sound[1].path.write_bytes(sound[1].path.read_bytes()[:500])
    sound[2].path.unlink()
    parts = {
        "train": dataclasses.replace(sound, images=sound.images[:6]),
        "test": dataclasses.replace(sound, images=sound.images[6:]),
    }
    mended = checks.mend(parts)
    assert [image.path.name for image in mended.parts["train"]] == [f"0{number}.jpg" for number in (0, 3, 4, 5)]
    assert mended.parts["test"].images == parts["test"].images
    cut, gone = mended.changes
    assert (cut.where, cut.kind) == ("train/01.jpg", "photo unreadable")
    assert str(cut).startswith("train/01.jpg: left out, damaged or cut off (")
    assert str(gone) == "train/02.jpg: left out, it cannot be opened (No such file or directory)"
    assert "photo unreadable" not in kinds(mended.parts)


def test_broken_sample_becomes_a_clean_folder(tmp_path: Path) -> None:
    """Mended, written as a folder and read again, the broken sample has no error, and each box is where it was."""
    broken = sources.local("broken_sample", tmp_path)
    dataset = formats.read(broken, on_problem="skip")
    assert "error" in {severity for severity, _ in checks.check(dataset).counts()}
    mended = checks.mend(dataset).dataset
    again = formats.read(voc.write(mended, tmp_path / "clean"))
    assert "error" not in {severity for severity, _ in checks.check(again).counts()}
    assert len(again) == len(mended) > 240
    known = {(image.split, image.path.name): image for image in again}
    for image in mended:
        other = known[image.split, image.path.name]
        assert (other.width, other.height) == (image.width, image.height)
        np.testing.assert_array_equal(other.boxes_xyxy, image.boxes_xyxy)
        assert other.pixels().shape == (image.height, image.width, 3)
        assert (other.pixels() == image.pixels()).all()


def test_spellings_become_the_most_frequent(sound: Dataset) -> None:
    """Names that differ in capitals or underscores become one, its ids are new, and what that makes equal goes."""
    names = LabelMap(["Guide Dog", "cat", "guide_dog", "dogs"])
    images = [dataclasses.replace(image, labels=[2, 3]) for image in sound]
    more = {"boxes_xyxy": [*BOXES_XYXY, BOXES_XYXY[1]], "labels": [4, 1, 3]}
    images[0] = LabelledImage(images[0].path, images[0].width, images[0].height, **more)
    note = Problem(
        where="labels", what="two spellings", fix="Fix.", severity="warning", kind="class spelled differently"
    )
    mended = checks.mend(Dataset(tuple(images), names, (note,)))
    assert mended.dataset.label_map.names == ("cat", "guide_dog", "dogs")
    assert [image.labels.tolist() for image in mended.dataset[:2]] == [[3, 2], [1, 2]]
    assert [str(change) for change in mended.changes] == [
        "classes: 1 box of 'Guide Dog' became 'guide_dog'",
        "00.jpg, 2 of 3 objects kept: the same box was there more than once",
    ]
    assert mended.dataset.problems == ()


@pytest.mark.parametrize(
    ("names", "becomes"),
    [
        (["K", "k", "Q", "q"], 4),  # an alphabet
        (["Shift", "shift", "A", "a"], 4),  # capitals count in all of it
        (["A", "A-", "A+", "AB", "AB-", "a_b"], 6),  # blood groups
        (["Na", "NA", "1-2", "12", "level 1", "level -1", "T1", "t 1"], 8),
        (["bell pepper", "Bell_Pepper", "bell-pepper", "BellPepper"], 1),
        (["class 1", "Class_1", "class 11"], 2),
        (["caf\u00e9", "cafe\u0301", "cafe"], 2),  # an accent in two encodings
        (["STOP", "stop", "Stop_"], 2),
        (["\u4ea4\u901a \u706f", "\u4ea4\u901a\u706f"], 1),
    ],
)
def test_only_what_is_surely_one_class_is_merged(sound: Dataset, names: list[str], becomes: int) -> None:
    """Names that may be meant stay two classes, and are told as a note; the boxes of merged ones are all there."""
    images = [dataclasses.replace(image, labels=[1, 1 + n % len(names)]) for n, image in enumerate(sound)]
    dataset = dataclasses.replace(sound, images=tuple(images), label_map=LabelMap(names))
    told = {one.severity for one in checks.check(dataset).problems if one.kind == "class spelled differently"}
    assert ("warning" in told) == (becomes < len(names))
    mended = checks.mend(dataset)
    assert len(mended.dataset.label_map) == becomes
    assert sum(mended.dataset.counts().values()) == 24
    left = [one for one in checks.check(mended.dataset).problems if one.kind == "class spelled differently"]
    assert {one.severity for one in left} <= {"note"}


def test_letters_stay_classes(shared: Path) -> None:
    """A data set with K and k, A and A- keeps all of its classes."""
    dataset = formats.read(shared / "data/reported/w16_mend_merges_letters", on_problem="skip")
    mended = checks.mend(dataset)
    assert mended.dataset.counts() == dataset.counts()
    assert mended.changes == ()


def test_class_that_was_left_out_comes_back(shared: Path) -> None:
    """A class all of whose boxes could be fixed comes back with them, where its name stands among the others."""
    dataset = formats.read(shared / "data/reported/w17_mend_lost_class", on_problem="skip")
    assert list(dataset.label_map) == ["cat"]
    mended = checks.mend(dataset)
    assert mended.dataset.counts() == {"cat": 1, "dog": 1}
    assert mended.dataset[1].boxes_xyxy.tolist() == [[60, 40, 100, 70]]
    assert str(mended.changes[0]) == "classes: 'dog' came back"
    bird = dataclasses.replace(dataset.problems[0], label="bird", object="object 1 ('bird')")
    parts = checks.mend({"a": dataset, "b": dataclasses.replace(dataset, problems=(bird,))}).parts
    assert [part.counts() for part in parts.values()] == [
        {"bird": 0, "cat": 0, "dog": 1},
        {"bird": 1, "cat": 1, "dog": 0},
    ]
    ordered = dataclasses.replace(dataset, label_map=LabelMap(["zebra", "cat"]))
    assert list(checks.mend(ordered).dataset.label_map) == ["zebra", "cat", "dog"]


@pytest.mark.parametrize("flag", ["crowd", "difficult"])
def test_marks_of_a_box_come_back_with_it(shared: Path, flag: str) -> None:
    """A crowd over the edge comes back as a crowd, a difficult object as a difficult one."""
    dataset = formats.read(shared / "data/reported/w18_mend_crowd", on_problem="skip")
    assert dataset.problems[0].crowd
    marks = {"crowd": False, "difficult": False} | {flag: True}
    problem = dataclasses.replace(dataset.problems[0], **marks)
    (image,) = checks.mend(dataclasses.replace(dataset, problems=(problem,))).dataset
    assert image.boxes_xyxy.tolist() == [[10, 10, 30, 30], [40, 10, 100, 50]]
    assert getattr(image, flag).tolist() == [False, True]
    assert image.areas is None or np.isnan(image.areas[1])  # the area was of what was drawn
    assert image.crowd.sum() + image.difficult.sum() == 1


def test_nothing_to_mend(sound: Dataset) -> None:
    """A sound dataset comes back as it is."""
    mended = checks.mend(sound)
    assert mended.dataset.images == sound.images
    assert str(mended) == "There was nothing to fix."


@st.composite
def broken(draw: st.DrawFn) -> Dataset:
    """Up to six images of three photos, with few boxes, spellings and refused objects, so that all meet often."""
    some = st.sampled_from([*BOXES_XYXY, [20, 20, 120, 131]])
    images = []
    for number in range(draw(st.integers(1, 6))):
        count = draw(st.integers(0, 3))
        boxes_xyxy = [draw(some) for _ in range(count)]
        labels = [draw(st.integers(1, 4)) for _ in range(count)]
        split = draw(st.sampled_from(["train", "test"]))
        data = PHOTOS[draw(st.integers(0, 2))]
        images.append(LabelledImage(Path(f"{number}.jpg"), *SIZE, boxes_xyxy, labels, encoded=data, split=split))
    boxes = [(BOX_OVER_EDGE, (300, 10, 321, 90)), (BOX_OVER_EDGE, (300, 10, 390, 90)), (BOX_SWAPPED, (90, 9, 20, 80))]
    problems = []
    for place in range(draw(st.integers(0, 4))):
        kind, box_xyxy = draw(st.sampled_from(boxes))
        image, label = draw(st.sampled_from(images)), draw(st.sampled_from(["cat", "Cat", "dog", "bird"]))
        problem = refused(kind, box_xyxy, image.path, label, place)
        problems.append(dataclasses.replace(problem, where=f"{image.split}/{problem.where}"))
    return Dataset(tuple(images), LabelMap(["cat", "Cat", "dog", "c at"]), tuple(problems))


def _bytes_of(seed: int) -> bytes:
    buffer = io.BytesIO()
    picture(seed).save(buffer, "JPEG")
    return buffer.getvalue()


PHOTOS = [_bytes_of(seed) for seed in range(3)]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(broken())
def test_mending_twice_changes_nothing_more(dataset: Dataset) -> None:
    """What can be mended is mended at once, what is left is still told, and no image or object is made up."""
    mended = checks.mend(dataset)
    again = checks.mend(mended.dataset)
    assert again.changes == ()
    assert {id(image) for image in again.dataset} == {id(image) for image in mended.dataset}
    found = checks.check(mended.dataset, workers=1).problems
    assert not [one for one in found if one.kind == "class spelled differently"]
    for image in mended.dataset:
        objects = list(zip(image.boxes_xyxy.tolist(), image.labels.tolist(), strict=True))
        assert all(objects.count(one) == 1 for one in objects)
    for one in found:
        if one.kind in ("same photo twice", "same photo in two splits") and "same file" in one.what:
            images = {str(image.path): image for image in mended.dataset}
            first, second = images[one.photo], images[one.other_photo]
            assert (first.labels.tolist(), first.boxes_xyxy.tolist()) != (
                second.labels.tolist(), second.boxes_xyxy.tolist(),
            )  # fmt: skip
    kept = {(problem.where, problem.object, problem.kind) for problem in mended.dataset.problems}
    put_right = {(change.where, change.object, change.kind) for change in mended.changes}
    assert all((one.where, one.object, one.kind) in kept | put_right for one in dataset.problems)
    assert not kept & put_right
    assert photos.read_info(PHOTOS[0]).upright_size == SIZE
