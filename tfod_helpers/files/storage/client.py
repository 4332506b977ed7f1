"""Google's client: one for each process, how often it tries again, and what its errors mean.

The client itself tries again after answers that may pass (408, 429, 500, 502, 503, 504) and after connections that
break or fall silent (``google.cloud.storage.retry.DEFAULT_RETRY``), with pauses that grow. Left to itself it does so
for calls that change something only where a generation is named (``ConditionalRetryPolicy``), as a second try could
undo what somebody else wrote in between. Here every call has the same retry: each writes bytes that are known under
a name that is known, or deletes it, so that doing it twice is doing it once.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tfod_helpers.files.storage.paths import AnyPath, address, bucket_and_name

if TYPE_CHECKING:
    from google.api_core.retry import Retry
    from google.cloud import storage

_FIRST_PAUSE_SECONDS = 1.0  # before the second try; twice that before the third, and so on, a random part of each
_LONGEST_PAUSE_SECONDS = 30.0
_GIVE_UP_SECONDS = 120.0  # after the first try of one call
TIMEOUT_SECONDS = (10.0, 60.0)  # for a connection, and for the next bytes
_PACKAGES = ("google", "requests", "urllib3", "http")  # whose errors Google's client lets through
TRIES = 3  # where a checksum was wrong, which the client does not try again
FULL = (errno.ENOSPC, errno.EDQUOT)
_LONGEST_WORDS = 300  # letters of what the server said
SIGN_IN = (
    "In Colab run google.colab.auth.authenticate_user(), elsewhere 'gcloud auth application-default login', then run "
    "it again"
)


def client() -> storage.Client:
    """Return this process' client.

    Raises:
        google.auth.exceptions.DefaultCredentialsError: nobody is signed in.
    """
    return _connected(os.getpid(), os.environ.get("STORAGE_EMULATOR_HOST", ""))


@functools.cache
def _connected(process: int, emulator: str) -> storage.Client:
    """Return a client; each process needs its own, since connections cannot be shared by a fork."""
    from google.auth import credentials
    from google.cloud import storage

    if emulator:  # the client then sends everything there, and must not look for a Google account
        return storage.Client(project=None, credentials=credentials.AnonymousCredentials())
    return storage.Client(project=None)  # given where one is needed; files need none


def forget() -> None:
    """Drop the client, so that the next one asks for credentials anew, after the person has signed in again."""
    _connected.cache_clear()


def blob(path: AnyPath) -> storage.Blob:
    """Return the object of an address, not looked at yet.

    Raises:
        ValueError: it is no file's address.
    """
    bucket, name = bucket_and_name(path)
    if not name:
        raise ValueError(f"{address(path)}: a file in a bucket is gs://bucket/name. Give both.")
    return client().bucket(bucket).blob(name)


def patience() -> dict[str, Any]:
    """Return what every call of the client takes: how long to wait, and how often to try again."""
    return {"timeout": TIMEOUT_SECONDS, "retry": retry()}


def retry() -> Retry:
    """Return Google's retry with this package's pauses."""
    from google.cloud.storage.retry import DEFAULT_RETRY

    pauses = DEFAULT_RETRY.with_delay(initial=_FIRST_PAUSE_SECONDS, maximum=_LONGEST_PAUSE_SECONDS, multiplier=2.0)
    return pauses.with_timeout(_GIVE_UP_SECONDS)


def is_wrong_checksum(error: Exception) -> bool:
    """Return whether bytes arrived that are not those which were sent, here or at the server."""
    from google.api_core import exceptions as api
    from google.cloud.storage import exceptions as transfer

    # The server's own words, where it is told a checksum before the bytes; it keeps nothing of them then.
    refused = isinstance(error, api.BadRequest) and "doesn't match calculated" in error.message
    return refused or isinstance(error, transfer.DataCorruption)


@contextlib.contextmanager
def told(path: AnyPath) -> Iterator[None]:
    """Turn what Google's client raises into an error that says where, what, and what to do."""
    where = address(path)
    try:
        from google.api_core import exceptions as api
        from google.cloud.storage import exceptions as transfer
    except ImportError:
        how = "Install it: pip install 'tfod_helpers[cloud]'"
        raise ModuleNotFoundError(f"{where}: google-cloud-storage is not installed. {how}.") from None
    try:
        yield
    except Exception as error:
        package = type(error).__module__.partition(".")[0]
        if package not in _PACKAGES and not isinstance(error, ConnectionError | TimeoutError):
            raise  # this machine's own, such as a full disk
        last: Any = error.cause if isinstance(error, api.RetryError) else error  # what the last try met
        if isinstance(last, transfer.InvalidResponse):
            last = api.from_http_response(last.response)
        raise _refusal(path, last) from error


