"""Records: a dataset -> TFRecord shards that training reads, and back; whole or not at all."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfod_helpers import photos, records
from tfod_helpers.annotations import Dataset, DatasetError, LabelledImage, LabelMap

BROKEN = {"trunc50.jpg", "trunc_tail.jpg", "empty.jpg", "html.jpg", "lfs.jpg"}
LABELS = LabelMap(["cat", "dog"])


@pytest.fixture(scope="module")
def odd(shared: Path) -> Path:
    """The folder of odd images and annotations."""
    return shared / "data" / "odd"


def odd_images(odd: Path) -> list[Path]:
    """The images of that folder, the broken ones too."""
    names = [row["file"] for row in json.loads((odd / "index.json").read_text(encoding="utf-8"))]
    return [odd / name for name in names if name.endswith((".jpg", ".png"))]


def labelled(path: Path, *boxes_xyxy: Sequence[float], size: tuple[int, int] | None = None) -> LabelledImage:
    """The image with these boxes, cats and dogs by turns."""
    width, height = size or photos.read_info(path).upright_size
    labels = [1 + number % 2 for number in range(len(boxes_xyxy))]
    return LabelledImage(path, width, height, np.array(boxes_xyxy, np.float32), np.array(labels))


def drawn(folder: Path, count: int, shade: int = 90) -> Dataset:
    """A dataset of small photos, the number of boxes going 0, 1, 2, 3, 0, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    images = []
    for number in range(count):
        path = folder / f"{shade}-{number:03d}.jpg"
        Image.new("RGB", (40 + number % 7, 30), (shade, number, 255 - number)).save(path)
        boxes_xyxy = [(3.3 * k, 1, 3.3 * k + 11.7, 29.5) for k in range(number % 4)]
        images.append(labelled(path, *boxes_xyxy))
    return Dataset(tuple(images), LABELS)


@pytest.fixture
def photographed(tmp_path: Path) -> Dataset:
    """Twelve small photos."""
    return drawn(tmp_path / "photos", 12)


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """Where the records go."""
    return tmp_path / "records" / "train"


def assert_same(read: Sequence[LabelledImage], written: Sequence[LabelledImage]) -> None:
    """What was read is what was written: order, names, bytes, sizes, boxes, labels."""
    assert [image.path.name for image in read] == [image.path.name for image in written]
    for one, other in zip(read, written, strict=True):
        assert one.encoded == other.path.read_bytes()
        assert (one.width, one.height) == (other.width, other.height)
        np.testing.assert_allclose(one.boxes_xyxy, other.boxes_xyxy, rtol=2e-7)
        np.testing.assert_array_equal(one.labels, other.labels)


def files_in(folder: Path) -> set[str]:
    """The names of the files in a folder, the hidden ones too."""
    return {path.name for path in folder.iterdir()}


# --- there and back -----------------------------------------------------------------------------


@pytest.mark.parametrize("shards", [None, 1, 5, 12])
def test_what_is_written_is_read_back(photographed: Dataset, prefix: Path, shards: int | None) -> None:
    """Any number of shards gives back the same images, bytes and boxes in the same order, and the right counts."""
    made = records.write(photographed, prefix, shards=shards)
    assert_same(list(records.read(made)), photographed)
    assert len(made.files) == (shards or 1)
    assert (made.count, made.boxes, made.max_boxes, made.label_map) == (12, 18, 3, LABELS)
    assert records.open(prefix) == made


def test_records_of_records_are_the_same(photographed: Dataset, prefix: Path) -> None:
    """Images read from records can be written again, with no image file there."""
    first = records.write(photographed, prefix)
    again = records.write(Dataset(tuple(records.read(first)), LABELS), prefix.with_name("again"))
    for one, other in zip(records.read(again), records.read(first), strict=True):
        assert one.encoded == other.encoded
        np.testing.assert_array_equal(one.boxes_xyxy, other.boxes_xyxy)


def test_same_contents_have_the_same_names(photographed: Dataset, prefix: Path) -> None:
    """The same dataset gives the same shard names and bytes whatever the workers; another dataset gives others."""
    one = records.write(photographed, prefix, shards=2, workers=1)
    written = [path.read_bytes() for path in one.files]
    assert records.write(photographed, prefix, shards=2, workers=4) == one
    assert [path.read_bytes() for path in one.files] == written
    assert records.write(Dataset(photographed[1:], LABELS), prefix, shards=2).pattern != one.pattern


