"""Pretrained weights: equal features, an honest word where there are none, and earlier runs taken over by place."""

from __future__ import annotations

import hashlib
import http.server
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tfod_helpers import imagenet_file, weights, workspace

SIZE = 96
WIDTHS = (0.35, 0.5, 1.0, 1.4)
# Keras Applications' layers whose output is the Model Garden backbone's endpoint at stride 2 ** level.
KERAS_LAYERS = {"2": "block_2_add", "3": "block_5_add", "4": "block_12_add", "5": "block_16_project_BN"}


def make_backbone(width: float = 0.35, size: int = SIZE, **settings: object):
    """Return a Model Garden MobileNetV2 for images of ``size`` x ``size``."""
    import tf_keras
    from official.vision.modeling.backbones.mobilenet import MobileNet

    settings.setdefault("model_id", "MobileNetV2")
    specs = tf_keras.layers.InputSpec(shape=[None, size, size, 3])
    return MobileNet(filter_size_scale=width, input_specs=specs, **settings)


def make_model(num_classes: int = 3, width: float = 0.35, filters: int = 32):
    """Return a small RetinaNet, built as training builds it."""
    from official.core import exp_factory
    from official.vision import registry_imports  # noqa: F401
    from official.vision.tasks.retinanet import RetinaNetTask

    config = exp_factory.get_exp_config("retinanet")
    model = config.task.model
    model.num_classes, model.input_size, model.min_level, model.max_level = num_classes, [SIZE, SIZE, 3], 3, 5
    model.backbone.type, model.decoder.type = "mobilenet", "fpn"
    model.backbone.mobilenet.model_id, model.backbone.mobilenet.filter_size_scale = "MobileNetV2", width
    model.decoder.fpn.num_filters = model.head.num_filters = filters
    model.decoder.fpn.use_separable_conv = model.head.use_separable_conv = True
    model.head.num_convs, model.norm_activation.activation = 1, "relu6"
    return RetinaNetTask(config.task).build_model()


def make_keras_model(keras, width: float, size: int = SIZE, path: Path | None = None):
    """Return a MobileNetV2 of ``keras`` or ``tf_keras``: random batch norms too, or the weights of a file."""
    model = keras.applications.MobileNetV2(
        include_top=False, weights=path and str(path), alpha=width, input_shape=(size, size, 3)
    )
    if path is None:
        randomise(model.weights, seed=round(width * 100))
    return model


def randomise(variables: list, seed: int) -> None:
    """Give every tensor random values with which a photo's differences reach the last layer.

    Keras' own start would not do: its depthwise kernels are so small that the features behind a few of them are the
    same for every photo, and its batch norms are all alike, so that two could be exchanged unseen.
    """
    rng = np.random.default_rng(seed)
    ranges = {"gamma": (0.5, 1.5), "beta": (-0.5, 0.5), "moving_mean": (-0.5, 0.5), "moving_variance": (0.5, 1.5)}
    for variable in variables:
        shape = tuple(variable.shape)
        kind = next((kind for kind in ranges if kind in variable.name), None)
        if kind:
            variable.assign(rng.uniform(*ranges[kind], shape).astype(np.float32))
        elif len(shape) == 4:
            fan_in = shape[0] * shape[1] * (1 if shape[3] == 1 else shape[2])
            variable.assign(rng.normal(0, (2 / fan_in) ** 0.5, shape).astype(np.float32))


