"""The model card: what the run knows, in Markdown that holds; its code runs; what is unknown is said to be so."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from markdown_it import MarkdownIt
from model_card_code import assert_same, blocks, run_lines
from small_training import Small, Trained

from tfod_helpers.annotations import LabelMap
from tfod_helpers.detector import ExportFacts
from tfod_helpers.exporting import model_card
from tfod_helpers.exporting.model_card import Origin, Photos
from tfod_helpers.exporting.model_card.usage import usage
from tfod_helpers.presets.resizing import RESIZES

FACTS = ExportFacts("onnx", 128, 2, 0.398, "mobilenet_v2_192", 1200, 0.5118, 0.8587)
CERTIFICATE = {
    "date": "2026-11-29T18:00:00+00:00",
    "photos": 50,
    "objects": 100,
    "reference": "first",
    "verdict": "as good as first",
    "ap": 0.511,
    "ap_low": 0.46,
    "ap_high": 0.56,
    "notes": "",
}


ORIGIN = Origin(
    network="RetinaNet with MobileNetV2 (width 0.35) and a feature pyramid of levels 3 to 6",
    parts={
        "train": Photos(200, 212, {"cat": 200, "dog": 12}, (31.4, 90.2)),
        "validation": Photos(50, 50, {"cat": 50, "dog": 0}, (30.0, 91.0)),
    },
    batch_size=16,
    intervals={"ap": (0.4606, 0.562)},
    weights="imagenet",
    started="The backbone, 260 of 300 tensors, started from Keras Applications' MobileNetV2 of width 0.35, trained "
    "on ImageNet; the rest from random values.",
    licence="Keras' documentation gives these weights under the Apache License.",
    citation="Howard et al. 2017",
    made_with={"tfod_helpers": "0.1.0"},
)


def rendered(markdown: str) -> str:
    """The HTML that GitHub's dialect of Markdown makes of a card, without its front matter."""
    _, _, body = markdown.split("---\n", 2)
    return MarkdownIt("gfm-like", {"linkify": False}).render(body)


def cells(html: str) -> list[list[str]]:
    """The text of each cell of each row of a page's tables."""
    return [
        re.findall(r"<t[hd]>(.*?)</t[hd]>", row, re.DOTALL) for row in re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    ]


@pytest.mark.tensorflow
def test_card_says_what_the_run_knows(trained: Trained, small: Small, export_folder: Path) -> None:
    """Each export has it: scores, threshold, photos, objects of each class by the records, and what it started from."""
    text = (export_folder / "README.md").read_text(encoding="utf-8")
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["pipeline_tag"] == "object-detection"
    rows = {row[0]: row[1:] for row in cells(rendered(text))}
    best = trained.history.best
    assert rows["Format"] == ["TensorFlow SavedModel, float32"]
    assert rows["AP on the validation photos"][0].startswith(f"{best['ap']:.3f}")
    assert rows["Confidence threshold"] == [f"{best['threshold']:.2f}"]
    assert rows["Trained on"] == ["8 photos with 8 objects"]
    assert rows["Validated on"] == ["4 photos with 4 objects"]
    assert rows["1"] == ["red", "4", "2"]
    assert rows["2"] == ["blue", "4", "2"]
    words = " ".join(text.split())
    assert (
        "It is a RetinaNet with MobileNetV1 (width 0.35) and a feature pyramid of levels 3 to 6, trained for" in words
    )
    assert f"trained for {best['step']} steps of 4 photos" in words
    assert "Everything started from random values." in text
    assert "fewer than 20 training objects: red, blue." in " ".join(text.split())
    assert str(trained.run) not in text
    assert "README.md" not in ExportFacts.read(export_folder).files  # its owner may change it


