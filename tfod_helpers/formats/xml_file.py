"""The bytes of an XML annotation file -> its elements.

An annotation comes from anywhere: nothing that it names is opened, and nothing in it is expanded.
"""

from __future__ import annotations

from pathlib import Path

from lxml import etree

SAVE_AGAIN = "Save the annotation again from the labelling tool, or delete it."
_SAFE = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "dtd_validation": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}
_PARSER = etree.XMLParser(**_SAFE)
_BEGINNING = 65_536  # bytes


class UnusableError(Exception):
    """An XML file that cannot be used at all; its args are (what, fix)."""


def parse(data: bytes) -> etree._Element:
    """Return the root of an annotation.

    Raises:
        UnusableError: it is empty, no XML, or declares entities.
    """
    if not data.strip():
        raise UnusableError("the file is empty", SAVE_AGAIN)
    try:
        root = etree.fromstring(data, _PARSER)
    except etree.XMLSyntaxError as error:
        encoding = "encoding" in error.msg or "UTF-8" in error.msg
        fix = "Save the file as UTF-8, or name its encoding in the first line." if encoding else SAVE_AGAIN
        raise UnusableError(f"it cannot be read as XML ({error.msg})", fix) from None
    declared = root.getroottree().docinfo.internalDTD
    if declared is not None and any(True for _ in declared.iterentities()):
        fix = "Delete its <!DOCTYPE ...> if you trust where the file is from."
        raise UnusableError("it declares entities, which no labelling tool does and an attack would", fix)
    return root


def name(element: etree._Element) -> str:
    """Return an element's name without its namespace, which says nothing that matters here."""
    return etree.QName(element).localname


def children(element: etree._Element, name: str) -> list[etree._Element]:
    """Return the children of that name, in whatever namespace."""
    return list(element.iterchildren("{*}" + name))


def beginning(path: Path) -> list[str]:
    """Return the names of the elements that begin in the first 64 KiB of a file; none where it is no XML."""
    parser = etree.XMLPullParser(events=("start",), **_SAFE)
    try:
        with path.open("rb") as file:
            parser.feed(file.read(_BEGINNING))
        return [name(element) for _, element in parser.read_events()]
    except (OSError, etree.XMLSyntaxError):
        return []
