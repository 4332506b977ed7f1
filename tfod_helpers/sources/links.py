"""The link that people have of a file -> the address that gives the file itself.

A link that somebody shares leads to a page with a button. Where the button leads can often be told from the link.
"""

from __future__ import annotations

import re
import urllib.parse
from dataclasses import dataclass

from tfod_helpers.sources.bringing import SourceError, without_ending

# It asks for no confirmation, which Google otherwise wants for files that are too large to be searched for viruses.
_DRIVE_ADDRESS = "https://drive.usercontent.google.com/download"
_DRIVE_HOSTS = ("drive.google.com", "docs.google.com", "drive.usercontent.google.com")
_SHARE = (
    "Google Drive gives it to those only who may see it, and to nobody for a day after very many readings. In Drive "
    "choose Share, General access, Anyone with the link; or put a shortcut to it into your own Drive, and give its "
    "path: drive.mount() / 'photos.zip'"
)
_OF_A_FILE = "Download it in a browser, pack it as a zip into your Drive, and give that"


@dataclass(frozen=True)
class Link:
    """An address that gives a file.

    Attributes:
        address: the whole of it.
        shown: the same for people to read, without what may be a key.
        name: what the file's folder is to be called.
        fix: what to do where no file comes; empty where the error itself says it best.
    """

    address: str
    shown: str
    name: str
    fix: str = ""


def direct(address: str) -> Link | str:
    """Return the address that gives the file of a link, or its ``gs://`` address.

    Args:
        address: as copied from a browser, ``http://`` or ``https://``.

    Raises:
        SourceError: it is known that no file can be had from there.
    """
    parts = urllib.parse.urlsplit(address)
    host = (parts.hostname or "").removeprefix("www.")
    if host in _DRIVE_HOSTS:
        return _of_drive(address, parts)
    if host in ("storage.cloud.google.com", "console.cloud.google.com"):
        return _of_bucket(address, parts, host)
    if host in ("1drv.ms", "onedrive.live.com"):
        raise SourceError(shown(address), "OneDrive gives its files to browsers only", f"{_OF_A_FILE}.")
    path, query = parts.path, dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
    if host == "dropbox.com":
        query = {name: value for name, value in query.items() if name != "raw"} | {"dl": "1"}
    elif host == "github.com":
        path = re.sub(r"^(/[^/]+/[^/]+)/blob/", r"\1/raw/", path)
        path = re.sub(r"^(/[^/]+/[^/]+?)(\.git)?/?$", r"\1/archive/HEAD.zip", path)
    elif host == "huggingface.co":
        path = path.replace("/blob/", "/resolve/", 1)
    else:
        return Link(address, shown(address), _name(parts))
    changed = urllib.parse.urlunsplit((parts.scheme, parts.netloc, path, urllib.parse.urlencode(query), ""))
    return Link(changed, shown(changed), _name(parts))


def shown(address: str) -> str:
    """Return an address without what may be a secret: a name and password, and all after the question mark."""
    parts = urllib.parse.urlsplit(address)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _name(parts: urllib.parse.SplitResult) -> str:
    names = [urllib.parse.unquote(one) for one in parts.path.split("/") if one]
    return without_ending(names[-1]) if names else parts.hostname or "data"


def _of_drive(address: str, parts: urllib.parse.SplitResult) -> Link:
    query = dict(urllib.parse.parse_qsl(parts.query))
    if "folders" in parts.path.split("/") or "folderview" in parts.path:
        fix = "Mount your Drive and give the folder's path: sources.local(drive.mount() / 'photos')"
        raise SourceError(shown(address), "this is a link to a folder on Drive, of which there is no archive", fix)
    found = re.search(r"/d/([\w-]+)", parts.path)
    file = found[1] if found else query.get("id")
    if not file or parts.path.split("/")[1] in ("spreadsheets", "document", "presentation"):
        raise SourceError(shown(address), "this link of Google's names no archive", "In Drive choose Share, Copy link.")
    asked = {"id": file, "export": "download", "confirm": "t"}
    if "resourcekey" in query:  # of files that were shared before 2021
        asked["resourcekey"] = query["resourcekey"]
    whole = f"{_DRIVE_ADDRESS}?{urllib.parse.urlencode(asked)}"
    return Link(whole, f"https://drive.google.com/file/d/{file}", f"drive-{file[:8]}", f"{_SHARE}.")


def _of_bucket(address: str, parts: urllib.parse.SplitResult, host: str) -> str:
    path = urllib.parse.unquote(parts.path).strip("/")
    if host == "storage.cloud.google.com" and "/" in path:
        return f"gs://{path}"
    inside = re.sub(r"^storage/browser/(_details/)?", "", path).partition(";")[0]
    fix = f"Give its gs:// address: sources.local('gs://{inside}')"
    raise SourceError(shown(address), "this is a page of the Cloud console, not a file", fix)
