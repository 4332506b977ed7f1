"""Old configs carried over: the right preset, the right values, and a word about every setting of the file."""

from __future__ import annotations

import inspect
import pickle
import re
import subprocess
import sys
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_training import draw_rectangles

from tfod_helpers import pipeline_config
from tfod_helpers.files.protobuf_text import read_settings
from tfod_helpers.pipeline_config import Carried, NoCounterpartError, OldConfigError, values
from tfod_helpers.pipeline_config.rules import rules
from tfod_helpers.presets import PRESETS

if TYPE_CHECKING:
    from tfod_helpers.experiment import ExperimentConfig

tensorflow = pytest.mark.tensorflow
MODEL, PARSER, LOSSES = "task.model", "task.train_data.parser", "task.losses"
BATCH, STEPS, SIZE = "task.train_data.global_batch_size", "trainer.train_steps", f"{MODEL}.input_size"
RATE = "trainer.optimizer_config.learning_rate.cosine.initial_learning_rate"
WARMUP = "trainer.optimizer_config.warmup.linear.warmup_steps"
WIDTH, RESNET = f"{MODEL}.backbone.mobilenet.filter_size_scale", f"{MODEL}.backbone.resnet.model_id"
OUTCOMES = {"carried over", "replaced", "no counterpart"}

SSD = """
model { ssd {
  num_classes: 3
  image_resizer { fixed_shape_resizer { height: 320 width: 320 } }
  feature_extractor { type: 'ssd_mobilenet_v2_fpn_keras' depth_multiplier: 1.0 }
  EXTRA
} }
train_config { batch_size: 8 num_steps: 400 data_augmentation_options { random_horizontal_flip { } } TRAIN }
"""


def read(folder: Path, text: str = SSD, *, model: str = "", train: str = "") -> Carried:
    """Read a config that is written with something more in its model or its train_config."""
    text = text.replace("EXTRA", model).replace("TRAIN", train)
    path = folder / "pipeline.config"
    path.write_text(text)
    return pipeline_config.read(path)


def flatten_config(config: ExperimentConfig) -> dict[str, Any]:
    """Every setting of a config."""
    from tfod_helpers.experiment.config import flatten

    return flatten(config)


def flat(carried: Carried) -> dict[str, Any]:
    """Every setting of the config that came of it."""
    return flatten_config(carried.config)


def fates(carried: Carried) -> dict[str, str]:
    """What happened to each setting."""
    return {row.setting: row.outcome for row in carried.table.itertuples()}


@pytest.fixture(scope="session")
def old_configs(shared: Path) -> list[Path]:
    """The configs that the Object Detection API comes with."""
    return sorted((shared / "data" / "tfod_configs").rglob("*.config"))


@pytest.fixture(scope="session")
def all_read(old_configs: list[Path]) -> dict[Path, Carried | NoCounterpartError]:
    """What comes of each of them."""
    found: dict[Path, Carried | NoCounterpartError] = {}
    for path in old_configs:
        try:
            found[path] = pipeline_config.read(path)
        except NoCounterpartError as error:
            found[path] = error
    return found


@tensorflow
def test_all_real_configs_go_through(all_read: dict[Path, Carried | NoCounterpartError]) -> None:
    """89 of the 108 have a preset; CenterNets and EfficientDets alone are refused, with what to use instead."""
    refused = [path.name for path, found in all_read.items() if isinstance(found, NoCounterpartError)]
    assert (len(all_read), len(refused)) == (108, 19)
    assert all(re.match(r"center_?net|ssd_efficientdet", name) for name in refused)


@tensorflow
def test_every_setting_is_in_the_table_once(all_read: dict[Path, Carried | NoCounterpartError]) -> None:
    """The table has the settings of the file, in its order, each once, with an outcome, a reason and its value."""
    for path, found in all_read.items():
        if isinstance(found, Carried):
            settings = read_settings(path.read_text(encoding="utf-8"))
            table = found.table
            assert list(table["setting"]) == [one.name for one in settings], path.name
            assert list(table["value"]) == [one.value for one in settings]
            assert table["setting"].is_unique
            assert set(table["outcome"]) <= OUTCOMES
            assert all(re.fullmatch(r"[-\dA-Z].*\.", why) for why in table["why"])


