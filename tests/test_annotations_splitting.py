"""Splits: every class in its share, copies of a photo together, and steady when photos are added."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.formats import voc
from tfod_helpers.photos.frame_names import frame_name

SHARES = {"train": 0.7, "validation": 0.2, "test": 0.1}


def several_labels(count: int, seed: int = 0) -> Dataset:
    """Images, which are not there, with none to five boxes of six classes, the last one in one image of a hundred."""
    random = np.random.default_rng(seed)
    chances = np.array([0.4, 0.3, 0.15, 0.1, 0.04, 0.01])
    images = []
    for number in range(count):
        labels = random.choice(6, random.integers(0, 6), p=chances) + 1
        images.append(LabelledImage(Path(f"{number}.jpg"), 100, 100, [[1, 1, 50, 50]] * len(labels), labels))
    return Dataset(tuple(images), LabelMap([f"class {number}" for number in range(6)]))


def part_of(parts: dict[str, Dataset]) -> dict[str, str]:
    """The part that each image is in, by its name."""
    return {image.path.name: name for name, part in parts.items() for image in part}


def test_every_class_has_its_share() -> None:
    """Of images with several labels, each part gets its share of every class, the rare one too."""
    whole = several_labels(1000)
    total = np.array(list(whole.counts().values()))
    assert total.min() < 40
    for name, part in whole.split(SHARES).items():
        wanted = SHARES[name] * total
        assert abs(len(part) - 1000 * SHARES[name]) <= 1
        assert (np.abs(np.array(list(part.counts().values())) - wanted) <= np.maximum(2, 0.07 * wanted)).all()


def test_each_photo_stays_in_its_part_for_ever() -> None:
    """A split made last year comes out the same today, photo by photo and in the same order."""
    found = {
        count: "".join(
            hashlib.sha256("\n".join(image.path.name for image in part).encode()).hexdigest()[:4]
            for part in several_labels(count).split(SHARES, seed).values()
        )
        for count, seed in ((1000, 0), (40, 1), (7, 5))
    }
    assert found == {1000: "59af569c6ed3", 40: "5e5c47d22e64", 7: "f9b8da873fd5"}


def test_photos_that_are_added_move_few() -> None:
    """With a tenth more images, fewer than one in twenty of the old ones changes its part."""
    whole = several_labels(1000)
    before = part_of(Dataset(whole.images[:900], whole.label_map).split(SHARES))
    after = part_of(whole.split(SHARES))
    assert np.mean([after[name] != part for name, part in before.items()]) < 0.05


def test_real_photos_are_shared_out(shared: Path) -> None:
    """Of the real set too, each part has its share of both classes."""
    whole = voc.read(shared / "data" / "asirra" / "train")
    parts = whole.split({"train": 0.8, "validation": 0.2})
    assert len(parts["validation"]) == 199
    for name, count in whole.counts().items():
        assert parts["validation"].counts()[name] / count == pytest.approx(0.2, abs=0.012)


def test_copies_stay_together(shared: Path, tmp_path: Path) -> None:
    """A photo, its copy and a smaller version of it saved again are always in the same part."""
    sources = sorted((shared / "data" / "asirra" / "test").glob("*.jpg"))[:40]
    images = []
    for number, source in enumerate(sources):
        data = source.read_bytes()
        small = io.BytesIO()
        picture = Image.open(source)
        picture.resize((picture.width // 2, picture.height // 2)).save(small, "JPEG", quality=70)
        for kind, some in (("a", data), ("b", data), ("c", small.getvalue())):
            path = tmp_path / f"{len(images) * 7919 % 1000}-{number}-{kind}.jpg"
            path.write_bytes(some)
            width, height = Image.open(path).size
            images.append(LabelledImage(path, width, height, [[1, 1, 9, 9]], [1]))
    parts = part_of(Dataset(tuple(images), LabelMap(["pet"])).split({"train": 0.5, "validation": 0.5}))
    of_photo: dict[str, set[str]] = {}
    for name, part in parts.items():
        of_photo.setdefault(name.split("-")[1], set()).add(part)
    assert len(of_photo) == 40
    assert all(len(found) == 1 for found in of_photo.values())


def test_another_seed_is_another_split() -> None:
    """The seed decides, and nothing else that is random."""
    whole = several_labels(200)
    assert part_of(whole.split(SHARES, seed=3)) == part_of(whole.split(SHARES, seed=3))
    assert part_of(whole.split(SHARES, seed=3)) != part_of(whole.split(SHARES, seed=4))


def test_only_the_share_that_changes_moves_photos() -> None:
    """Where a test part is taken out of the training part, the validation part stays nearly as it was."""
    whole = several_labels(1000)
    before = part_of(whole.split({"train": 0.8, "validation": 0.2}))
    after = part_of(whole.split(SHARES))
    was_validation = [name for name, part in before.items() if part == "validation"]
    assert np.mean([after[name] == "validation" for name in was_validation]) > 0.8
    assert sum(after[name] == "validation" for name, part in before.items() if part == "train") < 40


def test_photos_of_one_name_in_several_folders() -> None:
    """Photos that share their name are told apart by their folders, wherever these lie and in any order."""
    folders = [f"scene {number}" for number in range(60)]
    images = [LabelledImage(Path("a") / folder / "0.jpg", 9, 9, [[1, 1, 9, 9]], [1]) for folder in folders]
    moved = [LabelledImage(Path("b/c") / folder / "0.jpg", 9, 9, [[1, 1, 9, 9]], [1]) for folder in reversed(folders)]
    label_map = LabelMap(["cat"])
    here, there = (Dataset(tuple(some), label_map).split(SHARES) for some in (images, moved))
    for name, part in here.items():
        assert [image.path.parent.name for image in part] == [image.path.parent.name for image in there[name]]
    assert {name: len(part) for name, part in here.items()} == {"train": 42, "validation": 12, "test": 6}
    assert {image.path.parent.name for image in here["validation"]} != set(folders[-18:-6])


def test_several_crops_of_a_photo_are_shared_out_by_its_name() -> None:
    """Images of one file, as crops are, have the same parts wherever the folder is."""
    parts = []
    for folder in ("here", "far/away"):
        images = [dataclasses.replace(one, path=Path(folder) / one.path) for one in several_labels(60) for _ in "ab"]
        parts.append(part_of(Dataset(tuple(images), several_labels(1).label_map).split(SHARES)))
    assert parts[0] == parts[1]


def copies(folder: Path, count: int, seed: int) -> list[LabelledImage]:
    """Photos of one picture that were saved at slightly different sizes."""
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)
    images = []
    for number in range(count):
        path = folder / f"{seed}-{number}.png"
        Image.fromarray(pixels).resize((64 + number, 64)).save(path)
        images.append(LabelledImage(path, 64 + number, 64, [[1, 1, 9, 9]], [1]))
    return images


def test_one_file_alone_cannot_be_shared_out(tmp_path: Path) -> None:
    """Where all photos are the same file, no part may have any without another having it too."""
    (image,) = copies(tmp_path, 1, seed=0)
    images = []
    for number in range(4):
        path = tmp_path / f"{number}.png"
        path.write_bytes(image.path.read_bytes())
        images.append(dataclasses.replace(image, path=path))
    with pytest.raises(ValueError, match="4 images are 1 different files, which is too few for 2 parts"):
        Dataset(tuple(images), LabelMap(["cat"])).split({"train": 0.5, "validation": 0.5})


@pytest.mark.parametrize("count", [2, 4, 60])
@pytest.mark.parametrize("others", [0, 4])
def test_one_scene_is_shared_out(count: int, others: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Photos of one scene that all look the same are shared out all the same, and a line says so; equal files stay."""
    scene = copies(tmp_path, count, seed=0)
    different = [image for seed in range(1, others + 1) for image in copies(tmp_path, 1, seed=seed)]
    again = tmp_path / f"{scene[0].path.stem}-again.png"
    again.write_bytes(scene[0].path.read_bytes())
    whole = Dataset((*scene, *different, dataclasses.replace(scene[0], path=again)), LabelMap(["cat"]))
    parts = whole.split({"train": 0.5, "validation": 0.5})
    found = part_of(parts)
    assert found[again.name] == found[scene[0].path.name]
    total = len(whole)
    assert all(abs(len(part) - total / 2) <= max(1.5, 0.1 * total) for part in parts.values())
    said = capsys.readouterr().out
    assert ("photos look so much alike, as of one scene" in said) == (count == 60 or not others)
    assert part_of(Dataset(whole.images[::-1], whole.label_map).split({"train": 0.5, "validation": 0.5})) == found


