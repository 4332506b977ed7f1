"""The page of a classifier's report."""

from __future__ import annotations

from html import escape

import numpy as np

from tfod_helpers import pictures
from tfod_helpers.evaluation import Classification
from tfod_helpers.report.elements import figure, score, section, table, top, whole

_MEASURES = ("precision", "recall", "f1", "auc", "ap")
_MOST_CLASSES = 100  # rows; all of them are in the files


def draw(evaluation: Classification, heat: np.ndarray | None = None) -> str:
    """Return the page as HTML.

    Args:
        evaluation: what to report.
        heat: where the classifier looked, as `pictures.show_classified` takes it, or None.
    """
    low, high = evaluation.intervals["accuracy"]
    wrong = len(evaluation.mistakes())
    lead = (
        f"Of 100 photos it takes {round(100 * evaluation.accuracy)} for what they show. That is measured on "
        f"{pictures.counted(evaluation.images, 'photo')}: on others of the same kind it would mostly be between "
        f"{round(100 * low)} and {round(100 * high)}."
    )
    tiles = [
        (f"{evaluation.accuracy:.2f}", "accuracy", f"{low:.2f} to {high:.2f}"),
        (f"{evaluation.macro_f1:.2f}", "macro F1", "{:.2f} to {:.2f}".format(*evaluation.intervals["macro_f1"])),
        (f"{evaluation.images:,}", "photos", f"of {pictures.counted(len(evaluation.per_class), 'class', 'classes')}"),
        (f"{wrong:,}", "mistakes", "the worst are below"),
    ]
    chart = figure(pictures.plot_classification(evaluation), "ROC, precision and recall, each class, confusion matrix")
    calibration = figure(pictures.plot_calibration(evaluation), "Share that is right by confidence")
    words = "<p>The most confident ones first. Look at the labels too: some may be wrong.</p>"
    gallery = "<p>None.</p>"
    if wrong:
        gallery = figure(pictures.show_classified(evaluation, 12, heat=heat), "The worst mistakes", "photos")
    parts = [
        top("How good is this classifier?", lead, evaluation.notes, tiles),
        section("Scores", _classes(evaluation), chart),
        section("What a confidence is worth", f"<p>{escape(str(evaluation.calibration))}</p>", calibration),
        section("The worst mistakes", words, gallery),
    ]
    return whole("Evaluation", parts)


def _classes(evaluation: Classification) -> str:
    rows = [
        (
            str(name),
            f"{int(row['photos']):,}",
            *(score(row[m], row[f"{m}_low"], row[f"{m}_high"]) for m in _MEASURES),
            score(row["best_threshold"]),
        )
        for name, row in evaluation.per_class.head(_MOST_CLASSES).to_dict("index").items()
    ]
    head = (
        "class",
        "photos",
        "precision (95 %)",
        "recall",
        "F1",
        "area under ROC",
        "average precision",
        "best threshold",
    )
    words = (
        "<p>1 is perfect. An interval holds what 95 of 100 other sets of such photos would give. The best threshold is "
        "the probability of the highest F1 on these photos; choose yours on other photos than you report.</p>"
    )
    return words + table(head, rows, text=(0,))
