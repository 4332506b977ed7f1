"""Class names -> the classes that a mirror turns into others, since their names say left or right.

Only names are looked at. What else a mirror changes, such as a b into a d, depends on what is in the photos: a class
called b may be a grade or a bus line.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence


def _pairs(text: str) -> list[tuple[str, str]]:
    return [(one, other) for one, _, other in (pair.partition("/") for pair in text.split())]


# Left and right, as parts of words: two classes that differ in nothing else are each other's mirror image.
_PARTS = _pairs(
    "left/right link/recht gauche/droite gauche/droit izquierd/derech esquerd/direit sinistr/destr lew/praw lev/prav "
    "lev/desn lijev/desn лев/прав лев/десн лів/прав vänster/höger venstre/høyre venstre/højre vasem/oike vasen/oikea "
    "stâng/drept stâng/dreapt stang/drept stang/dreapt sol/sağ bal/jobb αριστερ/δεξι kiri/kanan trái/phải 左/右 좌/우 "
    "왼/오른 يسار/يمين שמאל/ימין ซ้าย/ขวา बाए/दाए anticlockwise/clockwise counterclockwise/clockwise"
)
# Whole words only, since as parts they are in many others.
_WORDS = _pairs("l/r lh/rh lt/rt lhs/rhs lf/rf fl/fr rl/rr tl/tr bl/br izq/der esq/dir sx/dx sol/sag cw/ccw")
# What says a side without the other class, and what only looks so.
_SIDE = re.compile(
    r"left|right|\bgauche\b|\bdroite\b|izquierd|derecha|esquerd|direita|sinistra|\bdestra\b|"
    r"rechts|\b(links\w{2,}|linke[ns]?|rechte[nrs]?)\b|\w links\b|"
    r"\b(lew|praw)[aeoy]\b|\b(v|na|do)(lev|prav)[ao]\b|\b(в|на)(лево|право)\b|\b(лев|прав)(ый|ая)\b|"
    r"vänster|höger|venstre|høyre|højre|\bkiri\b|\bkanan\b|左|右|왼쪽|오른쪽|좌회전|우회전|clockwise"
)
_NO_SIDE = re.compile(
    r"\bcleft|left ?overs?\b|left (luggage|baggage)|leftis[tm]|[bf]right|(?<![aeiou])wright|copy ?right|"
    r"(birth|forth|down|out|up)right|\bal+ ?right|\baright|right(eous|ful|ly|s\b)|"
    r"right (whale|angled?|triangle|of way)|ligne droite|prawo jazdy|左右|"
    r"\b(chain|cuff|sausage|golf|social|web|nav|menu|page|quick|related) links"
)
_FEW_LETTERS = 8  # with more classes of one letter, L and R are two of an alphabet
_BODY_PART = re.compile(r"\b([lr])(hand|foot|arm|leg|eye|knee|hip|elbow|wrist|ankle|shoulder|thumb|shoe|glove|lung)")


def opposites(names: Sequence[str]) -> dict[str, str]:
    """Return the classes that a mirrored photo would call by the wrong name, and the class that each turns into.

    Args:
        names: of all classes.

    Returns:
        For each such class its mirror image among the others, or an empty text where that is not among them.
    """
    words = {name: _words(name) for name in names}
    by_key = {"".join(words[name]): name for name in names}
    letters = sum(len(key) == 1 for key in by_key) > _FEW_LETTERS
    found = {}
    for name in names:
        turned = next((by_key[key] for key in _turned(words[name], letters) if key in by_key), "")
        if turned or _SIDE.search(_NO_SIDE.sub(" ", " ".join(words[name]))):
            found[name] = turned
    return found


def pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs of classes that a mirror turns into each other.

    Args:
        names: of all classes.
    """
    return [(one, other) for one, other in opposites(names).items() if other and names.index(one) < names.index(other)]


def _words(name: str) -> list[str]:
    """Return the words that a name is made of, however they are joined: leftHand, left_hand, left-hand, LeftHand2."""
    text = unicodedata.normalize("NFKC", name)
    split = ""
    for before, letter, after in zip(f" {text}", text, f"{text[1:]} ", strict=False):
        starts = letter.isupper() and (before.islower() or (before.isalpha() and after.islower()))
        split += " " * (starts or before.isdigit() != letter.isdigit()) + letter
    # Not \W, which takes the vowels of some scripts for separators.
    text = re.sub(r"[\s!-/:-@\[-`{-~]+", " ", split).casefold()
    return _BODY_PART.sub(r"\1 \2", text).split()


def _turned(words: Sequence[str], letters: bool) -> Iterator[str]:
    """Yield the names, their words joined, that one of these words has in a mirror."""
    whole = "".join(words)
    swaps = [(one, other, re.split(f"({one}|{other})", whole)) for one, other in _PARTS]
    if not (letters and len(whole) == 1):
        swaps += [(one, other, list(words)) for one, other in _WORDS]
    for one, other, parts in swaps:
        turned = "".join({one: other, other: one}.get(part, part) for part in parts)
        if turned != whole:
            yield turned