def test_many_copies_leave_no_part_empty(tmp_path: Path) -> None:
    """Five copies of one picture go to one part, and a single other picture to the other, whatever was drawn."""
    whole = Dataset((*copies(tmp_path, 5, seed=0), *copies(tmp_path, 1, seed=1)), LabelMap(["cat"]))
    for seed in range(10):
        parts = whole.split({"train": 0.8, "validation": 0.2}, seed)
        assert sorted(len(part) for part in parts.values()) == [1, 5]


def test_small_sets_are_even_too() -> None:
    """Of 40 images, each of three parts has its number exactly, and of each class at most two boxes more or fewer."""
    for seed in range(5):
        whole = several_labels(40, seed)
        parts = whole.split(SHARES)
        assert [len(part) for part in parts.values()] == [28, 8, 4]
        for name, part in parts.items():
            for kind, count in whole.counts().items():
                assert abs(part.counts()[kind] - SHARES[name] * count) <= 2


@pytest.mark.parametrize("count", [2, 3, 7])
def test_no_part_is_empty(count: int) -> None:
    """However few images there are, each part gets one where its share rounds to one."""
    whole = several_labels(count, seed=5)
    for seed in range(20):
        assert all(len(part) for part in whole.split({"train": 0.5, "validation": 0.5}, seed).values())


