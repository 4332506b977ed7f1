"""What happens to each setting of an old config's training, augmentation, input and evaluation.

The patterns are dotted names in which ``*`` stands for anything; the first that fits decides. The API's
defaults, where a field is left out, are those of its ``protos/preprocessor.proto``.
"""

from __future__ import annotations

import math

from tfod_helpers.pipeline_config.rules import (
    CARRIED,
    Draft,
    Fate,
    NotAlikeError,
    Rule,
    always,
    carry,
    drop,
    given,
    number,
    replace,
    tidy,
    whole,
)
from tfod_helpers.pipeline_config.text import Setting

PLACEHOLDER = "PATH_TO_BE_CONFIGURED"
BATCH = "task.train_data.global_batch_size"
FLIP = "task.train_data.parser.aug_rand_hflip"
_OPTIMIZER = "trainer.optimizer_config"
RATE = f"{_OPTIMIZER}.learning_rate.cosine.initial_learning_rate"
_DECAY, _WARMUP = f"{_OPTIMIZER}.learning_rate.cosine.decay_steps", f"{_OPTIMIZER}.warmup.linear.warmup_steps"
_PARSER = "task.train_data.parser"
_SMALLEST, _LARGEST = f"{_PARSER}.aug_scale_min", f"{_PARSER}.aug_scale_max"
_ASPECT, _COLOR = f"{_PARSER}.aug_aspect", f"{_PARSER}.aug_color"
HIGHEST_ADAM_RATE = 0.01  # above it Adam's steps are as large as the weights themselves
_MOST_STEPS = 100_000_000

_OTHER_RATE = (
    "A rate for momentum or RMSprop; Adam trains here, and would take steps of another size with it. The preset's own, "
    "fitted to the batch size."
)
_FALLS = "The rate falls along half a cosine, to 0 at the last step."
_CUTS = "Photos are cut and enlarged here too, by the preset's own factors."
_GROWS = "A piece with the smallest area is enlarged by this factor."
_COLORS = "Brightness, contrast and saturation vary together here, by the largest share named."
_RECORDS = "Not read: formats.read and records.write make records of your photos,"
_ONE_AT_A_TIME = "Evaluation takes every validation photo once, whole and in order."


def _steps(setting: Setting, draft: Draft) -> int:
    steps = whole(0, _MOST_STEPS)(setting, draft)
    if not steps:
        raise NotAlikeError("0 meant without end; the preset's number of images is seen instead.")
    return steps


def _warmup(setting: Setting, draft: Draft) -> int:
    steps = whole(0, _MOST_STEPS)(setting, draft)
    total = draft.value("train_config.num_steps", 0)
    if not steps or not isinstance(total, int) or steps * 2 > total:
        raise NotAlikeError("It would not fit into the steps; a twentieth of them, 100 at most.")
    return steps


def _falling(setting: Setting, draft: Draft) -> Fate:
    if setting.value == draft.value("train_config.num_steps"):
        return Fate(CARRIED, "The rate falls until the last step here too.", shows=(_DECAY,))
    return replace(_DECAY, why=_FALLS)(setting, draft)


def _adam_rate(setting: Setting, draft: Draft) -> float:
    rates = [number(0, 1000)(setting, draft)]
    for one in draft.settings:
        if one.plain_name.endswith("adam_optimizer.learning_rate.manual_step_learning_rate.schedule.learning_rate"):
            rates.append(number(0, 1000)(one, draft))
    if not 0 < max(rates) <= HIGHEST_ADAM_RATE:
        raise NotAlikeError("Adam does not train well with it; the preset's own, fitted to the batch size.")
    return max(rates)


def _epsilon(setting: Setting, draft: Draft) -> float:
    epsilon = number(0, 1)(setting, draft)
    if not epsilon:
        raise NotAlikeError("Adam would divide by 0.")
    return epsilon


def _clipping(setting: Setting, draft: Draft) -> float:
    norm = number(0, 1e9)(setting, draft)
    if not norm:
        raise NotAlikeError("0 meant no limit, and so it is here.")
    return norm


def _enlarged(setting: Setting, draft: Draft) -> float:
    return tidy(1 / math.sqrt(number(0.01, 1)(setting, draft)))


def _inverse(setting: Setting, draft: Draft) -> float:
    return tidy(1 / number(0.05, 20)(setting, draft))


def _stretch(setting: Setting, draft: Draft) -> float:
    ratio = number(0.01, 100)(setting, draft)
    area = draft.value("random_crop_image.min_area", 0.1)
    # No piece of a square photo with this area can be longer: its longer side would be more than 1.
    longest = 1 / area if isinstance(area, int | float) and 0 < area <= 1 else 10.0
    return tidy(min(max(ratio, 1 / ratio), longest, 2.0))


