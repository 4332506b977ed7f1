"""Storage: every function that takes a path takes an address in a bucket, and does with it what it does here."""

from __future__ import annotations

import ast
import dataclasses
import io
import json
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import layouts
import numpy as np
import pytest
from evaluation_parts import made_up
from faults import Faults, faults  # noqa: F401 - a fixture
from PIL import Image
from test_laws import PACKAGE, SOURCES, FunctionNode, tree

from tfod_helpers import checks, formats, photos, records
from tfod_helpers.annotations import Dataset, LabelMap
from tfod_helpers.annotations.label_map import read_numbered
from tfod_helpers.files import storage
from tfod_helpers.formats import FORMATS, coco, tfrecord
from tfod_helpers.formats.folders import Listing
from tfod_helpers.formats.labelled_images import known_classes
from tfod_helpers.problems import DatasetError

NAMES = LabelMap(["cat", "dog"])
# Doors that have no line in this table, and why.
ELSEWHERE = {
    "files.storage": "what the doors are made of: test_files_storage.py and test_files_storage_folders.py",
    "files.workspace": "files of this machine",
    "files.run_folder": "test_files_run_folder.py",
    "files.mounts": "folders of this machine",
    "drive": "Drive is a folder of this machine",
    "sources": "test_sources.py",
    "places": "test_places.py",
    "training": "run folders",
    "jobs": "test_jobs_ray.py, test_jobs_skypilot.py and test_jobs_vertex.py",
    "doctor.examining.examine": "test_doctor.py",
    "runs.table": "run folders",
    "runs.checkpoints": "run folders",
    "runs.evaluations": "run folders",
    "learning_curve.measure": "run folders",
    "classifier": "reads through sources, and trains in folders of this machine",
    "formats.tfds.description": "a name, and no path",
    "records": "test_records.py",
    "formats.tfds.read": "test_formats_tfds.py, which has a data set",
    "network.weights.chain.load": "test_network_weights.py",
    "network.weights.checkpoints.find": "behind network.weights.chain.load",
    "network.weights.keras_hub_preset.find": "behind network.weights.chain.load",
    "experiment.making.make": "keeps the text of the weights for weights.load",
    "experiment.making.from_run": "run folders",
    "pipeline_config.carried.Carried.carry": "test_pipeline_config_carrying.py",
    "pipeline_config.carrying": "behind pipeline_config.carried.Carried.carry",
    "formats.yolo.layout.mirrored": "behind the door of YOLO",
    "formats.tfrecord.reading.sources": "behind the door of TFRecord",
    "annotations.label_map.read_file_ids": "behind annotations.label_map.read_numbered",
    "exporting.network.save": "behind the doors of exporting",
    "photos.folder.existing_folder": "behind the doors of the formats",
}


@dataclass(frozen=True)
class Ground:
    """Where a door is tried.

    Attributes:
        bucket: the address of an empty bucket.
        here: an empty folder of this machine.
        get: gives a fixture of pytest by its name.
    """

    bucket: str
    here: Path
    get: Callable[[str], Any]

    def up(self, name: str = "in") -> str:
        """Copy the folder ``here / name`` into the bucket, take it away here, and return its address."""
        storage.upload_folder(self.here / name, f"{self.bucket}/{name}")
        return f"{self.bucket}/{name}"

    def written(self, name: str = "out") -> dict[str, bytes]:
        """What a folder of the bucket holds."""
        folder = f"{self.bucket}/{name}"
        return {one: storage.read_bytes(f"{folder}/{one}") for one in storage.sizes(folder, nested=True)}


Door = Callable[[Ground], None]
DOORS: dict[str, Door] = {}
WITH_TENSORFLOW: set[str] = set()


def public(path: Path) -> Iterator[tuple[str, ast.AST]]:
    """What a file offers: the module, its classes and functions, and the classes' methods, with their names."""

    def offered(owner: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[str, ast.AST]]:
        for node in owner.body:
            if isinstance(node, FunctionNode | ast.ClassDef) and not node.name.startswith("_"):
                yield prefix + node.name, node
                if isinstance(node, ast.ClassDef):
                    yield from offered(node, f"{prefix}{node.name}.")

    yield path.name, tree(path)
    yield from offered(tree(path), "")


