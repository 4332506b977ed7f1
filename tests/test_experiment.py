"""Experiment configs: strict, linked settings follow each other, and a config survives its file."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from tfod_helpers import records
from tfod_helpers.annotations import Dataset, LabelledImage, LabelMap
from tfod_helpers.presets import PRESETS
from tfod_helpers.records import Records

pytestmark = pytest.mark.tensorflow
experiment = pytest.importorskip("tfod_helpers.experiment")

NAMES = ("cat", "dog", "owl")
BATCH = "task.train_data.global_batch_size"
RATE = "trainer.optimizer_config.learning_rate.cosine.initial_learning_rate"
WARMUP = "trainer.optimizer_config.warmup.linear.warmup_steps"
DECAY = "trainer.optimizer_config.learning_rate.cosine.decay_steps"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Records]:
    """Records by their number of photos, classes and boxes' side; each is written once."""
    folder = tmp_path_factory.mktemp("written")
    Image.new("RGB", (100, 80), "grey").save(folder / "photo.jpg")

    @functools.cache
    def write(count: int, names: tuple[str, ...] = NAMES, side: float = 40, boxes: int = 2) -> Records:
        place = np.linspace(0, 80 - side, max(boxes, 1))[:boxes, None]
        boxes_xyxy = np.concatenate([place, place, place + side, place + side], axis=1)
        images = []
        for number in range(count):
            path = folder / f"{count}-{number}.jpg"  # no photo is in two records
            if not path.exists():
                shutil.copy(folder / "photo.jpg", path)
            labels = 1 + (number + np.arange(boxes)) % len(names)
            images.append(LabelledImage(path, 100, 80, boxes_xyxy, labels))
        return records.write(Dataset(images, LabelMap(names)), folder / f"{count}-{'-'.join(names)}-{side}-{boxes}")

    return write


@pytest.fixture
def make(written: Callable[..., Records]) -> Callable[..., Any]:
    """Makes a config for 200 and 50 images of three classes."""

    def make(preset: str = "mobilenet_v2_192", *, train: Any = None, validation: Any = None, **settings: Any) -> Any:
        train, validation = train or written(200), validation or written(50)
        return experiment.make(preset, train=train, validation=validation, **settings)

    return make


def test_records_fill_the_config(make: Callable[..., Any], written: Callable[..., Records]) -> None:
    """Classes, counts and patterns come from the records; the model has one class more, the background."""
    task = make().task
    assert (task.class_names, task.model.num_classes) == (["cat", "dog", "owl"], 4)
    assert (task.train_images, task.validation_images) == (200, 50)
    assert task.train_data.input_path == written(200).pattern
    assert task.train_data.parser.max_num_instances == 2
    assert experiment.label_map(make()) == LabelMap(NAMES)


@pytest.mark.parametrize("preset", PRESETS)
def test_an_unchanged_preset_differs_in_nothing(preset: str) -> None:
    """A preset's own config lists no changes, and one fitted to data only what has a reason."""
    assert experiment.changes(experiment.from_preset(preset)) == {}


def test_changes_name_what_differs_and_from_what(make: Callable[..., Any]) -> None:
    """What was changed is listed with the preset's value first."""
    made = make()
    changed = experiment.change(made, {"task.train_data.parser.aug_color": 0.5})
    assert experiment.changes(changed).keys() - experiment.changes(made) == {"task.train_data.parser.aug_color"}
    assert experiment.changes(changed)["task.train_data.parser.aug_color"][1] == 0.5


def test_change_leaves_the_original_alone(make: Callable[..., Any]) -> None:
    """A changed config is a copy, also deep within."""
    config = make()
    before = config.as_dict()
    experiment.change(config, {"task.model.input_size": [256, 256, 3]})
    assert config.as_dict() == before


def test_learning_rate_and_steps_follow_the_batch_size(make: Callable[..., Any]) -> None:
    """Four times the batch: twice the rate, a quarter of the steps, and decay over those."""
    small, large = make(), make(batch_size=make().task.train_data.global_batch_size * 4)
    old, new = (config.trainer.optimizer_config.learning_rate.cosine for config in (small, large))
    assert new.initial_learning_rate == pytest.approx(2 * old.initial_learning_rate)
    assert large.trainer.train_steps == round(small.trainer.train_steps / 4) == new.decay_steps
    assert large.trainer.validation_interval <= large.trainer.train_steps


