"""What the pages are made of: one look, sections, figures that lie within the page, tables."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from html import escape

from tfod_helpers import pictures
from tfod_helpers.evaluation.bootstrap import with_interval

_DPI = 160  # of the pictures: sharp on a phone and in print
_STYLE = """
:root { color-scheme: light; --ink: #222; --faint: #666; --line: #ddd; --blue: #0072B2; --soft: #f4f7fa; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 60rem; color: var(--ink); background: #fff;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .5rem; } h2 { font-size: 1.25rem; margin: 2.5rem 0 .4rem; }
p { margin: .4rem 0 .8rem; max-width: 46rem; } .lead { font-size: 1.1rem; } .faint { color: var(--faint); }
.note { border-left: 4px solid #E69F00; background: #fff8e6; padding: .5rem .8rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .7rem; margin: 1.2rem 0; }
.tile { background: var(--soft); border-radius: .5rem; padding: .7rem .9rem; }
.tile b { display: block; font-size: 1.7rem; line-height: 1.2; color: var(--blue); }
.tile span { font-size: .87rem; color: var(--faint); display: block; }
.scroll { overflow-x: auto; margin: .5rem 0 1rem; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; }
th { font-weight: 600; border-bottom: 2px solid #bbb; }
.text { text-align: left; } .text:not(:first-child) { min-width: 8rem; } .whole { white-space: nowrap; }
figure { margin: .5rem 0 1rem; overflow-x: auto; } img { display: block; width: 100%; height: auto; }
@media (max-width: 40rem) { img { width: 42rem; max-width: none; } .photos img { width: 100%; min-width: 30rem; } }
@media print { body { max-width: none; font-size: 11pt; padding: 0; } h2 { break-after: avoid; }
  figure, tr, .tiles { break-inside: avoid; } .scroll, figure { overflow: visible; } a { color: inherit; } }
"""
_HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title><style>{style}</style></head><body>
"""


def whole(title: str, parts: Iterable[str]) -> str:
    """Return a page that stands alone: its pictures lie within it, it loads nothing and runs no script.

    Args:
        title: what a browser's tab says.
        parts: HTML, from the top.
    """
    return _HEAD.format(title=escape(title), style=_STYLE) + "\n".join(parts) + "\n</body></html>\n"


def top(title: str, lead: str, notes: Iterable[str], tiles: Iterable[tuple[str, str, str]]) -> str:
    """Return the head of a page.

    Args:
        title: the heading, text.
        lead: the whole in a sentence or two, text.
        notes: what a reader should know first, text.
        tiles: the numbers that count: each with what it is, and with its interval or what it is of; text.
    """
    said = "".join(f'<p class="note">{escape(note)}</p>' for note in notes)
    drawn = "".join(f'<div class="tile"><b>{a}</b>{escape(b)}<span>{escape(c)}</span></div>' for a, b, c in tiles)
    return f'<h1>{title}</h1><p class="lead">{escape(lead)}</p>{said}<div class="tiles">{drawn}</div>'


def score(value: float, low: float = math.nan, high: float = math.nan) -> str:
    """Return a score with the ends of its interval as a table has it; a dash where it is NaN."""
    return "–" if math.isnan(value) else with_interval(value, low, high)  # noqa: RUF001 - the dash of a table


def section(title: str, *parts: str) -> str:
    """Return a part of a page with its heading.

    Args:
        title: the heading, HTML.
        *parts: HTML.
    """
    return f"<section><h2>{title}</h2>{''.join(parts)}</section>"


def figure(picture: pictures.Picture, says: str, kind: str = "chart") -> str:
    """Return a picture that lies within the page.

    Args:
        picture: the picture.
        says: what it shows, for those who cannot see it.
        kind: its class in the page's style, ``chart`` or ``photos``.
    """
    image = base64.b64encode(picture.to_bytes(dpi=_DPI)).decode()
    form = "jpeg" if picture.photos else "png"
    return f'<figure class="{kind}"><img alt="{escape(says)}" src="data:image/{form};base64,{image}"></figure>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, text: Sequence[int], ready: Sequence[int] = ()) -> str:
    """Return a table.

    Args:
        head: the headings.
        rows: the cells, text.
        text: the columns that are set left.
        ready: the columns whose cells are HTML already.
    """

    def line(cells: Sequence[str], tag: str) -> str:
        made = (
            f'<{tag} class="{"text" if place in text else "whole"}">'
            f"{cell if place in ready and tag == 'td' else escape(cell)}</{tag}>"
            for place, cell in enumerate(cells)
        )
        return f"<tr>{''.join(made)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f'<div class="scroll"><table><thead>{line(head, "th")}</thead><tbody>{body}</tbody></table></div>'
