"""What people and tools call the parts that a data set is divided into, and what each is for."""

from __future__ import annotations

import re
from typing import Literal

Role = Literal["train", "validation", "test", ""]
_ROLES: dict[str, Role] = {
    **dict.fromkeys(("train", "training", "trainset", "trainval"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "eval", "evaluation", "minival"), "validation"),
    **dict.fromkeys(("test", "testing", "testset", "testdev", "holdout"), "test"),
}
# Words beside a split's name that leave it one: train_images, labels-val, instances_train2017. With any other word it
# is a name like crash_test_dummies.
_BESIDE = re.compile(
    "images?|imgs?|jpegimages|photos?|pictures|frames|annotations?|annots|labels?|labell?ed|xmls?|txt|json|csv|coco|yolo"
    "|voc|instances|set|split|data|dataset|folder|records?|tfrecords?"
)
_WORD = re.compile(r"[^\W\d_]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


def split_word(name: str) -> str:
    """Return what of a folder's or file's name is a split's name, as it is written there; empty where nothing is.

    ``Train`` and ``train2017`` are ``Train`` and ``train``; ``test_images`` is ``test``; ``train_val`` is ``trainval``;
    ``crash_test_dummies`` is none.
    """
    words = [word for part in _WORD.findall(name) for word in _HUMP.split(part)]
    found = [word for word in words if word.casefold() in _ROLES]
    if not all(_BESIDE.fullmatch(word.casefold()) for word in words if word not in found):
        return ""
    roles = [_ROLES[word.casefold()] for word in found]
    if len(set(roles)) > 1:
        return "trainval" if roles == ["train", "validation"] else ""
    return found[0] if found else ""


def split_role(split: str) -> Role:
    """Return what a split is for, by its name in any capitals, with a year or without: ``Train2017``, ``trainval``."""
    return _ROLES.get(split_word(split).casefold(), "")
