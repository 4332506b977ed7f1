"""Where results are kept: a folder of this machine, of Google Drive or of a bucket -> ready to be written to."""

from __future__ import annotations

import os

from tfod_helpers import bucket, drive
from tfod_helpers.files import storage


def prepare(place: storage.AnyPath, *, project: str | None = None) -> str:
    """Make a place ready for runs, exports and reports, say what was found, and return it as text.

    Google Drive is mounted where the place is on it. A bucket is made, closed to the world, or found and audited; see
    `bucket.ensure`.

    Args:
        place: a folder of this machine or of Drive, which need not exist, or ``gs://bucket/folder``; empty takes the
            folder that the program runs in.
        project: the id of the Google Cloud project that a bucket has to be in; empty or None takes any.

    Returns:
        The place, without a slash at its end, so that ``f"{place}/runs/first"`` is a path in it.

    Raises:
        drive.DriveError: Drive cannot be mounted.
        PermissionError: the bucket cannot be used by this account.
        OSError: Cloud Storage did not answer, or not as it should.
    """
    text = storage.address(place).rstrip("/")
    if not storage.is_remote(text):
        if os.path.abspath(text).startswith(f"{drive.FOLDER}/"):
            drive.mount(drive.FOLDER)
        print(f"Results are kept in {text or 'this folder'}.")
        return text or "."
    found = bucket.ensure(storage.bucket_and_name(text)[0], project=project or None)
    print(found)
    if not found.created:
        try:
            print(bucket.audit(found.name))
        except PermissionError as error:
            print(f"Who gets in could not be looked at. {error}")
    return storage.join(found.address, storage.bucket_and_name(text)[1]).rstrip("/")
