"""What a model sees -> what its losses compare it with: a RetinaNet's targets, or an R-CNN's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import tensorflow as tf
from official.vision.ops import anchor

from tfod_helpers.network.inputs.anchors import anchor_boxes
from tfod_helpers.network.inputs.augment import Seen

if TYPE_CHECKING:
    from tfod_helpers.experiment.config import TaskConfig

Targets = dict[str, Any]


def for_task(task: TaskConfig) -> Callable[[Seen, int], Targets]:
    """Return the function from what is seen, and the room for objects, to the targets that the task's losses take."""
    return _rcnn(task) if task.is_rcnn else _retinanet(task)


def _retinanet(task: TaskConfig) -> Callable[[Seen, int], Targets]:
    parser, size = task.train_data.parser, task.model.input_size[0]
    anchors = anchor_boxes(task)
    labeler = anchor.AnchorLabeler(
        match_threshold=parser.match_threshold,
        unmatched_threshold=parser.unmatched_threshold,
        box_coder_weights=task.model.detection_generator.box_coder_weights,
    )

    def targets(seen: Seen, room: int) -> Targets:
        cls_targets, box_targets, _, cls_weights, box_weights = labeler.label_anchors(
            anchors, seen.boxes_yxyx * size, tf.cast(seen.labels, tf.int32)[:, None]
        )
        return {
            "cls_targets": cls_targets,
            "box_targets": box_targets,
            "cls_weights": cls_weights,
            "box_weights": box_weights,
        }

    return targets


def _rcnn(task: TaskConfig) -> Callable[[Seen, int], Targets]:
    parser, size = task.train_data.parser, task.model.input_size[0]
    anchors = anchor_boxes(task)
    labeler = anchor.RpnAnchorLabeler(
        parser.rpn_match_threshold,
        parser.rpn_unmatched_threshold,
        parser.rpn_batch_size_per_im,
        parser.rpn_fg_fraction,
    )
    side = parser.mask_crop_size

    def targets(seen: Seen, room: int) -> Targets:
        boxes_yxyx = seen.boxes_yxyx * size
        scores, boxes = labeler.label_anchors(anchors, boxes_yxyx, tf.cast(seen.labels, tf.float32)[:, None])
        whole = tf.constant([[size, size], [size, size], [1, 1], [0, 0]], tf.float32)  # photo, input, scale, offset
        made = {
            "anchor_boxes": anchors,
            "image_info": whole,
            "rpn_score_targets": scores,
            "rpn_box_targets": boxes,
            "gt_boxes": pad(boxes_yxyx, room, -1.0),
            "gt_classes": pad(tf.cast(seen.labels, tf.int32), room, -1),
        }
        if task.model.include_mask:
            assert seen.masks is not None
            masks = tf.image.resize(seen.masks[..., None], [side, side])[..., 0]
            made["gt_masks"] = tf.ensure_shape(pad(masks, room, -1.0), [room, side, side])
            made["gt_outer_boxes"] = made["gt_boxes"]
        return made

    return targets


def pad(values: tf.Tensor, room: int, filler: float) -> tf.Tensor:
    """Return the first ``room`` values, and fillers where there are fewer."""
    values = values[:room]
    missing = room - tf.shape(values)[0]
    padded = tf.pad(values, [[0, missing], *[[0, 0]] * (values.shape.rank - 1)], constant_values=filler)
    return tf.ensure_shape(padded, [room, *values.shape[1:]])
