"""exporting.certify: every export judged on the same photos as the run, and told apart where they differ."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import supervision as sv
from exports_made_up import CLASSES, MODEL, load, make_export, patch_runtimes
from PIL import Image
from small_training import Small, Trained, draw_rectangles

from tfod_helpers import evaluation, exporting, photos
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.detector import Detector, ExportFacts, UnfitExportWarning, loading
from tfod_helpers.detector.facts import sha256
from tfod_helpers.exporting.certificate import circumstances
from tfod_helpers.exporting.certificate.certifying import verdict
from tfod_helpers.exporting.certificate.judging import WARM_UP
from tfod_helpers.exporting.certificate.result import FILES
from tfod_helpers.photos import Letterboxed


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Twenty photos of a red or a blue rectangle."""
    return draw_rectangles(tmp_path_factory.mktemp("drawn"), 20, seed=5)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder; what is exported there is run without TensorFlow, which cannot be imported."""
    patch_runtimes(monkeypatch)
    for name in ("tensorflow", "tfod_helpers.training"):
        monkeypatch.setitem(sys.modules, name, None)
    return tmp_path


def verdict_in(export: Path) -> dict[str, Any]:
    """What the export says of itself."""
    return json.loads((export / "export.json").read_text())["certificate"]


def test_equal_exports_are_equal_to_the_last_digit(folder: Path, drawn: Dataset) -> None:
    """A copy has a difference of 0 with the interval (0, 0), the scores that `evaluate` gives, and is fit."""
    first, copy = make_export(folder / "first"), make_export(folder / "copy", format="tflite", precision="int8")
    certificate = exporting.certify([first, copy], drawn)
    assert list(certificate.table.index) == ["first", "copy"]
    row = certificate.table.loc["copy"]
    for name in ("ap_change", "ap50_change"):
        assert (row[name], row[f"{name}_low"], row[f"{name}_high"]) == (0, 0, 0)
    expected = evaluation.evaluate(Detector.load(copy), drawn)
    assert (row["ap"], row["ap50"]) == (expected.ap, expected.ap50)
    assert (row["ap_low"], row["ap_high"]) == expected.intervals["ap"]
    assert (row["box_pixels"], row["score"], row["matched"], row["alone"]) == (0, 0, 20, 0)
    assert (row["fit"], row["verdict"], row["notes"]) == (True, "as good as first", "")
    assert (row["format"], row["precision"]) == ("tflite", "int8")
    assert row["ms"] > 0
    assert certificate.table["verdict"]["first"] == "the reference"
    assert certificate.unfit == []


def test_a_worse_export_is_unfit_and_says_so_when_loaded(folder: Path, drawn: Dataset) -> None:
    """It is told in its row, in its own export.json and by Detector.load, until one that is mended is certified."""
    first, worse = make_export(folder / "first"), make_export(folder / "worse", model={"shift": 6})
    certificate = exporting.certify([first, worse], drawn)
    row = certificate.table.loc["worse"]
    fell = certificate.table.loc["first", "ap"] - row["ap"]
    assert fell > 0.02
    assert row["ap_change"] == -fell
    assert row["verdict"] == f"unfit: AP fell by {fell:.3f} (0.02 at most)"
    assert certificate.unfit == ["worse"]
    assert row["box_pixels"] == pytest.approx(9, abs=0.01)  # of a photo of 96 pixels, in a square of 64
    kept = verdict_in(worse)
    assert (kept["fit"], kept["verdict"], kept["reference"], kept["photos"]) == (False, row["verdict"], "first", 20)
    assert verdict_in(first)["verdict"] == "the reference"
    with pytest.warns(UnfitExportWarning, match=rf"^{re.escape(str(worse))}: .*\(unfit: AP fell by .*export the run"):
        Detector.load(worse)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Detector.load(first)
        exporting.certify([first, worse], drawn)  # which knows already
        (worse / MODEL).write_text("{}")
        exporting.certify([first, worse], drawn)
        Detector.load(worse)
    assert verdict_in(worse)["verdict"] == "as good as first"
    allowed = exporting.certify(
        [make_export(folder / "again", model={"shift": 6})], drawn, reference=first, tolerance=0.9
    )
    assert allowed.table["fit"].tolist() == [None, True]


def test_photos_that_cannot_tell_are_said_to_be_too_few(folder: Path, drawn: Dataset) -> None:
    """Where the interval reaches below what is tolerated, the verdict is open, and has the number of photos."""
    first, other = make_export(folder / "first"), make_export(folder / "other", model={"own": 0.8})
    few = Dataset(drawn[:8], drawn.label_map)
    wide = exporting.certify([first, other], few, tolerance=0.9).table.loc["other"]
    assert wide["ap_change_low"] < wide["ap_change"] < 0 <= wide["ap_change_high"]
    tolerance = -(wide["ap_change_low"] + wide["ap_change"]) / 2
    row = exporting.certify([first, other], few, tolerance=tolerance).table.loc["other"]
    words = "cannot be told apart from first with these 8 photos: AP may have fallen by up to"
    assert (row["fit"], row["verdict"]) == (None, f"{words} {-row['ap_change_low']:.3f}")
    one = exporting.certify([first, other], Dataset(drawn[:1], drawn.label_map), tolerance=0.99).table.loc["other"]
    assert (one["fit"], one["verdict"]) == (None, "cannot be told apart from first with this 1 photo")


def test_an_export_that_is_lower_for_certain_may_still_be_open() -> None:
    """Where all of the interval is below 0, and part of it below what is tolerated, both are said."""
    change = evaluation.Difference(-0.015, (-0.031, -0.004), -0.01, (-0.02, 0.0), 50)
    words = "AP fell by 0.015, and with these 50 photos cannot be told from 0.031 (0.02 at most)"
    assert verdict(change, 0.02, "the run") == (None, words)
    assert verdict(change, 0.04, "the run") == (True, "as good as the run")
    assert verdict(change, 0.01, "the run") == (False, "unfit: AP fell by 0.015 (0.01 at most)")


def test_what_cannot_be_run_has_its_reason_and_ends_nothing(folder: Path, drawn: Dataset) -> None:
    """A missing runtime, damage and other classes are one row each; their files stay as they were."""
    first = make_export(folder / "first")
    broken = {
        "no runtime": make_export(folder / "no runtime", model={"missing": "some-runtime"}),
        "unknown": make_export(folder / "unknown", format="of tomorrow"),
        "cars": make_export(folder / "cars", names=LabelMap(["car", "bus"])),
        "damaged": make_export(folder / "damaged"),
        "gone": folder / "gone",
    }
    (broken["damaged"] / "export.json").write_text("{")
    before = {name: (path / "export.json").read_bytes() for name, path in broken.items() if name != "gone"}
    good = make_export(folder / "good")
    certificate = exporting.certify([first, *broken.values(), good], drawn)
    assert list(certificate.table.index) == ["first", *broken, "good"]
    reasons = {
        "no runtime": "some-runtime is not installed",
        "unknown": "the format 'of tomorrow' is none of",
        "cars": "none in common",
        "damaged": "damaged",
        "gone": "there is no such folder",
    }
    for name, reason in reasons.items():
        row = certificate.table.loc[name]
        assert (row["fit"], row["verdict"]) == (None, "not judged")
        assert reason in row["notes"]
        assert reason in str(certificate)
        assert np.isnan([row["ap"], row["ap_change"], row["ms"]]).all()
    assert {name: (broken[name] / "export.json").read_bytes() for name in before} == before
    assert certificate.table.loc["good", "fit"] is True
    assert f"1 as good as first, {len(broken)} not judged" in str(certificate)


def test_what_differs_from_the_reference_is_named(folder: Path, drawn: Dataset) -> None:
    """Another step, other classes, another way to resize and another input stand in the notes; the order does not."""
    first = make_export(folder / "first")
    turned = make_export(folder / "turned", names=LabelMap(["blue", "red"]))
    later = make_export(folder / "later", step=2000, ap=0.5, resize="stretch", image_size=96)
    more = make_export(folder / "more", names=LabelMap(["red", "green"]))
    notes = exporting.certify([first, turned, later, more], drawn).table["notes"]
    assert notes["turned"] == ""
    made = "made from another model: made_up, step 2,000, AP 0.500 in training, and first: made_up, step 100, AP 0.750"
    assert notes["later"].startswith(made)
    assert notes["later"].endswith(
        "photos are resized by stretch, and first: letterbox; the input has 96 pixels a side, and first: 64"
    )
    assert notes["more"] == "does not know blue, which first does; knows green, which first does not"


def test_photos_are_made_into_squares_once(folder: Path, drawn: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports of the same input see the squares that the first one saw; one of another input has its own."""
    made: list[str] = []
    letterbox = photos.letterbox

    def counted(source: Any, side: int, **more: Any) -> Any:
        made.append(f"{side} {more.get('resize')}")
        return letterbox(source, side, **more)

    monkeypatch.setattr(photos, "letterbox", counted)
    inputs = [{}, {}, {"image_size": 96}, {"resize": "stretch"}, {}]
    exports = [make_export(folder / str(number), **one) for number, one in enumerate(inputs)]
    exporting.certify(exports, drawn, resamples=10)
    assert {one: made.count(one) for one in made} == {"64 letterbox": 20, "96 letterbox": 20, "64 stretch": 20}