def test_folder_names_with_wildcards(photographed: Dataset, tmp_path: Path) -> None:
    """A folder whose name looks like a pattern works like any other."""
    made = records.write(photographed, tmp_path / "photos [2] *?" / "train", shards=2)
    assert_same(list(records.read(made)), photographed)


@pytest.mark.parametrize(
    ("prefix", "arguments"),
    [("a,b", {}), ("gs://bucket/train", {}), ("/", {}), ("x", {"shards": 0}), ("x", {"shards": 13})]
    + [("x", {"workers": 0}), ("x", {"on_problem": "ignore"})],
)
def test_arguments_that_do_not_fit(
    photographed: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str, arguments: dict
) -> None:
    """An argument that cannot work is refused before anything is made."""
    monkeypatch.chdir(tmp_path)
    before = files_in(tmp_path)
    with pytest.raises(ValueError, match=r"comma|local folder|need a name|must be"):
        records.write(photographed, prefix, **arguments)
    assert files_in(tmp_path) == before


def test_memory_does_not_grow_with_the_dataset(tmp_path: Path) -> None:
    """Writing 60 photos of over a megabyte holds a few of them at a time."""
    path = tmp_path / "noise.png"
    noise = np.random.default_rng(0).integers(0, 255, (1000, 1000, 3), np.uint8)
    Image.fromarray(noise).save(path, "JPEG", quality=95)
    assert path.stat().st_size > 1_000_000
    dataset = Dataset((labelled(path, (1, 1, 9, 9)),) * 60, LABELS)
    tracemalloc.start()
    try:
        records.write(dataset, tmp_path / "train", workers=2)
        assert tracemalloc.get_traced_memory()[1] < 25 * path.stat().st_size
    finally:
        tracemalloc.stop()


# --- what TensorFlow reads ------------------------------------------------------------------------


def decoded(made: records.Records) -> Iterator[dict]:
    """Every record as Model Garden's decoder gives it, as numpy arrays."""
    import tensorflow as tf
    from official.core.input_reader import match_files
    from official.vision.dataloaders.tf_example_decoder import TfExampleDecoder

    for example in tf.data.TFRecordDataset(match_files(made.pattern)):
        yield {key: value.numpy() for key, value in TfExampleDecoder().decode(example).items()}


@pytest.mark.tensorflow
def test_model_garden_reads_the_records(photographed: Dataset, tmp_path: Path) -> None:
    """Model Garden's own decoder finds every image, box, label and area, and a source id that is a unique number."""
    made = records.write(photographed, tmp_path / "odd [1]" / "train", shards=3)
    found = sorted(decoded(made), key=lambda example: int(example["source_id"]))  # a pattern's files have no order
    assert [int(example["source_id"]) for example in found] == list(range(12))
    for example, image in zip(found, photographed, strict=True):
        scale = np.array([image.height, image.width] * 2)
        np.testing.assert_allclose(example["groundtruth_boxes"] * scale, image.boxes_xyxy[:, [1, 0, 3, 2]], rtol=1e-5)
        np.testing.assert_array_equal(example["groundtruth_classes"], image.labels)
        sides = image.boxes_xyxy[:, 2:] - image.boxes_xyxy[:, :2]
        np.testing.assert_allclose(example["groundtruth_area"], sides.prod(axis=1), rtol=1e-5)
        assert not example["groundtruth_is_crowd"].any()
        assert (example["height"], example["width"]) == (image.height, image.width)
        assert np.abs(example["image"].astype(int) - image.pixels()).mean() < 2


@pytest.mark.tensorflow
def test_tensorflow_parses_what_we_encode(photographed: Dataset, prefix: Path) -> None:
    """TensorFlow's own protocol buffer finds exactly the fields that were meant, names of classes and files too."""
    import tensorflow as tf

    made = records.write(photographed, prefix)
    for serialized, image in zip(tf.data.TFRecordDataset(made.files), photographed, strict=True):
        example = tf.train.Example.FromString(serialized.numpy())
        feature = example.features.feature
        assert feature["image/filename"].bytes_list.value[:] == [image.path.name.encode()]
        assert feature["image/format"].bytes_list.value[:] == [b"jpeg"]
        names = [LABELS.name(label).encode() for label in image.labels.tolist()]
        assert feature["image/object/class/text"].bytes_list.value[:] == names
        assert len(feature) == 14
        assert not example.ListFields()[1:]


