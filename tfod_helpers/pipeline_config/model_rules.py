"""What happens to each setting of an old config's model, but for those of Faster and Mask R-CNN alone.

The patterns are dotted names in which ``*`` stands for anything; the first that fits decides.
"""

from __future__ import annotations

from tfod_helpers.pipeline_config.networks import SIDES
from tfod_helpers.pipeline_config.rules import (
    CARRIED,
    Draft,
    Fate,
    NotAlikeError,
    Rule,
    always,
    carry,
    drop,
    flag,
    given,
    match,
    number,
    numbers,
    replace,
    tidy,
    whole,
)
from tfod_helpers.pipeline_config.text import Setting

_MODEL, _LOSSES, _PARSER = "task.model", "task.losses", "task.train_data.parser"
_SIZE, _DETECTIONS = f"{_MODEL}.input_size", f"{_MODEL}.detection_generator"
_SSD_RATIOS = {1.0, 2.0, 0.5, 3.0, 0.3333}  # as every SSD config of the API has them
_LOWEST_SCORE = 0.01
_CODED_BOX_WEIGHT = 50  # what task.losses.box_loss_weight is where localization_weight is 1

_OWN_LAYERS = "A detail of layers that the preset's network does not have, or has its own way for."
_OWN_BATCH_NORM = "The preset's own: its runs are short, and averages over thousands of steps would lag behind."
_SAME_SIZE = "The same size of the model's input."
_OTHER_SIZE = (
    "Photos are fitted whole into a square and never distorted; its side is a multiple of the coarsest stride, chosen "
    "so that objects are about as large as before."
)
_DRAWN_ANCHORS = (
    "The preset's anchors start from every level of its pyramid, in strides of that level, and so also from small ones."
)


def _classes(setting: Setting, draft: Draft) -> int:
    return whole(1, 100_000)(setting, draft) + 1


def _width(setting: Setting, draft: Draft) -> Fate:
    value = number(0.01, 10)(setting, draft)
    target = f"{_MODEL}.backbone.{draft.ours[f'{_MODEL}.backbone.type']}.filter_size_scale"
    if target in draft.ours and draft.ours[target] == value:
        return Fate(CARRIED, "The same width of the backbone.", shows=(target,))
    if target not in draft.ours and value == 1.0:
        return Fate(CARRIED, "The backbone has its full width here too.")
    why = "ImageNet weights exist for some widths only; this is the nearest."
    shows = (target,) if target in draft.ours else ()
    return replace(*shows, why=why, look=True)(setting, draft)


def _square(setting: Setting, draft: Draft) -> list[int]:
    side = whole(*SIDES)(setting, draft)
    return [side, side, 3]


def _edited_ratios(setting: Setting, draft: Draft) -> list[float]:
    ratios = numbers(0.01, 100)(setting, draft)
    if {round(ratio, 4) for ratio in ratios} == _SSD_RATIOS:
        raise NotAlikeError("The API's own five, which nobody chose for these photos; the preset has three.")
    return ratios


def _score(setting: Setting, draft: Draft) -> float:
    score = number(0, 1)(setting, draft)
    if score < _LOWEST_SCORE:
        raise NotAlikeError("Detections with lower scores cost time and hardly move AP.")
    return score


def _delta(setting: Setting, draft: Draft) -> float:
    # The API multiplies centre differences by 10 before the loss, the Model Garden does not.
    if draft.value("faster_rcnn_box_coder.x_scale", 10.0) != 10.0:
        raise NotAlikeError("It belongs to differences multiplied by another number than 10.")
    return tidy(number(0.001, 1000)(setting, draft) / 10)


def _box_weight(setting: Setting, draft: Draft) -> int:
    weight = number(0, 1000)(setting, draft)
    focal = any("weighted_sigmoid_focal" in one.name for one in draft.settings)
    if not focal or draft.value("ssd.normalize_loc_loss_by_codesize") is not True:
        raise NotAlikeError("It balances another classification loss; the preset's weight goes with the focal loss.")
    other = draft.find("loss.classification_weight")
    return round(_CODED_BOX_WEIGHT * weight / (number(1e-3, 1000)(other, draft) if other else 1.0))


def _activation(setting: Setting, draft: Draft) -> str:
    return str(setting.value).lower().replace("_", "")  # RELU_6 is the Model Garden's relu6


_NMS = "*post_processing.batch_non_max_suppression"
_HEAD = "model.ssd.box_predictor.weight_shared_convolutional_box_predictor"
_GRID = "*anchor_generator.multiscale_anchor_generator"
_SAME_HEAD = "The same in the preset's heads."