@tensorflow
def test_what_the_table_says_is_in_the_config(all_read: dict[Path, Carried | NoCounterpartError]) -> None:
    """Each 'name = value' of the table is a setting of the config that came of it, with that value."""
    for found in all_read.values():
        if isinstance(found, Carried):
            ours = flat(found)
            said = [
                part.split(" = ") for row in found.table.itertuples() for part in row.to.split("; ") if " = " in part
            ]
            assert len(said) > 15
            for name, value in said:
                assert value == (f"{ours[name]:.6g}" if isinstance(ours[name], float) else repr(ours[name]))
            assert all(row.to == "" for row in found.table.itertuples() if row.outcome == "no counterpart")


@tensorflow
def test_placeholders_are_named(all_read: dict[Path, Carried | NoCounterpartError]) -> None:
    """Every setting with PATH_TO_BE_CONFIGURED is named, and so is what to give instead, in the summary too."""
    counted = 0
    for path, found in all_read.items():
        if isinstance(found, Carried):
            text = re.sub(r"#.*", "", path.read_text(encoding="utf-8"))
            assert len(found.unconfigured) == text.count("PATH_TO_BE_CONFIGURED"), path.name
            assert all(f"  {name} = " in str(found) for name in found.unconfigured)
            counted += len(found.unconfigured)
    assert counted > 300


