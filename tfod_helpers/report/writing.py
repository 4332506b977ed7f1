"""An `Evaluation` or a `Classification` -> a page that any browser shows, and its numbers in files.

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
from tfod_helpers.evaluation import Calibration, Classification
from tfod_helpers.files import storage
from tfod_helpers.report import classifier_page, page

if TYPE_CHECKING:
    import pandas as pd

    from tfod_helpers.evaluation import Evaluation, Scores

REPORT, NUMBERS, LABELS, MISTAKES = FILES = ("report.html", "evaluation.json", "label_errors.csv", "mistakes.csv")
_LEFT_BY_SYSTEMS = {".DS_Store", "Thumbs.db", "desktop.ini"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet takes a cell that begins so for a formula, and runs it


def write(
    evaluation: Evaluation | Classification,
    folder: str | os.PathLike[str],
    learning_curve: pd.DataFrame | Mapping[str, Sequence[float]] | None = None,
    heat: np.ndarray | None = None,
) -> Path:
    """Write the three files of a report, of a detector or of a classifier; whole or not at all.

    Args:
        evaluation: what to report.
        folder: created, or replaced where it holds nothing but a report.
        learning_curve: of a detector, as `pictures.plot_learning_curve` takes it.
        heat: of a classifier, where it looked, as `pictures.show_classified` takes it.

    Returns:
        The path of the page.

    Raises:
        ValueError: ``folder`` holds other files, which would be lost.
        NotADirectoryError: ``folder`` is a file.
    """
    if not storage.is_remote(folder):
        folder = Path(folder).expanduser()
        _check_folder(folder)
    if isinstance(evaluation, Classification):
        found = evaluation.mistakes()
        page_, numbers, tables = classifier_page.draw(evaluation, heat), _of_classes(evaluation), {MISTAKES: found}
        return _write(folder, page_, numbers, tables)
    mistakes, suspects = evaluation.mistakes(), evaluation.label_errors()
    html = page.draw(evaluation, mistakes, suspects, learning_curve)
    return _write(folder, html, _numbers(evaluation, mistakes), {LABELS: suspects})


def _write(
    folder: str | os.PathLike[str], html: str, numbers: dict[str, Any], tables: Mapping[str, pd.DataFrame]
) -> Path:
    with storage.whole_folder(folder, replaces=True) as part:
        (part / REPORT).write_text(html, encoding="utf-8")
        text = json.dumps(numbers, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        (part / NUMBERS).write_text(text, encoding="utf-8")
        for name, table in tables.items():
            _for_spreadsheets(table).to_csv(part / name, index=False, encoding="utf-8")
    return Path(folder) / REPORT


def _of_classes(evaluation: Classification) -> dict[str, Any]:
    return plain(
        {
            "tfod_helpers": __version__,
            "images": evaluation.images,
            "accuracy": evaluation.accuracy,
            "macro_f1": evaluation.macro_f1,
            "intervals_95": evaluation.intervals,
            "per_class": evaluation.per_class.to_dict("index"),
            "roc_curves": _curves(evaluation.roc_curves, "false_positive_rate", "true_positive_rate"),
            "pr_curves": _curves(evaluation.pr_curves, "recall", "precision"),
            "confusion": evaluation.confusion.to_dict("index"),
            "calibration": _of_calibration(evaluation.calibration),
            "notes": evaluation.notes,
        }
    )


def _of_calibration(calibration: Calibration) -> dict[str, Any]:
    bins = calibration.bins.to_dict("records")
    return {"bins": bins, "error": calibration.error, "excess": calibration.excess}


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
            "calibration": _of_calibration(evaluation.calibration),
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
    for column, before in (("path", "./"), ("label", "'"), ("detected", "'"), ("predicted", "'")):
        if column not in table:
            continue
        table[column] = [before + text if text.startswith(_FORMULA) else text for text in table[column]]
    return table