def door(*names: str, tensorflow: bool = False) -> Callable[[Door], Door]:
    """Enter the trial of some doors in the table."""

    def enter(trial: Door) -> Door:
        DOORS.update(dict.fromkeys(names, trial))
        WITH_TENSORFLOW.update(names if tensorflow else ())
        return trial

    return enter


def told(dataset: Dataset) -> list[tuple[str, str, list[list[float]], list[str]]]:
    """What a dataset says, wherever its photos are; they can be opened."""
    for image in dataset:
        assert photos.read_info(image.path).upright_size == (image.width, image.height)
    return sorted(
        (one.path.name, one.split, one.boxes_xyxy.tolist(), [dataset.label_map.name(id) for id in one.labels])
        for one in dataset
    )


def held(folder: Path) -> dict[str, bytes]:
    """What a folder holds, by name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def laid_out(ground: Ground, name: str = "voc: labelImg, beside the photos") -> Path:
    """Write one of the layouts of the formats into ``in``."""
    return layouts.write(ground.here / "in", layouts.LAYOUTS[name].files)


# --- annotations, archives, photos ----------------------------------------------------------------


@door("annotations.label_map.LabelMap.read", "annotations.label_map.LabelMap.write")
@door("annotations.label_map.read_numbered", "formats.labelled_images.known_classes")
def label_maps(ground: Ground) -> None:
    """A label map is written, read and given; what is wrong with one is told with its address."""
    for name in ("map.pbtxt", "map.txt"):
        path = f"{ground.bucket}/{name}"
        assert storage.address(NAMES.write(path)) == path
        assert LabelMap.read(path) == read_numbered(Path(path))[0] == known_classes(path, []) == NAMES
    storage.write_bytes(f"{ground.bucket}/bad.pbtxt", b"item {")
    with pytest.raises(ValueError, match=rf"^{ground.bucket}/bad.pbtxt: "):
        LabelMap.read(f"{ground.bucket}/bad.pbtxt")
    with pytest.raises(DatasetError, match=rf"{ground.bucket}/bad.pbtxt: 1 problem:\n  {ground.bucket}/bad.pbtxt: "):
        known_classes(f"{ground.bucket}/bad.pbtxt", [])


@door(
    "photos.photo.opened",
    "photos.photo.read_info",
    "photos.pixels.decoded",
    "photos.pixels.letterbox",
    "photos.pixels.scaled",
    "photos.pixels.to_rgb",
)
def a_photo(ground: Ground) -> None:
    """A photo of a bucket is looked at, and named by its address where it is none."""
    path = f"{ground.bucket}/a.jpg"
    storage.write_bytes(path, layouts.JPEG)
    assert photos.read_info(path) == photos.read_info(layouts.JPEG)
    with photos.photo.opened(Path(path)) as image:
        assert image.size == (layouts.WIDTH, layouts.HEIGHT)
    assert np.array_equal(photos.to_rgb(path), photos.to_rgb(layouts.JPEG))
    assert np.array_equal(photos.scaled(path, 16), photos.scaled(layouts.JPEG, 16))
    assert photos.pixels.decoded(path)[1] == photos.pixels.decoded(layouts.JPEG)[1]
    assert np.array_equal(photos.letterbox(path, 32).pixels, photos.letterbox(layouts.JPEG, 32).pixels)
    storage.write_bytes(path, b"<html>")
    with pytest.raises(photos.PhotoError, match=rf"^{path}: a web page, not an image"):
        photos.to_rgb(path)
    with pytest.raises(FileNotFoundError, match=f"{ground.bucket}/none.jpg"):
        photos.read_info(f"{ground.bucket}/none.jpg")


# --- formats --------------------------------------------------------------------------------------


@door("formats.format.Format.read")
def one_format(ground: Ground) -> None:
    """Two layouts of each format are read from a bucket as from here."""
    tried: dict[str, int] = defaultdict(int)
    for number, (title, layout) in enumerate(layouts.LAYOUTS.items()):
        chosen = FORMATS[layout.format]
        folder = layouts.write(ground.here / f"in {number}", layout.files)
        if tried[layout.format] == 2 or not (parts := chosen.find(Listing(folder))):
            continue
        sides = [parts[0].images.relative_to(folder), parts[0].annotations.relative_to(folder)]
        root = f"{ground.bucket}/in {number}"
        storage.upload_folder(folder, root)
        found = chosen.read(*(folder / side for side in sides), on_problem="skip")
        there = chosen.read(*(f"{root}/{side.as_posix()}".removesuffix("/.") for side in sides))
        assert told(there) == told(found), title
        assert len(found), title
        tried[layout.format] += 1
    assert set(tried) == set(FORMATS) - {"oxford_pets", "tfrecord"}
    with pytest.raises(FileNotFoundError, match=rf"^{ground.bucket}/none: there is no such file or folder"):
        FORMATS["voc"].read(f"{ground.bucket}/none")


@door("formats.format.Format.read_parts")
def the_pets(ground: Ground) -> None:
    """The Oxford-IIIT Pets are read from a bucket."""
    shared = ground.get("shared") / "data" / "oxford_pets"
    stems = sorted(path.stem for path in (shared / "annotations" / "xmls").glob("*.xml"))[:3]
    lists = {line.split()[0]: line for line in (shared / "annotations" / "trainval.txt").read_text().splitlines()}
    files = {f"images/{stem}.jpg": (shared / "images" / f"{stem}.jpg").read_bytes() for stem in stems}
    files |= {f"annotations/xmls/{stem}.xml": (shared / f"annotations/xmls/{stem}.xml").read_bytes() for stem in stems}
    files["annotations/trainval.txt"] = "".join(f"{lists[stem]}\n" for stem in stems)
    layouts.write(ground.here / "in", files)
    read = FORMATS["oxford_pets"].read
    assert told(read(ground.up(), on_problem="skip")) == told(read(ground.here / "in", on_problem="skip"))


@door("formats.recognise.find_format")
def a_format_by_name(ground: Ground) -> None:
    """A folder in a bucket is in the format that it is in here."""
    laid_out(ground, "coco: COCO, beside")
    assert formats.find_format(ground.up()) == "coco"


@door("formats.recognise.read")
def any_format(ground: Ground) -> None:
    """A folder, an archive and one annotation file beside its photos are recognised in a bucket."""
    folder = laid_out(ground, "coco: COCO, beside")
    expected = told(formats.read(folder))
    assert told(formats.read(ground.up())) == told(formats.read(f"{ground.bucket}/in/labels.json")) == expected
    storage.write_bytes(
        f"{ground.bucket}/p.zip", Path(shutil.make_archive(ground.here / "p", "zip", folder)).read_bytes()
    )
    NAMES.write(f"{ground.bucket}/map.pbtxt")
    assert told(formats.read(f"{ground.bucket}/p.zip", label_map=f"{ground.bucket}/map.pbtxt")) == expected
    storage.write_bytes(f"{ground.bucket}/in/labels.json", b"{")
    with pytest.raises(DatasetError, match=f"{ground.bucket.removeprefix('gs:/')}/in: no annotations") as caught:
        formats.read(f"{ground.bucket}/in", format="coco")
    assert caught.value.__notes__[0].endswith(f"is this machine's copy of {ground.bucket}/in.")


def written(ground: Ground, name: str) -> None:
    """Write a dataset into a bucket as it is written here, and read it again."""
    folder = laid_out(ground)
    dataset = formats.read(ground.up())
    path = "out/labels.csv" if name == "tfod_csv" else "out"
    FORMATS[name].write(formats.read(folder), ground.here / path)
    for _ in range(2):  # the second finds that all is there already
        made = FORMATS[name].write(dataset, f"{ground.bucket}/{path}")
    assert storage.address(made).startswith(f"{ground.bucket}/out")
    assert ground.written() == held(ground.here / "out")
    if name != "tfod_csv":
        assert told(formats.read(f"{ground.bucket}/out")) == told(dataset)
        storage.write_bytes(f"{ground.bucket}/out/mine", b"mine")
        with pytest.raises(FileExistsError, match=rf"{ground.bucket}/out: there are files here already, such as mine"):
            FORMATS[name].write(dataset, f"{ground.bucket}/out")


@door("formats.format.Format.write")
def all_written(ground: Ground) -> None:
    """Each format that is written is written into a bucket."""
    for name in ("voc", "coco", "yolo", "tfod_csv"):
        written(dataclasses.replace(ground, bucket=f"{ground.bucket}/{name}", here=ground.here / name), name)


@door("formats.recognise.write")
def any_written(ground: Ground) -> None:
    """A dataset is written into a bucket in a format that is named, its photos from a bucket too."""
    dataset = formats.read(laid_out(ground))
    ground.up()
    remote = [dataclasses.replace(image, path=Path(f"{ground.bucket}/in/{image.path.name}")) for image in dataset]
    formats.write(Dataset(tuple(remote), dataset.label_map), f"{ground.bucket}/out", "voc")
    assert told(formats.read(f"{ground.bucket}/out")) == told(dataset)


@door("formats.coco.results.read_results")
def coco_results(ground: Ground) -> None:
    """Detections in COCO's form are read from a bucket."""
    folder = laid_out(ground, "coco: COCO, beside")
    (folder / "found.json").write_text(
        json.dumps([{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}])
    )
    dataset, address = coco.read(folder, folder / "labels.json"), ground.up()
    found = coco.read_results(f"{address}/found.json", f"{address}/labels.json", dataset)
    expected = coco.read_results(folder / "found.json", folder / "labels.json", dataset)
    assert [one.xyxy.tolist() for one in found] == [one.xyxy.tolist() for one in expected]
    assert sum(map(len, found)) == 1