@tensorflow
@pytest.mark.parametrize(
    ("name", "preset", "expected"),
    [
        (
            "ssd_mobilenet_v2_fpnlite_640x640_coco17_tpu-8",
            "mobilenet_v2_fpnlite_320",
            {
                SIZE: [640, 640, 3],
                "task.resize": "stretch",
                f"{MODEL}.max_level": 7,
                f"{MODEL}.num_classes": 91,
                BATCH: 128,
                STEPS: 50000,
                RATE: 0.002,
                WARMUP: 1000,
                f"{MODEL}.anchor.anchor_size": 4.0,
                f"{MODEL}.anchor.num_scales": 2,
                f"{MODEL}.anchor.aspect_ratios": [1.0, 2.0, 0.5],
                f"{MODEL}.head.num_filters": 128,
                f"{MODEL}.detection_generator.nms_iou_threshold": 0.6,
                f"{MODEL}.detection_generator.pre_nms_score_threshold": 0.01,
                f"{LOSSES}.focal_loss_alpha": 0.25,
                f"{LOSSES}.focal_loss_gamma": 2.0,
                f"{LOSSES}.huber_loss_delta": 0.1,
                f"{LOSSES}.box_loss_weight": 50,
                f"{LOSSES}.l2_weight_decay": 4e-5,
                f"{PARSER}.aug_rand_hflip": True,
                f"{PARSER}.aug_scale_min": 1.0,
                f"{PARSER}.aug_scale_max": 1.1547,
                f"{PARSER}.aug_aspect": 1.33333,
                "task.weights": "imagenet",
            },
        ),
        (
            "ssd_mobilenet_v1_fpn_640x640_coco17_tpu-8",
            "mobilenet_v1_fpn_640",
            {
                SIZE: [640, 640, 3],
                f"{MODEL}.backbone.mobilenet.model_id": "MobileNetV1",
                f"{MODEL}.head.num_filters": 256,
                BATCH: 64,
                STEPS: 25000,
            },
        ),
        (
            "ssd_mobilenet_v1_fpn_shared_box_predictor_640x640_coco14_sync",
            "mobilenet_v1_fpn_640",
            {SIZE: [640, 640, 3], WARMUP: 2000, f"{PARSER}.aug_scale_min": 1.0},
        ),
        (
            "ssd_mobilenet_v1_0.75_depth_300x300_coco14_sync",
            "mobilenet_v2_fpnlite_320",
            {SIZE: [288, 288, 3], WIDTH: 0.75, BATCH: 2048, RATE: 0.008},
        ),
        (
            "ssd_mobilenet_v2_fpnlite_quantized_shared_box_predictor_256x256_depthmultiplier_75_coco14_sync",
            "mobilenet_v2_fpnlite_320",
            {SIZE: [256, 256, 3], WIDTH: 0.75, f"{MODEL}.max_level": 7},
        ),
        ("embedded_ssd_mobilenet_v1_coco", "mobilenet_v2_256", {WIDTH: 0.35}),
        (
            "ssdlite_mobilenet_v3_large_320x320_coco",
            "mobilenet_v3_large_320",
            {SIZE: [320, 320, 3], f"{MODEL}.backbone.mobilenet.model_id": "MobileNetV3Large", BATCH: 512},
        ),
        (
            "ssdlite_mobiledet_dsp_320x320_coco_sync_4x4",
            "mobiledet_cpu_320",
            {SIZE: [320, 320, 3], f"{MODEL}.backbone.mobiledet.model_id": "MobileDetDSP"},
        ),
        (
            "ssdlite_mobilenet_edgetpu_320x320_coco",
            "mobilenet_multi_avg_256",
            {SIZE: [320, 320, 3], f"{MODEL}.max_level": 6},
        ),
        (
            "ssd_resnet101_v1_fpn_1024x1024_coco17_tpu-8",
            "resnet50_fpn_640",
            {SIZE: [1024, 1024, 3], RESNET: 101, f"{LOSSES}.l2_weight_decay": 0.0004, BATCH: 64},
        ),
        (
            "faster_rcnn_resnet101_pets",
            "faster_rcnn_resnet101_640",
            {
                SIZE: [768, 768, 3],
                "task.resize": "letterbox",
                f"{MODEL}.num_classes": 38,
                RESNET: 101,
                BATCH: 1,
                STEPS: 200000,
                RATE: 5e-5,
                f"{MODEL}.roi_generator.test_num_proposals": 300,
                f"{MODEL}.detection_generator.max_num_detections": 300,
                f"{MODEL}.include_mask": False,
                "trainer.optimizer_config.optimizer.adam.global_clipnorm": 10.0,
                f"{PARSER}.aug_scale_max": 2.0,
            },
        ),
        (
            "faster_rcnn_resnet50_v1_800x1333_coco17_gpu-8",
            "faster_rcnn_resnet101_640",
            {SIZE: [1088, 1088, 3], RESNET: 50},
        ),
        ("rfcn_resnet101_coco", "faster_rcnn_resnet101_640", {RESNET: 101}),
        (
            "mask_rcnn_resnet101_pets",
            "mask_rcnn_resnet50_640",
            {SIZE: [768, 768, 3], RESNET: 101, f"{MODEL}.include_mask": True, f"{MODEL}.num_classes": 38},
        ),
        (
            "mask_rcnn_inception_resnet_v2_1024x1024_coco17_gpu-8",
            "mask_rcnn_resnet50_640",
            {SIZE: [1024, 1024, 3], RESNET: 101, BATCH: 16},
        ),
    ],
)
def test_known_configs_arrive(
    name: str, preset: str, expected: Mapping[str, Any], all_read: dict[Path, Carried | NoCounterpartError]
) -> None:
    """Well known configs come to the preset and to the values that they stand for."""
    (carried,) = [found for path, found in all_read.items() if path.stem == name]
    assert isinstance(carried, Carried)
    assert carried.preset == carried.config.task.preset == preset
    ours = flat(carried)
    for setting, value in expected.items():
        assert ours[setting] == (pytest.approx(value) if isinstance(value, float) else value), setting


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("centernet_hourglass104_512x512_coco17_tpu-8", "retinanet_resnet50_640"),
        ("centernet_resnet50_v2_512x512_kpts_coco17_tpu-8", "retinanet_resnet50_640"),
        ("center_net_deepmac_512x512_voc_only_tpu-32", "mask_rcnn_resnet50_640"),
        ("ssd_efficientdet_d0_512x512_coco17_tpu-8", "spinenet_mobile_384"),
        ("ssd_efficientdet_d4_1024x1024_coco17_tpu-32", "retinanet_resnet50_640"),
    ],
)
def test_other_networks_say_what_to_use_instead(name: str, instead: str, old_configs: list[Path]) -> None:
    """A network without a counterpart is refused with its place and the name of a preset that there is."""
    (path,) = [one for one in old_configs if one.stem == name]
    with pytest.raises(NoCounterpartError, match=re.escape(f"experiment.make({instead!r}")) as caught:
        pipeline_config.read(path)
    assert instead in PRESETS
    assert re.fullmatch(rf"{re.escape(str(path))}, line \d+, column 7", caught.value.where)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@tensorflow
