"""A certificate in words: as text, as the table that a notebook shows, and as a page."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from html import escape
from typing import Any

import pandas as pd

from tfod_helpers import pictures
from tfod_helpers.pictures.certificate_chart import signed
from tfod_helpers.report.elements import figure, section, table, whole

_HEAD = ("export", "verdict", "AP (95 %)", "change of AP (95 %)", "AP50", "MB", "ms a photo")
_DETAILS = ("export", "format", "precision", "box off by", "score off by", "pairs", "alone", "cores busy")
_UNKNOWN = "–"  # noqa: RUF001 - the dash of a table


def text(found: pd.DataFrame, facts: Mapping[str, Any]) -> str:
    """Return a certificate as lines of text.

    Args:
        found: as `Certificate.table`.
        facts: as `Certificate.facts`.
    """
    rows = [_HEAD[:1] + _HEAD[2:] + _HEAD[1:2], *((row[0], *row[2:], row[1]) for row in _rows(found))]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_HEAD) - 1)]
    lines = ["  ".join([*map(str.ljust, row, widths), row[-1]]) for row in rows]
    notes = [f"{name}: {note}." for name, note in found["notes"].items() if note]
    return "\n".join([in_a_sentence(found, facts), "", *lines, *([""] if notes else []), *notes])


def summary(found: pd.DataFrame, facts: Mapping[str, Any]) -> str:
    """Return a certificate as HTML for a notebook.

    Args:
        found: as `Certificate.table`.
        facts: as `Certificate.facts`.
    """
    notes = "".join(f"<p>{escape(f'{name}: {note}.')}</p>" for name, note in found["notes"].items() if note)
    style = "<style>.certificate th.text, .certificate td.text { text-align: left; }</style>"
    words = f"<p><b>{escape(in_a_sentence(found, facts))}</b></p>"
    return f'{style}<div class="certificate">{words}{table(_HEAD, _rows(found), text=(0, 1))}{notes}</div>'


def draw(found: pd.DataFrame, facts: Mapping[str, Any], picture: pictures.Picture) -> str:
    """Return a certificate as a page that needs nothing else.

    Args:
        found: as `Certificate.table`.
        facts: as `Certificate.facts`.
        picture: as `pictures.plot_certificate` draws it.
    """
    notes = "".join(
        f'<p class="note">{escape(f"{name}: {note}.")}</p>' for name, note in found["notes"].items() if note
    )
    top = f'<h1>Are these exports fit to ship?</h1><p class="lead">{escape(in_a_sentence(found, facts))}</p>{notes}'
    parts = [
        top + figure(picture, "Change of AP with intervals, size and time of each export"),
        section("Verdicts", table(_HEAD, _rows(found), text=(0, 1)), f"<p>{escape(_reading(facts))}</p>"),
        section("Detection by detection", f"<p>{escape(_matching(facts))}</p>", _details(found)),
        section("How this was measured", _measured(facts)),
    ]
    return whole("Certificate", parts)


def in_a_sentence(found: pd.DataFrame, facts: Mapping[str, Any]) -> str:
    """Say how many exports are fit.

    Args:
        found: as `Certificate.table`.
        facts: as `Certificate.facts`.
    """
    others = found.iloc[1:]
    on = f"on {pictures.counted(facts['photos'], 'photo')} with {pictures.counted(facts['objects'], 'object')}"
    if not len(others):
        return (
            f"{found.index[0]}: AP {found['ap'].iloc[0]:.3f} {on}; it is the reference, and there is no other export."
        )
    judged = others["ap"].notna()
    counts = (
        (sum(fit is True for fit in others["fit"]), f"as good as {facts['reference']}"),
        (sum(fit is False for fit in others["fit"]), "unfit"),
        (sum(fit is None or fit != fit for fit in others["fit"][judged]), "not to be told with so few photos"),
        (int((~judged).sum()), "not judged"),
    )
    words = ", ".join(f"{count} {what}" for count, what in counts if count)
    return f"Of {pictures.counted(len(others), 'export')}, compared with {facts['reference']} {on}: {words}."


def _rows(found: pd.DataFrame) -> list[tuple[str, ...]]:
    return [
        (
            str(name),
            str(row["verdict"]),
            _score(row, "ap", "{:.3f}".format),
            _score(row, "ap_change", signed),
            _number(row["ap50"], ".3f"),
            _number(row["bytes"] / 1e6, ".2f"),
            _number(row["ms"], ".1f"),
        )
        for name, row in found.to_dict("index").items()
    ]


def _details(found: pd.DataFrame) -> str:
    rows = [
        (
            str(name),
            str(row["format"]),
            str(row["precision"]),
            _number(row["box_pixels"], ".1f", " px"),
            _number(row["score"], ".3f"),
            _number(row["matched"], ",.0f"),
            _number(row["alone"], ",.0f"),
            _number(row["cores"], ".1f"),
        )
        for name, row in found.to_dict("index").items()
    ]
    return table(_DETAILS, rows, text=(0, 1, 2))


def _number(value: float, form: str, unit: str = "") -> str:
    return _UNKNOWN if math.isnan(value) else f"{value:{form}}{unit}"


def _score(row: Mapping[Hashable, Any], name: str, shown: Callable[[float], str]) -> str:
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    if math.isnan(value):
        return _UNKNOWN
    return shown(value) + ("" if math.isnan(low) else f" ({shown(low)} to {shown(high)})")


def _reading(facts: Mapping[str, Any]) -> str:
    return (
        f"An export is unfit where its AP is lower than that of {facts['reference']} by more than "
        f"{facts['tolerance']:g}. The interval of the change says what 95 of 100 other sets of such photos would show; "
        f"where it reaches further down than that, these photos cannot tell, and more labelled ones can. The same "
        f"photos are sampled for both, so the change is known better than either AP."
    )


def _matching(facts: Mapping[str, Any]) -> str:
    return (
        f"Detections of confidence {facts['threshold']:.2f} or more beside those of {facts['reference']}, of the same "
        f"class, that they overlap most, by half at least: how far the corners of such a pair lie apart at most, in "
        f"pixels of the photo, and how far its confidences. Alone are those that only one of the two has, or the other "
        f"with less than half of that confidence."
    )


def _measured(facts: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    lines = (
        ("photos", f"{facts['photos']:,} with {facts['objects']:,} objects; fingerprint {facts['dataset']}"),
        ("scores", "COCO's AP, over IoU 0.50 to 0.95; AP50 at 0.50; boxes to the hundredth detection of a photo"),
        ("intervals", f"95 %, by {facts['resamples']:,} samples of the photos, the same for all exports"),
        ("size", "all files that the model consists of"),
        ("time", facts["timing"]),
        (
            "cores",
            "how many were busy with it; well below 1 where other programs ran, and times are too long then",
        ),
        ("machine", facts["machine"]),
        ("versions", versions),
        ("date", facts["date"]),
    )
    return table(("", ""), [(name, str(words)) for name, words in lines], text=(0, 1))
