"""Records: a dataset -> TFRecord shards that training reads, and back; whole or not at all."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfod_helpers import photos, records
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.files import storage
from tfod_helpers.problems import DatasetError
from tfod_helpers.records import encoding

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


def contents(folder: Path) -> dict[str, bytes]:
    """The names of the shards in a folder, and what they hold."""
    return {path.name: path.read_bytes() for path in folder.glob("*.tfrecord")}


def index_of(prefix: Path) -> str:
    """The name of the index that the manifest speaks of."""
    return json.loads(prefix.with_name(f"{prefix.name}.json").read_text())["index"]


# --- there and back -----------------------------------------------------------------------------


@pytest.mark.parametrize("shards", [None, 1, 5, 12])
def test_what_is_written_is_read_back(photographed: Dataset, prefix: Path, shards: int | None) -> None:
    """Any number of shards gives back the same images, bytes and boxes in the same order, and the right counts."""
    made = records.write(photographed, prefix, shards=shards)
    assert_same(list(records.read(made)), photographed)
    assert len(made.files) == (shards or 1)
    assert (made.count, made.boxes, made.max_boxes, made.label_map) == (12, 18, 3, LABELS)
    assert records.open(prefix) == made


def test_labels_are_read_without_the_photos(photographed: Dataset, prefix: Path, bucket: str) -> None:
    """Names, sizes, boxes, classes and flags come out of the index alone, here and in a bucket."""
    dataset = with_image(with_image(photographed, 1, crowd=[True]), 2, difficult=[False, True])
    for place in (prefix, f"{bucket}/train"):
        made = records.write(dataset, place, shards=3, longest_side=35)
        for one, other in zip(records.read_labels(made), records.read(made), strict=True):
            assert (one.path, one.width, one.height) == (other.path, other.width, other.height)
            np.testing.assert_allclose(one.boxes_xyxy, other.boxes_xyxy, rtol=2e-7)
            assert one.labels.tolist() == other.labels.tolist()
            assert one.crowd.tolist() == other.crowd.tolist()
            assert one.difficult.tolist() == other.difficult.tolist()
            assert one.encoded is None
    made = records.open(prefix)
    for path in made.files:
        path.write_bytes(bytes(path.stat().st_size))
    assert len(list(records.read_labels(made))) == 12
    index = prefix.parent / index_of(prefix)
    index.write_bytes(index.read_bytes()[:-1] + b"?")
    with pytest.raises(DatasetError, match=r"train-[0-9a-f]{8}\.index\.npy: the index is damaged"):
        list(records.read_labels(made))
    records.write(Dataset(photographed[:3], LABELS), prefix)
    with pytest.raises(FileNotFoundError, match="written anew, with other contents"):
        list(records.read_labels(made))


def test_records_of_an_older_version_are_written_anew(photographed: Dataset, prefix: Path, encoded: list[str]) -> None:
    """Records without what an index now holds are refused with what to do, and are never taken over."""
    made = records.write(photographed, prefix, workers=1)
    path = prefix.with_name("train.json")
    path.write_text(path.read_text().replace('"version": 3,', '"version": 2,'))
    with pytest.raises(ValueError, match=r"damaged, or of an older version\. Write"):
        records.open(prefix)
    encoded.clear()
    assert records.write(photographed, prefix, workers=1) == records.open(prefix) == made
    assert len(encoded) == 12


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
    [
        ("a,b", {}),
        ("s3://bucket/train", {}),
        ("gs://bucket", {}),
        ("/", {}),
        ("x", {"shards": 0}),
        ("x", {"shards": 13}),
    ]
    + [("x", {"workers": 0}), ("x", {"on_problem": "ignore"}), ("x", {"longest_side": 0})],
)
def test_arguments_that_do_not_fit(
    photographed: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str, arguments: dict
) -> None:
    """An argument that cannot work is refused before anything is made."""
    monkeypatch.chdir(tmp_path)
    before = files_in(tmp_path)
    with pytest.raises(ValueError, match=r"comma|local folder or in a bucket|need a name|must be"):
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
    import tensorflow as tf
    from official.vision.dataloaders.utils import process_source_id

    made = records.write(photographed, tmp_path / "odd [1]" / "train", shards=3)
    found = {int(process_source_id(tf.constant(example["source_id"]))): example for example in decoded(made)}
    ids = encoding.source_ids(photographed)
    assert found.keys() == set(ids)
    for id, image in zip(ids, photographed, strict=True):  # a pattern's files have no order
        example = found[id]
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
        assert feature["image/object/difficult"].int64_list.value[:] == image.difficult.tolist()
        assert len(feature) == 15
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
    assert {problem.kind for problem in caught.value.problems} == {"photo unreadable", "photo missing", "box too thin"}
    assert {problem.photo for problem in caught.value.problems} == {str(image.path) for image in flawed[1:-1]}
    assert str(flawed[-1].path) not in told
    assert not list(prefix.parent.iterdir())


def test_a_failed_write_leaves_no_leftovers_of_others(flawed: Dataset, prefix: Path) -> None:
    """What a killed write left is removed before the next one needs the room, even where that one fails."""
    (prefix.parent / ".train.0a1b_c3d.part").mkdir(parents=True)
    (prefix.parent / ".train.0a1b_c3d.part" / "00000").write_bytes(b"half")
    with pytest.raises(DatasetError):
        records.write(flawed, prefix)
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


def test_records_are_found_by_their_pattern(photographed: Dataset, prefix: Path) -> None:
    """The pattern that a config keeps leads to the records; when they were written anew it says so."""
    first = records.write(photographed, prefix)
    assert records.of_pattern(first.pattern) == first
    records.write(Dataset(photographed.images[:5], photographed.label_map), prefix)
    with pytest.raises(FileNotFoundError, match=r"written anew, with other contents. Make the experiment config again"):
        records.of_pattern(first.pattern)


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
    with pytest.raises(ValueError, match="6 images, and 12 were written; missing is 00001-of-00002"):
        list(records.read(made))
    manifest = json.loads(prefix.with_name("train.json").read_text())
    for change in ({"count": 6}, {"shards": {}}, {"checksum": None}):
        prefix.with_name("train.json").write_text(json.dumps(manifest | change))
        with pytest.raises(ValueError, match=r"train\.json: damaged, or of an older version. Write the records again"):
            records.open(prefix)
    assert records.write(photographed, prefix) == records.open(prefix)


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
    ours = {path.name for path in made.files} | {"train.json", index_of(prefix)}
    other = prefix.with_name("train-more")
    more = {path.name for path in records.open(other).files} | {"train-more.json", index_of(other)}
    assert files_in(prefix.parent) == ours | more | others


DATASETS = """
import os, resource, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_records import assert_whole, drawn
from tfod_helpers import records
from tfod_helpers.files import workers
from tfod_helpers.records import encoding
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
KILL_AT_RANDOM = """
import random, threading, time
from tqdm import tqdm
from test_records import contents
# The bar's own lock is shared by forks: one that is killed within it would leave all others waiting for ever.
tqdm.set_lock(threading.RLock())
rng = random.Random(0)
old, new = drawn(folder / "photos", 100, shade=90), drawn(folder / "photos", 80, shade=10)
started = time.perf_counter()
records.write(new, prefix, shards=2)
took = time.perf_counter() - started
records.write(old, prefix, shards=3)
at_rest = contents(prefix.parent)
for _ in range(50):
    child = os.fork()
    if not child:
        records.write(new, prefix, shards=2)
        os._exit(0)
    time.sleep(rng.uniform(0, took))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    which = assert_whole(prefix, old, new)
    print(which, flush=True)
    took *= 0.6 if which else 1.25  # so that about every third kill comes after the end, however slow the disk is now
    if which or rng.random() < 0.2:  # else the next one finds what this one left lying about
        records.write(old, prefix, shards=3)
        assert contents(prefix.parent) == at_rest
"""
THREADS = """
workers.sys = type("elsewhere", (), {"platform": "win32", "modules": {}})
"""
ONCE = """
print(records.write(old, prefix, shards=3, workers=4).pattern)
"""
WORKER_DIES = """
encode = encoding.encode
def die(image, *rest):
    if image.path == new[3].path:
        os.kill(os.getpid(), signal.SIGKILL)
    return encode(image, *rest)
encoding.encode = die
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
    """Run the code in another process that has the two datasets; it reads photos by processes, unless THREADS."""
    code = DATASETS.format(tests=str(Path(__file__).parent)) + code
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def old(tmp_path: Path, prefix: Path) -> Dataset:
    """The dataset whose records are there before."""
    dataset = drawn(tmp_path / "photos", 9, shade=90)
    records.write(dataset, prefix, shards=3, workers=1)
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
    assert files_in(prefix.parent) == {"train.json", index_of(prefix), *(path.name for path in made.files)}


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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_kill_at_50_random_moments_leaves_a_whole_set(tmp_path: Path, prefix: Path) -> None:
    """Killed 50 times at any moment of a write over other records, it leaves one of the two sets, whole."""
    process = start(KILL_AT_RANDOM, tmp_path)
    output, errors = process.communicate(timeout=100)  # ends when all that were forked have ended
    assert process.returncode == 0, errors
    seen = output.split()
    assert len(seen) == 50
    assert min(seen.count("0"), seen.count("1")) > 5
    assert_clean_after_another_write(prefix, drawn(tmp_path / "photos", 100, shade=90))


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_no_process_is_left_when_the_writer_is_killed(tmp_path: Path, prefix: Path, old: Dataset) -> None:
    """The processes that a killed writer had forked end too, so that nobody writes into the folder any more."""
    process = start(FOREVER, tmp_path)
    assert process.stdout.readline() == "writing\n"
    time.sleep(0.05)
    process.kill()
    process.communicate(timeout=20)  # returns when the last of them has closed its end
    assert_whole(prefix, old, drawn(tmp_path / "photos", 7, shade=10))


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
@pytest.mark.parametrize("by", ["", THREADS], ids=["processes", "threads"])
@pytest.mark.parametrize("limit", [0, 1000, 6000])
def test_no_room_leaves_the_old_records(tmp_path: Path, prefix: Path, old: Dataset, limit: int, by: str) -> None:
    """When the system refuses to write on, the error says so, and the old records stay with nothing beside them."""
    before = files_in(prefix.parent)
    process = start(by + NO_ROOM, tmp_path, limit)
    errors = process.communicate()[1]
    assert process.returncode == 1
    assert "train: the disk is full" in errors
    assert "Free some space" in errors
    assert assert_whole(prefix, old) == 0
    assert files_in(prefix.parent) == before


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
@pytest.mark.parametrize("by", ["", THREADS], ids=["processes", "threads"])
def test_processes_write_what_threads_write(tmp_path: Path, prefix: Path, old: Dataset, by: str) -> None:
    """Photos read by forked processes or by threads give the same files, byte for byte, as those read by one."""
    made = records.open(prefix)
    written = [path.read_bytes() for path in made.files]
    for path in made.files:
        path.unlink()
    output, errors = start(by + ONCE, tmp_path).communicate()
    assert output.strip() == made.pattern, errors
    assert [path.read_bytes() for path in made.files] == written


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
def test_a_reading_process_that_dies_is_told(tmp_path: Path, prefix: Path, old: Dataset) -> None:
    """When the system ends one of the processes that read photos, the write fails and the old records stay."""
    process = start(WORKER_DIES, tmp_path)
    assert "RuntimeError: A process that reads photos was ended from outside" in process.communicate(timeout=20)[1]
    assert process.returncode == 1
    assert assert_whole(prefix, old) == 0


# --- a second time --------------------------------------------------------------------------------


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the images that are encoded from now on, in this process."""
    names: list[str] = []
    encode = encoding.encode

    def noted(image: LabelledImage, *rest: object) -> object:
        names.append(image.path.name)
        return encode(image, *rest)

    monkeypatch.setattr(encoding, "encode", noted)
    return names


