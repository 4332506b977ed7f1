"""report: a page that needs nothing else, its numbers in files, whole or not at all."""

from __future__ import annotations

import base64
import html.parser
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evaluation_parts import detections, made_up, with_masks
from picture_parts import few_photos
from PIL import Image

from tfod_helpers import evaluation, report
from tfod_helpers.annotations import Dataset, LabelMap
from tfod_helpers.report import page

CURVE = {
    "images": [50, 100, 200],
    **{"ap": [0.3, 0.4, 0.5], "ap_low": [0.28, 0.38, 0.48], "ap_high": [0.32, 0.42, 0.52]},
    **{"ap50": [0.6, 0.7, 0.8], "ap50_low": [0.5, 0.6, 0.7], "ap50_high": [0.7, 0.8, 0.9]},
}


class Page(html.parser.HTMLParser):
    """What a page holds: the tags with their attributes, the text, and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        """Note a tag and what it holds."""
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Expect the tag that was opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note a text that a reader sees."""
        if "style" not in self.open:
            self.words.append(data)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> evaluation.Evaluation:
    """An evaluation of real photos: one label is of the wrong class, one dog is missed, a class has no example."""
    photos = few_photos(tmp_path_factory.mktemp("photos"))
    found = []
    for number, image in enumerate(photos):
        labels = [2 if number == 5 else 1, 2][: len(image.labels) - (number == 6)]
        boxes_xyxy = [*image.boxes_xyxy[: len(labels)], *([[200, 10, 300, 50]] if number == 7 else [])]
        found.append(detections(boxes_xyxy, labels + [1] * (number == 7), [0.9 - number / 100] * len(boxes_xyxy)))
    result = evaluation.score(Dataset(photos.images, LabelMap(["cat", "dog", "<b>owl & co</b>"])), found, resamples=200)
    return replace(result, speed=evaluation.Speed(12.5, 80.0, 10, True))


