"""A bucket is made, closed from its first moment, or found and looked at; and files are proven to be writable."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfod_helpers.bucket import machine, names
from tfod_helpers.bucket.granting import project_number
from tfod_helpers.files.storage import refusals
from tfod_helpers.files.storage.client import client
from tfod_helpers.files.storage.refusals import explained

if TYPE_CHECKING:
    from google.cloud import storage

DEFAULT_LOCATION = "us-central1"  # where no machine of Google's says where it is; Vertex AI's own default
_PRICES = "https://cloud.google.com/storage/pricing"


@dataclass(frozen=True)
class Bucket:
    """A bucket that files can be written to.

    Attributes:
        name: such as ``my-photos``.
        location: a region or multi-region in small letters; empty where this account may not look.
        project: the id of its project, or the project's number where only that is known, or empty.
        created: whether it was made now; else it was found.
        closed: whether nobody can open it to the world: uniform access and public access prevention are on. None
            where this account may not look.
        notes: what else to know, a sentence or two each.
    """

    name: str
    location: str
    project: str
    created: bool
    closed: bool | None
    notes: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """``gs://name``."""
        return f"gs://{self.name}"

    def __str__(self) -> str:
        words = f"{self.address}: {'made' if self.created else 'found'}"
        words += f" in {self.location}" if self.location else ""
        words += f", project {self.project}" if self.project else ""
        words += "; closed to the world" if self.closed else ""
        return "\n".join([f"{words}. A file was written there, read back and deleted.", *self.notes])


def ensure(name: str, project: str | None = None, location: str | None = None) -> Bucket:
    """Make a bucket, closed to the world, or find it; and prove that files can be written, read and deleted.

    Running it again finds what it made. A bucket that was found is never changed: what is wrong with it is reported.

    Args:
        name: such as ``my-photos``, or ``gs://my-photos``. Names are the world's: a common one is taken.
        project: the id of the project that the bucket has to be in. None takes a bucket of this name in any project;
            one that has to be made goes into the project of the environment or of the account.
        location: a region or multi-region, for a bucket that has to be made. None takes the region of this machine,
            and where it is none of Google's, `DEFAULT_LOCATION`.

    Raises:
        ValueError: the name, the project or the location cannot be.
        FileExistsError: the name is taken by somebody else.
        PermissionError: nobody is signed in, or the account, the project or the organisation does not allow it.
        OSError: Cloud Storage did not answer, or not as it should.
    """
    name, notes = names.bucket(name)
    project = names.project(project) if project else None
    location = names.location(location) if location else None
    here = machine.region()
    there, found = _look(name, project)
    created = False
    if not there or (found is None and project):  # only the making says whether a hidden one is somebody else's
        names.new_bucket(name)
        place, home = location or here or DEFAULT_LOCATION, project or _default_project(name)
        found, created = _make(name, home, place, hidden=there)
        project = home if created else project
        if created and not location:
            notes.append(_why_there(place, here))
    if found is None:
        _probe(name)
        notes.append("This account may use its files, and not look at its settings; whose it is cannot be known.")
        return Bucket(name, "", "", False, None, tuple(notes))
    if not created:
        notes += _about(found, project, location)
    if here:
        notes += _distance(found, here, project)
    _probe(name)
    owner = project or str(found.project_number)
    return Bucket(name, found.location.lower(), owner, created, is_closed(found), tuple(notes))


def is_closed(found: storage.Bucket) -> bool:
    """Whether nobody can open a bucket to the world, as long as these two settings stay."""
    settings = found.iam_configuration
    return settings.uniform_bucket_level_access_enabled and settings.public_access_prevention == "enforced"


def _look(name: str, project: str | None) -> tuple[bool, storage.Bucket | None]:
    """Return whether there is such a bucket, and the bucket where this account may look at it."""
    with explained(f"gs://{name}", "No bucket was made", project=project):
        from google.api_core import exceptions as api

        try:
            return True, client().get_bucket(name)
        except api.NotFound:
            return False, None
        except api.Forbidden as error:
            if refusals.reason(error) != "forbidden":
                raise
            return True, None  # a service account that may use the files alone, as `grant` gives it, or a stranger


