"""Google's client: one for each process, and how often it tries again.

The client itself tries again after answers that may pass (408, 429, 500, 502, 503, 504) and after connections that
break or fall silent (``google.cloud.storage.retry.DEFAULT_RETRY``), with pauses that grow. Left to itself it does so
for calls that change something only where a generation is named (``ConditionalRetryPolicy``), as a second try could
undo what somebody else wrote in between. Here every call has the same retry: each writes bytes that are known under
a name that is known, or deletes it, so that doing it twice is doing it once.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

from tfod_helpers.files.storage.paths import AnyPath, address, bucket_and_name

if TYPE_CHECKING:
    from google.cloud import storage

TIMEOUT_SECONDS = (10.0, 60.0)  # for a connection, and for the next bytes
TRIES = 3  # where a checksum was wrong, which the client does not try again


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
    from google.cloud.storage import retry

    return {"timeout": TIMEOUT_SECONDS, "retry": retry.DEFAULT_RETRY}


def is_wrong_checksum(error: Exception) -> bool:
    """Return whether bytes arrived that are not those which were sent, here or at the server."""
    from google.api_core import exceptions as api
    from google.cloud.storage import exceptions as transfer

    # The server's own words, where it is told a checksum before the bytes; it keeps nothing of them then.
    refused = isinstance(error, api.BadRequest) and "doesn't match calculated" in error.message
    return refused or isinstance(error, transfer.DataCorruption)
