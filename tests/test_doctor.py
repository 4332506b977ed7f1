"""The doctor: a healthy training is called so, line by line; each planted fault is named, with what to do."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_training import Small, Trained

from tfod_helpers import installing, records
from tfod_helpers.annotations import Dataset

pytestmark = pytest.mark.tensorflow
NAMES = ["versions", "accelerator", "storage", "dataset", "anchors", "memory", "overfits 8 photos", "export"]
TRAIN, VALIDATION = "task.train_data.input_path", "task.validation_data.input_path"


@pytest.fixture
def change() -> Callable[..., Any]:
    """experiment.change."""
    from tfod_helpers import experiment

    return experiment.change


@pytest.fixture
def doctor() -> Callable[..., Any]:
    """doctor.examine."""
    from tfod_helpers import doctor

    return doctor.examine


@pytest.fixture
def copied(small: Small, change: Callable[..., Any], tmp_path: Path) -> Any:
    """The small config with records of its own, which a test may damage."""
    folder = tmp_path / "records"
    shutil.copytree(Path(small.train.pattern).parent, folder)
    paths = {TRAIN: small.train.pattern, VALIDATION: small.validation.pattern}
    return change(small.config, {name: str(folder / Path(path).name) for name, path in paths.items()})


@pytest.fixture
def fitting_batch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A batch that fits, without the half minute of trying it in another process."""
    from tfod_helpers.training import search

    monkeypatch.setattr(search.sys, "executable", program(tmp_path, "echo '{\"images_per_second\": 100}'"))


def program(folder: Path, line: str) -> str:
    """A program that does one thing, whatever its arguments are."""
    path = folder / "program.sh"
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return str(path)


def write(folder: Path, part: str, images: list[Any], names: Any, change: Callable[..., Any], config: Any) -> Any:
    """Write a part's records anew, and let the config name them."""
    found = records.write(Dataset(tuple(images), names), folder / "anew" / part)
    return change(config, {TRAIN if part == "train" else VALIDATION: found.pattern})


def fault(diagnosis: Any, name: str) -> str:
    """What the last line says, which is this one's and wrong; all before it are well, all behind it were left out."""
    assert [check.name for check in diagnosis.checks] == NAMES[: NAMES.index(name) + 1], diagnosis
    assert [check.ok for check in diagnosis.checks] == [True] * NAMES.index(name) + [False], diagnosis
    assert not diagnosis.ok
    assert list(diagnosis.left_out) == NAMES[NAMES.index(name) + 1 :]
    lines = str(diagnosis).splitlines()
    assert sum(line.startswith("WRONG") for line in lines) == 1
    assert "Fix this, and ask again" in lines[-1]
    assert all(left in lines[-1] for left in diagnosis.left_out)
    return diagnosis.checks[-1].text


# --- all is well ----------------------------------------------------------------------------------