def test_what_is_named_is_taken_as_it_is(make: Callable[..., Any]) -> None:
    """A learning rate and steps that are given are not scaled with the batch size."""
    config = make(batch_size=64, learning_rate=1e-3, train_steps=77)
    assert config.trainer.optimizer_config.learning_rate.cosine.initial_learning_rate == 1e-3
    assert (config.trainer.train_steps, config.trainer.optimizer_config.learning_rate.cosine.decay_steps) == (77, 77)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"task.model.num_clases": 4}, ValueError, "'task.model.num_classes'"),
        ({"task.train_data.batch_size": 4}, ValueError, "global_batch_size"),
        ({BATCH: "16"}, TypeError, "must be int"),
        ({BATCH: 0}, ValueError, "global_batch_size must be above 0"),
        ({"trainer.train_steps": 0}, ValueError, "train_steps must be above 0"),
        ({RATE: 0.0}, ValueError, "above 0"),
        ({RATE: math.nan}, ValueError, "above 0"),
        ({"task.model.input_size": [200, 200, 3]}, ValueError, r"multiple of 64. Use 192"),
        ({"task.model.input_size": [256, 192, 3]}, ValueError, "square"),
        ({BATCH: 201}, ValueError, "only 200 training photos. Use at most 200"),
        ({"trainer.train_steps": 30, WARMUP: 30}, ValueError, "not more than the 30 steps of warm-up"),
        ({"trainer.minutes": -1.0}, ValueError, "must not be below 0"),
    ],
)
def test_wrong_changes_are_refused_with_the_fix(
    make: Callable[..., Any], settings: dict, error: type[Exception], message: str
) -> None:
    """An unknown name, a wrong type and an impossible value each say what to write instead."""
    with pytest.raises(error, match=message):
        experiment.change(make(), settings)


def test_unknown_preset_names_the_nearest(make: Callable[..., Any]) -> None:
    """A misspelt preset is answered with the one that was meant."""
    with pytest.raises(ValueError, match=r"Did you mean 'mobilenet_v2_256'"):
        make("mobilenetv2_256")


def test_records_of_different_classes_do_not_go_together(
    make: Callable[..., Any], written: Callable[..., Records]
) -> None:
    """Training and validation records must have the same classes in the same order."""
    with pytest.raises(ValueError, match="different classes"):
        make(validation=written(50, ("dog", "cat", "owl")))


@pytest.mark.parametrize("same", ["the same", "a copy", "a part"])
def test_what_is_trained_on_is_no_validation(
    same: str, make: Callable[..., Any], written: Callable[..., Records], tmp_path: Path
) -> None:
    """Validation photos that are training photos too are refused with their number, under whatever name they lie."""
    whole = written(60)
    validation = whole
    if same != "the same":
        validation = records.write(
            Dataset(list(records.read(whole))[: 60 if same == "a copy" else 9], whole.label_map), tmp_path / "other"
        )
    expected = (
        rf"{validation.count} of the {validation.count} validation photos are training photos too, such as '60-0\.jpg'"
    )
    with pytest.raises(ValueError, match=rf"{expected}.*train_and_validation"):
        make(train=whole, validation=validation)
    config = make(train=whole)
    with pytest.raises(ValueError, match=expected):
        experiment.with_records(config, train=whole, validation=validation)
    if same == "the same":
        with pytest.raises(ValueError, match=r"are the same.*Give records of other photos"):
            experiment.change(config, {"task.validation_data.input_path": whole.pattern})


def test_a_class_without_an_example_is_refused(make: Callable[..., Any], written: Callable[..., Records]) -> None:
    """What has no training box cannot be trained, and nothing is evaluated on validation photos without any."""
    with pytest.raises(ValueError, match=r"no example of 'owl' in the training records.*Label some"):
        make(train=written(1), validation=written(50))
    with pytest.raises(ValueError, match="no object in these records"):
        make(validation=written(20, boxes=0))


def test_only_difficult_objects_are_no_validation(
    make: Callable[..., Any], written: Callable[..., Records], tmp_path: Path
) -> None:
    """Where every validation object is a crowd or a difficult one, that is told before a training."""
    images = [
        dataclasses.replace(image, **{mark: np.ones(len(image.labels), bool)})
        for image, mark in zip(records.read(written(2)), ("crowd", "difficult"), strict=True)
    ]
    unscored = records.write(Dataset(images, LabelMap(NAMES)), tmp_path / "unscored")
    with pytest.raises(ValueError, match="no object in these records counts in a score, as crowds and difficult ones"):
        make(validation=unscored)