def test_an_unchanged_dataset_is_reused_at_once(photographed: Dataset, prefix: Path, encoded: list[str]) -> None:
    """A second write of the same reads no photo and touches no file, and says so."""
    made = records.write(photographed, prefix, shards=3, workers=1)
    assert len(encoded) == 12
    assert made.reused == 0
    before = {path: path.stat().st_mtime_ns for path in prefix.parent.iterdir()}
    again = records.write(Dataset(photographed.images, LABELS), prefix, shards=3, workers=1)
    assert len(encoded) == 12
    assert again == made
    assert again.reused == 12
    assert str(again).endswith("; all images unchanged")
    assert "images unchanged" not in str(made)
    assert {path: path.stat().st_mtime_ns for path in prefix.parent.iterdir()} == before


def touched(dataset: Dataset) -> Dataset:
    """The dataset, with one photo written again."""
    Image.new("RGB", (46, 30), "yellow").save(dataset[6].path)
    os.utime(dataset[6].path, ns=(1, 1))  # two writes can be within one tick of the clock
    return dataset


def with_image(dataset: Dataset, number: int, **facts: object) -> Dataset:
    """The dataset, with something else about one image."""
    images = list(dataset)
    images[number] = replace(images[number], **facts)
    return Dataset(images, dataset.label_map)


