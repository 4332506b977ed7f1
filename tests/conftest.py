"""What the tests share: the test material beside the checkout, servers, and the small training (small_training.py)."""

from __future__ import annotations

import multiprocessing
import shutil
import socket
from collections.abc import Callable, Iterator
from multiprocessing.context import BaseContext
from pathlib import Path

import pytest
from bucket_server import BucketServer
from small_training import Small, Trained, draw_rectangles

from tfod_helpers import records
from tfod_helpers.photos import looks

STEPS, INTERRUPTED = 48, 20  # of the small training, and where it is interrupted


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the notebooks first, the longest of all tests: begun last, they would leave a core idle for minutes."""
    items.sort(key=lambda item: item.path.stem != "test_notebooks_running")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data sets, weights and odd files beside the checkout; skips where it is missing."""
    folder = Path(__file__).parents[1].parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs the shared test material, and there is no {folder}")
    return folder


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
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """Records of coloured rectangles, and a config that trains on them in seconds."""
    from tfod_helpers import experiment

    folder = tmp_path_factory.mktemp("small")
    dataset = draw_rectangles(folder / "validation", 4, seed=1)
    train = records.write(draw_rectangles(folder / "train", 8, seed=0), folder / "records" / "train", shards=2)
    validation = records.write(dataset, folder / "records" / "validation")
    config = experiment.make(
        "mobilenet_v2_sample",
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
    settings |= {f"trainer.{name}_interval": 8 for name in ("validation", "checkpoint")}
    settings |= {"trainer.steps_per_loop": 4, "task.model.detection_generator.pre_nms_score_threshold": 0.0}
    plain = {"aug_rand_hflip": False, "aug_scale_min": 1.0, "aug_scale_max": 1.0, "aug_aspect": 1.0, "aug_color": 0.0}
    settings |= {f"task.train_data.parser.{name}": value for name, value in plain.items()}
    return Small(train, validation, dataset, experiment.change(config, settings))


@pytest.fixture(scope="session")
def interrupted(small: Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of the small training, stopped by Ctrl-C between two checkpoints; tests take copies."""
    from tfod_helpers import training
    from tfod_helpers.training.steps import Steps

    run_steps = Steps.run

    def interrupt(steps: Steps, count: int, limit: float) -> dict[str, float]:
        if steps.done == INTERRUPTED:
            raise KeyboardInterrupt
        return run_steps(steps, count, limit)

    folder = tmp_path_factory.mktemp("interrupted") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Steps, "run", interrupt)
        with pytest.raises(KeyboardInterrupt):
            training.train(small.config, folder)
    return folder


@pytest.fixture(scope="session")
def trained(small: Small, interrupted: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The small training: interrupted, then started again and finished."""
    from tfod_helpers import training
    from tfod_helpers.files import run_folder

    run = run_folder.open_run(shutil.copytree(interrupted, tmp_path_factory.mktemp("trained") / "run"))
    manifest, rows = run.read_manifest(), run.history_path.read_text()
    return Trained(run, training.train(small.config, run), manifest, rows)


@pytest.fixture(scope="session")
def export_folder(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small training's export, alone in a folder of its own."""
    from tfod_helpers.exporting import saved_model

    made = saved_model.export(trained.run, tmp_path_factory.mktemp("made") / "export")
    return made.rename(tmp_path_factory.mktemp("moved") / "elsewhere")