def test_each_photo_is_timed_alone_after_some_that_warm_up(
    folder: Path, drawn: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model gets one photo a call, the first ones of them without the clock."""
    shapes: list[int] = []
    monkeypatch.setattr(
        sys.modules["tfod_helpers.detector.runtimes.saved_model"],
        "load",
        lambda *given: lambda squares: shapes.append(len(squares)) or load(*given)(squares),
    )
    exporting.certify([make_export(folder / "first")], drawn, resamples=10)
    assert shapes == [1] * (WARM_UP + len(drawn))


def test_a_detector_that_takes_photos_in_its_own_way_is_given_the_photos(
    folder: Path, drawn: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that takes whole photos, as a page in a browser does, gets these, and no squares of another export."""

    class Own(Detector):
        def letterbox(self, photo: Any) -> Letterboxed:
            rgb = photo.pixels()
            return Letterboxed(rgb, (1.0, 1.0), rgb.shape[1], rgb.shape[0])

        def detect_letterboxed(self, letterboxed: Any, **more: Any) -> list[sv.Detections]:
            found = super().detect_letterboxed(letterboxed, **more)
            for one in found:
                one.xyxy[:, 0] += 5
            return found

    square = Dataset([image for image in drawn if image.width == image.height], drawn.label_map)
    of_page = make_export(folder / "page", format="tflite")
    loaded = Detector.load
    monkeypatch.setattr(
        Detector,
        "load",
        lambda where: (
            Own(load(Path(where), ExportFacts.read(where)), CLASSES, 64, 0.5)
            if Path(where) == of_page
            else loaded(where)
        ),
    )
    row = exporting.certify([make_export(folder / "first"), of_page], square, resamples=10).table.loc["page"]
    assert row["box_pixels"] == pytest.approx(5, abs=0.01)
    assert row["ms"] > 0


def test_the_time_in_a_browser_says_nothing_of_cores(folder: Path, drawn: Dataset) -> None:
    """How many cores are busy is known of what runs in this process alone."""
    exports = [make_export(folder / "first"), make_export(folder / "web", format="tfjs")]
    table = exporting.certify(exports, drawn, resamples=10).table
    assert table["cores"]["first"] > 0
    assert table["ms"]["web"] > 0
    assert np.isnan(table["cores"]["web"])


def test_the_reference_may_be_any_export(folder: Path, drawn: Dataset) -> None:
    """One of the exports, or another one, whose own file is not written; names tell equal folder names apart."""
    one, other = (make_export(folder / name / "model", format="tflite") for name in ("a", "b"))
    certificate = exporting.certify([one, other], drawn, reference=other, resamples=10)
    assert list(certificate.table.index) == ["b/model", "a/model"]
    apart = make_export(folder / "apart" / "model")
    certificate = exporting.certify(str(one), drawn, reference=apart, resamples=10)
    assert certificate.table["verdict"].tolist() == ["the reference", f"as good as {certificate.table.index[0]}"]
    assert "certificate" not in verdict_in(apart)
    assert verdict_in(apart) == {}


def test_bad_input_is_refused_in_words(folder: Path, drawn: Dataset) -> None:
    """No exports, no photos, no classes in common, a folder twice, and what cannot be the reference."""
    first, lite = make_export(folder / "first"), make_export(folder / "lite", format="tflite")
    broken = make_export(folder / "broken", model={"missing": "some-runtime"})
    (folder / "empty").mkdir()
    image = drawn[0]
    unlabelled = Dataset((LabelledImage(image.path, image.width, image.height, [], []),), drawn.label_map)
    cases: list[tuple[str, Any, Dataset, dict[str, Any]]] = [
        ("There is no export to certify. Give", [], drawn, {}),
        ("has no photos", [first], Dataset((), drawn.label_map), {}),
        ("no object in the dataset", [first], unlabelled, {}),
        ("none in common", [first], Dataset(drawn.images, LabelMap(["car", "bus"])), {}),
        (r"first: this export is given 2 times", [first, lite, folder / "lite" / ".." / "first"], drawn, {}),
        (r"none of the exports is a SavedModel \(lite \(tflite\)\). Give reference=", [lite], drawn, {}),
        (r"broken: nothing can be compared with it, .*some-runtime", [lite], drawn, {"reference": broken}),
        ("tolerance .* got -1", [first], drawn, {"tolerance": -1}),
        ("resamples must be 1 or more, got 0", [first], drawn, {"resamples": 0}),
    ]
    for words, exports, dataset, more in cases:
        with pytest.raises(ValueError, match=words):
            exporting.certify(exports, dataset, **more)
    for place in ("empty", "gone"):
        with pytest.raises(FileNotFoundError, match=rf"{place}: neither a run nor an export .*Give reference="):
            exporting.certify([first], drawn, reference=folder / place)
    assert verdict_in(first) == {}


def test_a_broken_photo_is_no_exports_fault(folder: Path, drawn: Dataset, tmp_path: Path) -> None:
    """A photo that cannot be read ends it with the photo's name, and no export is blamed."""
    torn = draw_rectangles(tmp_path / "torn", 2, seed=1)
    torn[1].path.write_bytes(torn[1].path.read_bytes()[:400])
    with pytest.raises(photos.PhotoError, match=r"1\.jpg"):
        exporting.certify([make_export(folder / "first")], torn)


def test_a_verdict_that_cannot_be_kept_is_no_loss(
    folder: Path, drawn: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where export.json cannot be written, the row says so and the certificate is there."""
    first = make_export(folder / "first")

    def refuse(*_: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(ExportFacts, "write", refuse)
    row = exporting.certify([first], drawn, resamples=10).table.loc["first"]
    assert row["notes"] == "the verdict could not be written beside it (read-only)"
    assert row["ap"] > 0


def test_the_fingerprint_is_of_photos_and_labels(drawn: Dataset, tmp_path: Path) -> None:
    """It is the same for a copy in another order and folder, and another for other labels and another photo."""
    here = circumstances.fingerprint(drawn)
    copies = draw_rectangles(tmp_path / "copy", 20, seed=5)
    assert circumstances.fingerprint(Dataset(copies[::-1], copies.label_map)) == here
    renamed = Dataset(drawn.images, LabelMap(["red", "green"]))
    others = [renamed, Dataset(drawn[1:], drawn.label_map), draw_rectangles(tmp_path / "other", 20, seed=6)]
    assert len({here, *map(circumstances.fingerprint, others)}) == 4


def test_the_size_is_of_what_the_model_consists_of(folder: Path, drawn: Dataset) -> None:
    """The files that export.json names, or of an older export all, in folders too, but for what is said about it."""
    older = make_export(folder / "older")
    (older / "variables").mkdir()
    (older / "variables" / "weights").write_bytes(bytes(5000))
    for name in FILES:
        (older / name).write_bytes(bytes(1000))
    newer = make_export(folder / "newer")
    replace(ExportFacts.read(newer), files={MODEL: sha256(newer / MODEL)}).write(newer)
    (newer / "README.md").write_text("about it")
    sizes = exporting.certify([older, newer], drawn, resamples=10).table["bytes"]
    model, label_map = ((older / name).stat().st_size for name in (MODEL, "label_map.pbtxt"))
    assert sizes.to_dict() == {"older": 5000 + model + label_map, "newer": model}


def test_it_is_written_as_page_numbers_and_picture(folder: Path, drawn: Dataset) -> None:
    """Three files beside what is there: a page that loads nothing, JSON without NaN, a PNG; all with the same rows."""
    exports = [make_export(folder / "first"), make_export(folder / "<b>worse", model={"shift": 6}), folder / "gone"]
    certificate = exporting.certify(exports, drawn)
    place = folder / "kept"
    place.mkdir()
    (place / "notes.txt").write_text("mine")
    page = certificate.write(place)
    assert page == place / "certificate.html"
    names = {"certificate.html", "certificate.json", "certificate.png", "notes.txt"}
    assert {path.name for path in place.iterdir()} == names
    html = page.read_text()
    assert "&lt;b&gt;worse" in html
    assert "<b>worse" not in html
    assert set(re.findall(r'(?:src|href)="(.{10})', html)) == {"data:image"}
    assert certificate.facts["dataset"] in html
    numbers = json.loads((place / "certificate.json").read_text(), parse_constant=lambda text: pytest.fail(text))
    assert numbers["exports"]["<b>worse"]["fit"] is False
    assert numbers["exports"]["gone"]["ap"] is None
    assert numbers["versions"]["tfod_helpers"]
    assert Image.open(io.BytesIO((place / "certificate.png").read_bytes())).format == "PNG"
    for words in (str(certificate), certificate._repr_html_(), html):
        assert "Of 2 exports, compared with first on 20 photos with 20 objects: 1 unfit, 1 not judged." in words
        assert f"{certificate.table.loc['first', 'ap']:.3f}" in words
    assert "as good" not in str(certificate)


def test_formats_that_the_made_up_exports_stand_for_exist() -> None:
    """The runtimes that these tests replace are those that `Detector.load` takes."""
    assert {"saved_model", "tflite"} <= set(loading.RUNTIMES)


@pytest.mark.tensorflow
def test_the_real_export_is_as_good_as_its_run(
    trained: Trained, small: Small, export_folder: Path, tmp_path: Path
) -> None:
    """The SavedModel has its run's AP, with the run as the reference, which has no size and no time."""
    export = shutil.copytree(export_folder, tmp_path / "export")
    certificate = exporting.certify([export], small.dataset, reference=trained.run)
    assert list(certificate.table.index) == ["the run", "export"]
    run, row = certificate.table.loc["the run"], certificate.table.loc["export"]
    assert row["ap"] == pytest.approx(run["ap"], abs=1e-3)
    assert run["ap"] == pytest.approx(trained.history.best["ap"], abs=1e-3)
    assert (row["fit"], row["verdict"], row["notes"]) == (True, "as good as the run", "")
    assert row["box_pixels"] < 0.5
    assert row["matched"] > 0
    assert np.isnan([run["bytes"], run["ms"]]).all()
    assert row["bytes"] > 100_000
    assert row["ms"] > 0
    assert verdict_in(export)["verdict"] == "as good as the run"
    assert verdict_in(export)["versions"]["tensorflow"]