@door("formats.format.photos_taken_out")
def old_records(ground: Ground) -> None:
    """Records of a bucket are read, by their folder or one shard, and their photos put where one says."""
    dataset = formats.read(laid_out(ground))
    made = records.write(dataset, f"{ground.bucket}/in/train", shards=2)
    expected = [one[2:] for one in told(dataset)]
    for path, folder in ((f"{ground.bucket}/in", None), (made.files[1], f"{ground.bucket}/out")):
        found = tfrecord.read(path, folder=folder)
        assert sorted(one[2:] for one in told(found)) == sorted(expected)
    assert len([name for name in ground.written() if name.endswith(".jpg")]) == 4


# --- what is made of datasets and models ----------------------------------------------------------


@door("checks.report.Report.save")
def a_report_of_problems(ground: Ground) -> None:
    """A report of problems is saved in a bucket."""
    report = checks.check(formats.read(laid_out(ground)))
    made = report.save(f"{ground.bucket}/report.json")
    assert storage.read_bytes(made) == report.save(ground.here / "report.json").read_bytes()


@door("pictures.picture.Picture.save", "pictures.photo_galleries.show_detections")
def pictures_saved(ground: Ground) -> None:
    """A picture of a photo in a bucket is saved in a bucket."""
    import supervision as sv

    from tfod_helpers import pictures

    storage.write_bytes(f"{ground.bucket}/a.jpg", layouts.JPEG)
    picture = pictures.show_detections(f"{ground.bucket}/a.jpg", sv.Detections.empty())
    picture.save(f"{ground.bucket}/out/a.png")
    assert Image.open(io.BytesIO(storage.read_bytes(f"{ground.bucket}/out/a.png"))).format == "PNG"
    with pytest.raises(ValueError, match=rf"{ground.bucket}/a.xyz: a picture cannot be saved as '.xyz'"):
        picture.save(f"{ground.bucket}/a.xyz")