@pytest.fixture(scope="module")
def saved(result: evaluation.Evaluation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that it was saved in, with a learning curve."""
    folder = tmp_path_factory.mktemp("saved") / "report"
    assert report.write(result, folder, learning_curve=CURVE) == folder / "report.html"
    assert sorted(path.name for path in folder.iterdir()) == ["evaluation.json", "label_errors.csv", "report.html"]
    return folder


def test_page_stands_alone(saved: Path) -> None:
    """The page loads nothing and runs nothing: pictures are within, there is no script, and the browser is told so."""
    text = (saved / "report.html").read_text(encoding="utf-8")
    tags = Page(text).tags
    names = {name for name, _ in tags}
    assert not names & {"script", "link", "iframe", "object", "form"}
    assert not {key for _, attributes in tags for key in attributes if key.startswith("on")}
    images = [attributes for name, attributes in tags if name == "img"]
    assert len(images) == 6
    for one in images:
        kind, data = re.fullmatch(r"data:image/(png|jpeg);base64,(.+)", one["src"]).groups()
        with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
            assert picture.format.lower() == kind
            assert picture.width > 1000
        assert one["alt"]
    assert "url(" not in text
    assert "@import" not in text
    (policy,) = [tag["content"] for name, tag in tags if name == "meta" and "http-equiv" in tag]
    assert policy.startswith("default-src 'none'; img-src data:")
    assert {tag["href"].split(":")[0] for name, tag in tags if name == "a"} == {"file"}


def test_page_says_what_was_counted(result: evaluation.Evaluation, saved: Path) -> None:
    """Scores, intervals, classes, the note, speed, the suspicious label and the learning curve stand in the page."""
    page_ = Page((saved / "report.html").read_text(encoding="utf-8"))
    assert page_.open == []
    words = " ".join(page_.words)
    for name in ("ap", "ap50"):
        low, high = result.intervals[name]
        assert f"{getattr(result, name):.2f}" in page_.words
        assert f"{low:.2f} to {high:.2f}" in page_.words
    assert {*result.coco, "VOC AP50"} <= set(page_.words)
    assert result.notes[0] in page_.words
    assert "<b>owl & co</b>" in page_.words  # as text: it came from an annotation
    assert "12.5 ms an image, 80.0 images a second" in words
    assert "labelled cat, looks like dog 0.85" in page_.words
    assert "100 more labelled photos would help" in words
    assert str(result.calibration) in page_.words


def test_page_without_what_is_not_known(result: evaluation.Evaluation, tmp_path: Path) -> None:
    """Without learning curve, speed, intervals, mistakes or photos on disk the page is whole all the same."""
    text = report.write(result, tmp_path / "a").read_text(encoding="utf-8")
    assert "Would more photos help" not in text
    dataset, found = made_up(1)
    bare = evaluation.score(dataset, found, resamples=0)
    text = report.write(bare, tmp_path / "b").read_text(encoding="utf-8")
    assert "<h2>Speed</h2>" not in text
    assert "file://" not in text
    perfect = [detections(i.boxes_xyxy, i.labels, [0.9] * len(i.labels)) for i in dataset]
    flawless = report.write(evaluation.score(dataset, perfect), tmp_path / "c").read_text(encoding="utf-8")
    assert "<p>None.</p>" in flawless
    assert "The detector contradicts none." in flawless


def test_sentence_for_a_beginner(result: evaluation.Evaluation) -> None:
    """The headline says what is found and right, and how far AP is known, in words."""
    words = page.in_a_sentence(result)
    point = result.best
    assert f"it detects {round(100 * point.recall)} of 100 objects" in words
    assert f"{round(100 * point.precision)} of 100 of its detections are right" in words
    low, high = result.intervals["ap"]
    assert "measured on 12 photos" in words
    assert f"would mostly lie between {low:.2f} and {high:.2f}." in words
    assert "between" not in page.in_a_sentence(replace(result, intervals={}))


def test_numbers_are_all_there(result: evaluation.Evaluation, saved: Path) -> None:
    """evaluation.json holds every score as it is, null where there is none, and reads as strict JSON."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    text = (saved / "evaluation.json").read_text(encoding="utf-8")
    numbers = json.loads(text, parse_constant=refuse)
    assert numbers["coco"]["AP"] == result.ap
    assert numbers["voc_ap50"] == result.voc_ap50
    assert numbers["intervals_95"]["ap50"] == list(result.intervals["ap50"])
    assert numbers["per_class"]["cat"]["boxes"] == 12
    assert numbers["per_class"]["<b>owl & co</b>"]["ap"] is None
    assert numbers["pr_curves"]["dog"]["precision"] == result.pr_curves["dog"][1].tolist()
    assert numbers["confusion"]["dog"][evaluation.MISSED] == result.confusion.loc["dog", evaluation.MISSED]
    assert numbers["mistakes"] == {"wrong class": 1, "missed": 1, "background": 1}
    assert numbers["speed"]["ms"] == 12.5
    assert numbers["calibration"]["error"] == result.calibration.error


@pytest.mark.usefixtures("plain_page")
def test_labels_to_look_at_are_a_table(result: evaluation.Evaluation, saved: Path, tmp_path: Path) -> None:
    """label_errors.csv ranks every label, and no text in it is a formula to a spreadsheet."""
    table = pd.read_csv(saved / "label_errors.csv")
    expected = result.label_errors()
    assert table["reason"].tolist() == expected["reason"].tolist()
    assert table["path"].tolist() == expected["path"].tolist()
    assert table.loc[0, ["xmin", "ymin", "xmax", "ymax"]].tolist() == list(expected["box_xyxy"][0])
    names = LabelMap(["=1+1", "@SUM(A1)", "owl"])
    images = tuple(replace(image, path=Path("=cmd.jpg")) for image in result.dataset)
    hostile = replace(result, dataset=Dataset(images, names))
    report.write(hostile, tmp_path / "report")
    cells = pd.read_csv(tmp_path / "report/label_errors.csv", dtype=str, keep_default_na=False)
    texts = cells[["reason", "path", "label", "detected"]].to_numpy().ravel()
    assert not [text for text in texts if text.startswith(("=", "+", "-", "@"))]
    assert cells.loc[0, "path"] == "./=cmd.jpg"


@pytest.fixture
def plain_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page without pictures, for tests of where files end up: drawing takes seconds."""
    monkeypatch.setattr(page, "draw", lambda *_: "<!DOCTYPE html>")


@pytest.mark.usefixtures("plain_page")
def test_folder_of_others_is_not_replaced(result: evaluation.Evaluation, tmp_path: Path) -> None:
    """A folder that holds anything but a report is left alone, and so is a file; a report is replaced."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("keep me")
    with pytest.raises(ValueError, match=r"mine: .* holds other files \(notes.txt\). Choose .* such as .*mine.report"):
        report.write(result, tmp_path / "mine")
    assert (tmp_path / "mine/notes.txt").read_text() == "keep me"
    with pytest.raises(NotADirectoryError, match=r"notes.txt: a report needs a folder"):
        report.write(result, tmp_path / "mine/notes.txt")
    first = report.write(result, tmp_path / "report")
    first.write_text("old")
    assert report.write(result, tmp_path / "report").read_text() == "<!DOCTYPE html>"


@pytest.mark.usefixtures("plain_page")
def test_report_is_whole_or_not_at_all(
    result: evaluation.Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the last file cannot be written, no folder appears, and an older report stays as it was."""

    def fail(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    report.write(result, tmp_path / "old")
    before = {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir()}
    monkeypatch.setattr(pd.DataFrame, "to_csv", fail)
    names = sorted(path.name for path in tmp_path.iterdir())
    for folder in ("old", "new"):
        with pytest.raises(OSError, match="No space"):
            report.write(result, tmp_path / folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir()} == before


def test_scoring_needs_no_matplotlib() -> None:
    """Only a report draws: to score, as a training does, loads no Matplotlib."""
    code = (
        "import sys; sys.path.insert(0, 'tests'); from evaluation_parts import made_up; from tfod_helpers import "
        "evaluation; evaluation.score(*made_up(0)); sys.exit('tfod_helpers.pictures' in sys.modules)"
    )
    root = Path(__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_report_keeps_what_it_was_made_of(result: evaluation.Evaluation) -> None:
    """An evaluation holds the dataset and the detections themselves, not copies, and shows neither in its repr."""
    assert result.dataset.images[0].path.name == "00.png"
    dataset, found = made_up(0)
    scored = evaluation.score(dataset, found, resamples=0)
    assert scored.dataset is dataset
    assert scored.detections is found
    assert "dataset=" not in repr(scored)
    assert np.isfinite(scored.ap)


def test_masks_stand_beside_boxes(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where masks were scored, the page and evaluation.json have their scores; elsewhere neither speaks of masks."""
    monkeypatch.setattr(page, "figure", lambda *_: "")  # which take most of the time
    dataset, found = with_masks(*made_up(1, images=8), 1)
    result = evaluation.score(dataset, found, resamples=50)
    page_ = Page(report.write(result, tmp_path / "a").read_text(encoding="utf-8"))
    low, high = result.masks.intervals["ap"]
    assert {f"{result.masks.ap:.2f} ({low:.2f} to {high:.2f})", "AP of the masks", "masks: AP (95 %)"} <= {*page_.words}
    assert f"The AP of its masks is {result.masks.ap:.2f}." in page.in_a_sentence(result)
    numbers = json.loads((tmp_path / "a/evaluation.json").read_text(encoding="utf-8"))
    assert numbers["masks"]["coco"]["AP75"] == result.masks.ap75
    assert numbers["masks"]["per_class"]["class 1"]["ap"] == result.masks.per_class["ap"]["class 1"]
    assert numbers["masks"]["intervals_95"]["ap50"] == list(result.masks.intervals["ap50"])
    assert not any("masks" in words for words in Page((saved / "report.html").read_text(encoding="utf-8")).words)
    assert json.loads((saved / "evaluation.json").read_text(encoding="utf-8"))["masks"] is None