def keras_features(keras, model, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Return Keras' features of uint8 images at strides 4 to 32, by level, and of its last layer."""
    outputs = {level: model.get_layer(name).output for level, name in KERAS_LAYERS.items()}
    outputs["6"] = model.output
    features = keras.Model(model.input, list(outputs.values()))(pixels / np.float32(127.5) - 1)
    return {level: np.asarray(feature) for level, feature in zip(outputs, features, strict=True)}


def official_features(backbone, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Return a backbone's features of uint8 images that were normalised as the Model Garden does it."""
    import tensorflow as tf
    from official.vision.ops import preprocess_ops

    images = tf.map_fn(preprocess_ops.normalize_image, tf.constant(pixels), fn_output_signature=tf.float32)
    return {level: feature.numpy() for level, feature in backbone(images, training=False).items()}


def lively(features: np.ndarray) -> bool:
    """Say whether features change from place to place: equal ones that do not would prove nothing."""
    return features.std(axis=(1, 2)).mean() > 0.1 * np.abs(features).mean()


def deviation(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the mean absolute difference of two feature maps, as a share of the second's mean absolute value."""
    return float(np.abs(ours - theirs).mean() / np.abs(theirs).mean())


def snapshot(model) -> list[np.ndarray]:
    """Return a copy of all of a model's tensors."""
    return [variable.numpy() for variable in model.weights]


def unchanged(model, before: list[np.ndarray]) -> bool:
    """Say whether a model still holds the tensors of a snapshot."""
    return all(np.array_equal(old, new) for old, new in zip(before, snapshot(model), strict=True))


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """Two random photos, uint8, shape (2, SIZE, SIZE, 3)."""
    return np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3), np.uint8)


@pytest.fixture(scope="module")
def model():
    """A RetinaNet of 3 classes whose weights tests may overwrite."""
    return make_model()


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random MobileNetV2 of width 0.35 in the format that Keras Applications publishes."""
    import tf_keras

    path = tmp_path_factory.mktemp("published") / "random.h5"
    make_keras_model(tf_keras, 0.35).save_weights(path)
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Keras cache, no waiting between attempts, and an address where nobody listens."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(imagenet_file, "_WAIT_SECONDS", 0)
    monkeypatch.setattr(imagenet_file, "_SHA256", {})
    monkeypatch.setattr(imagenet_file, "ADDRESS", "http://127.0.0.1:9/")
    return tmp_path / "keras" / "models"


Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


@pytest.fixture
def serve(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[str]]]:
    """Start a server that gives the answers one after the other; returns the list of what was asked for."""
    servers = []

    def start(*answers: Answer) -> list[str]:
        asked: list[str] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                answers[min(len(asked), len(answers)) - 1](self)

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(imagenet_file, "ADDRESS", f"http://127.0.0.1:{server.server_port}/")
        return asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def fails(status: int) -> Answer:
    """Answer with an HTTP error."""
    return lambda handler: handler.send_error(status)


def gives(data: bytes, cut_at: int | None = None, kind: str = "application/octet-stream") -> Answer:
    """Answer with ``data``; with ``cut_at`` promise all of it and hang up after so many bytes."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.send_header("Content-Type", kind)
        handler.end_headers()
        handler.wfile.write(data[:cut_at])

    return answer


def test_importing_weights_loads_no_tensorflow() -> None:
    """The map of the package stays light: TensorFlow comes with the first model."""
    code = "import sys, tfod_helpers.weights; sys.exit('tensorflow' in sys.modules or 'h5py' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.tensorflow
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("keras_name", ["keras", "tf_keras"])
def test_copied_backbone_gives_the_same_features(keras_name: str, width: float, pixels: np.ndarray) -> None:
    """A copied backbone and its source agree at every stride, for random weights, several widths, either Keras."""
    keras = pytest.importorskip(keras_name)
    source, backbone = make_keras_model(keras, width), make_backbone(width)
    assert weights.copy_mobilenet_v2(source, backbone) == 260
    ours = backbone(pixels / np.float32(127.5) - 1, training=False)
    for level, theirs in keras_features(keras, source, pixels).items():
        assert lively(theirs)
        # Keras 3 runs its convolutions by other routes, whose rounding 17 blocks of random weights amplify.
        atol = (1e-6 if keras_name == "tf_keras" else 1e-4) * np.abs(theirs).max()
        np.testing.assert_allclose(ours[level].numpy(), theirs, rtol=0, atol=atol, err_msg=level)


@pytest.mark.tensorflow
@pytest.mark.parametrize("keras_name", ["keras", "tf_keras"])
def test_fold_makes_up_for_the_other_normalization(keras_name: str) -> None:
    """Away from the padding, the folded backbone sees a photo as Keras does; at the padding almost so."""
    keras, size = pytest.importorskip(keras_name), 192
    photos = np.random.default_rng(1).integers(0, 256, (1, size, size, 3), np.uint8)
    source, backbone = make_keras_model(keras, 0.35, size), make_backbone(0.35, size)
    weights.copy_mobilenet_v2(source, backbone)
    theirs = keras_features(keras, source, photos)
    unfolded = official_features(backbone, photos)
    weights.fold_normalization(backbone)
    ours = official_features(backbone, photos)
    # Stride 2 pads below and on the right only: what is above and to the left is out of the padding's reach.
    for level, inside in (("2", 40), ("3", 16), ("4", 3)):
        interior, atol = np.s_[:, :inside, :inside], 1e-4 * np.abs(theirs[level]).max()
        assert lively(theirs[level][interior])
        np.testing.assert_allclose(ours[level][interior], theirs[level][interior], rtol=0, atol=atol, err_msg=level)
    assert deviation(ours["2"], theirs["2"]) < 0.01
    for level in KERAS_LAYERS:
        assert deviation(ours[level], theirs[level]) < 0.4 * deviation(unfolded[level], theirs[level])


@pytest.mark.tensorflow
def test_another_batch_norm_epsilon_is_made_up_for(pixels: np.ndarray) -> None:
    """A backbone whose batch norms add another epsilon still gives Keras' features."""
    import tf_keras

    source, backbone = make_keras_model(tf_keras, 0.35), make_backbone(0.35, norm_epsilon=0.1)
    weights.copy_mobilenet_v2(source, backbone)
    ours = backbone(pixels / np.float32(127.5) - 1, training=False)
    for level, theirs in keras_features(tf_keras, source, pixels).items():
        atol = 1e-4 * np.abs(theirs).max()
        np.testing.assert_allclose(ours[level].numpy(), theirs, rtol=0, atol=atol, err_msg=level)


@pytest.mark.tensorflow
def test_real_file_from_the_cache(
    shared: Path, cache: Path, model, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The published file, put where Keras keeps it, needs no network and gives Keras' features of a real photo."""
    import tf_keras
    from PIL import Image

    published = shared / "weights" / imagenet_file.cache_path(0.35).name
    photo = next((shared / "data" / "asirra" / "test").glob("*.jpg"))
    monkeypatch.undo()  # the real hash: it must be that of the real file
    assert hashlib.sha256(published.read_bytes()).hexdigest() == imagenet_file._SHA256[0.35]
    monkeypatch.setenv("KERAS_HOME", str(cache.parent))
    cache.mkdir(parents=True)
    (cache / published.name).symlink_to(published)
    loaded = weights.load(model, "imagenet")
    assert (loaded.source, loaded.taken, len(loaded.left)) == ("imagenet", 260, 66)
    assert str(loaded) in capsys.readouterr().out
    pixels = np.asarray(Image.open(photo).convert("RGB").resize((SIZE, SIZE)))[None]
    theirs = keras_features(tf_keras, make_keras_model(tf_keras, 0.35, path=published), pixels)
    ours = official_features(model.backbone, pixels)
    interior = np.s_[:, :6, :6]
    np.testing.assert_allclose(ours["3"][interior], theirs["3"][interior], atol=1e-4 * np.abs(theirs["3"]).max())
    for level in KERAS_LAYERS:
        assert deviation(ours[level], theirs[level]) < 0.05  # 0.44 to 0.66 without the fold


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"alpha": 0.5, "include_top": False}, "Conv1/kernel:0 has shape (3, 3, 3, 16), "),
        ({"alpha": 0.75, "include_top": True}, "it has 53 tensors called kernel, the backbone has 52"),
    ],
    ids=["width", "top"],
)
def test_misfitting_source_is_refused_whole(settings: dict, found: str) -> None:
    """A source of another width or with a top is an error that says what differs, and changes nothing."""
    import tf_keras

    source, backbone = tf_keras.applications.MobileNetV2(**settings, weights=None), make_backbone(0.75)
    before = snapshot(backbone)
    with pytest.raises(ValueError, match=r"does not fit the backbone of width 0\.75: .*include_top=False") as raised:
        weights.copy_mobilenet_v2(source, backbone)
    assert found in str(raised.value)
    assert unchanged(backbone, before)