CHANGES: dict[str, tuple[Callable[[Dataset], Dataset], set[int]]] = {
    "photo": (touched, {6}),
    "box": (lambda data: with_image(data, 3, boxes_xyxy=data[3].boxes_xyxy + [1, 0, 1, 0]), {3}),
    "label": (lambda data: with_image(data, 3, labels=data[3].labels[::-1].copy() % 2 + 1), {3}),
    "crowd": (lambda data: with_image(data, 1, crowd=[True]), {1}),
    "difficult": (lambda data: with_image(data, 1, difficult=[True]), {1}),
    "area": (lambda data: with_image(data, 1, areas=[9.0]), {1}),
    "mask": (lambda data: with_image(data, 0, masks=()), {0}),
    "last removed": (lambda data: Dataset(data[:-1], LABELS), set()),
    "first removed": (lambda data: Dataset(data[1:], LABELS), set()),
    "turned round": (lambda data: Dataset(data[::-1], LABELS), set()),
    "one twice": (lambda data: Dataset((*data[:5], data[2], *data[5:]), LABELS), {2}),
    "class renamed": (lambda data: Dataset(data.images, LabelMap(["cat", "hound"])), {2, 3, 6, 7, 10, 11}),
    "class added": (lambda data: Dataset(data.images, LabelMap([*LABELS, "owl"])), set()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_only_what_changed_is_made_anew(
    photographed: Dataset, prefix: Path, tmp_path: Path, encoded: list[str], change: str
) -> None:
    """After a change only its images are read, and the files are those of a first write, byte for byte."""
    records.write(photographed, prefix, shards=4, workers=1)
    encoded.clear()
    do, anew = CHANGES[change]
    names = {photographed[number].path.name for number in anew}
    changed = do(photographed)
    made = records.write(changed, prefix, shards=3, workers=1)
    assert set(encoded) == names
    assert made.reused == len(changed) - len(encoded)
    fresh = records.write(changed, tmp_path / "fresh" / "train", shards=3, workers=1)
    assert contents(prefix.parent) == contents(tmp_path / "fresh")
    assert replace(fresh, pattern=made.pattern) == made == records.verify(prefix)
    for name in ("train.json", index_of(prefix)):
        assert (prefix.parent / name).read_bytes() == (tmp_path / "fresh" / name).read_bytes()
    assert_clean_after_another_write(prefix, changed)


def test_other_shards_and_classes_need_no_photo(
    photographed: Dataset, prefix: Path, tmp_path: Path, encoded: list[str]
) -> None:
    """The same images in another number of shards, or with one more class, are written without reading a photo."""
    records.write(photographed, prefix, shards=4, workers=1)
    encoded.clear()
    more = Dataset(photographed.images, LabelMap([*LABELS, "owl"]))
    for dataset, shards in ((photographed, 3), (photographed, 12), (more, 12)):
        made = records.write(dataset, prefix, shards=shards, workers=1)
        assert not encoded
        assert (len(made.files), made.label_map) == (shards, dataset.label_map)
    records.write(more, tmp_path / "fresh" / "train", shards=12)
    assert contents(prefix.parent) == contents(tmp_path / "fresh")


def test_another_setting_makes_all_anew(photographed: Dataset, prefix: Path, encoded: list[str]) -> None:
    """Records that were scaled down are never taken for those of full size, nor the other way round."""
    records.write(photographed, prefix, workers=1)
    for longest_side in (20, None):
        encoded.clear()
        made = records.write(photographed, prefix, workers=1, longest_side=longest_side)
        assert len(encoded) == 12
        assert max(next(records.read(made)).pixels().shape) == (longest_side or 40)


@pytest.mark.parametrize("how", ["touched", "longer", "gone", "index gone", "index damaged", "manifest damaged"])
def test_what_cannot_be_trusted_is_made_anew(photographed: Dataset, prefix: Path, encoded: list[str], how: str) -> None:
    """Records in a shard that was changed since, or whose index or manifest is not whole, are not taken over."""
    made = records.write(photographed, prefix, shards=3, workers=1)
    before = contents(prefix.parent)
    encoded.clear()
    shard, index = made.files[1], prefix.parent / index_of(prefix)
    data = bytearray(shard.read_bytes())
    data[-30] ^= 1
    manifest = prefix.with_name("train.json")
    time.sleep(0.02)  # a tick of the clock
    {
        "touched": lambda: shard.write_bytes(data),
        "longer": lambda: shard.write_bytes(data + b"1"),
        "gone": shard.unlink,
        "index gone": index.unlink,
        "index damaged": lambda: index.write_bytes(index.read_bytes()[:-1] + b"?"),
        "manifest damaged": lambda: manifest.write_text(manifest.read_text().replace("cat", "cut")),
    }[how]()
    again = records.write(photographed, prefix, shards=3, workers=1)
    assert len(encoded) == (4 if how in ("touched", "longer", "gone") else 12)
    assert again == made
    assert contents(prefix.parent) == before


def test_bad_images_are_tried_again_and_the_rest_reused(
    flawed: Dataset, prefix: Path, encoded: list[str], tmp_path: Path
) -> None:
    """Under skip a second write reads the bad images alone, and one that is mended by then gets its record."""
    made = records.write(flawed, prefix, on_problem="skip", workers=1)
    encoded.clear()
    again = records.write(flawed, prefix, on_problem="skip", workers=1)
    assert again == made
    assert again.reused == 2
    assert len(encoded) == 8
    Image.new("RGB", (300, 280)).save(tmp_path / "gone.jpg")
    mended = records.write(flawed, prefix, on_problem="skip", workers=1)
    assert (mended.count, len(mended.problems)) == (3, 7)
    with pytest.raises(DatasetError):
        records.write(flawed, prefix, workers=1)
    assert records.open(prefix) == mended


def test_source_ids_stay(photographed: Dataset) -> None:
    """An image keeps its number when others are added, each has its own, and a float64 holds it exactly."""
    ids = encoding.source_ids(photographed)
    assert encoding.source_ids(photographed[3:]) == ids[3:]
    twins = encoding.source_ids([*photographed, *photographed, *photographed])
    assert len(set(twins)) == 36
    assert twins[:12] == ids
    assert all(0 <= id == int(float(id)) < 2**53 for id in twins)


# --- crowds, masks, sizes -------------------------------------------------------------------------


def masked(photographed: Dataset) -> Dataset:
    """The photos with a mask for each box, of three boxes one a crowd and one difficult."""
    from pycocotools import mask

    images = []
    for image in photographed:
        pixels = np.zeros((image.height, image.width, len(image.labels)), np.uint8, "F")
        for number, (xmin, ymin, xmax, ymax) in enumerate(image.boxes_xyxy.astype(int)):
            pixels[ymin:ymax, xmin:xmax:2, number] = 1
        counts = tuple(rle["counts"] for rle in mask.encode(pixels))
        crowd, difficult = ([number % 3 == one for number in range(len(counts))] for one in (0, 1))
        areas = [np.nan, 7.5, 3000.0][: len(counts)] if len(counts) > 1 else None
        images.append(replace(image, crowd=crowd, difficult=difficult, masks=counts, areas=areas, split="train"))
    return Dataset(images, LABELS)


def test_crowds_and_masks_come_back(photographed: Dataset, prefix: Path) -> None:
    """Flags of crowds and difficult objects, masks and areas are read as they were written; one with none has None."""
    dataset = masked(photographed)
    for image, written in zip(records.read(records.write(dataset, prefix)), dataset, strict=True):
        assert image.masks == written.masks
        assert image.crowd.tolist() == written.crowd.tolist()
        assert image.difficult.tolist() == written.difficult.tolist()
        assert str(image.areas) == str(written.areas)  # NaN and None are alike too
    assert any(image.areas is not None for image in dataset)
    assert next(records.read(records.write(photographed, prefix))).masks is None


def test_a_broken_mask_is_a_problem(photographed: Dataset, prefix: Path) -> None:
    """A mask that is not of the image's size is told with the photo's name."""
    for mask in (b"", b"zz", b"0" * 7, masked(photographed)[2].masks[0]):
        with pytest.raises(DatasetError, match=r"90-001\.jpg: a mask cannot be read"):
            records.write(with_image(photographed, 1, masks=(mask,)), prefix)


def test_large_photos_are_scaled_down_once(tmp_path: Path, prefix: Path) -> None:
    """With longest_side large photos are scaled with boxes and masks, small ones keep their bytes, and it is said."""
    from pycocotools import mask

    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)
    noise[100:200, 100:300] = 255
    Image.fromarray(noise).save(tmp_path / "large.png")
    Image.new("RGB", (200, 100)).save(tmp_path / "small.jpg")
    counts = mask.encode(np.asfortranarray(noise.min(axis=2) == 255, np.uint8))["counts"]
    large = replace(labelled(tmp_path / "large.png", (100, 100, 300, 200)), masks=(counts,), crowd=[True], areas=[900])
    small = labelled(tmp_path / "small.jpg", (1, 2, 3, 4))
    made = records.write(Dataset((large, small), LABELS), prefix, longest_side=200)
    first, second = records.read(made)
    assert (first.width, first.height) == (200, 150)
    assert first.boxes_xyxy.tolist() == [[50, 50, 150, 100]]
    assert first.crowd.tolist() == [True]
    assert first.areas.tolist() == [225]
    pixels = first.pixels()
    assert pixels.shape == (150, 200, 3)
    assert pixels[55:95, 55:145].mean() > 250 > 140 > pixels[:45].mean()
    covered = mask.decode({"size": [150, 200], "counts": first.masks[0]})
    assert covered[51:99, 51:149].all()
    assert covered.sum() < 1.1 * 50 * 100
    assert second.encoded == small.path.read_bytes()
    assert second.boxes_xyxy.tolist() == [[1, 2, 3, 4]]
    kept = sum(path.stat().st_size for path in made.files) / 1e6
    given = (large.path.stat().st_size + small.path.stat().st_size) / 1e6
    assert f"; {kept:.1f} MB instead of {given:.1f} MB" in str(made)
    assert records.open(prefix) == made == records.verify(made)
    assert " instead of " not in str(records.write(Dataset((small,), LABELS), prefix))


def test_a_box_that_scaling_would_lose_is_told(tmp_path: Path, prefix: Path) -> None:
    """A box that is under a pixel at the new size, where no reader could tell it from fractions, is a problem."""
    Image.new("RGB", (400, 300)).save(tmp_path / "a.jpg")
    image = labelled(tmp_path / "a.jpg", (50, 50, 51, 51), (0, 0, 3, 3))
    with pytest.raises(DatasetError, match=r"a\.jpg, object 2: the box is thinner than a record of 100 x 75 pixels"):
        records.write(Dataset((image,), LABELS), prefix, longest_side=100)
    assert records.write(Dataset((image,), LABELS), prefix).boxes == 2


def test_a_photo_that_changes_while_it_is_read_is_a_problem(
    photographed: Dataset, prefix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A photo that another program is still writing gets no record, and the error says to wait."""
    fstat = os.fstat

    def grow_after_the_first_look(handle: int) -> os.stat_result:
        found = fstat(handle)
        if found.st_ino == growing.stat().st_ino and found.st_size == size:
            with growing.open("ab") as file:
                file.write(b"more")
        return found

    growing = photographed[4].path
    size = growing.stat().st_size
    monkeypatch.setattr(os, "fstat", grow_after_the_first_look)
    with pytest.raises(DatasetError, match=r"1 problem:\n.*90-004\.jpg: it changed while it was read. Wait until"):
        records.write(photographed, prefix)


# --- verify ---------------------------------------------------------------------------------------


def test_whole_records_are_verified(photographed: Dataset, prefix: Path) -> None:
    """Records that are whole pass, named by their prefix or as they were returned, in any folder."""
    made = records.write(masked(photographed), prefix.parent / "odd [1]" / "train", shards=3)
    assert records.verify(made) == made
    assert records.verify(prefix.parent / "odd [1]" / "train") == made


def test_every_flipped_byte_is_found(photographed: Dataset, prefix: Path) -> None:
    """A byte changed at random in any file of the records is found; the error names the file and the record."""
    made = records.write(photographed, prefix, shards=2)
    ends = [np.cumsum([12 + len(data) + 4 for data in _frames(path)]) for path in made.files]
    rng = random.Random(0)
    files = [*made.files, prefix.parent / index_of(prefix), prefix.with_name("train.json")]
    for number in range(80):
        path = files[number % 4]
        whole = path.read_bytes()
        place = rng.randrange(len(whole))
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << rng.randrange(8)]) + whole[place + 1 :])
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is looked at below
            records.verify(prefix)
        assert path.name in str(caught.value)
        if path in made.files:
            record = int(np.searchsorted(ends[number % 4], place, side="right")) + 1
            assert [problem.object for problem in caught.value.problems] == [f"record {record}"]
        path.write_bytes(whole)
    assert records.verify(prefix) == made


def _frames(path: Path) -> Iterator[bytes]:
    from tfod_helpers.records.tfrecord import frames

    return frames.read_frames(path)


def test_all_damage_is_listed_with_what_to_do(photographed: Dataset, prefix: Path) -> None:
    """Several damaged records and a missing shard come in one report, or a lost index; another write mends them."""
    made = records.write(photographed, prefix, shards=3)
    data = bytearray(made.files[0].read_bytes())
    data[100] ^= 255
    data[-1] ^= 255
    made.files[0].write_bytes(data)
    made.files[2].unlink()
    with pytest.raises(DatasetError) as caught:
        records.verify(prefix)
    told = [(problem.where[-24:], problem.object) for problem in caught.value.problems]
    assert ("-00000-of-00003.tfrecord", "record 1") in told
    assert {what for _, what in told} == {"record 1", "record 4", ""}
    assert "this shard is missing" in str(caught.value)
    assert "Delete this file, and write the records again." in str(caught.value)
    (prefix.parent / index_of(prefix)).unlink()
    with pytest.raises(DatasetError, match=r"this index is missing\. Write the records again"):
        records.verify(prefix)
    made.files[0].unlink()
    assert records.write(photographed, prefix, shards=3) == records.verify(prefix) == made


def test_a_shard_of_other_records_is_found(photographed: Dataset, prefix: Path, tmp_path: Path) -> None:
    """Records that are whole but not those that were written, such as two that changed places, are found."""
    made = records.write(photographed, prefix, shards=2)
    same_size = with_image(photographed, 1, crowd=[True])
    other = records.write(same_size, tmp_path / "other" / "train", shards=2)
    made.files[0].write_bytes(other.files[0].read_bytes())
    records.open(prefix)
    with pytest.raises(DatasetError, match=r"1 problem:\n.*record 2: .*not the record that was written"):
        records.verify(prefix)


# --- in a bucket ----------------------------------------------------------------------------------


def in_bucket(folder: str) -> dict[str, bytes]:
    """The files of a bucket's folder."""
    return {name: storage.read_bytes(f"{folder}/{name}") for name in storage.sizes(folder)}


def test_a_bucket_holds_the_same_files(photographed: Dataset, prefix: Path, bucket: str) -> None:
    """Records written to gs:// are the files of a local write; they are opened, read and verified there."""
    records.write(photographed, prefix, shards=3)
    made = records.write(photographed, f"{bucket}/all [1]/train", shards=3)
    assert in_bucket(f"{bucket}/all [1]") == {path.name: path.read_bytes() for path in prefix.parent.iterdir()}
    assert_same(list(records.read(made)), photographed)
    assert [path.rpartition("/")[0] for path in made.files] == [f"{bucket}/all [1]"] * 3
    assert records.open(f"{bucket}/all [1]/train") == made == records.verify(made)
    assert records.open(Path(f"{bucket}/all [1]/train")) == made


def test_a_bucket_is_reused_and_changed_where_it_changed(
    photographed: Dataset, tmp_path: Path, bucket: str, encoded: list[str]
) -> None:
    """Unchanged records in a bucket are reused; after a change only its images are read, and old files go."""
    made = records.write(photographed, f"{bucket}/train", shards=3, workers=1)
    encoded.clear()
    assert records.write(photographed, f"{bucket}/train", shards=3, workers=1).reused == 12
    changed = with_image(photographed, 5, crowd=[True])
    again = records.write(changed, f"{bucket}/train", shards=3, workers=1)
    assert encoded == [photographed[5].path.name]
    records.write(changed, tmp_path / "fresh" / "train", shards=3)
    assert in_bucket(bucket) == {path.name: path.read_bytes() for path in (tmp_path / "fresh").iterdir()}
    assert again.pattern != made.pattern
    moved = Dataset(changed[1:], LABELS)
    encoded.clear()
    records.write(moved, f"{bucket}/train", shards=2, workers=1)
    assert encoded == []
    assert_same(list(records.read(records.verify(f"{bucket}/train"))), moved)
    storage.write_bytes(f"{bucket}/notes.txt", b"mine")
    assert "notes.txt" in in_bucket(bucket)


def test_damage_in_a_bucket_is_told(photographed: Dataset, bucket: str) -> None:
    """No records, a missing shard and a damaged record are told with their gs:// address."""
    with pytest.raises(FileNotFoundError, match=rf"{bucket}/train\.json: there are no records here"):
        records.open(f"{bucket}/train")
    made = records.write(photographed, f"{bucket}/train", shards=2)
    data = bytearray(storage.read_bytes(made.files[1]))
    data[-9] ^= 1
    storage.write_bytes(made.files[1], bytes(data))
    with pytest.raises(DatasetError, match=rf"{made.files[1]}, record 6: damaged"):
        records.verify(made)
    with pytest.raises(ValueError, match=rf"{made.files[1]}, record 6: damaged"):
        list(records.read(made))
    gone = made.files[1]
    storage.delete(gone)
    with pytest.raises(FileNotFoundError, match=rf"{gone}: this shard is missing"):
        records.open(f"{bucket}/train")


def test_an_upload_that_ends_halfway_leaves_the_old_records(
    photographed: Dataset, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the network goes during an upload, the old records stay, and the next write removes the rest."""
    made = records.write(photographed, f"{bucket}/train", shards=2)
    upload = storage.upload

    def upload_first(local: Path, path: str) -> None:
        if "00001-of" in path:
            raise OSError("the network is gone")
        upload(local, path)

    changed = with_image(with_image(photographed, 1, crowd=[True]), 9, crowd=[True])
    with monkeypatch.context() as patch:
        patch.setattr(storage, "upload", upload_first)
        with pytest.raises(OSError, match="the network is gone"):
            records.write(changed, f"{bucket}/train", shards=2)
    assert records.verify(f"{bucket}/train") == made
    assert len(in_bucket(bucket)) == 5
    records.write(changed, f"{bucket}/train", shards=2)
    assert len(in_bucket(bucket)) == 4


def test_photos_in_a_bucket_are_read(photographed: Dataset, bucket: str, prefix: Path, tmp_path: Path) -> None:
    """Photos that are in a bucket give the same shards as the same photos here."""
    for image in photographed:
        storage.upload(image.path, f"{bucket}/photos/{image.path.name}")
    there = [replace(image, path=Path(f"{bucket}/photos", image.path.name)) for image in photographed]
    records.write(Dataset(there, LABELS), prefix)
    records.write(photographed, tmp_path / "local" / "train")
    assert contents(prefix.parent) == contents(tmp_path / "local")
    assert records.write(Dataset(there, LABELS), prefix).reused == 12


# --- light and quick ------------------------------------------------------------------------------


def test_import_is_light() -> None:
    """Importing the records loads no TensorFlow, pandas or matplotlib: it takes a fifth of a second, not six."""
    code = "import sys, tfod_helpers.records; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"tensorflow", "pandas", "matplotlib"} & set(loaded)
    assert "tfod_helpers.records" in loaded
