"""A pipeline.config -> `Carried`."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

from tfod_helpers.files import storage
from tfod_helpers.files.protobuf_text import Setting, TextFormatError, read_settings
from tfod_helpers.pipeline_config.carried import Carried, describe
from tfod_helpers.pipeline_config.draft import Draft, Fate
from tfod_helpers.pipeline_config.networks import OldConfigError, choose
from tfod_helpers.pipeline_config.rules import rules
from tfod_helpers.pipeline_config.values import HIGHEST_ADAM_RATE
from tfod_helpers.presets import PRESETS, keys

_MANY = 4  # times the batch of a preset, which one GPU can hold
_PLACEHOLDER = "path_to_be_configured"
_SEVERAL = {"data_augmentation_options", "schedule", "operations", "eval_input_reader", "anchor_grid"}
_GIVE = "Give the pipeline.config of an Object Detection API model"


def read(path: str | os.PathLike[str]) -> Carried:
    """Read a pipeline.config of the TensorFlow Object Detection API, TF1's or TF2's.

    The config that comes of it has no data: `experiment.with_records` puts train and validation records into it.

    Args:
        path: the file, in text format.

    Returns:
        An ExperimentConfig on the nearest preset, and what happened to every setting of the file.

    Raises:
        FileNotFoundError: there is no such file.
        IsADirectoryError: it is a folder.
        OldConfigError: it cannot be read, is no such config, or has an impossible value; the message says where.
            `NoCounterpartError`, which is one too, names the preset to use where none stands for the network.
    """
    where = storage.address(path)
    try:
        return _carry(where, read_settings(_load(storage.mirror(path)), windows_paths=True))
    except TextFormatError as error:
        raise OldConfigError(f"{where}, {error.where}" if error.where else where, error.what, error.fix) from error


def _load(path: Path) -> str:
    if path.is_dir():
        files = ", ".join(sorted(child.name for child in path.glob("*.config"))[:5]) or "none"
        raise IsADirectoryError(f"{path}: this is a folder. Give one pipeline.config; those in it: {files}.")
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such pipeline.config. Check the path.")
    return decode(path.read_bytes())


def decode(data: bytes) -> str:
    """Return the text of a config's bytes: UTF-8 or what Windows makes instead, UTF-16 or its own 8 bits.

    Raises:
        TextFormatError: they are no text, or nothing at all.
    """
    if not data.strip():
        raise TextFormatError("", "the file is empty", f"{_GIVE}.")
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    if re.search(r"[\x00-\x08\x0e-\x1f]", text):
        raise TextFormatError("", "this is no text, but a binary file", f"{_GIVE}, not its checkpoint or frozen graph.")
    return text


def _carry(where: str, settings: list[Setting]) -> Carried:
    draft = Draft(where, settings)
    preset, draft.network = choose(draft)

    # Here and not above: they load the Model Garden and with it TensorFlow, which a bad file need not wait for.
    import pandas as pd

    from tfod_helpers import experiment
    from tfod_helpers.experiment.config import flatten

    start = experiment.from_preset(preset)
    draft.ours = flatten(start)
    draft.want(draft.network.sets)
    _check_once(settings)
    fates = [_decide(setting, draft) for setting in settings]
    notes = _notes(draft, preset)
    config = experiment.change(start, draft.wanted)
    ours = flatten(config)
    rows = [
        (one.name, one.value, fate.outcome, describe(fate, ours), fate.why, one.line, fate.look)
        for one, fate in zip(settings, fates, strict=True)
    ]
    table = pd.DataFrame(rows, columns=["setting", "value", "outcome", "to", "why", "line", "look"])
    unconfigured = tuple(one.name for one in settings if _PLACEHOLDER in str(one.value).lower())
    return Carried(Path(where), preset, config, table, unconfigured, notes, tuple(settings))


def _check_once(settings: list[Setting]) -> None:
    """Refuse a message that is given more than once, where the rules know it as one."""
    patterns = " ".join(pattern for rule in rules() for pattern in rule.settings)
    known = set(re.findall(r"\w+", patterns)) - _SEVERAL
    for setting in settings:
        for message, number in re.findall(r"(\w+)\[(\d+)\]", setting.name):
            if message in known and number != "0":
                raise setting.refused(f"{message} is given more than once", "Keep one of them.")


def _decide(setting: Setting, draft: Draft) -> Fate:
    fate = next(rule for rule in rules() if rule.fits(setting)).apply(setting, draft)
    draft.want(fate.sets)
    return fate


def _notes(draft: Draft, preset: str) -> tuple[str, ...]:
    """Settle what the file does not say, or says of a machine with many chips."""
    if not any(one.plain_name.startswith("train_config.") for one in draft.settings):
        return ("The file has no train_config: training follows the preset.",)
    notes = []
    if keys.FLIP not in draft.wanted:
        draft.want({keys.FLIP: False})
        notes.append("The file flips no photos, so they are not flipped here: what left and right mean may matter.")
    if draft.find("train_config.num_steps") is None:
        notes.append("The file does not say how many steps: the preset's number of images is seen.")
    batch, usual = draft.ours[keys.BATCH_SIZE], PRESETS[preset].batch_size
    if batch > _MANY * usual:
        notes.append(f"A batch of {batch} was for many chips at once; on one GPU set {keys.BATCH_SIZE} to {usual}.")
    # As `experiment.change` fits the rate to the batch; what it gives for the largest would be too much.
    rate = PRESETS[preset].learning_rate * math.sqrt(batch / usual)
    if keys.LEARNING_RATE not in draft.wanted and rate > HIGHEST_ADAM_RATE:
        draft.want({keys.LEARNING_RATE: HIGHEST_ADAM_RATE})
    return tuple(notes)