def test_summary_is_short_and_says_what_to_look_at(all_read: dict[Path, Carried | NoCounterpartError]) -> None:
    """Printed, the result counts the settings and names preset, size, rate and paths."""
    (carried,) = [found for path, found in all_read.items() if path.stem == "faster_rcnn_resnet101_pets"]
    text = str(carried)
    assert text.startswith("faster_rcnn_resnet101_pets.config -> preset faster_rcnn_resnet101_640\n23 settings carried")
    assert "input_size = [768, 768, 3]" in text
    assert "manual_step_learning_rate.initial_learning_rate = 0.0003" in text
    assert len(text.splitlines()) < 25


@tensorflow
@pytest.mark.parametrize(
    ("train", "rate", "outcome"),
    [
        ("optimizer { momentum_optimizer { learning_rate { RATES } } }", 5e-4, "replaced"),
        ("optimizer { adam_optimizer { learning_rate { RATES } } }", 3e-4, "carried over"),
    ],
)
@pytest.mark.parametrize(
    "rates",
    [
        "cosine_decay_learning_rate { learning_rate_base: 3e-4 }",
        "exponential_decay_learning_rate { initial_learning_rate: 3e-4 }",
        "constant_learning_rate { learning_rate: 3e-4 }",
        "manual_step_learning_rate { initial_learning_rate: 1e-5 schedule { step: 9 learning_rate: 3e-4 } }",
    ],
)
def test_only_a_rate_for_adam_is_carried_over(
    train: str, rate: float, outcome: str, rates: str, tmp_path: Path
) -> None:
    """The highest rate of any schedule is taken from Adam; momentum's means something else and is replaced."""
    carried = read(tmp_path, train=train.replace("RATES", rates))
    assert flat(carried)[RATE] == pytest.approx(rate)  # the preset's 0.001 at a batch of 32 is 0.0005 at 8
    named = [row for row in carried.table.itertuples() if RATE in row.to]
    assert [row.outcome for row in named] == [outcome]


@tensorflow
@pytest.mark.parametrize(
    ("train", "expected"),
    [
        ("ssd_random_crop { }", {f"{PARSER}.aug_scale_min": 0.5, f"{PARSER}.aug_scale_max": 2.0}),
        (
            "random_square_crop_by_scale { scale_min: 0.5 scale_max: 1.25 }",
            {f"{PARSER}.aug_scale_min": 0.8, f"{PARSER}.aug_scale_max": 2.0},
        ),
        ("random_image_scale { min_scale_ratio: 0.7 }", {f"{PARSER}.aug_scale_min": 0.7}),
        ("random_adjust_brightness { }", {f"{PARSER}.aug_color": 0.2}),
        ("random_adjust_brightness { max_delta: 0.3 }", {f"{PARSER}.aug_color": 0.3}),
        (
            "random_adjust_contrast { min_delta: 0.6 max_delta: 1.2 } } "
            "data_augmentation_options { random_adjust_saturation { }",
            {f"{PARSER}.aug_color": 0.4},
        ),
        ("random_crop_image { min_area: 0.25 max_aspect_ratio: 1.5 }", {f"{PARSER}.aug_scale_max": 2.0}),
        ("random_crop_image { min_area: 0.25 max_aspect_ratio: 1.5 }", {f"{PARSER}.aug_aspect": 1.5}),
    ],
)
def test_augmentation_is_carried_over(train: str, expected: Mapping[str, float], tmp_path: Path) -> None:
    """What the file varies is varied by as much here, the widest of several."""
    ours = flat(read(tmp_path, train=f"data_augmentation_options {{ {train} }}"))
    assert {name: ours[name] for name in expected} == pytest.approx(expected)