@door("report.writing.write")
def a_report(ground: Ground) -> None:
    """The report of an evaluation is saved in a bucket, and made anew there."""
    from tfod_helpers import evaluation, report

    dataset, found = made_up(0, images=3)
    judged = evaluation.score(dataset, found)
    for _ in range(2):
        page = report.write(judged, f"{ground.bucket}/out")
    assert storage.address(page) == f"{ground.bucket}/out/report.html"
    assert set(ground.written()) == {"report.html", "evaluation.json", "label_errors.csv"}
    assert storage.client.blob(page).exists()
    kind = storage.client.blob(page)
    kind.reload()
    assert kind.content_type == "text/html"


@door("experiment.settings.load", "experiment.settings.save", tensorflow=True)
def a_config(ground: Ground) -> None:
    """An experiment config is saved in a bucket and loaded."""
    from tfod_helpers import experiment

    config = experiment.from_preset("mobilenet_v2_192")
    path = experiment.save(config, f"{ground.bucket}/config.yaml")
    assert experiment.load(path).as_dict() == config.as_dict()
    storage.write_bytes(path, b"[]")
    with pytest.raises(ValueError, match=rf"^{ground.bucket}/config.yaml: not an experiment config"):
        experiment.load(path)


@door("pipeline_config.reading.read", tensorflow=True)
def an_old_config(ground: Ground) -> None:
    """A pipeline.config is read from a bucket, and told with its address where it is none."""
    from test_pipeline_config import SSD

    from tfod_helpers import pipeline_config

    path = f"{ground.bucket}/pipeline.config"
    storage.write_bytes(path, SSD.replace("EXTRA", "").replace("TRAIN", "").encode())
    assert pipeline_config.read(path).preset
    storage.write_bytes(path, b"model {")
    with pytest.raises(pipeline_config.OldConfigError, match=rf"^{path}"):
        pipeline_config.read(path)


