"""Presets: each is a network that builds, trains, finds and ships; what the table says of it is true."""

from __future__ import annotations

import re
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from small_training import Small

from tfod_helpers import presets
from tfod_helpers.annotations import LabelledImage
from tfod_helpers.records import Records

if TYPE_CHECKING:
    from tfod_helpers.experiment import ExperimentConfig
    from tfod_helpers.training.steps import Steps

NAMES = list(presets.PRESETS)


def test_the_table_says_what_each_is_for() -> None:
    """A row a preset: when to choose it, parameters, input size, COCO AP with its source, source of the settings."""
    table = presets.presets()
    assert list(table.index) == NAMES
    assert table["purpose"].str.len().min() > 20
    assert table["source"].str.len().min() > 20
    assert table["coco_source"].str.len().min() > 5
    assert table["parameters"].between(0.3, 70).all()
    assert table["image_size"].between(192, 640).all()
    assert table["coco_ap"].dropna().between(20, 45).all()
    assert table["coco_ap"].isna().sum() == 1  # the one for small sets


@pytest.mark.parametrize("name", NAMES)
def test_sizes_fit_each_other(name: str) -> None:
    """The image size fits the strides that have to be whole, the batch is drawn from, and rates are Adam's."""
    preset = presets.find(name)
    assert preset.image_size % preset.side_step == 0
    assert 0 < preset.learning_rate <= 0.01
    assert preset.scale[0] < 1 < preset.scale[1]


def test_a_misspelt_preset_is_answered_with_the_nearest() -> None:
    """The error names the one that was meant."""
    with pytest.raises(ValueError, match="Did you mean 'faster_rcnn_resnet101_640'"):
        presets.find("faster_rcnn_resnet_101")


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_first_weights_are_the_built_networks(name: str) -> None:
    """With COCO's 90 classes the network has the parameters that the table says, to a hundredth, and its weights."""
    from tfod_helpers import experiment
    from tfod_helpers.network import model

    config = experiment.from_preset(name)
    config.task.model.num_classes = 91
    size = 2**config.task.model.max_level
    config.task.model.input_size = [size, size, 3]  # the number of parameters does not depend on it
    network = model.build_model(config)
    assert presets.find(name).first_weights == _first_weights(network, config.task)
    last = sum(int(np.prod(weight.shape)) for layer in _unread(network) for weight in layer.weights)
    found = (sum(int(np.prod(weight.shape)) for weight in network.trainable_weights) + last) / 1e6
    assert found == pytest.approx(presets.find(name).parameters, abs=0.02)


def _first_weights(network: Any, task: Any) -> str:
    """What is published for a network: a detector, if not only the Model Garden's, whose address is reported closed."""
    from tfod_helpers.network.normalization import of
    from tfod_helpers.network.weights import published, sources

    try:
        wanted = sources.Wanted(network, (), {}, of(task), task.padding, task.anchor_layout)
        found = sources.coco(wanted)
    except ValueError:
        return "imagenet"
    return "coco" if any(one.terms is not published.GARDEN_TERMS for one in found) else "imagenet"


def _unread(network: Any) -> list:  # type: ignore[no-untyped-def,type-arg]
    """The backbone's last convolutions, which no level reads and nothing trains, but which are part of the network.

    The pyramid of the Object Detection API has the last one too, as its expansion.
    """
    expanded = network.decoder and any(layer.name == "expansion" for layer in network.decoder.layers)
    return [] if expanded else [layer for layer in network.backbone.layers if not layer.trainable]


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", NAMES)
def test_each_trains_and_ships(name: str, small: Small, processes: BaseContext, tmp_path: Path) -> None:
    """From records to an export that finds something, at a small size; XLA takes the train step, as a TPU asks for."""
    # In a process of its own: TensorFlow never frees a graph that it traced, and eleven networks fill the memory.
    with ProcessPoolExecutor(1, mp_context=processes) as own:
        own.submit(_train_and_ship, name, small.train, small.validation, small.dataset[0], tmp_path).result()


def _train_and_ship(name: str, train: Records, validation: Records, image: LabelledImage, folder: Path) -> None:
    import tensorflow as tf

    from tfod_helpers import experiment, training
    from tfod_helpers.detector import Detector
    from tfod_helpers.exporting import saved_model
    from tfod_helpers.training.steps import Steps

    size = min(2 ** presets.find(name).levels[1], 128)
    config = experiment.make(
        name, train=train, validation=validation, image_size=size, batch_size=2, train_steps=2, weights=None
    )
    settings = {"task.model.detection_generator.pre_nms_score_threshold": 0.0, "trainer.validation_interval": 2}
    settings["runtime.mixed_precision_dtype"] = "bfloat16"  # a TPU's
    if config.task.is_rcnn:  # a second stage that looks at fewer regions; its network is the same
        regions = {"roi_generator.num_proposals": 50, "roi_generator.test_num_proposals": 50}
        regions |= {"roi_sampler.num_sampled_rois": 32, "detection_generator.max_num_detections": 20}
        regions |= {"mask_sampler.num_sampled_masks": 8} if name.startswith("mask") else {}
        settings |= {f"task.model.{name}": value for name, value in regions.items()}
    config = experiment.change(config, settings)
    made: list[Steps] = []
    build = Steps.__init__

    def build_and_keep(steps: Steps, config: ExperimentConfig) -> None:
        build(steps, config)
        made.append(steps)

    Steps.__init__ = build_and_keep  # type: ignore[method-assign]  # this process is used once
    tf.config.run_functions_eagerly(True)  # two steps take less time than their graph; XLA gets its own below
    history = training.train(config, folder / "run")
    tf.config.run_functions_eagerly(False)
    assert np.isfinite(history.frame["loss"]).all()
    detector = Detector.load(saved_model.export(folder / "run", folder / "export"))
    found = detector.detect(image.path, threshold=0.0)
    assert len(found) > 0
    assert set(found.class_id) <= {1, 2}
    if name.startswith("mask"):
        assert found.mask.shape == (len(found), image.height, image.width)
        for mask, (x0, y0, x1, y1) in zip(found.mask, found.xyxy.round().astype(int), strict=True):
            outside = mask.copy()
            outside[max(y0 - 1, 0) : y1 + 1, max(x0 - 1, 0) : x1 + 1] = False
            assert not outside.any()
    _lower_for_xla(made[0], config)


def _lower_for_xla(steps: Steps, config: ExperimentConfig) -> None:
    """Lower the train step as XLA does before it makes machine code, in a TPU's precision: no shape may be dynamic."""
    from tfod_helpers.network import inputs
    from tfod_helpers.training.steps import precision

    images, labels = next(iter(inputs.train_batches(config.task)))
    with precision("bfloat16"):
        text = _hlo(steps.task, steps.model, steps.optimizer, steps._metrics, images, labels)
    assert text.count("bf16[") > 100
    assert "f32[" in text  # weights and losses stay that
    assert not re.search(r"\w+\[[^\]]*<=[^\]]*\]", text)  # such as f32[<=100,4], of which a TPU knows nothing


def _hlo(task: Any, network: Any, optimizer: Any, metrics: Any, images: Any, labels: Any) -> str:
    import tensorflow as tf

    # Keras has turned Python's branches into TensorFlow's already; without autograph the tracing takes half the time.
    @tf.function(jit_compile=True, autograph=False)
    def step(images: Any, labels: Any) -> Any:
        return task.train_step((images, labels), network, optimizer, metrics)[task.loss]

    return step.experimental_get_compiler_ir(images, labels)(stage="hlo")
