"""What happens to the settings that only a Faster, a Mask R-CNN or an R-FCN has.

The patterns are dotted names in which ``*`` stands for anything; the first that fits decides.
"""

from __future__ import annotations

from tfod_helpers.pipeline_config.rules import (
    Draft,
    Rule,
    always,
    carry,
    drop,
    match,
    number,
    replace,
    whole,
)
from tfod_helpers.pipeline_config.text import Setting

_MODEL, _LOSSES, _PARSER = "task.model", "task.losses", "task.train_data.parser"
_FIRST, _ROIS = "model.faster_rcnn.first_stage", f"{_MODEL}.roi_generator"
_BOX_WEIGHT = "The box errors are counted in other units here, and the preset's weight goes with them."


def _crop(setting: Setting, draft: Draft) -> int:
    sizes = [draft.value(f"faster_rcnn.{name}", 1) for name in ("initial_crop_size", "maxpool_stride")]
    whole(1, 1000)(setting, draft)
    return sizes[0] // sizes[1] if all(isinstance(size, int) and size > 0 for size in sizes) else 0


RULES: tuple[tuple[str, Rule], ...] = (
    (
        "model.faster_rcnn.*score_converter",
        always("SOFTMAX", why="Scores are a softmax here too.", why_not="An object has one class, so a softmax here."),
    ),
    ("model.faster_rcnn.number_of_stages", replace("task.preset", why="The preset says whether there are masks.")),
    (
        f"{_FIRST}_nms_score_threshold",
        carry(
            number(0, 1),
            f"{_ROIS}.pre_nms_score_threshold",
            f"{_ROIS}.test_pre_nms_score_threshold",
            why="The same threshold.",
        ),
    ),
    (
        f"{_FIRST}_nms_iou_threshold",
        carry(number(0, 1), f"{_ROIS}.nms_iou_threshold", f"{_ROIS}.test_nms_iou_threshold", why="The same threshold."),
    ),
    (
        f"{_FIRST}_max_proposals",
        carry(
            whole(1, 10_000),
            f"{_ROIS}.num_proposals",
            f"{_ROIS}.test_num_proposals",
            why="Proposals of the first stage, at most.",
        ),
    ),
    (
        f"{_FIRST}_minibatch_size",
        carry(whole(1, 10_000), f"{_PARSER}.rpn_batch_size_per_im", why="Anchors of a photo that are learnt from."),
    ),
    (
        f"{_FIRST}_positive_balance_fraction",
        carry(number(0, 1), f"{_PARSER}.rpn_fg_fraction", why="The same share of anchors on objects."),
    ),
    (
        f"{_FIRST}_objectness_loss_weight",
        carry(number(0, 1000), f"{_LOSSES}.rpn_score_weight", why="A weight on a cross entropy, as here."),
    ),
    (f"{_FIRST}_localization_loss_weight", replace(f"{_LOSSES}.rpn_box_weight", why=_BOX_WEIGHT)),
    (
        "model.faster_rcnn.second_stage_batch_size",
        carry(whole(1, 10_000), f"{_MODEL}.roi_sampler.num_sampled_rois", why="Proposals of a photo learnt from."),
    ),
    (
        "model.faster_rcnn.second_stage_balance_fraction",
        carry(number(0, 1), f"{_MODEL}.roi_sampler.foreground_fraction", why="The same share of objects."),
    ),
    (
        "model.faster_rcnn.second_stage_classification_loss_weight",
        carry(number(0, 1000), f"{_LOSSES}.frcnn_class_weight", why="A weight on a cross entropy, as here."),
    ),
    (
        "model.faster_rcnn.second_stage_localization_loss_weight",
        replace(f"{_LOSSES}.frcnn_box_weight", why=_BOX_WEIGHT),
    ),
    (
        "model.faster_rcnn.second_stage_mask_prediction_loss_weight",
        replace(f"{_LOSSES}.mask_weight", why="The mask errors are averaged in another way here."),
    ),
    *(
        (
            f"model.faster_rcnn.{name}",
            match(
                _crop,
                f"{_MODEL}.roi_aligner.crop_size",
                "Crop and pooling together leave the same size.",
                "The preset cuts to this size at once, with RoI align.",
            ),
        )
        for name in ("initial_crop_size", "maxpool_kernel_size", "maxpool_stride")
    ),
    (
        "model.faster_rcnn.second_stage_box_predictor.mask_rcnn_box_predictor.predict_instance_masks",
        replace("task.preset", why="The preset says whether there are masks."),
    ),
    (
        "model.faster_rcnn.second_stage_box_predictor.rfcn_box_predictor.*",
        replace("task.preset", why="R-FCN's maps have no preset; Faster R-CNN's second stage does their work."),
    ),
    (
        "model.faster_rcnn.context_config.*",
        drop("A photo is looked at alone here, without others of the same camera."),
    ),
)