def _make(name: str, project: str, location: str, hidden: bool) -> tuple[storage.Bucket, bool]:
    """Return a new bucket, and True; or the one that was made in the meantime, and False."""
    from google.api_core import exceptions as api

    safe = "No bucket was made"
    if hidden:
        safe += ", and nothing was written. This account may not look at the bucket of this name; where only its "
        safe += "files are shared with you, leave the project out"
    with explained(f"gs://{name}", safe, project=project, location=location):
        bucket = client().bucket(name)
        bucket.iam_configuration.uniform_bucket_level_access_enabled = True
        bucket.iam_configuration.public_access_prevention = "enforced"
        try:
            return client().create_bucket(bucket, project=project, location=location), True
        except api.Conflict as error:
            answer = refusals.message(error)
            if "already own" in answer:
                return client().get_bucket(name), False
            what = f"gs://{name}: the name is taken by somebody else; all the world shares the names ({answer})"
            fix = f"Choose another name, such as {names.free(name, project)!r}"
            raise FileExistsError(f"{what}. {safe}. {fix}.") from error


def _default_project(name: str) -> str:
    """Return the id of the project of the environment, or of the account."""
    found = os.environ.get("GOOGLE_CLOUD_PROJECT") or os.environ.get("GCLOUD_PROJECT")
    if not found and not os.environ.get("STORAGE_EMULATOR_HOST"):
        with explained(f"gs://{name}", "No bucket was made"):
            import google.auth

            _, found = google.auth.default()
    if not found:
        what = f"gs://{name}: there is no such bucket yet, and a new one has to be in a project. No bucket was made"
        raise ValueError(f"{what}. Give project='ID'. {refusals.PROJECTS}, or at https://console.cloud.google.com.")
    return names.project(found)


def _why_there(place: str, here: str | None) -> str:
    if here:
        return f"It is in {place}, because this machine is."
    return f"This machine is none of Google's, so {place} was chosen; location='europe-west4' would be in Europe."


def _about(found: storage.Bucket, project: str | None, location: str | None) -> list[str]:
    """Return what to know about a bucket that was there already.

    Raises:
        PermissionError: it is in another project than it has to be.
    """
    notes, name = [], found.name
    if project:
        with explained(f"gs://{name}", "Nothing was written there"):
            number = project_number(project)
        if number is None:
            notes.append(f"Whether it is in project {project!r} could not be found out. Whoever owns it can read it.")
        elif number != str(found.project_number):
            what = f"gs://{name}: the name is taken by a bucket of another project, number {found.project_number}, not "
            what += f"of {project!r}. Its owner could read what is put there, so nothing was"
            how = f"Choose another name, such as {names.free(name, project)!r}; or, where you trust that owner, "
            raise PermissionError(f"{what}. {how}leave the project out.")
    if location and location != found.location.lower():
        notes.append(f"You asked for {location}; it is in {found.location.lower()}, and a bucket cannot be moved.")
    if not is_closed(found):
        settings = found.iam_configuration
        off = [] if settings.uniform_bucket_level_access_enabled else ["uniform access"]
        off += [] if settings.public_access_prevention == "enforced" else ["public access prevention"]
        words = f"It can be opened to the world, or is: {' and '.join(off)} off. Nothing was changed. "
        notes.append(f"{words}Who gets in: bucket.audit({name!r}). Close it: bucket.close({name!r}).")
    return notes


def _distance(found: storage.Bucket, here: str, project: str | None) -> list[str]:
    """Return a word where a bucket is far from this machine."""
    location = found.location.lower()
    if machine.is_near(here, location, found.data_locations):
        return []
    near = f"{found.name[: 63 - len(here) - 1]}-{here}"
    words = f"It is far: in {location}, and this machine in {here}. Reading is slower, and bytes that leave a region "
    words += f"cost money ({_PRICES}). "
    if "COLAB_RELEASE_TAG" in os.environ:
        words += "Colab may give you another region next time. "
    given = f", project={project!r}" if project else ""
    words += f"For one nearby: bucket.ensure({near!r}{given}, location={here!r}), and then "
    return [f"{words}gcloud storage cp --recursive 'gs://{found.name}/*' gs://{near}"]


def _probe(name: str) -> None:
    """Write a tiny file, read it back and delete it."""
    data, mark = secrets.token_bytes(32), f".probe-{secrets.token_hex(8)}"
    where, safe = f"gs://{name}", "Nothing that is in the bucket was touched"
    with explained(where, safe):
        blob = client().bucket(name).blob(mark)
        blob.upload_from_string(data, content_type="application/octet-stream", if_generation_match=0)
        try:
            back = blob.download_as_bytes()
        finally:
            with explained(where, f"The file {mark!r}, 32 bytes, was left there"):
                blob.delete()
    if back != data:
        raise OSError(f"{where}: what was written did not come back. {safe}. Try again.")