@pytest.mark.tensorflow
def test_widths_and_backbones_without_published_weights_are_errors(cache: Path) -> None:
    """ImageNet weights for a width that has none, or for another backbone, are an error that names what exists."""
    import tf_keras

    class Detector(tf_keras.Model):
        """All that load needs of a detector before it looks at weights."""

        def __init__(self, backbone) -> None:
            super().__init__()
            self.backbone = backbone

    with pytest.raises(ValueError, match=r"width 0\.25.*0\.35, 0\.5, 0\.75, 1\.0, 1\.3, 1\.4"):
        weights.load(Detector(make_backbone(0.25)), "imagenet")
    with pytest.raises(ValueError, match=r"for a MobileNetV2 backbone, got MobileNet \(MobileNetV3Small\)"):
        weights.load(Detector(make_backbone(1.0, model_id="MobileNetV3Small")), "imagenet")
    assert not cache.exists()


@pytest.mark.tensorflow
def test_no_network_and_no_file_shows_a_banner(cache: Path, model, capsys: pytest.CaptureFixture[str]) -> None:
    """Offline, training goes on from scratch, and nobody can overlook or misreport it."""
    before = snapshot(model)
    with pytest.warns(UserWarning, match="training starts from scratch"):
        loaded = weights.load(model, "imagenet")
    banner = capsys.readouterr().out.split("Weights: ")[0].splitlines()
    assert set(banner[0]) == set(banner[-1]) == {"#"}
    assert all(line.startswith("##") for line in banner)
    text = "\n".join(banner)
    for word in ("NO PRETRAINED WEIGHTS", "FROM SCRATCH", "Connection refused", "much less accurate", "weights=None"):
        assert word in text
    assert f"http://127.0.0.1:9/{imagenet_file.cache_path(0.35).name}" in text
    assert str(imagenet_file.cache_path(0.35).parent) in text
    assert unchanged(model, before)
    assert (loaded.source, loaded.taken, len(loaded.left)) == ("scratch", 0, len(model.weights))
    assert "could not be had" in str(loaded)
    assert not list(cache.glob("*")), "nothing is left in the cache"


