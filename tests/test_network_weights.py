"""Pretrained weights: a chain that never lies about what it loaded, and earlier runs taken over by place and shape."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import originals
import pytest
from served import Handler, Listening

from tests.test_network_weights_networks import make_backbone, make_keras_model
from tfod_helpers.files import downloads, run_folder, storage
from tfod_helpers.network import weights
from tfod_helpers.network.weights import networks, published, zoo

pytestmark = pytest.mark.tensorflow
SIZE = 64
COCO_NAME = "mobilenetv2_ssd_i256_ckpt.tar.gz"
V2 = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_"


def make_model(num_classes: int = 3, width: float = 0.35, filters: int = 16, levels: tuple[int, int] = (3, 5)) -> Any:
    """Return a small RetinaNet with a MobileNetV2, built as training builds it."""
    from official.core import exp_factory
    from official.vision import registry_imports  # noqa: F401
    from official.vision.tasks.retinanet import RetinaNetTask

    config = exp_factory.get_exp_config("retinanet")
    model = config.task.model
    model.num_classes, model.input_size = num_classes + 1, [SIZE, SIZE, 3]
    model.min_level, model.max_level = levels
    model.backbone.type, model.decoder.type = "mobilenet", "fpn"
    model.backbone.mobilenet.model_id, model.backbone.mobilenet.filter_size_scale = "MobileNetV2", width
    model.decoder.fpn.num_filters = model.head.num_filters = filters
    model.decoder.fpn.use_separable_conv = model.head.use_separable_conv = True
    model.head.num_convs, model.norm_activation.activation = 1, "relu6"
    return RetinaNetTask(config.task).build_model()


def around(backbone: Any) -> Any:
    """Return all that load needs of a detector: a model with a backbone."""
    import tf_keras

    class Detector(tf_keras.Model):
        """A backbone alone."""

        def __init__(self) -> None:
            super().__init__()
            self.backbone = backbone
            self.checkpoint_items = {"backbone": backbone}

        def get_config(self) -> dict[str, Any]:
            return {}

    return Detector()


def snapshot(model: Any) -> list[np.ndarray]:
    """Return a copy of all of a model's tensors."""
    return [variable.numpy() for variable in model.weights]


def unchanged(model: Any, before: list[np.ndarray]) -> bool:
    """Say whether a model still holds the tensors of a snapshot."""
    return all(np.array_equal(old, new) for old, new in zip(before, snapshot(model), strict=True))


def told_truly(loaded: weights.Loaded, model: Any, before: list[np.ndarray]) -> bool:
    """Say whether the tensors that changed are those that are said to be taken, and no others."""
    names = [variable.name for variable in model.weights]
    same = [name for name, old, new in zip(names, before, snapshot(model), strict=True) if np.array_equal(old, new)]
    return sorted(same) == sorted(loaded.left) and loaded.taken == len(names) - len(same)


def renew(model: Any, seed: int) -> list[np.ndarray]:
    """Give every tensor of a model a new random value, and return a copy of all."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        variable.assign(rng.uniform(0.5, 1.5, variable.shape).astype(np.float32))
    return snapshot(model)


@pytest.fixture(scope="module")
def model() -> Any:
    """A RetinaNet of 3 classes whose weights tests may overwrite; no COCO checkpoint is published for its width."""
    return make_model()


@pytest.fixture(scope="module")
def wide() -> Any:
    """A RetinaNet of 3 classes for whose network a COCO checkpoint is published."""
    return make_model(width=1.0, levels=(3, 7))


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[np.ndarray]]:
    """A packed checkpoint of a detector of 90 classes, as the Model Garden's trainer writes it, and its tensors."""
    import tensorflow as tf

    detector, folder = make_model(num_classes=90, width=1.0, levels=(3, 7)), tmp_path_factory.mktemp("coco")
    tensors = renew(detector, seed=1)
    checkpoint = tf.train.Checkpoint(model=detector, global_step=tf.Variable(277200, dtype=tf.int64))
    tf.train.CheckpointManager(checkpoint, folder / "i256_ckpt", max_to_keep=1).save(checkpoint_number=277200)
    with tarfile.open(folder / COCO_NAME, "w:gz") as archive:
        archive.add(folder / "i256_ckpt", "i256_ckpt")
    return folder / COCO_NAME, tensors


