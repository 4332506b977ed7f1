"""The broken sample: the mistakes are there, are the same every time, and are found."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfod_helpers import checks, formats, photos, pictures, sources
from tfod_helpers.annotations import LabelMap
from tfod_helpers.formats import voc
from tfod_helpers.formats.raw import Part

NOT_TO_BE_FOUND = {"train/train_042.xml", "train/train_058.jpg", "train/train_078.jpg"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The broken sample."""
    return sources.local("broken_sample", tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def report(folder: Path) -> checks.Report:
    """What the checks say of it."""
    parts = [Part(folder / split, folder / split, split) for split in ("train", "test")]
    return checks.check(voc.FORMAT.read_parts(parts, on_problem="skip"))


def digests(folder: Path) -> dict[str, str]:
    """A checksum of every file below a folder that is not hidden."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_only_what_is_listed_differs_from_the_sample(folder: Path, tmp_path: Path) -> None:
    """Each mistake changed its file or added a copy, every other file is the sample's, and again it is the same."""
    mistakes = sources.mistakes(folder)
    sample, broken = digests(sources.local("sample")), digests(folder)
    assert broken == digests(sources.local("broken_sample", tmp_path))
    changed = {name for name in sample if name.startswith(("train/", "test/")) and broken.get(name) != sample[name]}
    added = set(broken) - set(sample)
    copied = {"train/train_085.jpg", "train/train_089.jpg"}
    assert changed | copied == {mistake.file for mistake in mistakes}
    assert added - {"README.md"} == {
        "train/IMG_2042.jpg", "train/IMG_2042.xml", "test/IMG_2041.jpg", "test/IMG_2041.xml",
    }  # fmt: skip
    note = (folder / "README.md").read_text(encoding="utf-8")
    assert all(str(mistake) in note for mistake in mistakes)


def test_every_mistake_is_found_but_those_that_are_none(folder: Path, report: checks.Report) -> None:
    """The report names the file of every mistake, but for the wrong class, and for photos that only need reading."""
    lines = [f"{problem} {problem.photo} {problem.other_photo}" for problem in report.problems]
    stems = {mistake.file: Path(mistake.file).stem for mistake in sources.mistakes(folder)}
    assert len(stems) == 16
    unseen = {file for file, stem in stems.items() if not any(stem in line for line in lines)}
    # The class that is spelled in another way is told of by its name, not by its file.
    assert unseen - {"train/train_024.xml"} == NOT_TO_BE_FOUND
    assert any("'Cat'" in line for line in lines)


@pytest.mark.parametrize(
    ("severity", "kind", "where"),
    [
        ("error", "box over the edge", "train/train_002"),
        ("error", "box with swapped corners", "train/train_014"),
        ("error", "annotation unreadable", "train/train_068"),
        ("error", "photo unreadable", "train/train_074"),
        ("error", "photo missing", "test/test_026"),
        ("warning", "box of a pixel or two", "train/train_028"),
        ("warning", "box drawn twice", "train/train_032"),
        ("note", "box of the whole image", "train/train_055"),
        ("note", "image without objects", "train/train_081"),
        ("note", "photo not annotated", "test/test_013"),
    ],
)
def test_mistake_is_told_by_its_kind(report: checks.Report, severity: str, kind: str, where: str) -> None:
    """The checks call each mistake what it is."""
    found = [one.where for one in report.problems if (one.severity, one.kind) == (severity, kind)]
    assert len(found) == 1
    assert found[0].startswith(where)


def test_turned_photo_and_other_format_are_read_as_they_are(folder: Path) -> None:
    """The photo that lies on its side is labelled upright, and the WebP is one, though its name says JPEG."""
    dataset = {image.path.name: image for image in voc.read(folder / "train", on_problem="skip")}
    lying, webp = dataset["train_058.jpg"], dataset["train_078.jpg"]
    with Image.open(lying.path) as image:
        assert image.size == (lying.height, lying.width) == (225, 300)
        assert image.getexif()[0x0112] == 6
    drawn = photos.to_rgb(sources.local("sample") / "train/train_058.jpg").astype(int)
    assert np.abs(lying.pixels().astype(int) - drawn).mean() < 3  # grey levels, from saving it again
    with Image.open(webp.path) as image:
        assert image.format == "WEBP"


def test_folder_that_is_there_stays(folder: Path, tmp_path: Path) -> None:
    """A folder with other files is refused and stays as it was; one that was made before is kept with its changes."""
    (tmp_path / "broken_sample").mkdir()
    (tmp_path / "broken_sample/README.md").write_text("# Mine\n")
    with pytest.raises(FileExistsError, match=r"broken_sample: there are files here already. Choose another folder"):
        sources.local("broken_sample", tmp_path)
    assert digests(tmp_path / "broken_sample").keys() == {"README.md"}
    assert sources.mistakes(tmp_path / "broken_sample") == ()
    (folder / "train/train_001.xml").touch()
    before = digests(folder)
    assert sources.local("broken_sample", folder.parent) == folder
    assert digests(folder) == before
    assert len(sources.mistakes(folder)) == 16


def test_words_are_sources_where_no_folder_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of somebody's own that is called ``sample`` is theirs; without one, the word means the drawn sample."""
    monkeypatch.chdir(tmp_path)
    assert (sources.local("sample") / "train/train_001.jpg").is_file()
    (tmp_path / "sample").mkdir()
    (tmp_path / "sample/a.jpg").write_bytes(b"a")
    assert sources.local("sample") == Path("sample")


def test_contact_sheet_of_the_notebook_shows_the_wrong_class(folder: Path) -> None:
    """The page of crops that the first notebook shows of the mended sample has the cat that is called a dog on it."""
    text = (Path(__file__).parents[1] / "notebooks/00_check_your_photos.ipynb").read_text(encoding="utf-8")
    seed = int(re.findall(r"show_classes\(dataset, seed=(\d+)\)", text)[0])
    dataset = checks.mend(formats.read(folder, on_problem="skip")).dataset
    page = pictures.show_classes(dataset, classes=["dog"], seed=seed)
    assert "train_042" in {text.get_text() for axes in page.axes for text in axes.texts}


def test_an_old_training_comes_along(tmp_path: Path) -> None:
    """A config, its label map and one checkpoint of the classes of the sample, as the old exporter leaves them."""
    folder = sources.local("old_training", tmp_path)
    assert folder == sources.local("old_training", tmp_path)
    assert list(LabelMap.read(folder / "label_map.pbtxt")) == ["cat", "dog"]
    assert sorted(path.name for path in (folder / "checkpoint").glob("ckpt-*")) == [
        "ckpt-0.data-00000-of-00001",
        "ckpt-0.index",
    ]
    assert "num_classes: 2" in (folder / "pipeline.config").read_text(encoding="utf-8")