@tensorflow
def test_a_rate_too_high_for_adam_is_replaced(tmp_path: Path) -> None:
    """Adam with a rate of 0.5 does not train: the preset's rate stands, and the table says that it does."""
    rate = "constant_learning_rate { learning_rate: 0.5 }"
    carried = read(tmp_path, train=f"optimizer {{ adam_optimizer {{ learning_rate {{ {rate} }} }} }}")
    assert flat(carried)[RATE] == pytest.approx(5e-4)
    (row,) = [row for row in carried.table.itertuples() if RATE in row.to]
    assert row.outcome == "replaced"


@tensorflow
@pytest.mark.parametrize(("steps", "warmup", "outcome"), [(100, 100, "carried over"), (2000, 20, "replaced")])
def test_warm_up_must_fit_into_the_steps(steps: int, warmup: int, outcome: str, tmp_path: Path) -> None:
    """Steps of warm-up are taken over where they fit into 400 steps, and else are a twentieth of them."""
    rate = f"cosine_decay_learning_rate {{ warmup_steps: {steps} }}"
    carried = read(tmp_path, train=f"optimizer {{ momentum_optimizer {{ learning_rate {{ {rate} }} }} }}")
    assert flat(carried)[WARMUP] == warmup
    assert [row.outcome for row in carried.table.itertuples() if row.setting.endswith("warmup_steps")] == [outcome]


@tensorflow
def test_the_first_of_two_values_for_one_place_stands(tmp_path: Path) -> None:
    """Where the old network had two settings and ours has one, the second is said to be replaced."""
    model = "".join(
        f"{part} {{ conv_hyperparams {{ regularizer {{ l2_regularizer {{ weight: {weight} }} }} }} }} "
        for part, weight in {"first_part": 2e-5, "second_part": 3e-5}.items()
    )
    carried = read(tmp_path, model=model)
    assert flat(carried)[f"{LOSSES}.l2_weight_decay"] == 2e-5
    rows = [row for row in carried.table.itertuples() if "l2_weight_decay" in row.to]
    assert [row.outcome for row in rows] == ["carried over", "replaced"]


@tensorflow
def test_photos_are_not_flipped_where_the_file_does_not(tmp_path: Path) -> None:
    """Left and right may matter: a file without a flip gives a config without, and says so."""
    text = SSD.replace("random_horizontal_flip", "random_adjust_hue")
    carried = read(tmp_path, text)
    assert flat(carried)[f"{PARSER}.aug_rand_hflip"] is False
    assert any("flips no photos" in note for note in carried.notes)
    assert flat(read(tmp_path))[f"{PARSER}.aug_rand_hflip"] is True


@tensorflow
@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            "anchor_generator { ssd_anchor_generator { aspect_ratios: [1.0, 4.0] } }",
            {f"{MODEL}.anchor.aspect_ratios": [1.0, 4.0]},
        ),
        (
            "anchor_generator { ssd_anchor_generator { aspect_ratios: [1.0, 2.0, 0.5, 3.0, 0.3333] } }",
            {f"{MODEL}.anchor.aspect_ratios": [1.0, 2.0, 0.5]},
        ),
        (
            "normalize_loc_loss_by_codesize: true loss { localization_weight: 3 classification_weight: 2 "
            "classification_loss { weighted_sigmoid_focal { gamma: 1.5 } } "
            "localization_loss { weighted_smooth_l1 { delta: 0.5 } } }",
            {f"{LOSSES}.box_loss_weight": 75, f"{LOSSES}.huber_loss_delta": 0.05, f"{LOSSES}.focal_loss_gamma": 1.5},
        ),
        (
            "normalize_loc_loss_by_codesize: true "
            "loss { localization_weight: 3 classification_loss { weighted_sigmoid { } } }",
            {f"{LOSSES}.box_loss_weight": 50},
        ),
        (
            "box_predictor { weight_shared_convolutional_box_predictor { use_depthwise: 0 depth: 64 } }",
            {f"{MODEL}.head.use_separable_conv": False, f"{MODEL}.head.num_filters": 64},
        ),
        (
            "post_processing { batch_non_max_suppression { score_threshold: 0.3 max_total_detections: 20 } }",
            {
                f"{MODEL}.detection_generator.pre_nms_score_threshold": 0.3,
                f"{MODEL}.detection_generator.max_num_detections": 20,
            },
        ),
    ],
)
def test_what_people_edit_in_the_model_arrives(model: str, expected: Mapping[str, Any], tmp_path: Path) -> None:
    """Edited anchors, losses and thresholds are taken over in our units; the API's own defaults are not edits."""
    ours = flat(read(tmp_path, model=model))
    assert {name: ours[name] for name in expected} == expected