@pytest.fixture(scope="module")
def keras_files(tmp_path_factory: pytest.TempPathFactory) -> dict[float, Path]:
    """Random MobileNetV2s in the format that Keras Applications publishes, by their widths."""
    folder = tmp_path_factory.mktemp("published")
    for width in (0.35, 1.0):
        make_keras_model("MobileNetV2", width).save_weights(folder / f"{V2}{width}_224_no_top.h5")
    return {width: folder / f"{V2}{width}_224_no_top.h5" for width in (0.35, 1.0)}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches, no known hashes, and an address where nobody listens and nobody waits."""
    from tfod_helpers.files.downloads import fetching

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(downloads.SECOND_PLACE, raising=False)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(fetching, "_WAIT_SECONDS", 0)
    v2 = networks.FILES["MobileNetV2"]
    monkeypatch.setitem(v2, 0.35, dataclasses.replace(v2[0.35], sha256=None))
    monkeypatch.setattr(published, "GOOGLE", "http://127.0.0.1:9")
    return tmp_path / "cache" / "tfod_helpers"


Serve = Callable[..., list[str]]


@pytest.fixture
def serve(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start a server in place of Google's: a file, bytes or a status for each name; returns what was asked for."""
    servers = contextlib.ExitStack()

    def start(**answers: Path | bytes | int) -> list[str]:
        asked: list[str] = []

        class WeightsHandler(Handler):
            def answer(self) -> None:
                asked.append(self.path.rsplit("/", 1)[-1])
                answer = next((one for start, one in answers.items() if asked[-1].startswith(start)), 403)
                if isinstance(answer, int):
                    self.send_error(answer)
                else:
                    self.give(200, answer.read_bytes() if isinstance(answer, Path) else answer)

        monkeypatch.setattr(published, "GOOGLE", servers.enter_context(Listening(WeightsHandler)).address)
        return asked

    with servers:
        yield start


# --- the chain ------------------------------------------------------------------------------------