def test_a_healthy_training_is_called_so(
    small: Small,
    doctor: Callable[..., Any],
    fitting_batch: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every line is well, with what it found and its seconds; nothing is left behind, and nothing printed."""
    from tfod_helpers.doctor import trial

    monkeypatch.setattr(trial, "_STEPS", 120)
    train = Dataset(tuple(records.read(small.train)), small.train.label_map)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    place = tmp_path / "not" / "yet" / "run"
    found = doctor(small.config, place, dataset={"train": train})
    assert found.ok, found
    assert [check.name for check in found.checks] == NAMES
    assert found.left_out == ()
    text = str(found)
    for words in (
        "tf-models-official 2.20",
        "no TPU and no GPU",
        "GB free",
        "8 train photos and 4 validation photos proved whole; 2 classes",
        "8 photos compared with the dataset",
        "100% of the training boxes have an anchor",
        "4 images of 64 pixels fit",
        "8 training photos are overfitted in 120 steps: AP50 ",
        "detections are the same as the run's own",
        "All is well (",
    ):
        assert words in text
    assert found.checks[-1].seconds > 0
    assert not (tmp_path / "not").exists()
    assert not list((tmp_path / "temporary").glob("tfod_helpers-*"))
    assert capsys.readouterr().out == ""


def test_a_notebook_shows_the_lines_in_colours() -> None:
    """A row a line, green or red, with text that is no markup; the first wrong one's fix is in it."""
    from tfod_helpers.doctor import Check, Diagnosis

    page = Diagnosis(
        (Check("one", True, "a < b", "", 1.0), Check("two", False, "broken", "Do <this>.", 2.0)), ("three",)
    )
    shown = page._repr_html_()
    assert shown.count("<tr>") == 2
    assert "a &lt; b" in shown
    assert "broken Do &lt;this&gt;." in shown
    assert "#1a7f37" in shown
    assert "#cf222e" in shown
    assert "it would only fail by this: three" in shown


# --- the machine ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"numpy": "2.4.1"}, r"Installed: 2\.4\.1 numpy instead of 2\.3\.\d+\. Run: from tfod_helpers"),
        ({"protobuf": "4.25.3"}, r"4\.25\.3 protobuf instead of [56]\..* installing\.install\('train'\)"),
        ({"tensorflow-tpu": "2.20.0"}, r"has a TPU, and tensorflow 2\.20.* is installed, which cannot use it\."),
        ({"numpy": "2.3.0"}, r"numpy 2\.3\.0 is installed and .* loaded\. Restart it"),
        ({"tqdm": None}, r"Installed: no tqdm instead of 4\.\d+"),
    ],
)
def test_versions_that_do_not_fit(
    small: Small, doctor: Callable[..., Any], changed: dict[str, str | None], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that is too new, missing, overwritten, or not the one that this session has loaded."""
    real = metadata.version

    def version(name: str) -> str:
        if changed.get(name, "") is None:
            raise metadata.PackageNotFoundError(name)
        return changed.get(name) or real(name)

    monkeypatch.setattr(metadata, "version", version)
    if "tensorflow-tpu" in changed:
        monkeypatch.setattr(installing, "tpu_devices", lambda: ["/dev/accel0"])
    found = fault(doctor(small.config), "versions")
    assert re.search(what, found), found


def test_a_gpu_that_cannot_compute(small: Small, doctor: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU would do, and take days: a GPU that is there and does not work is told before."""
    import tensorflow as tf

    listed = [tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")]
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: listed if kind == "GPU" else [])
    found = fault(doctor(small.config), "accelerator")
    assert "GPU:0 cannot compute (" in found
    assert "Restart the session" in found


@pytest.fixture
def read_only() -> Iterator[Path]:
    """A folder that this process may not write to, also where it is the administrator's."""
    folder = Path(tempfile.mkdtemp(prefix="read-only-"))
    folder.chmod(0o555)
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)  # nobody
    try:
        yield folder
    finally:
        os.seteuid(was)
        shutil.rmtree(folder)


def test_a_run_folder_that_cannot_be_written(small: Small, read_only: Path) -> None:
    """A folder of somebody else is told with the system's own word, and one that is a file too."""
    from tfod_helpers.doctor import machine
    from tfod_helpers.doctor.diagnosis import FoundFault

    with pytest.raises(FoundFault, match="a file cannot be written there") as caught:
        machine._try_place(str(read_only / "run"), 1.0)
    assert "Permission denied" in caught.value.found
    assert caught.value.fix == "Choose a folder that you may write to, on a disk with room."


