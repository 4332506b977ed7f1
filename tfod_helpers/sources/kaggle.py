"""A name on Kaggle -> where its files are, and whom Kaggle takes us for.

Addresses and keys are those of Kaggle's own clients (github.com/Kaggle/kaggle-cli, github.com/Kaggle/kagglehub). Public
data sets and models need no account. A key is sent to Kaggle alone: not to where Kaggle keeps its files, nor into any
message.
"""

from __future__ import annotations

import base64
import http
import http.client
import json
import os
import re
import urllib.error
import urllib.request
from pathlib import Path

from tfod_helpers import drive
from tfod_helpers.files import downloads
from tfod_helpers.sources.bringing import Archive, SourceError

_KAGGLE = "https://www.kaggle.com"
_TIMEOUT_SECONDS = 15.0
_NAME = re.compile(r"(?:datasets/)?(?P<owner>[\w-]+)/(?P<name>[\w-]+)(?:/(?:data|versions/(?P<version>\d+)))?")
_GET_KEY = (
    f"Make a token at {_KAGGLE}/settings/api. In Colab keep it under the key icon on the left, as KAGGLE_API_TOKEN, "
    "with 'Notebook access' on; elsewhere in ~/.kaggle/access_token"
)


def is_kaggle(where: str) -> bool:
    """Whether a source is on Kaggle: ``kaggle:owner/name``, or the address of its page."""
    return re.match(r"kaggle:|https?://(www\.)?kaggle\.com(/|$)", where, re.IGNORECASE) is not None


class KaggleArchive(Archive):
    """A data set on Kaggle.

    Args:
        where: ``kaggle:owner/name``, with ``/versions/2`` for an older one; or the address of its page.

    Raises:
        SourceError: it names no data set.
    """

    def __init__(self, where: str) -> None:
        path = re.sub(r"^(kaggle:|https?://[^/]+)", "", where, flags=re.IGNORECASE).partition("?")[0].strip("/")
        if path.startswith(("competitions/", "c/")):
            fix = "Download its data in a browser, put the zip into your Drive, and give its path"
            raise SourceError(where, "the data of Kaggle's competitions are not brought, only data sets", fix)
        found = _NAME.fullmatch(path)
        if not found:
            fix = "Give owner and name as in the address of its page: sources.local('kaggle:owner/name')"
            raise SourceError(where, "this is no name of a data set on Kaggle", fix)
        self.owner, self.name = found["owner"], found["name"]
        self.key = self.shown = f"kaggle:{self.owner}/{self.name}"  # one folder for all versions
        self.page = f"{_KAGGLE}/datasets/{self.owner}/{self.name}"
        self._asked = int(found["version"]) if found["version"] else None
        self._version = self._asked

    def version(self) -> int | None:
        """Return the number of the version that was asked for, or of the newest."""
        if self._asked is not None:
            return self._asked
        address = f"{_KAGGLE}/api/v1/datasets/view/{self.owner}/{self.name}"
        request = urllib.request.Request(address, headers={"User-Agent": "tfod_helpers"})
        for name, value in signed().items():
            request.add_unredirected_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
                self._version = int(json.load(answer)["currentVersionNumber"])
        except urllib.error.HTTPError as error:
            with error:
                if refused := self._refused(error.code):
                    raise refused from None
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
            pass  # the network is down, or Kaggle answers in another way now
        return self._version

    def fetch(self, path: Path) -> Path:
        """Download that version, going on where it was stopped."""
        address = f"{_KAGGLE}/api/v1/datasets/download/{self.owner}/{self.name}"
        if self._version is not None:
            address += f"?datasetVersionNumber={self._version}"
        path = path.with_name(f"{self.name}.zip")
        try:
            return downloads.fetch(address, path, headers=signed())
        except downloads.DownloadError as error:
            cause = error.__cause__
            code = cause.code if isinstance(cause, urllib.error.HTTPError) else 0
            by_hand = f"Download it at {self.page}, and give the file: sources.local('path/to/{self.name}.zip')"
            fix = by_hand if str(path) in error.fix else error.fix
            raise self._refused(code) or SourceError(self.shown, error.what, fix) from None

    def _refused(self, code: int) -> SourceError | None:
        return refusal(code, self.shown, self.page, "data set")


def url_of(path: str) -> str:
    """Return the address of one of Kaggle's pages, or of what is behind its interface for programs."""
    return f"{_KAGGLE}/{path}"


def refusal(code: int, where: str, page: str, kind: str) -> SourceError | None:
    """Return what Kaggle's refusal means; None for an answer that says nothing of its own.

    Args:
        code: of the answer.
        where: what was asked for.
        page: of it on Kaggle, for people.
        kind: ``data set`` or ``model``.
    """
    known = bool(signed())
    if code == http.HTTPStatus.UNAUTHORIZED and known:
        return SourceError(where, "Kaggle does not know the key that it was given", f"{_GET_KEY}.")
    if code in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN) and not known:
        return SourceError(where, f"Kaggle gives this {kind} to those only who are signed in", f"{_GET_KEY}.")
    if code == http.HTTPStatus.FORBIDDEN:
        what = f"Kaggle does not give you this {kind}, which is private, or whose terms you did not accept"
        fix = f"Open {page}, press Download once, accept what it asks for, and run the cell again"
        return SourceError(where, what, fix)
    if code == http.HTTPStatus.NOT_FOUND:
        fix = f"Compare the name with the address of its page, {page}. A private one needs your key: {_GET_KEY}"
        return SourceError(where, f"there is no such {kind} on Kaggle", fix)
    return None


def signed() -> dict[str, str]:
    """Return the header that says who we are, or none, in the order in which Kaggle's own clients look."""
    folder = Path(os.environ.get("KAGGLE_CONFIG_DIR") or Path.home() / ".kaggle")
    token = os.environ.get("KAGGLE_API_TOKEN", "").strip()
    if token and len(token) < 1000 and Path(token).is_file():  # it may also name the file that the token is in
        token = Path(token).read_text(encoding="utf-8").strip()
    for name in ("access_token", "access_token.txt"):
        if not token and (folder / name).is_file():
            token = (folder / name).read_text(encoding="utf-8").strip()
    user, key = (os.environ.get(name, "").strip() for name in ("KAGGLE_USERNAME", "KAGGLE_KEY"))
    if not token and not (user and key):
        user, key = _of_file(folder / "kaggle.json")
    if not token and not (user and key) and drive.in_colab():
        token = _secret("KAGGLE_API_TOKEN")
        user, key = ("", "") if token else (_secret("KAGGLE_USERNAME"), _secret("KAGGLE_KEY"))
    if token:
        return {"Authorization": f"Bearer {token}"}
    if user and key:
        return {"Authorization": f"Basic {base64.b64encode(f'{user}:{key}'.encode()).decode()}"}
    return {}


def _of_file(path: Path) -> tuple[str, str]:
    if not path.is_file():
        return "", ""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return known["username"].strip(), known["key"].strip()
    except (ValueError, KeyError, TypeError, AttributeError):
        # Not from the other error, which may hold a part of the file.
        raise SourceError(str(path), "this is not the file that Kaggle makes", f"{_GET_KEY}.") from None


def _secret(name: str) -> str:
    """Return one of Colab's secrets, or nothing where there is none, or none for this notebook."""
    from google.colab import userdata

    try:
        return "".join((userdata.get(name) or "").split())
    except Exception as error:  # its errors are private, and differ from one of its versions to the next
        if type(error).__name__ == "NotebookAccessError":
            print(f"Colab keeps a secret {name}; this notebook may not read it. Switch on 'Notebook access' there.")
        return ""