def test_coco_gives_all_but_the_class_outputs(
    wide: Any, coco: tuple[Path, list[np.ndarray]], serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    """A published detector is fetched once, unpacked and taken over; its class outputs are of other classes."""
    asked, before = serve(mobilenetv2_ssd=coco[0]), renew(wide, seed=2)
    loaded = weights.load(wide, "coco")
    assert told_truly(loaded, wide, before)
    assert loaded.source == "coco"
    for variable, theirs in zip(wide.weights, coco[1], strict=True):
        if variable.name not in loaded.left:
            np.testing.assert_array_equal(variable.numpy(), theirs, err_msg=variable.name)
    assert len(loaded.left) == 3
    assert all("/scores/" in name for name in loaded.left), "the Model Garden calls its class outputs so"
    out = capsys.readouterr().out
    assert f"{len(before) - 3} of {len(before)} tensors start from the Model Garden's RetinaNet MobileNetV2 256" in out
    weights.load(wide, "coco")
    assert asked == [COCO_NAME], "the second time it comes from the cache"


def test_coco_that_is_refused_gives_way_to_imagenet(
    wide: Any, keras_files: dict[float, Path], serve: Serve, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the server says 403, the backbone gets ImageNet's weights, and nobody can overlook or misreport it."""
    asked, before = serve(**{V2 + "1.0": keras_files[1.0]}), renew(wide, seed=3)
    with pytest.warns(UserWarning, match=r"No COCO weights, training starts from ImageNet's: .*403"):
        loaded = weights.load(wide, "coco")
    assert told_truly(loaded, wide, before)
    assert (loaded.source, loaded.taken) == ("imagenet", 260)
    assert "Wanted and not to be had: coco: http://127.0.0.1:" in loaded.sentence
    assert "the server answers 403 (Forbidden): not to anonymous users" in loaded.sentence
    assert "MobileNetV2 of width 1.0, trained on ImageNet" in loaded.sentence
    banner = capsys.readouterr().out.split("Weights: ")[0].splitlines()
    assert set(banner[0]) == set(banner[-1]) == {"#"}
    assert all(line.startswith("##") for line in banner)
    text = "\n".join(banner)
    assert "NO COCO WEIGHTS: TRAINING STARTS FROM IMAGENET'S" in text
    assert f"fetch {published.GOOGLE}/tf_model_garden/vision/qat/mobilenetv2_ssd_coco/{COCO_NAME}" in text
    assert f"into  {cache}" in text
    assert "say weights='imagenet'" in text
    assert asked == [COCO_NAME, keras_files[1.0].name]


def test_file_fetched_by_hand_is_enough(wide: Any, coco: tuple[Path, list[np.ndarray]], cache: Path) -> None:
    """The file that the banner asks for, put where it says, is taken without any network."""
    cache.mkdir(parents=True)
    shutil.copy(coco[0], cache)
    assert weights.load(wide, "coco").source == "coco"


def test_network_without_a_coco_checkpoint_says_so(model: Any, keras_files: dict[float, Path], serve: Serve) -> None:
    """Where none is published, nothing is asked for, and the reason names those that are."""
    asked = serve(**{V2 + "0.35": keras_files[0.35]})
    words = "no COCO checkpoint is published for this network, only for TF2 Detection Zoo's SSD .*, RetinaNet Mobile"
    with pytest.warns(UserWarning, match=words):
        loaded = weights.load(model, "coco")
    assert loaded.source == "imagenet"
    assert asked == [keras_files[0.35].name]


def test_without_a_network_everything_is_random(wide: Any, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Offline, training starts from scratch, with both reasons, both files and where to put them."""
    before = renew(wide, seed=4)
    with pytest.warns(UserWarning, match="No pretrained weights, training starts from scratch"):
        loaded = weights.load(wide, "coco")
    assert unchanged(wide, before)
    assert (loaded.source, loaded.taken, len(loaded.left)) == ("scratch", 0, len(before))
    assert re.search("Wanted and not to be had: coco: .*; imagenet: ", loaded.sentence)
    text = capsys.readouterr().out.split("Weights: ")[0]
    for word in ("NO PRETRAINED WEIGHTS", "FROM SCRATCH", "Connection refused", "much less accurate", "weights=None"):
        assert word in text
    for file in (published.COCO[0].file, networks.FILES["MobileNetV2"][1.0]):
        assert f"fetch {file.url}\n##  into  {file.path.parent}" in text
    assert not [path for path in cache.parent.parent.rglob("*") if path.is_file()], "nothing is left in the caches"


@pytest.mark.parametrize("damage", ["half", "no archive", "no checkpoint", "another architecture", "leads out"])
def test_bad_coco_archive_never_reaches_the_model(
    damage: str,
    wide: Any,
    coco: tuple[Path, list[np.ndarray]],
    keras_files: dict[float, Path],
    serve: Serve,
    tmp_path: Path,
) -> None:
    """A half, foreign, empty or hostile archive is refused, and the chain goes on."""
    import tensorflow as tf

    data, words = coco[0].read_bytes(), "damaged or cut short"
    if damage == "half":
        data = data[: len(data) // 2]
    elif damage == "no archive":
        data, words = b"weights" * 100, "this is no zip or tar file"
    else:
        (tmp_path / "notes.txt").write_text("notes")
        with tarfile.open(tmp_path / "bad.tar.gz", "w:gz") as archive:
            if damage == "no checkpoint":
                archive.add(tmp_path / "notes.txt", "notes.txt")
                words = r"no checkpoint in this archive, which holds .*notes\.txt"
            elif damage == "leads out":
                archive.add(tmp_path / "notes.txt", "../../notes.txt")
                words = "would be written outside of the folder"
            else:
                prefix = tf.train.Checkpoint(model=make_model()).write(str(tmp_path / "other"))
                for path in tmp_path.glob("other.*"):
                    archive.add(path, path.name)
                words = f"{Path(prefix).name}: its backbone is not this model's"
        data = (tmp_path / "bad.tar.gz").read_bytes()
    serve(mobilenetv2_ssd=data, **{V2 + "1.0": keras_files[1.0]})
    before = renew(wide, seed=5)
    with pytest.warns(UserWarning, match=words):
        loaded = weights.load(wide, "coco")
    assert loaded.source == "imagenet"
    assert told_truly(loaded, wide, before)


def test_imagenet_from_the_real_file(
    shared: Path, model: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The published file, put where Keras keeps it, needs no network and gives Keras' features of a real photo."""
    import tf_keras
    from official.vision.ops import preprocess_ops
    from PIL import Image

    monkeypatch.undo()  # the real hash: it must be that of the real file
    file = networks.FILES["MobileNetV2"][0.35]
    real = shared / "weights" / file.name
    assert hashlib.sha256(real.read_bytes()).hexdigest() == file.sha256
    monkeypatch.setenv("KERAS_HOME", str(real.parent / "none"))
    monkeypatch.setattr(published, "keras_folder", lambda: real.parent)
    before = renew(model, seed=6)
    loaded = weights.load(model, "imagenet")
    assert (loaded.source, loaded.taken) == ("imagenet", 260)
    assert told_truly(loaded, model, before)
    assert str(loaded) in capsys.readouterr().out
    photo = next((shared / "data" / "asirra" / "test").glob("*.jpg"))
    pixels = np.asarray(Image.open(photo).convert("RGB").resize((SIZE, SIZE)))
    source = tf_keras.applications.MobileNetV2(
        include_top=False, weights=str(real), alpha=0.35, input_shape=(SIZE, SIZE, 3)
    )
    names = ("block_2_add", "block_5_add", "block_12_add", "block_16_project_BN")
    keras = tf_keras.Model(source.input, [source.get_layer(name).output for name in names])
    ours = model.backbone(preprocess_ops.normalize_image(pixels)[None], training=False)
    for level, theirs in zip("2345", keras(pixels[None] / np.float32(127.5) - 1), strict=True):
        difference = np.abs(ours[level] - theirs).mean() / np.abs(theirs).mean()
        assert difference < 0.06, "0.4 and more without making up for the normalization; the rest is the padding"
    np.testing.assert_allclose(
        ours["2"][:, :6, :6], keras(pixels[None] / np.float32(127.5) - 1)[0][:, :6, :6], atol=1e-4
    )


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"<!DOCTYPE html><title>Log in</title>", "sent a web page"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 500, "or damaged or cut off"),
        (404, "404"),
    ],
    ids=["web page", "broken", "gone"],
)
def test_bad_keras_file_never_reaches_the_model(answer: bytes | int, words: str, model: Any, serve: Serve) -> None:
    """What is not a whole weights file reaches neither the cache nor the model, and the reason is told."""
    asked, before = serve(mobilenet_v2=answer), snapshot(model)
    with pytest.warns(UserWarning, match=words):
        loaded = weights.load(model, "imagenet")
    assert len(asked) == 1
    assert loaded.source == "scratch"
    assert words in loaded.sentence
    assert not list(published.keras_folder().glob("*"))
    assert unchanged(model, before)