@pytest.mark.tensorflow
def test_tensorflow_sees_each_odd_image_as_a_viewer_does(odd: Path, prefix: Path) -> None:
    """Every readable odd image becomes a record whose JPEG TensorFlow decodes to the upright pixels."""
    import tensorflow as tf

    images = [labelled(path) for path in odd_images(odd) if path.name not in BROKEN]
    made = records.write(Dataset(tuple(images), LABELS), prefix)
    for record, image in zip(records.read(made), images, strict=True):
        pixels = tf.io.decode_jpeg(record.encoded, channels=3).numpy()
        assert pixels.shape == (image.height, image.width, 3)
        assert np.abs(pixels.astype(int) - image.pixels()).mean() < 3, image.path.name
    assert made.count > 20


# --- which bytes go in ----------------------------------------------------------------------------


def test_plain_jpegs_go_in_byte_for_byte_and_nothing_else_does(odd: Path, prefix: Path) -> None:
    """Upright RGB and grey JPEGs keep their bytes; every other image becomes such a JPEG."""
    images = [labelled(path) for path in odd_images(odd) if path.name not in BROKEN]
    made = records.write(Dataset(tuple(images), LABELS), prefix)
    kept = set()
    for record, image in zip(records.read(made), images, strict=True):
        assert photos.read_info(record.encoded).plain_jpeg
        if record.encoded == image.path.read_bytes():
            kept.add(image.path.name)
    assert kept == {"gray.jpg", "prog_444.jpg", "junk_tail.jpg", "wide.jpg", "ação cão (1).jpg"}


def test_boxes_stay_on_what_they_mark(tmp_path: Path, prefix: Path) -> None:
    """A photo on its side has its box on the same thing, whether the boxes are in the turned frame or the stored."""
    stored = np.zeros((40, 60, 3), np.uint8)
    stored[5:15, 30:50] = 255  # turned clockwise by orientation 6: x = 40 - y, y = x
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(stored).save(tmp_path / "turned.png", exif=exif)
    in_stored_frame = labelled(tmp_path / "turned.png", (30, 5, 50, 15), size=(60, 40))
    in_turned_frame = labelled(tmp_path / "turned.png", (25, 30, 35, 50), size=(40, 60))
    made = records.write(Dataset((in_stored_frame, in_turned_frame), LABELS), prefix)
    for image in records.read(made):
        xmin, ymin, xmax, ymax = image.boxes_xyxy[0].round().astype(int)
        marked = image.pixels()[ymin:ymax, xmin:xmax]
        assert marked.size == 20 * 10 * 3
        assert marked.mean() > 240


# --- problems -------------------------------------------------------------------------------------


@pytest.fixture
def flawed(odd: Path, tmp_path: Path) -> Dataset:
    """Two good images, all the broken ones, one that is gone, one of another size, one with a hair of a box."""
    good = drawn(tmp_path / "good", 2)
    broken = [labelled(odd / name, size=(300, 280)) for name in sorted(BROKEN)]
    gone = labelled(tmp_path / "gone.jpg", size=(300, 280))
    resized = labelled(odd / "cat.1.jpg", size=(280, 300))
    hair = labelled(odd / "wide.jpg", (1, 1, 5, 5), (1023, 1, np.nextafter(1023, 2000, dtype="f4"), 9))
    return Dataset((good[0], *broken, gone, resized, hair, good[1]), LABELS)


def test_all_problems_are_told_at_once_and_nothing_is_written(flawed: Dataset, prefix: Path) -> None:
    """Every bad image is named with what was found and what to do, and no file is left behind."""
    with pytest.raises(DatasetError) as caught:
        records.write(flawed, prefix)
    told = str(caught.value)
    assert len(caught.value.problems) == 8
    for cure in ("git lfs pull", "Download the image again", "the file is empty", "cut off", "there is no such file"):
        assert cure in told
    assert "cat.1.jpg: the annotation says 280 x 300, the image is 300 x 280. Correct the size" in told
    assert "wide.jpg, object 2: the box is thinner" in told
    assert str(flawed[-1].path) not in told
    assert not list(prefix.parent.iterdir())


def test_skip_leaves_out_only_what_is_bad(flawed: Dataset, prefix: Path) -> None:
    """Under skip the good images are written and the bad ones listed, after opening too."""
    made = records.write(flawed, prefix, shards=3, on_problem="skip")
    assert_same(list(records.read(made)), [flawed[0], flawed[-1]])
    assert made.count == 2
    assert len(made.problems) == 8
    assert records.open(prefix) == made


@pytest.mark.parametrize("on_problem", ["raise", "skip"])
def test_no_image_left_is_an_error(odd: Path, prefix: Path, on_problem: str) -> None:
    """No records are made of an empty dataset, or of one that has only bad images."""
    for images in ((), (labelled(odd / "trunc50.jpg", size=(300, 280)),)):
        with pytest.raises(DatasetError):
            records.write(Dataset(images, LABELS), prefix, on_problem=on_problem)
    assert not list(prefix.parent.iterdir())