@door("exporting.saved_model.export", tensorflow=True)
def an_export(ground: Ground) -> None:
    """An export goes into a bucket, and takes the place of an older one."""
    from tfod_helpers.exporting import saved_model

    storage.write_bytes(f"{ground.bucket}/out/export.json", b"of an older export")
    made = saved_model.export(ground.get("trained").run, f"{ground.bucket}/out")
    assert storage.address(made) == f"{ground.bucket}/out"
    assert {"saved_model.pb", "label_map.pbtxt", "export.json"} <= set(ground.written())
    assert json.loads(ground.written()["export.json"])["classes"] == 2


@door("exporting.tflite.export", "exporting.onnx.export", "exporting.tfjs.export", tensorflow=True)
@door("exporting.web_page.export", "exporting.web_page.show", "exporting.edge_tpu.export", tensorflow=True)
@door("exporting.folder.whole_export", "exporting.edge_tpu.report", tensorflow=True)
@door("exporting.edge_tpu.operators.read", tensorflow=True)
@door("exporting.tflite_metadata.add", "detector.tflite_metadata.read", tensorflow=True)
@door("detector.tflite_file.content", tensorflow=True)
def other_exports(ground: Ground) -> None:
    """Every kind of export is made in a bucket, whole, and what reads one of its files reads it from there."""
    from tfod_helpers.detector import Detector, tflite_metadata
    from tfod_helpers.exporting import edge_tpu, network, onnx, tfjs, tflite, web_page

    run = ground.get("trained").run
    made = network.of_run(run, "best", "tests")
    kinds = {
        "onnx": (onnx, "model.onnx"),
        "tfjs": (tfjs, "model.json"),
        "tflite": (tflite, "model.tflite"),
        "page": (web_page, "index.html"),
        "edge_tpu": (edge_tpu, "edge_tpu.md"),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "of_run", lambda *_: made)  # once for all of them
        for name, (module, file) in kinds.items():
            folder = f"{ground.bucket}/{name}"
            assert storage.address(module.export(run, folder)) == folder
            assert {file, "export.json", "label_map.pbtxt"} <= set(ground.written(name))
    file = f"{ground.bucket}/tflite/model.tflite"
    assert tflite_metadata.read(file) == tflite_metadata.read(storage.read_bytes(file))
    assert "by Coral's table" in str(edge_tpu.report(file))
    assert "http://127.0.0.1:" in web_page.show(f"{ground.bucket}/page").data
    assert Detector.load(f"{ground.bucket}/tflite").image_size == 64


@door("exporting.certificate.certifying.certify", "exporting.certificate.result.Certificate.write")
@door("exporting.certificate.contenders.find_exports", "exporting.certificate.contenders.find_reference")
@door("exporting.certificate.contenders.place", "detector.facts.ExportFacts.write")
@door("exporting.model_card.writing.update")
def a_certificate(ground: Ground) -> None:
    """An export in a bucket is certified there, beside one of this machine, and the page is written there."""
    from exports_made_up import make_export, patch_runtimes
    from small_training import draw_rectangles

    from tfod_helpers import exporting
    from tfod_helpers.exporting import model_card

    with pytest.MonkeyPatch.context() as patch:
        patch_runtimes(patch)
        here = make_export(ground.here / "here")
        other = make_export(ground.here / "there", model={"shift": 6})
        marks = model_card.writing.BEGIN, "not judged", model_card.writing.END
        (other / model_card.CARD).write_text("# Ours\n{}\n{}\n{}\n".format(*marks))
        there, drawn = ground.up("there"), draw_rectangles(ground.here / "drawn", 6, seed=5)
        made = exporting.certify([here, f"{there}/"], drawn, resamples=10)
        assert made.table.loc["there", "verdict"].startswith("unfit: AP fell by")
        kept = json.loads(ground.written("there")["export.json"])["certificate"]
        assert kept["verdict"] == made.table.loc["there", "verdict"]
        card = ground.written("there")[model_card.CARD].decode()
        assert card.startswith("# Ours\n")
        assert "**unfit: AP fell by" in " ".join(card.split())
        page = made.write(f"{ground.bucket}/out")
        assert storage.address(page) == f"{ground.bucket}/out/certificate.html"
        assert set(ground.written()) == {"certificate.html", "certificate.json", "certificate.png"}
        again = exporting.certify([here], drawn, resamples=10, reference=there)
        assert again.table.loc["here", "ap_change"] == -made.table.loc["there", "ap_change"]