def test_a_config_survives_its_file(make: Callable[..., Any], tmp_path: Path) -> None:
    """What is loaded is what was saved, setting by setting, of every family, and can be changed on."""
    for preset in ("mobilenet_v2_256", "faster_rcnn_resnet101_640", "mask_rcnn_resnet50_640"):
        config = make(preset, batch_size=8, weights=None, minutes=5)
        loaded = experiment.load(experiment.save(config, tmp_path / "config.yaml"))
        assert loaded.as_dict() == config.as_dict()
        assert type(loaded.task) is type(config.task)
        assert "Chosen for your data" in experiment.explain(loaded) == experiment.explain(config)
        assert experiment.change(loaded, {"trainer.train_steps": 5}).trainer.train_steps == 5


@pytest.mark.parametrize("text", ["", "[1, 2", "task: {preset: nothing}", "task: {preset: mobilenet_v2_256, x: 1}"])
def test_a_file_that_is_no_config_is_refused(text: str, tmp_path: Path) -> None:
    """An empty, broken or foreign file is named, not half taken."""
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"config\.yaml: not an experiment config"):
        experiment.load(path)
    with pytest.raises(FileNotFoundError, match="no experiment config"):
        experiment.load(tmp_path / "other.yaml")


def test_a_moved_folder_is_no_difference(make: Callable[..., Any]) -> None:
    """Two configs that read the same records from different folders do not differ; other records do."""
    here, there, other = make(), make(), make()
    name = Path(here.task.train_data.input_path).name
    there.task.train_data.input_path = f"elsewhere/{name}"
    other.task.train_data.input_path = "somewhere/300-*.tfrecord"
    assert experiment.differences(here, there) == {}
    assert list(experiment.differences(here, other)) == ["task.train_data.input_path"]


# --- what follows the data ------------------------------------------------------------------------


def test_steps_grow_with_the_photos(make: Callable[..., Any], written: Callable[..., Records]) -> None:
    """A preset's steps are for a thousand photos; fewer get fewer, with the root of the number, and a reason."""
    few, some = make(train=written(60)), make(train=written(500))
    whole = experiment.from_preset("mobilenet_v2_192").trainer.train_steps
    assert few.trainer.train_steps == round(whole * 0.5 / 50) * 50  # never below half
    assert some.trainer.train_steps == pytest.approx(whole * math.sqrt(0.5), abs=26)
    assert {one.setting: one.value for one in some.task.reasons}["trainer.train_steps"] == some.trainer.train_steps
    assert make(train=written(500), train_steps=77).trainer.train_steps == 77


def test_a_whole_detector_needs_half_of_the_steps(make: Callable[..., Any], written: Callable[..., Records]) -> None:
    """From COCO's weights or a run half as many as from ImageNet's backbone, with the reason; the rate is the same."""
    backbone = make(train=written(500))
    for weights in ("coco", "runs/old"):
        whole = make(train=written(500), weights=weights)
        assert whole.trainer.train_steps == pytest.approx(backbone.trainer.train_steps / 2, abs=26)
        rates = [one.trainer.optimizer_config.learning_rate.cosine.initial_learning_rate for one in (whole, backbone)]
        assert rates[0] == rates[1]
        assert "a whole detector" in {one.setting: one.why for one in whole.task.reasons}["trainer.train_steps"]
    assert "half" not in {one.setting: one.why for one in backbone.task.reasons}["trainer.train_steps"]


def test_a_given_batch_goes_with_chosen_steps(make: Callable[..., Any], written: Callable[..., Records]) -> None:
    """Steps that were chosen for the preset's batch become fewer with a larger one, and the learning rate higher."""
    small, large = make(train=written(500)), make(train=written(500), batch_size=64)
    assert large.trainer.train_steps == pytest.approx(small.trainer.train_steps / 4, abs=1)


def test_from_scratch_the_learning_rate_is_higher(make: Callable[..., Any]) -> None:
    """Without pretrained weights the rate is three times the preset's, with a reason, and follows the batch too."""
    preset = PRESETS["mobilenet_v2_192"]
    scratch, pretrained = make(weights=None), make()
    rates = [
        config.trainer.optimizer_config.learning_rate.cosine.initial_learning_rate for config in (scratch, pretrained)
    ]
    assert rates == pytest.approx([3 * preset.learning_rate, preset.learning_rate])
    assert "nothing to lose by larger steps" in experiment.explain(scratch)
    large = make(weights=None, batch_size=64).trainer.optimizer_config.learning_rate.cosine.initial_learning_rate
    assert large == pytest.approx(2 * 3 * preset.learning_rate)