def test_damaged_record_is_named(photographed: Dataset, prefix: Path) -> None:
    """One changed bit, or a shard cut off, is found while reading; the error names the file and the record."""
    made = records.write(photographed, prefix, shards=2)
    whole = made.files[1].read_bytes()
    for place in (3, 9, len(whole) // 2, len(whole) - 1):
        made.files[1].write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(ValueError, match=rf"{made.files[1].name}, record \d: damaged"):
            list(records.read(made))
    made.files[1].write_bytes(whole[:-5])
    with pytest.raises(ValueError, match=r"record 6: damaged or cut off"):
        list(records.read(made))


def test_open_tells_what_is_wrong(photographed: Dataset, prefix: Path) -> None:
    """No manifest, a foreign one, a missing shard and one of another size each get their own error."""
    with pytest.raises(FileNotFoundError, match=r"train\.json: there are no records here"):
        records.open(prefix)
    made = records.write(photographed, prefix, shards=2)
    made.files[1].write_bytes(made.files[1].read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"00001-of-00002\.tfrecord: \d+ bytes, and \d+ were written"):
        records.open(prefix)
    made.files[1].unlink()
    with pytest.raises(FileNotFoundError, match=r"00001-of-00002\.tfrecord: this shard is missing"):
        records.open(prefix)
    with pytest.raises(ValueError, match="6 images, and 12 were written"):
        list(records.read(made))


def test_foreign_json_is_never_overwritten(photographed: Dataset, prefix: Path) -> None:
    """Where the manifest would replace a file that is not ours, such as COCO annotations, nothing is touched."""
    prefix.parent.mkdir()
    foreign = prefix.with_name("train.json")
    for text in ('{"images": []}', "[1]", "not json"):
        foreign.write_text(text)
        for act in (lambda: records.write(photographed, prefix), lambda: records.open(prefix)):
            with pytest.raises(ValueError, match=r"train\.json: this is not a manifest"):
                act()
        assert foreign.read_text() == text
    assert files_in(prefix.parent) == {"train.json"}


# --- whole or not at all --------------------------------------------------------------------------


def test_new_records_replace_the_old_and_nothing_else(photographed: Dataset, prefix: Path) -> None:
    """Older shards go, whatever their number; files of other prefixes and of other programs stay."""
    records.write(photographed, prefix.with_name("train-more"))
    records.write(photographed, prefix, shards=4)
    others = {"train-00000-of-00004.tfrecord", "train-notes.txt", ".train.hidden"}
    for name in others:
        (prefix.parent / name).write_text("mine")
    made = records.write(Dataset(photographed[:5], LABELS), prefix, shards=2)
    ours = {path.name for path in made.files} | {"train.json"}
    more = {path.name for path in records.open(prefix.with_name("train-more")).files} | {"train-more.json"}
    assert files_in(prefix.parent) == ours | more | others


DATASETS = """
import os, resource, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_records import assert_whole, drawn
from tfod_helpers import records, tfrecord
folder = Path(sys.argv[1])
prefix = folder / "records" / "train"
old, new = drawn(folder / "photos", 9, shade=90), drawn(folder / "photos", 7, shade=10)
"""
KILL_AT_EVERY_CHANGE = """
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "tempfile.mkstemp", "tempfile.mkdtemp")

def write_and_die(left):
    def count_down(event, arguments):
        nonlocal left
        if event in CHANGES or event == "open" and str(prefix.parent) in str(arguments[0]):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(count_down)
    records.write(new, prefix, shards=2)
    os._exit(0)

for change in range(100):
    records.write(old, prefix, shards=3)
    child = os.fork()
    if not child:
        write_and_die(change)
    status = os.waitpid(child, 0)[1]
    print(assert_whole(prefix, old, new), flush=True)
    if status != signal.SIGKILL:
        sys.exit(status)
"""
FORKED = """
tfrecord._WORTH_FORKING = 1
"""
ONCE = """
print(records.write(old, prefix, shards=3, workers=4).pattern)
"""
WORKER_DIES = """
encode = tfrecord._encode
def die(image, *rest):
    if image.path == new[3].path:
        os.kill(os.getpid(), signal.SIGKILL)
    return encode(image, *rest)
tfrecord._encode = die
records.write(new, prefix, workers=2)
"""
FOREVER = """
print("writing", flush=True)
while True:
    records.write(new, prefix, shards=2)
    records.write(old, prefix, shards=3)
"""
NO_ROOM = """
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
records.write(new, prefix)
"""


def start(code: str, *arguments: object) -> subprocess.Popen:
    """Run the code in another process that has the two datasets; it reads photos by threads, unless FORKED."""
    code = DATASETS.format(tests=str(Path(__file__).parent)) + code
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def old(tmp_path: Path, prefix: Path) -> Dataset:
    """The dataset whose records are there before."""
    dataset = drawn(tmp_path / "photos", 9, shade=90)
    records.write(dataset, prefix, shards=3)
    return dataset


def assert_whole(prefix: Path, *possible: Dataset) -> int:
    """The records are one of these datasets in full, and the pattern matches no other file; which one it is."""
    made = records.open(prefix)
    images = list(records.read(made))
    which = [len(dataset) for dataset in possible].index(len(images))
    assert_same(images, possible[which])
    assert len(made.files) == int(made.pattern[-14:-9])
    return which


def assert_clean_after_another_write(prefix: Path, dataset: Dataset) -> None:
    """The next write leaves its own files and none of what was left lying about."""
    made = records.write(dataset, prefix)
    assert files_in(prefix.parent) == {"train.json", *(path.name for path in made.files)}


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_kill_at_every_change_leaves_old_or_new(tmp_path: Path, prefix: Path, old: Dataset) -> None:
    """Killed before any single change to the folder, a write leaves the old records whole, or the new ones."""
    process = start(KILL_AT_EVERY_CHANGE, tmp_path)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    seen = output.split()
    assert len(seen) > 15
    assert seen == sorted(seen)  # first always the old, from one moment on always the new
    assert set(seen) == {"0", "1"}
    assert_clean_after_another_write(prefix, old)


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_kill_at_random_moments_leaves_a_whole_set(tmp_path: Path, prefix: Path, old: Dataset) -> None:
    """Killed at any moment while writing two sets by turns, it leaves one of the two, never a mixture."""
    rng = random.Random(0)
    new = drawn(tmp_path / "photos", 7, shade=10)
    for _ in range(8):
        process = start(FORKED + FOREVER, tmp_path)
        assert process.stdout.readline() == "writing\n"
        time.sleep(rng.uniform(0, 0.1))
        process.kill()
        process.communicate(timeout=20)  # returns when the processes that it forked are gone too
        assert_whole(prefix, old, new)
    assert_clean_after_another_write(prefix, old)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
@pytest.mark.parametrize("by", ["", FORKED], ids=["threads", "processes"])
@pytest.mark.parametrize("limit", [0, 1000, 6000])
def test_no_room_leaves_the_old_records(tmp_path: Path, prefix: Path, old: Dataset, limit: int, by: str) -> None:
    """When the system refuses to write on, the error says so, and the old records stay with nothing beside them."""
    before = files_in(prefix.parent)
    process = start(by + NO_ROOM, tmp_path, limit)
    errors = process.communicate()[1]
    assert process.returncode == 1
    assert "train: no room left while writing records (File too large). Free some space" in errors
    assert assert_whole(prefix, old) == 0
    assert files_in(prefix.parent) == before


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
def test_processes_write_what_threads_write(tmp_path: Path, prefix: Path, old: Dataset) -> None:
    """Photos read by forked processes give the same files, byte for byte, as those read by threads."""
    made = records.open(prefix)
    written = [path.read_bytes() for path in made.files]
    for path in made.files:
        path.unlink()
    output, errors = start(FORKED + ONCE, tmp_path).communicate()
    assert output.strip() == made.pattern, errors
    assert [path.read_bytes() for path in made.files] == written


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
def test_a_reading_process_that_dies_is_told(tmp_path: Path, prefix: Path, old: Dataset) -> None:
    """When the system ends one of the processes that read photos, the write fails and the old records stay."""
    process = start(FORKED + WORKER_DIES, tmp_path)
    assert "RuntimeError: A process that reads photos was ended from outside" in process.communicate(timeout=20)[1]
    assert process.returncode == 1
    assert assert_whole(prefix, old) == 0


# --- light and quick ------------------------------------------------------------------------------


def test_import_is_light() -> None:
    """Importing the records loads no TensorFlow, pandas or matplotlib, and takes under half a second."""
    code = "import sys, tfod_helpers.records; print(*sys.modules)"
    started = time.perf_counter()
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    took = time.perf_counter() - started
    assert not {"tensorflow", "pandas", "matplotlib"} & set(loaded)
    assert "tfod_helpers.records" in loaded
    assert took < 2  # 0.2 s on an idle machine; TensorFlow alone would take 6