@pytest.mark.tensorflow
def test_download_survives_failures(cache: Path, model, serve, weights_file: Path) -> None:
    """A server that fails, then hangs up half way, then works, leaves the whole file in the cache and in the model."""
    data = weights_file.read_bytes()
    asked = serve(fails(503), gives(data, cut_at=len(data) // 2), gives(data))
    loaded = weights.load(model, "imagenet")
    name = imagenet_file.cache_path(0.35).name
    assert asked == [f"/{name}"] * 3
    assert (loaded.source, loaded.taken) == ("imagenet", 260)
    assert [path.name for path in cache.iterdir()] == [name]
    assert (cache / name).read_bytes() == data
    after = snapshot(model.backbone)
    weights.load(model, "imagenet")
    assert len(asked) == 3, "the second time it comes from the cache"
    assert unchanged(model.backbone, after)


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("answer", "word", "times"),
    [
        (gives(b"<!DOCTYPE html><title>Log in</title>", kind="text/html"), "a web page", 3),
        (gives(b"\x89HDF\r\n\x1a\n" + b"\0" * 500), "damaged, cut off or of another kind", 3),
        (fails(404), "404", 1),
    ],
    ids=["web page", "broken", "gone"],
)
def test_wrong_downloads_are_refused(answer: Answer, word: str, times: int, cache: Path, model, serve) -> None:
    """What is not a whole weights file never reaches the cache or the model, and the reason is told."""
    before = snapshot(model)
    asked = serve(answer)
    with pytest.warns(UserWarning, match=word):
        loaded = weights.load(model, "imagenet")
    assert len(asked) == times
    assert loaded.source == "scratch"
    assert word in loaded.sentence
    assert not list(cache.glob("*"))
    assert unchanged(model, before)


@pytest.mark.tensorflow
def test_altered_download_is_refused(
    cache: Path, model, serve, weights_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the published file's hash is known, a file with another one is refused."""
    monkeypatch.setattr(imagenet_file, "_SHA256", {0.35: "0" * 64})
    serve(gives(weights_file.read_bytes()))
    with pytest.warns(UserWarning, match="not the published one"):
        assert weights.load(model, "imagenet").source == "scratch"
    assert not list(cache.glob("*"))


@pytest.mark.tensorflow
def test_damaged_cached_file_is_downloaded_anew(
    cache: Path, model, serve, weights_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A half file that another program left in the cache is replaced, not trusted."""
    data = weights_file.read_bytes()
    path = imagenet_file.cache_path(0.35)
    path.parent.mkdir(parents=True)
    path.write_bytes(data[: len(data) // 2])
    serve(gives(data))
    assert weights.load(model, "imagenet").source == "imagenet"
    assert path.read_bytes() == data
    assert "Downloading it anew" in capsys.readouterr().out


@pytest.mark.tensorflow
def test_weights_file_named_by_path(model, weights_file: Path, tmp_path: Path, pixels: np.ndarray) -> None:
    """A Keras Applications file given by its path is copied and folded as the published one is."""
    import tf_keras

    loaded = weights.load(model, weights_file)
    assert (loaded.source, loaded.taken) == (str(weights_file), 260)
    backbone = make_backbone()
    weights.copy_mobilenet_v2(make_keras_model(tf_keras, 0.35, path=weights_file), backbone)
    weights.fold_normalization(backbone)
    assert unchanged(model.backbone, snapshot(backbone))
    with pytest.raises(FileNotFoundError, match="there is no weights file here"):
        weights.load(model, tmp_path / "none.h5")


@pytest.mark.tensorflow
def test_none_is_scratch_and_says_so(model, capsys: pytest.CaptureFixture[str]) -> None:
    """weights=None changes nothing, warns of nothing and is reported as what it is."""
    before = snapshot(model)
    loaded = weights.load(model, None)
    assert unchanged(model, before)
    assert (loaded.source, loaded.taken, len(loaded.left)) == ("scratch", 0, len(model.weights))
    assert "random values, as weights=None asks" in capsys.readouterr().out


@pytest.fixture(scope="module")
def earlier_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[workspace.Run, list[np.ndarray], list[np.ndarray]]:
    """A run of 3 classes with a best and a newest checkpoint, and the tensors of each."""
    import tensorflow as tf

    run, old = workspace.open_run(tmp_path_factory.mktemp("runs") / "first"), make_model()
    tensors = []
    for folder in (run.best, run.checkpoints):
        randomise(old.weights, seed=len(tensors))
        checkpoint = tf.train.Checkpoint(model=old, global_step=tf.Variable(7, dtype=tf.int64))
        checkpoint.write(str(folder / "ckpt-7")) if folder == run.best else checkpoint.save(str(folder / "ckpt"))
        tensors.append(snapshot(old))
    return run, tensors[0], tensors[1]


@pytest.mark.tensorflow
def test_earlier_run_gives_everything(earlier_run, model) -> None:
    """A run folder means its best model; a folder, a prefix and an index file mean that checkpoint."""
    run, best, newest = earlier_run
    for path, tensors in (
        (run.folder, best),
        (run.checkpoints, newest),
        (run.best, best),
        (run.checkpoints / "ckpt-1", newest),
        (run.best / "ckpt-7.index", best),
    ):
        loaded = weights.load(model, path)
        assert unchanged(model, tensors), path
        assert (loaded.taken, loaded.left) == (len(model.weights), ())
        assert Path(loaded.source).parent in (run.best, run.checkpoints)


@pytest.mark.tensorflow
def test_earlier_run_with_other_classes_gives_all_but_the_class_output(
    earlier_run, capsys: pytest.CaptureFixture[str]
) -> None:
    """With other classes, only the class output stays random, and the count is printed."""
    run, best, _ = earlier_run
    other = make_model(num_classes=5)
    before = snapshot(other)
    loaded = weights.load(other, run.folder)
    assert len(loaded.left) == 2
    assert all("/scores/" in name for name in loaded.left), "the Model Garden calls its class output so"
    assert f"{len(best) - 2} of {len(best)} tensors" in capsys.readouterr().out
    for variable, old, new, now in zip(other.weights, best, before, snapshot(other), strict=True):
        np.testing.assert_array_equal(now, new if variable.name in loaded.left else old, err_msg=variable.name)


@pytest.mark.tensorflow
def test_earlier_run_with_another_neck_gives_its_backbone(earlier_run) -> None:
    """Another number of filters behind the backbone leaves the backbone's tensors usable, and says what is left."""
    run, best, _ = earlier_run
    other = make_model(filters=48)
    loaded = weights.load(other, run.folder)
    backbone = {variable.name for variable in other.backbone.weights}
    assert not backbone & set(loaded.left)
    assert loaded.taken + len(loaded.left) == len(other.weights)
    assert "differ in place or shape" in loaded.sentence
    np.testing.assert_array_equal(other.backbone.weights[0].numpy(), best[0])


@pytest.mark.tensorflow
def test_earlier_run_with_another_backbone_is_an_error(earlier_run) -> None:
    """A run of another width gives nothing: the model is left as it was."""
    other = make_model(width=0.5)
    before = snapshot(other)
    with pytest.raises(ValueError, match=r"its backbone is not this model's: .* config\.yaml"):
        weights.load(other, earlier_run[0].folder)
    assert unchanged(other, before)


@pytest.mark.tensorflow
def test_model_garden_checkpoint_of_parts(earlier_run, model, tmp_path: Path) -> None:
    """A checkpoint that holds backbone, decoder and head by these names is understood too."""
    import tensorflow as tf

    weights.load(model, earlier_run[0].folder)
    prefix = tf.train.Checkpoint(**model.checkpoint_items).write(str(tmp_path / "parts"))
    randomise(model.weights, seed=9)
    assert weights.load(model, prefix).left == ()
    assert unchanged(model, earlier_run[1])


@pytest.mark.tensorflow
def test_paths_without_a_checkpoint_say_what_is_there(model, tmp_path: Path, earlier_run) -> None:
    """A missing path, a folder without checkpoints and a damaged checkpoint are errors that say what was found."""
    before = snapshot(model)
    with pytest.raises(FileNotFoundError, match=r"gone': there is nothing here.*'imagenet', None"):
        weights.load(model, tmp_path / "gone")
    (tmp_path / "notes.txt").write_text("not a checkpoint")
    with pytest.raises(FileNotFoundError, match=r"no checkpoint in this folder, which holds notes\.txt"):
        weights.load(model, tmp_path)
    with pytest.raises(FileNotFoundError, match="this file is no checkpoint"):
        weights.load(model, tmp_path / "notes.txt")
    for part in earlier_run[0].best.glob("ckpt-7.*"):
        (tmp_path / part.name).write_bytes(part.read_bytes()[:1000])
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        weights.load(model, tmp_path / "ckpt-7")
    assert unchanged(model, before)
