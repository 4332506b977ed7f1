"""What of a config is built exactly, and what is refused, as the Object Detection API itself was seen to build it."""

from __future__ import annotations

from pathlib import Path

import originals
import pytest

from tfod_helpers import pipeline_config
from tfod_helpers.pipeline_config import exact
from tfod_helpers.pipeline_config.draft import Draft

pytestmark = pytest.mark.tensorflow  # reading a config loads it
FPNLITE, V1, PLAIN = "fpnlite_75", "v1_fpn_75", "v2_plain_75"


def draft(folder: Path, name: str, changes: dict[str, str]) -> tuple[Draft, str]:
    """Return a fixture's config with some of its text changed, and the preset that it is carried to."""
    text = originals.load(name)["config"]
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path = folder / "pipeline.config"
    path.write_text(text, encoding="utf-8")
    read = pipeline_config.read(path)
    return Draft(str(path), list(read.settings)), read.preset


def test_box_scales_are_read_by_their_names(tmp_path: Path) -> None:
    """All four factors of the box coder are the config's."""
    coder = "y_scale: 8.0 x_scale: 9.0 height_scale: 4.0 width_scale: 3.0"
    changes = {"y_scale: 10.0 x_scale: 10.0 height_scale: 5.0 width_scale: 5.0": coder}
    assert exact.original(*draft(tmp_path, FPNLITE, changes), []).box_scales == (8.0, 9.0, 4.0, 3.0)


@pytest.mark.parametrize(("width", "channels"), [("0.75", 960), ("1.0", 1280), ("1.4", 1280)])
def test_the_last_convolution_grows_no_wider_than_published(width: str, channels: int, tmp_path: Path) -> None:
    """The API's MobileNetV2 narrows its last convolution with its width, and never widens it."""
    changes = {"depth_multiplier: 0.75": f"depth_multiplier: {width}"}
    settings = exact.settings(*draft(tmp_path, FPNLITE, changes))
    assert settings["task.model.decoder.ssd_fpn.expansion"] == channels


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        (FPNLITE, "score_converter: SIGMOID", "score_converter: SIGMOID logit_scale: 2.0", "scaled before the sigmoid"),
        (
            FPNLITE,
            "score_converter: SIGMOID",
            "score_converter: SIGMOID calibration_config { temperature_scaling_calibration { scaler: 2.0 } }",
            "calibrated after the sigmoid",
        ),
        (FPNLITE, "batch_norm {", "sync_batch_norm {", "no batch norm"),
        (V1, "use_depthwise: false", "use_depthwise: true", "narrower layers"),
        (FPNLITE, "multiscale_anchor_generator {", "ssd_anchor_generator { } multiscale_anchor_generator {", "without"),
        (PLAIN, "kernel_size: 3", "kernel_size: 3 use_depthwise: true", "separable"),
        (PLAIN, "num_layers_before_predictor: 0", "num_layers_before_predictor: 1", "more than one convolution"),
        (PLAIN, "num_layers: 6", "num_layers: 6 reduce_boxes_in_lowest_layer: false", "as many anchors as the others"),
        (PLAIN, "num_layers: 6", "num_layers: 6 scales: [0.1, 0.3]", "listed one by one"),
        (PLAIN, "num_layers: 6", "num_layers: 5", "another number of feature maps"),
    ],
)
def test_what_the_network_would_do_otherwise_is_refused(
    name: str, old: str, new: str, words: str, tmp_path: Path
) -> None:
    """A setting that changes scores or layers, and that no network here has, is never passed over."""
    with pytest.raises(pipeline_config.OldConfigError, match=words):
        exact.check(*draft(tmp_path, name, {old: new}))


def test_a_class_has_no_more_detections_than_the_config_says(tmp_path: Path) -> None:
    """Of a model of one class, the most of a class is the most of all."""
    changes = {"max_detections_per_class: 100": "max_detections_per_class: 20", "num_classes: 3": "num_classes: 1"}
    settings = exact.settings(*draft(tmp_path, FPNLITE, changes))
    assert settings["task.model.detection_generator.max_num_detections"] == 20