@tensorflow
def test_records_complete_the_config(tmp_path: Path) -> None:
    """With records the config has data and classes, and all that was carried over stays."""
    from tfod_helpers import experiment, records

    made = [
        records.write(draw_rectangles(tmp_path / name, 8, seed), tmp_path / "records" / name)
        for seed, name in enumerate(("train", "validation"))
    ]
    carried = read(tmp_path)
    config = experiment.with_records(carried.config, train=made[0], validation=made[1])
    before, after = flat(carried), flatten_config(config)
    assert (after["task.class_names"], after[f"{MODEL}.num_classes"]) == (["red", "blue"], 3)
    data = ("class_names", "images", "num_classes", "input_path", "max_num_instances")
    assert {name for name in after if after[name] != before[name] and not name.endswith(data)} == set()


@tensorflow
def test_unknown_settings_are_listed_and_hurt_nothing(tmp_path: Path) -> None:
    """A field that nobody knows and a misspelt name are in the table, without a counterpart."""
    text = SSD + "something { else: 2 }"
    carried = read(tmp_path, text, model="num_clases: 4", train="moon_phase: 3")
    for name in ("something.else", "model.ssd.num_clases", "train_config.moon_phase"):
        assert fates(carried)[name] == "no counterpart"
    assert flat(carried)[f"{MODEL}.num_classes"] == 4


@tensorflow
def test_steps_without_end_are_the_presets(tmp_path: Path) -> None:
    """num_steps 0 trained for ever; here as many images are seen as the preset sees."""
    carried = read(tmp_path, SSD.replace("num_steps: 400", "num_steps: 0"))
    assert flat(carried)[STEPS] == 3000 * 32 // 8
    assert fates(carried)["train_config.num_steps"] == "replaced"


@tensorflow
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "batch_size: 8",
            "batch_size: 0",
            "train_config.batch_size = 0: no training can have this value. Give one whole number from 1",
        ),
        ("batch_size: 8", "batch_size: 'many'", "'many': no training can have this value. Give one"),
        (
            "batch_size: 8",
            "batch_size: 8 batch_size: 9",
            "(8, 9): no training can have this value. Give one whole number",
        ),
        ("batch_size: 8", "batch_size { }", "batch_size = '{}': no training can have this value"),
        ("num_steps: 400", "num_steps: -400", "train_config.num_steps = -400: no training can"),
        ("num_steps: 400", "num_steps: 1e999", "train_config.num_steps = inf"),
        ("num_classes: 3", "num_classes: 0", "model.ssd.num_classes = 0: no training can"),
        ("depth_multiplier: 1.0", "depth_multiplier: nan", "depth_multiplier = nan: no training can"),
        ("train_config {", "train_config { batch_size: 4 } train_config {", "train_config is given more than once"),
        ("EXTRA", "loss { classification_loss { weighted_sigmoid_focal { gamma: -2 } } }", "from 0 to 10"),
    ],
)
def test_impossible_values_are_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    """A value that no training can have is refused with its file, place and what to give."""
    with pytest.raises(OldConfigError, match=re.escape(message)) as caught:
        read(tmp_path, SSD.replace(old, new))
    assert str(caught.value).startswith(f"{tmp_path / 'pipeline.config'}, line ")
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("item { id: 1 name: 'cat' }", "This is a label map"),
        ("train_config { batch_size: 8 }", "no model { ssd { ... } }"),
        ("{'model': {'ssd': 1}}", "line 1, column 1: expected the name of a setting"),
        ("task:\n  model:\n    num_classes: 3\n", "line 2, column 3: expected a value for 'task'"),
        ("<annotation><size/></annotation>", "expected the name of a setting, got '<'"),
        (SSD.replace("\n} }", "\n}"), "never closed"),
        (SSD.replace("height: 320", "height: -3"), "Give one whole number from 32 to 4096"),
        (SSD.replace("type: 'ssd_mobilenet_v2_fpn_keras'", ""), "has no feature_extractor.type"),
        (SSD.replace("ssd_mobilenet_v2_fpn_keras", "ssd_pnasnet"), "Use experiment.make('mobilenet_v2_fpnlite_320'"),
        (SSD + "model { faster_rcnn { num_classes: 2 } }", "several models"),
    ],
)
def test_what_is_no_such_config_is_refused(text: str, message: str, tmp_path: Path) -> None:
    """An empty, foreign or broken file is refused with what was found, before anything heavy is loaded."""
    with pytest.raises(OldConfigError, match=re.escape(message)) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / "pipeline.config"))
    assert str(caught.value).endswith(".")


