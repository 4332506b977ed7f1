"""KerasHub's RetinaNet in the Model Garden's: what KerasHub made of the same weights and images, to a thousandth.

`tools/originals/keras_hub_retinanet.py` made the fixture, with the rules for weights and images that are used here.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import pytest
from served import Server

from tfod_helpers.files import downloads
from tfod_helpers.network.weights import keras_hub, keras_hub_preset, published
from tfod_helpers.network.weights.coco_classes import COCO_CLASSES
from tfod_helpers.network.weights.keras_hub import BACKBONE, HEADS
from tfod_helpers.sources import SourceError, kaggle

ROOT = Path(__file__).parents[1]
DOWNLOAD = "/api/v1/models/keras/retinanet/keras/retinanet_resnet50_fpn_coco/4/download"
NUMBERS = tuple(map(str, range(1, 91)))  # names for all 90 ids, the ten included that COCO does not use
BOTH = (BACKBONE, HEADS)


@pytest.fixture(scope="module")
def original() -> ModuleType:
    """The rules of the program that made the fixture."""
    path = ROOT / "tools" / "originals" / "keras_hub_retinanet.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def fixture() -> dict[str, Any]:
    """What KerasHub wrote and said."""
    return json.loads(gzip.decompress((ROOT / "tests" / "originals" / "keras_hub_retinanet.json.gz").read_bytes()))


@pytest.fixture(scope="module")
def preset(fixture: dict[str, Any], original: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as KerasHub's `save_to_preset` writes it, with the values of the rule."""
    folder = tmp_path_factory.mktemp("preset")
    for name, tensors in fixture["names"].items():
        with h5py.File(folder / name, "w") as file:
            for key, (shape, layer) in tensors.items():
                file[key] = original.value(f"{name}/{key}", tuple(shape))
                file[key].parent.attrs["name"] = layer
            file["optimizer/vars/0"] = 3
            for number, head in enumerate(("box_head", "classification_head") * (name == HEADS)):
                place = f"layers/prediction_head{f'_{number}' if number else ''}/vars"
                file.create_group(place).attrs["name"] = head
    return folder


@pytest.fixture(scope="module")
def config() -> Any:
    """The preset's config for 90 classes and KerasHub's own choice between near boxes, at the fixture's size."""
    from tfod_helpers.experiment.config import from_preset

    config = from_preset("retinanet_resnet50_640")
    model = config.task.model
    model.input_size, model.num_classes = [256, 256, 3], 91
    model.detection_generator.nms_version, model.detection_generator.use_class_agnostic_nms = "v2", True
    model.detection_generator.pre_nms_score_threshold = 0.5
    return config


@pytest.fixture(scope="module")
def model(config: Any) -> Any:
    """The config's network."""
    from tfod_helpers.network.model import build_model

    return build_model(config)


def read(model: Any, folder: Path, names: tuple[str, ...] = NUMBERS, **named: Any) -> keras_hub.Values:
    """Read a preset whose classes are known by their numbers."""
    files = keras_hub_preset.find(folder)
    assert files
    return keras_hub.read(model, files, names=names, **{"theirs": NUMBERS, **named})


@pytest.fixture(scope="module")
def filled(model: Any, preset: Path) -> Any:
    """The network with the preset's weights."""
    values = read(model, preset)
    assert len(values) == len(model.weights)
    for variable, value in values:
        variable.assign(value)
    return model


@pytest.mark.tensorflow
def test_outputs_are_keras_hubs(filled: Any, config: Any, fixture: dict[str, Any], original: ModuleType) -> None:
    """Logits and decoded boxes of anchors on all levels, and all detections, are those of KerasHub on three images."""
    import tensorflow as tf

    from tfod_helpers.network import inputs, model, normalization

    detect = tf.function(model.detect_function(filled, config))
    anchors = tf.concat([tf.reshape(one, [-1, 4]) for one in inputs.anchor_boxes(config.task).values()], 0).numpy()
    picks = original.picks()
    for expected in fixture["images"]:
        pixels = original.image(expected["seed"])[None]
        features = filled.backbone(normalization.of(config.task).apply(pixels.astype(np.float32)), training=False)
        scores, boxes, _ = filled.head(filled.decoder(features, training=False), training=False)
        logits = np.concatenate([scores[level].numpy().reshape(-1, 91) for level in scores])[picks]
        codes = np.concatenate([boxes[level].numpy().reshape(-1, 4) for level in boxes])[picks]
        assert np.array_equal(anchors[picks], expected["anchors_yxyx"])
        assert np.abs(logits[:, fixture["columns"]] - expected["logits"]).max() < 1e-3
        assert np.abs(logits.max(1) - expected["best"]).max() < 1e-3
        assert np.abs(codes[:, [1, 0, 3, 2]] - expected["codes_xywh"]).max() < 1e-3
        assert np.abs(decoded(codes, anchors[picks]) - expected["boxes_yxyx"]).max() < 1e-3
        found = {name: value[0].numpy() for name, value in detect(pixels).items()}
        assert found["count"] == len(expected["detections"]) == 100
        assert not unmatched(expected["detections"], found)


