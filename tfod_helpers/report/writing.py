"""An `Evaluation` -> a page that any browser shows, and its numbers in files.

The page stands alone: its pictures lie within it, it loads nothing and runs no script.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfod_helpers import __version__
from tfod_helpers.files import storage
from tfod_helpers.report import page

if TYPE_CHECKING:
    import pandas as pd

    from tfod_helpers.evaluation import Evaluation, Scores

REPORT, NUMBERS, LABELS = FILES = ("report.html", "evaluation.json", "label_errors.csv")
_LEFT_BY_SYSTEMS = {".DS_Store", "Thumbs.db", "desktop.ini"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet takes a cell that begins so for a formula, and runs it


def write(
    evaluation: Evaluation,
    folder: str | os.PathLike[str],
    learning_curve: pd.DataFrame | Mapping[str, Sequence[float]] | None = None,
) -> Path:
    """Write the three files of a report; whole or not at all.

    Args:
        evaluation: what to report.
        folder: created, or replaced where it holds nothing but a report.
        learning_curve: as `pictures.plot_learning_curve` takes it.

    Returns:
        The path of the page.

    Raises:
        ValueError: ``folder`` holds other files, which would be lost.
        NotADirectoryError: ``folder`` is a file.
    """
    if not storage.is_remote(folder):
        folder = Path(folder).expanduser()
        _check_folder(folder)
    mistakes, suspects = evaluation.mistakes(), evaluation.label_errors()
    html = page.draw(evaluation, mistakes, suspects, learning_curve)
    with storage.whole_folder(folder, replaces=True) as part:
        (part / REPORT).write_text(html, encoding="utf-8")
        (part / NUMBERS).write_text(
            json.dumps(_numbers(evaluation, mistakes), indent=1, ensure_ascii=False, allow_nan=False) + "\n",
            encoding="utf-8",
        )
        _for_spreadsheets(suspects).to_csv(part / LABELS, index=False, encoding="utf-8")
    return Path(folder) / REPORT


def _numbers(evaluation: Evaluation, mistakes: pd.DataFrame) -> dict[str, Any]:
    """Return every number of an evaluation as JSON can hold it; what is unknown is None."""
    return plain(
        {
            "tfod_helpers": __version__,
            "images": evaluation.images,
            "boxes": int(evaluation.per_class["boxes"].sum()),
            "coco": evaluation.coco,
            "voc_ap50": evaluation.voc_ap50,
            "intervals_95": evaluation.intervals,
            "masks": evaluation.masks and _of_masks(evaluation.masks),
            "best_threshold": evaluation.best._asdict(),
            "per_class": evaluation.per_class.to_dict("index"),
            "pr_curves": _curves(evaluation.pr_curves, "recall", "precision"),
            "f1_curves": _curves(evaluation.f1_curves, "confidence", "f1"),
            "confusion": evaluation.confusion.to_dict("index"),
            "calibration": {
                "bins": evaluation.calibration.bins.to_dict("records"),
                "error": evaluation.calibration.error,
                "excess": evaluation.calibration.excess,
            },
            "mistakes": mistakes["kind"].value_counts().to_dict(),
            "speed": evaluation.speed and dataclasses.asdict(evaluation.speed),
            "notes": evaluation.notes,
        }
    )


def _of_masks(scores: Scores) -> dict[str, Any]:
    return {
        "coco": scores.coco,
        "intervals_95": scores.intervals,
        "per_class": scores.per_class.to_dict("index"),
        "pr_curves": _curves(scores.pr_curves, "recall", "precision"),
    }


def _curves(curves: Mapping[str, tuple[np.ndarray, np.ndarray]], *names: str) -> dict[str, Any]:
    return {of: dict(zip(names, curve, strict=True)) for of, curve in curves.items()}


def plain(value: Any) -> Any:
    """Return a value in numbers, texts, lists and dicts alone, as JSON can hold it; what is not finite is None.

    Args:
        value: mappings, sequences and NumPy's arrays and numbers, nested in any way.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder}: a report needs a folder, and this is a file. Choose another path.")
    there = {path.name for path in folder.iterdir()} if folder.exists() else set()
    others = sorted(there - set(FILES) - _LEFT_BY_SYSTEMS)
    if others:
        listed = ", ".join(others[:3]) + ", ..." * (len(others) > 3)
        raise ValueError(
            f"{folder}: the report would take the place of this folder, which holds other files ({listed}). Choose a "
            f"folder of its own, such as {folder / 'report'}."
        )


def _for_spreadsheets(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table in which no text that came from elsewhere is a formula; a path stays one that opens."""
    table = table.drop(columns="image").round({"score": 4, "confidence": 4})
    corners = np.array(table.pop("box_xyxy").tolist()).reshape(-1, 4).round(1)
    table[["xmin", "ymin", "xmax", "ymax"]] = corners
    for column, before in (("path", "./"), ("label", "'"), ("detected", "'")):
        table[column] = [before + text if text.startswith(_FORMULA) else text for text in table[column]]
    return table