def test_a_batch_is_no_larger_than_the_data(make: Callable[..., Any], written: Callable[..., Records]) -> None:
    """Five photos make batches of five, and the config says why."""
    config = make(train=written(5))
    assert config.task.train_data.global_batch_size == 5
    assert "there are only 5 training photos" in experiment.explain(config)


def test_small_objects_get_smaller_anchors_or_larger_images(
    make: Callable[..., Any], written: Callable[..., Records]
) -> None:
    """Where no anchor fits the boxes, anchors and then the image size are chosen until one does, with the shares."""
    from tfod_helpers import presets
    from tfod_helpers.presets import anchors

    config = make(train=written(60, side=5.0))
    chosen = experiment.changes(config)
    assert "task.model.anchor.anchor_size" in chosen
    whys = {one.setting: one.why for one in config.task.reasons}
    assert re.search(r"without it \d+% of your boxes .* with it \d+%", whys["task.model.anchor.anchor_size"])
    model = config.task.model
    fitted = dataclasses.replace(
        presets.find("mobilenet_v2_192"), anchor_size=model.anchor.anchor_size, image_size=model.input_size[0]
    )
    box_xyxy, size = np.array([[10, 10, 15, 15]]), np.array([[100, 80]])
    before = anchors.best_overlap(box_xyxy, size, presets.find("mobilenet_v2_192"))
    assert anchors.best_overlap(box_xyxy, size, fitted) > before
    assert "task.model.anchor.anchor_size" not in experiment.changes(make(train=written(60, side=5.0), image_size=192))
    assert experiment.changes(make(train=written(60))).keys().isdisjoint(chosen.keys() & {"task.model.input_size"})


def test_an_unknown_detail_of_the_network_is_refused(make: Callable[..., Any]) -> None:
    """The error names what there is and the nearest; what the settings know is what the network knows."""
    from tfod_helpers.network import normalization
    from tfod_helpers.presets.models import DETAILS

    assert DETAILS["task.normalization"] == (*normalization.NORMALIZATIONS,)
    for key in DETAILS:
        with pytest.raises(ValueError, match=rf"{key} must be one of .*, got 'symetric'"):
            experiment.change(make(), {key: "symetric"})
    with pytest.raises(ValueError, match="'ssd_maps' goes with nothing but itself"):
        experiment.change(make(), {"task.anchor_layout": "ssd_maps"})


def test_a_photo_is_stretched_where_that_is_asked(make: Callable[..., Any], tmp_path: Path) -> None:
    """It is one setting, which explain tells, the file keeps, and a slip of the pen does not get past."""
    config = make(resize="stretch")
    assert experiment.changes(config) == {**experiment.changes(make()), "task.resize": ("letterbox", "stretch")}
    assert "Each photo is stretched to the whole square." in experiment.explain(config)
    assert "stretched to the whole square" not in experiment.explain(make())
    assert experiment.load(experiment.save(config, tmp_path / "config.yaml")).task.resize == "stretch"
    for refused in (lambda: make(resize="strech"), lambda: experiment.change(config, {"task.resize": "strech"})):
        with pytest.raises(
            ValueError,
            match=r"resize must be one of 'letterbox', 'stretch', 'stretch_bilinear', got 'strech'\. Did you mean",
        ):
            refused()


def test_a_config_of_before_letterboxes(make: Callable[..., Any], tmp_path: Path) -> None:
    """A file that says nothing of how photos are resized comes from a run that letterboxed them."""
    path = experiment.save(make(), tmp_path / "config.yaml")
    settings = yaml.safe_load(path.read_text())
    del settings["task"]["resize"]
    path.write_text(yaml.safe_dump(settings))
    assert experiment.load(path).task.resize == "letterbox"
    assert not experiment.differences(experiment.load(path), make())


