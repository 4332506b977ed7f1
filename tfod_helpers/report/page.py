"""The page of a report: what it says, in which order, and how it looks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_helpers import pictures
from tfod_helpers.evaluation import would_more_help
from tfod_helpers.report.elements import figure, score, section, table, top, whole

if TYPE_CHECKING:
    import pandas as pd

    from tfod_helpers.evaluation import Evaluation, Scores

_WIDE = 0.1  # AP: an interval so wide is worth a word
_MOST_CLASSES, _MOST_SUSPECTS = 100, 24  # rows; all of them are in the files
_COCO_MEANING = {
    "AP": "over IoU 0.50 to 0.95, the number that COCO ranks by",
    "AP50": "detections need to overlap objects by half",
    "AP75": "detections need to fit well",
    "AP small": "objects under 32 x 32 pixels",
    "AP medium": "objects of 32 x 32 to 96 x 96 pixels",
    "AP large": "objects over 96 x 96 pixels",
    "AR 1": "recall with 1 detection of a class an image",
    "AR 10": "with 10",
    "AR 100": "with 100",
    "AR small": "of small objects, with 100",
    "AR medium": "of medium ones",
    "AR large": "of large ones",
}


def draw(
    evaluation: Evaluation,
    mistakes: pd.DataFrame,
    suspects: pd.DataFrame,
    learning_curve: pd.DataFrame | Mapping[str, Sequence[float]] | None = None,
) -> str:
    """Return the page as HTML.

    Args:
        evaluation: what to report.
        mistakes: its mistakes, as `evaluation.mistakes` returns them.
        suspects: its labels, as `evaluation.label_errors` returns them.
        learning_curve: as `pictures.plot_learning_curve` takes it, or None.
    """
    parts = [_top(evaluation), _scores(evaluation), _classes(evaluation), _confidence(evaluation)]
    if learning_curve is not None:
        words = f"<p>{escape(would_more_help(learning_curve))}</p>"
        curve = pictures.plot_learning_curve(learning_curve)
        parts.append(section("Would more photos help?", words, figure(curve, "AP by number of training photos")))
    parts += [_mistakes(evaluation, mistakes), _suspects(evaluation, suspects), _speed(evaluation)]
    return whole("Evaluation", parts)


def _top(evaluation: Evaluation) -> str:
    masks = evaluation.masks
    tiles = [
        (f"{evaluation.ap:.2f}", "AP", _interval(evaluation, "ap")),
        (f"{evaluation.ap50:.2f}", "AP50", _interval(evaluation, "ap50")),
        *([(f"{masks.ap:.2f}", "AP of the masks", _interval(masks, "ap"))] if masks else []),
        (f"{evaluation.f1:.2f}", f"best F1, at confidence {evaluation.threshold:.2f}", _interval(evaluation, "f1")),
        (f"{int(evaluation.per_class['boxes'].sum()):,}", "objects to find", f"on {evaluation.images:,} photos"),
    ]
    return top("How good is this detector?", in_a_sentence(evaluation), evaluation.notes, tiles)


def in_a_sentence(evaluation: Evaluation) -> str:
    """Say how good a detector is to somebody who has never heard of AP.

    Args:
        evaluation: what to report.
    """
    best = evaluation.best
    words = (
        f"At a confidence threshold of {best.threshold:.2f} it detects {_of_100(best.recall)} objects, and "
        f"{_of_100(best.precision)} of its detections are right. Its AP, which also measures how well the boxes fit, "
        f"is {evaluation.ap:.2f} of 1."
    )
    of_masks = f" The AP of its masks is {evaluation.masks.ap:.2f}." if evaluation.masks else ""
    low, high = evaluation.intervals.get("ap", (math.nan, math.nan))
    if math.isnan(low):
        return words + of_masks
    words += (
        f" That is measured on {pictures.counted(evaluation.images, 'photo')}: on others of the same kind it would "
        f"mostly lie between {low:.2f} and {high:.2f}."
    )
    if high - low > _WIDE:
        words += " Four times as many labelled photos to evaluate on would halve that range."
    return words + of_masks


def _of_100(share: float) -> str:
    return f"{round(100 * share)} of 100"


def _scores(evaluation: Evaluation) -> str:
    found = [evaluation, *([evaluation.masks] if evaluation.masks else [])]
    rows = [
        (name, *(score(one.coco[name], *one.intervals.get(name.lower(), ())) for one in found), _COCO_MEANING[name])
        for name in evaluation.coco
    ]
    voc = (score(evaluation.voc_ap50), *[""] * (len(found) - 1))
    rows.append(("VOC AP50", *voc, "Pascal VOC's AP: AP50 at every recall, by VOC's rule of matching"))
    columns = ("boxes (95 %)", "masks (95 %)") if evaluation.masks else ("score (95 % interval)",)
    scores = table(("", *columns, "what it measures"), rows, text=(0, len(columns) + 1))
    words = (
        "<p>1 is perfect. An interval holds what 95 of 100 other sets of such photos would give; two detectors whose "
        "intervals overlap widely may be equally good. A dash: no such object in these photos.</p>"
    )
    if evaluation.masks:
        words += "<p>Of masks the overlap of pixels counts in the place of that of boxes.</p>"
    chart = figure(pictures.plot_evaluation(evaluation), "Precision and recall, AP of each class, confusion matrix")
    return section("Scores", words, scores, chart)


def _classes(evaluation: Evaluation) -> str:
    head = ["class", "objects", "AP (95 %)", "AP50 (95 %)", *(["masks: AP (95 %)"] if evaluation.masks else [])]
    head += ["small", "medium", "large", "threshold", "precision", "recall", "F1"]
    columns = ("ap_small", "ap_medium", "ap_large", "best_threshold", "precision", "recall", "f1")
    rows = []
    for name, row in evaluation.per_class.head(_MOST_CLASSES).to_dict("index").items():
        scores = [score(row[name], row[f"{name}_low"], row[f"{name}_high"]) for name in ("ap", "ap50")]
        if evaluation.masks:
            of_masks = evaluation.masks.per_class
            scores.append(score(*(of_masks[f"ap{end}"][str(name)] for end in ("", "_low", "_high"))))
        rows.append((str(name), f"{int(row['boxes']):,}", *scores, *(score(row[column]) for column in columns)))
    left_out = len(evaluation.per_class) - len(rows)
    more = f"<p>{left_out:,} more classes are in evaluation.json.</p>" if left_out > 0 else ""
    words = (
        "<p>AP by the size of the objects; then the confidence threshold of the highest F1, with precision, recall "
        "and F1 there.</p>"
    )
    return section("Each class", words, table(head, rows, text=(0,)), more)


def _confidence(evaluation: Evaluation) -> str:
    return section(
        "Which confidence threshold to choose, and what a confidence is worth",
        "<p>The lower the threshold, the higher the recall and the lower the precision. F1 weighs both.</p>",
        figure(
            pictures.plot_thresholds(evaluation), "F1 by confidence threshold, and the best threshold of each class"
        ),
        f"<p>{escape(str(evaluation.calibration))}</p>",
        figure(pictures.plot_calibration(evaluation), "Precision by confidence"),
    )


def _mistakes(evaluation: Evaluation, mistakes: pd.DataFrame) -> str:
    words = (
        f"<p>At confidence {evaluation.threshold:.2f}, a few of each kind, the worst first. The commonest kind says "
        f"what to do: missed or wrong class, label more such photos; badly placed, train longer or at a larger size; "
        f"background, add photos without objects.</p>"
    )
    gallery = figure(pictures.show_mistakes(evaluation), "The worst mistakes", "photos") if len(mistakes) else ""
    return section("The worst mistakes", words, gallery or "<p>None.</p>")


def _suspects(evaluation: Evaluation, suspects: pd.DataFrame) -> str:
    likely = suspects[suspects["score"] > 0].head(_MOST_SUSPECTS)
    if not len(likely):
        return section("Labels to look at again", "<p>The detector contradicts none.</p>")
    rows = [
        (
            f"{row['score']:.2f}",
            row["reason"],
            _link(row["path"]),
            str(row["object"] or "new"),
            ", ".join(f"{value:.0f}" for value in row["box_xyxy"]),
        )
        for row in likely.to_dict("records")
    ]
    head = ("score", "why", "photo", "object", "box (pixels)")
    words = (
        "<p>Here the detector sees something else than the label says. Often the detector is wrong; where the label "
        "is, correcting it helps more than another photo. All labels, in this order, are in label_errors.csv.</p>"
    )
    gallery = figure(pictures.show_label_errors(evaluation), "Labels that are probably wrong", "photos")
    return section("Labels to look at again", words, gallery, table(head, rows, text=(1, 2), ready=(2,)))


def _speed(evaluation: Evaluation) -> str:
    if evaluation.speed is None:
        return ""
    words = (
        f"<p>{escape(str(evaluation.speed))}, on the machine that made this report; reading photos not included.</p>"
    )
    return section("Speed", words)


def _link(path: str) -> str:
    """Return a photo's folder and name, as a link where it can be opened from here."""
    name = escape("/".join(Path(path).parts[-2:]))
    if not Path(path).is_file():
        return f'<span title="{escape(path)}">{name}</span>'
    return f'<a href="{escape(Path(path).absolute().as_uri())}" title="{escape(path)}">{name}</a>'


def _interval(found: Scores, name: str) -> str:
    low, high = found.intervals.get(name, (math.nan, math.nan))
    return "" if math.isnan(low) else f"{low:.2f} to {high:.2f}"