def decoded(codes: np.ndarray, anchors_yxyx: np.ndarray) -> np.ndarray:
    """Return boxes as the network's detections are decoded."""
    from official.vision.ops import box_ops

    return box_ops.decode_boxes(codes, anchors_yxyx).numpy()


def unmatched(expected: list[dict[str, Any]], found: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Return the detections without a counterpart of the same class, half a pixel and 0.001 in score away."""
    left, missing = set(range(found["count"])), []
    for one in expected:
        ymin, xmin, ymax, xmax = np.clip(one["box_yxyx"], 0, 256)
        near = [
            number
            for number in left
            if found["classes"][number] == one["class"]
            and abs(found["scores"][number] - one["score"]) < 1e-3
            and np.abs(found["boxes_xyxy"][number] - [xmin, ymin, xmax, ymax]).max() < 0.5
        ]
        left -= set(near[:1])
        missing += [] if near else [one]
    return missing


@pytest.mark.tensorflow
def test_class_outputs_are_taken_by_name(model: Any, preset: Path) -> None:
    """Where two classes are COCO's, their outputs and the background's are KerasHub's; the others stay; none else."""
    names = ("dog", "newt", "Teddy-Bear", *NUMBERS[3:])
    by_name = {v.name: (v.numpy(), value) for v, value in read(model, preset, names, theirs=COCO_CLASSES)}
    for place, leaf in (("kernel", 0), ("bias", 1)):
        ours, taken = by_name[getattr(model.head._classifier, place).name]
        with h5py.File(preset / HEADS) as file:
            theirs = file[f"layers/prediction_head_1/prediction_layer/vars/{leaf}"][()]
        shape = (*ours.shape[:-1], 9, 91)
        ours, taken, theirs = ours.reshape(shape), taken.reshape(shape), theirs.reshape(shape)
        assert np.array_equal(taken[..., [0, 1, 3]], theirs[..., [0, 18, 88]])
        assert np.array_equal(taken[..., [2, *range(4, 91)]], ours[..., [2, *range(4, 91)]])
    assert len(read(model, preset, ("newt", "sock"), theirs=COCO_CLASSES)) == len(model.weights) - 2
    assert len(read(model, preset, theirs=("1", "2"))) == len(model.weights) - 2, "their classes are not known"
    with pytest.raises(ValueError, match="known_as says that 'newt' is 'salamander'"):
        read(model, preset, ("newt",), theirs=COCO_CLASSES, known_as={"newt": "salamander"})


@pytest.mark.tensorflow
def test_outputs_for_the_model_gardens_anchors_say_the_same_boxes(model: Any, config: Any) -> None:
    """Reordered and moved, each anchor's outputs mean the box that they meant, but for sizes cut to whole pixels."""
    from tfod_helpers.experiment import change
    from tfod_helpers.network import inputs
    from tfod_helpers.network.weights import anchor_orders

    settings = {"task.anchor_layout": "garden", "task.model.anchor.aspect_ratios": [0.5, 1.0, 2.0]}
    theirs, ours = (
        np.concatenate([one.numpy().reshape(-1, 9, 4) for one in inputs.anchor_boxes(which.task).values()])
        for which in (change(config, settings), config)
    )
    codes, scores = np.random.default_rng(0).normal(0, 0.3, (9, 4)), np.repeat(np.arange(9.0), 91)
    boxes, classes = model.head._box_regressor.bias, model.head._classifier.bias
    made = anchor_orders.in_torchvisions(model, [(boxes, codes.ravel()), (classes, scores)])
    (_, moved), (_, order) = made
    order = order.reshape(9, 91)[:, 0].astype(int)
    assert sorted(order) == list(range(9))
    before = decoded(np.tile(codes, (len(theirs), 1)), theirs.reshape(-1, 4)).reshape(theirs.shape)[:, order]
    after = decoded(np.tile(moved.reshape(9, 4), (len(ours), 1)), ours.reshape(-1, 4)).reshape(ours.shape)
    side = (before[..., 2:] - before[..., :2]).max(-1, keepdims=True)
    assert (np.abs(after - before) / side).max() < 0.06, "half a stride would be 0.1, another order more"


def as_one_file(preset: Path, folder: Path) -> Path:
    """As `save_weights` of the whole detector writes it."""
    folder.mkdir()
    with h5py.File(folder / "mine.weights.h5", "w") as file:
        for name, start in ((BACKBONE, "layers/retina_net_backbone"), (HEADS, "layers")):
            with h5py.File(preset / name) as source:
                for group in source["layers"]:
                    below = "/layers" if name == BACKBONE else ""
                    source.copy(f"layers/{group}", file, f"{start}{below}/{group}")
    return folder / "mine.weights.h5"


def with_all_in_both(preset: Path, folder: Path) -> Path:
    """As KerasHub before 0.20 wrote a preset: the file of the heads holds the backbone too, which nobody reads."""
    as_one_file(preset, folder).rename(folder / HEADS)
    with h5py.File(folder / HEADS, "r+") as file:
        file["layers/retina_net_backbone/layers/functional/layers/conv2d/vars/0"][:] = 7.0
    (folder / BACKBONE).symlink_to(preset / BACKBONE)
    return folder


def packed(preset: Path, folder: Path) -> Path:
    """As an archive with the folder in it."""
    folder.mkdir()
    with tarfile.open(folder / "archive.tar", "w") as archive:
        archive.add(preset, "retinanet")
    return folder / "archive.tar"


@pytest.mark.tensorflow
@pytest.mark.parametrize("way", [as_one_file, with_all_in_both, packed])
def test_every_way_of_keeping_them_gives_the_same(
    way: Callable[[Path, Path], Path], filled: Any, preset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file of the whole detector, a preset of an older KerasHub and an archive are read as the preset is."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    values = read(filled, way(preset, tmp_path / "other"))
    assert len(values) == len(filled.weights)
    assert all(np.allclose(variable, value, rtol=1e-6) for variable, value in values)


def test_one_file_of_the_preset_leads_to_both(preset: Path, tmp_path: Path) -> None:
    """A path to either file means the preset; what has none of its files is somebody else's."""
    both = (preset / BACKBONE, preset / HEADS)
    assert keras_hub_preset.find(preset / HEADS) == keras_hub_preset.find(preset / BACKBONE) == both
    (tmp_path / "4").symlink_to(preset)
    assert keras_hub_preset.find(tmp_path) == tuple(tmp_path / "4" / file.name for file in both)
    assert keras_hub_preset.find(ROOT / "tests") is None
    assert keras_hub_preset.find("gs://bucket/run") is None


@pytest.mark.tensorflow
def test_training_starts_where_the_weights_are(filled: Any, original: ModuleType) -> None:
    """With the batch norms frozen a network says the same in training; else those that did nothing change all."""
    from tfod_helpers.network.model import freeze

    images = original.image(7)[None] / 128 - 1.0

    def change() -> float:
        outputs = [filled(images.astype(np.float32), training=training) for training in (False, True)]
        scores = [np.concatenate([values.numpy().ravel() for values in one["cls_outputs"].values()]) for one in outputs]
        return float(np.abs(scores[0] - scores[1]).max())

    before = [variable.numpy() for variable in filled.weights]
    freeze(filled, 0, norms=True)
    assert change() < 1e-4
    assert not [variable.name for variable in filled.trainable_variables if "gamma" in variable.name]
    for layer in filled.submodules:
        layer.trainable = True
    assert change() > 0.5
    for variable, value in zip(filled.weights, before, strict=True):
        variable.assign(value)


# --- what does not fit ----------------------------------------------------------------------------


def cut_off(folder: Path) -> None:
    """Half of a file."""
    data = (folder / HEADS).read_bytes()
    (folder / HEADS).write_bytes(data[: len(data) // 2])


def second_version(folder: Path) -> None:
    """Heads with group norms."""
    with h5py.File(folder / HEADS, "r+") as file:
        file["layers/prediction_head/group_norm_layers/group_normalization/vars/0"] = np.ones(256)


def other_layers(folder: Path) -> None:
    """A network that is no RetinaNet."""
    for name in BOTH:
        with h5py.File(folder / name, "w") as file:
            file["layers/d_fine_decoder/vars/0"] = np.ones(3)


def less(folder: Path) -> None:
    """A layer is missing."""
    with h5py.File(folder / HEADS, "r+") as file:
        del file["layers/prediction_head/conv_layers/conv2d_3"]


def more(folder: Path) -> None:
    """A layer too many."""
    with h5py.File(folder / HEADS, "r+") as file:
        file["layers/prediction_head/conv_layers/conv2d_4/vars/0"] = np.ones((3, 3, 256, 256), np.float32)


def wider(folder: Path) -> None:
    """Another number of channels."""
    with h5py.File(folder / HEADS, "r+") as file:
        del file["layers/prediction_head/conv_layers/conv2d_3/vars/1"]
        file["layers/prediction_head/conv_layers/conv2d_3/vars/1"] = np.ones(128, np.float32)


def not_finite(folder: Path) -> None:
    """A training that went wrong."""
    with h5py.File(folder / HEADS, "r+") as file:
        file["layers/prediction_head/conv_layers/conv2d_3/vars/1"][5] = np.nan


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (cut_off, r"task\.weights\.h5: not Keras' weights \(HDF5\), or damaged or cut off.*Fetch them again"),
        (second_version, r"second version.*group norms.*Use KerasHub's retinanet_resnet50_fpn_coco"),
        (other_layers, r"no RetinaNet of KerasHub's: its layers are .*d_fine_decoder"),
        (less, r"box_head/conv2d_3 is missing\. These are another network's weights, or not all of them"),
        (more, r"no place for box_head/conv2d_4"),
        (wider, r"box_head/conv2d_3 has tensors of the shapes .*\(128,\).*this network's .*\(256,\)"),
        (not_finite, r"box_head/conv2d_3 holds NaN"),
    ],
)
def test_what_does_not_fit_is_told(
    harm: Callable[[Path], None], told: str, model: Any, preset: Path, tmp_path: Path
) -> None:
    """Each kind of wrong or damaged file is named with what can be done, before a tensor of the network changes."""
    (tmp_path / BACKBONE).symlink_to(preset / BACKBONE)
    shutil.copy(preset / HEADS, tmp_path)
    if harm is other_layers:
        (tmp_path / BACKBONE).unlink()
    harm(tmp_path)
    with pytest.raises(ValueError, match=told):
        read(model, tmp_path)


def test_half_a_preset_is_told(tmp_path: Path) -> None:
    """Where one of both files is missing, the message names it and says what is in it."""
    (tmp_path / BACKBONE).touch()
    with pytest.raises(FileNotFoundError, match=r"task\.weights\.h5: this half of KerasHub's weights is missing"):
        keras_hub_preset.find(tmp_path)


@pytest.mark.tensorflow
def test_network_with_other_settings_is_refused(model: Any, preset: Path) -> None:
    """Weights that would fit in shape but give other boxes are refused, with the settings that they are for."""
    from tfod_helpers.network import weights

    for padding, layout in (("same", "torchvision"), ("symmetric", "garden")):
        told = rf"has task\.padding='{padding}' and task\.anchor_layout='{layout}'\..*retinanet_resnet50_640"
        with pytest.raises(ValueError, match=told):
            weights.load(model, preset, padding=padding, anchor_layout=layout)
    assert "no RetinaNet" in keras_hub.misfit(model.decoder, "symmetric", "torchvision")


# --- from Kaggle ----------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Kaggle, on this machine, which knows nobody; empty caches."""
    from tfod_helpers.files.downloads import fetching

    server = Server()
    monkeypatch.setattr(kaggle, "_KAGGLE", server.address)
    monkeypatch.setattr(published, "GOOGLE", "http://127.0.0.1:9")
    monkeypatch.setattr(fetching, "_WAIT_SECONDS", 0)
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", downloads.SECOND_PLACE):
        monkeypatch.delenv(name, raising=False)
    for name in ("KAGGLE_CONFIG_DIR", "XDG_CACHE_HOME", "KAGGLEHUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("no_proxy", "*")
    yield server
    server.stop()


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Files with one layer each, which is enough to know them by."""
    for name, path in {BACKBONE: "lateral_conv_P3", HEADS: "prediction_head_1/logits_layer"}.items():
        with h5py.File(tmp_path / name, "w") as file:
            file[f"layers/{path}/vars/0"] = np.ones(3)
            file[f"layers/{path}/vars"].attrs["name"] = path.rpartition("/")[2]
            file.create_group("layers/prediction_head_1/vars").attrs["name"] = "classification_head"
    return tmp_path


def test_files_come_from_kaggle_once(site: Server, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both files come into the cache with the key that this machine has, broken off and gone on with, once."""
    site.files = {f"{DOWNLOAD}/{name}": (small / name).read_bytes() for name in BOTH}
    site.cut = [1000]
    monkeypatch.setenv("KAGGLE_API_TOKEN", "secret")
    for _ in range(2):
        paths = [file.fetch(keras_hub.check) for file in keras_hub_preset.FILES]
        assert [path.read_bytes() for path in paths] == list(site.files.values())
        assert len({path.parent for path in paths}) == 1
    assert [one.headers.get("Range") for one in site.asked] == [None, "bytes=1000-", None]
    assert {one.headers["Authorization"] for one in site.asked} == {"Bearer secret"}


def test_what_kagglehub_keeps_is_taken(
    site: Server, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A preset in the cache of Kaggle's own client is not fetched again, unless it is damaged."""
    kept = tmp_path / "kagglehub_cache" / "models" / "keras/retinanet/keras/retinanet_resnet50_fpn_coco/4"
    kept.mkdir(parents=True)
    for name in BOTH:
        shutil.copy(small / name, kept)
    (kept / HEADS).write_bytes(b"half")
    site.files = {f"{DOWNLOAD}/{HEADS}": (small / HEADS).read_bytes()}
    backbone, heads = (file.fetch(keras_hub.check) for file in keras_hub_preset.FILES)
    assert backbone == kept / BACKBONE
    assert heads == keras_hub_preset.FILES[1].path
    assert "not Keras' weights" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("status", "key", "told"),
    [
        (403, "secret", r"this model, which is private, or whose terms you did not accept\. Open http.*/models/keras"),
        (403, "", r"gives this model to those only who are signed in\. Make a token"),
        (404, "", r"there is no such model on Kaggle\. Compare the name with the address of its page, http"),
    ],
)
def test_what_kaggle_refuses_is_told(
    status: int, key: str, told: str, site: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each refusal says what to do, with the page to open."""
    monkeypatch.setenv("KAGGLE_API_TOKEN", key)
    site.answers[f"{DOWNLOAD}/{BACKBONE}"] = (status, {}, b"")
    with pytest.raises(SourceError, match=told):
        keras_hub_preset.FILES[0].fetch(keras_hub.check)


def test_page_in_place_of_the_file_is_not_kept(site: Server) -> None:
    """A page to log in, and another file of the name, are refused, and the message says where to put the right one."""
    for body in (b"<!doctype html>", b"\x89HDF\r\n\x1a\n"):
        site.files[f"{DOWNLOAD}/{BACKBONE}"] = body
        with pytest.raises(OSError, match=r"sent a web page|not Keras' weights") as caught:
            keras_hub_preset.FILES[0].fetch(keras_hub.check)
        assert str(keras_hub_preset.FILES[0].path) in str(caught.value)
        assert not keras_hub_preset.FILES[0].path.exists()


@pytest.mark.tensorflow
def test_coco_starts_from_kaggle(site: Server, preset: Path, model: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """'coco' fills the whole network from KerasHub's files and tells their terms; offline, what to fetch and where."""
    from tfod_helpers.network import weights

    settings = {"padding": "symmetric", "anchor_layout": "torchvision", "classes": ("dog", *NUMBERS[1:])}
    with pytest.warns(UserWarning, match="No COCO weights|No pretrained weights"):
        assert weights.load(model, "coco", **settings).source == "scratch"
    told = capsys.readouterr().out
    assert f"fetch {site.address}{DOWNLOAD}/{BACKBONE}" in told
    assert f"into  {keras_hub_preset.FILES[0].path.parent}" in told
    site.files = {f"{DOWNLOAD}/{name}": (preset / name).read_bytes() for name in BOTH}
    loaded = weights.load(model, "coco", **settings)
    assert (loaded.source, loaded.taken, loaded.left) == ("coco", len(model.weights), ())
    assert "KerasHub's RetinaNet ResNet50 FPN" in loaded.sentence
    assert "Batch norms stay as they are" in loaded.sentence
    assert loaded.norms_stay
    assert loaded.terms == keras_hub_preset.TERMS