@door("detector.detector.Detector.load", "detector.facts.ExportFacts.read", tensorflow=True)
@door("detector.detector.Detector.detect_folder", "detector.facts.ExportFacts.check_files", tensorflow=True)
@door("detector.detector.Detector.detect", "detector.detector.Detector.letterbox", tensorflow=True)
def a_detector(ground: Ground) -> None:
    """An export is loaded from a bucket, and sees a photo and a folder of a bucket as those of this machine."""
    from tfod_helpers.detector import Detector, ExportFacts

    export, small = ground.get("export_folder"), ground.get("small")
    storage.upload_folder(export, f"{ground.bucket}/export")
    storage.upload_folder(small.dataset[0].path.parent, f"{ground.bucket}/photos")
    here, there = Detector.load(export), Detector.load(f"{ground.bucket}/export")
    assert ExportFacts.read(f"{ground.bucket}/export") == ExportFacts.read(export)
    name = small.dataset[0].path.name
    seen = there.detect(f"{ground.bucket}/photos/{name}", threshold=0.0)
    assert np.allclose(seen.xyxy, here.detect(small.dataset[0].path, threshold=0.0).xyxy)
    assert there.detect_folder(f"{ground.bucket}/photos", threshold=0.0).equals(
        here.detect_folder(small.dataset[0].path.parent, threshold=0.0)
    )
    storage.delete(f"{ground.bucket}/export/label_map.pbtxt")
    with pytest.raises(FileNotFoundError, match=rf"^{ground.bucket}/export: the export has no label_map.pbtxt"):
        Detector.load(f"{ground.bucket}/export")


@door("detector.detector.Detector.detect_video", "detector.video.detecting.detect_video")
@door("photos.video.opened", "detector.video.writing.check_target", "detector.video.writing.written")
@door("detector.tiles.TiledDetector.detect")
def a_video(ground: Ground) -> None:
    """A video of a bucket is looked at, and the annotated one is written there; tiles of a photo of a bucket too."""
    from test_detector import LABEL_MAP, SIDE, bright_spot, spotted
    from test_detector_video import write

    from tfod_helpers.detector import Detector, VideoError

    detector = Detector(bright_spot, LABEL_MAP, SIDE, 0.5)
    here = write(ground.here / "a.mp4", [spotted()] * 3)
    storage.upload(here, f"{ground.bucket}/in/a.mp4")
    table = detector.detect_video(f"{ground.bucket}/in/a.mp4", to=f"{ground.bucket}/out/b.mp4")
    assert table.equals(detector.detect_video(here, to=ground.here / "b.mp4"))
    assert ground.written() == {"b.mp4": (ground.here / "b.mp4").read_bytes()}
    storage.write_bytes(f"{ground.bucket}/in/c.mp4", b"<html>")
    with pytest.raises(VideoError, match=rf"^{ground.bucket}/in/c.mp4: a web page, not a video"):
        detector.detect_video(f"{ground.bucket}/in/c.mp4")
    with pytest.raises(ValueError, match=rf"^{ground.bucket}/b.avi: a video cannot be saved as '.avi'"):
        detector.detect_video(here, to=f"{ground.bucket}/b.avi")
    storage.write_bytes(f"{ground.bucket}/a.jpg", layouts.JPEG)
    tiled = detector.tiled(tile=8)
    assert np.array_equal(tiled.detect(f"{ground.bucket}/a.jpg").xyxy, tiled.detect(layouts.JPEG).xyxy)