def _refusal(path: AnyPath, error: Exception) -> OSError:
    """Return the error to raise for what Google's client raised in the end."""
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth

    where, what = address(path), _words(error)
    if isinstance(error, auth.DefaultCredentialsError) or "anonymous caller" in what.lower():
        return _no_sign_in(f"{where}: nobody is signed in to Google Cloud ({what}). {SIGN_IN}.")
    if isinstance(error, auth.RefreshError | api.Unauthorized):
        return _no_sign_in(f"{where}: the sign-in to Google Cloud is no longer valid ({what}). {SIGN_IN}.")
    if isinstance(error, api.Forbidden):
        return PermissionError(f"{where}: {_forbidden(path, error, what)}.")
    if isinstance(error, api.NotFound):
        look = f"gcloud storage ls gs://{bucket_and_name(path)[0]}"
        return FileNotFoundError(f"{where}: not there ({what}). Check the bucket and the name: {look}")
    if is_wrong_checksum(error):
        how = "Something on the way changes them: try another network, or without a proxy"
        return OSError(f"{where}: its bytes arrive with a wrong checksum (crc32c), each of {TRIES} times. {how}.")
    if isinstance(error, api.TooManyRequests):
        how = "Wait some minutes and run it again; where it stays, ask for more quota or use fewer threads"
        return OSError(f"{where}: Cloud Storage has too many requests of this project ({what}). {how}.")
    how = "Check the network and try again"
    return OSError(f"{where}: Cloud Storage did not do it ({what}). {how}.")


def _words(error: Exception) -> str:
    """Return what the server said: one line of the JSON or of the text that stands in an error."""
    what = getattr(error, "message", "") or str(error) or type(error).__name__
    if told := re.search(r'"message": "((?:[^"\\]|\\.)*)"', what):
        what = told[1].replace('\\"', '"')
    what = re.sub(r"^[A-Z]+ https?://\S+: ", "", " ".join(what.split()))
    return what[:_LONGEST_WORDS].rstrip(".")


def _no_sign_in(text: str) -> PermissionError:
    forget()
    return PermissionError(text)


def _forbidden(path: AnyPath, error: Any, what: str) -> str:
    reasons = {one.get("reason") for one in error.errors if isinstance(one, dict)}
    if "billing" in what.lower() or "accountDisabled" in reasons:
        how = "Turn it on: gcloud billing projects link PROJECT --billing-account=ACCOUNT, of the project of the bucket"
        return f"billing is off for the project of this bucket ({what}). {how}"
    account = _account(what)
    told = f"{account or 'this account'} may not do that ({what}). Whoever owns the bucket gives the role with: "
    kind = "serviceAccount" if account.endswith("gserviceaccount.com") else "user"
    told += f"gcloud storage buckets add-iam-policy-binding gs://{bucket_and_name(path)[0]} "
    return told + f"--member={kind}:{account or 'ACCOUNT'} --role=roles/storage.objectUser"


def _account(what: str) -> str:
    """Return the account that a refusal is about: the answer names it, or the key that this machine has."""
    if named := re.match(r"(\S+@\S+) does not have", what):
        return named[1]
    with contextlib.suppress(Exception):  # only for a better word
        email = getattr(client()._credentials, "service_account_email", "")
        return email if "@" in email else ""
    return ""
