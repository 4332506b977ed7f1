"""What the tests share: the test material beside the checkout, servers, and the small training (small_training.py)."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from multiprocessing.context import BaseContext
from pathlib import Path

import pytest
from bucket_server import BucketServer
from small_training import SYNC, Small, Trained, draw_rectangles
from web_exports import write_exports

from tfod_helpers import records
from tfod_helpers.files import workspace
from tfod_helpers.photos import looks

# Each core has a process of its own then, and more threads would only wait for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}

# A call of Ray without one would start one that nobody ends, and that ends this process a minute after its machines.
os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"

STEPS, INTERRUPTED = 48, 20  # of the small training, and where it is interrupted

Once = Callable[[str, Callable[[Path], object]], Path]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest tests first, the notebooks and those that train: begun last, they would leave a core idle."""
    items.sort(key=lambda item: item.path.stem, reverse=True)  # of those, the ones of several processes come first
    items.sort(key=lambda item: (item.path.stem != "test_notebooks_running", not item.get_closest_marker("tensorflow")))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data sets, weights and odd files beside the checkout; skips where it is missing."""
    folder = Path(__file__).parents[1].parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs the shared test material, and there is no {folder}")
    return folder


@pytest.fixture(scope="session")
def keras_home(shared: Path, once: Once) -> Path:
    """A Keras folder with the shared weights in its cache; a test sets ``KERAS_HOME`` to it."""

    def fill(folder: Path) -> None:
        shutil.copytree(shared / "weights", folder / "models")

    return once("keras_home", fill)


@pytest.fixture(autouse=True)
def _nothing_seen(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No photo was looked at before the test, and what it sees is not kept in the user's cache."""
    folder = tmp_path_factory.mktemp("looks")
    monkeypatch.setattr(looks, "_file", lambda: folder / "looks.npy")
    looks._seen.cache_clear()


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[BucketServer]:
    """A Cloud Storage of this test's own that knows who may do what, seen from a machine that is not Google's."""
    from tfod_helpers.bucket import policy

    server = BucketServer()
    for name in ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "GCE_METADATA_HOST", "COLAB_RELEASE_TAG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.address)
    monkeypatch.setattr(policy, "_FIRST_WAIT", 0.0)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def emulator() -> Iterator[tuple[str, Callable[[], None]]]:
    """A server in this process that speaks as Google's does: its address, and what empties its bucket."""
    from gcp_storage_emulator.server import create_server

    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    server = create_server("localhost", port, in_memory=True, default_bucket="photos-and-records")
    server.start()
    yield f"http://localhost:{port}", lambda: server.wipe(keep_buckets=True)
    server.stop()


@pytest.fixture
def bucket(
    emulator: tuple[str, Callable[[], None]], monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """The address of an empty bucket; the cache is empty."""
    address, empty = emulator
    empty()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    return "gs://photos-and-records"


@pytest.fixture(scope="session")
def processes() -> BaseContext:
    """What starts processes that have loaded TensorFlow already, which takes ten seconds, and have not used it yet.

    A process of its own can be killed, have other devices, and gives the memory of its graphs back.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tfod_helpers.training", "tfod_helpers.exporting.saved_model"])
    return context


@pytest.fixture
def eagerly() -> Iterator[None]:
    """Run a few train steps without making their graph, which takes longer than they do, and is never freed."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """What makes a folder once for all processes of a test run: the first makes it, the others wait for that."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        with workspace.alone(folder / name):
            if not (folder / f"{name}.made").exists():
                shutil.rmtree(folder / name, ignore_errors=True)  # what failed in another process
                (folder / name).mkdir()
                fill(folder / name)
                (folder / f"{name}.made").touch()
        return folder / name

    return make


@pytest.fixture(scope="session")
def small(once: Once) -> Small:
    """Records of coloured rectangles, and a config that trains on them in seconds."""
    from tfod_helpers import experiment

    folder = once("small", draw_and_write)
    train, validation = (records.verify(folder / "records" / part) for part in ("train", "validation"))
    drawn = draw_rectangles(folder / "validation", 4, seed=1)
    config = experiment.make(
        "mobilenet_v2_192",
        train=train,
        validation=validation,
        image_size=64,
        batch_size=4,
        train_steps=STEPS,
        learning_rate=0.01,
        weights=None,
    )
    slim = {"head.num_convs": 1, "head.num_filters": 16, "decoder.fpn.num_filters": 16, "anchor.num_scales": 1}
    settings = {f"task.model.{name}": value for name, value in slim.items()}
    settings["task.model.backbone.mobilenet.model_id"] = "MobileNetV1"
    settings[SYNC] = False  # several replicas trace it for a minute; one test does
    settings |= {f"trainer.{name}_interval": 8 for name in ("validation", "checkpoint")}
    settings |= {"trainer.steps_per_loop": 4, "task.model.detection_generator.pre_nms_score_threshold": 0.0}
    plain = {"aug_rand_hflip": False, "aug_scale_min": 1.0, "aug_scale_max": 1.0, "aug_aspect": 1.0, "aug_color": 0.0}
    settings |= {f"task.train_data.parser.{name}": value for name, value in plain.items()}
    return Small(train, validation, drawn, experiment.change(config, settings))


def draw_and_write(folder: Path) -> None:
    """Draw the photos of the small training, and write their records."""
    for part, count, seed, shards in (("train", 8, 0, 2), ("validation", 4, 1, None)):
        drawn = draw_rectangles(folder / part, count, seed=seed)
        records.write(drawn, folder / "records" / part, shards=shards)


@pytest.fixture(scope="session")
def interrupted(small: Small, once: Once) -> Path:
    """The run folder of the small training, stopped by Ctrl-C between two checkpoints; tests take copies."""

    def train(folder: Path) -> None:
        from tfod_helpers import training
        from tfod_helpers.training.steps import Steps

        run_steps = Steps.run

        def interrupt(steps: Steps, count: int, limit: float) -> dict[str, float]:
            if steps.done == INTERRUPTED:
                raise KeyboardInterrupt
            return run_steps(steps, count, limit)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Steps, "run", interrupt)
            with pytest.raises(KeyboardInterrupt):
                training.train(small.config, folder / "run")

    return once("interrupted", train) / "run"


@pytest.fixture(scope="session")
def trained(small: Small, interrupted: Path, once: Once) -> Trained:
    """The small training: interrupted, then started again and finished."""
    from tfod_helpers import training
    from tfod_helpers.files import run_folder

    def finish(folder: Path) -> None:
        training.train(small.config, shutil.copytree(interrupted, folder / "run"))

    run, before = run_folder.open_run(once("trained", finish) / "run"), run_folder.open_run(interrupted)
    history = training.train(small.config, run)  # which is finished
    return Trained(run, history, before.read_manifest(), before.history_path.read_text())


@pytest.fixture(scope="session")
def export_folder(trained: Trained, once: Once) -> Path:
    """The small training's export, alone in a folder of its own."""

    def export(folder: Path) -> None:
        from tfod_helpers.exporting import saved_model

        saved_model.export(trained.run, folder / "export").rename(folder / "moved")

    return once("exported", export) / "moved"


@pytest.fixture(scope="session")
def web_exports(trained: Trained, once: Once) -> Path:
    """The small training's exports for browsers: ``float32``, ``float16``, ``uint8``, ``page`` and ``hosted``."""
    return once("web_exports", lambda folder: write_exports(trained.run, folder))