def _less_than_one(setting: Setting, draft: Draft) -> float:
    return tidy(abs(1 - number(0, 10)(setting, draft)))


def _checkpoint(setting: Setting, draft: Draft) -> Fate:
    why = "This network cannot read a checkpoint of the Object Detection API; task.weights says what it starts from."
    if not setting.value:
        why = "None was given; pretrained weights need fewer photos."
    return replace("task.weights", why=why, look=True)(setting, draft)


def _path(rest: str, *targets: str) -> Rule:
    def rule(setting: Setting, draft: Draft) -> Fate:
        return replace(*targets, why=f"{_RECORDS} {rest}", look=True)(setting, draft)

    return rule


def _metrics(setting: Setting, draft: Draft) -> Fate:
    names = setting.value if isinstance(setting.value, tuple) else (setting.value,)
    if all(str(name).startswith("coco") for name in names):
        return always(setting.value, why="Evaluation counts COCO's AP here too.", why_not="")(setting, draft)
    return replace(why="Evaluation counts COCO's AP and AP50; Pascal VOC's AP is about AP50.")(setting, draft)


_TRAIN, _STEP = "train_config", "train_config.data_augmentation_options"
_RATES = f"{_TRAIN}.optimizer.*.learning_rate"

RULES: tuple[tuple[str, Rule], ...] = (
    (
        f"{_TRAIN}.batch_size",
        carry(whole(1, 8192), BATCH, why="Images a step, over all devices together."),
    ),
    (f"{_TRAIN}.num_steps", carry(_steps, "trainer.train_steps", why="Steps in all.")),
    # The learning rate.
    *(
        (
            f"{_TRAIN}.optimizer.adam_optimizer.learning_rate.{place}",
            carry(_adam_rate, RATE, why="The highest rate, for Adam there and here."),
        )
        for place in (
            "cosine_decay_learning_rate.learning_rate_base",
            "*_learning_rate.initial_learning_rate",
            "constant_learning_rate.learning_rate",
        )
    ),
    *(
        (f"{_RATES}.{place}", replace(RATE, why=_OTHER_RATE, look=True))
        for place in ("*.learning_rate_base", "*.initial_learning_rate", "constant_learning_rate.learning_rate")
    ),
    (f"{_RATES}.*.warmup_steps", carry(_warmup, _WARMUP, why="Steps in which the rate rises.")),
    (
        f"{_RATES}.*.warmup_learning_rate",
        replace(f"{_OPTIMIZER}.warmup.linear.warmup_learning_rate", why="The rate rises from 0."),
    ),
    (f"{_RATES}.*.total_steps", _falling),
    (f"{_RATES}.*", replace(_DECAY, why=_FALLS)),
    (
        f"{_TRAIN}.optimizer.adam_optimizer.epsilon",
        carry(_epsilon, f"{_OPTIMIZER}.optimizer.adam.epsilon", why="Adam there and here."),
    ),
    (f"{_TRAIN}.optimizer.use_moving_average", always(False, why="None here either.", why_not="No averages here.")),
    (f"{_TRAIN}.optimizer.moving_average_decay", drop("Weights are not averaged; the best checkpoint by AP is kept.")),
    (f"{_TRAIN}.optimizer.*", replace(f"{_OPTIMIZER}.optimizer.type", why="Adam trains here, for short runs.")),
    (
        f"{_TRAIN}.gradient_clipping_by_norm",
        carry(_clipping, f"{_OPTIMIZER}.optimizer.adam.global_clipnorm", why="The same limit on all gradients."),
    ),
    # What training starts from.
    (f"{_TRAIN}.fine_tune_checkpoint", _checkpoint),
    (f"{_TRAIN}.fine_tune_checkpoint_*", replace("task.weights", why="It belongs to the old checkpoint.")),
    (f"{_TRAIN}.from_detection_checkpoint", replace("task.weights", why="It belongs to the old checkpoint.")),
    (f"{_TRAIN}.load_all_detection_checkpoint_vars", replace("task.weights", why="It belongs to the old checkpoint.")),
    (
        f"{_TRAIN}.*freeze_variables",
        replace("task.frozen_stride", why="Names of old variables; layers are frozen by their stride here."),
    ),
    # Augmentation.
    (
        f"{_STEP}.random_horizontal_flip",
        carry(given(True), FLIP, why="Half of the photos are mirrored."),
    ),
    (f"{_STEP}.random_horizontal_flip.keypoint_flip_permutation", drop("There are no key points here.")),
    (f"{_STEP}.random_horizontal_flip.*", carry(given(True), FLIP, why="Half of the photos are mirrored.")),
    (f"{_STEP}.random_crop_image.min_area", carry(_enlarged, _LARGEST, why=_GROWS, merge=max)),
    (f"{_STEP}.random_crop_image.max_area", carry(_enlarged, _SMALLEST, why=_GROWS, merge=min)),
    *(
        (
            f"{_STEP}.random_crop_image.{name}",
            carry(_stretch, _ASPECT, why="As far as a piece of that area can be stretched, 2 at most.", merge=max),
        )
        for name in ("min_aspect_ratio", "max_aspect_ratio")
    ),
    (f"{_STEP}.random_crop_image", replace(_SMALLEST, _LARGEST, why=_CUTS)),
    (f"{_STEP}.random_crop_image.*", drop("A piece is chosen so that it fits; boxes follow it.")),
    *(
        (
            f"{_STEP}.{step}.{theirs}",
            carry(number(0.05, 20), ours, why="The same factor.", merge=merge),
        )
        for step, names in {
            "random_scale_crop_and_pad_to_square": ("scale_min", "scale_max"),
            "random_image_scale": ("min_scale_ratio", "max_scale_ratio"),
        }.items()
        for theirs, ours, merge in zip(names, (_SMALLEST, _LARGEST), (min, max), strict=True)
    ),
    (
        f"{_STEP}.random_square_crop_by_scale.scale_min",
        carry(_inverse, _LARGEST, why="A piece of that share of the photo is enlarged by this factor.", merge=max),
    ),
    (
        f"{_STEP}.random_square_crop_by_scale.scale_max",
        carry(_inverse, _SMALLEST, why="A square larger than the photo makes it smaller by this factor.", merge=min),
    ),
    *(
        (f"{_STEP}.{step}*", replace(_SMALLEST, _LARGEST, why=_CUTS))
        for step in ("ssd_random_crop", "random_crop", "random_square_crop", "random_scale_crop", "random_image_scale")
    ),
    *(
        (f"{_STEP}.{step}*", replace(_SMALLEST, why="Photos are made smaller, and padded, by the preset's factor."))
        for step in ("random_pad_image", "random_absolute_pad_image", "random_pad_to_aspect_ratio")
    ),
    *(
        (f"{_STEP}.random_adjust_{what}{name}", carry(take, _COLOR, why=_COLORS, merge=max))
        for what, name, take in (
            ("brightness", "", given(0.2)),
            ("brightness", ".max_delta", number(0, 1)),
            *((what, "", given(0.2)) for what in ("contrast", "saturation")),
            *((what, ".m??_delta", _less_than_one) for what in ("contrast", "saturation")),
        )
    ),
    (f"{_STEP}.random_distort_color*", carry(given(0.5), _COLOR, why=_COLORS, merge=max)),
    (f"{_STEP}.*", drop("Training photos are not changed in this way here.")),
    # Input.
    *(
        (f"{_TRAIN}.{name}", drop("How the old program spread its work over machines; tf.distribute does it here."))
        for name in ("sync_replicas", "startup_delay_steps", "replicas_to_aggregate")
    ),
    (
        f"{_TRAIN}.max_number_of_boxes",
        replace(f"{_PARSER}.max_num_instances", why="The records know how many boxes their fullest photo has."),
    ),
    (
        f"{_TRAIN}.use_bfloat16",
        drop("A number format of the old machine; training here chooses its own."),
    ),
    (f"{_TRAIN}.keep_checkpoint_every_n_hours", drop("The newest states and the best one are kept.")),
    (f"{_TRAIN}.*", drop("The old program's own business; nothing here needs it.")),
    ("*input_reader.label_map_path", _path("and the label map comes with them.", "task.class_names")),
    ("train_input_reader*.input_path", _path("and experiment.with_records takes them.", "task.train_data.input_path")),
    (
        "eval_input_reader*.input_path",
        _path("and experiment.with_records takes them.", "task.validation_data.input_path"),
    ),
    (
        "*input_reader.load_instance_masks",
        replace("task.preset", why="The preset says whether masks are used; records carry them where the data has."),
    ),
    ("eval_input_reader.shuffle", always(False, why=_ONE_AT_A_TIME, why_not=_ONE_AT_A_TIME)),
    ("eval_input_reader.num_epochs", always(1, why=_ONE_AT_A_TIME, why_not=_ONE_AT_A_TIME)),
    ("*input_reader.*", drop("Records are read in one way only here, as fast as the machine can.")),
    # Evaluation.
    ("eval_config.metrics_set", _metrics),
    ("eval_config.num_examples", replace("task.validation_images", why=_ONE_AT_A_TIME)),
    ("eval_config.*", drop("Evaluation takes every validation photo, and says AP of every class by itself.")),
    (
        "graph_rewriter.*",
        drop("Training is not quantized here; a model is made small when it is exported."),
    ),
    ("*", drop("Nothing here has this name.")),
)