def test_a_place_that_cannot_keep_a_run(
    small: Small, doctor: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in the way, a disk that is nearly full, and Drive that is not mounted."""
    (tmp_path / "file").touch()
    assert "Choose a folder that you may write to" in fault(doctor(small.config, tmp_path / "file" / "run"), "storage")
    found = fault(doctor(small.config, "/content/drive/MyDrive/run"), "storage")
    assert "deleted with the session" in found
    assert "drive.mount()" in found
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=50_000_000))
    found = fault(doctor(small.config, tmp_path / "run"), "storage")
    assert "50 MB are free, and a run needs about 228 MB. Delete something there" in found


def test_a_bucket_is_written_to(small: Small, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file goes there, comes back and is deleted; the folder here that such a run is worked on in is tried too."""
    from tfod_helpers.doctor import machine
    from tfod_helpers.doctor.diagnosis import Case
    from tfod_helpers.files import storage

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = machine.look_at_storage(Case(small.config, [f"{bucket}/runs/first"], {}, tmp_path, print))
    assert f"{bucket}/runs/first, {tmp_path}" in found
    assert storage.sizes(bucket, nested=True) == {}


# --- the data -------------------------------------------------------------------------------------


def test_a_shard_that_is_missing(copied: Any, doctor: Callable[..., Any]) -> None:
    """It is named."""
    shard = sorted(Path(copied.task.train_data.input_path).parent.glob("train-*-00001-of-*"))[0]
    shard.unlink()
    found = fault(doctor(copied), "dataset")
    assert f"{shard}: this shard is missing. Copy it here, or write the records again." in found


def test_a_record_that_is_damaged(copied: Any, doctor: Callable[..., Any]) -> None:
    """One byte in the middle of a shard is another one: the shard and the record are named."""
    shard = sorted(Path(copied.task.train_data.input_path).parent.glob("train-*-00000-of-*"))[0]
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(bytes(data))
    found = fault(doctor(copied), "dataset")
    assert f"{shard}, record " in found
    assert "write the records again" in found


def test_a_label_map_of_another_order(copied: Any, doctor: Callable[..., Any]) -> None:
    """The same classes in another order would call everything by the wrong name."""
    copied.task.class_names = copied.task.class_names[::-1]
    found = fault(doctor(copied), "dataset")
    assert "The train records have the classes" in found
    assert "Make the config again with experiment.make" in found


def test_a_class_without_an_example(
    small: Small, doctor: Callable[..., Any], change: Callable[..., Any], tmp_path: Path
) -> None:
    """No blue one among the validation photos: nobody would ever know how well it is found."""
    red = [image for image in records.read(small.validation) if 2 not in image.labels]
    config = write(tmp_path, "validation", red, small.validation.label_map, change, small.config)
    found = fault(doctor(config), "dataset")
    assert "There is no example of 'blue' in the validation records. Split again with Dataset.split" in found


def test_validation_photos_that_are_trained_on(
    small: Small, doctor: Callable[..., Any], change: Callable[..., Any], tmp_path: Path
) -> None:
    """Some of the training photos among the validation photos would make the score too good."""
    images = [*records.read(small.validation), *list(records.read(small.train))[4:6]]
    found = fault(doctor(write(tmp_path, "validation", images, small.train.label_map, change, small.config)), "dataset")
    assert "2 of the validation photos are training photos too, such as '4.jpg'" in found


def test_records_that_are_not_the_datasets(
    small: Small, doctor: Callable[..., Any], change: Callable[..., Any], tmp_path: Path
) -> None:
    """Labels were shuffled on the way to the records, or x and y of boxes swapped: a photo that shows it is named."""
    images = list(records.read(small.train))
    train = Dataset(tuple(images), small.train.label_map)
    shuffled = [dataclasses.replace(image, labels=3 - image.labels) for image in images]
    square = [image for image in images if image.width == image.height]
    swapped = [dataclasses.replace(image, boxes_xyxy=image.boxes_xyxy[:, [1, 0, 3, 2]]) for image in square]
    for wrong in (shuffled, swapped):
        config = write(tmp_path, "train", wrong, train.label_map, change, small.config)
        found = fault(doctor(config, dataset={"train": train}), "dataset")
        assert re.search(r"0\.jpg: the train records say '.*' at \[.*, the dataset says 'red' at \[", found)
        assert "Write the records again with records.write" in found


def test_boxes_that_no_anchor_fits(
    small: Small, doctor: Callable[..., Any], change: Callable[..., Any], tmp_path: Path
) -> None:
    """Objects of four pixels: the share without an anchor, and the very setting with which more have one."""
    corners = np.array([[20, 20, 24, 24]], np.float32)
    tiny = [dataclasses.replace(image, boxes_xyxy=corners) for image in records.read(small.train)]
    config = write(tmp_path, "train", tiny, small.train.label_map, change, small.config)
    found = fault(doctor(config), "anchors")
    assert "At 64 pixels 0% of the training boxes have an anchor that overlaps them by half" in found
    assert re.search(r"Use image_size=\d+ in experiment.make: then 100% have one|Cut the photos", found)


# --- the training ---------------------------------------------------------------------------------


def test_a_batch_that_is_too_large(
    small: Small, doctor: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The process that tries it is killed for its memory, as Linux does it: the next smaller batch is named."""
    from tfod_helpers.training import search

    monkeypatch.setattr(search.sys, "executable", program(tmp_path, "kill -9 $$"))
    found = fault(doctor(small.config), "memory")
    assert "A batch of 4 images of 64 pixels does not fit into memory (the system stopped it" in found
    assert "Use batch_size=2 in experiment.make" in found


def test_labels_that_mean_nothing(
    small: Small, doctor: Callable[..., Any], fitting_batch: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where names change from step to step, eight photos are not overfitted, and the fix says what to look at."""
    import tensorflow as tf

    from tfod_helpers.doctor import trial
    from tfod_helpers.network.inputs import targets

    real = targets.for_task

    def shuffled(task: Any) -> Callable[..., Any]:
        made = real(task)
        return lambda seen, room: made(
            seen._replace(labels=tf.random.uniform(tf.shape(seen.labels), 1, 3, tf.int64)), room
        )

    monkeypatch.setattr(targets, "for_task", shuffled)
    monkeypatch.setattr(trial, "_STEPS", 60)
    found = fault(doctor(small.config), "overfits 8 photos")
    assert "After 60 steps on 8 of the training photos" in found
    assert "pictures.show_images(training.examples(config))" in found


def test_a_learning_rate_that_explodes(
    small: Small,
    doctor: Callable[..., Any],
    fitting_batch: None,
    change: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A rate a thousand times too high ends in no number, and the line that finds a better one is named."""
    from tfod_helpers.doctor import trial
    from tfod_helpers.presets.keys import LEARNING_RATE

    monkeypatch.setattr(trial, "_STEPS", 120)
    found = fault(doctor(change(small.config, {LEARNING_RATE: 1e4})), "overfits 8 photos")
    assert "training.find_learning_rate(config)" in found


def test_an_export_that_does_not_reload(
    trained: Trained, small: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Damaged on the way to the disk it is named with what to do; one that finds something else is told too."""
    from tfod_helpers.doctor import examining, trial
    from tfod_helpers.doctor.diagnosis import Case, FoundFault

    monkeypatch.setattr(trial, "_SURE", 0.005)  # so short a training is sure of little
    monkeypatch.setattr(trial, "_CONFIDENCE", 0.001)
    (tmp_path / "run").symlink_to(trained.run.folder)
    case = Case(small.config, [], {}, tmp_path, print)
    case.photos = Dataset(tuple(records.read(small.train)), small.train.label_map)
    assert "are the same as the run's own" in trial.look_at_export(case)
    real = trial.saved_model.export

    def damaged(run: Path, folder: Path) -> Path:
        made = real(run, folder)
        (made / "saved_model.pb").write_bytes(b"half of it")
        return made

    blind = trial.Detector(lambda squares: nothing(len(squares)), small.train.label_map, 64, 0.005)
    monkeypatch.setattr(trial.training, "detector", lambda run: blind)
    with pytest.raises(FoundFault, match=r"the export finds .*, the run itself nothing"):
        trial.look_at_export(case)
    monkeypatch.setattr(trial.saved_model, "export", damaged)
    check = examining._make("export", trial.look_at_export, case)
    assert not check.ok
    assert "saved_model.pb: not the file that was exported" in check.found
    assert "export the run again" in check.found


def nothing(count: int) -> dict[str, np.ndarray]:
    """What a model returns that finds nothing in some squares."""
    return {
        "boxes_xyxy": np.zeros((count, 1, 4), np.float32),
        "scores": np.zeros((count, 1), np.float32),
        "classes": np.zeros((count, 1), np.int32),
        "count": np.zeros(count, np.int32),
    }