ODD_VALUES = st.one_of(
    st.integers(-3, 3).map(str),
    st.sampled_from(
        ["0.0", "1e-9", "1e30", "nan", "-inf", "''", "'x'", "WORD", "true", "[]", "[1, 2]", "{ }", "{ a: 1 }"]
    ),
)


@tensorflow
@pytest.mark.parametrize("name", ["ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8", "mask_rcnn_resnet101_pets"])
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_any_value_anywhere_is_carried_or_refused(name: str, old_configs: list[Path], data: st.DataObject) -> None:
    """Whatever value stands in whatever setting: it is in the table, or refused by the module's own error."""
    (path,) = [one for one in old_configs if one.stem == name]
    text = path.read_text(encoding="utf-8")
    spot = data.draw(st.sampled_from(list(re.finditer(r"(?<=: )[^\s{]+(?=\s)", text))))
    with TemporaryDirectory() as folder:
        changed = text[: spot.start()] + data.draw(ODD_VALUES) + text[spot.end() :]
        try:
            table = read(Path(folder), changed).table
        except OldConfigError:
            return
    assert list(table["setting"]) == [one.name for one in read_settings(changed)]


def test_missing_files_folders_and_binaries_are_refused(tmp_path: Path) -> None:
    """A wrong path says what is there instead."""
    (tmp_path / "a.config").write_text(SSD)
    with pytest.raises(FileNotFoundError, match=r"no such pipeline\.config"):
        pipeline_config.read(tmp_path / "b.config")
    with pytest.raises(IsADirectoryError, match=r"those in it: a\.config"):
        pipeline_config.read(tmp_path)
    (tmp_path / "graph.pb").write_bytes(b"\x0a\x00\x12\x08model {")
    with pytest.raises(OldConfigError, match="binary file"):
        pipeline_config.read(tmp_path / "graph.pb")


def test_no_rule_hides_another() -> None:
    """Every rule decides about something: no rule above it fits all that it fits."""
    patterns = [pattern for rule in rules() for pattern in rule.settings]
    for number, pattern in enumerate(patterns):
        name = pattern.replace("*", "x").replace("?", "x")
        first = next(other for other in patterns if fnmatchcase(name, other))
        assert first == pattern, f"{pattern} (rule {number}) is hidden by {first}"


def test_every_rule_reads_its_value_with_a_function_that_there_is() -> None:
    """What the table names as 'take' is a function of values.py, and the table gives it as much as it asks for."""
    taken = [rule.take for rule in rules() if rule.take]
    assert len(taken) > 50
    for name, *arguments in taken:
        inspect.signature(getattr(values, name)).bind("setting", "draft", *arguments)


def test_importing_it_loads_no_tensorflow() -> None:
    """It is light until a good config is read: a bad file need not wait for TensorFlow."""
    code = "import sys, tfod_helpers.pipeline_config; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "tfod_helpers" in done.stdout.split()
    assert not {"tensorflow", "official", "pandas"} & set(done.stdout.split())