RULES: tuple[tuple[str, Rule], ...] = (
    (
        "model.*.num_classes",
        carry(_classes, f"{_MODEL}.num_classes", why="One more here, the background; records bring their own."),
    ),
    ("model.*.feature_extractor.type", lambda setting, draft: draft.network),
    ("model.*.feature_extractor.depth_multiplier", _width),
    ("*.image_resizer.fixed_shape_resizer.height", match(_square, _SIZE, _SAME_SIZE, _OTHER_SIZE, look=True)),
    ("*.image_resizer.fixed_shape_resizer.width", match(_square, _SIZE, _SAME_SIZE, _OTHER_SIZE, look=True)),
    ("*.keep_aspect_ratio_resizer.min_dimension", match(_square, _SIZE, _SAME_SIZE, _OTHER_SIZE, look=True)),
    ("*.keep_aspect_ratio_resizer.max_dimension", match(_square, _SIZE, _SAME_SIZE, _OTHER_SIZE)),
    (
        "*.keep_aspect_ratio_resizer.pad_to_max_dimension",
        always(True, why="Photos are always padded to the square.", why_not="Photos are always padded to the square."),
    ),
    ("*.image_resizer.*", replace(_SIZE, why=_OTHER_SIZE)),
    # Anchors.
    (
        f"{_GRID}.scales_per_octave",
        carry(whole(1, 9), f"{_MODEL}.anchor.num_scales", why="Anchor sizes per octave, in the same way."),
    ),
    (
        f"{_GRID}.anchor_scale",
        carry(number(0.25, 64), f"{_MODEL}.anchor.anchor_size", why="Smallest anchor of a level, in strides, as here."),
    ),
    (
        f"{_GRID}.aspect_ratios",
        carry(numbers(0.01, 100), f"{_MODEL}.anchor.aspect_ratios", why="Width over height, in the same way."),
    ),
    (
        "*.ssd_anchor_generator.aspect_ratios",
        carry(_edited_ratios, f"{_MODEL}.anchor.aspect_ratios", why="Width over height, in the same way."),
    ),
    (
        "*.grid_anchor_generator.aspect_ratios",
        carry(numbers(0.01, 100), f"{_MODEL}.anchor.aspect_ratios", why="Width over height, in the same way."),
    ),
    *(
        (
            f"model.*.{place}.m{side}_level",
            match(
                whole(0, 12),
                f"{_MODEL}.m{side}_level",
                "The same pyramid level.",
                "The preset's pyramid ends here: its finest level keeps it fast, and the size fits its coarsest.",
            ),
        )
        for place in ("*multiscale_anchor_generator", "feature_extractor.fpn")
        for side in ("in", "ax")
    ),
    ("*anchor_generator.*", replace(f"{_MODEL}.anchor.anchor_size", f"{_MODEL}.anchor.num_scales", why=_DRAWN_ANCHORS)),
    # What becomes of the photos' boxes.
    *(
        (
            f"model.ssd.matcher.argmax_matcher.{theirs}",
            carry(number(0, 1), f"{_PARSER}.{ours}", why="From this overlap on an anchor belongs to a box, as here."),
        )
        for theirs, ours in {
            "matched_threshold": "match_threshold",
            "unmatched_threshold": "unmatched_threshold",
        }.items()
    ),
    (
        "model.ssd.matcher.argmax_matcher.force_match_for_each_row",
        always(True, why="Every box has an anchor here too.", why_not="Every box has an anchor here."),
    ),
    ("model.ssd.similarity_calculator.iou_similarity", lambda *_: Fate(CARRIED, "Overlap is IoU here too.")),
    (
        "model.*box_coder.*",
        replace(why="Boxes are coded without these factors; the box loss makes up for them (task.losses)."),
    ),
    # Losses.
    *(
        (
            f"model.ssd.loss.classification_loss.weighted_sigmoid_focal.{name}",
            carry(number(0, 10), f"{_LOSSES}.focal_loss_{name}", why="The same focal loss."),
        )
        for name in ("alpha", "gamma")
    ),
    (
        "model.ssd.loss.classification_loss.*",
        replace(f"{_LOSSES}.focal_loss_gamma", why="A focal loss, which needs no mining of hard examples."),
    ),
    (
        "model.ssd.loss.hard_example_miner.*",
        replace(f"{_LOSSES}.focal_loss_gamma", why="The focal loss weighs hard examples more by itself."),
    ),
    (
        "model.ssd.loss.localization_loss.weighted_smooth_l1.delta",
        carry(_delta, f"{_LOSSES}.huber_loss_delta", why="A tenth of it: differences are not multiplied by 10 here."),
    ),
    (
        "model.ssd.loss.localization_loss.weighted_smooth_l1",
        carry(given(0.1), f"{_LOSSES}.huber_loss_delta", why="Its delta of 1 is 0.1 here, without the factor of 10."),
    ),
    (
        "model.ssd.loss.localization_loss.*",
        replace(f"{_LOSSES}.huber_loss_delta", f"{_LOSSES}.box_loss_weight", why="The Model Garden's Huber loss."),
    ),
    (
        "model.ssd.loss.localization_weight",
        carry(
            _box_weight,
            f"{_LOSSES}.box_loss_weight",
            why="Times 50, which makes up for the factors 10 and 5 of the old box coder.",
        ),
    ),
    (
        "model.ssd.loss.classification_weight",
        always(1, 1.0, why="1 here too.", why_not="1 here; the weight of the box loss is divided by it instead."),
    ),
    (
        "model.ssd.normalize_loss_by_num_matches",
        always(True, why="Always so here.", why_not="The loss is always divided by the number of matches here."),
    ),
    (
        "model.ssd.normalize_loc_loss_by_codesize",
        always(True, why="The box loss is a mean over the four numbers here too.", why_not="A mean over four here."),
    ),
    (
        "model.ssd.encode_background_as_zeros",
        always(True, why="Background is no class of its own here too.", why_not="Background is no class of its own."),
    ),
    # The network.
    (f"{_HEAD}.depth", carry(whole(16, 1024), f"{_MODEL}.head.num_filters", why=_SAME_HEAD)),
    (f"{_HEAD}.num_layers_before_predictor", carry(whole(1, 16), f"{_MODEL}.head.num_convs", why=_SAME_HEAD)),
    (f"{_HEAD}.use_depthwise", carry(flag, f"{_MODEL}.head.use_separable_conv", why=_SAME_HEAD)),
    (f"{_HEAD}.kernel_size", always(3, why=_SAME_HEAD, why_not="The heads' convolutions are 3 by 3 here.")),
    (
        f"{_HEAD}.class_prediction_bias_init",
        always(-4.6, -4.59999990463, why="-4.6 here too: a first guess of 0.01.", why_not="-4.6 here."),
    ),
    (
        "model.ssd.feature_extractor.fpn.additional_layer_depth",
        carry(whole(16, 1024), f"{_MODEL}.decoder.fpn.num_filters", why="The same width of the pyramid."),
    ),
    (
        "*conv_hyperparams.activation",
        match(
            _activation,
            f"{_MODEL}.norm_activation.activation",
            "The same activation.",
            "The preset's own; its pretrained backbone was trained with it.",
        ),
    ),
    ("*.batch_norm.decay", replace(f"{_MODEL}.norm_activation.norm_momentum", why=_OWN_BATCH_NORM)),
    (
        "*.batch_norm.epsilon",
        match(
            number(0, 1),
            f"{_MODEL}.norm_activation.norm_epsilon",
            "The same epsilon.",
            "The preset's own; its pretrained backbone was trained with it.",
        ),
    ),
    (
        "*.regularizer.l2_regularizer.weight",
        carry(number(0, 1), f"{_LOSSES}.l2_weight_decay", why="The same formula; here it holds for all layers."),
    ),
    (
        "model.*.freeze_batchnorm",
        always(False, why="Batch norms learn here too.", why_not="Only frozen layers keep theirs: task.frozen_stride."),
    ),
    # After the network.
    (f"{_NMS}.score_threshold", carry(_score, f"{_DETECTIONS}.pre_nms_score_threshold", why="The same threshold.")),
    (f"{_NMS}.iou_threshold", carry(number(0, 1), f"{_DETECTIONS}.nms_iou_threshold", why="The same threshold.")),
    (
        f"{_NMS}.max_total_detections",
        carry(whole(1, 10_000), f"{_DETECTIONS}.max_num_detections", why="Detections of a photo, at most."),
    ),
    (
        f"{_NMS}.max_detections_per_class",
        replace(f"{_DETECTIONS}.max_num_detections", why="One limit for all classes together."),
    ),
    (
        "model.ssd.post_processing.score_converter",
        always("SIGMOID", why="Scores are sigmoids here too.", why_not="Scores are sigmoids here."),
    ),
    ("model.*", drop(_OWN_LAYERS)),
)
