"""What a server's or a network's refusal means: an error with what to do, or a reason to try again."""

from __future__ import annotations

import contextlib
import email.utils
import http
import socket
import ssl
import time
import urllib.error
import urllib.parse
from pathlib import Path

from tfod_helpers.problems import FixableError

_COMES_BACK = {408, 425, 429, 500, 502, 503, 504}  # answers after which trying again is worth it


class DownloadError(FixableError, OSError):
    """A file that could not be fetched; ``where`` is its URL."""


class Again(Exception):  # noqa: N818 - no error yet: another attempt may do
    """An attempt that failed for a reason that may pass.

    Attributes:
        what: the reason.
        fix: what to do where it does not pass.
        wait: how many seconds the server asks to wait, or None.
    """

    def __init__(self, what: str, fix: str = "Try again later.", wait: float | None = None) -> None:
        super().__init__(what)
        self.what, self.fix, self.wait = what, fix, wait


def by_hand(path: Path) -> str:
    """Return the advice that helps where this program gets no file."""
    return f"Fetch it by hand, in a browser or from somebody who has it, and put it at {path}."


def refused(url: str, path: Path, error: urllib.error.HTTPError) -> DownloadError | Again:
    """Return what an answer other than success means.

    Args:
        url: what was asked for.
        path: the file that was to be made.
        error: the answer.
    """
    what = f"the server answers {error.code} ({error.reason})"
    if error.code in _COMES_BACK:
        return Again(what, wait=_asked_wait(error.headers.get("Retry-After")))
    if error.code in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
        return DownloadError(url, f"{what}: not to anonymous users", by_hand(path))
    if error.code in (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.GONE):
        return DownloadError(url, f"{what}: it is not there, or no longer", "Check the URL.")
    return DownloadError(url, what, by_hand(path))


def broken(url: str, path: Path, error: Exception) -> DownloadError | Again:
    """Return what a connection that failed means.

    Args:
        url: what was asked for.
        path: the file that was to be made.
        error: what the connection raised.
    """
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        fix = "Check this machine's clock, and whether its network reads along."
        return DownloadError(url, f"its certificate is not to be trusted ({reason})", fix)
    fix = f"Connect this machine to the internet, or fetch the file by hand and put it at {path}."
    if isinstance(reason, socket.gaierror):
        host = urllib.parse.urlsplit(url).hostname
        return Again(f"no machine is called {host}: the URL is wrong, or this machine is offline", fix)
    if isinstance(reason, TimeoutError):
        return Again("the server went silent", fix)
    return Again(f"the connection failed ({str(reason) or type(reason).__name__})", fix)


def _asked_wait(text: str | None) -> float | None:
    """Return the seconds of a ``Retry-After`` header, which is a number or a date."""
    with contextlib.suppress(ValueError, TypeError):
        if text and text.strip().isdigit():
            return float(text)
        return max(0.0, email.utils.parsedate_to_datetime(text or "").timestamp() - time.time())
    return None
