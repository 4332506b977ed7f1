"""A dataset -> YOLO's label files and the ``data.yaml`` that Ultralytics trains from."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from tfod_helpers.annotations import LabelledImage, LabelMap, split_role
from tfod_helpers.formats.format import Splits

_SETTINGS = ("path", "names", "nc", "kpt_shape")  # of a data.yaml, besides its splits


def write(splits: Splits, label_map: LabelMap, folder: Path, name: str) -> None:
    """Write the label files of each split and ``data.yaml``, as `Format` calls it."""
    for split, images in splits.items():
        labels = folder / "labels" / split
        labels.mkdir(parents=True, exist_ok=True)
        for image in images:
            (labels / f"{image.path.stem}.txt").write_text(_to_rows(image), encoding="utf-8")
    (folder / "data.yaml").write_text(_to_yaml(splits, label_map), encoding="utf-8")


def _to_rows(image: LabelledImage) -> str:
    # In float64 with all its digits, so that reading gives the same float32 back.
    boxes_xyxy = image.boxes_xyxy.astype(np.float64) / [image.width, image.height, image.width, image.height]
    rows = []
    for label, (xmin, ymin, xmax, ymax) in zip(image.labels.tolist(), boxes_xyxy.tolist(), strict=True):
        numbers = (xmin + xmax) / 2, (ymin + ymax) / 2, xmax - xmin, ymax - ymin
        rows.append(f"{label - 1} {' '.join(map(repr, numbers))}\n")
    return "".join(rows)


def _to_yaml(splits: Splits, label_map: LabelMap) -> str:
    import yaml

    places: dict[str, list[str]] = defaultdict(list)
    for split in splits:
        if split in _SETTINGS:
            raise ValueError(f"A split is called {split!r}, which is a setting of data.yaml. Rename it.")
        places[split_role(split)].append(f"images/{split}".rstrip("/"))
    # Ultralytics asks for both, and leaves out other keys, which keep the names of splits that it does not know.
    train = places["train"] or places[""] or places["validation"] or places["test"]
    keys = {"train": train, "val": places["validation"] or places["test"] or train, "test": places["test"]}
    data: dict[str, object] = {"path": "."}
    data |= {key: some[0] if len(some) == 1 else [*some] for key, some in keys.items() if some}
    data |= {split: f"images/{split}".rstrip("/") for split in splits if split not in keys}
    data["names"] = dict(enumerate(label_map))
    return yaml.safe_dump(data, allow_unicode=True, sort_keys=False)