def test_damaged_cached_keras_file_is_downloaded_anew(
    model: Any, keras_files: dict[float, Path], serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    """A half file that another program left in the cache is replaced, not trusted."""
    data, path = keras_files[0.35].read_bytes(), networks.FILES["MobileNetV2"][0.35].path
    path.parent.mkdir(parents=True)
    path.write_bytes(data[: len(data) // 2])
    serve(mobilenet_v2=keras_files[0.35])
    assert weights.load(model, "imagenet").source == "imagenet"
    assert path.read_bytes() == data
    assert "not a Keras weights file (HDF5), or damaged or cut off" in capsys.readouterr().out


def test_networks_that_keras_lacks_start_from_scratch() -> None:
    """No weights for a width or a network: the banner says which there are, and nothing is asked for."""
    for backbone, words in (
        (make_backbone("MobileNetV2", 0.25), "for a MobileNetV2 of 0.25, only 0.35, 0.5, 0.75, 1.0, 1.3, 1.4"),
        (
            make_backbone("MobileNetMultiAVG", 1.0),
            "no network of Keras Applications is the Model Garden's MobileNet MobileNetMultiAVG",
        ),
    ):
        with pytest.warns(UserWarning, match="starts from scratch"):
            loaded = weights.load(around(backbone), "imagenet")
        assert loaded.source == "scratch"
        assert words in loaded.sentence


def test_resnet_50_starts_from_the_model_gardens_own(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The Model Garden's ResNet-50 is not Keras', so it takes the checkpoint that its own detectors start from."""
    import tensorflow as tf
    import tf_keras
    from official.vision.modeling import backbones, classification_model

    specs = tf_keras.layers.InputSpec(shape=[None, SIZE, SIZE, 3])
    detector = around(backbones.ResNet(model_id=50, input_specs=specs))
    before = renew(detector, seed=7)
    with pytest.warns(UserWarning, match="starts from scratch"):
        loaded = weights.load(detector, "imagenet")
    assert f"fetch {published.GOOGLE}/cloud-tpu-checkpoints/vision-2.0/resnet50_imagenet/" in capsys.readouterr().out
    assert unchanged(detector, before)
    other = backbones.ResNet(model_id=50, input_specs=specs)
    classifier = classification_model.ClassificationModel(other, num_classes=5, input_specs=specs)
    tensors = renew(other, seed=8)
    prefix = str(cache / "resnet50_imagenet" / "ckpt-28080")
    tf.train.Checkpoint(**classifier.checkpoint_items).write(prefix)
    loaded = weights.load(detector, "imagenet")
    assert (loaded.source, loaded.taken, loaded.left) == ("imagenet", len(tensors), ())
    assert unchanged(detector, tensors)


def test_none_is_scratch_and_says_so(model: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """weights=None changes nothing, warns of nothing and is reported as what it is."""
    before = snapshot(model)
    loaded = weights.load(model, None)
    assert unchanged(model, before)
    assert (loaded.source, loaded.taken, len(loaded.left)) == ("scratch", 0, len(before))
    assert "random values, as weights=None asks" in capsys.readouterr().out


# --- a packed checkpoint ---------------------------------------------------------------------------


def test_packed_checkpoint_by_its_path(wide: Any, coco: tuple[Path, list[np.ndarray]]) -> None:
    """A .tar.gz that somebody has gives all that fits the shapes."""
    before = renew(wide, seed=9)
    loaded = weights.load(wide, coco[0])
    assert told_truly(loaded, wide, before)
    assert len(loaded.left) == 2, "the depthwise part of the class output has the same shape"
    assert Path(loaded.source).name == "ckpt-277200"


# --- earlier runs ---------------------------------------------------------------------------------

Earlier = tuple[run_folder.Run, list[np.ndarray], list[np.ndarray]]


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Earlier:
    """A run of 3 classes with a best and a newest checkpoint, and the tensors of each."""
    import tensorflow as tf

    run, old = run_folder.open_run(tmp_path_factory.mktemp("runs") / "first"), make_model()
    run.update_manifest(classes=["cat", "dog", "hen"])
    tensors = []
    for folder in (run.models, run.checkpoints):
        tensors.append(renew(old, seed=20 + len(tensors)))
        checkpoint = tf.train.Checkpoint(model=old, global_step=tf.Variable(7, dtype=tf.int64))
        checkpoint.write(str(folder / "ckpt-7")) if folder == run.models else checkpoint.save(str(folder / "ckpt"))
    return run, tensors[0], tensors[1]


def test_earlier_run_gives_everything(earlier: Earlier, model: Any) -> None:
    """A run folder means its best model; a folder, a prefix and an index file mean that checkpoint."""
    run, best, newest = earlier
    for path, tensors in (
        (run.folder, best),
        (run.checkpoints, newest),
        (run.models, best),
        (run.checkpoints / "ckpt-1", newest),
        (run.models / "ckpt-7.index", best),
    ):
        loaded = weights.load(model, path, classes=["cat", "dog", "hen"])
        assert unchanged(model, tensors), path
        assert (loaded.taken, loaded.left) == (len(model.weights), ())
        assert Path(loaded.source).parent in (run.models, run.checkpoints)


def test_earlier_run_in_a_bucket(earlier: Earlier, model: Any, bucket: str) -> None:
    """A run that is kept in a bucket gives what it gives from this machine's disk."""
    storage.upload_folder(earlier[0].folder, f"{bucket}/first")
    weights.load(model, f"{bucket}/first", classes=["cat", "dog", "hen"])
    assert unchanged(model, earlier[1])


def test_copied_checkpoints_go_by_their_step(
    earlier: Earlier, model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the file that names the newest, the highest step is it, though it was copied first."""
    run, best, newest = earlier
    for step, prefix in ((1000, run.models / "ckpt-7"), (900, run.checkpoints / "ckpt-1")):
        for part in prefix.parent.glob(f"{prefix.name}.*"):
            shutil.copyfile(part, tmp_path / part.name.replace(prefix.name, f"ckpt-{step}"))
    weights.load(model, tmp_path)
    assert unchanged(model, best)
    monkeypatch.chdir(tmp_path)
    weights.load(model, "ckpt-900")
    assert unchanged(model, newest)


def test_run_of_other_classes_gives_all_but_the_class_output(
    earlier: Earlier, capsys: pytest.CaptureFixture[str]
) -> None:
    """With more classes, what has no place for them stays random, and the count is printed."""
    run, best, _ = earlier
    other = make_model(num_classes=5)
    before = renew(other, seed=30)
    loaded = weights.load(other, run.folder)
    assert told_truly(loaded, other, before)
    assert len(loaded.left) == 2
    assert all("/scores/" in name for name in loaded.left)
    assert f"{len(best) - 2} of {len(best)} tensors" in capsys.readouterr().out


def test_run_of_as_many_other_classes_gives_no_class_output(earlier: Earlier, model: Any) -> None:
    """Three other classes fit the shapes and mean something else: the class output is left out where that is known."""
    before = renew(model, seed=31)
    loaded = weights.load(model, earlier[0].folder, classes=["ox", "ass", "ewe"])
    assert told_truly(loaded, model, before)
    assert len(loaded.left) == 3
    assert all("/scores/" in name for name in loaded.left)
    assert "are of other classes" in loaded.sentence


def test_class_outputs_of_shared_classes_are_taken(earlier: Earlier, model: Any) -> None:
    """By name, however it is written, or by a name that is given; what only one of both knows stays as it was."""
    import tensorflow as tf

    run, tensors, _ = earlier
    before = renew(model, seed=33)
    loaded = weights.load(model, run.folder, classes=["Hen", "ox", "puss"], known_as={"puss": "cat"})
    assert loaded.left == ()
    for variable, old, theirs in zip(model.weights, before, tensors, strict=True):
        if "/scores/" not in variable.name or "depthwise" in variable.name:
            np.testing.assert_array_equal(variable, theirs)
            continue
        found, old, theirs = (tf.reshape(one, [*one.shape[:-1], 9, 4]).numpy() for one in (variable, old, theirs))
        np.testing.assert_array_equal(found[..., 0], theirs[..., 0], "background")
        np.testing.assert_array_equal(found[..., 1], theirs[..., 3], "hen")
        np.testing.assert_array_equal(found[..., 2], old[..., 2], "ox is not known there")
        np.testing.assert_array_equal(found[..., 3], theirs[..., 1], "puss is their cat")
    with pytest.raises(ValueError, match="known_as says that 'puss' is 'lion': there is no class 'lion', only 'cat'"):
        weights.load(model, run.folder, classes=["Hen", "ox", "puss"], known_as={"puss": "lion"})


def test_run_with_another_neck_gives_its_backbone(earlier: Earlier) -> None:
    """Another number of filters behind the backbone leaves the backbone's tensors usable, and says what is left."""
    other = make_model(filters=24)
    before = renew(other, seed=32)
    loaded = weights.load(other, earlier[0].folder)
    assert told_truly(loaded, other, before)
    assert not {variable.name for variable in other.backbone.weights} & set(loaded.left)
    assert "differ in place or shape" in loaded.sentence


def test_run_of_another_architecture_is_an_error(earlier: Earlier) -> None:
    """A run of another width gives nothing: the model is left as it was."""
    other = make_model(width=0.5)
    before = snapshot(other)
    with pytest.raises(ValueError, match=r"its backbone is not this model's: .* config\.yaml"):
        weights.load(other, earlier[0].folder)
    assert unchanged(other, before)


def test_model_garden_checkpoint_of_parts(earlier: Earlier, model: Any, tmp_path: Path) -> None:
    """A checkpoint that holds backbone, decoder and head by these names is understood too."""
    import tensorflow as tf

    weights.load(model, earlier[0].folder)
    prefix = tf.train.Checkpoint(**model.checkpoint_items).write(str(tmp_path / "parts"))
    renew(model, seed=33)
    assert weights.load(model, prefix).left == ()
    assert unchanged(model, earlier[1])


def test_diverged_run_is_an_error(model: Any, tmp_path: Path) -> None:
    """A checkpoint with NaN values is refused by the name of the first."""
    import tensorflow as tf

    renew(model, seed=34)
    kernel = model.backbone.weights[0]
    kernel.assign(kernel * np.nan)
    prefix = tf.train.Checkpoint(model=model).write(str(tmp_path / "nan"))
    before = renew(model, seed=35)
    with pytest.raises(ValueError, match=r"kernel:0 holds NaN or infinite values\. Choose another checkpoint"):
        weights.load(model, prefix)
    assert unchanged(model, before)


@pytest.mark.parametrize("damage", ["index cut", "data cut", "data missing"])
def test_damaged_checkpoint_never_reaches_the_model(damage: str, earlier: Earlier, model: Any, tmp_path: Path) -> None:
    """A checkpoint that was half copied is refused as a whole, with what to do."""
    for part in earlier[0].models.glob("ckpt-7.*"):
        data = part.read_bytes()
        cut = damage == "index cut" if part.suffix == ".index" else damage == "data cut"
        if part.suffix == ".index" or damage != "data missing":
            (tmp_path / part.name).write_bytes(data[: len(data) // 2] if cut else data)
    before = snapshot(model)
    with pytest.raises(
        ValueError, match=r"cannot be read as a checkpoint, it is damaged or not whole .* Fetch it again"
    ):
        weights.load(model, tmp_path / "ckpt-7")
    assert unchanged(model, before)


def test_paths_without_a_checkpoint_say_what_is_there(model: Any, tmp_path: Path) -> None:
    """A missing path, a folder without checkpoints and another file are errors that say what was found."""
    before = snapshot(model)
    with pytest.raises(FileNotFoundError, match=r"gone': there is nothing here\. Give 'coco', 'imagenet', None"):
        weights.load(model, tmp_path / "gone")
    (tmp_path / "notes.txt").write_text("not a checkpoint")
    with pytest.raises(FileNotFoundError, match=r"no checkpoint in this folder, which holds .*notes\.txt"):
        weights.load(model, tmp_path)
    with pytest.raises(FileNotFoundError, match="this file is no checkpoint"):
        weights.load(model, tmp_path / "notes.txt")
    assert unchanged(model, before)


def test_class_outputs_are_known_by_their_names() -> None:
    """Class outputs of RetinaNet, Faster and Mask R-CNN are known; what tells objects from background is none."""
    from types import SimpleNamespace

    from tfod_helpers.network.weights import checkpoints

    names = {
        "retina_net_head/scores/pointwise_kernel:0": True,
        "detection_head/detection-scores/kernel:0": True,
        "detection_head/detection-boxes/bias:0": True,
        "mask_head/mask-logits/kernel:0": True,
        "rpn_head/rpn-scores/kernel:0": False,
        "retina_net_head/boxes/kernel:0": False,
        "retina_net_head/classnet-conv_0/kernel:0": False,
    }
    assert {name: checkpoints.is_class_output(SimpleNamespace(name=name)) for name in names} == names


def test_classes_that_differ_in_case_alone_are_two() -> None:
    """The very same name comes before one that only looks alike."""
    from tfod_helpers.network.weights import class_outputs

    theirs = ["cat", "Cat", "traffic light", None, "traffic_light"]
    assert class_outputs.places(["Cat", "traffic_light", "cat", "TRAFFIC-LIGHT"], theirs) == {0: 1, 1: 4, 2: 0, 3: 2}


# --- the TF2 Detection Zoo -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def light() -> Any:
    """The network of SSD MobileNetV2 FPNLite, of two classes that COCO knows and one that it does not."""
    from tfod_helpers.experiment.config import from_preset
    from tfod_helpers.network.model import build_model

    config = from_preset("mobilenet_v2_fpnlite_320")
    config.task.model.input_size, config.task.model.num_classes = [64, 64, 3], 4
    return build_model(config)


@pytest.fixture(scope="module")
def zoo_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zoo's archive, laid out as it is there, with values that a rule gives in place of COCO's."""
    folder = tmp_path_factory.mktemp("zoo") / "ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8"
    fixture = originals.load("fpnlite_320")
    predictor = "_box_predictor/_prediction_heads/class_predictions_with_background/_class_predictor_layers/0"
    shapes = {f"{predictor}/pointwise_kernel": [1, 1, 128, 6 * 91], f"{predictor}/bias": [6 * 91]}
    originals.write_checkpoint(
        fixture, folder / "checkpoint" / "ckpt-0", **{key: originals.value(key, shape) for key, shape in shapes.items()}
    )
    (folder / "saved_model" / "variables").mkdir(parents=True)
    (folder / "saved_model" / "variables" / "variables.index").write_bytes(b"other names")
    (folder / "pipeline.config").write_text(fixture["config"])
    path = folder.with_name(f"{folder.name}.tar.gz")
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, folder.name)
    return path


def test_the_zoo_gives_all_of_it_and_the_classes_that_coco_knows(
    light: Any, zoo_archive: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every tensor of pyramid, heads and backbone; of the class outputs a dog's and a person's, at COCO's ids."""
    monkeypatch.setattr(zoo, "DETECTORS", (dataclasses.replace(zoo.DETECTORS[0], blobs={}),))
    asked, before = serve(ssd_mobilenet_v2=zoo_archive), renew(light, seed=40)
    loaded = weights.load(light, "coco", classes=["dog", "gadget", "Person"])
    assert asked == [zoo_archive.name]
    assert (loaded.source, loaded.left) == ("coco", ())
    assert "the TF2 Detection Zoo's SSD MobileNetV2 FPNLite 320 (AP 22.2), trained on COCO" in loaded.sentence
    assert "Apache License" in loaded.terms.licence
    (bias,) = [n for n, variable in enumerate(light.weights) if variable.name.endswith("/scores/bias:0")]
    key = "_box_predictor/_prediction_heads/class_predictions_with_background/_class_predictor_layers/0/bias"
    theirs, found = originals.value(key, [6 * 91]).reshape(6, 91), light.weights[bias].numpy().reshape(6, 4)
    np.testing.assert_array_equal(found[:, [0, 1, 3]], theirs[:, [0, 18, 1]])
    np.testing.assert_array_equal(found[:, 2], before[bias].reshape(6, 4)[:, 2])


def test_another_file_than_the_zoos_is_refused(light: Any, zoo_archive: Path, serve: Serve) -> None:
    """What public repositories hold of an archive is known by git's hash of it, and nothing else is taken for it."""
    serve(ssd_mobilenet_v2=zoo_archive)
    before = renew(light, seed=41)
    with pytest.warns(UserWarning, match=r"ckpt-0\.\S+ is not the file that public copies of it"):
        loaded = weights.load(light, "coco")
    assert loaded.source == "scratch"
    assert unchanged(light, before)
