"""The tensors of a checkpoint of the Object Detection API (TF2), by their keys; what such a checkpoint is not."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

PYRAMID = "_feature_extractor/_fpn_features_generator"
MAPS = "_feature_extractor/feature_map_generator"
_ROOT, _LEAF = "model/", "/.ATTRIBUTES/VARIABLE_VALUE"

# What a checkpoint is of, by a part of its keys, where it is none that can be carried over.
_OTHERS = {
    "_bifpn_stage/": "an EfficientDet, whose pyramid (BiFPN) no preset has",
    "_first_stage_box_predictor/": "a Faster R-CNN without a feature pyramid",
    "_prediction_head_dict/": "a CenterNet",
}
_INSTEAD = (
    "Carried over are SSD MobileNetV2, and SSDs with a feature pyramid: MobileNetV2 FPNLite, MobileNetV1 FPN and "
    "ResNet FPN (RetinaNet). Train such a preset on your photos instead: 'mobilenet_v2_fpnlite_320' is the nearest in "
    "speed, 'resnet50_fpn_640' in accuracy."
)


def is_original(prefix: str) -> bool:
    """Return whether a checkpoint is one of the Object Detection API's, TF1's or TF2's."""
    try:
        names = _reader(prefix).get_variable_to_shape_map()
    except ValueError:  # whoever reads it will say so
        return False
    return any(name.startswith(("model/_feature_extractor/", "FeatureExtractor/")) for name in names)


class Tensors:
    """A checkpoint's tensors by their keys, each of which has to be taken once."""

    def __init__(self, prefix: str) -> None:
        """Read which there are.

        Raises:
            ValueError: it is no checkpoint, or one of a network that cannot be carried over.
        """
        self._prefix, self._reader = prefix, _reader(prefix)
        shapes = self._reader.get_variable_to_shape_map()
        keys = [key.removeprefix(_ROOT).removesuffix(_LEAF) for key in shapes if key.startswith(_ROOT)]
        self._left = {key for key in keys if key.startswith(("_feature_extractor/", "_box_predictor/"))}
        self._left = {key for key in self._left if ".OPTIMIZER_SLOT" not in key}
        self.keys = frozenset(self._left)
        _refuse_others(prefix, list(shapes), keys)

    def take(self, key: str) -> np.ndarray:
        """Return a tensor.

        Raises:
            ValueError: there is none of this key, or it holds NaN or infinite values.
        """
        import tensorflow as tf

        if key not in self.keys:
            raise ValueError(
                f"{self._prefix}: it has no {key}, so it is the checkpoint of another network than the config "
                f"describes, or not whole. Give the checkpoint that was trained with this pipeline.config."
            )
        self._left.discard(key)
        try:
            value = np.asarray(self._reader.get_tensor(f"{_ROOT}{key}{_LEAF}"))
        except (tf.errors.OpError, RuntimeError, LookupError) as error:
            raise ValueError(
                f"{self._prefix}: {key} cannot be read; the file is damaged or not whole ({error}). Copy it again: "
                f"the .index and every .data file."
            ) from error
        if not np.isfinite(value).all():
            raise ValueError(f"{self._prefix}: {key} holds NaN or infinite values. Choose an earlier checkpoint.")
        return value

    def numbers(self, start: str) -> list[int]:
        """Return the numbers that stand behind a beginning in its keys, rising."""
        found = (re.match(rf"{re.escape(start)}(\d+)(/|$)", key) for key in self.keys)
        return sorted({int(one[1]) for one in found if one})

    def check_all_read(self) -> None:
        """Raise ValueError where a tensor was never taken: the network has no place for it."""
        if self._left:
            raise ValueError(
                f"{self._prefix}: {len(self._left)} of its tensors have no place in this network, such as "
                f"{min(self._left)}. It was trained with another pipeline.config; give that one."
            )


def _reader(prefix: str) -> Any:
    import tensorflow as tf

    try:
        return tf.train.load_checkpoint(prefix)
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{prefix}: cannot be read as a checkpoint, it is damaged or not whole ({error}). Copy it again: the "
            f".index and every .data file."
        ) from error


def _refuse_others(prefix: str, names: list[str], keys: list[str]) -> None:
    if any(name.startswith("FeatureExtractor/") for name in names):
        raise ValueError(
            f"{prefix}: this is a checkpoint of the TF1 Object Detection API, whose layers have no counterpart here. "
            f"{_INSTEAD}"
        )
    if not keys and {f"step{_LEAF}", f"save_counter{_LEAF}"} & set(names):
        raise ValueError(
            f"{prefix}: it was written before the first step and holds no network yet. Give a later checkpoint of "
            f"this training."
        )
    for part, what in _OTHERS.items():
        if any(part in key for key in keys):
            raise ValueError(f"{prefix}: this is a checkpoint of {what}, and no preset builds that network. {_INSTEAD}")
    if not any(key.startswith((PYRAMID, MAPS)) for key in keys):
        what = ", ".join(sorted(names)[:3]) or "nothing"
        raise ValueError(
            f"{prefix}: this is no checkpoint of an SSD of the TF2 Object Detection API; it holds {what}. Of an "
            f"exported model give the folder 'checkpoint', not 'saved_model'. {_INSTEAD}"
        )