def test_folds_hold_every_image_once_and_every_class() -> None:
    """Each image is in one of the folds, which are about as large, and each holds its share of every class."""
    whole = several_labels(300)
    folds = whole.folds(4, seed=1)
    assert np.bincount(folds).tolist() == pytest.approx([75] * 4, abs=1)
    frequent = np.array(list(whole.counts().values()))[:4]
    for fold in range(4):
        part = Dataset(tuple(whole[number] for number in np.flatnonzero(folds == fold)), whole.label_map)
        assert list(part.counts().values())[:4] == pytest.approx(frequent / 4, rel=0.1, abs=2)
    assert (folds == whole.folds(4, seed=1)).all()
    assert (folds != whole.folds(4, seed=2)).any()


def test_folds_that_cannot_be_are_refused() -> None:
    """One fold leaves nothing to learn from, and more folds than images leave some empty."""
    whole = several_labels(5)
    with pytest.raises(ValueError, match="There must be 2 folds or more, got 1"):
        whole.folds(1)
    with pytest.raises(ValueError, match=r"5 images are too few for 6 folds\. Take fewer folds, or add photos"):
        whole.folds(6)


# --- frames of videos -----------------------------------------------------------------------------


def frames_of(video: str, count: int, folder: str = "a") -> list[LabelledImage]:
    """Frames of a video, which are not there, and so like no other photo."""
    return [
        LabelledImage(Path(folder) / frame_name(video, 30 * number), 9, 9, [[1, 1, 9, 9]], [1])
        for number in range(count)
    ]


def dataset(images: list[LabelledImage]) -> Dataset:
    """A dataset of one class."""
    return Dataset(tuple(images), LabelMap(["pet"]))


def test_frames_of_a_video_stay_together(capsys: pytest.CaptureFixture[str]) -> None:
    """However much they differ, all frames of one video are in one part, in folds too, and parts have their shares."""
    others = list(several_labels(100).images)
    clips = [frame for number in range(12) for frame in frames_of(f"clip {number}", 10, f"folder {number % 3}")]
    whole = Dataset((*others, *clips), LabelMap([f"class {number}" for number in range(6)]))
    for parts in (whole.split({"train": 0.8, "validation": 0.2}), whole.split(SHARES)):
        found = part_of(parts)
        for number in range(12):
            assert len({found[frame.path.name] for frame in frames_of(f"clip {number}", 10)}) == 1
    assert len(parts["validation"]) == pytest.approx(44, abs=6)
    folds = whole.folds(4)
    assert all(len(set(folds[100 + 10 * clip : 110 + 10 * clip])) == 1 for clip in range(12))
    assert capsys.readouterr().out == ""


def test_a_single_video_is_shared_out_in_stretches(capsys: pytest.CaptureFixture[str]) -> None:
    """Frames that follow each other are in two parts at few places, and a line says so; the order does not matter."""
    images = frames_of("street", 100)
    parts = dataset(images).split({"train": 0.8, "validation": 0.2})
    found = [part_of(parts)[image.path.name] for image in images]
    assert 16 <= len(parts["validation"]) <= 24
    assert sum(one != other for one, other in itertools.pairwise(found)) <= 6
    told = capsys.readouterr().out
    assert told.startswith("No part could have its share with all frames of a video together ('street').")
    again = dataset(images[::-1]).split({"train": 0.8, "validation": 0.2})
    assert part_of(again) == part_of(parts)


def test_near_duplicates_of_a_frame_go_with_its_video(tmp_path: Path) -> None:
    """A copy of a frame under another name is in the part of the video; a video of one scene is cut in time."""
    random = np.random.default_rng(0)
    scenes = [np.kron(random.integers(0, 256, (6, 6)), np.ones((8, 8))).astype(np.uint8) for _ in range(12)]
    images = []
    for number, scene in enumerate(scenes):
        for name in (frame_name(f"clip{number // 4}", number), f"copy {number}.jpg"):
            Image.fromarray(scene).save(tmp_path / name, quality=90 if name.startswith("copy") else 95)
            images.append(LabelledImage(tmp_path / name, 48, 48, [[1, 1, 9, 9]], [1]))
    found = part_of(dataset(images).split({"train": 0.67, "validation": 0.33}))
    for number in range(12):
        first = frame_name(f"clip{number // 4}", number // 4 * 4)
        assert found[f"copy {number}.jpg"] == found[frame_name(f"clip{number // 4}", number)] == found[first]
    still = []
    for number in range(20):
        Image.fromarray(scenes[0]).save(tmp_path / frame_name("still", number), quality=75 + number)
        still.append(LabelledImage(tmp_path / frame_name("still", number), 48, 48, [[1, 1, 9, 9]], [1]))
    in_time = part_of(dataset(still).split({"train": 0.5, "validation": 0.5}))
    assert len({in_time[frame_name("still", number)] for number in range(10)}) == 1
    assert set(in_time.values()) == {"train", "validation"}