@door("labelling.editing.opening.editor", "labelling.given.photo_paths")
@door("labelling.ranking.rank", "labelling.suggesting.suggest")
def photos_to_label(ground: Ground) -> None:
    """Photos of a bucket are suggested for, ranked and labelled as those here; labels go to this machine."""
    from test_detector import LABEL_MAP, SIDE, bright_spot, spotted

    from tfod_helpers import labelling
    from tfod_helpers.detector import Detector

    detector = Detector(bright_spot, LABEL_MAP, SIDE, 0.5)
    (ground.here / "in").mkdir()
    Image.fromarray(spotted()).save(ground.here / "in" / "a.png")
    storage.upload_folder(ground.here / "in", f"{ground.bucket}/in")
    there, here = (labelling.suggest(detector, place) for place in (f"{ground.bucket}/in", ground.here / "in"))
    assert there[0].boxes_xyxy.tolist() == here[0].boxes_xyxy.tolist()
    labelled = labelling.confirm(here)
    assert labelling.rank(detector, f"{ground.bucket}/in", labelled, 1).attrs["near_duplicates"]
    assert len(labelling.editor(f"{ground.bucket}/in", ground.here / "labels", ["spot"]).to_do) == 1
    with pytest.raises(ValueError, match=f"{ground.bucket}/labels is in a bucket"):
        labelling.editor(ground.here / "in", f"{ground.bucket}/labels", ["spot"])


# --- the tests ------------------------------------------------------------------------------------


TRIALS = {trial: [name for name in DOORS if DOORS[name] is trial] for trial in DOORS.values()}


@pytest.mark.parametrize(
    "trial",
    [
        pytest.param(trial, id=names[0], marks=[pytest.mark.tensorflow] if names[0] in WITH_TENSORFLOW else [])
        for trial, names in TRIALS.items()
    ],
)
def test_a_door_is_open_to_buckets(trial: Door, bucket: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A door does with gs:// addresses what it does with paths, and names them in what it says."""
    trial(Ground(bucket, tmp_path, request.getfixturevalue))


def paths_taken() -> Iterator[str]:
    """The public functions of the package that take a path of the user's, as ``formats.voc.read``."""
    for source in SOURCES:
        module = ".".join(source.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        for name, node in public(source):
            if isinstance(node, FunctionNode):
                given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                kinds = [ast.unparse(one.annotation) for one in given if one.annotation]
                # A parameter of the type Path alone is handed on from within.
                if any(
                    re.search(r"PathLike|AnyPath|AnyPhotos|\bPhoto\b|(?<!\[)\bSource\b(?!\])", kind) for kind in kinds
                ):
                    yield f"{module}.{name}"


def test_no_door_is_forgotten() -> None:
    """Every public function that takes a path is in the table above, or is left out of it with a reason."""
    taken = set(paths_taken())
    left_out = {name for name in taken if any(name == key or name.startswith(f"{key}.") for key in ELSEWHERE)}
    assert taken - left_out == set(DOORS)
    for key in ELSEWHERE:
        assert any(name == key or name.startswith(f"{key}.") for name in taken), key


def test_a_mirror_follows_its_bucket(faults: Faults, bucket: str) -> None:  # noqa: F811
    """A mirror fetches what changed, forgets what is gone, keeps what is being written, and is not shared."""
    for name in ("set/a", "set/deep/b", "set/deep/c"):
        storage.write_bytes(f"{bucket}/{name}", name.encode())
    place = storage.mirror(f"{bucket}/set")
    assert held(place) == {"a": b"set/a", "deep/b": b"set/deep/b", "deep/c": b"set/deep/c"}
    storage.write_bytes(f"{bucket}/set/a", b"other")
    storage.delete(f"{bucket}/set/deep/b")
    storage.delete(f"{bucket}/set/deep/c")
    (place / ".a.x1y2z3w4.part").write_bytes(b"of another process")
    assert storage.mirror(f"{bucket}/set/") == place
    assert held(place) == {"a": b"other", ".a.x1y2z3w4.part": b"of another process"}
    assert not (place / "deep").exists()
    faults.requests.clear()
    storage.mirror(Path(f"{bucket}/set"))
    assert {method for method, _ in faults.requests} == {"GET"}
    assert not [name for _, name in faults.requests if name == "set/a"]
    assert storage.mirror(f"{bucket}/set/a") != place / "a"
    assert storage.mirror(f"{bucket}/set/a").read_bytes() == b"other"
    assert storage.mirror(place) == storage.local_place(place) == place