def test_anchors_are_chosen_for_boxes_as_they_are_resized(make: Callable[..., Any], tmp_path: Path) -> None:
    """Objects too flat for any anchor in a letterboxed wide photo are square where it is stretched; nothing changes."""
    images = []
    for number in range(40):
        Image.new("RGB", (400, 100), "grey").save(tmp_path / f"{number}.jpg")
        boxes_xyxy = [[40, 40, 120, 60], [200, 10, 280, 30]]
        images.append(LabelledImage(tmp_path / f"{number}.jpg", 400, 100, np.array(boxes_xyxy), [1, 2]))
    names = LabelMap(["cat", "dog"])
    train = records.write(Dataset(images[:30], names), tmp_path / "train")
    validation = records.write(Dataset(images[30:], names), tmp_path / "validation")
    chosen = {
        resize: {one.setting for one in make(train=train, validation=validation, resize=resize).task.reasons}
        for resize in ("letterbox", "stretch")
    }
    shape = {"task.model.anchor.anchor_size", "task.model.input_size"}
    assert chosen["letterbox"] & shape
    assert not chosen["stretch"] & shape


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("left_hand", "right hand"), "a mirrored 'left_hand' is 'right hand', so photos are not mirrored"),
        (("stop", "arrowleft"), "a mirrored 'arrowleft' would be called by the wrong name, so photos are not mirrored"),
        (("stop", "turnLeft", "links", "rechts"), "a mirrored 'links' is 'rechts', so photos are not mirrored"),
    ],
)
def test_left_and_right_are_not_mirrored(
    make: Callable[..., Any], written: Callable[..., Records], names: tuple[str, ...], why: str
) -> None:
    """Classes that a mirror calls by the wrong name turn mirroring off, and explain says why; also where it is on."""
    config = make(train=written(60, names), validation=written(50, names))
    assert not config.task.train_data.parser.aug_rand_hflip
    assert why in experiment.explain(config)
    assert "mirrored half" not in experiment.explain(config)
    turned_on = experiment.explain(experiment.change(config, {"task.train_data.parser.aug_rand_hflip": True}))
    assert "mirrored half of the time, which makes " in turned_on


def test_names_that_only_hold_the_letters_are_mirrored(
    make: Callable[..., Any], written: Callable[..., Records]
) -> None:
    """Names such as bright and cleft are no sides: such photos are mirrored."""
    others = ("bright", "cleft")
    config = make(train=written(60, others), validation=written(50, others))
    assert config.task.train_data.parser.aug_rand_hflip
    assert "mirrored half of the time," in experiment.explain(config)


def test_augmentation_by_name(make: Callable[..., Any]) -> None:
    """light, standard and strong vary ever more; another name is answered with the nearest."""
    colours = [make(augmentation=name).task.train_data.parser.aug_color for name in ("light", "standard", "strong")]
    assert colours == sorted(set(colours))
    assert experiment.augment(make(), "strong").task.train_data.parser.aug_mosaic > 0
    with pytest.raises(ValueError, match="Did you mean 'strong'"):
        make(augmentation="strongly")


def test_explain_says_what_will_happen(make: Callable[..., Any], written: Callable[..., Records]) -> None:
    """Model, start, steps, evaluation and augmentation in words; what was chosen with its reason; what you changed."""
    config = experiment.change(make(train=written(500), minutes=20), {"task.train_data.parser.aug_color": 0.5})
    text = experiment.explain(config)
    for part in (
        "squares of 192 pixels", "3 classes apart: cat, dog, owl", "(ImageNet)", "trains on 500 photos",
        "fitted to 20 minutes", "evaluated 6 times on 50 photos", "coloured by up to 50%",
        "Chosen for your data:\n- trainer.train_steps = ", "square root of the number",
        "Changed by you:", "task.train_data.parser.aug_color: 0.2 -> 0.5",
    ):  # fmt: skip
        assert part in text, part
    again = experiment.explain(experiment.change(config, {"trainer.train_steps": 99}))
    assert "Chosen for your data" not in again  # what was chosen is no longer what will be


def test_records_go_into_a_config_without_data(written: Callable[..., Records]) -> None:
    """with_records leaves every setting as it is and the given config alone; what does not fit is refused."""
    bare = experiment.change(experiment.from_preset("mobilenet_v2_256"), {"trainer.train_steps": 123})
    filled = experiment.with_records(bare, train=written(60), validation=written(50))
    assert (filled.trainer.train_steps, filled.task.train_images, filled.task.model.num_classes) == (123, 60, 4)
    assert bare.task.train_images == 0
    with pytest.raises(ValueError, match="only 5 training photos"):
        experiment.with_records(bare, train=written(5), validation=written(50))