@pytest.mark.tensorflow
def test_what_is_gone_is_unknown(
    trained: Trained, small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its records, and with weights of a path, a run still says how many photos, and no path is told."""
    from tfod_helpers import experiment
    from tfod_helpers.exporting.model_card import gathering
    from tfod_helpers.files import run_folder

    run = run_folder.open_run(shutil.copytree(trained.run.folder, tmp_path / "run"))
    config = experiment.load(run.config_path)
    whole = gathering.of_run(run, config, "best")
    assert whole.parts["train"].objects == {"red": 4, "blue": 4}
    low, high = whole.parts["train"].sides
    assert 20 < low < high < 64
    assert whole.intervals.keys() == {"ap", "ap50"}
    config = experiment.change(config, {"task.train_data.input_path": str(tmp_path / "gone-*-of-00002.tfrecord")})
    run.update_manifest(weights="9 of 9 tensors start from /home/ann/runs/7.", weights_source="/home/ann/runs/7")
    partly = gathering.of_run(run, config, "best")
    assert partly.parts["train"] == Photos(8, 8)
    assert (partly.weights, partly.started) == ("other", "It started from the weights of another checkpoint.")
    facts = ExportFacts("onnx", 64, 2, 0.4, "mobilenet_v2_192", 48, 0.5, 0.8)
    text = model_card.write(tmp_path, facts, LabelMap(["red", "blue"]), partly).read_text(encoding="utf-8")
    assert "ann" not in text
    assert cells(rendered(text))[-2] == ["1", "red", "unknown", "2"]
    assert "Their licence is not known to this card" in " ".join(text.split())
    run.update_manifest(best=run.read_manifest()["best"] | {"step": 1})  # another model than this one
    assert gathering.of_run(run, config, "best").intervals == {}
    manifest = run.read_manifest()
    model = run.find_model()
    judged = {"run": manifest["id"], "step": model["step"], "model": model["checkpoint"]}
    judged["intervals"] = {"ap": [0.4, 0.6], "f1": [0.1, 0.2]}
    run.evaluations.mkdir()
    for mark, found in (("other photos", {}), (manifest["data"]["validation"]["fingerprint"], {"ap": (0.4, 0.6)})):
        text = json.dumps(judged | {"photos": {"fingerprint": mark}})
        (run.evaluations / "step-1.json").write_text(text)  # of an evaluator beside the training
        assert gathering.of_run(run, config, "best").intervals == found


@pytest.mark.tensorflow
def test_weights_of_others_have_their_terms(tmp_path: Path) -> None:
    """ImageNet's and COCO's terms are named where a run began with weights of theirs, as `network.weights` says it."""
    from tfod_helpers.exporting.model_card.gathering import _weights
    from tfod_helpers.network.weights import networks, published
    from tfod_helpers.network.weights.networks import Network

    text = " ".join(model_card.write(tmp_path, FACTS, LabelMap(["cat", "dog"]), ORIGIN).read_text().split())
    assert "gives these weights under the Apache License." in text
    assert "Cite Howard et al. 2017." in text
    assert "non-commercial research and education only" in text
    assert "Of these classes no validation photo shows an object, so how well they are found is unknown: dog." in text
    sentence = (
        f"The backbone, 9 of 12 tensors, starts from {Network('ResNet', 50)}, trained on ImageNet; the rest starts"
    )
    kind, started = _weights({"weights": f"{sentence} from random values.", "weights_source": "imagenet"})
    terms = networks.terms(Network("ResNet", 50))._asdict()
    other = dataclasses.replace(ORIGIN, weights=kind, started=started, **terms)
    text = " ".join(model_card.write(tmp_path, FACTS, LabelMap(["cat", "dog"]), other).read_text().split())
    assert "9 of 12 tensors, started from Keras Applications' ResNet of 50, trained on ImageNet; the rest from" in text
    assert "MIT License" in text
    sentence = f"9 of 9 tensors start from the Model Garden's {published.COCO[0].words}, trained on COCO."
    kind, started = _weights({"weights": sentence, "weights_source": "coco"})
    other = dataclasses.replace(ORIGIN, weights=kind, started=started, **published.GARDEN_TERMS._asdict())
    text = " ".join(model_card.write(tmp_path, FACTS, LabelMap(["cat", "dog"]), other).read_text().split())
    assert "RetinaNet MobileNetV2 256 (AP 23.3), trained on COCO. The files name no licence" in text
    assert "Creative Commons Attribution 4.0" in text
    assert "ImageNet" not in text


def test_names_are_shown_as_they_are(tmp_path: Path) -> None:
    """No class name is taken for Markdown or HTML, in the title, in a list or in the table."""
    names = ["a|b", "*bold* _x_ `c`", "<script>alert(1)</script>", "[link](http://x)", "$x$ & ~~y~~ #1"]
    objects = dict.fromkeys(names, 1)
    parts = {name: dataclasses.replace(one, objects=objects) for name, one in ORIGIN.parts.items()}
    other = dataclasses.replace(ORIGIN, parts=parts)
    facts = dataclasses.replace(FACTS, classes=len(names))
    html = rendered(model_card.write(tmp_path, facts, LabelMap(names), other).read_text(encoding="utf-8"))
    assert not re.search(r"<(script|strong|em|s)>|href=\"http://x", html)
    plain = (
        " ".join(html.split()).replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&")
    )
    assert [row[1] for row in cells(html) if row[0].isdigit()] == [
        name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for name in names
    ]
    assert all(plain.count(name) >= 2 for name in names)


def test_certificate_comes_in_and_the_rest_stays(tmp_path: Path) -> None:
    """`update` puts the verdict into its place, anew each time, and keeps what the owner wrote around it."""
    assert not model_card.update(tmp_path)  # an export of before cards
    path = model_card.write(tmp_path, FACTS, LabelMap(["cat", "dog"]), ORIGIN)
    text = path.read_text(encoding="utf-8")
    assert "Nobody has judged this file itself yet" in text
    path.write_text(text + "\nOur own words.\n", encoding="utf-8")
    for verdict in ("as good as first", "unfit: AP fell by 0.100 (0.02 at most)"):
        dataclasses.replace(FACTS, certificate=CERTIFICATE | {"verdict": verdict}).write(tmp_path)
        assert model_card.update(tmp_path)
        text = " ".join(path.read_text(encoding="utf-8").split())
        assert f"50 photos with 100 objects (2026-11-29), compared with first: **{verdict}**." in text
        assert "AP 0.511 (95 % interval 0.460 to 0.560)" in text
        assert text.count("judged") == 1
        assert text.endswith("Our own words.")
    path.write_text("# Ours alone\n", encoding="utf-8")
    assert not model_card.update(tmp_path)
    assert path.read_text(encoding="utf-8") == "# Ours alone\n"


@pytest.mark.tensorflow
def test_code_for_a_saved_model_runs(
    export_folder: Path, small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it stands on the card it finds what `Detector` finds, in a letterboxed and in a stretched photo."""
    folder = shutil.copytree(export_folder, tmp_path / "export")
    shutil.copy(small.dataset[3].path, folder / "photo.jpg")
    for resize in RESIZES:
        dataclasses.replace(ExportFacts.read(folder), resize=resize).write(folder)
        found = run_lines(folder, monkeypatch)
        scale = np.tile([found["width"] / found["photo"].width, found["height"] / found["photo"].height], 2)
        count = int(found["count"][0])
        scores, boxes_xyxy = found["scores"][0, :count].numpy(), found["boxes"][0, :count].numpy() / scale
        assert_same(boxes_xyxy, scores, found["photo"].size, folder)


@pytest.mark.parametrize("name", ["onnx", "tflite", "tflite raw", "tflite bytes", "tfjs", "web_page", "new"])
def test_each_format_says_how_it_is_run(name: str) -> None:
    """The lines are of that format alone, the Python in them compiles, and nothing is left to be filled in."""
    kind, _, form = name.partition(" ")
    precision = "int8_full" if form == "bytes" else "float32"
    text = usage(dataclasses.replace(FACTS, format=kind, precision=precision, decoded=not form))
    named = {"onnx": "onnxruntime", "tflite": "ai_edge_litert", "tfjs": "loadGraphModel", "web_page": "index.html"}
    assert {one for one, word in named.items() if word in text} == ({kind} & named.keys())
    for code in blocks(text):
        compile(code, "README.md", "exec")
    assert not re.search(r"\$\w", text)
    assert ("detect.py" in text) == (name == "tflite")
    assert ("anchors.npy" in text) == bool(form or kind == "tfjs")
    assert ("astype" in text) == (kind == "tflite" and form != "bytes")
    assert ("zero point" in text) == (form == "bytes")


def test_apps_get_their_lines_with_the_models_numbers() -> None:
    """Kotlin, Swift and JavaScript have side and threshold; what was trained letterboxed warns of stretching."""
    facts = dataclasses.replace(FACTS, format="tflite", threshold=0.414, image_size=320)
    text = usage(facts)
    assert [language for language in ("kotlin", "swift", "js") if f"```{language}\n" in text] == [
        "kotlin",
        "swift",
        "js",
    ]
    assert text.count("0.41") == 3
    assert "createScaledBitmap(bitmap, 320, 320, true)" in text
    assert "${found.categories()[0].score()}" in text
    assert "MediaPipe stretches each photo" in text
    assert "MediaPipe stretches each photo" not in usage(dataclasses.replace(facts, resize="stretch"))
    assert "kotlin" not in usage(dataclasses.replace(facts, decoded=False))
